//! New laptops, new phones, lost phones, and factors that their owners switch off and on again.
//!
//! Where it comes from: a factor that is removed and enrolled again by its owner was half of all findings of one vendor's
//! Okta rules in a day (elastic/detection-rules#3345), and resets of one's own were taken for switched-off factors
//! (panther-labs/panther-analysis#651). New phones come with the old one still at hand; lost ones with a call to the help
//! desk, which checks who calls and clears the factor, and the owner enrols anew within hours.

use crate::calendar::{DAY, HOUR, MINUTE};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::Firm;
use crate::journal::Journal;
use crate::names;
use crate::networks;
use crate::people::{Person, Role};
use crate::season::Season;

/// Something that happens to somebody's devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A new laptop, with a key of its own.
    Laptop,
    /// A new phone, enrolled with the old one.
    Phone,
    /// A phone is lost; the help desk clears its factor.
    Lost,
    /// The owner takes a factor out and puts it in again: an app that no longer rings, a key that is renamed.
    Again,
}

/// A change, of whom, on which day, at which instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    person: usize,
    at: i64,
    change: Change,
}

/// Plans the changes and hands out the devices, before the days are told.
pub(crate) fn plan(people: &mut [Person], season: &Season, chance: &mut Chance) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (index, person) in people.iter_mut().enumerate() {
        // A laptop lives three years, a phone two; one in a hundred is lost in a month; factors are fiddled with.
        let yearly = [(Change::Laptop, 33), (Change::Phone, 50), (Change::Lost, 12), (Change::Again, 90)];
        for (change, of_hundred) in yearly {
            let in_history = of_hundred * 10 * season.days.cast_unsigned() / 365;
            if !chance.thousandths(in_history.max(1)) {
                continue;
            }
            let day = season.first + chance.between(0, season.days - 1);
            let at = person.site.zone.instant(day, person.begins) + chance.between(30, 420) * MINUTE;
            let name = names::digits(chance, 8);
            match change {
                Change::Laptop => person.laptops.push((at, format!("mac-{name}"))),
                Change::Phone | Change::Lost => person.phones.push((at + HOUR, format!("phone-{name}"))),
                Change::Again => {}
            }
            planned.push(Planned { person: index, at, change });
        }
        person.laptops.sort();
        person.phones.sort();
    }
    planned
}

/// Tells them. The sessions of the roster know the devices already.
pub(crate) fn tell(firm: &Firm, planned: &[Planned], journal: &mut Journal, chance: &mut Chance) {
    for Planned { person, at, change } in planned {
        // People do this at work, so on a day on which they are there.
        let Some((at, _)) = firm.roster.next(*at, |index| index == *person) else { continue };
        let factor = |change: &str, factor: &str, at: i64, journal: &mut Journal| {
            let Some((at, span)) = firm.roster.next(at, |index| index == *person) else { return };
            let event = span.say(Event::new(firm.sources.idp, "session.mfa_changed"), at);
            journal.tell(firm.system, event.with("change", change).with("factor", factor), at);
        };
        match change {
            Change::Laptop => {
                // It is set up before its first day; on that day a key of it is enrolled, and the old laptop's one goes out some
                // days later.
                let Some((device, first)) = first_day(firm, *person, at) else { continue };
                is_set_up(firm, *person, &device, first - 80 * MINUTE, journal, chance);
                factor("create", "webauthn", first + 6 * MINUTE, journal);
                factor("revoke", "webauthn", first + chance.between(1, 4) * DAY, journal);
            }
            Change::Phone => {
                factor("create", "push", at + 2 * MINUTE, journal);
                factor("delete", "push", at + chance.between(5, 300) * MINUTE, journal);
            }
            Change::Lost => {
                cleared_by_help_desk(firm, *person, at, journal);
                let later = at + chance.between(40, 330) * MINUTE;
                factor("create", "push", later, journal);
            }
            Change::Again => {
                let removed = *chance.pick(&["delete", "revoke"]);
                factor(removed, "push", at, journal);
                factor("create", "push", at + chance.between(1, 260) * MINUTE, journal);
            }
        }
    }
}

/// The laptop that somebody has from then on, and when its first session begins.
fn first_day(firm: &Firm, person: usize, at: i64) -> Option<(String, i64)> {
    let device = firm.people[person].laptops.last().map(|(_, device)| device.clone())?;
    let first = firm.roster.all().iter().find(|span| span.device == device && span.from >= at - DAY)?;
    Some((device, first.from))
}

/// A new laptop is unknown, then fails what is not installed yet, then is as it should be.
fn is_set_up(firm: &Firm, index: usize, device: &str, at: i64, journal: &mut Journal, chance: &mut Chance) {
    let person = &firm.people[index];
    let mut then = at;
    for (outcome, check) in
        [("unknown", "enrolment"), ("not_compliant", "disk_encryption"), ("compliant", "disk_encryption")]
    {
        let event = Event::new(firm.sources.edr, "session.posture").say(Column::Actor, &person.subject);
        let event = event.say(Column::Device, device).say(Column::Outcome, outcome).with("check", check);
        let seen = networks::home(person.number, person.site.country, at / DAY);
        journal.tell(firm.system, seen.say(event), then);
        then += chance.between(4, 26) * MINUTE;
    }
}

fn cleared_by_help_desk(firm: &Firm, index: usize, at: i64, journal: &mut Journal) {
    let helper = |one: usize| firm.people[one].role == Role::Administrator && one != index;
    let (at, by) = match firm.roster.next(at, helper) {
        Some((helped, span)) if helped < at + 2 * HOUR => (helped, span.subject.clone()),
        _ => (at, "help-desk".to_owned()),
    };
    let event = Event::new(firm.sources.idp, "session.mfa_changed").say(Column::Actor, &firm.people[index].subject);
    let event = event.say(Column::Reason, "phone lost, caller verified by video").with("change", "delete");
    journal.tell(firm.system, event.with("factor", "push").with("by", by), at);
}
