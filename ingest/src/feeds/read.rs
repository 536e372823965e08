//! What every feed does with a body: cut it into records, parse each within limits, and check the events it became. One
//! bad record costs no other.

use keywatch_store::Event;
use serde_json::Value;

use crate::transport::records::{self, Record};
use crate::{Problem, Reading, Reject, limits};

/// Reads every record of `body` with `read`; an object with the member `wrapper` stands for the array in it.
pub(crate) fn read_each(
    body: &[u8],
    wrapper: Option<&str>,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    let records = match records::cut(body, wrapper) {
        Ok(records) => records,
        Err(problem) => return refuse_whole(&problem, body),
    };
    let mut reading = Reading { records: records.len(), ..Reading::default() };
    for record in records {
        match parse(&record).and_then(|value| read(&value)).and_then(checked) {
            Ok(events) => reading.events.extend(events),
            Err(problem) => reading.rejects.push(Reject::new(&problem, Some(record.line), record.bytes)),
        }
    }
    reading.events.sort_by_key(keywatch_store::Event::event_time);
    reading
}

fn refuse_whole(problem: &Problem, body: &[u8]) -> Reading {
    Reading { events: Vec::new(), rejects: vec![Reject::new(problem, None, body)], records: 1 }
}

fn parse(record: &Record<'_>) -> Result<Value, Problem> {
    if record.cut {
        return Err(Problem::new("record", "the array is not closed: the body was cut here"));
    }
    if record.bytes.len() > limits::RECORD_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", record.bytes.len(), limits::RECORD_BYTES_MAX);
        return Err(Problem::new("record", reason));
    }
    let text = std::str::from_utf8(record.bytes);
    let text = text.map_err(|error| Problem::new("record", format!("invalid UTF-8: {error}")))?;
    let too_deep = || Problem::new("record", format!("nested deeper than {}", limits::NESTING_MAX));
    if records::nesting(record.bytes) > limits::NESTING_MAX {
        return Err(too_deep());
    }
    let value: Value =
        serde_json::from_str(text).map_err(|error| Problem::new("record", format!("not valid JSON: {error}")))?;
    // The parser unpacks text under a private name of its own, so a value can be deeper than its bytes look.
    if depth(&value) > limits::NESTING_MAX {
        return Err(too_deep());
    }
    Ok(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// What must hold of every event before the log sees it.
fn checked(events: Vec<Event>) -> Result<Vec<Event>, Problem> {
    for event in &events {
        let bytes = event.detail().as_str().len();
        if bytes > limits::DETAIL_BYTES_MAX {
            return Err(Problem::new("detail", format!("{bytes} bytes, at most {}", limits::DETAIL_BYTES_MAX)));
        }
    }
    Ok(events)
}
