//! Fingerprints of what a sender is recognised by: they stand in the log and tell nothing of a secret.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use keywatch_alerting::RefusedBySource;
use sha2::{Digest, Sha256};

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
    let mut bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    Ok(print("file", &bytes))
}
