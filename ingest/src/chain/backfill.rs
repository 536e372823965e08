//! Old blocks that are read for wallets which are watched only since later: which, and what is recorded of it. Pure, and the
//! same for every chain.
//!
//! What is still to be read stands in the log as `chain.backfill`: behind the events of old blocks in the same append, and again
//! before each cursor that follows, so that a start finds it among the newest records.

use std::collections::BTreeMap;

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::follow::{Used, used_of};
use crate::limits::BACKFILL_WALLETS_MAX;

/// Old blocks that are still to be read for some wallets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The wallets, as the inventory names them.
    pub wallets: Vec<String>,
    /// The next block.
    pub next: u64,
    /// The last one.
    pub to: u64,
}

/// What is to be read for wallets that were added when `tip` was the newest block read, each with the block that it shall be
/// read from, where one is declared. Wallets beyond what fits beside `before`, what is pending already, are named in the second
/// list.
#[must_use]
pub fn pending(added: Vec<(String, u64)>, tip: u64, before: &[Pending]) -> (Vec<Pending>, Vec<String>) {
    let room = BACKFILL_WALLETS_MAX.saturating_sub(before.iter().map(|pending| pending.wallets.len()).sum());
    let mut wanted: Vec<(String, u64)> = added.into_iter().filter(|(_, first)| (1..=tip).contains(first)).collect();
    let left_out = wanted.split_off(wanted.len().min(room));
    // Those with the same first block are read together.
    let mut by_first: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (wallet, first) in wanted {
        by_first.entry(first).or_default().push(wallet);
    }
    let pieces = by_first.into_iter().map(|(next, wallets)| Pending { wallets, next, to: tip });
    (pieces.collect(), left_out.into_iter().map(|(wallet, _)| wallet).collect())
}

/// After a reorganisation down to the block at `fork`: what is above it is read anew, by then with these wallets.
pub fn cut(pending: &mut Vec<Pending>, fork: u64) {
    for piece in pending.iter_mut() {
        piece.to = piece.to.min(fork);
    }
    pending.retain(|piece| piece.next <= piece.to);
}

/// Whether the old blocks of a wallet up to the one at `tip` are among those that are still to be read.
#[must_use]
pub fn reaches(pending: &[Pending], wallet: &str, tip: u64) -> bool {
    pending.iter().any(|piece| piece.to >= tip && piece.wallets.iter().any(|one| one == wallet))
}

/// The record of what is still to be read, and of the addresses `used` by then, which old blocks may show. `anchor` tells it
/// from the records before it.
#[must_use]
pub fn record(origin: &Origin, chain: &str, pending: &[Pending], used: &Used, anchor: &str, time: Instant) -> Event {
    let pieces: Vec<Value> =
        pending.iter().map(|piece| json!({"wallets": piece.wallets, "next": piece.next, "to": piece.to})).collect();
    let mut detail = json!({ "pending": pieces });
    if !used.is_empty() {
        detail["used"] = json!(used);
    }
    let mut event = Event::builder(origin, &format!("backfill/{chain}/{anchor}/{detail}"), "chain.backfill", time);
    event.chain(chain).detail(&detail);
    event.build_own()
}

/// What is still to be read, on its way back from the records of a log, which are given the newest first.
#[derive(Debug)]
pub struct Restoring<'a> {
    source: &'a str,
    chain: &'a str,
    cursors: usize,
    found: Vec<Pending>,
    used: Used,
}

impl<'a> Restoring<'a> {
    /// Of a source on a chain.
    #[must_use]
    pub fn new(source: &'a str, chain: &'a str) -> Restoring<'a> {
        Restoring { source, chain, cursors: 0, found: Vec::new(), used: Used::new() }
    }

    /// Takes a record; says whether older ones say nothing more. What is pending stands before the newest cursor or behind it,
    /// and never before an older one.
    pub fn take(&mut self, event: &Event) -> bool {
        if event.source() != self.source || event.chain() != Some(self.chain) {
            return false;
        }
        match event.kind() {
            "chain.backfill" => {
                let detail = event.detail().value();
                self.used = used_of(&detail["used"]);
                self.found.extend(detail["pending"].as_array().into_iter().flatten().filter_map(piece));
                true
            }
            "chain.progress" => {
                self.cursors += 1;
                self.cursors > 1
            }
            _ => false,
        }
    }

    /// What is pending, and the addresses that were used by then.
    #[must_use]
    pub fn end(self) -> (Vec<Pending>, Used) {
        (self.found, self.used)
    }
}

