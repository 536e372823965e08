//! Blocks held against their hashes (`keywatch_ingest::chain::evm::roots`), and what becomes of one that is not what its hash
//! stands for: the next node is asked. Where no node has another, all of them may lie, or a fork brought a form that is not known
//! here; then the block is read all the same, and that nothing vouches for it is told.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use keywatch_ingest::chain::evm::{Block, Receipt, events, roots};
use keywatch_store::Instant;
use tokio::time;

use crate::clock;
use crate::limits::{UNVOUCHED_BLOCKS_MAX, UNVOUCHED_SECONDS_MAX, VOUCHED_SENDERS_SECONDS_MAX};

/// Part of a block that it may be read without.
pub(super) const VOUCHED: &str = "hash";

/// Whether blocks are held against their hashes, and which nodes have one that its hash does not stand for.
#[derive(Debug)]
pub(crate) struct Vouching {
    /// How many nodes have to have nothing better; 0 where nothing is held against anything.
    nodes: usize,
    /// By height, what was last looked at last: old blocks are read beside new ones.
    unvouched: Mutex<VecDeque<(u64, Doubt)>>,
}

/// A height at which nodes have blocks that their hashes do not stand for.
#[derive(Debug)]
struct Doubt {
    since: time::Instant,
    /// Names of those nodes.
    said_by: BTreeSet<String>,
}

/// A node answered with what the hash of its block does not stand for, and another may have what it does.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unvouched(pub(super) String);

impl Vouching {
    /// Of a chain of which so many nodes have to have nothing better before such a block is read; none of it at 0.
    pub(crate) fn new(nodes: usize) -> Vouching {
        Vouching { nodes, unvouched: Mutex::default() }
    }

    /// Whether anything is held against anything.
    pub(super) fn is_on(&self) -> bool {
        self.nodes > 0
    }

    /// Holds what a node answered against the hash of the block; gives what is wrong where that is so at as many nodes as it
    /// takes. Senders are recovered of blocks of the last minutes, since that takes longer than everything else about a block
    /// together.
    ///
    /// # Errors
    /// It is not what the hash stands for, and others are still to be asked.
    pub(super) fn judge(&self, node: &str, block: &Block, receipts: &[Receipt]) -> Result<Option<String>, Unvouched> {
        if !self.is_on() {
            return Ok(None);
        }
        let held = held_against_hash(block, receipts, clock::now());
        let mut unvouched = self.unvouched.lock().unwrap_or_else(PoisonError::into_inner);
        let at = unvouched.iter().position(|(height, _)| *height == block.number);
        let known = at.and_then(|at| unvouched.remove(at));
        let Err(problem) = held else { return Ok(None) };
        let new = || Doubt { since: time::Instant::now(), said_by: BTreeSet::new() };
        let mut doubt = known.map_or_else(new, |(_, doubt)| doubt);
        doubt.said_by.insert(node.to_owned());
        let everywhere = doubt.said_by.len() >= self.nodes;
        unvouched.push_back((block.number, doubt));
        while unvouched.len() > UNVOUCHED_BLOCKS_MAX {
            unvouched.pop_front();
        }
        if everywhere { Ok(Some(problem)) } else { Err(Unvouched(problem)) }
    }

    /// Whether other nodes have had nothing better at a height for so long that one without the block is no reason to wait in
    /// silence.
    pub(super) fn is_stuck(&self, height: u64, now: time::Instant) -> bool {
        let unvouched = self.unvouched.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = Duration::from_secs(UNVOUCHED_SECONDS_MAX);
        let doubt = unvouched.iter().find(|(known, _)| *known == height);
        doubt.is_some_and(|(_, doubt)| now.duration_since(doubt.since) >= patience)
    }
}

fn held_against_hash(block: &Block, receipts: &[Receipt], now: Instant) -> Result<(), String> {
    roots::check(block, receipts)?;
    let age = now.0.saturating_sub(events::seconds(block.timestamp).0);
    if age > VOUCHED_SENDERS_SECONDS_MAX * 1_000_000_000 {
        return Ok(());
    }
    roots::check_senders(block)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Of a form that no hash stands for.
    fn block(number: u64) -> Block {
        let word = format!("0x{number:064x}");
        let block = json!({
            "hash": word, "parentHash": word, "number": format!("{number:#x}"), "timestamp": "0x1", "receiptsRoot": word,
            "transactions": [],
        });
        serde_json::from_value(block).unwrap()
    }

    #[test]
    fn every_node_is_asked_before_a_block_is_read_for_which_nothing_vouches() {
        let vouching = Vouching::new(2);
        assert!(vouching.judge("one", &block(5), &[]).is_err());
        assert!(vouching.judge("one", &block(5), &[]).is_err(), "it is still only one of them");
        assert!(vouching.judge("two", &block(6), &[]).is_err(), "that was another block");
        assert!(vouching.judge("two", &block(5), &[]).unwrap().unwrap().contains("lacks what every header has"));
        assert!(vouching.judge("one", &block(5), &[]).unwrap().is_some(), "a quorum hears of it from each of them");
    }

    #[test]
    fn a_node_without_the_block_hides_for_a_minute_that_the_others_have_nothing_better() {
        let vouching = Vouching::new(2);
        assert!(vouching.judge("one", &block(5), &[]).is_err());
        let later = time::Instant::now() + Duration::from_secs(UNVOUCHED_SECONDS_MAX);
        assert!(!vouching.is_stuck(5, time::Instant::now()), "it may be behind");
        assert!(vouching.is_stuck(5, later) && !vouching.is_stuck(6, later));
    }

    #[test]
    fn p7_blocks_for_which_nothing_vouches_are_not_remembered_without_end() {
        let vouching = Vouching::new(2);
        for number in 0..3 * UNVOUCHED_BLOCKS_MAX as u64 {
            assert!(vouching.judge("one", &block(number), &[]).is_err());
        }
        assert_eq!(vouching.unvouched.lock().unwrap().len(), UNVOUCHED_BLOCKS_MAX);
        // An old one is read beside them, as of a wallet that is added.
        assert!(vouching.judge("one", &block(1), &[]).is_err());
        assert!(vouching.judge("two", &block(1), &[]).unwrap().is_some());
    }

    #[test]
    fn where_it_is_not_asked_for_nothing_is_held_against_anything() {
        assert_eq!(Vouching::new(0).judge("one", &block(5), &[]), Ok(None));
    }
}
