//! Reading: from a position on, batch by batch, each checked against its hash, its MAC and the batch before it.
//!
//! A reader that takes part of a batch finds it open at the next call, so that nothing is checked or decoded twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{Disk, Stored};
use super::shared::{Shared, TopicView};
use super::state::ChainLink;
use crate::limits::{APPEND_EVENTS_MAX, OPEN_BATCHES_MAX};
use crate::log::BatchPlace;
use crate::log::hash_chain::{Hash, Head, IntegrityError, Key, stated_hash};
use crate::{Error, Event, Position, Topic, line};

pub(super) struct Reader {
    pub(super) disk: Arc<Disk>,
    pub(super) shared: Arc<Shared>,
    pub(super) role: String,
    pub(super) key: Key,
    open: [Mutex<VecDeque<Arc<Batch>>>; 2],
}

/// A batch that passed every check.
struct Batch {
    head: Head,
    hash: Hash,
    /// Its lines, which the events that are read of it share.
    lines: Arc<String>,
    /// Where each record's line begins.
    starts: Vec<usize>,
}

/// What [`super::EmbeddedLog::verify`] found to be in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Position of the oldest record kept.
    pub first: Position,
    /// The position after the last record checked.
    pub end: Position,
    /// Batches checked.
    pub batches: u64,
    /// Hash of the last batch.
    pub hash: Hash,
}

impl Reader {
    pub(super) fn new(disk: Arc<Disk>, shared: Arc<Shared>, role: String, key: Key) -> Reader {
        Reader { disk, shared, role, key, open: [Mutex::default(), Mutex::default()] }
    }

