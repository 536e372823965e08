//! Whose turn it is to append to a topic: one after the other, in the order of the log, and nobody waits behind one that
//! hangs, or behind any while the log takes nothing. It knows neither the log nor what is written.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The turns at one topic.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Since when somebody has the turn.
    taken: Option<Instant>,
    /// Since when the log takes nothing.
    failing: Option<Instant>,
}

/// The turn, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the turn. How long does not matter while others come and go; but not once one of them has had it for
    /// longer than `patience`, nor while those before failed.
    ///
    /// # Errors
    /// How long nothing has been taken.
    pub(super) fn take(&self, patience: Duration) -> Result<Turn<'_>, Duration> {
        let mut state = self.state();
        while let Some(since) = state.taken {
            if let Some(failing) = state.failing {
                return Err(failing.elapsed());
            }
            let lasted = since.elapsed();
            let left = patience.saturating_sub(lasted);
            if left.is_zero() {
                return Err(lasted);
            }
            (state, _) = self.free.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        state.taken = Some(Instant::now());
        Ok(Turn(self))
    }

    /// The turn, where nobody has it.
    pub(super) fn try_take(&self) -> Option<Turn<'_>> {
        self.take(Duration::ZERO).ok()
    }

    /// How long the log has taken nothing.
    pub(super) fn failing(&self) -> Option<Duration> {
        self.state().failing.map(|since| since.elapsed())
    }
}

impl Turn<'_> {
    /// The log has taken what was appended, or it takes nothing.
    pub(super) fn has_taken(&self, taken: bool) {
        let mut state = self.0.state();
        state.failing = if taken { None } else { state.failing.or_else(|| Some(Instant::now())) };
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().taken = None;
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

    #[test]
    fn while_the_log_takes_nothing_one_tries_and_nobody_waits() {
        let turns = Turns::default();
        let first = turns.take(LONG).unwrap();
        first.has_taken(false);
        assert!(turns.failing().is_some());
        let begun = Instant::now();
        assert!(turns.take(LONG).is_err() && begun.elapsed() < LONG, "it does not wait");
        drop(first);
        let second = turns.take(LONG).unwrap();
        assert!(turns.take(LONG).is_err());
        second.has_taken(true);
        assert_eq!(turns.failing(), None);
    }
}
