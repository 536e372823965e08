//! The records of one run, by system: which of them is the first at or after some time, and how far each system comes.

use hashbrown::HashMap;
use keywatch_store::{Event, Instant, Position};

/// The records of one run: times of each system with their positions.
pub(super) struct Records<'a> {
    by_system: HashMap<&'a str, Vec<(Instant, Position)>>,
    /// In the order in which they first speak, so that every engine that has seen the log numbers them alike.
    systems: Vec<&'a str>,
}

impl<'a> Records<'a> {
    /// `first` is the position of the first.
    pub(super) fn new(first: Position, events: &'a [Event]) -> Records<'a> {
        let mut records = Records { by_system: HashMap::new(), systems: Vec::new() };
        for (index, event) in events.iter().enumerate() {
            let times = records.by_system.entry(event.system()).or_insert_with(|| {
                records.systems.push(event.system());
                Vec::new()
            });
            times.push((event.time(), first.plus(index)));
        }
        records
    }

    /// Each system with the time of its last record.
    pub(super) fn complete(&self) -> impl Iterator<Item = (&'a str, Instant)> {
        self.systems.iter().filter_map(|system| Some((*system, self.by_system.get(system)?.last()?.0)))
    }

    /// The first record of a system at or after `time`: the one that decides what waits until then.
    pub(super) fn first_at(&self, system: &str, time: Instant) -> Option<(Instant, Position)> {
        let times = self.by_system.get(system)?;
        times.get(times.partition_point(|(other, _)| *other < time)).copied()
    }
}
