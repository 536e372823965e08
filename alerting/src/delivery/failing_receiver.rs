//! A receiver that fails, as people are told of it.

use crate::lifecycle::action::AlertRecord;

/// A receiver that fails, and what waits for it.
#[derive(Clone, Debug)]
pub(crate) struct FailingReceiver {
    pub(crate) destination: String,
    pub(crate) problem: String,
    pub(crate) waiting: usize,
    pub(crate) worst: AlertRecord,
    pub(crate) dead: usize,
}
