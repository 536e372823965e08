//! A construct that no rule may have. Which those are, [`super::language`] and [`super::comparison`] know.

use crate::error::Error;

/// A construct and what to write instead.
pub(super) type Refusal = (String, &'static str);

/// That a rule has it, as an error.
pub(super) fn refused(rule: &str, (construct, instead): Refusal) -> Error {
    Error::Refused { rule: rule.to_owned(), construct, instead: instead.to_owned() }
}
