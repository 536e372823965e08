//! What fails: the broker is killed while sources send, a process is replaced and wakes up again. Nothing that was
//! acknowledged is lost, nothing is concluded twice.

use std::time::{Duration, Instant};

use keywatch_store::log::kafka::KafkaLog;
use keywatch_store::{Clock, Error, Log, Position, Topic};
use serde_json::Value;

use super::running::{THIRD, copied, log_section, sessions, third};
use super::{open, settings};
use crate::incidents::recording::bybit;
use crate::running::machine::{Machine, Running};
use crate::support::kafka::{Broker, broker, prefix};

/// How long the broker is away.
const OUTAGE: Duration = Duration::from_secs(5);

#[test]
fn p5_a_process_that_was_replaced_concludes_nothing() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let events = bybit().events;
    let replaced = open(&settings, directory.path());
    replaced.append(Topic::Conclusions, events[..2].to_vec()).unwrap();
    let owner = KafkaLog::open(&settings, 0, &directory.path().join("other")).unwrap();
    assert_eq!(owner.end(Topic::Conclusions), Position(2));
    owner.append(Topic::Conclusions, events[2..3].to_vec()).unwrap();
    let refused = replaced.append(Topic::Conclusions, events[3..4].to_vec()).unwrap_err();
    assert!(matches!(refused, Error::KafkaTopic { .. }), "{refused}");
    assert!(refused.to_string().contains("can conclude no more for partition 0: another one has it"), "{refused}");
    let appended = owner.append(Topic::Conclusions, events[4..5].to_vec()).unwrap();
    assert_eq!(appended.first, Position(3), "what was refused is not there");
    let counted = [&replaced, &owner].map(KafkaLog::transactions);
    assert_eq!(counted.map(|counted| (counted.committed, counted.fenced)), [(1, 1), (2, 0)]);
    let [_, (_, folds)] = owner.take_folds();
    assert!(folds.len() == 2 && folds.iter().all(|took| *took < Duration::from_mins(1)), "its own two: {folds:?}");
    // Who only takes events in needs no partition.
    replaced.append(Topic::Events, events[..1].to_vec()).unwrap();
    let until = Instant::now() + Duration::from_mins(1);
    while owner.lag(Duration::from_secs(30)).unwrap().iter().any(|(_, messages)| *messages > 0) {
        assert!(Instant::now() < until, "it reads what is there: {:?}", owner.lag(Duration::from_secs(30)));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(owner.end(Topic::Events), Position(1));
}

#[tokio::test]
async fn p2_a_broker_is_killed_while_sources_send_and_nothing_is_lost_or_doubled() {
    let mut broker = Broker::start(|_, _| String::new());
    let machine = Machine::new(THIRD);
    machine.configure(&log_section(&broker, &prefix(), ""));
    let running = machine.start().await;
    running.send(sessions("ann", 1..=2)).await;
    broker.kill();
    let killed = Instant::now();
    let outage = tokio::task::spawn_blocking(move || {
        std::thread::sleep(OUTAGE);
        broker.start_again();
        (broker, Instant::now())
    });
    // Answered when the broker is there again, by the same process.
    running.send_until_taken(sessions("ann", 3..=3)).await;
    let answered = Instant::now();
    let (_broker, back) = outage.await.unwrap();
    assert!(answered - killed > OUTAGE, "what was answered during the outage is nowhere");
    running.send(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 2).await;
    super::say(&format!("answered {:.1?} after the broker was there again", answered.saturating_duration_since(back)));
    running.stop();
    let [events, conclusions] = copied(&machine);
    assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob"]));
    assert_eq!(events.iter().filter(|event| event.kind() == "session.presented").count(), 6);
}

#[tokio::test]
async fn p2_who_only_takes_in_keeps_what_kafka_does_not_take_and_hands_it_over() {
    let mut broker = Broker::start(|_, _| String::new());
    let prefix = prefix();
    let [taker, evaluator] = [(); 2].map(|()| Machine::new(THIRD));
    taker.configure(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    let taking = taker.start_with(&["--role", "ingest"]).await;
    std::fs::copy(taker.path("role.key"), evaluator.path("role.key")).unwrap();
    evaluator.configure(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    let evaluating = evaluator.start_with(&["--role", "evaluate"]).await;
    taking.send(sessions("ann", 1..=1)).await;

    broker.kill();
    taking.send(sessions("ann", 2..=3)).await;
    taking.send(sessions("bob", 1..=3)).await;
    assert_eq!(taking.metric("keywatch_spool_records", "").await, 5);
    assert!(taking.metric("keywatch_spool_since_timestamp_seconds", "").await > 0);
    // Both know of the cluster; who has a spool is ready for sources all the same.
    let known = async {
        for running in [&taking, &evaluating] {
            while running.metric("keywatch_log_cluster_down", "").await == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), known).await.expect("they say that the cluster is away");
    let ready = async |running: &Running| reqwest::get(format!("{}/readyz", running.url())).await.unwrap();
    assert_eq!(ready(&taking).await.status(), 200);
    let refused = ready(&evaluating).await;
    assert_eq!(refused.status(), 503);
    let why: Value = serde_json::from_str(&refused.text().await.unwrap()).unwrap();
    assert!(why["obstacles"]["kafka"].is_string(), "{why}");
    // Killed without warning: the next process has what this one answered for, once the brokers are there to be asked.
    drop(taking);
    broker.start_again();
    let taking = taker.start_with(&["--role", "ingest"]).await;
    evaluating.until("keywatch_rule_findings_total", "", 2).await;
    let handed_over = async {
        while taking.metric("keywatch_spool_records", "").await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), handed_over).await.expect("the spool is handed over");
    taking.stop();
    evaluating.stop();
    assert!(!taker.path("keywatch-data/spool").exists());
    let [events, conclusions] = copied(&evaluator);
    assert_eq!(evaluator.found(&events, &conclusions), third(&["ann", "bob"]));
    assert_eq!(events.iter().filter(|event| event.kind() == "session.presented").count(), 6);
}

#[tokio::test]
async fn p4_a_process_that_slept_while_another_took_over_wakes_up_and_ends() {
    let (broker, prefix) = (broker(), prefix());
    let machines = [(); 2].map(|()| Machine::new(THIRD));
    for machine in &machines {
        machine.configure(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    }
    let [sleeper, successor] = &machines;
    let sleeping = sleeper.start().await;
    sleeping.send(sessions("ann", 1..=2)).await;
    sleeping.signal("STOP");

    std::fs::copy(sleeper.path("role.key"), successor.path("role.key")).unwrap();
    let running = successor.start().await;
    running.send(sessions("ann", 3..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    sleeping.signal("CONT");
    assert!(!sleeping.ended().success(), "it finds what the other found, and may not conclude it");
    running.send(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 2).await;
    running.stop();
    let [events, conclusions] = copied(successor);
    assert_eq!(successor.found(&events, &conclusions), third(&["ann", "bob"]));
    let told = successor.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}
