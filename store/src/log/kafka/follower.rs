//! Reading: a thread for each topic that takes the messages of a partition over into the copy, in their order and in steps.
//!
//! It knows no event: it tells messages of keywatch's roles from others, gives each its append time, and lets the copy's
//! admission fold log time, repeats and conflicts from there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::claims::{Claims, Outcome};
use super::content;
use super::context::KafkaConsumer;
use super::health;
use super::message::{Foreign, Genuine, Seal};
use super::polled::{append_time, judge};
use super::producer::Appends;
use super::progress::{ProgressFile, Step, topic_index};
use crate::limits::{KAFKA_STEP_BYTES_MAX, KAFKA_STEP_RECORDS_MAX};
use crate::log::embedded::EmbeddedLog;
use crate::{Appended, Clock, Error, Event, EventId, Instant, Log, Topic};

/// How long a poll waits for the first message of a step.
const POLL: Duration = Duration::from_millis(100);

pub(super) struct Follower {
    pub(super) consumer: KafkaConsumer,
    pub(super) topic: Topic,
    /// Its name in the cluster.
    pub(super) name: String,
    pub(super) seal: Seal,
    pub(super) appends: Arc<Appends>,
    pub(super) copy: Arc<EmbeddedLog>,
    pub(super) progress: Arc<Mutex<ProgressFile>>,
    pub(super) claims: Arc<Claims>,
    /// Next offset.
    pub(super) next: i64,
    /// The offset of the first message that was written live: an import stands before it.
    pub(super) live_from: Option<i64>,
    /// The offset of the first message that a later version wrote: the copy lacks it.
    pub(super) lacks_from: Option<i64>,
    /// Where the topic ended before it was followed.
    pub(super) end: i64,
    pub(super) stop: Arc<AtomicBool>,
}

/// What a step takes over.
#[derive(Default)]
struct Batch {
    events: Vec<Event>,
    /// The append of this process that each event is of.
    appends: Vec<Option<u64>>,
    next: Option<i64>,
    /// As in the follower.
    live_from: Option<i64>,
    /// As in the follower.
    lacks_from: Option<i64>,
    /// All that could be seen was seen.
    is_last: bool,
}

