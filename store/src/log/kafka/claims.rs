//! What the follower tells those that wait: how far it is, what became of an append, and why it stopped.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::progress::topic_index;
use crate::limits::KAFKA_FOLDS_MAX;
use crate::{Appended, Event, EventId, Position, Topic};

/// Shared by the follower and everyone else.
#[derive(Debug, Default)]
pub(super) struct Claims {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Next offset of each topic.
    next: [i64; 2],
    /// Appends of this process that have not been read back.
    open: HashMap<u64, Claim>,
    /// Messages that no role wrote.
    foreign: u64,
    /// Messages of a later version that the copy lacks, by topic.
    later: [Later; 2],
    /// Whether a topic was read to its end, since its last message.
    at_end: [bool; 2],
    /// How long records of each topic took to get into the copy.
    folds: [Vec<Duration>; 2],
    stopped: Option<String>,
}

/// Messages of a later version of one topic that were passed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Later {
    /// How many.
    pub(super) count: u64,
    /// Offset of the first of them.
    pub(super) first: Option<i64>,
}

/// What is known of an append.
#[derive(Debug, Default)]
struct Claim {
    /// Ids of its events that were not read back, as often as they are in it. Who copies a message settles nothing by that.
    open: HashMap<EventId, usize>,
    outcomes: Vec<Outcome>,
}

impl Claim {
    fn settle(&mut self, id: EventId, outcome: Outcome) {
        let Some(left) = self.open.get_mut(&id) else { return };
        *left -= 1;
        if *left == 0 {
            self.open.remove(&id);
        }
        self.outcomes.push(outcome);
    }
}

/// What became of one message.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was written at that position.
    Written(Position, Event),
    /// A conflict was written there in its place.
    Conflict(Position, Event),
    /// It stood there before.
    Repeat,
}

