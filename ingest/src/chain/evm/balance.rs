//! The native balance of a watched wallet before and after a block, against what its events explain. What is left over moved
//! without a transaction or a known call: value that a contract sent, where nodes are not asked for calls.

use alloy::primitives::{I256, U256};
use keywatch_store::Event;
use serde_json::json;

use super::decode::{Decoder, Place, address, amount, complete};
use super::state::Looked;

/// The event of a difference that `told`, the events of the block, do not explain.
pub(super) fn unexplained(decoder: &Decoder<'_>, place: &Place<'_>, looked: &Looked, told: &[Event]) -> Option<Event> {
    let wallet = address(looked.wallet);
    let own = told.iter().filter(|event| event.wallet() == Some(wallet.as_str()));
    let explained = own.map(|event| effect(event, &decoder.network.asset)).fold(I256::ZERO, I256::wrapping_add);
    let moved = I256::from_raw(looked.after.balance.wrapping_sub(looked.before.balance));
    let rest = moved.wrapping_sub(explained);
    if rest.is_zero() {
        return None;
    }
    let mut event = decoder.event(place, "chain.balance", looked.wallet, "balance");
    event.asset(&decoder.network.asset).outcome("unexplained").amount(amount(rest.unsigned_abs()));
    let detail = json!({
        "direction": if rest.is_negative() { "out" } else { "in" },
        "before": looked.before.balance.to_string(),
        "after": looked.after.balance.to_string(),
    });
    Some(complete(&mut event, place, detail))
}

/// What an event says that the wallet gained or lost of the native asset.
fn effect(event: &Event, native: &str) -> I256 {
    let detail = event.detail().value();
    let signed = |units: &str| units.parse::<U256>().map(I256::from_raw).unwrap_or_default();
    match event.kind() {
        "chain.transfer" if event.asset() == Some(native) && detail["token"].is_null() => {
            let units = event.amount().map(|amount| signed(&amount.to_string())).unwrap_or_default();
            if detail["direction"] == "out" { units.wrapping_neg() } else { units }
        }
        // Whoever sent it paid the fee: of a Safe's transaction that is somebody else.
        "chain.tx" if event.actor() == event.wallet() => {
            detail["fee"].as_str().map(signed).unwrap_or_default().wrapping_neg()
        }
        _ => I256::ZERO,
    }
}
