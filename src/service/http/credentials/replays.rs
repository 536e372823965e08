//! Signed messages that were taken already, each remembered as long as its time would let it in again. Takes the time as an
//! argument.
//!
//! A restart forgets them; until their window is over, the ids of events in the log still make a replay harmless.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keywatch_store::Instant;

use crate::limits::REPLAYS_MAX;

/// What was taken of one source.
#[derive(Debug, Default)]
pub(crate) struct Replays(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    until: HashMap<[u8; 32], Instant>,
    in_order: BTreeSet<(Instant, [u8; 32])>,
}

/// Why a message cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// It was taken already, or is being taken.
    Already,
    /// So many were taken that none can be remembered.
    Full,
}

impl Replays {
    /// Takes the message of that digest, which could be sent again until `until`.
    pub(super) fn claim(self: &Arc<Self>, digest: [u8; 32], until: Instant, now: Instant) -> Result<Claim, Repeated> {
        let mut taken = self.lock();
        while let Some(&(over, oldest)) = taken.in_order.first().filter(|(over, _)| *over < now) {
            taken.in_order.remove(&(over, oldest));
            taken.until.remove(&oldest);
        }
        if taken.until.contains_key(&digest) {
            return Err(Repeated::Already);
        }
        if taken.until.len() >= REPLAYS_MAX {
            return Err(Repeated::Full);
        }
        taken.until.insert(digest, until);
        taken.in_order.insert((until, digest));
        Ok(Claim { replays: Arc::clone(self), digest, keep: false })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that is being taken. Unless it is kept, it may be sent again.
#[derive(Debug)]
pub(crate) struct Claim {
    replays: Arc<Replays>,
    digest: [u8; 32],
    keep: bool,
}

impl Claim {
    /// The message was answered: it is not taken again.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.keep {
            let mut taken = self.replays.lock();
            if let Some(until) = taken.until.remove(&self.digest) {
                taken.in_order.remove(&(until, self.digest));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_be_bytes());
        digest
    }

    #[test]
    fn a_message_is_taken_once_within_its_window() {
        let replays = Arc::new(Replays::default());
        let claim = |number, now| replays.claim(digest(number), Instant(now + 100), Instant(now));
        claim(1, 0).unwrap().keep();
        assert_eq!(claim(1, 50).unwrap_err(), Repeated::Already);
        assert_eq!(claim(1, 100).unwrap_err(), Repeated::Already);
        assert!(claim(1, 101).is_ok());
        // One that failed may be sent again, one that is in work may not.
        let open = claim(2, 101).unwrap();
        assert_eq!(claim(2, 101).unwrap_err(), Repeated::Already);
        drop(open);
        claim(2, 101).unwrap().keep();
        assert_eq!(replays.lock().until.len(), 1);
    }

    #[test]
    fn p7_what_is_remembered_is_bounded_and_nothing_is_taken_beyond() {
        let replays = Arc::new(Replays::default());
        for number in 0..REPLAYS_MAX {
            replays.claim(digest(number), Instant(100), Instant(0)).unwrap().keep();
        }
        assert_eq!(replays.claim(digest(REPLAYS_MAX), Instant(100), Instant(0)).unwrap_err(), Repeated::Full);
        assert!(replays.claim(digest(REPLAYS_MAX), Instant(300), Instant(200)).is_ok());
    }
}
