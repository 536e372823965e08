//! The same thefts with other names, amounts, times and orders of what happens at one instant. Rules must look at how
//! things hang together, never at what they are called.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::event::TextColumn;
use keywatch_store::log::segments::INDEXED;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Amount, Event, EventId, Finding, Severity};
use serde_json::Value;

use super::recording::{Incident, incidents, is_observed};
use super::rules::{admitted, findings};

/// By how much the other incident is moved in time: 123 days and some nanoseconds.
const MOVED_NS: i64 = (123 * 86_400 + 4_321) * SECOND_NS + 7;

/// By how much its amounts are multiplied.
const FACTOR: u128 = 3;

/// Another name of the same form; two names never become one. Character by character, so that addresses that look alike
/// still do.
fn other_name(name: &str) -> String {
    let octets: Vec<&str> = name.split('.').collect();
    if let [a, b, c, last] = octets[..]
        && let Ok(last) = last.parse::<u8>()
    {
        return format!("{a}.{b}.{c}.{}", 255 - last);
    }
    let digits = name.strip_prefix("0x").unwrap_or(name);
    if digits.len() >= 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let turned: String = digits.chars().map(|digit| turn(digit, "0123456789abcdef", 7)).collect();
        return name.replace(digits, &turned);
    }
    let turned = |letter: char| {
        let letter = turn(letter, "0123456789", 5);
        turn(turn(letter, "abcdefghijklmnopqrstuvwxyz", 13), "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 13)
    };
    name.chars().map(turned).collect()
}

fn turn(letter: char, alphabet: &str, by: usize) -> char {
    match alphabet.find(letter) {
        Some(place) => alphabet.as_bytes()[(place + by) % alphabet.len()].into(),
        None => letter,
    }
}

/// The columns that hold names, but that of the source.
fn name_columns() -> impl Iterator<Item = TextColumn> {
    INDEXED.into_iter().filter(|column| *column != TextColumn::Source)
}

/// Every name that the incident or its inventory uses.
fn names(incident: &Incident) -> BTreeSet<String> {
    let mut names = BTreeSet::from([incident.system().to_owned()]);
    for event in incident.events.iter().filter(|event| is_observed(event)) {
        names.insert(event.source().to_owned());
        names.extend(name_columns().filter_map(|column| event.text(column)).map(str::to_owned));
    }
    let activation = incident.events[0].detail().value();
    let declared = &activation["declared"];
    for table in declared.as_object().unwrap().values().filter_map(Value::as_array) {
        for row in table {
            let keys = ["wallet", "owner", "person", "address", "subject", "source", "implementation"];
            names.extend(keys.iter().filter_map(|key| row[*key].as_str()).map(str::to_owned));
        }
    }
    names.remove("");
    names
}

/// The names to their new names; at the same time the proof that none is lost or kept.
fn renaming(incident: &Incident) -> BTreeMap<String, String> {
    let renaming: BTreeMap<String, String> =
        names(incident).into_iter().map(|name| (name.clone(), other_name(&name))).collect();
    assert!(renaming.len() > 100, "{}: {} names", incident.name, renaming.len());
    assert_eq!(renaming.values().collect::<BTreeSet<_>>().len(), renaming.len(), "two names became one");
    assert!(renaming.iter().all(|(old, new)| old != new), "a name was kept");
    renaming
}

fn rename_in(value: &mut Value, renaming: &BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            // Addresses that stand in no column, such as the one a signature recovers to.
            let is_address = text.len() >= 42 && text.starts_with("0x");
            if let Some(new) = renaming.get(text.as_str()) {
                text.clone_from(new);
            } else if is_address {
                *text = other_name(text);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_in(item, renaming)),
        // A feed is called as keywatch calls it.
        Value::Object(map) => {
            map.iter_mut().filter(|(key, _)| *key != "feed").for_each(|(_, value)| rename_in(value, renaming));
        }
        _ => {}
    }
}

