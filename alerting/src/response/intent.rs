//! A response: which sessions, people, devices, requests and wallets are to be stopped, why, and how far that has come.
//! Data only; [`crate::plan`] decides on it, [`crate::responder`] carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use keywatch_store::finding::Target;
use keywatch_store::{EventId, Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

/// Names to be revoked or quarantined, by section of the revocation document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Targets {
    /// Session ids.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub sessions: BTreeSet<String>,
    /// People.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub subjects: BTreeSet<String>,
    /// Device ids.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub devices: BTreeSet<String>,
    /// Signing requests.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub requests: BTreeSet<String>,
    /// Wallets.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub wallets: BTreeSet<String>,
}

/// The sections, in the order of the document.
pub const SECTIONS: [Target; 5] = [Target::Session, Target::Subject, Target::Device, Target::Request, Target::Wallet];

impl Targets {
    /// What the rule of `finding` asks for, as far as the finding names it.
    #[must_use]
    pub fn asked_by(finding: &Finding) -> Targets {
        let mut targets = Targets::default();
        for target in &finding.response {
            let name = match target {
                Target::Session => &finding.session,
                Target::Subject => &finding.actor,
                Target::Device => &finding.device,
                Target::Request => &finding.request,
                Target::Wallet => &finding.wallet,
            };
            if let Some(name) = name.as_ref().filter(|name| !name.trim().is_empty()) {
                targets.section_mut(*target).insert(name.clone());
            }
        }
        targets
    }

    /// The names of one section.
    #[must_use]
    pub fn section(&self, target: Target) -> &BTreeSet<String> {
        match target {
            Target::Session => &self.sessions,
            Target::Subject => &self.subjects,
            Target::Device => &self.devices,
            Target::Request => &self.requests,
            Target::Wallet => &self.wallets,
        }
    }

    fn section_mut(&mut self, target: Target) -> &mut BTreeSet<String> {
        match target {
            Target::Session => &mut self.sessions,
            Target::Subject => &mut self.subjects,
            Target::Device => &mut self.devices,
            Target::Request => &mut self.requests,
            Target::Wallet => &mut self.wallets,
        }
    }

    /// Every name with its section.
    pub fn iter(&self) -> impl Iterator<Item = (Target, &str)> {
        SECTIONS.into_iter().flat_map(|target| self.section(target).iter().map(move |name| (target, name.as_str())))
    }

    /// Sessions, people and devices in it: whom it keeps from working.
    #[must_use]
    pub fn cut_off(&self) -> usize {
        self.sessions.len() + self.subjects.len() + self.devices.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        SECTIONS.into_iter().all(|target| self.section(target).is_empty())
    }

    /// Takes in the names of `other`.
    pub fn extend(&mut self, other: &Targets) {
        for (target, name) in other.iter() {
            self.section_mut(target).insert(name.to_owned());
        }
    }

    /// The names for which `keep` holds.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(Target, &str) -> bool) -> Targets {
        let mut kept = Targets::default();
        for (target, name) in self.iter().filter(|(target, name)| keep(*target, name)) {
            kept.section_mut(target).insert(name.to_owned());
        }
        kept
    }
}

/// The word for one name of a section.
#[must_use]
pub fn word(target: Target) -> &'static str {
    match target {
        Target::Session => "session",
        Target::Subject => "subject",
        Target::Device => "device",
        Target::Request => "request",
        Target::Wallet => "wallet",
    }
}

/// One name of a section, as records name it.
#[must_use]
pub fn section_name(target: Target, name: &str) -> String {
    format!("{}/{name}", word(target))
}

/// One revocation, proposed or decided. It stands in the detail of every `response.*` record of its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// 32 hexadecimal digits, derived from the finding that caused it.
    #[serde(rename = "response_id")]
    pub id: String,
    /// The trusted environment.
    pub system: String,
    /// The alert it answers.
    pub alert_id: String,
    /// The incident of that alert.
    pub incident: String,
    /// The finding that caused it.
    pub finding_id: String,
    /// Rule of that finding.
    pub rule: String,
    /// Source of that finding.
    pub source: String,
    /// Severity of that finding.
    pub severity: Severity,
    /// The finding was late; such a proposal is never released without a person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// Log time at which the finding was settled.
    pub decided: Instant,
    /// Unix seconds of log time from which revoked sessions and cut-offs may be forgotten.
    pub sessions_until: i64,
    /// What is stopped.
    pub targets: Targets,
    /// The person whom the finding is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// It is proposed because a limit of what keywatch does alone is reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_limit: bool,
    /// Why keywatch acts alone, or why it does not.
    pub why: String,
    /// Proposals that this response carries out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub releases: Vec<String>,
    /// The person who approved it, where one had to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Log time at which the last of them did. A person who signed in again while it waited is cut off, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Instant>,
    /// The way that it goes, where that is not the decision point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

/// A way besides the decision point, and the response that it goes along with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Via {
    /// Its name, as configured.
    pub way: String,
    /// Id of the response at the decision point.
    pub of: String,
    /// What is asked for there.
    pub does: Does,
    /// It is gone because no replica of the decision point has taken the document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
}

/// What a way asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Does {
    /// The identity provider is to end sessions.
    EndSessions,
    /// The signer is to stop signing for wallets.
    FreezeSigner,
}

impl Response {
    /// Log time from which its names are stopped.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.approved.unwrap_or(self.decided)
    }
}

