//! Requests that are signed: which header is checked how, and what tells a replay from a delivery that is tried again.
//!
//! | scheme | signed | a replay |
//! |---|---|---|
//! | Standard Webhooks | id, time and body | refused: an attempt has a time of its own, so the same one comes once |
//! | HMAC of the body, detached JWS | the body alone | looks as a repeated delivery does: taken, and nothing by the id of its event |
//! | security event token | the body, that is a token | the same, by `iss` and `jti` |
//!
//! What has no time is taken only while the log still knows the ids of its events ([`super::Credential::judge`]).

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use keywatch_ingest::signature::token::{Expected, security_event};
use keywatch_ingest::signature::webhook::{self, Message};
use keywatch_ingest::signature::{self, Algorithm, Keys, Refused};
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use sha2::{Digest, Sha256};

use super::replays::{Claim, Repeated, Replays};
use crate::service::config::credential::Signature;

/// What a sender signs with.
pub(super) enum Signed {
    StandardWebhooks { secrets: Vec<Vec<u8>> },
    BodyHmac { header: HeaderName, secrets: Vec<Vec<u8>> },
    DetachedJws { header: HeaderName, keys: Keys, algorithms: Vec<Algorithm> },
    SecurityEventToken(Box<Expected>),
}

/// Why a signed request is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unproven {
    /// It is not the sender's, or not of now.
    Refused(String),
    /// It is, and was taken before.
    Repeated(Repeated),
}

impl From<Refused> for Unproven {
    fn from(refused: Refused) -> Unproven {
        Unproven::Refused(refused.to_string())
    }
}

impl Signed {
    /// Reads the files that the configuration points to.
    pub(super) fn new(configured: &Signature) -> anyhow::Result<Signed> {
        Ok(match configured {
            Signature::StandardWebhooks { secret_files } => {
                let secrets = secret_files.iter().map(|file| read(file, standard)).collect::<anyhow::Result<_>>()?;
                Signed::StandardWebhooks { secrets }
            }
            Signature::BodyHmac { header, secret_files } => {
                let secrets = secret_files.iter().map(|file| read(file, plain)).collect::<anyhow::Result<_>>()?;
                Signed::BodyHmac { header: header.parse()?, secrets }
            }
            Signature::DetachedJws { header, keys_file, algorithms } => {
                let (keys, algorithms) = (read_keys(keys_file)?, named(algorithms));
                Signed::DetachedJws { header: header.parse()?, keys, algorithms }
            }
            Signature::SecurityEventToken { keys_file, algorithms, issuer, audience } => {
                let (keys, algorithms) = (read_keys(keys_file)?, named(algorithms));
                let (issuer, audience) = (issuer.clone(), audience.clone());
                Signed::SecurityEventToken(Box::new(Expected { keys, algorithms, issuer, audience }))
            }
        })
    }

    /// Whether the time of a request is signed, so that an old one is refused whatever it holds.
    pub(super) fn is_of_its_time(&self) -> bool {
        matches!(self, Signed::StandardWebhooks { .. })
    }

    /// Whether it is answered as RFC 8935 says.
    pub(super) fn is_pushed_token(&self) -> bool {
        matches!(self, Signed::SecurityEventToken(_))
    }

    /// Checks a request over the bytes of its body as they came.
    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Instant,
        replays: &Arc<Replays>,
    ) -> Result<Option<Claim>, Unproven> {
        match self {
            Signed::StandardWebhooks { secrets } => {
                let message = Message {
                    id: only(headers, "webhook-id")?,
                    timestamp: only(headers, "webhook-timestamp")?,
                    signatures: only(headers, "webhook-signature")?,
                };
                let time = any(secrets, |secret| webhook::standard(secret, message, body, now))?;
                claim(message, body, time, now, replays).map(Some)
            }
            Signed::BodyHmac { header, secrets } => {
                let tag = only(headers, header.as_str())?;
                any(secrets, |secret| signature::hmac_sha256(secret, tag, body))?;
                Ok(None)
            }
            Signed::DetachedJws { header, keys, algorithms } => {
                signature::detached(keys, algorithms, only(headers, header.as_str())?, body)?;
                Ok(None)
            }
            Signed::SecurityEventToken(expected) => {
                security_event(expected, body, now)?;
                Ok(None)
            }
        }
    }
}

/// By what was signed and not by the signature, so that the second signature of one message is no second message.
fn claim(
    message: Message<'_>,
    body: &[u8],
    time: Instant,
    now: Instant,
    replays: &Arc<Replays>,
) -> Result<Claim, Unproven> {
    let mut digest = Sha256::new();
    for part in [message.id.as_bytes(), b".", message.timestamp.as_bytes(), b".", body] {
        digest.update(part);
    }
    let window = i64::try_from(keywatch_ingest::limits::SIGNED_SECONDS_MAX + 1).unwrap_or(i64::MAX);
    let until = time.saturating_add(window.saturating_mul(SECOND_NS));
    replays.claim(digest.finalize().into(), until, now).map_err(Unproven::Repeated)
}

/// The first secret that fits; otherwise what the last one was refused for.
fn any<T>(secrets: &[Vec<u8>], check: impl Fn(&[u8]) -> Result<T, Refused>) -> Result<T, Unproven> {
    let mut refused = Unproven::Refused("there is no secret".to_owned());
    for secret in secrets {
        match check(secret) {
            Ok(proven) => return Ok(proven),
            Err(why) => refused = why.into(),
        }
    }
    Err(refused)
}

/// The one header of that name; with two of them, two readers could see two requests.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Unproven> {
    let mut all = headers.get_all(name).iter();
    match (all.next().map(HeaderValue::to_str), all.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(Unproven::Refused(format!("signature refused: there must be one header `{name}`"))),
    }
}

fn named(algorithms: &[String]) -> Vec<Algorithm> {
    algorithms.iter().filter_map(|name| Algorithm::named(name)).collect()
}

fn standard(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok(webhook::secret(text)?)
}

fn plain(text: &str) -> anyhow::Result<Vec<u8>> {
    let secret = text.trim().as_bytes();
    anyhow::ensure!(secret.len() >= 16, "a secret must have at least 16 bytes, this one has {}", secret.len());
    Ok(secret.to_vec())
}

fn read<T>(file: &Path, parse: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse(&text).with_context(|| file.display().to_string())
}

fn read_keys(file: &Path) -> anyhow::Result<Keys> {
    read(file, |text| Ok(Keys::parse(text.as_bytes())?))
}
