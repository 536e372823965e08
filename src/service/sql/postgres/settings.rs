//! Settings: what drivers set and ask before their first question. None of them changes an answer here. Where what is asked for
//! is so anyway, or makes no difference, that is agreed to; everything else is refused, so that nobody relies on it.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::common::{DataFusionError, ScalarValue};
use datafusion::logical_expr::ColumnarValue;
use pgwire::api::results::{Response, Tag};
use pgwire::error::PgWireResult;

use super::errors::error;

/// What a setting may be set to.
enum Takes {
    /// Anything: it makes no difference.
    Anything,
    /// One of these, which are all what it is.
    Only(&'static [&'static str]),
    /// Nothing.
    Nothing,
}

use Takes::{Anything, Nothing, Only};

/// PostgreSQL's number of the version that [`super::connection`] says.
const VERSION_NUMBER: &str = "150000";

/// Names in lower case, what each of them is, and what it may be set to.
static SETTINGS: [(&str, &str, Takes); 24] = [
    ("application_name", "", Anything),
    ("bytea_output", "hex", Anything),
    ("client_encoding", "UTF8", Only(&["utf8", "utf-8", "unicode"])),
    ("client_min_messages", "notice", Anything),
    ("datestyle", "ISO, MDY", Only(&["iso", "iso, mdy", "iso,mdy", "iso, dmy", "iso, ymd"])),
    ("default_transaction_isolation", "read committed", Anything),
    ("default_transaction_read_only", "on", Only(&["on", "true", "1"])),
    // Numbers are sent with all their digits.
    ("extra_float_digits", "1", Anything),
    // The longest that a statement may take is the configuration's, whatever a client asks for.
    ("idle_in_transaction_session_timeout", "0", Anything),
    ("integer_datetimes", "on", Nothing),
    ("intervalstyle", "postgres", Only(&["postgres"])),
    ("is_superuser", "off", Nothing),
    ("lock_timeout", "0", Anything),
    ("max_identifier_length", "63", Nothing),
    ("search_path", "public", Only(&["public", "\"$user\", public", "\"$user\",public", "pg_catalog, public"])),
    ("server_encoding", "UTF8", Nothing),
    ("server_version", "15.0", Nothing),
    ("server_version_num", VERSION_NUMBER, Nothing),
    ("standard_conforming_strings", "on", Only(&["on", "true", "1"])),
    ("statement_timeout", "0", Anything),
    ("timezone", "UTC", Only(&["utc", "gmt", "etc/utc", "z", "0", "default"])),
    ("transaction_isolation", "read committed", Anything),
    ("transaction_read_only", "on", Only(&["on", "true", "1"])),
    ("xmloption", "content", Anything),
];

fn find(name: &str) -> Option<&'static (&'static str, &'static str, Takes)> {
    let name = name.trim_matches('"');
    SETTINGS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

/// The rest of a text after a word, in whatever case.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = text.split_at_checked(word.len())?;
    let whole = rest.is_empty() || rest.starts_with(char::is_whitespace);
    (first.eq_ignore_ascii_case(word) && whole).then(|| rest.trim_start())
}

fn statement(sql: &str) -> &str {
    sql.trim().trim_end_matches(';').trim_end()
}

/// Whether a text is more than one statement, of which the others would go unanswered.
fn is_several(text: &str) -> bool {
    text.split('\'').step_by(2).any(|outside_quotes| outside_quotes.contains(';'))
}

