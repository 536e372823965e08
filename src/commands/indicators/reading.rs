//! Files of indicators: lines, or a STIX 2.1 bundle. Of a STIX pattern the compared values are taken and nothing of its logic:
//! a pattern that wants two things at once becomes two indicators.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use keywatch_ingest::chain::address::canonical;
use keywatch_store::Instant;
use serde_json::Value;

use crate::limits::{INDICATOR_BYTES_MAX, INDICATOR_FILE_BYTES_MAX, INDICATORS_MAX};

/// What is said of an indicator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Warning {
    /// Why it is warned of; may be empty.
    pub(super) label: String,
    /// Until when its author vouches for it, unix seconds.
    pub(super) until: Option<i64>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// By indicator, as events name it.
    pub(super) warnings: BTreeMap<String, Warning>,
    /// Where something was left out, and why.
    pub(super) rejects: Vec<(String, String)>,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, is too large, or is JSON that is no bundle.
pub(super) fn read(file: &Path, now: i64) -> anyhow::Result<Read> {
    let about = || format!("cannot read {}", file.display());
    let bytes = fs::metadata(file).with_context(about)?.len();
    ensure!(bytes <= INDICATOR_FILE_BYTES_MAX, "{} is larger than {INDICATOR_FILE_BYTES_MAX} bytes", file.display());
    let text = fs::read_to_string(file).with_context(about)?;
    let read = if text.trim_start().starts_with('{') {
        let bundle: Value = serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?;
        let objects = bundle["objects"].as_array();
        of_bundle(objects.with_context(|| format!("{} is no STIX bundle: it has no `objects`", file.display()))?, now)
    } else {
        of_lines(&text)
    };
    ensure!(read.warnings.len() <= INDICATORS_MAX, "{} holds more than {INDICATORS_MAX} indicators", file.display());
    Ok(read)
}

fn of_lines(text: &str) -> Read {
    let mut read = Read::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let (indicator, label) = line.split_once(',').unwrap_or((line, ""));
        let [indicator, label] = [indicator, label].map(|cell| cell.trim().trim_matches('"'));
        let is_heading = number == 0 && matches!(indicator, "indicator" | "value");
        if line.is_empty() || line.starts_with('#') || is_heading {
            continue;
        }
        read.take(&format!("line {}", number + 1), indicator, Warning { label: label.to_owned(), until: None });
    }
    read
}

fn of_bundle(objects: &[Value], now: i64) -> Read {
    let mut read = Read::default();
    for object in objects.iter().filter(|object| object["type"] == "indicator") {
        let name = object["id"].as_str().unwrap_or("an indicator without an id");
        let until = match &object["valid_until"] {
            Value::Null => None,
            Value::String(text) => {
                let Ok(until) = text.parse::<Instant>() else {
                    read.rejects.push((name.to_owned(), format!("`valid_until` is no time: {text}")));
                    continue;
                };
                Some(until.unix_seconds())
            }
            other => {
                read.rejects.push((name.to_owned(), format!("`valid_until` is no time: {other}")));
                continue;
            }
        };
        // Taken back or over: its author does not warn of it any more.
        if object["revoked"] == true || until.is_some_and(|until| until <= now) {
            continue;
        }
        let values = compared(object["pattern"].as_str().unwrap_or_default());
        if values.is_empty() {
            read.rejects.push((name.to_owned(), "its pattern compares nothing with a text".to_owned()));
        }
        let label = object["name"].as_str().unwrap_or_default();
        for value in values {
            read.take(name, &value, Warning { label: label.to_owned(), until });
        }
    }
    read
}

/// The texts with which a pattern compares by `=`, e.g. `[ipv4-addr:value = '198.51.100.7']`. Within a text, a backslash stands
/// before a quote.
fn compared(pattern: &str) -> Vec<String> {
    let (mut values, mut rest) = (Vec::new(), pattern);
    while let Some((before, quoted)) = rest.split_once('\'') {
        let (mut value, mut escaped, mut end) = (String::new(), false, quoted.len());
        for (at, character) in quoted.char_indices() {
            match character {
                '\\' if !escaped => escaped = true,
                '\'' if !escaped => {
                    end = at + 1;
                    break;
                }
                _ => {
                    value.push(character);
                    escaped = false;
                }
            }
        }
        // `!=` says what is not meant.
        let operator = before.trim_end();
        if operator.ends_with('=') && !operator.ends_with("!=") {
            values.push(value);
        }
        rest = &quoted[end..];
    }
    values
}

impl Read {
    /// Takes an indicator in, by its canonical form. Told twice, the first word on it holds.
    fn take(&mut self, place: &str, indicator: &str, warning: Warning) {
        let is_plain = |text: &str| !text.chars().any(char::is_control) && text.len() <= INDICATOR_BYTES_MAX;
        if indicator.is_empty() || !is_plain(indicator) || indicator.contains(char::is_whitespace) {
            let problem = format!("is no indicator: one word of at most {INDICATOR_BYTES_MAX} bytes");
            self.rejects.push((place.to_owned(), problem));
        } else if !is_plain(&warning.label) {
            self.rejects.push((place.to_owned(), format!("its label has more than {INDICATOR_BYTES_MAX} bytes")));
        } else {
            self.warnings.entry(canonical(indicator)).or_insert(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_hold_an_indicator_and_why() {
        let read = of_lines(
            "indicator,why\n# a comment\n0xBAD0,thief, of many\n\n\"198.51.100.7\"\ntwo words\n0xbad0,again\n",
        );
        let told: Vec<(&str, &str)> =
            read.warnings.iter().map(|(name, warning)| (name.as_str(), warning.label.as_str())).collect();
        assert_eq!(told, [("0xbad0", "thief, of many"), ("198.51.100.7", "")]);
        assert_eq!(read.rejects.len(), 1);
        assert_eq!(read.rejects[0].0, "line 6");
    }

    #[test]
    fn a_bundle_gives_what_its_patterns_compare_with() {
        let indicator = |id: &str, pattern: &str, more: &Value| {
            let mut object = json!({"type": "indicator", "id": id, "name": "kit", "pattern": pattern});
            for (name, value) in more.as_object().unwrap() {
                object[name] = value.clone();
            }
            object
        };
        let objects = [
            json!({"type": "identity", "id": "x"}),
            indicator("a", "[ipv4-addr:value = '198.51.100.7' OR ipv4-addr:value = '198.51.100.8']", &json!({})),
            indicator(
                "b",
                "[x:y = 'session\\'1' AND x:z != 'not-me']",
                &json!({"valid_until": "1970-01-01T00:01:40Z"}),
            ),
            indicator("c", "[x:y = 'over']", &json!({"valid_until": "1970-01-01T00:00:40Z"})),
            indicator("d", "[x:y = 'withdrawn']", &json!({"revoked": true})),
            indicator("e", "[x:y = 3]", &json!({})),
            indicator("f", "[x:y = 'z']", &json!({"valid_until": "soon"})),
        ];
        let read = of_bundle(&objects, 50);
        let told: Vec<(&str, Option<i64>)> =
            read.warnings.iter().map(|(name, warning)| (name.as_str(), warning.until)).collect();
        assert_eq!(told, [("198.51.100.7", None), ("198.51.100.8", None), ("session'1", Some(100))]);
        assert_eq!(read.rejects.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["e", "f"]);
    }
}
