//! How the cluster of a log on Kafka does, for metrics and `/readyz`: asked once a second, by a thread. It knows no record.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::Error;
use keywatch_store::log::kafka::{KafkaLog, Producer, Transactions};

use crate::limits::{KAFKA_ASK_SECONDS_MAX, KAFKA_WATCH_SECONDS};
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;

/// The part of `/readyz`.
const PART: &str = "kafka";

const PATIENCE: Duration = Duration::from_secs(KAFKA_ASK_SECONDS_MAX);

/// Watches the cluster for a process that reads, until its log is closed.
///
/// # Errors
/// There is no thread for it.
pub(crate) fn watch_log(log: &Arc<KafkaLog>, metrics: &Arc<Metrics>, readiness: &Arc<Readiness>) -> anyhow::Result<()> {
    let (metrics, readiness) = (Arc::clone(metrics), Arc::clone(readiness));
    let mut transactions = Transactions::default();
    for outcome in ["committed", "aborted", "fenced", "unanswered"] {
        metrics.log_transactions.with_label_values(&[outcome]);
    }
    each_second(Arc::downgrade(log), move |log: &KafkaLog| {
        let asked = log.lag(PATIENCE).map(|lag| {
            for (topic, messages) in lag {
                let messages = i64::try_from(messages).unwrap_or(i64::MAX);
                metrics.log_lag.with_label_values(&[topic.name()]).set(messages);
            }
        });
        say(asked, &metrics, Some(&readiness));
        for (topic, folds) in log.take_folds() {
            metrics.log_fold.observe_all(&[topic.name()], folds.into_iter());
        }
        let before = std::mem::replace(&mut transactions, log.transactions());
        for (outcome, count) in [
            ("committed", transactions.committed - before.committed),
            ("aborted", transactions.aborted - before.aborted),
            ("fenced", transactions.fenced - before.fenced),
            ("unanswered", transactions.unanswered - before.unanswered),
        ] {
            metrics.log_transactions.with_label_values(&[outcome]).inc_by(count);
        }
    })
}

/// Watches the cluster for a process that only writes. Without `readiness` it is ready also while the cluster is away.
///
/// # Errors
/// There is no thread for it.
pub(crate) fn watch_writer(
    producer: &Arc<Producer>,
    metrics: &Arc<Metrics>,
    readiness: Option<&Arc<Readiness>>,
) -> anyhow::Result<()> {
    let (metrics, readiness) = (Arc::clone(metrics), readiness.cloned());
    each_second(Arc::downgrade(producer), move |producer: &Producer| {
        say(producer.ask(PATIENCE), &metrics, readiness.as_deref());
    })
}

fn each_second<T: Send + Sync + 'static>(of: Weak<T>, mut look: impl FnMut(&T) + Send + 'static) -> anyhow::Result<()> {
    let run = move || {
        while let Some(watched) = of.upgrade() {
            look(&watched);
            drop(watched);
            thread::sleep(Duration::from_secs(KAFKA_WATCH_SECONDS));
        }
    };
    thread::Builder::new().name("kafka-cluster".to_owned()).spawn(run).context("cannot start a thread")?;
    Ok(())
}

fn say(asked: Result<(), Error>, metrics: &Metrics, readiness: Option<&Readiness>) {
    metrics.log_cluster_down.with_label_values::<&str>(&[]).set(i64::from(asked.is_err()));
    match (asked, readiness) {
        (Ok(()), Some(readiness)) => readiness.clear(PART),
        (Err(error), Some(readiness)) => readiness.obstruct(PART, error.to_string()),
        (_, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_that_does_not_answer_stands_in_the_way_until_it_does() {
        let metrics = Metrics::new();
        let readiness = Readiness::new(Arc::clone(&metrics));
        let down = || metrics.log_cluster_down.with_label_values::<&str>(&[]).get();
        let away = || Err(Error::Unreachable { brokers: "k:9092".to_owned(), problem: "away".to_owned() });
        say(away(), &metrics, Some(&readiness));
        let obstacles = readiness.obstacles();
        assert!(obstacles[PART].contains("k:9092") && obstacles[PART].contains("away"), "{obstacles:?}");
        assert_eq!(down(), 1);
        say(Ok(()), &metrics, Some(&readiness));
        assert!(readiness.obstacles().is_empty() && down() == 0);
        say(away(), &metrics, None);
        assert!(readiness.obstacles().is_empty() && down() == 1, "with a spool it takes events in");
    }
}
