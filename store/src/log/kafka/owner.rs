//! The one process that concludes for a partition. Each append to the conclusions is a transaction under a name that only
//! the newest process has: one that was replaced and goes on is refused by the brokers, before it can act on anything.
//!
//! A transaction that the brokers gave up, or whose end they did not confirm, leaves a client that can write no more. Another
//! one of the same name takes its place then, unless a newer process has the partition ([`super::mark`]): that settles what the
//! one before left open, and what became of it is read back before anything is written again.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::claims::{Claims, Outcome};
use super::health::Counts;
use super::message::Seal;
use super::polled::judge;
use super::producer::{Appends, Producer};
use super::progress::topic_index;
use super::roles::{self, Taking};
use super::settings::Settings;
use super::takeover::{self, Standing};
use super::{CLUSTER_PATIENCE, kafka_partition, now, unreachable};
use crate::limits::{KAFKA_MARK_AGAIN_SECONDS, KAFKA_MARK_PATIENCE_MS_MAX, KAFKA_MARK_SECONDS};
use crate::{Error, Event, EventId, Topic};

/// How long one call to librdkafka lasts before it is made again.
const CALL: Duration = Duration::from_secs(5);

/// How long messages that have arrived may count as under way.
const COUNTED_PATIENCE: Duration = Duration::from_millis(50);

/// Until it is looked at again.
const COUNTED_PAUSE: Duration = Duration::from_micros(20);

/// Until a transaction that failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// The process that has a partition.
pub(super) struct Owner {
    /// One transaction after the other.
    turn: Mutex<Tenure>,
    settings: Settings,
    partition: u32,
    appends: Arc<Appends>,
    claims: Arc<Claims>,
    /// What is read back is to be this log's.
    seal: Seal,
    pub(super) counts: Counts,
}

/// What it writes with.
struct Tenure {
    producer: Producer,
    /// Why this one can write no more.
    spent: Option<String>,
    /// An offset that the last transaction does not stand before.
    begun: i64,
    /// The offset from which on there may be conclusions of which nobody knows.
    in_doubt: Option<i64>,
    /// Whether it is said that this process has the partition.
    marked: bool,
    /// When it was last tried to say so.
    tried: Instant,
}

/// What is to be done about a transaction that failed.
enum Failure {
    /// It left nothing, or it will be known what; and the next may succeed.
    Passing(String),
    /// There will be none.
    Lasting(Error),
}

impl Owner {
    /// Takes a partition over from whoever had it. What that one had not committed is gone.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::KafkaTopic`] when keywatch may not, or who only responds finds nobody who only finds.
    pub(super) fn take_over(
        settings: &Settings,
        partition: u32,
        appends: Arc<Appends>,
        claims: Arc<Claims>,
        seal: Seal,
    ) -> Result<Owner, Error> {
        let producer = Producer::connect(settings, &settings.owner(partition), Arc::clone(&appends))?;
        let tried = now();
        let patience = Duration::from_millis(u64::from(KAFKA_MARK_PATIENCE_MS_MAX));
        let taking = Taking { settings, partition, appends: &appends, patience, call: CLUSTER_PATIENCE };
        let marked = taking.take(takeover::first(settings.concluding), &producer)?;
        let turn = Mutex::new(Tenure { producer, spent: None, begun: 0, in_doubt: None, marked, tried });
        Ok(Owner { turn, settings: settings.clone(), partition, appends, claims, seal, counts: Counts::default() })
    }

