//! Other clients of the cluster: what they write is left out, what they read is as documented, and topics that somebody
//! else made are checked.

use std::time::Duration;

use futures::executor::block_on;
use keywatch_store::log::kafka::{KafkaLog, partition_of};
use keywatch_store::{Clock, Error, Log, Position, Topic, line};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedHeaders, OwnedMessage, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{open, settings};
use crate::incidents::recording::bybit;
use crate::support::kafka::{Broker, broker, prefix};

const PATIENCE: Duration = Duration::from_secs(30);

fn client(broker: &Broker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    config
}

/// A client that knows nothing of keywatch: it writes what it likes.
pub(super) fn write(
    broker: &Broker,
    topic: &str,
    key: &str,
    value: &(impl ToBytes + ?Sized),
    headers: Option<OwnedHeaders>,
) {
    let producer: BaseProducer = client(broker).create().unwrap();
    let mut record = BaseRecord::to(topic).key(key).payload(value);
    record.headers = headers;
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// The first messages of a partition, as any consumer sees them.
pub(super) fn read(broker: &Broker, topic: &str, partition: i32, messages: usize) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = client(broker).set("group.id", "somebody").create().unwrap();
    let mut place = TopicPartitionList::new();
    place.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&place).unwrap();
    (0..messages).map(|_| consumer.poll(PATIENCE).expect("a message in time").unwrap().detach()).collect()
}

/// Makes a topic with the cluster's own settings.
pub(super) fn create(broker: &Broker, topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = client(broker).create().unwrap();
    let topic = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let created = block_on(admin.create_topics([&topic], &AdminOptions::new())).unwrap();
    assert!(created[0].is_ok(), "{created:?}");
}

#[test]
fn p8_what_no_role_wrote_is_counted_and_left_out() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let log = open(&settings, directory.path());
    let events = bybit().events;
    log.append(Topic::Events, events[..2].to_vec()).unwrap();
    let topic = settings.topic(Topic::Events);
    let genuine = &read(&broker, &topic, 0, 1)[0];

    // An event without a MAC, a true message with another event in it, and something that is no event at all.
    let forged = line::write(&events[5]);
    write(&broker, &topic, events[5].system(), &forged, None);
    write(&broker, &topic, events[5].system(), &forged, genuine.headers().cloned());
    write(&broker, &topic, "x", "hello", None);
    log.append(Topic::Events, events[2..4].to_vec()).unwrap();
    assert_eq!((log.foreign_messages(), log.end(Topic::Events)), (3, Position(4)));
    let ids = log.read(Topic::Events, Position(0), 9).unwrap().into_iter().map(|event| event.event_id());
    assert!(ids.eq(events[..4].iter().map(keywatch_store::Event::event_id)));
}

#[test]
fn a_foreign_consumer_reads_events_by_the_documentation_alone() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let event = bybit().events.remove(0);
    open(&settings, directory.path()).append(Topic::Events, vec![event.clone()]).unwrap();
    let message = &read(&broker, &settings.topic(Topic::Events), 0, 1)[0];
    assert_eq!(message.key(), Some(event.system().as_bytes()));
    let value: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
    assert_eq!(value["event_id"], event.event_id().to_string());
    assert!(value.get("time").is_none(), "the append time is the message's");
    assert!(matches!(message.timestamp(), rdkafka::Timestamp::LogAppendTime(_)));
    let header = |name: &str| {
        let found = message.headers().unwrap().iter().find(|header| header.key == name).unwrap();
        String::from_utf8(found.value.unwrap().to_vec()).unwrap()
    };
    let (source, id) = (format!("/keywatch/{}/{}", event.system(), event.source()), event.event_id().to_string());
    for (name, expected) in [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_id", id.as_str()),
        ("ce_type", event.kind()),
        ("ce_source", source.as_str()),
        ("keywatch-clock", "wall"),
        ("keywatch-role", "keywatch"),
    ] {
        assert_eq!(header(name), expected, "{name}");
    }
}

#[test]
fn other_clients_find_the_partition_of_a_system() {
    let (broker, topic) = (broker(), prefix());
    create(&broker, &topic, 12);
    let producer: BaseProducer = client(&broker).set("partitioner", "murmur2").create().unwrap();
    let systems: Vec<String> = (0..200).map(|number| format!("system-{number}")).collect();
    for system in &systems {
        producer.send(BaseRecord::to(&topic).key(system).payload("")).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    for partition in 0..12 {
        let ours = systems.iter().filter(|system| partition_of(system, 12) == partition);
        let ours: Vec<&[u8]> = ours.map(String::as_bytes).collect();
        assert!(!ours.is_empty());
        let theirs = read(&broker, &topic, i32::try_from(partition).unwrap(), ours.len());
        assert!(theirs.iter().map(|message| message.key().unwrap()).eq(ours), "partition {partition}");
    }
}

#[test]
fn a_topic_that_does_not_fit_is_refused_with_what_to_change() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    create(&broker, &settings.topic(Topic::Events), 3);
    let refused = KafkaLog::open(&settings, 0, directory.path()).unwrap_err();
    assert!(matches!(refused, Error::KafkaTopic { .. }), "{refused}");
    let said = refused.to_string();
    for expected in [
        "it has 3 partitions and log.partitions is 1",
        "message.timestamp.type is CreateTime, not LogAppendTime: kafka-configs --alter",
        "--add-config retention.ms=-1",
    ] {
        assert!(said.contains(expected), "{said} does not say {expected}");
    }
    let absent = keywatch_store::log::kafka::Settings { create_topics: false, topic_prefix: prefix(), ..settings };
    let said = KafkaLog::open(&absent, 0, directory.path()).unwrap_err().to_string();
    assert!(said.contains("it is not there; create it"), "{said}");
}

#[test]
fn topics_are_made_as_they_have_to_be_where_a_broker_makes_them_by_itself() {
    // As brokers come: whoever asks for a topic that is not there gets one with the broker's own settings.
    let broker = Broker::start(|_, _| "auto.create.topics.enable=true".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let log = open(&settings, directory.path());
    let events = bybit().events[..2].to_vec();
    log.append(Topic::Events, events).unwrap();
    assert!(log.end(Topic::Events) >= Position(2));
}
