//! Looking at a topic as it stands in Kafka: every message of every partition, with neither copy nor fold, and without
//! taking a partition from the process that has it. For tools.

use std::fmt;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::KafkaConsumer;
use super::message::Seal;
use super::polled::{append_time, judge};
use super::settings::Settings;
use super::topics::Topics;
use super::{CLUSTER_PATIENCE, kafka_partition, keys, unreachable};
use crate::limits::{KAFKA_STEP_BYTES_MAX, KAFKA_STEP_RECORDS_MAX};
use crate::{Clock, Error, Event, Topic};

/// A topic that is looked at.
pub struct KafkaReader {
    consumer: KafkaConsumer,
    topic: Topic,
    settings: Settings,
    seal: Seal,
    extents: Vec<Extent>,
}

/// Which offsets of a partition there were when the reading began, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Offset of the oldest message that is kept.
    pub oldest: i64,
    /// The offset after the last.
    pub end: i64,
    /// The offset to be read next.
    pub next: i64,
}

/// Where the reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// With the oldest message.
    Oldest,
    /// So many offsets before the end of each partition.
    Last(i64),
}

/// A message.
#[derive(Debug)]
pub struct Seen {
    /// Its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: i64,
    /// Its events with their append time (with their own in an import), or why they are not given.
    pub records: Result<Vec<Event>, Unread>,
}

/// Why the events of a message are not given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// No role of keywatch wrote it, or not there; what tells.
    Foreign(String),
    /// A role wrote it, and this version cannot read it; what is wrong with it.
    Unreadable(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::Foreign(why) => write!(f, "is none of keywatch's: {why}"),
            Unread::Unreadable(why) => write!(f, "is keywatch's and cannot be read: {why}"),
        }
    }
}

impl KafkaReader {
    /// Opens a topic that is there, with the keys that are at hand: none is drawn.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::KafkaTopic`] where it is not there, [`Error::Storage`] about keys.
    pub fn open(settings: &Settings, topic: Topic, from: ReadFrom) -> Result<KafkaReader, Error> {
        KafkaReader::open_at(settings, topic, |_, oldest, end| match from {
            ReadFrom::Oldest => oldest,
            ReadFrom::Last(messages) => oldest.max(end.saturating_sub(messages)),
        })
    }

    /// As [`KafkaReader::open`], from the offset on that `next` has for each partition. A partition that is not there, or that
    /// does not reach so far since the topic was created anew, is read from its oldest message on.
    ///
    /// # Errors
    /// As of [`KafkaReader::open`].
    pub fn go_on(settings: &Settings, topic: Topic, next: &[i64]) -> Result<KafkaReader, Error> {
        KafkaReader::open_at(settings, topic, |partition, oldest, end| {
            let known = next.get(index(partition)).copied();
            known.filter(|next| (oldest..=end).contains(next)).unwrap_or(oldest)
        })
    }

    /// Opens it where `begin` says, for each partition by its number, its oldest offset and its end.
    fn open_at(settings: &Settings, topic: Topic, begin: impl Fn(i32, i64, i64) -> i64) -> Result<KafkaReader, Error> {
        let seal = keys::at_hand(settings)?;
        let consumer = settings.connect_consumer(topic).map_err(|error| unreachable(settings, &error))?;
        let name = settings.topic(topic);
        let partitions = Topics::of(settings)?.partitions(&name)?.map_or(0, |partitions| partitions.len());
        if partitions == 0 {
            return Err(Error::KafkaTopic { topic: name, problem: "it is not there".to_owned() });
        }
        let mut extents = Vec::with_capacity(partitions);
        let mut place = TopicPartitionList::new();
        for partition in (0..).map(kafka_partition).take(partitions) {
            let marks = consumer.fetch_watermarks(&name, partition, CLUSTER_PATIENCE);
            let (oldest, end) = marks.map_err(|error| unreachable(settings, &error))?;
            let next = begin(partition, oldest, end);
            let placed = place.add_partition_offset(&name, partition, Offset::Offset(next));
            placed.map_err(|error| unreachable(settings, &error))?;
            extents.push(Extent { oldest, end, next });
        }
        consumer.assign(&place).map_err(|error| unreachable(settings, &error))?;
        Ok(KafkaReader { consumer, topic, settings: settings.clone(), seal, extents })
    }

    /// The next messages, each partition's in its order; waits for the first one as long as `patience`.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] for whatever does not pass by itself.
    pub fn read(&mut self, mut patience: Duration) -> Result<Vec<Seen>, Error> {
        let (mut seen, mut records, mut bytes) = (Vec::new(), 0, 0);
        while records < KAFKA_STEP_RECORDS_MAX && bytes < KAFKA_STEP_BYTES_MAX {
            match self.consumer.poll(patience) {
                None => break,
                Some(Ok(message)) => {
                    patience = Duration::ZERO;
                    bytes += message.payload_len();
                    let next = message.offset() + 1;
                    let message_seen = self.look_at(&message);
                    records += message_seen.records.as_ref().map_or(1, |events| events.len().max(1));
                    seen.push(message_seen);
                    if let Some(extent) = self.extents.get_mut(index(message.partition())) {
                        extent.next = next;
                    }
                }
                // Behind the last message there may be a mark of a transaction, which is no message.
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(extent) = self.extents.get_mut(index(partition)) {
                        extent.next = extent.next.max(extent.end);
                    }
                    if self.is_done() {
                        break;
                    }
                }
                Some(Err(error)) => {
                    judge(&self.settings.topic(self.topic), &error)?;
                }
            }
        }
        Ok(seen)
    }

    /// Whether everything was read that was there when the reading began.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.extents.iter().all(|extent| extent.next >= extent.end)
    }

    /// The partitions.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    fn look_at(&self, message: &BorrowedMessage<'_>) -> Seen {
        let genuine = self.seal.open(self.topic, message).map_err(|foreign| Unread::Foreign(foreign.to_string()));
        let unreadable = |why: &dyn fmt::Display| Unread::Unreadable(why.to_string());
        let records = genuine.and_then(|genuine| {
            let mut events = genuine.events.map_err(|error| unreadable(&error))?;
            if genuine.clock == Clock::Wall {
                let time = append_time(message).ok_or_else(|| unreadable(&"it carries no append time"))?;
                events.iter_mut().for_each(|event| event.set_time(time));
            }
            Ok(events)
        });
        Seen { partition: u32::try_from(message.partition()).unwrap_or(0), offset: message.offset(), records }
    }
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReader")
            .field("topic", &self.topic)
            .field("extents", &self.extents)
            .finish_non_exhaustive()
    }
}

fn index(partition: i32) -> usize {
    usize::try_from(partition).unwrap_or(usize::MAX)
}
