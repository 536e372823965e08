//! Segments are made of a log: where the next ones end, which the heads of batches say, and then several at once, on threads
//! of their own and the caller's, since most of the time goes into reading and checking records.

use std::panic::resume_unwind;
use std::thread;

use super::segment::Segment;
use crate::limits::{SEGMENT_RECORDS_MAX, SEGMENTS_AT_ONCE};
use crate::log::hash_chain::{GENESIS, Hash};
use crate::{Error, Log, Position, Topic};

/// Where a segment lies, and the hash of the batch that it ends with.
struct Place {
    first: Position,
    end: Position,
    hash: Hash,
}

/// The next segments from `first` on, in their order; none where less than a whole one stands before `end`.
pub(super) fn make_next(
    log: &dyn Log,
    topic: Topic,
    mut first: Position,
    end: Position,
) -> Result<Vec<Segment>, Error> {
    let mut places = Vec::new();
    while places.len() < SEGMENTS_AT_ONCE && end.0.saturating_sub(first.0) >= SEGMENT_RECORDS_MAX as u64 {
        let place = place(log, topic, first)?;
        first = place.end;
        places.push(place);
    }
    let last = places.pop();
    thread::scope(|scope| {
        let under_way: Vec<_> = places.into_iter().map(|place| scope.spawn(move || make(log, topic, &place))).collect();
        let last = last.map(|place| make(log, topic, &place));
        let made = under_way.into_iter().map(|made| match made.join() {
            Ok(made) => made,
            Err(panic) => resume_unwind(panic),
        });
        made.chain(last).collect()
    })
}

/// The place of the segment that begins at `first`, after which there are records enough for a whole one.
fn place(log: &dyn Log, topic: Topic, first: Position) -> Result<Place, Error> {
    let end = first.plus(SEGMENT_RECORDS_MAX);
    let (end, hash) = match log.batch_at(topic, Position(end.0 - 1))? {
        None => (end, GENESIS),
        // The batch that would be cut goes to the next segment.
        Some(batch) if batch.end > end && batch.first > first => {
            let before = log.batch_at(topic, Position(batch.first.0 - 1))?;
            (batch.first, before.map_or(GENESIS, |before| before.hash))
        }
        Some(batch) => (batch.end, batch.hash),
    };
    Ok(Place { first, end, hash })
}

fn make(log: &dyn Log, topic: Topic, place: &Place) -> Result<Segment, Error> {
    let records = usize::try_from(place.end.0 - place.first.0).unwrap_or(usize::MAX);
    Ok(Segment::of(place.first, place.hash, &log.read(topic, place.first, records)?))
}
