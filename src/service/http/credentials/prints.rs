//! Fingerprints of what a sender is recognised by: they stand in the log and tell nothing of a secret.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keywatch_alerting::RefusedBySource;
use sha2::{Digest, Sha256};

/// What stands before the base64 of a secret that both sides know, and of a private key.
const PREFIXES: [&str; 2] = ["whsec_", "whsk_"];

/// Fingerprints of what is refused, by system and source.
pub(crate) type Refused = Arc<RefusedBySource>;

/// The fingerprint of something that a sender is recognised by.
pub(super) fn print(kind: &str, bytes: &[u8]) -> String {
    let mut digest = Sha256::new();
    for part in [&b"keywatch credential "[..], kind.as_bytes(), b"\0", bytes] {
        digest.update(part);
    }
    hex::encode(&digest.finalize()[..16])
}

/// The fingerprint of a file with a secret or keys, however it is laid out.
pub(super) fn print_of_file(file: &Path) -> anyhow::Result<String> {
    Ok(print("file", &without_spaces(file)?))
}

/// Fingerprints of a file's secret in every form in which it may be written: with and without the prefix of Standard Webhooks, in
/// base64 and decoded. Whoever knows a secret in one of them knows it in all; two files that have one in common hold the same.
/// They are for comparing here, and stand nowhere.
pub(super) fn prints_of_secret(file: &Path) -> anyhow::Result<BTreeSet<String>> {
    let bytes = without_spaces(file)?;
    let text = PREFIXES.iter().find_map(|prefix| bytes.strip_prefix(prefix.as_bytes())).unwrap_or(&bytes);
    let decoded = STANDARD.decode(text).ok();
    Ok([Some(text), decoded.as_deref()].into_iter().flatten().map(|form| print("secret", form)).collect())
}

fn without_spaces(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    Ok(bytes)
}
