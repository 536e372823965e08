//! Opening: what a closed or killed log left on disk becomes the writer's state again.
//!
//! Admission needs the ids of the last horizon. They stand in the heads of the batches, and each system's value says
//! from which batch to which they reach, so that only those heads are read, and no line.

use std::collections::HashMap;

use super::disk::Disk;
use super::time_index::TimeIndex;
use super::state::{self, ChainLink, SystemPlace};
use crate::log::admission::Admission;
use crate::log::hash_chain::{IntegrityError, Head, Key};
use crate::{Clock, Error, Position, Topic};

/// A topic as its writer needs it.
pub(super) struct Recovered {
    pub(super) topic: Topic,
    pub(super) kept: ChainLink,
    pub(super) tip: ChainLink,
    pub(super) admission: Admission,
    pub(super) times: HashMap<String, TimeIndex>,
}

pub(super) fn recover(disk: &Disk, topic: Topic, clock: Clock, role: &str, key: &Key) -> Result<Recovered, Error> {
    let (kept, tip) = (state::kept(disk, topic, key)?, state::tip(disk, topic, key)?);
    check_tip(disk, topic, kept, tip)?;
    let places = state::systems(disk, topic, key)?;
    let mut admission = Admission::new(clock);
    for (system, place) in &places {
        admission.resume(system, place.time, state::delays(disk, topic, system, key)?);
    }
    let mut times = HashMap::new();
    for (from, through) in stretches(places.values(), kept.position) {
        let mut before: Option<ChainLink> = None;
        for entry in disk.heads(topic, from) {
            let (first, bytes) = entry?;
            if first > through {
                break;
            }
            let head = Head::open(&bytes, role, key).map_err(|failed| failed.at(first))?;
            if let Some(before) = before {
                head.check_link(before.position, &before.hash).map_err(|failed| failed.at(before.position))?;
            }
            before = Some(ChainLink {
                position: head.end(),
                hash: crate::log::hash_chain::stated_hash(&bytes).map_err(|failed| failed.at(first))?,
            });
            recall(&head, &mut admission, &mut times);
        }
    }
    Ok(Recovered { topic, kept, tip, admission, times })
}

/// The last batch must be the one that the topic's tip names: none cut off, none put behind.
fn check_tip(disk: &Disk, topic: Topic, kept: ChainLink, tip: ChainLink) -> Result<(), Error> {
    let last = disk.stated_hash_before(topic, Position(u64::MAX))?;
    match last {
        Some(hash) if hash == tip.hash => Ok(()),
        None if kept == tip => Ok(()),
        Some(_) => Err(IntegrityError::Link.at(tip.position)),
        None => Err(IntegrityError::Missing.at(tip.position)),
    }
}

fn recall(head: &Head, admission: &mut Admission, times: &mut HashMap<String, TimeIndex>) {
    for row in &head.rows {
        let system = &head.systems[usize::from(row.system)];
        if admission.recall(system, row.time, row.id, row.fingerprint) {
            if !times.contains_key(system) {
                times.insert(system.clone(), TimeIndex::default());
            }
            times.get_mut(system).expect("it was just put there if it was not").note(head.first, row.time);
        }
    }
}

/// The union of the stretches that systems need, none before `kept`.
fn stretches<'a>(places: impl Iterator<Item = &'a SystemPlace>, kept: Position) -> Vec<(Position, Position)> {
    let mut needed: Vec<_> =
        places.filter(|place| place.last >= kept).map(|place| (place.remembered_from.max(kept), place.last)).collect();
    needed.sort();
    let mut merged: Vec<(Position, Position)> = Vec::new();
    for (from, through) in needed {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(through),
            _ => merged.push((from, through)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instant;

    #[test]
    fn only_the_stretches_that_systems_need_are_read() {
        let place =
            |from, last| SystemPlace { time: Instant(0), remembered_from: Position(from), last: Position(last) };
        let places = [place(50, 90), place(3, 9), place(1, 2), place(60, 100), place(7, 9)];
        let read = stretches(places.iter(), Position(5));
        assert_eq!(read, [(Position(5), Position(9)), (Position(50), Position(100))]);
    }
}
