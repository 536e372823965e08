//! Which log the service stands on: the embedded one, or Apache Kafka by one line of the configuration. What a log is it
//! does not know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{Concluding, KafkaLog, Messages, Producer, Settings, partition_of};
use keywatch_store::log::segments::Segments;
use keywatch_store::{Clock, Inventory, Log, LogWriter, Position, Topic};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::limits::{KAFKA_RETENTION_DAYS_MIN, KAFKA_SEND_BEFORE_SPOOL_MS, KAFKA_WATCH_SECONDS};
use crate::service::cluster;
use crate::service::kafka_tokens::OauthConfig;
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;
use crate::service::spool::Spool;
use crate::service::state_place::{StateStore, bucket_of};

/// `[log]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// `host:port` of some brokers; empty for the embedded log.
    pub(crate) kafka: String,
    /// What the names of the topics begin with.
    pub(crate) topic_prefix: String,
    /// Partitions of each topic.
    pub(crate) partitions: u32,
    /// The one that this process has.
    pub(crate) partition: u32,
    /// Whether the processes that evaluate share the partitions among themselves instead.
    pub(crate) share_partitions: bool,
    /// Whether this process has its partition from one that shares them, so that other systems stand in the same inventory.
    #[serde(skip)]
    pub(crate) is_share: bool,
    /// Which conclusions this process writes, by its role.
    #[serde(skip)]
    pub(crate) concluding: Concluding,
    /// Where another process is to find what windows and alerting remember: a directory, or `s3://bucket/prefix`; empty for the
    /// data directory.
    pub(crate) state: PathBuf,
    /// How that bucket is reached.
    pub(crate) state_store: StateStore,
    /// Copies of each partition.
    pub(crate) replication: u32,
    /// Copies that have a record before it counts as durable.
    pub(crate) min_insync_replicas: u32,
    /// Whether topics that are not there are created.
    pub(crate) create_topics: bool,
    /// Days that brokers keep events at least; 0 for ever.
    pub(crate) retention_days: u32,
    /// How events are put into messages.
    pub(crate) messages: Messages,
    /// The role under which this process writes.
    pub(crate) role: String,
    /// File with its key; empty for `<role>.key` in the data directory.
    pub(crate) key_file: PathBuf,
    /// Files with the keys of other roles whose records are read.
    pub(crate) other_keys: BTreeMap<String, PathBuf>,
    /// Megabytes that a process that only takes events in keeps on its disk while the cluster is away; 0 for none.
    pub(crate) spool_megabytes: u32,
    /// TLS and SASL, by the names that librdkafka has for them.
    pub(crate) client: BTreeMap<String, String>,
    /// The same, for values that are secret: files that hold them.
    pub(crate) client_secret_files: BTreeMap<String, PathBuf>,
    /// Where tokens of OAUTHBEARER come from.
    pub(crate) oauth: OauthConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            kafka: String::new(),
            topic_prefix: "keywatch".into(),
            partitions: 1,
            partition: 0,
            share_partitions: false,
            is_share: false,
            concluding: Concluding::default(),
            state: PathBuf::new(),
            state_store: StateStore::default(),
            replication: 3,
            min_insync_replicas: 2,
            create_topics: true,
            retention_days: 0,
            messages: Messages::default(),
            role: "keywatch".into(),
            key_file: PathBuf::new(),
            other_keys: BTreeMap::new(),
            spool_megabytes: 1024,
            client: BTreeMap::new(),
            client_secret_files: BTreeMap::new(),
            oauth: OauthConfig::default(),
        }
    }
}

