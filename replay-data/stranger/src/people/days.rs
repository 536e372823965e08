//! Working days: who is there when, on what device, over which network, and how that changes within the day.
//!
//! Shifts follow local clocks and their summer time. On a day a person works at the office or at home, through the
//! company's VPN, its security provider, or neither (a split tunnel leaves the identity provider's pages outside). Laptops
//! go over a phone on the way; phones have sessions of their own.

use crate::calendar::{HOUR, MINUTE, is_weekend};
use crate::chance::Chance;
use crate::firm::Firm;
use crate::journal::Journal;
use crate::names;
use crate::networks::{self, Egress};
use crate::people::roster::Span;
use crate::people::session::{self, Course};
use crate::people::travel::{Absences, Trip};
use crate::people::{Person, Role};
use crate::season::Season;

const LAPTOP: Course = Course { pace_minutes: 19, factor: "webauthn", is_managed: true };
const PHONE: Course = Course { pace_minutes: 3, factor: "push", is_managed: false };

/// Tells the days of everybody, and notes in the roster who can be asked when.
pub(crate) fn tell(firm: &mut Firm, season: &Season, absences: &Absences, journal: &mut Journal, chance: &mut Chance) {
    for day in season.all() {
        for index in 0..firm.people.len() {
            let spans = day_of(&firm.people[index], index, day, season, absences, chance);
            for span in spans {
                let course = if span.device.starts_with("phone") { PHONE } else { LAPTOP };
                session::tell(firm, &span, course, journal, chance);
                firm.roster.add(span);
            }
        }
    }
    firm.roster.sort();
}

fn day_of(
    person: &Person,
    index: usize,
    day: i64,
    season: &Season,
    absences: &Absences,
    chance: &mut Chance,
) -> Vec<Span> {
    let begins = person.site.zone.instant(day, person.begins) + chance.between(-20, 35) * MINUTE;
    let ends = begins + 8 * HOUR + chance.between(-40, 90) * MINUTE;
    if let Some(trip) = absences.trip(index, begins, ends) {
        return on_trip(person, index, trip, day, chance);
    }
    let free = absences.is_on_vacation(index, day)
        || (day == season.holiday && person.site.office == 0)
        || (is_weekend(day) && !is_on_call(person, day));
    if free {
        // A look at the chat from the sofa, the playground, the beach.
        let looks = i32::from(chance.thousandths(160));
        return (0..looks)
            .map(|_| on_phone(person, index, begins + chance.between(60, 600) * MINUTE, chance))
            .collect();
    }
    let mut spans = vec![at_desk(person, index, day, (begins, ends), chance)];
    if chance.thousandths(330) {
        spans.push(on_phone(person, index, begins + chance.between(-90, 700) * MINUTE, chance));
    }
    spans
}

/// One in four has the weekend, in turn; of those who release payments one in two.
fn is_on_call(person: &Person, day: i64) -> bool {
    let every = if person.role == Role::Custodian { 2 } else { 4 };
    ((day + 3).div_euclid(7) + person.number.cast_signed()) % every == 0
}

fn at_desk(person: &Person, index: usize, day: i64, (from, to): (i64, i64), chance: &mut Chance) -> Span {
    let is_at_office = !person.site.is_remote && chance.thousandths(if is_weekend(day) { 80 } else { 480 });
    let base = |chance: &mut Chance| match (is_at_office, chance.below(100)) {
        (true, 0..=84) => networks::office(person.site.office, chance),
        (true, _) => networks::security_provider(person.site.gateway, chance),
        (false, 0..=54) => networks::vpn(person.site.gateway, chance),
        (false, 55..=77) => networks::security_provider(person.site.gateway, chance),
        (false, _) if person.uses_relay => networks::privacy_relay(person.site.country, chance),
        (false, _) => networks::home(person.number, person.site.country, day),
    };
    let mut moves = vec![(from, base(chance))];
    let mut at = from;
    // VPN reconnects, the train, the café, the tunnel that does not take the provider's pages in.
    while chance.thousandths(430) {
        at += chance.around(110 * MINUTE);
        if at > to - 5 * MINUTE {
            break;
        }
        let back = at + chance.around(14 * MINUTE);
        moves.push((at, aside(person, day, chance)));
        if back < to {
            moves.push((back, base(chance)));
        }
        at = back;
    }
    moves.sort_by_key(|(at, _)| *at);
    span(person, index, person.laptop(from), (from, to), moves, true, chance)
}

