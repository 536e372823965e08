//! Whether a webhook or token was signed by whom it should be: checks over the raw bytes, before anything is parsed.
//!
//! Pure: keys come as arguments. It fetches no key set, keeps no replays and knows no feed; a signed body that comes
//! twice is the same event twice, which the log skips by its id.
//!
//! It does not know whether a key was withdrawn, nor which algorithms a sender should use: whoever listens says so.
//!
//! | function | for |
//! |---|---|
//! | [`detached`] | JWS whose payload is the body (RFC 7515 appendix F): Fireblocks |
//! | [`compact`] | JWS with its payload (RFC 7515 §7.1): security event tokens |
//! | [`hmac_sha256`] | a hexadecimal HMAC-SHA-256 of the body: Kolide, BitGo |
//! | [`webhook::standard`] | HMAC-SHA-256 over id, time and body: Standard Webhooks |
//! | [`token::security_event`] | a pushed security event token: signature, issuer, audience |
//! | [`token::bearer_token`] | a bearer token: the same, and for how long it is good |

mod keys;
pub mod token;
pub mod webhook;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde_json::Value;

use crate::{limits, mask};
pub use keys::{Algorithm, Keys};

/// Why a signature is not accepted. Its words hold nothing secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature refused: {0}")]
pub struct Refused(String);

/// Why no key is found.
const UNKNOWN_KEY: &str = "no key of that id and type is known";

impl Refused {
    /// Whether the key set has no such key: a newer one may.
    #[must_use]
    pub fn is_of_unknown_key(&self) -> bool {
        self.0 == UNKNOWN_KEY
    }

    fn because(reason: impl Into<String>) -> Refused {
        Refused(reason.into())
    }
}

/// Checks `<protected>..<signature>` over the body as it came.
///
/// # Errors
/// The header is malformed, asks for an algorithm that is not accepted, names a key that is not there, or the signature is
/// not the key's over these bytes.
pub fn detached(keys: &Keys, accepted: &[Algorithm], header: &str, body: &[u8]) -> Result<(), Refused> {
    let malformed = || Refused::because("the header must be `<protected>..<signature>`");
    let (protected, signature) = header.trim().split_once("..").ok_or_else(malformed)?;
    verify(keys, accepted, protected, &BASE64.encode(body), signature).map(|_| ())
}

/// Checks `<protected>.<payload>.<signature>` and gives the protected header and the payload.
///
/// # Errors
/// As [`detached`].
pub fn compact(keys: &Keys, accepted: &[Algorithm], token: &str) -> Result<(Value, Vec<u8>), Refused> {
    let parts: Vec<&str> = token.trim().split('.').collect();
    let [protected, payload, signature] = parts[..] else {
        return Err(Refused::because("the token must have three parts"));
    };
    let header = verify(keys, accepted, protected, payload, signature)?;
    let payload = BASE64.decode(payload).map_err(|_| Refused::because("the payload is not base64url"))?;
    Ok((header, payload))
}

/// Checks a hexadecimal HMAC-SHA-256 of the body as it came, in constant time.
///
/// # Errors
/// It is not hexadecimal, or not the secret's over these bytes.
pub fn hmac_sha256(secret: &[u8], header: &str, body: &[u8]) -> Result<(), Refused> {
    let tag = alloy::primitives::hex::decode(header.trim());
    let tag = tag.map_err(|_| Refused::because("the header must be hexadecimal"))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, body, &tag).map_err(|_| Refused::because("it is not of these bytes"))
}

fn verify(
    keys: &Keys,
    accepted: &[Algorithm],
    protected: &str,
    payload: &str,
    signature: &str,
) -> Result<Value, Refused> {
    let header = header(protected)?;
    // A parameter that must be understood and is not (RFC 7515 §4.1.11).
    if header.get("crit").is_some() {
        return Err(Refused::because("`crit` asks for what is not supported"));
    }
    let named = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    let algorithm = Algorithm::named(named).filter(|algorithm| accepted.contains(algorithm));
    let shown = mask::text(&crate::reject::capped(named, limits::NAME_BYTES_MAX));
    let algorithm = algorithm.ok_or_else(|| Refused::because(format!("algorithm `{shown}` is not accepted")))?;
    let key = keys.find(header.get("kid").and_then(Value::as_str), algorithm);
    let key = key.ok_or_else(|| Refused::because(UNKNOWN_KEY))?;
    let signature = BASE64.decode(signature).map_err(|_| Refused::because("the signature is not base64url"))?;
    let signed = format!("{protected}.{payload}");
    if key.verify(algorithm, signed.as_bytes(), &signature) {
        Ok(header)
    } else {
        Err(Refused::because("it is not of these bytes"))
    }
}

fn header(protected: &str) -> Result<Value, Refused> {
    if protected.len() > limits::JWS_HEADER_BYTES_MAX {
        return Err(Refused::because("the protected header is too long"));
    }
    let bytes = BASE64.decode(protected).map_err(|_| Refused::because("the protected header is not base64url"))?;
    crate::feeds::json::parse(&bytes).map_err(|_| Refused::because("the protected header is no JSON"))
}

#[cfg(test)]
mod tests;
