//! What of an incident belongs on one screen: the records that money follows, the first finding of each rule before the
//! loss, and what was done about it. The rest is counted. With everything asked for, nothing is left out.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Finding, Instant};

/// Decides what is shown, and keeps count of what is not.
pub(crate) struct Storyline {
    everything: bool,
    lost_at: Instant,
    /// Rules whose first finding was shown.
    rules: BTreeSet<String>,
    /// Findings of those rules that were not shown.
    repeated: usize,
    /// Findings after the loss, by rule.
    late: BTreeMap<String, usize>,
    /// What was said to be done.
    done: BTreeSet<String>,
    /// When the last line was shown.
    shown_at: Instant,
}

impl Storyline {
    /// Of an incident that begins and loses its money then.
    pub(crate) fn new(everything: bool, begins: Instant, lost_at: Instant) -> Storyline {
        let (rules, late, done) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Storyline { everything, lost_at, rules, repeated: 0, late, done, shown_at: begins }
    }

    /// Whether a record is shown; `found` says that a finding came of it.
    pub(crate) fn shows(&self, event: &Event, found: bool) -> bool {
        let matters = match event.kind() {
            "decision" | "custody.request" | "signing.requested" | "signing.signed" | "chain.tx" | "chain.transfer"
            | "chain.contract" => true,
            "signing.approved" => event.outcome() == Some("mismatch"),
            _ => found,
        };
        self.everything || matters
    }

    /// Whether a finding is shown.
    pub(crate) fn tells(&mut self, finding: &Finding) -> bool {
        if self.everything {
            return true;
        }
        if finding.decided >= self.lost_at {
            *self.late.entry(finding.rule.clone()).or_default() += 1;
            return false;
        }
        let is_first = self.rules.insert(finding.rule.clone());
        self.repeated += usize::from(!is_first);
        is_first
    }

    /// Whether it was not said before that this was done.
    pub(crate) fn is_news(&mut self, done: &str) -> bool {
        self.done.insert(done.to_owned()) || self.everything
    }

    /// Since when nothing was shown, at a line that is shown now.
    pub(crate) fn since(&mut self, now: Instant) -> Instant {
        std::mem::replace(&mut self.shown_at, now)
    }

    /// Findings before the loss that were not shown, as their rules were, and those after it by rule.
    pub(crate) fn left_out(&self) -> (usize, &BTreeMap<String, usize>) {
        (self.repeated, &self.late)
    }
}
