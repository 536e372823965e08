//! A plan for a million events a second over two hundred systems, on paper: its inputs are measured in the same run
//! (`make bench-kafka`), and the arithmetic stands here.

use std::path::Path;
use std::time::Instant;

use keywatch_store::log::kafka::{KafkaLog, Messages, Producer, Settings, partition_of};
use keywatch_store::{Clock, Event, Log, LogWriter, Position, Topic};

use super::figures::events;
use super::{say, settings};
use crate::incidents::recording::incidents;
use crate::incidents::rules::{engine, run};
use crate::support::kafka::{broker, prefix};

/// What is planned for.
const TARGET: f64 = 1_000_000.0;
const SYSTEMS: u32 = 200;

/// The share of what it can do that a process is planned to do.
const BUSY: f64 = 0.5;

/// Copies of each record in Kafka.
const COPIES: f64 = 3.0;

/// Bytes a second that a broker is planned to take, with what it copies from others. An assumption.
const BROKER_BYTES: f64 = 100e6;

/// Processors of a process and of a broker, and prices. Assumptions, to be replaced by your own.
const PROCESS_CORES: f64 = 2.0;
const BROKER_CORES: f64 = 8.0;
const DOLLARS_A_CORE_MONTH: f64 = 30.0;
const DOLLARS_A_TERABYTE_MONTH: f64 = 80.0;

/// Beyond so many partitions nobody goes.
const PARTITIONS_MAX: u32 = 4096;

const DAY_SECONDS: f64 = 86_400.0;

/// One process and one broker, of one system's events.
#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Events a second that a process writes.
    write: f64,
    /// Events a second that a process reads, checks and folds.
    read: f64,
    /// Events a second that go through the shipped rules.
    rules: f64,
    /// Bytes of an event in a topic, compressed.
    message_bytes: f64,
    /// Bytes of an event in a copy.
    copy_bytes: f64,
}

/// What that takes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Plan {
    ingest: f64,
    /// Partitions, of which each has a process that evaluates; `None` where one system is too much for a process.
    partitions: Option<u32>,
    brokers: f64,
    /// Terabytes a day on all brokers, and on all copies.
    topic_terabytes: f64,
    copy_terabytes: f64,
}

impl Measured {
    /// Events a second that one process evaluates: it reads and runs rules on processors of their own.
    fn evaluates(&self) -> f64 {
        self.read.min(self.rules) * BUSY
    }

    fn plan(&self) -> Plan {
        let of_system = TARGET / f64::from(SYSTEMS);
        let fits = |partitions: &u32| f64::from(fullest(*partitions)) * of_system <= self.evaluates();
        let bytes = TARGET * self.message_bytes * COPIES;
        Plan {
            ingest: (TARGET / (self.write * BUSY)).ceil(),
            partitions: (1..=PARTITIONS_MAX).find(fits),
            brokers: (bytes / BROKER_BYTES).ceil().max(COPIES),
            topic_terabytes: bytes * DAY_SECONDS / 1e12,
            copy_terabytes: TARGET * self.copy_bytes * DAY_SECONDS / 1e12,
        }
    }
}

impl Plan {
    fn lines(&self, measured: &Measured) -> Vec<String> {
        let Plan { ingest, brokers, topic_terabytes, copy_terabytes, .. } = *self;
        let mut lines = vec![
            format!("{TARGET:.0} events/s over {SYSTEMS} systems, {:.0} a system", TARGET / f64::from(SYSTEMS)),
            format!("processes that take in: {TARGET:.0} / ({:.0} × {BUSY}) = {ingest:.0}", measured.write),
            format!(
                "a process evaluates min({:.0}, {:.0}) × {BUSY} = {:.0} events/s",
                measured.read,
                measured.rules,
                measured.evaluates()
            ),
        ];
        let Some(partitions) = self.partitions else {
            lines.push(format!(
                "no {PARTITIONS_MAX} partitions are enough: a partition's systems live in one process, and one has less than \
                 the fullest partition brings"
            ));
            return lines;
        };
        let cores = (ingest + f64::from(partitions)) * PROCESS_CORES + brokers * BROKER_CORES;
        let dollars = cores * DOLLARS_A_CORE_MONTH + (topic_terabytes + copy_terabytes) * DOLLARS_A_TERABYTE_MONTH;
        lines.extend([
            format!(
                "partitions, each with a process that evaluates: {partitions}; the fullest has {} systems",
                fullest(partitions)
            ),
            format!(
                "brokers: {TARGET:.0} × {:.0} B × {COPIES} copies / {:.0} MB/s = {brokers:.0}",
                measured.message_bytes,
                BROKER_BYTES / 1e6
            ),
            format!("disk of brokers: {topic_terabytes:.1} TB a day, {:.0} TB in 30 days", topic_terabytes * 30.0),
            format!(
                "disk of copies: {TARGET:.0} × {:.0} B = {copy_terabytes:.1} TB a day, {:.2} TB a process",
                measured.copy_bytes,
                copy_terabytes / f64::from(partitions)
            ),
            format!("processors: {cores:.0}"),
            format!(
                "a month with one day on disk: {dollars:.0} $; each further day: {:.0} $ (assumed: {DOLLARS_A_CORE_MONTH} $ a \
                 processor, {DOLLARS_A_TERABYTE_MONTH} $ a terabyte)",
                (topic_terabytes + copy_terabytes) * DOLLARS_A_TERABYTE_MONTH
            ),
        ]);
        lines
    }
}

