//! What another pack finds over the same events and the first does not (+), and what only the first finds (−).
//!
//! A finding is the same when rule, system, entity and anchor are; a new version of a rule does not make it another one.
//! The two packs may decide on an anchor at different times, so what only one has found so far is held until the end or
//! until the other finds it too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::ensure;
use keywatch_store::{EventId, Finding, Instant};
use serde::Serialize;

use crate::limits::BACKTEST_DIFFERENCES_MAX;

/// Which pack found something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Side {
    /// The other pack alone.
    #[serde(rename = "+")]
    Added,
    /// The first pack alone.
    #[serde(rename = "-")]
    Removed,
}

impl Side {
    /// `+` or `-`.
    pub(super) fn symbol(self) -> char {
        match self {
            Side::Added => '+',
            Side::Removed => '-',
        }
    }
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Packs {
    /// In both packs.
    Both,
    /// In the first only.
    First,
    /// In the other only.
    Other,
}

/// A finding that only one pack has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Example {
    /// `+` or `-`.
    pub(super) sign: Side,
    /// Log time of the anchor.
    pub(super) time: Instant,
    /// The trusted environment.
    pub(super) system: String,
    /// What it is about.
    pub(super) entity: String,
    /// The anchor.
    pub(super) event_id: EventId,
}

/// How the two packs differ in one rule.
#[derive(Debug, Serialize)]
pub(super) struct RuleDiff {
    /// Rule id.
    pub(super) rule: String,
    /// Which packs have it.
    pub(super) packs: Packs,
    /// Findings of both.
    pub(super) kept: u64,
    /// Findings of the other pack alone.
    pub(super) added: u64,
    /// Findings of the first pack alone.
    pub(super) removed: u64,
    /// The first of each in log time.
    pub(super) examples: Vec<Example>,
}

impl RuleDiff {
    /// Whether the packs differ in this rule, be it only that one lacks it.
    pub(super) fn is_difference(&self) -> bool {
        self.packs != Packs::Both || self.added + self.removed > 0
    }
}

/// The comparison under way.
#[derive(Default)]
pub(super) struct Diff {
    held: HashMap<(String, String, String, EventId), (Side, Instant)>,
    kept: BTreeMap<String, u64>,
}

impl Diff {
    /// Takes in what one pack found.
    ///
    /// # Errors
    /// The packs differ in too many findings to hold.
    pub(super) fn add(&mut self, side: Side, findings: &[Finding]) -> anyhow::Result<()> {
        for finding in findings {
            let key = (finding.rule.clone(), finding.system.clone(), finding.entity.clone(), finding.anchor);
            match self.held.get(&key) {
                Some((held, _)) if *held != side => {
                    self.held.remove(&key);
                    *self.kept.entry(key.0).or_default() += 1;
                }
                _ => {
                    self.held.insert(key, (side, finding.time));
                }
            }
        }
        ensure!(
            self.held.len() <= BACKTEST_DIFFERENCES_MAX,
            "the packs differ in more than {BACKTEST_DIFFERENCES_MAX} findings; compare fewer rules (--rule) or less history"
        );
        Ok(())
    }

    /// The difference by rule, with at most `examples` of each sign.
    pub(super) fn finish(self, first: &BTreeSet<&str>, other: &BTreeSet<&str>, examples: usize) -> Vec<RuleDiff> {
        let mut found: BTreeMap<String, Vec<Example>> = BTreeMap::new();
        for ((rule, system, entity, event_id), (sign, time)) in self.held {
            found.entry(rule).or_default().push(Example { sign, time, system, entity, event_id });
        }
        let of = |rule: &&str| {
            let mut all = found.remove(*rule).unwrap_or_default();
            all.sort();
            let added = all.partition_point(|example| example.sign == Side::Added);
            let (plus, minus) = all.split_at(added);
            let shown = plus.iter().take(examples).chain(minus.iter().take(examples));
            RuleDiff {
                rule: (*rule).to_owned(),
                packs: packs(first.contains(rule), other.contains(rule)),
                kept: self.kept.get(*rule).copied().unwrap_or_default(),
                added: plus.len() as u64,
                removed: minus.len() as u64,
                examples: shown.cloned().collect(),
            }
        };
        first.union(other).map(of).collect()
    }
}

fn packs(first: bool, other: bool) -> Packs {
    match (first, other) {
        (true, true) => Packs::Both,
        (true, false) => Packs::First,
        (false, _) => Packs::Other,
    }
}
