//! A token bucket: so many a second, and a burst. Takes the time as an argument.

use std::time::{Duration, Instant};

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) per_second: u32,
    pub(crate) burst: u32,
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// When it is full again: every token that is missing is a further interval from now.
    full_at: Instant,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket { rate, full_at: now }
    }

    /// Takes one token, or says how long until there is one.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.peek(now)?;
        self.full_at = self.full_at.max(now) + self.interval();
        Ok(())
    }

    /// Whether there is a token, without taking it.
    pub(crate) fn peek(&self, now: Instant) -> Result<(), Duration> {
        let missing = self.full_at.saturating_duration_since(now) + self.interval();
        let most = self.interval() * self.rate.burst;
        missing.checked_sub(most).filter(|wait| !wait.is_zero()).map_or(Ok(()), Err)
    }

    pub(crate) fn is_full(&self, now: Instant) -> bool {
        self.full_at <= now
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.rate.per_second.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(Rate { per_second: 10, burst: 3 }, start);
        assert!((0..3).all(|_| bucket.take(start).is_ok()));
        assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(start + Duration::from_millis(40)), Err(Duration::from_millis(60)));
        assert!(bucket.take(start + Duration::from_millis(100)).is_ok());
        assert!(
            !bucket.is_full(start + Duration::from_millis(399)) && bucket.is_full(start + Duration::from_millis(400))
        );
        // An hour later there is a burst, and no more than one.
        let later = start + Duration::from_hours(1);
        assert!((0..3).all(|_| bucket.take(later).is_ok()) && bucket.take(later).is_err());
    }
}
