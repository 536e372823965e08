//! Writing: events become messages, and count as written when every copy in sync has them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer};

use super::content::{self, Messages};
use super::context::Context;
use super::message::{self, Writer};
use super::partition::partition_of;
use super::settings::Settings;
use super::topics::Topics;
use super::{keys, unreachable};
use crate::limits::KAFKA_SEND_MS_MAX;
use crate::log::hash_chain::Key;
use crate::{Clock, Error, Event, LogWriter, Topic, Written};

/// The writing half of a Kafka log. It may write for every system; whoever reads tells positions, times and repeats.
pub struct Producer {
    pub(super) client: ThreadedProducer<Deliveries>,
    topics: BTreeMap<Topic, String>,
    partitions: u32,
    brokers: String,
    clock: Clock,
    messages: Messages,
    role: String,
    key: Key,
    appends: Arc<Appends>,
}

/// The names of appends, by which they are recognised when they are read.
pub(super) struct Appends {
    /// Tells the appends of this process from any other's.
    instance: String,
    next: AtomicU64,
}

/// Tells an append what became of its messages.
pub(super) struct Deliveries(Context);

/// An append whose messages are under way.
#[derive(Default)]
pub(super) struct Underway {
    state: Mutex<UnderwayState>,
    changed: Condvar,
}

#[derive(Default)]
struct UnderwayState {
    open: usize,
    failed: Option<KafkaError>,
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.0.generate_oauth_token(config)
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Underway>;

    fn delivery(&self, result: &DeliveryResult<'_>, append: Arc<Underway>) {
        let failed = result.as_ref().err().map(|(error, _)| error.clone());
        append.change(|state| {
            state.open -= 1;
            state.failed = state.failed.take().or(failed);
        });
    }
}

impl Underway {
    fn state(&self) -> MutexGuard<'_, UnderwayState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut UnderwayState)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits until every message arrived or was given up, which librdkafka does after its own limit of time.
    pub(super) fn wait(&self) -> Option<KafkaError> {
        let is_open = |state: &mut UnderwayState| state.open > 0;
        let waited = self.changed.wait_while(self.state(), is_open);
        waited.unwrap_or_else(PoisonError::into_inner).failed.clone()
    }
}

impl Appends {
    /// None so far.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the system has no random numbers.
    pub(super) fn new(settings: &Settings) -> Result<Arc<Appends>, Error> {
        let mut instance = [0; 8];
        getrandom::fill(&mut instance).map_err(|error| unreachable(settings, &error))?;
        Ok(Arc::new(Appends { instance: hex::encode(instance), next: AtomicU64::new(0) }))
    }

    /// The number of a new append.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The name of this process.
    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    fn name(&self, append: u64) -> String {
        format!("{}-{append}", self.instance)
    }

    /// The number of an append of this process.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        name.strip_prefix(&self.instance)?.strip_prefix('-')?.parse().ok()
    }
}

impl Producer {
    /// Connects a writer, once the topics were created or checked.
    ///
    /// # Errors
    /// [`Error::Storage`] and [`Error::CannotWrite`] about the key, [`Error::Unreachable`], [`Error::KafkaTopic`].
    pub fn open(settings: &Settings) -> Result<Producer, Error> {
        Topics::of(settings)?.ensure()?;
        Producer::connect(settings, &settings.producer(), Appends::new(settings)?)
    }

    /// Connects a writer as `config` says. The topics are known to fit.
    pub(super) fn connect(
        settings: &Settings,
        config: &ClientConfig,
        appends: Arc<Appends>,
    ) -> Result<Producer, Error> {
        let client = config.create_with_context(Deliveries(Context::new(settings.tokens.as_ref())));
        Ok(Producer {
            client: client.map_err(|error| unreachable(settings, &error))?,
            topics: Topic::ALL.map(|topic| (topic, settings.topic(topic))).into(),
            partitions: settings.partitions,
            brokers: settings.brokers.clone(),
            clock: settings.clock,
            messages: settings.messages,
            role: settings.role.clone(),
            key: keys::own(settings)?,
            appends,
        })
    }

    /// Sends events and waits until they are durable. Where some are not, the others may be: whoever repeats them makes
    /// no doubles, since readers skip repeats.
    pub(super) fn send(&self, topic: Topic, events: &[Event], append: u64) -> Result<(), Error> {
        match self.begin(topic, events, append)?.wait() {
            None => Ok(()),
            Some(error) => Err(self.failure(topic, &error)),
        }
    }

    /// Hands all messages of an append over to librdkafka.
    pub(super) fn begin(&self, topic: Topic, events: &[Event], append: u64) -> Result<Arc<Underway>, Error> {
        let contents = content::contents(events, self.messages, self.clock)?;
        let append = self.appends.name(append);
        let writer = Writer { role: &self.role, key: &self.key, append: &append };
        let underway = Arc::new(Underway::default());
        for content in &contents {
            let headers = message::headers(content, topic, self.clock, writer);
            let partition = partition_of(content.system(), self.partitions);
            let record = BaseRecord::with_opaque_to(&self.topics[&topic], Arc::clone(&underway))
                .partition(i32::try_from(partition).unwrap_or(i32::MAX))
                .key(content.system())
                .payload(content.value.as_slice())
                .headers(headers);
            underway.change(|state| state.open += 1);
            if let Err(error) = self.enqueue(record) {
                underway.change(|state| {
                    state.open -= 1;
                    state.failed = state.failed.take().or(Some(error));
                });
                break;
            }
        }
        Ok(underway)
    }

    /// Whether the cluster answers.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it does not in time.
    pub fn ask(&self, patience: Duration) -> Result<(), Error> {
        let answer = self.client.client().fetch_metadata(Some(&self.topics[&Topic::Events]), patience);
        let unreachable =
            |error: KafkaError| Error::Unreachable { brokers: self.brokers.clone(), problem: error.to_string() };
        answer.map(drop).map_err(unreachable)
    }

    /// A writer that librdkafka has given up will never write again, nor one that may not; any other may, the next time.
    pub(super) fn failure(&self, topic: Topic, error: &KafkaError) -> Error {
        let problem = match (self.client.client().fatal_error(), error.rdkafka_error_code()) {
            (Some((_, why)), _) => format!("the client can write no more: {why}; start keywatch again"),
            (None, Some(RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                "keywatch may not write it: allow its principal Write on it".to_owned()
            }
            _ => return Error::Unreachable { brokers: self.brokers.clone(), problem: error.to_string() },
        };
        Error::KafkaTopic { topic: self.topics[&topic].clone(), problem }
    }

    /// Waits for room in librdkafka's queue; what stands there goes out or is given up in time.
    fn enqueue(&self, mut record: BaseRecord<'_, str, [u8], Arc<Underway>>) -> Result<(), KafkaError> {
        const WAIT: Duration = Duration::from_millis(2);
        let mut waits_left = 2 * u128::from(KAFKA_SEND_MS_MAX) / WAIT.as_millis();
        loop {
            match self.client.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) if waits_left > 0 => {
                    record = refused;
                    waits_left -= 1;
                    std::thread::sleep(WAIT);
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}

impl LogWriter for Producer {
    fn write(&self, topic: Topic, events: Vec<Event>) -> Result<Written, Error> {
        self.send(topic, &events, self.appends.next())?;
        Ok(Written::Sent(events.len()))
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("brokers", &self.brokers).field("role", &self.role).finish_non_exhaustive()
    }
}
