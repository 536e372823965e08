//! What [`crate::plan`] decides. Each action carries all that its execution and its record need.

use std::fmt;

use keywatch_store::Finding;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::response::intent::Response;

/// One thing to be done about a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Tell of something new.
    OpenAlert(AlertRecord),
    /// Tell again, under a new key: the open alert has become worse.
    UpdateAlert(AlertRecord),
    /// Count the finding on its open alert.
    Suppress(AlertRecord),
    /// Send the alert of this record to every destination.
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
    /// Key under which this is told; every telling of an alert has its own.
    pub key: String,
    /// The incident it belongs to.
    pub incident: String,
    /// Incidents that this finding has shown to be the same as `incident`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merges: Vec<String>,
    /// Why it is told again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    /// Whether people are told.
    pub notify: bool,
    /// Destinations that are to get it, as configured when it was decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<String>,
    /// The finding. A suppressed one without the rule's texts, facts and evidence: its `finding.created` has them.
    pub finding: Finding,
}

/// Why an open alert is told again.
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
        })
    }
}

/// 32 hexadecimal digits that depend on `parts` and on where each ends.
#[must_use]
pub(crate) fn derive_id(parts: &[&str]) -> String {
    hex::encode(&Sha256::digest(parts.join("\0").as_bytes())[..16])
}