/// The answer to a statement that would set something back or anew; `None` for any other, and for settings that are not known.
///
/// # Errors
/// It is known, and is not what is asked for.
pub(super) fn set(sql: &str) -> PgWireResult<Option<Response>> {
    let text = statement(sql);
    if is_several(text) {
        return Ok(None);
    }
    let done = |tag: &str| Ok(Some(Response::Execution(Tag::new(tag))));
    if let Some(rest) = after(text, "RESET") {
        return if rest.eq_ignore_ascii_case("all") || find(rest).is_some() { done("RESET") } else { Ok(None) };
    }
    match deallocated(sql) {
        Some(Deallocated::All) if after(text, "DISCARD").is_some() => return done("DISCARD ALL"),
        Some(Deallocated::All) => return done("DEALLOCATE ALL"),
        Some(Deallocated::One(_)) => return done("DEALLOCATE"),
        None => {}
    }
    let Some(rest) = after(text, "SET") else { return Ok(None) };
    let rest = after(rest, "SESSION").or_else(|| after(rest, "LOCAL")).unwrap_or(rest);
    let of_transactions = after(rest, "TRANSACTION").or_else(|| after(rest, "CHARACTERISTICS"));
    if let Some(how) = of_transactions {
        let writes = how.to_uppercase().contains("READ WRITE");
        return if writes { Ok(None) } else { done("SET") };
    }
    let Some((name, value)) = assignment(rest) else { return Ok(None) };
    let Some((name, is, takes)) = find(name) else { return Ok(None) };
    let value = value.trim_matches('\'').to_lowercase();
    let agreed = match takes {
        Anything => true,
        Only(values) => values.iter().any(|known| *known == value || *known == value.trim_matches('"')),
        Nothing => false,
    };
    if agreed {
        return done("SET");
    }
    Err(error("22023", format!("{name} is `{is}` here and cannot be `{value}`")))
}

/// Prepared statements that a text closes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deallocated {
    /// All of the client.
    All,
    /// The one of a name.
    One(String),
}

/// What a text closes, as `DEALLOCATE` and `DISCARD ALL` of PostgreSQL do.
pub(super) fn deallocated(sql: &str) -> Option<Deallocated> {
    let text = statement(sql);
    if is_several(text) {
        return None;
    }
    if let Some(rest) = after(text, "DISCARD") {
        return rest.eq_ignore_ascii_case("all").then_some(Deallocated::All);
    }
    let rest = after(text, "DEALLOCATE")?;
    let name = after(rest, "PREPARE").filter(|name| !name.is_empty()).unwrap_or(rest);
    if name.eq_ignore_ascii_case("all") {
        return Some(Deallocated::All);
    }
    if let Some(quoted) = name.strip_prefix('"') {
        return quoted.strip_suffix('"').map(|name| Deallocated::One(name.replace("\"\"", "\"")));
    }
    let is_word = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    is_word.then(|| Deallocated::One(name.to_lowercase()))
}

/// The name and the value of what follows `SET`.
fn assignment(rest: &str) -> Option<(&str, &str)> {
    if let Some(zone) = after(rest, "TIME").and_then(|rest| after(rest, "ZONE")) {
        return Some(("timezone", zone));
    }
    if let Some(encoding) = after(rest, "NAMES") {
        return Some(("client_encoding", encoding));
    }
    let end = rest.find(|letter: char| letter == '=' || letter.is_whitespace())?;
    let (name, value) = rest.split_at(end);
    let value = value.trim_start();
    let value = value.strip_prefix('=').or_else(|| after(value, "TO"))?;
    Some((name, value.trim()))
}

