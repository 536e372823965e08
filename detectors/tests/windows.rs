//! Windows against a naive evaluator (nested loops), and promise P1 on generated logs.

use std::collections::BTreeMap;

use crate::support::{event, findings, rule, run_cut};
use keywatch_detectors::{Decided, Engine, Rule, Settings};
use keywatch_store::{Event, Instant, Inventory};
use proptest::prelude::*;
use proptest::sample::subsequence;

const SECOND: i64 = 1_000_000_000;

fn shown(found: &[Decided]) -> Vec<String> {
    found.iter().map(|decided| serde_json::to_string(&decided.finding).unwrap()).collect()
}

/// Facts of the findings by event, in the order of the log.
fn facts(found: &[Decided], column: &str) -> Vec<Option<String>> {
    let mut by_time: Vec<_> =
        found.iter().map(|decided| (decided.finding.time, decided.finding.facts.get(column).cloned())).collect();
    by_time.sort();
    by_time.into_iter().map(|(_, fact)| fact).collect()
}

/// One row of a generated log.
#[derive(Clone, Debug)]
struct Row {
    system: usize,
    wallet: Option<u8>,
    amount: Option<u8>,
    wait: i64,
    kind: usize,
}

const SYSTEMS: [&str; 2] = ["one", "two"];
const KINDS: [&str; 3] = ["chain.tx", "decision", "tick"];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let waits = prop_oneof![4 => Just(1_i64), 3 => Just(SECOND), 2 => 0..3 * SECOND, 1 => Just(40 * SECOND)];
    let row =
        (0..2_usize, prop::option::weighted(0.9, 0..3_u8), prop::option::weighted(0.9, any::<u8>()), waits, 0..3_usize)
            .prop_map(|(system, wallet, amount, wait, kind)| Row { system, wallet, amount, wait, kind });
    prop::collection::vec(row, 1..60)
}

/// The rows as a log: time strictly increases within a system, and an inventory holds from a third of the log on.
fn log(rows: &[Row]) -> Vec<Event> {
    let mut clocks = [1_000 * SECOND; 2];
    let mut events = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        clocks[row.system] += row.wait.max(1);
        let event = event(SYSTEMS[row.system], &index.to_string(), KINDS[row.kind], clocks[row.system]);
        let wallet = row.wallet.map(|wallet| format!("w{wallet}"));
        events.push(event.changed(|event| event.wallet(wallet).asn(row.amount.map(i64::from))));
        if index == rows.len() / 3 {
            clocks[row.system] += 1;
            events.extend(inventory(SYSTEMS[row.system]).activation(Instant(clocks[row.system])));
        }
    }
    events
}

fn inventory(system: &str) -> Inventory {
    let text =
        format!("[[systems]]\nid = \"{system}\"\n[[systems.wallets]]\nwallet = \"w1\"\nchain = \"c\"\nthreshold = 2\n");
    Inventory::parse("i.toml", &text).unwrap()
}

/// Every aggregate over one frame, as facts.
fn windows_over(frame: &str) -> Rule {
    rule(
        "t/windows",
        &format!(
            "SELECT event_id, system AS entity, n, s, lo, hi, d, f, l, a FROM (SELECT *, count(*) OVER w AS n, sum(asn) OVER w AS s, \
             min(asn) OVER w AS lo, max(asn) OVER w AS hi, count(DISTINCT asn) OVER w AS d, first_value(asn) OVER w AS f, \
             last_value(asn) OVER w AS l, avg(asn) OVER w AS a FROM events WINDOW w AS (PARTITION BY wallet ORDER BY time {frame}))"
        ),
    )
}

/// The frame of a row by nested loops: the rows of its system and wallet whose time lies within.
fn naive<'a>(events: &'a [Event], row: &Event, start: i64, end: i64) -> Vec<&'a Event> {
    let same = |other: &&Event| other.system() == row.system() && other.wallet() == row.wallet();
    let inside = |other: &&Event| (row.time().0 + start..=row.time().0 + end).contains(&other.time().0);
    events.iter().filter(same).filter(inside).collect()
}

fn naive_facts(frame: &[&Event]) -> BTreeMap<&'static str, Option<String>> {
    let values: Vec<i64> = frame.iter().filter_map(|event| event.asn()).collect();
    let text = |value: Option<i64>| value.map(|value| value.to_string());
    let average = |values: &[i64]| values.iter().sum::<i64>() * 10_000 / i64::try_from(values.len()).unwrap();
    let mut distinct = values.clone();
    distinct.sort_unstable();
    distinct.dedup();
    BTreeMap::from([
        ("n", Some(frame.len().to_string())),
        ("s", text((!values.is_empty()).then(|| values.iter().sum()))),
        ("a", (!values.is_empty()).then(|| format!("{}.{:04}", average(&values) / 10_000, average(&values) % 10_000))),
        ("lo", text(values.iter().min().copied())),
        ("hi", text(values.iter().max().copied())),
        ("d", Some(distinct.len().to_string())),
        ("f", text(frame.first().and_then(|event| event.asn()))),
        ("l", text(frame.last().and_then(|event| event.asn()))),
    ])
}