/// The incident as it could have happened to somebody else.
fn elsewhere(incident: &Incident, renaming: &BTreeMap<String, String>) -> Vec<Event> {
    let other = |event: &Event| {
        let mut other = event.to_builder();
        other.system(&renaming[event.system()]);
        other.source(renaming.get(event.source()).map_or(event.source(), String::as_str));
        for column in name_columns() {
            other.text(column, event.text(column).map(|name| renaming[name].as_str()));
        }
        let mut detail = event.detail().value();
        rename_in(&mut detail, renaming);
        other.detail(&detail);
        other.amount(event.amount().map(|amount| Amount::from_u128(units(amount) * FACTOR)));
        other.amount_usd_cents(event.amount_usd_cents().map(|cents| cents * i64::try_from(FACTOR).unwrap()));
        other.time(event.time().saturating_add(MOVED_NS));
        other.event_time(event.event_time().saturating_add(MOVED_NS));
        other.build_own()
    };
    incident.events.iter().map(other).collect()
}

fn units(amount: &Amount) -> u128 {
    amount.to_string().parse().unwrap()
}

/// What of a finding must come out the same, in the names of the first telling.
fn told(finding: &Finding, rename: impl Fn(&str) -> String) -> (String, Severity, EventId, String, Vec<EventId>) {
    let entity: Vec<String> = finding.entity.split(' ').map(rename).collect();
    (finding.rule.clone(), finding.severity, finding.anchor, entity.join(" "), finding.evidence.clone())
}

#[test]
fn other_names_amounts_and_times_give_the_same_findings_on_the_corresponding_anchors() {
    for incident in incidents() {
        let renaming = renaming(&incident);
        let rename = |name: &str| renaming.get(name).map_or_else(|| name.to_owned(), Clone::clone);
        let before = findings(&admitted(incident.events.clone()));
        let after = findings(&admitted(elsewhere(&incident, &renaming)));
        let wanted: Vec<_> = before.iter().map(|finding| told(finding, rename)).collect();
        assert_eq!(after.iter().map(|finding| told(finding, str::to_owned)).collect::<Vec<_>>(), wanted);
        for (one, other) in before.iter().zip(&after) {
            assert_eq!(other.time.0 - one.time.0, MOVED_NS, "{}", one.title);
            assert_eq!(other.decided.0 - one.decided.0, MOVED_NS, "{}", one.title);
            assert_eq!(other.session, one.session.as_deref().map(rename), "{}", one.title);
            assert_eq!(other.request, one.request.as_deref().map(rename), "{}", one.title);
            let scaled = |amount: &String| (amount.parse::<u128>().unwrap() * FACTOR).to_string();
            assert_eq!(other.amount, one.amount.as_ref().map(scaled), "{}", one.title);
            assert_ne!(other.id, one.id, "another theft is another finding");
        }
        let texts: Vec<String> = after.iter().map(|finding| format!("{} {:?}", finding.title, finding.facts)).collect();
        let is_kept = |name: &&String| name.len() > 12 && texts.iter().any(|text| text.contains(name.as_str()));
        let kept = renaming.keys().find(is_kept);
        assert_eq!(kept, None, "{}: an old name stands in a finding", incident.name);
    }
}

/// The events with the sources that speak at one and the same instant in the opposite order; each source's own stays.
fn swapped(incident: &Incident) -> (Vec<Event>, usize) {
    let mut events = incident.events.clone();
    events.sort_by(|one, next| (one.event_time(), next.source()).cmp(&(next.event_time(), one.source())));
    for event in &mut events {
        event.set_time(event.event_time());
    }
    let order = |events: &[Event]| events.iter().map(keywatch_store::Event::event_id).collect::<Vec<_>>();
    let moved = order(&events).iter().zip(order(&incident.events)).filter(|(one, other)| *one != other).count();
    (admitted(events), moved)
}

#[test]
fn which_source_speaks_first_at_one_instant_changes_no_finding() {
    let mut moved_in_all = 0;
    for incident in incidents() {
        let (events, moved) = swapped(&incident);
        moved_in_all += moved;
        let sorted = |found: &[Finding]| {
            let told: BTreeSet<_> = found.iter().map(|finding| told(finding, str::to_owned)).collect();
            told
        };
        assert_eq!(
            sorted(&findings(&events)),
            sorted(&findings(&admitted(incident.events.clone()))),
            "{}",
            incident.name
        );
    }
    assert!(moved_in_all > 20, "{moved_in_all} events only");
}
