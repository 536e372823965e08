//! Signatures and what becomes of them on chains: fees, waiting, fee bumps, replaced nonces, failures, batches.
//!
//! Where it comes from: a transaction that waits is replaced by one with a higher fee and another id, on chains with outputs
//! (BIP 125; WalletWasabi/WalletWasabi#10805 asks for it) and on chains with accounts, where it keeps its nonce
//! (MetaMask/metamask-extension#11969); one that is dropped holds up all that come after it
//! (BoltzExchange/boltz-backend#1201); some fail and cost their fee all the same (trustwallet/assets#6170).

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::decision::Asking;
use crate::event::{Column, Event, dollars};
use crate::firm::{Wallet, node};
use crate::infrastructure::after;
use crate::journal::Entry;
use crate::names::Chain;
use crate::payments::{Cashier, Order, fill};

/// A transaction as it is sent.
struct Sent {
    tx: String,
    at: i64,
    fee_rate: i64,
    nonce: Option<i64>,
}

impl Cashier<'_> {
    /// Signs an order, sends it and closes it; when it was final.
    pub(crate) fn sign_and_send(&mut self, order: &Order, allowed: i64) -> i64 {
        self.sign_and_send_as(&order.request, std::slice::from_ref(order), allowed)
    }

    /// Signs orders that one transaction pays under the name of the signature's request, sends it, and closes the orders; when
    /// it was final.
    pub(crate) fn sign_and_send_as(&mut self, request: &str, orders: &[Order], allowed: i64) -> i64 {
        let first = &orders[0];
        let wallet = self.wallet(first);
        let nonce = (wallet.chain == Chain::Ethereum).then(|| {
            let next = self.nonces.entry(first.wallet).or_insert(48_000);
            *next += 1;
            *next
        });
        let mut sent = self.signed(request, orders, allowed, nonce, 100);
        if self.chance.thousandths(6) && wallet.chain != Chain::Bitcoin {
            // Out of gas, out of energy, a token that pauses: the fee is gone, the payment is made anew.
            let mined = sent.at + self.inclusion(wallet.chain, 100);
            self.transaction(orders, wallet, &sent, "failed", "", mined);
            let again = mined + self.chance.between(MINUTE, 25 * MINUTE);
            let again =
                self.ask(&Order { request: request.to_owned(), ..first.clone() }, Asking::Service, "allow", 1, again);
            let next = nonce.map(|_| {
                let next = self.nonces.entry(first.wallet).or_default();
                *next += 1;
                *next
            });
            sent = self.signed(request, orders, again, next, 120);
        }
        let congestion = self.season.fee_percent(sent.at.div_euclid(DAY), sent.at.rem_euclid(DAY) / HOUR);
        let waits = wallet.chain == Chain::Bitcoin || (wallet.chain == Chain::Ethereum && congestion > 400);
        if wallet.chain == Chain::Bitcoin {
            self.transaction(orders, wallet, &sent, "unconfirmed", "", sent.at + 2 * SECOND);
        }
        if waits && self.chance.thousandths(if congestion > 400 { 180 } else { 15 }) {
            sent = self.bumped(request, orders, wallet, &sent);
        }
        let mined = sent.at + self.inclusion(wallet.chain, congestion);
        self.transaction(orders, wallet, &sent, "success", "", mined);
        for order in orders {
            let mut settled = self.transfer(order, wallet, &sent.tx, mined);
            let booked = mined + self.chance.between(20 * SECOND, 6 * MINUTE);
            settled.extend(self.enter(order, "done", &sent.tx, booked));
            if sent.nonce.is_some() {
                self.pool.settled(settled);
            }
            *self.paid.entry((order.wallet, order.asset.symbol)).or_default() += order.units;
        }
        mined
    }

    /// The signature, at the end of a stop of the signer if need be.
    fn signed(&mut self, request: &str, orders: &[Order], allowed: i64, nonce: Option<i64>, percent: i64) -> Sent {
        let order = &orders[0];
        let wallet = self.wallet(order);
        let mut at = after(&self.infrastructure.unsigned, allowed + self.chance.between(SECOND, 7 * SECOND));
        if self.chance.thousandths(4) {
            // One party of the protocol timed out; the others begin again.
            self.signer_says("signing.round", request, order, at, |event| event.say(Column::Outcome, "abort"));
            self.signer_says("signing.failed", request, order, at + SECOND, |event| {
                event.say(Column::Reason, "a party timed out")
            });
            at += self.chance.between(5 * SECOND, 40 * SECOND);
        }
        let tx = wallet.chain.transaction(&mut self.chance);
        let signed = tx.clone();
        let total: u128 = orders.iter().map(|order| order.units).sum();
        let entry = self.signer_says("signing.signed", request, order, at, |event| {
            let event = event.say(Column::Outcome, "success").say(Column::Tx, signed).say(Column::Key, &wallet.key);
            let cents = orders.iter().map(|order| order.cents).sum();
            let event = event.say(Column::Amount, total).say(Column::AmountUsd, dollars(cents));
            let event = several(event, orders);
            match nonce {
                Some(nonce) => event.with("nonce", nonce),
                None => event,
            }
        });
        let fee_rate = self.fee_rate(wallet.chain, at) * percent / 100;
        let sent = Sent { tx, at: at + self.chance.between(300, 2_500), fee_rate, nonce };
        if let Some(nonce) = nonce {
            self.pool.sent(order.wallet, nonce, sent.at, entry);
        }
        sent
    }

    /// The fee is raised: the same payment under another id, asked for and signed again.
    fn bumped(&mut self, request: &str, orders: &[Order], wallet: &Wallet, before: &Sent) -> Sent {
        if wallet.chain == Chain::Ethereum {
            self.transaction(orders, wallet, before, "unconfirmed", "", before.at + 3 * SECOND);
        }
        let at = before.at + self.chance.between(12 * MINUTE, 75 * MINUTE);
        let asked = Order { request: request.to_owned(), ..orders[0].clone() };
        let at = self.ask(&asked, Asking::Service, "allow", 1, at);
        let sent = self.signed(request, orders, at, before.nonce, 180);
        let dropped = Event::new(node(wallet.chain), "chain.dropped").say(Column::Wallet, &wallet.address);
        let dropped = dropped.say(Column::Chain, wallet.chain.name()).say(Column::FromAddress, &wallet.address);
        let actor = if wallet.chain == Chain::Ethereum { wallet.address.as_str() } else { "" };
        let dropped = dropped.say(Column::Actor, actor).say(Column::Tx, &before.tx).say(Column::Outcome, "replaced");
        self.pool.replaced(dropped.with("by", sent.tx.as_str()), sent.at + 4 * SECOND);
        let replaced = format!("replaced by {}", sent.tx);
        self.transaction(orders, wallet, &sent, "unconfirmed", "", sent.at + 2 * SECOND);
        if self.chance.thousandths(500) {
            // Some nodes say what became of the old one, most say nothing.
            self.transaction(orders, wallet, before, "failed", &replaced, sent.at + 20 * SECOND);
        }
        sent
    }

    /// Base units of fee for each unit of size.
    fn fee_rate(&mut self, chain: Chain, at: i64) -> i64 {
        let percent = self.season.fee_percent(at.div_euclid(DAY), at.rem_euclid(DAY) / HOUR);
        let quiet = match chain {
            Chain::Bitcoin => 4,
            Chain::Ethereum => 900_000_000,
            Chain::Tron => 210,
            Chain::Solana => 5_000,
        };
        (self.chance.between(80, 130) * quiet * percent / 10_000).max(1)
    }

    fn inclusion(&mut self, chain: Chain, congestion: i64) -> i64 {
        let usual = match chain {
            Chain::Bitcoin => 11 * MINUTE,
            Chain::Ethereum => 16 * SECOND,
            Chain::Tron => 4 * SECOND,
            Chain::Solana => SECOND,
        };
        self.chance.around(usual * if congestion > 400 { 3 } else { 1 })
    }

    fn transaction(&mut self, orders: &[Order], wallet: &Wallet, sent: &Sent, outcome: &str, reason: &str, at: i64) {
        let order = &orders[0];
        let total: u128 = orders.iter().map(|order| order.units).sum();
        let event = fill(Event::new(node(wallet.chain), "chain.tx"), order, wallet).say(Column::Request, "");
        let event = event.say(Column::FromAddress, &wallet.address).say(Column::Tx, &sent.tx);
        // Of a chain with accounts a transaction is signed by one of them, which is who acts.
        let actor = if wallet.chain == Chain::Ethereum { wallet.address.as_str() } else { "" };
        let event = event.say(Column::Actor, actor).say(Column::Outcome, outcome).say(Column::Reason, reason);
        let event = several(event.say(Column::AmountUsd, "").say(Column::Amount, total), orders);
        let event = event.with("fee_rate", sent.fee_rate);
        let event = if outcome == "unconfirmed" { event } else { event.with("block", wallet.chain.block(at)) };
        let event = match sent.nonce {
            Some(nonce) => event.with("nonce", nonce),
            None => event,
        };
        let event = match wallet.chain {
            Chain::Bitcoin => {
                let inputs = self.chance.around(3);
                let outputs = i64::try_from(orders.len()).unwrap_or(i64::MAX);
                let size = 11 + 68 * inputs + 31 * (outputs + 1);
                let event = event.with("inputs", inputs).with("outputs", outputs + 1).with("change_outputs", 1);
                event.with("fee", (size * sent.fee_rate).to_string())
            }
            Chain::Ethereum => event.with("fee", (i128::from(sent.fee_rate) * 65_000).to_string()),
            Chain::Tron | Chain::Solana => event.with("fee", (sent.fee_rate * 1_300).to_string()),
        };
        let entry = self.journal.tell(self.firm.system, event.clone(), at);
        if sent.nonce.is_some() {
            let is_final = outcome != "unconfirmed" && reason.is_empty();
            self.pool.told(entry, event, is_final, at);
        }
    }

    /// Value that left a wallet, and that came to another one of ours.
    fn transfer(&mut self, order: &Order, wallet: &Wallet, tx: &str, at: i64) -> Vec<Entry> {
        let event = fill(Event::new(node(wallet.chain), "chain.transfer"), order, wallet).say(Column::Request, "");
        let event = event.say(Column::FromAddress, &wallet.address).say(Column::Tx, tx);
        let event = event.say(Column::Outcome, "success").with("block", wallet.chain.block(at));
        let is_ours = self.firm.wallets.iter().any(|other| other.address == order.to);
        let mut told = vec![self.journal.tell(self.firm.system, event.clone().with("direction", "out"), at)];
        if is_ours && order.to != wallet.address {
            let event = event.say(Column::Wallet, &order.to).with("direction", "in");
            told.push(self.journal.tell(self.firm.system, event, at));
        }
        told
    }
}

/// A transaction that pays several has no single destination.
fn several(event: Event, orders: &[Order]) -> Event {
    if orders.len() == 1 { event } else { event.say(Column::ToAddress, "").with("destinations", orders.len()) }
}
