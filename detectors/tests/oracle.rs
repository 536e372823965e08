//! The independent oracle: what the engine finds must be what stock DataFusion and nested loops find.
//!
//! * **Oracle A** ([`stock`]): the same SQL, parameters filled in, on stock DataFusion over the history of one
//!   system at a time; once for each inventory version, of which the anchors of its reign are kept. No code of the engine
//!   takes part: the scalar functions of the rule language are written once more in [`scalar`].
//! * **Oracle B** ([`naive`]): generated rules by nested loops, without DataFusion.
//!
//! Several systems share one log, interleaved and cut anywhere, and all rules run in one engine. Compared are sets of
//! (anchor, entity, every output column as text) of the anchors whose frames are closed; and for each finding, against
//! the log itself, the record that decides it, its times, its source and the order. What the windows of a generated rule
//! look ahead comes from its grammar as well as from the engine. [`mutants`] and [`parameters`] prove
//! that errors are noticed.
//!
//! Everything follows from a seed, printed with the smallest history that still differs. `KEYWATCH_ORACLE_SEED` sets the
//! first seed, `KEYWATCH_ORACLE_CASES` multiplies how many there are.
//!
//! # Differences by design
//!
//! | the engine | stock DataFusion | so the oracle |
//! |---|---|---|
//! | an average of integers is a decimal with four places, cut off | a float | takes the average of `DECIMAL(60, s)` |
//! | sums and averages are exact and held at the ends of their type | wrap or fail | adds up in 256 bits and holds them there |
//! | one finding an anchor and entity, also where a lookup doubles it | all rows | takes any of the rows |
//! | a lookup below a window sees the inventory as of each row | one inventory a run | joins `<table>_as_of` by validity |
//! | a row without an entity is left out | keeps it | leaves it out |
//! | the ends of the range of log time hold | overflow | asks Oracle B alone |
//! | `system` is part of every key | is not | runs each system alone |
//!
//! A new function takes a line each in `FUNCTIONS`, `call` and `result` of [`function`] and one in
//! [`naive`]; it is generated as soon as the engine takes it. Exact aggregates of our own are registered in
//! `Stock::new`.

#![allow(clippy::print_stderr, reason = "seeds and counts are printed for who reads the test's output")]

pub(crate) mod answer;
pub(crate) mod demand;
pub(crate) mod dice;
pub(crate) mod frame;
pub(crate) mod function;
pub(crate) mod history;
pub(crate) mod mutants;
pub(crate) mod naive;
pub(crate) mod near_histories;
pub(crate) mod parameters;
pub(crate) mod query;
mod regressions;
pub(crate) mod scalar;
pub(crate) mod stock;
pub(crate) mod term;
pub(crate) mod traffic;
pub(crate) mod trial;

use std::collections::BTreeMap;

use keywatch_detectors::{Decided, Rule, Settings};

use self::dice::Dice;
use self::function::Language;
use self::history::{History, SECOND, SPANS, START};
use self::mutants::MUTATIONS;
use self::near_histories::NearHistories;
use self::query::{Dialect, Query};
use self::stock::Stock;
use self::trial::{Subject, Tally};

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

fn histories(dice: &mut Dice, systems: usize, rows: usize, spans: &[i64]) -> Vec<History> {
    (0..systems).map(|system| History::generate(dice, &format!("s{system}"), rows, START, spans)).collect()
}

/// Panics with the smallest case when anything differs.
fn demand_agreement(seed: u64, stock: &Stock, subjects: &[Subject], histories: &[History], tally: &Tally) {
    let told = disagreement(seed, stock, subjects, histories, tally);
    assert!(told.is_empty(), "{told}");
}

/// What differs, each rule with the smallest case.
fn disagreement(seed: u64, stock: &Stock, subjects: &[Subject], histories: &[History], tally: &Tally) -> String {
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    for difference in &tally.differences {
        if told.contains_key(difference.rule.as_str()) {
            continue;
        }
        let subject = subjects.iter().find(|subject| subject.rule.id == difference.rule);
        let history = histories.iter().find(|history| difference.told.starts_with(&format!("{}:", history.system)));
        let smallest = subject
            .zip(history)
            .map(|(subject, history)| format!("{}\n{}", subject.rule.sql, trial::shrink(stock, subject, history)));
        let text = format!("seed {seed}, {}: {}\n{}\n", difference.rule, difference.told, smallest.unwrap_or_default());
        told.insert(&difference.rule, text);
    }
    told.into_values().collect()
}

/// The shipped rules; stock DataFusion plans every one, or nothing would be compared.
fn shipped(stock: &Stock) -> Vec<Subject> {
    let rules = keywatch_detectors::rule::shipped().unwrap();
    let subjects: Vec<Subject> = rules.iter().map(|rule| Subject::of_rule(stock, rule)).collect();
    for subject in &subjects {
        assert_eq!(subject.unplanned(), None, "{}", subject.rule.id);
    }
    subjects
}

