//! A bundle of Sigstore, verified: who signed which digest, and when, by whom an operator trusts.
//!
//! The log's entry gives the time (`log.rs`), at which the certificate has to lead to a trusted root and name an expected
//! identity (`certificate.rs`); its key has to have signed what the bundle holds, and the entry has to be of that signature.
//! It does not know the artifact: whoever calls compares the digest that was signed with it. A bundle that was signed with a
//! key of the signer's own, without a certificate, is not verified, nor one whose only time is an RFC 3161 timestamp.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use x509_parser::pem::Pem;

use super::certificate::{self, Signer};
use super::log::{self, bytes};
use super::trust::Trust;
use crate::feeds::table::path;
use crate::reject::capped;
use crate::{feeds, limits};

/// The type of an in-toto statement, the only payload whose subjects are known.
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) subject: String,
    pub(super) issuer: String,
    /// Seconds since 1970 when the log took the signature.
    pub(super) at: i64,
}

/// Verifies a bundle for a system.
pub(super) fn bundle(bundle: &Value, trust: &Trust, system: &str) -> Result<Verified, String> {
    let material = path::find(bundle, "verificationMaterial").ok_or("there is no verification material")?;
    let mut certificates = certificates(material)?.into_iter();
    let Some(leaf) = certificates.next() else {
        return Err("it was signed with a key and not with a certificate".to_owned());
    };
    let between: Vec<Vec<u8>> = certificates.collect();
    let entry = path::find(material, "tlogEntries.0").ok_or("there is no entry of a log")?;
    has_verifiable_time(material, entry)?;
    let entry = log::entry(entry, trust, !is_first_version(bundle))?;
    let signer = certificate::signer(&leaf, &between, trust, entry.at)?;
    let expected = trust.identities.iter().any(|identity| {
        identity.system == system && identity.subject == signer.subject && identity.issuer == signer.issuer
    });
    if !expected {
        return Err(format!("{}, vouched for by {}, is not expected to sign here", signer.subject, signer.issuer));
    }
    let logged = feeds::strict_json(&entry.body).map_err(|_| "the log's entry is no JSON")?;
    match (path::find(bundle, "messageSignature"), path::find(bundle, "dsseEnvelope")) {
        (Some(message), None) => message_signature(message, &signer, &logged, &leaf)?,
        (None, Some(envelope)) => dsse(envelope, &signer, &logged, &leaf)?,
        _ => return Err("it has to have either a message's signature or an envelope".to_owned()),
    }
    Ok(Verified { subject: signer.subject, issuer: signer.issuer, at: entry.at })
}

/// Names what is not verified here, where the only time of the bundle is a timestamp of RFC 3161: so are those of tile-based logs
/// (the second version of Rekor), which promise nothing.
fn has_verifiable_time(material: &Value, entry: &Value) -> Result<(), String> {
    if path::find(entry, "inclusionPromise.signedEntryTimestamp").is_some() {
        return Ok(());
    }
    let stamps = path::find(material, "timestampVerificationData.rfc3161Timestamps").and_then(Value::as_array);
    if stamps.is_none_or(Vec::is_empty) {
        return Ok(());
    }
    let part = |name: &str| capped(text(entry, name).unwrap_or("?"), limits::NAME_BYTES_MAX);
    Err(format!(
        "its only time is a timestamp of RFC 3161, which is not supported: the promise of a log of Rekor's first version is needed, \
         and its entry is {} {}",
        part("kindVersion.kind"),
        part("kindVersion.version")
    ))
}

fn is_first_version(bundle: &Value) -> bool {
    let media_type = bundle.get("mediaType").and_then(Value::as_str).unwrap_or_default();
    media_type == "application/vnd.dev.sigstore.bundle+json;version=0.1"
}

