//! The log on Apache Kafka: two topics with the same partitions, and a copy of each partition where it is read.
//!
//! Kafka has the records. It knows no log time, no repeats and no positions without gaps; a reader folds these from the
//! messages of its partition ([`crate::log::admission`]), and keeps what it folded in a copy, which is an embedded log. So
//! a restart goes on where the copy ends, windows read their past from it, and all that works on an embedded log works on
//! the copy. A copy that is lost is made anew from Kafka, with the same positions and times.
//!
//! A writer ([`Producer`]) of events needs no copy. A [`KafkaLog`] reads one partition and appends to it: an append is known when it
//! has been read back.
//!
//! | module | what it does |
//! |---|---|
//! | `context` | what librdkafka asks back: tokens |
//! | `settings` | what is asked of the cluster, and what librdkafka is told |
//! | `topics` | topics are created, checked, refused |
//! | `partition` | which partition a system's records go to |
//! | `content` | one event or many in a message |
//! | `message`, `keys` | what makes it a message; which role wrote it |
//! | `producer` | writing |
//! | `owner`, `mark` | the one process that concludes for a partition; how it knows that it is |
//! | `takeover`, `roles` | how it takes the partition over, decided and done; finding and responding in processes of their own |
//! | `lease` | which of several processes is to have which partition |
//! | `follower`, `progress` | from Kafka into the copy, each message once |
//! | `polled` | append times, and errors that pass |
//! | `intake` | topics that others write, for feeds to read |
//! | `reader` | the topics as they stand, for tools |
//! | `health` | how far the copy is behind, what became of transactions |
//! | `claims` | what became of an append, for who waits |

mod claims;
mod content;
mod context;
mod follower;
mod health;
mod intake;
mod keys;
mod lease;
mod mark;
mod message;
mod owner;
mod partition;
mod polled;
mod producer;
mod progress;
mod reader;
mod roles;
mod settings;
mod takeover;
mod topics;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::Consumer;

use crate::limits::KAFKA_READ_BACK_MS_MAX;
use crate::log::TopicHead;
use crate::log::embedded::{EmbeddedLog, Options};
use crate::log::segments::Segments;
use crate::{Appended, Clock, Error, Event, Instant, Log, Position, Topic};

pub use content::Messages;
pub use context::{Token, TokenSource};
pub use health::Transactions;
pub use intake::{IntakeSettings, IntakeTopics, Received};
pub use lease::{Lease, LeaseChange};
pub use partition::partition_of;
pub use producer::Producer;
pub use progress::lacking;
pub use reader::{Extent, KafkaReader, ReadFrom, Seen, Unread};
pub use settings::{Concluding, Settings};

use claims::{Claims, Later};
use context::KafkaConsumer;
use follower::Follower;
use message::Seal;
use owner::Owner;
use producer::Appends;
use progress::{Progress, ProgressFile, Step, topic_index};
use topics::Topics;

/// How long the cluster has to answer a question.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(30);

/// How long a cluster that answers has to become whole, e.g. when its brokers begin together.
const WHOLE_PATIENCE: Duration = Duration::from_mins(1);

/// Until it is looked at again.
const WHOLE_PAUSE: Duration = Duration::from_millis(500);

/// One partition of the log: read into a copy, and appended to.
pub struct KafkaLog {
    events: Arc<Producer>,
    conclusions: Owner,
    appends: Arc<Appends>,
    copy: Arc<EmbeddedLog>,
    claims: Arc<Claims>,
    settings: Settings,
    partition: u32,
    stop: Arc<AtomicBool>,
    followers: Vec<JoinHandle<()>>,
}

/// Messages of one topic of a partition that a role of keywatch signed, that this version cannot read, and that the copy lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedBy {
    /// The name of the topic in Kafka.
    pub topic: String,
    /// Its partition.
    pub partition: u32,
    /// Offset of the first of them.
    pub first_offset: i64,
    /// How many since the log was opened; one more where the copy lacked some before.
    pub messages: u64,
}

