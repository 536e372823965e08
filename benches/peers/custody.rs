//! Custody traffic as the peers see it: stretches of ordinary traffic one after another, with a few acts that are not
//! ordinary, so that every engine has something to find and what they found can be compared.

use keywatch_store::event::Detail;
use keywatch_store::{Event, Instant};
use serde_json::Value;

use crate::traffic;

const STRETCH_NS: i64 = 9_000_000_000_000;
/// Log time only goes forward, and Flink's time attributes have whole milliseconds.
const APART_NS: i64 = 1_000_000;

/// So many stretches of 200 003 events, each made when it is asked for.
pub(crate) fn stretches(count: usize) -> impl Iterator<Item = Vec<Event>> {
    let begin: Instant = "2025-01-06T08:00:00Z".parse().unwrap();
    (0..count).map(move |number| {
        let start = begin.saturating_add(i64::try_from(number).unwrap() * STRETCH_NS);
        let mut events = traffic::ordinary(start, &format!("day-{number}"));
        let mut before = Instant::UNASSIGNED;
        for (index, event) in events.iter_mut().enumerate() {
            make_strange(event, index);
            event.time = event.time.max(before.saturating_add(APART_NS));
            before = event.time;
        }
        events
    })
}

/// Some of each kind are wrong: numbers are prime, so that they meet no rhythm of the traffic.
fn make_strange(event: &mut Event, index: usize) {
    match event.kind.as_str() {
        "decision" if index.is_multiple_of(97) => set(event, "self_approved", Value::Bool(true)),
        "decision" if index.is_multiple_of(101) => set(event, "amount_type", Value::from("string")),
        "session.mfa" if index.is_multiple_of(103) => event.outcome = Some("bypass".to_owned()),
        "session.mfa" if index.is_multiple_of(1_009) => "session.mfa_changed".clone_into(&mut event.kind),
        "session.presented" if index.is_multiple_of(2_503) => "session.ended".clone_into(&mut event.kind),
        "session.presented" if index.is_multiple_of(211) => event.outcome = Some("failure".to_owned()),
        "session.posture" if index.is_multiple_of(107) => event.outcome = Some("not_compliant".to_owned()),
        "signing.approved" | "signing.requested" if index.is_multiple_of(61) => {
            event.outcome = Some("mismatch".to_owned());
        }
        "signing.signed" if index.is_multiple_of(67) => event.to_address = Some("0xelsewhere".to_owned()),
        "chain.tx" if index.is_multiple_of(71) => set(event, "operation", Value::from(1)),
        _ => {}
    }
}

fn set(event: &mut Event, field: &str, value: Value) {
    let mut detail = event.detail.value();
    if let Some(fields) = detail.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
    event.detail = Detail::from(&detail);
}
