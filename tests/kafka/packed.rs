//! Many events in one message: the same records, times, positions and findings as a line of JSON for each, also beside
//! those and after a crash; and other clients read them by the documentation alone.

use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, TimestampNanosecondType};
use arrow::ipc::reader::StreamReader;
use hmac::{Hmac, KeyInit, Mac};
use keywatch_simulator::{Settings as Traffic, Simulation};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaLog, KafkaReader, Messages, Producer, ReadFrom, Settings};
use keywatch_store::{Clock, Event, Log, LogWriter, Position, Topic, Written, line, packed};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use sha2::Sha256;

use super::foreign::{read, write};
use super::log::{all, with_repeats};
use super::running::log_section;
use super::{open, settings, standing};
use crate::incidents::recording::{bybit, incidents};
use crate::incidents::rules::{bytes, decided};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{broker, prefix};

/// The same log, written in packed messages.
fn packing(settings: &Settings) -> Settings {
    Settings { messages: Messages::Packed, ..settings.clone() }
}

/// How many messages there are of the events.
fn messages(settings: &Settings) -> i64 {
    KafkaReader::open(settings, Topic::Events, ReadFrom::Oldest).unwrap().extents()[0].end
}

#[test]
fn p1_packed_messages_are_the_records_times_and_findings_of_lines() {
    let broker = broker();
    for incident in incidents() {
        let directory = tempfile::tempdir().unwrap();
        let as_lines = settings(&broker, &prefix(), Clock::Recorded, directory.path());
        let as_packed = packing(&settings(&broker, &prefix(), Clock::Recorded, directory.path()));
        let lines = KafkaLog::open(&as_lines, 0, &directory.path().join("lines")).unwrap();
        let packed = open(&as_packed, directory.path());
        for events in with_repeats(&incident).chunks(601) {
            let expected = lines.append(Topic::Events, events.to_vec()).unwrap();
            assert_eq!(packed.append(Topic::Events, events.to_vec()).unwrap(), expected, "{}", incident.name);
        }
        let records = all(&lines, Topic::Events);
        assert!(records.iter().any(|event| event.kind() == "source.conflict"));
        assert_eq!(all(&packed, Topic::Events), records);
        let found = bytes(&decided(&records, &[]));
        assert_eq!(bytes(&decided(&all(&packed, Topic::Events), &[])), found);
        assert!(found.len() >= incident.expected.len());
        let (many, few) = (messages(&as_lines), messages(&as_packed));
        assert!(few * 100 < many, "{few} messages for {many} lines");

        drop(packed);
        std::fs::remove_dir_all(directory.path().join("copy")).unwrap();
        assert_eq!(all(&open(&as_packed, directory.path()), Topic::Events), records, "without its copy");
    }
}

#[test]
fn p1_lines_and_packed_messages_stand_in_one_topic() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let as_lines = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let as_packed = packing(&as_lines);
    let log = open(&as_packed, directory.path());
    let writers = [Producer::open(&as_lines).unwrap(), Producer::open(&as_packed).unwrap()];
    let events = bybit().events[..220].to_vec();
    for (events, writer) in events[..200].chunks(20).zip(writers.iter().cycle()) {
        assert_eq!(writer.write(Topic::Events, events.to_vec()).unwrap(), Written::Sent(20));
    }
    let appended = log.append(Topic::Events, events[200..].to_vec()).unwrap();
    assert_eq!((appended.first, appended.written.len()), (Position(200), 20));
    assert_eq!((messages(&as_lines), log.foreign_messages()), (5 * 20 + 5 + 1, 0));

    let records = all(&log, Topic::Events);
    assert!(records.iter().map(Event::event_id).eq(events.iter().map(Event::event_id)));
    assert!(records.is_sorted_by(|one, next| one.time() < next.time()), "log time strictly increases");
    let of_one_message = &records[20..40];
    assert!(of_one_message.windows(2).all(|pair| pair[1].time().0 - pair[0].time().0 == 1), "a nanosecond each");
    let again = log.append(Topic::Events, events[15..45].to_vec()).unwrap();
    assert_eq!((again.repeats, again.written.len()), (30, 0));

    let other = KafkaLog::open(&as_lines, 0, &directory.path().join("other")).unwrap();
    assert_eq!(all(&other, Topic::Events), records);
    let seen = standing(&as_lines, Topic::Events);
    let of_reader: Vec<Event> = seen.into_iter().flat_map(|message| message.records.unwrap()).collect();
    let given = events.iter().chain(&events[15..45]);
    assert!(of_reader.iter().map(Event::event_id).eq(given.map(Event::event_id)));
}

