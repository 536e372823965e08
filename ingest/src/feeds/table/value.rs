//! What fields of foreign records mean: text of numbers, times in any unit, addresses with ports.
//!
//! It knows no table and no feed. It does not check that a time is near now, that an address is anybody's, or that a number
//! is one of the source's own kind.

use std::net::{IpAddr, SocketAddr};

use alloy::primitives::{hex, keccak256};
use keywatch_store::Instant;
use serde_json::Value;

use super::path::{self, RECORD_HASH};
use super::{Fact, Words};
use crate::feeds::fields::with_article;
use crate::{Problem, limits};

/// The text of a text, number or boolean.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    scalar_text(value).map(str::to_owned)
}

/// As [`scalar`], where it stands.
pub(crate) fn scalar_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.as_str()),
        Value::Bool(flag) => Some(if *flag { "true" } else { "false" }),
        _ => None,
    }
}

/// The text at a path.
///
/// # Errors
/// What stands there is an array or object.
pub(crate) fn text<'a>(record: &'a Value, paths: &str) -> Result<Option<&'a str>, Problem> {
    let Some(found) = path::find(record, paths) else { return Ok(None) };
    let wrong = || Problem::new(paths, format!("must be text, is {}", with_article(found)));
    scalar_text(found).map(Some).ok_or_else(wrong)
}

/// The text at a path that has to be there.
///
/// # Errors
/// It is not, or is no text.
pub(crate) fn need<'a>(record: &'a Value, paths: &str) -> Result<&'a str, Problem> {
    text(record, paths)?.ok_or_else(|| Problem::new(paths, "is missing"))
}

/// The parts of an id, told apart by `/`.
///
/// # Errors
/// One is missing, or the whole is too long.
pub(crate) fn identity(record: &Value, parts: &[&str]) -> Result<String, Problem> {
    identity_of(record, None, parts)
}

/// As [`identity`], of a record whose text without white space, names in order, may be at hand.
///
/// # Errors
/// As there.
pub(super) fn identity_of(record: &Value, text: Option<&str>, parts: &[&str]) -> Result<String, Problem> {
    let mut id = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            id.push('/');
        }
        if *part == RECORD_HASH {
            let hash = match text {
                Some(text) => keccak256(text),
                None => keccak256(serde_json::to_vec(record).expect("a value is always JSON")),
            };
            id.push_str(&hex::encode(hash));
        } else {
            push_escaped(need(record, part)?, &mut id);
        }
    }
    if id.len() > limits::SOURCE_ID_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", id.len(), limits::SOURCE_ID_BYTES_MAX);
        return Err(Problem::new(parts.join(", "), reason));
    }
    Ok(id)
}

/// Appends a part as in JSON pointers (RFC 6901 §3), so that two ids never run into one.
fn push_escaped(part: &str, id: &mut String) {
    if part.contains(['~', '/']) {
        id.push_str(&part.replace('~', "~0").replace('/', "~1"));
    } else {
        id.push_str(part);
    }
}

/// The word that a fact is.
///
/// # Errors
/// An array or object stands where a word should.
pub(crate) fn word<'a>(record: &'a Value, fact: &Fact) -> Result<Option<&'a str>, Problem> {
    match fact {
        Fact::Is(word) => Ok(Some(*word)),
        Fact::At(path) => text(record, path),
        Fact::By(words) => translated(record, words),
    }
}

fn translated(record: &Value, words: &Words) -> Result<Option<&'static str>, Problem> {
    let said = text(record, words.from)?.unwrap_or_default();
    let found = words.words.iter().find(|(pattern, _)| path::matches(pattern, said));
    Ok(found.map(|(_, word)| *word).or(words.otherwise))
}

/// The time at a path that has to be there.
///
/// # Errors
/// It is not, or cannot be read in one way only.
pub(crate) fn need_time(record: &Value, paths: &str) -> Result<Instant, Problem> {
    let text = need(record, paths)?;
    time(text).map_err(|reason| Problem::new(paths, reason))
}

