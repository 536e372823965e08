//! Which blocks are final, and what is recorded of it: once that they are, and once where a chain goes back behind them all the
//! same. Pure, and the same for every chain; how final blocks are known, each chain says.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::json;

use super::follow::Cursor;

/// How blocks become final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// Nodes say which (the `finalized` tag of Ethereum and its relatives).
    Told,
    /// Those that have so many blocks above them.
    Depth(u64),
}

/// Settles a cursor as far as `told`, what nodes say, and `finality` let it; gives the record of it where it moved.
#[must_use]
pub fn settle(
    cursor: &mut Cursor,
    finality: Finality,
    told: Option<u64>,
    origin: &Origin,
    chain: &str,
    time: Instant,
) -> Option<Event> {
    let tip = cursor.tip().height;
    let height = match finality {
        Finality::Told => told?.min(tip),
        Finality::Depth(blocks) => tip.checked_sub(blocks)?,
    };
    // What stands below the first block that was read is known and not told.
    if cursor.settled().is_some_and(|settled| height <= settled) || !cursor.settle(height) {
        return None;
    }
    let hash = cursor.at(height).map(|read| read.hash.as_str());
    let id = format!("final/{chain}/{}/{height}/{}", cursor.epoch(), hash.unwrap_or_default());
    let mut event = Event::builder(origin, &id, "chain.finality", time);
    event.chain(chain).outcome("final");
    let mut detail = json!({"block": height, "epoch": cursor.epoch()});
    if let Some(hash) = hash {
        detail["block_hash"] = json!(hash);
    }
    Some(event.detail(&detail).build_own())
}

/// Whether blocks that were final are left when the newest block that both chains have is the one at `fork`, or when `None` that
/// is remembered is. Only what was known to be final was: where a follower began is no word about it.
#[must_use]
pub fn is_reverted(cursor: &Cursor, fork: Option<u64>) -> bool {
    let Some(settled) = cursor.settled() else { return false };
    fork.map_or_else(|| settled >= cursor.oldest() || cursor.is_full(), |fork| fork < settled)
}

/// The record that blocks which were final are no longer part of the nodes' chain. `fork` is the newest block that both have,
/// where that is known; `mark` tells this from other times.
#[must_use]
pub fn reverted(origin: &Origin, cursor: &Cursor, chain: &str, fork: Option<u64>, mark: &str, time: Instant) -> Event {
    let id = format!("reverted/{chain}/{}/{mark}", cursor.epoch());
    let mut event = Event::builder(origin, &id, "chain.finality", time);
    let reason = match fork {
        Some(fork) => {
            format!("the nodes' chain leaves blocks that were final; block {fork} is the newest that still is")
        }
        None => format!("the nodes' chain leaves every block down to {}, and is not followed", cursor.oldest()),
    };
    event.chain(chain).outcome("reverted").reason(reason);
    let mut detail = json!({"block": cursor.settled(), "epoch": cursor.epoch()});
    if let Some(fork) = fork {
        detail["fork_block"] = json!(fork);
    }
    event.detail(&detail).build_own()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::follow::BlockRef;

    fn cursor(blocks: u64) -> Cursor {
        let mut cursor = Cursor::behind(10, "a10", 4);
        for height in 11..=10 + blocks {
            let (hash, parent) = (format!("a{height}"), format!("a{}", height - 1));
            cursor.take(&BlockRef { height, hash, parent, time: Instant(1) });
        }
        cursor
    }

    fn settled(cursor: &mut Cursor, finality: Finality, told: Option<u64>) -> Option<(u64, Option<String>)> {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let event = settle(cursor, finality, told, &origin, "bitcoin", Instant(1))?;
        let detail = event.detail().value();
        Some((detail["block"].as_u64().unwrap(), detail["block_hash"].as_str().map(str::to_owned)))
    }

    #[test]
    fn a_block_is_final_once_and_by_its_depth() {
        let (mut cursor, six) = (cursor(6), Finality::Depth(3));
        assert_eq!(settled(&mut cursor, six, None), Some((13, Some("a13".into()))));
        assert_eq!(settled(&mut cursor, six, None), None, "it was told");
        assert_eq!(settled(&mut self::cursor(3), six, None), None, "nothing was read of what is final");
        assert_eq!(settled(&mut self::cursor(3), Finality::Depth(20), None), None);
    }

    #[test]
    fn what_nodes_say_holds_for_blocks_that_were_read() {
        let mut cursor = cursor(6);
        assert_eq!(settled(&mut cursor, Finality::Told, None), None);
        assert_eq!(settled(&mut cursor, Finality::Told, Some(11)), Some((11, None)), "no longer remembered");
        assert_eq!(settled(&mut cursor, Finality::Told, Some(99)), Some((16, Some("a16".into()))));
        assert_eq!(settled(&mut cursor, Finality::Told, Some(15)), None, "nothing becomes less final");
    }

    #[test]
    fn only_what_was_known_to_be_final_is_reverted() {
        let fresh = Cursor::behind(10, "a10", 4);
        assert!(!is_reverted(&fresh, Some(9)) && !is_reverted(&fresh, None), "it only began there");
        let mut full = cursor(3);
        assert!(full.is_full() && !is_reverted(&full, None));
        // Three blocks are not enough for depth 4: block 9 is final, below the first that was read, and that is not told.
        assert_eq!(settled(&mut full, Finality::Depth(4), None), None);
        assert!(!is_reverted(&full, Some(9)) && is_reverted(&full, Some(8)) && is_reverted(&full, None));
        let mut young = cursor(1);
        assert_eq!(settled(&mut young, Finality::Told, Some(9)), None);
        assert!(!is_reverted(&young, None), "it remembers block 10 and 11, and neither is final");
        assert_eq!(settled(&mut young, Finality::Told, Some(11)), Some((11, Some("a11".into()))));
        assert!(is_reverted(&young, Some(10)) && is_reverted(&young, None) && !is_reverted(&young, Some(11)));
    }

    #[test]
    fn blocks_that_are_left_are_final_no_more() {
        let mut cursor = cursor(6);
        settled(&mut cursor, Finality::Told, Some(15)).unwrap();
        cursor.rewind(14);
        assert_eq!(cursor.settled(), Some(14));
    }
}
