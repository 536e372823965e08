//! The rest of an event that has no column: canonical JSON text of an object, keys sorted, no white space.

use serde_json::Value;

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

impl From<&Value> for CanonicalJson {
    fn from(value: &Value) -> CanonicalJson {
        let mut text = String::new();
        write_canonical(value, &mut text);
        CanonicalJson(text)
    }
}

fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write_canonical(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
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
    fn text_is_canonical_whatever_the_order_of_its_keys() {
        let one: Value = serde_json::from_str(r#"{"b": 1, "a": {"y": [1, 2], "x": null}}"#).unwrap();
        assert_eq!(CanonicalJson::from(&one).as_str(), r#"{"a":{"x":null,"y":[1,2]},"b":1}"#);
    }
}
