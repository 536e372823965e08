//! keywatch on a real Apache Kafka, which every test here starts or shares.
//!
//! | module | what it proves |
//! |---|---|
//! | [`log`] | P1: the same records, times, positions and findings as on the embedded log; a restart, a lost copy |
//! | [`oauth`] | P8: every client shows a token of OAUTHBEARER |
//! | [`outages`] | P2: outages that last; a transaction that the brokers give up |
//! | [`packed`] | P1, P2: the same with many events in one message |
//! | [`retention`] | P2: brokers that keep events for a while only |
//! | [`roles`] | P1, P5: finding and responding in processes of their own |
//! | [`running`] | `keywatch run`: one line of configuration, killed, without its copy; P8: roles, intake topics |
//! | [`partitions`] | P1 on two partitions, one process of two killed and started again |
//! | [`shares`] | P1: partitions that processes share, move between them, and survive kills |
//! | [`bucket`] | P1: what is remembered moves through a bucket, which fails |
//! | [`failures`] | P2, P4, P5: a broker that is killed, a process that is replaced and wakes up |
//! | [`chains`] | P2: a chain that is followed, through outages and kills |
//! | [`cluster`] | P2 on three brokers: a leader is killed, all are |
//! | [`tools`] | `keywatch log`: copied to Kafka and back, shown, checked |
//! | [`upgrade`] | P1, P2: what an earlier version wrote, what a later one writes; processes with different rules |
//! | [`backup`] | P2, P4: a log is kept while it is written, and goes on in another cluster |
//! | [`secured`] | P8: TLS, SCRAM and the documented ACLs |
//! | [`compromises`] | P8: a stolen token is refused where events are taken in |
//! | [`foreign`] | what no role wrote is left out; topics that do not fit are refused; what other clients see |
//! | [`generated`] | P1: a generated log of 200,000 events, byte for byte, through every kind of change among the processes |
//! | [`reading`] | nothing: another maker's consumer of conclusions |
//! | [`figures`], [`latency`], [`parts`], [`rebalance`], [`replayed`] | nothing: `make bench-kafka` |
//! | [`plan`] | the arithmetic of a plan for a million events a second, whose inputs `make bench-kafka` measures |

mod backup;
mod bucket;
mod chains;
mod cluster;
mod compromises;
mod failures;
mod figures;
mod foreign;
mod generated;
mod latency;
mod log;
mod oauth;
mod outages;
mod packed;
mod partitions;
mod parts;
mod plan;
mod reading;
mod rebalance;
mod replayed;
mod retention;
mod roles;
mod running;
mod secured;
mod shares;
mod tools;
mod upgrade;

use std::path::Path;
use std::time::{Duration, Instant};

use keywatch_store::log::kafka::{KafkaLog, KafkaReader, ReadFrom, Seen, Settings};
use keywatch_store::{Clock, Topic};

use crate::support::kafka::Broker;

/// The settings of a log of this broker, in one partition with one copy, its key in `directory`.
fn settings(broker: &Broker, prefix: &str, clock: Clock, directory: &Path) -> Settings {
    Settings {
        topic_prefix: prefix.to_owned(),
        replication: 1,
        min_insync_replicas: 1,
        ..Settings::new(&broker.address(), clock, directory.join("role.key"))
    }
}

/// Opens partition 0, whose copy is in `directory`.
fn open(settings: &Settings, directory: &Path) -> KafkaLog {
    KafkaLog::open(settings, 0, &directory.join("copy")).unwrap()
}

/// The messages that stand in a topic now.
fn standing(settings: &Settings, topic: Topic) -> Vec<Seen> {
    let mut reader = KafkaReader::open(settings, topic, ReadFrom::Oldest).unwrap();
    let (mut seen, until) = (Vec::new(), Instant::now() + Duration::from_mins(3));
    while !reader.is_done() {
        assert!(Instant::now() < until, "{} messages of {topic:?} were read in three minutes, and not all", seen.len());
        seen.extend(reader.read(Duration::from_secs(1)).unwrap());
    }
    seen
}

/// For whoever runs a test with `--nocapture`.
#[expect(
    clippy::print_stderr,
    reason = "how long a recovery took, and the table of `make bench-kafka`, are read by people"
)]
fn say(line: &str) {
    eprintln!("{line}");
}
