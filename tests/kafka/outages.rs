//! Outages that last: a transaction that the brokers give up, a cluster that is away for longer than one may last, or while
//! the rules find something. The process lives on, and what is concluded stands in Kafka once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keywatch_store::error::Remedy;
use keywatch_store::log::kafka::{KafkaLog, Settings};
use keywatch_store::{Clock, Event, EventId, Log, Position, Topic};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer as _};
use reqwest::StatusCode;
use serde_json::Value;

use super::running::{THIRD, copied, log_section, sessions, third};
use super::{open, settings, standing};
use crate::incidents::recording::bybit;
use crate::operators::with_operators;
use crate::page::browser::Browser;
use crate::running::machine::{Machine, Running};
use crate::support::kafka::{Broker, broker, prefix};

/// How long a step has.
const PATIENCE: Duration = Duration::from_mins(3);

/// Does to the writer of conclusions what brokers do to one whose transaction lasts too long: they refuse it from now on,
/// though no other process has the partition.
fn give_up(broker: &Broker, settings: &Settings) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    config.set("transactional.id", format!("{}.partition-0", settings.topic_prefix));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(Duration::from_secs(30)).unwrap();
}

/// The ids of the conclusions that other clients see.
fn concluded(settings: &Settings) -> Vec<EventId> {
    let seen = standing(settings, Topic::Conclusions);
    seen.iter().flat_map(|seen| seen.records.as_ref().unwrap()).map(Event::event_id).collect()
}

fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn p2_a_client_that_the_brokers_gave_up_is_replaced_unless_another_process_has_the_partition() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let events = bybit().events;
    let log = open(&settings, directory.path());
    log.append(Topic::Conclusions, events[..2].to_vec()).unwrap();
    for (given_up, first) in [(1, 2), (2, 4)] {
        give_up(&broker, &settings);
        let appended = log.append(Topic::Conclusions, events[first..first + 2].to_vec()).unwrap();
        assert_eq!((appended.first, appended.written.len()), (Position(first as u64), 2));
        let counted = log.transactions();
        assert_eq!((counted.committed, counted.fenced), (1 + given_up, 0));
    }
    let ids: Vec<EventId> = events[..6].iter().map(Event::event_id).collect();
    assert_eq!(concluded(&settings), ids);

    let newer = KafkaLog::open(&settings, 0, &directory.path().join("newer")).unwrap();
    let refused = log.append(Topic::Conclusions, events[6..7].to_vec()).unwrap_err();
    assert!(refused.to_string().contains("another one has it") && !refused.is_outage(), "{refused}");
    // Given up as well, the newer one goes on, and the older one stays refused.
    give_up(&broker, &settings);
    assert_eq!(newer.append(Topic::Conclusions, events[6..7].to_vec()).unwrap().first, Position(6));
    let refused = log.append(Topic::Conclusions, events[7..8].to_vec()).unwrap_err();
    assert!(refused.to_string().contains("another one has it"), "{refused}");
    assert_eq!(concluded(&settings).len(), 7);
}

