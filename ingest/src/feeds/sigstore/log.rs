//! An entry of a transparency log: that the log promised it, when, and that it stands in the log's tree.
//!
//! The promise is Rekor's signed entry timestamp over body, time, log and index; the tree is RFC 6962 §2.1 with SHA-256; the
//! tree's root is signed in a checkpoint, a signed note. It asks no log, and does not compare one tree with a later one.

use alloy::primitives::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::key::Key;
use super::trust::Trust;
use crate::feeds::table::path;

/// Hashes from a leaf to the root: a tree of 2⁶⁴ entries has no more.
const HASHES_MAX: usize = 64;

/// An entry that a trusted log took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What the log keeps, as JSON text.
    pub(super) body: Vec<u8>,
    /// Seconds since 1970 when the log took it.
    pub(super) at: i64,
}

/// Checks an entry. Before version 0.2 of bundles a log's promise was enough; from then on the proof is needed too.
pub(super) fn entry(entry: &Value, trust: &Trust, needs_proof: bool) -> Result<Entry, String> {
    let body = bytes(entry, "canonicalizedBody")?;
    let log_id = bytes(entry, "logId.keyId")?;
    let at = integer(entry, "integratedTime")?;
    let seconds = i64::try_from(at).map_err(|_| "integratedTime is out of range")?;
    let mut logs = trust.logs.iter().filter(|log| log.span.has(seconds));
    let log = logs.find(|log| log.key.id == log_id).ok_or("the log is not one that is trusted for that time")?;
    let Some(promise) = path::find(entry, "inclusionPromise.signedEntryTimestamp") else {
        return Err("the log did not promise the entry, so its time is not proved".to_owned());
    };
    let promise = base64(promise, "inclusionPromise.signedEntryTimestamp")?;
    // As the log signs it: names in order, no spaces (RFC 8785).
    let promised = format!(
        r#"{{"body":"{}","integratedTime":{at},"logID":"{}","logIndex":{}}}"#,
        STANDARD.encode(&body),
        hex::encode(&log_id),
        integer(entry, "logIndex")?,
    );
    if !log.key.verifies(promised.as_bytes(), &promise) {
        return Err("the log's promise is not of this entry and time".to_owned());
    }
    match path::find(entry, "inclusionProof") {
        Some(proof) => included(proof, &body, &log.key, needs_proof)?,
        None if needs_proof => return Err("the proof that the entry is in the log is missing".to_owned()),
        None => {}
    }
    Ok(Entry { body, at: seconds })
}

/// That the audit path leads from the entry to the root, and the log signed the root.
fn included(proof: &Value, body: &[u8], key: &Key, needs_checkpoint: bool) -> Result<(), String> {
    let root = bytes(proof, "rootHash")?;
    let (index, size) = (integer(proof, "logIndex")?, integer(proof, "treeSize")?);
    let hashes = proof.get("hashes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if hashes.len() > HASHES_MAX {
        return Err("the inclusion proof is too long".to_owned());
    }
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| base64(hash, "hashes")).collect::<Result<_, _>>()?;
    let leaf = sha256(&[&[0], body]);
    if root_of(leaf, index, size, &hashes).is_none_or(|computed| computed != root) {
        return Err("the inclusion proof does not lead to its root".to_owned());
    }
    match path::find(proof, "checkpoint.envelope").and_then(Value::as_str) {
        Some(checkpoint) => signed_root(checkpoint, size, &root, key),
        None if needs_checkpoint => Err("the checkpoint of the inclusion proof is missing".to_owned()),
        None => Ok(()),
    }
}

/// The root to which an audit path leads (RFC 9162 §2.1.3.2); `None` where it is too long or too short.
pub(super) fn root_of(leaf: Vec<u8>, index: u64, size: u64, path: &[Vec<u8>]) -> Option<Vec<u8>> {
    if index >= size {
        return None;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if node & 1 == 1 || node == last {
            hash = sha256(&[&[1], sibling, &hash]);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = sha256(&[&[1], &hash, sibling]);
        }
        node >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

/// That a signed note says this size and root, and one of its signatures is the log's.
fn signed_root(checkpoint: &str, size: u64, root: &[u8], key: &Key) -> Result<(), String> {
    let (text, signatures) =
        checkpoint.split_once("\n\n").ok_or("the checkpoint has no signatures after an empty line")?;
    let mut lines = text.lines().skip(1);
    let says = (lines.next().and_then(|line| line.parse::<u64>().ok()), lines.next());
    if says != (Some(size), Some(STANDARD.encode(root).as_str())) {
        return Err("the checkpoint is of another tree than the inclusion proof".to_owned());
    }
    let signed = format!("{text}\n");
    let is_by_key = |line: &str| {
        let (_, signature) = line.strip_prefix("— ")?.split_once(' ')?;
        let signature = STANDARD.decode(signature).ok()?;
        let (hint, signature) = signature.split_at_checked(4)?;
        Some(key.id.starts_with(hint) && key.verifies(signed.as_bytes(), signature))
    };
    if signatures.lines().take(HASHES_MAX).any(|line| is_by_key(line) == Some(true)) {
        return Ok(());
    }
    Err("the checkpoint is not signed by the log".to_owned())
}

pub(super) fn sha256(parts: &[&[u8]]) -> Vec<u8> {
    digest(&SHA256, &parts.concat()).as_ref().to_vec()
}

/// The bytes at a path.
pub(super) fn bytes(value: &Value, at: &str) -> Result<Vec<u8>, String> {
    base64(path::find(value, at).ok_or_else(|| format!("{at} is missing"))?, at)
}

fn base64(value: &Value, at: &str) -> Result<Vec<u8>, String> {
    let text = value.as_str().ok_or_else(|| format!("{at} is no text"))?;
    STANDARD.decode(text).map_err(|_| format!("{at} is not base64"))
}

/// A 64-bit integer, which protobuf writes as text and reads from numbers too.
fn integer(value: &Value, at: &str) -> Result<u64, String> {
    let found = path::find(value, at);
    let number = found.and_then(|found| found.as_u64().or_else(|| found.as_str()?.parse().ok()));
    number.ok_or_else(|| format!("{at} is missing or no whole number"))
}
