//! Where a follower stands, read back from the log: its cursor, and what it had said of blocks that are left.
//!
//! Both are found by going backwards through the log, which for a follower that runs is a matter of its newest records.

use keywatch_ingest::chain::follow::{Cursor, ReadRef, Restoring, retraction};
use keywatch_store::event::Origin;
use keywatch_store::{Error, Event, Instant, Log, Position, Topic};

use crate::limits::PIPELINE_RECORDS_MAX;

/// The cursor of `origin` on a chain, `None` where it never followed it; and whether its last word is that nothing can be
/// read.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn cursor(
    log: &dyn Log,
    origin: &Origin,
    chain: &str,
    depth_max: usize,
) -> Result<(Option<Cursor>, bool), Error> {
    let mut restoring = Restoring::new(&origin.source, chain, depth_max);
    let mut is_down = None;
    backwards(log, |event| {
        if event.system() != origin.system {
            return false;
        }
        let of_it = event.source() == origin.source && event.chain() == Some(chain);
        // What is said of one of the nodes is no word of the source.
        if of_it && event.kind() == "source.status" && event.detail().value()["replica"].is_null() {
            is_down.get_or_insert(event.outcome() == Some("down"));
        }
        restoring.take(event)
    })?;
    Ok((restoring.end(), is_down.unwrap_or_default()))
}

/// What takes back the events of blocks that are left, the oldest first. `fork` is the height of the newest block that
/// stays.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn retractions(
    log: &dyn Log,
    origin: &Origin,
    chain: &str,
    left: &[ReadRef],
    (fork, epoch): (u64, u64),
    time: Instant,
) -> Result<Vec<Event>, Error> {
    let mut taken = Vec::new();
    backwards(log, |event| {
        if event.source() != origin.source || event.system() != origin.system || event.chain() != Some(chain) {
            return false;
        }
        taken.extend(retraction(origin, event, left, epoch, time));
        let at = || event.detail().value()["block"].as_u64();
        event.kind() == "chain.progress" && at().is_some_and(|height| height <= fork)
    })?;
    taken.reverse();
    Ok(taken)
}

/// Goes through the events topic from its end until `take` says that it has enough, or nothing older is kept.
pub(crate) fn backwards(log: &dyn Log, mut take: impl FnMut(&Event) -> bool) -> Result<(), Error> {
    let mut end = log.end(Topic::Events).0;
    while end > 0 {
        let from = end.saturating_sub(PIPELINE_RECORDS_MAX as u64);
        let count = usize::try_from(end - from).expect("a piece is small");
        let events = match log.read(Topic::Events, Position(from), count) {
            Ok(events) => events,
            Err(Error::Expired { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        if events.iter().rev().any(&mut take) {
            return Ok(());
        }
        end = from;
    }
    Ok(())
}