#[test]
fn shipped_rules_answer_as_stock_datafusion_does() {
    let stock = Stock::new();
    let subjects = shipped(&stock);
    for seed in seeds(6) {
        let mut dice = Dice::new(seed);
        let histories: Vec<History> = (0..12)
            .map(|system| {
                let spans = history::spans(&mut dice, 2);
                History::generate(&mut dice, &format!("s{system}"), 150, START, &spans)
            })
            .collect();
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        demand_agreement(seed, &stock, &subjects, &histories, &tally);
    }
}

#[test]
fn shipped_rules_answer_as_stock_datafusion_does_near_their_own_events() {
    let stock = Stock::new();
    let (mut fired, mut differing) = (BTreeMap::<String, usize>::new(), String::new());
    for subject in shipped(&stock) {
        let own = NearHistories::of(&subject.rule);
        for seed in seeds(5) {
            let mut dice = Dice::new(seed + 3_000_000);
            let spans = history::spans(&mut dice, 3);
            let histories: Vec<History> = (0..4).map(|system| own.history(&mut dice, system, &spans)).collect();
            let subjects = std::slice::from_ref(&subject);
            let tally = trial::run(&stock, &mut dice, subjects, &histories, &honest);
            differing += &disagreement(seed, &stock, subjects, &histories, &tally);
            *fired.entry(subject.rule.id.clone()).or_default() += tally.findings.values().sum::<usize>();
        }
    }
    assert!(differing.is_empty(), "{differing}");
    let quiet: Vec<&String> = fired.iter().filter(|(_, findings)| **findings == 0).map(|(rule, _)| rule).collect();
    assert!(quiet.is_empty(), "these never fired: {quiet:?}");
}

#[test]
fn generated_windows_answer_as_both_oracles_do() {
    let stock = Stock::new();
    let language = Language::of_engine();
    let (mut cases, mut findings, mut unplanned) = (0, 0, Vec::new());
    for seed in seeds(40) {
        let mut dice = Dice::new(seed);
        let spans = history::spans(&mut dice, 4);
        let subjects: Vec<Subject> = (0..16)
            .map(|rule| Subject::of_query(&stock, &format!("g/{rule}"), Query::generate(&mut dice, &language, &spans)))
            .collect();
        unplanned.extend(subjects.iter().filter_map(Subject::unplanned).map(str::to_owned));
        let histories = histories(&mut dice, 6, 60, &spans);
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        demand_agreement(seed, &stock, &subjects, &histories, &tally);
        cases += tally.cases;
        findings += tally.findings.values().sum::<usize>();
    }
    let functions = language.names().join(", ");
    eprintln!("{cases} cases, {findings} findings, with {functions}; not planned by stock DataFusion: {unplanned:#?}");
    assert!(findings > 10 * cases, "{findings} findings in {cases} cases compare little");
}

#[test]
fn logs_at_the_ends_of_time_answer_as_nested_loops_do() {
    let stock = Stock::new();
    let language = Language::of_engine();
    for seed in seeds(4) {
        let mut dice = Dice::new(seed + 3_000_000);
        // Spans such that a history stays within the range; stock DataFusion overflows there and is not asked.
        let spans = &SPANS[..10];
        let subjects: Vec<Subject> = (0..8)
            .map(|rule| Subject::of_query_alone(&format!("g/{rule}"), Query::generate(&mut dice, &language, spans)))
            .collect();
        let starts = [i64::MIN, i64::MIN + SECOND, i64::MAX - 360 * 86_400 * SECOND, -SECOND];
        let starts = starts.into_iter().enumerate();
        let histories: Vec<History> = starts
            .map(|(system, start)| History::generate(&mut dice, &format!("s{system}"), 50, start, spans))
            .collect();
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        demand_agreement(seed, &stock, &subjects, &histories, &tally);
    }
}

/// One mutant in each of 8 generated rules a seed; a mutant that happens to mean the same, or whose rows the log lacks,
/// may go unnoticed.
#[test]
fn errors_of_an_engine_are_noticed_by_the_oracles() {
    let stock = Stock::new();
    let language = Language::of_engine();
    let mut noticed: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for seed in seeds(40) {
        let mut dice = Dice::new(seed + 1_000_000);
        let spans = history::spans(&mut dice, 3);
        let (mut subjects, mut names) = (Vec::new(), Vec::new());
        while subjects.len() < 8 {
            let query = Query::generate(&mut dice, &language, &spans);
            let (name, mutate) = *dice.pick(&MUTATIONS);
            let mut wrong = query.clone();
            if mutate(&mut dice, &mut wrong) {
                let id = format!("g/{}", subjects.len());
                let rule = trial::rule(&id, &wrong.sql(Dialect::Rules));
                subjects.push(Subject::of_query(&stock, &id, query).falsified(rule, Settings::default()));
                names.push((id, name));
            }
        }
        // Rows a nanosecond apart are what tells a frame that ends with its row from one that ends right after it.
        let histories = histories(&mut dice, 5, 110, &[&spans[..], &[1]].concat());
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &honest);
        for (id, name) in names {
            let count = noticed.entry(name).or_default();
            count.0 += usize::from(tally.differences.iter().any(|difference| difference.rule == id));
            count.1 += 1;
        }
    }
    eprintln!("mutants noticed, of how many: {noticed:?}");
    // Of a kind that was tried a few times only, all may happen to mean the same.
    let judged = noticed.iter().filter(|(_, (_, tried))| *tried >= 16);
    let weak: Vec<_> = judged.filter(|(_, (noticed, tried))| noticed * 8 < *tried).collect();
    assert!(weak.is_empty() && noticed.len() == MUTATIONS.len(), "noticed too seldom: {weak:?}");
}