/// The signer's certificate and those above it.
fn certificates(material: &Value) -> Result<Vec<Vec<u8>>, String> {
    if let Some(certificate) = path::find(material, "certificate") {
        return Ok(vec![bytes(certificate, "rawBytes")?]);
    }
    let chain = path::find(material, "x509CertificateChain.certificates").and_then(Value::as_array);
    chain.into_iter().flatten().take(8).map(|certificate| bytes(certificate, "rawBytes")).collect()
}

/// A signature over an artifact of which the bundle has the digest.
fn message_signature(message: &Value, signer: &Signer, logged: &Value, leaf: &[u8]) -> Result<(), String> {
    let hash = bytes(message, "messageDigest.digest")?;
    let signature = bytes(message, "signature")?;
    let algorithm = path::find(message, "messageDigest.algorithm").and_then(Value::as_str);
    let (name, length) = match algorithm {
        Some("SHA2_256") => ("sha256", 32),
        Some("SHA2_384") => ("sha384", 48),
        Some("SHA2_512") => ("sha512", 64),
        _ => return Err("the digest's algorithm is not SHA2_256, SHA2_384 or SHA2_512".to_owned()),
    };
    if hash.len() != length {
        return Err("the digest has not the length of its algorithm".to_owned());
    }
    match signer.key.verifies_hash(&hash, &signature) {
        Some(true) => {}
        Some(false) => return Err("the signature is not of this digest by the certificate's key".to_owned()),
        None => return Err("Ed25519 signs the artifact itself, which is not here".to_owned()),
    }
    let same = is_kind(logged, "hashedrekord")
        && text(logged, "spec.data.hash.algorithm") == Some(name)
        && is_hash(logged, "spec.data.hash.value", &hash)
        && text(logged, "spec.signature.content").is_some_and(|content| decodes_to(content, &signature))
        && text(logged, "spec.signature.publicKey.content").is_some_and(|content| is_certificate(content, leaf));
    if same { Ok(()) } else { Err("the log's entry is of another signature".to_owned()) }
}

/// A signature over a statement, in an envelope.
fn dsse(envelope: &Value, signer: &Signer, logged: &Value, leaf: &[u8]) -> Result<(), String> {
    let payload = bytes(envelope, "payload")?;
    let payload_type = text(envelope, "payloadType").unwrap_or_default();
    if payload_type != IN_TOTO {
        return Err(format!("the envelope's payload is not {IN_TOTO}"));
    }
    let signatures = envelope.get("signatures").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [signature] = signatures else { return Err("the envelope has to have one signature".to_owned()) };
    let signature = bytes(signature, "sig")?;
    if !signer.key.verifies(&pre_authentication(payload_type, &payload), &signature) {
        return Err("the signature is not of this envelope by the certificate's key".to_owned());
    }
    let one = path::find(logged, "spec.signatures").and_then(Value::as_array).is_some_and(|all| all.len() == 1);
    let same = is_kind(logged, "dsse")
        && one
        && text(logged, "spec.payloadHash.algorithm") == Some("sha256")
        && is_hash(logged, "spec.payloadHash.value", digest(&SHA256, &payload).as_ref())
        && text(logged, "spec.signatures.0.signature").is_some_and(|content| decodes_to(content, &signature))
        && text(logged, "spec.signatures.0.verifier").is_some_and(|content| is_certificate(content, leaf));
    if same { Ok(()) } else { Err("the log's entry is of another signature".to_owned()) }
}

/// What is signed of an envelope: type and payload with their lengths, so that neither can be taken for the other.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

fn text<'a>(value: &'a Value, at: &str) -> Option<&'a str> {
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

/// Whether base64 of PEM is this certificate.
fn is_certificate(content: &str, leaf: &[u8]) -> bool {
    let Ok(pem) = STANDARD.decode(content) else { return false };
    let first = Pem::iter_from_buffer(&pem).next();
    first.and_then(Result::ok).is_some_and(|block| block.label == "CERTIFICATE" && block.contents == leaf)
}
