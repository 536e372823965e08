//! What happened: the event, its Arrow schema, the registry of kinds, the log and its clocks, the inventory, the finding.
//!
//! The rooms meet here and only here. This room knows nothing of feeds (how bytes become events), of rules (what does
//! not add up) and of alerts (who is told).
//!
//! | module | what it holds |
//! |---|---|
//! | [`event`] | the one noun: [`Event`], and how its id is derived |
//! | [`line`] | the JSON line, which is also the form an event has in the log |
//! | [`schema`] | the flat Arrow schema and events → `RecordBatch` |
//! | [`packed`] | many events as one Arrow IPC stream, and back |
//! | [`kinds`] | the registry of kinds, from which `docs/events.md` is generated |
//! | [`amount`] | exact amounts in base units |
//! | [`time`] | nanosecond UTC instants |
//! | [`log`] | the [`Log`] and its writing half, topics and positions; its admission, its hash chain and its backends |
//! | [`inventory`] | what is declared: systems, wallets, owners, destinations, sources, people |
//! | [`finding`] | what a rule concluded |

pub mod amount;
pub mod error;
pub mod event;
pub mod finding;
pub mod inventory;
pub mod kinds;
pub mod limits;
pub mod line;
pub mod log;
pub mod multisend;
pub mod packed;
pub mod schema;
pub mod time;

pub use amount::Amount;
pub use error::Error;
pub use event::{Event, EventId};
pub use finding::{Finding, Severity};
pub use inventory::Inventory;
pub use log::{Appended, Clock, Log, LogWriter, Position, Topic, Written};
pub use time::Instant;
