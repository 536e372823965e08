//! What a bundle holds that was signed: the digest of an artifact, or a statement in an envelope; whether a key signed it, and
//! whether an entry of a log is of that signature. It does not know whom to trust.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use x509_parser::pem::Pem;

use super::key::Key;
use super::log::bytes;
use crate::feeds::table::path;

/// The type of an in-toto statement, the only payload whose subjects are known.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Why an Ed25519 signature over an artifact is not verified.
pub(super) const NEEDS_ARTIFACT: &str = "Ed25519 signs the artifact itself, which is not here";

/// What was signed, with its signature.
pub(super) enum Content {
    /// A signature over an artifact of which the bundle has the digest.
    Digest {
        /// The algorithm's name in a log's entry.
        algorithm: &'static str,
        hash: Vec<u8>,
        signature: Vec<u8>,
    },
    /// A signature over an in-toto statement, in an envelope.
    Statement { payload: Vec<u8>, signature: Vec<u8> },
}

/// What an entry of a log has to name as the signer's.
#[derive(Clone, Copy)]
pub(super) enum Verifier<'a> {
    /// A certificate, in DER.
    Certificate(&'a [u8]),
    /// A public key.
    Key(&'a Key),
}

impl Content {
    /// What a bundle holds.
    pub(super) fn of(bundle: &Value) -> Result<Content, String> {
        match (path::find(bundle, "messageSignature"), path::find(bundle, "dsseEnvelope")) {
            (Some(message), None) => message_signature(message),
            (None, Some(envelope)) => dsse(envelope),
            _ => Err("it has to have either a message's signature or an envelope".to_owned()),
        }
    }

    /// Whether the signature is this key's; `None` where that cannot be told, for Ed25519 over an artifact.
    pub(super) fn is_signed_by(&self, key: &Key) -> Option<bool> {
        match self {
            Content::Digest { hash, signature, .. } => key.verifies_hash(hash, signature),
            Content::Statement { payload, signature } => Some(key.verifies(&pre_authentication(payload), signature)),
        }
    }

    /// What it is in a reason.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Content::Digest { .. } => "digest",
            Content::Statement { .. } => "envelope",
        }
    }

    /// Whether what a log keeps is of this signature by this signer.
    pub(super) fn is_logged(&self, logged: &Value, verifier: Verifier<'_>) -> bool {
        match self {
            Content::Digest { algorithm, hash, signature } => {
                is_kind(logged, "hashedrekord")
                    && text(logged, "spec.data.hash.algorithm") == Some(*algorithm)
                    && is_hash(logged, "spec.data.hash.value", hash)
                    && text(logged, "spec.signature.content").is_some_and(|content| decodes_to(content, signature))
                    && text(logged, "spec.signature.publicKey.content").is_some_and(|content| verifier.is(content))
            }
            Content::Statement { payload, signature } => {
                let signatures = path::find(logged, "spec.signatures").and_then(Value::as_array);
                is_kind(logged, "dsse")
                    && signatures.is_some_and(|all| all.len() == 1)
                    && text(logged, "spec.payloadHash.algorithm") == Some("sha256")
                    && is_hash(logged, "spec.payloadHash.value", digest(&SHA256, payload).as_ref())
                    && text(logged, "spec.signatures.0.signature").is_some_and(|content| decodes_to(content, signature))
                    && text(logged, "spec.signatures.0.verifier").is_some_and(|content| verifier.is(content))
            }
        }
    }
}

impl Verifier<'_> {
    /// Whether base64 of PEM is this certificate or key.
    fn is(self, content: &str) -> bool {
        let Ok(pem) = STANDARD.decode(content) else { return false };
        let Some(Ok(block)) = Pem::iter_from_buffer(&pem).next() else { return false };
        match self {
            Verifier::Certificate(der) => block.label == "CERTIFICATE" && block.contents == der,
            Verifier::Key(key) => block.label == "PUBLIC KEY" && Key::from_der(&block.contents).as_ref() == Some(key),
        }
    }
}

fn message_signature(message: &Value) -> Result<Content, String> {
    let hash = bytes(message, "messageDigest.digest")?;
    let signature = bytes(message, "signature")?;
    let (algorithm, length) = match text(message, "messageDigest.algorithm") {
        Some("SHA2_256") => ("sha256", 32),
        Some("SHA2_384") => ("sha384", 48),
        Some("SHA2_512") => ("sha512", 64),
        _ => return Err("the digest's algorithm is not SHA2_256, SHA2_384 or SHA2_512".to_owned()),
    };
    if hash.len() != length {
        return Err("the digest has not the length of its algorithm".to_owned());
    }
    Ok(Content::Digest { algorithm, hash, signature })
}

fn dsse(envelope: &Value) -> Result<Content, String> {
    let payload = bytes(envelope, "payload")?;
    if text(envelope, "payloadType") != Some(IN_TOTO) {
        return Err(format!("the envelope's payload is not {IN_TOTO}"));
    }
    let signatures = envelope.get("signatures").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [signature] = signatures else { return Err("the envelope has to have one signature".to_owned()) };
    Ok(Content::Statement { payload, signature: bytes(signature, "sig")? })
}

/// What is signed of an envelope: type and payload with their lengths, so that neither can be taken for the other.
fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// The text at a path.
pub(super) fn text<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
    path::find(value, at).and_then(Value::as_str)
}

fn is_kind(logged: &Value, kind: &str) -> bool {
    text(logged, "kind") == Some(kind) && text(logged, "apiVersion") == Some("0.0.1")
}

fn is_hash(logged: &Value, at: &str, hash: &[u8]) -> bool {
    text(logged, at).is_some_and(|value| value == alloy::primitives::hex::encode(hash))
}

fn decodes_to(content: &str, expected: &[u8]) -> bool {
    STANDARD.decode(content).is_ok_and(|decoded| decoded == expected)
}