impl LogConfig {
    /// The paths in it that are meant from where the file is.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let named = [&mut self.key_file, &mut self.state];
        let named = named.into_iter().filter(|path| !path.as_os_str().is_empty() && bucket_of(path).is_none());
        let secrets = self.client_secret_files.values_mut().chain(self.oauth.paths()).chain(self.state_store.paths());
        self.other_keys.values_mut().chain(secrets).chain(named)
    }

    /// Checks it by itself.
    ///
    /// # Errors
    /// Names the field and what to write instead.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if self.kafka.is_empty() {
            ensure!(
                *self == LogConfig::default(),
                "[log]: only a log on Kafka has settings; name brokers in log.kafka"
            );
            return Ok(());
        }
        ensure!(self.partitions > 0, "log.partitions: there has to be one");
        ensure!(
            self.partition < self.partitions,
            "log.partition: partitions are counted from 0 to {}",
            self.partitions - 1
        );
        ensure!(
            self.min_insync_replicas <= self.replication,
            "log.min_insync_replicas: {} of {} copies cannot be asked for",
            self.min_insync_replicas,
            self.replication
        );
        ensure!(
            self.oauth.is_empty() || !self.create_topics,
            "log.create_topics: with OAUTHBEARER topics are not created; create them as docs/kafka.md says, and set it to false"
        );
        ensure!(
            self.retention_days == 0 || self.retention_days >= KAFKA_RETENTION_DAYS_MIN,
            "log.retention_days: repeats are known for a week, and who reads needs time for an outage; keep at least \
             {KAFKA_RETENTION_DAYS_MIN} days, or 0 for ever"
        );
        ensure!(
            self.retention_days == 0 || !self.share_partitions,
            "log.retention_days: with log.share_partitions a partition may come to a process that has to read it from its first \
             record; leave it 0, or give each process its log.partition"
        );
        ensure!(
            !self.share_partitions || self.partition == 0,
            "log.partition: with log.share_partitions a process is given its partitions; leave it out"
        );
        // A key that each drew for itself would make the records of one foreign to the next.
        ensure!(
            !self.share_partitions || !self.key_file.as_os_str().is_empty(),
            "log.key_file: processes that share partitions write under one key; name a file that is the same for all"
        );
        // The other file would stand for the own one, and what is written here would be read by nobody.
        ensure!(
            !self.other_keys.contains_key(&self.role),
            "log.other_keys: `{}` is this process's own role, whose key is in log.key_file",
            self.role
        );
        self.state_store.check(&self.state, &self.key_file)?;
        self.oauth.check("log", &self.client)?;
        check_client("log", &self.client, &self.client_secret_files)
    }

    /// Checks that the systems of the inventory are in the partition of this process.
    ///
    /// # Errors
    /// Names one that is not, and who is to have it.
    pub(crate) fn check_partition(&self, inventory: &Inventory) -> anyhow::Result<()> {
        for system in &inventory.systems {
            let partition = partition_of(&system.id, self.partitions);
            if partition != self.partition {
                bail!(
                    "log.partition: system `{}` belongs to partition {partition}, and this process has {}; leave it to a \
                     process with log.partition = {partition} and an inventory and data directory of its own",
                    system.id,
                    self.partition
                );
            }
        }
        Ok(())
    }

    /// Leaves the systems of this process's partition, where it has the inventory of all.
    pub(crate) fn keep_systems(&self, inventory: &mut Inventory) {
        if self.is_share {
            inventory.systems.retain(|system| partition_of(&system.id, self.partitions) == self.partition);
        }
    }

    /// The data directory of the process of a partition, where partitions are shared.
    pub(crate) fn data_of(&self, partition: u32, data: &Path) -> PathBuf {
        if self.share_partitions { data.join(format!("partition-{partition}")) } else { data.to_owned() }
    }

    /// The copy of this process's partition, for a data directory.
    pub(crate) fn copy_in(&self, data: &Path) -> PathBuf {
        self.data_of(self.partition, data).join(format!("kafka-{}", self.partition))
    }

    /// Where what windows and alerting remember of this process's partition is written, for a data directory. What goes into a
    /// bucket is written there first.
    pub(crate) fn state_in(&self, data: &Path) -> PathBuf {
        let is_there = self.state.as_os_str().is_empty() || bucket_of(&self.state).is_some();
        if is_there { data.to_owned() } else { self.state.join(self.state_name()) }
    }

    /// What the place of it is called where other processes have theirs beside it.
    pub(crate) fn state_name(&self) -> String {
        let of = match self.concluding {
            Concluding::All | Concluding::Findings => "",
            Concluding::Deeds => "-respond",
        };
        format!("{}-partition-{}{of}", self.topic_prefix, self.partition)
    }

    /// The file with the key under which this process writes, for a data directory. It is there once the log is open.
    pub(crate) fn key_file_in(&self, data: &Path) -> PathBuf {
        let is_named = !self.key_file.as_os_str().is_empty();
        if is_named { self.key_file.clone() } else { data.join(format!("{}.key", self.role)) }
    }

    /// How the log is reached. A live log has the wall clock; what is copied into it before has a recorded one.
    ///
    /// # Errors
    /// A file with a secret cannot be read.
    pub(crate) fn settings(&self, data: &Path, clock: Clock) -> anyhow::Result<Settings> {
        let client = with_secrets(&self.client, &self.client_secret_files)?;
        Ok(Settings {
            brokers: self.kafka.clone(),
            topic_prefix: self.topic_prefix.clone(),
            partitions: self.partitions,
            replication: self.replication,
            min_insync_replicas: self.min_insync_replicas,
            create_topics: self.create_topics,
            retention_days: self.retention_days,
            clock,
            messages: self.messages,
            role: self.role.clone(),
            key_file: self.key_file_in(data),
            other_keys: self.other_keys.clone(),
            concluding: self.concluding,
            client,
            tokens: self.oauth.source(),
            ..Settings::new(&self.kafka, clock, PathBuf::new())
        })
    }
}

