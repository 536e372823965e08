//! From an authenticated body to durable events: reads it with the feed, keeps what could not be read, appends, and says
//! what became of it. The answer is made only from what the log has acknowledged (promise P2).

use std::sync::Arc;
use std::time;

use keywatch_ingest::transport::cloudevents::Opened;
use keywatch_ingest::{Context, Reading, Reject};
use keywatch_store::event::Origin;
use keywatch_store::limits::APPEND_EVENTS_MAX;
use keywatch_store::{Appended, Error, Event, Instant, Inventory, Log, Topic, line};
use serde::Serialize;
use tokio::sync::Notify;

use crate::clock;
use crate::limits::REJECTS_SHOWN_MAX;
use crate::service::http::credentials::Credential;
use crate::service::metrics::Metrics;

/// Where bodies go.
#[derive(Clone)]
pub(crate) struct Intake {
    /// The log of this machine.
    pub(crate) log: Arc<dyn Log>,
    /// What is declared.
    pub(crate) inventory: Arc<Inventory>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Rung after every append to [`Topic::Events`]; who reads the log waits on it.
    pub(crate) appended: Arc<Notify>,
}

/// What became of one body, once it is durable.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Receipt {
    /// Records seen in the body.
    pub(crate) records: usize,
    /// Events made of them.
    pub(crate) events: usize,
    /// Events among them that the log had already.
    pub(crate) repeats: usize,
    /// Events among them whose id the log had with other content.
    pub(crate) conflicts: usize,
    /// Records that are nothing of the feed's: counted, neither kept nor rejected.
    pub(crate) skipped: usize,
    /// Records that could not be read.
    pub(crate) rejected: usize,
    /// The first of those, with the reason.
    pub(crate) rejects: Vec<ShownReject>,
}

/// One reject, as it is answered. The record itself is not sent back.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ShownReject {
    /// Line of the body on which the record begins, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<usize>,
    /// The field at fault.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) reason: String,
}

impl From<&Reject> for ShownReject {
    fn from(reject: &Reject) -> ShownReject {
        ShownReject { line: reject.line, field: reject.field.clone(), reason: reject.reason.clone() }
    }
}

impl Intake {
    /// Takes a decoded body from `credential`, and what of it could not be opened; returns when all of it is durable.
    ///
    /// # Errors
    /// The log did not take it. Nothing is acknowledged; a sender that repeats it makes no doubles.
    pub(crate) fn accept(
        &self,
        credential: &Credential,
        opened: Opened<'_>,
        received_at: Instant,
    ) -> Result<Receipt, Error> {
        let body = opened.body.as_ref();
        let context = Context { origin: &credential.origin, inventory: Some(&self.inventory) };
        let mut reading = credential.feed.read(&context, body);
        reading.records += opened.rejects.len();
        reading.rejects.extend(opened.rejects);
        withhold(credential, &mut reading, received_at);
        let kept = reading
            .rejects
            .iter()
            .map(|reject| reject.into_event(&credential.origin, credential.feed.name(), received_at));
        let events: Vec<Event> = reading.events.iter().cloned().chain(kept).collect();
        let (repeats, conflicts) = self.append(Topic::Events, events)?;
        let receipt = Receipt::new(&reading, repeats, conflicts);
        self.count(credential, body.len(), &receipt);
        // A captured request that is sent again is no word of the source.
        let spoke = receipt.events > receipt.repeats || (receipt.events > 0 && credential.is_of_its_time());
        self.time(credential, &reading.events, spoke);
        Ok(receipt)
    }

    /// Takes what a follower of a chain read, with its cursor as the last: in one append, or, where the log does not take so
    /// many at once, in several. When the process ends between two of them, the follower reads the same again and gives its
    /// events the same ids.
    ///
    /// # Errors
    /// The log did not take it.
    pub(crate) fn accept_followed(&self, origin: &Origin, chain: &str, events: Vec<Event>) -> Result<(), Error> {
        let labels = [origin.system.as_str(), origin.source.as_str(), chain];
        let count = events.len();
        let (repeats, conflicts) = self.append(Topic::Events, events)?;
        for (counter, count) in [
            (&self.metrics.ingest_events, count.saturating_sub(repeats + conflicts)),
            (&self.metrics.ingest_repeats, repeats),
            (&self.metrics.ingest_conflicts, conflicts),
        ] {
            counter.with_label_values(&labels).inc_by(count as u64);
        }
        Ok(())
    }

    /// Appends in pieces that the log takes at once; gives repeats and conflicts.
    fn append(&self, topic: Topic, mut events: Vec<Event>) -> Result<(usize, usize), Error> {
        let (mut repeats, mut conflicts) = (0, 0);
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(APPEND_EVENTS_MAX));
            let appended = self.append_piece(topic, std::mem::replace(&mut events, rest))?;
            repeats += appended.repeats;
            conflicts += appended.conflicts;
        }
        Ok((repeats, conflicts))
    }

    fn append_piece(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        let begun = time::Instant::now();
        let appended = self.log.append(topic, events).inspect_err(|_| {
            self.metrics.log_failures.with_label_values(&[topic.name()]).inc();
        })?;
        self.metrics.log_append_latency.observe(&[topic.name()], begun.elapsed());
        self.metrics.log_records.with_label_values(&[topic.name()]).inc_by(appended.written.len() as u64);
        self.appended.notify_one();
        Ok(appended)
    }

    fn count(&self, credential: &Credential, bytes: usize, receipt: &Receipt) {
        let feed = credential.feed.name();
        let labels = [credential.origin.system.as_str(), credential.origin.source.as_str(), feed];
        let metrics = &self.metrics;
        let new = receipt.events.saturating_sub(receipt.repeats + receipt.conflicts);
        for (counter, count) in [
            (&metrics.ingest_events, new),
            (&metrics.ingest_repeats, receipt.repeats),
            (&metrics.ingest_conflicts, receipt.conflicts),
            (&metrics.ingest_rejects, receipt.rejected),
            (&metrics.ingest_skipped, receipt.skipped),
        ] {
            counter.with_label_values(&labels).inc_by(count as u64);
        }
        metrics.ingest_bytes.with_label_values(&[feed]).inc_by(bytes as u64);
    }
}

impl Intake {
    /// When the source spoke, and how long after the facts.
    fn time(&self, credential: &Credential, events: &[Event], spoke: bool) {
        let (now, feed) = (clock::now(), credential.feed.name());
        if spoke {
            self.metrics.heard(credential, now);
        }
        let delay = |event: &Event| u64::try_from(now.0.saturating_sub(event.event_time().0)).unwrap_or(0);
        self.metrics.event_delay.observe_all(&[feed], events.iter().map(delay).map(time::Duration::from_nanos));
    }
}

/// Events that the credential may not write become rejects.
fn withhold(credential: &Credential, reading: &mut Reading, now: Instant) {
    let rejects = &mut reading.rejects;
    reading.events.retain(|event| match credential.judge(event, now) {
        Ok(()) => true,
        Err(problem) => {
            rejects.push(Reject::new(&problem, None, line::write(event).as_bytes()));
            false
        }
    });
}

impl Receipt {
    fn new(reading: &Reading, repeats: usize, conflicts: usize) -> Receipt {
        Receipt {
            records: reading.records,
            events: reading.events.len(),
            repeats,
            conflicts,
            skipped: reading.skipped,
            rejected: reading.rejects.len(),
            rejects: reading.rejects.iter().take(REJECTS_SHOWN_MAX).map(ShownReject::from).collect(),
        }
    }

    /// Whether there was nothing in the body that could be read.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.events == 0 && self.rejected > 0
    }
}
