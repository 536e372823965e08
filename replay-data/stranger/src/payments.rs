//! A payment from the order to the entry that says done: ledger, decision, approvals, signature, chain, ledger.
//!
//! What goes otherwise than planned in an honest house: questions that are asked again because the answer did not come,
//! denials that a second approval or a new score turns, orders that are cancelled and made anew before anybody signed, an
//! approver who has gone home. What happens on the chain is [`crate::chains`]'s.

use std::collections::BTreeMap;

use crate::calendar::{HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::decision::{Asking, Question, answer};
use crate::event::{Column, Event, dollars};
use crate::firm::{Firm, Wallet};
use crate::infrastructure::{Infrastructure, after};
use crate::journal::{Entry, Journal};
use crate::limits::WAITS_MAX;
use crate::money::Asset;
use crate::people::Role;
use crate::people::roster::Span;
use crate::pool::Pool;
use crate::season::Season;

/// Dollars from which two people have to agree.
const MANUAL_FROM_CENTS: u64 = 1_000_000;

/// What the business wants.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// When it asks for it.
    pub(crate) at: i64,
    /// From which wallet.
    pub(crate) wallet: usize,
    /// What.
    pub(crate) asset: Asset,
    /// To where.
    pub(crate) to: String,
    /// How much, base units.
    pub(crate) units: u128,
    /// Worth.
    pub(crate) cents: u64,
    /// Who it is for.
    pub(crate) customer: String,
    /// Between the company's own wallets.
    pub(crate) is_internal: bool,
    /// Name given to it, once it is in the ledger.
    pub(crate) request: String,
    /// Who agreed to it.
    pub(crate) approvals: Vec<String>,
}

impl Order {
    /// What a wallet is asked to pay, not yet in the ledger.
    pub(crate) fn new(
        at: i64,
        wallet: usize,
        asset: Asset,
        to: String,
        cents: u64,
        day: i64,
        chance: &mut Chance,
    ) -> Order {
        let units = Asset::as_typed(asset.units(cents, day), chance);
        let cents = asset.cents(units, day);
        let (customer, request, approvals) = (String::new(), String::new(), Vec::new());
        Order { at, wallet, asset, to, units, cents, customer, is_internal: false, request, approvals }
    }

    /// The same between the company's own wallets.
    pub(crate) fn internal(self, purpose: &str) -> Order {
        Order { customer: purpose.to_owned(), is_internal: true, ..self }
    }
}

/// Pays.
pub(crate) struct Cashier<'a> {
    pub(crate) firm: &'a Firm,
    pub(crate) season: &'a Season,
    pub(crate) infrastructure: &'a Infrastructure,
    pub(crate) journal: &'a mut Journal,
    pub(crate) chance: Chance,
    /// Next nonce of each wallet.
    pub(crate) nonces: BTreeMap<usize, i64>,
    /// What left each wallet in each asset since it was settled, base units.
    pub(crate) paid: BTreeMap<(usize, &'static str), u128>,
    /// What was sent by accounts with numbers, and waited.
    pub(crate) pool: Pool,
    orders: u64,
}

