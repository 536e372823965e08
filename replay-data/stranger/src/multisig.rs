//! Multisig operations of treasury and cold wallets: a ticket, a proposal, the owners' confirmations, the execution.
//!
//! Owners sit in several time zones, so that confirmations come minutes to days apart. Each asks the decision point half a
//! minute before signing. A ticket is amended before anybody signed; a proposal is rejected by another one with its nonce,
//! which is how this contract cancels (5afe/safe-react#451, safe-global/safe-client-gateway#556); payments are put together
//! by the batching contract, which the wallet delegates to; whoever has fees at hand executes.

use serde_json::json;

use crate::calendar::{HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::decision::{Asking, Question, answer};
use crate::event::{Column, Event, dollars};
use crate::firm::{Firm, SOURCES, Wallet, node};
use crate::infrastructure::{Infrastructure, after};
use crate::journal::Journal;
use crate::money::{Asset, ETH};
use crate::names::{self, Chain};
use crate::people::Role;

/// What a multisig is asked to do.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// The contract called.
    pub(crate) called: String,
    /// Who gets value in the end.
    pub(crate) to: String,
    /// What moves.
    pub(crate) asset: Asset,
    /// How much.
    pub(crate) units: u128,
    /// Worth.
    pub(crate) cents: u64,
    /// Name and arguments of the call, if there is one.
    pub(crate) call: Option<serde_json::Value>,
    /// How the wallet calls, as its contract counts it: 0 is a call, 1 a delegatecall.
    pub(crate) mode: i64,
    /// What moves within a batch: recipient, base units, worth.
    pub(crate) parts: Vec<(String, u128, u64)>,
}

impl Operation {
    /// A payment.
    pub(crate) fn payment(to: String, asset: Asset, units: u128, day: i64) -> Operation {
        let is_token = asset.symbol != "ETH";
        let call = is_token.then(|| json!({ "name": "transfer", "args": { "to": to, "value": units.to_string() } }));
        let called = if is_token { token_contract(asset).to_owned() } else { to.clone() };
        Operation { called, to, asset, units, cents: asset.cents(units, day), call, mode: 0, parts: Vec::new() }
    }

    /// A call that moves nothing.
    pub(crate) fn call(to: String, asset: Asset, call: serde_json::Value, mode: i64) -> Operation {
        Operation { called: to.clone(), to, asset, units: 0, cents: 100, call: Some(call), mode, parts: Vec::new() }
    }
}

/// The contract of a token on the main chain.
fn token_contract(asset: Asset) -> &'static str {
    if asset.symbol == "USDT" {
        "0xdac17f958d2ee523a2206206994597c13d831ec7"
    } else {
        "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"
    }
}

/// A multisig wallet with its queue.
pub(crate) struct Multisig<'a> {
    pub(crate) firm: &'a Firm,
    pub(crate) wallet: Wallet,
    pub(crate) infrastructure: &'a Infrastructure,
    /// The transaction that was executed last.
    pub(crate) last_transaction: Option<String>,
    nonce: i64,
    free_from: i64,
    executor: String,
    tickets: u64,
}

/// A proposal as it is filed.
struct Proposal {
    hash: String,
    nonce: i64,
    at: i64,
}

/// A state of a ticket: its name, who changed it, into what, for which transaction, when.
#[derive(Clone, Copy)]
struct Ticket<'a> {
    name: &'a str,
    by: &'a str,
    outcome: &'a str,
    tx: &'a str,
    at: i64,
}

impl<'a> Multisig<'a> {
    /// The queue of a wallet.
    pub(crate) fn new(firm: &'a Firm, place: usize, infrastructure: &'a Infrastructure, chance: &mut Chance) -> Self {
        let (nonce, executor) = (chance.between(40, 400), Chain::Ethereum.address(chance));
        let wallet = firm.wallets[place].clone();
        Multisig {
            firm,
            wallet,
            infrastructure,
            last_transaction: None,
            nonce,
            free_from: i64::MIN,
            executor,
            tickets: 0,
        }
    }

