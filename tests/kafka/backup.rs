//! A backup of a log that is being written, and what becomes of it in another cluster or under other names: the same records,
//! findings and alerts, nobody told twice, and sources that go on without a hole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, EventId, Topic};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::chains::assert_told_once;
use super::foreign::{create, write};
use super::log::all;
use super::running::{THIRD, copied, log_section, sessions, third};
use super::shares::ask;
use super::tools;
use crate::chains::watcher::Watcher;
use crate::running::machine::{Machine, Running};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::kafka::{Broker, broker, prefix};

const PATIENCE: Duration = Duration::from_mins(1);

/// A machine whose log is with a broker, and which reads sessions from an intake topic of another cluster.
fn machine_at(log: &Broker, prefix: &str, intake: &str) -> Machine {
    let machine = Machine::with_this_rule_alone(THIRD);
    let hash = hex::encode(Sha256::digest("operator"));
    let may = "roles = [\"admin\"]\nsystems = [\"*\"]\n";
    machine.configure(&format!("[[operators]]\nname = \"ann\"\n{may}token_sha256 = \"{hash}\"\n"));
    machine.configure(&format!("{}{intake}", log_section(log, prefix, "key_file = \"role.key\"\n")));
    machine
}

/// The intake topic, read by a group of that name.
fn intake(broker: &Broker, group: &str, topic: &str) -> String {
    let whose = "system = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\n";
    format!(
        "[intake]\nkafka = \"{}\"\ngroup = \"{group}\"\n[[intake.topics]]\ntopic = \"{topic}\"\n{whose}",
        broker.address()
    )
}

