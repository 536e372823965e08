//! A log in memory: what a replayed file is read into. Same admission, same times, nothing kept on disk.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::log::admission::{Admission, Admitted};
use crate::log::{Appended, Clock, Lane, Log, Position};
use crate::{Error, Event, Instant};

/// A [`Log`] without durability, with the recorded clock.
#[derive(Debug)]
pub struct MemoryLog {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lanes: [Vec<Event>; 2],
    admissions: [Admission; 2],
}

impl Default for MemoryLog {
    fn default() -> Self {
        let admissions = [Admission::new(Clock::Recorded), Admission::new(Clock::Recorded)];
        MemoryLog { state: Mutex::new(State { lanes: [Vec::new(), Vec::new()], admissions }) }
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

fn index(lane: Lane) -> usize {
    match lane {
        Lane::Events => 0,
        Lane::Conclusions => 1,
    }
}

impl Log for MemoryLog {
    fn append(&self, lane: Lane, events: Vec<Event>) -> Result<Appended, Error> {
        let mut state = self.state();
        let first = Position(state.lanes[index(lane)].len() as u64);
        let mut appended = Appended { first, written: Vec::with_capacity(events.len()), repeats: 0, conflicts: 0 };
        for event in events {
            match state.admissions[index(lane)].admit(event, Instant::UNASSIGNED) {
                Admitted::New(event) => appended.written.push(*event),
                Admitted::Conflict(event) => {
                    appended.conflicts += 1;
                    appended.written.push(*event);
                }
                Admitted::Repeat => appended.repeats += 1,
            }
        }
        state.lanes[index(lane)].extend(appended.written.iter().cloned());
        Ok(appended)
    }

    fn read(&self, lane: Lane, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        let state = self.state();
        let start = usize::try_from(from.0).unwrap_or(usize::MAX);
        Ok(state.lanes[index(lane)].iter().skip(start).take(records_max).cloned().collect())
    }

    fn end(&self, lane: Lane) -> Position {
        Position(self.state().lanes[index(lane)].len() as u64)
    }

    fn time_of(&self, system: &str) -> Option<Instant> {
        self.state().admissions[index(Lane::Events)].time_of(system)
    }

    fn clock(&self) -> Clock {
        Clock::Recorded
    }
}
