//! How a chain is followed, whatever chain it is: which blocks were read, whether the next one continues them, and what is
//! recorded of it. Pure: blocks come as height and hashes, records go out as events.
//!
//! A *cursor* is the newest block that was read and the hashes of the blocks before it, as deep as a reorganisation may
//! reach. It stands in the log as `chain.progress`, in one append with the events of its blocks, so that a restart goes on
//! exactly behind what is durable. Its *epoch* counts reorganisations and is part of the id of each event of a block: a
//! block that is left and comes back gives new events.

use std::collections::{BTreeMap, VecDeque};

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::health::Unwell;
use super::holdings::Holdings;

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

    /// The record of the cursor, with the newest `blocks` of those that were read. `first` says that nothing stands before
    /// it.
    #[must_use]
    pub fn record(&self, origin: &Origin, chain: &str, blocks: usize, first: bool, time: Instant) -> Event {
        let tip = self.tip();
        let id = format!("progress/{chain}/{}/{}/{}", self.epoch, tip.height, tip.hash);
        let mut event = Event::builder(origin, &id, "chain.progress", time);
        let newest = self.recent.iter().skip(self.recent.len().saturating_sub(blocks));
        let mut detail = json!({
            "block": tip.height,
            "block_hash": tip.hash,
            "epoch": self.epoch,
            "read": newest.map(|read| json!([read.height, read.hash])).collect::<Vec<_>>(),
        });
        if first {
            detail["first"] = Value::Bool(true);
        }
        if let Some(height) = self.settled {
            detail["final"] = json!(height);
        }
        if self.began > 0 {
            detail["began"] = json!(self.began);
        }
        if !self.used.is_empty() {
            detail["used"] = json!(self.used);
        }
        let older = u64::try_from(blocks).unwrap_or(u64::MAX);
        self.holdings.record(&mut detail, tip.height.saturating_add(1).saturating_sub(older));
        if !self.declared.is_empty() {
            detail["declared"] = json!(self.declared);
        }
        if !self.unwell.is_empty() {
            detail["unwell"] = self.unwell.parts().collect();
        }
        event.chain(chain).detail(&detail);
        event.build_own()
    }
}

/// A cursor on its way back from the records of a log, which are given the newest first.
#[derive(Debug)]
pub struct Restoring<'a> {
    source: &'a str,
    chain: &'a str,
    cursor: Option<Cursor>,
    /// The tip, until the record is found in which it was read.
    tip: Option<ReadRef>,
    depth_max: usize,
}

impl<'a> Restoring<'a> {
    /// The cursor of a source on a chain.
    #[must_use]
    pub fn new(source: &'a str, chain: &'a str, depth_max: usize) -> Restoring<'a> {
        Restoring { source, chain, cursor: None, tip: None, depth_max: depth_max.max(1) }
    }

    /// Takes a record; says whether the cursor is complete, so that older ones say nothing more.
    pub fn take(&mut self, event: &Event) -> bool {
        if event.kind() != "chain.progress" || event.source() != self.source || event.chain() != Some(self.chain) {
            return false;
        }
        let detail = event.detail().value();
        let (Some(height), Some(hash), Some(epoch)) =
            (detail["block"].as_u64(), detail["block_hash"].as_str(), detail["epoch"].as_u64())
        else {
            return false;
        };
        let depth_max = self.depth_max;
        let cursor = self.cursor.get_or_insert_with(|| {
            self.tip = Some(ReadRef { height, hash: hash.to_owned(), epoch });
            // Cursors did not always say it: then what is final is told again.
            let settled = detail["final"].as_u64();
            let began = detail["began"].as_u64().unwrap_or_default();
            let declared = detail["declared"].as_str().unwrap_or_default().to_owned();
            let unwell = detail["unwell"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Cursor {
                epoch,
                depth_max,
                recent: VecDeque::new(),
                unwell: Unwell::of(unwell),
                declared,
                settled,
                began,
                used: used_of(&detail["used"]),
                holdings: Holdings::of(&detail),
            }
        });
        for entry in detail["read"].as_array().into_iter().flatten().rev() {
            let (Some(height), Some(hash)) = (entry[0].as_u64(), entry[1].as_str()) else { continue };
            // What was read before a reorganisation and left by it stands at heights that are taken by now.
            let continues = match (cursor.recent.front(), &self.tip) {
                (Some(oldest), _) => height + 1 == oldest.height,
                (None, Some(tip)) => height == tip.height && hash == tip.hash,
                (None, None) => false,
            };
            if continues && cursor.recent.len() < depth_max {
                cursor.recent.push_front(ReadRef { height, hash: hash.to_owned(), epoch });
                cursor.holdings.remember(height, &detail);
            }
        }
        cursor.recent.len() >= depth_max || detail["first"] == Value::Bool(true)
    }

    /// The cursor, if there was a record of it.
    #[must_use]
    pub fn end(self) -> Option<Cursor> {
        let mut cursor = self.cursor?;
        if cursor.recent.is_empty() {
            cursor.recent.extend(self.tip);
        }
        Some(cursor)
    }
}

