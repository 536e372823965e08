//! Which process has which partition: a consumer group whose members read nothing through it. It is a lease and no more:
//! what keeps two processes from concluding for one partition is its [owner](super::owner), whatever the group says.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Context;
use super::settings::Settings;
use super::topics::Topics;
use super::{once_whole, unreachable};
use crate::limits::{KAFKA_LEASE_BEAT_MS, KAFKA_LEASE_MS_MAX};
use crate::{Error, Topic};

/// What becomes of a member's partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// They are this member's from now on. At the first time there may be none.
    Assigned(Vec<u32>),
    /// They are to be another's. The group is told that they are free when the handler returns.
    Revoked(Vec<u32>),
    /// They were given away while nothing was heard from this member; another one may have them.
    Lost(Vec<u32>),
}

/// A member of the group of the processes that evaluate.
pub struct Lease {
    consumer: BaseConsumer<Member>,
    settings: Settings,
}

struct Member {
    tokens: Context,
    handler: Box<dyn Fn(LeaseChange) + Send + Sync>,
}

impl ClientContext for Member {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.generate_oauth_token(config)
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let partitions = numbers(list);
            let is_lost = consumer.assignment_lost();
            (self.handler)(if is_lost { LeaseChange::Lost(partitions) } else { LeaseChange::Revoked(partitions) });
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            // Nothing is to be read here. What comes all the same is not looked at.
            if let Err(error) = consumer.pause(list) {
                tracing::debug!(%error, "the lease reads along");
            }
            (self.handler)(LeaseChange::Assigned(numbers(list)));
        }
    }
}

fn numbers(list: &TopicPartitionList) -> Vec<u32> {
    list.elements().iter().filter_map(|element| u32::try_from(element.partition()).ok()).collect()
}

impl Lease {
    /// Creates or checks the topics, and joins the group `<prefix>.evaluate` (`<prefix>.respond` to respond alone). Changes come to `handler` while
    /// [`Lease::poll`] or the end of the lease is under way, on the same thread.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::KafkaTopic`] when a topic does not fit.
    pub fn join(settings: &Settings, handler: impl Fn(LeaseChange) + Send + Sync + 'static) -> Result<Lease, Error> {
        let topics = Topics::of(settings)?;
        topics.cluster()?;
        once_whole(|| topics.ensure())?;
        let member = Member { tokens: Context::new(settings.tokens.as_ref()), handler: Box::new(handler) };
        let failed = |error: rdkafka::error::KafkaError| unreachable(settings, &error);
        let consumer: BaseConsumer<Member> = config(settings).create_with_context(member).map_err(failed)?;
        // Both topics have the same partitions, so that those of one say it all.
        consumer.subscribe(&[settings.topic(Topic::Events).as_str()]).map_err(failed)?;
        Ok(Lease { consumer, settings: settings.clone() })
    }

    /// Stays a member, and hands on what changes within `patience`. Has to be called every five minutes. Brokers that do
    /// not answer, or do not know the topic yet, are waited for.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when topic or group may not be read.
    pub fn poll(&self, patience: Duration) -> Result<(), Error> {
        use RDKafkaErrorCode::{GroupAuthorizationFailed, TopicAuthorizationFailed};
        let Some(Err(error)) = self.consumer.poll(patience) else { return Ok(()) };
        if let Some(GroupAuthorizationFailed | TopicAuthorizationFailed) = error.rdkafka_error_code() {
            let problem = format!("group {}: {error}", self.settings.lease_group());
            return Err(Error::KafkaTopic { topic: self.settings.topic(Topic::Events), problem });
        }
        tracing::debug!(%error, "the lease of partitions");
        Ok(())
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("group", &self.settings.lease_group()).finish_non_exhaustive()
    }
}

/// Partitions that stay where they are go on while others move.
fn config(settings: &Settings) -> ClientConfig {
    let mut config = settings.connection();
    config
        .set("group.id", settings.lease_group())
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", KAFKA_LEASE_MS_MAX.to_string())
        .set("heartbeat.interval.ms", KAFKA_LEASE_BEAT_MS.to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "latest");
    config
}

#[cfg(test)]
mod tests {
    use super::super::settings::Concluding;
    use super::*;
    use crate::Clock;

    #[test]
    fn a_group_has_the_prefix_of_its_topics_and_lists_name_partitions() {
        let settings = Settings { topic_prefix: "own".to_owned(), ..Settings::new("k:9092", Clock::Wall, "key") };
        assert_eq!(settings.lease_group(), "own.evaluate");
        let responding = Settings { concluding: Concluding::Responses, ..settings.clone() };
        assert_eq!(responding.lease_group(), "own.respond");
        assert_eq!(config(&settings).get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let mut list = TopicPartitionList::new();
        list.add_partition("own.events", 3);
        list.add_partition("own.events", 0);
        let mut found = numbers(&list);
        found.sort_unstable();
        assert_eq!(found, [0, 3]);
    }
}
