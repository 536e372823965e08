//! The small values of the log and their bytes: which log this is, where each topic begins and ends, where each system
//! stands. They are committed with the batch that changes them.

use std::collections::HashMap;
use std::path::Path;

use super::disk::{Change, Disk};
use crate::log::hash_chain::{GENESIS, Hash, IntegrityError, Key};
use crate::log::ids::Place;
use crate::{Clock, Error, Instant, Position, Topic};

/// The name of the value that says which log this is.
pub(super) const LOG: &[u8] = b"log";

/// A place between two batches of a topic: a position and the hash of the batch before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChainLink {
    pub(super) position: Position,
    pub(super) hash: Hash,
}

impl ChainLink {
    pub(super) const START: ChainLink = ChainLink { position: Position(0), hash: GENESIS };

    fn to_bytes(self) -> Vec<u8> {
        [self.position.0.to_be_bytes().as_slice(), &self.hash].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<ChainLink> {
        let (position, hash) = bytes.split_first_chunk()?;
        Some(ChainLink { position: Position(u64::from_be_bytes(*position)), hash: hash.try_into().ok()? })
    }
}

impl From<ChainLink> for Place {
    fn from(link: ChainLink) -> Place {
        Place { position: link.position.0, hash: link.hash }
    }
}

impl From<Place> for ChainLink {
    fn from(place: Place) -> ChainLink {
        ChainLink { position: Position(place.position), hash: place.hash }
    }
}

/// Where a system stands in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SystemPlace {
    /// Log time of its last record.
    pub(super) time: Instant,
    /// First position of the oldest batch with an id of it that is not forgotten.
    pub(super) remembered_from: Position,
    /// First position of the last batch with a record of it.
    pub(super) last: Position,
}

impl SystemPlace {
    fn to_bytes(self) -> Vec<u8> {
        [self.time.0.to_be_bytes(), self.remembered_from.0.to_be_bytes(), self.last.0.to_be_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<SystemPlace> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (remembered_from, last) = rest.split_first_chunk()?;
        Some(SystemPlace {
            time: Instant(i64::from_be_bytes(*time)),
            remembered_from: Position(u64::from_be_bytes(*remembered_from)),
            last: Position(u64::from_be_bytes(last.try_into().ok()?)),
        })
    }
}

/// Notes that this is a log with `clock` that has a head file beside it.
pub(super) fn put_clock(change: &mut Change<'_>, clock: Clock, key: &Key) {
    change.put_value(LOG, format!("2 {clock}").as_bytes(), key);
}

/// Which log this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) clock: Clock,
    /// Whether a head file must lie beside it; logs of format 1 had none.
    pub(super) has_head: bool,
}

pub(super) fn kind(disk: &Disk, key: &Key, path: &Path) -> Result<Option<Kind>, Error> {
    let Some(value) = disk.value(LOG, key)? else { return Ok(None) };
    let (clock, has_head) = match value.as_slice() {
        b"1 wall" => (Clock::Wall, false),
        b"1 recorded" => (Clock::Recorded, false),
        b"2 wall" => (Clock::Wall, true),
        b"2 recorded" => (Clock::Recorded, true),
        other => {
            let problem = format!("is a log of format `{}`, which this keywatch does not know", other.escape_ascii());
            return Err(Error::Storage { path: path.to_owned(), problem });
        }
    };
    Ok(Some(Kind { clock, has_head }))
}

/// Where a topic ends.
pub(super) fn put_tip(change: &mut Change<'_>, topic: Topic, tip: ChainLink, key: &Key) {
    change.put_value(&named("tip", topic), &tip.to_bytes(), key);
}

pub(super) fn tip(disk: &Disk, topic: Topic, key: &Key) -> Result<ChainLink, Error> {
    chain_link(disk, &named("tip", topic), key)
}

/// Where the kept part of a topic begins.
pub(super) fn put_kept(change: &mut Change<'_>, topic: Topic, kept: ChainLink, key: &Key) {
    change.put_value(&named("kept", topic), &kept.to_bytes(), key);
}

pub(super) fn kept(disk: &Disk, topic: Topic, key: &Key) -> Result<ChainLink, Error> {
    chain_link(disk, &named("kept", topic), key)
}

pub(super) fn put_system(change: &mut Change<'_>, topic: Topic, system: &str, place: SystemPlace, key: &Key) {
    change.put_value(&of_system("system", topic, system), &place.to_bytes(), key);
}

pub(super) fn systems(disk: &Disk, topic: Topic, key: &Key) -> Result<HashMap<String, SystemPlace>, Error> {
    let values = disk.values(&of_system("system", topic, ""), key)?;
    let read = values.into_iter().map(|(name, value)| {
        let name = String::from_utf8(name).map_err(|_| malformed("system"))?;
        let place = SystemPlace::from_bytes(&value).ok_or_else(|| malformed(&name))?;
        Ok((name, place))
    });
    read.collect()
}

/// The declared delays of a system's sources, nanoseconds.
pub(super) fn put_delays(
    change: &mut Change<'_>,
    topic: Topic,
    system: &str,
    delays: &HashMap<String, i64>,
    key: &Key,
) {
    let json = serde_json::to_vec(delays).expect("a map from texts to integers is always JSON");
    change.put_value(&of_system("delays", topic, system), &json, key);
}

pub(super) fn delays(disk: &Disk, topic: Topic, system: &str, key: &Key) -> Result<HashMap<String, i64>, Error> {
    let Some(json) = disk.value(&of_system("delays", topic, system), key)? else { return Ok(HashMap::new()) };
    serde_json::from_slice(&json).map_err(|_| malformed("delays"))
}

fn chain_link(disk: &Disk, name: &[u8], key: &Key) -> Result<ChainLink, Error> {
    let Some(value) = disk.value(name, key)? else { return Ok(ChainLink::START) };
    ChainLink::from_bytes(&value).ok_or_else(|| malformed(&String::from_utf8_lossy(name)))
}

fn named(what: &str, topic: Topic) -> Vec<u8> {
    format!("{what}/{}", topic.name()).into_bytes()
}

fn of_system(what: &str, topic: Topic, system: &str) -> Vec<u8> {
    format!("{what}/{}/{system}", topic.name()).into_bytes()
}

fn malformed(name: &str) -> Error {
    IntegrityError::Value(name.to_owned()).at(Position(0))
}
