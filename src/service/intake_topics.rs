//! Topics of Kafka that others write: each is read by a feed under the name of one source, and what was read counts as read
//! only once the log has it durably (promise P2). It knows no format.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, ensure};
use keywatch_ingest::Feed;
use keywatch_ingest::feeds::mapping::installed::Installed;
use keywatch_store::error::Remedy;
use keywatch_store::event::Origin;
use keywatch_store::log::kafka::{IntakeSettings, IntakeTopics, Received};
use keywatch_store::{Instant, Inventory};
use serde::Deserialize;
use tokio::sync::watch;

use crate::clock;
use crate::limits::{INTAKE_RETRY_SECONDS, INTAKE_WAIT_MILLISECONDS};
use crate::service::config::credential::check_source;
use crate::service::config::log::{LogConfig, check_client, with_secrets};
use crate::service::intake::Intake;
use crate::service::kafka_tokens::OauthConfig;
use crate::service::readiness::Readiness;
use crate::service::source::Source;

/// The part that is not ready while topics are not read.
const TOPICS: &str = "intake topics";

/// `[intake]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IntakeConfig {
    /// `host:port` of some brokers; empty for those of the log.
    pub(crate) kafka: String,
    /// The consumer group.
    pub(crate) group: String,
    /// TLS and SASL, where `kafka` is named.
    pub(crate) client: BTreeMap<String, String>,
    /// Files with the values that are secret.
    pub(crate) client_secret_files: BTreeMap<String, PathBuf>,
    /// Where tokens of OAUTHBEARER come from.
    pub(crate) oauth: OauthConfig,
    /// What is read.
    pub(crate) topics: Vec<IntakeTopic>,
}

/// A topic, and whose word it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntakeTopic {
    /// Its name in the cluster.
    pub(crate) topic: String,
    /// The system that its events belong to.
    pub(crate) system: String,
    /// The source, as the inventory has it.
    pub(crate) source: String,
    /// The feed that reads it.
    pub(crate) feed: String,
}

impl Default for IntakeConfig {
    fn default() -> Self {
        IntakeConfig {
            kafka: String::new(),
            group: "keywatch.intake".into(),
            client: BTreeMap::new(),
            client_secret_files: BTreeMap::new(),
            oauth: OauthConfig::default(),
            topics: Vec::new(),
        }
    }
}

impl IntakeConfig {
    /// Checks it against the inventory. `brokers_of_log` are those of the log.
    ///
    /// # Errors
    /// Names the field and what to write instead.
    pub(crate) fn check(&self, brokers_of_log: &str, feeds: &Installed, inventory: &Inventory) -> anyhow::Result<()> {
        if self.topics.is_empty() {
            return Ok(());
        }
        let has_own = !self.kafka.is_empty();
        ensure!(has_own || !brokers_of_log.is_empty(), "intake.kafka: no brokers are named, and the log has none");
        let has_client = !self.client.is_empty() || !self.client_secret_files.is_empty() || !self.oauth.is_empty();
        ensure!(has_own || !has_client, "intake.client: the brokers of the log are reached as log.client says");
        self.oauth.check("intake", &self.client)?;
        check_client("intake", &self.client, &self.client_secret_files)?;
        for (index, topic) in self.topics.iter().enumerate() {
            let place = || format!("intake.topics[{index}] (topic `{}`)", topic.topic);
            check_source([&topic.system, &topic.source, &topic.feed], feeds, inventory).with_context(place)?;
            let twice = self.topics[..index].iter().any(|other| other.topic == topic.topic);
            ensure!(!twice, "{}: it is named twice; the records of a topic are the word of one source", place());
        }
        Ok(())
    }

    fn settings(&self, log: &LogConfig) -> anyhow::Result<IntakeSettings> {
        let (brokers, oauth, client, secret_files) = match (self.kafka.as_str(), log) {
            ("", log) => (&log.kafka, &log.oauth, &log.client, &log.client_secret_files),
            _ => (&self.kafka, &self.oauth, &self.client, &self.client_secret_files),
        };
        let (client, tokens) = (with_secrets(client, secret_files)?, oauth.source());
        let topics = self.topics.iter().map(|topic| topic.topic.clone()).collect();
        Ok(IntakeSettings { brokers: brokers.clone(), group: self.group.clone(), topics, client, tokens })
    }
}

/// Reads the topics on a thread of its own until `stopping` becomes true. Who waits for its end lets it leave the group, so
/// that the next process need not wait until the brokers miss it.
///
/// # Errors
/// A file with a secret cannot be read, or librdkafka refuses a setting.
pub(crate) fn start(
    (config, log): (&IntakeConfig, &LogConfig),
    feeds: &Installed,
    intake: Arc<Intake>,
    readiness: Arc<Readiness>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    if config.topics.is_empty() {
        return Ok(None);
    }
    let topics = IntakeTopics::subscribe(&config.settings(log)?)?;
    let source = |topic: &IntakeTopic| {
        let origin = Origin { system: topic.system.clone(), source: topic.source.clone() };
        Ok((topic.topic.clone(), (origin, feeds.find(&topic.feed)?)))
    };
    let sources = config.topics.iter().map(source).collect::<anyhow::Result<_>>()?;
    let reader = Reader { topics, sources, intake, stopping };
    let run = move || {
        if let Err(error) = reader.run() {
            let error = format!("{error:#}");
            tracing::error!(error, "intake topics are no longer read");
            readiness.obstruct(TOPICS, error);
        }
    };
    let thread = thread::Builder::new().name("intake-topics".to_owned());
    Ok(Some(thread.spawn(run).context("cannot start a thread")?))
}

struct Reader {
    topics: IntakeTopics,
    /// Whose word each is, and the feed that reads it.
    sources: BTreeMap<String, (Origin, &'static dyn Feed)>,
    intake: Arc<Intake>,
    stopping: watch::Receiver<bool>,
}

impl Reader {
    fn run(&self) -> anyhow::Result<()> {
        let mut rebalances = 0;
        while !*self.stopping.borrow() {
            let received = self.topics.receive(Duration::from_millis(INTAKE_WAIT_MILLISECONDS))?;
            let before = std::mem::replace(&mut rebalances, self.topics.rebalances());
            self.intake.metrics.intake_rebalances.with_label_values::<&str>(&[]).inc_by(rebalances - before);
            if !received.is_empty() && self.take(&received)? {
                // What is not noted is received again, and the log has it already.
                self.topics.commit(&received).unwrap_or_else(|error| tracing::warn!(%error, "intake topics"));
            }
        }
        Ok(())
    }

    /// Whether all of it is durable; not so when it was stopped before.
    fn take(&self, received: &[Received]) -> anyhow::Result<bool> {
        for (topic, (origin, feed)) in &self.sources {
            let source = Source { origin, feed: *feed };
            let of_topic = received.iter().filter(|message| message.topic == *topic);
            let time_of = |message: &Received| message.time.unwrap_or_else(clock::now);
            let messages: Vec<(&[u8], Instant)> =
                of_topic.map(|message| (message.value.as_slice(), time_of(message))).collect();
            if messages.is_empty() {
                continue;
            }
            while let Err(error) = self.intake.accept_messages(source, &messages) {
                if error.remedy() != Remedy::Retry {
                    return Err(error).with_context(|| format!("topic {topic}"));
                }
                tracing::warn!(%error, topic, "the log did not take messages; they are tried again");
                if *self.stopping.borrow() {
                    return Ok(false);
                }
                thread::sleep(Duration::from_secs(INTAKE_RETRY_SECONDS));
            }
        }
        Ok(true)
    }
}
