//! The log together with the state folded from it. Everything that alerting writes goes through here: a record counts
//! only once it is durable, and the state has it as soon as it is. It decides nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keywatch_store::log::TopicHead;
use keywatch_store::{Error as StoreError, Event, Instant, Log, Position, Topic};

use crate::Error;
use crate::lifecycle::saved::{self, Folded, Saved};
use crate::lifecycle::state::AlertState;
use crate::limits::FOLD_RECORDS;

/// The log and its state.
pub struct AlertLog {
    log: Arc<dyn Log>,
    state: Mutex<AlertState>,
    /// How far the state is; locked only while the state is.
    folded: Mutex<Folded>,
}

impl AlertLog {
    /// Folds both topics of `log` from where `saved` ends, or from the oldest record that is kept. `seen` is shown every
    /// record that is read, e.g. to learn the inventory.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read.
    pub fn open(log: Arc<dyn Log>, saved: Saved, mut seen: impl FnMut(Topic, &Event)) -> Result<AlertLog, Error> {
        let Saved { mut folded, mut state, .. } = saved;
        let responses = folded.responses;
        folded.events = fold(log.as_ref(), Topic::Events, folded.events, |position, event| {
            if !(is_response(event) && position < responses) {
                state.apply(event);
            }
            seen(Topic::Events, event);
        })?;
        folded.responses = responses.max(folded.events);
        folded.conclusions = fold(log.as_ref(), Topic::Conclusions, folded.conclusions, |_, event| {
            state.apply(event);
            seen(Topic::Conclusions, event);
        })?;
        Ok(AlertLog { log, state: Mutex::new(state), folded: Mutex::new(folded) })
    }

    /// The state. Do not hold it across an await or while appending.
    pub fn state(&self) -> MutexGuard<'_, AlertState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends durably, then folds what the log has written. The state is locked meanwhile, so that it folds in the order
    /// of the log.
    ///
    /// # Errors
    /// [`Error::Log`]; then nothing counts as written.
    pub fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut state = self.state();
        let appended = self.log.append(topic, events)?;
        appended.written.iter().for_each(|event| state.apply(event));
        let mut folded = self.folded();
        match topic {
            // On Kafka others write between the records of an append. All responses before its end are folded.
            Topic::Events => folded.responses = folded.responses.max(self.log.end(topic)),
            Topic::Conclusions => {
                let end = appended.first.plus(appended.written.len());
                folded.conclusions = folded.conclusions.max(end);
            }
        }
        Ok(appended.written)
    }

    /// Log time of the last record of a system.
    pub fn time_of(&self, system: &str) -> Instant {
        self.log.time_of(system).unwrap_or_default()
    }

    /// Where the events topic ends.
    pub fn head(&self) -> TopicHead {
        self.log.head(Topic::Events)
    }

    /// Folds records of the events topic from `first` on, as far as they were not. keywatch's own responses are passed
    /// over: they were folded when they were appended.
    pub fn observe(&self, first: Position, events: &[Event]) {
        let mut state = self.state();
        let mut folded = self.folded();
        let known = usize::try_from(folded.events.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        let of_others = events.iter().skip(known).filter(|event| !is_response(event));
        of_others.for_each(|event| state.apply(event));
        folded.events = folded.events.max(first.plus(events.len()));
    }

    /// Writes the state, so that [`AlertLog::open`] can go on from it; how far it is.
    ///
    /// # Errors
    /// [`Error::Saved`] when it cannot be written.
    pub fn save(
        &self,
        out: impl Write,
        trust_groups: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Folded, Error> {
        let state = self.state();
        let folded = *self.folded();
        saved::write(out, folded, &state, trust_groups)?;
        Ok(folded)
    }

    fn folded(&self) -> MutexGuard<'_, Folded> {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_response(event: &Event) -> bool {
    event.kind().starts_with("response.")
}

/// Goes through a topic from a position to its end; the end.
fn fold(
    log: &dyn Log,
    topic: Topic,
    mut from: Position,
    mut each: impl FnMut(Position, &Event),
) -> Result<Position, Error> {
    while from < log.end(topic) {
        match log.read(topic, from, FOLD_RECORDS) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                events.iter().enumerate().for_each(|(index, event)| each(from.plus(index), event));
                from = from.plus(events.len());
            }
            Err(StoreError::Expired { oldest, .. }) if oldest > from.0 => from = Position(oldest),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Appended, Clock};

    use super::*;

    /// A log to which others write between the records of an append.
    struct Shared(MemoryLog);

    fn event(kind: &str, id: &str) -> Event {
        let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
        Event::builder(&origin, id, kind, Instant(1)).build_own()
    }

    impl Log for Shared {
        fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
            let mut all = Appended { first: self.0.end(topic), written: Vec::new(), repeats: 0, conflicts: 0 };
            for ours in events {
                all.written.extend(self.0.append(topic, vec![ours])?.written);
                let theirs = event("source.heartbeat", &format!("theirs-{}", self.0.end(topic).0));
                self.0.append(topic, vec![theirs])?;
            }
            Ok(all)
        }

        fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, StoreError> {
            self.0.read(topic, from, records_max)
        }

        fn end(&self, topic: Topic) -> Position {
            self.0.end(topic)
        }

        fn time_of(&self, system: &str) -> Option<Instant> {
            self.0.time_of(system)
        }

        fn clock(&self) -> Clock {
            self.0.clock()
        }
    }

    #[test]
    fn responses_between_which_others_write_are_not_folded_again_from_a_kept_state() {
        let log = Arc::new(Shared(MemoryLog::new()));
        let alert_log = AlertLog::open(Arc::clone(&log) as _, Saved::default(), |_, _| ()).unwrap();
        let ours = ["1", "2"].map(|id| event("response.failed", id)).to_vec();
        alert_log.append(Topic::Events, ours).unwrap();
        let events = log.read(Topic::Events, Position(0), 9).unwrap();
        let last = events.iter().rposition(is_response).unwrap();
        assert_eq!((events.len(), last), (4, 2));
        assert!(Position(0).plus(last) < alert_log.folded().responses);
    }
}
