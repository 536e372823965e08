//! The topics: created where they are not there, and refused where they would not keep what the log promises.

use std::collections::BTreeMap;

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::Client;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::context::{self, Context, KafkaConsumer};
use super::settings::Settings;
use super::{CLUSTER_PATIENCE, unreachable};
use crate::limits::KAFKA_MESSAGE_BYTES_MAX;
use crate::{Error, Topic};

/// A cluster whose topics can be looked at.
pub(super) struct Topics<'a> {
    settings: &'a Settings,
    link: Link,
}

/// What the cluster is asked with.
enum Link {
    Admin(AdminClient<Context>),
    /// Where brokers want tokens: the library's client for administration never asks for one, so that topics are neither
    /// created nor are their settings seen.
    Consumer(KafkaConsumer),
}

/// What is wrong with a topic, and what to do about it.
type Problems = Vec<String>;

impl Topics<'_> {
    /// Connects to the cluster.
    pub(super) fn of(settings: &Settings) -> Result<Topics<'_>, Error> {
        let config = settings.connection();
        let link = match &settings.tokens {
            None => context::connect(&config, None).map(Link::Admin),
            tokens => context::consumer(&config, tokens.as_ref()).map(Link::Consumer),
        };
        Ok(Topics { settings, link: link.map_err(|error| unreachable(settings, &error))? })
    }

    fn client(&self) -> &Client<Context> {
        match &self.link {
            Link::Admin(admin) => admin.inner(),
            Link::Consumer(consumer) => consumer.client(),
        }
    }

    /// The id of the cluster.
    pub(super) fn cluster(&self) -> Result<String, Error> {
        let id = self.client().fetch_cluster_id(CLUSTER_PATIENCE);
        id.ok_or_else(|| unreachable(self.settings, &"no broker answers"))
    }

    /// Creates what is not there, and checks both topics.
    pub(super) fn ensure(&self) -> Result<(), Error> {
        let names = Topic::ALL.map(|topic| self.settings.topic(topic));
        for name in &names {
            if self.partitions(name)?.is_none() {
                self.create(name)?;
                self.led(name)?;
            }
        }
        let Link::Admin(admin) = &self.link else {
            tracing::warn!(
                "with OAUTHBEARER the settings of the topics are not looked at; docs/kafka.md says what they have to be"
            );
            return names.iter().try_for_each(|name| refuse(name, &self.layout_problems(name)?));
        };
        for name in &names {
            let mut problems = self.layout_problems(name)?;
            problems.extend(self.config_problems(name, &self.described(admin, name)?));
            refuse(name, &problems)?;
        }
        Ok(())
    }

    /// The settings of a topic. A broker that has just heard of a topic may know it and none of its settings yet.
    fn described(&self, admin: &AdminClient<Context>, name: &str) -> Result<ConfigResource, Error> {
        let options = AdminOptions::new().request_timeout(Some(CLUSTER_PATIENCE));
        let is_it = |config: &ConfigResource| config.specifier == OwnedResourceSpecifier::Topic(name.to_owned());
        for _ in 0..CLUSTER_PATIENCE.as_millis() / 100 {
            let described = block_on(admin.describe_configs(&[ResourceSpecifier::Topic(name)], &options));
            let described = described.map_err(|error| unreachable(self.settings, &error))?;
            match described.into_iter().flatten().find(is_it) {
                None => break,
                Some(config) if config.entries.is_empty() => {
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                Some(config) => return Ok(config),
            }
        }
        Err(refused(name, "its configuration cannot be read: allow keywatch DescribeConfigs on it"))
    }

    fn create(&self, name: &str) -> Result<(), Error> {
        let settings = self.settings;
        let Link::Admin(admin) = &self.link else {
            let problem =
                format!("it is not there, and keywatch cannot create it with OAUTHBEARER: {}", self.command(name));
            return Err(refused(name, &problem));
        };
        if !settings.create_topics {
            return Err(refused(
                name,
                "it is not there; create it, or let keywatch do so with log.create_topics = true",
            ));
        }
        let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let wanted = wanted(settings, name);
        let replication = TopicReplication::Fixed(count(settings.replication));
        let topic = NewTopic::new(name, count(settings.partitions), replication);
        let topic = wanted.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let options =
            AdminOptions::new().request_timeout(Some(CLUSTER_PATIENCE)).operation_timeout(Some(CLUSTER_PATIENCE));
        let created = block_on(admin.create_topics([&topic], &options));
        let created = created.map_err(|error| unreachable(settings, &error))?;
        match created.into_iter().next() {
            Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => {
                let why = KafkaError::AdminOp(code);
                Err(refused(name, &format!("it cannot be created with {} copies: {why}", settings.replication)))
            }
            None => Err(refused(name, "it cannot be created, and the cluster does not say why")),
        }
    }

    /// What creates a topic as it has to be.
    fn command(&self, name: &str) -> String {
        let Settings { partitions, replication, .. } = self.settings;
        let configs = wanted(self.settings, name).into_iter().map(|(key, value)| format!("--config {key}={value}"));
        let configs: Vec<String> = configs.collect();
        let layout = format!("--topic {name} --partitions {partitions} --replication-factor {replication}");
        format!("kafka-topics --create {layout} {}", configs.join(" "))
    }

    /// The copies of each partition once all have a leader; `None` where that does not come. A new topic, whoever created it,
    /// is known to all brokers a moment later, and an old one has none while brokers begin.
    fn led(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        for _ in 0..CLUSTER_PATIENCE.as_millis() / 100 {
            let copies = self.partitions(name)?;
            if copies.is_some() {
                return Ok(copies);
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(None)
    }

    /// The copies of each partition; `None` while the topic is not there or a partition has no leader.
    pub(super) fn partitions(&self, name: &str) -> Result<Option<Vec<usize>>, Error> {
        let metadata = self.client().fetch_metadata(Some(name), CLUSTER_PATIENCE);
        let metadata = metadata.map_err(|error| unreachable(self.settings, &error))?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        Ok(topic.filter(|topic| topic.error().is_none() && !topic.partitions().is_empty()).and_then(|topic| {
            let partitions = topic.partitions();
            let led = partitions.iter().all(|partition| partition.error().is_none());
            led.then(|| partitions.iter().map(|partition| partition.replicas().len()).collect())
        }))
    }

    fn layout_problems(&self, name: &str) -> Result<Problems, Error> {
        let settings = self.settings;
        let Some(copies) = self.led(name)? else {
            return Ok(vec!["its partitions have no leader".to_owned()]);
        };
        let mut problems = Problems::new();
        if copies.len() != settings.partitions as usize {
            problems.push(format!(
                "it has {} partitions and log.partitions is {}: set log.partitions to what the topics were created with \
                 (a system's partition follows from it), or name other topics by log.topic_prefix",
                copies.len(),
                settings.partitions
            ));
        }
        if copies.iter().any(|copies| *copies < settings.replication as usize) {
            problems.push(format!(
                "a partition has fewer than {} copies: reassign it with kafka-reassign-partitions, or set log.replication",
                settings.replication
            ));
        }
        Ok(problems)
    }

    fn config_problems(&self, name: &str, config: &ConfigResource) -> Problems {
        let found = |key: &str| config.get(key).and_then(|entry| entry.value.clone()).unwrap_or_default();
        let wrong = wanted(self.settings, name).into_iter().filter(|(key, value)| !fits(key, &found(key), value));
        let change = |(key, value): (&'static str, String)| {
            let found = found(key);
            format!(
                "{key} is {found}, not {value}: kafka-configs --alter --entity-type topics --entity-name {name} \
                 --add-config {key}={value}"
            )
        };
        wrong.map(change).collect()
    }
}

/// What the topic of that name is configured to.
fn wanted(settings: &Settings, name: &str) -> BTreeMap<&'static str, String> {
    let is_events = name == settings.topic(Topic::Events);
    let retention_ms = if is_events { settings.retention_ms() } else { -1 };
    BTreeMap::from([
        ("cleanup.policy", "delete".to_owned()),
        // Times and repeats are folded from the first record on: Kafka may take away what everybody has folded, no more. The
        // conclusions are few, and the marks of their transactions would hide whether one is missing.
        ("retention.ms", retention_ms.to_string()),
        ("retention.bytes", "-1".to_owned()),
        ("min.insync.replicas", settings.min_insync_replicas.to_string()),
        ("unclean.leader.election.enable", "false".to_owned()),
        ("max.message.bytes", KAFKA_MESSAGE_BYTES_MAX.to_string()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ])
}

fn fits(key: &str, found: &str, wanted: &str) -> bool {
    let at_least = ["min.insync.replicas", "max.message.bytes", "retention.ms"].contains(&key);
    match (found.parse::<i64>(), wanted.parse::<i64>()) {
        // For ever, which is longer than any number.
        (Ok(-1), _) => true,
        (_, Ok(-1)) => false,
        (Ok(found), Ok(wanted)) if at_least => found >= wanted,
        _ => found == wanted,
    }
}

fn refuse(topic: &str, problems: &[String]) -> Result<(), Error> {
    if problems.is_empty() { Ok(()) } else { Err(refused(topic, &problems.join("; "))) }
}

fn refused(topic: &str, problem: &str) -> Error {
    Error::KafkaTopic { topic: topic.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_copies_in_sync_and_larger_messages_fit_too() {
        assert!(fits("min.insync.replicas", "3", "2") && !fits("min.insync.replicas", "1", "2"));
        assert!(fits("retention.ms", "-1", "-1") && !fits("retention.ms", "604800000", "-1"));
        assert!(fits("retention.ms", "-1", "691200000") && fits("retention.ms", "864000000", "691200000"));
        assert!(!fits("retention.ms", "86400000", "691200000"));
        assert!(!fits("message.timestamp.type", "CreateTime", "LogAppendTime"));
    }
}
