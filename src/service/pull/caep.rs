//! Security event tokens that are polled (RFC 8936): the transmitter keeps them until they are acknowledged, and they are
//! acknowledged by the request after the one that brought them, when they are durable.
//!
//! Each token is checked as a pushed one is: signature, issuer and audience. One that fails is told to the transmitter
//! and kept as a reject.

use std::collections::BTreeMap;

use keywatch_ingest::signature::token::{Expected, security_event};
use keywatch_ingest::{Problem, Reject};
use keywatch_store::Instant;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::puller::{Page, Pull};
use super::service::{Class, Service, Trouble};
use crate::limits::{PULL_TOKEN_ID_BYTES_MAX, PULL_TOKENS_MAX};

/// The stream of a transmitter.
pub(super) struct Caep {
    pub(super) service: Service,
    /// Whose tokens, and for whom.
    pub(super) expected: Expected,
}

#[derive(Deserialize)]
struct Polled {
    #[serde(default)]
    sets: BTreeMap<String, Value>,
    #[serde(default, rename = "moreAvailable")]
    more: bool,
}

impl Pull for Caep {
    async fn page(&self, cursor: &Cursor, now: Instant) -> Result<Page, Trouble> {
        let refused = |(id, problem): (&String, &String)| {
            (id.clone(), json!({ "err": "authentication_failed", "description": problem }))
        };
        let asked = json!({
            "maxEvents": PULL_TOKENS_MAX,
            "returnImmediately": true,
            "ack": cursor.taken,
            "setErrs": cursor.refused.iter().map(refused).collect::<serde_json::Map<_, _>>(),
        });
        let answer = self.service.post(self.service.base(), &asked).await?;
        let polled: Polled = serde_json::from_slice(&answer.body)
            .map_err(|error| Trouble::new(Class::Malformed, format!("it answers with no tokens: {error}")))?;
        if polled.sets.keys().any(|id| id.len() > PULL_TOKEN_ID_BYTES_MAX) {
            return Err(Trouble::new(Class::Malformed, "the id of a token is too long"));
        }
        let mut page = judged(&self.expected, &polled.sets, now);
        page.rest = answer.rest();
        // What was taken is acknowledged soon, so that it does not come again.
        page.more = polled.more || !polled.sets.is_empty();
        Ok(page)
    }
}

/// The tokens that are the issuer's as a body for the feed, and the others as rejects.
fn judged(expected: &Expected, sets: &BTreeMap<String, Value>, now: Instant) -> Page {
    let mut page = Page::default();
    let mut good = serde_json::Map::new();
    // What is more than was asked for is not acknowledged, and comes again.
    for (id, token) in sets.iter().take(PULL_TOKENS_MAX) {
        let text = token.as_str().map_or_else(|| token.to_string(), str::to_owned);
        match security_event(expected, text.as_bytes(), now) {
            Ok(()) => {
                page.taken.push(id.clone());
                good.insert(id.clone(), Value::from(text));
            }
            Err(refused) => {
                let problem = Problem::new("token", refused.to_string());
                page.rejects.push(Reject::new(&problem, None, text.as_bytes()));
                page.refused.insert(id.clone(), refused.to_string());
            }
        }
    }
    if !good.is_empty() {
        page.body = json!({ "sets": good }).to_string().into_bytes();
    }
    page
}

#[cfg(test)]
mod tests {
    use keywatch_ingest::signature::{Algorithm, Keys};

    use super::*;

    #[test]
    fn a_token_of_somebody_else_never_gets_to_the_feed() {
        let expected = Expected {
            keys: Keys::parse(
                br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
            )
            .unwrap(),
            algorithms: vec![Algorithm::EdDsa],
            issuer: "https://idp.example".into(),
            audience: "https://keywatch.example".into(),
        };
        let sets = BTreeMap::from([("j-1".to_owned(), json!("a.b.c")), ("j-2".to_owned(), json!(7))]);
        let page = judged(&expected, &sets, Instant(1));
        assert!(page.body.is_empty() && page.taken.is_empty());
        assert_eq!((page.rejects.len(), page.refused.len()), (2, 2));
        assert!(page.refused["j-2"].contains("three parts"), "{:?}", page.refused);
        let many = (0..2 * PULL_TOKENS_MAX).map(|number| (format!("j-{number}"), json!("a.b.c"))).collect();
        assert_eq!(judged(&expected, &many, Instant(1)).refused.len(), PULL_TOKENS_MAX, "a page is kept in the cursor");
    }
}
