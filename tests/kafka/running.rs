//! `keywatch run` on Kafka: the same findings as on the embedded log, once each, whatever becomes of the process and of its
//! copy.

use std::collections::BTreeMap;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use serde_json::Value;

use super::foreign::{create, write};
use crate::running::machine::{Machine, Rule, presented};
use crate::support::kafka::{Broker, broker, prefix};

/// Finds the third session of an actor, and no other.
pub(super) const THIRD: Rule = Rule {
    id: "own/third",
    sql: "SELECT event_id, actor AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY actor ORDER BY time RANGE \
          BETWEEN INTERVAL '30' DAY PRECEDING AND CURRENT ROW) AS n FROM events WHERE kind = 'session.presented') \
          WHERE n = 3",
};

/// A machine whose log is on Kafka, by a few lines of its configuration.
fn on_kafka(broker: &Broker) -> Machine {
    let machine = Machine::new(THIRD);
    machine.configure(&log_section(broker, &prefix(), "key_file = \"role.key\"\n"));
    machine
}

pub(super) fn log_section(broker: &Broker, prefix: &str, more: &str) -> String {
    let brokers = broker.address();
    let of_one_broker = "replication = 1\nmin_insync_replicas = 1\n";
    format!("[log]\nkafka = \"{brokers}\"\ntopic_prefix = \"{prefix}\"\n{of_one_broker}{more}")
}