#[test]
fn p2_a_crash_before_a_packed_message_is_in_the_copy_neither_loses_nor_doubles_it() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = packing(&settings(&broker, &prefix(), Clock::Wall, directory.path()));
    let events = bybit().events;
    let crashed = directory.path().join("crashed");
    open(&settings, directory.path()).append(Topic::Events, events[..50].to_vec()).unwrap();
    assert_eq!(KafkaLog::open(&settings, 0, &crashed).unwrap().end(Topic::Events), Position(50));
    let log = open(&settings, directory.path());
    log.append(Topic::Events, events[50..120].to_vec()).unwrap();
    let records = all(&log, Topic::Events);
    drop(log);

    // As a crash leaves it: what is being taken over is noted, and none of it is in the copy.
    let noted = |copy: &Path| copy.join("kafka-progress.json");
    std::fs::copy(noted(&directory.path().join("copy")), noted(&crashed)).unwrap();
    assert_eq!(all(&KafkaLog::open(&settings, 0, &crashed).unwrap(), Topic::Events), records);
    // And after it: all of it is there.
    let log = open(&settings, directory.path());
    assert_eq!(all(&log, Topic::Events), records);
    let appended = log.append(Topic::Events, events[120..140].to_vec()).unwrap();
    assert_eq!((appended.first, appended.written.len()), (Position(120), 20));
}

/// The headers of a value of a system, signed as the documentation says.
pub(super) fn signed(key_file: &Path, system: &str, value: &[u8]) -> OwnedHeaders {
    let key = hex::decode(std::fs::read_to_string(key_file).unwrap().trim()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(b"keywatch message 1\0");
    for part in [b"events".as_slice(), b"wall", b"keywatch", b"other-1", system.as_bytes(), value] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    let mac = hex::encode(mac.finalize().into_bytes());
    let headers = [
        ("keywatch-clock", "wall"),
        ("keywatch-role", "keywatch"),
        ("keywatch-append", "other-1"),
        ("keywatch-mac", mac.as_str()),
    ];
    let empty = OwnedHeaders::new();
    headers.into_iter().fold(empty, |headers, (key, value)| headers.insert(Header { key, value: Some(value) }))
}

#[test]
fn p8_what_a_role_signed_is_read_and_what_of_it_cannot_be_read_stops_the_reader_with_its_offset() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let log = open(&settings, directory.path());
    let (topic, events) = (settings.topic(Topic::Events), bybit().events);
    let system = events[0].system();
    let whole = packed::write(&events[..9], Clock::Wall).unwrap();
    write(&broker, &topic, system, &whole, Some(signed(&settings.key_file, system, &whole)));
    let unsigned = whole[..whole.len() - 100].to_vec();
    write(&broker, &topic, system, &unsigned, Some(signed(&settings.key_file, system, &whole)));
    let appended = log.append(Topic::Events, events[9..11].to_vec()).unwrap();
    assert_eq!((appended.first, log.foreign_messages()), (Position(9), 1));

    write(&broker, &topic, system, &unsigned, Some(signed(&settings.key_file, system, &unsigned)));
    let stopped = log.append(Topic::Events, events[11..12].to_vec()).unwrap_err().to_string();
    assert!(stopped.contains("the message at offset 4 cannot be read"), "{stopped}");
    drop(log);
    let refused = KafkaLog::open(&settings, 0, &directory.path().join("copy")).unwrap_err().to_string();
    assert!(refused.contains("the message at offset 4 cannot be read"), "{refused}");
}

