//! What happens to a Safe without a signature of its owners, as the service lists it beside multisig transactions
//! (`GET /api/v2/safes/{address}/all-transactions/`): what a module did, and what others sent.
//!
//! A module acts for the wallet without asking its owners (`execTransactionFromModule` of the contracts), so what it does is a
//! `chain.module_tx` of its own. What came in is a `chain.transfer`.

use alloy::primitives::{Address, U256};
use keywatch_store::Event;
use keywatch_store::event::Builder;
use serde_json::{Map, Value, json};

use super::record::operation;
use super::{amount, canonical, put};
use crate::chain::evm::call::{Call, Tokens, foreign_delegate, unlimited_spender};
use crate::chain::registry;
use crate::feeds::fields::Fields;
use crate::{Context, Problem};

/// The chain that is declared for a wallet, else `ethereum`.
fn chain(context: &Context<'_>, wallet: &str) -> String {
    context.wallet(wallet).map_or_else(|| "ethereum".to_owned(), |declared| declared.chain.to_ascii_lowercase())
}

/// `MODULE_TRANSACTION`: one `chain.module_tx`.
pub(super) fn module_transaction(context: &Context<'_>, fields: &Fields<'_>) -> Result<Vec<Event>, Problem> {
    let wallet = canonical(fields.need_address("safe")?);
    let chain = chain(context, &wallet);
    let called = fields.need_address("to")?;
    let operation = operation(fields)?;
    let data = fields.bytes("data")?.unwrap_or_default();
    let call = Call::decode(&data);
    let value = fields.need_word("value")?;
    // What is sent along with a call is what leaves, since tokens refuse it.
    let moved = call.as_ref().filter(|_| operation == 0 && value.is_zero()).and_then(|call| call.tokens);
    let (asset, units, recipient) = match moved {
        Some(Tokens::Move { recipient, amount }) => (registry::token(&chain, &canonical(called)), amount, recipient),
        Some(Tokens::Allow { amount }) => (registry::token(&chain, &canonical(called)), amount, called),
        None => (native(&chain), value, called),
    };
    let id = format!("module/{}", fields.need_text("moduleTransactionId")?);
    let mut event = Event::builder(context.origin, &id, "chain.module_tx", fields.need_time("executionDate")?);
    let module = canonical(fields.need_address("module")?);
    event.wallet(&wallet).from_address(&wallet).actor(&module).chain(&chain);
    event.tx(format!("{:#x}", fields.need_hash("transactionHash")?));
    let successful = fields.flag("isSuccessful")?.ok_or_else(|| fields.missing("isSuccessful"))?;
    event.outcome(if successful { "success" } else { "failed" });
    event.asset(asset).to_address(canonical(recipient)).amount(amount(units));
    let mut detail = Map::new();
    put(&mut detail, "module", Some(json!(module)));
    put(&mut detail, "operation", Some(json!(operation)));
    put(&mut detail, "to", Some(json!(canonical(called))));
    put(&mut detail, "call", call.as_ref().map(Call::to_json));
    put(&mut detail, "inner_delegate_to", foreign_delegate(&data).map(|to| json!(canonical(to))));
    put(&mut detail, "unlimited_spender", unlimited_spender(&data).map(|spender| json!(canonical(spender))));
    put(&mut detail, "block", fields.integer("blockNumber")?.map(Value::from));
    event.detail(&Value::Object(detail));
    Ok(vec![event.build()?])
}

/// `ETHEREUM_TRANSACTION`: one `chain.transfer` for each transfer and each side of it that is a wallet of the system. Where
/// neither is declared it is the recipient's: the service lists what came to the Safe.
pub(super) fn transfers(context: &Context<'_>, fields: &Fields<'_>) -> Result<Vec<Event>, Problem> {
    let listed = fields.value("transfers").ok_or_else(|| fields.missing("transfers"))?;
    let listed = listed.as_array().ok_or_else(|| fields.problem("transfers", "must be an array"))?;
    let mut events = Vec::new();
    for (index, transfer) in listed.iter().enumerate() {
        let transfer = Fields::at(transfer, &format!("transfers.{index}"))?;
        let (from, to) = (canonical(transfer.need_address("from")?), canonical(transfer.need_address("to")?));
        let leaves = context.wallet(&from).is_some();
        if leaves {
            events.push(side(context, &transfer, "out", &from)?);
        }
        if !leaves || context.wallet(&to).is_some() {
            events.push(side(context, &transfer, "in", &to)?);
        }
    }
    Ok(events)
}

fn side(context: &Context<'_>, transfer: &Fields<'_>, direction: &str, wallet: &str) -> Result<Event, Problem> {
    let chain = chain(context, wallet);
    let id = format!("transfer/{direction}/{}", transfer.need_text("transferId")?);
    let mut event = Event::builder(context.origin, &id, "chain.transfer", transfer.need_time("executionDate")?);
    event.wallet(wallet).chain(&chain).outcome("success");
    event.tx(format!("{:#x}", transfer.need_hash("transactionHash")?));
    event.from_address(canonical(transfer.need_address("from")?));
    event.to_address(canonical(transfer.need_address("to")?));
    fill_what_moved(&mut event, transfer, &chain)?;
    let mut detail = Map::new();
    put(&mut detail, "direction", Some(json!(direction)));
    put(&mut detail, "block", transfer.integer("blockNumber")?.map(Value::from));
    put(&mut detail, "token_id", transfer.value("tokenId").cloned());
    event.detail(&Value::Object(detail));
    Ok(event.build()?)
}

/// Units of a token, one of a token that cannot be divided, or the chain's own.
fn fill_what_moved(event: &mut Builder, transfer: &Fields<'_>, chain: &str) -> Result<(), Problem> {
    let token: Option<Address> = transfer.address("tokenAddress")?;
    event.asset(token.map_or_else(|| native(chain), |token| registry::token(chain, &canonical(token))));
    let units = if transfer.value("tokenId").is_some() { U256::ONE } else { transfer.need_word("value")? };
    event.amount(amount(units));
    Ok(())
}

fn native(chain: &str) -> String {
    registry::find(chain).map_or("ETH", |chain| chain.asset).to_owned()
}
