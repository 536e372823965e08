//! A finding: what a rule concluded about one anchor event. Made by `detectors`, judged by `alerting`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{EventId, Instant};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Look at it some day.
    Low,
    /// Look at it today.
    Medium,
    /// Look at it now.
    High,
    /// Money is leaving or about to.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        })
    }
}

/// What a rule asks to be revoked or quarantined when its finding stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The session of the finding.
    Session,
    /// The person of the finding.
    Subject,
    /// The device of the finding.
    Device,
    /// The signing request of the finding.
    Request,
    /// The wallet of the finding.
    Wallet,
}

/// Whether a finding may be acted upon without a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Proof {
    /// The evidence proves itself whoever delivered it, e.g. a signature that recovers to somebody else.
    Itself,
    /// It needs a second, independent trust group that agrees.
    #[default]
    Corroborated,
}

/// What a rule concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// 32 hexadecimal digits: hash of rule, version, system, entity and anchor.
    pub id: String,
    /// Rule id, `family/name`.
    pub rule: String,
    /// Rule version.
    pub version: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The trusted environment.
    pub system: String,
    /// What it is about; alerts deduplicate by rule and entity.
    pub entity: String,
    /// The event it hangs on.
    pub anchor: EventId,
    /// Log time of the anchor.
    pub time: Instant,
    /// Log time of the record that settled it (the same as `time` unless a frame looks ahead).
    pub decided: Instant,
    /// The title, with the facts filled in.
    pub title: String,
    /// Why it matters, from the rule.
    pub meaning: String,
    /// What to do, from the rule.
    pub runbook: String,
    /// The authenticated source of the anchor.
    pub source: String,
    /// The anchor was late; it pages but never revokes by itself.
    pub late: bool,
    /// Who, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Session, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Device, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Wallet, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<String>,
    /// Signing request, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Transaction, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tx: Option<String>,
    /// Base units, if the rule shows an amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// Effective destination, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_address: Option<String>,
    /// Events that prove it, the anchor first.
    pub evidence: Vec<EventId>,
    /// The rule's other columns, as text.
    pub facts: BTreeMap<String, String>,
    /// What the rule asks to be revoked.
    pub response: Vec<Target>,
    /// Whether it may be acted upon without a person.
    pub proof: Proof,
    /// Log time, in nanoseconds, over which further findings of the same rule and entity are counted, not told.
    pub suppress_ns: i64,
}

impl Finding {
    /// A finding about one event alone: of version 1, decided at once, its source and texts empty. It names nobody, asks for
    /// nothing to be revoked, and every repeat of it is told.
    #[must_use]
    pub fn about(
        rule: &str,
        severity: Severity,
        system: &str,
        entity: &str,
        anchor: EventId,
        time: Instant,
    ) -> Finding {
        Finding {
            id: Finding::derive_id(rule, 1, system, entity, anchor),
            rule: rule.to_owned(),
            version: 1,
            severity,
            system: system.to_owned(),
            entity: entity.to_owned(),
            anchor,
            time,
            decided: time,
            title: String::new(),
            meaning: String::new(),
            runbook: String::new(),
            source: String::new(),
            late: false,
            actor: None,
            session: None,
            device: None,
            wallet: None,
            request: None,
            tx: None,
            amount: None,
            to_address: None,
            evidence: vec![anchor],
            facts: BTreeMap::new(),
            response: Vec::new(),
            proof: Proof::Corroborated,
            suppress_ns: 0,
        }
    }

    /// The id of what is concluded: it depends on the log alone, so deriving it twice gives the same.
    #[must_use]
    pub fn derive_id(rule: &str, version: u32, system: &str, entity: &str, anchor: EventId) -> String {
        let text = format!("{rule}\0{version}\0{system}\0{entity}\0{anchor}");
        hex::encode(&Sha256::digest(text.as_bytes())[..16])
    }
}