impl Claims {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_all();
        result
    }

    /// Waits for an append of these events; it is to be awaited or dropped.
    pub(super) fn expect(&self, append: u64, events: impl IntoIterator<Item = EventId>) {
        let mut claim = Claim::default();
        for id in events {
            *claim.open.entry(id).or_default() += 1;
        }
        self.state().open.insert(append, claim);
    }

    /// An append failed, and nobody waits for it.
    pub(super) fn drop_claim(&self, append: u64) {
        self.state().open.remove(&append);
    }

    /// Events of appends were read.
    pub(super) fn settle(&self, outcomes: impl IntoIterator<Item = (u64, EventId, Outcome)>) {
        self.change(|state| {
            for (append, id, outcome) in outcomes {
                if let Some(claim) = state.open.get_mut(&append) {
                    claim.settle(id, outcome);
                }
            }
        });
    }

    /// All messages before `next` stand in the copy.
    pub(super) fn reached(&self, topic: usize, next: i64) {
        self.change(|state| state.next[topic] = state.next[topic].max(next));
    }

    /// Where a topic is read next.
    pub(super) fn next(&self, topic: usize) -> i64 {
        self.state().next[topic]
    }

    /// The end of a topic was met, or there was a message before it.
    pub(super) fn met_end(&self, topic: usize, is_end: bool) {
        self.state().at_end[topic] = is_end;
    }

    /// Messages of a topic that ends there that have not been read.
    pub(super) fn behind(&self, topic: usize, end: i64) -> u64 {
        let state = self.state();
        // Behind the last conclusion stands the mark of its transaction, which is no message. Events are in none.
        let is_marked = topic == topic_index(Topic::Conclusions) && state.at_end[topic];
        if is_marked { 0 } else { u64::try_from(end - state.next[topic]).unwrap_or(0) }
    }

    /// Records took so long. What nobody asks for is kept up to a number.
    pub(super) fn folded(&self, topic: usize, folds: impl Iterator<Item = Duration>) {
        let mut state = self.state();
        let room = KAFKA_FOLDS_MAX.saturating_sub(state.folds[topic].len());
        state.folds[topic].extend(folds.take(room));
    }

    /// What was kept of that.
    pub(super) fn take_folds(&self) -> [Vec<Duration>; 2] {
        std::mem::take(&mut self.state().folds)
    }

    /// A message was left out.
    pub(super) fn count_foreign(&self) -> u64 {
        let mut state = self.state();
        state.foreign += 1;
        state.foreign
    }

    /// Messages that no role wrote, since the log was opened.
    pub(super) fn foreign(&self) -> u64 {
        self.state().foreign
    }

    /// A message of a later version, at that offset of a topic, was passed by; how many were, of both topics.
    pub(super) fn count_later(&self, topic: usize, offset: i64) -> u64 {
        let mut state = self.state();
        let later = &mut state.later[topic];
        later.count += 1;
        later.first.get_or_insert(offset);
        state.later.iter().map(|later| later.count).sum()
    }

    /// Messages of a later version that were passed by since the log was opened, by topic; one more for each topic of which the
    /// copy lacked some before.
    pub(super) fn later(&self) -> [Later; 2] {
        self.state().later
    }

    /// The follower stops; the first reason stands.
    pub(super) fn stop(&self, why: &str) {
        self.change(|state| state.stopped = state.stopped.take().or_else(|| Some(why.to_owned())));
    }

    /// Why the follower stopped.
    pub(super) fn why_stopped(&self) -> Option<String> {
        self.state().stopped.clone()
    }

    /// Waits until an append was read back as a whole. `end` says where the topic ends then.
    ///
    /// # Errors
    /// Why it will not be, or that it was not in time.
    pub(super) fn await_append(
        &self,
        append: u64,
        patience: Duration,
        end: impl FnOnce() -> Position,
    ) -> Result<Appended, String> {
        let is_open = |state: &mut State| {
            let complete = state.open.get(&append).is_none_or(|claim| claim.open.is_empty());
            !complete && state.stopped.is_none()
        };
        let waited = self.changed.wait_timeout_while(self.state(), patience, is_open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let stopped = state.stopped.clone();
        let claim = state.open.remove(&append).unwrap_or_default();
        if !claim.open.is_empty() {
            return Err(stopped.unwrap_or_else(|| "records were written and not read back in time".to_owned()));
        }
        drop(state);
        Ok(appended(claim.outcomes, end()))
    }

    /// Waits until both topics have been read up to those offsets.
    ///
    /// # Errors
    /// Why that will not be.
    pub(super) fn await_offsets(&self, offsets: [i64; 2], mut waiting: impl FnMut([i64; 2])) -> Result<(), String> {
        let mut state = self.state();
        while state.next.iter().zip(offsets).any(|(next, wanted)| *next < wanted) {
            if let Some(why) = &state.stopped {
                return Err(why.clone());
            }
            waiting(state.next);
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

fn appended(outcomes: Vec<Outcome>, end: Position) -> Appended {
    let mut appended = Appended { first: end, written: Vec::with_capacity(outcomes.len()), repeats: 0, conflicts: 0 };
    for outcome in outcomes {
        match outcome {
            Outcome::Repeat => appended.repeats += 1,
            Outcome::Written(position, event) => {
                appended.first = appended.first.min(position);
                appended.written.push(event);
            }
            Outcome::Conflict(position, event) => {
                appended.first = appended.first.min(position);
                appended.conflicts += 1;
                appended.written.push(event);
            }
        }
    }
    appended
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;
    use crate::event::Origin;

    fn event(id: &str) -> Event {
        let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
        Event::builder(&origin, id, "source.heartbeat", Instant(1)).build().unwrap()
    }

    #[test]
    fn an_append_is_known_when_all_of_it_was_read() {
        let claims = Claims::default();
        let [one, two, three] = ["1", "2", "3"].map(|id| event(id).event_id());
        claims.expect(7, [one, two, three]);
        let written = Outcome::Written(Position(5), event("1"));
        claims.settle([(7, one, written), (8, three, Outcome::Repeat), (7, two, Outcome::Repeat)]);
        let early = claims.await_append(7, Duration::ZERO, || Position(9)).unwrap_err();
        assert!(early.contains("not read back"), "{early}");
        claims.expect(7, [two, three]);
        claims.settle([(7, two, Outcome::Conflict(Position(8), event("2"))), (7, three, Outcome::Repeat)]);
        let known = claims.await_append(7, Duration::ZERO, || Position(9)).unwrap();
        let expected = Appended { first: Position(8), written: vec![event("2")], repeats: 1, conflicts: 1 };
        assert_eq!(known, expected);
    }

    #[test]
    fn a_message_that_somebody_copies_stands_for_no_other_of_its_append() {
        let claims = Claims::default();
        let [one, two] = ["1", "2"].map(|id| event(id).event_id());
        claims.expect(7, [one, one, two]);
        let written = |position, id: &str| Outcome::Written(Position(position), event(id));
        claims.settle([(7, one, written(5, "1")), (7, one, Outcome::Repeat), (7, one, Outcome::Repeat)]);
        let early = claims.await_append(7, Duration::ZERO, || Position(9)).unwrap_err();
        assert!(early.contains("not read back"), "{early}");
        claims.expect(7, [one, two]);
        let copied = (7, one, Outcome::Repeat);
        claims.settle([(7, one, written(5, "1")), copied.clone(), copied, (7, two, written(6, "2"))]);
        let known = claims.await_append(7, Duration::ZERO, || Position(9)).unwrap();
        let expected = Appended { first: Position(5), written: vec![event("1"), event("2")], repeats: 0, conflicts: 0 };
        assert_eq!(known, expected);
    }

    #[test]
    fn marks_behind_the_last_conclusion_are_no_messages_that_lack() {
        let claims = Claims::default();
        for topic in [0, 1] {
            claims.reached(topic, 5);
        }
        assert_eq!([0, 1].map(|topic| claims.behind(topic, 6)), [1, 1]);
        claims.met_end(0, true);
        claims.met_end(1, true);
        assert_eq!([0, 1].map(|topic| claims.behind(topic, 6)), [1, 0]);
        claims.met_end(1, false);
        assert_eq!([0, 1].map(|topic| claims.behind(topic, 4)), [0, 0], "it was asked before it was read");
    }

    #[test]
    fn what_a_later_version_wrote_is_counted_by_topic_and_the_first_of_it_is_known() {
        let claims = Claims::default();
        assert_eq!(claims.later(), [Later::default(); 2]);
        assert_eq!([(0, 7), (1, 3), (0, 9)].map(|(topic, offset)| claims.count_later(topic, offset)), [1, 2, 3]);
        assert_eq!(claims.later(), [Later { count: 2, first: Some(7) }, Later { count: 1, first: Some(3) }]);
    }

    #[test]
    fn how_long_records_took_is_given_once_and_not_kept_without_bound() {
        let claims = Claims::default();
        claims.folded(1, std::iter::repeat_n(Duration::from_millis(3), KAFKA_FOLDS_MAX + 1));
        let [events, conclusions] = claims.take_folds();
        assert!(events.is_empty() && conclusions.len() == KAFKA_FOLDS_MAX);
        assert_eq!(claims.take_folds(), [vec![], vec![]]);
    }

    #[test]
    fn who_waits_hears_why_it_stopped() {
        let claims = Claims::default();
        claims.expect(1, [event("1").event_id()]);
        claims.stop("the topic is gone");
        claims.stop("and again");
        assert_eq!(claims.await_append(1, Duration::from_secs(9), || Position(0)).unwrap_err(), "the topic is gone");
        assert_eq!(claims.await_offsets([1, 0], |_| {}).unwrap_err(), "the topic is gone");
        assert!(claims.await_offsets([0, 0], |_| {}).is_ok());
    }
}
