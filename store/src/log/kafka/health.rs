//! How a log on Kafka does, for whoever shows it: how far the copy is behind, how long records take to get there, and what
//! became of transactions. It counts, and judges nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use rdkafka::producer::Producer as _;

use super::progress::topic_index;
use super::{KafkaLog, kafka_partition, unreachable};
use crate::{Error, Instant, Topic};

/// What became of the transactions of this process, since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Transactions {
    /// Their conclusions count.
    pub committed: u64,
    /// They left nothing and were tried again, or given up.
    pub aborted: u64,
    /// The brokers refused them: another process has the partition.
    pub fenced: u64,
    /// Nobody said whether they were committed, and that was read back.
    pub unanswered: u64,
}

/// [`Transactions`], as they are counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) committed: AtomicU64,
    pub(super) aborted: AtomicU64,
    pub(super) fenced: AtomicU64,
    pub(super) unanswered: AtomicU64,
}

impl KafkaLog {
    /// Asks the cluster where the topics end, and says how many messages the copy lacks of each.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when it does not answer in time.
    pub fn lag(&self, patience: Duration) -> Result<[(Topic, u64); 2], Error> {
        let mut lag = Topic::ALL.map(|topic| (topic, 0));
        for (topic, messages) in &mut lag {
            let (name, partition) = (self.settings.topic(*topic), kafka_partition(self.partition));
            let marks = self.events.client.client().fetch_watermarks(&name, partition, patience);
            let (_, end) = marks.map_err(|error| unreachable(&self.settings, &error))?;
            *messages = self.claims.behind(topic_index(*topic), end);
        }
        Ok(lag)
    }

    /// How long records took from their append in Kafka until they were in the copy, since this was last asked. What
    /// stood in Kafka before the log was opened is not among them.
    #[must_use]
    pub fn take_folds(&self) -> [(Topic, Vec<Duration>); 2] {
        let mut folds = self.claims.take_folds();
        Topic::ALL.map(|topic| (topic, std::mem::take(&mut folds[topic_index(topic)])))
    }

    /// What became of this process's transactions.
    #[must_use]
    pub fn transactions(&self) -> Transactions {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.conclusions.counts;
        Transactions {
            committed: count(&counts.committed),
            aborted: count(&counts.aborted),
            fenced: count(&counts.fenced),
            unanswered: count(&counts.unanswered),
        }
    }
}

/// The wall clock, against which append times are held.
#[expect(clippy::disallowed_methods, reason = "how long a record took; it gives no log time")]
pub(super) fn now() -> Instant {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Instant(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
