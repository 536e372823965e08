//! JSON of a stranger: a parser that refuses what two parsers would read differently.

use std::collections::HashSet;
use std::fmt;

use keywatch_store::event::needs_no_escape;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::transport::records;
use crate::{Problem, limits};

/// Parses one JSON value (RFC 8259) within [`limits::NESTING_MAX`].
///
/// # Errors
/// Bad UTF-8 or JSON, nesting beyond the limit, and a name that an object has twice (RFC 8259 §4 leaves open which of
/// the two counts, so that two readers of one record could see two different sessions).
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let too_deep = || Problem::new("record", format!("nested deeper than {}", limits::NESTING_MAX));
    let outline = records::outline(bytes);
    if outline.nesting > limits::NESTING_MAX {
        return Err(too_deep());
    }
    let invalid = |error: serde_json::Error| Problem::new("record", format!("not valid JSON: {error}"));
    let value: Value = serde_json::from_str(text).map_err(invalid)?;
    // The parser unpacks text under a private name of its own, so a value can be deeper than its bytes look.
    let (depth, members) = extent(&value);
    if depth > limits::NESTING_MAX {
        return Err(too_deep());
    }
    // Of two members with one name a value keeps one. Where a name may be one of the parser's own, numbers say nothing.
    if members == outline.members && !outline.has_odd_name {
        return Ok(value);
    }
    match doubled_name(text) {
        Some(path) => {
            Err(Problem::new(path, "is there twice: two readers of this record could read two different ones"))
        }
        None => Ok(value),
    }
}

/// How deep a value is, and how many members all of its objects have.
fn extent(value: &Value) -> (usize, usize) {
    let with = |(depth, members): (usize, usize), inner: &Value| {
        let (inner_depth, inner_members) = extent(inner);
        (depth.max(inner_depth), members + inner_members)
    };
    let (depth, members) = match value {
        Value::Array(items) => items.iter().fold((0, 0), with),
        Value::Object(members) => members.values().fold((0, members.len()), with),
        _ => return (0, 0),
    };
    (depth + 1, members)
}

/// Bytes of a value as it is written without white space.
pub(crate) fn written_bytes(value: &Value) -> usize {
    let within = |count: usize, bytes: usize| 2 + bytes + count.saturating_sub(1);
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text_bytes(text),
        Value::Array(items) => within(items.len(), items.iter().map(written_bytes).sum()),
        Value::Object(members) => {
            let bytes = members.iter().map(|(name, member)| text_bytes(name) + 1 + written_bytes(member));
            within(members.len(), bytes.sum())
        }
    }
}

/// Bytes of a text between its quotes and with them; control characters without a letter of their own are `\u00XX`.
fn text_bytes(text: &str) -> usize {
    if needs_no_escape(text) {
        return 2 + text.len();
    }
    let escaped = |byte: u8| -> usize {
        match byte {
            b'"' | b'\\' | 0x08 | 0x09 | 0x0a | 0x0c | 0x0d => 2,
            0x00..0x20 => 6,
            _ => 1,
        }
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

/// Dotted path of the first name that an object of `text` has twice. Names are compared as they are read, so that an
/// escaped letter is the letter.
fn doubled_name(text: &str) -> Option<String> {
    let mut search = Search::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = Names(&mut search).deserialize(&mut deserializer);
    read.err().and(search.found)
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    found: Option<String>,
}

/// Goes through one value.
struct Names<'a>(&'a mut Search);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0_usize;
        loop {
            self.0.path.push(index.to_string());
            if items.next_element_seed(Names(self.0))?.is_none() {
                self.0.path.pop();
                return Ok(());
            }
            self.0.path.pop();
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            self.0.path.push(name);
            let name = self.0.path.last().expect("it was pushed just now");
            if !names.insert(name.clone()) {
                self.0.found = Some(self.0.path.join("."));
                members.next_value::<IgnoredAny>()?;
                return Err(A::Error::custom("a name is there twice"));
            }
            members.next_value_seed(Names(self.0))?;
            self.0.path.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_twice_is_refused_wherever_it_stands() {
        for (text, path) in [
            (r#"{"a":1,"b":2,"a":1}"#, "a"),
            (r#"{"a":1,"\u0061":2}"#, "a"),
            (r#"{"a":[{"b":1},{"c":{"d":1,"e":2.5,"d":null}}]}"#, "a.1.c.d"),
            (r#"[true,{"x":1,"x":"y"}]"#, "1.x"),
        ] {
            let problem = parse(text.as_bytes()).unwrap_err();
            assert_eq!(problem.field, path, "{text}");
            assert!(problem.reason.contains("twice"), "{problem}");
        }
    }

    #[test]
    fn the_bytes_of_a_value_are_those_that_are_written() {
        let all: String = (0..0x100).filter_map(char::from_u32).collect();
        for value in [
            serde_json::json!(null),
            serde_json::json!([]),
            serde_json::json!({}),
            serde_json::json!([true, false, [1, -2.5e3], "ü😀"]),
            serde_json::json!({"a": {"b\n": 1}, (all.as_str()): [all, {}]}),
        ] {
            assert_eq!(written_bytes(&value), value.to_string().len(), "{value}");
        }
    }

    #[test]
    fn a_doubled_name_is_not_hidden_by_what_the_parser_unpacks() {
        for name in ["$serde_json::private::RawValue", "\\u0024serde_json::private::RawValue"] {
            let packed = format!(r#"{{"{name}":"{{\"x\":1,\"y\":2}}"}}"#);
            assert_eq!(parse(packed.as_bytes()).unwrap(), serde_json::json!({"x": 1, "y": 2}));
            let text = format!(r#"{{"a":{packed},"b":1,"b":2}}"#);
            assert_eq!(parse(text.as_bytes()).unwrap_err().field, "b", "{text}");
        }
    }

    #[test]
    fn names_of_different_objects_may_be_alike() {
        let text = r#"{"a":{"a":{"a":[{"a":1},{"a":123456789012345678901234567890}]}},"A":1,"b":{"a":1e400}}"#;
        assert_eq!(parse(text.as_bytes()).unwrap()["a"]["a"]["a"][0]["a"], 1);
    }
}
