//! Every hard limit of this room, with its unit in the name (promise P7).

/// Days of one history.
pub(crate) const DAYS_MAX: i64 = 400;

/// Lines of one history.
pub(crate) const LINES_MAX: usize = 20_000_000;

/// Payments that one transaction of a chain with outputs carries.
pub(crate) const BATCH_OUTPUTS_MAX: usize = 60;

/// Times that a person is waited for before the deed is left undone.
pub(crate) const WAITS_MAX: usize = 40;
