//! Records of the Safe transaction service: proposals, confirmations, executions of a multisig wallet.
//!
//! Source of the format: safe-global/safe-transaction-service, `GET /api/v1/safes/{address}/multisig-transactions/`. A body
//! is one record, an array, JSON lines, or the service's page `{count, next, results}`.
//!
//! The service is not believed. From the fields of a record the `safeTxHash` is recomputed, and the signer of every
//! confirmation is recovered from its signature over the hash under which it is filed. What does not agree is said in
//! `outcome`; only what nothing but the chain could tell is called unverifiable.
//!
//! A record becomes `signing.requested`, one `signing.approved` a confirmation, and when executed `signing.signed` and
//! `chain.tx`. What modules did and what others sent (`unsigned`) is read from the list of all transactions. A record is mutable; a later revision gives the same events again, which the log skips by their ids, and
//! the new ones. So an event holds only what does not change from one revision to the next.

mod hash;
mod record;
mod signature;
mod unsigned;

use std::collections::BTreeSet;

use alloy::primitives::{Address, U256, hex};
use keywatch_store::event::{Builder, TextColumn};
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Map, Value, json};

use crate::chain::evm::call::{self, Call, Tokens};
use crate::chain::registry;
use crate::feeds::fields::Fields;
use crate::feeds::read;
use crate::{Context, Feed, Problem, Reading};
use hash::Recomputed;
use record::{Confirmation, Execution, Record};
use signature::Verdict;

/// The feed `safe`.
#[derive(Clone, Copy, Debug)]
pub struct Safe;

impl Feed for Safe {
    fn name(&self) -> &'static str {
        "safe"
    }

    fn makes(&self) -> BTreeSet<&'static str> {
        BTreeSet::from([
            "signing.requested",
            "signing.approved",
            "signing.signed",
            "chain.tx",
            "chain.module_tx",
            "chain.transfer",
        ])
    }

    fn read(&self, context: &Context<'_>, body: &[u8]) -> Reading {
        read::read_each(body, Some("results"), |value| {
            let fields = Fields::of(value)?;
            match fields.text("txType")? {
                None | Some("MULTISIG_TRANSACTION") => {
                    let record = Record::read(&fields)?;
                    let verdicts = record.verdicts();
                    Told::new(context, &record, &verdicts).events()
                }
                Some("MODULE_TRANSACTION") => unsigned::module_transaction(context, &fields),
                Some("ETHEREUM_TRANSACTION") => unsigned::transfers(context, &fields),
                Some(_) => Err(fields
                    .problem("txType", "must be MULTISIG_TRANSACTION, MODULE_TRANSACTION or ETHEREUM_TRANSACTION")),
            }
        })
    }
}

/// An address in the canonical form of events.
fn canonical(address: Address) -> String {
    format!("{address:#x}")
}

/// One record as it is told in events.
struct Told<'a> {
    context: &'a Context<'a>,
    record: &'a Record,
    verdicts: &'a [Verdict],
    recomputed: Recomputed,
    call: Option<Call>,
}

/// What a transaction moves, or would let somebody move.
struct Effect {
    asset: String,
    amount: U256,
    recipient: Address,
}