#[test]
fn p2_an_outage_longer_than_a_transaction_may_last_is_outlived_and_nothing_is_lost_or_doubled() {
    let (mut broker, directory) = (Broker::start(|_, _| String::new()), tempfile::tempdir().unwrap());
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let settings = Settings { send_ms_max: 4_000, transaction_ms_max: 6_000, conclude_ms_max: 5_000, ..settings };
    let log = Arc::new(open(&settings, directory.path()));
    let [acknowledged, failures] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let stop = Arc::new(AtomicBool::new(false));
    let appending = {
        let (log, stop) = (Arc::clone(&log), Arc::clone(&stop));
        let (acknowledged, failures) = (Arc::clone(&acknowledged), Arc::clone(&failures));
        std::thread::spawn(move || {
            let event = bybit().events.remove(0);
            let mut ids = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let mut id = [5; 16];
                id[..8].copy_from_slice(&(ids.len() as u64).to_be_bytes());
                let (event, begun) = (event.changed(|event| event.event_id(EventId(id))), Instant::now());
                while let Err(error) = log.append(Topic::Conclusions, vec![event.clone()]) {
                    assert_eq!(error.remedy(), Remedy::Retry, "{error}");
                    assert!(begun.elapsed() < PATIENCE, "{error}");
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                ids.push(EventId(id));
                acknowledged.store(ids.len(), Ordering::Relaxed);
            }
            ids
        })
    };
    let beyond = |count: usize| {
        wait_until("appends go on", || {
            assert!(!appending.is_finished(), "nothing is appended any more");
            acknowledged.load(Ordering::Relaxed) > count
        });
    };
    beyond(3);
    broker.kill();
    let killed = Instant::now();
    let longer = Duration::from_millis(u64::from(settings.transaction_ms_max)) + Duration::from_secs(2);
    wait_until("it was away for longer than a transaction may last", || {
        killed.elapsed() > longer && failures.load(Ordering::Relaxed) > 0
    });
    broker.start_again();
    let back = Instant::now();
    beyond(acknowledged.load(Ordering::Relaxed) + 3);
    super::say(&format!("conclusions went on {:.1?} after the broker was there again", back.elapsed()));
    stop.store(true, Ordering::Relaxed);
    let ids = appending.join().unwrap();
    let copied = log.read(Topic::Conclusions, Position(0), usize::MAX).unwrap();
    assert!(copied.iter().map(Event::event_id).eq(ids.iter().copied()), "{} of {}", copied.len(), ids.len());
    assert_eq!(concluded(&settings), ids, "in Kafka each stands once, too");
}

/// Waits until `/readyz` says of the part whether something stands in its way.
async fn until_obstructed(running: &Running, part: &str, is_obstructed: bool) {
    let asking = async {
        loop {
            let answer = reqwest::get(format!("{}/readyz", running.url())).await.unwrap();
            let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            if said["obstacles"][part].is_string() == is_obstructed {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("what /readyz says of it changes");
}

#[tokio::test]
async fn p2_what_is_to_be_written_while_the_cluster_is_away_waits_and_is_written_once() {
    let (mut broker, prefix) = (Broker::start(|_, _| String::new()), prefix());
    let machine = Machine::new(THIRD);
    machine.configure(&log_section(&broker, &prefix, ""));
    let running = machine.start().await;
    running.send(sessions("ann", 1..=2)).await;
    // What follows from it may be written before the broker is gone or not; a tick of the next seconds cannot.
    running.send(sessions("ann", 3..=3)).await;
    broker.kill();
    until_obstructed(&running, "evaluation", true).await;
    broker.start_again();
    until_obstructed(&running, "evaluation", false).await;
    // The process that met the outage goes on.
    running.send_until_taken(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 2).await;
    running.stop();
    let [events, conclusions] = copied(&machine);
    assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob"]));
    let told = machine.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}

#[tokio::test]
async fn p2_who_signs_in_while_the_cluster_is_away_sees_the_board_and_does_nothing_until_that_is_written() {
    let (mut broker, prefix) = (Broker::start(|_, _| String::new()), prefix());
    let machine = with_operators(Machine::new(THIRD));
    machine.configure(&log_section(&broker, &prefix, ""));
    let running = machine.start().await;
    running.send(sessions("ann", 1..=3)).await;
    let incident = "href=\"/page/incidents/";
    Browser::signed_in(&running, "carol").await.until("/page", incident).await;
    broker.kill();
    until_obstructed(&running, "kafka", true).await;
    let mut bob = Browser::signed_in(&running, "bob").await;
    let board = bob.get("/page").await;
    assert!(board.status.is_success() && board.text.contains(incident), "{} {}", board.status, board.text);
    let (act, token) = ("/page/silences/none/end", board.token());
    let refused = bob.post(act, &[("token", &token)]).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text);
    assert!(refused.text.contains("you may look, and do nothing"), "{}", refused.text);

    broker.start_again();
    let begun = Instant::now();
    // Once it is written, the silence is looked for.
    while bob.post(act, &[("token", &token)]).await.status != StatusCode::NOT_FOUND {
        assert!(begun.elapsed() < PATIENCE, "the sign-in is not written down");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running.stop();
    let [_, conclusions] = copied(&machine);
    let signed_in = conclusions.iter().filter(|event| event.kind() == "operator.signed_in");
    let who: Vec<Option<&str>> = signed_in.map(Event::actor).collect();
    assert_eq!(who, [Some("carol"), Some("bob")], "each once");
}
