//! The wall clock, for what the binary itself dates: receipt of a body, appends, notifications. Rules never see it.

use keywatch_store::Instant;

/// The reading of the wall clock.
pub(crate) fn now() -> Instant {
    let nanoseconds = jiff::Timestamp::now().as_nanosecond();
    Instant(i64::try_from(nanoseconds).expect("the year is before 2262"))
}
