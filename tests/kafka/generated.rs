//! A generated log of 200,000 events over eight systems: what the rules find in it on the embedded log stands in Kafka byte for
//! byte, each finding once, while one process becomes two and four, the process of a partition is killed in the middle, a
//! machine with all that runs there is, and another one is added. As lines of JSON, and packed.
//!
//! Each form goes through that whole course once. Passes with one, two and four processes that nothing disturbs would add
//! minutes and nothing that the course does not go through; [`super::shares`] has them with fewer events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant as Stopwatch};

use keywatch_detectors::rule;
use keywatch_simulator::{Scenario, Settings as Traffic, Simulation};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaReader, ReadFrom, Seen, Settings, partition_of};
use keywatch_store::{Clock, Event, Finding, Instant, Inventory, Log, Topic};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::running::log_section;
use super::shares::{EVALUATE, PARTITIONS, processes, signal};
use super::{say, settings, standing};
use crate::incidents::rules::{engine, run};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{broker, prefix};
use crate::support::serving::Serving;

pub(super) const EVENTS: u32 = 200_000;

const SYSTEMS: u64 = 8;

/// Events that are appended at once.
const PIECE: usize = 4_096;

const PATIENCE: Duration = Duration::from_mins(2);

/// How long the next message is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// A log, and what the shipped rules find in it.
pub(super) struct Generated {
    directory: TempDir,
    pub(super) inventory: Inventory,
    /// The bytes of each finding, by id.
    findings: BTreeMap<String, String>,
    /// The log time of the last event of each system. What is decided later was decided by what processes wrote themselves.
    ends: BTreeMap<String, Instant>,
    rules: BTreeSet<String>,
}

impl Generated {
    /// Makes it on the embedded log, with attacks in it, and runs the rules over what that took in.
    pub(super) fn new() -> Generated {
        let directory = tempfile::tempdir().unwrap();
        // In so few events sources speak too seldom for a silence to mean anything.
        let attacks = Scenario::ALL.iter().copied().filter(|scenario| *scenario != Scenario::SourceSilenced).collect();
        let six_days = Traffic::new(u64::from(EVENTS), 6, 11);
        let mut traffic = Simulation::new(Traffic { systems: SYSTEMS, attacks, attacks_each: 4, ..six_days }).unwrap();
        let inventory = traffic.inventory();
        let log = EmbeddedLog::open(directory.path().join("log"), Options::new(Clock::Recorded)).unwrap();
        let (mut engine, mut findings, mut ends) = (engine(), BTreeMap::new(), BTreeMap::new());
        loop {
            let piece: Vec<Event> = traffic.by_ref().take(PIECE).collect();
            if piece.is_empty() {
                break;
            }
            let appended = log.append(Topic::Events, piece).unwrap();
            let first = usize::try_from(appended.first.0).unwrap();
            for decided in run(&mut engine, first, &appended.written) {
                findings.insert(decided.finding.id.clone(), serde_json::to_string(&decided.finding).unwrap());
            }
            ends.extend(appended.written.iter().map(|event| (event.system().to_owned(), event.time())));
        }
        drop(log);
        let rules = rule::shipped().unwrap().into_iter().map(|rule| rule.id).collect();
        Generated { directory, inventory, findings, ends, rules }
    }

    /// Writes it into topics that are made for it, in so many partitions.
    pub(super) fn copy_to(&self, section: &str) {
        let copier = directory(&self.inventory, section);
        let from = self.directory.path().join("log");
        let done = keywatch(copier.path(), &["log", "copy", from.to_str().unwrap(), "keywatch.toml"], b"");
        assert!(done.status.success(), "{}{}", out(&done), err(&done));
    }

    /// Takes what a rule found and the generated events alone decided. Findings about keywatch itself are none of a rule.
    fn take(&self, seen: Vec<Seen>, found: &mut Found) {
        for event in seen.into_iter().flat_map(|seen| seen.records.unwrap()) {
            if event.kind() != "finding.created" {
                continue;
            }
            let finding = Finding::deserialize(event.detail().value()).unwrap();
            let is_decided = self.ends.get(&finding.system).is_some_and(|end| finding.decided <= *end);
            if is_decided && self.rules.contains(&finding.rule) {
                found.entry(finding.id.clone()).or_default().push(serde_json::to_string(&finding).unwrap());
            }
        }
    }
}

/// Configuration and inventory of a process.
pub(super) fn directory(inventory: &Inventory, section: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("inventory.toml"), toml::to_string(inventory).unwrap()).unwrap();
    let configuration = format!("[server]\nlisten = \"127.0.0.1:0\"\n{section}");
    std::fs::write(directory.path().join("keywatch.toml"), configuration).unwrap();
    directory
}

