//! Objects of a trail that could not be read. They wait aside, so that the others go on: each is tried again, later each time. One
//! that cannot be read although its bucket answers is told after some tries, and is tried all the same until it can be.
//!
//! A bucket that answers nobody is no fault of an object: only tries between which it has answered count. Pure: it asks nothing,
//! and time is an argument.

use std::collections::BTreeMap;

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;

use super::objects::Object;
use crate::limits::{
    PULL_TRAIL_ASIDE_MAX, PULL_TRAIL_GAPS, PULL_TRAIL_PAUSE_SECONDS, PULL_TRAIL_PAUSE_SECONDS_MAX, PULL_TRAIL_TRIES,
    PULL_TRAIL_TRIES_SECONDS,
};

/// What waits.
#[derive(Default)]
pub(super) struct Aside {
    objects: BTreeMap<Object, Waiting>,
    /// How often the bucket has answered.
    answers: u64,
    /// New objects that could not be read since one could, and why the last could not.
    failed: (usize, String),
}

struct Waiting {
    since: Instant,
    next_at: Instant,
    pause_seconds: i64,
    /// Tries between which the bucket answered, and objects of it could be read.
    tries: u32,
    /// `answers` at the last of them.
    answers: u64,
    cause: String,
    /// Whether it is the object itself that cannot be read, and not one that it lists.
    is_own: bool,
    is_told: bool,
}

impl Aside {
    /// The bucket gave a list.
    pub(super) fn answered(&mut self) {
        self.answers += 1;
    }

    /// An object could be read. Where none could before, all others may have failed for the same reason, and are tried anew; the
    /// tries before that count all the same, so that a bucket that comes and goes keeps none from being told.
    pub(super) fn read(&mut self) {
        self.answers += 1;
        if self.is_down().is_some() {
            for waiting in self.objects.values_mut() {
                waiting.next_at = waiting.since;
                waiting.pause_seconds = PULL_TRAIL_PAUSE_SECONDS;
            }
        }
        self.failed.0 = 0;
    }

    /// An object needs to wait no longer.
    pub(super) fn done(&mut self, object: &Object) {
        self.objects.remove(object);
    }

    /// An object could not be read. `false` where it cannot wait here, since too many do.
    pub(super) fn unreadable(&mut self, object: &Object, cause: &str, now: Instant) -> bool {
        if !self.has(object) {
            self.failed = (self.failed.0 + 1, format!("{} {cause}", object.key));
        }
        self.wait(object, cause, true, now)
    }

    /// An object that a digest lists could not be read. `false` as above.
    pub(super) fn unproved(&mut self, digest: &Object, cause: &str, now: Instant) -> bool {
        self.wait(digest, cause, false, now)
    }

    fn wait(&mut self, object: &Object, cause: &str, is_own: bool, now: Instant) -> bool {
        if !self.has(object) && !self.make_room() {
            return false;
        }
        let (answers, is_down) = (self.answers, self.is_down().is_some());
        let waiting = self.objects.entry(object.clone()).or_insert_with(|| Waiting {
            since: now,
            next_at: now,
            pause_seconds: PULL_TRAIL_PAUSE_SECONDS,
            tries: 1,
            answers,
            cause: String::new(),
            is_own,
            is_told: false,
        });
        waiting.tries += u32::from(answers > waiting.answers && !is_down);
        waiting.answers = answers;
        waiting.next_at = now.saturating_add(waiting.pause_seconds * SECOND_NS);
        waiting.pause_seconds = (2 * waiting.pause_seconds).min(PULL_TRAIL_PAUSE_SECONDS_MAX);
        waiting.cause = cause.to_owned();
        waiting.is_own = is_own;
        true
    }

    /// Whether one more can wait. One that was told gives its place up.
    fn make_room(&mut self) -> bool {
        if self.objects.len() >= PULL_TRAIL_ASIDE_MAX {
            let told = self.objects.iter().find(|(_, waiting)| waiting.is_told).map(|(object, _)| object.clone());
            return told.is_some_and(|told| self.objects.remove(&told).is_some());
        }
        true
    }

    /// Whether it waits.
    pub(super) fn has(&self, object: &Object) -> bool {
        self.objects.contains_key(object)
    }

    /// Whether one of that kind waits of which nothing was told.
    pub(super) fn waits(&self, is: impl Fn(&str) -> bool) -> bool {
        self.objects.iter().any(|(object, waiting)| !waiting.is_told && is(&object.key))
    }

    /// One whose next try is due.
    pub(super) fn next(&self, now: Instant) -> Option<Object> {
        let due = self.objects.iter().filter(|(_, waiting)| waiting.next_at <= now);
        due.min_by_key(|(_, waiting)| waiting.next_at).map(|(object, _)| object.clone())
    }

    /// Why nothing can be read: two new objects one after the other could not, and none since.
    pub(super) fn is_down(&self) -> Option<&str> {
        (self.failed.0 >= 2).then_some(self.failed.1.as_str())
    }

    /// Whether it was tried as often as it is before something is told.
    pub(super) fn is_exhausted(&self, object: &Object, now: Instant) -> bool {
        self.objects.get(object).is_some_and(|waiting| waiting.is_exhausted(now))
    }

    /// Those that cannot be read and were not told yet, with the reason.
    pub(super) fn tell(&mut self, now: Instant) -> Vec<(Object, String)> {
        let untold = self
            .objects
            .iter_mut()
            .filter(|(_, waiting)| waiting.is_own && !waiting.is_told && waiting.is_exhausted(now));
        let told = untold.take(PULL_TRAIL_GAPS).map(|(object, waiting)| {
            waiting.is_told = true;
            (object.clone(), waiting.cause.clone())
        });
        told.collect()
    }