#[test]
fn p1_a_log_is_copied_to_packed_messages_and_back_shown_and_checked() {
    let (broker, prefix, directory) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let path = directory.path();
    std::fs::write(path.join("inventory.toml"), "[[systems]]\nid = \"any\"\n").unwrap();
    let configuration = log_section(&broker, &prefix, "messages = \"packed\"\n");
    std::fs::write(path.join("keywatch.toml"), configuration).unwrap();
    let first = EmbeddedLog::open(path.join("first"), Options::new(Clock::Recorded)).unwrap();
    first.append(Topic::Events, bybit().events).unwrap();
    let records = all(&first, Topic::Events);
    drop(first);
    let run = |arguments: &[&str]| {
        let done = keywatch(path, arguments, b"");
        assert!(done.status.success(), "{arguments:?}: {}{}", out(&done), err(&done));
        out(&done)
    };
    run(&["log", "copy", "first", "keywatch.toml"]);
    assert!(run(&["log", "check", "keywatch.toml"]).contains("whole: every message"));
    run(&["log", "copy", "keywatch.toml", "second.jsonl"]);
    let lines: Vec<String> = records.iter().map(line::write).collect();
    assert_eq!(std::fs::read_to_string(path.join("second.jsonl")).unwrap(), format!("{}\n", lines.join("\n")));
    assert_eq!(run(&["log", "tail", "keywatch.toml", "--all"]), format!("{}\n", lines.join("\n")));
}

#[test]
fn a_foreign_consumer_reads_packed_events_by_the_documentation_alone() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = packing(&settings(&broker, &prefix(), Clock::Wall, directory.path()));
    let events = bybit().events[..100].to_vec();
    open(&settings, directory.path()).append(Topic::Events, events.clone()).unwrap();
    let message = &read(&broker, &settings.topic(Topic::Events), 0, 1)[0];
    assert_eq!(message.key(), Some(events[0].system().as_bytes()));
    let header = |name: &str| {
        let found = message.headers().unwrap().iter().find(|header| header.key == name)?;
        Some(String::from_utf8(found.value.unwrap().to_vec()).unwrap())
    };
    assert_eq!(header("content-type").as_deref(), Some("application/vnd.apache.arrow.stream"));
    assert_eq!(header("keywatch-records").as_deref(), Some("100"));
    assert_eq!((header("ce_specversion"), header("ce_id")), (None, None), "it is no single CloudEvent");

    let mut batches = StreamReader::try_new(message.payload().unwrap(), None).unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none() && batch.num_rows() == 100);
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let ids = column("event_id").as_fixed_size_binary();
    assert!(ids.iter().zip(&events).all(|(id, event)| id.unwrap() == event.event_id().0.as_slice()));
    let kinds = column("kind").as_string::<i32>();
    assert!(kinds.iter().zip(&events).all(|(kind, event)| kind == Some(event.kind())));
    let times = column("event_time").as_primitive::<TimestampNanosecondType>();
    assert!(times.iter().zip(&events).all(|(time, event)| time == Some(event.event_time().0)));
    assert!(batch.column_by_name("time").is_none(), "the append time is the message's");
    assert!(column("system").null_count() == 0 && *column("system").data_type() == DataType::Utf8);
}

#[test]
fn every_event_of_incidents_and_of_simulated_traffic_is_packed_without_loss() {
    let simulated = Simulation::new(Traffic { systems: 3, ..Traffic::new(60_000, 10, 7) }).unwrap();
    let mut events = incidents().map(|incident| incident.events).into_iter().flatten().chain(simulated);
    let mut count = 0;
    loop {
        let piece: Vec<Event> = events.by_ref().take(1_000).collect();
        if piece.is_empty() {
            break;
        }
        count += piece.len();
        let read = packed::read(&packed::write(&piece, Clock::Recorded).unwrap()).unwrap();
        for (read, event) in read.iter().zip(&piece) {
            assert_eq!(line::write(read), line::write(event));
        }
        assert_eq!(read, piece);
    }
    assert!(count > 50_000, "{count} events");
}
