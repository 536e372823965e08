//! Limits of the API for operators.

/// Bytes of a body that an operator sends to the API.
pub(crate) const API_BODY_BYTES_MAX: usize = 64 << 10;

/// Requests of operators that are worked on at once; further ones wait.
pub(crate) const API_CONCURRENT_MAX: usize = 4;

/// Seconds that such a request waits for its turn before it is asked to come back.
pub(crate) const API_WAIT_SECONDS_MAX: u64 = 10;

/// Incidents or alerts of a list, unless another number is asked for.
pub(crate) const API_LIST_DEFAULT: usize = 100;

/// Incidents or alerts of a list.
pub(crate) const API_LIST_MAX: usize = 1_000;

/// Incidents that are acknowledged at once.
pub(crate) const API_MANY_MAX: usize = 500;

/// Bytes of an `Idempotency-Key`.
pub(crate) const API_KEY_BYTES_MAX: usize = 200;

/// Records of the log that one request of an operator looks at.
pub(crate) const API_SCAN_RECORDS_MAX: usize = 1_000_000;

/// Records that are read at once for it.
pub(crate) const API_READ_RECORDS: usize = 4_096;

/// Log time before an incident in which its chain of custody is looked for.
pub(crate) const CUSTODY_BEFORE_NS: i64 = 24 * 3_600 * 1_000_000_000;

/// Log time before an incident from which on what else its wallets did is shown: a day of customers' payments tells nothing.
pub(crate) const CUSTODY_WALLETS_BEFORE_NS: i64 = 3_600 * 1_000_000_000;

/// Log time after its last finding in which it is looked for.
pub(crate) const CUSTODY_AFTER_NS: i64 = 600 * 1_000_000_000;

/// Events of a chain of custody that are shown; those that prove a finding are shown beyond it.
pub(crate) const CUSTODY_EVENTS_MAX: usize = 500;

/// Events of them that are only of a wallet of the incident, so that a busy wallet leaves room for the rest.
pub(crate) const CUSTODY_OF_WALLETS_MAX: usize = 250;

/// Events that prove findings of an incident and are looked for.
pub(crate) const CUSTODY_EVIDENCE_MAX: usize = 500;

/// Tainted events that are told apart by their ids, for what rests on them.
pub(crate) const COMPROMISE_EVENTS_MAX: usize = 200_000;

/// Findings that rest on tainted events and are listed.
pub(crate) const COMPROMISE_FINDINGS_MAX: usize = 1_000;

/// Time that is looked back through for everything about a name, unless another is asked for.
pub(crate) const ABOUT_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Events about a name that are shown, the newest.
pub(crate) const ABOUT_EVENTS_MAX: usize = 100;

/// A shift, unless other times are asked for.
pub(crate) const HANDOVER_NS: i64 = 12 * 3_600 * 1_000_000_000;

/// Operators who wait for changes at once.
pub(crate) const CHANGES_WAITING_MAX: usize = 64;

/// Longest that who waits for changes may wait, seconds: less than a connection may be silent.
pub(crate) const CHANGES_WAIT_SECONDS_MAX: u64 = 25;

/// Milliseconds between two looks at whether the log has grown, for who waits for changes.
pub(crate) const CHANGES_LOOK_MS: u64 = 1_000;

/// Seconds after which who found too many requests, or a log that takes nothing, is asked to come back.
pub(crate) const API_RETRY_AFTER_SECONDS: u64 = 5;
