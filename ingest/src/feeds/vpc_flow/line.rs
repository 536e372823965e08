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

/// Reads a line of version 2, or its header.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let values: Vec<&str> = text.split_ascii_whitespace().take(FIELDS.len() + 1).collect();
    if values.len() != FIELDS.len() {
        return Err(Problem::new("record", "is neither JSON nor a line of the 14 fields of version 2"));
    }
    let members = FIELDS.iter().zip(values).map(|(name, value)| ((*name).to_owned(), Value::from(value)));
    Ok(Value::Object(members.collect::<Map<_, _>>()))
}
