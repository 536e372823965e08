//! The figures of each rule: what it found and what it cost.

use std::cmp::Reverse;
use std::time::Duration;

use keywatch_store::Severity;
use serde::Serialize;

use super::Sort;
use super::figures::{float, rounded};
use super::pack::Tally;

/// The figures of one rule.
#[derive(Debug, Serialize)]
pub(super) struct RuleReport {
    /// Rule id.
    pub(super) rule: String,
    /// Its version.
    pub(super) version: u32,
    /// How bad its findings are.
    pub(super) severity: Severity,
    /// Findings.
    pub(super) findings: u64,
    /// Distinct entities among them.
    pub(super) entities: usize,
    /// Findings a day of log time; null when the history has no extent.
    pub(super) findings_per_day: Option<f64>,
    /// Share of the processor time of all rules, 0 to 1.
    pub(super) cpu_share: f64,
    /// Processor seconds.
    pub(super) cpu_seconds: f64,
    /// Rows inside frames, at its most.
    pub(super) state_rows: usize,
    /// Keys then.
    pub(super) state_keys: usize,
    /// Rows that waited for their frame to close then.
    pub(super) state_waiting: usize,
    /// Bytes of all that.
    pub(super) state_bytes: usize,
    /// Why it was parked; null when it was not.
    pub(super) parked: Option<String>,
}

/// The figures of all rules, sorted as asked for.
pub(super) fn rules(tallies: &[Tally], days: f64, sort: Sort) -> Vec<RuleReport> {
    let all: Duration = tallies.iter().map(|tally| tally.busy).sum();
    let mut sorted: Vec<&Tally> = tallies.iter().collect();
    match sort {
        Sort::Findings => sorted.sort_by_key(|tally| (Reverse(tally.findings), &tally.rule)),
        Sort::Cost => sorted.sort_by_key(|tally| (Reverse(tally.busy), &tally.rule)),
        Sort::Rule => sorted.sort_by_key(|tally| &tally.rule),
    }
    sorted.into_iter().map(|tally| rule(tally, days, all)).collect()
}

fn rule(tally: &Tally, days: f64, all: Duration) -> RuleReport {
    let share = if all.is_zero() { 0.0 } else { tally.busy.as_secs_f64() / all.as_secs_f64() };
    RuleReport {
        rule: tally.rule.clone(),
        version: tally.version,
        severity: tally.severity,
        findings: tally.findings,
        entities: tally.entities(),
        findings_per_day: (days > 0.0).then(|| rounded(float(tally.findings) / days)),
        cpu_share: rounded(share),
        cpu_seconds: rounded(tally.busy.as_secs_f64()),
        state_rows: tally.peak.rows,
        state_keys: tally.peak.keys,
        state_waiting: tally.peak.waiting,
        state_bytes: tally.peak.bytes,
        parked: tally.parked.clone(),
    }
}
