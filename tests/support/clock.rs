//! What time it is, for what a test dates as of now.

use keywatch_store::Instant;

/// The reading of the wall clock.
pub(crate) fn now() -> Instant {
    Instant(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap())
}

/// The same, in unix seconds.
pub(crate) fn unix_seconds() -> u64 {
    u64::try_from(now().unix_seconds()).unwrap()
}
