//! A block of an Ethereum chain → events of watched wallets: their transactions, and the native asset that moves.
//!
//! A transaction that a watched account sends is its `chain.tx`. One that a watched Safe executes is the Safe's, wherever
//! the call stands: the Safe says so in a log, also when a contract called it. What modules did is `chain.module_tx`.
//! What contracts say in logs is read in [`super::logs`], what calls within calls move in [`super::traces`].

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use keywatch_store::Event;
use keywatch_store::event::Builder;
use serde_json::{Map, Value, json};

use super::balance;
use super::call::{self, Call, Tokens, abi};
use super::delegations;
use super::destinations;
use super::events::{Decoder, Place, address, amount, complete, seconds};
use super::logs::{self, Said};
use super::metadata;
use super::read::ReadBlock;
use super::rpc::{Receipt, Transaction, Withdrawal};
use super::signatures;
use super::state;
use super::traces::{self, Moved};
use super::watch::Watched;
use crate::chain::registry;

/// A Safe's own transaction, or a module's.
struct Execution {
    safe: Address,
    by: By,
    /// What the Safe said about it, if it did.
    succeeded: Option<bool>,
    asked: Option<Asked>,
}

enum By {
    /// Its owners, under the hash that they signed.
    Owners(Option<B256>),
    Module(Option<Address>),
}

/// What a Safe was asked to call.
pub(super) struct Asked {
    pub(super) safe: Address,
    pub(super) caller: Address,
    pub(super) module: bool,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) data: Bytes,
    pub(super) operation: u8,
    /// What its owners signed that with, as the contract reads it; nothing where a module asks.
    signatures: Bytes,
}