/// Where a laptop is for a while that has left its usual network.
fn aside(person: &Person, day: i64, chance: &mut Chance) -> Egress {
    match chance.below(10) {
        0..=2 => networks::phone(person.number, person.site.country, person.has_travel_card, chance),
        3..=5 => networks::home(person.number, person.site.country, day),
        6 if person.uses_relay => networks::privacy_relay(person.site.country, chance),
        6..=7 => networks::security_provider(person.site.gateway, chance),
        _ => networks::vpn(person.site.gateway, chance),
    }
}

fn on_phone(person: &Person, index: usize, from: i64, chance: &mut Chance) -> Span {
    let egress = if person.uses_relay && chance.thousandths(300) {
        networks::privacy_relay(person.site.country, chance)
    } else {
        networks::phone(person.number, person.site.country, person.has_travel_card, chance)
    };
    let to = from + chance.around(9 * MINUTE);
    span(person, index, person.phone(from), (from, to), vec![(from, egress)], false, chance)
}

/// A day of a trip: before the flight, above the sea, at the hotel.
fn on_trip(person: &Person, index: usize, trip: &Trip, day: i64, chance: &mut Chance) -> Vec<Span> {
    let [leaves, lands, returns, home] = trip.legs;
    let mut spans = Vec::new();
    let mut add = |from: i64, to: i64, egress: Egress, is_at_work: bool, chance: &mut Chance| {
        if from + 10 * MINUTE < to {
            let device = person.laptop(from);
            spans.push(span(person, index, device, (from, to), vec![(from, egress)], is_at_work, chance));
        }
    };
    let midnight = person.site.zone.instant(day, 0);
    let is_today = |at: i64| (midnight..midnight + 24 * HOUR).contains(&at);
    if is_today(leaves) {
        let morning = person.site.zone.instant(day, 7 * 60 + 30);
        add(morning, leaves - 3 * HOUR, networks::vpn(person.site.gateway, chance), true, chance);
        add(leaves - 80 * MINUTE, leaves - 35 * MINUTE, networks::airport(person.site.country, chance), false, chance);
    }
    for (up, down) in [(leaves, lands), (returns, home)] {
        if is_today(up) && down - up > 6 * HOUR && chance.thousandths(450) {
            let from = up + chance.between(60, 180) * MINUTE;
            add(from, from + chance.around(50 * MINUTE), networks::aeroplane(chance), false, chance);
        }
    }
    let morning = (day * 24 * 60 + 8 * 60 + 30 - trip.city.ahead_minutes) * MINUTE;
    let from = morning.max(lands + chance.between(70, 150) * MINUTE);
    let to = (morning + 10 * HOUR).min(returns - 4 * HOUR);
    if is_today(from) || is_today(morning) {
        let egress = match chance.below(10) {
            0..=4 => networks::hotel(trip.city, day.cast_unsigned()),
            5..=7 => networks::vpn(person.site.gateway, chance),
            8 => networks::security_provider(person.site.gateway, chance),
            _ => networks::phone(person.number, person.site.country, person.has_travel_card, chance),
        };
        add(from, to, egress, true, chance);
    }
    spans
}

fn span(
    person: &Person,
    index: usize,
    device: &str,
    (from, to): (i64, i64),
    moves: Vec<(i64, Egress)>,
    is_at_work: bool,
    chance: &mut Chance,
) -> Span {
    let session = format!("idx{}", names::digits(chance, 22));
    let (subject, device) = (person.subject.clone(), device.to_owned());
    // Seconds are nobody's round ones.
    let (from, to) = (from + chance.between(0, 59_999), to + chance.between(0, 59_999));
    Span { person: index, subject, session, device, from, to, moves, is_at_work }
}
