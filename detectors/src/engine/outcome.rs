//! What the engine tells: findings, rules that failed, records and windows that something was lost of, and what rules cost.
//!
//! Plain values for whoever runs the engine; nothing here decides what goes into them.

use std::time::Duration;

use keywatch_store::{Event, EventId, Finding, Instant, Position};

use crate::window::StateSize;

/// A finding and the position of the record that settled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Position in the events topic.
    pub position: Position,
    /// The finding.
    pub finding: Finding,
}

/// A rule that failed and is not run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Rule id.
    pub rule: String,
    /// Why.
    pub problem: String,
    /// Position of the first record that it did not evaluate.
    pub from: Position,
}

/// A record that a rule could not evaluate and went on without: its windows do not have it, or it was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Rule id.
    pub rule: String,
    /// System of the record.
    pub system: String,
    /// Log time of the record; a system has one record at a time.
    pub time: Instant,
    /// Its id, where the rule still had it when it failed.
    pub event: Option<EventId>,
    /// Why.
    pub problem: String,
}

/// What a run gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Findings in the order (position, rule, anchor).
    pub findings: Vec<Decided>,
    /// Rules that failed in this run; the others went on.
    pub parked: Vec<Parked>,
    /// Records that some rule went on without.
    pub skipped: Vec<Skipped>,
    /// What windows had to let go of because a limit was reached.
    pub lost: Vec<Lost>,
}

/// What a rule's windows had to let go of: answers that reach into that time may count too few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Rule id.
    pub rule: String,
    /// System whose rows they were.
    pub system: String,
    /// The source that had most of them.
    pub source: String,
    /// `rows` inside frames, `keys` with all that is known of them, or rows `waiting` to be decided.
    pub what: &'static str,
    /// Partition key of the windows; empty for rows that wait.
    pub group: String,
    /// How many.
    pub count: usize,
    /// Log time of the first.
    pub from: Instant,
    /// Log time of the last.
    pub to: Instant,
}

/// What a rule costs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Rule id.
    pub rule: String,
    /// Processor time since the engine was made; zero without a stopwatch.
    pub busy: Duration,
    /// What its windows remember.
    pub state: StateSize,
}

impl Outcome {
    /// Puts all but the findings into their order; those have theirs batch by batch.
    pub(super) fn sort(&mut self) {
        self.lost.sort_by(|one, other| (&one.rule, one.to, &one.group).cmp(&(&other.rule, other.to, &other.group)));
        self.parked.sort_by(|one, other| one.rule.cmp(&other.rule));
        self.skipped.sort_by(|one, other| (&one.rule, one.time).cmp(&(&other.rule, other.time)));
    }
}

impl Skipped {
    /// With the id of its record, where that is one of these.
    pub(super) fn among(mut self, events: &[Event]) -> Skipped {
        let is_it = |event: &&Event| event.time() == self.time && event.system() == self.system;
        self.event = self.event.or_else(|| events.iter().find(is_it).map(keywatch_store::Event::event_id));
        self
    }
}
