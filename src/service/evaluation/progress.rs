//! How far something is that goes through the log at a start, and how long it will take: said now and then while it lasts.

use std::time::{Duration, Instant};

use crate::limits::PROGRESS_SECONDS;

/// Steps between two looks at the clock.
const STEPS: u64 = 1_024;

/// Something that goes through records.
pub(crate) struct Progress {
    what: &'static str,
    records: u64,
    done: u64,
    begun: Instant,
    said: Instant,
}

impl Progress {
    /// What goes through so many records, beginning now.
    pub(crate) fn new(what: &'static str, records: u64, now: Instant) -> Progress {
        Progress { what, records, done: 0, begun: now, said: now }
    }

    /// One record more. Looks at the clock now and then.
    pub(crate) fn step(&mut self) {
        if (self.done + 1).is_multiple_of(STEPS) {
            self.reach(self.done + 1, Instant::now());
        } else {
            self.done += 1;
        }
    }

    /// So many records are done; what is said about it, where it is time to say something.
    pub(crate) fn reach(&mut self, done: u64, now: Instant) -> Option<String> {
        self.done = done;
        // The first word comes soon, since it says how long one has to wait.
        let wait = if self.said == self.begun { 1 } else { PROGRESS_SECONDS };
        if now.saturating_duration_since(self.said) < Duration::from_secs(wait) || done == 0 {
            return None;
        }
        self.said = now;
        let seconds_left = self.seconds_left(now);
        tracing::info!(done, records = self.records, seconds_left, "{}", self.what);
        Some(format!("{}: {done} of {} records, about {seconds_left} s left", self.what, self.records))
    }

    fn seconds_left(&self, now: Instant) -> u64 {
        let took_ms = now.saturating_duration_since(self.begun).as_millis();
        let left = u128::from(self.records.saturating_sub(self.done));
        u64::try_from((took_ms * left / u128::from(self.done.max(1))).div_ceil(1000)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_soon_and_then_now_and_then_how_long_it_will_take() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut progress = Progress::new("the log is read", 1_000, begun);
        assert_eq!(progress.reach(50, begun + Duration::from_millis(900)), None);
        let said = progress.reach(100, at(1)).unwrap();
        assert_eq!(said, "the log is read: 100 of 1000 records, about 9 s left");
        assert_eq!(progress.reach(300, at(PROGRESS_SECONDS)), None);
        assert!(progress.reach(500, at(1 + PROGRESS_SECONDS)).unwrap().ends_with("about 6 s left"));
    }
}
