//! After a start the rules go over what earlier runs of the process have seen: which gaps those left, and what was found
//! in them now.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use keywatch_detectors::Skipped;
use keywatch_store::{Event, EventId, Log, Position};

use crate::service::evaluation::rule_records::{self, OpenGaps};

/// While those records are gone through.
pub(super) struct CatchUp {
    /// Where the log ended when it was opened.
    until: Position,
    gaps: OpenGaps,
    /// Findings that no run had acted upon, by rule.
    findings: BTreeMap<String, usize>,
    /// Records `rule.skipped` that are due and have not come yet.
    skipped: Vec<Event>,
}

impl CatchUp {
    /// For a log that ended there when it was opened.
    pub(super) fn new(until: Position) -> CatchUp {
        CatchUp { until, gaps: OpenGaps::default(), findings: BTreeMap::new(), skipped: Vec::new() }
    }

    /// Where the log ended when it was opened.
    pub(super) fn until(&self) -> Position {
        self.until
    }

    /// Whether rules that have seen all before `position` have seen what earlier runs have.
    pub(super) fn is_over(&self, position: Position) -> bool {
        self.until <= position
    }

    /// Learns what earlier runs wrote; `skipped` are records that rules went on without in this run.
    pub(super) fn observe(&mut self, events: &[Event], skipped: &[Skipped]) {
        self.gaps.observe(events);
        self.skipped.extend(rule_records::skipped(skipped));
        if !self.skipped.is_empty() {
            let written =
                events.iter().filter(|event| event.kind() == "rule.skipped").map(keywatch_store::Event::event_id);
            let written: HashSet<EventId> = written.collect();
            self.skipped.retain(|record| !written.contains(&record.event_id()));
        }
    }

    /// A finding of the rule that no run had acted upon.
    pub(super) fn found(&mut self, rule: &str) {
        *self.findings.entry(rule.to_owned()).or_default() += 1;
    }

    /// Records `rule.skipped` that no run has written.
    pub(super) fn take_skipped(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.skipped)
    }

    /// Records `rule.resumed` for the gaps of rules that `is_filled` says are evaluated, which have seen all before `to`.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn resumed(
        mut self,
        log: &dyn Log,
        to: Position,
        is_filled: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<Event>> {
        let mut records = Vec::new();
        for gap in self.gaps.filled(is_filled) {
            let findings = self.findings.get(&gap.rule).copied().unwrap_or(0);
            records.extend(rule_records::resumed(&gap, log, to, findings, &BTreeSet::new())?);
        }
        Ok(records)
    }
}
