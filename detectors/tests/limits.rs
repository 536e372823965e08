//! What windows remember is bounded, a flood costs the flooding source alone, and what goes depends on the log alone.

#![allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

use crate::support::rule;
use keywatch_detectors::{Decided, Engine, Limits, Lost, Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Position};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

fn event(source: &str, id: usize, session: &str, time: i64) -> Event {
    let origin = Origin { system: "one".to_owned(), source: source.to_owned() };
    let mut event = Event::builder(&origin, &id.to_string(), "session.presented", Instant(time));
    event.time(Instant(time)).session(session).build_own()
}

fn limited(limits: Limits) -> Settings {
    Settings { limits, ..Settings::default() }
}

/// Runs the rules over the events, cut into batches at `cuts`.
fn run(rules: &[Rule], limits: Limits, events: &[Event], cuts: &[usize]) -> (Vec<Decided>, Vec<Lost>) {
    let mut engine = Engine::new(rules, &limited(limits)).unwrap();
    let (mut found, mut lost, mut from) = (Vec::new(), Vec::new(), 0);
    for to in cuts.iter().copied().chain([events.len()]) {
        let outcome = engine.run(Position(from as u64), &events[from..to]).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        found.extend(outcome.findings);
        lost.extend(outcome.lost);
        from = to;
    }
    (found, lost)
}

fn facts(found: &[Decided], session: &str) -> Vec<String> {
    let mut own: Vec<&Decided> = found.iter().filter(|decided| decided.finding.entity == session).collect();
    own.sort_by_key(|decided| decided.finding.time);
    own.iter().map(|decided| decided.finding.facts["n"].clone()).collect()
}

fn counting(frame: &str, call: &str) -> Rule {
    rule(
        "t/counting",
        &format!(
            "SELECT event_id, session AS entity, n FROM (SELECT *, {call} OVER (PARTITION BY session ORDER BY time {frame}) AS n FROM events)"
        ),
    )
}

/// Five rows of a quiet source, a flood of another one, and a last word of the quiet one.
fn flood(keys: usize) -> Vec<Event> {
    let mut events: Vec<Event> =
        (0..5).map(|index| event("quiet", index, "quiet", (1 + index as i64) * SECOND)).collect();
    for index in 0..2_000 {
        events.push(event("noisy", index, &format!("noise-{}", index % keys), 10 * SECOND + index as i64));
    }
    events.push(event("quiet", 99, "quiet", 20 * SECOND));
    events
}

#[test]
fn a_flood_of_rows_evicts_no_other_sources_evidence() {
    let rules = [counting("RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW", "count(*)")];
    let limits = Limits { rows_max: 100, ..Limits::default() };
    let (found, lost) = run(&rules, limits, &flood(1), &[]);
    assert_eq!(facts(&found, "quiet"), ["1", "2", "3", "4", "5", "6"]);
    assert!(facts(&found, "noise-0").iter().all(|count| count.parse::<usize>().unwrap() <= 101));
    assert!(
        !lost.is_empty() && lost.iter().all(|lost| (lost.source.as_str(), lost.what) == ("noisy", "rows")),
        "{lost:?}"
    );
    assert!(lost.windows(2).all(|pair| pair[0].from <= pair[0].to && pair[0].to < pair[1].from), "{lost:?}");
}

#[test]
fn a_flood_of_keys_evicts_no_other_sources_keys() {
    for frame in [
        "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW",
        "RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW",
        "ROWS BETWEEN 20 PRECEDING AND CURRENT ROW",
    ] {
        let rules = [counting(frame, "count(*)")];
        let limits = Limits { keys_max: 50, ..Limits::default() };
        let (found, lost) = run(&rules, limits, &flood(2_000), &[]);
        assert_eq!(facts(&found, "quiet").last().unwrap(), "6", "{frame}");
        assert!(
            !lost.is_empty() && lost.iter().all(|lost| (lost.source.as_str(), lost.what) == ("noisy", "keys")),
            "{lost:?}"
        );
    }
}

#[test]
fn a_flood_of_rows_on_hold_is_cut_too_and_the_quiet_source_is_answered() {
    let rules =
        [counting("RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '30 seconds' FOLLOWING", "count(*)")];
    let limits = Limits { waiting_max: 100, ..Limits::default() };
    let mut events = flood(1);
    events.push(event("quiet", 100, "end", 100 * SECOND));
    let (found, lost) = run(&rules, limits, &events, &[]);
    assert_eq!(facts(&found, "quiet"), ["5", "4", "3", "2", "1", "0"]);
    assert!(lost.iter().all(|lost| (lost.source.as_str(), lost.what) == ("noisy", "waiting")), "{lost:?}");
    assert_eq!(found.len() + lost.iter().map(|lost| lost.count).sum::<usize>(), events.len() - 1);
}

