//! What of an incident belongs on one screen: what happened to the payments and wallets that something was found about, the
//! first finding of each rule before the loss, and what was done. Ordinary business is held back until something is found
//! about it. The rest is counted. With everything asked for, nothing is left out.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, Finding, Instant, Inventory};

/// Decides what is shown, and keeps count of what is not.
pub(crate) struct Storyline {
    everything: bool,
    /// What the amounts of its assets are called.
    inventory: Inventory,
    lost_at: Instant,
    /// Payments and wallets that something was found about.
    suspects: BTreeSet<String>,
    /// What happened to the other payments, with what the decision point says to it now.
    held: BTreeMap<String, Vec<(Event, Option<bool>)>>,
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
    pub(crate) fn new(everything: bool, inventory: Inventory, begins: Instant, lost_at: Instant) -> Storyline {
        Storyline {
            everything,
            inventory,
            lost_at,
            suspects: BTreeSet::new(),
            held: BTreeMap::new(),
            rules: BTreeSet::new(),
            repeated: 0,
            late: BTreeMap::new(),
            done: BTreeSet::new(),
            shown_at: begins,
        }
    }

    /// What is declared about the robbed.
    pub(crate) fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Something was found; what was held back of the payments that it names, to be shown before it.
    pub(crate) fn suspect<'a>(&mut self, findings: impl Iterator<Item = &'a Finding>) -> Vec<(Event, Option<bool>)> {
        let mut before = Vec::new();
        for name in findings.flat_map(|finding| [&finding.request, &finding.wallet]).flatten() {
            self.suspects.insert(name.clone());
            before.extend(self.held.remove(name).unwrap_or_default());
        }
        before
    }

    /// Whether a record is shown; `found` says that a finding came of it. One that is not may be held back.
    pub(crate) fn shows(&mut self, event: &Event, decision_now: Option<bool>, found: bool) -> bool {
        let matters = match event.kind() {
            "decision" | "custody.request" | "signing.requested" | "signing.signed" | "chain.tx" | "chain.transfer"
            | "chain.contract" => true,
            "signing.approved" => event.outcome() == Some("mismatch"),
            _ => false,
        };
        let suspect = |name: Option<&str>| name.is_some_and(|name| self.suspects.contains(name));
        if self.everything || found || (matters && (suspect(event.request()) || suspect(event.wallet()))) {
            return true;
        }
        if let Some(request) = event.request().filter(|_| matters) {
            self.held.entry(request.to_owned()).or_default().push((event.clone(), decision_now));
        }
        false
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
        let since = self.shown_at;
        self.shown_at = since.max(now);
        since
    }

    /// Findings before the loss that were not shown, as their rules were, and those after it by rule.
    pub(crate) fn left_out(&self) -> (usize, &BTreeMap<String, usize>) {
        (self.repeated, &self.late)
    }
}
