//! Opening: what a closed or killed log left on disk becomes the writer's state again.
//!
//! Admission needs the ids of the last horizon. They stand in the heads of the batches, and each system's value says
//! from which batch to which they reach, so that only those heads are read, and no line.

use std::collections::HashMap;

use super::damage::{Damage, Loss};
use super::disk::Disk;
use super::state::{self, ChainLink, SystemPlace};
use super::time_index::TimeIndex;
use crate::log::TopicHead;
use crate::log::admission::Admission;
use crate::log::hash_chain::{Head, IntegrityError, Key, stated_hash};
use crate::{Clock, Error, Instant, Position, Topic};

/// A topic as its writer needs it.
pub(super) struct Recovered {
    pub(super) topic: Topic,
    pub(super) kept: ChainLink,
    pub(super) tip: ChainLink,
    /// The latest log time in the last batch.
    pub(super) latest: Instant,
    pub(super) admission: Admission,
    pub(super) times: HashMap<String, TimeIndex>,
}

impl Recovered {
    pub(super) fn head(&self) -> TopicHead {
        TopicHead { position: self.tip.position, time: self.latest, hash: self.tip.hash }
    }
}

/// `head` is what the head file says of the topic, where there is one.
pub(super) fn recover(
    disk: &Disk,
    topic: Topic,
    clock: Clock,
    writer: (&str, &Key),
    head: Option<TopicHead>,
) -> Result<Recovered, Error> {
    let (role, key) = writer;
    let (kept, tip) = (state::kept(disk, topic, key)?, state::tip(disk, topic, key)?);
    let latest = End { disk, topic, kept, tip, role, key }.check(head)?;
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
            before =
                Some(ChainLink { position: head.end(), hash: stated_hash(&bytes).map_err(|failed| failed.at(first))? });
            recall(&head, &mut admission, &mut times);
        }
    }
    Ok(Recovered { topic, kept, tip, latest, admission, times })
}

/// Where the state says that a topic ends.
struct End<'a> {
    disk: &'a Disk,
    topic: Topic,
    kept: ChainLink,
    tip: ChainLink,
    role: &'a str,
    key: &'a Key,
}

impl End<'_> {
    /// The last batch must be the one that the topic's tip names, none cut off and none put behind, and must not be before
    /// the head. The latest log time in it.
    fn check(&self, head: Option<TopicHead>) -> Result<Instant, Error> {
        let End { topic, kept, tip, .. } = *self;
        let latest = match self.disk.last_head(topic)? {
            Some((_, bytes)) if stated_hash(&bytes) != Ok(tip.hash) => {
                return Err(IntegrityError::Link.at(tip.position));
            }
            Some((first, bytes)) => {
                let last = Head::open(&bytes, self.role, self.key).map_err(|failed| failed.at(first))?;
                last.latest().unwrap_or_default()
            }
            None if kept == tip => head.map(|head| head.time).unwrap_or_default(),
            None => return Err(IntegrityError::Missing.at(tip.position)),
        };
        let Some(head) = head else { return Ok(latest) };
        if tip.position < head.position {
            let loss = Loss::new(topic, tip.position, head.position).between(Some(latest), Some(head.time));
            return Err(Damage::from(loss.because("the log ends before its head")).of(self.disk.path()));
        }
        self.check_from(&head)?;
        Ok(latest)
    }

    /// What stands behind the head must continue it.
    fn check_from(&self, head: &TopicHead) -> Result<(), Error> {
        let mut before = ChainLink { position: head.position, hash: head.hash };
        if before.position < self.kept.position {
            before = self.kept;
        }
        if before.position < self.tip.position {
            for entry in self.disk.heads(self.topic, before.position) {
                let (first, bytes) = entry?;
                let next = Head::open(&bytes, self.role, self.key).map_err(|failed| failed.at(first))?;
                next.check_link(before.position, &before.hash).map_err(|failed| failed.at(first))?;
                before =
                    ChainLink { position: next.end(), hash: stated_hash(&bytes).map_err(|failed| failed.at(first))? };
            }
        }
        if before == self.tip { Ok(()) } else { Err(IntegrityError::Link.at(before.position)) }
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

    #[test]
    fn only_the_stretches_that_systems_need_are_read() {
        let place =
            |from, last| SystemPlace { time: Instant(0), remembered_from: Position(from), last: Position(last) };
        let places = [place(50, 90), place(3, 9), place(1, 2), place(60, 100), place(7, 9)];
        let read = stretches(places.iter(), Position(5));
        assert_eq!(read, [(Position(5), Position(9)), (Position(50), Position(100))]);
    }
}
