//! The treasury's weeks: refills of hot wallets, payments to partners, a batch of invoices at month's end, cold bitcoin by
//! hand, and an allowance that a module spends on fees.

use serde_json::json;

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::ceremonies::Ceremonies;
use crate::chance::Chance;
use crate::event::{Column, Event, dollars};
use crate::firm::{Firm, node, place};
use crate::infrastructure::{Infrastructure, is_workday};
use crate::journal::Journal;
use crate::money::{self, Asset};
use crate::multisig::{Multisig, Operation};
use crate::names::Chain;
use crate::people::Role;
use crate::season::{Season, is_month_end};

/// The batching contract (`MultiSendCallOnly` 1.3.0).
const BATCHING: &str = "0x40a2accbd92bca938b02010e17a5b8929b49130d";

/// What a treasury works with.
#[derive(Clone, Copy)]
pub(crate) struct Works<'a> {
    pub(crate) firm: &'a Firm,
    pub(crate) season: &'a Season,
    pub(crate) infrastructure: &'a Infrastructure,
}

impl Works<'_> {
    /// What it does on its days.
    pub(crate) fn play(
        self,
        multisigs: &mut [Multisig<'_>],
        ceremonies: &mut Ceremonies,
        journal: &mut Journal,
        chance: &mut Chance,
    ) {
        for day in self.season.all().filter(|day| is_workday(self.season, *day)) {
            ceremonies.hold(day, multisigs, journal, chance);
            self.day(day, multisigs, journal, chance);
        }
    }

    fn day(self, day: i64, multisigs: &mut [Multisig<'_>], journal: &mut Journal, chance: &mut Chance) {
        let Works { firm, infrastructure, .. } = self;
        for (index, multisig) in multisigs.iter_mut().enumerate() {
            let is_cold = multisig.wallet.temperature == "cold";
            let times = if is_cold { u64::from(chance.thousandths(180)) } else { chance.count(2) };
            for _ in 0..times {
                let at = day * DAY + chance.between(7 * 60, 17 * 60) * MINUTE;
                let what = movement(firm, index, is_cold, day, chance);
                multisig.carry_out(&what, at, journal, chance);
            }
            if is_month_end(day) && !is_cold {
                let at = day * DAY + 10 * HOUR + chance.between(0, 90) * MINUTE;
                multisig.carry_out(&invoices(firm, day, chance), at, journal, chance);
            }
        }
        if firm.module.is_some() {
            spend_allowance(firm, day, journal, chance);
        } else if chance.thousandths(if is_month_end(day) { 700 } else { 160 }) {
            by_hand(firm, infrastructure, day, journal, chance);
        }
    }
}

fn movement(firm: &Firm, index: usize, is_cold: bool, day: i64, chance: &mut Chance) -> Operation {
    let asset = *chance.pick(&[money::ETH, money::ETH, money::USDT, money::USDC]);
    let month_end = if is_month_end(day) { 3 } else { 1 };
    let least = if firm.module.is_some() {
        2_000_000
    } else if is_cold {
        150_000_000
    } else {
        20_000_000
    };
    let units = Asset::as_typed(asset.units(chance.heavy(least, 40) * month_end, day), chance);
    let hot = if firm.module.is_some() { place::DESK_HOT } else { place::HOT_ETHEREUM };
    let own = if is_cold { place::TREASURY } else { hot };
    let partners: Vec<&String> =
        firm.partners.iter().map(|(address, _)| address).filter(|address| address.starts_with("0x")).collect();
    let to = match chance.below(10) {
        _ if is_cold => firm.wallets[own].address.clone(),
        0..=5 => firm.wallets[own].address.clone(),
        6 if index == 0 && firm.module.is_none() => firm.wallets[place::COLD_ETHEREUM].address.clone(),
        _ => (*chance.pick(&partners)).clone(),
    };
    Operation::payment(to, asset, units, day)
}

/// Salaries and invoices in one transaction, to a dozen payees of whom some are new.
fn invoices(firm: &Firm, day: i64, chance: &mut Chance) -> Operation {
    let asset = money::USDC;
    let parts: Vec<(String, u128, u64)> = (0..chance.between(6, 16))
        .map(|payee| {
            // The same payees every month, but for the last ones.
            let mut names = Chance::of(payee.cast_unsigned(), firm.id);
            let to = Chain::Ethereum.address(if payee < 5 { &mut names } else { &mut *chance });
            let units = asset.units(chance.heavy(300_000, 30), day);
            (to, units, asset.cents(units, day))
        })
        .collect();
    let units = parts.iter().map(|(_, units, _)| units).sum();
    let cents = parts.iter().map(|(.., cents)| cents).sum();
    let call = json!({ "name": "multiSend", "args": { "transactions": parts.len() } });
    let to = BATCHING.to_owned();
    Operation { called: to.clone(), to, asset, units, cents, call: Some(call), mode: 1, parts }
}

/// Bitcoin out of the vault: two people go in, keys sign on a machine without a network, and the log of it is written up after the
/// vault is locked, hours after the transaction was seen.
fn by_hand(firm: &Firm, infrastructure: &Infrastructure, day: i64, journal: &mut Journal, chance: &mut Chance) {
    let wallet = &firm.wallets[place::COLD_BITCOIN];
    let keepers: Vec<usize> = wallet.owners.iter().map(|(_, keeper)| *keeper).collect();
    let opened = day * DAY + chance.between(9 * 60, 15 * 60) * MINUTE;
    let Some((asked, desk)) = firm.roster.next(opened - 2 * HOUR, |one| firm.people[one].role == Role::Analyst) else {
        return;
    };
    let opened = crate::infrastructure::after(&infrastructure.unsigned, opened.max(asked + 30 * MINUTE));
    let written = opened + chance.between(100, 300) * MINUTE;
    let asset = money::BTC;
    let units = Asset::as_typed(asset.units(chance.heavy(90_000_000, 12), day), chance);
    let to = firm.wallets[place::HOT_BITCOIN].address.clone();
    let (request, tx) = (format!("vault-{}-{day}", firm.id), wallet.chain.transaction(chance));
    let fill = |source: &'static str, kind: &'static str| {
        let event = Event::new(source, kind).say(Column::Wallet, &wallet.address).say(Column::Request, &request);
        let event = event.say(Column::Chain, "bitcoin").say(Column::Asset, asset.symbol).say(Column::ToAddress, &to);
        event.say(Column::Amount, units).say(Column::AmountUsd, dollars(asset.cents(units, day)))
    };
    let ordered = fill(wallet.ledger, "custody.request").say(Column::Actor, &desk.subject);
    journal.tell(firm.system, ordered.clone().say(Column::Outcome, "open"), asked);
    for (nth, keeper) in keepers.iter().take(2).enumerate() {
        let at = opened + i64::try_from(nth).unwrap_or_default() * 40 * SECOND;
        let event = Event::new(firm.sources.vault, "custody.access").say(Column::Actor, &firm.people[*keeper].subject);
        journal.tell_late(firm.system, event.say(Column::Wallet, &wallet.address).with("room", "vault A"), at, written);
    }
    journal.tell_late(firm.system, fill(firm.sources.vault, "signing.requested"), opened + 9 * MINUTE, written);
    for (nth, (owner, keeper)) in wallet.owners.iter().take(wallet.threshold).enumerate() {
        let at = opened + (12 + 4 * i64::try_from(nth).unwrap_or_default()) * MINUTE;
        let event = fill(firm.sources.vault, "signing.approved").say(Column::Actor, &firm.people[*keeper].subject);
        journal.tell_late(firm.system, event.say(Column::Key, owner), at, written);
    }
    let signed = opened + 27 * MINUTE;
    let event = fill(firm.sources.vault, "signing.signed").say(Column::Tx, &tx).say(Column::Outcome, "success");
    journal.tell_late(firm.system, event, signed, written);
    let mined = signed + chance.around(14 * MINUTE);
    let seen = fill(node(wallet.chain), "chain.tx").say(Column::Request, "").say(Column::AmountUsd, "");
    let seen = seen.say(Column::FromAddress, &wallet.address).say(Column::Tx, &tx);
    let seen =
        seen.with("fee_rate", 6).with("inputs", 4).with("outputs", 2).with("change_outputs", 1).with("fee", "2500");
    journal.tell(firm.system, seen.clone().say(Column::Outcome, "unconfirmed"), signed + 2 * MINUTE);
    let block = wallet.chain.block(mined);
    journal.tell(firm.system, seen.say(Column::Outcome, "success").with("block", block), mined);
    let moved = fill(node(wallet.chain), "chain.transfer").say(Column::Request, "").say(Column::Outcome, "success");
    let moved = moved.say(Column::FromAddress, &wallet.address).say(Column::Tx, &tx).with("block", block);
    journal.tell(firm.system, moved.clone().with("direction", "out"), mined);
    journal.tell(firm.system, moved.say(Column::Wallet, &to).with("direction", "in"), mined);
    journal.tell(firm.system, ordered.say(Column::Outcome, "done").say(Column::Tx, &tx), mined + 20 * MINUTE);
}

/// The declared module pays for fees out of its allowance, without any signature of an owner.
fn spend_allowance(firm: &Firm, day: i64, journal: &mut Journal, chance: &mut Chance) {
    let (Some(module), true) = (&firm.module, chance.thousandths(400)) else { return };
    let (safe, hot) = (&firm.wallets[place::DESK_SAFE].address, &firm.wallets[place::DESK_HOT].address);
    let at = day * DAY + chance.between(6 * 60, 20 * 60) * MINUTE;
    let (tx, units) = (Chain::Ethereum.transaction(chance), money::ETH.units(30_000, day));
    let fill = |source: &'static str, kind: &'static str| {
        let event = Event::new(source, kind).say(Column::Wallet, safe).say(Column::Tx, &tx);
        let event = event.say(Column::Chain, "ethereum").say(Column::Asset, "ETH").say(Column::FromAddress, safe);
        let event = event.say(Column::ToAddress, hot).say(Column::Amount, units).say(Column::Outcome, "success");
        event.with("block", Chain::Ethereum.block(at))
    };
    let event =
        fill(firm.sources.multisig, "chain.module_tx").say(Column::Actor, module).with("module", module.as_str());
    journal.tell(firm.system, event.with("operation", 0).with("to", hot.as_str()), at);
    journal.tell(firm.system, fill(node(Chain::Ethereum), "chain.transfer").with("direction", "out"), at);
    let event = fill(node(Chain::Ethereum), "chain.transfer").say(Column::Wallet, hot).with("direction", "in");
    journal.tell(firm.system, event, at);
}
