//! A webhook signed as Standard Webhooks 1.0.0 asks: `webhook-id`, `webhook-timestamp` and `webhook-signature`, the last
//! one a signature over `id.timestamp.body` for each secret, so that a receiver may rotate its secret: HMAC-SHA256 (`v1`)
//! or ed25519 (`v1a`).
//!
//! One attempt a call: redirects are failures, 410 closes the destination, other refusals by the receiver (4xx) are
//! final, everything else is worth another try.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use keywatch_store::Instant;
use reqwest::Url;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::delivery::guard::AddressRules;
use crate::delivery::http::{HttpClient, Request, fate, parse_url, refused};
use crate::delivery::message::Notification;
use crate::delivery::pace::Pace;
use crate::delivery::receivers::ocsf;
use crate::delivery::sink::{Attempt, Sink};
use crate::error::{Error, Fate};
use crate::limits::{DELIVERIES_AT_ONCE_MAX, WEBHOOK_BODY_BYTES_MAX};

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// What signs: `whsec_` and the base64 of 24 to 64 bytes (HMAC), or `whsk_` and the base64 of an ed25519 secret key.
#[derive(Clone)]
pub struct Secret(Key);

#[derive(Clone)]
enum Key {
    Symmetric(Vec<u8>),
    Asymmetric(Arc<Ed25519KeyPair>),
}

impl Secret {
    /// Reads the text form.
    ///
    /// # Errors
    /// What is wrong with it, without the secret.
    pub fn parse(text: &str) -> Result<Secret, String> {
        let text = text.trim();
        let decode = |encoded: &str, prefix: &str| {
            STANDARD.decode(encoded).map_err(|_| format!("what follows `{prefix}` is not base64"))
        };
        if let Some(encoded) = text.strip_prefix("whsk_") {
            return Ok(Secret(Key::Asymmetric(Arc::new(key_pair(&decode(encoded, "whsk_")?)?))));
        }
        let encoded = text.strip_prefix("whsec_").ok_or("a webhook secret begins with `whsec_` or `whsk_`")?;
        let key = decode(encoded, "whsec_")?;
        if !(24..=64).contains(&key.len()) {
            return Err(format!("a webhook secret has 24 to 64 bytes, this one has {}", key.len()));
        }
        Ok(Secret(Key::Symmetric(key)))
    }

    /// `v1,` and the base64 of the HMAC-SHA256, or `v1a,` and that of the ed25519 signature, over `id.timestamp.body`;
    /// `timestamp` in unix seconds.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut signed = format!("{id}.{timestamp}.").into_bytes();
        signed.extend_from_slice(body);
        match &self.0 {
            Key::Symmetric(key) => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
                mac.update(&signed);
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            }
            Key::Asymmetric(pair) => format!("v1a,{}", STANDARD.encode(pair.sign(&signed))),
        }
    }
}

/// A seed, or a seed and the public key that belongs to it.
fn key_pair(bytes: &[u8]) -> Result<Ed25519KeyPair, String> {
    let pair = match bytes.len() {
        32 => Ed25519KeyPair::from_seed_unchecked(bytes),
        64 => Ed25519KeyPair::from_seed_and_public_key(&bytes[..32], &bytes[32..]),
        other => return Err(format!("an ed25519 secret key has 32 or 64 bytes, this one has {other}")),
    };
    pair.map_err(|_| "the two halves of the ed25519 key do not belong together".to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How a webhook is configured.
#[derive(Clone, Debug, Default)]
pub struct WebhookSettings {
    /// Name of the destination.
    pub name: String,
    /// Address, `https` unless it is this machine.
    pub url: String,
    /// Secrets; each signs, the newest first.
    pub secrets: Vec<Secret>,
    /// Where it may be.
    pub addresses: AddressRules,
    /// Whether `data` is an OCSF Detection Finding.
    pub ocsf: bool,
    /// Whether it gets a heartbeat.
    pub heartbeat: bool,
    /// What it stands.
    pub pace: Pace,
}

/// The sink.
pub struct Webhook {
    http: HttpClient,
    url: Url,
    settings: WebhookSettings,
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
        let url = parse_url(&settings.name, &settings.url)?;
        let http = HttpClient::new(&settings.name, &[&url], &settings.addresses)?;
        if settings.secrets.is_empty() {
            return Err(refused(&settings.name, "has no secret; a webhook that is not signed can be forged"));
        }
        Ok(Webhook { http, url, settings, clock, gone: AtomicBool::new(false) })
    }

    async fn attempt(&self, key: &str, body: Vec<u8>) -> Result<(), Error> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(self.http.undelivered("it said 410 before; it is closed until keywatch restarts", Fate::Gone));
        }
        let request = signed(&self.url, key, (self.clock)(), body, &self.settings.secrets);
        let answer = self.http.send(request).await?;
        let fate = fate(&answer);
        if fate == Fate::Gone {
            self.gone.store(true, Ordering::Relaxed);
        }
        self.http.settle(&answer, fate)
    }
}

