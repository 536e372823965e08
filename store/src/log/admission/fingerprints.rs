//! What was said under an id: how it is told from other content, and how long it is remembered.

use std::hash::{BuildHasher, Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::event::TextColumn;
use crate::limits::REPEAT_HORIZON_NS;
use crate::{Event, Instant, line};

/// First 16 bytes of SHA-256 over what an event says, log time and lateness left out.
pub type Fingerprint = [u8; 16];

/// A hash of what an event says that is keyed anew in each process: as good as a [`fingerprint`] for telling a repeat from a
/// conflict while the process lasts, at a tenth of the time. A log, whose fingerprints last, has no use for it.
#[derive(Clone, Debug, Default)]
pub struct ContentHash(hashbrown::DefaultHashBuilder);

impl ContentHash {
    /// The hash of an event, log time and lateness left out.
    #[must_use]
    pub fn of(&self, event: &Event) -> Fingerprint {
        let mut hasher = self.0.build_hasher();
        (event.event_id(), event.event_time(), event.asn(), event.amount_usd_cents()).hash(&mut hasher);
        event.amount().hash(&mut hasher);
        TextColumn::ALL.iter().for_each(|column| event.text(*column).hash(&mut hasher));
        event.detail().as_str().hash(&mut hasher);
        u128::from(hasher.finish()).to_be_bytes()
    }
}

/// Stands for the name of a system: the first 8 bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemKey(pub u64);

impl SystemKey {
    /// That of a name.
    #[must_use]
    pub fn of(system: &str) -> SystemKey {
        let digest: [u8; 32] = Sha256::digest(system.as_bytes()).into();
        let (first, _) = digest.split_first_chunk().expect("a digest has more than 8 bytes");
        SystemKey(u64::from_be_bytes(*first))
    }
}

/// What was said under an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenEvent {
    /// What it was.
    pub fingerprint: Fingerprint,
    /// Its log time.
    pub time: Instant,
    /// The system in whose log time it is forgotten.
    pub system: SystemKey,
}

impl SeenEvent {
    /// Whether it is remembered while its system's last record has that time.
    #[must_use]
    pub fn is_remembered(&self, now: Instant) -> bool {
        self.time.saturating_add(REPEAT_HORIZON_NS) >= now
    }
}

/// What an event says, apart from when the log took it.
#[must_use]
pub fn fingerprint(event: &Event) -> Fingerprint {
    let mut said = String::with_capacity(1024);
    line::push_said(&mut said, event);
    digest(&said)
}

pub(crate) fn fingerprint_of(said: &line::Template) -> Fingerprint {
    digest(said.as_str())
}

pub(super) fn digest(said: &str) -> Fingerprint {
    let digest = Sha256::digest(said.as_bytes());
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&digest[..16]);
    fingerprint
}