/// RFC 3339, or a number of seconds, milliseconds, microseconds or nanoseconds since 1970: which of them its size says,
/// since the years 2000 to 2100 do not overlap.
///
/// # Errors
/// Any other text, and a number that is none of these years in any unit.
pub(crate) fn time(text: &str) -> Result<Instant, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
        return text.parse();
    }
    from_number(whole, fraction)
        .map(Instant)
        .ok_or_else(|| format!("`{}` is no time of the years 2000 to 2100 in any unit", shortened(text)))
}

fn from_number(whole: &str, fraction: &str) -> Option<i64> {
    const YEAR_2000: i64 = 946_684_800;
    const YEAR_2100: i64 = 4_102_444_800;
    let number: i64 = whole.parse().ok()?;
    let of_second = [1, 1_000, 1_000_000, 1_000_000_000];
    let unit = of_second.into_iter().find(|unit| (YEAR_2000 * unit..YEAR_2100 * unit).contains(&number))?;
    let scale = 1_000_000_000 / unit;
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let parts: i64 = nine.parse().ok()?;
    Some(number * scale + parts / unit)
}

/// An address, with or without a port; `None` for what is none, as the name of a service.
pub(crate) fn ip(text: &str) -> Option<String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()))?;
    Some(address.to_canonical().to_string())
}

/// An autonomous system number, as `1234` or `AS1234`.
pub(crate) fn asn(text: &str) -> Option<i64> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.parse::<u32>().ok().map(i64::from)
}

/// The start of a text, for a sentence.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_unit_of_a_time_is_told_by_its_size() {
        for (text, read) in [
            ("1740116560", Some("2025-02-21T05:42:40Z")),
            ("1740116560.788469", Some("2025-02-21T05:42:40.788469Z")),
            ("1740116560788", Some("2025-02-21T05:42:40.788Z")),
            ("1740116560788.469", Some("2025-02-21T05:42:40.788469Z")),
            ("1740116560788469", Some("2025-02-21T05:42:40.788469Z")),
            ("1740116560788469001", Some("2025-02-21T05:42:40.788469001Z")),
            ("2025-02-21T05:42:40+01:00", Some("2025-02-21T04:42:40Z")),
            // Seconds of the year 1973 or of 5138, milliseconds of 1970 or of 1973: nobody can tell.
            ("100000000", None),
            ("100000000000", None),
            ("0", None),
            ("-5", None),
            ("99999999999999999999999", None),
            ("NaN", None),
            ("1e400", None),
            ("1740116560.", None),
            ("2025-02-21T05:42:40", None),
            ("2025-02-21 05:42:40", None),
        ] {
            assert_eq!(time(text).ok().map(|time| time.to_string()).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn an_address_loses_its_port_and_a_name_is_none() {
        for (text, read) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:4711", Some("203.0.113.7")),
            ("[2001:db8::1]:22", Some("2001:db8::1")),
            ("2001:DB8:0::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("cloudformation.amazonaws.com", None),
            ("AWS Internal", None),
        ] {
            assert_eq!(ip(text).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn parts_of_an_id_do_not_run_into_one_another() {
        let id = |a: &str, b: &str| identity(&json!({"a": a, "b": b}), &["a", "b"]).unwrap();
        assert_ne!(id("x/y", "z"), id("x", "y/z"));
        assert_ne!(id("x~1y", "z"), id("x/y", "z"));
        assert_eq!(identity(&json!({"a": 7}), &["a"]).unwrap(), "7");
        assert_eq!(identity(&json!({}), &["a"]).unwrap_err().field, "a");
        assert_eq!(identity(&json!({"a": "x".repeat(2000)}), &["a"]).unwrap_err().field, "a");
        assert_ne!(identity(&json!({"a": 1}), &["#"]), identity(&json!({"a": 2}), &["#"]));
        let record = json!({"b": "\u{1}é", "a": 1.5});
        assert_eq!(
            identity_of(&record, Some(record.to_string().as_str()), &["#", "a"]),
            identity(&record, &["#", "a"])
        );
    }
}
