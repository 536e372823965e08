//! One service over HTTPS: requests with the token of a file, an answer up to a size, and what can go wrong. It knows no
//! path and no format.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::rest;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LINK, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use serde_json::Value;

use crate::clock;
use crate::limits::{PULL_ANSWER_SECONDS_MAX, PULL_PLACE_BYTES_MAX, PULL_REST_SECONDS_MAX, TOKEN_BYTES_MAX};

/// What kind of thing went wrong. It is told once for as long as it stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// No connection, or none that lasted.
    Unreachable,
    /// The token is missing or not accepted.
    Refused,
    /// Too many requests.
    RateLimited,
    /// It does not know the place where the list was to go on.
    Gone,
    /// Another status that is no success.
    Status,
    /// An answer that is not what it should be.
    Malformed,
}

impl Class {
    /// The word for it in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Unreachable => "unreachable",
            Class::Refused => "refused",
            Class::RateLimited => "rate_limited",
            Class::Gone => "gone",
            Class::Status => "status",
            Class::Malformed => "malformed",
        }
    }
}

/// What went wrong. Asking again is all that can be done about it.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) class: Class,
    pub(super) problem: String,
    /// How long it asks to be left alone.
    pub(super) rest: Option<Duration>,
}

impl Trouble {
    pub(super) fn new(class: Class, problem: impl Into<String>) -> Trouble {
        Trouble { class, problem: problem.into(), rest: None }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// An answer that is a success.
pub(super) struct Answer {
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Where the list goes on, as the service says it.
    fn next(&self) -> Option<&str> {
        rest::next_link(self.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()))
    }

    /// As [`Answer::next`], where it is short enough to be kept.
    pub(super) fn place(&self) -> Result<Option<String>, Trouble> {
        self.next().map(kept).transpose()
    }

    /// How long it asks to be left alone although it answered: the last request that it allows in this window.
    pub(super) fn rest(&self) -> Option<Duration> {
        let is_last = text(&self.headers, "x-rate-limit-remaining").is_some_and(|left| left.trim() == "0");
        rest_of(&self.headers).filter(|_| is_last)
    }
}

/// A service.
pub(super) struct Service {
    client: Client,
    base: Url,
    token_file: Option<PathBuf>,
    scheme: &'static str,
}

impl Service {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The address is none, or would carry a token in the clear.
    pub(super) fn new(
        base: &str,
        token_file: Option<PathBuf>,
        scheme: &'static str,
        allow_plain_http: bool,
    ) -> anyhow::Result<Service> {
        let (base, client) = address_and_client(base, allow_plain_http)?;
        Ok(Service { client, base, token_file, scheme })
    }

    /// The address of a path below that of the service.
    pub(super) fn at(&self, path: &str) -> Result<Url, Trouble> {
        let base = self.base.as_str().trim_end_matches('/');
        Url::parse(&format!("{base}{path}")).map_err(|error| Trouble::new(Class::Malformed, error.to_string()))
    }

    /// The address of the service itself.
    pub(super) fn base(&self) -> Url {
        self.base.clone()
    }

    /// An address that the service named. One of somebody else would get the token, so it is none.
    pub(super) fn named(&self, text: &str) -> Result<Url, Trouble> {
        let url = self.base.join(text).map_err(|error| Trouble::new(Class::Malformed, error.to_string()))?;
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        Err(Trouble::new(
            Class::Malformed,
            format!("it names a next page elsewhere, at {}", url.origin().ascii_serialization()),
        ))
    }

    /// Asks for something.
    pub(super) async fn get(&self, url: Url) -> Result<Answer, Trouble> {
        self.ask(self.client.get(url)).await
    }