/// Checks settings of librdkafka that `[section]` of the configuration gives.
///
/// # Errors
/// One that has nothing to do with TLS and SASL, or a secret that is none.
pub(crate) fn check_client(
    section: &str,
    client: &BTreeMap<String, String>,
    secret_files: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<()> {
    for name in client.keys().chain(secret_files.keys()) {
        let known = name == "security.protocol" || name.starts_with("ssl.") || name.starts_with("sasl.");
        ensure!(known, "{section}.client: `{name}` is neither security.protocol nor one of ssl.… and sasl.…");
    }
    for name in client.keys() {
        let is_secret = ["password", "secret", "key.pem"].iter().any(|word| name.ends_with(word));
        ensure!(
            !is_secret,
            "{section}.client: `{name}` is a secret; let {section}.client_secret_files name a file with it"
        );
    }
    Ok(())
}

/// Settings of librdkafka together with those that files hold.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn with_secrets(
    client: &BTreeMap<String, String>,
    secret_files: &BTreeMap<String, PathBuf>,
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut client = client.clone();
    for (name, file) in secret_files {
        let secret =
            std::fs::read_to_string(file).with_context(|| format!("{name}: cannot read {}", file.display()))?;
        client.insert(name.clone(), secret.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(client)
}

/// Fails where another process has taken the place of this one.
pub(crate) type Confirm = Arc<dyn Fn() -> Result<(), keywatch_store::Error> + Send + Sync>;

/// The log, open.
pub(crate) struct OpenLog {
    /// To write only.
    pub(crate) writer: Arc<dyn LogWriter>,
    /// `None` in a process that only writes.
    pub(crate) readable: Option<ReadableLog>,
    /// What a process that only writes writes to Kafka with, and whether it has a spool before it.
    producer: Option<(Arc<Producer>, bool)>,
}

/// A log that is read and written here.
pub(crate) struct ReadableLog {
    /// To read and append.
    pub(crate) log: Arc<dyn Log>,
    /// What stretches of it hold, for SQL; of a log on Kafka, of its copy.
    pub(crate) segments: Arc<Segments>,
    kafka: Option<Arc<KafkaLog>>,
}

/// Opens the log that the configuration names, with what of it is on this disk in `data`. One on Kafka is read to its end
/// first.
///
/// # Errors
/// The log cannot be opened; brokers do not answer, or a topic does not fit.
pub(crate) fn open(config: &LogConfig, data: &Path) -> anyhow::Result<OpenLog> {
    if config.kafka.is_empty() {
        let log = EmbeddedLog::open(data, Options::new(Clock::Wall))?;
        return Ok(OpenLog::of(Arc::new(log), EmbeddedLog::segments, None));
    }
    std::fs::create_dir_all(data).with_context(|| data.display().to_string())?;
    let settings = config.settings(data, Clock::Wall)?;
    let copy = config.copy_in(data);
    let log = Arc::new(KafkaLog::open(&settings, config.partition, &copy)?);
    tracing::info!(brokers = settings.brokers, copy = %copy.display(), "the log is on Kafka");
    Ok(OpenLog::of(Arc::clone(&log), KafkaLog::segments, Some(log)))
}

/// Opens no more than the writing half.
///
/// # Errors
/// Brokers do not answer, or a topic does not fit.
pub(crate) fn open_to_write(config: &LogConfig, data: &Path, metrics: &Arc<Metrics>) -> anyhow::Result<OpenLog> {
    std::fs::create_dir_all(data).with_context(|| data.display().to_string())?;
    let settings = config.settings(data, Clock::Wall)?;
    if config.spool_megabytes == 0 {
        let writer = Arc::new(Producer::open(&settings)?);
        let producer = Some((Arc::clone(&writer), false));
        return Ok(OpenLog { writer, readable: None, producer });
    }
    // Who has a spool need not wait long.
    let settings = Settings { send_ms_max: KAFKA_SEND_BEFORE_SPOOL_MS, ..settings };
    let writer = Arc::new(Producer::open(&settings)?);
    let bytes_max = u64::from(config.spool_megabytes) << 20;
    let producer = Some((Arc::clone(&writer), true));
    let spool = Spool::before(writer, &data.join("spool"), bytes_max, Arc::clone(metrics))?;
    Ok(OpenLog { writer: spool, readable: None, producer })
}

impl ReadableLog {
    /// Checks, before something is done outside of the log, that no other process has taken the partition over. On the
    /// embedded log there is none.
    pub(crate) fn confirm(&self) -> Confirm {
        let kafka = self.kafka.clone();
        Arc::new(move || kafka.as_ref().map_or(Ok(()), |kafka| kafka.confirm()))
    }
}

impl OpenLog {
    fn of<L: Log + 'static>(log: Arc<L>, segments: impl Fn(&L) -> Segments, kafka: Option<Arc<KafkaLog>>) -> OpenLog {
        let (writer, segments): (Arc<dyn LogWriter>, _) = (Arc::<L>::clone(&log), Arc::new(segments(&log)));
        OpenLog { writer, readable: Some(ReadableLog { log, segments, kafka }), producer: None }
    }

    /// Rings `appended` for what other processes write too, counts what no role of keywatch wrote, and shows how the cluster
    /// does.
    ///
    /// # Errors
    /// There is no thread for it.
    pub(crate) fn watch(
        &self,
        metrics: &Arc<Metrics>,
        appended: &Arc<Notify>,
        readiness: &Arc<Readiness>,
    ) -> anyhow::Result<()> {
        if let Some((producer, has_spool)) = &self.producer {
            // With a spool it is ready all the same.
            cluster::watch_writer(producer, metrics, (!has_spool).then_some(readiness))?;
        }
        let Some(ReadableLog { kafka: Some(kafka), .. }) = &self.readable else { return Ok(()) };
        cluster::watch_log(kafka, metrics, readiness)?;
        if kafka.concluding() != Concluding::All {
            let (kafka, appended) = (Arc::downgrade(kafka), Arc::clone(appended));
            let watching = thread::Builder::new().name("kafka-concluded".to_owned());
            watching.spawn(move || watch_conclusions(&kafka, &appended)).context("cannot start a thread")?;
        }
        let (kafka, metrics, appended) = (Arc::downgrade(kafka), Arc::clone(metrics), Arc::clone(appended));
        let watching = thread::Builder::new().name("kafka-watch".to_owned());
        watching.spawn(move || watch(&kafka, &metrics, &appended)).context("cannot start a thread")?;
        Ok(())
    }
}

/// Until the log is closed. It rings in any case, so that a log that is no longer read is noticed.
fn watch(kafka: &Weak<KafkaLog>, metrics: &Metrics, appended: &Notify) {
    let (mut end, mut foreign) = (Position::default(), 0);
    while let Some(log) = kafka.upgrade() {
        end = log.wait_past(Topic::Events, end, Duration::from_secs(KAFKA_WATCH_SECONDS));
        appended.notify_one();
        log.keep();
        let counted = log.foreign_messages();
        metrics.log_foreign.with_label_values::<&str>(&[]).inc_by(counted - foreign);
        foreign = counted;
        let later = i64::try_from(log.later_messages()).unwrap_or(i64::MAX);
        metrics.log_later.with_label_values::<&str>(&[]).set(later);
    }
}

/// The same for what another process concludes.
fn watch_conclusions(kafka: &Weak<KafkaLog>, appended: &Notify) {
    let mut end = Position::default();
    while let Some(log) = kafka.upgrade() {
        end = log.wait_past(Topic::Conclusions, end, Duration::from_secs(KAFKA_WATCH_SECONDS));
        appended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut LogConfig);

    #[test]
    fn what_is_wrong_is_named() {
        let config = LogConfig { kafka: "k:9092".into(), ..LogConfig::default() };
        assert!(config.check().is_ok() && LogConfig::default().check().is_ok());
        let cases: [(Spoil, &str); 9] = [
            (|c| (c.kafka, c.partitions) = (String::new(), 2), "name brokers in log.kafka"),
            (|c| c.partition = 1, "counted from 0 to 0"),
            (|c| c.min_insync_replicas = 4, "4 of 3 copies"),
            (|c| c.share_partitions = true, "write under one key"),
            (|c| c.retention_days = 7, "keep at least 8 days"),
            (|c| (c.partitions, c.partition, c.share_partitions) = (2, 1, true), "is given its partitions"),
            (|c| drop(c.client.insert("acks".into(), "1".into())), "`acks` is neither"),
            (|c| drop(c.client.insert("sasl.password".into(), "x".into())), "client_secret_files"),
            (|c| drop(c.other_keys.insert("keywatch".into(), "k".into())), "this process's own role"),
        ];
        for (spoil, expected) in cases {
            let mut config = config.clone();
            spoil(&mut config);
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn what_a_partition_keeps_has_a_place_of_its_own() {
        let data = Path::new("data");
        let mut config = LogConfig { kafka: "k:9092".into(), partitions: 4, partition: 3, ..LogConfig::default() };
        assert_eq!((config.copy_in(data), config.state_in(data)), (data.join("kafka-3"), data.to_owned()));
        config.state = "s3://state/kw".into();
        assert_eq!((config.state_in(data), config.paths().count()), (data.to_owned(), 0), "it is no path");
        config.state = "/mnt/state".into();
        assert_eq!(config.state_in(data), Path::new("/mnt/state/keywatch-partition-3"));
        let responding = LogConfig { concluding: Concluding::Deeds, ..config.clone() };
        assert_eq!(responding.state_in(data), Path::new("/mnt/state/keywatch-partition-3-respond"));
        config.share_partitions = true;
        assert_eq!(config.copy_in(data), data.join("partition-3").join("kafka-3"));
    }

    #[test]
    fn secrets_come_from_files() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        std::fs::write(&file, "hush\n").unwrap();
        let secrets = BTreeMap::from([("sasl.password".to_owned(), file)]);
        let config = LogConfig { kafka: "k:9092".into(), client_secret_files: secrets, ..LogConfig::default() };
        let settings = config.settings(directory.path(), Clock::Wall).unwrap();
        assert_eq!(settings.client["sasl.password"], "hush");
        assert_eq!(settings.key_file, directory.path().join("keywatch.key"));
    }
}
