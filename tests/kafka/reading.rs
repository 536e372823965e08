//! A consumer of another maker's that reads committed conclusions as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use keywatch_store::Instant;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::support::kafka::Broker;

/// How long it waits before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// A finding as it stands in the conclusions.
pub(super) struct Found {
    /// Where it stands.
    pub(super) partition: i32,
    pub(super) rule: String,
    pub(super) entity: String,
    /// Log time of the record that decided it, which is when that was appended; nanoseconds since the epoch.
    pub(super) event: i64,
    /// When the brokers appended it, milliseconds since the epoch.
    pub(super) appended_ms: i64,
}

/// The consumer, on a thread of its own until this is dropped.
pub(super) struct Reading {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Reads all partitions from their beginning, and gives each finding on. Messages are lines of JSON.
    pub(super) fn start(
        broker: &Broker,
        prefix: &str,
        partitions: i32,
        mut found: impl FnMut(Found) + Send + 'static,
    ) -> Reading {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.address()).set("group.id", "figures");
        config.set("isolation.level", "read_committed").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut place = TopicPartitionList::new();
        for partition in 0..partitions {
            place.add_partition_offset(&format!("{prefix}.conclusions"), partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&place).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Some(message) = consumer.poll(LOOK) else { continue };
                let message = message.unwrap();
                finding(&message).into_iter().for_each(&mut found);
            }
        });
        Reading { stop, thread: Some(thread) }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || !matches!(ended, Some(Err(_))), "the consumer failed");
    }
}

fn finding(message: &BorrowedMessage<'_>) -> Option<Found> {
    let line: Value = serde_json::from_slice(message.payload()?).ok()?;
    let text = |name: &str| line["detail"][name].as_str().map(str::to_owned);
    (line["kind"] == "finding.created").then_some(())?;
    let event = line["event_time"].as_str()?.parse::<Instant>().ok()?.0;
    let (partition, appended_ms) = (message.partition(), message.timestamp().to_millis()?);
    Some(Found { partition, rule: text("rule")?, entity: text("entity")?, event, appended_ms })
}
