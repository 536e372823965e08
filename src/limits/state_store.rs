//! Limits of what windows and alerting remember in a bucket.

/// Seconds until a bucket that takes no connection counts as one that does not answer.
pub(crate) const S3_CONNECT_SECONDS_MAX: u64 = 10;

/// Bytes of an object that holds part of a snapshot. A part lies in memory while it is sent or received.
pub(crate) const STATE_PART_BYTES_MAX: usize = 32 << 20;

/// Objects of one snapshot: it is 64 GiB at most.
pub(crate) const STATE_PARTS_MAX: usize = 2048;

/// Bytes of the object that lists them.
pub(crate) const STATE_MANIFEST_BYTES_MAX: usize = 1 << 20;

/// Bytes of the name of an object of a snapshot; what has a longer one is none.
pub(crate) const STATE_NAME_BYTES_MAX: usize = 64;

/// Bytes of a page of a list of a bucket; it holds a thousand objects.
pub(crate) const STATE_LIST_BYTES_MAX: usize = 8 << 20;

/// Pages of a list of a bucket.
pub(crate) const STATE_LIST_PAGES_MAX: usize = 100;

/// Seconds that one request about a part may take, with its answer.
pub(crate) const STATE_REQUEST_SECONDS_MAX: u64 = 120;

/// Seconds over which a bucket that is not there is asked again.
pub(crate) const STATE_PATIENCE_SECONDS_MAX: u64 = 20;

/// Milliseconds between two such attempts.
pub(crate) const STATE_PAUSE_MS: u64 = 500;

/// Seconds that a start waits for what it fetches from a bucket, until it goes on without.
pub(crate) const STATE_FETCH_SECONDS_MAX: u64 = 300;

/// Snapshots in a bucket that cannot be used, after which a start looks no further.
pub(crate) const STATE_REJECTED_MAX: usize = 4;

/// Seconds that an end waits for the last snapshots to be in the bucket. The process of a partition has a minute for all.
pub(crate) const STATE_END_SECONDS_MAX: u64 = 15;
