//! Limits of the evaluator: its pipeline, ticks, parked rules and snapshots.

/// Seconds between two looks at what rules cost and remember and at what is open, for metrics.
pub(crate) const GAUGES_SECONDS: u64 = 2;

/// Records that the pipeline takes through the rules at once.
pub(crate) const PIPELINE_RECORDS_MAX: usize = 4096;

/// Seconds after which a rule that was parked is tried again; they double with each failure.
pub(crate) const RETRY_SECONDS_MIN: u64 = 1;

/// Seconds after which a rule that keeps failing is tried again.
pub(crate) const RETRY_SECONDS_MAX: u64 = 600;

/// Records that a rule could not evaluate, listed when it is back; each has a record of its own.
pub(crate) const SKIPPED_SHOWN_MAX: usize = 100;

/// Findings, tellings and revocations under way whose time is taken, of each; beyond that the oldest is left out.
pub(crate) const STAGES_TIMED_MAX: usize = 10_000;

/// Seconds between two stamps of the revocation documents; a policy denies everything once its stamp is two minutes old.
pub(crate) const REFRESH_SECONDS: u64 = 30;

/// Seconds between two ticks of a system in which something happens or is due to be decided.
pub(crate) const TICK_SECONDS: u64 = 1;

/// Seconds between two ticks of a system in which nothing happens.
pub(crate) const TICK_SECONDS_MAX: i64 = 60;

/// Seconds without a record of any system, although each has ticks, after which the log counts as one that hangs.
pub(crate) const STANDSTILL_SECONDS_MAX: i64 = 3 * TICK_SECONDS_MAX;

/// Seconds for which a system has a tick every second after something happened in it: alerts are told, and revocations
/// proved, in that time.
pub(crate) const TICK_BUSY_SECONDS: i64 = 900;

/// Seconds behind the log from which the rules count as not ready.
pub(crate) const RULES_BEHIND_SECONDS: i64 = 300;

/// Seconds behind the log below which they are ready again.
pub(crate) const RULES_BEHIND_SECONDS_OVER: i64 = 60;

/// Threads that only the evaluator uses: rules, ticks, notifications and revocations.
pub(crate) const EVALUATOR_THREADS: usize = 2;

/// Seconds between two snapshots of window state while the evaluator runs; one more is made as it stops.
pub(crate) const SNAPSHOT_SECONDS: u64 = 600;

/// Records since the last snapshot after which the next one is made sooner: what a start has to go through at most, while
/// no rule is parked.
pub(crate) const SNAPSHOT_RECORDS_MAX: u64 = 2_000_000;

/// Findings of earlier runs that are held one by one after a start without a snapshot; older ones are known by their time.
pub(crate) const KNOWN_FINDINGS_MAX: usize = 500_000;

/// Seconds between two words on how far a start is.
pub(crate) const PROGRESS_SECONDS: u64 = 5;

/// Records since the last snapshot below which another one is not worth its writing.
pub(crate) const SNAPSHOT_RECORDS_MIN: u64 = 10_000;

/// Newest records of the log that a start looks at to know what was heard of each wallet.
pub(crate) const COVERAGE_RECORDS: u64 = 200_000;

/// Wallets up to which what rules see is shown each time that something new is heard.
pub(crate) const COVERAGE_WALLETS_MAX: usize = 1000;

/// How many times as long as that takes it rests where there are more.
pub(crate) const COVERAGE_RESTS: u32 = 20;

/// Milliseconds until what the log did not take in an outage is tried again, at first.
pub(crate) const OUTAGE_PAUSE_MS_MIN: u64 = 100;

/// Milliseconds to which that pause grows.
pub(crate) const OUTAGE_PAUSE_MS_MAX: u64 = 10_000;
