//! What an operator may remember of one system, and whose it is that goes when that is reached: [`super::eviction`] lets
//! it go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A flooding source loses one in this many of its rows at once.
pub(super) const LOST_SHARE: usize = 8;

/// What may be remembered of one system in one group of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Rows inside frames.
    pub rows_max: usize,
    /// Keys.
    pub keys_max: usize,
    /// Rows that wait for their frames to close.
    pub waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { rows_max: 4_000_000, keys_max: 1_000_000, waiting_max: 1_000_000 }
    }
}

/// Rows or keys that had to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) system: String,
    pub(crate) source: String,
    /// `rows`, `keys` or `waiting`.
    pub(crate) what: &'static str,
    /// The partition key of the group.
    pub(crate) group: String,
    pub(crate) count: usize,
    /// Log time of the first and the last of them.
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// The source with the most; of several the one that came first.
pub(super) fn flooding(sources: impl Iterator<Item = u16>) -> Option<u16> {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    sources.for_each(|source| *counts.entry(source).or_default() += 1);
    counts.into_iter().max_by_key(|(source, count)| (*count, std::cmp::Reverse(*source))).map(|(source, _)| source)
}
