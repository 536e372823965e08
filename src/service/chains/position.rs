//! Where a follower stands, read back from the log: its cursor, and what it had said of blocks that are left.
//!
//! Both are found by going backwards through the log, which for a follower that runs is a matter of its newest records.

use keywatch_ingest::chain::follow::{Cursor, ReadRef, Restoring};
use keywatch_ingest::chain::leaving::retraction;
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
    let (mut is_down, mut is_restored, mut further) = (None, false, 0_usize);
    backwards(log, |event| {
        further += usize::from(is_restored);
        if event.system() == origin.system {
            let of_it = event.source() == origin.source && event.chain() == Some(chain);
            // What is said of one of the nodes is no word of the source.
            if of_it && event.kind() == "source.status" && event.detail().value()["replica"].is_null() {
                is_down.get_or_insert(event.outcome() == Some("down"));
            }
            is_restored = is_restored || restoring.take(event);
        }
        // A process may have ended between the block that was read again and the word that it was.
        is_restored && (is_down.is_some() || further > PIPELINE_RECORDS_MAX)
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
        let is_first = || event.detail().value()["first"].as_bool().unwrap_or_default();
        // Where it began, what is left may have been remembered only, and nothing was said of it.
        event.kind() == "chain.progress" && (is_first() || at().is_some_and(|height| height <= fork))
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

#[cfg(test)]
mod tests {
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    #[test]
    fn a_block_that_was_read_again_does_not_say_that_all_is_well() {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let status = |outcome: &str| {
            let mut event = Event::builder(&origin, outcome, "source.status", Instant(1));
            event.chain("base").outcome(outcome);
            event.build_own()
        };
        let read = Cursor::behind(10, "a10", 4).record(&origin, "base", 1, true, Instant(2));
        let log = MemoryLog::new();
        log.append(Topic::Events, vec![status("down"), read]).unwrap();
        let was_down = || cursor(&log, &origin, "base", 4).unwrap().1;
        assert!(was_down(), "the process ended before it said so");
        log.append(Topic::Events, vec![status("ok")]).unwrap();
        assert!(!was_down());
    }
}
