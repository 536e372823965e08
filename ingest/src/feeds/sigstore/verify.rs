//! A bundle of Sigstore, verified: who signed which digest, and when, by whom an operator trusts.
//!
//! With a certificate the log's entry gives the time (`log.rs`), at which the certificate has to lead to a trusted root and name
//! an expected identity (`certificate.rs`). With a key of the signer's own the key has to be a trusted one, and the bundle may
//! come without an entry. Either way the key has to have signed what the bundle holds, and an entry has to be of that
//! signature (`content.rs`). It does not know the artifact: whoever calls compares the digest that was signed with it. A bundle
//! with a certificate whose only time is an RFC 3161 timestamp is not verified, nor an entry of a log that promises nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::certificate;
use super::content::{Content, NEEDS_ARTIFACT, Verifier, text};
use super::key::Key;
use super::log::{self, bytes};
use super::trust::{Trust, TrustedKey};
use crate::feeds::table::path;
use crate::reject::capped;
use crate::{feeds, limits};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verified {
    pub(super) signer: Signer,
    /// Seconds since 1970 when the log took the signature; nothing where no log has it.
    pub(super) at: Option<i64>,
}

/// Who signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// Whom the certificate names, and who vouched for it.
    Identity { subject: String, issuer: String },
    /// The name of a trusted key.
    Key(String),
}

/// Verifies a bundle for a system, and for the repository that the artifact is said to be of.
pub(super) fn bundle(
    bundle: &Value,
    trust: &Trust,
    system: &str,
    repository: Option<&str>,
) -> Result<Verified, String> {
    let material = path::find(bundle, "verificationMaterial").ok_or("there is no verification material")?;
    let certificates = certificates(material)?;
    if let Some((leaf, between)) = certificates.split_first() {
        return by_certificate(bundle, material, leaf, between, trust, system);
    }
    if path::find(material, "publicKey").is_none() {
        return Err("it has neither a certificate nor a key".to_owned());
    }
    let content = Content::of(bundle)?;
    let trusted = signing_key(&content, text(material, "publicKey.hint"), trust, system, repository)?;
    let at = logged_at(bundle, material, &content, &trusted.key, trust)?;
    Ok(Verified { signer: Signer::Key(trusted.name.clone()), at })
}

fn by_certificate(
    bundle: &Value,
    material: &Value,
    leaf: &[u8],
    between: &[Vec<u8>],
    trust: &Trust,
    system: &str,
) -> Result<Verified, String> {
    let entry = path::find(material, "tlogEntries.0").ok_or("there is no entry of a log")?;
    has_verifiable_time(material, entry)?;
    let entry = log::entry(entry, trust, !is_first_version(bundle))?;
    let certificate::Signer { key, subject, issuer } = certificate::signer(leaf, between, trust, entry.at)?;
    let expected = trust
        .identities
        .iter()
        .any(|identity| identity.system == system && identity.subject == subject && identity.issuer == issuer);
    if !expected {
        return Err(format!("{subject}, vouched for by {issuer}, is not expected to sign here"));
    }
    let content = Content::of(bundle)?;
    match content.is_signed_by(&key) {
        Some(true) => {}
        Some(false) => return Err(format!("the signature is not of this {} by the certificate's key", content.name())),
        None => return Err(NEEDS_ARTIFACT.to_owned()),
    }
    is_of_signature(&entry, &content, Verifier::Certificate(leaf))?;
    Ok(Verified { signer: Signer::Identity { subject, issuer }, at: Some(entry.at) })
}

/// The trusted key that signed, if it may sign for this system and repository. The bundle's hint is nobody's word, and
/// serves only to say which key did not sign.
fn signing_key<'a>(
    content: &Content,
    hint: Option<&str>,
    trust: &'a Trust,
    system: &str,
    repository: Option<&str>,
) -> Result<&'a TrustedKey, String> {
    let signed = |trusted: &&TrustedKey| content.is_signed_by(&trusted.key) == Some(true);
    let mut expected = trust.keys.iter().filter(|trusted| trusted.may_sign(system, repository));
    if let Some(trusted) = expected.find(signed) {
        return Ok(trusted);
    }
    if let Some(trusted) = trust.keys.iter().find(signed) {
        return Err(format!("key:{} is not expected to sign here", trusted.name));
    }
    let is_hinted = |trusted: &&TrustedKey| hint == Some(STANDARD.encode(&trusted.key.id).as_str());
    match trust.keys.iter().find(is_hinted) {
        Some(trusted) if content.is_signed_by(&trusted.key).is_none() => Err(NEEDS_ARTIFACT.to_owned()),
        Some(trusted) => Err(format!("the signature is not of this {} by key:{}", content.name(), trusted.name)),
        None => Err(format!("the signature is not of this {} by any key that is trusted", content.name())),
    }
}

/// When a log first took the signature of a key. A bundle may have no entry; of those that it has, none may be wrong.
fn logged_at(
    bundle: &Value,
    material: &Value,
    content: &Content,
    key: &Key,
    trust: &Trust,
) -> Result<Option<i64>, String> {
    let entries = match material.get("tlogEntries") {
        None | Some(Value::Null) => return Ok(None),
        Some(entries) => entries.as_array().ok_or("tlogEntries is no list")?,
    };
    if entries.len() > limits::SIGNATURES_MAX {
        return Err(format!("it has {} entries of logs, at most {}", entries.len(), limits::SIGNATURES_MAX));
    }
    let mut first = None;
    for entry in entries {
        has_verifiable_time(material, entry)?;
        let entry = log::entry(entry, trust, !is_first_version(bundle))?;
        is_of_signature(&entry, content, Verifier::Key(key))?;
        first = Some(first.map_or(entry.at, |first: i64| first.min(entry.at)));
    }
    Ok(first)
}

fn is_of_signature(entry: &log::Entry, content: &Content, verifier: Verifier<'_>) -> Result<(), String> {
    let logged = feeds::strict_json(&entry.body).map_err(|_| "the log's entry is no JSON")?;
    if content.is_logged(&logged, verifier) {
        Ok(())
    } else {
        Err("the log's entry is of another signature".to_owned())
    }
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