    /// Carries an operation out: asked for at `at`, executed at the instant that is given back.
    pub(crate) fn carry_out(
        &mut self,
        what: &Operation,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let at = at.max(self.free_from);
        let (asked, desk) = self.firm.roster.next(at, |one| self.firm.people[one].role == Role::Analyst)?;
        let desk = desk.subject.clone();
        self.tickets += 1;
        let ticket = format!("TRS-{}-{}", self.nonce, self.tickets);
        let open = Ticket { name: &ticket, by: &desk, outcome: "open", tx: "", at: asked };
        if what.units > 0 && chance.thousandths(120) {
            // Asked for with another amount at first, and amended before it was filed.
            let less = Operation { units: what.units / 2, cents: what.cents / 2, ..what.clone() };
            self.ticket(&less, Ticket { at: asked - 25 * MINUTE, ..open }, journal);
        }
        self.ticket(what, open, journal);
        let is_owner = |one: usize| self.wallet.owners.iter().any(|(_, keeper)| *keeper == one);
        let (mut filed, _) = self.firm.roster.next(asked + chance.between(4, 90) * MINUTE, is_owner)?;
        if chance.thousandths(70) {
            filed = self.rejected(what, filed, journal, chance)? + chance.between(2, 30) * MINUTE;
        }
        let proposal =
            Proposal { hash: names::safe_hash(chance), nonce: self.nonce, at: filed + chance.between(5, 90) * SECOND };
        self.nonce += 1;
        let executed = self.confirmed(what, &proposal, journal, chance)?;
        let tx = Chain::Ethereum.transaction(chance);
        self.executed(what, &proposal, &tx, executed, journal, chance);
        let closed = executed + chance.between(3, 200) * MINUTE;
        self.ticket(what, Ticket { outcome: "done", tx: &tx, at: closed, ..open }, journal);
        self.free_from = executed + 5 * MINUTE;
        self.last_transaction = Some(tx);
        Some(executed)
    }

    fn ticket(&self, what: &Operation, ticket: Ticket<'_>, journal: &mut Journal) {
        if self.wallet.ledger.is_empty() {
            return;
        }
        let moves =
            if what.parts.is_empty() { vec![(what.to.clone(), what.units, what.cents)] } else { what.parts.clone() };
        for (line, (to, units, cents)) in moves.into_iter().enumerate() {
            let Ticket { name, by, outcome, tx, at } = ticket;
            let name = if line == 0 { name.to_owned() } else { format!("{name}.{line}") };
            let event = Event::new(self.wallet.ledger, "custody.request").say(Column::Actor, by);
            let event = event.say(Column::Wallet, &self.wallet.address).say(Column::Request, name).say(Column::Tx, tx);
            let event = event.say(Column::Chain, "ethereum").say(Column::Asset, what.asset.symbol);
            let event = event.say(Column::ToAddress, to).say(Column::Amount, units);
            let event = event.say(Column::AmountUsd, dollars(cents)).say(Column::Outcome, outcome);
            journal.tell(self.firm.system, event, at);
        }
    }

    /// What the service of the multisig says, with the fields that all its records share.
    fn says(&self, kind: &'static str, what: &Operation, proposal: &Proposal) -> Event {
        let event = Event::new(SOURCES.multisig, kind).say(Column::Wallet, &self.wallet.address);
        let event = event.say(Column::Request, &proposal.hash).say(Column::Chain, "ethereum");
        let event = event.say(Column::Asset, what.asset.symbol).say(Column::ToAddress, &what.to);
        let event = event.say(Column::Amount, what.units).with("operation", what.mode).with("nonce", proposal.nonce);
        let event = event.with("hash_filed", proposal.hash.as_str()).with("hash_recomputed", proposal.hash.as_str());
        match &what.call {
            Some(call) => event.with("to", what.called.as_str()).with("call", call.clone()),
            None => event.with("to", what.called.as_str()),
        }
    }

    /// The proposal and enough confirmations; when the last one came.
    fn confirmed(
        &self,
        what: &Operation,
        proposal: &Proposal,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let mut owners = self.wallet.owners.clone();
        chance.shuffle(&mut owners);
        let proposer = owners[0].0.clone();
        let filed = self.says("signing.requested", what, proposal).say(Column::Actor, &proposer);
        journal.tell(self.firm.system, filed.say(Column::Outcome, "verified").with("proposer", proposer), proposal.at);
        let mut at = proposal.at;
        let mut given = 0;
        for (owner, keeper) in &owners {
            let looked_at = at + chance.around(35 * MINUTE);
            let Some((seen, span)) = self.firm.roster.next(looked_at, |one| one == *keeper) else { continue };
            if seen > looked_at + 60 * HOUR {
                // On vacation; another owner is asked.
                continue;
            }
            at = self.asked(what, proposal, Asking::Person(span), seen, journal, chance)
                + chance.between(20, 60) * SECOND;
            let event = self.says("signing.approved", what, proposal).say(Column::Actor, owner);
            let kind = *chance.pick(&["EOA", "EOA", "ETH_SIGN"]);
            let event = event.say(Column::Outcome, "verified").with("signature_type", kind);
            let event = event.with("signer_claimed", owner.as_str()).with("signer_recovered", owner.as_str());
            journal.tell(self.firm.system, event, at);
            given += 1;
            if given == self.wallet.threshold {
                return Some(at + chance.between(30 * SECOND, 40 * MINUTE));
            }
        }
        None
    }

