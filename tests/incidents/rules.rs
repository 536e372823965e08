//! The shipped rules over events.

use std::collections::BTreeSet;

use keywatch_detectors::{Decided, Engine, Settings, rule};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, EventId, Finding, Log, Position, Severity, Topic};

/// Plans the shipped rules.
pub(crate) fn engine() -> Engine {
    Engine::new(&rule::shipped().unwrap(), &Settings::default()).unwrap()
}

/// The events as a log takes them in: in order of their times, each instant given once, late ones marked.
pub(crate) fn admitted(mut events: Vec<Event>) -> Vec<Event> {
    events.sort_by_key(keywatch_store::Event::time);
    let given = events.len();
    let appended = MemoryLog::new().append(Topic::Events, events).unwrap();
    assert_eq!((appended.written.len(), appended.repeats, appended.conflicts), (given, 0, 0));
    appended.written
}

/// What the rules find in the next records of a log.
pub(crate) fn run(engine: &mut Engine, first: usize, events: &[Event]) -> Vec<Decided> {
    let outcome = engine.run(Position(first as u64), events).unwrap();
    assert_eq!(outcome.parked, []);
    outcome.findings
}

/// What the rules find, with the events cut into batches at these indices, in ascending order.
pub(crate) fn decided(events: &[Event], cuts: &[usize]) -> Vec<Decided> {
    let mut engine = engine();
    let mut found = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([events.len()]) {
        found.extend(run(&mut engine, from, &events[from..to]));
        from = to;
    }
    found
}

/// What the rules find.
pub(crate) fn findings(events: &[Event]) -> Vec<Finding> {
    decided(events, &[]).into_iter().map(|decided| decided.finding).collect()
}

/// Each finding as the bytes it is kept as.
pub(crate) fn bytes(found: &[Decided]) -> Vec<String> {
    found.iter().map(|decided| serde_json::to_string(&decided.finding).unwrap()).collect()
}

/// Rule, entity and anchor of every finding of that severity.
pub(crate) fn anchors(findings: &[Finding], severity: Severity) -> BTreeSet<(String, String, EventId)> {
    let of_severity = findings.iter().filter(|finding| finding.severity == severity);
    of_severity.map(|finding| (finding.rule.clone(), finding.entity.clone(), finding.anchor)).collect()
}
