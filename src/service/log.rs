//! Which log the service stands on: the embedded one, or Apache Kafka by one line of the configuration. What a log is it
//! does not know.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{Concluding, KafkaLog, PassedBy, Producer, Settings};
use keywatch_store::log::segments::Segments;
use keywatch_store::{Clock, Log, LogWriter, Position, Topic};
use tokio::sync::Notify;

use crate::limits::{KAFKA_SEND_BEFORE_SPOOL_MS, KAFKA_WATCH_SECONDS};
use crate::service::cluster;
use crate::service::config::log::LogConfig;
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;
use crate::service::spool::Spool;

/// Fails where another process has taken the place of this one.
pub(crate) type Confirm = Arc<dyn Fn() -> Result<(), keywatch_store::Error> + Send + Sync>;

/// What a log on Kafka has passed by since a later version wrote it, by topic; nothing of the embedded one.
pub(crate) type PassedMessages = Arc<dyn Fn() -> Vec<PassedBy> + Send + Sync>;

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

    /// What was passed by, as it is asked.
    pub(crate) fn passed_by(&self) -> PassedMessages {
        let kafka = self.kafka.clone();
        Arc::new(move || kafka.as_ref().map(|kafka| kafka.passed_by()).unwrap_or_default())
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