    fn asked(
        &self,
        what: &Operation,
        proposal: &Proposal,
        asking: Asking<'_>,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> i64 {
        if self.wallet.decision_point.is_empty() {
            return at;
        }
        let at = after(&self.infrastructure.undecided, at);
        let analysts = self.firm.people.iter().filter(|one| one.role == Role::Analyst);
        let approvals: Vec<String> = analysts.take(2).map(|one| one.subject.clone()).collect();
        let question = Question {
            request: &proposal.hash,
            wallet: &self.wallet.address,
            chain: Chain::Ethereum,
            to: &what.to,
            cents: what.cents,
            risk: 1,
            approvals,
            initiator: "treasury-desk",
        };
        let event = answer(self.firm, &question, asking, "allow", at, chance);
        journal.tell(self.firm.system, event, at);
        at
    }

    /// A first proposal that is withdrawn: another one with its nonce, over nothing, to the wallet itself, is executed.
    fn rejected(&mut self, what: &Operation, at: i64, journal: &mut Journal, chance: &mut Chance) -> Option<i64> {
        let mistaken = Proposal { hash: names::safe_hash(chance), nonce: self.nonce, at };
        let filed = self.says("signing.requested", what, &mistaken).say(Column::Actor, &self.wallet.owners[0].0);
        journal.tell(self.firm.system, filed.say(Column::Outcome, "verified"), at);
        let itself = self.wallet.address.clone();
        let called = itself.clone();
        let nothing =
            Operation { called, to: itself, asset: ETH, units: 0, cents: 100, call: None, mode: 0, parts: Vec::new() };
        let rejection = Proposal { hash: names::safe_hash(chance), nonce: self.nonce, at: at + 11 * MINUTE };
        let executed = self.confirmed(&nothing, &rejection, journal, chance)?;
        let tx = Chain::Ethereum.transaction(chance);
        self.executed(&nothing, &rejection, &tx, executed, journal, chance);
        self.nonce += 1;
        Some(executed)
    }

    fn executed(
        &self,
        what: &Operation,
        proposal: &Proposal,
        tx: &str,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) {
        // Often an owner, else the account that pays fees for everybody.
        let executor = if chance.thousandths(600) { &self.wallet.owners[0].0 } else { &self.executor };
        let signed = self.says("signing.signed", what, proposal).say(Column::Actor, executor).say(Column::Tx, tx);
        let signed = signed.say(Column::Outcome, "success").with("executor", executor.as_str());
        journal.tell(self.firm.system, signed, at);
        let block = Chain::Ethereum.block(at);
        let mined = self.says("chain.tx", what, proposal).say(Column::Actor, executor).say(Column::Tx, tx);
        let mined = mined.say(Column::FromAddress, &self.wallet.address).say(Column::Outcome, "success");
        journal.tell(self.firm.system, mined.with("block", block).with("executor", executor.as_str()), at);
        let moves =
            if what.parts.is_empty() { vec![(what.to.clone(), what.units, what.cents)] } else { what.parts.clone() };
        for (to, units, cents) in moves.into_iter().filter(|(_, units, _)| *units > 0) {
            let event = Event::new(node(Chain::Ethereum), "chain.transfer").say(Column::Wallet, &self.wallet.address);
            let event = event.say(Column::Tx, tx).say(Column::Chain, "ethereum").say(Column::Asset, what.asset.symbol);
            let event = event.say(Column::FromAddress, &self.wallet.address).say(Column::ToAddress, &to);
            let event = event.say(Column::Amount, units).say(Column::AmountUsd, dollars(cents));
            let event = event.say(Column::Outcome, "success").with("block", block);
            journal.tell(self.firm.system, event.clone().with("direction", "out"), at);
            if self.firm.wallets.iter().any(|other| other.address == to) {
                journal.tell(self.firm.system, event.say(Column::Wallet, &to).with("direction", "in"), at);
            }
        }
    }
}
