//! The one process that concludes for a partition. Each append to the conclusions is a transaction under a name that only
//! the newest process has: one that was replaced and goes on is refused by the brokers, before it can act on anything.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;

use super::health::Counts;
use super::producer::{Appends, Producer};
use super::settings::Settings;
use super::{CLUSTER_PATIENCE, unreachable};
use crate::limits::KAFKA_OUTAGE_MS_MAX;
use crate::{Error, Event, Topic};

/// How long one call to librdkafka lasts before it is made again.
const CALL: Duration = Duration::from_secs(5);

/// Until a transaction that failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The process that has a partition.
pub(super) struct Owner {
    producer: Producer,
    /// One transaction after the other.
    turn: Mutex<()>,
    settings: Settings,
    partition: u32,
    pub(super) counts: Counts,
}

/// What is to be done about a transaction that failed.
enum Failure {
    /// It left nothing, and the next may succeed.
    Passing(String),
    /// There will be none under this name.
    Lasting(Error),
}

impl Owner {
    /// Takes a partition over from whoever had it. What that one had not committed is gone.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub(super) fn take_over(settings: &Settings, partition: u32, appends: Arc<Appends>) -> Result<Owner, Error> {
        let producer = Producer::connect(settings, &settings.owner(partition), appends)?;
        producer.client.init_transactions(CLUSTER_PATIENCE).map_err(|error| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => Error::KafkaTopic {
                topic: settings.topic(Topic::Conclusions),
                problem: format!(
                    "allow keywatch's principal Write and Describe on transactional id {}",
                    settings.owner_id(partition)
                ),
            },
            _ => unreachable(settings, &error),
        })?;
        let (settings, counts) = (settings.clone(), Counts::default());
        Ok(Owner { producer, turn: Mutex::new(()), settings, partition, counts })
    }

    /// Writes events so that all of them count or none; goes on trying while the cluster does not take them.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when another process has the partition, [`Error::Unreachable`] after an outage that lasts.
    pub(super) fn send(&self, topic: Topic, events: &[Event], append: u64) -> Result<(), Error> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now() + Duration::from_millis(u64::from(KAFKA_OUTAGE_MS_MAX));
        loop {
            match self.transaction(topic, events, append, until) {
                Ok(()) => {
                    self.counts.committed.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Err(Failure::Lasting(error)) => {
                    let is_fenced = self.producer.client.client().fatal_error().is_some();
                    self.counts.fenced.fetch_add(u64::from(is_fenced), Ordering::Relaxed);
                    return Err(error);
                }
                Err(Failure::Passing(problem)) if now() >= until => {
                    return Err(Error::Unreachable { brokers: self.settings.brokers.clone(), problem });
                }
                Err(Failure::Passing(problem)) => {
                    tracing::warn!(problem, "conclusions were not written; they are tried again");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn transaction(&self, topic: Topic, events: &[Event], append: u64, until: Instant) -> Result<(), Failure> {
        let client = &self.producer.client;
        client.begin_transaction().map_err(|error| self.judge(&error))?;
        let underway = self.producer.begin(topic, events, append);
        let sent = underway.map_err(Failure::Lasting).and_then(|underway| match underway.wait() {
            Some(error) => Err(self.judge_sending(topic, &error)),
            None => Ok(()),
        });
        // Whether a commit that is not answered took place is known only when it is asked for again.
        let done =
            sent.and_then(|()| persist(until, || client.commit_transaction(CALL)).map_err(|error| self.judge(&error)));
        if done.is_err() && self.fatal().is_none() {
            self.counts.aborted.fetch_add(1, Ordering::Relaxed);
            persist(until, || client.abort_transaction(CALL)).map_err(|error| self.judge(&error))?;
        }
        done
    }

    fn judge_sending(&self, topic: Topic, error: &KafkaError) -> Failure {
        match (self.fatal(), self.producer.failure(topic, error)) {
            (Some(fatal), _) => Failure::Lasting(fatal),
            (None, Error::Unreachable { problem, .. }) => Failure::Passing(problem),
            (None, lasting) => Failure::Lasting(lasting),
        }
    }

    fn judge(&self, error: &KafkaError) -> Failure {
        self.fatal().map_or_else(|| Failure::Passing(error.to_string()), Failure::Lasting)
    }

    fn fatal(&self) -> Option<Error> {
        let (_, why) = self.producer.client.client().fatal_error()?;
        let problem = format!(
            "this process can conclude no more for partition {}: another one has it, or the brokers gave this one up ({why}); \
             what is running elsewhere goes on, so stop this one or start it again to take over",
            self.partition
        );
        Some(Error::KafkaTopic { topic: self.settings.topic(Topic::Conclusions), problem })
    }
}

#[expect(clippy::disallowed_methods, reason = "how long something is tried; it gives no log time")]
fn now() -> Instant {
    Instant::now()
}

/// Makes a call again while it is not answered in its time.
fn persist(until: Instant, mut call: impl FnMut() -> Result<(), KafkaError>) -> Result<(), KafkaError> {
    loop {
        match call() {
            Err(KafkaError::Flush(_)) if now() < until => {}
            Err(KafkaError::Transaction(error)) if error.is_retriable() && now() < until => {}
            ended => return ended,
        }
    }
}
