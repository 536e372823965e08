//! Admission against its contract.

use super::*;
use crate::limits::REPEAT_HORIZON_NS;

fn event(system: &str, id: &str, time: i64) -> Event {
    let mut event =
        Event::builder(&Origin { system: system.into(), source: "a".into() }, id, "source.heartbeat", Instant(time));
    event.time(Instant(time));
    event.build().unwrap()
}

fn time_of(admitted: Admitted) -> i64 {
    match admitted {
        Admitted::New(event) | Admitted::Conflict(event) => event.time().0,
        Admitted::Repeat => panic!("a repeat has no time"),
    }
}

#[test]
fn time_strictly_increases_within_a_system_and_systems_do_not_move_each_other() {
    let mut admission = Admission::new(Clock::Recorded);
    assert_eq!(time_of(admission.admit(event("s", "1", 100), Instant(0))), 100);
    assert_eq!(time_of(admission.admit(event("s", "2", 100), Instant(0))), 101);
    assert_eq!(time_of(admission.admit(event("s", "3", 7), Instant(0))), 102);
    assert_eq!(time_of(admission.admit(event("other", "1", 50), Instant(0))), 50);
}

#[test]
fn a_wall_clock_ignores_what_the_record_claims() {
    let mut admission = Admission::new(Clock::Wall);
    assert_eq!(time_of(admission.admit(event("s", "1", 9_999), Instant(100))), 100);
    assert_eq!(time_of(admission.admit(event("s", "2", 9_999), Instant(90))), 101);
}

#[test]
fn repeats_are_skipped_and_conflicts_kept_once() {
    let mut admission = Admission::new(Clock::Recorded);
    admission.admit(event("s", "1", 100), Instant(0));
    assert_eq!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::Repeat);
    let mut other = event("s", "1", 100).to_builder();
    let other = other.reason("changed").build().unwrap();
    let Admitted::Conflict(conflict) = admission.admit(other.clone(), Instant(0)) else { panic!("no conflict") };
    assert_eq!(conflict.kind(), "source.conflict");
    assert_eq!(admission.admit(other, Instant(0)), Admitted::Repeat);
}

#[test]
fn a_content_hash_differs_where_the_fingerprint_does() {
    let content = ContentHash::default();
    let one = event("s", "1", 100);
    let mut later = one.clone();
    later.set_time(Instant(101));
    later.set_late(true);
    assert_eq!((content.of(&one), fingerprint(&one)), (content.of(&later), fingerprint(&later)));
    for other in [
        one.changed(|event| event.reason("")),
        one.changed(|event| event.actor("ab").session("c")),
        one.changed(|event| event.actor("a").session("bc")),
        one.changed(|event| event.asn(0)),
        one.changed(|event| event.amount(crate::Amount::from_u128(0))),
        one.changed(|event| event.detail(&serde_json::json!({ "a": 1 }))),
    ] {
        assert_ne!(content.of(&one), content.of(&other));
        assert_ne!(fingerprint(&one), fingerprint(&other));
    }
}

#[test]
fn a_passing_admission_judges_as_a_log_does() {
    let content = ContentHash::default();
    let (mut passing, mut kept) = (Admission::passing(Clock::Recorded, content), Admission::new(Clock::Recorded));
    let changed = event("s", "1", 100).changed(|event| event.reason("changed"));
    let mut events = vec![event("s", "1", 100), event("s", "1", 100), changed.clone(), changed, event("s", "2", 7)];
    // The conflict itself, read back from where a log wrote it, is a repeat.
    let Admitted::Conflict(conflict) = kept_after(&events[..2]).admit(events[2].clone(), Instant(0)) else {
        panic!("no conflict")
    };
    events.push(*conflict);
    for event in events {
        assert_eq!(passing.admit(event.clone(), Instant(0)), kept.admit(event, Instant(0)));
    }
}

fn kept_after(events: &[Event]) -> Admission {
    let mut admission = Admission::new(Clock::Recorded);
    events.iter().for_each(|event| drop(admission.admit(event.clone(), Instant(0))));
    admission
}

#[test]
fn an_id_is_forgotten_after_the_horizon_of_its_own_system() {
    let mut admission = Admission::new(Clock::Recorded);
    admission.admit(event("s", "1", 100), Instant(0));
    admission.admit(event("other", "2", 101 + 2 * REPEAT_HORIZON_NS), Instant(0));
    assert_eq!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::Repeat);
    admission.admit(event("s", "3", 101 + REPEAT_HORIZON_NS), Instant(0));
    assert!(matches!(admission.admit(event("s", "1", 100), Instant(0)), Admitted::New(_)));
}
