//! Limits of the web page, and of what the API counts for it. Part of the room's limits (promise P7).

/// Seconds after which who has signed in on the web page does so again: a shift.
pub(crate) const PAGE_SESSION_SECONDS_MAX: u64 = 12 * 3_600;

/// Sessions on the web page.
pub(crate) const PAGE_SESSIONS_MAX: usize = 1024;

/// Sessions of one operator among them.
pub(crate) const PAGE_SESSIONS_OF_OPERATOR_MAX: usize = 16;

/// Sign-ins of one operator on the page within [`PAGE_SIGN_INS_SECONDS`]: each is a record of every system that they see.
pub(crate) const PAGE_SIGN_INS_OF_OPERATOR_MAX: usize = 60;

/// Seconds over which these are counted.
pub(crate) const PAGE_SIGN_INS_SECONDS: u64 = 600;

/// Operators whose sign-ins are counted.
pub(crate) const PAGE_SIGN_IN_OPERATORS_MAX: usize = 1024;

/// Seconds that a form to sign in may be open.
pub(crate) const PAGE_SIGN_IN_SECONDS_MAX: u64 = 3_600;

/// Seconds that the log has to take a sign-in before who signed in sees the board without it.
pub(crate) const PAGE_SIGN_IN_WRITE_SECONDS_MAX: u64 = 5;

/// Seconds after which such a sign-in is written again.
pub(crate) const PAGE_SIGN_IN_WRITE_AGAIN_SECONDS: u64 = 5;

/// Bytes of a form of the web page.
pub(crate) const PAGE_FORM_BYTES_MAX: usize = 32 << 10;

/// Log time over which the cost of rules to people is counted.
pub(crate) const NOISE_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// Step of the log time from which that is counted where nobody says one: what was counted is gone on with for as long.
pub(crate) const NOISE_STEP_NS: i64 = 3_600 * 1_000_000_000;

/// Alerts that are counted for that; an answer that came to it says that it is not complete.
pub(crate) const NOISE_ALERTS_MAX: usize = 20_000;

/// Bytes of an answer of the API that the web page shows.
pub(crate) const PAGE_ANSWER_BYTES_MAX: usize = 32 << 20;

/// Incidents of one page of the board.
pub(crate) const PAGE_BOARD_INCIDENTS: usize = 50;

/// Responses that wait for a person, shown on the board; a link leads to the others.
pub(crate) const PAGE_BOARD_RESPONSES: usize = 5;

/// Responses of one page of their list, and of an incident.
pub(crate) const PAGE_LIST_RESPONSES: usize = 50;
