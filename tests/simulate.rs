//! `keywatch simulate` held against the shipped rules: ordinary traffic is quiet, every scenario is seen by the rules
//! that its label names, and the command writes what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use keywatch_detectors::{Engine, Settings as EngineSettings, rule};
use keywatch_simulator::{Label, Scenario, Settings, Simulation};
use keywatch_store::{Event, Finding, Position};

use crate::support::command::{err, keywatch, out};

/// Findings, labels and what was not played.
fn run(settings: Settings) -> (Vec<Finding>, Vec<Label>, Vec<(Scenario, u64)>) {
    let mut engine = Engine::new(&rule::shipped().unwrap(), &EngineSettings::default()).unwrap();
    let mut simulation = Simulation::new(settings).unwrap();
    let (mut position, mut findings) = (Position::default(), Vec::new());
    loop {
        let events: Vec<Event> = simulation.by_ref().take(8_192).collect();
        if events.is_empty() {
            let labels = simulation.take_labels();
            return (findings, labels, simulation.attacks_missing());
        }
        let outcome = engine.run(position, &events).unwrap();
        assert!(outcome.parked.is_empty());
        position = position.plus(events.len());
        findings.extend(outcome.findings.into_iter().map(|decided| decided.finding));
    }
}

#[test]
fn ordinary_traffic_is_quiet_but_for_the_documented_slips() {
    let slips = BTreeSet::from(["session/factor_changed_before_signing", "session/new_network"]);
    for (events, keys, systems, days, seed) in
        [(500_000, None, 1, 30, 1), (300_000, Some(300), 3, 20, 2), (300_000, Some(15_000), 1, 1, 3)]
    {
        let settings = Settings { keys, systems, ..Settings::new(events, days, seed) };
        let (findings, _, _) = run(settings);
        // What is planted in a history is found, and told of once a day.
        let (planted, findings): (Vec<Finding>, Vec<Finding>) =
            findings.into_iter().partition(|finding| finding.rule == "chain/address_poisoned");
        let day = |finding: &Finding| finding.time.nanoseconds().div_euclid(86_400 * 1_000_000_000);
        let days: BTreeSet<_> = planted.iter().map(|found| (&found.system, &found.entity, day(found))).collect();
        assert!(!planted.is_empty() && days.len() == planted.len(), "{} on {} days", planted.len(), days.len());
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        findings.iter().for_each(|finding| *count.entry(finding.rule.as_str()).or_default() += 1);
        let unexpected: Vec<&Finding> = findings.iter().filter(|finding| !slips.contains(&*finding.rule)).collect();
        assert!(unexpected.is_empty(), "{:?}", unexpected.first());
        let bound = usize::try_from(events / 15_000).unwrap();
        assert!(findings.len() <= bound, "{count:?} in {events} events, at most {bound} in all");
    }
}

#[test]
fn every_scenario_is_seen_by_every_rule_that_its_label_names() {
    let attacks = Scenario::ALL.to_vec();
    let planned = 2 * attacks.len();
    let settings = Settings { systems: 2, attacks, attacks_each: 2, ..Settings::new(700_000, 6, 5) };
    let (findings, labels, missing) = run(settings);
    assert_eq!((labels.len(), missing), (planned, Vec::new()));
    let mut unseen = Vec::new();
    for label in &labels {
        let its = |finding: &&Finding| finding.evidence.iter().any(|event| label.events.contains(event));
        let saw: BTreeSet<&str> = findings.iter().filter(its).map(|finding| finding.rule.as_str()).collect();
        unseen.extend(label.rules.iter().filter(|rule| !saw.contains(**rule)).map(|rule| (label.scenario, *rule)));
    }
    assert!(unseen.is_empty(), "not seen: {unseen:?}");
    let rules: BTreeSet<&str> = Scenario::ALL.iter().flat_map(|scenario| scenario.rules()).copied().collect();
    let known: BTreeSet<String> = rule::shipped().unwrap().into_iter().map(|rule| rule.id).collect();
    assert!(rules.iter().all(|rule| known.contains(*rule)), "a label names a rule that there is not");
}

const SMALL: [&str; 7] = ["simulate", "--events", "30000", "--days", "2", "--seed", "9"];

fn simulate(directory: &Path, more: &[&str]) -> std::process::Output {
    keywatch(directory, &[&SMALL, more].concat(), b"")
}

#[test]
fn a_directory_a_log_and_standard_output_hold_the_same() {
    let here = tempfile::tempdir().unwrap();
    let attack = ["--attack", "stolen-session,revived-session"];
    let done = simulate(here.path(), &[&attack[..], &["--out", "month"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let events = std::fs::read_to_string(here.path().join("month/events.jsonl")).unwrap();
    let truth = std::fs::read_to_string(here.path().join("month/truth.jsonl")).unwrap();
    assert_eq!((events.lines().count(), truth.lines().count()), (30_000, 2));

    let told = simulate(here.path(), &[&attack[..], &["--out", "-", "--truth", "beside.jsonl"]].concat());
    assert!(out(&told) == events, "standard output differs from the directory's file");
    assert_eq!(std::fs::read_to_string(here.path().join("beside.jsonl")).unwrap(), truth);

    let logged = simulate(here.path(), &[&attack[..], &["--out", "month.log"]].concat());
    assert_eq!(logged.status.code(), Some(0), "{}", err(&logged));
    assert_eq!(std::fs::read_to_string(here.path().join("month.truth.jsonl")).unwrap(), truth);
    let backtest = |history: &str| {
        let arguments = ["backtest", "--format", "json", "--truth", "month/truth.jsonl", history];
        let done = keywatch(here.path(), &arguments, b"");
        assert_eq!(done.status.code(), Some(0), "{}", err(&done));
        let report: serde_json::Value = serde_json::from_str(&out(&done)).unwrap();
        (report["events"].clone(), report["truth"]["seen"].clone())
    };
    assert_eq!(backtest("month"), (serde_json::json!(30_000), serde_json::json!(2)));
    assert_eq!(backtest("month.log"), backtest("month"));
}

#[test]
fn what_cannot_be_is_told_and_nothing_is_overwritten() {
    let here = tempfile::tempdir().unwrap();
    let refused = [
        (&["--systems", "0", "--out", "a"][..], "systems: 0 is too few"),
        (&["--keys", "20000", "--out", "a"], "at least 280000 are needed"),
        (&["--attack", "rain", "--out", "a"], "there is no scenario `rain`; there are amount-outlier"),
        (&["--attack", "all", "--attacks-each", "0", "--out", "a"], "attacks-each: 0 is too few"),
    ];
    for (arguments, said) in refused {
        let done = simulate(here.path(), arguments);
        assert_eq!(done.status.code(), Some(2));
        assert!(err(&done).contains(said), "{}", err(&done));
        assert!(!here.path().join("a").exists(), "nothing is begun");
    }
    for out in ["b", "b.log"] {
        assert_eq!(simulate(here.path(), &["--out", out]).status.code(), Some(0));
        let again = simulate(here.path(), &["--out", out]);
        assert_eq!(again.status.code(), Some(2), "{}", err(&again));
    }
}
