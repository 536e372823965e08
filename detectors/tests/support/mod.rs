//! What the tests of the engine share: rules made of a bare SELECT, events made of a few fields.

use keywatch_detectors::{Decided, Engine, Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Position};

/// A rule of that SELECT, with the least front matter.
pub(crate) fn rule(id: &str, sql: &str) -> Rule {
    let front =
        "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n";
    Rule::parse(id, &format!("{front}{sql}")).unwrap()
}

/// An event of `system` at `time` nanoseconds.
pub(crate) fn event(system: &str, id: &str, kind: &str, time: i64) -> Event {
    let mut event = Event::builder(&Origin { system: system.into(), source: "source".into() }, id, kind, Instant(time));
    event.time(Instant(time));
    event.build_own()
}

/// All findings of the rules over the events, run in one piece.
pub(crate) fn findings(rules: &[Rule], events: &[Event]) -> Vec<Decided> {
    run_cut(rules, events, &[])
}

/// All findings, with the events cut into batches at `cuts` (indices in ascending order).
pub(crate) fn run_cut(rules: &[Rule], events: &[Event], cuts: &[usize]) -> Vec<Decided> {
    let mut engine = Engine::new(rules, &Settings::default()).unwrap();
    let mut found = Vec::new();
    let mut from = 0;
    for to in cuts.iter().copied().chain([events.len()]) {
        let outcome = engine.run(Position(from as u64), &events[from..to]).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        found.extend(outcome.findings);
        from = to;
    }
    found
}
