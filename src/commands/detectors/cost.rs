//! What a rule remembers and costs over a log, beside all the rules that are built in.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use keywatch_detectors::window::StateSize;
use keywatch_detectors::{Description, Engine, Rule, Settings};
use keywatch_store::{Event, Position};

use crate::commands::backtest;
use crate::explanation::all_windows;
use crate::limits::BACKTEST_STATE_EVERY_EVENTS;
use crate::{clock, output};

/// Events that go through the rules at once.
const BATCH_EVENTS: usize = 4096;

/// What was measured.
pub(super) struct Cost {
    rule: String,
    log: String,
    events: u64,
    /// Events of the kinds that the rule is given.
    given: u64,
    findings: u64,
    busy: Duration,
    all_busy: Duration,
    rules: usize,
    parked: Option<String>,
    end: Sizes,
    peak: Sizes,
}

/// What the groups of a rule's windows remember, in their order, and what waits beside them.
#[derive(Clone, Debug, Default)]
struct Sizes {
    groups: Vec<StateSize>,
    waiting: StateSize,
}

/// All rules that are run beside one another: those built in, and this one in the place of its namesake.
pub(super) fn with_rule(rule: &Rule, shipped: Vec<Rule>) -> Vec<Rule> {
    let others = shipped.into_iter().filter(|other| other.id != rule.id);
    others.chain([rule.clone()]).collect()
}

/// For each partition key of the rule, the other rules that have it.
///
/// # Errors
/// A rule that does not load.
pub(super) fn same_keys(rules: &[Rule], rule: &Rule) -> anyhow::Result<Vec<(String, Vec<String>)>> {
    let engine = Engine::new(rules, &Settings::default())?;
    let keys = |id: &str| -> BTreeSet<String> {
        let description = engine.describe(id);
        let windows = description.iter().flat_map(all_windows);
        windows.flat_map(|windows| &windows.groups).map(|group| group.key.clone()).collect()
    };
    let of_others: Vec<(&str, BTreeSet<String>)> =
        rules.iter().filter(|other| other.id != rule.id).map(|other| (other.id.as_str(), keys(&other.id))).collect();
    let same = keys(&rule.id).into_iter().map(|key| {
        let others = of_others.iter().filter(|(_, keys)| keys.contains(&key)).map(|(id, _)| (*id).to_owned());
        let others = others.collect();
        (key, others)
    });
    Ok(same.collect())
}

