//! The two clocks of a writer, and the guard that compares them.
//!
//! Only a log with the wall clock looks at them. A jump of the wall clock would freeze or swallow log time, so the writer
//! stops at one and leaves the decision to a person.

use std::time::{Duration, SystemTime};

use crate::limits::CLOCK_JUMP_NS_MAX;
use crate::{Error, Instant};

/// Where a log's writer reads the time.
pub trait Clocks: Send + Sync {
    /// The wall clock, UTC.
    fn wall(&self) -> Instant;

    /// A clock that nobody can set, from any beginning.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Debug)]
pub struct SystemClocks {
    started: std::time::Instant,
}

impl Default for SystemClocks {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the embedded log")]
    fn default() -> Self {
        SystemClocks { started: std::time::Instant::now() }
    }
}

impl Clocks for SystemClocks {
    #[expect(clippy::disallowed_methods, reason = "this is the clock of the embedded log")]
    fn wall(&self) -> Instant {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Instant(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// Compares the clocks with what they said when the log was opened. The monotonic clock is slewed along with the wall
/// clock, so that only steps add up.
#[derive(Debug)]
pub(super) struct JumpGuard {
    wall_at_zero_ns: i64,
}

impl JumpGuard {
    pub(super) fn new(clocks: &dyn Clocks) -> JumpGuard {
        JumpGuard { wall_at_zero_ns: clocks.wall().0.saturating_sub(nanoseconds(clocks.monotonic())) }
    }

    /// The wall clock's reading, if it moved as the monotonic clock did.
    pub(super) fn now(&self, clocks: &dyn Clocks) -> Result<Instant, Error> {
        let wall = clocks.wall();
        let expected_ns = self.wall_at_zero_ns.saturating_add(nanoseconds(clocks.monotonic()));
        let jump_ns = wall.0.saturating_sub(expected_ns);
        if jump_ns.saturating_abs() > CLOCK_JUMP_NS_MAX {
            return Err(Error::ClockJump { jump_ms: jump_ns / 1_000_000 });
        }
        Ok(wall)
    }
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
