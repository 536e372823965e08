//! One alert: what its findings have in common, and what each adds to it.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::{AlertRecord, SOURCE, derive_id};
use crate::lifecycle::grounds::{Grounds, Unconfirmed};
use crate::lifecycle::handling::{Status, Verdict};
use crate::lifecycle::incident::Incident;
use crate::lifecycle::matcher::Matcher;
use crate::lifecycle::member::{Member, members};
use crate::limits::{ALERT_MEMBERS_MAX, ALERT_SOURCES_MAX};

/// An alert that further findings of the same rule and entity are counted on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// 32 hexadecimal digits.
    pub alert_id: String,
    /// The trusted environment.
    pub system: String,
    /// Rule id.
    pub rule: String,
    /// What it is about.
    pub entity: String,
    /// The incident it belongs to.
    pub incident: String,
    /// Worst severity of its findings.
    pub severity: Severity,
    /// Log time of the finding that opened it.
    pub opened: Instant,
    /// Log time until which further findings are counted on it.
    pub quiet_until: Instant,
    /// Log time of its last finding.
    pub last: Instant,
    /// How often its findings made its incident page.
    pub deliveries: u32,
    /// Findings that were merely counted.
    pub suppressed: u64,
    /// Wallets, destinations and sessions of its findings, each with its kind.
    pub members: BTreeSet<(Member, String)>,
    /// Title of its last finding that was not merely counted.
    pub title: String,
    /// The last finding that was not merely counted.
    pub finding: String,
    /// What that one names: what somebody who judges the alert has seen.
    pub sides: Matcher,
    /// Sources of the events that its findings hang on, each with the log times of the first and the last.
    pub anchors: BTreeMap<String, (Instant, Instant)>,
    /// What it turned out to be, once somebody has said so.
    pub verdict: Option<Verdict>,
    /// What its findings stand on of what chains said, and whether all of it was taken back.
    pub grounds: Grounds,
}

impl Alert {
    /// Before its first finding is taken in.
    pub(crate) fn begun(record: &AlertRecord) -> Alert {
        let finding = &record.finding;
        Alert {
            alert_id: record.alert_id.clone(),
            system: finding.system.clone(),
            rule: finding.rule.clone(),
            entity: finding.entity.clone(),
            incident: record.incident.clone(),
            severity: finding.severity,
            opened: finding.decided,
            quiet_until: finding.decided,
            deliveries: 0,
            suppressed: 0,
            members: BTreeSet::new(),
            last: finding.decided,
            title: finding.title.clone(),
            finding: finding.id.clone(),
            sides: Matcher::default(),
            anchors: BTreeMap::new(),
            verdict: None,
            grounds: Grounds::default(),
        }
    }

    /// Takes in a finding; one that is `suppressed` is merely counted.
    pub(crate) fn take_in(&mut self, record: &AlertRecord, suppressed: bool) {
        let finding = &record.finding;
        self.incident.clone_from(&record.incident);
        self.members.extend(members(finding).take(ALERT_MEMBERS_MAX.saturating_sub(self.members.len())));
        self.hangs_on(finding);
        self.last = self.last.max(finding.decided);
        self.severity = self.severity.max(finding.severity);
        if suppressed {
            self.suppressed += 1;
        } else {
            self.deliveries += u32::from(record.notify || record.due.is_some());
            self.quiet_until = finding.decided.saturating_add(finding.suppress_ns);
            self.title.clone_from(&finding.title);
            self.finding.clone_from(&finding.id);
            self.sides = Matcher::narrowest(finding);
        }
        let is_back = self.grounds.take_in(record.on_chain.as_ref());
        if record.notify || record.due.is_some() || is_back {
            self.verdict = None;
        }
    }

    /// Somebody says what it turned out to be; or keywatch does, since what it saw did not happen.
    pub(crate) fn judged(&mut self, verdict: Verdict, by: &str) {
        self.verdict = Some(verdict);
        if let Some(unconfirmed) = &mut self.grounds.unconfirmed {
            unconfirmed.is_resolved = by == SOURCE;
        }
    }

    /// Whether it was keywatch that resolved it, since what it saw is not on the chain: no person has judged it.
    #[must_use]
    pub fn is_closed_by_keywatch(&self) -> bool {
        self.verdict.is_some() && self.grounds.unconfirmed.as_ref().is_some_and(|unconfirmed| unconfirmed.is_resolved)
    }

    /// What it stands on was taken back, or stands again, from log time `at` on.
    pub(crate) fn stands(&mut self, at: Instant, unconfirmed: Option<Unconfirmed>) {
        if self.grounds.settle(at, unconfirmed) {
            self.verdict = None;
        }
    }

    fn hangs_on(&mut self, finding: &Finding) {
        let is_known = self.anchors.len() < ALERT_SOURCES_MAX || self.anchors.contains_key(&finding.source);
        // Beyond the limit, all others are one source that nobody declares anything about.
        let source = if is_known { finding.source.clone() } else { String::new() };
        let (first, last) = self.anchors.entry(source).or_insert((finding.time, finding.time));
        (*first, *last) = ((*first).min(finding.time), (*last).max(finding.time));
    }

    /// Where it stands: resolved once it has a verdict, else as its incident.
    #[must_use]
    pub fn status(&self, incident: &Incident) -> Status {
        if self.verdict.is_some() { Status::Resolved } else { incident.handling.status }
    }
}

/// The id of the alert that `finding` opens.
#[must_use]
pub(crate) fn alert_id(finding: &Finding) -> String {
    derive_id(&["alert", &finding.system, &finding.rule, &finding.entity, &finding.id])
}