impl Decoder<'_> {
    /// The events of a block, in its order. `epoch` is the cursor's.
    #[must_use]
    pub fn block(&self, read: &ReadBlock, epoch: u64) -> Vec<Event> {
        let block = &read.block;
        let place = Place {
            height: block.number,
            hash: block.hash,
            epoch,
            time: seconds(block.timestamp),
            base_fee: block.base_fee_per_gas,
            tx: None,
        };
        // First, so that what is told of a token's amounts knows it.
        let mut events: Vec<Event> = read.metadata.iter().map(|said| metadata::event(self, &place, said)).collect();
        for (index, (transaction, receipt)) in block.transactions.iter().zip(&read.receipts).enumerate() {
            let frame = read.traces.as_ref().map(|traces| &traces[index].result);
            let place = Place { tx: Some((transaction, receipt)), ..place };
            let walk = frame.map(|frame| traces::walk(frame, self.watched)).unwrap_or_default();
            self.transaction(&place, &walk, &mut events);
            let own = read.delegations.iter().enumerate().filter(|(_, delegation)| delegation.transaction == index);
            // They hold also where the transaction that carries them fails.
            events.extend(own.filter_map(|(number, one)| delegations::told(self, &place, one, number, &read.looked)));
        }
        let withdrawals = block.withdrawals.iter().filter(|withdrawal| self.watched.has(&withdrawal.address));
        events.extend(withdrawals.map(|withdrawal| self.withdrawal(&place, withdrawal)));
        for looked in &read.looked {
            let changes = state::changes(self, &place, looked, &events);
            let unexplained = balance::unexplained(self, &place, looked, &events);
            events.extend(changes.into_iter().chain(unexplained));
        }
        let unexplained: Vec<Event> =
            read.held.iter().filter_map(|held| balance::unexplained_token(self, &place, held, &events)).collect();
        events.extend(unexplained);
        events.extend(read.destinations.iter().map(|seen| destinations::event(self, &place, seen)));
        if let Some(problem) = read.asked.problem() {
            let id = format!("unread/{}/{epoch}/{:#x}", self.network.name, block.hash);
            let mut event = Event::builder(self.origin, &id, "source.status", place.time);
            let reason = format!("calls, storage or balances at block {} could not be read: {problem}", block.number);
            events.push(event.chain(&self.network.name).outcome("degraded").reason(reason).build_own());
        }
        events
    }

    fn withdrawal(&self, place: &Place<'_>, withdrawal: &Withdrawal) -> Event {
        let units = withdrawal.amount.saturating_mul(U256::from(1_000_000_000_u64));
        let id = format!("withdrawal/{}", withdrawal.index);
        let mut event = self.event(place, "chain.transfer", withdrawal.address, &id);
        event.to_address(address(withdrawal.address)).asset(&self.network.asset).amount(amount(units));
        complete(event.outcome("success"), place, json!({"direction": "in", "withdrawal": withdrawal.index}))
    }

    fn transaction(&self, place: &Place<'_>, walk: &traces::Walk, events: &mut Vec<Event>) {
        let Some((transaction, receipt)) = place.tx else { return };
        let said = logs::said(receipt, self.watched);
        if self.watched.has(&transaction.from) {
            events.push(self.sent(place, transaction, receipt, &said));
        }
        let executions = self.executions(transaction, walk, &said);
        for (number, execution) in executions.iter().enumerate() {
            events.push(self.executed(place, execution, number, &said));
            if let (By::Owners(Some(hash)), Some(asked)) = (&execution.by, &execution.asked) {
                events.extend(signatures::told(self, place, execution.safe, *hash, &asked.signatures, number));
            }
        }
        if receipt.succeeded() {
            let moved = Moved {
                from: transaction.from,
                to: transaction.to.or(receipt.contract_address).unwrap_or_default(),
                value: transaction.value,
                depth: 0,
            };
            for (number, moved) in std::iter::once(&moved).chain(&walk.moved).enumerate() {
                self.native(place, moved, number, events);
            }
            events.extend(self.nothing(place, transaction));
        }
        let safes = executions.iter().map(|execution| execution.safe);
        let acting: Vec<Address> = std::iter::once(transaction.from).chain(safes).collect();
        events.extend(said.iter().flat_map(|said| said.events(self, place, &acting)));
    }

    /// The `chain.tx` of a watched account.
    fn sent(&self, place: &Place<'_>, transaction: &Transaction, receipt: &Receipt, said: &[Said]) -> Event {
        let wallet = transaction.from;
        let to = transaction.to.or(receipt.contract_address);
        let mut event = self.event(place, "chain.tx", wallet, "sent");
        event.actor(address(wallet)).from_address(address(wallet));
        event.outcome(if receipt.succeeded() { "success" } else { "failed" });
        let mut detail = Map::new();
        add_signed(&mut detail, transaction);
        if let Some(to) = transaction.to {
            self.add_called(&mut event, &mut detail, to, transaction.value, &transaction.input, 0);
        } else {
            event.to_address(to.map(address)).asset(&self.network.asset).amount(amount(transaction.value));
            detail.insert("creates".into(), json!(to.map(address)));
        }
        add_allowance(&mut detail, said, wallet);
        complete(&mut event, place, Value::Object(detail))
    }

    /// What Safes executed within a transaction: each said so in a log, or was asked to and said nothing.
    fn executions(&self, transaction: &Transaction, walk: &traces::Walk, said: &[Said]) -> Vec<Execution> {
        let whole = asked_of(transaction.from, transaction.to, &transaction.input, self.watched);
        let asked = whole
            .into_iter()
            .chain(walk.asked.iter().filter_map(|call| asked_of(call.from, Some(call.to), &call.input, self.watched)));
        let mut asked: Vec<Option<Asked>> = asked.map(Some).collect();
        let mut take = |safe: Address, module: bool| {
            let wanted = |asked: &&mut Option<Asked>| {
                asked.as_ref().is_some_and(|asked| asked.safe == safe && asked.module == module)
            };
            asked.iter_mut().find(wanted).and_then(Option::take)
        };
        let mut executions: Vec<Execution> = said
            .iter()
            .filter_map(|said| match *said {
                Said::Executed { safe, hash, succeeded, .. } => Some(Execution {
                    safe,
                    by: By::Owners(Some(hash)),
                    succeeded: Some(succeeded),
                    asked: take(safe, false),
                }),
                Said::ExecutedByModule { safe, module, succeeded, .. } => Some(Execution {
                    safe,
                    by: By::Module(Some(module)),
                    succeeded: Some(succeeded),
                    asked: take(safe, true),
                }),
                _ => None,
            })
            .collect();
        executions.extend(asked.into_iter().flatten().map(|asked| Execution {
            safe: asked.safe,
            by: if asked.module { By::Module(Some(asked.caller)) } else { By::Owners(None) },
            succeeded: None,
            asked: Some(asked),
        }));
        executions
    }

    fn executed(&self, place: &Place<'_>, execution: &Execution, number: usize, said: &[Said]) -> Event {
        let Execution { safe, by, succeeded, asked } = execution;
        let kind = if matches!(by, By::Module(_)) { "chain.module_tx" } else { "chain.tx" };
        let mut event = self.event(place, kind, *safe, &format!("executed/{number}"));
        let mut detail = Map::new();
        match by {
            By::Owners(hash) => {
                let executor = place.tx.map(|(transaction, _)| address(transaction.from));
                event.actor(executor).request(hash.map(|hash| format!("{hash:#x}")));
            }
            By::Module(module) => {
                event.actor(module.map(address));
                detail.insert("module".into(), json!(module.map(address)));
            }
        }
        let whole = place.tx.is_none_or(|(_, receipt)| receipt.succeeded());
        let fine = whole && succeeded.unwrap_or(true);
        if !whole && matches!(by, By::Module(_)) {
            // Whoever is no module can ask as one, and is refused.
            detail.insert("reverted".into(), json!(true));
        }
        event.from_address(address(*safe)).outcome(if fine { "success" } else { "failed" });
        if let Some(asked) = asked {
            self.add_called(&mut event, &mut detail, asked.to, asked.value, &asked.data, asked.operation);
            detail.insert("operation".into(), json!(asked.operation));
        }
        add_allowance(&mut detail, said, *safe);
        complete(&mut event, place, Value::Object(detail))
    }

    /// What a call does, as far as its bytes tell: a token's units where a token is called, else the native value. What is sent along
    /// with a call is what leaves, since tokens refuse it.
    pub(super) fn add_called(
        &self,
        event: &mut Builder,
        detail: &mut Map<String, Value>,
        to: Address,
        value: U256,
        data: &Bytes,
        operation: u8,
    ) {
        let known = Call::decode(data);
        match known.as_ref().filter(|_| operation == 0 && value.is_zero()).and_then(|call| call.tokens) {
            Some(Tokens::Move { recipient, amount: units }) => {
                event.asset(registry::token(&self.network.name, &address(to)));
                event.to_address(address(recipient)).amount(amount(units));
            }
            _ => _ = event.asset(&self.network.asset).to_address(address(to)).amount(amount(value)),
        }
        if !data.is_empty() {
            detail.insert("to".into(), json!(address(to)));
            let selector = data.get(..4).map(alloy::primitives::hex::encode_prefixed);
            detail.insert("selector".into(), json!(selector));
        }
        let texts = [
            ("call", known.as_ref().map(Call::to_json)),
            ("inner_delegate_to", call::foreign_delegate(data).map(|to| json!(address(to)))),
            ("unlimited_spender", call::unlimited_spender(data).map(|spender| json!(address(spender)))),
        ];
        detail.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }

    fn native(&self, place: &Place<'_>, moved: &Moved, number: usize, events: &mut Vec<Event>) {
        if moved.value.is_zero() {
            return;
        }
        for (direction, wallet) in [("out", moved.from), ("in", moved.to)] {
            if self.watched.has(&wallet) {
                let id = format!("native/{number}/{direction}");
                let mut event = self.event(place, "chain.transfer", wallet, &id);
                event.from_address(address(moved.from)).to_address(address(moved.to)).outcome("success");
                event.asset(&self.network.asset).amount(amount(moved.value));
                let mut detail = json!({ "direction": direction });
                if moved.depth > 0 {
                    detail["call_depth"] = json!(moved.depth);
                }
                events.push(complete(&mut event, place, detail));
            }
        }
    }

    /// A transaction of nothing, and with nothing to do, to a watched wallet. It moves no value, and stands in the wallet's
    /// history all the same: whoever sends it wants their address to be seen there.
    fn nothing(&self, place: &Place<'_>, transaction: &Transaction) -> Option<Event> {
        let Transaction { from, value, input, .. } = transaction;
        let wallet = transaction.to.filter(|to| self.watched.has(to) && !self.watched.has(from))?;
        if !value.is_zero() || !input.is_empty() {
            return None;
        }
        let mut event = self.event(place, "chain.transfer", wallet, "native/0/in");
        event.from_address(address(*from)).to_address(address(wallet)).outcome("success");
        event.asset(&self.network.asset).amount(amount(*value));
        Some(complete(&mut event, place, json!({"direction": "in"})))
    }
}

