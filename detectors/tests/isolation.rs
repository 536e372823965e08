//! A rule that fails is nobody else's affair (promise P3): the others find the same, and what it missed is found once it
//! is back, but for the records that it cannot evaluate.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{event, rule, run_cut};
use keywatch_detectors::{Decided, Engine, Retry, Rule, Settings, Skipped};
use keywatch_store::{Event, Position};

const SECOND: i64 = 1_000_000_000;

/// Decisions that are close to others; `{0}` is asked of each before they are counted, `{1}` shown of those found.
fn bursts(id: &str, asked: &str, shown: &str) -> Rule {
    let sql = format!(
        "SELECT event_id, actor AS entity, decisions, {shown} AS shown FROM (
            SELECT *, count(*) OVER (PARTITION BY actor ORDER BY time
                RANGE BETWEEN INTERVAL '20 seconds' PRECEDING AND INTERVAL '7 seconds' FOLLOWING) AS decisions
            FROM (SELECT * FROM events WHERE kind = 'decision' AND {asked}))
        WHERE decisions >= 2"
    );
    rule(id, &sql)
}

fn others() -> Vec<Rule> {
    vec![
        bursts("t/a", "true", "1"),
        rule("t/z", "SELECT event_id, actor AS entity FROM events WHERE kind = 'decision'"),
    ]
}

/// Decisions of three people in two systems, with ticks between them. Those at `poisoned` carry a zero.
fn history(records: usize, poisoned: &[usize]) -> Vec<Event> {
    let one = |index: usize| {
        let (system, kind) = (["one", "two"][index * 7 % 5 % 2], if index % 4 == 3 { "tick" } else { "decision" });
        let event = event(system, &index.to_string(), kind, i64::try_from(index).unwrap() * 3 * SECOND);
        let asn = if poisoned.contains(&index) { 0 } else { 7 };
        event.changed(|event| event.actor(["ann", "bob", "cyd"][index * 5 % 7 % 3]).asn(asn))
    };
    (0..records).map(one).collect()
}

/// The same, with the poisoned records hidden from every rule that reads decisions.
fn hidden(records: usize, poisoned: &[usize]) -> Vec<Event> {
    let mut events = history(records, &[]);
    poisoned.iter().for_each(|index| events[*index] = events[*index].changed(|event| event.kind("tick")));
    events
}

/// What came of a log with a rule that fails in it.
#[derive(Default)]
struct Life {
    found: BTreeMap<(Position, String), Decided>,
    parks: usize,
    skipped: BTreeMap<i64, Skipped>,
}

impl Life {
    /// As the pipeline does it: batches of the log, and between them slices for the rule that is parked.
    fn live(mut engine: Engine, events: &[Event], batch: usize, slice: usize) -> Life {
        let mut life = Life::default();
        let mut retry: Option<Retry> = None;
        let mut position = 0;
        while position < events.len() || retry.is_some() {
            let end = events.len().min(position + batch);
            let outcome = engine.run(Position(position as u64), &events[position..end]).unwrap();
            position = end;
            life.take(outcome.findings, outcome.skipped);
            for parked in outcome.parked {
                life.parks += 1;
                assert!(retry.replace(Retry::new(&engine, &parked).unwrap()).is_none(), "one rule fails");
            }
            retry = retry.and_then(|retry| life.go_on(retry, &mut engine, &events[..position], slice));
        }
        life
    }

    fn go_on(&mut self, mut retry: Retry, engine: &mut Engine, seen: &[Event], slice: usize) -> Option<Retry> {
        let next = usize::try_from(retry.next().0).unwrap();
        let caught = retry.run(&seen[next..seen.len().min(next + slice)]).unwrap();
        self.take(caught.findings, caught.skipped);
        if caught.parked.is_some() {
            self.parks += 1;
            assert!(self.parks < 20, "it does not come back");
            retry.again().unwrap();
        } else if retry.next().0 == seen.len() as u64 {
            engine.take_back(retry.into_engine());
            return None;
        }
        Some(retry)
    }

    /// What an attempt found that failed later is found again by the next one, and has to be the same.
    fn take(&mut self, findings: Vec<Decided>, skipped: Vec<Skipped>) {
        for decided in findings {
            let found = self.found.insert((decided.position, decided.finding.id.clone()), decided.clone());
            assert!(found.is_none_or(|found| found == decided && decided.finding.rule == "t/fails"));
        }
        self.skipped.extend(skipped.into_iter().map(|skipped| (skipped.time.0, skipped)));
    }

    fn skipped(&self) -> Vec<usize> {
        self.skipped.keys().map(|time| usize::try_from(time / (3 * SECOND)).unwrap()).collect()
    }

