//! The log together with the state folded from it. Everything that alerting writes goes through here: a record counts
//! only once it is durable, and the state has it as soon as it is. It decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keywatch_store::log::TopicHead;
use keywatch_store::{Error as StoreError, Event, Instant, Log, Position, Topic};

use crate::Error;
use crate::lifecycle::state::AlertState;
use crate::limits::FOLD_RECORDS;

/// The log and its state.
pub struct AlertLog {
    log: Arc<dyn Log>,
    state: Mutex<AlertState>,
}

impl AlertLog {
    /// Folds both topics of `log`, from the oldest record that is kept. `seen` is shown every record, e.g. to learn the
    /// inventory.
    ///
    /// # Errors
    /// [`Error::Log`] when the log cannot be read.
    pub fn open(log: Arc<dyn Log>, mut seen: impl FnMut(&Event)) -> Result<AlertLog, Error> {
        let mut state = AlertState::default();
        for topic in Topic::ALL {
            fold(log.as_ref(), topic, |event| {
                state.apply(event);
                seen(event);
            })?;
        }
        Ok(AlertLog { log, state: Mutex::new(state) })
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

    /// Folds a record that somebody else wrote. keywatch's own conclusions and responses are passed over: they were
    /// folded when they were appended.
    pub fn observe(&self, event: &Event) {
        if event.kind() == "decision" {
            self.state().apply(event);
        }
    }
}

fn fold(log: &dyn Log, topic: Topic, mut each: impl FnMut(&Event)) -> Result<(), Error> {
    let mut from = Position::default();
    while from < log.end(topic) {
        match log.read(topic, from, FOLD_RECORDS) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => {
                from = from.plus(events.len());
                events.iter().for_each(&mut each);
            }
            Err(StoreError::Expired { oldest, .. }) if oldest > from.0 => from = Position(oldest),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