    /// Writes events so that all of them count or none; goes on trying for a while when the cluster does not take them. Those
    /// that an earlier append turns out to have written are not written again.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when another process has the partition, [`Error::Unreachable`] after an outage that lasts: then it
    /// is not known whether they are written.
    pub(super) fn send(&self, topic: Topic, events: &[Event], append: u64) -> Result<(), Error> {
        let mut tenure = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let until = now() + Duration::from_millis(u64::from(self.settings.conclude_ms_max));
        loop {
            match self.attempt(&mut tenure, topic, events, append, until) {
                Ok(()) => return Ok(()),
                Err(Failure::Lasting(error)) => return Err(error),
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

    /// The last append was not read back in time, so that whoever made it takes it for one that failed.
    pub(super) fn doubt(&self) {
        let mut tenure = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = tenure.begun;
        tenure.in_doubt.get_or_insert(begun);
    }

    /// Checks that no other process has taken the partition over by now.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when one has, [`Error::Unreachable`].
    pub(super) fn confirm(&self) -> Result<(), Error> {
        let tenure = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let why = format!("group {} says so", self.settings.owner_group());
        self.still_has_it(&tenure, &why).map_err(|failure| match failure {
            Failure::Lasting(error) => error,
            Failure::Passing(problem) => unreachable(&self.settings, &problem),
        })
    }

    fn attempt(
        &self,
        tenure: &mut Tenure,
        topic: Topic,
        events: &[Event],
        append: u64,
        until: Instant,
    ) -> Result<(), Failure> {
        if let Some(why) = tenure.spent.clone() {
            self.renew(tenure, &why, until)?;
        }
        let Some(from) = tenure.in_doubt else { return self.transaction(tenure, topic, events, append, until) };
        let written = self.read_back(from)?;
        tenure.in_doubt = None;
        let (repeats, left) = apart(events, &written, append);
        self.claims.settle(repeats.into_iter().map(|id| (append, id, Outcome::Repeat)));
        if left.is_empty() {
            return Ok(());
        }
        self.transaction(tenure, topic, &left, append, until)
    }

    fn transaction(
        &self,
        tenure: &mut Tenure,
        topic: Topic,
        events: &[Event],
        append: u64,
        until: Instant,
    ) -> Result<(), Failure> {
        tenure.begun = self.claims.next(topic_index(Topic::Conclusions));
        let client = &tenure.producer.client;
        if let Err(error) = client.begin_transaction() {
            tenure.spent = Some(error.to_string());
            return Err(Failure::Passing(error.to_string()));
        }
        let underway = tenure.producer.begin(topic, events, append).map_err(Failure::Lasting);
        let sent =
            underway.and_then(|underway| underway.wait().map_or(Ok(()), |error| Err(tenure.judge(topic, &error))));
        if let Err(failure) = sent {
            // What was not sent as a whole is not committed, whatever becomes of this.
            self.abort(tenure, until);
            return Err(failure);
        }
        await_counted(COUNTED_PATIENCE, || client.in_flight_count());
        match persist(until, || client.commit_transaction(CALL)) {
            Ok(()) => {
                self.counts.committed.fetch_add(1, Ordering::Relaxed);
                self.say_again(tenure, true);
                Ok(())
            }
            Err(error) => {
                let is_given_up = matches!(&error, KafkaError::Transaction(error) if error.txn_requires_abort());
                if !(is_given_up && self.abort(tenure, until)) {
                    // Whether a commit that is not answered took place is known only once nobody can repeat it.
                    self.counts.unanswered.fetch_add(1, Ordering::Relaxed);
                    tenure.spent = Some(error.to_string());
                    tenure.in_doubt.get_or_insert(tenure.begun);
                }
                Err(Failure::Passing(error.to_string()))
            }
        }
    }

    /// Whether the transaction is known to have left nothing. Else its client is of no more use.
    fn abort(&self, tenure: &mut Tenure, until: Instant) -> bool {
        let aborted = persist(until, || tenure.producer.client.abort_transaction(CALL));
        self.counts.aborted.fetch_add(u64::from(aborted.is_ok()), Ordering::Relaxed);
        if let Err(error) = &aborted {
            tenure.spent = Some(error.to_string());
        }
        aborted.is_ok()
    }

    /// Puts another client in the place of one that can write no more. What that one left open is settled then.
    fn renew(&self, tenure: &mut Tenure, why: &str, until: Instant) -> Result<(), Failure> {
        let why = tenure.producer.client.client().fatal_error().map_or_else(|| why.to_owned(), |(_, why)| why);
        self.still_has_it(tenure, &why)?;
        let config = self.settings.owner(self.partition);
        let producer = Producer::connect(&self.settings, &config, Arc::clone(&self.appends));
        let producer = producer.map_err(Failure::Lasting)?;
        let ready = persist(until, || producer.client.init_transactions(CALL));
        ready.map_err(|error| Failure::Passing(error.to_string()))?;
        // Who took over in between was refused by that, and takes it back once this one writes nothing.
        self.still_has_it(tenure, &why)?;
        tracing::warn!(why, partition = self.partition, "conclusions are written by a new client from here on");
        (tenure.producer, tenure.spent) = (producer, None);
        Ok(())
    }

    /// Whether this process was the last to take the partition over, and nobody may do its work beside it.
    fn still_has_it(&self, tenure: &Tenure, why: &str) -> Result<(), Failure> {
        let standing = match tenure.marked {
            true => self.taking().standing().map_err(|error| match error.is_outage() {
                true => Failure::Passing(error.to_string()),
                false => Failure::Lasting(error),
            })?,
            false => Standing::Replaced,
        };
        match standing {
            Standing::Has => Ok(()),
            Standing::Undecided => Err(Failure::Passing(roles::UNDECIDED.to_owned())),
            Standing::Replaced => {
                self.counts.fenced.fetch_add(1, Ordering::Relaxed);
                Err(Failure::Lasting(roles::replaced(&self.settings, self.partition, why)))
            }
        }
    }

    /// One that has the partition asks once: whoever calls tries again.
    fn taking(&self) -> Taking<'_> {
        let Owner { settings, partition, appends, .. } = self;
        Taking { settings, partition: *partition, appends, patience: Duration::ZERO, call: CALL }
    }

    /// The conclusions from an offset on, with the append of this process that each is of. Nothing of this process is under
    /// way.
    fn read_back(&self, from: i64) -> Result<HashMap<EventId, Option<u64>>, Failure> {
        // What is hidden behind an open transaction of another process would be taken for not written.
        roles::await_settled(&self.settings, self.partition, CALL)
            .map_err(|error| Failure::Passing(error.to_string()))?;
        let name = self.settings.topic(Topic::Conclusions);
        let passing = |error: KafkaError| Failure::Passing(format!("conclusions cannot be read back: {error}"));
        let consumer = self.settings.connect_consumer(Topic::Conclusions).map_err(passing)?;
        let mut place = TopicPartitionList::new();
        let placed = place.add_partition_offset(&name, kafka_partition(self.partition), Offset::Offset(from));
        placed.and_then(|()| consumer.assign(&place)).map_err(passing)?;
        let (until, mut written) = (now() + CLUSTER_PATIENCE, HashMap::new());
        while now() < until {
            match consumer.poll(CALL) {
                None => {}
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(written),
                Some(Err(error)) => judge(&name, &error).map_err(Failure::Lasting)?,
                Some(Ok(message)) => {
                    // What no role wrote is reported by who follows the topic.
                    let Ok(genuine) = self.seal.open(Topic::Conclusions, &message) else { continue };
                    let append = self.appends.number(&genuine.append);
                    written.extend(genuine.events.into_iter().flatten().map(|event| (event.event_id(), append)));
                }
            }
        }
        Err(Failure::Passing("conclusions are not read back in time".to_owned()))
    }

    /// The cluster forgets who has a partition when it was not said for days.
    fn say_again(&self, tenure: &mut Tenure, has_committed: bool) {
        let due = if tenure.marked { KAFKA_MARK_SECONDS } else { KAFKA_MARK_AGAIN_SECONDS };
        if tenure.tried.elapsed() <= Duration::from_secs(due) {
            return;
        }
        tenure.tried = now();
        // What was said before holds for some days yet.
        if let Err(error) = self.take_again(tenure, has_committed) {
            tracing::warn!(%error, partition = self.partition, "it could not be noted again which process has the partition");
        }
    }

    /// Takes the partition over from itself, with a client that takes the place of the one before: a name that is written by who
    /// has lost the partition meanwhile would be believed. One whose place was taken says nothing, and refuses nobody.
    fn take_again(&self, tenure: &mut Tenure, has_committed: bool) -> Result<(), Error> {
        let taking = self.taking();
        // Whoever has committed just now was refused by nobody, also where no mark says whose the partition is.
        let is_known = has_committed && !tenure.marked;
        if !is_known && !taking.may_take_again()? {
            return Ok(());
        }
        let config = self.settings.owner(self.partition);
        let producer = Producer::connect(&self.settings, &config, Arc::clone(&self.appends))?;
        tenure.marked |= taking.take(takeover::again(self.settings.concluding), &producer)?;
        tenure.producer = producer;
        Ok(())
    }

    /// The same for a process that has nothing to conclude for days.
    pub(super) fn keep(&self) {
        // Who concludes just now says so after that.
        let Ok(mut tenure) = self.turn.try_lock() else { return };
        if tenure.spent.is_none() && tenure.in_doubt.is_none() {
            self.say_again(&mut tenure, false);
        }
    }
}

impl Tenure {
    /// A client that was given up is replaced; what else lasts, lasts.
    fn judge(&self, topic: Topic, error: &KafkaError) -> Failure {
        let is_given_up = self.producer.client.client().fatal_error().is_some();
        match self.producer.failure(topic, error) {
            lasting @ Error::KafkaTopic { .. } if !is_given_up => Failure::Lasting(lasting),
            failed => Failure::Passing(failed.to_string()),
        }
    }
}

/// Those of an append's events that an earlier one has written, and those that nobody has. What this append itself has written is
/// neither: it is read as what it is.
fn apart(events: &[Event], written: &HashMap<EventId, Option<u64>>, append: u64) -> (Vec<EventId>, Vec<Event>) {
    let (mut repeats, mut left) = (Vec::new(), Vec::new());
    for event in events {
        match written.get(&event.event_id()) {
            None => left.push(event.clone()),
            Some(by) if *by == Some(append) => {}
            Some(_) => repeats.push(event.event_id()),
        }
    }
    (repeats, left)
}

/// Waits until librdkafka counts no message as under way. It tells of the last one a moment before it counts so, and a commit in
/// between would poll for a tenth of a second for what is there already. Where that moment lasts, the commit waits by itself.
fn await_counted(patience: Duration, under_way: impl Fn() -> i32) {
    let until = now() + patience;
    while under_way() > 0 && now() < until {
        std::thread::sleep(COUNTED_PAUSE);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Origin;

    #[test]
    fn a_commit_waits_until_nothing_is_counted_and_not_for_ever() {
        let left = std::cell::Cell::new(3);
        await_counted(Duration::from_mins(1), || left.replace(left.get() - 1));
        assert_eq!(left.get(), -1, "it was looked at until it was none");
        let begun = now();
        await_counted(COUNTED_PATIENCE, || 1);
        assert!(begun.elapsed() >= COUNTED_PATIENCE, "it gives up after its time");
    }

    #[test]
    fn what_an_append_before_has_written_is_a_repeat_and_what_this_one_has_is_none() {
        let origin = Origin { system: "s".to_owned(), source: "a".to_owned() };
        let event = |id: &str| Event::builder(&origin, id, "source.heartbeat", crate::Instant(1)).build().unwrap();
        let events = ["before", "this", "other", "none"].map(event);
        let ids = events.each_ref().map(Event::event_id);
        let written = HashMap::from([(ids[0], Some(6)), (ids[1], Some(7)), (ids[2], None)]);
        let (repeats, left) = apart(&events, &written, 7);
        assert_eq!((repeats, left), (vec![ids[0], ids[2]], vec![events[3].clone()]));
    }
}
