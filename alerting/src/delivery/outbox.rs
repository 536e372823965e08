//! Delivers what the log says is to be told and was not taken yet (promise P4). The queue is the log: nothing is held in
//! memory but what is under way, and after a restart the same keys are sent again.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::Retryable;
use keywatch_store::Topic;
use tokio::sync::watch;

use crate::delivery::deliveries::PendingNotification;
use crate::delivery::message::{Notification, compose};
use crate::delivery::sink::Sink;
use crate::error::{Error, Fate};
use crate::lifecycle::action::AlertRecord;
use crate::lifecycle::alert_log::AlertLog;
use crate::lifecycle::record;

/// Waits between attempts at one delivery.
#[derive(Clone, Debug)]
pub struct Schedule(Vec<Duration>);

impl Schedule {
    /// The given waits; after the last one a notification is put aside.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Schedule {
        Schedule(waits)
    }

    /// Dense in the first minute, since a page is urgent, then as Standard Webhooks 1.0.0 suggests: three days in all.
    #[must_use]
    pub fn pages() -> Schedule {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let seconds =
            [1, 2, 5, 10, 30, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Schedule(seconds.into_iter().map(Duration::from_secs).collect())
    }

    /// For a decision point that does not answer; the last wait is repeated for as long as it takes.
    #[must_use]
    pub fn revocations() -> Schedule {
        Schedule([1, 1, 2, 5, 10, 30, 60].into_iter().map(Duration::from_secs).collect())
    }

    /// The waits with the last one repeated for ever; one second where there are none.
    pub(crate) fn without_end(&self) -> impl Iterator<Item = Duration> + Send + Sync + Unpin + use<> {
        let last = self.0.last().copied().unwrap_or(Duration::from_secs(1));
        self.0.clone().into_iter().chain(std::iter::repeat(last))
    }

    /// The waits, each lengthened by up to a quarter: what failed together does not come back together. The share is
    /// drawn from `key`, so that a run can be repeated.
    fn waits(&self, key: &str) -> std::vec::IntoIter<Duration> {
        let seed = key.bytes().fold(17_u32, |seed, byte| seed.wrapping_mul(31).wrapping_add(u32::from(byte)));
        let jittered = self.0.iter().enumerate().map(|(index, wait)| {
            let share = seed.rotate_left(u32::try_from(index % 32).unwrap_or(0)) % 256;
            *wait + *wait * share / 1_024
        });
        jittered.collect::<Vec<_>>().into_iter()
    }
}

/// The deliveries.
pub struct Outbox {
    alert_log: Arc<AlertLog>,
    sinks: Vec<Arc<dyn Sink>>,
    schedule: Schedule,
    under_way: Mutex<HashSet<(String, String)>>,
    count: watch::Sender<usize>,
    /// Destinations that said they are gone, each with the notification they said it to.
    gone: Mutex<BTreeMap<String, AlertRecord>>,
}

impl Outbox {
    /// Sends nothing yet.
    #[must_use]
    pub fn new(alert_log: Arc<AlertLog>, sinks: Vec<Arc<dyn Sink>>, schedule: Schedule) -> Arc<Outbox> {
        let (count, _) = watch::channel(0);
        Arc::new(Outbox { alert_log, sinks, schedule, under_way: Mutex::default(), count, gone: Mutex::default() })
    }

    /// Names of the destinations.
    #[must_use]
    pub fn destinations(&self) -> Vec<String> {
        self.sinks.iter().map(|sink| sink.name().to_owned()).collect()
    }

    /// Destinations that answered that they are gone, each with the alert that they did not take.
    #[must_use]
    pub fn gone(&self) -> BTreeMap<String, AlertRecord> {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts delivering what is not under way, as much as each sink takes at once. Call it within a tokio runtime.
    pub fn dispatch(self: &Arc<Outbox>) {
        for sink in &self.sinks {
            for (pending, notification) in self.next(sink.as_ref()) {
                let outbox = Arc::clone(self);
                let sink = Arc::clone(sink);
                tokio::spawn(async move { outbox.carry(sink.as_ref(), &pending, &notification).await });
            }
        }
    }

    /// Waits until nothing is under way: everything was taken or put aside.
    pub async fn idle(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as this outbox, so the wait cannot end early.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn under_way(&self) -> MutexGuard<'_, HashSet<(String, String)>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks what is next for a sink as under way and composes it.
    fn next(&self, sink: &dyn Sink) -> Vec<(PendingNotification, Notification)> {
        let name = sink.name();
        let state = self.alert_log.state();
        let mut under_way = self.under_way();
        let busy = under_way.iter().filter(|(to, _)| to == name).count();
        let room = sink.deliveries_max().saturating_sub(busy);
        let is_under_way = |key: &str| under_way.contains(&(name.to_owned(), key.to_owned()));
        let pending = state.undelivered(name, is_under_way, room);
        under_way.extend(pending.iter().map(|pending| (name.to_owned(), pending.key.clone())));
        self.count.send_replace(under_way.len());
        pending
            .into_iter()
            .map(|pending| {
                let notification = compose(&pending, &state);
                (pending, notification)
            })
            .collect()
    }

    async fn carry(self: &Arc<Outbox>, sink: &dyn Sink, pending: &PendingNotification, notification: &Notification) {
        let outcome = self.deliver(sink, pending, notification).await;
        let record = match &outcome {
            Ok(()) => record::notified(&pending.record, &pending.key, sink.name(), &notification.said),
            Err(error) => record::undelivered(&pending.record, &pending.key, sink.name(), &error.to_string(), true),
        };
        if let Err(Error::Undelivered { fate: Fate::Gone, .. }) = outcome {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            gone.entry(sink.name().to_owned()).or_insert_with(|| pending.record.clone());
        }
        let written = self.alert_log.append(Topic::Conclusions, vec![record]);
        {
            let mut under_way = self.under_way();
            under_way.remove(&(sink.name().to_owned(), pending.key.clone()));
            // With the log refusing records, taking up the next one would send the same for ever.
            if written.is_err() {
                self.count.send_replace(under_way.len());
            }
        }
        match written {
            Ok(_) => {
                self.dispatch();
                self.count.send_replace(self.under_way().len());
            }
            Err(error) => tracing::error!(destination = sink.name(), %error, "a delivery could not be recorded"),
        }
    }

    async fn deliver(
        &self,
        sink: &dyn Sink,
        pending: &PendingNotification,
        notification: &Notification,
    ) -> Result<(), Error> {
        let mut noted = false;
        (|| sink.deliver(notification))
            .retry(self.schedule.waits(&pending.key))
            .when(|error| matches!(error, Error::Undelivered { fate: Fate::Retry(_), .. }))
            .adjust(|error, wait| match error {
                Error::Undelivered { fate: Fate::Retry(Some(asked)), .. } => wait.map(|wait| wait.max(*asked)),
                _ => wait,
            })
            .notify(|error, wait| {
                tracing::warn!(destination = sink.name(), key = %pending.key, %error, ?wait, "delivery failed");
                if !noted {
                    noted = true;
                    self.note_failure(sink, pending, error);
                }
            })
            .await
    }

    /// The first failed attempt is recorded, so that people see in the log that a page is late.
    fn note_failure(&self, sink: &dyn Sink, pending: &PendingNotification, error: &Error) {
        let record = record::undelivered(&pending.record, &pending.key, sink.name(), &error.to_string(), false);
        if let Err(error) = self.alert_log.append(Topic::Conclusions, vec![record]) {
            tracing::error!(destination = sink.name(), %error, "a failed delivery could not be recorded");
        }
    }
}
