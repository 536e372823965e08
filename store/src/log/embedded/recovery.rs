//! Opening: what a closed or killed log left on disk becomes the writer's state again.
//!
//! Admission needs the ids of the last horizon. Most stand in the index of ids; those of the batches since are read from
//! the heads of the batches, and no line. Without an index that fits this log all of the horizon is read, from where each
//! system's value says that it begins, and the index is made again on the way.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::clocks::Clocks;
use super::damage::{Damage, Loss};
use super::disk::Disk;
use super::head_file::Heads;
use super::state::{self, ChainLink, SystemPlace};
use super::time_index::TimeIndex;
use crate::log::TopicHead;
use crate::log::admission::Admission;
use crate::log::hash_chain::{Head, IntegrityError, Key, stated_hash};
use crate::log::ids::{Generation, IdDisk, Marker, Place, TopicIds};
use crate::{Clock, Error, Instant, Position, Topic};

/// Between two words on how far the reading of ids is.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// A topic as its writer needs it.
pub(super) struct Recovered {
    pub(super) topic: Topic,
    pub(super) kept: ChainLink,
    pub(super) tip: ChainLink,
    /// The latest log time in the last batch.
    pub(super) latest: Instant,
    pub(super) admission: Admission,
    pub(super) times: HashMap<String, TimeIndex>,
    pub(super) ids: TopicIds,
}

/// What both topics are recovered with.
pub(super) struct Recovery<'a> {
    pub(super) disk: &'a Disk,
    pub(super) clock: Clock,
    pub(super) role: &'a str,
    pub(super) key: &'a Key,
    pub(super) clocks: &'a dyn Clocks,
    /// What the head file says, where there is one.
    pub(super) heads: Option<&'a Heads>,
    /// Ids of a topic that are held in memory.
    pub(super) recent_ids_max: usize,
}

impl Recovery<'_> {
    /// Both topics.
    ///
    /// # Errors
    /// Something that is needed does not verify, or the index of ids cannot be written.
    pub(super) fn topics(&self, ids: &Path) -> Result<[Recovered; 2], Error> {
        // The log itself is looked at first: what is wrong with it is no matter of the index.
        let latest = [self.end(Topic::Events)?, self.end(Topic::Conclusions)?];
        let mut kept = Arc::new(IdDisk::open(ids)?);
        let fits = |topic: &Topic| self.fits(&kept, *topic);
        let misfits = Topic::ALL.iter().map(fits).collect::<Result<Vec<bool>, Error>>()?.contains(&false);
        if misfits {
            tracing::warn!(path = %ids.display(), "the index of ids is not of this log; it is made again from the log");
            drop(kept);
            kept = Arc::new(IdDisk::create(ids)?);
        }
        let [events, conclusions] = latest;
        Ok([self.topic(Topic::Events, &kept, events)?, self.topic(Topic::Conclusions, &kept, conclusions)?])
    }

    /// Whether a topic ends where its state and its head say; the latest log time in its last batch.
    fn end(&self, topic: Topic) -> Result<Instant, Error> {
        let Recovery { disk, role, key, .. } = *self;
        let (kept, tip) = (state::kept(disk, topic, key)?, state::tip(disk, topic, key)?);
        End { disk, topic, kept, tip, role, key }.check(self.heads.map(|heads| heads.topics[topic.index()]))
    }

    /// Whether what a topic's index may hold is in this log.
    fn fits(&self, ids: &IdDisk, topic: Topic) -> Result<bool, Error> {
        let Some(marker) = ids.marker(topic, self.key) else { return Ok(ids.is_empty(topic)) };
        let reaches = ids.reaches(topic);
        let is_whole = reaches == marker.done.position || reaches == marker.begun.position;
        Ok(is_whole && self.holds(topic, marker.done)? && self.holds(topic, marker.begun)?)
    }

    /// Whether a batch of the topic ends there.
    fn holds(&self, topic: Topic, place: Place) -> Result<bool, Error> {
        let (kept, tip) = (state::kept(self.disk, topic, self.key)?, state::tip(self.disk, topic, self.key)?);
        let place = ChainLink::from(place);
        if place.position == kept.position {
            return Ok(place == kept);
        }
        let is_kept = kept.position < place.position && place.position <= tip.position;
        Ok(is_kept && self.disk.stated_hash_before(topic, place.position)? == Some(place.hash))
    }

    fn topic(&self, topic: Topic, kept_ids: &Arc<IdDisk>, latest: Instant) -> Result<Recovered, Error> {
        let (kept, tip) = (state::kept(self.disk, topic, self.key)?, state::tip(self.disk, topic, self.key)?);
        let places = state::systems(self.disk, topic, self.key)?;
        let mut admission = Admission::new(self.clock);
        for (system, place) in &places {
            admission.resume(system, place.time, state::delays(self.disk, topic, system, self.key)?);
        }
        let Marker { done, stretches: times, .. } = kept_ids.marker(topic, self.key).unwrap_or_default();
        let times = times.iter().map(|(system, kept)| (system.clone(), TimeIndex::of(kept))).collect();
        let ids = TopicIds::new(topic, Arc::clone(kept_ids), self.key.clone(), done);
        let mut recovered = Recovered { topic, kept, tip, latest, admission, times, ids };
        let since = kept.position.max(Position(done.position));
        let needed = stretches(places.values(), since);
        self.read(&mut recovered, &needed)?;
        Ok(recovered)
    }

    /// Reads the ids of some stretches of the topic.
    fn read(&self, recovered: &mut Recovered, needed: &[(Position, Position)]) -> Result<(), Error> {
        let mut progress = ReadingProgress::new(self.clocks, needed, recovered.tip.position);
        for (from, through) in needed.iter().copied() {
            let mut before: Option<ChainLink> = None;
            for entry in self.disk.heads(recovered.topic, from) {
                let (first, bytes) = entry?;
                if first > through {
                    break;
                }
                let head = Head::open(&bytes, self.role, self.key).map_err(|failed| failed.at(first))?;
                if let Some(before) = before {
                    head.check_link(before.position, &before.hash).map_err(|failed| failed.at(before.position))?;
                }
                let end =
                    ChainLink { position: head.end(), hash: stated_hash(&bytes).map_err(|failed| failed.at(first))? };
                before = Some(end);
                recall(&head, recovered);
                if recovered.admission.ids() >= self.recent_ids_max {
                    recovered.hand_over(end)?;
                }
                progress.read(head.rows.len());
            }
        }
        Ok(())
    }
}

