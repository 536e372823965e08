//! Changes of who holds what: an owner replaced, a threshold raised, a contract upgraded, a partner approved, an emergency
//! practised.
//!
//! The house does each of them as an auditor wants it (CCSS 1.01.3.2, 1.04.1.1): decided beforehand, in the inventory before it
//! is on the chain, in a room that people entered together, and the old out of the inventory once it is out of the contract.
//! An upgrade of this multisig is a delegatecall to the makers' migration contract, which is declared for it.

use serde_json::json;

use crate::calendar::{HOUR, MINUTE, SECOND, is_weekend};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, IMPLEMENTATIONS, node, place};
use crate::inventory::Register;
use crate::journal::Journal;
use crate::money;
use crate::multisig::{Multisig, Operation};
use crate::names::{self, Chain};
use crate::people::Role;
use crate::season::Season;

/// The makers' contract that moves a proxy to the code of 1.4.1.
const MIGRATION: &str = "0x526643f69b81b008f46d95cd5ced5ec0edffdac6";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    AddOwner,
    RemoveOwner,
    Threshold,
    Upgrade,
    Partner,
    Drill,
}

/// What is planned for which day.
pub(crate) struct Ceremonies {
    planned: Vec<(i64, Kind)>,
    register: Register,
    /// What was declared from which instant on.
    past: Vec<(i64, Register)>,
}

impl Ceremonies {
    /// Those of a firm; a short history has fewer.
    pub(crate) fn plan(firm: &Firm, season: &Season, chance: &mut Chance) -> Ceremonies {
        let mut on = |from: i64, to: i64| {
            let mut day = season.first + chance.between(from, to);
            while is_weekend(day) {
                day += 1;
            }
            day
        };
        let added = on(3, 8);
        let mut planned =
            vec![(added, Kind::AddOwner), (added + if added % 7 == 1 { 3 } else { 1 }, Kind::RemoveOwner)];
        planned.extend([(on(9, 13), Kind::Partner), (on(11, 17), Kind::Threshold), (on(18, 25), Kind::Upgrade)]);
        planned.push((season.drill, Kind::Drill));
        if firm.module.is_some() {
            planned.retain(|(_, kind)| *kind == Kind::Partner);
        }
        Ceremonies { planned, register: Register::of(firm), past: vec![(i64::MIN, Register::of(firm))] }
    }

    /// What was declared at an instant, once all are held.
    pub(crate) fn declared_at(&self, at: i64) -> Option<&Register> {
        self.past.iter().rev().find(|(from, _)| *from <= at).map(|(_, register)| register)
    }

    fn activate(&mut self, firm: &Firm, at: i64, journal: &mut Journal) {
        self.register.activate(firm, at, journal);
        self.past.push((at, self.register.clone()));
        self.past.sort_by_key(|(from, _)| *from);
    }

