//! When a receiver is tried: how many attempts may be under way, how fast they may follow each other, and how long a
//! receiver that fails is left alone. Pure: time is an argument. It does not know what is delivered.
//!
//! Each notification has its own waits, so that one that a receiver cannot digest holds up no other. A receiver that has
//! failed several times in a row is down: then it is asked once each wait, whatever is pending, and when it takes something
//! all that it refused meanwhile is due at once.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use crate::limits::{GIVE_UP_HOURS, RECEIVER_DOWN_FAILURES, RECEIVER_PER_MINUTE};

/// What a receiver stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Attempts in a minute, on average; the bucket holds as many as a minute gives.
    pub per_minute: u32,
    /// How long after its first failure a notification becomes a dead letter.
    pub give_up_after: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { per_minute: RECEIVER_PER_MINUTE, give_up_after: Duration::from_secs(GIVE_UP_HOURS * 3_600) }
    }
}

impl Pace {
    /// For what is on this machine and takes whatever it is given.
    #[must_use]
    pub fn unlimited() -> Pace {
        Pace { per_minute: u32::MAX, ..Pace::default() }
    }
}

/// A receiver that does not take what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// What it said last.
    pub(crate) problem: String,
}

/// What is known of one receiver since the start.
#[derive(Debug)]
pub(crate) struct Queue {
    pace: Pace,
    at_once_max: usize,
    tokens: f64,
    filled: Instant,
    failing: Option<Failing>,
    paused_until: Option<Instant>,
    /// Failures of a notification, and when it is due again.
    tries: HashMap<String, (u32, Instant)>,
    under_way: HashSet<String>,
    /// Those of them whose attempt has ended, and of which the log cannot say yet what came of it.
    unwritten: HashSet<String>,
}

impl Queue {
    pub(crate) fn new(pace: Pace, at_once_max: usize, now: Instant) -> Queue {
        Queue {
            pace,
            at_once_max,
            tokens: f64::from(pace.per_minute.max(1)),
            filled: now,
            failing: None,
            paused_until: None,
            tries: HashMap::new(),
            under_way: HashSet::new(),
            unwritten: HashSet::new(),
        }
    }

    /// How many attempts may begin now.
    pub(crate) fn room(&mut self, now: Instant) -> usize {
        self.fill(now);
        if self.paused_until.is_some_and(|until| until > now) {
            return 0;
        }
        let at_once = if self.is_down() { 1 } else { self.at_once_max };
        let attempts = self.under_way.len() - self.unwritten.len();
        at_once.saturating_sub(attempts).min(self.whole_tokens())
    }

    /// Whether that notification is under way or not due yet.
    pub(crate) fn is_held(&self, key: &str, now: Instant) -> bool {
        self.under_way.contains(key) || self.tries.get(key).is_some_and(|(_, due)| *due > now)
    }

    /// Attempts at it that failed.
    pub(crate) fn failures(&self, key: &str) -> u32 {
        self.tries.get(key).map_or(0, |(failures, _)| *failures)
    }

    pub(crate) fn begin(&mut self, key: &str) {
        self.under_way.insert(key.to_owned());
        self.tokens -= 1.0;
    }

    /// The attempt has ended, and what came of it cannot be written down yet: others need not wait for that. Whether that is
    /// news.
    pub(crate) fn has_ended(&mut self, key: &str) -> bool {
        self.under_way.contains(key) && self.unwritten.insert(key.to_owned())
    }

    fn end(&mut self, key: &str) {
        self.under_way.remove(key);
        self.unwritten.remove(key);
    }

    /// The receiver took it.
    pub(crate) fn taken(&mut self, key: &str, now: Instant) {
        self.end(key);
        self.tries.remove(key);
        if self.is_down() {
            self.tries.values_mut().for_each(|(_, due)| *due = now);
        }
        self.failing = None;
        self.paused_until = None;
    }

    /// It was put aside. The receiver answered, so it is not down; what else is due does not change.
    pub(crate) fn put_aside(&mut self, key: &str) {
        self.end(key);
        self.tries.remove(key);
    }

    /// An attempt failed: it is due again after `wait`, and not before the receiver `asked` to be asked again.
    pub(crate) fn failed(&mut self, key: &str, wait: Duration, asked: Option<Duration>, problem: &str, now: Instant) {
        self.end(key);
        let wait = asked.map_or(wait, |asked| wait.max(asked));
        let (tried, due) = self.tries.entry(key.to_owned()).or_insert((0, now));
        *tried += 1;
        *due = now + wait;
        let failures = self.failing.as_ref().map_or(0, |failing| failing.failures) + 1;
        self.failing = Some(Failing { failures, problem: problem.to_owned() });
        if asked.is_some() || self.is_down() {
            let until = now + wait;
            self.paused_until = Some(self.paused_until.map_or(until, |paused| paused.max(until)));
        }
    }

