//! Brokers that keep events for a while only: who has a copy goes on, who lacks what was deleted is refused by name, and what is
//! left is copied as what it is.

use futures::executor::block_on;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaLog, Settings};
use keywatch_store::{Clock, Event, EventId, Instant, Log, Position, Topic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use super::tools::{all, directory_with, log};
use super::{open, settings};
use crate::incidents::recording::bybit;
use crate::support::kafka::{Broker, broker, prefix};

/// Does what brokers do to records that are old enough: those before an offset of partition 0 are deleted.
fn cut(broker: &Broker, topic: &str, offset: i64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, 0, Offset::Offset(offset)).unwrap();
    block_on(admin.delete_records(&place, &AdminOptions::new())).unwrap();
}

#[test]
fn p2_who_has_a_copy_goes_on_behind_what_was_deleted_and_who_lacks_it_is_refused() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let settings = Settings { retention_days: 30, ..settings };
    let events = bybit().events;
    let [behind, fresh] = ["behind", "fresh"].map(|name| directory.path().join(name));
    open(&settings, directory.path()).append(Topic::Events, events[..10].to_vec()).unwrap();
    drop(KafkaLog::open(&settings, 0, &behind).unwrap());
    open(&settings, directory.path()).append(Topic::Events, events[10..20].to_vec()).unwrap();
    cut(&broker, &settings.topic(Topic::Events), 15);

    let refused = KafkaLog::open(&settings, 0, &behind).unwrap_err().to_string();
    assert!(refused.contains("needs it from offset 10 on, and it starts at offset 15"), "{refused}");
    assert!(refused.contains("the 5 messages between are gone"), "{refused}");
    let refused = KafkaLog::open(&settings, 0, &fresh).unwrap_err().to_string();
    assert!(refused.contains("from its first record on, and it starts at offset 15"), "{refused}");

    let log = open(&settings, directory.path());
    assert_eq!(log.end(Topic::Events), Position(20));
    let appended = log.append(Topic::Events, events[20..21].to_vec()).unwrap();
    assert_eq!((appended.first, appended.written.len()), (Position(20), 1));
    // The past is in the copy.
    let ids = |events: &[Event]| -> Vec<EventId> { events.iter().map(Event::event_id).collect() };
    assert_eq!(ids(&all(&log, Topic::Events)), ids(&events[..21]));
    drop(log);

    // Who wants everything kept is told that it is not.
    let refused = open_error(&Settings { retention_days: 0, ..settings.clone() }, directory.path());
    assert!(refused.contains("retention.ms is 2592000000, not -1"), "{refused}");
    let refused = open_error(&Settings { retention_days: 31, ..settings }, directory.path());
    assert!(refused.contains("retention.ms is 2592000000, not 2678400000"), "{refused}");
}

/// What tells a record and its place in time.
fn stamps(events: &[Event]) -> Vec<(EventId, Instant)> {
    events.iter().map(|event| (event.event_id(), event.time())).collect()
}

fn open_error(settings: &Settings, directory: &std::path::Path) -> String {
    KafkaLog::open(settings, 0, &directory.join("copy")).unwrap_err().to_string()
}

#[test]
fn what_is_left_is_copied_and_said_and_what_came_since_a_time() {
    let (broker, first_prefix, second_prefix) = (broker(), prefix(), prefix());
    let directory = directory_with(&broker, &first_prefix);
    let path = directory.path();
    let events = bybit().events;
    let first = EmbeddedLog::open(path.join("first"), Options::new(Clock::Recorded)).unwrap();
    first.append(Topic::Events, events).unwrap();
    let records = all(&first, Topic::Events);
    drop(first);
    log(path, &["copy", "first", "keywatch.toml"], 0);
    cut(&broker, &format!("{first_prefix}.events"), 5);
    let (_, refused) = log(path, &["copy", "keywatch.toml", "left"], 2);
    let cut_there = "events of partition 0 start at offset 5: what stood before is kept no more";
    assert!(refused.contains(cut_there) && refused.contains("--from-cut --by NAME"), "{refused}");
    assert!(!path.join("left").exists(), "nothing is made");
    let (_, said) = log(path, &["copy", "keywatch.toml", "left", "--from-cut", "--by", "ann"], 0);
    assert!(said.contains(cut_there), "{said}");
    let left = EmbeddedLog::open(path.join("left"), Options::new(Clock::Recorded)).unwrap();
    let copied = all(&left, Topic::Events);
    assert_eq!(stamps(&copied[1..]), stamps(&records[5..]));
    let gap = &copied[0];
    assert_eq!((gap.kind(), gap.actor(), gap.time().0), ("source.gap", Some("ann"), records[5].time().0 - 1));
    let detail = gap.detail().value();
    assert_eq!(
        (&detail["records"], &detail["to_position"], &detail["from_time"]),
        (&5.into(), &5.into(), &Value::Null)
    );
    drop(left);

    // What is left becomes a log on Kafka that everybody can read from its beginning, and says of itself what it lacks.
    let again = directory_with(&broker, &second_prefix);
    log(again.path(), &["copy", path.join("left").to_str().unwrap(), "keywatch.toml"], 0);
    let (checked, _) = log(again.path(), &["check", "keywatch.toml"], 0);
    assert!(checked.contains("5 records of the events topic are missing"), "{checked}");
    assert!(checked.contains("ann went on without them") && checked.contains("whole: every message"), "{checked}");
    let (checked, _) = log(path, &["check", "left"], 0);
    assert!(checked.contains("5 records of the events topic are missing") && checked.contains("whole:"), "{checked}");

    let from = records[20].time();
    log(path, &["copy", "first", "since", "--since", &from.to_string()], 0);
    let since = EmbeddedLog::open(path.join("since"), Options::new(Clock::Recorded)).unwrap();
    let is_declared = |event: &Event| ["inventory.activated", "source.expected"].contains(&event.kind());
    let later = |events: Vec<Event>| -> Vec<Event> {
        events.into_iter().filter(|event| event.time() >= from && !is_declared(event)).collect()
    };
    let copied = all(&since, Topic::Events);
    assert!(copied.iter().filter(|event| event.time() < from).all(is_declared));
    let expected = later(records);
    assert!(!expected.is_empty());
    assert_eq!(stamps(&later(copied)), stamps(&expected));
}
