//! The independent oracle.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stderr, reason = "seeds and counts are printed for who reads the test's output")]

mod oracle {
    pub(crate) mod answer;
    pub(crate) mod dice;
    pub(crate) mod history;
    pub(crate) mod known;
    pub(crate) mod naive;
    pub(crate) mod query;
    pub(crate) mod scalar;
    pub(crate) mod stock;
    pub(crate) mod term;
    pub(crate) mod traffic;
    pub(crate) mod trial;
}

use std::collections::BTreeMap;

use keywatch_detectors::Decided;
use oracle::dice::Dice;
use oracle::history::History;
use oracle::query::Query;
use oracle::stock::Stock;
use oracle::trial::{self, Subject, Tally};

/// How many times the default number of cases is run.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is its caller's choice; no answer depends on it")]
fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let first = environment("KEYWATCH_ORACLE_SEED", 1);
    first..first + count * environment("KEYWATCH_ORACLE_CASES", 1)
}

fn honest(_: &mut Vec<Decided>) {}

fn histories(dice: &mut Dice, systems: usize, rows: usize) -> Vec<History> {
    (0..systems).map(|system| History::generate(dice, &format!("s{system}"), rows)).collect()
}

/// Panics with the smallest case when anything differs.
fn demand_agreement(seed: u64, stock: &Stock, subjects: &[Subject], histories: &[History], tally: &Tally) {
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    for difference in &tally.differences {
        if told.contains_key(difference.rule.as_str()) {
            continue;
        }
        let subject = subjects.iter().find(|subject| subject.rule.id == difference.rule);
        let history = histories.iter().find(|history| difference.told.starts_with(&format!("{}:", history.system)));
        let smallest = subject.zip(history).map(|(subject, history)| {
            format!("{}\n{}", subject.rule.sql, trial::shrink(stock, subject, history))
        });
        let text = format!("seed {seed}, {}: {}\n{}\n", difference.rule, difference.told, smallest.unwrap_or_default());
        told.insert(&difference.rule, text);
    }
    assert!(told.is_empty(), "{}", told.into_values().collect::<String>());
}

#[test]
fn shipped_rules_answer_as_stock_datafusion_does() {
    let stock = Stock::new();
    let subjects: Vec<Subject> =
        keywatch_detectors::rule::shipped().unwrap().iter().map(|rule| Subject::of_rule(&stock, rule)).collect();
    let (mut cases, mut fired) = (0, BTreeMap::<String, usize>::new());
    for seed in seeds(10) {
        let mut dice = Dice::new(seed);
        let histories = histories(&mut dice, 12, 150);
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        demand_agreement(seed, &stock, &subjects, &histories, &tally);
        cases += tally.cases;
        for (rule, findings) in tally.findings {
            *fired.entry(rule).or_default() += findings;
        }
    }
    eprintln!("{cases} cases; findings by rule: {fired:#?}");
    let quiet: Vec<&String> = fired.iter().filter(|(_, findings)| **findings == 0).map(|(rule, _)| rule).collect();
    assert!(quiet.is_empty(), "these never fired: {quiet:?}");
}

#[test]
fn generated_windows_answer_as_both_oracles_do() {
    let stock = Stock::new();
    let (mut cases, mut findings, mut unplanned) = (0, 0, 0);
    for seed in seeds(20) {
        let mut dice = Dice::new(seed);
        let subjects: Vec<Subject> =
            (0..16).map(|rule| Subject::of_query(&stock, &format!("g/{rule}"), Query::generate(&mut dice))).collect();
        unplanned += subjects.iter().filter(|subject| !subject.is_planned_by_stock()).count();
        let histories = histories(&mut dice, 6, 60);
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        demand_agreement(seed, &stock, &subjects, &histories, &tally);
        cases += tally.cases;
        findings += tally.findings.values().sum::<usize>();
    }
    eprintln!("{cases} cases, {findings} findings, {unplanned} rules that stock DataFusion cannot plan");
}
