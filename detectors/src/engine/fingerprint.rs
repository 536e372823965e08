//! What a rule's memory is known by in a snapshot. It knows nothing of what the memory holds.

use sha2::{Digest, Sha256};

/// What a snapshot is: another format has another name.
pub(super) const FORMAT: &str = "keywatch window state 6";

/// Known by SQL, parameters, plan and format.
pub(super) fn of(rule: &str, sql: &str, plan: &str) -> String {
    let mut hasher = Sha256::new();
    for part in [FORMAT, env!("CARGO_PKG_VERSION"), rule, sql, plan] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}
