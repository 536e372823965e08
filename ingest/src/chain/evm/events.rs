//! What all events of these chains say: under whom they are written, where in the chain something happened, and the forms of
//! addresses and amounts. It knows no block; what is told of one stands in the files above it.

use alloy::primitives::{Address, B256, U256};
use keywatch_store::event::{Builder, Origin};
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Value, json};

use super::rpc::{Receipt, Transaction};
use super::watch::{Network, Watched};

/// Reads blocks for one source.
#[derive(Clone, Copy, Debug)]
pub struct Decoder<'a> {
    /// Who the events are written under.
    pub origin: &'a Origin,
    /// The chain.
    pub network: &'a Network,
    /// What is watched on it.
    pub watched: &'a Watched,
}

/// Where in the chain something happened.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) height: u64,
    pub(super) hash: B256,
    pub(super) epoch: u64,
    pub(super) time: Instant,
    /// What the block asks of everybody for a unit of gas.
    pub(super) base_fee: Option<U256>,
    pub(super) tx: Option<(&'a Transaction, &'a Receipt)>,
}

impl Decoder<'_> {
    /// An event of `wallet`; `id` tells it apart within its transaction, or its block.
    pub(super) fn event(&self, place: &Place<'_>, kind: &str, wallet: Address, id: &str) -> Builder {
        let transaction = place.tx.map(|(transaction, _)| format!("{:#x}", transaction.hash));
        // What is of no transaction, several wallets may have in one block.
        let within = transaction.clone().unwrap_or_else(|| format!("block/{wallet:#x}"));
        let id = format!("{kind}/{}/{}/{:#x}/{within}/{id}", self.network.name, place.epoch, place.hash);
        let mut event = Event::builder(self.origin, &id, kind, place.time);
        event.wallet(address(wallet)).chain(&self.network.name).tx(transaction);
        event
    }
}

/// Adds what is said of every event of a block, and makes it.
pub(super) fn complete(event: &mut Builder, place: &Place<'_>, mut detail: Value) -> Event {
    detail["block"] = json!(place.height);
    detail["block_hash"] = json!(format!("{:#x}", place.hash));
    detail["epoch"] = json!(place.epoch);
    if let Some((_, receipt)) = place.tx
        && matches!(event.get(keywatch_store::event::TextColumn::Kind), Some("chain.tx" | "chain.module_tx"))
    {
        detail["fee"] = json!(receipt.fee().to_string());
        for (name, price) in [("fee_rate", receipt.effective_gas_price), ("base_fee", place.base_fee)] {
            if let Some(price) = price.and_then(|price| i64::try_from(price).ok()) {
                detail[name] = json!(price);
            }
        }
    }
    event.detail(&detail).build_own()
}

/// An address in the canonical form of events.
pub(super) fn address(address: Address) -> String {
    format!("{address:#x}")
}

pub(super) fn amount(units: U256) -> Amount {
    Amount::from_digits(&units.to_string()).expect("a 256-bit word has at most 78 digits")
}

/// Unix seconds of a block. One that claims a time beyond all calendars has the latest there is.
#[must_use]
pub fn seconds(timestamp: u64) -> Instant {
    i64::try_from(timestamp).ok().and_then(Instant::from_unix_seconds).unwrap_or(Instant(i64::MAX))
}
