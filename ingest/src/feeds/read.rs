//! What every feed does with a body: cut it into records, parse each within limits, and check the events it became. One
//! bad record costs no other.

use keywatch_store::Event;
use serde_json::Value;

use super::json;
use crate::transport::records::{self, Record};
use crate::{Problem, Reading, Reject, limits};

/// Reads every record of `body` with `read`; an object with the member `wrapper` stands for the array in it. A record
/// that gives no event is nothing of this feed's, and is counted as skipped.
pub(crate) fn read_each(
    body: &[u8],
    wrapper: Option<&str>,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    read_records(body, wrapper, |_| 0, read)
}

/// As [`read_each`], where the JSON of a record begins after as many of its bytes as `prefix_bytes` says.
pub(crate) fn read_each_after(
    body: &[u8],
    prefix_bytes: impl Fn(&[u8]) -> usize,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    read_records(body, None, prefix_bytes, read)
}

fn read_records(
    body: &[u8],
    wrapper: Option<&str>,
    prefix_bytes: impl Fn(&[u8]) -> usize,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    let records = match records::cut(body, wrapper) {
        Ok(records) => records,
        Err(problem) => return refuse_whole(&problem, body),
    };
    let mut reading = Reading { records: records.len(), ..Reading::default() };
    for record in records {
        match parse(&record, prefix_bytes(record.bytes)).and_then(|value| read(&value)).and_then(checked) {
            Ok(events) if events.is_empty() => reading.skipped += 1,
            Ok(events) => reading.events.extend(events),
            Err(problem) => reading.rejects.push(Reject::new(&problem, Some(record.line), record.bytes)),
        }
    }
    reading.events.sort_by_key(keywatch_store::Event::event_time);
    reading
}

fn refuse_whole(problem: &Problem, body: &[u8]) -> Reading {
    Reading { events: Vec::new(), rejects: vec![Reject::new(problem, None, body)], skipped: 0, records: 1 }
}

fn parse(record: &Record<'_>, prefix_bytes: usize) -> Result<Value, Problem> {
    if record.cut {
        return Err(Problem::new("record", "the array is not closed: the body was cut here"));
    }
    if record.bytes.len() > limits::RECORD_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", record.bytes.len(), limits::RECORD_BYTES_MAX);
        return Err(Problem::new("record", reason));
    }
    json::parse(&record.bytes[prefix_bytes..])
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
