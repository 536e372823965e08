//! What is packed comes back as it was, and what is no such stream is told with its column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, NullArray, RecordBatch, StringArray};
use proptest::prelude::*;

use super::*;
use crate::event::Origin;
use crate::line::tests::any_event;
use crate::{Instant, line};

fn event(id: &str) -> Event {
    let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
    Event::builder(&origin, id, "decision", Instant(7)).build().unwrap()
}

fn with_names(event: &Event) -> Event {
    let mut event = event.to_builder();
    event.system("s").source("a");
    event.take_event()
}

fn lines(events: &[Event]) -> Vec<String> {
    events.iter().map(line::write).collect()
}

/// The stream of these columns.
fn stream(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut out = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    out.write(&batch).unwrap();
    out.into_inner().unwrap()
}

/// The columns of an event, to be spoilt.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let batch = columns::batch(&[event("1")], Clock::Wall).unwrap();
    let names = ["event_id", "system", "event_time", "source", "kind"];
    assert!(batch.schema().fields().iter().map(|field| field.name().as_str()).eq(names), "nothing else is said");
    names.into_iter().zip(batch.columns().to_vec()).collect()
}

proptest! {
    #[test]
    fn every_line_comes_back_byte_for_byte(events in prop::collection::vec(any_event(), 1..20)) {
        let events: Vec<Event> = events.iter().map(with_names).collect();
        let packed = write(&events, Clock::Recorded).unwrap();
        prop_assert!(is_packed(&packed));
        let read = read(&packed).unwrap();
        prop_assert_eq!(lines(&read), lines(&events));
        prop_assert_eq!(&read, &events);
        let bytes: usize = events.iter().map(bytes_of).sum();
        prop_assert!(packed.len() <= bytes + 16_384, "{} bytes, {bytes} expected at most", packed.len());
    }
}

#[test]
fn on_the_wall_clock_no_log_time_is_packed() {
    let mut timed = event("1");
    timed.set_time(Instant(5));
    assert_eq!(read(&write(&[timed.clone()], Clock::Wall).unwrap()).unwrap(), [event("1")]);
    assert_eq!(read(&write(&[timed.clone()], Clock::Recorded).unwrap()).unwrap(), [timed]);
}

#[test]
fn what_is_wrong_names_its_column() {
    assert_eq!(read(&stream(columns())).unwrap(), [event("1")]);
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    let cases: [(&str, ArrayRef, &str); 7] = [
        ("actress", text("a"), "actress: unknown column"),
        ("asn", text("7"), "asn: the column is of Utf8"),
        ("system", text(""), "system: must not be empty"),
        ("kind", text("nonsense"), "unknown kind `nonsense`"),
        ("detail", text("[1]"), "detail: must be a JSON object"),
        ("reason", text(&"x".repeat(crate::limits::TEXT_BYTES_MAX + 1)), "reason: 4097 bytes"),
        ("amount_exact", text("-1"), "amount_exact: `-1` is not a whole number"),
    ];
    for (name, column, expected) in cases {
        let mut columns = columns();
        columns.retain(|(kept, _)| *kept != name);
        columns.push((name, column));
        let said = read(&stream(columns)).unwrap_err().to_string();
        assert!(said.contains(expected), "{said} does not say {expected}");
    }
    for name in REQUIRED {
        let mut columns = columns();
        columns.retain(|(kept, _)| *kept != name);
        let said = read(&stream(columns)).unwrap_err().to_string();
        assert_eq!(said, format!("{name}: the column is missing"));
    }
}

#[test]
fn rows_that_take_no_bytes_are_refused_before_there_is_room_for_them() {
    let rows = || Arc::new(NullArray::new(1 << 40)) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = REQUIRED.into_iter().map(|name| (name, rows())).collect();
    let said = read(&stream(columns)).unwrap_err().to_string();
    assert!(said.contains("event_id: the column is of Null"), "{said}");
}

#[test]
fn what_is_no_stream_is_refused() {
    let whole = write(&[event("1")], Clock::Wall).unwrap();
    let none = write(&[event("1")][..0], Clock::Wall).unwrap();
    for bytes in [&none[..], &b"\xff\xff\xff\xff\x05\0\0\0hello"[..], &whole[..whole.len() - 100]] {
        assert!(is_packed(bytes) && read(bytes).is_err(), "{} bytes", bytes.len());
    }
    assert!(!is_packed(line::write(&event("1")).as_bytes()) && !is_packed(b""));
}

/// Behind the last batch stands no more than that it was the last.
#[test]
fn a_stream_that_is_cut_anywhere_is_refused_or_whole() {
    let events = [event("1"), event("2")];
    let whole = write(&events, Clock::Wall).unwrap();
    assert_eq!(lines(&read(&whole).unwrap()).len(), 2);
    let mut refused = 0;
    for end in 0..whole.len() {
        match read(&whole[..end]) {
            Ok(read) => assert_eq!(lines(&read), lines(&super::read(&whole).unwrap()), "{end} of {}", whole.len()),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > whole.len() / 2, "{refused} of {}", whole.len());
}

#[test]
fn a_detail_is_kept_in_its_canonical_form() {
    let mut columns = columns();
    columns.push(("detail", Arc::new(StringArray::from(vec![r#"{"b": 1, "a": 2}"#])) as ArrayRef));
    columns.push(("asn", Arc::new(Int64Array::from(vec![Some(7)])) as ArrayRef));
    let read = read(&stream(columns)).unwrap();
    assert_eq!((read[0].detail().as_str(), read[0].asn()), (r#"{"a":2,"b":1}"#, Some(7)));
}