/// What `/readyz` answers: whether all is ready, and the partitions that are there.
pub(super) async fn ready(keywatch: &Serving) -> (bool, Value) {
    let answer = Client::new().get(format!("{}/readyz", keywatch.url)).send().await.unwrap();
    let status = answer.status();
    (status == StatusCode::OK, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// The findings in Kafka, as a reader of committed messages sees them.
struct Conclusions {
    reader: KafkaReader,
    found: Found,
}

/// By id, the bytes of each time that a finding stands there.
type Found = BTreeMap<String, Vec<String>>;

impl Conclusions {
    /// Takes what has come.
    fn look(&mut self, generated: &Generated) {
        generated.take(self.reader.read(LOOK).unwrap(), &mut self.found);
    }

    /// Waits until so many are there.
    fn until(&mut self, count: usize, generated: &Generated) {
        let until = Stopwatch::now() + PATIENCE;
        while self.found.len() < count {
            assert!(Stopwatch::now() < until, "{} findings, not {count}", self.found.len());
            self.look(generated);
        }
    }
}

/// Waits until all partitions are at work and have gone through the whole log.
async fn until_all_are_ready(processes: &[&Serving]) {
    let until = Stopwatch::now() + PATIENCE;
    loop {
        let (mut partitions, mut said, mut all) = (BTreeSet::new(), Vec::new(), true);
        for keywatch in processes {
            let (is_ready, answer) = ready(keywatch).await;
            partitions.extend(serde_json::from_value::<Vec<u32>>(answer["partitions"].clone()).unwrap());
            all &= is_ready;
            said.push(answer);
        }
        if all && partitions.len() == PARTITIONS as usize {
            return;
        }
        assert!(Stopwatch::now() < until, "{said:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Kills a machine with all that runs there, some of which may be about to begin or to end.
fn kill_all(directory: &Path) {
    let until = Stopwatch::now() + PATIENCE;
    loop {
        let ids = processes(directory, false);
        if ids.is_empty() {
            return;
        }
        assert!(Stopwatch::now() < until, "{ids:?} live on");
        signal("KILL", &ids);
    }
}

/// One process over the generated log, a second after something was found and a kill, then four, of which one is killed with
/// all that runs there and another added.
async fn course(generated: &Generated, messages: &str) {
    let (broker, prefix, shared) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let (key, state) = (shared.path().join("role.key"), shared.path().join("state"));
    let log = format!("partitions = {PARTITIONS}\nkey_file = \"{}\"\nmessages = \"{messages}\"\n", key.display());
    let begun = Stopwatch::now();
    generated.copy_to(&log_section(&broker, &prefix, &log));
    say(&format!("{messages}: {EVENTS} events copied after {:.1} s", begun.elapsed().as_secs_f64()));
    let settings = Settings { partitions: PARTITIONS, ..settings(&broker, &prefix, Clock::Wall, shared.path()) };
    let reader = KafkaReader::open(&settings, Topic::Conclusions, ReadFrom::Oldest).unwrap();
    let mut conclusions = Conclusions { reader, found: Found::new() };
    let sharing = format!("{log}share_partitions = true\nstate = \"{}\"\n", state.display());
    let sharing = log_section(&broker, &prefix, &sharing);
    let directories = [(); 5].map(|()| directory(&generated.inventory, &sharing));
    let path = |number: usize| directories[number].path();
    let expected = generated.findings.len();

    let one = Serving::start(path(0), &EVALUATE);
    conclusions.until(1, generated);
    assert!(signal("KILL", &processes(path(0), true)[..1]), "the process of a partition");
    let before = conclusions.found.len();
    assert!(before < expected, "all was found before anything was killed");
    let two = Serving::start(path(1), &EVALUATE);
    conclusions.until((before + 1).min(expected), generated);
    let (three, four) = (Serving::start(path(2), &EVALUATE), Serving::start(path(3), &EVALUATE));
    conclusions.look(generated);
    say(&format!("{messages}: {} of {expected} findings as four processes begin", conclusions.found.len()));
    kill_all(path(1));
    drop(two);
    let five = Serving::start(path(4), &EVALUATE);
    conclusions.until(expected, generated);
    until_all_are_ready(&[&one, &three, &four, &five]).await;
    // All at once, so that no partition is handed from one to the next.
    let all = [one, three, four, five];
    all.iter().for_each(|keywatch| keywatch.signal("TERM"));
    for keywatch in all {
        assert!(keywatch.ended().success());
    }
    say(&format!("{messages}: all is found after {:.1} s", begun.elapsed().as_secs_f64()));

    // All that stands there in the end, from the beginning.
    let mut found = Found::new();
    generated.take(standing(&settings, Topic::Conclusions), &mut found);
    let doubled: Vec<&String> = found.iter().filter(|(_, all)| all.len() > 1).map(|(id, _)| id).collect();
    assert!(doubled.is_empty(), "{messages}: {doubled:?} stand there more than once");
    let lost: Vec<&String> = generated.findings.keys().filter(|id| !found.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{messages}: {lost:?} are not there");
    for (id, all) in &found {
        assert_eq!(Some(&all[0]), generated.findings.get(id), "{messages}: {id}");
    }
}

#[tokio::test]
async fn p1_what_a_generated_log_says_is_found_byte_for_byte_whoever_comes_and_is_killed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let begun = Stopwatch::now();
    let generated = Generated::new();
    let partitions: BTreeSet<u32> = generated.ends.keys().map(|system| partition_of(system, PARTITIONS)).collect();
    assert_eq!((generated.ends.len(), partitions.len()), (8, PARTITIONS as usize), "a system in each partition");
    let expected = generated.findings.len();
    assert!(expected >= 30, "{expected} findings are too few to tell anything");
    say(&format!("generated, {expected} findings on the embedded log, after {:.1} s", begun.elapsed().as_secs_f64()));
    for messages in ["json", "packed"] {
        course(&generated, messages).await;
    }
}
