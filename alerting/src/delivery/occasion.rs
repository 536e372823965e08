//! What a destination is to be told, and why: the occasion, the alert, the pages that it has of the incident. Pure; what waits
//! for whom stands in `deliveries`.

use keywatch_store::{Instant, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::handling::Status;
use crate::lifecycle::incident::Incident;
use crate::response::intent::Progress;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Occasion {
    /// A new incident.
    Opened,
    /// An incident that became worse.
    Updated,
    /// The outcome of a response that was still open when its incident was told.
    Answered(Box<Progress>),
    /// Nobody acknowledged the incident for so many minutes.
    Escalated {
        /// Log time since it was told.
        minutes: u32,
    },
    /// Somebody has taken it up.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// It is over.
    Resolved {
        /// Who said so.
        by: String,
        /// What it was, and why.
        why: String,
    },
}

impl Occasion {
    /// What people have made of the incident; nothing while it is open.
    pub(crate) fn of(incident: &Incident) -> Option<Occasion> {
        let handling = &incident.handling;
        match (handling.status, &handling.acknowledged, &handling.resolved) {
            (Status::Acknowledged, Some((by, _)), _) => Some(Occasion::Acknowledged { by: by.clone() }),
            (Status::Resolved, _, Some((verdict, reason, by, _))) => {
                Some(Occasion::Resolved { by: by.clone(), why: format!("{verdict}: {reason}") })
            }
            _ => None,
        }
    }
}

/// Something that a destination has not taken yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingNotification {
    /// Idempotency key.
    pub key: String,
    /// What is told.
    pub occasion: Occasion,
    /// The alert, as its record says.
    pub record: AlertRecord,
    /// The pages of its incident, the last one last.
    pub pages: Vec<SentPage>,
    /// How often it came back from the dead letters.
    pub redriven: u32,
}

/// One page of an incident, as receivers have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentPage {
    /// Key of the page.
    pub key: String,
    /// The incident as it was called then; it may have turned out to be another since.
    pub incident: String,
    /// Rule of the finding that was told.
    pub rule: String,
    /// How bad it was.
    pub severity: Severity,
    /// Log time.
    pub at: Instant,
}
