//! Wallets that are added to the inventory of a chain that is followed: they are watched from the next turn on, or from the
//! next start, and the blocks before are read for them alone, from the one that the inventory declares, whenever nothing newer
//! is to be read.
//!
//! Which blocks those are is decided in `keywatch_ingest::chain::backfill`. A node that does not have them any more delays
//! them, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use keywatch_ingest::chain::backfill::{self, Pending, Restoring};
use keywatch_ingest::chain::follow::{Cursor, Used};
use keywatch_store::inventory::System;
use keywatch_store::{Event, Inventory, Log};
use tokio::sync::watch;
use tokio::time::Instant;

use super::chain::Fetched;
use super::{Chain, Failure, Follower, Turn, fetch};
use crate::clock;
use crate::limits::{
    BACKFILL_BLOCKS_MAX, BACKFILL_RECORDS_MAX, BACKFILL_RETRY_SECONDS, FOLLOW_EVENTS_MAX, FOLLOW_FETCHES_MAX,
};
use crate::service::chains::node::{Class, Trouble};
use crate::service::chains::position;
use crate::service::chains::watching::Watching;

/// What is watched, and what is still to be read of old blocks.
pub(super) struct Backfill<C> {
    /// What is watched, where it may change.
    watched: Option<(Watching<C>, watch::Receiver<Watching<C>>)>,
    pending: Vec<Pending>,
    /// The chain with the wallets of which old blocks were read last, and no others: its addresses are derived once.
    only: Option<(Vec<String>, Arc<C>)>,
    /// Behind trouble, when it is tried again, and what was wrong.
    rests: Option<(Instant, Class)>,
}

impl<C> Default for Backfill<C> {
    fn default() -> Backfill<C> {
        Backfill { watched: None, pending: Vec::new(), only: None, rests: None }
    }
}

impl<C> Backfill<C> {
    /// After a reorganisation down to a block, those above it are read anew with every wallet.
    pub(super) fn cut(&mut self, fork: u64) {
        backfill::cut(&mut self.pending, fork);
    }

    /// What tells the declaration whose wallets are watched from others.
    pub(super) fn declared(&self) -> String {
        self.watched.as_ref().map(|(watched, _)| watched.digest.to_string()).unwrap_or_default()
    }

    /// Wallets that were added when the block at `tip` was the newest that was read.
    fn add(&mut self, chain: &str, added: Vec<(String, u64)>, tip: u64) {
        let (more, left_out) = backfill::pending(added, tip, &self.pending);
        for piece in &more {
            tracing::info!(chain, wallets = ?piece.wallets, from = piece.next, to = piece.to, "old blocks will be read");
        }
        if !left_out.is_empty() {
            let count = left_out.len();
            tracing::error!(chain, count, "too many wallets at once; `chain backfill` reads the old blocks of these");
        }
        self.pending.extend(more);
    }
}

/// What was declared when the newest cursor was written, on its way back from the records of a log.
struct Search<'a> {
    /// What tells it from others; empty where a cursor is from before cursors said so.
    watched: &'a str,
    /// Whether older records say nothing more of what is pending.
    is_restored: bool,
    found: Option<Inventory>,
}

impl Search<'_> {
    /// Takes a record, of which the newest come first.
    fn take(&mut self, event: &Event) {
        if event.kind() != "inventory.activated" || self.found.is_some() {
            return;
        }
        // Else what stands behind the newest cursors was surely taken before them.
        let is_it = match self.watched {
            "" => self.is_restored,
            watched => event.detail().value()["sha256"] == watched,
        };
        self.found = if is_it { Inventory::from_activation(event) } else { None };
    }
}

