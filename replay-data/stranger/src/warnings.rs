//! What others warn of, as somebody of the company imports it, and the dust that comes from such addresses all the same.
//!
//! A list of some thirty indicators a week, for ninety days, beside forty that stand there on the first day. Most are addresses of
//! thieves whom nobody here deals with. Lists are never clean: an address of a privacy relay that thousands share, networks
//! that have long changed hands. Every ten days one of the listed addresses sends a wallet a worthless amount, as it does
//! everybody (that is how half of these addresses came to be listed).

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::ceremonies::Ceremonies;
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, Indicator, node};
use crate::infrastructure::is_workday;
use crate::journal::Journal;
use crate::names::Chain;
use crate::people::Role;
use crate::season::Season;

/// What is imported when.
pub(crate) fn plan(firm: &Firm, season: &Season, chance: &mut Chance) -> Vec<Indicator> {
    let helpers = firm.people.iter().filter(|one| one.role == Role::Administrator);
    let by = helpers.map(|one| one.subject.clone()).next().unwrap_or_default();
    let mut all = Vec::new();
    list(40, i64::MIN, season.first, &by, &mut all, chance);
    let mut day = season.first + chance.between(1, 7);
    while day < season.first + season.days {
        if is_workday(season, day) {
            let at = day * DAY + chance.between(8 * 60, 17 * 60) * MINUTE;
            let length = chance.between(15, 45);
            list(length, at, day, &by, &mut all, chance);
            day += 6;
        }
        day += 1;
    }
    all
}

fn list(length: i64, from: i64, day: i64, by: &str, all: &mut Vec<Indicator>, chance: &mut Chance) {
    for _ in 0..length {
        let (name, label) = match chance.below(20) {
            0..=10 => (Chain::Ethereum.address(chance), "drainer"),
            11..=15 => (Chain::Bitcoin.address(chance), "ransom"),
            16..=17 => (Chain::Tron.address(chance), "address poisoning"),
            18 => (format!("203.0.113.{}", chance.between(1, 250)), "scanner"),
            // Many people share it, whatever one of them has done.
            _ => (format!("198.18.{}.{}", chance.between(200, 219), chance.between(1, 250)), "password spraying"),
        };
        if all.iter().all(|one| one.name != name) {
            all.push(Indicator { from, name, label, expires_at: (day + 90) * 86_400, by: by.to_owned() });
        }
    }
}

/// Tells the imports, as the inventory that is activated for each, and the dust.
pub(crate) fn tell(firm: &Firm, season: &Season, ceremonies: &Ceremonies, journal: &mut Journal, chance: &mut Chance) {
    let mut imports: Vec<i64> = firm.indicators.iter().map(|one| one.from).filter(|from| *from > i64::MIN).collect();
    imports.dedup();
    for at in imports {
        if let Some(register) = ceremonies.declared_at(at) {
            register.activate(firm, at, journal);
        }
    }
    for _ in 0..(season.days + 5) / 10 {
        let at = season.first * DAY + chance.between(HOUR, season.days * DAY - HOUR);
        let wallet = chance.pick(&firm.wallets);
        let known = firm.indicators.iter().filter(|one| one.from <= at && is_of(wallet.chain, &one.name));
        let known: Vec<&Indicator> = known.collect();
        if known.is_empty() {
            continue;
        }
        let from = chance.pick(&known).name.as_str();
        let units = if wallet.chain == Chain::Bitcoin { 546 } else { chance.below(900) + 1 };
        let event = Event::new(node(wallet.chain), "chain.transfer").say(Column::Wallet, &wallet.address);
        let event = event.say(Column::Tx, wallet.chain.transaction(chance)).say(Column::Chain, wallet.chain.name());
        let event = event.say(Column::Asset, wallet.assets[0].symbol).say(Column::FromAddress, from);
        let event = event.say(Column::ToAddress, &wallet.address).say(Column::Amount, units);
        let event = event.say(Column::Outcome, "success").with("direction", "in");
        journal.tell(firm.system, event.with("block", wallet.chain.block(at)), at + SECOND);
    }
}

fn is_of(chain: Chain, name: &str) -> bool {
    match chain {
        Chain::Ethereum => name.starts_with("0x"),
        Chain::Bitcoin => name.starts_with("bc1"),
        Chain::Tron => name.starts_with('T'),
        Chain::Solana => false,
    }
}
