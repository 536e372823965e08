//! Promise P1 across backends: the incidents on Kafka and on the embedded log.

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic, Written};
use keywatch_store::{Instant, LogWriter};

use super::{open, settings};
use crate::incidents::recording::{Incident, bybit, incidents};
use crate::incidents::rules::{bytes, decided};
use crate::support::kafka::{broker, prefix};

pub(super) fn all(log: &dyn Log, topic: Topic) -> Vec<Event> {
    log.read(topic, Position(0), usize::MAX).unwrap()
}

/// The events, some of them again, and one of them with other content.
pub(super) fn with_repeats(incident: &Incident) -> Vec<Event> {
    let events = &incident.events;
    let (before, after) = events.split_at(events.len() / 2);
    // A recent one: after seven days of log time an id is forgotten.
    let changed = before[before.len() - 7].changed(|event| event.reason("said otherwise"));
    let again = events[before.len() - 40..before.len()].iter().cloned();
    before.iter().cloned().chain(again).chain([changed]).chain(after.iter().cloned()).collect()
}

#[test]
fn p1_kafka_has_the_records_times_and_findings_of_the_embedded_log() {
    let broker = broker();
    for incident in incidents() {
        let directory = tempfile::tempdir().unwrap();
        let embedded = EmbeddedLog::open(directory.path().join("embedded"), Options::new(Clock::Recorded)).unwrap();
        let settings = settings(&broker, &prefix(), Clock::Recorded, directory.path());
        let kafka = open(&settings, directory.path());
        for events in with_repeats(&incident).chunks(601) {
            let expected = embedded.append(Topic::Events, events.to_vec()).unwrap();
            assert_eq!(kafka.append(Topic::Events, events.to_vec()).unwrap(), expected, "{}", incident.name);
        }
        let records = all(&embedded, Topic::Events);
        assert!(records.iter().any(|event| event.kind() == "source.conflict"));
        assert_eq!(all(&kafka, Topic::Events), records);
        let found = decided(&records, &[]);
        assert_eq!(bytes(&decided(&all(&kafka, Topic::Events), &[600, 1200])), bytes(&found));
        assert!(found.len() >= incident.expected.len());

        // A restart goes on from the copy, and without the copy from Kafka: with the same records at the same positions.
        drop(kafka);
        assert_eq!(all(&open(&settings, directory.path()), Topic::Events), records, "after a restart");
        std::fs::remove_dir_all(directory.path().join("copy")).unwrap();
        let again = open(&settings, directory.path());
        assert_eq!(all(&again, Topic::Events), records, "without its copy");
        let first = again.append(Topic::Events, incident.events[..10].to_vec()).unwrap();
        let expected = embedded.append(Topic::Events, incident.events[..10].to_vec()).unwrap();
        assert_eq!(first, expected, "what is repeated after a restart");
    }
}

#[test]
fn p1_who_only_writes_and_who_reads_are_two_processes() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let reader = open(&settings, directory.path());
    let writer = keywatch_store::log::kafka::Producer::open(&settings).unwrap();
    let events = bybit().events[..50].to_vec();
    assert_eq!(writer.write(Topic::Events, events.clone()).unwrap(), Written::Sent(50));
    assert_eq!(writer.write(Topic::Events, events.clone()).unwrap(), Written::Sent(50), "a writer knows of no repeats");
    // What the reader appends itself stands behind both.
    let tick = events[0].changed(|event| event.event_id(keywatch_store::EventId([9; 16])));
    let appended = reader.append(Topic::Events, vec![tick]).unwrap();
    assert_eq!((appended.first, appended.written.len()), (Position(50), 1));
    let records = all(&reader, Topic::Events);
    let same_but_for_time = |read: &Event, sent: &Event| {
        let untimed = |event: &Event| event.changed(|event| event.time(Instant::UNASSIGNED).late(false));
        untimed(read) == untimed(sent)
    };
    assert!(records.iter().zip(&events).all(|(read, sent)| same_but_for_time(read, sent)));
    let times: Vec<Instant> = records.iter().map(Event::time).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "log time strictly increases");
    let (first, last) = (times[0].0 / 1_000_000_000, times[50].0 / 1_000_000_000);
    let now = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    assert!(now - 120 <= first && last <= now + 1, "the broker's clock: {first} to {last}, now {now}");
}

#[test]
fn p1_two_readers_of_a_partition_fold_the_same_times() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let one = open(&settings, directory.path());
    for events in bybit().events[..300].chunks(7) {
        one.append(Topic::Events, events.to_vec()).unwrap();
    }
    one.append(Topic::Conclusions, bybit().events[..3].to_vec()).unwrap();
    let other = keywatch_store::log::kafka::KafkaLog::open(&settings, 0, &directory.path().join("other")).unwrap();
    for topic in Topic::ALL {
        assert_eq!(all(&other, topic), all(&one, topic));
        assert_eq!(other.head(topic).position, one.head(topic).position);
    }
}
