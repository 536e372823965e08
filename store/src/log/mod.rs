//! The log: two topics of records in one total order each, and what every backend keeps.
//!
//! Writing is apart from reading. A [`LogWriter`] makes records durable, and need not know where they stand, at what log
//! time, or whether they were there already: a process that only takes events in has no more than that. A [`Log`] also
//! reads what it appends to, so that it can tell.
//!
//! A record is an [`Event`]. Within a system log time strictly increases; log time is a fold over the records before
//! (see [`admission`]), so that two logs with the same records have the same times.
//!
//! | module | what it holds |
//! |---|---|
//! | [`admission`] | the fold that gives log time, skips repeats, finds conflicts, marks late events |
//! | [`hash_chain`] | how a batch is framed, hashed, linked and signed |
//! | [`memory`] | a log in memory: what a replayed file is read into |
//! | [`faulty`] | logs that fail on command, for tests |
//! | `ids` | the ids by which repeats are recognised, as far as they are not held in memory |
//! | [`segments`] | what each stretch of a log holds, so that what cannot answer a question is not read |
//! | [`embedded`] | the log of one machine, crash-safe, on disk |
//! | [`kafka`] | the log on Apache Kafka |

pub mod admission;
pub mod embedded;
pub mod faulty;
pub mod hash_chain;
mod ids;
pub mod kafka;
pub mod memory;
pub mod segments;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Event, Instant};
use hash_chain::{GENESIS, Hash};

/// Where a log takes its time from; fixed when it is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Log time is the moment of appending, moved on by 1 ns where needed.
    Wall,
    /// Log time travels in the record (imports, copies, incidents, the demo); keywatch's own records take the log's
    /// current time.
    Recorded,
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::Wall => "wall",
            Clock::Recorded => "recorded",
        })
    }
}

/// The two topics. Rules read events only, so that a conclusion can never feed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// What feeds and keywatch say: observations, ticks, inventory and rule activations, responses.
    Events,
    /// What keywatch concludes: `finding.*`, `alert.*`.
    Conclusions,
}

impl Topic {
    /// Both topics.
    pub const ALL: [Topic; 2] = [Topic::Events, Topic::Conclusions];

    /// The name used on disk.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Topic::Events => "events",
            Topic::Conclusions => "conclusions",
        }
    }

    /// Its place in what is kept for each topic, which is that in [`Topic::ALL`].
    pub(in crate::log) fn index(self) -> usize {
        match self {
            Topic::Events => 0,
            Topic::Conclusions => 1,
        }
    }
}

/// The ordinal of a record within its topic, from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// The position `records` further on.
    #[must_use]
    pub fn plus(self, records: usize) -> Position {
        Position(self.0 + records as u64)
    }
}

/// Where a topic ends: what evidence of the topic refers to, and what tells a log that was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicHead {
    /// The position after the last record.
    pub position: Position,
    /// The latest log time in the last batch.
    pub time: Instant,
    /// Hash of the last batch; [`hash_chain::GENESIS`] where the topic is empty or the backend keeps no chain.
    pub hash: Hash,
}

impl TopicHead {
    /// Of an empty topic.
    pub const START: TopicHead = TopicHead { position: Position(0), time: Instant::UNASSIGNED, hash: GENESIS };
}

/// A batch of a topic, where the backend keeps a chain of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlace {
    /// Position of its first record.
    pub first: Position,
    /// The position after its last record.
    pub end: Position,
    /// Its hash.
    pub hash: Hash,
}

/// What an append did, once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first record written (the end of the topic when none was).
    pub first: Position,
    /// The records written, with their log time; conflicts stand here as `source.conflict`.
    pub written: Vec<Event>,
    /// Events skipped because the same id and content stood in the log already.
    pub repeats: usize,
    /// Events whose id stood in the log with other content.
    pub conflicts: usize,
}

/// What became of records that were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The writer reads the log too, and knows.
    Admitted(Appended),
    /// So many are durable. Whoever reads the log gives them their log time and skips those that it had.
    Sent(usize),
}

/// The writing half of a log.
pub trait LogWriter: Send + Sync {
    /// Writes events in their order and returns when they are durable (promise P2).
    ///
    /// # Errors
    /// As [`Log::append`].
    fn write(&self, topic: Topic, events: Vec<Event>) -> Result<Written, Error>;
}

impl<L: Log + ?Sized> LogWriter for L {
    fn write(&self, topic: Topic, events: Vec<Event>) -> Result<Written, Error> {
        self.append(topic, events).map(Written::Admitted)
    }
}

/// An append-only log of one partition.
pub trait Log: Send + Sync {
    /// Appends events in their order and returns when they are durable (promise P2).
    ///
    /// # Errors
    /// [`Error::CannotWrite`], [`Error::ClockJump`], [`Error::Closed`]; nothing of the batch is then acknowledged.
    fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error>;

    /// Reads at most `records_max` records from `from` on; empty at the end of the topic.
    ///
    /// # Errors
    /// [`Error::Expired`] when `from` is no longer kept, [`Error::Tampered`] when a batch does not verify.
    fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error>;

    /// The position after the last record of a topic.
    fn end(&self, topic: Topic) -> Position;

    /// Where a topic ends, and the hash of its last batch where the backend keeps a chain.
    fn head(&self, topic: Topic) -> TopicHead {
        TopicHead { position: self.end(topic), ..TopicHead::START }
    }

    /// The position of the oldest record kept.
    fn oldest(&self, _topic: Topic) -> Position {
        Position(0)
    }

    /// The batch that holds the record at `position`; `None` where there is no such record, or the backend keeps no chain.
    ///
    /// # Errors
    /// [`Error::Tampered`] when its head does not verify.
    fn batch_at(&self, _topic: Topic, _position: Position) -> Result<Option<BatchPlace>, Error> {
        Ok(None)
    }

    /// The log time that a record of keywatch's own would get now in `system`: the time of the system's last record.
    fn time_of(&self, system: &str) -> Option<Instant>;

    /// Where this log takes its time from.
    fn clock(&self) -> Clock;

    /// Whether it is known to lack records that others have of it, so that what they have kept may reach further than it does.
    fn lacks_records(&self) -> bool {
        false
    }
}
