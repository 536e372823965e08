//! The certificate of a signer: whether it leads to an authority that is trusted, and whom it names.
//!
//! Paths as in RFC 5280 §6, as far as Fulcio's go: signatures, names, validity, basic constraints and their path length,
//! usages. An extension that is critical and not known refuses the certificate; so do constraints of names and policies,
//! which are not evaluated. It does not check for revocation, which Sigstore replaces by ten minutes of validity, nor the
//! timestamps of certificate transparency.

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

use super::key::Key;
use super::trust::Trust;

/// Certificates between a signer's and a root.
const BETWEEN_MAX: usize = 4;

/// The issuer of the token that Fulcio took, as UTF-8 in DER, and the older form without.
const ISSUER: &str = "1.3.6.1.4.1.57264.1.8";
const ISSUER_PLAIN: &str = "1.3.6.1.4.1.57264.1.1";
/// A user name in a subject alternative name.
const OTHER_NAME: &str = "1.3.6.1.4.1.57264.1.7";

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signer {
    pub(super) key: Key,
    pub(super) subject: String,
    pub(super) issuer: String,
}

/// The signer of a certificate that leads to a trusted root, at a time.
pub(super) fn signer(leaf: &[u8], between: &[Vec<u8>], trust: &Trust, at: i64) -> Result<Signer, String> {
    let leaf = parsed(leaf)?;
    if !valid_at(&leaf, at) {
        return Err("the certificate was not valid when the log took the entry".to_owned());
    }
    known(&leaf)?;
    if leaf.is_ca() {
        return Err("the certificate is an authority's".to_owned());
    }
    let usage = leaf.key_usage().ok().flatten();
    let purpose = leaf.extended_key_usage().ok().flatten();
    if !usage.is_some_and(|usage| usage.value.digital_signature())
        || !purpose.is_some_and(|purpose| purpose.value.code_signing)
    {
        return Err("the certificate is not for signing code".to_owned());
    }
    leads_to_root(&leaf, between, trust, at)?;
    let key = Key::of(leaf.public_key()).ok_or("the certificate's key is not P-256, P-384 or Ed25519")?;
    Ok(Signer { key, subject: subject(&leaf)?, issuer: issuer(&leaf)? })
}

fn leads_to_root(leaf: &X509Certificate<'_>, between: &[Vec<u8>], trust: &Trust, at: i64) -> Result<(), String> {
    let trusted = trust.authorities.iter().filter(|authority| authority.span.has(at));
    let trusted: Vec<X509Certificate<'_>> =
        trusted.map(|authority| parsed(&authority.der)).collect::<Result<_, _>>()?;
    let between: Vec<X509Certificate<'_>> =
        between.iter().take(BETWEEN_MAX).map(|der| parsed(der)).collect::<Result<_, _>>()?;
    let mut child = leaf;
    for below in 0..=BETWEEN_MAX {
        let root = trusted.iter().find(|parent| is_root(parent) && issued(parent, child, below, at));
        if root.is_some() {
            return Ok(());
        }
        let mut parents = trusted.iter().chain(&between);
        let parent = parents.find(|parent| !is_root(parent) && issued(parent, child, below, at));
        child = parent.ok_or("the certificate leads to no root that is trusted for that time")?;
    }
    Err("the certificate's chain is too long".to_owned())
}

/// Whether it names itself as its issuer.
fn is_root(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Whether `parent` is an authority that issued `child`, which has `below` authorities below `parent` and above the signer.
fn issued(parent: &X509Certificate<'_>, child: &X509Certificate<'_>, below: usize, at: i64) -> bool {
    let constraints = parent.basic_constraints().ok().flatten();
    let may = constraints.is_some_and(|constraints| {
        let length = constraints.value.path_len_constraint;
        constraints.value.ca && length.is_none_or(|length| usize::try_from(length).is_ok_and(|max| below <= max))
    });
    let usage = parent.key_usage().ok().flatten();
    may && usage.is_some_and(|usage| usage.value.key_cert_sign())
        && parent.subject().as_raw() == child.issuer().as_raw()
        && valid_at(parent, at)
        && known(parent).is_ok()
        && child.verify_signature(Some(parent.public_key())).is_ok()
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err("a certificate cannot be read".to_owned()),
    }
}

fn valid_at(certificate: &X509Certificate<'_>, at: i64) -> bool {
    ASN1Time::from_timestamp(at).is_ok_and(|at| certificate.validity().is_valid_at(at))
}

/// That every critical extension is one that is looked at, and none is there twice.
fn known(certificate: &X509Certificate<'_>) -> Result<(), String> {
    let looked_at = |extension: &ParsedExtension<'_>| {
        matches!(
            extension,
            ParsedExtension::KeyUsage(_)
                | ParsedExtension::ExtendedKeyUsage(_)
                | ParsedExtension::BasicConstraints(_)
                | ParsedExtension::SubjectAlternativeName(_)
        )
    };
    let mut critical = certificate.extensions().iter().filter(|extension| extension.critical);
    if critical.any(|extension| !looked_at(extension.parsed_extension())) || certificate.extensions_map().is_err() {
        return Err("the certificate has a critical extension that is not known, or one twice".to_owned());
    }
    Ok(())
}

/// The only name of the certificate.
fn subject(leaf: &X509Certificate<'_>) -> Result<String, String> {
    let names = leaf.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let [name] = names else { return Err(format!("the certificate has {} names, not one", names.len())) };
    match name {
        GeneralName::URI(name) | GeneralName::RFC822Name(name) => Ok((*name).to_owned()),
        // The value stands in a tag of its own, [0], around a UTF8String.
        GeneralName::OtherName(oid, value) if oid.to_id_string() == OTHER_NAME => {
            let inner = contents(0xa0, value).and_then(|value| contents(0x0c, value));
            inner.and_then(text).ok_or_else(|| "the certificate's name cannot be read".to_owned())
        }
        _ => Err("the certificate's name is neither an address nor a user's".to_owned()),
    }
}

fn issuer(leaf: &X509Certificate<'_>) -> Result<String, String> {
    let value = |oid: &str| {
        let found = leaf.extensions().iter().find(|extension| extension.oid.to_id_string() == oid);
        found.map(|extension| extension.value)
    };
    let newer = value(ISSUER).map(|value| contents(0x0c, value));
    let issuer = newer.unwrap_or_else(|| value(ISSUER_PLAIN));
    issuer.and_then(text).ok_or_else(|| "the certificate does not say who vouched for its name".to_owned())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// The contents of a DER value of one tag that fills the bytes, of fewer than 64 KiB.
fn contents(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => ((usize::from(*rest.first()?) << 8) | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    (*first == tag && rest.len() == length).then_some(rest)
}
