//! How a chain is followed, whatever chain it is: which blocks were read, whether the next one continues them, and what is
//! recorded of it. Pure: blocks come as height and hashes, records go out as events.
//!
//! A *cursor* is the newest block that was read and the hashes of the blocks before it, as deep as a reorganisation may
//! reach. It stands in the log as `chain.progress`, in one append with the events of its blocks, so that a restart goes on
//! exactly behind what is durable. Its *epoch* counts reorganisations and is part of the id of each event of a block: a
//! block that is left and comes back gives new events. How it is written into a record and read back stands in [`record`].

use std::collections::{BTreeMap, VecDeque};

use keywatch_store::Instant;
use serde_json::Value;

use super::health::Unwell;
use super::holdings::Holdings;

mod record;
#[cfg(test)]
mod tests;

pub use record::Restoring;

/// How many addresses of wallets with descriptors are used, by branch; empty for chains that have no such wallets.
pub type Used = BTreeMap<String, u32>;

/// A block, as far as its place in the chain goes. Hashes are texts in the chain's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// The hash of the block before it.
    pub parent: String,
    /// When it claims to have been made.
    pub time: Instant,
}

/// A block that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRef {
    /// Height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// The epoch in which it was read.
    pub epoch: u64,
}

/// Which blocks were read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    epoch: u64,
    depth_max: usize,
    /// The newest last; never empty.
    recent: VecDeque<ReadRef>,
    /// What could not be read of the blocks.
    unwell: Unwell,
    /// What tells the declaration whose wallets are watched from others; empty where that is not known.
    declared: String,
    /// Height of the newest block that is known to be final.
    settled: Option<u64>,
    /// Height of the block that it began behind, until what is final has come as far.
    began: u64,
    /// Addresses of descriptors that are used, by branch.
    used: Used,
    /// What wallets hold, on chains where it is counted.
    holdings: Holdings,
}

/// How a block stands to those that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the next one.
    Continues,
    /// It follows another block than the newest that was read.
    Reorganises,
}

impl Cursor {
    /// A cursor behind a block that is taken as read without looking into it.
    #[must_use]
    pub fn behind(height: u64, hash: &str, depth_max: usize) -> Cursor {
        let read = ReadRef { height, hash: hash.to_owned(), epoch: 0 };
        Cursor {
            epoch: 0,
            depth_max: depth_max.max(1),
            recent: VecDeque::from([read]),
            unwell: Unwell::default(),
            declared: String::new(),
            settled: None,
            began: height,
            used: Used::new(),
            holdings: Holdings::default(),
        }
    }

    /// Takes for read what stands right before the oldest block, the newest first, so that a reorganisation may reach below the
    /// place at which it began.
    pub fn remember(&mut self, older: impl IntoIterator<Item = String>) {
        for hash in older {
            let Some(height) = self.oldest().checked_sub(1).filter(|_| !self.is_full()) else { return };
            self.recent.push_front(ReadRef { height, hash, epoch: self.epoch });
        }
    }

    /// How many blocks are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.recent.len()
    }

    /// Whether it remembers as many blocks as a reorganisation may reach back.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.recent.len() >= self.depth_max
    }

    /// The newest block that was read.
    #[must_use]
    pub fn tip(&self) -> &ReadRef {
        self.recent.back().expect("a cursor always has a block")
    }

    /// What tells the declaration whose wallets are watched from others; empty where that is not known.
    #[must_use]
    pub fn declared(&self) -> &str {
        &self.declared
    }

    /// From now on the wallets of that declaration are watched.
    pub fn watch(&mut self, declared: String) {
        self.declared = declared;
    }

    /// Height of the newest block that is known to be final.
    #[must_use]
    pub fn settled(&self) -> Option<u64> {
        self.settled
    }

    /// Blocks up to this height are final; says whether the block that it began behind is below it.
    pub fn settle(&mut self, height: u64) -> bool {
        let is_read = height > self.began;
        self.settled = Some(height);
        if height >= self.began {
            self.began = 0;
        }
        is_read
    }

    /// Addresses of descriptors that are used, by branch.
    #[must_use]
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// So many of them are.
    pub fn take_used(&mut self, used: Used) {
        self.used = used;
    }

    /// What wallets hold, on chains where it is counted.
    #[must_use]
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// The same, to be brought up to date.
    pub fn holdings_mut(&mut self) -> &mut Holdings {
        &mut self.holdings
    }

    /// What could not be read of the blocks, and has not been read since.
    #[must_use]
    pub fn unwell(&self) -> &Unwell {
        &self.unwell
    }

    /// The same, to be brought up to date.
    pub fn unwell_mut(&mut self) -> &mut Unwell {
        &mut self.unwell
    }

    /// Reorganisations so far.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The block that was read at a height, if it is still remembered.
    #[must_use]
    pub fn at(&self, height: u64) -> Option<&ReadRef> {
        let oldest = self.recent.front()?.height;
        let index = usize::try_from(height.checked_sub(oldest)?).ok()?;
        self.recent.get(index)
    }

    /// The lowest height that is remembered: a reorganisation that reaches below it is not followed.
    #[must_use]
    pub fn oldest(&self) -> u64 {
        self.recent.front().map_or(0, |block| block.height)
    }

    /// How the block one above the newest stands to it.
    #[must_use]
    pub fn step(&self, block: &BlockRef) -> Step {
        let continues = block.height == self.tip().height + 1 && block.parent == self.tip().hash;
        if continues { Step::Continues } else { Step::Reorganises }
    }

    /// Takes a block that continues.
    ///
    /// # Panics
    /// When it does not: the caller has asked [`Cursor::step`].
    pub fn take(&mut self, block: &BlockRef) {
        assert_eq!(self.step(block), Step::Continues, "a block is only taken behind its parent");
        self.recent.push_back(ReadRef { height: block.height, hash: block.hash.clone(), epoch: self.epoch });
        while self.recent.len() > self.depth_max {
            self.recent.pop_front();
        }
        let oldest = self.oldest();
        self.holdings.settle(oldest);
    }

    /// Goes back to the block at `height`, which both branches have; gives those that are left, the newest first.
    pub fn rewind(&mut self, height: u64) -> Vec<ReadRef> {
        let mut left = Vec::new();
        while self.recent.len() > 1 && self.tip().height > height {
            left.extend(self.recent.pop_back());
        }
        self.epoch += 1;
        let tip = self.tip().height;
        self.settled = self.settled.map(|height| height.min(tip));
        self.holdings.rewind(tip);
        left
    }
}

/// Addresses of descriptors that are used, as a record has them.
pub(super) fn used_of(record: &Value) -> Used {
    let used = record.as_object().into_iter().flatten();
    used.filter_map(|(branch, used)| Some((branch.clone(), u32::try_from(used.as_u64()?).ok()?))).collect()
}
