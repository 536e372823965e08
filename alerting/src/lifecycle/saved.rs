//! Alerting's state as it is kept between two starts, together with how far it has folded each part of the log. Whoever
//! keeps it checks that it is whole and of this log; it knows no file.
//!
//! keywatch's own responses are folded as they are written, what others write in the order of the log: so the state is
//! ahead of the records of others by those responses, and says so.

use std::collections::BTreeMap;
use std::io::Write;

use keywatch_store::{Position, Topic};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::lifecycle::state::AlertState;

/// What it is: another format has another name.
const FORMAT: &str = "keywatch alerting state 6";

/// Positions of the next records that the state has to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// Of the events topic, keywatch's own responses left out.
    pub events: Position,
    /// Of keywatch's own responses in the events topic.
    pub responses: Position,
    /// Of the conclusions topic.
    pub conclusions: Position,
}

impl Folded {
    /// The records that the log must hold for the state to be of it: up to each of these positions.
    #[must_use]
    pub fn reaches(&self) -> [(Topic, Position); 3] {
        let Folded { events, responses, conclusions } = *self;
        [(Topic::Events, events), (Topic::Events, responses), (Topic::Conclusions, conclusions)]
    }
}

/// What is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// How far the log is folded.
    pub folded: Folded,
    /// The state.
    pub(crate) state: AlertState,
    /// System → source → trust group, as declared last.
    pub(crate) trust_groups: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    folded: Folded,
    state: &'a AlertState,
    trust_groups: &'a BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct Read {
    format: String,
    folded: Folded,
    state: AlertState,
    trust_groups: BTreeMap<String, BTreeMap<String, String>>,
}

impl Saved {
    /// What [`crate::Executor::save`] wrote.
    ///
    /// # Errors
    /// [`Error::Saved`] when it is damaged or of another format.
    pub fn read(bytes: &[u8]) -> Result<Saved, Error> {
        let read: Read = serde_json::from_slice(bytes).map_err(|error| problem(&error))?;
        if read.format != FORMAT {
            return Err(Error::Saved { problem: format!("it is of another format: {}", read.format) });
        }
        Ok(Saved { folded: read.folded, state: read.state, trust_groups: read.trust_groups })
    }
}

/// Writes a state.
pub(crate) fn write(
    out: impl Write,
    folded: Folded,
    state: &AlertState,
    trust_groups: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<(), Error> {
    serde_json::to_writer(out, &Written { format: FORMAT, folded, state, trust_groups })
        .map_err(|error| problem(&error))
}

fn problem(error: &serde_json::Error) -> Error {
    Error::Saved { problem: error.to_string() }
}
