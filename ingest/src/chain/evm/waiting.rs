//! A transaction that waits for its block → the events of watched wallets, as far as its bytes tell what it will do.
//!
//! What a watched account signed is told as it is. Anybody can *ask* a watched Safe for something; whether the Safe would do
//! it is for a node to try, and who calls this has asked one.

use alloy::primitives::Address;
use keywatch_store::{Event, Instant};
use serde_json::{Map, Value, json};

use super::decode::{add_signed, asked_of};
use super::events::{Decoder, address, amount};
use super::rpc::Transaction;
use crate::chain::pool::Waiting;

impl Decoder<'_> {
    /// Whether a waiting transaction is about a watched wallet.
    #[must_use]
    pub fn is_about_watched(&self, transaction: &Transaction) -> bool {
        self.watched.has(&transaction.from) || self.asks(transaction) || !self.delegating(transaction).is_empty()
    }

    /// Whether it only asks a watched Safe, and is sent by somebody who is not watched: it may be refused there.
    #[must_use]
    pub fn may_be_refused(&self, transaction: &Transaction) -> bool {
        !self.watched.has(&transaction.from) && self.asks(transaction)
    }

    fn asks(&self, transaction: &Transaction) -> bool {
        asked_of(transaction.from, transaction.to, &transaction.input, self.watched).is_some()
    }

    /// What a waiting transaction will do, seen at `time`; no events where it is about no watched wallet.
    #[must_use]
    pub fn waiting(&self, transaction: &Transaction, time: Instant) -> Waiting {
        let mut events = Vec::new();
        if self.watched.has(&transaction.from) {
            events.push(self.will_send(transaction, time));
        }
        events.extend(self.will_execute(transaction, time));
        let slots = vec![format!("{:#x}/{}", transaction.from, transaction.nonce)];
        Waiting { tx: format!("{:#x}", transaction.hash), slots, events, turn: None }
    }

    fn will_send(&self, transaction: &Transaction, time: Instant) -> Event {
        let wallet = transaction.from;
        let mut event = self.waits(transaction, wallet, "chain.tx", "sent", time);
        event.actor(address(wallet)).from_address(address(wallet));
        let mut detail = Map::new();
        add_signed(&mut detail, transaction);
        // The contract that a transaction makes has no code yet that could be called.
        let to = transaction.to.unwrap_or_else(|| wallet.create(transaction.nonce));
        if transaction.to.is_none() {
            event.to_address(address(to)).asset(&self.network.asset).amount(amount(transaction.value));
            detail.insert("creates".into(), json!(address(to)));
        } else {
            self.add_called(&mut event, &mut detail, to, transaction.value, &transaction.input, 0);
        }
        event.detail(&Value::Object(detail)).build_own()
    }

    fn will_execute(&self, transaction: &Transaction, time: Instant) -> Option<Event> {
        let asked = asked_of(transaction.from, transaction.to, &transaction.input, self.watched)?;
        let kind = if asked.module { "chain.module_tx" } else { "chain.tx" };
        let mut event = self.waits(transaction, asked.safe, kind, "executed", time);
        event.actor(address(asked.caller)).from_address(address(asked.safe));
        let mut detail = Map::new();
        detail.insert("operation".into(), json!(asked.operation));
        if asked.module {
            detail.insert("module".into(), json!(address(asked.caller)));
        }
        self.add_called(&mut event, &mut detail, asked.to, asked.value, &asked.data, asked.operation);
        Some(event.detail(&Value::Object(detail)).build_own())
    }

    fn waits(
        &self,
        transaction: &Transaction,
        wallet: Address,
        kind: &str,
        id: &str,
        time: Instant,
    ) -> keywatch_store::event::Builder {
        let tx = format!("{:#x}", transaction.hash);
        // The time is part of the id: one that waits again after a reorganisation is told again.
        let id = format!("{kind}/{}/pool/{tx}/{wallet:#x}/{id}/{}", self.network.name, time.nanoseconds());
        let mut event = Event::builder(self.origin, &id, kind, time);
        event.wallet(address(wallet)).chain(&self.network.name).tx(tx).outcome("unconfirmed");
        event
    }
}
