//! The figures of a backtest, as they stand in its JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use keywatch_store::{Instant, Severity};
use serde::Serialize;

use super::alerts::AlertCount;
use super::checks::{self, Failure};
use super::diff::RuleDiff;
use super::figures::{float, rounded};
use super::pack::Tally;
use super::reading::Span;
use super::rules::{RuleReport, rules};
use super::score::{self, Detection};
use super::{Arguments, Backtest, Other, Pass};

/// All figures.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Events that went through the rules.
    pub(super) events: u64,
    /// Seconds from the first byte read to the last event run.
    pub(super) seconds: f64,
    /// One by the other.
    pub(super) events_per_second: f64,
    /// Most memory that the process had resident; null where the system does not say.
    pub(super) peak_bytes: Option<u64>,
    /// Most that the rules remembered together, as they account for it.
    pub(super) state_bytes: usize,
    /// Seconds that reading, parsing and admitting took on their thread.
    pub(super) reading_seconds: f64,
    /// Seconds that the rules took on theirs.
    pub(super) engine_seconds: f64,
    /// Seconds that the rules waited for events to be read.
    pub(super) waited_seconds: f64,
    /// Processor seconds of all rules of the first pack.
    pub(super) cpu_seconds: f64,
    /// First and last log time.
    pub(super) from: Instant,
    /// Last log time.
    pub(super) to: Instant,
    /// Days of log time that the inputs cover, overlaps once and gaps between inputs not at all.
    pub(super) days: f64,
    /// Systems that have an event.
    pub(super) systems: usize,
    /// Events of kind `session.started`.
    pub(super) sessions: u64,
    /// Lines that are no event.
    pub(super) rejects: u64,
    /// Events left out because they were there already.
    pub(super) repeats: u64,
    /// Events that contradict an earlier one.
    pub(super) conflicts: u64,
    /// Events that were older than what their system had said before.
    pub(super) moved: u64,
    /// What a copy of a log on Kafka lacks, as it says itself: the rules have not seen it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lacks: Vec<String>,
    /// Findings of all rules.
    pub(super) findings: u64,
    /// Findings by severity, the worst first in the table.
    pub(super) severities: BTreeMap<Severity, u64>,
    /// Alerts that the findings come to, by system, rule, severity and week.
    pub(super) alerts: Vec<AlertCount>,
    /// By rule, sorted as asked for.
    pub(super) rules: Vec<RuleReport>,
    /// The comparison with another pack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) diff: Option<DiffReport>,
    /// The labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truth: Option<Detection>,
    /// What is not as it should be.
    pub(super) failures: Vec<Failure>,
}

/// The comparison with another pack.
#[derive(Debug, Serialize)]
pub(super) struct DiffReport {
    /// Findings of both.
    pub(super) kept: u64,
    /// Findings of the other pack alone.
    pub(super) added: u64,
    /// Findings of the first pack alone.
    pub(super) removed: u64,
    /// Processor seconds of all rules of the other pack.
    pub(super) cpu_seconds: f64,
    /// Rules of either pack.
    pub(super) rules: Vec<RuleDiff>,
    /// Rules of the other pack that were parked, and why.
    pub(super) parked: BTreeMap<String, String>,
    /// What the other pack made of the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) truth: Option<Detection>,
}