impl Sink for Webhook {
    fn name(&self) -> &str {
        self.http.name()
    }

    fn deliveries_max(&self) -> usize {
        DELIVERIES_AT_ONCE_MAX
    }

    fn pace(&self) -> Pace {
        self.settings.pace
    }

    fn repeats(&self) -> bool {
        self.settings.heartbeat
    }

    fn repeat<'a>(&'a self, standing: &'a [Notification]) -> Attempt<'a> {
        let now = (self.clock)();
        let body = json!({ "type": "keywatch.heartbeat", "timestamp": now, "data": { "standing": standing.len() } });
        let key = format!("heartbeat-{}", now.unix_seconds());
        Box::pin(async move { self.attempt(&key, body.to_string().into_bytes()).await })
    }

    fn deliver<'a>(&'a self, notification: &'a Notification) -> Attempt<'a> {
        let body = if self.settings.ocsf { ocsf_body(notification) } else { body(notification) };
        Box::pin(self.attempt(&notification.key, body))
    }
}

/// The request with its signatures, dated `now`.
#[must_use]
pub fn signed(url: &Url, key: &str, now: Instant, body: Vec<u8>, secrets: &[Secret]) -> Request {
    let timestamp = now.unix_seconds();
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(key, timestamp, &body)).collect();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("webhook-id", key.to_owned()),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    Request { url: url.clone(), headers, body }
}

/// As [`body`], with an OCSF Detection Finding as `data`.
fn ocsf_body(notification: &Notification) -> Vec<u8> {
    let data = ocsf::detection_finding(notification);
    let body = json!({ "type": notification.kind, "timestamp": notification.when, "data": data });
    body.to_string().into_bytes()
}

/// `{"type", "timestamp", "data"}`.
#[must_use]
pub fn body(notification: &Notification) -> Vec<u8> {
    let data = bounded_data(notification);
    json!({ "type": notification.kind, "timestamp": notification.when, "data": data }).to_string().into_bytes()
}

/// The notification as JSON. What does not fit the size that the specification asks for is left out and said so: first the
/// facts, then the long texts and all evidence but the anchor.
pub(crate) fn bounded_data(notification: &Notification) -> Value {
    let mut data = json!(notification);
    let steps: [&dyn Fn(&mut Value); 3] = [&|_| {}, &|data| data["facts"] = json!({}), &|data| {
        if let Some(data) = data.as_object_mut() {
            data.remove("text");
        }
        for field in ["meaning", "runbook"] {
            data[field] = Value::from("");
        }
        for field in ["evidence", "did", "story"] {
            if let Some(items) = data[field].as_array_mut() {
                items.truncate(1);
            }
        }
    }];
    for (index, shorten) in steps.into_iter().enumerate() {
        shorten(&mut data);
        if index > 0 {
            data["truncated"] = Value::Bool(true);
        }
        if data.to_string().len() <= WEBHOOK_BODY_BYTES_MAX - ENVELOPE_BYTES_MAX {
            break;
        }
    }
    data
}

/// Bytes of a body around its data.
const ENVELOPE_BYTES_MAX: usize = 256;

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
    fn an_ed25519_key_signs_as_its_public_key_verifies() {
        use ring::signature::{ED25519, KeyPair, UnparsedPublicKey};
        let seed: Vec<u8> = (0..32).collect();
        let secret = Secret::parse(&format!("whsk_{}", STANDARD.encode(&seed))).unwrap();
        let signature = secret.sign("msg_1", 1_740_116_562, b"{}");
        let bytes = STANDARD.decode(signature.strip_prefix("v1a,").unwrap()).unwrap();
        let public = key_pair(&seed).unwrap();
        let key = UnparsedPublicKey::new(&ED25519, public.public_key().as_ref());
        key.verify(b"msg_1.1740116562.{}", &bytes).unwrap();
        let both = [seed.as_slice(), public.public_key().as_ref()].concat();
        let whole = Secret::parse(&format!("whsk_{}", STANDARD.encode(both))).unwrap();
        assert_eq!(whole.sign("msg_1", 1_740_116_562, b"{}"), signature);
        let torn = [seed.as_slice(), &[7; 32]].concat();
        assert!(Secret::parse(&format!("whsk_{}", STANDARD.encode(torn))).is_err());
        let request =
            signed(&Url::parse("https://a.example/").unwrap(), "k", Instant(0), Vec::new(), &[secret.clone(), secret]);
        assert_eq!(request.headers[3].1.split(' ').count(), 2, "old and new sign while a receiver changes over");
    }
}
