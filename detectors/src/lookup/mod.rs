//! Inventory lookups: a join of events with a declared table, that keeps the order of the events, is indexed once per
//! inventory version, and sees the inventory of the row's own system as of the row's own log time.

mod exec;
mod index;
mod node;

pub(crate) use exec::{LookupExec, LookupPlan};
pub(crate) use node::{LookupKind, LookupNode};