impl Report {
    /// The figures of a pass.
    pub(super) fn new(backtest: Backtest, pass: &Pass, arguments: &Arguments) -> Report {
        let Backtest { first, first_score, alerts, other, truth, busy, waited, .. } = backtest;
        let Pass { read, elapsed } = pass;
        let of_labels = |score: &_| arguments.truth.is_some().then(|| score::detection(&truth, score, read));
        let (tallies, mut state_bytes) = first.finish();
        let days = days(&read.inputs);
        let detected = of_labels(&first_score);
        let diff = other.map(|Other { pack, score, diff }| {
            let (others, bytes) = pack.finish();
            state_bytes += bytes;
            let rules = diff.finish(&ids(&tallies), &ids(&others), arguments.examples);
            compared(rules, &others, of_labels(&score))
        });
        let rules = rules(&tallies, days, arguments.sort);
        let failures = checks::all(&arguments.thresholds, &rules, detected.as_ref());
        Report {
            events: read.events,
            seconds: rounded(elapsed.as_secs_f64()),
            events_per_second: (float(read.events) / elapsed.as_secs_f64().max(1e-9)).round(),
            peak_bytes: peak_bytes(),
            state_bytes,
            reading_seconds: rounded(read.busy.as_secs_f64()),
            engine_seconds: rounded(busy.as_secs_f64()),
            waited_seconds: rounded(waited.as_secs_f64()),
            cpu_seconds: cpu_seconds(&tallies),
            from: read.inputs.iter().map(|span| span.0).min().unwrap_or_default(),
            to: read.inputs.iter().map(|span| span.1).max().unwrap_or_default(),
            days,
            systems: read.systems.len(),
            sessions: read.sessions,
            rejects: read.rejects,
            repeats: read.repeats,
            conflicts: read.conflicts,
            moved: read.moved,
            lacks: read.lacks.clone(),
            findings: tallies.iter().map(|tally| tally.findings).sum(),
            severities: severities(&tallies),
            alerts: alerts.finish(),
            rules,
            diff,
            truth: detected,
            failures,
        }
    }

    /// Whether everything was read, everything holds, and the packs do not differ.
    pub(super) fn is_good(&self) -> bool {
        let same = self.diff.as_ref().is_none_or(|diff| diff.parked.is_empty() && !diff.is_difference());
        self.rejects == 0 && self.lacks.is_empty() && self.failures.is_empty() && same
    }
}

impl DiffReport {
    /// Whether the packs differ in any rule.
    pub(super) fn is_difference(&self) -> bool {
        self.rules.iter().any(RuleDiff::is_difference)
    }
}

fn compared(rules: Vec<RuleDiff>, others: &[Tally], truth: Option<Detection>) -> DiffReport {
    let parked = others.iter().filter_map(|tally| Some((tally.rule.clone(), tally.parked.clone()?)));
    DiffReport {
        kept: rules.iter().map(|rule| rule.kept).sum(),
        added: rules.iter().map(|rule| rule.added).sum(),
        removed: rules.iter().map(|rule| rule.removed).sum(),
        cpu_seconds: cpu_seconds(others),
        parked: parked.collect(),
        rules,
        truth,
    }
}

fn ids(tallies: &[Tally]) -> BTreeSet<&str> {
    tallies.iter().map(|tally| tally.rule.as_str()).collect()
}

fn severities(tallies: &[Tally]) -> BTreeMap<Severity, u64> {
    let mut severities = BTreeMap::new();
    for tally in tallies {
        *severities.entry(tally.severity).or_default() += tally.findings;
    }
    severities
}

fn cpu_seconds(tallies: &[Tally]) -> f64 {
    rounded(tallies.iter().map(|tally| tally.busy).sum::<Duration>().as_secs_f64())
}

/// Days that the spans cover together.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(super) fn days(spans: &[Span]) -> f64 {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let (mut covered, mut reached) = (0_i128, i64::MIN);
    for (first, last) in spans {
        let begin = i128::from(first.0.max(reached));
        covered += (i128::from(last.0) - begin).max(0);
        reached = reached.max(last.0);
    }
    covered as f64 / 86_400e9
}

/// The most memory that this process had resident, where `/proc` tells it.
fn peak_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_days_count_overlaps_once_and_gaps_not_at_all() {
        let day = |day: i64| Instant(day * 86_400_000_000_000);
        let covered = |spans: &[(i64, i64)]| days(&spans.iter().map(|(a, b)| (day(*a), day(*b))).collect::<Vec<_>>());
        assert!((covered(&[(0, 2), (1, 3), (10, 11)]) - 4.0).abs() < 1e-9);
        assert!((covered(&[(5, 6), (0, 9)]) - 9.0).abs() < 1e-9);
        assert!(covered(&[(4, 4)]).abs() < 1e-9);
    }
}
