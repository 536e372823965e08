//! Transactions that wait in the pools of nodes: which were told, which of them took the place of another, and which left
//! without a block. Pure: what nodes answer comes as transactions and words, records go out as events.
//!
//! A *slot* is what only one transaction can take: an account's nonce, or a coin. A transaction that takes the slot of
//! another one replaces it. That a transaction stands in a block is said by whoever reads blocks; then nothing more is
//! said of it here. Pools are bounded: of too many the oldest is forgotten, which says nothing of it.

use std::collections::{HashMap, HashSet, VecDeque};

use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};
use serde_json::json;

/// A transaction that waits, with the events that tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its hash, as events have it.
    pub tx: String,
    /// What only one transaction can take.
    pub slots: Vec<String>,
    /// What is told of it; nothing of one that stands in a block already, which still takes its slots.
    pub events: Vec<Event>,
    /// Its place among what its account signs, where transactions are numbered and that is known.
    pub turn: Option<Turn>,
}

/// The number of a transaction, and the one that its account uses next in a block. Its slot is `account/nonce`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The account.
    pub account: String,
    /// What blocks take next of it.
    pub next: u64,
    /// What the transaction has.
    pub nonce: u64,
}

/// Where a transaction is that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// A node still has it, waiting or in a block.
    Known,
    /// No node has it.
    Nowhere,
}

/// The waiting transactions of one source on one chain.
#[derive(Clone, Debug)]
pub struct Pool {
    origin: Origin,
    chain: String,
    limits: PoolLimits,
    told: HashMap<String, Told>,
    slots: HashMap<String, String>,
    /// In the order in which they came; may name some that are gone.
    order: VecDeque<String>,
    /// What stood in a block lately: a node's pool may still show it a moment later.
    mined: HashSet<String>,
    mined_order: VecDeque<String>,
}

/// How much a [`Pool`] remembers, and how patient it is.
#[derive(Clone, Copy, Debug)]
pub struct PoolLimits {
    /// Transactions at most.
    pub transactions: usize,
    /// Nanoseconds for which no node may have one before it is said to be gone.
    pub absent_nanoseconds: i64,
}

#[derive(Clone, Debug)]
struct Told {
    slots: Vec<String>,
    wallet: Option<String>,
    /// Since when no node has it.
    absent_since: Option<Instant>,
}

impl Pool {
    /// A pool of which nothing is known.
    #[must_use]
    pub fn new(origin: Origin, chain: String, limits: PoolLimits) -> Pool {
        Pool {
            origin,
            chain,
            limits,
            told: HashMap::new(),
            slots: HashMap::new(),
            order: VecDeque::new(),
            mined: HashSet::new(),
            mined_order: VecDeque::new(),
        }
    }

    /// Takes a record of the log, which are given the newest first, so that nothing is told twice after a restart. What a
    /// restored transaction replaces or is replaced by is not known, only whether it leaves.
    pub fn restore(&mut self, event: &Event, settled: &mut HashSet<String>) {
        let is_own = event.source() == self.origin.source && event.chain() == Some(self.chain.as_str());
        // Said of what still waits.
        let settles = event.kind().starts_with("chain.") && event.kind() != "chain.nonce_missing";
        let Some(tx) = event.tx().filter(|_| is_own && settles) else { return };
        if event.outcome() != Some("unconfirmed") {
            settled.insert(tx.to_owned());
        } else if !settled.contains(tx) && !self.told.contains_key(tx) && self.told.len() < self.limits.transactions {
            let told = Told { slots: Vec::new(), wallet: event.wallet().map(str::to_owned), absent_since: None };
            self.told.insert(tx.to_owned(), told);
            self.order.push_front(tx.to_owned());
        }
    }

    /// Whether a transaction was told and still waits.
    #[must_use]
    pub fn knows(&self, tx: &str) -> bool {
        self.told.contains_key(tx)
    }