#[test]
fn once_only_keys_leave_nothing_behind() {
    let rules = [counting("RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND CURRENT ROW", "count(*)")];
    let rules = [
        rules[0].clone(),
        Rule { id: "t/few".to_owned(), ..rule("t/few", &rules[0].sql.replace("events)", "events) WHERE n < 0")) },
    ];
    let mut engine = Engine::new(&rules[1..], &Settings::default()).unwrap();
    let mut most = 0;
    for batch in 0..125_usize {
        let events: Vec<Event> = (0..4_000)
            .map(|index| {
                event(
                    "noisy",
                    batch * 4_000 + index,
                    &format!("key-{batch}-{index}"),
                    (batch * 4_000 + index) as i64 * SECOND / 1_000,
                )
            })
            .collect();
        engine.run(Position((batch * 4_000) as u64), &events).unwrap();
        most = most.max(engine.state_size().bytes);
    }
    let end = engine.state_size();
    assert!(end.keys <= 40_000 && end.rows <= 10_001, "half a million keys came, ten thousand are in reach: {end:?}");
    assert!(most < 12_000_000, "{most} bytes at most");
    engine.run(Position(500_000), &[event("quiet", 1, "last", 1_000 * SECOND)]).unwrap();
    for tick in 0..4_000 {
        engine
            .run(Position(500_001 + tick), &[event("quiet", 2 + tick as usize, "last", (1_001 + tick as i64) * SECOND)])
            .unwrap();
    }
    assert!(engine.state_size().keys < 100, "{:?}", engine.state_size());
}

#[test]
fn a_burst_of_keys_gives_its_memory_back_and_changes_no_answer() {
    let rules = [
        counting("RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND CURRENT ROW", "count(*)"),
        rule(
            "t/delayed",
            "SELECT event_id, session AS entity, n, most FROM (SELECT *, max(event_time) OVER w AS most, count(*) OVER w AS n \
             FROM events WINDOW w AS (PARTITION BY session ORDER BY time RANGE BETWEEN INTERVAL '5 seconds' PRECEDING AND \
             INTERVAL '5 seconds' FOLLOWING)) WHERE session = 'steady'",
        ),
    ];
    let mut engine = Engine::new(&rules, &Settings::default()).unwrap();
    let (mut position, mut most, mut steady) = (Position(0), 0, Vec::new());
    for second in 0..60 {
        let keys = if second == 20 { 200_000 } else { 10 };
        let mut events = vec![event("quiet", second, "steady", second as i64 * SECOND)];
        events.extend((1..=keys).map(|key| {
            event("noisy", second * 1_000_000 + key, &format!("{second}/{key}"), second as i64 * SECOND + key as i64)
        }));
        let outcome = engine.run(position, &events).unwrap();
        assert!(outcome.parked.is_empty() && outcome.lost.is_empty());
        position = position.plus(events.len());
        most = most.max(engine.state_size().bytes);
        steady.extend(outcome.findings.into_iter().filter(|decided| decided.finding.entity == "steady"));
    }
    let end = engine.state_size();
    assert!(most > 20_000_000 && end.bytes * 50 < most, "{most} bytes at most, in the end {end:?}");
    for rule in ["t/counting", "t/delayed"] {
        let counts: Vec<usize> = (steady.iter().filter(|decided| decided.finding.rule == rule))
            .map(|decided| decided.finding.facts["n"].parse().unwrap())
            .collect();
        let expected = match rule {
            "t/counting" => (0..60).map(|second: usize| second.min(10) + 1).collect::<Vec<_>>(),
            _ => (0..55).map(|second: usize| second.min(5) + 6).collect(),
        };
        assert_eq!(counts, expected, "{rule}");
    }
}

fn of_system(system: &str, id: usize, session: &str, time: i64) -> Event {
    let origin = Origin { system: system.to_owned(), source: "any".to_owned() };
    let mut event = Event::builder(&origin, &id.to_string(), "session.presented", Instant(time));
    event.time(Instant(time)).session(session).build_own()
}