/// Addresses of descriptors that are used, as a record has them.
pub(super) fn used_of(record: &Value) -> Used {
    let used = record.as_object().into_iter().flatten();
    used.filter_map(|(branch, used)| Some((branch.clone(), u32::try_from(used.as_u64()?).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::health::Asked;
    use super::super::holdings::Move;
    use super::*;

    fn origin() -> Origin {
        Origin { system: "cold".into(), source: "node".into() }
    }

    fn block(height: u64, hash: &str, parent: &str) -> BlockRef {
        BlockRef { height, hash: hash.into(), parent: parent.into(), time: Instant(1) }
    }

    fn cursor() -> Cursor {
        let mut cursor = Cursor::behind(10, "a10", 4);
        for (height, hash, parent) in [(11, "a11", "a10"), (12, "a12", "a11"), (13, "a13", "a12")] {
            cursor.take(&block(height, hash, parent));
        }
        cursor
    }

    #[test]
    fn a_block_continues_only_behind_its_parent() {
        let cursor = cursor();
        assert_eq!(cursor.step(&block(14, "a14", "a13")), Step::Continues);
        assert_eq!(cursor.step(&block(14, "b14", "b13")), Step::Reorganises);
        assert_eq!(cursor.step(&block(15, "a15", "a13")), Step::Reorganises, "a block between them is missing");
    }

    #[test]
    fn a_cursor_remembers_no_deeper_than_it_may_go_back() {
        let mut cursor = cursor();
        cursor.take(&block(14, "a14", "a13"));
        assert_eq!((cursor.oldest(), cursor.at(10), cursor.tip().height), (11, None, 14));
        assert_eq!(cursor.at(12).map(|read| read.hash.as_str()), Some("a12"));
    }

    #[test]
    fn going_back_counts_and_names_what_is_left_the_newest_first() {
        let mut cursor = cursor();
        let left = cursor.rewind(11);
        assert_eq!(left.iter().map(|read| read.hash.as_str()).collect::<Vec<_>>(), ["a13", "a12"]);
        assert_eq!((cursor.tip().height, cursor.epoch()), (11, 1));
        cursor.take(&block(12, "a12", "a11"));
        assert_eq!(cursor.tip().epoch, 1, "a block that comes back is read anew");
    }

    fn restored(records: &[Event], depth_max: usize) -> Option<Cursor> {
        let mut restoring = Restoring::new("node", "ethereum", depth_max);
        records.iter().rev().any(|record| restoring.take(record));
        restoring.end()
    }

    #[test]
    fn a_cursor_comes_back_from_its_records_at_every_point() {
        let mut cursor = Cursor::behind(10, "a10", 4);
        let mut records = vec![cursor.record(&origin(), "ethereum", 1, true, Instant(1))];
        let mut go = |cursor: &Cursor, blocks: usize| {
            records.push(cursor.record(&origin(), "ethereum", blocks, false, Instant(1)));
            assert_eq!(restored(&records, 4).as_ref(), Some(cursor));
        };
        cursor.take(&block(11, "a11", "a10"));
        cursor.take(&block(12, "a12", "a11"));
        go(&cursor, 2);
        cursor.take(&block(13, "a13", "a12"));
        assert!(!cursor.settle(9), "nothing was read of what is final");
        go(&cursor, 1);
        assert!(cursor.settle(11));
        cursor.rewind(11);
        go(&cursor, 0);
        cursor.take(&block(12, "b12", "a11"));
        go(&cursor, 1);
        cursor.rewind(11);
        go(&cursor, 0);
        cursor.take(&block(12, "a12", "a11"));
        cursor.take(&block(13, "a13", "a12"));
        cursor.watch("d1".into());
        cursor.take_used(Used::from([("w/0".to_owned(), 7)]));
        let mut asked = Asked::default();
        asked.fails("storage", "no state".into());
        cursor.unwell_mut().take(&asked);
        go(&cursor, 2);
        assert_eq!(cursor.declared(), "d1");
        assert_eq!(cursor.unwell().parts().collect::<Vec<_>>(), ["storage"]);
        assert_eq!(cursor.at(12).map(|read| read.epoch), Some(2));
    }

    #[test]
    fn what_wallets_hold_comes_back_with_the_cursor_and_goes_back_with_it() {
        let moved = |made: u64, units: i64| Move { wallet: "w".to_owned(), made: Some(made), units };
        let held = |cursor: &Cursor| cursor.holdings().wallets().map(|(_, held)| held.units).collect::<Vec<_>>();
        let mut cursor = Cursor::behind(10, "a10", 3);
        cursor.holdings_mut().watch(&BTreeSet::from(["w".to_owned()]), 10);
        let mut records = vec![cursor.record(&origin(), "ethereum", 1, true, Instant(1))];
        for (height, hash, parent, units) in
            [(11, "a11", "a10", 5), (12, "a12", "a11", 7), (13, "a13", "a12", -4), (14, "a14", "a13", 1)]
        {
            cursor.take(&block(height, hash, parent));
            cursor.holdings_mut().take(height, &[moved(11, units)]);
            records.push(cursor.record(&origin(), "ethereum", 1, false, Instant(1)));
            assert_eq!(restored(&records, 3).as_ref(), Some(&cursor));
        }
        assert_eq!(held(&cursor), [9]);
        let mut back = restored(&records, 3).unwrap();
        back.rewind(12);
        records.push(back.record(&origin(), "ethereum", 0, false, Instant(1)));
        assert_eq!((held(&back), held(&restored(&records, 3).unwrap())), (vec![12], vec![12]));
    }

    #[test]
    fn a_reorganisation_may_reach_below_the_place_at_which_it_began() {
        let mut cursor = Cursor::behind(10, "a10", 4);
        cursor.remember(["a9", "a8", "a7", "a6"].map(str::to_owned));
        assert_eq!((cursor.oldest(), cursor.remembered(), cursor.is_full()), (7, 4, true));
        let record = cursor.record(&origin(), "ethereum", cursor.remembered(), true, Instant(1));
        assert_eq!(restored(&[record], 4).as_ref(), Some(&cursor));
        let left = cursor.rewind(8);
        assert_eq!(left.iter().map(|read| read.hash.as_str()).collect::<Vec<_>>(), ["a10", "a9"]);
        assert_eq!((cursor.settled(), cursor.step(&block(9, "b9", "a8"))), (None, Step::Continues));
        let mut young = Cursor::behind(1, "a1", 4);
        young.remember(["a0", "nothing"].map(str::to_owned));
        assert_eq!((young.oldest(), young.is_full()), (0, false));
    }

    #[test]
    fn another_source_or_chain_has_another_cursor() {
        let record = cursor().record(&origin(), "base", 1, true, Instant(1));
        assert_eq!(restored(&[record], 4), None);
    }
}