impl KafkaLog {
    /// Opens a partition: creates or checks the topics, takes the partition over from whoever had it, opens its copy in
    /// `directory`, and reads what the copy lacks. A cluster that answers and is not whole yet is waited for.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::KafkaTopic`] when a topic does not fit or lost records, and the errors of
    /// [`EmbeddedLog::open`] about the copy.
    pub fn open(settings: &Settings, partition: u32, directory: &Path) -> Result<KafkaLog, Error> {
        if partition >= settings.partitions {
            let problem = format!("there are {} partitions, counted from 0; {partition} is none", settings.partitions);
            return Err(Error::KafkaTopic { topic: settings.topic(Topic::Events), problem });
        }
        let topics = Topics::of(settings)?;
        let cluster = topics.cluster()?;
        once_whole(|| KafkaLog::open_in(&topics, &cluster, settings, partition, directory))
    }

    fn open_in(
        topics: &Topics<'_>,
        cluster: &str,
        settings: &Settings,
        partition: u32,
        directory: &Path,
    ) -> Result<KafkaLog, Error> {
        topics.ensure()?;
        let seal = keys::seal(settings)?;
        let copy = Arc::new(EmbeddedLog::open(directory, Options::new(Clock::Recorded))?);
        let names = Topic::ALL.map(|topic| settings.topic(topic));
        let steps = [Step::default(); 2];
        let cluster = cluster.to_owned();
        let fresh = Progress { cluster, topics: names.clone(), partitions: settings.partitions, partition, steps };
        let is_empty = Topic::ALL.iter().all(|topic| copy.end(*topic) == Position(0));
        let progress = ProgressFile::open(directory, &fresh, is_empty)?;
        let steps = Topic::ALL.map(|topic| {
            let step = progress.steps()[topic_index(topic)];
            Step { lacks_from: step.lacks(copy.end(topic)), ..step }
        });
        let next = Topic::ALL.map(|topic| steps[topic_index(topic)].next(copy.end(topic)));
        let appends = Appends::new(settings)?;
        let events = Arc::new(Producer::connect(settings, &settings.producer(), Arc::clone(&appends))?);
        let claims = Arc::new(Claims::default());
        let (of, to) = (Arc::clone(&appends), Arc::clone(&claims));
        let conclusions = Owner::take_over(settings, partition, of, to, seal.clone())?;
        let mut log = KafkaLog {
            events,
            conclusions,
            appends,
            copy,
            claims,
            settings: settings.clone(),
            partition,
            stop: Arc::new(AtomicBool::new(false)),
            followers: Vec::new(),
        };
        // Nobody before can write any more. What it has found is to be seen as a whole, so that it is not written again.
        let open_ms_max = u64::from(settings.transaction_ms_max);
        roles::await_settled(settings, partition, Duration::from_millis(open_ms_max) + CLUSTER_PATIENCE)?;
        let progress = Arc::new(Mutex::new(progress));
        let mut ends = [0; 2];
        for topic in Topic::ALL {
            let index = topic_index(topic);
            log.say_what_lacks(topic, steps[index], directory);
            ends[index] = log.follow(topic, (next[index], steps[index]), &seal, &progress)?;
        }
        log.catch_up(ends)?;
        Ok(log)
    }

    /// Follows a topic from an offset on, in a thread of its own; where the topic ends now.
    fn follow(
        &mut self,
        topic: Topic,
        (next, step): (i64, Step),
        seal: &Seal,
        progress: &Arc<Mutex<ProgressFile>>,
    ) -> Result<i64, Error> {
        let settings = &self.settings;
        let failed = |error: &dyn std::fmt::Display| unreachable(settings, error);
        let consumer = settings.connect_consumer(topic).map_err(|error| failed(&error))?;
        let end = end(settings, &consumer, topic, self.partition, next)?;
        self.claims.reached(topic_index(topic), next);
        let follower = Follower {
            consumer,
            topic,
            name: settings.topic(topic),
            seal: seal.clone(),
            appends: Arc::clone(&self.appends),
            copy: Arc::clone(&self.copy),
            progress: Arc::clone(progress),
            claims: Arc::clone(&self.claims),
            next,
            live_from: step.live_from,
            lacks_from: step.lacks_from,
            end,
            stop: Arc::clone(&self.stop),
        };
        follower.assign(kafka_partition(self.partition)).map_err(|error| failed(&error))?;
        let thread = std::thread::Builder::new().name(format!("kafka-{}", topic.name()));
        let thread = thread.spawn(move || follower.run()).map_err(|error| failed(&error))?;
        self.followers.push(thread);
        Ok(end)
    }

