//! What keywatch itself asks of a decision point, canaries and probes, stands in its decision log. Rules that count decisions
//! leave it out, and count every other one.

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::{Event, Position};

fn rule(id: &str) -> Rule {
    shipped().unwrap().into_iter().find(|rule| rule.id == id).unwrap()
}

fn found(rule: &Rule, events: &[Event]) -> usize {
    let mut engine = Engine::new(std::slice::from_ref(rule), &Settings::default()).unwrap();
    let outcome = engine.run(Position(0), events).unwrap();
    assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
    outcome.findings.len()
}

/// Those of the events that are kept.
fn only(events: &[Event], keep: impl Fn(&Event) -> bool) -> Vec<Event> {
    events.iter().filter(|event| keep(event)).cloned().collect()
}

#[test]
fn canaries_and_probes_hide_no_outage_and_decisions_that_are_none_count() {
    for id in ["policy/failover", "signing/signed_during_outage"] {
        let rule = rule(id);
        assert!(found(&rule, &rule.fires) > 0, "{id}: with both");
        for (told_by, answers) in [("pdp.canary", "d-canary"), ("response.published", "d-probe")] {
            let is_answer = |event: &Event| event.decision().is_some_and(|decision| decision.starts_with(answers));
            // The same answers, of which nobody says that keywatch asked.
            let untold = only(&rule.fires, |event| event.kind() != told_by);
            assert!(untold.len() < rule.fires.len(), "{id}: its events have {told_by}");
            assert_eq!(found(&rule, &untold), 0, "{id}: decisions of which no {told_by} tells count");
            let without = only(&untold, |event| !is_answer(event));
            assert!(without.len() < untold.len() && found(&rule, &without) > 0, "{id}: without them");
        }
    }
}
