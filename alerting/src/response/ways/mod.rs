//! Ways of a response besides the decision point: identity providers that end sessions, and signers that stop signing. They
//! need no decision point, so they are the second path when none answers. Each is asked only after its own intent stands in
//! the log; when it is asked again is the executor's affair.
//!
//! | module | what it holds |
//! |---|---|
//! | [`planning`] | which response goes which ways: pure |
//! | [`jws`] | keys that sign tokens |
//! | [`caep`] | `session-revoked` as a security event token, pushed to a receiver of shared signals |
//! | [`session_api`] | sessions ended over the APIs of Okta, Microsoft Entra and Keycloak |
//! | [`freeze`] | a signed request to a signer's service |

pub mod caep;
pub mod freeze;
pub mod jws;
pub mod planning;
pub mod session_api;

use std::sync::Arc;

use keywatch_store::finding::Target;
use reqwest::Url;

use crate::delivery::http::{Answer, fate};
use crate::delivery::sink::Attempt;
use crate::error::Fate;
use crate::response::intent::Response;
use planning::WayRules;

/// Reads the token of now. It may change while keywatch runs; the text of an error says where it should be.
pub type Token = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// One name of a response, for a way.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The response.
    pub response: &'a Response,
    /// What kind of name it is.
    pub target: Target,
    /// The name.
    pub name: &'a str,
}

/// A way besides the decision point.
pub trait Way: Send + Sync {
    /// Which responses go this way, and when.
    fn rules(&self) -> &WayRules;

    /// Asks for one name, once. Asking again must do no more harm than asking once.
    ///
    /// # Errors
    /// [`crate::Error::Undelivered`], with whether it is worth asking again.
    fn ask<'a>(&'a self, asked: Asked<'a>) -> Attempt<'a>;
}

/// What a refusal means. A token that is refused may be replaced in its file, so that is worth another try.
#[must_use]
pub fn meaning(answer: &Answer) -> Fate {
    match answer.status {
        401 | 403 => Fate::Retry(answer.retry_after),
        _ => match fate(answer) {
            Fate::Gone => Fate::Dead,
            fate => fate,
        },
    }
}

/// An address below `base`. A name is one segment of the path, whatever stands in it; nothing where it can be none.
fn below(base: &Url, segments: &[&str]) -> Option<Url> {
    let is_segment = |segment: &&str| !matches!(*segment, "" | "." | "..") && !segment.chars().any(char::is_control);
    if !segments.iter().all(is_segment) {
        return None;
    }
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_the_path_whatever_stands_in_it() {
        let base = Url::parse("https://id.example/auth/").unwrap();
        let url = |name: &str| below(&base, &["users", name, "logout"]).map(String::from);
        assert_eq!(url("ann").as_deref(), Some("https://id.example/auth/users/ann/logout"));
        assert_eq!(url("ann@a.example").as_deref(), Some("https://id.example/auth/users/ann@a.example/logout"));
        assert_eq!(url("../admin").as_deref(), Some("https://id.example/auth/users/..%2Fadmin/logout"));
        assert_eq!(url("a?b#c").as_deref(), Some("https://id.example/auth/users/a%3Fb%23c/logout"));
        for none in ["", ".", "..", "a\nb"] {
            assert_eq!(url(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_refused_token_is_tried_again_and_an_unknown_name_is_not() {
        let answer = |status| Answer { status, retry_after: None, body: String::new() };
        for (status, expected) in [
            (401, Fate::Retry(None)),
            (403, Fate::Retry(None)),
            (429, Fate::Retry(None)),
            (503, Fate::Retry(None)),
            (404, Fate::Dead),
            (410, Fate::Dead),
            (400, Fate::Dead),
        ] {
            assert_eq!(meaning(&answer(status)), expected, "{status}");
        }
    }
}