impl<'a> Told<'a> {
    fn new(context: &'a Context<'a>, record: &'a Record, verdicts: &'a [Verdict]) -> Told<'a> {
        let recomputed = hash::recompute(record, context.wallet(&canonical(record.safe)));
        Told { context, record, verdicts, recomputed, call: Call::decode(&record.data) }
    }

    /// Token units where a token is called, else the native value. A request for an allowance tells the allowance, so
    /// that an unlimited one shows; on the chain it moves nothing, and a wallet's history of amounts must not learn it.
    fn effect(&self, on_chain: bool) -> Effect {
        let record = self.record;
        let asset = || registry::token(&self.recomputed.chain, &canonical(record.to));
        match self.tokens() {
            Some(Tokens::Move { recipient, amount }) => Effect { asset: asset(), amount, recipient },
            Some(Tokens::Allow { amount }) if !on_chain => Effect { asset: asset(), amount, recipient: record.to },
            _ => {
                let native = registry::find(&self.recomputed.chain).map_or("ETH", |chain| chain.asset);
                Effect { asset: native.to_owned(), amount: record.value, recipient: record.to }
            }
        }
    }

    /// What is done with tokens. Code that is delegated to does what it likes, whatever its call looks like; and what is sent
    /// along with a call is what leaves, since tokens refuse it.
    fn tokens(&self) -> Option<Tokens> {
        self.call.as_ref().filter(|_| self.record.operation == 0 && self.record.value.is_zero())?.tokens
    }

    fn events(&self) -> Result<Vec<Event>, Problem> {
        let mut events = vec![self.requested()];
        let confirmed = self.record.confirmations.iter().zip(self.verdicts);
        events.extend(confirmed.map(|(confirmation, verdict)| self.approved(confirmation, verdict)));
        if let Some(execution) = &self.record.execution {
            events.push(self.signed(execution));
            events.push(self.transaction(execution));
        }
        events.iter_mut().map(|event| Ok(event.build()?)).collect()
    }

    fn requested(&self) -> Builder {
        let id = format!("requested/{:#x}", self.record.hash);
        let mut event = self.event(&id, "signing.requested", self.record.submitted);
        event.actor(self.record.proposer.map(canonical));
        event.outcome(self.recomputed.outcome);
        event.reason(&self.recomputed.reason);
        self.complete(event, self.request_detail())
    }

    fn approved(&self, confirmation: &Confirmation, verdict: &Verdict) -> Builder {
        let owner = canonical(confirmation.owner);
        let id = format!("approved/{:#x}/{owner}", self.record.hash);
        let mut event = self.event(&id, "signing.approved", confirmation.submitted);
        event.outcome(verdict.outcome);
        event.reason(&verdict.reason);
        let mut detail = self.hash_detail();
        put(&mut detail, "signature_type", Some(json!(verdict.kind)));
        put(&mut detail, "signature_type_filed", confirmation.kind.as_deref().map(Value::from));
        put(&mut detail, "signer_claimed", Some(json!(owner)));
        put(&mut detail, "signer_recovered", verdict.recovered.map(|signer| json!(canonical(signer))));
        event.actor(owner);
        self.complete(event, detail)
    }

    fn signed(&self, execution: &Execution) -> Builder {
        let id = format!("signed/{:#x}", self.record.hash);
        let mut event = self.event(&id, "signing.signed", execution.time);
        execution.fill(&mut event);
        let mut detail = self.request_detail();
        let signers = self.verdicts.iter().filter_map(|verdict| verdict.recovered).map(canonical);
        put(&mut detail, "signers", Some(json!(signers.collect::<Vec<_>>())));
        put(&mut detail, "executor", execution.executor.map(|executor| json!(canonical(executor))));
        put(&mut detail, "confirmations_required", self.record.confirmations_required.map(Value::from));
        put(&mut detail, "trusted", self.record.trusted.map(Value::from));
        self.complete(event, detail)
    }

    fn transaction(&self, execution: &Execution) -> Builder {
        let id = format!("tx/{:#x}", execution.transaction);
        let mut event = self.event(&id, "chain.tx", execution.time);
        execution.fill(&mut event);
        event.copy(TextColumn::Wallet, TextColumn::FromAddress);
        let mut detail = Map::new();
        self.add_what_is_called(&mut detail);
        put(&mut detail, "block", execution.block.map(Value::from));
        self.complete(event, detail)
    }

    /// What is true of every event of the record.
    fn event(&self, id: &str, kind: &str, time: Instant) -> Builder {
        let mut event = Event::builder(self.context.origin, id, kind, time);
        event.wallet(canonical(self.record.safe));
        event.request(format!("{:#x}", self.record.hash));
        event.chain(&self.recomputed.chain);
        event
    }

    fn complete(&self, mut event: Builder, detail: Map<String, Value>) -> Builder {
        let effect = self.effect(event.get(TextColumn::Kind) == Some("chain.tx"));
        event.to_address(canonical(effect.recipient));
        event.asset(effect.asset);
        event.detail(&Value::Object(detail));
        event.amount(amount(effect.amount));
        event
    }

    fn hash_detail(&self) -> Map<String, Value> {
        let mut detail = Map::new();
        put(&mut detail, "hash_filed", Some(json!(format!("{:#x}", self.record.hash))));
        put(&mut detail, "hash_recomputed", self.recomputed.hash.map(|hash| json!(format!("{hash:#x}"))));
        put(&mut detail, "operation", Some(json!(self.record.operation)));
        put(&mut detail, "nonce", Some(integer_or_text(&self.record.nonce.to_string())));
        let gas_price = self.record.gas_price;
        put(&mut detail, "gas_price", (!gas_price.is_zero()).then(|| json!(gas_price.to_string())));
        detail
    }

    fn request_detail(&self) -> Map<String, Value> {
        let mut detail = self.hash_detail();
        put(&mut detail, "hash_scheme", self.recomputed.scheme.clone().map(Value::from));
        put(&mut detail, "proposer", self.record.proposer.map(|proposer| json!(canonical(proposer))));
        self.add_what_is_called(&mut detail);
        detail
    }

    fn add_what_is_called(&self, detail: &mut Map<String, Value>) {
        put(detail, "operation", Some(json!(self.record.operation)));
        put(detail, "nonce", Some(integer_or_text(&self.record.nonce.to_string())));
        put(detail, "to", Some(json!(canonical(self.record.to))));
        put(detail, "value", Some(json!(self.record.value.to_string())));
        let selector = self.record.data.get(..4).map(hex::encode_prefixed);
        put(detail, "selector", selector.map(Value::from));
        put(detail, "data_bytes", (!self.record.data.is_empty()).then(|| json!(self.record.data.len())));
        put(detail, "call", self.call.as_ref().map(Call::to_json));
        let delegated = call::foreign_delegate(&self.record.data);
        put(detail, "inner_delegate_to", delegated.map(|to| json!(canonical(to))));
        let spender = call::unlimited_spender(&self.record.data);
        put(detail, "unlimited_spender", spender.map(|spender| json!(canonical(spender))));
    }
}

fn put(detail: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        detail.insert(name.to_owned(), value);
    }
}

impl Execution {
    fn fill(&self, event: &mut Builder) {
        event.actor(self.executor.map(canonical));
        event.tx(format!("{:#x}", self.transaction));
        event.outcome(if self.successful { "success" } else { "failed" });
    }
}

fn amount(units: U256) -> Amount {
    Amount::from_digits(&units.to_string()).expect("a 256-bit word has at most 78 digits")
}

/// A nonce is a small integer, but the field is a 256-bit word.
fn integer_or_text(digits: &str) -> Value {
    digits.parse::<i64>().map_or_else(|_| Value::from(digits), Value::from)
}

#[cfg(test)]
mod tests;