    /// What was written down by nobody is not under way any more.
    pub(crate) fn drop_attempt(&mut self, key: &str) {
        self.end(key);
    }

    pub(crate) fn is_begun(&self, key: &str) -> bool {
        self.under_way.contains(key)
    }

    pub(crate) fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// The receiver, once it is down.
    pub(crate) fn down(&self) -> Option<&Failing> {
        self.failing.as_ref().filter(|failing| failing.failures >= RECEIVER_DOWN_FAILURES)
    }

    /// When it is worth looking again, given that something is pending; `None` while an attempt is under way that will
    /// look when it ends.
    pub(crate) fn look_again(&self, now: Instant) -> Option<Instant> {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Some(until);
        }
        if self.whole_tokens() == 0 {
            let second = 60.0 / f64::from(self.pace.per_minute.max(1));
            return Some(now + Duration::from_secs_f64(second * (1.0 - self.tokens).max(0.0)));
        }
        self.tries.values().map(|(_, due)| *due).filter(|due| *due > now).min()
    }

    fn is_down(&self) -> bool {
        self.down().is_some()
    }

    fn fill(&mut self, now: Instant) {
        let per_minute = f64::from(self.pace.per_minute.max(1));
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * per_minute / 60.0).min(per_minute);
        self.filled = now;
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and what a minute gives")]
    fn whole_tokens(&self) -> usize {
        // A hair's breadth, so that waiting for a token ends with one.
        (self.tokens + 1e-6).max(0.0) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn queue(per_minute: u32) -> (Queue, Instant) {
        let now = Instant::now();
        (Queue::new(Pace { per_minute, ..Pace::default() }, 8, now), now)
    }

    #[test]
    fn the_bucket_gives_a_minute_at_once_and_then_one_at_a_time() {
        let (mut queue, now) = queue(3);
        assert_eq!(queue.room(now), 3);
        for key in ["a", "b", "c"] {
            queue.begin(key);
            queue.taken(key, now);
        }
        assert_eq!(queue.room(now), 0);
        let again = queue.look_again(now).unwrap();
        assert!(again - now <= 20 * SECOND + SECOND / 100 && again - now >= 19 * SECOND, "{:?}", again - now);
        assert_eq!(queue.room(again), 1);
    }

    #[test]
    fn one_bad_notification_waits_alone() {
        let (mut queue, now) = queue(60);
        queue.begin("bad");
        queue.failed("bad", 5 * SECOND, None, "500", now);
        assert!(queue.is_held("bad", now) && !queue.is_held("good", now));
        assert_eq!(queue.room(now), 8);
        assert!(queue.down().is_none());
        assert_eq!(queue.look_again(now), Some(now + 5 * SECOND));
        assert!(!queue.is_held("bad", now + 5 * SECOND));
    }

    #[test]
    fn a_receiver_that_is_down_is_asked_once_a_wait_and_gets_all_of_it_when_it_returns() {
        let (mut queue, now) = queue(600);
        for key in ["a", "b", "c"] {
            queue.begin(key);
            queue.failed(key, 60 * SECOND, None, "refused", now);
        }
        assert_eq!(queue.down().unwrap().failures, 3);
        assert_eq!(queue.room(now), 0);
        let later = now + 60 * SECOND;
        assert_eq!(queue.room(later), 1);
        queue.begin("d");
        queue.failed("d", 60 * SECOND, None, "refused", later);
        assert_eq!(queue.room(later + 59 * SECOND), 0);
        let back = later + 60 * SECOND;
        queue.begin("a");
        queue.taken("a", back);
        assert_eq!(queue.room(back), 8);
        assert!(["b", "c", "d"].iter().all(|key| !queue.is_held(key, back)));
    }

    #[test]
    fn what_a_receiver_asks_for_holds_for_all_of_it() {
        let (mut queue, now) = queue(60);
        queue.begin("a");
        queue.failed("a", SECOND, Some(120 * SECOND), "429", now);
        assert_eq!((queue.room(now + 119 * SECOND), queue.room(now + 120 * SECOND)), (0, 8));
    }
}