/// How far the effect of a revocation is confirmed. There is no degree between these, and none is said unprobed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degree {
    /// Besides denied: those who let sessions in said that every one of them is closed.
    ClosedAtPep,
    /// Besides denied: signatures were heard since, for a while, and none of a target.
    NoSignatureSince,
    /// Probes that name the targets are denied, a healthy control session is still allowed.
    DeniedAtPdp,
    /// The same, but they were denied before the document was published, too.
    AlreadyDenied,
    /// Published, and not shown to have an effect.
    Unconfirmed,
    /// The identity provider took it. That anything is denied since is not shown by that.
    AcceptedByIdentityProvider,
    /// The signer's service took it. That nothing is signed since is not shown by that.
    AcceptedBySigner,
}

impl Degree {
    /// The degree of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Degree> {
        let all = [
            Degree::ClosedAtPep,
            Degree::NoSignatureSince,
            Degree::DeniedAtPdp,
            Degree::AlreadyDenied,
            Degree::Unconfirmed,
            Degree::AcceptedByIdentityProvider,
            Degree::AcceptedBySigner,
        ];
        all.into_iter().find(|degree| degree.to_string() == name)
    }

    /// Whether somebody said yes, and nothing was probed.
    #[must_use]
    pub fn is_acceptance(self) -> bool {
        matches!(self, Degree::AcceptedByIdentityProvider | Degree::AcceptedBySigner)
    }
}

impl fmt::Display for Degree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Degree::ClosedAtPep => "closed_at_pep",
            Degree::NoSignatureSince => "no_signature_since",
            Degree::DeniedAtPdp => "denied_at_pdp",
            Degree::AlreadyDenied => "already_denied",
            Degree::Unconfirmed => "unconfirmed",
            Degree::AcceptedByIdentityProvider => "accepted_by_identity_provider",
            Degree::AcceptedBySigner => "accepted_by_signer",
        })
    }
}

/// How far a response has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Waits for a person.
    Proposed,
    /// A proposal that another response has taken over.
    Released,
    /// Decided, nothing done yet that the log knows of.
    Requested,
    /// The document with it was published.
    Published,
    /// A person decided against it.
    Rejected {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It was decided, and a person took it back.
    Undone {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Probed; on another way than the decision point: accepted there.
    Verified {
        /// With this result.
        degree: Degree,
        /// In words.
        reason: String,
    },
    /// It can never be carried out on its way; nobody tries any more.
    GivenUp {
        /// Why.
        reason: String,
    },
}

/// What probes answered before the document was published, by `section/name`, and whether the control was allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// The healthy control session was allowed.
    pub control: bool,
    /// Probe → allowed.
    pub probes: BTreeMap<String, bool>,
}

/// What a person may say on a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruled {
    /// It is to be carried out.
    Approved,
    /// It is not to be carried out.
    Rejected,
    /// It is to be taken back, once another person agrees.
    UndoAsked,
    /// It is taken back.
    Undone,
}

/// What a person said on a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// Log time.
    pub at: Instant,
    /// Who.
    pub by: String,
    /// What.
    pub ruled: Ruled,
    /// Why.
    pub reason: String,
}

/// What was heard since a response was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Aftermath {
    /// Log time at which probes were denied.
    pub verified: Option<Instant>,
    /// Sessions of it that were closed.
    pub closed: BTreeSet<String>,
    /// Log time of the last signature of anybody in the system.
    pub signer_heard: Option<Instant>,
    /// A signature of a target.
    pub signed: Option<EventId>,
    /// A decision that allowed a target something, with its log time.
    pub allowed: Option<(EventId, Instant)>,
    /// Degrees that are recorded.
    pub recorded: BTreeSet<Degree>,
}

/// A response and how far it has come, folded from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is to be done.
    pub response: Response,
    /// How far it has come.
    pub step: Step,
    /// Sequence number of the first document that holds it; 0 for a proposal.
    pub sequence: u64,
    /// What probes said before it was published, if that is known.
    pub before: Option<Before>,
    /// People who have approved it.
    #[serde(default)]
    pub approvals: BTreeSet<String>,
    /// People who want it taken back.
    #[serde(default)]
    pub undo_asked: BTreeSet<String>,
    /// What people said on it, the oldest first.
    #[serde(default)]
    pub rulings: Vec<Ruling>,
    /// What came after it was probed.
    #[serde(default)]
    pub aftermath: Aftermath,
    /// Attempts that failed.
    pub failures: u32,
    /// Why the last attempt failed.
    pub failed_because: Option<String>,
    /// Names, as `section/name`, that its way has taken while others failed.
    #[serde(default)]
    pub accepted: BTreeSet<String>,
}

impl Progress {
    /// Decided and not yet probed: to be taken up again after a restart.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.step, Step::Requested | Step::Published)
    }

    /// Waits for a person.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.step == Step::Proposed
    }

    /// It is to be carried out, or was.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        matches!(self.step, Step::Requested | Step::Published | Step::Verified { .. })
    }

    /// Its names stand in the document of the decision point.
    #[must_use]
    pub fn is_in_document(&self) -> bool {
        self.is_decided() && self.response.via.is_none()
    }

    /// It is decided and was tried, and no replica of the decision point has the document.
    #[must_use]
    pub fn reached_nobody(&self) -> bool {
        self.response.via.is_none() && self.step == Step::Requested && self.failures > 0
    }

    /// One word for where it stands.
    #[must_use]
    pub fn status(&self) -> String {
        match &self.step {
            Step::Proposed => "proposed".to_owned(),
            Step::Released => "released".to_owned(),
            Step::Rejected { .. } => "rejected".to_owned(),
            Step::Undone { .. } => "undone".to_owned(),
            Step::Requested | Step::Published if self.failures > 0 => "failed".to_owned(),
            Step::Requested | Step::Published => "requested".to_owned(),
            Step::Verified { degree, .. } => degree.to_string(),
            Step::GivenUp { .. } => "given_up".to_owned(),
        }
    }
}