    /// Says that the copy lacks what a later version wrote, which the version that runs now may be able to read.
    fn say_what_lacks(&self, topic: Topic, step: Step, directory: &Path) {
        let Some(offset) = step.lacks_from else { return };
        self.claims.count_later(topic_index(topic), offset);
        tracing::error!(
            topic = self.settings.topic(topic),
            offset,
            "the copy lacks what a later version wrote, from that offset on: with that version, put {} aside once and start again",
            directory.display()
        );
    }

    /// Waits until what stood in Kafka stands in the copy.
    fn catch_up(&self, ends: [i64; 2]) -> Result<(), Error> {
        let report =
            |next: [i64; 2]| tracing::info!(events = next[0], of = ends[0], "the log is being read from Kafka");
        self.claims.await_offsets(ends, report).map_err(|why| self.stopped(Topic::Events, why))
    }

    /// Waits until the copy of a topic ends beyond `position` or `timeout` passes; its end then.
    #[must_use]
    pub fn wait_past(&self, topic: Topic, position: Position, timeout: Duration) -> Position {
        self.copy.wait_past(topic, position, timeout)
    }

    /// What stretches of the copy hold. One is enough for a log.
    #[must_use]
    pub fn segments(&self) -> Segments {
        self.copy.segments()
    }

    /// Messages that no role of keywatch wrote and that were left out, since the log was opened.
    #[must_use]
    pub fn foreign_messages(&self) -> u64 {
        self.claims.foreign()
    }

    /// Messages that a later version of keywatch wrote and that were passed by since the log was opened, and one more for each
    /// topic of which the copy lacked some before.
    #[must_use]
    pub fn later_messages(&self) -> u64 {
        self.claims.later().iter().map(|later| later.count).sum()
    }

    /// The same by topic, without those of which none were passed by.
    #[must_use]
    pub fn passed_by(&self) -> Vec<PassedBy> {
        let later = self.claims.later();
        let of_topic = |topic: Topic| {
            let Later { count: messages, first } = later[topic_index(topic)];
            let (name, partition) = (self.settings.topic(topic), self.partition);
            first.map(|first_offset| PassedBy { topic: name, partition, first_offset, messages })
        };
        Topic::ALL.into_iter().filter_map(of_topic).collect()
    }

    /// Has the cluster not forget that this process has its partition, which it does after some days without conclusions. To be
    /// called now and then.
    pub fn keep(&self) {
        self.conclusions.keep();
    }

    /// Which conclusions are written here.
    #[must_use]
    pub fn concluding(&self) -> Concluding {
        self.settings.concluding
    }

    /// Checks, for whoever is about to do something outside of the log, that no other process has taken the partition over.
    ///
    /// # Errors
    /// [`Error::KafkaTopic`] when one has, [`Error::Unreachable`].
    pub fn confirm(&self) -> Result<(), Error> {
        self.conclusions.confirm()
    }

    /// A writer of events for this log that also reaches systems of other partitions.
    #[must_use]
    pub fn producer(&self) -> Arc<Producer> {
        Arc::clone(&self.events)
    }

    fn send(&self, topic: Topic, events: &[Event], append: u64) -> Result<(), Error> {
        match topic {
            Topic::Events => self.events.send(topic, events, append),
            Topic::Conclusions => self.conclusions.send(topic, events, append),
        }
    }

    fn stopped(&self, topic: Topic, problem: String) -> Error {
        Error::KafkaTopic { topic: self.settings.topic(topic), problem }
    }

    fn check_systems(&self, events: &[Event]) -> Result<(), Error> {
        let partitions = self.settings.partitions;
        let is_elsewhere = |event: &&Event| partition_of(event.system(), partitions) != self.partition;
        events.iter().find(is_elsewhere).map_or(Ok(()), |event| {
            let (system, theirs) = (event.system(), partition_of(event.system(), partitions));
            let problem = format!("`{system}` belongs to partition {theirs}, and this process has {}", self.partition);
            Err(Error::line("system", problem))
        })
    }
}

