//! Retention: whole batches that are old enough and archived are deleted from the front of a topic.
//!
//! Where the kept part begins, and the hash of the last batch before it, is committed with the deletion, so that the
//! chain still continues from it. Nothing here decides what is archived; the caller says through which position.

use std::sync::PoisonError;

use super::EmbeddedLog;
use super::state::{self, ChainLink};
use crate::limits::{REPEAT_HORIZON_NS, RETIRE_BATCHES_MAX};
use crate::log::hash_chain::Head;
use crate::time::SECOND_NS;
use crate::{Error, Instant, Position, Topic};

/// One day in nanoseconds.
const DAY_NS: i64 = 86_400 * SECOND_NS;

impl EmbeddedLog {
    /// Deletes the batches of a topic whose every record is older than `days` at `now` and lies before
    /// `archived_through`; the position of the oldest record kept then. `days` below the repeat horizon count as the
    /// horizon: the index of ids can be made again of what is kept.
    ///
    /// # Errors
    /// [`Error::CannotWrite`], [`Error::Tampered`] when a batch to be deleted does not verify.
    pub fn retire(&self, topic: Topic, archived_through: Position, now: Instant, days: i64) -> Result<Position, Error> {
        let _one_at_a_time = self.retiring.lock().unwrap_or_else(PoisonError::into_inner);
        let cut_off = now.saturating_add(-days.saturating_mul(DAY_NS).max(REPEAT_HORIZON_NS));
        let mut kept = self.shared.topic(topic).kept;
        loop {
            let (dropped, next) = self.retirable(topic, kept, archived_through, cut_off)?;
            if dropped.is_empty() {
                return Ok(kept.position);
            }
            kept = next;
            let mut change = self.disk.change();
            state::put_kept(&mut change, topic, kept, &self.key);
            for first in dropped {
                change.drop_batch(topic, first);
            }
            self.shared.publish(|view| view.topics[topic.index()].kept = kept);
            change.commit()?;
        }
    }

    /// The next batches to delete, and where the topic begins without them.
    fn retirable(
        &self,
        topic: Topic,
        kept: ChainLink,
        archived_through: Position,
        cut_off: Instant,
    ) -> Result<(Vec<Position>, ChainLink), Error> {
        let (mut dropped, mut next) = (Vec::new(), kept);
        for entry in self.disk.heads(topic, kept.position).take(RETIRE_BATCHES_MAX) {
            let (first, bytes) = entry?;
            let checked = Head::open(&bytes, &self.reader.role, &self.key);
            let checked = checked.and_then(|head| head.check_link(next.position, &next.hash).map(|()| head));
            let head = checked.map_err(|failed| failed.at(first))?;
            if head.end() > archived_through || head.latest().is_some_and(|latest| latest >= cut_off) {
                break;
            }
            dropped.push(first);
            let hash = crate::log::hash_chain::stated_hash(&bytes).map_err(|failed| failed.at(first))?;
            next = ChainLink { position: head.end(), hash };
        }
        Ok((dropped, next))
    }
}
