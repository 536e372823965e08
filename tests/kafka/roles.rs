//! Finding and responding in processes of their own, from one configuration file: the same conclusions, each once, whichever of
//! them is killed, replaced, or sleeps in the middle of a transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{Concluding, KafkaLog, Settings};
use keywatch_store::{Clock, Event, EventId, Log, Position, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use super::running::{THIRD, log_section, sessions, third};
use super::{open, settings};
use crate::incidents::recording::bybit;
use crate::running::machine::{Machine, Running};
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{Broker, broker, prefix};

const DETECT: [&str; 2] = ["--role", "detect"];
const RESPOND: [&str; 2] = ["--role", "respond"];

/// A machine that takes in and runs, and others with the same log and key.
async fn machines<const N: usize>(broker: &Broker, prefix: &str) -> (Running, [Machine; N], Machine) {
    let taker = Machine::new(THIRD);
    let log = log_section(broker, prefix, "key_file = \"role.key\"\n");
    taker.configure(&log);
    let taking = taker.start_with(&["--role", "ingest"]).await;
    let others = [(); N].map(|()| {
        let machine = Machine::new(THIRD);
        machine.configure(&log);
        std::fs::copy(taker.path("role.key"), machine.path("role.key")).unwrap();
        machine
    });
    (taking, others, taker)
}

/// Waits until a process that responds has opened that many alerts about the rule.
async fn until_opened(responding: &Running, alerts: u64) {
    responding.until("keywatch_alerts_total", "step=\"opened\"", alerts).await;
}

/// What the copy of the process that responds holds; it must not run.
fn copied_by_responder(machine: &Machine) -> [Vec<Event>; 2] {
    let directory = machine.path("keywatch-data/respond/kafka-0");
    let copy = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
    Topic::ALL.map(|topic| copy.read(topic, Position(0), usize::MAX).unwrap())
}

/// Ids of all conclusions as they stand in Kafka, for readers of committed messages that skip no repeats.
fn in_kafka(machine: &Machine) -> BTreeMap<String, usize> {
    let done = keywatch(&machine.path(""), &["log", "tail", "keywatch.toml", "--topic", "conclusions", "--all"], b"");
    assert!(done.status.success(), "{}", err(&done));
    let mut ids = BTreeMap::new();
    for line in out(&done).lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        *ids.entry(line["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    ids
}

#[tokio::test]
async fn p5_found_here_and_told_there_each_once_whichever_is_killed() {
    let (broker, prefix) = (broker(), prefix());
    let (taking, [machine], _taker) = machines(&broker, &prefix).await;
    let detecting = machine.start_with(&DETECT).await;
    let responding = machine.start_with(&RESPOND).await;
    taking.send(sessions("ann", 1..=3)).await;
    detecting.until("keywatch_rule_findings_total", "", 1).await;
    until_opened(&responding, 1).await;
    assert_eq!(detecting.metric("keywatch_alerts_total", "own/third").await, 0, "it only finds");
    assert_eq!(responding.metric("keywatch_rule_findings_total", "own/third").await, 0, "it only responds");

    // What is found while nobody responds is told once somebody does.
    drop(responding);
    taking.send(sessions("bob", 1..=3)).await;
    // Where it was killed within a transaction, the brokers hold up what stands behind it until they give that up.
    detecting.until_within(Duration::from_mins(2), "keywatch_rule_findings_total", "", 2).await;
    let responding = machine.start_with(&RESPOND).await;
    until_opened(&responding, 1).await;
    // And who finds finds nothing again.
    drop(detecting);
    taking.send(sessions("carl", 1..=3)).await;
    let detecting = machine.start_with(&DETECT).await;
    detecting.until("keywatch_rule_findings_total", "", 1).await;
    until_opened(&responding, 2).await;
    for running in [taking, detecting, responding] {
        running.stop();
    }

    let [events, conclusions] = copied_by_responder(&machine);
    assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob", "carl"]));
    let told = machine.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
    let twice: Vec<_> = in_kafka(&machine).into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[tokio::test]
async fn p5_who_responds_and_was_replaced_wakes_up_and_ends() {
    let (broker, prefix) = (broker(), prefix());
    let (taking, [sleeper, successor], _taker) = machines(&broker, &prefix).await;
    let detecting = sleeper.start_with(&DETECT).await;
    let sleeping = sleeper.start_with(&RESPOND).await;
    sleeping.signal("STOP");
    let responding = successor.start_with(&RESPOND).await;
    taking.send(sessions("ann", 1..=3)).await;
    until_opened(&responding, 1).await;
    sleeping.signal("CONT");
    assert!(!sleeping.ended().success(), "it reads what was found, and may not respond to it");
    taking.send(sessions("bob", 1..=3)).await;
    until_opened(&responding, 2).await;
    for running in [taking, detecting, responding] {
        running.stop();
    }
    let [events, conclusions] = copied_by_responder(&successor);
    assert_eq!(successor.found(&events, &conclusions), third(&["ann", "bob"]));
    let told = successor.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}

#[tokio::test]
async fn p5_who_does_both_takes_the_place_of_both() {
    let (broker, prefix) = (broker(), prefix());
    let (taking, [apart, both], _taker) = machines(&broker, &prefix).await;
    let detecting = apart.start_with(&DETECT).await;
    let responding = apart.start_with(&RESPOND).await;
    taking.send(sessions("ann", 1..=3)).await;
    until_opened(&responding, 1).await;
    let evaluating = both.start_with(&["--role", "evaluate"]).await;
    taking.send(sessions("bob", 1..=3)).await;
    evaluating.until("keywatch_rule_findings_total", "", 1).await;
    for ended in [detecting.ended(), responding.ended()] {
        assert!(!ended.success(), "its place is taken");
    }
    taking.stop();
    evaluating.stop();
    let copy = EmbeddedLog::open(both.path("keywatch-data/kafka-0"), Options::new(Clock::Recorded)).unwrap();
    let [events, conclusions] = Topic::ALL.map(|topic| copy.read(topic, Position(0), usize::MAX).unwrap());
    assert_eq!(both.found(&events, &conclusions), third(&["ann", "bob"]));
    let told = both.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}

#[tokio::test]
async fn p5_a_finding_from_the_future_is_told_of_and_holds_up_no_other() {
    let (broker, prefix) = (broker(), prefix());
    let (taking, [machine], taker) = machines(&broker, &prefix).await;
    let detecting = machine.start_with(&DETECT).await;
    let responding = machine.start_with(&RESPOND).await;
    taking.send(sessions("ann", 1..=3)).await;
    until_opened(&responding, 1).await;
    detecting.stop();

    // Whoever has the key of the process that finds says that the same was found in a hundred years.
    let copy = tempfile::tempdir().unwrap();
    let finds = settings(&broker, &prefix, Clock::Wall, &taker.path(""));
    let forging = open(&Settings { concluding: Concluding::Findings, ..finds }, copy.path());
    let recorded = forging.read(Topic::Conclusions, Position(0), usize::MAX).unwrap();
    let is_about_ann = |event: &&Event| event.kind() == "finding.created" && event.detail().value()["rule"] == THIRD.id;
    let found = recorded.iter().find(is_about_ann).unwrap();
    let mut finding = found.detail().value().clone();
    finding["id"] = "f".repeat(32).into();
    finding["decided"] = "2126-01-01T00:00:00Z".into();
    let forged = found.changed(|event| event.event_id(EventId([9; 16])).detail(&finding));
    assert_eq!(forging.append(Topic::Conclusions, vec![forged]).unwrap().written.len(), 1);
    drop(forging);

    let detecting = machine.start_with(&DETECT).await;
    taking.send(sessions("bob", 1..=3)).await;
    until_opened(&responding, 2).await;
    for running in [taking, detecting, responding] {
        running.stop();
    }
    let [_, conclusions] = copied_by_responder(&machine);
    let opened = conclusions.iter().filter(|event| event.kind() == "alert.opened");
    let mut opened: Vec<(String, String)> = opened
        .map(|event| {
            let finding = &event.detail().value()["finding"];
            let text = |name: &str| finding[name].as_str().unwrap().to_owned();
            (text("rule"), text("entity"))
        })
        .filter(|(rule, _)| rule == THIRD.id || rule == "keywatch/finding_refused")
        .collect();
    opened.sort();
    let of = |rule: &str, entity: &str| (rule.to_owned(), entity.to_owned());
    let refused = of("keywatch/finding_refused", "cold");
    assert_eq!(opened, [refused, of(THIRD.id, "ann"), of(THIRD.id, "bob")]);
}

#[test]
fn p1_what_the_other_role_has_open_hides_no_finding_from_who_takes_over() {
    // Brokers look for transactions that last too long more often than they do by themselves.
    let broker = Broker::start(|_, _| "transaction.abort.timed.out.transaction.cleanup.interval.ms=500\n".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&broker, &prefix(), Clock::Wall, directory.path());
    let settings = Settings { concluding: Concluding::Findings, ..settings };
    let events = bybit().events;
    let finder = open(&settings, directory.path());
    finder.append(Topic::Conclusions, events[..1].to_vec()).unwrap();

    // A process of the other role sleeps in the middle of a transaction.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    config.set("transactional.id", format!("{}.partition-0.respond", settings.topic_prefix));
    config.set("transaction.timeout.ms", "25000").set("message.timeout.ms", "10000");
    let other: BaseProducer = config.create().unwrap();
    let patience = Duration::from_secs(30);
    other.init_transactions(patience).unwrap();
    other.begin_transaction().unwrap();
    let topic = settings.topic(Topic::Conclusions);
    other.send(BaseRecord::to(&topic).key("any").payload("open")).map_err(|(error, _)| error).unwrap();
    other.flush(patience).unwrap();
    // What is committed behind it is not seen, so that nobody can say that it was written.
    let hidden = finder.append(Topic::Conclusions, events[1..2].to_vec()).unwrap_err();
    assert!(hidden.is_outage(), "{hidden}");
    drop(finder);

    // Whoever comes next waits until brokers have ended it, and knows both.
    let newer = KafkaLog::open(&settings, 0, &directory.path().join("newer")).unwrap();
    assert_eq!(newer.end(Topic::Conclusions), Position(2));
    let again = newer.append(Topic::Conclusions, events[..2].to_vec()).unwrap();
    assert_eq!((again.written.len(), again.repeats), (0, 2));
}

/// The group beside whose offsets of partition 0 a process writes its name, as another process reaches it.
struct Marks {
    consumer: BaseConsumer,
    topic: String,
}

impl Marks {
    fn of(broker: &Broker, settings: &Settings, group: &str) -> Marks {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.address());
        config.set("group.id", format!("{}.{group}", settings.topic_prefix));
        config.set("enable.auto.commit", "false");
        Marks { consumer: config.create().unwrap(), topic: settings.topic(Topic::Conclusions) }
    }

    /// Who has claimed the partition last.
    fn claimed(&self) -> String {
        let mut place = TopicPartitionList::new();
        place.add_partition(&self.topic, 0);
        let found = self.consumer.committed_offsets(place, Duration::from_secs(30)).unwrap();
        found.find_partition(&self.topic, 0).unwrap().metadata().to_owned()
    }

    /// Claims it in that name.
    fn claim(&self, name: &str) {
        let mut place = TopicPartitionList::new();
        let mut mark = place.add_partition(&self.topic, 0);
        mark.set_offset(Offset::Offset(0)).unwrap();
        mark.set_metadata(name);
        self.consumer.commit(&place, CommitMode::Sync).unwrap();
    }
}

/// Settings for each of the roles, with one key.
fn apart(broker: &Broker, prefix: &str, directory: &std::path::Path) -> [Settings; 3] {
    let settings = settings(broker, prefix, Clock::Wall, directory);
    [Concluding::All, Concluding::Findings, Concluding::Responses]
        .map(|concluding| Settings { concluding, ..settings.clone() })
}

#[test]
fn p5_who_responds_notices_a_process_that_does_both_between_its_mark_and_its_fence() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let [_, finds, responds] = apart(&broker, &prefix(), directory.path());
    let finder = KafkaLog::open(&finds, 0, &directory.path().join("finder")).unwrap();
    let responder = KafkaLog::open(&responds, 0, &directory.path().join("responder")).unwrap();
    responder.confirm().unwrap();
    let marks = Marks::of(&broker, &finds, "owner");
    let before = marks.claimed();
    // Another one that finds has claimed the partition. Until it has refused the one before, that might be one that does both.
    marks.claim("4711 detect");
    let undecided = responder.confirm().unwrap_err();
    assert!(undecided.is_outage(), "it may pass: {undecided}");
    marks.claim(&before);
    responder.confirm().unwrap();
    // One that does both has claimed it, and has refused nobody yet.
    marks.claim("4711");
    let replaced = responder.confirm().unwrap_err();
    assert!(!replaced.is_outage() && replaced.to_string().contains("another one has it"), "{replaced}");
    drop(finder);
}

#[test]
fn p5_a_mark_that_comes_late_gives_nobody_back_what_another_process_has() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let [does_both, finds, responds] = apart(&broker, &prefix(), directory.path());
    let events = bybit().events;
    let _finder = KafkaLog::open(&finds, 0, &directory.path().join("finder")).unwrap();
    let responder = KafkaLog::open(&responds, 0, &directory.path().join("responder")).unwrap();
    responder.append(Topic::Conclusions, events[..1].to_vec()).unwrap();
    let marks = Marks::of(&broker, &responds, "owner.respond");
    let its_name = marks.claimed();
    let evaluating = KafkaLog::open(&does_both, 0, &directory.path().join("both")).unwrap();
    assert_ne!(marks.claimed(), its_name);
    // It was about to say again that the partition is its own when it was replaced.
    marks.claim(&its_name);
    for refused in [responder.confirm(), responder.append(Topic::Conclusions, events[1..2].to_vec()).map(drop)] {
        let refused = refused.unwrap_err();
        assert!(!refused.is_outage() && refused.to_string().contains("another one has it"), "{refused}");
    }
    evaluating.append(Topic::Conclusions, events[1..2].to_vec()).unwrap();
    evaluating.confirm().unwrap();
    assert_eq!(evaluating.end(Topic::Conclusions), Position(2), "what was refused is not there");
}

#[test]
fn p5_of_two_that_start_at_once_one_responds() {
    let broker = broker();
    let round = |head_start: Duration| {
        let directory = tempfile::tempdir().unwrap();
        let [does_both, finds, responds] = apart(&broker, &prefix(), directory.path());
        let events = bybit().events;
        let _finder = KafkaLog::open(&finds, 0, &directory.path().join("finder")).unwrap();
        let (both, responder) = std::thread::scope(|scope| {
            let responder = scope.spawn(|| KafkaLog::open(&responds, 0, &directory.path().join("responder")));
            std::thread::sleep(head_start);
            let both = KafkaLog::open(&does_both, 0, &directory.path().join("both")).unwrap();
            (both, responder.join().unwrap())
        });
        // Whichever came first: nobody takes the place of who does both, so that it has it.
        both.append(Topic::Conclusions, events[..1].to_vec()).unwrap();
        both.confirm().unwrap();
        let responds =
            |log: &KafkaLog| log.confirm().is_ok() || log.append(Topic::Conclusions, events[1..2].to_vec()).is_ok();
        assert!(!responder.is_ok_and(|log| responds(&log)), "after {head_start:?}");
    };
    std::thread::scope(|scope| {
        let rounds = [0, 100, 200, 400, 800].map(|millis| scope.spawn(move || round(Duration::from_millis(millis))));
        for round in rounds {
            round.join().unwrap();
        }
    });
}