/// What a Safe is asked in a call to it.
pub(super) fn asked_of(caller: Address, called: Option<Address>, data: &Bytes, watched: &Watched) -> Option<Asked> {
    // Whoever is no Safe takes such a call too, and does nothing.
    let safe = called.filter(|called| watched.is_safe(called))?;
    if let Ok(call) = abi::Known::execTransactionCall::abi_decode(data) {
        let abi::Known::execTransactionCall { to, value, data, operation, signatures, .. } = call;
        return Some(Asked { safe, caller, module: false, to, value, data, operation, signatures });
    }
    let (to, value, data, operation) = if let Ok(call) = abi::Known::execTransactionFromModuleCall::abi_decode(data) {
        (call.to, call.value, call.data, call.operation)
    } else {
        let call = abi::Known::execTransactionFromModuleReturnDataCall::abi_decode(data).ok()?;
        (call.to, call.value, call.data, call.operation)
    };
    Some(Asked { safe, caller, module: true, to, value, data, operation, signatures: Bytes::new() })
}

/// What a sender signed with: the account's nonce, and the signature itself.
pub(super) fn add_signed(detail: &mut Map<String, Value>, transaction: &Transaction) {
    detail.insert("nonce".into(), json!(transaction.nonce));
    if let Some((r, s)) = transaction.signature() {
        detail.insert("r".into(), json!(r));
        detail.insert("s".into(), json!(s));
    }
}

/// An allowance without limit that a token says was given, where the call data did not tell it.
fn add_allowance(detail: &mut Map<String, Value>, said: &[Said], wallet: Address) {
    let unlimited = said.iter().find_map(|said| said.unlimited_spender(wallet));
    if let (Some(spender), false) = (unlimited, detail.contains_key("unlimited_spender")) {
        detail.insert("unlimited_spender".into(), json!(address(spender)));
    }
}
