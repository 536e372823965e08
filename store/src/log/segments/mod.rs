//! What each stretch of the log holds, so that a question is answered without reading what cannot answer it.
//!
//! A [`Segment`] stands for some thousand records in whole batches: between which times, of which systems and kinds, and
//! a filter of the names in them (sessions, people, wallets, requests, transactions, addresses) that knows from which
//! sixteenth of it to which each stands. Segments are made by reading the log, kept in a file beside it, and can be
//! deleted: what is missing is made again. They only ever say what need not be read. They are sealed with the log's key and
//! carry the hash of the batch that they end with, so that those of another log, or of one that was changed, count for
//! nothing.
//!
//! | module | what it holds |
//! |---|---|
//! | `segment` | one segment: made of records, asked which of them may be [`Wanted`] |
//! | `wanted` | what a question asks of time, system, kind and names |
//! | `filter` | an xor filter of names |
//! | `pieces` | the sixteenths of a segment |
//! | `making` | segments of the records of a log, several at once |
//! | `file` | segments on disk |
//!
//! It works over any [`Log`]; what a record means it does not know.

mod file;
mod filter;
mod making;
mod pieces;
mod segment;
#[cfg(test)]
mod tests;
mod wanted;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use crate::limits::{SEGMENT_FILTERS_BYTES_MAX, SEGMENT_RECORDS_MAX, SEGMENTS_BETWEEN_LOOKS};
use crate::log::hash_chain::Key;
use crate::{Error, Log, Position, Topic};
use file::File;
use making::make_next;
use segment::Asked;
pub use segment::Segment;
pub use wanted::{INDEXED, Kinds, Wanted};

/// The directory of the segments within that of a log.
pub const DIRECTORY: &str = "segments";

/// Records from `first` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The first record.
    pub first: Position,
    /// The position after the last.
    pub end: Position,
}

/// What of a topic has to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadPlan {
    /// In the order of the log.
    pub stretches: Vec<Stretch>,
    /// Records that need not be read.
    pub skipped: u64,
}

/// The segments of a log.
#[derive(Debug)]
pub struct Segments {
    kept: Option<Kept>,
    topics: [TopicSegments; 2],
}

#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    key: Key,
}

#[derive(Debug, Default)]
struct TopicSegments {
    /// Held while segments are made; `None` until they were looked for on disk.
    making: Mutex<Option<File>>,
    made: RwLock<Arc<Vec<Arc<Segment>>>>,
}

impl Segments {
    /// For a log that keeps nothing.
    #[must_use]
    pub fn in_memory() -> Segments {
        Segments { kept: None, topics: [TopicSegments::default(), TopicSegments::default()] }
    }

    /// Beside the log in `log_directory`, sealed with its key.
    pub(in crate::log) fn beside(log_directory: &Path, key: Key) -> Segments {
        let kept = Kept { directory: log_directory.join(DIRECTORY), key };
        Segments { kept: Some(kept), topics: [TopicSegments::default(), TopicSegments::default()] }
    }

