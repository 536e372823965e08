//! What every feed does with a body: cut it into records, parse each within limits, and check the events it became. One
//! bad record costs no other. What a record is taken apart into counts toward the limits of the body. It knows no format.

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

/// A record as it is, or the parts that it was taken apart into, which are refused with their own bytes.
pub(crate) enum Unfolded {
    Whole(Value),
    Parts(Vec<Part>),
}

/// A part of a record, or why it is none and what stands in its place.
pub(crate) type Part = Result<Value, (Problem, Vec<u8>)>;

/// As [`read_each`], where `unfold` takes a record apart that holds several parts, of which a bad one costs no other, and
/// where `decode` reads records that do not begin as a JSON object.
pub(crate) fn read_parts(
    body: &[u8],
    wrapper: Option<&str>,
    decode: impl Fn(&[u8]) -> Result<Value, Problem>,
    unfold: impl Fn(Value) -> Result<Unfolded, Problem>,
    read: impl Fn(&Value) -> Result<Vec<Event>, Problem>,
) -> Reading {
    let records = match records::cut(body, wrapper) {
        Ok(records) => records,
        Err(problem) => return refuse_whole(&problem, body),
    };
    let mut reading = Reading::default();
    let mut repeated_bytes = 0_usize;
    for record in records {
        let unfolded = accept(&record).and_then(|()| decode(record.bytes)).and_then(&unfold);
        let (parts, is_whole) = match unfolded {
            Ok(Unfolded::Whole(value)) => (vec![Ok(value)], true),
            Ok(Unfolded::Parts(parts)) => (parts, false),
            Err(problem) => {
                reading.records += 1;
                reading.rejects.push(Reject::new(&problem, Some(record.line), record.bytes));
                continue;
            }
        };
        reading.records += parts.len().max(1);
        reading.skipped += usize::from(parts.is_empty());
        repeated_bytes += repeated(&parts, record.bytes);
        if let Err(problem) = within_limits(reading.records, repeated_bytes) {
            return refuse_whole(&problem, body);
        }
        for part in parts {
            let bytes = |part: &Value| if is_whole { record.bytes.to_vec() } else { part.to_string().into_bytes() };
            let events = part.and_then(|part| read(&part).and_then(checked).map_err(|problem| (problem, bytes(&part))));
            match events {
                Ok(events) if events.is_empty() => reading.skipped += 1,
                Ok(events) => reading.events.extend(events),
                Err((problem, bytes)) => reading.rejects.push(Reject::new(&problem, Some(record.line), &bytes)),
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
    read_parts(body, wrapper, decode, |value| Ok(Unfolded::Whole(value)), read)
}

fn refuse_whole(problem: &Problem, body: &[u8]) -> Reading {
    Reading { events: Vec::new(), rejects: vec![Reject::new(problem, None, body)], skipped: 0, records: 1 }
}

/// Bytes by which the parts of a record are more than the record was.
fn repeated(parts: &[Part], record: &[u8]) -> usize {
    if parts.len() < 2 {
        return 0;
    }
    let bytes: usize = parts.iter().flatten().map(|part| part.to_string().len()).sum();
    bytes.saturating_sub(record.len())
}

/// That a body becomes no more than is accepted, its records taken apart.
fn within_limits(records: usize, repeated_bytes: usize) -> Result<(), Problem> {
    if records > limits::RECORDS_MAX {
        let reason = format!("more than {} records, their parts counted; send smaller batches", limits::RECORDS_MAX);
        return Err(Problem::new("body", reason));
    }
    if repeated_bytes > limits::BODY_PARTS_BYTES_MAX {
        let reason = format!(
            "the parts of its records would repeat more than {} bytes; send smaller batches",
            limits::BODY_PARTS_BYTES_MAX
        );
        return Err(Problem::new("body", reason));
    }
    Ok(())
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
