//! Two processes that evaluate against one (`make bench-kafka`): how fast they go through a log of 200,000 events over eight
//! systems that is in Kafka, in two partitions and in one.

use std::time::{Duration, Instant};

use keywatch_store::log::kafka::{Producer, Settings, partition_of};
use keywatch_store::{Clock, Inventory};
use tempfile::TempDir;

use super::generated::{EVENTS, Generated, directory, ready};
use super::running::log_section;
use super::shares::EVALUATE;
use super::{say, settings};
use crate::support::kafka::{Broker, broker, prefix};
use crate::support::serving::Serving;

const PATIENCE: Duration = Duration::from_mins(2);

/// Seconds from the start of a process for each partition until all of them are ready, over the generated log or an empty one.
async fn seconds(broker: &Broker, partitions: u32, generated: &Generated, is_full: bool) -> f64 {
    let (prefix, shared) = (prefix(), tempfile::tempdir().unwrap());
    let key = shared.path().join("role.key");
    let log = format!("partitions = {partitions}\nkey_file = \"{}\"\nmessages = \"packed\"\n", key.display());
    if is_full {
        generated.copy_to(&log_section(broker, &prefix, &log));
    } else {
        // The topics and the key are there before two processes look for them at once.
        let settings = settings(broker, &prefix, Clock::Wall, shared.path());
        drop(Producer::open(&Settings { partitions, ..settings }).unwrap());
    }
    let of_partition = |partition: u32| {
        let is_there = |id: &str| partition_of(id, partitions) == partition;
        let systems = generated.inventory.systems.iter().filter(|system| is_there(&system.id)).cloned().collect();
        directory(&Inventory { systems }, &log_section(broker, &prefix, &format!("{log}partition = {partition}\n")))
    };
    let directories: Vec<_> = (0..partitions).map(of_partition).collect();
    let begun = Instant::now();
    // One listens once it has read what is in Kafka, so that they are started side by side.
    let processes: Vec<Serving> = std::thread::scope(|scope| {
        let start = |directory: &TempDir| Serving::start(directory.path(), &EVALUATE);
        let starting: Vec<_> = directories.iter().map(|one| scope.spawn(move || start(one))).collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for keywatch in &processes {
        while !ready(keywatch).await.0 {
            assert!(begun.elapsed() < PATIENCE, "not ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let took = begun.elapsed().as_secs_f64();
    for keywatch in processes {
        assert!(keywatch.stop().success());
    }
    took
}

#[tokio::test]
#[ignore = "figures, by `make bench-kafka`"]
async fn measure_the_log_on_kafka_by_one_process_and_by_two() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (broker, generated) = (broker(), Generated::new());
    say("| processes that evaluate | seconds from the start | of which with nothing in the log | events/s |");
    say("|---|---:|---:|---:|");
    let mut rates = Vec::new();
    for processes in [1, 2] {
        let empty = seconds(&broker, processes, &generated, false).await;
        let full = seconds(&broker, processes, &generated, true).await;
        let rate = f64::from(EVENTS) / (full - empty);
        say(&format!("| {processes} | {full:.1} | {empty:.1} | {rate:.0} |"));
        rates.push(rate);
    }
    let processors = std::thread::available_parallelism().unwrap();
    say(&format!("two against one: × {:.2}, broker and processes on {processors} processors", rates[1] / rates[0]));
}
