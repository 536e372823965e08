//! A line of the log as an object: `time | thread | level | logger | message`, and the call that a message of the access
//! log tells of.

use serde_json::{Value, json};

use crate::Problem;

/// The logger that writes the access log.
const ACCESS: &str = "LoggerHandlerImpl";

/// Reads a line. One of another logger has the call `log`.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let parts: Vec<&str> = text.splitn(5, " | ").map(str::trim).collect();
    let [time, thread, level, logger, message] = parts[..] else {
        return Err(Problem::new("record", "is no line of the form `time | thread | level | logger | message`"));
    };
    let mut line = json!({"time": time.replacen(' ', "T", 1), "thread": thread, "level": level, "call": "log"});
    if logger == ACCESS {
        let told = access(message).ok_or_else(|| Problem::new("message", "is no line of an access log"))?;
        line["call"] = json!(format!("{} {}", told.method, told.path));
        line["remote"] = json!(told.remote);
        line["status"] = json!(told.status);
        line["key"] = json!(told.path.split_once("/sign/").map(|(_, key)| key));
        line["refusal"] = json!(refusal(told.status));
        // What else the line says tells two calls apart that are alike in all this.
        line["message"] = json!(message);
    }
    Ok(line)
}

/// The record as it is, unless its path could be another once the signer has normalised it: `//api/v1/eth1/sign/0x01`
/// signs as well.
pub(super) fn checked(record: &Value) -> Result<Vec<Value>, Problem> {
    let call = record.get("call").and_then(Value::as_str).unwrap_or_default();
    let path = call.split_once(' ').map(|(_, uri)| uri.split('?').next().unwrap_or(uri));
    let is_plain = |path: &str| path.starts_with('/') && !["//", "/.", "%"].iter().any(|sign| path.contains(sign));
    if path.is_none_or(is_plain) {
        return Ok(vec![record.clone()]);
    }
    let reason = "has a path that could be normalised into another, perhaps one that signs: look at who asked for it";
    Err(Problem::new("call", reason))
}

struct Access<'a> {
    remote: &'a str,
    method: &'a str,
    path: &'a str,
    status: &'a str,
}

/// `10.0.3.17 - - [Fri, 21 Feb 2025 05:42:40 GMT] "POST /reload HTTP/1.1" 200 132 …`, of which the caller writes what
/// comes after the status and cannot write a space into its path.
fn access(message: &str) -> Option<Access<'_>> {
    let (remote, rest) = message.split_once(" - - [")?;
    let (_, rest) = rest.split_once("] \"")?;
    let (method, rest) = rest.split_once(' ')?;
    let (uri, rest) = rest.split_once(' ')?;
    let (_version, rest) = rest.split_once("\" ")?;
    let status = rest.split(' ').next().filter(|status| status.len() == 3)?;
    let digits = status.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Access { remote, method, path: uri.split('?').next().unwrap_or(uri), status })
}

/// Why nothing was signed.
fn refusal(status: &str) -> Option<&str> {
    match status {
        "400" => Some("malformed"),
        "404" => Some("unknown_key"),
        "412" => Some("slashing_protection"),
        status if status.starts_with('2') => None,
        other => Some(other),
    }
}
