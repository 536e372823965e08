//! Whose turn it is to append to a topic: one after the other, in the order of the log, and nobody waits behind one that
//! hangs. It knows neither the log nor what is written.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The turns at one topic.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Since when somebody has the turn.
    taken: Mutex<Option<Instant>>,
    free: Condvar,
}

/// The turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    fn taken(&self) -> MutexGuard<'_, Option<Instant>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn. How long does not matter while others come and go; but not once one of them has had it for
    /// longer than `patience`.
    ///
    /// # Errors
    /// How long that one has had it.
    pub(super) fn take(&self, patience: Duration) -> Result<Turn<'_>, Duration> {
        let mut taken = self.taken();
        while let Some(since) = *taken {
            let lasted = since.elapsed();
            let left = patience.saturating_sub(lasted);
            if left.is_zero() {
                return Err(lasted);
            }
            (taken, _) = self.free.wait_timeout(taken, left).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = Some(Instant::now());
        Ok(Turn(self))
    }

    /// The turn, where nobody has it.
    pub(super) fn try_take(&self) -> Option<Turn<'_>> {
        self.take(Duration::ZERO).ok()
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken() = None;
        self.0.free.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_turn_is_waited_for_and_not_behind_one_that_hangs() {
        let turns = Turns::default();
        let first = turns.take(Duration::ZERO).unwrap();
        assert!(turns.try_take().is_none());
        assert!(turns.take(Duration::from_millis(1)).unwrap_err() >= Duration::from_millis(1));
        thread::scope(|scope| {
            let (took, taken) = sync_channel(1);
            let turns = &turns;
            scope.spawn(move || took.send(turns.take(LONG).is_ok()));
            drop(first);
            assert!(taken.recv_timeout(LONG).unwrap());
        });
        assert!(turns.try_take().is_some());
    }
}
