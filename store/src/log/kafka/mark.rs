//! Which process was the last to take a partition over: its name stands beside a committed offset of a group of its own. The
//! brokers refuse a writer that was replaced in the same words as one whose transaction lasted too long; this tells them
//! apart. It fences nobody: that the brokers do.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{self, KafkaConsumer};
use super::kafka_partition;
use super::settings::Settings;
use crate::Topic;

/// Says that the process of that name has taken a partition over.
pub(super) fn set(settings: &Settings, partition: u32, process: &str) -> KafkaResult<()> {
    let mut place = TopicPartitionList::new();
    let mut mark = place.add_partition(&settings.topic(Topic::Conclusions), kafka_partition(partition));
    mark.set_offset(Offset::Offset(0))?;
    mark.set_metadata(process);
    connect(settings)?.commit(&place, CommitMode::Sync)
}

/// The process that was the last to say so; `None` where none has, or the cluster has forgotten it.
pub(super) fn get(settings: &Settings, partition: u32, patience: Duration) -> KafkaResult<Option<String>> {
    let (topic, partition) = (settings.topic(Topic::Conclusions), kafka_partition(partition));
    let mut place = TopicPartitionList::new();
    place.add_partition(&topic, partition);
    let committed = connect(settings)?.committed_offsets(place, patience)?;
    let Some(mark) = committed.find_partition(&topic, partition) else { return Ok(None) };
    mark.error()?;
    Ok(matches!(mark.offset(), Offset::Offset(_)).then(|| mark.metadata().to_owned()))
}

fn connect(settings: &Settings) -> KafkaResult<KafkaConsumer> {
    let mut config = settings.connection();
    config.set("group.id", settings.owner_group()).set("enable.auto.commit", "false");
    context::consumer(&config, settings.tokens.as_ref())
}
