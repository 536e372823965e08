//! Three brokers: the leader is killed while a process appends, then all are. What was acknowledged is there, once, in the
//! order in which it was appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keywatch_store::error::Remedy;
use keywatch_store::log::kafka::{KafkaLog, Settings};
use keywatch_store::{Clock, Event, EventId, Log, Position, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::incidents::recording::bybit;
use crate::support::kafka::Cluster;

/// How long all brokers are away.
const OUTAGE: Duration = Duration::from_secs(5);

/// How long a step has.
const PATIENCE: Duration = Duration::from_mins(3);

/// Appends without end, one event after the other to both topics, and repeats what was not acknowledged.
struct Appending {
    acknowledged: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<EventId>>,
}

impl Appending {
    fn start(log: Arc<KafkaLog>) -> Appending {
        let (acknowledged, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let event = bybit().events.remove(0);
            let mut ids = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let mut id = [3; 16];
                id[..8].copy_from_slice(&(ids.len() as u64).to_be_bytes());
                append(&log, &event.changed(|event| event.event_id(EventId(id))));
                ids.push(EventId(id));
                counted.store(ids.len(), Ordering::Relaxed);
            }
            ids
        });
        Appending { acknowledged, stop, thread }
    }

    /// Waits until something that is appended from now on is acknowledged; how long that took.
    fn goes_on(&self) -> Duration {
        let (begun, before) = (Instant::now(), self.acknowledged.load(Ordering::Relaxed));
        // What was under way may have been acknowledged by the brokers already.
        while self.acknowledged.load(Ordering::Relaxed) < before + 2 {
            assert!(begun.elapsed() < PATIENCE && !self.thread.is_finished(), "nothing is appended any more");
            std::thread::sleep(Duration::from_millis(5));
        }
        begun.elapsed()
    }

    fn end(self) -> Vec<EventId> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// As a source does, until it is answered.
fn append(log: &KafkaLog, event: &Event) {
    let begun = Instant::now();
    for topic in Topic::ALL {
        while let Err(error) = log.append(topic, vec![event.clone()]) {
            assert_eq!(error.remedy(), Remedy::Retry, "{error}");
            assert!(begun.elapsed() < PATIENCE, "{error}");
        }
    }
}

/// The id of the broker that leads the partition of a topic, once there is one: a broker that has just come back knows of
/// none yet.
fn leader(addresses: &str, topic: &str) -> usize {
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", addresses).create().unwrap();
    let begun = Instant::now();
    loop {
        let known = match consumer.fetch_metadata(Some(topic), Duration::from_secs(10)) {
            Ok(metadata) => {
                metadata.topics()[0].partitions().first().and_then(|one| usize::try_from(one.leader()).ok())
            }
            Err(_) => None,
        };
        match known {
            Some(leader) => return leader,
            None => assert!(begun.elapsed() < PATIENCE, "nobody leads {topic}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn p2_a_leader_and_then_every_broker_is_killed_and_nothing_is_lost_or_doubled() {
    let (mut cluster, directory) = (Cluster::start(), tempfile::tempdir().unwrap());
    let settings = Settings::new(&cluster.address(), Clock::Wall, directory.path().join("role.key"));
    let log = Arc::new(KafkaLog::open(&settings, 0, &directory.path().join("copy")).unwrap());
    let appending = Appending::start(Arc::clone(&log));
    appending.goes_on();

    for topic in Topic::ALL {
        let leader = leader(&cluster.address(), &settings.topic(topic));
        cluster.kill(leader);
        super::say(&format!(
            "the leader of {} was killed: appends went on after {:.1?}",
            topic.name(),
            appending.goes_on()
        ));
        cluster.start_again(std::iter::once(leader));
        appending.goes_on();
    }
    (1..=3).for_each(|id| cluster.kill(id));
    std::thread::sleep(OUTAGE);
    cluster.start_again(1..=3);
    super::say(&format!(
        "all were killed, for {OUTAGE:?}: appends went on {:.1?} after they were back",
        appending.goes_on()
    ));

    let ids = appending.end();
    for topic in Topic::ALL {
        let records = log.read(topic, Position(0), usize::MAX).unwrap();
        assert!(
            records.iter().map(Event::event_id).eq(ids.iter().copied()),
            "{topic:?}: {} of {}",
            records.len(),
            ids.len()
        );
        // Another reader folds the same from Kafka.
        let other = KafkaLog::open(&settings, 0, &directory.path().join(topic.name())).unwrap();
        assert_eq!(other.read(topic, Position(0), usize::MAX).unwrap(), records);
    }
}