/// All alerts, once there are so many and it stands in Kafka that somebody was told of each.
async fn until_told(machine: &Machine, running: &Running, alerts: usize) -> Vec<Value> {
    let arguments = ["tail", "keywatch.toml", "--topic", "conclusions", "--all", "--kind", "alert.notified"];
    let notified = || tools::log(&machine.path(""), &arguments, 0).0.lines().count();
    let told = async {
        loop {
            let (status, listed) = ask(running, "/v1/alerts?limit=1000", None).await;
            assert_eq!(status, StatusCode::OK, "{listed}");
            let listed = listed["alerts"].as_array().unwrap().clone();
            if listed.len() == alerts && notified() == alerts {
                return listed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("everybody is told of every alert")
}

/// Both topics of a backup.
fn kept(directory: &Path) -> [Vec<Event>; 2] {
    let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
    Topic::ALL.map(|topic| all(&log, topic))
}

/// Ids of what the source said, each as often as it stands there.
fn said(events: &[Event]) -> BTreeMap<EventId, usize> {
    let mut ids = BTreeMap::new();
    for event in events.iter().filter(|event| event.source() == "idp") {
        *ids.entry(event.event_id()).or_default() += 1;
    }
    ids
}

/// Ids of findings.
fn findings(conclusions: &[Event]) -> BTreeSet<String> {
    let found = conclusions.iter().filter(|event| event.kind() == "finding.created");
    found.map(|event| event.detail().value()["id"].as_str().unwrap().to_owned()).collect()
}

/// Copies the log while it is written to; what was said about the copy, and how many others have presented a session meanwhile.
async fn back_up(source: &Machine, running: &Running) -> (String, usize) {
    let directory = source.path("");
    let copy = move || tools::log(&directory, &["copy", "keywatch.toml", "backup"], 0);
    let copying = tokio::task::spawn_blocking(copy);
    let mut others = 0;
    while !copying.is_finished() {
        running.send(sessions(&format!("other-{others}"), 1..=1)).await;
        others += 1;
    }
    (copying.await.unwrap().1, others)
}

/// Sends what was lost again, as a source does that is asked to, and what was not.
async fn send_again(running: &Running, others: usize) {
    running.send(sessions("ann", 1..=3)).await;
    for number in 0..others {
        running.send(sessions(&format!("other-{number}"), 1..=1)).await;
    }
    running.send(sessions("dora", 1..=3)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p4_a_backup_goes_on_elsewhere_with_nothing_lost_doubled_or_told_twice() {
    let (shared, prefix) = (broker(), prefix());
    let topic = format!("{prefix}-sessions");
    create(&shared, &topic, 1);
    let put = |actor: &str| {
        sessions(actor, 1..=3).iter().for_each(|session| write(&shared, &topic, actor, &session.to_string(), None));
    };
    let source = machine_at(&shared, &prefix, &intake(&shared, &format!("{prefix}-first"), &topic));
    let running = source.start().await;
    running.send(sessions("ann", 1..=3)).await;
    put("bob");
    let alerts = until_told(&source, &running, 2).await;
    let (noted, others) = back_up(&source, &running).await;
    // Lost between backup and disaster, but for what its source still has.
    put("carl");
    running.send(sessions("dora", 1..=3)).await;
    until_told(&source, &running, 4).await;
    drop(running);
    let (lost, backup) = (copied(&source), kept(&source.path("backup")));
    for (whole, kept) in lost.iter().zip(&backup) {
        assert!(whole.starts_with(kept) && kept.len() < whole.len(), "{} of {}", kept.len(), whole.len());
    }
    let last = backup[0].last().unwrap().time();
    assert!(noted.contains(&format!("events: the last record is of {last}; what came after it")), "{noted}");

    let fresh = Broker::start(|_, _| String::new());
    for (number, (log, prefix)) in [(&*shared, format!("{prefix}-again")), (&fresh, prefix.clone())].iter().enumerate()
    {
        let machine = machine_at(log, prefix, &intake(&shared, &format!("{topic}-{number}"), &topic));
        std::fs::copy(source.path("role.key"), machine.path("role.key")).unwrap();
        let from = source.path("backup");
        tools::log(&machine.path(""), &["copy", from.to_str().unwrap(), "keywatch.toml"], 0);
        assert!(copied(&machine) == backup, "the same records, positions and times");

        let running = machine.start().await;
        send_again(&running, others).await;
        let now = until_told(&machine, &running, 4).await;
        assert!(alerts.iter().all(|alert| now.contains(alert)), "{now:?} and before {alerts:?}");
        running.stop();
        let [events, conclusions] = copied(&machine);
        assert!(events.starts_with(&backup[0]) && conclusions.starts_with(&backup[1]));
        assert_eq!(said(&events), said(&lost[0]), "each event once, and none is missing");
        assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob", "carl", "dora"]));
        assert_eq!(findings(&conclusions), findings(&lost[1]));
        let told = machine.told(&events, &conclusions);
        assert!(told.values().all(|times| *times == 1), "{told:?}");
        assert_eq!(
            told,
            machine.told(&lost[0], &lost[1]),
            "what was told after the backup is told under the same keys"
        );
    }
}

#[tokio::test]
async fn p2_a_follower_of_a_chain_goes_on_from_a_backup_without_a_hole() {
    let (broker, prefix, node) = (broker(), prefix(), Anvil::start().await);
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.configure_further(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    let watching = watcher.start();
    let [wallet, other, _] = ACCOUNTS;
    let mut sent = vec![node.pay(wallet, other, 1).await];
    watching.until_read(&node).await;
    tools::log(watcher.path(), &["copy", "keywatch.toml", "backup"], 0);
    for units in 2..5 {
        sent.push(node.pay(wallet, other, units).await);
    }
    watching.until_read(&node).await;
    drop(watching);

    std::fs::remove_dir_all(watcher.path().join("keywatch-data")).unwrap();
    watcher.configure(&format!("\"{prefix}\""), &format!("\"{prefix}-again\""));
    tools::log(watcher.path(), &["copy", "backup", "keywatch.toml"], 0);
    sent.push(node.pay(wallet, other, 5).await);
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    assert_told_once(&watcher, &node, &sent).await;
}
