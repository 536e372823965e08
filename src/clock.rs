//! The wall clock, for what the binary itself dates: receipt of a body, appends, notifications; and how long the
//! processor has worked. Rules never see either.

use std::time::Duration;

use cpu_time::ThreadTime;
use keywatch_store::Instant;

/// The reading of the wall clock.
pub(crate) fn now() -> Instant {
    let nanoseconds = jiff::Timestamp::now().as_nanosecond();
    Instant(i64::try_from(nanoseconds).expect("the year is before 2262"))
}

/// Processor time of this thread since it began.
pub(crate) fn processor_time() -> Duration {
    // Where the system does not say, rules are not timed.
    ThreadTime::try_now().map(|time| time.as_duration()).unwrap_or_default()
}
