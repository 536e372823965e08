//! The balance of a watched wallet before and after a block, against what its events explain. What is left over of the native
//! asset moved without a transaction or a known call: value that a contract sent, where nodes are not asked for calls. Of a
//! token it is what the token did without saying so, or otherwise than it said.

use alloy::primitives::{Address, I256, U256};
use keywatch_store::Event;
use serde_json::{Value, json};

use super::events::{Decoder, Place, address, amount, complete};
use super::state::Looked;
use super::tokens::Held;
use crate::chain::registry;

/// The event of a difference in the native asset that `told`, the events of the block, do not explain.
pub(super) fn unexplained(decoder: &Decoder<'_>, place: &Place<'_>, looked: &Looked, told: &[Event]) -> Option<Event> {
    let (before, after) = (looked.before.balance, looked.after.balance);
    let explained = sum(told, looked.wallet, |event, detail| native(event, detail, &decoder.network.asset));
    let (rest, detail) = left_over(before, after, explained)?;
    let mut event = decoder.event(place, "chain.balance", looked.wallet, "balance");
    event.asset(&decoder.network.asset).outcome("unexplained").amount(amount(rest));
    Some(complete(&mut event, place, detail))
}

/// The same for a token.
pub(super) fn unexplained_token(
    decoder: &Decoder<'_>,
    place: &Place<'_>,
    held: &Held,
    told: &[Event],
) -> Option<Event> {
    let token = address(held.token);
    let explained = sum(told, held.wallet, |event, detail| moved(event, detail, &token));
    let (rest, mut detail) = left_over(held.before, held.after, explained)?;
    let mut event = decoder.event(place, "chain.balance", held.wallet, &format!("balance/{token}"));
    event.asset(registry::token(&decoder.network.name, &token)).outcome("unexplained").amount(amount(rest));
    detail["token"] = json!(token);
    Some(complete(&mut event, place, detail))
}

/// How much more or less a balance changed than is explained, and what is said of it.
pub(super) fn left_over(before: U256, after: U256, explained: I256) -> Option<(U256, Value)> {
    let rest = I256::from_raw(after.wrapping_sub(before)).wrapping_sub(explained);
    let detail = json!({
        "direction": if rest.is_negative() { "out" } else { "in" },
        "before": before.to_string(),
        "after": after.to_string(),
    });
    (!rest.is_zero()).then(|| (rest.unsigned_abs(), detail))
}

/// What the events of a wallet say together that it gained or lost.
fn sum(told: &[Event], wallet: Address, effect: impl Fn(&Event, &Value) -> I256) -> I256 {
    let wallet = address(wallet);
    let own = told.iter().filter(|event| event.wallet() == Some(wallet.as_str()));
    own.map(|event| effect(event, &event.detail().value())).fold(I256::ZERO, I256::wrapping_add)
}

/// What an event says that the wallet gained or lost of the native asset.
pub(super) fn native(event: &Event, detail: &Value, asset: &str) -> I256 {
    match event.kind() {
        "chain.transfer" if event.asset() == Some(asset) && detail["token"].is_null() => transferred(event, detail),
        // Whoever sent it paid the fee: of a Safe's transaction that is somebody else.
        "chain.tx" if event.actor() == event.wallet() => {
            detail["fee"].as_str().map(signed).unwrap_or_default().wrapping_neg()
        }
        _ => I256::ZERO,
    }
}

/// What an event says that the wallet gained or lost of a token.
fn moved(event: &Event, detail: &Value, token: &str) -> I256 {
    let of_it = event.kind() == "chain.transfer" && detail["token"] == token;
    if of_it { transferred(event, detail) } else { I256::ZERO }
}

pub(super) fn transferred(event: &Event, detail: &Value) -> I256 {
    let units = event.amount().map(|amount| signed(&amount.to_string())).unwrap_or_default();
    if detail["direction"] == "out" { units.wrapping_neg() } else { units }
}

fn signed(units: &str) -> I256 {
    units.parse::<U256>().map(I256::from_raw).unwrap_or_default()
}