impl Recovered {
    pub(super) fn head(&self) -> TopicHead {
        TopicHead { position: self.tip.position, time: self.latest, hash: self.tip.hash }
    }

    /// Hands the ids in memory over to the index, where every remembered id before `through` is among them or is there.
    fn hand_over(&mut self, through: ChainLink) -> Result<(), Error> {
        self.ids.put(generation(&mut self.admission, &self.times, through))
    }
}

/// The ids that an admission holds, which are let go there.
pub(super) fn generation(
    admission: &mut Admission,
    stretches: &HashMap<String, TimeIndex>,
    through: ChainLink,
) -> Generation {
    Generation {
        ids: admission.take_ids(),
        through: through.into(),
        stretches: stretches.iter().map(|(system, times)| (system.clone(), times.kept())).collect(),
        times: admission.times().collect(),
    }
}

/// Says how far the reading is and how long it will take, where it takes long.
struct ReadingProgress<'a> {
    clocks: &'a dyn Clocks,
    begun: Duration,
    reported: Duration,
    records: usize,
    read: usize,
}

impl<'a> ReadingProgress<'a> {
    fn new(clocks: &'a dyn Clocks, needed: &[(Position, Position)], end: Position) -> ReadingProgress<'a> {
        // The last batch of a stretch is not counted: how long it is stands in its head.
        let last = needed.last().map_or(0, |(_, through)| end.0.saturating_sub(through.0));
        let records = needed.iter().map(|(from, through)| through.0.saturating_sub(from.0)).sum::<u64>() + last;
        let begun = clocks.monotonic();
        ReadingProgress {
            clocks,
            begun,
            reported: begun,
            records: usize::try_from(records).unwrap_or(usize::MAX),
            read: 0,
        }
    }

    fn read(&mut self, records: usize) {
        self.read += records;
        let now = self.clocks.monotonic();
        if now.saturating_sub(self.reported) < SAY_EVERY {
            return;
        }
        self.reported = now;
        let left = self.records.saturating_sub(self.read) as u128;
        let seconds_left = now.saturating_sub(self.begun).as_millis() * left / (self.read.max(1) as u128) / 1000;
        let (read, records) = (self.read, self.records);
        tracing::info!(read, records, seconds_left, "ids of the last seven days are read from the log");
    }
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

fn recall(head: &Head, recovered: &mut Recovered) {
    let Recovered { admission, times, .. } = recovered;
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

/// The union of the stretches that systems need, none before `since`.
fn stretches<'a>(places: impl Iterator<Item = &'a SystemPlace>, since: Position) -> Vec<(Position, Position)> {
    let mut needed: Vec<_> = places
        .filter(|place| place.last >= since)
        .map(|place| (place.remembered_from.max(since), place.last))
        .collect();
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