    /// When the oldest was written that is neither read nor told: whoever begins anew has to begin there.
    pub(super) fn begin(&self) -> Option<Instant> {
        self.objects.iter().find(|(_, waiting)| !waiting.is_told).map(|(object, _)| object.written)
    }
}

impl Waiting {
    fn is_exhausted(&self, now: Instant) -> bool {
        let lasted = now.0.saturating_sub(self.since.0);
        self.tries >= PULL_TRAIL_TRIES && lasted >= PULL_TRAIL_TRIES_SECONDS * SECOND_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Instant {
        Instant(second * SECOND_NS)
    }

    fn object(key: &str, written: i64) -> Object {
        Object { written: at(written), key: key.to_owned() }
    }

    /// Tries an object whenever it is due, where the bucket answers between two tries; when it is told.
    fn told(answers: bool) -> Option<(i64, String)> {
        let mut aside = Aside::default();
        aside.unreadable(&object("a", 7), "the bucket answers 403", at(0));
        for second in 0..20_000 {
            if answers {
                aside.answered();
            }
            if let Some(object) = aside.next(at(second)) {
                aside.unreadable(&object, "the bucket answers 403", at(second));
            }
            if let Some((object, cause)) = aside.tell(at(second)).pop() {
                assert_eq!((object.key.as_str(), aside.begin()), ("a", None), "what was told holds up nothing");
                assert!(aside.tell(at(second)).is_empty(), "and is told once");
                assert!((second..second + 3_601).any(|later| aside.next(at(later)).is_some()), "and is tried on");
                return Some((second, cause));
            }
            assert_eq!(aside.begin(), Some(at(7)), "whoever begins anew tries it again");
        }
        None
    }

    #[test]
    fn one_that_cannot_be_read_is_told_after_some_tries() {
        // Tried after 60, 180, 420 and 900 seconds.
        assert_eq!(told(true), Some((900, "the bucket answers 403".to_owned())));
    }

    #[test]
    fn a_bucket_that_does_not_answer_is_no_fault_of_an_object() {
        assert_eq!(told(false), None);
    }

    #[test]
    fn two_new_ones_in_a_row_are_the_buckets_own_trouble_until_one_can_be_read() {
        let mut aside = Aside::default();
        aside.unreadable(&object("a", 1), "one", at(0));
        aside.unreadable(&object("a", 1), "one", at(60));
        assert_eq!(aside.is_down(), None, "the same again says nothing new");
        aside.answered();
        aside.unreadable(&object("b", 2), "two", at(61));
        assert_eq!(aside.is_down(), Some("b two"));
        [180, 420, 900].into_iter().for_each(|second| {
            aside.answered();
            aside.unreadable(&object("a", 1), "one", at(second));
        });
        assert!(!aside.is_exhausted(&object("a", 1), at(900)), "none can be read");
        aside.read();
        assert_eq!(aside.is_down(), None);
        assert!(aside.tell(at(900)).is_empty(), "it may be readable as the others are");
        aside.done(&object("a", 1));
        assert!(!aside.has(&object("a", 1)) && aside.has(&object("b", 2)));
    }

    #[test]
    fn a_bucket_that_comes_and_goes_keeps_none_from_being_told() {
        let mut aside = Aside::default();
        let bad = object("bad", 1);
        let mut told = None;
        for round in 0..20_i64 {
            let second = round * 1_000;
            aside.answered();
            aside.unreadable(&bad, "the bucket answers 403", at(second));
            told = told.or(aside.tell(at(second)).pop().map(|_| round));
            // Two others fail in between, and can be read then.
            for other in ["x", "y"].map(|name| object(&format!("{name}{round}"), 2)) {
                aside.unreadable(&other, "the bucket answers 503", at(second + 1));
                aside.answered();
            }
            assert!(aside.is_down().is_some());
            aside.read();
            for other in ["x", "y"].map(|name| object(&format!("{name}{round}"), 2)) {
                aside.done(&other);
            }
        }
        assert_eq!(told, Some(3), "with the fourth try");
    }

    #[test]
    fn a_digest_whose_files_cannot_be_read_is_not_told_as_one_that_cannot_be_read() {
        let mut aside = Aside::default();
        for second in [0, 60, 180, 420, 900] {
            aside.read();
            aside.unproved(&object("digest", 1), "a log file cannot be read", at(second));
        }
        assert!(aside.is_exhausted(&object("digest", 1), at(900)) && aside.tell(at(900)).is_empty());
        assert_eq!(aside.is_down(), None);
    }

    #[test]
    fn p7_not_more_wait_than_may_and_what_was_told_gives_its_place_up() {
        let mut aside = Aside::default();
        for second in [0, 60, 180, 420, 900] {
            for number in 0..PULL_TRAIL_ASIDE_MAX {
                assert!(aside.unreadable(&object(&number.to_string(), 1), "c", at(second)));
            }
            aside.read();
        }
        let one_more = object("one more", 1);
        assert!(!aside.unreadable(&one_more, "c", at(900)), "nothing is lost that was not told");
        assert_eq!(aside.tell(at(900)).len(), PULL_TRAIL_GAPS);
        assert!(aside.unreadable(&one_more, "c", at(900)));
        assert_eq!(aside.objects.len(), PULL_TRAIL_ASIDE_MAX);
    }
}
