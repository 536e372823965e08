//! A webhook signed as Standard Webhooks 1.0.0 asks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, the last
//! one an HMAC-SHA256 over `id.timestamp.body` for each secret, so that a receiver may rotate its secret.
//!
//! One attempt a call: redirects are failures, 410 closes the destination, other refusals by the receiver (4xx) are
//! final, everything else is worth another try.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use keywatch_store::Instant;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url, redirect};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::delivery::message::Notification;
use crate::delivery::sink::{Attempt, Sink};
use crate::error::{Error, Fate};
use crate::limits::{
    RETRY_AFTER_SECONDS_MAX, WEBHOOK_ATTEMPT_SECONDS_MAX, WEBHOOK_BODY_BYTES_MAX, WEBHOOK_DELIVERIES_MAX,
};
use crate::response::pdp::chain;

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A symmetric secret, `whsec_` and the base64 of 24 to 64 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it, without the secret.
    pub fn parse(text: &str) -> Result<Secret, String> {
        let encoded = text.trim().strip_prefix("whsec_").ok_or("a webhook secret begins with `whsec_`")?;
        let key = STANDARD.decode(encoded).map_err(|_| "what follows `whsec_` is not base64")?;
        if !(24..=64).contains(&key.len()) {
            return Err(format!("a webhook secret has 24 to 64 bytes, this one has {}", key.len()));
        }
        Ok(Secret(key))
    }

    /// `v1,` and the base64 of the HMAC-SHA256 over `id.timestamp.body`; `timestamp` in unix seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a webhook is configured.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// Name of the destination.
    pub name: String,
    /// Address, `https` unless it is loopback.
    pub url: String,
    /// Secrets; each signs, the newest first.
    pub secrets: Vec<Secret>,
    /// Lets `http` leave the machine. Whoever is in between can then read and drop pages.
    pub allow_plain_http: bool,
}

/// The sink.
pub struct Webhook {
    name: String,
    url: Url,
    secrets: Vec<Secret>,
    client: Client,
    clock: WallClock,
    gone: AtomicBool,
}

impl Webhook {
    /// Prepares a client; nothing is sent yet. The process must have a rustls provider installed. `clock` dates each
    /// attempt.
    ///
    /// # Errors
    /// [`Error::Destination`] for an address that is not allowed or without a secret.
    pub fn new(settings: WebhookSettings, clock: WallClock) -> Result<Webhook, Error> {
        let refuse = |problem: String| Error::Destination { destination: settings.name.clone(), problem };
        let url = Url::parse(&settings.url).map_err(|error| refuse(format!("the address is not a URL: {error}")))?;
        check_address(&url, settings.allow_plain_http).map_err(refuse)?;
        if settings.secrets.is_empty() {
            return Err(refuse("has no secret; a webhook that is not signed can be forged".to_owned()));
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(WEBHOOK_ATTEMPT_SECONDS_MAX))
            .build()
            .map_err(|error| refuse(chain(&error)))?;
        let WebhookSettings { name, secrets, .. } = settings;
        Ok(Webhook { name, url, secrets, client, clock, gone: AtomicBool::new(false) })
    }

    async fn attempt(&self, notification: &Notification) -> Result<(), Error> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(self.undelivered("it said 410 before; it is closed until keywatch restarts", Fate::Gone));
        }
        let body = body(notification);
        let timestamp = (self.clock)().unix_seconds();
        let signatures: Vec<String> =
            self.secrets.iter().map(|secret| secret.sign(&notification.key, timestamp, &body)).collect();
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header("webhook-id", &notification.key)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body);
        let answer = request.send().await.map_err(|error| self.undelivered(&chain(&error), Fate::Retry(None)))?;
        let (status, headers) = (answer.status(), answer.headers());
        if status.is_success() {
            return Ok(());
        }
        let fate = fate(status, headers);
        if fate == Fate::Gone {
            self.gone.store(true, Ordering::Relaxed);
        }
        Err(self.undelivered(&format!("it answered {status}"), fate))
    }

    fn undelivered(&self, problem: &str, fate: Fate) -> Error {
        Error::Undelivered { destination: self.name.clone(), problem: problem.to_owned(), fate }
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliveries_max(&self) -> usize {
        WEBHOOK_DELIVERIES_MAX
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        Box::pin(self.attempt(notification))
    }
}

