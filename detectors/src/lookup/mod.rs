//! Inventory lookups: a join of events with a declared table, that keeps the order of the events, is indexed once per
//! inventory version, and sees the inventory of the row's own system as of the row's own log time.

mod index;
mod join;
mod node;

pub(crate) use join::{Lookup, LookupPlan};
pub(crate) use node::{LookupKind, LookupNode};
