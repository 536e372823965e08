//! When an incident pages: once at first, then again when it gets worse. Pure: what was told, and a finding, give whether
//! people are told now, later or not.
//!
//! What makes it worse is told at once where the severity rises, where the incident goes on after somebody took it up, or
//! where a person has to decide. Anything else waits until [`GATHER_NS`] after the last page, and is then told together: ten
//! findings of one theft are one page, and none of them is left out.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::{AlertRecord, Cause, SOURCE};
use crate::lifecycle::handling::Status;
use crate::lifecycle::member::{Member, amount, members};
use crate::lifecycle::pairs;
use crate::limits::{GATHER_NS, INCIDENT_MEMBERS_MAX};

/// What people were told of an incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// How often people were told.
    pub pages: u32,
    /// Log time of the finding or of the end of the wait that they were told at last.
    pub last: Option<Instant>,
    /// Worst severity told.
    pub told: Option<Severity>,
    /// Wallets, destinations and sessions told, each with the worst severity it was told with.
    #[serde(with = "pairs")]
    members: BTreeMap<(Member, String), Severity>,
    /// Largest amount told, by asset; base units of different assets are not compared.
    amounts: BTreeMap<String, i128>,
    /// What waits to be told.
    pub waiting: Option<Box<Waiting>>,
}

/// News that wait to be told together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Log time from which on they are told.
    pub due: Instant,
    /// Everything that made it worse.
    pub causes: BTreeSet<Cause>,
    /// The worst of the findings, the latest of those.
    pub record: AlertRecord,
}

/// What is to be told of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// Nothing: it is in the incident, and nothing is worse than was told.
    No,
    /// Now, for these causes; none for the first page.
    Now(BTreeSet<Cause>),
    /// Together with what else comes until then.
    Later(BTreeSet<Cause>, Instant),
}

/// What beside the finding bears on whether it is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Where the incident stands; `None` where the finding begins one.
    pub(crate) status: Option<Status>,
    /// The finding is no repetition: its rule and entity have no alert that still counts.
    pub(crate) news: bool,
    /// keywatch responds to it.
    pub(crate) responded: bool,
    /// A person has to approve the response.
    pub(crate) proposed: bool,
}

impl Paging {
    /// Whether and when people are told of the finding, that may be told at all.
    pub(crate) fn judge(&self, finding: &Finding, circumstances: Circumstances) -> Page {
        let Some(last) = self.last else { return Page::Now(BTreeSet::new()) };
        let causes = self.causes(finding, last, circumstances);
        if causes.is_empty() {
            return Page::No;
        }
        let at_once = [Cause::Severity, Cause::Continues, Cause::Reopened, Cause::Keywatch];
        let urgent = circumstances.proposed || causes.iter().any(|cause| at_once.contains(cause));
        let due = last.saturating_add(GATHER_NS);
        if urgent || (self.waiting.is_none() && due <= finding.decided) {
            let waited = self.waiting.iter().flat_map(|waiting| waiting.causes.iter().copied());
            return Page::Now(causes.into_iter().chain(waited).collect());
        }
        Page::Later(causes, due)
    }