    fn assert_found(&self, expected: Vec<Decided>) {
        let by_id = |decided: Decided| ((decided.position, decided.finding.id.clone()), decided);
        let expected: BTreeMap<_, _> = expected.into_iter().map(by_id).collect();
        let rules: Vec<&str> = expected.values().map(|decided| decided.finding.rule.as_str()).collect();
        assert!(["t/a", "t/fails", "t/z"].iter().all(|rule| rules.contains(rule)), "the test asks nothing");
        assert_eq!(self.found, expected);
    }
}

fn engine(failing: &Rule) -> (Vec<Rule>, Engine) {
    let mut rules = others();
    rules.push(failing.clone());
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    let engine = Engine::new(&rules, &Settings::default()).unwrap();
    (rules, engine)
}

/// What the rules find when the one that fails sees `seen_by_it` and the others the events as they are.
fn apart(rules: &[Rule], events: &[Event], seen_by_it: &[Event]) -> Vec<Decided> {
    let (failing, others): (Vec<Rule>, Vec<Rule>) = rules.iter().cloned().partition(|rule| rule.id == "t/fails");
    let mut found = run_cut(&others, events, &[]);
    found.extend(run_cut(&failing, seen_by_it, &[]));
    found
}

const CUTS: [(usize, usize); 5] = [(1, 1), (1, 5), (7, 4), (16, 100), (1000, 13)];

thread_local! {
    static BROKEN: Cell<bool> = const { Cell::new(false) };
    static NOW: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

#[test]
fn p3_a_rule_that_failed_for_a_while_finds_what_it_missed_once_it_is_back() {
    let (rules, _) = engine(&bursts("t/fails", "true", "2"));
    let events = history(120, &[]);
    let fails_once = |rule: &str, events: &[Event]| {
        if rule == "t/fails" && events.iter().any(|event| event.time().0 == 40 * 3 * SECOND) {
            assert!(!BROKEN.replace(false), "the moon is full");
        }
    };
    for (batch, slice) in CUTS {
        BROKEN.set(true);
        let engine = Engine::new(&rules, &Settings::default()).unwrap().with_fault(fails_once);
        let life = Life::live(engine, &events, batch, slice);
        assert_eq!((life.parks, life.skipped()), (1, vec![]), "batches of {batch}");
        life.assert_found(apart(&rules, &events, &events));
    }
}

#[test]
fn p3_only_the_records_that_a_rule_cannot_evaluate_are_missing_from_it() {
    let poisoned = [30, 32, 77];
    let events = history(120, &poisoned);
    let before_its_windows = bursts("t/fails", "100 / asn >= 1", "2");
    for (batch, slice) in CUTS {
        let (rules, engine) = engine(&before_its_windows);
        let life = Life::live(engine, &events, batch, slice);
        assert_eq!((life.parks, life.skipped()), (1, poisoned.to_vec()), "batches of {batch}");
        let named: Vec<_> = life.skipped.values().map(|skipped| skipped.event.unwrap()).collect();
        assert_eq!(named, poisoned.map(|index| events[index].event_id()));
        assert!(life.skipped.values().all(|skipped| skipped.problem.to_lowercase().contains("divide by zero")));
        life.assert_found(apart(&rules, &events, &hidden(120, &poisoned)));
    }
}

#[test]
fn p3_a_record_that_fails_within_a_window_is_missing_from_the_window_alone() {
    let poisoned = [30, 61];
    let sql = "SELECT event_id, actor AS entity, shares FROM (
            SELECT *, sum(100 / asn) OVER (PARTITION BY actor ORDER BY time
                RANGE BETWEEN INTERVAL '20 seconds' PRECEDING AND CURRENT ROW) AS shares
            FROM events WHERE kind = 'decision')
        WHERE shares >= 28";
    let events = history(120, &poisoned);
    for (batch, slice) in CUTS {
        let (rules, engine) = engine(&rule("t/fails", sql));
        let life = Life::live(engine, &events, batch, slice);
        assert_eq!((life.parks, life.skipped()), (1, poisoned.to_vec()), "batches of {batch}");
        life.assert_found(apart(&rules, &events, &hidden(120, &poisoned)));
    }
}

#[test]
fn p3_a_record_that_fails_when_it_is_answered_still_counts_for_others() {
    let poisoned = [30, 61];
    let events = history(120, &poisoned);
    for (batch, slice) in CUTS {
        let (rules, engine) = engine(&bursts("t/fails", "true", "100 / asn"));
        let life = Life::live(engine, &events, batch, slice);
        assert_eq!(life.parks, 1, "batches of {batch}");
        let mut expected = apart(&rules, &events, &history(120, &[]));
        let of_poisoned =
            |decided: &Decided| poisoned.iter().any(|index| events[*index].event_id() == decided.finding.anchor);
        let skipped =
            expected.iter().filter(|decided| decided.finding.rule == "t/fails" && of_poisoned(decided)).count();
        assert_eq!(life.skipped().len(), skipped, "only those are skipped that would have been found");
        expected.retain(|decided| decided.finding.rule != "t/fails" || !of_poisoned(decided));
        life.assert_found(expected);
    }
}

