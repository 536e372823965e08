//! Findings as people are told of them: an alert is a finding about whose rule, system and entity nothing was told lately.
//!
//! Kept as alerting keeps it (`suppress_for` from the finding that was told on), without what only a policy can say: a
//! destination, an acknowledgement, an alert that is told again because it grew.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Finding, Instant, Severity};
use serde::Serialize;

use crate::limits::BACKTEST_ENTITIES_MAX;

const WEEK_NS: i64 = 7 * 86_400 * SECOND_NS;

/// Alerts of a pass over the history.
#[derive(Default)]
pub(super) struct Alerts {
    begin: Option<Instant>,
    /// Until when nothing further is told, by rule, system and entity.
    quiet_until: HashMap<u64, Instant>,
    counts: BTreeMap<(String, String, Severity, i64), u64>,
}

/// Alerts of one rule in one week of one system.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct AlertCount {
    /// Trusted environment.
    pub(super) system: String,
    /// Rule id.
    pub(super) rule: String,
    /// How bad.
    pub(super) severity: Severity,
    /// Weeks of log time since the first event, from 0.
    pub(super) week: i64,
    /// How many.
    pub(super) alerts: u64,
}

impl Alerts {
    /// Takes in what a pack found in some events. Beyond the limit of entities every finding counts.
    pub(super) fn add(&mut self, events: &[Event], findings: &[Finding]) {
        let first = events.first().map(Event::time);
        let begin = *self.begin.get_or_insert(first.unwrap_or_default());
        for finding in findings {
            let name = name(finding);
            if self.quiet_until.get(&name).is_some_and(|until| finding.decided < *until) {
                continue;
            }
            if self.quiet_until.len() < BACKTEST_ENTITIES_MAX || self.quiet_until.contains_key(&name) {
                self.quiet_until.insert(name, finding.decided.saturating_add(finding.suppress_ns));
            }
            let week = finding.decided.0.saturating_sub(begin.0) / WEEK_NS;
            let key = (finding.system.clone(), finding.rule.clone(), finding.severity, week);
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// The counts, by system and rule.
    pub(super) fn finish(self) -> Vec<AlertCount> {
        let counts = self.counts.into_iter();
        counts
            .map(|((system, rule, severity, week), alerts)| AlertCount { system, rule, severity, week, alerts })
            .collect()
    }
}

fn name(finding: &Finding) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&finding.system, &finding.rule, &finding.entity).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(entity: &str, hour: i64, severity: &str) -> Finding {
        let time = Instant(hour * 3_600 * SECOND_NS);
        serde_json::from_value(serde_json::json!({
            "id": "1", "rule": "f/r", "version": 1, "severity": severity, "system": "s", "entity": entity,
            "anchor": "00".repeat(16), "time": time, "decided": time, "title": "", "meaning": "", "runbook": "",
            "source": "", "late": false, "evidence": [], "facts": {}, "response": [], "proof": "itself",
            "suppress_ns": 2 * 3_600 * SECOND_NS,
        }))
        .unwrap()
    }

    #[test]
    fn what_follows_within_the_time_of_suppression_is_no_further_alert() {
        let mut alerts = Alerts::default();
        let found = [("a", 0, "high"), ("a", 1, "high"), ("a", 2, "high"), ("b", 1, "high"), ("a", 170, "low")];
        alerts.add(&[], &found.map(|(entity, hour, severity)| finding(entity, hour, severity)));
        let count = |severity, week, alerts| AlertCount {
            system: "s".to_owned(),
            rule: "f/r".to_owned(),
            severity,
            week,
            alerts,
        };
        assert_eq!(alerts.finish(), [count(Severity::Low, 1, 1), count(Severity::High, 0, 3)]);
    }
}
