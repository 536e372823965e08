//! Figures of the log on Kafka (`make bench-kafka`): broker and keywatch on the same processors, everything in one run, so
//! that what counts is how the figures stand to each other.

use std::path::Path;
use std::time::{Duration, Instant};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaLog, Messages, Producer, Settings};
use keywatch_store::{Clock, Event, EventId, Log, LogWriter, Position, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::settings;
use crate::incidents::recording::bybit;
use crate::support::kafka::{Broker, broker, prefix};

const EVENTS: u32 = 200_000;
const APPENDS: u32 = 500;

/// The events of an incident over and over, each with an id of its own.
pub(super) fn events(from: u32, count: u32) -> Vec<Event> {
    let id = |number: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        EventId(id)
    };
    let incident = bybit().events;
    let numbers = (from..from + count).zip(incident.iter().cycle());
    numbers.map(|(number, event)| event.changed(|event| event.event_id(id(number)))).collect()
}

fn rate(what: &str, measure: impl FnOnce()) -> f64 {
    let begun = Instant::now();
    measure();
    let rate = f64::from(EVENTS) / begun.elapsed().as_secs_f64();
    super::say(&format!("{what:<50} {rate:>9.0} events/s"));
    rate
}

/// Goes through all messages of a topic, however many events are in them.
fn count_only(broker: &Broker, topic: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address()).set("group.id", "figures");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&place).unwrap();
    let (_, messages) = consumer.fetch_watermarks(topic, 0, Duration::from_secs(30)).unwrap();
    for _ in 0..messages {
        consumer.poll(Duration::from_secs(30)).expect("a message in time").unwrap();
    }
}

fn quantiles(what: &str, append: impl Fn(Event)) {
    let mut took: Vec<Duration> = Vec::new();
    for event in events(EVENTS, APPENDS) {
        let begun = Instant::now();
        append(event);
        took.push(begun.elapsed());
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    super::say(&format!("{what:<50} p50 {:>7.1?}  p99 {:>7.1?}", at(50), at(99)));
}

/// How fast a log is written, gone through by a bare consumer, and read.
fn rates(form: &str, broker: &Broker, settings: &Settings, pieces: &[Vec<Event>], copy: &Path) -> KafkaLog {
    let writer = Producer::open(settings).unwrap();
    rate(&format!("Kafka, {form}: write, acknowledged"), || {
        for piece in pieces {
            writer.write(Topic::Events, piece.clone()).unwrap();
        }
    });
    let topic = settings.topic(Topic::Events);
    let bare = rate(&format!("Kafka, {form}: a bare consumer that counts"), || count_only(broker, &topic));
    let mut log = None;
    let read = rate(&format!("Kafka, {form}: read, checked, folded into the copy"), || {
        log = Some(KafkaLog::open(settings, 0, copy).unwrap());
    });
    super::say(&format!("of the bare consumer's rate: {:.0} %", read / bare * 100.0));
    let log = log.unwrap();
    assert_eq!(log.end(Topic::Events), Position(u64::from(EVENTS)));
    log
}

#[test]
#[ignore = "figures, by `make bench-kafka`"]
fn measure_the_log_on_kafka() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let pieces: Vec<Vec<Event>> = events(0, EVENTS).chunks(1_000).map(<[Event]>::to_vec).collect();
    let embedded = EmbeddedLog::open(directory.path().join("embedded"), Options::new(Clock::Wall)).unwrap();
    rate("embedded log: append", || {
        for piece in pieces.clone() {
            embedded.append(Topic::Events, piece).unwrap();
        }
    });
    let as_packed = Settings { messages: Messages::Packed, topic_prefix: prefix(), ..settings.clone() };
    let log = rates("JSON", &broker, &settings, &pieces, &directory.path().join("copy"));
    drop(rates("packed", &broker, &as_packed, &pieces, &directory.path().join("copy-of-packed")));
    quantiles("embedded log: one event, until durable", |event| drop(embedded.append(Topic::Events, vec![event])));
    quantiles("Kafka: one event, until read back", |event| drop(log.append(Topic::Events, vec![event]).unwrap()));
    quantiles("Kafka: one conclusion, until read back", |event| {
        drop(log.append(Topic::Conclusions, vec![event]).unwrap());
    });
}
