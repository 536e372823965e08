//! The figures of the labels: recall, precision, time to detect.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::figures::{per, rounded};
use super::reading::{Read, Span};
use super::truth::{Attack, Score, Share, Sighting, Truth, is_within};
use crate::limits::BACKTEST_MISSED_SHOWN_MAX;

/// What a pack made of the labelled attacks.
#[derive(Debug, Serialize)]
pub(super) struct Detection {
    /// All attacks that the history reaches.
    #[serde(flatten)]
    pub(super) all: Scenario,
    /// Attacks of other systems or times.
    pub(super) outside: u64,
    /// Share of findings that belong to an attack; null without findings.
    pub(super) precision: Option<f64>,
    /// Findings that belong to no attack.
    pub(super) false_findings: u64,
    /// All findings for 1,000 events `session.started`; null without sessions.
    pub(super) findings_per_1000_sessions: Option<f64>,
    /// Those of them that belong to no attack.
    pub(super) false_findings_per_1000_sessions: Option<f64>,
    /// By scenario.
    pub(super) scenarios: BTreeMap<String, Scenario>,
    /// By rule that found something.
    pub(super) rules: BTreeMap<String, RuleScore>,
}

/// Attacks of one scenario.
#[derive(Debug, Default, Serialize)]
pub(super) struct Scenario {
    /// How many there are.
    pub(super) attacks: u64,
    /// How many were seen.
    pub(super) seen: u64,
    /// How many were seen by a rule that their label names.
    pub(super) seen_by_named_rule: u64,
    /// Share of attacks that were seen; null without attacks.
    pub(super) recall: Option<f64>,
    /// Findings that belong to them, one that belongs to several counted for each.
    pub(super) findings: u64,
    /// Seconds from an attack's beginning to the first decision; null when none was seen.
    pub(super) seconds_to_detect: Option<Quantiles>,
    /// Ids of those that nothing saw, the first of them.
    pub(super) missed: Vec<String>,
    #[serde(skip)]
    nanoseconds: Vec<i64>,
}

/// Nearest-rank quantiles, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Quantiles {
    /// Half are as fast.
    pub(super) p50: f64,
    /// 99 of 100 are as fast.
    pub(super) p99: f64,
    /// The slowest.
    pub(super) max: f64,
}

/// A rule held against the labels.
#[derive(Debug, Serialize)]
pub(super) struct RuleScore {
    /// Its findings.
    pub(super) findings: u64,
    /// Those that belong to an attack.
    pub(super) of_attacks: u64,
    /// Their share.
    pub(super) precision: Option<f64>,
}

/// The figures of a score.
pub(super) fn detection(truth: &Truth, score: &Score, read: &Read) -> Detection {
    let (mut all, mut scenarios, mut outside) = (Scenario::default(), BTreeMap::<String, Scenario>::new(), 0);
    for (attack, sighting) in truth.attacks.iter().zip(&score.sightings) {
        if !is_reached(attack, sighting, &read.systems) {
            outside += 1;
            continue;
        }
        all.add(attack, sighting);
        scenarios.entry(attack.scenario.clone()).or_default().add(attack, sighting);
    }
    all.settle();
    scenarios.values_mut().for_each(Scenario::settle);
    let sum = |of: fn(&Share) -> u64| score.shares.values().map(of).sum::<u64>();
    let (findings, of_attacks) = (sum(|share| share.findings), sum(|share| share.of_attacks));
    let false_findings = findings - of_attacks;
    Detection {
        all,
        outside,
        precision: per(of_attacks, findings),
        false_findings,
        findings_per_1000_sessions: per(findings * 1000, read.sessions),
        false_findings_per_1000_sessions: per(false_findings * 1000, read.sessions),
        scenarios,
        rules: score.shares.iter().map(|(rule, share)| (rule.clone(), precision(share))).collect(),
    }
}

/// An attack that a finding belongs to is in the history, whatever its times say.
fn is_reached(attack: &Attack, sighting: &Sighting, systems: &HashMap<String, Span>) -> bool {
    sighting.findings > 0 || is_within(attack, systems)
}

fn precision(share: &Share) -> RuleScore {
    let Share { findings, of_attacks } = *share;
    RuleScore { findings, of_attacks, precision: per(of_attacks, findings) }
}

impl Scenario {
    fn add(&mut self, attack: &Attack, sighting: &Sighting) {
        self.attacks += 1;
        self.findings += sighting.findings;
        self.seen_by_named_rule += u64::from(!attack.rules.is_disjoint(&sighting.rules));
        match sighting.decided {
            // What belongs by evidence may be older than the label says the attack is.
            Some(decided) => self.nanoseconds.push(decided.0.saturating_sub(attack.from.0).max(0)),
            None if self.missed.len() < BACKTEST_MISSED_SHOWN_MAX => self.missed.push(attack.id.clone()),
            None => {}
        }
    }

    fn settle(&mut self) {
        self.nanoseconds.sort_unstable();
        self.seen = self.nanoseconds.len() as u64;
        self.recall = per(self.seen, self.attacks);
        self.seconds_to_detect = quantiles(&self.nanoseconds);
    }
}

fn quantiles(sorted: &[i64]) -> Option<Quantiles> {
    let max = sorted.last()?;
    let at = |percent: usize| seconds(sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]);
    Some(Quantiles { p50: at(50), p99: at(99), max: seconds(*max) })
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn seconds(nanoseconds: i64) -> f64 {
    rounded(nanoseconds as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let seconds = |seconds: i64| seconds * 1_000_000_000;
        assert_eq!(quantiles(&[]), None);
        assert_eq!(quantiles(&[seconds(3)]), Some(Quantiles { p50: 3.0, p99: 3.0, max: 3.0 }));
        let hundred: Vec<i64> = (1..=100).map(seconds).collect();
        assert_eq!(quantiles(&hundred), Some(Quantiles { p50: 50.0, p99: 99.0, max: 100.0 }));
        assert_eq!(quantiles(&hundred[..3]), Some(Quantiles { p50: 2.0, p99: 3.0, max: 3.0 }));
    }
}
