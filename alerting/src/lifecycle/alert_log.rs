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
        let reached = match topic {
            Topic::Events => &mut folded.responses,
            Topic::Conclusions => &mut folded.conclusions,
        };
        *reached = (*reached).max(appended.first.plus(appended.written.len()));
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
