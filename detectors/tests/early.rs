//! Frames ahead of which a filter wants few rows: a row that has too many leaves at once, and nothing else changes.

#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    reason = "numbers are small; figures are printed for who reads them"
)]

use crate::support::rule;
use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Decided, Engine, Limits, Lost, Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Inventory, Position};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn word(source: &str, id: usize, time: i64) -> Event {
    let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
    let mut event = Event::builder(&origin, &id.to_string(), "source.heartbeat", Instant(time));
    event.time(Instant(time)).build_own()
}

fn silent(filter: &str) -> Rule {
    let sql = format!(
        "SELECT event_id, source AS entity FROM (SELECT *, count(*) OVER (PARTITION BY source ORDER BY time RANGE BETWEEN \
         INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '30 seconds' FOLLOWING) AS heard FROM events) WHERE {filter}"
    );
    rule("t/silent", &sql)
}

fn entities(found: &[Decided]) -> Vec<&str> {
    let mut entities: Vec<&str> = found.iter().map(|decided| decided.finding.entity.as_str()).collect();
    entities.sort_unstable();
    entities
}

#[test]
fn of_sources_that_speak_one_row_each_waits() {
    let mut engine = Engine::new(&[silent("heard = 0")], &Settings::default()).unwrap();
    let mut found = Vec::new();
    for batch in 0..40_usize {
        let rows = batch * 500..(batch + 1) * 500;
        let events: Vec<Event> =
            rows.map(|row| word(&format!("source-{}", row * row % 97), row, row as i64 * SECOND / 100)).collect();
        found.extend(engine.run(Position((batch * 500) as u64), &events).unwrap().findings);
        assert!(engine.state_size().waiting <= 97, "{:?}", engine.state_size());
    }
    // The squares modulo 97 are 49 numbers, each of which comes again within a second.
    assert_eq!((found.len(), engine.state_size().waiting), (0, 49));
    let end = engine.run(Position(20_000), &[word("source-1", 20_000, 400 * SECOND)]).unwrap();
    assert_eq!((end.findings.len(), engine.state_size().waiting), (49, 1), "all have fallen silent");
}

#[test]
fn a_row_leaves_with_the_last_that_it_may_not_have() {
    let waiting_after = |filter: &str, seconds: &[i64]| {
        let mut engine = Engine::new(&[silent(filter)], &Settings::default()).unwrap();
        let events: Vec<Event> = (0..).zip(seconds).map(|(id, second)| word("a", id, second * SECOND)).collect();
        engine.run(Position(0), &events).unwrap();
        engine.state_size().waiting
    };
    assert_eq!(waiting_after("heard < 3", &[1, 2, 3]), 3, "the first has two after it");
    assert_eq!(waiting_after("heard < 3", &[1, 2, 3, 4]), 3);
    assert_eq!(waiting_after("2 >= heard", &[1, 2, 3, 4]), 3);
    assert_eq!(waiting_after("heard BETWEEN 1 AND 2", &[1, 2, 3, 4, 5]), 3);
    assert_eq!(waiting_after("heard = 1 AND kind <> 'tick'", &[1, 2, 3, 4]), 2);
    assert_eq!(waiting_after("heard >= 3", &[1, 2, 3, 4]), 4, "it will be answered when its frame is over");
    assert_eq!(waiting_after("(heard = 0 OR late)", &[1, 2, 3, 4]), 4, "more is asked than the count");
}

#[test]
fn a_source_that_speaks_too_often_for_its_limit_pages_nobody() {
    let limits = Limits { waiting_max: 50, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let mut engine = Engine::new(&[silent("heard = 0")], &settings).unwrap();
    let mut events: Vec<Event> = vec![word("quiet", 0, 1)];
    events.extend((1..5_000).map(|row| word("noisy", row, row as i64 * 1_000)));
    events.push(word("noisy", 5_000, 31 * SECOND));
    let outcome = engine.run(Position(0), &events).unwrap();
    assert_eq!(entities(&outcome.findings), ["noisy", "quiet"], "its last word before the end as well");
    assert!(outcome.lost.is_empty(), "{:?}", outcome.lost);
}

#[derive(Clone, Debug)]
struct Row {
    source: usize,
    session: u8,
    kind: usize,
    wait: i64,
}

const KINDS: [&str; 3] = ["session.presented", "decision", "tick"];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let waits = prop_oneof![3 => Just(1_i64), 3 => Just(SECOND), 2 => 0..3 * SECOND, 1 => Just(40 * SECOND)];
    let row = (0..2_usize, 0..4_u8, 0..3_usize, waits);
    prop::collection::vec(row.prop_map(|(source, session, kind, wait)| Row { source, session, kind, wait }), 1..70)
}