impl Cost {
    /// Runs all rules over the log.
    ///
    /// # Errors
    /// A rule that does not load, a log that cannot be read.
    pub(super) fn measure(rule: &Rule, rules: &[Rule], log: &[PathBuf]) -> anyhow::Result<Cost> {
        let mut engine = Engine::new(rules, &Settings::default())?.with_stopwatch(clock::processor_time);
        let kinds = engine.describe(&rule.id).and_then(|description| description.kinds);
        let is_given =
            |event: &&Event| kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|kind| kind == event.kind()));
        let mut cost = Cost::none(rule, rules.len(), log);
        let mut unsampled = 0;
        backtest::each_batch(log, BATCH_EVENTS, |first: Position, events: &[Event]| {
            let outcome = engine.run(first, events)?;
            cost.events += events.len() as u64;
            cost.given += events.iter().filter(is_given).count() as u64;
            cost.findings += outcome.findings.iter().filter(|found| found.finding.rule == rule.id).count() as u64;
            let parked = outcome.parked.into_iter().find(|parked| parked.rule == rule.id);
            cost.parked = cost.parked.take().or(parked.map(|parked| parked.problem));
            unsampled += events.len();
            if unsampled >= BACKTEST_STATE_EVERY_EVENTS {
                unsampled = 0;
                cost.sample(&engine);
            }
            Ok(())
        })?;
        cost.sample(&engine);
        let usage = engine.usage();
        cost.all_busy = usage.iter().map(|usage| usage.busy).sum();
        cost.busy = usage.iter().filter(|usage| usage.rule == rule.id).map(|usage| usage.busy).sum();
        Ok(cost)
    }

    fn none(rule: &Rule, rules: usize, log: &[PathBuf]) -> Cost {
        let log = log.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        let (events, given, findings, parked) = (0, 0, 0, None);
        let (busy, all_busy) = (Duration::ZERO, Duration::ZERO);
        let (end, peak) = (Sizes::default(), Sizes::default());
        Cost { rule: rule.id.clone(), log, events, given, findings, busy, all_busy, rules, parked, end, peak }
    }

    fn sample(&mut self, engine: &Engine) {
        if let Some(description) = engine.describe(&self.rule) {
            self.end = Sizes::of(&description);
            self.peak.rise_to(&self.end);
        }
    }

    /// All of it, for people.
    ///
    /// # Errors
    /// None: it is written into memory.
    pub(super) fn render(&self, description: &Description) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let Cost { log, events, given, findings, rules, .. } = self;
        writeln!(text, "\nOver {log}, with all {rules} rules:\n")?;
        writeln!(text, "  events          {}, of which it is given {}", HumanCount(*events), HumanCount(*given))?;
        writeln!(text, "  findings        {}", HumanCount(*findings))?;
        writeln!(
            text,
            "  processor time  {:.1} ms: {} an event, {} an event that it is given; {:.1} % of all rules'",
            self.busy.as_secs_f64() * 1e3,
            nanoseconds(self.busy, *events),
            nanoseconds(self.busy, *given),
            100.0 * self.busy.as_secs_f64() / self.all_busy.as_secs_f64().max(1e-9)
        )?;
        if let Some(problem) = &self.parked {
            writeln!(text, "  parked          {problem}")?;
        }
        let keys = all_windows(description).flat_map(|windows| &windows.groups).map(|group| group.key.clone());
        let keys: Vec<String> = keys.collect();
        if !keys.is_empty() {
            let headings = [" remembered", "", "keys", "rows", "waiting", "bytes", "bytes a row"];
            writeln!(text, "\n{}", output::table(headings, self.rows(keys)))?;
        }
        Ok(text)
    }

    fn rows(&self, keys: Vec<String>) -> Vec<[String; 7]> {
        let names =
            keys.into_iter().map(|key| format!(" {key}")).chain([" rows that wait".to_owned(), " together".to_owned()]);
        let rows = names.zip(self.end.rows()).zip(self.peak.rows());
        rows.flat_map(|((name, end), peak)| [row(name, "at the end", &end), row(String::new(), "peak", &peak)])
            .collect()
    }
}

impl Sizes {
    fn of(description: &Description) -> Sizes {
        let groups = all_windows(description).flat_map(|windows| &windows.groups).map(|group| group.size).collect();
        let waiting = all_windows(description).map(|windows| {
            let (waiting, bytes) = windows.waiting;
            StateSize { waiting, bytes, ..StateSize::default() }
        });
        Sizes { groups, waiting: waiting.sum() }
    }

    /// Each figure at its most: they need not have been there together.
    fn rise_to(&mut self, other: &Sizes) {
        self.groups.resize(other.groups.len(), StateSize::default());
        self.groups.iter_mut().zip(&other.groups).for_each(|(most, now)| rise(most, now));
        rise(&mut self.waiting, &other.waiting);
    }

    /// Group by group, then what waits, then all together.
    fn rows(&self) -> Vec<StateSize> {
        let parts = || self.groups.iter().copied().chain([self.waiting]);
        parts().chain([parts().sum()]).collect()
    }
}

fn rise(most: &mut StateSize, now: &StateSize) {
    most.keys = most.keys.max(now.keys);
    most.rows = most.rows.max(now.rows);
    most.waiting = most.waiting.max(now.waiting);
    most.bytes = most.bytes.max(now.bytes);
}

fn row(name: String, when: &str, size: &StateSize) -> [String; 7] {
    let count = |number: usize| HumanCount(number as u64).to_string();
    let a_row = size.bytes.checked_div(size.rows.max(size.waiting)).map_or_else(String::new, |bytes| bytes.to_string());
    let bytes = BinaryBytes(size.bytes as u64).to_string();
    [name, when.to_owned(), count(size.keys), count(size.rows), count(size.waiting), bytes, a_row]
}

fn nanoseconds(time: Duration, events: u64) -> String {
    format!("{} ns", time.as_nanos() / u128::from(events.max(1)))
}