impl Log for KafkaLog {
    fn append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, Error> {
        let end = || self.copy.end(topic);
        if events.is_empty() {
            return Ok(Appended { first: end(), written: Vec::new(), repeats: 0, conflicts: 0 });
        }
        self.check_systems(&events)?;
        if let Some(why) = self.claims.why_stopped() {
            return Err(self.stopped(topic, why));
        }
        let append = self.appends.next();
        self.claims.expect(append, events.iter().map(Event::event_id));
        self.send(topic, &events, append).inspect_err(|_| self.claims.drop_claim(append))?;
        let patience = Duration::from_millis(u64::from(KAFKA_READ_BACK_MS_MAX));
        self.claims.await_append(append, patience, end).map_err(|why| {
            if let Some(why) = self.claims.why_stopped() {
                return self.stopped(topic, why);
            }
            if topic == Topic::Conclusions {
                self.conclusions.doubt();
            }
            unreachable(&self.settings, &why)
        })
    }

    fn read(&self, topic: Topic, from: Position, records_max: usize) -> Result<Vec<Event>, Error> {
        let events = self.copy.read(topic, from, records_max)?;
        match self.claims.why_stopped() {
            Some(why) if events.is_empty() && records_max > 0 => Err(self.stopped(topic, why)),
            _ => Ok(events),
        }
    }

    fn end(&self, topic: Topic) -> Position {
        self.copy.end(topic)
    }

    fn head(&self, topic: Topic) -> TopicHead {
        self.copy.head(topic)
    }

    fn time_of(&self, system: &str) -> Option<Instant> {
        self.copy.time_of(system)
    }

    fn clock(&self) -> Clock {
        self.settings.clock
    }

    fn lacks_records(&self) -> bool {
        self.later_messages() > 0
    }
}

impl Drop for KafkaLog {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for follower in self.followers.drain(..) {
            if follower.join().is_err() {
                tracing::error!("a thread that reads Kafka panicked");
            }
        }
    }
}

impl std::fmt::Debug for KafkaLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaLog").field("settings", &self.settings).field("copy", &self.copy).finish_non_exhaustive()
    }
}

/// Attempts something until a cluster that answers is whole.
fn once_whole<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let until = now() + WHOLE_PATIENCE;
    loop {
        match attempt() {
            Err(error @ Error::Unreachable { .. }) if now() < until => {
                tracing::warn!(%error, "the cluster answers and is not whole; it is waited for");
                std::thread::sleep(WHOLE_PAUSE);
            }
            ended => return ended,
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "how long something is tried; it gives no log time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Checks that the topics are there and fit; nothing is created.
///
/// # Errors
/// [`Error::KafkaTopic`] with what to change, [`Error::Unreachable`].
pub fn check_topics(settings: &Settings) -> Result<(), Error> {
    let settings = Settings { create_topics: false, ..settings.clone() };
    Topics::of(&settings)?.ensure()
}

/// Where a topic ends, once it is certain that it holds what the copy lacks.
fn end(settings: &Settings, consumer: &KafkaConsumer, topic: Topic, partition: u32, next: i64) -> Result<i64, Error> {
    let name = settings.topic(topic);
    let marks = consumer.fetch_watermarks(&name, kafka_partition(partition), CLUSTER_PATIENCE);
    let (low, high) = marks.map_err(|error| unreachable(settings, &error))?;
    let problem = if next == 0 && low > 0 {
        format!(
            "a copy needs it from its first record on, and it starts at offset {low}: put another process's copy of this \
             partition, or one of a backup, in the place of the empty one here; one that has the records before offset {low} \
             goes on"
        )
    } else if next < low {
        format!(
            "the copy here needs it from offset {next} on, and it starts at offset {low}: the {} messages between are gone, and \
             nothing that was found without them could be relied upon; put a newer copy of this partition in its place, of \
             another process or a backup",
            low - next
        )
    } else if next > high {
        format!(
            "it ends at offset {high}, and the copy here has the records before {next}: records were lost, or the topic \
             was created anew"
        )
    } else {
        return Ok(high);
    };
    Err(Error::KafkaTopic { topic: name, problem })
}

fn kafka_partition(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

fn unreachable(settings: &Settings, error: &dyn std::fmt::Display) -> Error {
    Error::Unreachable { brokers: settings.brokers.clone(), problem: error.to_string() }
}