    pub(super) fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        let view = self.shared.topic(topic);
        if from < view.kept.position {
            return Err(Error::Expired { asked: from.0, oldest: view.kept.position.0 });
        }
        let read = self.read_within(topic, view, from, records_max);
        let kept = self.shared.topic(topic).kept.position;
        match read {
            // Retention took it away while it was being read.
            Err(Error::Tampered { .. }) if from < kept => Err(Error::Expired { asked: from.0, oldest: kept.0 }),
            read => read,
        }
    }

    fn read_within(&self, topic: Topic, view: TopicView, from: Position, max: usize) -> Result<Vec<Event>, Error> {
        let end = view.tip.position;
        let wanted = usize::try_from(end.0.saturating_sub(from.0)).unwrap_or(usize::MAX).min(max);
        let mut events = Vec::with_capacity(wanted.min(APPEND_EVENTS_MAX));
        if wanted == 0 {
            return Ok(events);
        }
        if let Some(batch) = self.open_batch(topic, from) {
            batch.decode(from, wanted, &mut events)?;
            self.keep_open(topic, &batch, from.plus(events.len()));
        }
        if events.len() < wanted {
            let mut scan = self.scan(topic, view.kept, from.plus(events.len()))?;
            while events.len() < wanted {
                let position = from.plus(events.len());
                let batch = Arc::new(scan.next(position)?);
                batch.decode(position, wanted, &mut events)?;
                self.keep_open(topic, &batch, from.plus(events.len()));
            }
        }
        Ok(events)
    }

    /// Checks a topic from its oldest batch to its end, telling `progress` the position reached after each batch.
    pub(super) fn verify(&self, topic: Topic, mut progress: impl FnMut(Position)) -> Result<Verified, Error> {
        let view = self.shared.topic(topic);
        let mut verified =
            Verified { first: view.kept.position, end: view.kept.position, batches: 0, hash: view.kept.hash };
        if view.kept.position < view.tip.position {
            let mut scan = self.scan(topic, view.kept, view.kept.position)?;
            while verified.end < view.tip.position {
                let batch = scan.next(verified.end)?;
                (verified.end, verified.hash) = (batch.head.end(), batch.hash);
                verified.batches += 1;
                progress(verified.end);
            }
        }
        if verified.hash != view.tip.hash {
            return Err(IntegrityError::Link.at(verified.end));
        }
        Ok(verified)
    }

    /// The batch that holds the record at `position`, as its head says, which is checked.
    pub(super) fn batch_at(&self, topic: Topic, position: Position) -> Result<Option<BatchPlace>, Error> {
        let view = self.shared.topic(topic);
        if position < view.kept.position || position >= view.tip.position {
            return Ok(None);
        }
        let Some(first) = self.disk.first_at_or_before(topic, position)? else { return Ok(None) };
        let Some((first, sealed)) = self.disk.heads(topic, first).next().transpose()? else { return Ok(None) };
        let head = Head::open(&sealed, &self.role, &self.key).map_err(|failed| failed.at(first))?;
        let hash = stated_hash(&sealed).map_err(|failed| failed.at(first))?;
        let holds = head.topic == topic && head.first == first && position < head.end();
        Ok(holds.then(|| BatchPlace { first, end: head.end(), hash }))
    }

    fn scan(&self, topic: Topic, kept: ChainLink, from: Position) -> Result<Scan<'_>, Error> {
        let first = self.disk.first_at_or_before(topic, from)?;
        let first = first.filter(|first| *first >= kept.position).ok_or_else(|| IntegrityError::Missing.at(from))?;
        let previous =
            if first == kept.position { Some(kept.hash) } else { self.disk.stated_hash_before(topic, first)? };
        let before = ChainLink { position: first, hash: previous.ok_or_else(|| IntegrityError::Missing.at(from))? };
        Ok(Scan { reader: self, topic, stored: Box::new(self.disk.batches(topic, first)), before })
    }

    fn check(&self, topic: Topic, stored: Stored, before: ChainLink) -> Result<Batch, IntegrityError> {
        let head = Head::open(&stored.head, &self.role, &self.key)?;
        if head.topic != topic || head.first != stored.first {
            return Err(IntegrityError::Malformed("it belongs to another place"));
        }
        head.check_link(before.position, &before.hash)?;
        let lines = stored.lines.ok_or(IntegrityError::Missing)?;
        head.check_lines(&lines)?;
        let lines = String::from_utf8(lines.to_vec()).map_err(|_| IntegrityError::Malformed("a line is not UTF-8"))?;
        let starts = head.rows.iter().scan(0, |next, row| {
            let start = *next;
            *next += row.line_bytes as usize;
            Some(start)
        });
        Ok(Batch { starts: starts.collect(), hash: stated_hash(&stored.head)?, head, lines: Arc::new(lines) })
    }

    fn open_batch(&self, topic: Topic, position: Position) -> Option<Arc<Batch>> {
        self.opened(topic).iter().find(|batch| batch.head.first <= position && position < batch.head.end()).cloned()
    }

    /// Keeps a batch at hand while `next`, where its reader goes on, lies in it.
    fn keep_open(&self, topic: Topic, batch: &Arc<Batch>, next: Position) {
        let mut opened = self.opened(topic);
        opened.retain(|other| other.head.first != batch.head.first);
        if next < batch.head.end() {
            opened.truncate(OPEN_BATCHES_MAX - 1);
            opened.push_front(Arc::clone(batch));
        }
    }

    fn opened(&self, topic: Topic) -> MutexGuard<'_, VecDeque<Arc<Batch>>> {
        self.open[topic.index()].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A walk along a topic that checks each batch against the one before.
struct Scan<'a> {
    reader: &'a Reader,
    topic: Topic,
    stored: Box<dyn Iterator<Item = Result<Stored, Error>> + 'a>,
    before: ChainLink,
}

impl Scan<'_> {
    /// The next batch, which must hold `position`.
    fn next(&mut self, position: Position) -> Result<Batch, Error> {
        let stored = self.stored.next().ok_or_else(|| IntegrityError::Missing.at(position))??;
        let first = stored.first;
        let batch = self.reader.check(self.topic, stored, self.before).map_err(|failed| match failed {
            IntegrityError::Missing if first > self.before.position => failed.at(self.before.position),
            failed => failed.at(first),
        })?;
        if batch.head.end() <= position {
            return Err(IntegrityError::Missing.at(batch.head.end()));
        }
        self.before = ChainLink { position: batch.head.end(), hash: batch.hash };
        Ok(batch)
    }
}

impl Batch {
    /// Decodes from `position` on until `events` holds `wanted` or the batch ends.
    fn decode(&self, position: Position, wanted: usize, events: &mut Vec<Event>) -> Result<(), Error> {
        let skip = usize::try_from(position.0 - self.head.first.0).unwrap_or(usize::MAX);
        let room = wanted.saturating_sub(events.len());
        for (start, row) in self.starts.iter().zip(&self.head.rows).skip(skip).take(room) {
            // The line feed that ends a line is none of it.
            let end = *start + (row.line_bytes as usize).saturating_sub(1);
            events.push(line::read_kept(&self.lines, *start..end)?);
        }
        Ok(())
    }
}
