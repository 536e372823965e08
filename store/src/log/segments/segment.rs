//! One segment: what some thousand records hold, made of them, asked which of them may answer a question, written and read
//! back.

use std::collections::BTreeSet;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::Stretch;
use super::filter::{self, Filter};
use super::pieces::Pieces;
use super::wanted::{INDEXED, Wanted};
use crate::log::hash_chain::Hash;
use crate::{Event, Instant, Position};

/// What the records from `first` to before `end` hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Position of its first record.
    pub first: Position,
    /// The position after its last record.
    pub end: Position,
    /// Hash of the last batch in it.
    pub hash: Hash,
    /// First and last log time.
    pub time: (Instant, Instant),
    /// Earliest and latest event time.
    pub event_time: (Instant, Instant),
    /// Systems, in order.
    pub systems: Vec<String>,
    /// Kinds, in order.
    pub kinds: Vec<String>,
    pub(super) filter: Filter,
}

/// What is wanted, with the hashes of its names, which are the same for every segment.
pub(super) struct Asked<'a> {
    wanted: &'a Wanted,
    /// Of each column that is asked about, one of these.
    names: Vec<Vec<u64>>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(wanted: &'a Wanted) -> Asked<'a> {
        let indexed = wanted.names.iter().filter(|(column, _)| INDEXED.contains(column));
        let names = indexed.map(|(_, names)| names.iter().map(|name| filter::hash(name)).collect());
        Asked { wanted, names: names.collect() }
    }
}

/// What is kept of a segment besides its filter.
#[derive(Serialize, Deserialize)]
struct Header {
    first: u64,
    end: u64,
    hash: Hash,
    time: (i64, i64),
    event_time: (i64, i64),
    systems: Vec<String>,
    kinds: Vec<String>,
}

impl Segment {
    /// Of the records from `first` on, the last of which ends a batch with that hash.
    pub(super) fn of(first: Position, hash: Hash, events: &[Event]) -> Segment {
        let (mut systems, mut kinds) = (BTreeSet::new(), BTreeSet::new());
        let mut names: HashMap<u64, Pieces> = HashMap::new();
        let mut spans = [(Instant(i64::MAX), Instant(i64::MIN)); 2];
        for (record, event) in events.iter().enumerate() {
            for (span, time) in spans.iter_mut().zip([event.time(), event.event_time()]) {
                *span = (span.0.min(time), span.1.max(time));
            }
            if !systems.contains(event.system()) {
                systems.insert(event.system().to_owned());
            }
            if !kinds.contains(event.kind()) {
                kinds.insert(event.kind().to_owned());
            }
            let here = Pieces::of_record(record, events.len());
            for name in INDEXED.iter().filter_map(|column| event.text(*column)) {
                names.entry(filter::hash(name)).and_modify(|pieces| *pieces = pieces.and(here)).or_insert(here);
            }
        }
        let [time, event_time] = spans;
        let (systems, kinds) = (systems.into_iter().collect(), kinds.into_iter().collect());
        // In an order of their own, so that the same records give the same bytes.
        let mut names: Vec<(u64, Pieces)> = names.into_iter().collect();
        names.sort_unstable_by_key(|(hash, _)| *hash);
        let filter = Filter::of(&names, seed(&hash));
        Segment { first, end: first.plus(events.len()), hash, time, event_time, systems, kinds, filter }
    }

    /// Which of its records may be among those that are wanted; `None` where none may.
    pub(super) fn may_hold(&self, asked: &Asked<'_>) -> Option<Stretch> {
        let wanted = asked.wanted;
        let meets = |span: (Instant, Instant), range: &std::ops::RangeInclusive<i64>| {
            span.0.0 <= *range.end() && span.1.0 >= *range.start()
        };
        let fits = meets(self.time, &wanted.time)
            && meets(self.event_time, &wanted.event_time)
            && wanted.systems.as_ref().is_none_or(|wanted| self.systems.iter().any(|system| wanted.contains(system)))
            && wanted.kinds.as_ref().is_none_or(|wanted| self.kinds.iter().any(|kind| wanted.holds(kind)));
        if !fits {
            return None;
        }
        let mut pieces = Pieces::ALL;
        for alternatives in &asked.names {
            let found = alternatives.iter().filter_map(|hash| self.filter.pieces(*hash)).reduce(Pieces::and)?;
            pieces = pieces.common(found)?;
        }
        let (first, end) = pieces.records(self.end.0 - self.first.0);
        Some(Stretch { first: Position(self.first.0 + first), end: Position(self.first.0 + end) })
    }

    pub(super) fn without_filter(&self) -> Segment {
        Segment { filter: Filter::default(), ..self.clone() }
    }

    /// To be kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            first: self.first.0,
            end: self.end.0,
            hash: self.hash,
            time: (self.time.0.0, self.time.1.0),
            event_time: (self.event_time.0.0, self.event_time.1.0),
            systems: self.systems.clone(),
            kinds: self.kinds.clone(),
        };
        let header = serde_json::to_vec(&header).expect("plain values have a JSON form");
        let length = u32::try_from(header.len()).expect("a segment has few systems and kinds");
        [&length.to_be_bytes(), header.as_slice(), &self.filter.to_bytes()].concat()
    }

    /// As it was kept; `None` when it is not one.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Segment> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (header, filter) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let Header { first, end, hash, time, event_time, systems, kinds } = serde_json::from_slice(header).ok()?;
        let span = |(from, to)| (Instant(from), Instant(to));
        let (time, event_time, filter) = (span(time), span(event_time), Filter::kept(filter)?);
        Some(Segment { first: Position(first), end: Position(end), hash, time, event_time, systems, kinds, filter })
    }
}

/// The hash of a batch is known only when it is written, so that nobody can choose names by it.
fn seed(hash: &Hash) -> u64 {
    hash.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}
