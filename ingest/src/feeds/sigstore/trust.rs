//! Whom an operator trusts: authorities of certificates, transparency logs, and the identities that may sign for a system.
//!
//! Read from `trusted_root.json` as Sigstore publishes it, or from PEM: certificates of authorities and public keys of
//! logs. It fetches nothing and follows no update of the file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywatch_store::Instant;
use serde_json::Value;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::Key;
use crate::feeds::table::path;
use crate::{Problem, feeds, limits};

/// Seconds since 1970 from which and up to which something is trusted, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    start: i64,
    end: i64,
}

impl Span {
    const ALWAYS: Span = Span { start: i64::MIN, end: i64::MAX };

    pub(super) fn has(self, seconds: i64) -> bool {
        (self.start..=self.end).contains(&seconds)
    }
}

/// A certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) der: Vec<u8>,
    pub(super) span: Span,
}

/// A transparency log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Log {
    pub(super) key: Key,
    pub(super) span: Span,
}

/// Who may sign for a system: both have to be those of the certificate, letter by letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The system whose artifacts it may sign.
    pub system: String,
    /// The certificate's only subject alternative name: a workflow's address, an e-mail address.
    pub subject: String,
    /// Who vouched for it: the issuer of the token that the certificate was given for.
    pub issuer: String,
}

/// What a bundle is verified against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trust {
    pub(super) authorities: Vec<Authority>,
    pub(super) logs: Vec<Log>,
    pub(super) identities: Vec<Identity>,
}

impl Trust {
    /// Reads a trust file, JSON or PEM.
    ///
    /// # Errors
    /// It is neither, holds something that cannot be read, more than [`limits::SIGSTORE_TRUSTED_MAX`] of a kind, or no
    /// authority or log at all.
    pub fn parse(text: &[u8], identities: Vec<Identity>) -> Result<Trust, Problem> {
        let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let (authorities, logs) = if is_json { of_json(text)? } else { of_pem(text)? };
        for (field, count) in [("certificateAuthorities", authorities.len()), ("tlogs", logs.len())] {
            if count == 0 {
                return Err(Problem::new(field, "has nothing that could verify"));
            }
            if count > limits::SIGSTORE_TRUSTED_MAX {
                return Err(Problem::new(field, format!("has {count}, at most {}", limits::SIGSTORE_TRUSTED_MAX)));
            }
        }
        Ok(Trust { authorities, logs, identities })
    }
}

type Parts = (Vec<Authority>, Vec<Log>);

fn of_json(text: &[u8]) -> Result<Parts, Problem> {
    let file = feeds::strict_json(text)?;
    let (mut authorities, mut logs) = (Vec::new(), Vec::new());
    for authority in listed(&file, "certificateAuthorities") {
        let span = span(authority)?;
        let certificates = path::find(authority, "certChain.certificates").and_then(Value::as_array);
        for certificate in certificates.into_iter().flatten() {
            let der = raw(certificate, "rawBytes")?;
            authorities.push(authority_of(der, span)?);
        }
    }
    for log in listed(&file, "tlogs") {
        let der = raw(log, "publicKey.rawBytes")?;
        // A log of a type of key that is not known verifies nothing; the others do.
        if let Some(key) = Key::from_der(&der) {
            let span = path::find(log, "publicKey").map_or(Ok(Span::ALWAYS), span)?;
            logs.push(Log { key, span });
        }
    }
    Ok((authorities, logs))
}

fn of_pem(text: &[u8]) -> Result<Parts, Problem> {
    let (mut authorities, mut logs) = (Vec::new(), Vec::new());
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|error| Problem::new("trust file", format!("is no PEM: {error}")))?;
        match block.label.as_str() {
            "CERTIFICATE" => authorities.push(authority_of(block.contents, Span::ALWAYS)?),
            "PUBLIC KEY" => {
                let key = Key::from_der(&block.contents);
                let key =
                    key.ok_or_else(|| Problem::new("trust file", "has a key that is not P-256, P-384 or Ed25519"))?;
                logs.push(Log { key, span: Span::ALWAYS });
            }
            _ => {
                return Err(Problem::new("trust file", "must hold only CERTIFICATE and PUBLIC KEY"));
            }
        }
    }
    Ok((authorities, logs))
}

fn authority_of(der: Vec<u8>, span: Span) -> Result<Authority, Problem> {
    let is_certificate = X509Certificate::from_der(&der).is_ok_and(|(rest, _)| rest.is_empty());
    if is_certificate {
        Ok(Authority { der, span })
    } else {
        Err(Problem::new("trust file", "has a broken certificate"))
    }
}

fn listed<'a>(file: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    file.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn raw(value: &Value, at: &str) -> Result<Vec<u8>, Problem> {
    let text = path::find(value, at).and_then(Value::as_str).ok_or_else(|| Problem::new(at, "is missing"))?;
    STANDARD.decode(text).map_err(|_| Problem::new(at, "is not base64"))
}

fn span(value: &Value) -> Result<Span, Problem> {
    let at = |name: &str, default: i64| match path::find(value, name).map(Value::as_str) {
        None => Ok(default),
        Some(text) => {
            let instant = text.unwrap_or_default().parse::<Instant>();
            instant.map(Instant::unix_seconds).map_err(|reason| Problem::new(name, reason))
        }
    };
    Ok(Span { start: at("validFor.start", i64::MIN)?, end: at("validFor.end", i64::MAX)? })
}
