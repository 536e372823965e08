//! What is recorded of blocks that are left by a reorganisation: that they are, and each event of theirs that no longer holds.
//! Pure, and the same for every chain; which blocks those are, the cursor knows.

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::json;

use super::follow::{Cursor, ReadRef};

/// On whose word blocks were left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// How many nodes said so: of each height that was asked for, at least so many.
    pub agreed: usize,
    /// How many had to.
    pub quorum: usize,
}

/// The record of a reorganisation: `left` are the blocks that are no longer part of the chain, the newest first.
#[must_use]
pub fn reorganisation(
    origin: &Origin,
    chain: &str,
    cursor: &Cursor,
    left: &[ReadRef],
    word: Agreement,
    time: Instant,
) -> Event {
    let id = format!("reorg/{chain}/{}/{}", cursor.epoch(), cursor.tip().hash);
    let mut event = Event::builder(origin, &id, "chain.reorg", time);
    event.chain(chain).detail(&json!({
        "depth": left.len(),
        "fork_block": cursor.tip().height,
        "fork_hash": cursor.tip().hash,
        "epoch": cursor.epoch(),
        "left": left.iter().map(|read| read.hash.as_str()).collect::<Vec<_>>(),
        "agreed": word.agreed,
        "quorum": word.quorum,
    }));
    event.build_own()
}

/// The record that an event of a block that was left no longer holds; nothing for what needs no taking back.
#[must_use]
pub fn retraction(origin: &Origin, event: &Event, left: &[ReadRef], epoch: u64, time: Instant) -> Option<Event> {
    const TAKEN_BACK: [&str; 7] = [
        "chain.tx",
        "chain.transfer",
        "chain.contract",
        "chain.module_tx",
        "chain.approval",
        "chain.balance",
        "chain.destination",
    ];
    if event.source() != origin.source || !TAKEN_BACK.contains(&event.kind()) {
        return None;
    }
    let detail = event.detail().value();
    let of_it = |read: &&ReadRef| {
        detail["block_hash"] == json!(read.hash) && detail["epoch"].as_u64().unwrap_or_default() == read.epoch
    };
    let read = left.iter().find(of_it)?;
    let id = format!("retracted/{epoch}/{}", event.event_id());
    let mut taken = Event::builder(origin, &id, "chain.retracted", time);
    taken.wallet(event.wallet()).tx(event.tx()).chain(event.chain()).request(event.request());
    taken.asset(event.asset()).from_address(event.from_address()).to_address(event.to_address());
    taken.amount(event.amount().cloned());
    let mut said = json!({
        "event": event.event_id().to_string(),
        "kind": event.kind(),
        "block": read.height,
        "block_hash": read.hash,
        "epoch": epoch,
    });
    if detail["direction"].is_string() {
        said["direction"] = detail["direction"].clone();
    }
    Some(taken.detail(&said).build_own())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::follow::BlockRef;

    fn origin() -> Origin {
        Origin { system: "cold".into(), source: "node".into() }
    }

    fn cursor() -> Cursor {
        let mut cursor = Cursor::behind(10, "a10", 4);
        for (height, hash, parent) in [(11, "a11", "a10"), (12, "a12", "a11"), (13, "a13", "a12")] {
            cursor.take(&BlockRef { height, hash: hash.into(), parent: parent.into(), time: Instant(1) });
        }
        cursor
    }

    #[test]
    fn a_reorganisation_says_on_whose_word_it_was() {
        let mut cursor = cursor();
        let left = cursor.rewind(12);
        let word = Agreement { agreed: 3, quorum: 2 };
        let detail = reorganisation(&origin(), "base", &cursor, &left, word, Instant(2)).detail().value();
        assert_eq!((&detail["agreed"], &detail["quorum"], &detail["fork_block"]), (&json!(3), &json!(2), &json!(12)));
    }

    #[test]
    fn what_a_left_block_said_is_taken_back_once_in_each_epoch() {
        let mut cursor = cursor();
        let said = |kind, hash: &str, epoch: u64| {
            let mut event = Event::builder(&origin(), &format!("{kind}{hash}{epoch}"), kind, Instant(1));
            event.wallet("w").detail(&json!({"block_hash": hash, "epoch": epoch}));
            event.build_own()
        };
        let left = cursor.rewind(12);
        let taken = |event: &Event| retraction(&origin(), event, &left, 1, Instant(2));
        let first = said("chain.transfer", "a13", 0);
        let record = taken(&first).unwrap();
        assert_eq!(record.detail().value()["event"], json!(first.event_id().to_string()));
        assert_eq!(record.wallet(), Some("w"));
        assert!(taken(&said("chain.transfer", "a12", 0)).is_none(), "its block stands");
        assert!(taken(&said("chain.transfer", "a13", 5)).is_none(), "another reading of the block");
        assert!(taken(&said("chain.progress", "a13", 0)).is_none());
    }
}