impl Follower {
    /// Where the reading begins.
    pub(super) fn assign(&self, partition: i32) -> Result<(), KafkaError> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.name, partition, Offset::Offset(self.next))?;
        self.consumer.assign(&place)
    }

    /// Follows until it is told to stop or cannot go on.
    pub(super) fn run(mut self) {
        let why = match self.follow() {
            Ok(()) => Error::Closed,
            Err(error) => {
                tracing::error!(%error, "the Kafka log is no longer read");
                error
            }
        };
        self.claims.stop(&why.to_string());
    }

    fn follow(&mut self) -> Result<(), Error> {
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.gather()?;
            let (is_last, is_read) = (batch.is_last, batch.next.is_some());
            self.take(batch)?;
            if is_last || is_read {
                self.claims.met_end(topic_index(self.topic), is_last);
            }
            if is_last {
                // Behind the last message there may be a mark of a transaction, which is no message.
                self.claims.reached(topic_index(self.topic), self.next.max(self.end));
            }
        }
        Ok(())
    }

    /// Waits for a message, and gathers those that are there.
    fn gather(&self) -> Result<Batch, Error> {
        let (mut messages, mut bytes, mut patience) = (0, 0, POLL);
        let mut batch = Batch { live_from: self.live_from, lacks_from: self.lacks_from, ..Batch::default() };
        // A message is taken over as a whole: what is packed in it belongs to one step.
        while batch.events.len().max(messages) < KAFKA_STEP_RECORDS_MAX && bytes < KAFKA_STEP_BYTES_MAX {
            let Some(polled) = self.consumer.poll(patience) else { break };
            patience = Duration::ZERO;
            match polled {
                Ok(message) => {
                    messages += 1;
                    bytes += message.payload_len();
                    self.read(&message, &mut batch)?;
                }
                Err(KafkaError::PartitionEOF(_)) => {
                    batch.is_last = true;
                    break;
                }
                Err(error) => judge(&self.name, &error)?,
            }
        }
        Ok(batch)
    }

    fn read(&self, message: &BorrowedMessage<'_>, batch: &mut Batch) -> Result<(), Error> {
        let offset = message.offset();
        if offset < batch.next.unwrap_or(self.next) {
            return Ok(());
        }
        batch.next = Some(offset + 1);
        match self.seal.open(self.topic, message) {
            Ok(Genuine { clock: Clock::Recorded, .. }) if batch.live_from.is_some_and(|live| offset > live) => {
                self.leave_out(message, &Foreign::LateImport);
            }
            Ok(genuine) => {
                if genuine.clock == Clock::Wall {
                    batch.live_from.get_or_insert(offset);
                }
                let mut events = match genuine.events {
                    Ok(events) => events,
                    Err(error) if message.payload().is_some_and(content::is_of_later_version) => {
                        batch.lacks_from.get_or_insert(offset);
                        self.pass_by(offset, &error);
                        return Ok(());
                    }
                    Err(error) => return Err(self.refuse(offset, &error.to_string())),
                };
                if genuine.clock == Clock::Wall {
                    // Events of one message have one append time, as messages of one moment have.
                    let time = self.append_time(message)?;
                    events.iter_mut().for_each(|event| event.set_time(time));
                }
                let append = self.appends.number(&genuine.append);
                batch.appends.extend(std::iter::repeat_n(append, events.len()));
                batch.events.append(&mut events);
            }
            Err(foreign) => self.leave_out(message, &foreign),
        }
        Ok(())
    }

    fn leave_out(&self, message: &BorrowedMessage<'_>, why: &Foreign) {
        let count = self.claims.count_foreign();
        if count.is_power_of_two() {
            let (topic, offset) = (message.topic(), message.offset());
            tracing::warn!(topic, offset, count, %why, "a message is left out: no role of keywatch wrote it here");
        }
    }

    /// A role signed it, it is whole, and this version cannot know what it says. It stays in Kafka for the version that can.
    fn pass_by(&self, offset: i64, why: &Error) {
        let count = self.claims.count_later(topic_index(self.topic), offset);
        if count.is_power_of_two() {
            let topic = &self.name;
            tracing::error!(topic, offset, count, %why, "a message is passed by: a role signed it, and this version cannot read it, as a later one may");
        }
    }

    fn append_time(&self, message: &BorrowedMessage<'_>) -> Result<Instant, Error> {
        append_time(message).ok_or_else(|| {
            let problem = "it carries no append time; message.timestamp.type must stay LogAppendTime";
            self.refuse(message.offset(), problem)
        })
    }

    fn take(&mut self, batch: Batch) -> Result<(), Error> {
        let Some(to) = batch.next else { return Ok(()) };
        if !batch.events.is_empty() {
            let Batch { live_from, lacks_from, .. } = batch;
            let step = Step { from: self.next, to, end: self.copy.end(self.topic).0, live_from, lacks_from };
            self.progress.lock().unwrap_or_else(PoisonError::into_inner).begin(self.topic, step)?;
            let ids: Vec<EventId> = batch.events.iter().map(Event::event_id).collect();
            // Not of what stood there before, nor of an import.
            let is_live = to > self.end && batch.live_from.is_some();
            let times: Vec<Instant> = batch.events.iter().filter(|_| is_live).map(Event::time).collect();
            let appended = self.copy.append(self.topic, batch.events)?;
            let now = health::now();
            let took = |time: &Instant| Duration::from_nanos(now.0.saturating_sub(time.0).try_into().unwrap_or(0));
            self.claims.folded(topic_index(self.topic), times.iter().map(took));
            let outcomes = outcomes(&ids, appended);
            let outcomes = batch.appends.into_iter().zip(ids).zip(outcomes);
            self.claims.settle(outcomes.filter_map(|((append, id), outcome)| Some((append?, id, outcome))));
        }
        (self.next, self.live_from, self.lacks_from) = (to, batch.live_from, batch.lacks_from);
        self.claims.reached(topic_index(self.topic), to);
        Ok(())
    }

    fn refuse(&self, offset: i64, problem: &str) -> Error {
        let problem = format!("the message at offset {offset} cannot be read: {problem}");
        Error::KafkaTopic { topic: self.name.clone(), problem }
    }
}

/// What became of each of the events with these ids, of which the copy wrote some. Where an id stands there several times, as a
/// repeat and with other content, the first of them is told of the conflict: whoever appended them counts the same sum.
fn outcomes(ids: &[EventId], appended: Appended) -> Vec<Outcome> {
    let first = appended.first;
    let mut written = appended.written.into_iter().enumerate().peekable();
    let of = |id: &EventId| match written.next_if(|(_, event)| event.event_id() == *id || is_conflict(event, *id)) {
        Some((index, event)) if event.event_id() == *id => Outcome::Written(first.plus(index), event),
        Some((index, event)) => Outcome::Conflict(first.plus(index), event),
        None => Outcome::Repeat,
    };
    ids.iter().map(of).collect()
}

fn is_conflict(event: &Event, about: EventId) -> bool {
    event.kind() == "source.conflict" && event.detail().value()["conflicting_event"] == about.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Position;
    use crate::event::Origin;
    use crate::log::memory::MemoryLog;

    fn event(id: &str, actor: &str) -> Event {
        let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
        Event::builder(&origin, id, "source.heartbeat", Instant(1)).actor(actor).build().unwrap()
    }

    #[test]
    fn each_event_learns_what_became_of_it() {
        let log = MemoryLog::new();
        log.append(Topic::Events, vec![event("1", "ann"), event("4", "bob")]).unwrap();
        let events = [event("2", "a"), event("1", "ann"), event("4", "eve"), event("2", "a"), event("3", "a")];
        let ids: Vec<EventId> = events.iter().map(Event::event_id).collect();
        let outcomes = outcomes(&ids, log.append(Topic::Events, events.to_vec()).unwrap());
        let said: Vec<String> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Written(position, event) => format!("{} {}", position.0, event.event_id()),
                Outcome::Conflict(Position(position), event) => format!("{position} {}", event.kind()),
                Outcome::Repeat => "repeat".to_owned(),
            })
            .collect();
        let written = |position: u64, at: usize| format!("{position} {}", ids[at]);
        assert_eq!(said, [written(2, 0), "repeat".into(), "3 source.conflict".into(), "repeat".into(), written(4, 4)]);
    }
}
