//! What keywatch itself asks of a decision point stands in its decision log. Rules that count decisions leave it out, known by
//! the decision that a `pdp.canary` names, and count every other one.

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

#[test]
fn a_canary_hides_no_outage_and_a_decision_that_is_none_counts() {
    for id in ["policy/failover", "signing/signed_during_outage"] {
        let rule = rule(id);
        let is_canary = |event: &&Event| event.kind() == "pdp.canary";
        assert!(rule.fires.iter().filter(is_canary).count() >= 2, "{id}: its events have canaries");
        assert!(found(&rule, &rule.fires) > 0, "{id}: with canaries");
        // The same answers, of which nobody says that keywatch asked.
        let untold: Vec<Event> = rule.fires.iter().filter(|event| event.kind() != "pdp.canary").cloned().collect();
        assert_eq!(found(&rule, &untold), 0, "{id}: decisions that are no canaries count");
        // Canaries that were not answered name no decision, and make none out of decisions without an id.
        let none: Vec<Event> = untold.iter().filter(|event| !is_answer(event)).cloned().collect();
        assert!(found(&rule, &none) > 0, "{id}: without them");
    }
}

/// The decisions that answered the canaries of the events.
fn is_answer(event: &Event) -> bool {
    event.kind() == "decision" && event.decision().is_some_and(|decision| decision.starts_with("d-canary"))
}
