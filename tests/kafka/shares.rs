//! Partitions that processes share: eight systems in four partitions, over one, two and four processes and back to one. In the
//! middle the process of a partition is killed, a whole machine is, another one sleeps and wakes up, and one is added. Every
//! finding of the embedded log stands in Kafka once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use keywatch_store::log::kafka::partition_of;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::partitions::{found, round};
use super::running::{THIRD, log_section};
use super::say;
use crate::running::machine::{Machine, Running};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{broker, prefix};

/// Two in each of four partitions.
pub(super) const SYSTEMS: [&str; 8] = ["cold", "desk", "vault-2", "vault-3", "hot", "vault-4", "warm", "vault-1"];

pub(super) const PARTITIONS: u32 = 4;

const ACTORS: usize = 6;

const PATIENCE: Duration = Duration::from_mins(2);

pub(super) const EVALUATE: [&str; 2] = ["--role", "evaluate"];

/// The token of a system's source.
pub(super) fn token(system: &str) -> String {
    // That of `cold` is the machine's own.
    if system == "cold" { "token".to_owned() } else { format!("token-of-{system}") }
}

fn machine() -> Machine {
    of_all_systems(Machine::with_this_rule_alone(THIRD))
}

/// A machine that all systems speak to, with an operator.
pub(super) fn of_all_systems(machine: Machine) -> Machine {
    let inventory = std::fs::read_to_string(machine.path("inventory.toml")).unwrap();
    let all: String = SYSTEMS.iter().map(|system| inventory.replace("cold", system)).collect();
    std::fs::write(machine.path("inventory.toml"), all).unwrap();
    for system in &SYSTEMS[1..] {
        let hash = hex::encode(Sha256::digest(token(system)));
        let source = "source = \"idp\"\nfeed = \"events\"\n";
        machine.configure(&format!("[[credentials]]\nsystem = \"{system}\"\n{source}token_sha256 = \"{hash}\"\n"));
    }
    let hash = hex::encode(Sha256::digest("operator"));
    let may = "roles = [\"admin\"]\nsystems = [\"*\"]\n";
    machine.configure(&format!("[[operators]]\nname = \"ann\"\n{may}token_sha256 = \"{hash}\"\n"));
    machine
}

/// Sends the same of every system.
pub(super) async fn send(running: &Running, records: &[Value]) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    for system in SYSTEMS {
        let request = Client::new().post(format!("{}/v1/ingest/events", running.url())).bearer_auth(token(system));
        let answer = request.body(lines.join("\n")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{system}");
    }
}

