//! Logs that fail on command, for the tests of whoever reads or writes a log. What fails, and when, each test says itself; the
//! records stand in a real log, mostly one [in memory](super::memory), whose admission and times are those of every backend.
//! Nothing that `keywatch run` starts uses them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log::{Appended, Clock, Log, LogWriter, Position, Topic, Written};
use crate::{Error, Event, EventId, Instant};

/// A [`Log`] over another one, which does something of its own where that would append or read.
pub trait FaultyLog: Send + Sync {
    /// Where the records are.
    fn records(&self) -> &dyn Log;

    /// What an append does: by itself, what the log below does.
    ///
    /// # Errors
    /// As [`Log::append`].
    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        self.records().append(topic, events)
    }

    /// What a read does: by itself, what the log below does.
    ///
    /// # Errors
    /// As [`Log::read`].
    fn faulty_read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        self.records().read(topic, from, records_max)
    }

    /// What it says of records that it lacks: by itself, what the log below says.
    fn says_it_lacks_records(&self) -> bool {
        self.records().lacks_records()
    }
}

impl<F: FaultyLog> Log for F {
    fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        self.faulty_append(topic, events)
    }

    fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        self.faulty_read(topic, from, records_max)
    }

    fn end(&self, topic: Topic) -> Position {
        self.records().end(topic)
    }

    fn time_of(&self, system: &str) -> Option<Instant> {
        self.records().time_of(system)
    }

    fn clock(&self) -> Clock {
        self.records().clock()
    }

    fn lacks_records(&self) -> bool {
        self.says_it_lacks_records()
    }
}

/// A log that is known to lack records.
#[derive(Debug)]
pub struct LackingLog<L>(pub L);

impl<L: Log> FaultyLog for LackingLog<L> {
    fn records(&self) -> &dyn Log {
        &self.0
    }

    fn says_it_lacks_records(&self) -> bool {
        true
    }
}

/// The writing half of a log whose cluster is away for as many writes as the test says.
#[derive(Debug, Default)]
pub struct FaultyWriter {
    away_for: Mutex<usize>,
    taken: Mutex<Vec<Event>>,
}

impl FaultyWriter {
    /// One that takes nothing `writes` times.
    #[must_use]
    pub fn away_for(writes: usize) -> FaultyWriter {
        FaultyWriter { away_for: Mutex::new(writes), ..FaultyWriter::default() }
    }

    /// From now on it takes nothing `writes` times.
    pub fn set_away_for(&self, writes: usize) {
        *lock(&self.away_for) = writes;
    }

    /// How many writes it still refuses.
    pub fn refusals_left(&self) -> usize {
        *lock(&self.away_for)
    }

    /// The ids of what it took, in that order.
    pub fn ids(&self) -> Vec<EventId> {
        lock(&self.taken).iter().map(Event::event_id).collect()
    }
}

impl LogWriter for FaultyWriter {
    fn write(&self, _topic: Topic, events: Vec<Event>) -> Result<Written, Error> {
        let mut away_for = lock(&self.away_for);
        if let Some(left) = away_for.checked_sub(1) {
            *away_for = left;
            return Err(away());
        }
        let count = events.len();
        lock(&self.taken).extend(events);
        Ok(Written::Sent(count))
    }
}

/// What a log says whose cluster is away.
#[must_use]
pub fn away() -> Error {
    Error::Unreachable { brokers: "k:9092".to_owned(), problem: "away".to_owned() }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
