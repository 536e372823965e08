//! How a Kafka log is reached and what is asked of it; and what librdkafka is told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;

use super::content::Messages;
use super::context::{self, KafkaConsumer, TokenSource};
use crate::limits::{
    KAFKA_MESSAGE_BYTES_MAX, KAFKA_OUTAGE_MS_MAX, KAFKA_QUEUE_KBYTES_MAX, KAFKA_SEND_MS_MAX, KAFKA_TRANSACTION_MS_MAX,
};
use crate::{Clock, Topic};

/// Which conclusions of a partition a process writes. Of processes that write the same ones, one has a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concluding {
    /// All of them: what is found, and what is done about it.
    #[default]
    All,
    /// What is found.
    Findings,
    /// What is done about it.
    Responses,
}

/// The log of a Kafka cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// What the names of the topics begin with: `<prefix>.events` and `<prefix>.conclusions`.
    pub topic_prefix: String,
    /// Partitions that each topic has. A system's partition depends on it, so it is fixed when the topics are created.
    pub partitions: u32,
    /// Copies that each partition has at least.
    pub replication: u32,
    /// Copies that have a record before it counts as durable.
    pub min_insync_replicas: u32,
    /// Whether topics that are not there are created.
    pub create_topics: bool,
    /// Days that brokers keep events at least; 0 for ever. Once they delete some, a partition is read by who has a copy of it
    /// alone. Conclusions are kept for ever.
    pub retention_days: u32,
    /// The clock of the log.
    pub clock: Clock,
    /// How events are put into messages.
    pub messages: Messages,
    /// The role that writes, and whose key signs each message.
    pub role: String,
    /// The file with the role's key, 64 hexadecimal digits; drawn where it is not there.
    pub key_file: PathBuf,
    /// Files with the keys of further roles whose records are read.
    pub other_keys: BTreeMap<String, PathBuf>,
    /// Milliseconds after which a record that Kafka did not take is given up.
    pub send_ms_max: u32,
    /// Milliseconds after which brokers give up a transaction of conclusions that is left open; at least `send_ms_max`.
    pub transaction_ms_max: u32,
    /// Milliseconds over which conclusions are tried again while the cluster does not take them, before their append fails.
    pub conclude_ms_max: u32,
    /// Which conclusions are written.
    pub concluding: Concluding,
    /// Further settings of librdkafka: TLS, SASL.
    pub client: BTreeMap<String, String>,
    /// What gives tokens of OAUTHBEARER, where `client` says that these are asked for.
    pub tokens: Option<TokenSource>,
}

impl Settings {
    /// The log of brokers, in one partition with three copies, written by role `keywatch` whose key is in that file.
    #[must_use]
    pub fn new(brokers: &str, clock: Clock, key_file: impl Into<PathBuf>) -> Settings {
        Settings {
            brokers: brokers.to_owned(),
            topic_prefix: "keywatch".to_owned(),
            partitions: 1,
            replication: 3,
            min_insync_replicas: 2,
            create_topics: true,
            retention_days: 0,
            clock,
            messages: Messages::default(),
            role: "keywatch".to_owned(),
            key_file: key_file.into(),
            other_keys: BTreeMap::new(),
            send_ms_max: KAFKA_SEND_MS_MAX,
            transaction_ms_max: KAFKA_TRANSACTION_MS_MAX,
            conclude_ms_max: KAFKA_OUTAGE_MS_MAX,
            concluding: Concluding::default(),
            client: BTreeMap::new(),
            tokens: None,
        }
    }

    /// The `retention.ms` of the events.
    pub(super) fn retention_ms(&self) -> i64 {
        match self.retention_days {
            0 => -1,
            days => i64::from(days) * 86_400_000,
        }
    }

    /// The name of a topic in the cluster.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        format!("{}.{}", self.topic_prefix, topic.name())
    }

    pub(super) fn connection(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "keywatch")
            .set("bootstrap.servers", &self.brokers)
            // A producer's client that asks for a topic would have the broker make it, with the broker's own settings.
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.client {
            config.set(name, value);
        }
        config
    }

    /// Every copy in sync has a record before it counts as written, in the order of writing, once. It waits for company of
    /// a record no longer than a millisecond.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut config = self.connection();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("compression.type", "zstd")
            .set("linger.ms", "1")
            .set("message.timeout.ms", self.send_ms_max.to_string())
            .set("message.max.bytes", KAFKA_MESSAGE_BYTES_MAX.to_string())
            .set("queue.buffering.max.kbytes", KAFKA_QUEUE_KBYTES_MAX.to_string());
        config
    }

    /// The name of the process that concludes for a partition. Who finds takes the place of who does both.
    pub(super) fn owner_id(&self, partition: u32) -> String {
        let name = format!("{}.partition-{partition}", self.topic_prefix);
        match self.concluding {
            Concluding::All | Concluding::Findings => name,
            Concluding::Responses => format!("{name}.respond"),
        }
    }

    /// The group beside whose offsets it is noted which process has a partition.
    pub(super) fn owner_group(&self) -> String {
        let name = format!("{}.owner", self.topic_prefix);
        match self.concluding {
            Concluding::All | Concluding::Findings => name,
            Concluding::Responses => format!("{name}.respond"),
        }
    }

    /// The group of the processes that share the partitions.
    pub(super) fn lease_group(&self) -> String {
        let name = match self.concluding {
            Concluding::All | Concluding::Findings => "evaluate",
            Concluding::Responses => "respond",
        };
        format!("{}.{name}", self.topic_prefix)
    }

    /// As [`Settings::producer`], each append in a transaction of the one process that has a partition: whoever connects
    /// under the same name is the one from then on.
    pub(super) fn owner(&self, partition: u32) -> ClientConfig {
        let mut config = self.producer();
        config
            .set("transactional.id", self.owner_id(partition))
            .set("transaction.timeout.ms", self.transaction_ms_max.to_string())
            // What is concluded together is sent together: it is all there before the transaction is known to its coordinator.
            .set("linger.ms", "0");
        config
    }

    /// Reads what stands in a topic, whoever wrote it. Events are in no transaction, and one that somebody else leaves open
    /// hides none of them; conclusions count once their transaction is committed.
    pub(super) fn connect_consumer(&self, topic: Topic) -> KafkaResult<KafkaConsumer> {
        context::consumer(&self.consumer(topic), self.tokens.as_ref())
    }

    fn consumer(&self, topic: Topic) -> ClientConfig {
        let isolation = match topic {
            Topic::Events => "read_uncommitted",
            Topic::Conclusions => "read_committed",
        };
        let mut config = self.connection();
        config
            .set("group.id", format!("{}.reader", self.topic_prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("isolation.level", isolation)
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", KAFKA_MESSAGE_BYTES_MAX.to_string())
            .set("queued.max.messages.kbytes", KAFKA_QUEUE_KBYTES_MAX.to_string());
        config
    }
}