/// What an operator is answered, of the partition that is named.
pub(super) async fn ask(running: &Running, path: &str, partition: Option<u32>) -> (StatusCode, Value) {
    let mut request = Client::new().get(format!("{}{path}", running.url())).bearer_auth("operator");
    if let Some(partition) = partition {
        request = request.header("keywatch-partition", partition.to_string());
    }
    let answer = request.send().await.unwrap();
    (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

/// Waits until all partitions are at work, so many with each of these processes.
pub(super) async fn until_shared(processes: &[&Running], each: usize) {
    let begun = Instant::now();
    loop {
        let (mut partitions, mut said) = (BTreeSet::new(), Vec::new());
        for running in processes {
            let (status, ready) = ask(running, "/readyz", None).await;
            let here: Vec<u64> = serde_json::from_value(ready["partitions"].clone()).unwrap();
            if status == StatusCode::OK && here.len() == each {
                partitions.extend(here);
            }
            said.push(ready);
        }
        if partitions.len() == PARTITIONS as usize {
            say(&format!("shared by {} after {:.1} s", processes.len(), begun.elapsed().as_secs_f64()));
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{said:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Ids of what stands in Kafka as found, each as often as it stands there.
fn concluded(machine: &Machine) -> BTreeMap<String, usize> {
    let arguments = ["log", "tail", "keywatch.toml", "--topic", "conclusions", "--all", "--kind", "finding."];
    let done = keywatch(&machine.path(""), &arguments, b"");
    assert!(done.status.success(), "{}", err(&done));
    let mut found = BTreeMap::new();
    for line in out(&done).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *found.entry(line["detail"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

async fn until_concluded(machine: &Machine, count: usize) {
    let until = Instant::now() + PATIENCE;
    while concluded(machine).len() < count {
        assert!(Instant::now() < until, "{} findings, not {count}", concluded(machine).len());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The processes that run in a directory, or those of partitions among them.
pub(super) fn processes(directory: &Path, of_partitions_alone: bool) -> Vec<String> {
    let directory = directory.canonicalize().unwrap();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let is_there = |path: &Path| std::fs::read_link(path.join("cwd")).is_ok_and(|found| found == directory);
    let is_wanted = |path: &Path| {
        let arguments = std::fs::read(path.join("cmdline")).unwrap_or_default();
        !of_partitions_alone || arguments.split(|byte| *byte == 0).any(|argument| argument == b"--share")
    };
    let wanted = entries.filter(|path| is_there(path) && is_wanted(path));
    wanted.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Sends processes a signal.
pub(super) fn signal(name: &str, ids: &[String]) -> bool {
    assert!(!ids.is_empty());
    std::process::Command::new("kill").arg(format!("-{name}")).args(ids).status().unwrap().success()
}

/// Processes that stand still until this is dropped.
struct Frozen(Vec<String>);

impl Frozen {
    fn new(ids: Vec<String>) -> Frozen {
        assert!(signal("STOP", &ids), "{ids:?}");
        Frozen(ids)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // They may have been killed meanwhile.
        signal("CONT", &self.0);
    }
}

/// What the process of the embedded log finds of all that.
async fn found_on_the_embedded_log() -> BTreeMap<String, usize> {
    let machine = machine();
    let running = machine.start().await;
    for number in 1..=3 {
        send(&running, &round(0..ACTORS, number)).await;
    }
    for system in SYSTEMS {
        running.until("keywatch_rule_findings_total", &format!("system=\"{system}\""), ACTORS as u64).await;
    }
    running.stop();
    found(&machine.record().conclusions)
}

#[tokio::test]
async fn p1_partitions_move_and_every_finding_of_the_embedded_log_stands_there_once() {
    let of: BTreeMap<&str, u32> = SYSTEMS.map(|system| (system, partition_of(system, PARTITIONS))).into();
    assert!((0..PARTITIONS).all(|partition| of.values().filter(|found| **found == partition).count() == 2), "{of:?}");
    let expected = found_on_the_embedded_log().await;
    assert!(expected.len() == SYSTEMS.len() * ACTORS && expected.values().all(|times| *times == 1), "{expected:?}");

    let (broker, prefix, shared) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let (key, state) = (shared.path().join("role.key"), shared.path().join("state"));
    let all = format!("partitions = {PARTITIONS}\nkey_file = \"{}\"\n", key.display());
    let taker = machine();
    taker.configure(&log_section(&broker, &prefix, &all));
    let taking = taker.start_with(&["--role", "ingest"]).await;
    let machines = [(); 5].map(|()| {
        let machine = machine();
        let here = format!("{all}share_partitions = true\nstate = \"{}\"\n", state.display());
        machine.configure(&log_section(&broker, &prefix, &here));
        machine
    });
    let [first, second, third, fourth, fifth] = &machines;

    let one = first.start_with(&EVALUATE).await;
    until_shared(&[&one], 4).await;
    send(&taking, &round(0..ACTORS, 1)).await;
    let two = second.start_with(&EVALUATE).await;
    until_shared(&[&one, &two], 2).await;
    let restored = two.metric("keywatch_alerting_snapshots_total", "outcome=\"restored\"").await;
    assert_eq!(restored, 1, "the other machine's state is gone on with");
    send(&taking, &round(0..ACTORS, 2)).await;
    let (three, four) = (third.start_with(&EVALUATE).await, fourth.start_with(&EVALUATE).await);
    until_shared(&[&one, &two, &three, &four], 1).await;

    // In the middle of what they do, the process of a partition is killed, a machine with all that runs there is, and another
    // machine sleeps.
    assert!(signal("KILL", &processes(&first.path(""), true)));
    send(&taking, &round(0..ACTORS / 2, 3)).await;
    until_concluded(&taker, 1).await;
    assert!(signal("KILL", &processes(&second.path(""), false)));
    drop(two);
    let asleep = Frozen::new(processes(&third.path(""), false));
    send(&taking, &round(ACTORS / 2..ACTORS, 3)).await;
    send(&taking, &round(0..ACTORS, 2)).await;
    let five = fifth.start_with(&EVALUATE).await;
    until_concluded(&taker, expected.len()).await;
    // Its partition has gone to others: what it goes on with counts for nothing.
    drop(asleep);
    until_shared(&[&one, &three, &four, &five], 1).await;

    // Back to one, which answers for all that there is.
    for running in [three, four, five] {
        running.stop();
    }
    until_shared(&[&one], 4).await;
    let (status, listed) = ask(&one, "/v1/alerts?limit=1000", None).await;
    assert_eq!((status, &listed["total"]), (StatusCode::OK, &json!(expected.len())), "an alert for each");
    let systems: BTreeSet<&str> =
        listed["alerts"].as_array().unwrap().iter().map(|alert| alert["system"].as_str().unwrap()).collect();
    assert_eq!(systems, BTreeSet::from(SYSTEMS));
    let some = listed["alerts"][0]["id"].as_str().unwrap();
    assert_eq!(ask(&one, &format!("/v1/alerts/{some}"), None).await.0, StatusCode::OK, "somebody has it");
    assert_eq!(ask(&one, "/v1/alerts/none", None).await.0, StatusCode::NOT_FOUND);
    let (status, refused) = ask(&one, "/v1/noise", None).await;
    assert!(status == StatusCode::BAD_REQUEST && refused.to_string().contains("keywatch-partition"), "{refused}");
    assert_eq!(ask(&one, "/v1/noise", Some(3)).await.0, StatusCode::OK);
    one.stop();
    taking.stop();
    assert!(processes(&first.path(""), false).is_empty(), "nothing goes on by itself");
    assert_eq!(concluded(&taker), expected);
}
