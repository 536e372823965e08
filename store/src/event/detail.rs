//! The rest of an event that has no column: canonical JSON text of an object, keys sorted, no white space.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// The text of an object with nothing in it, which most events have; it is kept as no text.
const EMPTY: &str = "{}";

/// The detail of an event, which holds its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail<'a>(&'a str);

impl<'a> Detail<'a> {
    /// Takes text that is canonical already; none stands for the empty object.
    pub(super) fn of(canonical: &'a str) -> Detail<'a> {
        Detail(if canonical == EMPTY { "" } else { canonical })
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        if self.0.is_empty() { EMPTY } else { self.0 }
    }

    /// The parsed object.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "a detail is valid JSON by construction")]
    pub fn value(self) -> Value {
        serde_json::from_str(self.as_str()).expect("a detail is valid JSON by construction")
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

/// The canonical text of a value, for who writes the same detail many times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalJson(String);

impl CanonicalJson {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Room for the text of most values, so that it need not grow from nothing.
const TEXT_BYTES: usize = 512;

/// Where a value stands in what is written.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// It is the whole.
    Whole,
    /// It is the member of that name.
    Member(&'a str),
    /// It is the item of a list after another, or the first one.
    Item(Option<&'a Value>),
}

/// The text that stands instead of a value, if one does.
pub type Instead<'a> = dyn for<'v> Fn(Place<'v>, &'v Value) -> Option<Cow<'v, str>> + 'a;

impl CanonicalJson {
    /// The canonical text of a value in which texts stand instead of some values; it is asked of every value that is not
    /// within such a one.
    #[must_use]
    pub fn with(value: &Value, instead: &Instead<'_>) -> CanonicalJson {
        let mut text = String::with_capacity(TEXT_BYTES);
        write_canonical(Place::Whole, value, instead, &mut text);
        CanonicalJson(text)
    }
}

impl From<&Value> for CanonicalJson {
    fn from(value: &Value) -> CanonicalJson {
        CanonicalJson::with(value, &|_, _| None)
    }
}

/// Appends an object of members and one more, which stands for a member of its name.
pub(super) fn write_with(members: &Map<String, Value>, name: &str, further: &CanonicalJson, out: &mut String) {
    let others = members.keys().map(String::as_str).filter(|other| *other != name);
    let mut names: Vec<&str> = others.chain([name]).collect();
    names.sort_unstable();
    out.reserve(further.as_str().len() + TEXT_BYTES);
    let mut opens = '{';
    for each in names {
        push_name(&mut opens, each, out);
        if each == name {
            out.push_str(further.as_str());
        } else {
            write_canonical(Place::Member(each), &members[each], &|_, _| None, out);
        }
    }
    out.push('}');
}

/// Appends the canonical text of a value.
pub(super) fn write(value: &Value, out: &mut String) {
    write_canonical(Place::Whole, value, &|_, _| None, out);
}

fn write_canonical(place: Place<'_>, value: &Value, instead: &Instead<'_>, out: &mut String) {
    if let Some(text) = instead(place, value) {
        push_quoted(&text, out);
        return;
    }
    match value {
        Value::Object(members) => write_object(members, instead, out),
        Value::Array(items) => {
            out.push('[');
            let mut before = None;
            for item in items {
                if before.is_some() {
                    out.push(',');
                }
                write_canonical(Place::Item(before), item, instead, out);
                before = Some(item);
            }
            out.push(']');
        }
        Value::String(text) => push_quoted(text, out),
        Value::Number(number) => out.push_str(number.as_str()),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Null => out.push_str("null"),
    }
}

fn write_object(members: &Map<String, Value>, instead: &Instead<'_>, out: &mut String) {
    let mut opens = '{';
    let mut put = |name: &str, member: &Value| {
        push_name(&mut opens, name, out);
        write_canonical(Place::Member(name), member, instead, out);
    };
    // A map keeps them sorted, unless a feature of its crate says otherwise.
    if members.keys().is_sorted() {
        members.iter().for_each(|(name, member)| put(name, member));
    } else {
        let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
        sorted.sort_unstable_by_key(|(name, _)| *name);
        sorted.into_iter().for_each(|(name, member)| put(name, member));
    }
    out.push_str(if opens == '{' { "{}" } else { "}" });
}

/// Appends a name after what stands before it: the bracket before the first, a comma before all others.
fn push_name(opens: &mut char, name: &str, out: &mut String) {
    out.push(std::mem::replace(opens, ','));
    push_quoted(name, out);
    out.push(':');
}

/// Most texts need no escape, so they are copied; the others go through the JSON writer.
fn push_quoted(text: &str, out: &mut String) {
    if needs_no_escape(text) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

/// Whether `text` stands in JSON as it is: no quote, no backslash, no control character (RFC 8259 §7).
#[must_use]
pub fn needs_no_escape(text: &str) -> bool {
    let escaped = |byte: u8| u8::from(byte < b' ') | u8::from(byte == b'"') | u8::from(byte == b'\\');
    text.bytes().fold(0, |found, byte| found | escaped(byte)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_detail_is_the_same_wherever_it_comes_from() {
        for detail in [Detail::of("{}"), Detail::of("")] {
            assert_eq!((detail.as_str(), detail.is_empty(), detail.value()), ("{}", true, serde_json::json!({})));
        }
    }

    #[test]
    fn text_stands_instead_of_what_is_not_to_be_written() {
        let value = serde_json::json!({"a": {"b": "c\n"}, "d": [1, "x", "y"], "e": null});
        let instead: &Instead<'_> = &|place, value| match place {
            Place::Member("b") => Some(Cow::Borrowed("*")),
            Place::Item(Some(before)) if before == "x" => Some(Cow::Borrowed("\"")),
            _ => value.is_null().then(|| Cow::Owned("none".to_owned())),
        };
        let written = CanonicalJson::with(&value, instead);
        assert_eq!(written.as_str(), r#"{"a":{"b":"*"},"d":[1,"x","\""],"e":"none"}"#);
    }

    #[test]
    fn a_further_member_stands_in_its_place() {
        let members = |value: Value| value.as_object().cloned().unwrap();
        let further = CanonicalJson(r#"{"x":1}"#.to_owned());
        for (given, written) in [
            (serde_json::json!({}), r#"{"m":{"x":1}}"#),
            (serde_json::json!({"z": 1, "m": 2, "a": "\t"}), r#"{"a":"\t","m":{"x":1},"z":1}"#),
        ] {
            let mut text = String::new();
            write_with(&members(given), "m", &further, &mut text);
            assert_eq!(text, written);
        }
    }

    #[test]
    fn values_are_written_as_their_crate_writes_them() {
        let text = r#"{"":[],"b":{},"c":[{"é\u0001\"":"\u007f\b\f\\/ü😀"},-0.0,1E400,12345678901234567890123,true,false,null]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(CanonicalJson::from(&value).as_str(), value.to_string());
    }

    #[test]
    fn text_is_canonical_whatever_the_order_of_its_keys() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": {"y": [1, 2], "x": null}}"#).unwrap();
        assert_eq!(CanonicalJson::from(&one).as_str(), r#"{"a":{"x":null,"y":[1,2]},"b":1}"#);
    }
}