#[test]
fn p3_a_record_on_which_windows_panic_is_found_and_left_out() {
    let poisoned = [30, 33, 77];
    let panics = |rule: &str, events: &[Event]| {
        assert!(rule != "t/fails" || events.iter().all(|event| event.asn() != Some(0)), "a bug");
    };
    let events = history(120, &poisoned);
    for (batch, slice) in CUTS {
        let (rules, engine) = engine(&bursts("t/fails", "true", "2"));
        let life = Life::live(engine.with_fault(panics), &events, batch, slice);
        assert_eq!(life.skipped(), poisoned, "batches of {batch}");
        assert!(life.skipped.values().all(|skipped| skipped.problem.contains("panicked: a bug")));
        // One of the four is a tick, which the rule does not read anyway.
        life.assert_found(apart(&rules, &events, &hidden(120, &poisoned)));
    }
}

#[test]
fn a_panic_on_another_thread_is_nobody_elses_affair() {
    let events = history(4000, &[]);
    let panics = |rule: &str, _: &[Event]| assert!(rule != "t/fails", "a bug");
    let (_, engine) = engine(&bursts("t/fails", "true", "2"));
    let mut engine = engine.with_threads(3).with_fault(panics);
    let outcome = engine.run(Position(0), &events).unwrap();
    assert_eq!(outcome.parked.len(), 1);
    assert_eq!((outcome.parked[0].rule.as_str(), outcome.parked[0].from), ("t/fails", Position(0)));
    assert!(outcome.parked[0].problem.contains("panicked: a bug"), "{:?}", outcome.parked);
    assert_eq!(outcome.findings, run_cut(&others(), &events, &[]));
    let usage = engine.usage().into_iter().find(|usage| usage.rule == "t/fails").unwrap();
    assert_eq!((usage.state.rows, usage.state.keys), (0, 0), "what it remembered is thrown away");
}

#[test]
fn a_rule_over_its_time_is_parked_after_the_run_and_what_it_found_stands() {
    let events = history(60, &[]);
    let works = |rule: &str, events: &[Event]| {
        let slow = rule == "t/fails" && events.iter().any(|event| event.time().0 == 30 * 3 * SECOND);
        let took = if slow && BROKEN.replace(false) { 3 } else { 1 };
        NOW.set(NOW.get() + Duration::from_secs(took));
    };
    BROKEN.set(true);
    let (rules, engine) = engine(&bursts("t/fails", "true", "2"));
    let mut engine = engine.with_stopwatch(|| NOW.get()).with_fault(works);
    let outcome = engine.run(Position(0), &events[..31]).unwrap();
    assert_eq!(outcome.findings, run_cut(&rules, &events[..31], &[]));
    assert_eq!(outcome.parked.len(), 1);
    assert_eq!((outcome.parked[0].rule.as_str(), outcome.parked[0].from), ("t/fails", Position(31)));
    assert!(outcome.parked[0].problem.contains("3s"), "{}", outcome.parked[0].problem);

    BROKEN.set(true);
    let engine = Engine::new(&rules, &Settings::default()).unwrap().with_stopwatch(|| NOW.get()).with_fault(works);
    let life = Life::live(engine, &events, 10, 7);
    assert_eq!(life.parks, 1);
    life.assert_found(apart(&rules, &events, &events));
}

#[test]
fn a_rule_that_is_back_is_not_parked_for_the_next_such_record() {
    let (_, engine) = engine(&bursts("t/fails", "100 / asn >= 1", "2"));
    let life = Life::live(engine, &history(120, &[30, 70, 71, 100]), 1, 1000);
    assert_eq!((life.parks, life.skipped()), (1, vec![30, 70, 100]), "the tick among them is not read");
}

#[test]
fn over_a_log_that_was_run_before_such_records_are_skipped_at_once() {
    let events = history(120, &[30, 61]);
    let (rules, mut engine) = engine(&bursts("t/fails", "100 / asn >= 1", "2"));
    engine.bisect(true);
    let life = Life::live(engine, &events, 7, 7);
    assert_eq!((life.parks, life.skipped()), (0, vec![30, 61]));
    life.assert_found(apart(&rules, &events, &hidden(120, &[30, 61])));
}