fn piece(value: &Value) -> Option<Pending> {
    let wallets = value["wallets"].as_array()?.iter().filter_map(|wallet| Some(wallet.as_str()?.to_owned()));
    Some(Pending { wallets: wallets.collect(), next: value["next"].as_u64()?, to: value["to"].as_u64()? })
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;
    use crate::chain::follow::Cursor;

    fn origin() -> Origin {
        Origin { system: "cold".into(), source: "node".into() }
    }

    fn piece_of(wallets: &[&str], next: u64, to: u64) -> Pending {
        Pending { wallets: wallets.iter().map(|wallet| (*wallet).to_owned()).collect(), next, to }
    }

    #[test]
    fn wallets_are_read_from_the_block_that_is_declared_and_never_from_one_to_come() {
        let added =
            [("a", 5), ("b", 0), ("c", 5), ("d", 11), ("e", 10)].map(|(wallet, first)| (wallet.to_owned(), first));
        let (pieces, left_out) = pending(added.to_vec(), 10, &[]);
        assert_eq!(pieces, [piece_of(&["a", "c"], 5, 10), piece_of(&["e"], 10, 10)]);
        assert!(left_out.is_empty());
        let before = piece_of(&["w"; BACKFILL_WALLETS_MAX - 1], 1, 2);
        let (pieces, left_out) = pending(added.to_vec(), 10, &[before]);
        assert_eq!((pieces, left_out), (vec![piece_of(&["a"], 5, 10)], vec!["c".to_owned(), "e".to_owned()]));
    }

    #[test]
    fn what_a_reorganisation_leaves_is_read_with_the_rest() {
        let mut pieces = vec![piece_of(&["a"], 5, 10), piece_of(&["b"], 9, 10)];
        cut(&mut pieces, 8);
        assert_eq!(pieces, [piece_of(&["a"], 5, 8)]);
    }

    #[test]
    fn a_wallet_is_read_up_to_where_it_is_watched_and_not_only_up_to_where_it_was_once_added() {
        let pending = [piece_of(&["a", "b"], 5, 10), piece_of(&["a"], 11, 20)];
        assert!(reaches(&pending, "a", 20) && reaches(&pending, "b", 10));
        assert!(!reaches(&pending, "b", 20), "taken out and declared again, it has blocks 11 to 20 to be read");
        assert!(!reaches(&pending, "c", 1));
    }

    fn restored(records: &[Event]) -> Vec<Pending> {
        restored_with_used(records).0
    }

    fn restored_with_used(records: &[Event]) -> (Vec<Pending>, Used) {
        let mut restoring = Restoring::new("node", "ethereum");
        records.iter().rev().any(|record| restoring.take(record));
        restoring.end()
    }

    #[test]
    fn what_is_pending_comes_back_from_its_newest_record() {
        let cursor = |height: u64| {
            Cursor::behind(height, &format!("a{height}"), 4).record(&origin(), "ethereum", 1, false, Instant(1))
        };
        let said =
            |pending: &[Pending], chain: &str| record(&origin(), chain, pending, &Used::new(), "anchor", Instant(1));
        let (first, second) = (piece_of(&["a", "b"], 5, 10), piece_of(&["a", "b"], 8, 10));
        let mut records = vec![cursor(10), said(from_ref(&first), "ethereum"), cursor(11)];
        assert_eq!(restored(&records), [first]);
        records.extend([said(from_ref(&second), "ethereum"), said(&[], "base")]);
        assert_eq!(restored(&records), [second]);
        records.push(said(&[], "ethereum"));
        assert!(restored(&records).is_empty());
        let used = Used::from([("w/0".to_owned(), 9)]);
        records.push(record(&origin(), "ethereum", &[], &used, "anchor", Instant(1)));
        assert_eq!(restored_with_used(&records), (Vec::new(), used));
        records.extend([cursor(12), cursor(13)]);
        assert!(restored(&records).is_empty());
        assert_ne!(said(&[], "ethereum").event_id(), said(&[piece_of(&["a"], 1, 2)], "ethereum").event_id());
    }
}