    /// Transactions that were told and of which neither a block nor a record that they left was seen.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.told.keys().map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// A transaction was seen: its events, and the record of each one that it replaces. Nothing where it is known.
    pub fn enter(&mut self, waiting: Waiting, time: Instant) -> Vec<Event> {
        let is_known = self.knows(&waiting.tx) || self.mined.contains(&waiting.tx);
        if is_known && !waiting.events.is_empty() {
            return Vec::new();
        }
        let takes = |slot: &String| self.slots.get(slot).filter(|tx| **tx != waiting.tx);
        let mut replaced: Vec<String> = waiting.slots.iter().filter_map(takes).cloned().collect();
        replaced.sort_unstable();
        replaced.dedup();
        let wallet = waiting.events.first().map(|event| event.wallet().map(str::to_owned));
        let mut events = waiting.events;
        for tx in replaced {
            events.extend(self.leave(&tx, Some(&waiting.tx), time));
        }
        let Some(wallet) = wallet else { return events };
        self.slots.extend(waiting.slots.iter().map(|slot| (slot.clone(), waiting.tx.clone())));
        events.extend(waiting.turn.as_ref().and_then(|turn| self.missing(&waiting.tx, turn, time)));
        self.told.insert(waiting.tx.clone(), Told { slots: waiting.slots, wallet, absent_since: None });
        self.order.push_back(waiting.tx);
        while self.told.len() > self.limits.transactions {
            let Some(oldest) = self.order.pop_front() else { break };
            self.forget(&oldest);
        }
        if self.order.len() > 2 * self.limits.transactions {
            self.order.retain(|tx| self.told.contains_key(tx));
        }
        events
    }

    /// The record that a transaction waits behind a number for which none is known: it is lost, or kept from the pools.
    fn missing(&self, tx: &str, turn: &Turn, time: Instant) -> Option<Event> {
        let Turn { account, next, nonce } = turn;
        let missing = (*next..*nonce).find(|before| !self.slots.contains_key(&format!("{account}/{before}")))?;
        let id = format!("nonce_missing/{}/{tx}/{}", self.chain, time.nanoseconds());
        let mut event = Event::builder(&self.origin, &id, "chain.nonce_missing", time);
        event.chain(&self.chain).tx(tx).wallet(account.as_str());
        event.detail(&json!({"nonce": nonce, "missing": missing, "next": next}));
        Some(event.build_own())
    }

    /// Blocks were read with these events: what stands in them waits no more, until they are left. Gives the records of
    /// those whose nonce was taken in a block, by a transaction that no pool has shown.
    pub fn mined(&mut self, events: &[Event], time: Instant) -> Vec<Event> {
        let mut replaced = Vec::new();
        for event in events.iter().filter(|event| event.outcome() != Some("unconfirmed")) {
            let Some(tx) = event.tx() else { continue };
            let nonce = event.detail().value()["nonce"].as_u64().filter(|_| event.kind() == "chain.tx");
            let slot = nonce.zip(event.actor()).map(|(nonce, actor)| format!("{actor}/{nonce}"));
            let other = slot.and_then(|slot| self.slots.get(&slot).filter(|other| *other != tx).cloned());
            replaced.extend(other.and_then(|other| self.leave(&other, Some(tx), time)));
            if event.kind() == "chain.retracted" {
                self.mined.remove(tx);
                continue;
            }
            self.forget(tx);
            if self.mined.insert(tx.to_owned()) {
                self.mined_order.push_back(tx.to_owned());
            }
            while self.mined_order.len() > self.limits.transactions {
                let oldest = self.mined_order.pop_front();
                oldest.map(|oldest| self.mined.remove(&oldest));
            }
        }
        replaced
    }

    /// Nodes were asked for a transaction: the record that it left, once no node had it for long enough.
    pub fn asked(&mut self, tx: &str, whereabouts: Whereabouts, time: Instant) -> Option<Event> {
        let told = self.told.get_mut(tx)?;
        if whereabouts == Whereabouts::Known {
            told.absent_since = None;
            return None;
        }
        let since = *told.absent_since.get_or_insert(time);
        let waited = time.nanoseconds().saturating_sub(since.nanoseconds());
        if waited < self.limits.absent_nanoseconds { None } else { self.leave(tx, None, time) }
    }

