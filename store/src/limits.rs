//! Every hard limit of this room, with its unit in the name (promise P7).

/// Digits of the largest amount accepted: 2^256 − 1 has 78.
pub const AMOUNT_DIGITS_MAX: usize = 78;

/// Bytes of one event line, detail included.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Characters of one text column (session, wallet, tx …).
pub const TEXT_BYTES_MAX: usize = 4096;

/// Events of one append, and so of one batch of the log.
pub const APPEND_EVENTS_MAX: usize = 65_536;

/// Bytes of raw input that a `source.reject` keeps.
pub const REJECT_RAW_BYTES_MAX: usize = 4096;

/// Log time, in nanoseconds, over which a repeated event id is recognised: seven days.
pub const REPEAT_HORIZON_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// Days that the log keeps by default.
pub const RETENTION_DAYS: i64 = 400;

/// Largest difference, in nanoseconds, between the wall clock and a monotonic second clock before the writer stops.
pub const CLOCK_JUMP_NS_MAX: i64 = 2 * 1_000_000_000;
