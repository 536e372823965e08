//! Rows as a ring is given them, and as it remembers them.

use arrow::buffer::BooleanBuffer;

use super::keys::Slot;

/// A row as a ring remembers it; the values that functions need are in their own queues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) time: i64,
    pub(super) slot: Slot,
    /// Which of the ring's functions count it, one bit each.
    pub(super) calls: u16,
    /// Number of its source, for the limits.
    pub(super) source: u16,
}

/// The rows of a batch as every ring sees them.
pub(super) struct Rows<'a> {
    pub(super) lanes: &'a [u32],
    pub(super) times: &'a [i64],
    pub(super) sources: &'a [u16],
    /// Which are answered; without it, all.
    pub(super) anchors: Option<&'a BooleanBuffer>,
    /// Whether answered rows wait, so that their key must be remembered for them.
    pub(super) wait: bool,
    /// Number of the first among all that the operator has taken in.
    pub(super) first: u64,
    /// Log time through which the system is complete when each row is decided; only of answered rows it means something.
    pub(super) dues: &'a [i64],
}
