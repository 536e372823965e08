//! A log of two partitions: one process takes in for both, two evaluate, and one of these is killed in the middle. What is
//! found is what the embedded log's process finds, each once by id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::running::{THIRD, log_section, sessions};
use crate::running::machine::{Machine, Running};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{broker, prefix};

/// The systems, with the tokens of their sources. Tests of the store say how their partitions follow from the names.
const SYSTEMS: [(&str, &str); 2] = [("cold", "token"), ("warm", "token-of-warm")];

const ACTORS: usize = 12;

const PATIENCE: Duration = Duration::from_mins(2);

/// The session with that number of some actors.
pub(super) fn round(actors: std::ops::Range<usize>, number: u32) -> Vec<Value> {
    actors.flat_map(|actor| sessions(&format!("actor-{actor}"), number..=number)).collect()
}

/// A machine that both systems speak to.
fn of_both() -> Machine {
    let machine = Machine::with_this_rule_alone(THIRD);
    let inventory = std::fs::read_to_string(machine.path("inventory.toml")).unwrap();
    let (second, token) = SYSTEMS[1];
    let both = format!("{inventory}{}", inventory.replace("cold", second));
    std::fs::write(machine.path("inventory.toml"), both).unwrap();
    let hash = hex::encode(Sha256::digest(token));
    let source = "source = \"idp\"\nfeed = \"events\"\n";
    machine.configure(&format!("[[credentials]]\nsystem = \"{second}\"\n{source}token_sha256 = \"{hash}\"\n"));
    machine
}

/// A machine of one of the systems.
fn of_system(system: &str) -> Machine {
    let machine = Machine::with_this_rule_alone(THIRD);
    for file in ["inventory.toml", "keywatch.toml"] {
        let text = std::fs::read_to_string(machine.path(file)).unwrap();
        std::fs::write(machine.path(file), text.replace("\"cold\"", &format!("\"{system}\""))).unwrap();
    }
    machine
}

/// Sends the same of both systems.
async fn send(running: &Running, records: &[Value]) {
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    for (system, token) in SYSTEMS {
        let request = reqwest::Client::new().post(format!("{}/v1/ingest/events", running.url())).bearer_auth(token);
        let answer = request.body(lines.join("\n")).send().await.unwrap();
        assert_eq!(answer.status(), reqwest::StatusCode::OK, "{system}");
    }
}

/// Ids of what was found, each as often as it stands there.
pub(super) fn found(conclusions: &[Event]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for event in conclusions.iter().filter(|event| event.kind() == "finding.created") {
        *found.entry(event.detail().value()["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    found
}

/// Ids of what stands in Kafka as found of a system.
fn concluded(machine: &Machine, system: &str) -> BTreeSet<String> {
    let arguments = ["log", "tail", "keywatch.toml", "--topic", "conclusions", "--all", "--kind", "finding."];
    let done = keywatch(&machine.path(""), &arguments, b"");
    assert!(done.status.success(), "{}", err(&done));
    let text = out(&done);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_system = lines.filter(|line| line["system"] == system);
    of_system.map(|line| line["detail"]["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until so many findings of a system stand in Kafka.
async fn until_concluded(machine: &Machine, system: &str, count: usize) {
    let until = Instant::now() + PATIENCE;
    while concluded(machine, system).len() < count {
        assert!(Instant::now() < until, "not {count} findings of {system}: {:?}", concluded(machine, system));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What the process of the embedded log finds of all that.
async fn found_on_the_embedded_log() -> BTreeMap<String, usize> {
    let machine = of_both();
    let running = machine.start().await;
    for number in 1..=3 {
        send(&running, &round(0..ACTORS, number)).await;
    }
    for (system, _) in SYSTEMS {
        running.until("keywatch_rule_findings_total", &format!("system=\"{system}\""), ACTORS as u64).await;
    }
    running.stop();
    found(&machine.record().conclusions)
}

#[tokio::test]
async fn p1_two_partitions_and_a_kill_find_what_the_embedded_log_finds_each_once() {
    let expected = found_on_the_embedded_log().await;
    assert!(expected.len() == SYSTEMS.len() * ACTORS && expected.values().all(|times| *times == 1), "{expected:?}");

    let (broker, prefix, keys) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let shared = format!("partitions = 2\nkey_file = \"{}\"\n", keys.path().join("role.key").display());
    let taker = of_both();
    taker.configure(&log_section(&broker, &prefix, &shared));
    let taking = taker.start_with(&["--role", "ingest"]).await;
    let machines = [0, 1].map(|partition| {
        let machine = of_system(SYSTEMS[partition].0);
        machine.configure(&log_section(&broker, &prefix, &format!("{shared}partition = {partition}\n")));
        machine
    });
    let [cold, warm] = &machines;
    let role = ["--role", "evaluate"];
    let (killed, other) = (cold.start_with(&role).await, warm.start_with(&role).await);
    for number in 1..=2 {
        send(&taking, &round(0..ACTORS, number)).await;
    }
    send(&taking, &round(0..ACTORS / 2, 3)).await;
    until_concluded(cold, "cold", 1).await;
    // Without warning, in the middle of what it does.
    drop(killed);
    send(&taking, &round(ACTORS / 2..ACTORS, 3)).await;
    send(&taking, &round(0..ACTORS, 2)).await;
    until_concluded(cold, "warm", ACTORS).await;
    assert!(concluded(cold, "cold").len() <= ACTORS / 2, "nobody has the partition");
    let again = cold.start_with(&role).await;
    until_concluded(cold, "cold", ACTORS).await;

    for running in [taking, again, other] {
        running.stop();
    }
    let mut together = BTreeMap::new();
    for (partition, machine) in machines.iter().enumerate() {
        let directory = machine.path(&format!("keywatch-data/kafka-{partition}"));
        let copy = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
        together.extend(found(&copy.read(Topic::Conclusions, Position(0), usize::MAX).unwrap()));
    }
    assert_eq!(together, expected);
}
