//! Whom an operator trusts: authorities of certificates, transparency logs, and the identities and keys that may sign for a
//! system.
//!
//! Authorities and logs are read from `trusted_root.json` as Sigstore publishes it, or from PEM: certificates of authorities and
//! public keys of logs. A signer's key is PEM of its own. It fetches nothing and follows no update of a file.

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

/// A public key of a signer's own, without a certificate, and what it may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    pub(super) name: String,
    pub(super) key: Key,
    system: String,
    repository: Option<String>,
}

impl TrustedKey {
    /// Reads a key that may sign the artifacts of a system, or of one repository of it: PEM with one `PUBLIC KEY`, as
    /// `cosign public-key` writes it.
    ///
    /// # Errors
    /// It is not PEM, not one public key, or one that is not P-256, P-384 or Ed25519.
    pub fn parse(pem: &[u8], name: &str, system: &str, repository: Option<&str>) -> Result<TrustedKey, Problem> {
        let blocks = Pem::iter_from_buffer(pem)
            .collect::<Result<Vec<Pem>, _>>()
            .map_err(|error| Problem::new("key file", format!("is no PEM: {error}")))?;
        let [block] = blocks.as_slice() else {
            return Err(Problem::new("key file", format!("must hold one PUBLIC KEY, and has {} blocks", blocks.len())));
        };
        if block.label != "PUBLIC KEY" {
            return Err(Problem::new("key file", "must hold a PUBLIC KEY and nothing else"));
        }
        let key = Key::from_der(&block.contents);
        let key = key.ok_or_else(|| Problem::new("key file", "has a key that is not P-256, P-384 or Ed25519"))?;
        Ok(TrustedKey {
            name: name.to_owned(),
            key,
            system: system.to_owned(),
            repository: repository.map(str::to_owned),
        })
    }

    /// Whether it may sign for a system what is said to be of a repository; both are compared letter by letter.
    pub(super) fn may_sign(&self, system: &str, repository: Option<&str>) -> bool {
        self.system == system && (self.repository.is_none() || self.repository.as_deref() == repository)
    }
}

/// What a bundle is verified against. Without anything nothing verifies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    pub(super) authorities: Vec<Authority>,
    pub(super) logs: Vec<Log>,
    pub(super) identities: Vec<Identity>,
    pub(super) keys: Vec<TrustedKey>,
}

impl Trust {
    /// Trusts these keys too.
    #[must_use]
    pub fn with_keys(self, keys: Vec<TrustedKey>) -> Trust {
        Trust { keys, ..self }
    }

    /// Reads a trust file for its logs alone, where no identity is expected and no authority needed.
    ///
    /// # Errors
    /// As those of [`Trust::parse`], but that there may be no authority.
    pub fn of_logs(text: &[u8]) -> Result<Trust, Problem> {
        let (_, logs) = read(text)?;
        within("tlogs", logs.len())?;
        Ok(Trust { logs, ..Trust::default() })
    }

    /// Reads a trust file, JSON or PEM.
    ///
    /// # Errors
    /// It is neither, holds something that cannot be read, more than [`limits::SIGSTORE_TRUSTED_MAX`] of a kind, or no
    /// authority or log at all.
    pub fn parse(text: &[u8], identities: Vec<Identity>) -> Result<Trust, Problem> {
        let (authorities, logs) = read(text)?;
        within("certificateAuthorities", authorities.len())?;
        within("tlogs", logs.len())?;
        Ok(Trust { authorities, logs, identities, keys: Vec::new() })
    }
}

type Parts = (Vec<Authority>, Vec<Log>);

fn read(text: &[u8]) -> Result<Parts, Problem> {
    let is_json = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    if is_json { of_json(text) } else { of_pem(text) }
}

fn within(field: &str, count: usize) -> Result<(), Problem> {
    if count == 0 {
        return Err(Problem::new(field, "has nothing that could verify"));
    }
    if count > limits::SIGSTORE_TRUSTED_MAX {
        return Err(Problem::new(field, format!("has {count}, at most {}", limits::SIGSTORE_TRUSTED_MAX)));
    }
    Ok(())
}

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