fn log(rows: &[Row]) -> Vec<Event> {
    let mut clock = SECOND;
    let events = rows.iter().enumerate().map(|(index, row)| {
        clock += row.wait.max(1);
        let origin = Origin { system: "one".to_owned(), source: ["quiet", "noisy"][row.source].to_owned() };
        let mut event = Event::builder(&origin, &index.to_string(), KINDS[row.kind], Instant(clock));
        event.time(Instant(clock)).session(format!("s{}", row.session)).build_own()
    });
    events.collect()
}

/// Each condition as it is and so that nothing can be certain of it before its frames are over.
const CONDITIONS: [(&str, &str); 6] = [
    ("none = 0", "(none = 0 OR few < 0)"),
    ("few < 3", "(few < 3 OR none < 0)"),
    ("around <= 2 AND few > 0", "(around <= 2 OR none < 0) AND few > 0"),
    ("none = 0 AND shown < 4 AND shown > 1", "(none = 0 OR few < 0) AND (shown < 4 OR none < 0) AND shown > 1"),
    ("few < 2 AND others < 2", "(few < 2 OR none < 0) AND (others < 2 OR none < 0)"),
    ("ever < 5 AND few < 4 AND total > 3", "(ever < 5 OR none < 0) AND (few < 4 OR none < 0) AND total > 3"),
];

fn over(id: &str, condition: &str) -> Rule {
    let ahead = |to: &str| format!("RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '{to}' FOLLOWING");
    let (short, long) = (ahead("2 seconds"), ahead("7 seconds"));
    let sql = format!(
        "SELECT event_id, session AS entity, shown, total, number FROM (SELECT *, \
         count(*) OVER (PARTITION BY session ORDER BY time {short}) AS none, \
         count(*) FILTER (WHERE kind = 'decision') OVER (PARTITION BY session ORDER BY time {long}) AS few, \
         count(*) OVER (PARTITION BY session ORDER BY time {long}) AS shown, \
         count(*) OVER (PARTITION BY session ORDER BY time RANGE BETWEEN INTERVAL '1 second' PRECEDING AND \
         INTERVAL '3 seconds' FOLLOWING) AS around, \
         count(*) OVER (PARTITION BY source ORDER BY time {short}) AS others, \
         count(*) FILTER (WHERE kind = 'tick') OVER (PARTITION BY session ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND \
         INTERVAL '1 second' FOLLOWING) AS ever, \
         sum(length(kind)) OVER (PARTITION BY session ORDER BY time RANGE BETWEEN INTERVAL '5 seconds' PRECEDING AND CURRENT \
         ROW) AS total, \
         row_number() OVER (PARTITION BY session ORDER BY time) AS number FROM events) WHERE kind <> 'tick' AND {condition}"
    );
    rule(id, &sql)
}

/// Findings, without the rule's name, and what was lost; the engine begins anew from a snapshot at each of `restarts`.
fn run(rule: &Rule, limits: Limits, events: &[Event], cuts: &[usize], restarts: &[usize]) -> (Vec<String>, Vec<Lost>) {
    let settings = Settings { limits, ..Settings::default() };
    let fresh = || Engine::new(std::slice::from_ref(rule), &settings).unwrap();
    let (mut engine, mut found, mut lost, mut from) = (fresh(), Vec::new(), Vec::new(), 0);
    for to in cuts.iter().copied().chain([events.len()]) {
        let outcome = engine.run(Position(from as u64), &events[from..to]).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        let shown = outcome.findings.iter().map(|decided| {
            let finding = &decided.finding;
            format!("{:?} {:?} {} {:?}", decided.position, finding.decided, finding.anchor, finding.facts)
        });
        found.extend(shown);
        lost.extend(outcome.lost);
        from = to;
        if restarts.contains(&to) {
            let mut saved = Vec::new();
            engine.save(&mut saved).unwrap();
            engine = fresh();
            assert!(engine.restore(saved.as_slice()).unwrap().is_empty());
        }
    }
    (found, lost)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn p1_what_is_certain_early_is_found_as_if_it_were_not(rows in rows(), cuts in any::<u128>(), restarts in any::<u128>()) {
        let events = log(&rows);
        let picked = |bits: u128| (1..events.len()).filter(|cut| (bits >> (cut % 128)) & 1 == 1).collect::<Vec<_>>();
        let (cuts, restarts) = (picked(cuts), picked(restarts));
        for (certain, uncertain) in CONDITIONS {
            let whole = run(&over("t/early", uncertain), Limits::default(), &events, &[], &[]);
            prop_assert_eq!(&run(&over("t/early", certain), Limits::default(), &events, &[], &[]), &whole, "{}", certain);
            prop_assert_eq!(&run(&over("t/early", certain), Limits::default(), &events, &cuts, &restarts), &whole, "{}", certain);
        }
    }

    #[test]
    fn p1_what_goes_at_a_limit_depends_on_the_log_alone(rows in rows(), cuts in any::<u128>(), restarts in any::<u128>()) {
        let events = log(&rows);
        let picked = |bits: u128| (1..events.len()).filter(|cut| (bits >> (cut % 128)) & 1 == 1).collect::<Vec<_>>();
        let (cuts, restarts) = (picked(cuts), picked(restarts));
        let limits = Limits { rows_max: 9, keys_max: 3, waiting_max: 4 };
        for (certain, _) in CONDITIONS {
            let rule = over("t/early", certain);
            let (found, mut lost) = run(&rule, limits, &events, &[], &[]);
            let (again, mut lost_again) = run(&rule, limits, &events, &cuts, &restarts);
            prop_assert_eq!(&again, &found, "{}", certain);
            let order = |one: &Lost| (one.to, one.from, one.what, one.group.clone(), one.count);
            lost.sort_by_key(order);
            lost_again.sort_by_key(order);
            prop_assert_eq!(lost_again, lost, "{}", certain);
        }
    }
}

