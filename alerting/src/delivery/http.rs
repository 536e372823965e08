//! One HTTP request to a receiver: to an address that the guard allows, over TLS that is verified, without following
//! redirects, reading no more of the answer than a limit. What is asked and what the answer means is the receiver's affair.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Url, redirect};

use crate::delivery::guard::{AddressRules, GuardedResolver};
use crate::error::{Error, Fate};
use crate::limits::{
    ATTEMPT_SECONDS_MAX, RECEIVER_ANSWER_BYTES_MAX, RECEIVER_ANSWER_CHARS_MAX, RETRY_AFTER_SECONDS_MAX,
};
use crate::response::pdp::chain;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: Url,
    /// Name and value.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent, byte for byte.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long the receiver asks to be left alone.
    pub retry_after: Option<Duration>,
    /// The first characters of its body, harmless to show.
    pub body: String,
}

/// A client for one receiver.
pub(crate) struct HttpClient {
    name: String,
    client: Client,
}

impl HttpClient {
    /// Prepares a client; nothing is sent yet. The process must have a rustls provider installed.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed.
    pub(crate) fn new(name: &str, urls: &[&Url], rules: &AddressRules) -> Result<HttpClient, Error> {
        for url in urls {
            rules.check_url(url).map_err(|problem| refused(name, problem))?;
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            // A proxy would connect for us, to addresses that nobody looked at.
            .no_proxy()
            .dns_resolver(GuardedResolver(rules.clone()))
            .timeout(Duration::from_secs(ATTEMPT_SECONDS_MAX))
            .build()
            .map_err(|error| refused(name, chain(&error)))?;
        Ok(HttpClient { name: name.to_owned(), client })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Posts a request.
    ///
    /// # Errors
    /// [`Error::Undelivered`] when there was no answer: worth another try.
    pub(crate) async fn send(&self, request: Request) -> Result<Answer, Error> {
        Ok(self.exchange(Method::POST, request).await?.0)
    }

    /// Makes a request by this method; the answer, and its body as it came.
    ///
    /// # Errors
    /// As [`HttpClient::send`].
    pub(crate) async fn exchange(&self, method: Method, request: Request) -> Result<(Answer, Vec<u8>), Error> {
        let headers = request.headers.into_iter();
        let begun = self.client.request(method, request.url);
        let asked = headers.fold(begun, |asked, (name, value)| asked.header(name, value));
        // The address may be a secret.
        let silent = |error: reqwest::Error| self.undelivered(&chain(&error), Fate::Retry(None));
        let mut answer = asked.body(request.body).send().await.map_err(silent)?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
        let mut body = Vec::new();
        // What the body says only explains: the status stands, whatever becomes of the rest.
        while body.len() < RECEIVER_ANSWER_BYTES_MAX
            && let Ok(Some(more)) = answer.chunk().await
        {
            let room = RECEIVER_ANSWER_BYTES_MAX - body.len();
            body.extend_from_slice(&more[..more.len().min(room)]);
        }
        Ok((Answer { status, retry_after, body: shown(&body) }, body))
    }

    pub(crate) fn undelivered(&self, problem: &str, fate: Fate) -> Error {
        Error::Undelivered { destination: self.name.clone(), problem: problem.to_owned(), fate }
    }

    /// An answer as an outcome: 2xx is success, anything else is `fate`.
    pub(crate) fn settle(&self, answer: &Answer, fate: Fate) -> Result<(), Error> {
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let said = if answer.body.is_empty() { String::new() } else { format!(": {}", answer.body) };
        Err(self.undelivered(&format!("it answered {}{said}", answer.status), fate))
    }
}

/// [`Error::Destination`] in short.
pub(crate) fn refused(name: &str, problem: impl Into<String>) -> Error {
    Error::Destination { destination: name.to_owned(), problem: problem.into() }
}

/// Reads an address.
pub(crate) fn parse_url(name: &str, text: &str) -> Result<Url, Error> {
    Url::parse(text).map_err(|error| refused(name, format!("the address is not a URL: {error}")))
}

/// What becomes of a notification, as most receivers mean their status: 4xx is final, but for what asks to wait.
#[must_use]
pub fn fate(answer: &Answer) -> Fate {
    match answer.status {
        410 => Fate::Gone,
        408 | 425 | 429 => Fate::Retry(answer.retry_after),
        400..=499 => Fate::Dead,
        _ => Fate::Retry(answer.retry_after),
    }
}

/// `Retry-After` in its seconds form (RFC 9110 section 10.2.3), held at a limit. The date form is answered by our own
/// schedule.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)))
}

/// The first characters, on one line, without what could move a cursor.
fn shown(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let first = text.trim().chars().take(RECEIVER_ANSWER_CHARS_MAX);
    first.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_decides_what_becomes_of_the_notification() {
        let after = Some(Duration::from_secs(7));
        for (status, expected) in [
            (410, Fate::Gone),
            (400, Fate::Dead),
            (404, Fate::Dead),
            (422, Fate::Dead),
            (429, Fate::Retry(after)),
            (500, Fate::Retry(after)),
            (302, Fate::Retry(after)),
        ] {
            let answer = Answer { status, retry_after: after, body: String::new() };
            assert_eq!(fate(&answer), expected, "{status}");
        }
    }

    #[test]
    fn waiting_is_held_at_a_limit_and_garbage_is_no_wait() {
        for (value, expected) in
            [("7", Some(7)), (" 7 ", Some(7)), ("999999", Some(3_600)), ("soon", None), ("-1", None)]
        {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(shown(b"no\x1b[2Jsuch\nchannel \xff"), "no [2Jsuch channel \u{fffd}");
    }
}
