//! Cases that once came out of the oracle, each with what must hold.

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant};

use super::history::SECOND;
use super::trial::{Log, rule};

fn event(kind: &str, seconds: i64) -> Event {
    let origin = Origin { system: "one".to_owned(), source: "idp".to_owned() };
    let time = Instant(seconds * SECOND);
    let mut event = Event::builder(&origin, &seconds.to_string(), kind, time);
    event.time(time);
    event.build_own()
}

/// The facts named `x` of the findings, in the order of their anchors.
fn answers(rules: &[Rule], events: Vec<Event>) -> Vec<Option<String>> {
    let ran = Log { events, cuts: Vec::new() }.run(rules, &Settings::default()).unwrap();
    assert!(ran.parked.is_empty(), "{:?}", ran.parked);
    let by_time: std::collections::BTreeMap<_, _> =
        ran.found.iter().map(|decided| (decided.finding.time, decided.finding.facts.get("x").cloned())).collect();
    by_time.into_values().collect()
}

/// SQL:2016 §6.10 and docs/rules.md: `IGNORE NULLS` counts back over the rows whose value is not null.
#[test]
fn lag_ignore_nulls_passes_over_nulls() {
    let sql = "SELECT event_id, system AS entity, x FROM (SELECT *, lag(asn) IGNORE NULLS OVER (ORDER BY time) AS x FROM events)";
    let events = [Some(7), None, None]
        .into_iter()
        .zip(1..)
        .map(|(asn, second)| event("tick", second).changed(|event| event.asn(asn)));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(answers(&[rule("t/lag", sql)], events.collect()), [None, text("7"), text("7")]);
}

/// Who may write an end of a session must not be able to blind the rule that watches its use.
#[test]
fn an_end_claimed_for_the_end_of_time_parks_no_rule() {
    let session = |event: Event, name: &str| event.changed(|event| event.session(name).outcome("success"));
    let forged = session(event("session.ended", 1), "forged");
    let events = vec![
        forged.changed(|event| event.event_time(Instant(i64::MAX))),
        session(event("session.presented", 2), "forged"),
        session(event("session.ended", 3), "watched"),
        session(event("session.presented", 120), "watched"),
    ];
    let rules: Vec<Rule> = shipped().unwrap().into_iter().filter(|rule| rule.id == "session/use_after_end").collect();
    assert_eq!(answers(&rules, events).len(), 1);
}

/// Spelling is no meaning.
#[test]
fn equal_windows_may_be_spelt_differently() {
    let sql = "SELECT event_id, system AS entity, x, y FROM (SELECT *, \
        count(*) OVER (ORDER BY time RANGE INTERVAL '1 hour' PRECEDING) AS x, \
        count(*) OVER (ORDER BY time RANGE INTERVAL '60 minutes' PRECEDING) AS y FROM events)";
    assert_eq!(answers(&[rule("t/spelt", sql)], vec![event("tick", 1)]), [Some("1".to_owned())]);
}

/// `count(a, b)` counts the rows where neither is null; an engine that does not know that must refuse it.
#[test]
fn no_argument_of_an_aggregate_is_dropped() {
    for call in ["count(asn, tx)", "count(DISTINCT asn, tx)"] {
        let sql = format!(
            "SELECT event_id, system AS entity, x FROM (SELECT *, {call} OVER (ORDER BY time \
             RANGE INTERVAL '1 hour' PRECEDING) AS x FROM events)"
        );
        let with_one = event("tick", 1).changed(|event| event.asn(7));
        let log = Log { events: vec![with_one], cuts: Vec::new() };
        if let Ok(ran) = log.run(&[rule("t/count", &sql)], &Settings::default()) {
            assert_eq!(ran.found[0].finding.facts["x"], "0", "{call}");
        }
    }
}

/// A window whose rows all lie ahead, in a system whose last record is the one that is asked about, waits.
#[test]
fn a_frame_wholly_ahead_is_decided_by_the_first_record_after_it() {
    let sql = "SELECT event_id, system AS entity, x FROM (SELECT *, count(*) OVER (ORDER BY time RANGE BETWEEN \
        INTERVAL '2 seconds' FOLLOWING AND INTERVAL '4 seconds' FOLLOWING) AS x FROM events)";
    let events = [1, 2, 3, 5, 6, 9].map(|second| event("tick", second)).to_vec();
    let counts = answers(&[rule("t/ahead", sql)], events).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(counts, ["2", "2", "2", "1"]);
}
