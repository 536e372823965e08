//! Topics that others write: read as a consumer group, as bytes and where they stand. What they mean is a feed's concern.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{self, KafkaConsumer, TokenSource};
use crate::limits::{KAFKA_MESSAGE_BYTES_MAX, KAFKA_QUEUE_KBYTES_MAX, KAFKA_STEP_BYTES_MAX, KAFKA_STEP_RECORDS_MAX};
use crate::{Error, Instant};

/// Which topics of which cluster.
#[derive(Clone, Debug)]
pub struct IntakeSettings {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// The consumer group, whose members share the partitions.
    pub group: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Further settings of librdkafka: TLS, SASL.
    pub client: BTreeMap<String, String>,
    /// What gives tokens of OAUTHBEARER, where `client` says that these are asked for.
    pub tokens: Option<TokenSource>,
}

/// A member of the group.
pub struct IntakeTopics {
    consumer: KafkaConsumer,
    brokers: String,
}

/// A message that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// When it was written, as Kafka has it.
    pub time: Option<Instant>,
    /// Its value; empty where it has none.
    pub value: Vec<u8>,
}

impl IntakeTopics {
    /// Joins the group. It begins with the oldest message of a topic that it has never read.
    ///
    /// # Errors
    /// [`Error::Unreachable`] for settings that librdkafka refuses; brokers that do not answer are waited for.
    pub fn subscribe(settings: &IntakeSettings) -> Result<IntakeTopics, Error> {
        let unreachable = |error: rdkafka::error::KafkaError| Error::Unreachable {
            brokers: settings.brokers.clone(),
            problem: error.to_string(),
        };
        let mut config = ClientConfig::new();
        config.set("client.id", "keywatch").set("bootstrap.servers", &settings.brokers);
        for (name, value) in &settings.client {
            config.set(name, value);
        }
        config
            .set("group.id", &settings.group)
            .set("allow.auto.create.topics", "false")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("fetch.message.max.bytes", KAFKA_MESSAGE_BYTES_MAX.to_string())
            .set("queued.max.messages.kbytes", KAFKA_QUEUE_KBYTES_MAX.to_string());
        let consumer = context::consumer(&config, settings.tokens.as_ref()).map_err(unreachable)?;
        let names: Vec<&str> = settings.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(unreachable)?;
        Ok(IntakeTopics { consumer, brokers: settings.brokers.clone() })
    }

    /// What is there, in the order of each partition; waits for the first message as long as `patience`.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when a topic is not there or may not be read. Connections that break are mended meanwhile.
    #[expect(clippy::disallowed_methods, reason = "how long is waited is no log time")]
    pub fn receive(&self, patience: Duration) -> Result<Vec<Received>, Error> {
        let until = std::time::Instant::now() + patience;
        let (mut received, mut bytes) = (Vec::new(), 0);
        while received.len() < KAFKA_STEP_RECORDS_MAX && bytes < KAFKA_STEP_BYTES_MAX {
            let left = until.saturating_duration_since(std::time::Instant::now());
            let polled = self.consumer.poll(if received.is_empty() { left } else { Duration::ZERO });
            let Some(polled) = polled else {
                // Nothing comes too when the members of the group change.
                if received.is_empty() && !left.is_zero() {
                    continue;
                }
                break;
            };
            match polled {
                Ok(message) => {
                    let value = message.payload().unwrap_or_default().to_vec();
                    bytes += value.len();
                    let milliseconds = message.timestamp().to_millis();
                    received.push(Received {
                        topic: message.topic().to_owned(),
                        partition: message.partition(),
                        offset: message.offset(),
                        time: milliseconds.map(|milliseconds| Instant(milliseconds.saturating_mul(1_000_000))),
                        value,
                    });
                }
                Err(error) => {
                    use RDKafkaErrorCode::{TopicAuthorizationFailed, UnknownTopicOrPartition};
                    if let Some(UnknownTopicOrPartition | TopicAuthorizationFailed) = error.rdkafka_error_code() {
                        let topic = format!("for intake at {}", self.brokers);
                        return Err(Error::KafkaTopic { topic, problem: error.to_string() });
                    }
                    tracing::debug!(%error, "Kafka");
                }
            }
        }
        Ok(received)
    }

    /// Times that partitions were given to this member of the group or taken from it.
    #[must_use]
    pub fn rebalances(&self) -> u64 {
        self.consumer.client().context().rebalances()
    }

    /// What was received is durable elsewhere: a restart goes on behind it. Where that cannot be noted, it is received
    /// again, and its events are repeats.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub fn commit(&self, received: &[Received]) -> Result<(), Error> {
        let failed = |error: rdkafka::error::KafkaError| Error::Unreachable {
            brokers: self.brokers.clone(),
            problem: error.to_string(),
        };
        let places: BTreeMap<(&str, i32), i64> =
            received.iter().map(|message| ((message.topic.as_str(), message.partition), message.offset + 1)).collect();
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in places {
            list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(failed)?;
        }
        self.consumer.commit(&list, CommitMode::Sync).map_err(failed)
    }
}

impl std::fmt::Debug for IntakeTopics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntakeTopics").field("brokers", &self.brokers).finish_non_exhaustive()
    }
}
