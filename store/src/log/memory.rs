//! A log in memory: what a replayed file is read into. Same admission, same times, nothing kept on disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log::admission::{Admission, Admitted};
use crate::log::{Appended, Clock, Log, Position, Topic};
use crate::{Error, Event, Instant};

/// A [`Log`] without durability, with the recorded clock.
#[derive(Debug)]
pub struct MemoryLog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    topics: [Vec<Event>; 2],
    admissions: [Admission; 2],
}

impl Default for MemoryLog {
    fn default() -> Self {
        let admissions = [Admission::new(Clock::Recorded), Admission::new(Clock::Recorded)];
        MemoryLog { state: Mutex::new(State { topics: [Vec::new(), Vec::new()], admissions }) }
    }
}

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> MemoryLog {
        MemoryLog::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index(topic: Topic) -> usize {
    match topic {
        Topic::Events => 0,
        Topic::Conclusions => 1,
    }
}

impl Log for MemoryLog {
    fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        let mut state = self.state();
        let first = Position(state.topics[index(topic)].len() as u64);
        let mut appended = Appended { first, written: Vec::with_capacity(events.len()), repeats: 0, conflicts: 0 };
        for event in events {
            match state.admissions[index(topic)].admit(event, Instant::UNASSIGNED) {
                Admitted::New(event) => appended.written.push(*event),
                Admitted::Conflict(event) => {
                    appended.conflicts += 1;
                    appended.written.push(*event);
                }
                Admitted::Repeat => appended.repeats += 1,
            }
        }
        state.topics[index(topic)].extend(appended.written.iter().cloned());
        Ok(appended)
    }

    fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        let state = self.state();
        let start = usize::try_from(from.0).unwrap_or(usize::MAX);
        Ok(state.topics[index(topic)].iter().skip(start).take(records_max).cloned().collect())
    }

    fn end(&self, topic: Topic) -> Position {
        Position(self.state().topics[index(topic)].len() as u64)
    }

    fn time_of(&self, system: &str) -> Option<Instant> {
        self.state().admissions[index(Topic::Events)].time_of(system)
    }

    fn clock(&self) -> Clock {
        Clock::Recorded
    }
}
