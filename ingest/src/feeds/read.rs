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

/// What one part of a record became; what was refused with its own bytes.
pub(crate) type Part = Result<Vec<Event>, (Problem, Vec<u8>)>;

/// As [`read_each`], where a record may hold several parts, of which a bad one costs no other, and where `decode` reads
/// records that do not begin as a JSON object.
pub(crate) fn read_parts(
    body: &[u8],
    wrapper: Option<&str>,
    decode: impl Fn(&[u8]) -> Result<Value, Problem>,
    read: impl Fn(&Value) -> Result<Vec<Part>, Problem>,
) -> Reading {
    let records = match records::cut(body, wrapper) {
        Ok(records) => records,
        Err(problem) => return refuse_whole(&problem, body),
    };
    let mut reading = Reading::default();
    for record in records {
        let parts = accept(&record).and_then(|()| decode(record.bytes)).and_then(|value| read(&value));
        let parts = parts.unwrap_or_else(|problem| vec![Err((problem, record.bytes.to_vec()))]);
        reading.records += parts.len().max(1);
        reading.skipped += usize::from(parts.is_empty());
        for part in parts {
            let checked = part.and_then(|events| checked(events).map_err(|problem| (problem, record.bytes.to_vec())));
            match checked {
                Ok(events) if events.is_empty() => reading.skipped += 1,
                Ok(events) => reading.events.extend(events),
                Err((problem, raw)) => reading.rejects.push(Reject::new(&problem, Some(record.line), &raw)),
            }
        }
    }
    reading.events.sort_by_key(keywatch_store::Event::event_time);
    reading
}

fn read_records(
    body: &[u8],
    wrapper: Option<&str>,
    prefix_bytes: impl Fn(&[u8]) -> usize,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    let decode = |bytes: &[u8]| json::parse(&bytes[prefix_bytes(bytes)..]);
    read_parts(body, wrapper, decode, |value| Ok(vec![Ok(read(value)?)]))
}

fn refuse_whole(problem: &Problem, body: &[u8]) -> Reading {
    Reading { events: Vec::new(), rejects: vec![Reject::new(problem, None, body)], skipped: 0, records: 1 }
}

fn accept(record: &Record<'_>) -> Result<(), Problem> {
    if record.cut {
        return Err(Problem::new("record", "the array is not closed: the body was cut here"));
    }
    if record.bytes.len() > limits::RECORD_BYTES_MAX {
        let reason = format!("{} bytes, at most {}", record.bytes.len(), limits::RECORD_BYTES_MAX);
        return Err(Problem::new("record", reason));
    }
    Ok(())
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