    /// Tells it something.
    pub(super) async fn post(&self, url: Url, body: &Value) -> Result<Answer, Trouble> {
        self.ask(self.client.post(url).json(body)).await
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, Trouble> {
        let request = match self.authorization()? {
            Some(authorization) => request.header(AUTHORIZATION, authorization),
            None => request,
        };
        let broken = |error: reqwest::Error| Trouble::new(Class::Unreachable, in_words(&error.without_url()));
        let mut answer = request.header("accept", "application/json").send().await.map_err(broken)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(broken)? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(Trouble::new(
                    Class::Malformed,
                    format!("it answers with more than {BODY_BYTES_MAX} bytes"),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(Answer { headers, body });
        }
        let class = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Class::Refused,
            StatusCode::TOO_MANY_REQUESTS => Class::RateLimited,
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::GONE => Class::Gone,
            _ => Class::Status,
        };
        Err(Trouble { rest: rest_of(&headers), ..Trouble::new(class, format!("it answers {status}")) })
    }

    /// The token as it stands in its file now, so that it can be changed while keywatch runs.
    fn authorization(&self) -> Result<Option<HeaderValue>, Trouble> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let refused = |problem: String| Trouble::new(Class::Refused, format!("{}: {problem}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
        let token = text.trim();
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            return Err(refused("holds no token".to_owned()));
        }
        // One that names its scheme is sent as it is.
        let whole = if token.contains(' ') { token.to_owned() } else { format!("{} {token}", self.scheme) };
        let mut value = HeaderValue::from_str(&whole).map_err(|_| refused("holds no token".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// A place in a list that a service names. It stands in the log and in further requests, so it is no book.
pub(super) fn kept(place: &str) -> Result<String, Trouble> {
    if place.len() <= PULL_PLACE_BYTES_MAX {
        return Ok(place.to_owned());
    }
    Err(Trouble::new(
        Class::Malformed,
        format!("the place of its next page is longer than {PULL_PLACE_BYTES_MAX} bytes"),
    ))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The address of a service, and what asks it; nothing is sent yet.
///
/// # Errors
/// The address is none, or would carry a secret in the clear.
pub(super) fn address_and_client(base: &str, allow_plain_http: bool) -> anyhow::Result<(Url, Client)> {
    let base = Url::parse(base).with_context(|| format!("url: `{base}` is no address"))?;
    ensure!(base.host_str().is_some(), "url: `{base}` names no host");
    let is_plain = base.scheme() == "http" && allow_plain_http;
    ensure!(base.scheme() == "https" || is_plain, "url: has to be https, or allow_plain_http = true");
    // Whoever answers with a redirect would get the token.
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .timeout(Duration::from_secs(PULL_ANSWER_SECONDS_MAX))
        .build()?;
    Ok((base, client))
}

fn rest_of(headers: &HeaderMap) -> Option<Duration> {
    let reset = text(headers, "x-rate-limit-reset");
    let after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = rest::rest_seconds(after, reset, clock::now().unix_seconds())?;
    Some(Duration::from_secs(seconds.min(PULL_REST_SECONDS_MAX)))
}

/// An error with its causes, which say what happened.
fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |said, cause| format!("{said}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_its_own_service_and_never_in_the_clear() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        assert!(Service::new("http://a.example", None, "SSWS", false).is_err());
        assert!(Service::new("nonsense", None, "SSWS", false).is_err());
        let service = Service::new("https://a.example/base/", None, "SSWS", false).unwrap();
        assert_eq!(service.at("/api/v1/logs").unwrap().as_str(), "https://a.example/base/api/v1/logs");
        assert!(service.named("https://a.example/api/v1/logs?after=7").is_ok());
        for other in ["https://a.example.evil/", "http://a.example/", "https://a.example:8443/", "//b.example/"] {
            let trouble = service.named(other).unwrap_err();
            assert_eq!(trouble.class, Class::Malformed, "{other}: {trouble}");
        }
    }

    #[test]
    fn a_token_is_read_anew_for_each_request() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("okta.token");
        let service = Service::new("https://a.example", Some(file.clone()), "SSWS", false).unwrap();
        assert_eq!(service.authorization().unwrap_err().class, Class::Refused);
        for (text, sent) in [("00abc\n", "SSWS 00abc"), ("Bearer eyJ", "Bearer eyJ")] {
            fs::write(&file, text).unwrap();
            assert_eq!(service.authorization().unwrap().unwrap().to_str().unwrap(), sent);
        }
        fs::write(&file, " \n").unwrap();
        assert!(service.authorization().is_err());
    }
}
