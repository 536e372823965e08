//! A day at the counter: single payments, batches of small ones, and how wallets are kept filled.
//!
//! Exchanges pay small withdrawals of chains with outputs together (bitcoinops/bitcoinops.github.io#102 tells why), move what
//! a hot wallet has too much of to the cold one, fill it when it has too little, and put their many small outputs together
//! when fees are low. None of these is a theft, and each looks like one: a large amount, a batch of strangers, a wallet
//! emptied (forta-network/starter-kits#476 and #607 to #618 are false alarms of this kind).

use crate::business::Business;
use crate::calendar::{DAY, HOUR, MINUTE, weekday};
use crate::customers::Customers;
use crate::event::{Column, Event};
use crate::firm::{node, place};
use crate::limits::BATCH_OUTPUTS_MAX;
use crate::names::Chain;
use crate::payments::{Cashier, Order};
use crate::season::Season;

/// Bitcoin orders below this wait for the next batch, cents.
const BATCHED_BELOW_CENTS: u64 = 1_000_000;

/// Plays the days of the counter.
pub(crate) fn play(cashier: &mut Cashier<'_>, customers: &mut Customers) {
    let season = cashier.season;
    let is_exchange = cashier.firm.module.is_none();
    let business = Business::plan(cashier.firm, season, &mut cashier.chance);
    for day in season.all() {
        let mut chance = cashier.chance.clone();
        let mut orders = customers.orders(season, day, &mut chance);
        if is_exchange {
            orders.extend(business.orders(day, &mut chance));
            orders.sort_by_key(|order| order.at);
        }
        cashier.chance = chance;
        let (batched, single): (Vec<Order>, Vec<Order>) = orders
            .into_iter()
            .partition(|order| order.asset.chain == Chain::Bitcoin && order.cents < BATCHED_BELOW_CENTS);
        for order in single {
            cashier.pay(order);
        }
        pay_in_batches(cashier, batched);
        if is_exchange {
            settle(cashier, season, day);
        }
    }
}

/// Everything that came within some half an hour is paid by one transaction.
fn pay_in_batches(cashier: &mut Cashier<'_>, orders: Vec<Order>) {
    let mut waiting: Vec<Order> = Vec::new();
    let mut closes = i64::MIN;
    for mut order in orders {
        if !waiting.is_empty() && (order.at > closes || waiting.len() == BATCH_OUTPUTS_MAX) {
            pay_batch(cashier, std::mem::take(&mut waiting), closes);
        }
        if waiting.is_empty() {
            closes = order.at + cashier.chance.between(18, 40) * MINUTE;
        }
        cashier.open(&mut order);
        waiting.push(order);
    }
    pay_batch(cashier, waiting, closes);
}

fn pay_batch(cashier: &mut Cashier<'_>, orders: Vec<Order>, at: i64) {
    let Some(first) = orders.first() else { return };
    let cents = orders.iter().map(|order| order.cents).sum();
    let batch = if orders.len() == 1 {
        first.request.clone()
    } else {
        format!("batch-{}-{}", first.at / MINUTE, cashier.chance.between(100, 999))
    };
    let units = orders.iter().map(|order| order.units).sum();
    // A batch has no single destination.
    let to = if orders.len() == 1 { first.to.clone() } else { String::new() };
    let mut asked = Order { request: batch.clone(), at, cents, units, to, ..first.clone() };
    let Some(allowed) = cashier.allow(&mut asked) else { return };
    // The signature is filed under the batch, the ledger's entries under each order.
    let mut orders = orders;
    orders.iter_mut().for_each(|order| order.approvals.clone_from(&asked.approvals));
    cashier.sign_and_send_as(&batch, &orders, allowed);
}

/// At night wallets are settled: what is too much goes to the cold one, and what is too little comes from the treasury by a
/// multisig, which is another module's work. On busy days it is done at noon too.
fn settle(cashier: &mut Cashier<'_>, season: &Season, day: i64) {
    let firm = cashier.firm;
    let hours: &[i64] = if season.volume_percent(day) >= 300 { &[12, 22] } else { &[22] };
    for hour in hours {
        let at = day * DAY + hour * HOUR + cashier.chance.between(0, 50) * MINUTE;
        for (wallet, cold) in [(place::HOT_BITCOIN, place::COLD_BITCOIN), (place::HOT_ETHEREUM, place::COLD_ETHEREUM)] {
            if !cashier.chance.thousandths(330) {
                continue;
            }
            let asset = firm.wallets[wallet].assets[0];
            let cents = cashier.chance.heavy(30_000_000, 12);
            let to = firm.wallets[cold].address.clone();
            let sweep = Order::new(at, wallet, asset, to, cents, day, &mut cashier.chance);
            cashier.pay(sweep.internal("treasury"));
        }
    }
    if weekday(day) == 5 && !season.congested.contains(&day) {
        consolidate(cashier, day);
    }
}

/// Many small outputs into one, while blocks are empty.
fn consolidate(cashier: &mut Cashier<'_>, day: i64) {
    let wallet = &cashier.firm.wallets[place::HOT_BITCOIN];
    let asset = wallet.assets[0];
    for part in 0..cashier.chance.between(1, 3) {
        let at = day * DAY + 3 * HOUR + part * 11 * MINUTE + cashier.chance.between(0, 5 * MINUTE);
        let cents = cashier.chance.heavy(8_000_000, 8);
        let to = wallet.address.clone();
        let order = Order::new(at, place::HOT_BITCOIN, asset, to, cents, day, &mut cashier.chance);
        let mut order = order.internal("consolidation");
        cashier.open(&mut order);
        let Some(allowed) = cashier.allow(&mut order) else { continue };
        let tx = wallet.chain.transaction(&mut cashier.chance);
        cashier.signer_says("signing.signed", &order.request.clone(), &order, allowed + 4_000, |event| {
            event.say(Column::Outcome, "success").say(Column::Tx, &tx).say(Column::Key, &wallet.key)
        });
        let inputs = cashier.chance.between(60, 220);
        let seen = |outcome: &str| {
            let event = crate::payments::fill(Event::new(node(wallet.chain), "chain.tx"), &order, wallet);
            let event = event.say(Column::Request, "").say(Column::AmountUsd, "").say(Column::Tx, &tx);
            let event = event.say(Column::FromAddress, &wallet.address).say(Column::Outcome, outcome);
            let event = event.with("inputs", inputs).with("outputs", 1).with("change_outputs", 1).with("fee_rate", 1);
            event.with("fee", (inputs * 68 + 42).to_string())
        };
        cashier.journal.tell(cashier.firm.system, seen("unconfirmed"), allowed + 6_000);
        let mined = allowed + cashier.chance.around(3 * HOUR);
        cashier.journal.tell(cashier.firm.system, seen("success").with("block", wallet.chain.block(mined)), mined);
        cashier.enter(&order, "done", &tx, mined + 4 * MINUTE);
    }
}