pub(super) fn sessions(actor: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<Value> {
    numbers.map(|number| presented(&format!("{actor}-{number}"), actor, 1)).collect()
}

pub(super) fn third(actors: &[&str]) -> BTreeMap<String, usize> {
    actors.iter().map(|actor| (format!("{actor}-3"), 1)).collect()
}

/// What the copy on that machine holds; keywatch must not run.
pub(super) fn copied(machine: &Machine) -> [Vec<Event>; 2] {
    let copy = EmbeddedLog::open(machine.path("keywatch-data/kafka-0"), Options::new(Clock::Recorded)).unwrap();
    Topic::ALL.map(|topic| copy.read(topic, Position(0), usize::MAX).unwrap())
}

#[tokio::test]
async fn p1_killed_and_without_its_copy_it_finds_everything_once() {
    let broker = broker();
    let machine = on_kafka(&broker);
    let running = machine.start().await;
    running.send(sessions("ann", 1..=2)).await;
    running.send(sessions("bob", 1..=3)).await;
    running.send(sessions("bob", 2..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    assert_eq!(running.metric("keywatch_ingest_repeats_total", "idp").await, 2, "the log had them already");
    // Killed without warning, once the finding and its alert are recorded, after what the rules may do.
    let recorded = async {
        while running.metric("keywatch_log_head_position", "conclusions").await < 3 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), recorded).await.expect("what was found is recorded");
    drop(running);
    let [events, conclusions] = copied(&machine);
    assert_eq!(machine.found(&events, &conclusions), third(&["bob"]));

    let running = machine.start().await;
    running.send(sessions("ann", 3..=4)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    let [events, conclusions] = copied(&machine);
    assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob"]));

    // Everything on this machine is lost but its configuration and its key.
    std::fs::remove_dir_all(machine.path("keywatch-data")).unwrap();
    let running = machine.start().await;
    running.send(sessions("carl", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    assert_eq!(running.metric("keywatch_log_foreign_messages_total", "").await, 0);
    running.stop();
    let [again, conclusions] = copied(&machine);
    assert_eq!(again[..events.len()], events, "the same records, positions and times");
    assert_eq!(machine.found(&again, &conclusions), third(&["ann", "bob", "carl"]));
    assert!(again.iter().any(|event| event.kind() == "tick"));
}

#[tokio::test]
async fn p8_one_process_takes_in_and_another_evaluates() {
    let (broker, prefix) = (broker(), prefix());
    let topic = format!("{prefix}-sessions");
    create(&broker, &topic, 2);

    // Takes in over HTTP and from a topic that somebody else writes, under a role and a key of its own.
    let taker = Machine::new(THIRD);
    let role = "role = \"ingest\"\nkey_file = \"ingest.key\"\n";
    let intake = "system = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\n";
    let intake = format!("[intake]\ngroup = \"{prefix}\"\n[[intake.topics]]\ntopic = \"{topic}\"\n{intake}");
    taker.configure(&format!("{}{intake}", log_section(&broker, &prefix, role)));
    let taking = taker.start_with(&["--role", "ingest"]).await;

    let evaluator = Machine::new(THIRD);
    let key = taker.path("ingest.key");
    let keys = format!("key_file = \"role.key\"\nother_keys = {{ ingest = \"{}\" }}\n", key.display());
    evaluator.configure(&log_section(&broker, &prefix, &keys));
    let evaluating = evaluator.start_with(&["--role", "evaluate"]).await;

    taking.send(sessions("ann", 1..=3)).await;
    for session in sessions("bob", 1..=3) {
        write(&broker, &topic, "bob", &session.to_string(), None);
    }
    evaluating.until("keywatch_rule_findings_total", "", 2).await;
    let answer = reqwest::Client::new().post(format!("{}/v1/ingest/events", evaluating.url())).bearer_auth("token");
    assert_eq!(answer.body("{}").send().await.unwrap().status(), 401, "it takes nothing in");
    assert_eq!(evaluating.metric("keywatch_log_foreign_messages_total", "").await, 0);

    assert!(taking.metric("keywatch_intake_rebalances_total", "").await >= 1, "its partitions were given to it");

    // What was read of the topic is not read again.
    taking.stop();
    let taking = taker.start_with(&["--role", "ingest"]).await;
    for session in sessions("carl", 1..=3) {
        write(&broker, &topic, "carl", &session.to_string(), None);
    }
    evaluating.until("keywatch_rule_findings_total", "", 3).await;
    taking.stop();
    evaluating.stop();
    let [events, conclusions] = copied(&evaluator);
    assert_eq!(evaluator.found(&events, &conclusions), third(&["ann", "bob", "carl"]));
    assert_eq!(events.iter().filter(|event| event.kind() == "session.presented").count(), 9);
}

/// A machine of one system of two, with the partition that the system is in.
fn of_system(system: &str, partition: u32, log: &str) -> Machine {
    let machine = Machine::new(THIRD);
    for file in ["inventory.toml", "keywatch.toml"] {
        let text = std::fs::read_to_string(machine.path(file)).unwrap();
        std::fs::write(machine.path(file), text.replace("\"cold\"", &format!("\"{system}\""))).unwrap();
    }
    machine.configure(&format!("{log}partition = {partition}\n"));
    machine
}

#[tokio::test]
async fn p1_two_processes_with_a_partition_each_find_what_is_theirs() {
    let (broker, prefix) = (broker(), prefix());
    let topic = format!("{prefix}-warm");
    create(&broker, &topic, 1);
    let taker = Machine::new(THIRD);
    let inventory = std::fs::read_to_string(taker.path("inventory.toml")).unwrap();
    let both = format!("{inventory}{}", inventory.replace("cold", "warm"));
    std::fs::write(taker.path("inventory.toml"), both).unwrap();
    let intake = "system = \"warm\"\nsource = \"idp\"\nfeed = \"events\"\n";
    let intake = format!("[intake]\ngroup = \"{prefix}\"\n[[intake.topics]]\ntopic = \"{topic}\"\n{intake}");
    let of_ingest = "partitions = 2\nrole = \"ingest\"\nkey_file = \"ingest.key\"\n";
    taker.configure(&format!("{}{intake}", log_section(&broker, &prefix, of_ingest)));
    let taking = taker.start_with(&["--role", "ingest"]).await;

    let key = taker.path("ingest.key");
    let keys = format!("partitions = 2\nother_keys = {{ ingest = \"{}\" }}\n", key.display());
    let log = log_section(&broker, &prefix, &keys);
    // Their partitions: tests of the store and the documentation say how they follow from the names.
    let machines = [("cold", 0), ("warm", 1)].map(|(system, partition)| of_system(system, partition, &log));
    let [cold, warm] = &machines;
    let evaluating = [cold.start_with(&["--role", "evaluate"]).await, warm.start_with(&["--role", "evaluate"]).await];
    taking.send(sessions("ann", 1..=3)).await;
    for session in [sessions("ann", 1..=2), sessions("bob", 1..=3)].concat() {
        write(&broker, &topic, "any", &session.to_string(), None);
    }
    for running in &evaluating {
        running.until("keywatch_rule_findings_total", "", 1).await;
    }
    evaluating.into_iter().for_each(crate::running::machine::Running::stop);
    taking.stop();
    for (partition, machine, actor) in [(0, cold, "ann"), (1, warm, "bob")] {
        let directory = machine.path(&format!("keywatch-data/kafka-{partition}"));
        let copy = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
        let [events, conclusions] = Topic::ALL.map(|topic| copy.read(topic, Position(0), usize::MAX).unwrap());
        assert_eq!(machine.found(&events, &conclusions), third(&[actor]));
    }
}