#[test]
fn rows_on_hold_that_go_free_no_key_whose_rows_are_inside() {
    let rules =
        [counting("RANGE BETWEEN INTERVAL '10 seconds' PRECEDING AND INTERVAL '30 seconds' FOLLOWING", "count(*)")];
    let limits = Limits { waiting_max: 100, ..Limits::default() };
    let mut events = vec![of_system("one", 0, "k", SECOND)];
    events.extend((1..=100).map(|row| of_system("one", row, "x", 26 * SECOND + row as i64)));
    events.push(of_system("two", 101, "y", SECOND));
    events.push(of_system("two", 102, "z", 2 * SECOND));
    events.push(of_system("one", 103, "x", 27 * SECOND));
    for second in 3..80 {
        events.push(of_system("two", 100 + second, "z", second as i64 * SECOND));
        events.push(of_system("one", 200 + second, "x", (25 + second as i64) * SECOND));
    }
    let whole = run(&rules, limits, &events, &[]);
    let cuts: Vec<usize> = (1..events.len()).collect();
    assert_eq!(whole, run(&rules, limits, &events, &cuts), "wherever the log is cut");
    let counts = facts(&whole.0, "z");
    let inside = |second: i64| ((second + 30).min(79) - (second - 10).max(2) + 1).to_string();
    assert_eq!(counts, (2..=49).map(inside).collect::<Vec<_>>(), "the other system lost nothing");
}

#[test]
fn keys_that_are_out_of_reach_are_not_counted_against_anybody() {
    let rules = [counting("RANGE BETWEEN INTERVAL '20 seconds' PRECEDING AND CURRENT ROW", "count(*)")];
    let limits = Limits { keys_max: 20_500, ..Limits::default() };
    let once = |key: usize| event("trickle", key, &format!("once-{key}"), (key as i64 + 1) * SECOND / 1_000);
    let mut events: Vec<Event> = (0..60_000).map(once).collect();
    let now = events.last().unwrap().time().0;
    events.extend((0..700).map(|key| event("burst", 100_000 + key, &format!("burst-{key}"), now + 1 + key as i64)));
    let whole = run(&rules, limits, &events, &[]);
    assert!(!whole.1.is_empty(), "twenty thousand and some are in reach, and seven hundred more are too many");
    for size in [1, 500] {
        let cuts: Vec<usize> = (size..events.len()).step_by(size).collect();
        assert_eq!(whole.1, run(&rules, limits, &events, &cuts).1, "in batches of {size}");
    }
}

#[derive(Clone, Debug)]
struct Row {
    noisy: bool,
    key: u8,
    wait: i64,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn p1_what_goes_depends_on_the_log_alone(
        rows in prop::collection::vec((any::<bool>(), 0..30_u8, prop_oneof![Just(1_i64), Just(SECOND), 0..5 * SECOND])
            .prop_map(|(noisy, key, wait)| Row { noisy, key, wait }), 30..90),
        cuts in any::<u128>(),
    ) {
        let mut clock = 0;
        let events: Vec<Event> = rows.iter().enumerate().map(|(index, row)| {
            clock += row.wait.max(1);
            event(if row.noisy { "noisy" } else { "quiet" }, index, &format!("s{}", row.key), clock)
        }).collect();
        let rules = [
            "RANGE BETWEEN INTERVAL '20 seconds' PRECEDING AND CURRENT ROW",
            "RANGE BETWEEN INTERVAL '9 seconds' PRECEDING AND INTERVAL '6 seconds' FOLLOWING",
            "RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' PRECEDING",
            "ROWS BETWEEN 3 PRECEDING AND CURRENT ROW",
        ];
        let calls = ["count(*)", "sum(length(event_id)) + max(length(session))", "count(DISTINCT event_id)", "last_value(event_id) IGNORE NULLS"];
        let rules: Vec<Rule> = rules.iter().enumerate().flat_map(|(number, frame)| {
            calls.iter().filter(move |call| !(frame.contains("UNBOUNDED") && call.contains("DISTINCT"))).enumerate().map(move |(which, call)| {
                let call = call.replace(" + ", &format!(" OVER (PARTITION BY session ORDER BY time {frame}) + "));
                Rule { id: format!("t/{number}-{which}"), ..counting(frame, &call) }
            })
        }).collect();
        let limits = Limits { rows_max: 12, keys_max: 7, waiting_max: 6 };
        let cuts: Vec<usize> = (1..events.len()).filter(|cut| (cuts >> (cut % 128)) & 1 == 0).collect();
        let whole = run(&rules, limits, &events, &[]);
        prop_assert!(!whole.1.is_empty());
        let (found, mut lost) = run(&rules, limits, &events, &cuts);
        let shown = |found: &[Decided]| found.iter().map(|decided| serde_json::to_string(&decided.finding).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(shown(&found), shown(&whole.0));
        lost.sort_by(|one, other| (&one.rule, one.to, &one.group).cmp(&(&other.rule, other.to, &other.group)));
        prop_assert_eq!(lost, whole.1);
    }
}