fn check_range(events: &[Event], frame: &str, start: i64, end: i64) {
    let found = findings(&[windows_over(frame)], events);
    let last = |system: &str| events.iter().filter(|event| event.system() == system).map(|event| event.time().0).max();
    let closed = |event: &&Event| last(event.system()).is_some_and(|last| event.time().0 + end.max(0) <= last);
    let mut answers: BTreeMap<String, BTreeMap<&'static str, Option<String>>> = BTreeMap::new();
    for row in events.iter().filter(closed) {
        answers.insert(row.event_id().to_string(), naive_facts(&naive(events, row, start, end)));
    }
    assert_eq!(found.len(), answers.len(), "{frame}: rows answered");
    for decided in &found {
        let expected = &answers[&decided.finding.anchor.to_string()];
        for (column, value) in expected {
            assert_eq!(
                decided.finding.facts.get(*column),
                value.as_ref(),
                "{frame}: {column} at {}",
                decided.finding.time
            );
        }
    }
}

fn several_rules() -> Vec<Rule> {
    let nested = "SELECT event_id, system AS entity, later, before FROM (SELECT *, count(*) OVER (PARTITION BY kind ORDER BY time \
        RANGE BETWEEN CURRENT ROW AND INTERVAL '3 seconds' FOLLOWING) AS later FROM (SELECT *, max(asn) OVER (PARTITION BY wallet \
        ORDER BY time RANGE BETWEEN INTERVAL '2 seconds' PRECEDING AND INTERVAL '1 second' FOLLOWING) AS before FROM events)) \
        WHERE before > 40";
    let looked_up = "SELECT e.event_id, e.wallet AS entity, w.threshold AS threshold, e.n AS n FROM (SELECT *, count(*) FILTER \
        (WHERE kind = 'decision') OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN UNBOUNDED PRECEDING AND INTERVAL '1 nanosecond' \
        PRECEDING) AS n, lag(asn) OVER (PARTITION BY wallet ORDER BY time) AS asn_before FROM events) e LEFT JOIN wallets w ON \
        w.system = e.system AND w.wallet = e.wallet WHERE e.kind = 'chain.tx' AND e.wallet IS NOT NULL";
    let silent = "SELECT event_id, wallet AS entity FROM (SELECT *, count(*) OVER (PARTITION BY wallet ORDER BY time RANGE BETWEEN \
        INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '2 seconds' FOLLOWING) AS after FROM events) WHERE after = 0 AND wallet = 'w1'";
    let rows = "SELECT event_id, system AS entity, s FROM (SELECT *, sum(asn) OVER (PARTITION BY wallet ORDER BY time ROWS BETWEEN 3 \
        PRECEDING AND 1 PRECEDING) AS s FROM events) WHERE s > 100";
    vec![rule("t/nested", nested), rule("t/looked_up", looked_up), rule("t/silent", silent), rule("t/rows", rows)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn range_frames_answer_as_nested_loops_do(rows in rows()) {
        let events = log(&rows);
        check_range(&events, "RANGE BETWEEN INTERVAL '2 seconds' PRECEDING AND CURRENT ROW", -2 * SECOND, 0);
        check_range(&events, "RANGE BETWEEN INTERVAL '5 seconds' PRECEDING AND INTERVAL '1 nanosecond' PRECEDING", -5 * SECOND, -1);
        check_range(&events, "RANGE BETWEEN INTERVAL '1 second' PRECEDING AND INTERVAL '2 seconds' FOLLOWING", -SECOND, 2 * SECOND);
        check_range(&events, "RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '30 seconds' FOLLOWING", 1, 30 * SECOND);
    }

    #[test]
    fn p1_any_batch_cut_gives_the_same_findings((rows, cuts) in rows().prop_flat_map(|rows| {
        let indices: Vec<usize> = (0..=log(&rows).len()).collect();
        let count = indices.len();
        (Just(rows), subsequence(indices, 0..=count))
    })) {
        let (events, rules) = (log(&rows), several_rules());
        prop_assert_eq!(shown(&run_cut(&rules, &events, &cuts)), shown(&findings(&rules, &events)));
    }

    #[test]
    fn p1_systems_that_share_a_partition_change_no_answer(rows in rows()) {
        let (events, rules) = (log(&rows), several_rules());
        let mut together = shown(&findings(&rules, &events));
        let mut apart = Vec::new();
        for system in SYSTEMS {
            let own: Vec<Event> = events.iter().filter(|event| event.system() == system).cloned().collect();
            apart.extend(shown(&findings(&rules, &own)));
        }
        together.sort();
        apart.sort();
        prop_assert_eq!(together, apart);
    }
}

#[test]
fn p1_a_restart_at_any_record_loses_and_doubles_nothing() {
    let rows: Vec<Row> = (0_u8..40)
        .map(|index| Row {
            system: usize::from(index % 2),
            wallet: Some(index % 3),
            amount: Some(index.wrapping_mul(37)),
            wait: if index % 7 == 0 { 4 * SECOND } else { SECOND / 2 },
            kind: usize::from(index % 3),
        })
        .collect();
    let (events, rules) = (log(&rows), several_rules());
    let whole = shown(&findings(&rules, &events));
    assert!(whole.len() > 10, "only {} findings", whole.len());
    for stop in 0..=events.len() {
        let before = findings(&rules, &events[..stop]);
        // The new process runs the log again from its beginning and leaves out what was decided before it stopped.
        let again = run_cut(&rules, &events, &[stop]);
        let after: Vec<Decided> = again.into_iter().filter(|decided| decided.position.0 >= stop as u64).collect();
        assert_eq!([shown(&before), shown(&after)].concat(), whole, "stopped before record {stop}");
    }
}

#[test]
fn rows_frames_and_lag_look_back_by_rows_of_the_key() {
    let events: Vec<Event> = (0..6)
        .map(|index| {
            let event = event("one", &index.to_string(), "tick", (index + 1) * SECOND);
            event.changed(|event| event.wallet(if index % 2 == 0 { "even" } else { "odd" }).asn(index))
        })
        .collect();
    let sql = "SELECT event_id, system AS entity, s, b FROM (SELECT *, sum(asn) OVER (PARTITION BY wallet ORDER BY time ROWS BETWEEN 1 \
        PRECEDING AND CURRENT ROW) AS s, lag(asn, 2) OVER (PARTITION BY wallet ORDER BY time) AS b FROM events)";
    let found = findings(&[rule("t/rows", sql)], &events);
    let text = |values: [Option<i64>; 6]| values.map(|value| value.map(|value| value.to_string())).to_vec();
    assert_eq!(facts(&found, "s"), text([Some(0), Some(1), Some(2), Some(4), Some(6), Some(8)]));
    assert_eq!(facts(&found, "b"), text([None, None, None, None, Some(0), Some(1)]));
}

#[test]
fn a_row_sees_the_inventory_as_of_its_own_time() {
    let version = |threshold: i64| {
        let text = format!(
            "[[systems]]\nid = \"one\"\n[[systems.wallets]]\nwallet = \"w\"\nchain = \"c\"\nthreshold = {threshold}\n"
        );
        Inventory::parse("i.toml", &text).unwrap()
    };
    let mut events = Vec::new();
    for (index, second) in [1_i64, 3, 5].into_iter().enumerate() {
        let row = event("one", &second.to_string(), "chain.tx", second * SECOND);
        events.push(row.changed(|row| row.wallet("w")));
        if index < 2 {
            events.extend(version(second).activation(Instant((second + 1) * SECOND)));
        }
    }
    events.push(event("one", "end", "tick", 100 * SECOND));
    let sql = "SELECT e.event_id, e.wallet AS entity, w.threshold AS threshold FROM (SELECT *, count(*) OVER (PARTITION BY wallet ORDER BY \
        time RANGE BETWEEN CURRENT ROW AND INTERVAL '20 seconds' FOLLOWING) AS n FROM events) e LEFT JOIN wallets w ON w.system = \
        e.system AND w.wallet = e.wallet WHERE e.kind = 'chain.tx'";
    let found = findings(&[rule("t/inventory", sql)], &events);
    assert_eq!(facts(&found, "threshold"), vec![None, Some("1".into()), Some("3".into())]);
}

#[test]
fn undecided_rows_are_counted_and_not_flushed() {
    let mut engine =
        keywatch_detectors::Engine::new(&several_rules(), &keywatch_detectors::Settings::default()).unwrap();
    let row = event("one", "1", "chain.tx", SECOND).changed(|row| row.wallet("w1"));
    let outcome = engine.run(keywatch_store::Position(0), &[row]).unwrap();
    assert!(outcome.findings.iter().all(|decided| decided.finding.rule != "t/silent"));
    assert!(engine.state_size().waiting > 0);
    let outcome = engine.run(keywatch_store::Position(1), &[event("one", "2", "tick", 60 * SECOND)]).unwrap();
    assert!(outcome.findings.iter().any(|decided| decided.finding.rule == "t/silent"));
    assert!(engine.state_size().rows <= 20, "{:?}", engine.state_size());
}

/// Between the windows of these views stand filters on their partition keys alone, which the optimizer pushes down: one
/// operator does for both, and a row is decided when the one delay that its rule names is over.
#[test]
fn windows_with_a_filter_on_their_key_between_wait_once() {
    let rules = keywatch_detectors::rule::shipped().unwrap();
    let engine = Engine::new(&rules, &Settings::default()).unwrap();
    for (rule, minutes) in [
        ("chain/unordered_payment", 2),
        ("chain/outflow_without_signature", 5),
        ("signing/signature_undecided", 10),
        ("signing/signature_without_allow", 10),
    ] {
        assert_eq!(engine.explain(rule).unwrap().1, minutes * 60 * SECOND, "{rule}");
    }
}
