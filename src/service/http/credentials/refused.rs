//! Credentials that are configured and taken no more, since somebody declared them stolen. They are known by fingerprints,
//! which stand in the log and tell nothing of a secret. Who declares what is decided elsewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Current;
use crate::limits::API_WAIT_SECONDS_MAX;

/// Fingerprints of what is refused.
pub(crate) type Refused = Arc<BTreeSet<String>>;

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

/// The front door, as far as operators change it.
pub(crate) struct Refusing {
    sender: watch::Sender<Refused>,
    credentials: Current,
}

impl Refusing {
    /// Over the credentials that look at what `sender` says.
    pub(crate) fn new(sender: watch::Sender<Refused>, credentials: Current) -> Refusing {
        Refusing { sender, credentials }
    }

    /// Where nobody sends.
    pub(crate) fn nobody() -> Refusing {
        Refusing::new(watch::channel(Refused::default()).0, watch::channel(Arc::default()).1)
    }

    /// Fingerprints of all that a source is recognised by now, as far as it is not refused.
    pub(crate) fn prints(&self, system: &str, source: &str) -> BTreeSet<String> {
        self.credentials.borrow().prints(system, source)
    }

    /// Refuses these and no others, and returns once the front door does; `false` where it has not within a while.
    pub(crate) async fn refuse(&self, refused: BTreeSet<String>) -> bool {
        let wanted = Refused::new(refused);
        self.sender.send_replace(Arc::clone(&wanted));
        let mut credentials = self.credentials.clone();
        let taken = credentials.wait_for(|now| now.refuses(&wanted));
        // Where nobody is let in, nobody has to be refused.
        timeout(Duration::from_secs(API_WAIT_SECONDS_MAX), taken).await.is_ok()
    }
}
