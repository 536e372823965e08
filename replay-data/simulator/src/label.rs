//! What is true about an attack: a line of `truth.jsonl`, as `keywatch backtest --truth` reads it.

use keywatch_store::{EventId, Instant};
use serde::Serialize;

/// One attack that was played to its end. As JSON it is one line of `truth.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// Unique within a simulation.
    pub id: String,
    /// Name of the scenario.
    pub scenario: &'static str,
    /// The trusted environment.
    pub system: String,
    /// Log time of the first event that is wrong.
    pub from: Instant,
    /// Log time of the attack's last event.
    pub to: Instant,
    /// What is the attack's alone: its session, request, transactions, addresses.
    pub entities: Vec<String>,
    /// The events that are wrong, in the order of the log.
    pub events: Vec<EventId>,
    /// Rules that are meant to see it.
    pub rules: Vec<&'static str>,
}