    /// Those that are made, oldest first.
    #[must_use]
    pub fn made(&self, topic: Topic) -> Arc<Vec<Arc<Segment>>> {
        Arc::clone(&self.topic(topic).made.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes what is missing up to the end that the log has at the call. `progress` is told the records read and may end
    /// it. Where another thread is making them, it returns at once; where one panicked meanwhile, they are made all the same.
    ///
    /// # Errors
    /// The log cannot be read. That segments cannot be kept is said in the log lines and costs a later start time only.
    pub fn catch_up(
        &self,
        log: &dyn Log,
        topic: Topic,
        mut progress: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let Some(mut making) = self.topic(topic).begin_making() else { return Ok(()) };
        let file = self.file(&mut making, log, topic);
        let end = log.end(topic);
        self.let_go_of_expired(log, topic, file);
        let mut next = self.end(topic).max(log.oldest(topic));
        'all: loop {
            let made = make_next(log, topic, next, end)?;
            if made.is_empty() {
                break;
            }
            for segment in made {
                let read = segment.end.0 - next.0;
                next = segment.end;
                file.append(&segment);
                self.add(topic, segment);
                if progress(read).is_break() {
                    break 'all;
                }
            }
        }
        file.flush();
        Ok(())
    }

    fn add(&self, topic: Topic, segment: Segment) {
        self.change(topic, |made| {
            made.push(Arc::new(segment));
            // It looks at all of them.
            if made.len().is_multiple_of(SEGMENTS_BETWEEN_LOOKS) {
                bound_filters(made);
            }
        });
    }

    /// What of a topic may hold records that are wanted.
    pub fn plan(&self, log: &dyn Log, topic: Topic, wanted: &Wanted) -> ReadPlan {
        let (oldest, end) = (log.oldest(topic), log.end(topic));
        let (mut plan, asked) = (ReadPlan::default(), Asked::of(wanted));
        let mut next = oldest;
        for segment in self.made(topic).iter().filter(|segment| segment.end > oldest && segment.end <= end) {
            // Where the log has let go of records in between, nothing is known of what stands there now.
            plan.read(next, segment.first);
            let first = segment.first.max(next);
            let read = segment.may_hold(&asked).map_or(0, |held| plan.read(held.first.max(first), held.end));
            plan.skipped += segment.end.0 - first.0 - read;
            next = segment.end;
        }
        plan.read(next, end);
        plan
    }

    fn file<'a>(&self, making: &'a mut Option<File>, log: &dyn Log, topic: Topic) -> &'a mut File {
        if making.is_none() {
            let (mut file, mut found) = match &self.kept {
                Some(kept) => File::open(&kept.directory, topic, &kept.key),
                None => (File::none(), Vec::new()),
            };
            let sound = found.partition_point(|segment| stands(log, topic, segment));
            if sound < found.len() {
                tracing::warn!(topic = topic.name(), left_out = found.len() - sound, "segments of another log");
                found.truncate(sound);
                file.keep_first(&found);
            }
            self.change(topic, |made| {
                *made = found.into_iter().map(Arc::new).collect();
                bound_filters(made);
            });
            *making = Some(file);
        }
        making.get_or_insert_with(File::none)
    }

    fn let_go_of_expired(&self, log: &dyn Log, topic: Topic, file: &mut File) {
        let oldest = log.oldest(topic);
        let made = self.made(topic);
        let expired = made.partition_point(|segment| segment.end <= oldest);
        if expired > 0 {
            self.change(topic, |made| drop(made.drain(..expired)));
        }
        // Rewriting costs as much as what stays, so it waits until as much has gone.
        if expired > 0 && expired * 2 >= made.len() {
            file.rewrite(&self.made(topic));
        }
    }

    fn end(&self, topic: Topic) -> Position {
        self.made(topic).last().map_or(Position(0), |segment| segment.end)
    }

    fn change(&self, topic: Topic, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        let mut made = self.topic(topic).made.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut *made));
    }

    fn topic(&self, topic: Topic) -> &TopicSegments {
        match topic {
            Topic::Events => &self.topics[0],
            Topic::Conclusions => &self.topics[1],
        }
    }
}

impl TopicSegments {
    /// A turn to make segments; `None` while another thread has it.
    fn begin_making(&self) -> Option<MutexGuard<'_, Option<File>>> {
        match self.making.try_lock() {
            Ok(making) => Some(making),
            Err(TryLockError::WouldBlock) => None,
            // Whoever had it panicked, perhaps between the file and what is in memory: the file is gone by.
            Err(TryLockError::Poisoned(poisoned)) => {
                self.making.clear_poison();
                let mut making = poisoned.into_inner();
                *making = None;
                Some(making)
            }
        }
    }
}

impl ReadPlan {
    /// Adds a stretch in pieces that are read at once; how many records it has.
    fn read(&mut self, mut first: Position, end: Position) -> u64 {
        let records = end.0.saturating_sub(first.0);
        while first < end {
            let piece = first.plus(SEGMENT_RECORDS_MAX).min(end);
            self.stretches.push(Stretch { first, end: piece });
            first = piece;
        }
        records
    }
}

/// Whether the log has the batch that the segment ends with. The hash speaks for everything before it, so that of the
/// segments that follow one another in a file the first that do not stand are followed by none that does.
fn stands(log: &dyn Log, topic: Topic, segment: &Segment) -> bool {
    if segment.end <= log.oldest(topic) {
        return true;
    }
    let batch = segment.end.0.checked_sub(1).and_then(|last| log.batch_at(topic, Position(last)).ok().flatten());
    batch.is_some_and(|batch| batch.end == segment.end && batch.hash == segment.hash)
}

/// Lets go of the filters of the oldest segments where all of them would take too much memory: what they hold is then read.
fn bound_filters(made: &mut [Arc<Segment>]) {
    let mut bytes: usize = made.iter().map(|segment| segment.filter.bytes()).sum();
    for segment in made {
        if bytes <= SEGMENT_FILTERS_BYTES_MAX {
            return;
        }
        bytes -= segment.filter.bytes();
        *segment = Arc::new(segment.without_filter());
    }
}
