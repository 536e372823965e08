//! Keys of signers: shares that are made anew, policies of keys that change, and the tickets for both.
//!
//! Each hot wallet's shares are made anew once a quarter, by a ceremony of the parties whose ticket was opened the day before;
//! one ticket in eight is written hours after the deed. The key stays the same, and so does the address. The cloud's key policies
//! change twice a month by terraform, four times in five for a ticket.

use serde_json::json;

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, SOURCES, TICKETS, Wallet};
use crate::infrastructure::is_workday;
use crate::journal::Journal;
use crate::names;
use crate::networks;
use crate::people::Role;
use crate::season::Season;

const PARTIES: [&str; 3] = ["mpc-1", "mpc-2", "mpc-3"];

/// Tells them all.
pub(crate) fn tell(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) {
    for wallet in firm.wallets.iter().filter(|wallet| wallet.technology == "mpc") {
        if !chance.thousandths((season.days * 11).cast_unsigned()) {
            continue;
        }
        if let Some(at) = working_hour(season, chance) {
            reshare(firm, wallet, at, journal, chance);
        }
    }
    for _ in 0..chance.count((season.days.cast_unsigned() / 15).max(1)) {
        let Some(at) = working_hour(season, chance) else { continue };
        let wallet = chance.pick(&firm.wallets);
        let event = networks::datacentre(7).say(Event::new(SOURCES.cloud, "control.key"));
        let event = event.say(Column::Actor, "terraform").say(Column::Outcome, "success");
        let event = event.with("act", "PutKeyPolicy").with("target", format!("alias/backup-of-{}", wallet.key));
        journal.tell(firm.system, event, at);
        if chance.thousandths(800) {
            ticket(firm, "terraform", "policy of a key", at, at + 5 * MINUTE, journal, chance);
        }
    }
}

/// An hour at which such work is done, if the day that is drawn is a working day.
fn working_hour(season: &Season, chance: &mut Chance) -> Option<i64> {
    let day = season.first + chance.between(0, season.days - 1);
    let at = day * DAY + chance.between(9 * 60, 16 * 60) * MINUTE;
    is_workday(season, day).then_some(at)
}

/// A change is approved the day before and closed after the deed, or written down altogether once it is done.
fn ticket(
    firm: &Firm,
    who: &str,
    about: &str,
    begins: i64,
    ends: i64,
    journal: &mut Journal,
    chance: &mut Chance,
) -> Option<String> {
    if firm.module.is_some() {
        return None;
    }
    let approves = |one: usize| firm.people[one].role == Role::Custodian && firm.people[one].subject != who;
    let (approved, by) = firm.roster.next(begins - 26 * HOUR, approves)?;
    let name = format!("CHG-{}", chance.between(1000, 9999));
    let is_late = chance.thousandths(125);
    let opened = if is_late { ends + chance.between(60, 300) * MINUTE } else { approved.min(begins - MINUTE) };
    let closed = ends.max(opened) + chance.between(2, 30) * MINUTE;
    for (outcome, act, at) in [("open", "change.opened", opened), ("done", "change.closed", closed)] {
        let event = Event::new(TICKETS, "custody.change").say(Column::Actor, who).say(Column::Request, &name);
        let event = event.say(Column::Outcome, outcome).with("act", act).with("ticket", name.as_str());
        let event = event.with("approved_by", by.subject.as_str()).with("about", about);
        journal.tell(firm.system, event, at);
    }
    Some(name)
}

/// The parties make their shares anew, in five rounds.
fn reshare(firm: &Firm, wallet: &Wallet, at: i64, journal: &mut Journal, chance: &mut Chance) -> Option<i64> {
    let (at, span) = firm.roster.next(at, |one| firm.people[one].role == Role::Custodian)?;
    let (_, other) = firm.roster.next(at, |one| one != span.person && firm.people[one].role == Role::Administrator)?;
    let about = format!("shares of {} are made anew", wallet.key);
    let ends = at + 20 * MINUTE;
    let change = ticket(firm, &span.subject, &about, at, ends, journal, chance)?;
    for (outcome, act, when) in [("open", "ceremony.opened", at), ("done", "ceremony.closed", ends)] {
        let event = Event::new(TICKETS, "custody.ceremony").say(Column::Actor, &span.subject);
        let event = event.say(Column::Request, &change).say(Column::Key, &wallet.key).say(Column::Outcome, outcome);
        let event = event.with("act", act).with("purpose", "resharing").with("ticket", change.as_str());
        let event = event.with("people", json!([span.subject, other.subject]));
        journal.tell(firm.system, event, when);
    }
    let session = names::uuid(chance);
    let mut when = at + 8 * MINUTE;
    for round in 1..=5 {
        for party in PARTIES {
            let latency = chance.around(180);
            let event = Event::new(wallet.signer, "signing.round").say(Column::Actor, party);
            let event = event.say(Column::Wallet, &wallet.address).say(Column::Key, &wallet.key);
            let event = event.say(Column::Outcome, "ok").with("protocol", "ecdsa-resharing").with("round", round);
            let event = event.with("session", session.as_str()).with("broadcast", true).with("latency_ms", latency);
            let event = event.with("parties", json!(PARTIES)).with("threshold", wallet.threshold);
            journal.tell(firm.system, event, when + latency);
        }
        when += SECOND;
    }
    let event = span.say(Event::new(wallet.signer, "control.key"), when).say(Column::Wallet, &wallet.address);
    let event = event.say(Column::Key, &wallet.key).say(Column::Outcome, "success");
    let event = event.with("act", "resharing").with("target", wallet.key.as_str()).with("ticket", change);
    journal.tell(firm.system, event, when);
    Some(when)
}
