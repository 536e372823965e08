//! What people make of an incident: taken up, assigned, commented, resolved with a verdict, reopened. A fold over the
//! records of operators; knows nothing of roles.

use std::collections::VecDeque;
use std::fmt;

use keywatch_store::Instant;
use serde::{Deserialize, Serialize};

use crate::limits::HANDLING_ENTRIES_MAX;

/// Where an incident or alert stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has taken it up.
    #[default]
    Open,
    /// Somebody has taken it up.
    Acknowledged,
    /// It is over, with a verdict.
    Resolved,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Open => "open",
            Status::Acknowledged => "acknowledged",
            Status::Resolved => "resolved",
        })
    }
}

/// What it turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// An attack, or a breach of what is allowed.
    True,
    /// Nothing of what the rule says has happened.
    False,
    /// It has happened, and it was meant.
    Benign,
    /// An exercise.
    Test,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::True => "true",
            Verdict::False => "false",
            Verdict::Benign => "benign",
            Verdict::Test => "test",
        })
    }
}

/// What an operator does about an incident. The JSON form is the detail of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase")]
pub enum Act {
    /// Takes it up.
    Acknowledge,
    /// Gives it to somebody.
    Assign {
        /// Who is to see to it; nobody where it is given back.
        assignee: Option<String>,
    },
    /// Says something about it.
    Comment {
        /// The words.
        comment: String,
    },
    /// Says what it was.
    Resolve {
        /// What it turned out to be.
        verdict: Verdict,
        /// Why.
        reason: String,
    },
    /// Takes it up again that was resolved.
    Reopen {
        /// Why.
        reason: String,
    },
}

impl Act {
    /// The kind of its record.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Act::Acknowledge => "alert.acknowledged",
            Act::Assign { .. } => "alert.assigned",
            Act::Comment { .. } => "alert.commented",
            Act::Resolve { .. } => "alert.resolved",
            Act::Reopen { .. } => "alert.reopened",
        }
    }
}

/// One thing that an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Log time.
    pub at: Instant,
    /// The operator.
    pub by: String,
    /// The alert that it is about, where it is about one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<String>,
    /// What the client called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
}

/// How an incident was handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handling {
    /// Where it stands.
    pub status: Status,
    /// Who sees to it.
    pub assignee: Option<String>,
    /// Who took it up first since it was last open, and when.
    pub acknowledged: Option<(String, Instant)>,
    /// What it turned out to be, why, who says so and when.
    pub resolved: Option<(Verdict, String, String, Instant)>,
    /// What was done, the newest last; the oldest are forgotten beyond a limit.
    pub entries: VecDeque<Entry>,
    /// How much was done in all.
    pub acts: u64,
}

impl Handling {
    /// Takes in what an operator did.
    pub(crate) fn apply(&mut self, entry: Entry) {
        match &entry.act {
            Act::Acknowledge if self.status == Status::Open => {
                self.status = Status::Acknowledged;
                self.acknowledged = Some((entry.by.clone(), entry.at));
            }
            Act::Assign { assignee } => self.assignee.clone_from(assignee),
            Act::Resolve { verdict, reason } if entry.alert_id.is_none() => {
                self.resolve(*verdict, reason.clone(), entry.by.clone(), entry.at);
            }
            Act::Reopen { .. } => self.reopen(),
            Act::Acknowledge | Act::Comment { .. } | Act::Resolve { .. } => {}
        }
        self.remember(entry);
    }

    /// It is over.
    pub(crate) fn resolve(&mut self, verdict: Verdict, reason: String, by: String, at: Instant) {
        self.status = Status::Resolved;
        self.resolved = Some((verdict, reason, by, at));
    }

    /// It goes on: whoever took it up or resolved it has to look again.
    pub(crate) fn reopen(&mut self) {
        self.status = Status::Open;
        self.acknowledged = None;
        self.resolved = None;
    }

    fn remember(&mut self, entry: Entry) {
        self.acts += 1;
        self.entries.push_back(entry);
        if self.entries.len() > HANDLING_ENTRIES_MAX {
            self.entries.pop_front();
        }
    }

    /// Takes in how an incident was handled that turned out to be the same. One that somebody sees to is seen to.
    pub(crate) fn absorb(&mut self, other: Handling) {
        if self.status == Status::Resolved || (self.status == Status::Open && other.status == Status::Acknowledged) {
            self.status = other.status;
            self.acknowledged = other.acknowledged;
            self.resolved = other.resolved;
        }
        self.assignee = self.assignee.take().or(other.assignee);
        self.acts += other.acts;
        self.entries.extend(other.entries);
        self.entries.make_contiguous().sort_by_key(|entry| entry.at);
        while self.entries.len() > HANDLING_ENTRIES_MAX {
            self.entries.pop_front();
        }
    }
}