    fn leave(&mut self, tx: &str, by: Option<&str>, time: Instant) -> Option<Event> {
        let told = self.forget(tx)?;
        let id = format!("dropped/{}/{tx}/{}", self.chain, time.nanoseconds());
        let mut event = Event::builder(&self.origin, &id, "chain.dropped", time);
        event.chain(&self.chain).tx(tx).wallet(told.wallet);
        event.outcome(if by.is_some() { "replaced" } else { "gone" });
        if let Some(by) = by {
            event.detail(&json!({ "by": by }));
        }
        Some(event.build_own())
    }

    fn forget(&mut self, tx: &str) -> Option<Told> {
        let told = self.told.remove(tx)?;
        for slot in &told.slots {
            if self.slots.get(slot).is_some_and(|taken| taken == tx) {
                self.slots.remove(slot);
            }
        }
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000_000;

    fn pool() -> Pool {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        Pool::new(origin, "ethereum".into(), PoolLimits { transactions: 3, absent_nanoseconds: 2 * MINUTE })
    }

    fn event(tx: &str, outcome: &str) -> Event {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut event = Event::builder(&origin, &format!("{tx}{outcome}"), "chain.tx", Instant(1));
        event.chain("ethereum").tx(tx).wallet("0x01").outcome(outcome);
        event.build_own()
    }

    fn waiting(tx: &str, slot: &str) -> Waiting {
        Waiting { tx: tx.into(), slots: vec![slot.into()], events: vec![event(tx, "unconfirmed")], turn: None }
    }

    fn said(events: &[Event]) -> Vec<(String, Option<String>, Option<String>)> {
        let said = |event: &Event| {
            let by = event.detail().value()["by"].as_str().map(str::to_owned);
            (event.tx().unwrap().to_owned(), event.outcome().map(str::to_owned), by)
        };
        events.iter().map(said).collect()
    }

    fn one(tx: &str, outcome: &str, by: Option<&str>) -> (String, Option<String>, Option<String>) {
        (tx.to_owned(), Some(outcome.to_owned()), by.map(str::to_owned))
    }

    #[test]
    fn a_transaction_is_told_once() {
        let mut pool = pool();
        assert_eq!(said(&pool.enter(waiting("a", "1"), Instant(1))), [one("a", "unconfirmed", None)]);
        assert!(pool.enter(waiting("a", "1"), Instant(2)).is_empty());
    }

    #[test]
    fn who_takes_the_slot_of_another_replaces_it() {
        let mut pool = pool();
        pool.enter(waiting("a", "1"), Instant(1));
        pool.enter(waiting("b", "2"), Instant(1));
        let events = pool.enter(waiting("c", "1"), Instant(2));
        assert_eq!(said(&events), [one("c", "unconfirmed", None), one("a", "replaced", Some("c"))]);
        assert_eq!(events[1].wallet(), Some("0x01"));
        // What was replaced may come back, for instance from another node.
        let again = pool.enter(waiting("a", "1"), Instant(3));
        assert_eq!(said(&again), [one("a", "unconfirmed", None), one("c", "replaced", Some("a"))]);
    }

    #[test]
    fn one_that_is_seen_only_in_its_block_replaces_too() {
        let mut pool = pool();
        pool.enter(waiting("a", "1"), Instant(1));
        let mined = |tx: &str| Waiting { events: Vec::new(), ..waiting(tx, "1") };
        assert!(pool.enter(mined("a"), Instant(2)).is_empty(), "it is itself");
        assert_eq!(said(&pool.enter(mined("b"), Instant(2))), [one("a", "replaced", Some("b"))]);
        assert!(pool.is_empty());
        pool.enter(waiting("c", "0x01/7"), Instant(3));
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut other = Event::builder(&origin, "d", "chain.tx", Instant(4));
        other.chain("ethereum").tx("d").actor("0x01").outcome("success").detail(&json!({"nonce": 7}));
        let events = pool.mined(&[other.build_own()], Instant(4));
        assert_eq!(said(&events), [one("c", "replaced", Some("d"))], "no pool has shown it");
    }

    #[test]
    fn what_no_node_has_for_long_enough_is_gone() {
        let mut pool = pool();
        pool.enter(waiting("a", "1"), Instant(0));
        assert_eq!(pool.asked("a", Whereabouts::Nowhere, Instant(MINUTE)), None);
        assert_eq!(pool.asked("a", Whereabouts::Known, Instant(2 * MINUTE)), None);
        assert_eq!(pool.asked("a", Whereabouts::Nowhere, Instant(3 * MINUTE)), None);
        assert_eq!(pool.asked("a", Whereabouts::Nowhere, Instant(4 * MINUTE)), None);
        let gone = pool.asked("a", Whereabouts::Nowhere, Instant(5 * MINUTE)).unwrap();
        assert_eq!(said(&[gone]), [one("a", "gone", None)]);
        assert_eq!(pool.asked("a", Whereabouts::Nowhere, Instant(9 * MINUTE)), None, "it is said once");
        assert_eq!(pool.enter(waiting("b", "1"), Instant(9 * MINUTE)).len(), 1, "its slot is free");
    }

    #[test]
    fn a_number_that_nobody_has_shown_is_missing() {
        let mut pool = pool();
        let mut enter = |tx: &str, next: u64, nonce: u64| {
            let turn = Turn { account: "0x01".into(), next, nonce };
            let events = pool.enter(Waiting { turn: Some(turn), ..waiting(tx, &format!("0x01/{nonce}")) }, Instant(1));
            let detail = events.iter().find(|event| event.kind() == "chain.nonce_missing")?.detail().value();
            Some((detail["nonce"].as_u64().unwrap(), detail["missing"].as_u64().unwrap()))
        };
        assert_eq!(enter("a", 4, 4), None, "it is its turn");
        assert_eq!(enter("c", 4, 6), Some((6, 5)));
        assert_eq!(enter("b", 4, 5), None, "those before it wait too");
        assert_eq!(enter("old", 4, 3), None, "it is taken, and will not come into a block");
    }

    #[test]
    fn what_stands_in_a_block_waits_no_more() {
        let mut pool = pool();
        pool.enter(waiting("a", "1"), Instant(0));
        assert!(pool.mined(&[event("a", "success")], Instant(1)).is_empty());
        assert!(pool.is_empty());
        assert_eq!(pool.asked("a", Whereabouts::Nowhere, Instant(9 * MINUTE)), None);
        assert!(pool.enter(waiting("a", "1"), Instant(2)).is_empty(), "a node's pool shows it a moment longer");
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut left = Event::builder(&origin, "left", "chain.retracted", Instant(3));
        pool.mined(&[left.chain("ethereum").tx("a").build_own()], Instant(3));
        assert_eq!(pool.enter(waiting("a", "1"), Instant(4)).len(), 1, "its block was left, and it waits again");
    }

    #[test]
    fn p7_of_too_many_the_oldest_is_forgotten() {
        let mut pool = pool();
        for (tx, slot) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")] {
            assert_eq!(pool.enter(waiting(tx, slot), Instant(1)).len(), 1);
        }
        let mut known: Vec<&str> = pool.waiting().collect();
        known.sort_unstable();
        assert_eq!(known, ["b", "c", "d"]);
        for number in 0..100 {
            pool.enter(waiting(&format!("x{number}"), "9"), Instant(2));
        }
        assert!(pool.len() <= 3 && pool.order.len() <= 7 && pool.slots.len() <= 3);
    }

    #[test]
    fn nothing_is_told_twice_after_a_restart() {
        let mut pool = pool();
        let mut settled = HashSet::new();
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut missing = Event::builder(&origin, "missing", "chain.nonce_missing", Instant(1));
        let missing = missing.chain("ethereum").tx("b").wallet("0x01").build_own();
        for event in [missing, event("b", "unconfirmed"), event("a", "success"), event("a", "unconfirmed")] {
            pool.restore(&event, &mut settled);
        }
        assert_eq!(pool.waiting().collect::<Vec<_>>(), ["b"]);
        assert!(pool.enter(waiting("b", "1"), Instant(1)).is_empty());
        assert_eq!(
            pool.enter(waiting("a", "1"), Instant(1)).len(),
            1,
            "it was left by a reorganisation and waits again"
        );
    }
}