fn check_address(url: &Url, allow_plain_http: bool) -> Result<(), String> {
    let Some(host) = url.host_str() else { return Err("the address has no host".to_owned()) };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().ok();
    let loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let link_local = match address {
        Some(std::net::IpAddr::V4(address)) => address.is_link_local(),
        Some(std::net::IpAddr::V6(address)) => address.is_unicast_link_local(),
        None => false,
    };
    match url.scheme() {
        _ if link_local => Err("link-local addresses, cloud metadata among them, are refused".to_owned()),
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("credentials do not belong into the address; the signature authenticates".to_owned())
        }
        "https" => Ok(()),
        "http" if loopback || allow_plain_http => Ok(()),
        "http" => Err("plain http leaves the machine unprotected; write https or set allow_plain_http".to_owned()),
        scheme => Err(format!("`{scheme}` is not https")),
    }
}

fn fate(status: StatusCode, headers: &HeaderMap) -> Fate {
    match status.as_u16() {
        410 => Fate::Gone,
        408 | 425 | 429 => Fate::Retry(retry_after(headers)),
        400..=499 => Fate::Dead,
        _ => Fate::Retry(retry_after(headers)),
    }
}

/// `Retry-After` in its seconds form (RFC 9110 section 10.2.3), held at a limit. The date form is answered by our own
/// schedule.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(RETRY_AFTER_SECONDS_MAX)))
}

/// `{"type", "timestamp", "data"}`. What does not fit the size that the specification asks for is left out and said so:
/// first the facts, then the long texts and all evidence but the anchor.
#[must_use]
pub fn body(notification: &Notification) -> Vec<u8> {
    let mut data = json!(notification);
    let steps: [&dyn Fn(&mut Value); 3] = [&|_| {}, &|data| data["facts"] = json!({}), &|data| {
        for field in ["meaning", "runbook"] {
            data[field] = Value::from("");
        }
        for field in ["evidence", "did", "story"] {
            if let Some(items) = data[field].as_array_mut() {
                items.truncate(1);
            }
        }
    }];
    let mut bytes = Vec::new();
    for (index, shorten) in steps.into_iter().enumerate() {
        shorten(&mut data);
        if index > 0 {
            data["truncated"] = Value::Bool(true);
        }
        let body = json!({ "type": notification.kind, "timestamp": notification.when, "data": data });
        bytes = body.to_string().into_bytes();
        if bytes.len() <= WEBHOOK_BODY_BYTES_MAX {
            break;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_agrees_with_the_known_vector() {
        let secret = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
        let body = br#"{"type":"finding.created","timestamp":"2025-02-21T05:42:42Z","data":{"id":"f-1"}}"#;
        assert_eq!(body.len(), 81);
        let signature = secret.sign("msg_keywatch_1", 1_740_116_562, body);
        assert_eq!(signature, "v1,p4/d4AHQha57QFgExrdvy49ihDEZsb43AI8I/IMRcYI=");
    }

    #[test]
    fn secrets_that_are_none_are_refused_and_never_shown() {
        for text in ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_!!", "whsec_AAEC"] {
            let error = Secret::parse(text).unwrap_err();
            assert!(!error.contains("AAEC"), "{error}");
        }
        let secret = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    #[test]
    fn addresses_are_https_or_loopback() {
        for (address, plain, accepted) in [
            ("https://hooks.example/x", false, true),
            ("http://127.0.0.1:9/x", false, true),
            ("http://[::1]:9/x", false, true),
            ("http://localhost/x", false, true),
            ("http://hooks.example/x", false, false),
            ("http://hooks.example/x", true, true),
            ("http://127.0.0.1.example/x", false, false),
            ("https://169.254.169.254/latest", true, false),
            ("https://user:pw@hooks.example/", false, false),
            ("ftp://hooks.example/", true, false),
        ] {
            assert_eq!(check_address(&Url::parse(address).unwrap(), plain).is_ok(), accepted, "{address}");
        }
    }

    #[test]
    fn an_answer_decides_what_becomes_of_the_notification() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
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
            assert_eq!(fate(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status}");
        }
    }
}
