//! What is wrong, as PostgreSQL's clients are told: an SQLSTATE and a text.

use pgwire::error::{ErrorInfo, PgWireError};

/// An error with its SQLSTATE.
pub(super) fn error(code: &str, message: impl Into<String>) -> PgWireError {
    PgWireError::UserError(Box::new(ErrorInfo::new("ERROR".to_owned(), code.to_owned(), message.into())))
}

/// What is wrong with a query, as PostgreSQL would class it.
#[expect(clippy::needless_pass_by_value, reason = "it ends here")]
pub(super) fn query_error(problem: anyhow::Error) -> PgWireError {
    let text = format!("{problem:#}");
    let code = if text.contains("changes nothing") {
        "25006"
    } else if text.contains("Resources exhausted") {
        "53200"
    } else if text.contains("took longer") {
        "57014"
    } else {
        "42601"
    };
    error(code, text)
}