/// Systems in the fullest partition.
fn fullest(partitions: u32) -> u32 {
    let mut systems = vec![0; partitions as usize];
    for number in 0..SYSTEMS {
        systems[partition_of(&format!("system-{number}"), partitions) as usize] += 1;
    }
    systems.into_iter().max().unwrap_or(0)
}

/// Bytes of all files in a directory.
fn bytes(directory: &Path) -> f64 {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes(&path) } else { of_segment(&path) }).sum()
}

/// Kafka's indexes have their size before anything is in them.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn of_segment(file: &Path) -> f64 {
    let is_index = file.extension().is_some_and(|extension| extension == "index" || extension == "timeindex");
    if is_index { 0.0 } else { std::fs::metadata(file).unwrap().len() as f64 }
}

/// Events of both incidents through the shipped rules, which are planned before.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate_of_rules() -> f64 {
    let (mut events, mut seconds) = (0, 0.0);
    for incident in incidents().iter().cycle().take(6) {
        let mut engine = engine();
        let begun = Instant::now();
        for (number, piece) in incident.events.chunks(512).enumerate() {
            run(&mut engine, number * 512, piece);
        }
        seconds += begun.elapsed().as_secs_f64();
        events += incident.events.len();
    }
    events as f64 / seconds
}

fn measured(count: u32, messages: Messages) -> Measured {
    let (broker, directory, prefix) = (broker(), tempfile::tempdir().unwrap(), prefix());
    let settings = Settings { messages, ..settings(&broker, &prefix, Clock::Wall, directory.path()) };
    let writer = Producer::open(&settings).unwrap();
    let pieces: Vec<Vec<Event>> = events(0, count).chunks(1_000).map(<[Event]>::to_vec).collect();
    let begun = Instant::now();
    for piece in pieces {
        writer.write(Topic::Events, piece).unwrap();
    }
    let write = f64::from(count) / begun.elapsed().as_secs_f64();
    let (copy, begun) = (directory.path().join("copy"), Instant::now());
    let log = KafkaLog::open(&settings, 0, &copy).unwrap();
    let read = f64::from(count) / begun.elapsed().as_secs_f64();
    assert_eq!(log.end(Topic::Events), Position(u64::from(count)));
    let topic = broker.path().join("data").join(format!("{}-0", settings.topic(Topic::Events)));
    Measured {
        write,
        read,
        rules: rate_of_rules(),
        message_bytes: bytes(&topic) / f64::from(count),
        copy_bytes: bytes(&copy) / f64::from(count),
    }
}

#[test]
#[ignore = "figures, by `make bench-kafka`"]
fn measure_the_log_on_kafka_for_a_plan() {
    for (form, messages) in [("JSON", Messages::Json), ("packed", Messages::Packed)] {
        let measured = measured(200_000, messages);
        say(&format!("inputs of the plan, {form}: {measured:.0?}"));
        for line in measured.plan().lines(&measured) {
            say(&line);
        }
    }
}

#[test]
fn the_arithmetic_of_the_plan() {
    let measured =
        Measured { write: 100_000.0, read: 100_000.0, rules: 40_000.0, message_bytes: 200.0, copy_bytes: 100.0 };
    let plan = measured.plan();
    let partitions = plan.partitions.unwrap();
    // 20,000 events/s are four systems.
    assert!(fullest(partitions) <= 4 && fullest(partitions - 1) > 4, "{partitions}");
    assert_eq!((plan.ingest, plan.brokers), (20.0, 6.0));
    assert!((plan.topic_terabytes - 51.84).abs() < 1e-6 && (plan.copy_terabytes - 8.64).abs() < 1e-6, "{plan:?}");
    let slow = Measured { rules: 9_000.0, ..measured };
    assert_eq!(slow.plan().partitions, None, "a system brings more than half of that");
    assert!(slow.plan().lines(&slow).last().unwrap().contains("no 4096 partitions"));
    assert!(plan.lines(&measured).iter().any(|line| line.contains("= 20000 events/s")), "{:?}", plan.lines(&measured));
}