/// Histories near the value of a parameter, and some of any traffic.
fn near(own: &NearHistories, wrong: &parameters::OffByOne, dice: &mut Dice) -> Vec<History> {
    let spans = wrong.span_ns.map_or(SPANS[2..9].to_vec(), |span| vec![span]);
    let mut near = own.at(wrong.span_ns, wrong.number);
    for _ in 0..60 {
        near.push(own.history(dice, near.len(), &spans));
        near.push(History::generate(dice, &format!("s{}", near.len()), 150, START, &spans));
    }
    near
}

/// Whether the oracle notices on these histories that a parameter is off. It is asked where the engine itself finds something
/// else with the parameter off; at the end of a log that may be no more than a row that is not decided yet.
fn shows(
    stock: &Stock,
    rule: &Rule,
    wrong: &parameters::OffByOne,
    right: &[Subject],
    mut histories: Vec<History>,
) -> bool {
    let mut dice = Dice::new(17);
    let found = trial::found_with(rule, &Settings::default(), &histories);
    let found_off = trial::found_with(rule, &wrong.settings, &histories);
    histories.retain(|history| found.get(&history.system) != found_off.get(&history.system));
    histories.truncate(4);
    let agreed = trial::run(stock, &mut dice, right, &histories, &honest);
    demand_agreement(17, stock, right, &histories, &agreed);
    let off = [Subject::of_rule(stock, rule).falsified(rule.clone(), wrong.settings.clone())];
    !trial::run(stock, &mut dice, &off, &histories, &honest).differences.is_empty()
}

/// A parameter of a view is one, whichever of the rules that use it shows that it is off.
#[test]
fn a_hair_off_in_a_parameter_of_a_shipped_rule_is_noticed() {
    let stock = Stock::new();
    let mut noticed = BTreeMap::<String, bool>::new();
    for rule in keywatch_detectors::rule::shipped().unwrap() {
        let (own, right) = (NearHistories::of(&rule), [Subject::of_rule(&stock, &rule)]);
        for wrong in parameters::off_by_one(&rule) {
            let is_noticed = noticed.entry(wrong.name.clone()).or_default();
            if *is_noticed {
                continue;
            }
            let plain = own.plain(wrong.span_ns, wrong.number);
            *is_noticed = shows(&stock, &rule, &wrong, &right, plain)
                || shows(&stock, &rule, &wrong, &right, near(&own, &wrong, &mut Dice::new(17)));
        }
    }
    let unnoticed: Vec<&String> = noticed.iter().filter(|(_, noticed)| !**noticed).map(|(name, _)| name).collect();
    eprintln!("{} parameters a hair off, unnoticed: {unnoticed:#?}", noticed.len());
    assert!(unnoticed.len() * 4 <= noticed.len(), "the logs are too blunt: {unnoticed:?}");
}

/// Errors behind the operators: in what becomes of the rows.
#[test]
fn findings_tampered_with_are_noticed() {
    type Tampering = fn(&mut Vec<Decided>);
    let tamperings: [(&str, Tampering); 9] = [
        ("a finding is dropped", |found| drop(found.remove(found.len() / 2))),
        ("a finding comes twice", |found| found.insert(0, found[0].clone())),
        ("another entity", |found| found[0].finding.entity.push('x')),
        ("another fact", |found| {
            let fact = found.iter_mut().find_map(|decided| decided.finding.facts.values_mut().next());
            fact.unwrap().push('x');
        }),
        ("a fact too many", |found| drop(found[0].finding.facts.insert("more".to_owned(), "1".to_owned()))),
        ("evidence is lost", |found| {
            found.iter_mut().for_each(|decided| decided.finding.evidence.truncate(1));
        }),
        ("decided a nanosecond later", |found| found[0].finding.decided.0 += 1),
        ("decided a record later", |found| found[0].position.0 += 1),
        ("out of order", |found| found.reverse()),
    ];
    let stock = Stock::new();
    let rules = keywatch_detectors::rule::shipped().unwrap();
    let wanted = ["policy/malformed_input_allowed", "signing/nonce_conflict"];
    let rules = rules.iter().filter(|rule| wanted.contains(&rule.id.as_str()));
    let subjects: Vec<Subject> = rules.map(|rule| Subject::of_rule(&stock, rule)).collect();
    for (name, tamper) in tamperings {
        let mut dice = Dice::new(7);
        let histories = histories(&mut dice, 8, 150, &SPANS[2..9]);
        let tally = trial::run(&stock, &mut dice, &subjects, &histories, &tamper);
        assert!(!tally.differences.is_empty(), "{name}: unnoticed");
    }
}