impl<'a> Cashier<'a> {
    /// With an empty till.
    pub(crate) fn new(
        firm: &'a Firm,
        season: &'a Season,
        infrastructure: &'a Infrastructure,
        journal: &'a mut Journal,
        chance: Chance,
    ) -> Cashier<'a> {
        let (nonces, paid) = (BTreeMap::new(), BTreeMap::new());
        Cashier { firm, season, infrastructure, journal, chance, nonces, paid, pool: Pool::default(), orders: 0 }
    }

    /// Gives out the numbers of accounts in the order of sending; what pools showed of what waited.
    pub(crate) fn settle(self, chance: &mut Chance) -> Vec<(Event, i64)> {
        self.pool.settle(self.firm, self.season, self.journal, chance)
    }

    /// The wallet of an order.
    pub(crate) fn wallet(&self, order: &Order) -> &'a Wallet {
        &self.firm.wallets[order.wallet]
    }

    /// Takes an order in; it has its name then.
    pub(crate) fn open(&mut self, order: &mut Order) {
        self.orders += 1;
        let letters = if order.is_internal { "int" } else { "wd" };
        order.request = format!("{letters}-{}-{:06}", self.firm.id, self.orders * 3 + self.chance.below(3));
        self.enter(order, "open", "", order.at);
    }

    /// An entry of the ledger, where there is one that is heard.
    pub(crate) fn enter(&mut self, order: &Order, outcome: &str, tx: &str, at: i64) -> Option<Entry> {
        let wallet = self.wallet(order);
        if wallet.ledger.is_empty() {
            return None;
        }
        let event = fill(Event::new(wallet.ledger, "custody.request"), order, wallet);
        let event = event.say(Column::Outcome, outcome).say(Column::Tx, tx).say(Column::Actor, "payout-engine");
        Some(self.journal.tell(self.firm.system, event.with("customer", order.customer.as_str()), at))
    }

    /// Pays one order by itself; `None` when it was given up.
    pub(crate) fn pay(&mut self, order: Order) -> Option<i64> {
        let mut order = order;
        self.open(&mut order);
        if !order.is_internal && self.chance.thousandths(9) {
            // The customer sees the wrong address, cancels, and asks anew.
            let at = order.at + self.chance.between(5 * SECOND, 50 * SECOND);
            self.enter(&order, "cancelled", "", at);
            order.at = at + self.chance.between(30 * SECOND, 9 * MINUTE);
            if self.chance.thousandths(700) {
                order.to = order.asset.chain.address(&mut self.chance);
            }
            self.open(&mut order);
        }
        let allowed = self.allow(&mut order)?;
        Some(self.sign_and_send(&order, allowed))
    }

    /// Whether and when the decision point allows it.
    pub(crate) fn allow(&mut self, order: &mut Order) -> Option<i64> {
        let asked = order.at + self.chance.between(2 * SECOND, 25 * SECOND);
        if order.cents >= MANUAL_FROM_CENTS {
            return self.allow_by_people(order, asked);
        }
        let risk = self.chance.below(4);
        if self.chance.thousandths(8) {
            // The provider of scores has the address as unclear; it is looked at and paid later, or sent back.
            let at = self.ask(order, Asking::Service, "deny", 6, asked);
            if self.chance.thousandths(400) {
                let cancelled = at + self.chance.between(1, 6) * HOUR;
                self.enter(order, "cancelled", "", cancelled);
                return None;
            }
            let again = at + self.chance.between(20 * MINUTE, 5 * HOUR);
            return Some(self.ask(order, Asking::Service, "allow", 3, again));
        }
        Some(self.ask(order, Asking::Service, "allow", risk, asked))
    }

    /// Two people agree, a third releases.
    fn allow_by_people(&mut self, order: &mut Order, asked: i64) -> Option<i64> {
        self.signer_says("signing.requested", &order.request, order, asked, |event| event);
        let mut approvals: Vec<(usize, String)> = Vec::new();
        let mut at = asked;
        for _ in 0..2 {
            let looked_at = at + self.chance.around(6 * MINUTE);
            let (seen, span) = self.somebody(looked_at, |role| role != Role::Administrator, &approvals)?;
            at = seen + self.chance.around(4 * MINUTE);
            at = at.min(span.to - 20 * SECOND).max(seen);
            let acts = span.clone();
            self.signer_says("signing.approved", &order.request, order, at, |event| acts.say(event, at));
            approvals.push((span.person, span.subject.clone()));
            order.approvals.push(span.subject.clone());
            if approvals.len() == 1 && self.chance.thousandths(60) {
                // Released too early by somebody who did not count.
                let early = Asking::Person(span);
                self.ask(order, early, "deny", 1, at + 20 * SECOND);
            }
        }
        let releases = |role| role == Role::Custodian;
        let released = at + self.chance.around(2 * MINUTE);
        let (seen, span) = self.somebody(released, releases, &approvals)?;
        let risk = self.chance.below(4);
        Some(self.ask(order, Asking::Person(span), "allow", risk, seen))
    }

    /// Who can act first, other than those.
    fn somebody(&mut self, at: i64, may: impl Fn(Role) -> bool, not: &[(usize, String)]) -> Option<(i64, &'a Span)> {
        let firm = self.firm;
        let wanted = |person: usize| may(firm.people[person].role) && not.iter().all(|(other, _)| *other != person);
        let mut from = at;
        for _ in 0..WAITS_MAX {
            if let Some(found) = firm.roster.next(from, wanted) {
                return Some(found);
            }
            from += HOUR;
        }
        None
    }

    /// Asks the decision point, again where it does not answer; when the last answer came.
    pub(crate) fn ask(&mut self, order: &Order, asking: Asking<'_>, outcome: &'static str, risk: u64, at: i64) -> i64 {
        let wallet = self.wallet(order);
        if wallet.decision_point.is_empty() {
            return at;
        }
        let question = Question {
            request: &order.request,
            wallet: &wallet.address,
            chain: wallet.chain,
            to: &order.to,
            cents: order.cents,
            risk,
            approvals: order.approvals.clone(),
            initiator: "payout-engine",
        };
        let mut at = at;
        let answered = after(&self.infrastructure.undecided, at);
        if answered > at {
            // The connection was reset while replicas restarted: asked again until one is up, which at first has no bundle.
            at = answered + self.chance.between(SECOND, 8 * SECOND);
            if self.chance.thousandths(300) {
                let event = answer(self.firm, &question, asking, "undefined", at, &mut self.chance);
                self.journal.tell(self.firm.system, event, at);
                at += self.chance.between(2 * SECOND, 6 * SECOND);
            }
        }
        let event = answer(self.firm, &question, asking, outcome, at, &mut self.chance);
        let entry = self.journal.tell(self.firm.system, event, at);
        if self.infrastructure.not_uploaded.iter().any(|(from, to)| (*from..*to).contains(&at)) {
            // The chunk that was uploaded halfway is uploaded again.
            self.journal.tell_again(entry, self.chance.between(SECOND, 30 * SECOND));
        }
        if self.chance.thousandths(12) {
            // The client had given up a moment before the answer.
            at += self.chance.between(SECOND, 4 * SECOND);
            let event = answer(self.firm, &question, asking, outcome, at, &mut self.chance);
            self.journal.tell(self.firm.system, event, at);
        }
        at
    }

    /// A record of the signer about a request.
    pub(crate) fn signer_says(
        &mut self,
        kind: &'static str,
        request: &str,
        order: &Order,
        at: i64,
        more: impl FnOnce(Event) -> Event,
    ) -> Entry {
        let wallet = self.wallet(order);
        let event = fill(Event::new(wallet.signer, kind), order, wallet).say(Column::Request, request);
        self.journal.tell(self.firm.system, more(event), at)
    }
}

/// Fills in what is paid, from where, to where.
pub(crate) fn fill(event: Event, order: &Order, wallet: &Wallet) -> Event {
    let event = event.say(Column::Wallet, &wallet.address).say(Column::Request, &order.request);
    let event = event.say(Column::Chain, wallet.chain.name()).say(Column::Asset, order.asset.symbol);
    let event = event.say(Column::ToAddress, &order.to).say(Column::Amount, order.units);
    event.say(Column::AmountUsd, dollars(order.cents))
}
