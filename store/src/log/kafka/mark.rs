//! Which process was the last to take a partition over: its name stands beside a committed offset of a group of its own. The
//! brokers refuse a writer that was replaced in the same words as one whose transaction lasted too long; this tells them
//! apart. It fences nobody: that the brokers do.

use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::{self, KafkaConsumer};
use super::kafka_partition;
use super::settings::{Concluding, Settings};
use crate::Topic;

/// Milliseconds that the group has to be there, by the setting after which librdkafka waits for it no longer.
const MARK_MS_MAX: &str = "20000";

/// What the name of a process that only finds ends with.
const FINDS_ONLY: &str = " detect";

/// The name of a process as it stands there.
pub(super) fn name(settings: &Settings, process: &str) -> String {
    match settings.concluding {
        Concluding::All | Concluding::Deeds => process.to_owned(),
        Concluding::Findings => format!("{process}{FINDS_ONLY}"),
    }
}

/// Whether that process leaves what is to be done about its findings to another one.
pub(super) fn only_finds(name: &str) -> bool {
    name.ends_with(FINDS_ONLY)
}

/// Says that the process of that name has taken a partition over.
pub(super) fn set(settings: &Settings, partition: u32, process: &str) -> KafkaResult<()> {
    let mut place = TopicPartitionList::new();
    let mut mark = place.add_partition(&settings.topic(Topic::Conclusions), kafka_partition(partition));
    mark.set_offset(Offset::Offset(0))?;
    mark.set_metadata(name(settings, process));
    let consumer = connect(settings)?;
    let said = consumer.commit(&place, CommitMode::Sync);
    said.map_err(|error| match consumer.poll(Duration::ZERO) {
        // Where the group is not allowed, the commit itself says no more than that it was not in time.
        Some(Err(why)) => why,
        _ => error,
    })
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
    config
        .set("group.id", settings.owner_group())
        .set("enable.auto.commit", "false")
        .set("session.timeout.ms", MARK_MS_MAX);
    context::consumer(&config, settings.tokens.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[test]
    fn who_only_finds_says_so_and_who_only_responds_has_a_place_of_its_own() {
        let of = |concluding| Settings { concluding, ..Settings::new("k:9092", Clock::Wall, "key") };
        let said = [Concluding::All, Concluding::Findings, Concluding::Deeds].map(|concluding| {
            let settings = of(concluding);
            (settings.owner_id(3), settings.owner_group(), only_finds(&name(&settings, "4711")))
        });
        let place = |more: &str| (format!("keywatch.partition-3{more}"), format!("keywatch.owner{more}"));
        let (finds, responds) = (place(""), place(".respond"));
        assert_eq!(said[0], (finds.0.clone(), finds.1.clone(), false));
        assert_eq!(said[1], (finds.0, finds.1, true), "it takes the place of who does both");
        assert_eq!(said[2], (responds.0, responds.1, false));
    }
}
