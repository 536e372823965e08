//! Limits of a process that shares partitions with others, and of the processes that it has for them.

/// Milliseconds between two looks at the processes of partitions.
pub(crate) const SHARES_LOOK_MS: u64 = 200;

/// Seconds that the process of a partition has to end in order; then it is killed, which loses nothing that stands in the
/// log. Together with what a rebalance takes else it is far less than the five minutes after which the group gives up.
pub(crate) const SHARE_END_SECONDS_MAX: u64 = 60;

/// Seconds until the process of a partition that ended by itself is started again, at most; the first time it is one.
pub(crate) const SHARE_PAUSE_SECONDS_MAX: u64 = 30;

/// Seconds after which a process of a partition counts as running well, so that its next end is the first again.
pub(crate) const SHARE_STEADY_SECONDS: u64 = 60;

/// Seconds that the process of a partition has to answer an operator. It may wait for Kafka meanwhile.
pub(crate) const SHARE_ANSWER_SECONDS_MAX: u64 = 150;

/// Seconds that it has to say how it does.
pub(crate) const SHARE_PROBE_SECONDS_MAX: u64 = 5;