    /// Holds those of a day, with the multisigs of treasury and cold wallet.
    pub(crate) fn hold(
        &mut self,
        day: i64,
        multisigs: &mut [Multisig<'_>],
        journal: &mut Journal,
        chance: &mut Chance,
    ) {
        let today: Vec<Kind> = self.planned.iter().filter(|(on, _)| *on == day).map(|(_, kind)| *kind).collect();
        for kind in today {
            let at = day * 24 * HOUR + chance.between(9 * 60, 14 * 60) * MINUTE;
            // A change that finds nobody is put off for good: its record is all that is missing.
            let _ = match kind {
                Kind::AddOwner => self.add_owner(&mut multisigs[0], at, journal, chance),
                Kind::RemoveOwner => self.remove_owner(&mut multisigs[0], at, journal, chance),
                Kind::Threshold => self.raise_threshold(&mut multisigs[1], at, journal, chance),
                Kind::Upgrade => self.upgrade(&mut multisigs[0], at, journal, chance),
                Kind::Partner => self.add_partner(&mut multisigs[0], at, journal, chance),
                Kind::Drill => drill(&mut multisigs[0], at, journal, chance),
            };
        }
    }

    fn add_owner(
        &mut self,
        safe: &mut Multisig<'_>,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let firm = safe.firm;
        let is_owner = |one: usize| safe.wallet.owners.iter().any(|(_, keeper)| *keeper == one);
        let newcomer = (0..firm.people.len()).find(|one| firm.people[*one].role != Role::Analyst && !is_owner(*one))?;
        let owner = Chain::Ethereum.address(chance);
        in_the_room(firm, &[newcomer, safe.wallet.owners[0].1], at, journal);
        self.register.wallets[place::TREASURY].owners.push((owner.clone(), newcomer));
        self.activate(firm, at + 25 * MINUTE, journal);
        let call =
            json!({ "name": "addOwnerWithThreshold", "args": { "owner": owner, "threshold": safe.wallet.threshold } });
        let executed = administer(safe, call, 0, None, at + 50 * MINUTE, journal, chance)?;
        changed(safe, "owner_added", "", &owner, executed, journal);
        safe.wallet.owners.push((owner, newcomer));
        Some(executed)
    }

    fn remove_owner(
        &mut self,
        safe: &mut Multisig<'_>,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let firm = safe.firm;
        if safe.wallet.owners.len() <= self.register.wallets[place::TREASURY].threshold + 2 {
            return None;
        }
        let (leaving, keeper) = safe.wallet.owners.remove(0);
        in_the_room(firm, &[keeper, safe.wallet.owners[0].1], at, journal);
        let call = json!({ "name": "removeOwner", "args": { "owner": leaving, "threshold": safe.wallet.threshold } });
        let executed = administer(safe, call, 0, None, at + 20 * MINUTE, journal, chance)?;
        changed(safe, "owner_removed", &leaving, "", executed, journal);
        self.register.wallets[place::TREASURY].owners.retain(|(owner, _)| *owner != leaving);
        self.activate(firm, executed + 40 * MINUTE, journal);
        Some(executed)
    }

    fn raise_threshold(
        &mut self,
        safe: &mut Multisig<'_>,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let before = safe.wallet.threshold;
        self.register.wallets[place::COLD_ETHEREUM].threshold = before + 1;
        self.activate(safe.firm, at, journal);
        let call = json!({ "name": "changeThreshold", "args": { "threshold": before + 1 } });
        let executed = administer(safe, call, 0, None, at + 30 * MINUTE, journal, chance)?;
        changed(safe, "threshold", &before.to_string(), &(before + 1).to_string(), executed, journal);
        safe.wallet.threshold = before + 1;
        Some(executed)
    }

    fn upgrade(&mut self, safe: &mut Multisig<'_>, at: i64, journal: &mut Journal, chance: &mut Chance) -> Option<i64> {
        let [before, after] = IMPLEMENTATIONS;
        self.register.libraries.push((MIGRATION.to_owned(), "migration contract of the makers, 1.4.1"));
        let declared = &mut self.register.wallets[place::TREASURY];
        declared.implementation = after.to_owned();
        declared.version = "1.4.1";
        self.activate(safe.firm, at, journal);
        let call = json!({ "name": "migrateSingleton", "args": {} });
        let executed = administer(safe, call, 1, Some(MIGRATION), at + 35 * MINUTE, journal, chance)?;
        changed(safe, "implementation", before, after, executed, journal);
        Some(executed)
    }

    /// A new counterparty: approved by ticket, then in the inventory, then paid a first, small amount.
    fn add_partner(
        &mut self,
        safe: &mut Multisig<'_>,
        at: i64,
        journal: &mut Journal,
        chance: &mut Chance,
    ) -> Option<i64> {
        let firm = safe.firm;
        let address = Chain::Ethereum.address(chance);
        let (at, span) = firm.roster.next(at, |one| firm.people[one].role == Role::Custodian)?;
        let event = span.say(Event::new(firm.sources.cloud, "control.destination"), at);
        let event = event.say(Column::ToAddress, &address).say(Column::Outcome, "success");
        journal.tell(firm.system, event.with("action", "add").with("ticket", "PTN-77"), at);
        self.register.partners.push((address.clone(), "new market maker"));
        self.activate(firm, at + HOUR, journal);
        let units = money::USDT.units(100_000, at / (24 * HOUR));
        let first = Operation::payment(address, money::USDT, units, at / (24 * HOUR));
        safe.carry_out(&first, at + 26 * HOUR, journal, chance)
    }
}

fn administer(
    safe: &mut Multisig<'_>,
    call: serde_json::Value,
    operation: i64,
    to: Option<&str>,
    at: i64,
    journal: &mut Journal,
    chance: &mut Chance,
) -> Option<i64> {
    let to = to.unwrap_or(&safe.wallet.address).to_owned();
    safe.carry_out(&Operation::call(to, money::ETH, call, operation), at, journal, chance)
}

/// People enter the room of the ceremony.
fn in_the_room(firm: &Firm, people: &[usize], at: i64, journal: &mut Journal) {
    for (nth, person) in (0..).zip(people) {
        let event = Event::new(firm.sources.vault, "custody.access").say(Column::Actor, &firm.people[*person].subject);
        journal.tell(firm.system, event.with("room", "ceremony room").with("ticket", "CER-12"), at + nth * MINUTE);
    }
}

/// What the node sees of a change.
fn changed(safe: &Multisig<'_>, change: &str, before: &str, after: &str, at: i64, journal: &mut Journal) {
    let event = Event::new(node(Chain::Ethereum), "chain.contract").say(Column::Wallet, &safe.wallet.address);
    let mut event =
        event.say(Column::Chain, "ethereum").with("change", change).with("block", Chain::Ethereum.block(at));
    for (name, value) in [("before", before), ("after", after)] {
        if !value.is_empty() {
            event = event.with(name, value);
        }
    }
    if change == "implementation" {
        event = event.with("slot", "0x0");
    }
    if let Some(tx) = &safe.last_transaction {
        event = event.say(Column::Tx, tx);
    }
    journal.tell(safe.firm.system, event, at);
}

/// The yearly drill (CCSS 2.04.2.1): the session of an account that is there for drills is revoked and not used again, the
/// signer fails over to its second site, a little money goes to the other wallet.
fn drill(safe: &mut Multisig<'_>, at: i64, journal: &mut Journal, chance: &mut Chance) -> Option<i64> {
    let firm = safe.firm;
    let (at, span) = firm.roster.next(at, |one| firm.people[one].role == Role::Administrator)?;
    let session = format!("idx{}", names::digits(chance, 22));
    for (kind, outcome, second) in
        [("session.started", "success", 0), ("session.mfa", "success", 9), ("session.revoked", "", 300)]
    {
        let event = span.say(Event::new(firm.sources.idp, kind), at).say(Column::Actor, "drill.account");
        let event = event.say(Column::Session, &session).say(Column::Outcome, outcome);
        let reason = if kind == "session.revoked" { "drill DR-9" } else { "" };
        journal.tell(firm.system, event.say(Column::Reason, reason), at + second * SECOND);
    }
    for (outcome, minute) in [("degraded", 10), ("ok", 22)] {
        let event = Event::new(firm.sources.signer, "source.status").say(Column::Outcome, outcome);
        let event = event.say(Column::Reason, "drill DR-9: fail-over to the second site");
        journal.note(firm.system, event, at + minute * MINUTE);
    }
    in_the_room(firm, &[safe.wallet.owners[0].1, safe.wallet.owners[1].1], at + 15 * MINUTE, journal);
    let to = firm.wallets[place::COLD_ETHEREUM].address.clone();
    let little = Operation::payment(to, money::ETH, 10_000_000_000_000_000, at / (24 * HOUR));
    safe.carry_out(&little, at + 30 * MINUTE, journal, chance)
}