    fn causes(&self, finding: &Finding, last: Instant, circumstances: Circumstances) -> BTreeSet<Cause> {
        let mut causes = BTreeSet::new();
        let told = self.told.unwrap_or(Severity::Info);
        if finding.severity > told {
            causes.insert(Cause::Severity);
        }
        match circumstances.status {
            Some(Status::Resolved) => {
                causes.insert(Cause::Reopened);
            }
            Some(Status::Acknowledged) if finding.severity == Severity::Critical => {
                causes.insert(Cause::Continues);
            }
            _ => {}
        }
        if circumstances.proposed {
            causes.insert(Cause::Response);
        }
        // That a response has no effect, say, is no repetition of what it was to stop.
        if finding.source == SOURCE && circumstances.news {
            causes.insert(Cause::Keywatch);
        }
        // What is worth less than the incident is told with it and does not page by itself.
        if finding.severity < told.min(Severity::High) {
            return causes;
        }
        let joins = |member: &(Member, String)| self.members.get(member).is_none_or(|told| *told < finding.severity);
        causes.extend(members(finding).filter(joins).map(|(member, _)| match member {
            Member::Wallet => Cause::Wallet,
            Member::Destination => Cause::Destination,
            Member::Session => Cause::Session,
        }));
        let told_amount = self.amounts.get(asset(finding)).copied().unwrap_or(0);
        if amount(finding).is_some_and(|amount| amount > 0 && amount >= told_amount.saturating_mul(2)) {
            causes.insert(Cause::Amount);
        }
        if circumstances.responded {
            causes.insert(Cause::Response);
        }
        let quiet_until = last.saturating_add(finding.suppress_ns.max(GATHER_NS));
        if circumstances.news && circumstances.status == Some(Status::Open) && quiet_until <= finding.decided {
            causes.insert(Cause::Unanswered);
        }
        causes
    }

    /// A page about this finding stands in the log.
    pub(crate) fn told(&mut self, record: &AlertRecord) {
        self.note(&record.finding);
        self.pages += 1;
        let at = record.paged.unwrap_or(record.finding.decided);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.waiting = None;
    }

    /// The finding waits to be told. What it says counts as told: it will be.
    pub(crate) fn wait(&mut self, record: AlertRecord, due: Instant) {
        self.note(&record.finding);
        let causes: BTreeSet<Cause> = record.causes.iter().copied().collect();
        match &mut self.waiting {
            Some(waiting) => {
                waiting.causes.extend(causes);
                let before = &waiting.record;
                // Whoever was to be told of either is told of both.
                let tells = record.joined_by(&before.destinations, &before.escalations);
                if record.finding.severity >= waiting.record.finding.severity {
                    waiting.record = record;
                }
                (waiting.record.destinations, waiting.record.escalations) = tells;
            }
            None => self.waiting = Some(Box::new(Waiting { due, causes, record })),
        }
    }

    fn note(&mut self, finding: &Finding) {
        self.told = self.told.max(Some(finding.severity));
        for member in members(finding) {
            // Beyond the limit a new one pages each time it comes: better once too often than never.
            if self.members.len() < INCIDENT_MEMBERS_MAX || self.members.contains_key(&member) {
                let told = self.members.entry(member).or_insert(finding.severity);
                *told = (*told).max(finding.severity);
            }
        }
        if let Some(amount) = amount(finding)
            && (self.amounts.len() < INCIDENT_MEMBERS_MAX || self.amounts.contains_key(asset(finding)))
        {
            let told = self.amounts.entry(asset(finding).to_owned()).or_insert(amount);
            *told = (*told).max(amount);
        }
    }

    /// Takes in what was told of an incident that turned out to be the same.
    pub(crate) fn absorb(&mut self, other: &Paging) {
        self.pages += other.pages;
        self.last = self.last.max(other.last);
        self.told = self.told.max(other.told);
        for (member, severity) in &other.members {
            let told = self.members.entry(member.clone()).or_insert(*severity);
            *told = (*told).max(*severity);
        }
        for (asset, amount) in &other.amounts {
            let told = self.amounts.entry(asset.clone()).or_insert(*amount);
            *told = (*told).max(*amount);
        }
        if let Some(waiting) = &other.waiting {
            let (record, due) = (waiting.record.clone(), waiting.due);
            self.wait(AlertRecord { causes: waiting.causes.iter().copied().collect(), ..record }, due);
        }
    }

    /// Key of the next page of incident `id`: the first has the incident's own.
    pub(crate) fn next_key(&self, id: &str) -> String {
        if self.pages == 0 { id.to_owned() } else { format!("{id}-{}", self.pages) }
    }
}

/// What the amount of a finding is counted in, as far as its rule says.
fn asset(finding: &Finding) -> &str {
    finding.facts.get("asset").map_or("", String::as_str)
}