/// Sources that speak in turn at 20,000 events a second, batch by batch.
struct Speakers {
    events: Vec<Event>,
    sources: usize,
    number: usize,
}

const SPEAKERS_BATCH: usize = 4_000;

impl Speakers {
    fn new(sources: usize) -> Speakers {
        let events = (0..SPEAKERS_BATCH).map(|row| word(&format!("source-{}", row % sources), row, 1));
        Speakers { events: events.collect(), sources, number: 0 }
    }

    /// An inventory in which a third of them each may be silent for a minute, ten, and an hour.
    fn inventory(&self) -> Vec<Event> {
        let sources = (0..self.sources).map(|source| {
            let heartbeat = [60, 600, 3_600][source % 3];
            format!("[[systems.sources]]\nsource = \"source-{source}\"\nfeed = \"events\"\nheartbeat_seconds = {heartbeat}\n")
        });
        let text = format!("[[systems]]\nid = \"one\"\n{}", sources.collect::<String>());
        let mut events = Inventory::parse("i.toml", &text).unwrap().activation(Instant(0));
        (0..).zip(&mut events).for_each(|(number, event)| event.set_time(Instant(number)));
        events
    }

    fn next(&mut self) -> &[Event] {
        for event in &mut self.events {
            event.set_time(Instant(SECOND + self.number as i64 * SECOND / 20_000));
            self.number += 1;
        }
        &self.events
    }
}

/// Most rows that wait between batches, findings, rows lost, and events a second.
#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock, the engine does not")]
fn measure(rule: &Rule, seconds: usize) -> (usize, usize, usize, f64) {
    let mut speakers = Speakers::new(400);
    let mut engine = Engine::new(std::slice::from_ref(rule), &Settings::default()).unwrap();
    let inventory = speakers.inventory();
    let mut position = Position(0);
    engine.run(position, &inventory).unwrap();
    position = position.plus(inventory.len());
    let (mut most, mut found, mut lost) = (0, 0, 0);
    let mut busy = std::time::Duration::ZERO;
    for _ in 0..seconds * 20_000 / SPEAKERS_BATCH {
        let events = speakers.next();
        let begun = std::time::Instant::now();
        let outcome = engine.run(position, events).unwrap();
        busy += begun.elapsed();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        position = position.plus(events.len());
        most = most.max(engine.state_size().waiting);
        found += outcome.findings.len();
        lost += outcome.lost.iter().map(|lost| lost.count).sum::<usize>();
    }
    (most, found, lost, speakers.number as f64 / busy.as_secs_f64())
}

fn shipped_silent() -> Rule {
    shipped().unwrap().into_iter().find(|rule| rule.id == "source/silent").unwrap()
}

#[test]
fn of_the_shipped_rule_no_more_rows_wait_than_there_are_sources() {
    let (most, found, lost, _) = measure(&shipped_silent(), 3);
    assert_eq!((most, found, lost), (400, 0, 0));
}

#[test]
#[ignore = "a measurement: an hour of 20,000 events a second, by hand"]
fn bench_absence_without_a_crowd() {
    let crowd = "(heard = 0 OR heartbeat_seconds < 0)";
    let count = |filter: &str| {
        let sql = format!(
            "SELECT event_id, e.source AS entity FROM (SELECT *, count(*) FILTER (WHERE kind <> 'source.expected') OVER \
             (PARTITION BY source ORDER BY time RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '15 minutes' \
             FOLLOWING) AS heard FROM events) AS e JOIN sources AS s ON s.system = e.system AND s.source = e.source WHERE {filter}"
        );
        rule("t/count", &sql)
    };
    for (name, rule, seconds) in [
        ("source/silent, an hour", shipped_silent(), 3_600),
        ("count ahead = 0, ten minutes", count("heard = 0"), 600),
        ("the same as if nothing were certain, 100 seconds", count(crowd), 100),
    ] {
        let (most, found, lost, rate) = measure(&rule, seconds);
        eprintln!("{name}: {most} rows waited at most, {found} found, {lost} lost, {rate:.0} events/s");
    }
}