/// The row that `SHOW` gives of a setting; `None` for any other statement.
///
/// # Errors
/// Arrow cannot hold it.
pub(super) fn show(sql: &str) -> anyhow::Result<Option<RecordBatch>> {
    let Some(rest) = after(statement(sql), "SHOW") else { return Ok(None) };
    let words: Vec<String> = rest.split_whitespace().map(str::to_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let name = match words.as_slice() {
        ["transaction", "isolation", "level"] => "transaction_isolation",
        ["time", "zone"] => "timezone",
        [name] => *name,
        _ => return Ok(None),
    };
    let Some((name, is, _)) = find(name) else { return Ok(None) };
    let value: ArrayRef = Arc::new(StringArray::from(vec![*is]));
    Ok(Some(RecordBatch::try_from_iter([(*name, value)])?))
}

/// `current_setting(name)`.
///
/// # Errors
/// There is no such setting.
pub(super) fn current(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let name = match arguments {
        [ColumnarValue::Scalar(name)] => name.try_as_str().flatten().unwrap_or_default(),
        _ => "",
    };
    let Some((_, is, _)) = find(name) else {
        return Err(DataFusionError::Execution(format!("`{name}` is no setting of this server")));
    };
    Ok(ColumnarValue::Scalar(ScalarValue::Utf8(Some((*is).to_owned()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_agreed(sql: &str) -> bool {
        matches!(set(sql), Ok(Some(Response::Execution(_))))
    }

    #[test]
    fn what_drivers_set_by_themselves_is_agreed_to() {
        for sql in [
            "SET extra_float_digits = 3",
            "SET extra_float_digits=3;",
            "set application_name to 'PostgreSQL JDBC Driver'",
            "SET client_encoding TO 'UTF8'",
            "SET NAMES 'utf-8'",
            "SET SESSION search_path = \"$user\", public",
            "SET search_path TO public",
            "SET DateStyle='ISO'",
            "SET datestyle TO ISO, MDY",
            "SET TIME ZONE 'UTC'",
            "SET application_name = 'one; two'",
            "SET TimeZone = 'Etc/UTC'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET statement_timeout = 1000",
            "RESET ALL",
            "RESET search_path",
            "DISCARD ALL",
            "DEALLOCATE ALL",
            "DEALLOCATE \"_pg3_0\"",
        ] {
            assert!(is_agreed(sql), "{sql}");
        }
    }

    #[test]
    fn what_is_not_so_is_refused_and_what_is_not_known_is_left_to_sql() {
        for sql in ["SET TimeZone = 'Asia/Singapore'", "SET client_encoding = 'LATIN1'", "SET server_version = '9'"] {
            assert!(set(sql).is_err(), "{sql}");
        }
        for sql in [
            "SET a = 1",
            "SET",
            "SETTLE x = 1",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET default_transaction_read_only",
            "RESET nothing",
            "SELECT 1",
            "SET application_name = 'a'; SELECT count(*) FROM events",
            "SET TRANSACTION READ ONLY; SELECT 1",
            "SET ROLE admin",
            "SHOW TABLES",
            "DISCARD PLANS",
            "DEALLOCATE",
            "DEALLOCATE a; SELECT 1",
        ] {
            assert!(matches!(set(sql), Ok(None)), "{sql}");
        }
    }

    #[test]
    fn names_of_what_is_closed_are_read_as_postgresql_reads_them() {
        for (sql, name) in [
            ("DEALLOCATE \"_pg3_0\"", "_pg3_0"),
            ("deallocate prepare S_1;", "s_1"),
            ("DEALLOCATE \"a \"\"b\"\"\"", "a \"b\""),
            ("DEALLOCATE prepare", "prepare"),
        ] {
            assert_eq!(deallocated(sql), Some(Deallocated::One(name.to_owned())), "{sql}");
        }
        for sql in ["DEALLOCATE ALL", "DEALLOCATE PREPARE ALL;", "discard all"] {
            assert_eq!(deallocated(sql), Some(Deallocated::All), "{sql}");
        }
        for sql in ["DEALLOCATE", "DEALLOCATE \"a", "DISCARD PLANS", "SELECT 1"] {
            assert_eq!(deallocated(sql), None, "{sql}");
        }
    }

    #[test]
    fn a_setting_is_shown_and_tables_are_not_one() {
        for (sql, name) in [
            ("SHOW server_version_num", "server_version_num"),
            ("show TimeZone;", "timezone"),
            ("SHOW TIME ZONE", "timezone"),
            ("SHOW TRANSACTION ISOLATION LEVEL", "transaction_isolation"),
        ] {
            let rows = show(sql).unwrap().unwrap();
            assert_eq!((rows.num_rows(), rows.schema().field(0).name().as_str()), (1, name), "{sql}");
        }
        for sql in ["SHOW TABLES", "SHOW COLUMNS FROM events", "SHOW ALL", "SELECT 1"] {
            assert!(show(sql).unwrap().is_none(), "{sql}");
        }
    }
}
