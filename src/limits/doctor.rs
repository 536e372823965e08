//! Limits of `keywatch doctor`, and of what it asks a running keywatch.

/// Records of the log in which `/v1/sources?newest=true` looks for what sources said.
pub(crate) const SOURCES_RECORDS_MAX: u64 = 50_000;

/// The same of `keywatch doctor` over a log that nobody has open.
pub(crate) const DOCTOR_RECORDS_MAX: u64 = 2_000_000;

/// Seconds within which something outside has to answer `keywatch doctor`.
pub(crate) const DOCTOR_ANSWER_SECONDS_MAX: u64 = 3;

/// Bytes of an answer of a running keywatch to `keywatch doctor`.
pub(crate) const DOCTOR_ANSWER_BYTES_MAX: usize = 16 << 20;

/// Bytes that the file system of the log should still have.
pub(crate) const DISK_FREE_BYTES_MIN: u64 = 1 << 30;

/// Hundredths of it that should be free.
pub(crate) const DISK_FREE_PERCENT_MIN: u64 = 5;

/// Seconds that this machine's clock may differ from that of others.
pub(crate) const CLOCK_SKEW_SECONDS_MAX: i64 = 5;
