//! One segment: what some thousand records hold, made of them, asked by a question, written and read back.

use std::collections::BTreeSet;

use hashbrown::HashSet;
use serde::{Deserialize, Serialize};

use super::filter::{self, Filter};
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
        let mut names = HashSet::new();
        let mut spans = [(Instant(i64::MAX), Instant(i64::MIN)); 2];
        for event in events {
            for (span, time) in spans.iter_mut().zip([event.time(), event.event_time()]) {
                *span = (span.0.min(time), span.1.max(time));
            }
            if !systems.contains(event.system()) {
                systems.insert(event.system().to_owned());
            }
            if !kinds.contains(event.kind()) {
                kinds.insert(event.kind().to_owned());
            }
            names.extend(INDEXED.iter().filter_map(|column| event.text(*column)).map(filter::hash));
        }
        let [time, event_time] = spans;
        let (systems, kinds) = (systems.into_iter().collect(), kinds.into_iter().collect());
        let filter = Filter::of(names.into_iter());
        Segment { first, end: first.plus(events.len()), hash, time, event_time, systems, kinds, filter }
    }

    /// Whether a record in it may be one that is wanted.
    #[must_use]
    pub fn may_hold(&self, wanted: &Wanted) -> bool {
        let meets = |span: (Instant, Instant), range: &std::ops::RangeInclusive<i64>| {
            span.0.0 <= *range.end() && span.1.0 >= *range.start()
        };
        meets(self.time, &wanted.time)
            && meets(self.event_time, &wanted.event_time)
            && wanted.systems.as_ref().is_none_or(|wanted| self.systems.iter().any(|system| wanted.contains(system)))
            && wanted.kinds.as_ref().is_none_or(|wanted| self.kinds.iter().any(|kind| wanted.holds(kind)))
            && wanted.names.iter().all(|(column, names)| {
                !INDEXED.contains(column) || names.iter().any(|name| self.filter.may_hold(filter::hash(name)))
            })
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
        [&length.to_be_bytes(), header.as_slice(), self.filter.as_bytes()].concat()
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
