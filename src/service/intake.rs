//! From an authenticated body to durable events: reads it with the feed, keeps what could not be read, appends, and says
//! what became of it. The answer is made only from what the log has acknowledged (promise P2).

use std::sync::Arc;
use std::time;

use keywatch_ingest::transport::cloudevents::Opened;
use keywatch_ingest::{Context, Reading, Reject};
use keywatch_store::event::Origin;
use keywatch_store::limits::APPEND_EVENTS_MAX;
use keywatch_store::{Error, Event, Instant, LogWriter, Topic, Written, line};
use serde::Serialize;
use tokio::sync::Notify;

use crate::clock;
use crate::limits::REJECTS_SHOWN_MAX;
use crate::service::declared::Current;
use crate::service::http::credentials::Credential;
use crate::service::metrics::Metrics;
use crate::service::source::Source;

/// Where bodies go.
pub(crate) struct Intake {
    /// The log, of which no more is needed here than that it takes events.
    pub(crate) log: Arc<dyn LogWriter>,
    /// What is declared.
    pub(crate) inventory: Arc<Current>,
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
    /// Events among them that the log had already; left out where only a later reader of the log can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) repeats: Option<usize>,
    /// Events among them whose id the log had with other content; left out as `repeats` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) conflicts: Option<usize>,
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
        let (source, body) = (credential.source(), opened.body.as_ref());
        let mut reading = self.read(source, body);
        reading.records += opened.rejects.len();
        reading.rejects.extend(opened.rejects);
        withhold(credential, &mut reading, received_at);
        let mut taken = Taken::default();
        taken.add(source, reading, body.len(), received_at);
        let receipt = self.store(source, &mut taken)?;
        // A captured request that is sent again is no word of the source. Where only a later reader knows repeats, it counts
        // as one while its events are young enough for [`Credential::judge`].
        let new = receipt.events > receipt.repeats.unwrap_or(0);
        let spoke = new || (receipt.events > 0 && credential.is_of_its_time());
        self.time(source, &taken.reading.events, spoke);
        Ok(receipt)
    }

    /// Takes messages of a topic that a source writes, each with the time at which it was written, together.
    ///
    /// # Errors
    /// The log did not take them. Nothing is acknowledged; messages that are read again make no doubles.
    pub(crate) fn accept_messages(&self, source: Source<'_>, messages: &[(&[u8], Instant)]) -> Result<Receipt, Error> {
        let mut taken = Taken::default();
        for (message, written_at) in messages {
            taken.add(source, self.read(source, message), message.len(), *written_at);
        }
        let receipt = self.store(source, &mut taken)?;
        self.time(source, &taken.reading.events, receipt.events > 0);
        Ok(receipt)
    }

    fn read(&self, source: Source<'_>, body: &[u8]) -> Reading {
        let inventory = self.inventory.now();
        source.feed.read(&Context { origin: source.origin, inventory: Some(&inventory) }, body)
    }

    fn store(&self, source: Source<'_>, taken: &mut Taken) -> Result<Receipt, Error> {
        let known = self.write(Topic::Events, std::mem::take(&mut taken.events))?;
        let receipt = Receipt::new(&taken.reading, known);
        self.count(source, taken.bytes, &receipt);
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
        let (repeats, conflicts) = self.write(Topic::Events, events)?.unwrap_or_default();
        for (counter, count) in [
            (&self.metrics.ingest_events, count.saturating_sub(repeats + conflicts)),
            (&self.metrics.ingest_repeats, repeats),
            (&self.metrics.ingest_conflicts, conflicts),
        ] {
            counter.with_label_values(&labels).inc_by(count as u64);
        }
        Ok(())
    }

    /// Takes what was pulled of a source, with its cursor as the last, as [`Intake::accept_followed`] does. `rejected` is how
    /// many of the events say that a record could not be read.
    ///
    /// # Errors
    /// The log did not take it.
    pub(crate) fn accept_pulled(
        &self,
        origin: &Origin,
        feed: &str,
        events: Vec<Event>,
        rejected: usize,
    ) -> Result<(), Error> {
        self.accept_followed(origin, feed, events)?;
        let labels = [origin.system.as_str(), origin.source.as_str(), feed];
        self.metrics.ingest_rejects.with_label_values(&labels).inc_by(rejected as u64);
        self.metrics.source_last.with_label_values(&labels).set(clock::now().unix_seconds());
        Ok(())
    }

    /// Writes in pieces that the log takes at once; gives repeats and conflicts where the log knows them.
    fn write(&self, topic: Topic, mut events: Vec<Event>) -> Result<Option<(usize, usize)>, Error> {
        let mut known = Some((0, 0));
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(APPEND_EVENTS_MAX));
            let written = self.write_piece(topic, std::mem::replace(&mut events, rest))?;
            known = known.zip(written).map(|(all, piece)| (all.0 + piece.0, all.1 + piece.1));
        }
        Ok(known)
    }

    fn write_piece(&self, topic: Topic, events: Vec<Event>) -> Result<Option<(usize, usize)>, Error> {
        let begun = time::Instant::now();
        let written = self.log.write(topic, events).inspect_err(|_| {
            self.metrics.log_failures.with_label_values(&[topic.name()]).inc();
        })?;
        self.metrics.log_append_latency.observe(&[topic.name()], begun.elapsed());
        let (records, known) = match written {
            Written::Admitted(appended) => (appended.written.len(), Some((appended.repeats, appended.conflicts))),
            Written::Sent(events) => (events, None),
        };
        self.metrics.log_records.with_label_values(&[topic.name()]).inc_by(records as u64);
        self.appended.notify_one();
        Ok(known)
    }

    fn count(&self, source: Source<'_>, bytes: usize, receipt: &Receipt) {
        let feed = source.feed.name();
        let labels = [source.origin.system.as_str(), source.origin.source.as_str(), feed];
        let metrics = &self.metrics;
        let (repeats, conflicts) = (receipt.repeats.unwrap_or(0), receipt.conflicts.unwrap_or(0));
        let new = receipt.events.saturating_sub(repeats + conflicts);
        for (counter, count) in [
            (&metrics.ingest_events, new),
            (&metrics.ingest_repeats, repeats),
            (&metrics.ingest_conflicts, conflicts),
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
    fn time(&self, source: Source<'_>, events: &[Event], spoke: bool) {
        let (now, feed) = (clock::now(), source.feed.name());
        if spoke {
            self.metrics.heard(source, now);
        }
        let delay = |event: &Event| u64::try_from(now.0.saturating_sub(event.event_time().0)).unwrap_or(0);
        self.metrics.event_delay.observe_all(&[feed], events.iter().map(delay).map(time::Duration::from_nanos));
    }
}

/// What was read of bodies, and what of it goes into the log.
#[derive(Default)]
struct Taken {
    reading: Reading,
    events: Vec<Event>,
    bytes: usize,
}

impl Taken {
    /// Adds what was read of a body. Records that could not be read are kept as events that say so.
    fn add(&mut self, source: Source<'_>, reading: Reading, bytes: usize, received_at: Instant) {
        let kept =
            reading.rejects.iter().map(|reject| reject.into_event(source.origin, source.feed.name(), received_at));
        self.events.extend(reading.events.iter().cloned().chain(kept));
        self.bytes += bytes;
        self.reading.records += reading.records;
        self.reading.skipped += reading.skipped;
        self.reading.events.extend(reading.events);
        self.reading.rejects.extend(reading.rejects);
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
    fn new(reading: &Reading, known: Option<(usize, usize)>) -> Receipt {
        Receipt {
            records: reading.records,
            events: reading.events.len(),
            repeats: known.map(|(repeats, _)| repeats),
            conflicts: known.map(|(_, conflicts)| conflicts),
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
