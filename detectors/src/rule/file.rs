//! The text of a rule's file → its front matter, and the SQL that is planned.

use super::header::{Header, comment};
use super::views;
use crate::error::Error;

/// Splits a file into its front matter and its SQL and reads the former; views that the rule uses are put in front.
pub(crate) fn split(rule: &str, text: &str) -> Result<(Header, String), Error> {
    let refuse = |problem: String| Error::FrontMatter { rule: rule.to_owned(), problem };
    let (yaml, sql) = comment(text).map_err(refuse)?;
    let mut header: Header = serde_norway::from_str(yaml).map_err(|error| refuse(error.to_string()))?;
    for (field, text) in [("title", &header.title), ("entity", &header.entity), ("meaning", &header.meaning)] {
        if text.trim().is_empty() {
            return Err(refuse(format!("{field}: must not be empty")));
        }
    }
    if header.runbook.is_empty() {
        return Err(refuse("runbook: must have at least one step".to_owned()));
    }
    let sql = views::apply(rule, &mut header, sql)?;
    Ok((header, sql))
}
