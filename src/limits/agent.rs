//! Limits of `keywatch agent`.

/// Bytes of the lines that an agent sends at once, and of a line: a longer one is cut, and the rest of it passed over.
pub(crate) const AGENT_BATCH_BYTES_MAX: usize = 1 << 20;

/// Lines that an agent sends at once.
pub(crate) const AGENT_BATCH_LINES_MAX: usize = 1_000;

/// Bytes below which an agent that is behind waits for more lines before it keeps them.
pub(crate) const AGENT_BATCH_BYTES_MIN: usize = 64 << 10;

/// Seconds that it waits for them.
pub(crate) const AGENT_GATHER_SECONDS: u64 = 5;

/// Milliseconds between two looks at the files that an agent follows.
pub(crate) const AGENT_LOOK_MILLISECONDS: u64 = 250;

/// Seconds that a file which was rotated away may still grow.
pub(crate) const AGENT_ROTATED_SECONDS: u64 = 2;

/// Bytes at the beginning of a file, and before the place up to which it was read, by which it is known again.
pub(crate) const AGENT_MARK_BYTES: usize = 256;

/// Rotated files that are looked at for a place that was left.
pub(crate) const AGENT_ROTATED_FILES_MAX: usize = 1_000;

/// Files that one agent follows.
pub(crate) const AGENT_FILES_MAX: usize = 64;

/// Bytes that standard input brings at once.
pub(crate) const AGENT_READ_BYTES: usize = 64 << 10;

/// Bytes of disk that a batch takes at least: a block.
pub(crate) const AGENT_BLOCK_BYTES: u64 = 4_096;

/// Bytes of the first line of a batch on disk.
pub(crate) const AGENT_HEAD_BYTES_MAX: u64 = 64 << 10;

/// Things that an agent has to say and that nobody has taken yet; the oldest leave.
pub(crate) const AGENT_NOTICES_MAX: usize = 16;

/// Seconds that an agent tries to open a stream.
pub(crate) const AGENT_CONNECT_SECONDS_MAX: u64 = 20;

/// Seconds that an agent waits for an answer: a source that sends too much is answered late.
pub(crate) const AGENT_ANSWER_SECONDS_MAX: u64 = 120;

/// Bytes of an answer.
pub(crate) const AGENT_ANSWER_BYTES_MAX: usize = 1 << 20;

/// Seconds after which an agent connects again on which nothing was heard: six pings.
pub(crate) const AGENT_SILENCE_SECONDS_MAX: u64 = 60;

/// Milliseconds after which an agent tries again; they double with each failure.
pub(crate) const AGENT_RETRY_MILLISECONDS_MIN: u64 = 250;

/// Seconds after which an agent that cannot connect tries again.
pub(crate) const AGENT_RETRY_SECONDS_MAX: u64 = 60;
