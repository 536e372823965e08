//! A line of a flow log as an object with the names of its fields.

use serde_json::{Map, Value};

use crate::Problem;

/// The fields of version 2, in their order.
const FIELDS: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];

/// Those that are numbers in JSON too, so that a flow is the same in both.
const NUMBERS: [&str; 8] = ["version", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end"];

/// Reads a line of version 2, or its header.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let values: Vec<&str> = text.split_ascii_whitespace().take(FIELDS.len() + 1).collect();
    if values.len() != FIELDS.len() {
        return Err(Problem::new("record", "is neither JSON nor a line of the 14 fields of version 2"));
    }
    let members = FIELDS.iter().zip(values).map(|(name, text)| ((*name).to_owned(), value(name, text)));
    Ok(Value::Object(members.collect::<Map<_, _>>()))
}

/// A number where the field is one; the dash of an absent one and the names of the header stay text.
fn value(name: &str, text: &str) -> Value {
    let number = text.parse::<u64>().ok().filter(|_| NUMBERS.contains(&name));
    number.map_or_else(|| Value::from(text), Value::from)
}