impl<C: Chain> Follower<C> {
    /// Takes what is watched from `watching`, and goes on with old blocks where the log says that it stopped.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn watching(
        mut self,
        mut watching: watch::Receiver<Watching<C>>,
        log: &dyn Log,
    ) -> anyhow::Result<Follower<C>> {
        let first = watching.borrow_and_update().clone();
        // Who never followed the chain has nothing to go on with, and no log to go through for it.
        if let Some(tip) = self.cursor.as_ref().map(|cursor| cursor.tip().height) {
            let (pending, used, before) = self.left(log, &first.digest)?;
            self.chain.take_used(&used);
            self.backfill.pending = pending;
            // A reorganisation may have left blocks since that was written.
            self.backfill.cut(tip);
            if let Some(before) = before {
                self.forget(&first.changed(&before));
                let mut added = first.added(&before);
                // Those that the log has as pending up to here were taken before the process ended.
                added.retain(|(wallet, _)| !backfill::reaches(&self.backfill.pending, wallet, tip));
                self.backfill.add(self.chain.name(), added, tip);
            }
        }
        self.backfill.watched = Some((first, watching));
        let declared = self.backfill.declared();
        if let Some(cursor) = &mut self.cursor {
            cursor.watch(declared);
        }
        self.hold();
        Ok(self)
    }

    /// What is pending as the log has it; and where the wallets of the newest cursor are not those that are `declared` now, what
    /// was declared for them.
    fn left(&self, log: &dyn Log, declared: &str) -> anyhow::Result<(Vec<Pending>, Used, Option<System>)> {
        let (origin, chain) = (self.chain.origin(), self.chain.name());
        let mut restoring = Restoring::new(&origin.source, chain);
        let watched = self.cursor.as_ref().map_or("", Cursor::declared);
        let is_same = watched == declared;
        let (mut search, mut further) = (Search { watched, is_restored: false, found: None }, 0_usize);
        position::backwards(log, |event| {
            further += usize::from(search.is_restored);
            if event.system() == origin.system {
                search.is_restored = search.is_restored || restoring.take(event);
                search.take(event);
            }
            search.is_restored && (is_same || search.found.is_some()) || further > BACKFILL_RECORDS_MAX
        })?;
        if further > BACKFILL_RECORDS_MAX {
            let said =
                "what was declared before is too far back; `chain backfill` reads the old blocks of wallets since";
            tracing::warn!(chain, "{said}");
        }
        let (pending, used) = restoring.end();
        Ok((pending, used, search.found.and_then(|inventory| inventory.systems.into_iter().next())))
    }

    /// Watches what the inventory declares by now. The cursor says up to which block that was not so.
    pub(super) fn take_changes(&mut self) {
        let tip = self.cursor().tip().height;
        let Backfill { watched: Some((watched, changes)), .. } = &mut self.backfill else { return };
        if !changes.has_changed().unwrap_or(false) {
            return;
        }
        let next = changes.borrow_and_update().clone();
        let (added, changed) = (next.added(&watched.system), next.changed(&watched.system));
        next.chain.take_used(&self.chain.used());
        self.chain = Arc::clone(&next.chain);
        *watched = next;
        self.backfill.only = None;
        let declared = self.backfill.declared();
        self.cursor_mut().watch(declared);
        self.forget(&changed);
        tracing::info!(chain = self.chain.name(), "what is watched has changed");
        self.backfill.add(self.chain.name(), added, tip);
        self.hold();
    }

    /// The record of what is pending, to stand before a cursor.
    pub(super) fn pending_record(&self, anchor: &str) -> Option<Event> {
        let Backfill { pending, .. } = &self.backfill;
        (!pending.is_empty()).then(|| self.backfill_record(anchor))
    }

    fn backfill_record(&self, anchor: &str) -> Event {
        let (origin, used) = (self.chain.origin(), self.chain.used());
        backfill::record(origin, self.chain.name(), &self.backfill.pending, &used, anchor, clock::now())
    }

    /// Reads the next old blocks, where there are some to be read.
    pub(super) async fn read_old(&mut self) -> Result<Turn, Failure> {
        let Backfill { watched: Some((watched, _)), pending, only, rests } = &self.backfill else {
            return Ok(Turn::Waited);
        };
        let Some(piece) = pending.first().cloned() else { return Ok(Turn::Waited) };
        if rests.is_some_and(|(until, _)| until > Instant::now()) {
            return Ok(Turn::Waited);
        }
        let chain = match only {
            Some((wallets, chain)) if *wallets == piece.wallets => Arc::clone(chain),
            _ => Arc::new(watched.only(&piece.wallets).map_err(Failure::Log)?),
        };
        self.backfill.only = Some((piece.wallets.clone(), Arc::clone(&chain)));
        chain.take_used(&self.chain.used());
        match self.read_piece(&chain, &piece).await {
            Err(Failure::Trouble(trouble)) => {
                self.rest(&trouble);
                Ok(Turn::Waited)
            }
            done => done,
        }
    }

    async fn read_piece(&mut self, chain: &C, piece: &Pending) -> Result<Turn, Failure> {
        let to = piece.to.min(piece.next.saturating_add(BACKFILL_BLOCKS_MAX - 1));
        let (mut events, mut dissent, mut next) = (Vec::new(), Vec::new(), piece.next);
        let mut lacks = false;
        {
            let endpoints = self.endpoints.as_ref();
            let ask = move |height| fetch(chain, endpoints, height);
            let mut fetching = stream::iter(piece.next..=to).map(ask).buffered(FOLLOW_FETCHES_MAX);
            while let Some(fetched) = fetching.next().await {
                let fetched = match fetched {
                    Ok(agreed) => {
                        dissent.extend(self.dissent_record(next, &agreed.dissent));
                        agreed.answer
                    }
                    // What was read before it is kept, and it comes up again.
                    Err(_) if next > piece.next => break,
                    Err(trouble) => return Err(trouble.into()),
                };
                let read = self.cursor().at(next);
                // Where the nodes have another block than was read, the next turn follows them first.
                let same = |hash: &str| read.is_none_or(|read| read.hash == hash);
                if fetched.is_none() && read.is_none() && next == piece.next {
                    return Err(Trouble::new(Class::Missing, format!("no node has block {next}")).into());
                }
                let fresh = |fetched: &Fetched<C::Block>| same(&fetched.at.hash) && !chain.is_outgrown(fetched);
                let Some(fetched) = fetched.filter(fresh) else { break };
                // Events of a block that may still be left have its epoch, so that they are taken back with the others.
                events.extend(chain.news(&fetched, read.map_or(0, |read| read.epoch)));
                lacks |= chain.asked(&fetched).problem().is_some();
                next += 1;
                if events.len() >= FOLLOW_EVENTS_MAX {
                    break;
                }
            }
        }
        // What old blocks show to be used is watched everywhere, and the blocks read meanwhile were read without it.
        let has_grown = self.chain.take_used(&chain.used());
        if has_grown {
            self.reach(self.cursor().tip().height);
        }
        if next == piece.next {
            return Ok(if has_grown { Turn::Moved } else { Turn::Waited });
        }
        self.advance(next);
        for (mark, record) in dissent {
            self.dissent = mark;
            events.push(record);
        }
        events.extend(lacks.then(|| self.standing()));
        let tip = self.cursor().tip();
        let anchor = format!("{}/{}/{}", self.cursor().epoch(), tip.height, tip.hash);
        events.push(self.backfill_record(&anchor));
        self.write(events).await.map_err(Failure::Log)?;
        let labels = [self.chain.name(), self.chain.origin().source.as_str()];
        self.intake.metrics.chain_blocks.with_label_values(&labels).inc_by(next - piece.next);
        Ok(Turn::Moved)
    }

    /// The first piece is read up to the block at `tip` too.
    fn reach(&mut self, tip: u64) {
        if let Some(first) = self.backfill.pending.first_mut() {
            first.to = first.to.max(tip);
        }
    }

    /// The first piece is read up to `next`; it goes when that is all.
    fn advance(&mut self, next: u64) {
        let Backfill { pending, only, rests, .. } = &mut self.backfill;
        *rests = None;
        let Some(first) = pending.first_mut() else { return };
        first.next = next;
        if first.next > first.to {
            let done = pending.remove(0);
            *only = None;
            tracing::info!(chain = self.chain.name(), wallets = ?done.wallets, to = done.to, "old blocks are read");
        }
    }

    fn rest(&mut self, trouble: &Trouble) {
        let before = self.backfill.rests.map(|(_, class)| class);
        if before != Some(trouble.class) {
            tracing::warn!(chain = self.chain.name(), %trouble, "old blocks cannot be read; they are asked for again");
        }
        // Blocks that no node has keep the others waiting no longer than that.
        let next = usize::from(!self.backfill.pending.is_empty());
        self.backfill.pending.rotate_left(next);
        let until = Instant::now() + Duration::from_secs(BACKFILL_RETRY_SECONDS);
        self.backfill.rests = Some((until, trouble.class));
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::Instant;
    use keywatch_store::inventory::Wallet;

    use super::*;

    fn declared(wallets: &[&str]) -> Inventory {
        let wallet = |wallet: &&str| Wallet { wallet: (*wallet).to_owned(), chain: "base".into(), ..Wallet::default() };
        let wallets = wallets.iter().map(wallet).collect();
        Inventory { systems: vec![System { id: "cold".into(), wallets, ..System::default() }] }
    }

    fn found(watched: &str, is_restored: bool, activations: &[Event]) -> Option<Inventory> {
        let mut search = Search { watched, is_restored, found: None };
        activations.iter().rev().for_each(|event| search.take(event));
        search.found
    }

    #[test]
    fn what_was_declared_for_a_cursor_is_found_however_many_declarations_follow() {
        let declarations = [declared(&["a"]), declared(&["a", "b"]), declared(&["a", "b", "c"])];
        let activations: Vec<Event> = declarations
            .iter()
            .zip(1..)
            .flat_map(|(inventory, second)| inventory.activation(Instant(second)))
            .collect();
        for inventory in &declarations {
            let digest = inventory.systems[0].digest();
            assert_eq!(found(&digest, false, &activations).as_ref(), Some(inventory));
        }
        assert_eq!(found("another", true, &activations), None);
        assert_eq!(found("", true, &activations).as_ref(), declarations.last(), "a cursor from before it said so");
        assert_eq!(found("", false, &activations), None);
    }
}
