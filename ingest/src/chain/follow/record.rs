//! The cursor as the log has it: its record, `chain.progress`, and the way back from such records, of which each has only the
//! blocks that were read with it.

use std::collections::VecDeque;

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::{Cursor, ReadRef, used_of};
use crate::chain::health::Unwell;
use crate::chain::holdings::Holdings;

impl Cursor {
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
