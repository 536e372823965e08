//! What [`crate::plan`] decides. Each action carries all that its execution and its record need.

use std::collections::BTreeSet;
use std::fmt;

use keywatch_store::{EventId, Finding, Instant};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::policy::routes::Escalation;
use crate::response::intent::Response;

/// The source under which keywatch's own records stand.
pub const SOURCE: &str = "keywatch";

/// One thing to be done about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something new; people are told where its incident pages.
    OpenAlert(AlertRecord),
    /// The open alert has made its incident worse: people are told again, at once or a little later.
    UpdateAlert(AlertRecord),
    /// Count the finding on its open alert.
    Suppress(AlertRecord),
    /// Tell every destination of the incident.
    Notify {
        /// The alert.
        alert_id: String,
        /// Idempotency key, the same at every attempt.
        key: String,
    },
    /// Ask a person for this revocation.
    Propose(Response),
    /// Carry this revocation out.
    Revoke(Response),
}

/// What an `alert.opened`, `alert.updated` or `alert.suppressed` record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertRecord {
    /// 32 hexadecimal digits, derived from system, rule, entity and the finding that opened the alert.
    pub alert_id: String,
    /// Key of the page; every page of an incident has its own, and the first has the incident's id.
    pub key: String,
    /// The incident it belongs to.
    pub incident: String,
    /// Incidents that this finding has shown to be the same as `incident`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<String>,
    /// Why the incident is told again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Whether people are told.
    pub notify: bool,
    /// Log time at which people are told, together with what comes until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Instant>,
    /// Log time at which people were told of what had waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paged: Option<Instant>,
    /// Somebody else may have written the event that it hangs on: the credential of its source was stolen then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tainted: bool,
    /// Events of blocks that its finding hangs on, as they were known when it was decided: none where it hangs on what waits for
    /// its block, absent where it hangs on nothing that a follower may take back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_chain: Option<BTreeSet<EventId>>,
    /// The silence because of which people are not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// What switched the rule off, so that people are not told and nothing is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// Destinations that are to get it, as configured when it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// Whom it goes on to while nobody acknowledges it, as configured when it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escalations: Vec<Escalation>,
    /// The finding. A suppressed one without the rule's texts, facts and evidence: its `finding.created` has them.
    pub finding: Finding,
}

impl AlertRecord {
    /// Its destinations and escalations with those of another page that is told with it.
    pub(crate) fn joined_by(
        &self,
        destinations: &[String],
        escalations: &[Escalation],
    ) -> (Vec<String>, Vec<Escalation>) {
        let others = destinations.iter().filter(|name| !self.destinations.contains(name));
        let steps = escalations.iter().filter(|step| !self.escalations.contains(step));
        (
            self.destinations.iter().chain(others).cloned().collect(),
            self.escalations.iter().chain(steps).cloned().collect(),
        )
    }
}

/// Why an incident is told again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The severity rose.
    Severity,
    /// Another wallet joined.
    Wallet,
    /// Another destination joined.
    Destination,
    /// Another session joined.
    Session,
    /// The amount is at least twice what was told.
    Amount,
    /// keywatch revokes or proposes to.
    Response,
    /// It goes on after somebody took it up.
    Continues,
    /// It goes on, and nobody has taken it up.
    Unanswered,
    /// It goes on after it was resolved.
    Reopened,
    /// It is about keywatch itself.
    Keywatch,
}

impl Cause {
    /// Whether whoever took the incident up or resolved it has to look again.
    #[must_use]
    pub fn goes_on(self) -> bool {
        matches!(self, Cause::Continues | Cause::Reopened)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Severity => "the severity rose",
            Cause::Wallet => "another wallet joined",
            Cause::Destination => "another destination joined",
            Cause::Session => "another session joined",
            Cause::Amount => "the amount has at least doubled",
            Cause::Response => "a response was decided",
            Cause::Continues => "it goes on after it was acknowledged",
            Cause::Unanswered => "it goes on and nobody has acknowledged it",
            Cause::Reopened => "it goes on after it was resolved",
            Cause::Keywatch => "keywatch itself does not do what it should",
        })
    }
}

/// 32 hexadecimal digits that depend on `parts` and on where each ends.
#[must_use]
pub(crate) fn derive_id(parts: &[&str]) -> String {
    hex::encode(&Sha256::digest(parts.join("\0").as_bytes())[..16])
}
