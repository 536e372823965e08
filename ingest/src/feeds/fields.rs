//! Typed access to the members of a foreign JSON object; what is missing or of a wrong type is named by its path.

use alloy::primitives::{Address, B256, U256, hex};
use keywatch_store::{Amount, Instant};
use serde_json::{Map, Value};

use crate::Problem;

/// The members of an object, and where it stands in its record.
pub(crate) struct Fields<'a> {
    members: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The record itself.
    pub(crate) fn of(record: &'a Value) -> Result<Fields<'a>, Problem> {
        Fields::at(record, "")
    }

    /// An object within the record; `path` is its dotted path.
    pub(crate) fn at(value: &'a Value, path: &str) -> Result<Fields<'a>, Problem> {
        match value {
            Value::Object(members) => Ok(Fields { members, path: path.to_owned() }),
            other => {
                let field = if path.is_empty() { "record" } else { path };
                Err(Problem::new(field, format!("must be an object, is {}", with_article(other))))
            }
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a String> {
        self.members.keys()
    }

    /// A member that is present and not null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Whether the member is there, null or not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.members.contains_key(name)
    }

    pub(crate) fn problem(&self, name: &str, reason: impl Into<String>) -> Problem {
        Problem::new(if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }, reason)
    }

    pub(crate) fn missing(&self, name: &str) -> Problem {
        self.problem(name, "is missing")
    }

    fn wrong(&self, name: &str, wanted: &str, found: &Value) -> Problem {
        self.problem(name, format!("must be {wanted}, is {}", with_article(found)))
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, "text", other)),
        }
    }

    pub(crate) fn need_text(&self, name: &str) -> Result<&'a str, Problem> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(self.wrong(name, "true or false", other)),
        }
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<Instant>, Problem> {
        self.text(name)?.map(|text| text.parse().map_err(|reason: String| self.problem(name, reason))).transpose()
    }

    pub(crate) fn need_time(&self, name: &str) -> Result<Instant, Problem> {
        self.time(name)?.ok_or_else(|| self.missing(name))
    }

    /// The digits of a whole number that is written as a number or as text.
    fn digits(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, "a whole number", other)),
        }
    }

    pub(crate) fn integer(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(digits) = self.digits(name)? else { return Ok(None) };
        let parsed = digits.parse();
        parsed.map(Some).map_err(|_| self.problem(name, format!("`{}` is not a 64-bit integer", short(&digits))))
    }

    pub(crate) fn amount(&self, name: &str) -> Result<Option<Amount>, Problem> {
        let Some(digits) = self.digits(name)? else { return Ok(None) };
        Amount::from_digits(&digits).map(Some).map_err(|reason| self.problem(name, reason))
    }

    /// A 256-bit word.
    pub(crate) fn need_word(&self, name: &str) -> Result<U256, Problem> {
        let digits = self.digits(name)?.ok_or_else(|| self.missing(name))?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let word = plain.then(|| U256::from_str_radix(&digits, 10).ok()).flatten();
        word.ok_or_else(|| {
            self.problem(name, format!("`{}` is not a whole number of at most 256 bits", short(&digits)))
        })
    }

    pub(crate) fn address(&self, name: &str) -> Result<Option<Address>, Problem> {
        let parse =
            |text: &str| text.parse().map_err(|_| self.problem(name, format!("`{}` is not an address", short(text))));
        self.text(name)?.map(parse).transpose()
    }

    pub(crate) fn need_address(&self, name: &str) -> Result<Address, Problem> {
        self.address(name)?.ok_or_else(|| self.missing(name))
    }

    pub(crate) fn hash(&self, name: &str) -> Result<Option<B256>, Problem> {
        let parse = |text: &str| {
            text.parse().map_err(|_| self.problem(name, format!("`{}` is not a 32-byte hash", short(text))))
        };
        self.text(name)?.map(parse).transpose()
    }

    pub(crate) fn need_hash(&self, name: &str) -> Result<B256, Problem> {
        self.hash(name)?.ok_or_else(|| self.missing(name))
    }

    /// Bytes written as hexadecimal with or without `0x`.
    pub(crate) fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let decoded = hex::decode(text);
        decoded.map(Some).map_err(|error| self.problem(name, format!("is not hexadecimal: {error}")))
    }
}

/// The JSON type of a value (RFC 8259 §3).
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The JSON type of a value, for a sentence.
pub(crate) fn with_article(value: &Value) -> String {
    match type_name(value) {
        "null" => "null".to_owned(),
        name @ ("array" | "object") => format!("an {name}"),
        name => format!("a {name}"),
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
