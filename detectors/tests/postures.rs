//! Reports of a device that come late or are dated wrongly: whom `session/allowed_while_not_compliant` tells of over the events on
//! which it fires. Each case stands in both files and differs in a date.

use std::collections::BTreeSet;

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Engine, Settings};
use keywatch_store::Position;

#[test]
fn no_date_excuses_a_failure_that_is_the_last_word() {
    let rule = shipped().unwrap().into_iter().find(|rule| rule.id == "session/allowed_while_not_compliant").unwrap();
    let mut engine = Engine::new(std::slice::from_ref(&rule), &Settings::default()).unwrap();
    let outcome = engine.run(Position(0), &rule.fires).unwrap();
    assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
    let told: BTreeSet<String> = outcome.findings.into_iter().map(|decided| decided.finding.entity).collect();
    for (session, why) in [
        ("bob-1", "a failure without any success after it"),
        ("kim-1", "a success that is older than the failure and came after it"),
        ("eva-1", "a failure that is dated back, an hour after the success"),
        ("ann-1", "a failure after a success that is dated into the future"),
    ] {
        assert!(told.contains(session), "{why}: {told:?}");
    }
}
