//! The version before beside this one: what an earlier version wrote is read, and what this one writes has the same shape; what
//! a later one writes is passed by and told of; processes with different rules share the partitions, and change places.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use keywatch_store::log::kafka::{Messages, Producer, Settings};
use keywatch_store::{Clock, Event, Instant, LogWriter, Topic, line, packed};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::foreign::{read, write};
use super::log::all;
use super::packed::signed;
use super::partitions::round;
use super::running::{THIRD, copied, log_section, sessions};
use super::shares::{EVALUATE, PARTITIONS, SYSTEMS, ask, of_all_systems, send, until_shared};
use super::{open, settings, tools};
use crate::running::machine::{Machine, Running};
use crate::support::command::{err, keywatch};
use crate::support::kafka::{Broker, broker, prefix};
use crate::support::tree;

/// The rule of the finding that messages were passed by.
const PASSED_BY: &str = "keywatch/messages_passed_by";

/// A message as it was kept.
#[derive(Deserialize)]
struct Frozen {
    topic: String,
    key: String,
    headers: Vec<(String, String)>,
    /// In hexadecimal.
    value: String,
}

impl Frozen {
    fn topic(&self) -> Topic {
        Topic::ALL.into_iter().find(|topic| topic.name() == self.topic).unwrap()
    }

    fn value(&self) -> Vec<u8> {
        hex::decode(&self.value).unwrap()
    }

    fn headers(&self) -> OwnedHeaders {
        let insert =
            |headers: OwnedHeaders, (key, value): &(String, String)| headers.insert(Header { key, value: Some(value) });
        self.headers.iter().fold(OwnedHeaders::new(), insert)
    }

    fn events(&self) -> Vec<Event> {
        let value = self.value();
        if packed::is_packed(&value) { packed::read(&value).unwrap() } else { vec![line::read(&value).unwrap()] }
    }
}

fn kept(file: &str) -> String {
    std::fs::read_to_string(tree::root().join("tests/kafka/frozen").join(file)).unwrap()
}

fn messages(clock: Clock) -> Vec<Frozen> {
    let file = format!("{clock}.jsonl");
    kept(&file).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn records(topic: Topic) -> Vec<Event> {
    kept(&format!("{}.jsonl", topic.name())).lines().map(|text| line::read(text.as_bytes()).unwrap()).collect()
}

/// Settings of a log whose role has the key of the frozen messages.
fn settings_of(broker: &Broker, clock: Clock, directory: &Path) -> Settings {
    let settings = settings(broker, &prefix(), clock, directory);
    std::fs::write(&settings.key_file, "7".repeat(64)).unwrap();
    Settings { messages: Messages::Packed, ..settings }
}

/// An event without what its log gives it.
fn untimed(event: &Event) -> Event {
    event.changed(|event| event.time(Instant::UNASSIGNED).late(false))
}

#[test]
fn p1_what_an_earlier_version_wrote_is_read_as_it_was() {
    let broker = broker();
    for clock in [Clock::Wall, Clock::Recorded] {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings_of(&broker, clock, directory.path());
        drop(Producer::open(&settings).unwrap());
        for message in messages(clock) {
            let topic = settings.topic(message.topic());
            write(&broker, &topic, &message.key, &message.value(), Some(message.headers()));
        }
        let log = open(&settings, directory.path());
        assert_eq!((log.foreign_messages(), log.later_messages()), (0, 0), "{clock}");
        for topic in Topic::ALL {
            let (read, expected) = (all(&log, topic), records(topic));
            assert!(!expected.is_empty());
            match clock {
                Clock::Recorded => assert_eq!(read, expected, "{topic:?}"),
                // The broker has given them times of its own.
                Clock::Wall => assert!(read.iter().map(untimed).eq(expected.iter().map(untimed)), "{topic:?}"),
            }
        }
    }
}

/// The batches of a packed value.
fn batches(value: &[u8]) -> (SchemaRef, Vec<RecordBatch>) {
    let reader = StreamReader::try_new(value, None).unwrap();
    (reader.schema(), reader.map(Result::unwrap).collect())
}

/// Headers but for those that no two appends have the same.
fn lasting(headers: &OwnedHeaders) -> Vec<(String, String)> {
    let text = |header: Header<'_, &[u8]>| {
        (header.key.to_owned(), String::from_utf8(header.value.unwrap_or_default().to_vec()).unwrap())
    };
    headers
        .iter()
        .map(text)
        .map(|(name, value)| if is_of_append(&name) { (name, String::new()) } else { (name, value) })
        .collect()
}

fn is_of_append(name: &str) -> bool {
    ["keywatch-append", "keywatch-mac"].contains(&name)
}

#[test]
fn p1_an_earlier_version_can_read_what_this_one_writes() {
    let broker = broker();
    for clock in [Clock::Wall, Clock::Recorded] {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings_of(&broker, clock, directory.path());
        let (writer, frozen) = (Producer::open(&settings).unwrap(), messages(clock));
        for message in &frozen {
            writer.write(message.topic(), message.events()).unwrap();
        }
        for topic in Topic::ALL {
            let expected: Vec<&Frozen> = frozen.iter().filter(|message| message.topic() == topic).collect();
            let written = read(&broker, &settings.topic(topic), 0, expected.len());
            for (written, expected) in written.iter().zip(expected) {
                assert_eq!(written.key(), Some(expected.key.as_bytes()));
                assert_eq!(lasting(written.headers().unwrap()), lasting(&expected.headers()));
                let (value, before) = (written.payload().unwrap(), expected.value());
                match packed::is_packed(&before) {
                    true => assert_eq!(batches(value), batches(&before), "columns, their types and what is in them"),
                    false => assert_eq!(String::from_utf8_lossy(value), String::from_utf8_lossy(&before)),
                }
            }
        }
    }
}

/// The line of a session as it stands in a message.
fn session(number: u8, actor: &str) -> String {
    let id = hex::encode([number; 16]);
    format!(
        "{{\"event_id\":\"{id}\",\"system\":\"cold\",\"event_time\":\"2026-03-01T09:00:00Z\",\"source\":\"idp\",\
         \"kind\":\"session.presented\",\"actor\":\"{actor}\",\"session\":\"{actor}-{number}\"}}"
    )
}

/// Eight sessions in one message that has a column more.
fn with_another_column() -> Vec<u8> {
    let events: Vec<Event> = (50..58).map(|number| line::read(session(number, "eve").as_bytes()).unwrap()).collect();
    let (schema, mut batches) = batches(&packed::write(&events, Clock::Wall).unwrap());
    let batch = batches.remove(0);
    let moods: ArrayRef = Arc::new(StringArray::from(vec!["calm"; events.len()]));
    let columns = schema.fields().iter().map(|field| field.name().as_str()).zip(batch.columns().iter().cloned());
    let batch = RecordBatch::try_from_iter(columns.chain([("mood", moods)])).unwrap();
    let mut stream = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    stream.write(&batch).unwrap();
    stream.into_inner().unwrap()
}

/// What a later version may write that this one cannot read.
fn of_a_later_version() -> [Vec<u8>; 4] {
    [
        session(40, "eve").replace("session.presented", "session.foretold").into_bytes(),
        session(41, "eve").replace("\"actor\"", "\"mood\":\"calm\",\"actor\"").into_bytes(),
        with_another_column(),
        b"\x02a form that nobody knows yet".to_vec(),
    ]
}

#[tokio::test]
async fn p2_what_a_later_version_wrote_is_passed_by_told_of_and_holds_up_nothing() {
    let (broker, prefix) = (broker(), prefix());
    let machine = Machine::new(THIRD);
    let (hash, may) = (hex::encode(Sha256::digest("operator")), "roles = [\"viewer\"]\nsystems = [\"*\"]\n");
    machine.configure(&format!("[[operators]]\nname = \"ann\"\n{may}token_sha256 = \"{hash}\"\n"));
    machine.configure(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    let running = machine.start().await;
    running.send(sessions("ann", 1..=2)).await;
    let topic = format!("{prefix}.events");
    let sign = |value: &[u8]| signed(&machine.path("role.key"), "cold", value);
    for value in of_a_later_version() {
        let headers = sign(&value);
        write(&broker, &topic, "cold", &value, Some(headers));
    }
    // A header more says nothing to this version, and takes nothing away.
    let known = session(42, "ann");
    let headers = sign(known.as_bytes()).insert(Header { key: "keywatch-mood", value: Some("calm") });
    write(&broker, &topic, "cold", &known, Some(headers));
    running.send(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 2).await;
    assert_eq!(running.metric("keywatch_log_foreign_messages_total", "").await, 0);
    until_later(&running, 4).await;
    until_told(&running).await;
    running.stop();

    let [events, conclusions] = copied(&machine);
    let expected = [("ann-42".to_owned(), 1), ("bob-3".to_owned(), 1)];
    assert_eq!(machine.found(&events, &conclusions), expected.into());
    assert!(events.iter().all(|event| event.actor() != Some("eve")));
    // However many there are, people are told once; twice where an hour ends in between.
    let told = of_passed_by(&conclusions);
    assert!((1..=2).contains(&told.len()), "{told:?}");
    assert!(told.iter().all(|entity| *entity == format!("{topic}/0")), "{told:?}");
    // They are in Kafka, for the version that can read them, and no tool takes the log for whole without them.
    let directory = machine.path("");
    let (checked, _) = tools::log(&directory, &["check", "keywatch.toml"], 1);
    assert_eq!(checked.matches("is keywatch's and cannot be read").count(), 4, "{checked}");
    let (_, said) = tools::log(&directory, &["copy", "keywatch.toml", "kept"], 1);
    assert!(said.contains("4 messages that a role of keywatch wrote cannot be read"), "{said}");

    // Nor does one take the copy for whole that lacks them.
    let own = "keywatch-data/kafka-0";
    let (checked, _) = tools::log(&directory, &["check", own], 1);
    assert!(checked.contains("events: this copy of a log on Kafka lacks what a later version wrote"), "{checked}");
    let (_, said) = tools::log(&directory, &["copy", own, "kept-of-it"], 1);
    assert!(said.contains("events: this copy of a log on Kafka lacks"), "{said}");
    let counted = ["query", "SELECT count(*) FROM events", own];
    for (arguments, code) in [(&["backtest", own][..], 1), (&counted[..], 0)] {
        let asked = keywatch(&directory, arguments, b"");
        assert_eq!(asked.status.code(), Some(code), "{}", err(&asked));
        assert!(err(&asked).contains("events: this copy of a log on Kafka lacks"), "{}", err(&asked));
    }

    // Which ones the copy lacks is remembered, and it goes on.
    let running = machine.start().await;
    until_later(&running, 1).await;
    until_told(&running).await;
    running.send(sessions("carl", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    let [events, conclusions] = copied(&machine);
    let expected = [("ann-42".to_owned(), 1), ("bob-3".to_owned(), 1), ("carl-3".to_owned(), 1)];
    assert_eq!(machine.found(&events, &conclusions), expected.into());
}

/// Waits until it says that its copy lacks so many messages.
async fn until_later(running: &Running, messages: u64) {
    let said = async {
        while running.metric("keywatch_log_later_messages", "").await != messages {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), said).await.expect("it says what its copy lacks");
}

/// Entities of the findings that something was passed by.
fn of_passed_by(conclusions: &[Event]) -> Vec<String> {
    let of_rule = |event: &&Event| event.kind() == "finding.created" && event.detail().value()["rule"] == PASSED_BY;
    let entity = |event: &Event| event.detail().value()["entity"].as_str().unwrap().to_owned();
    conclusions.iter().filter(of_rule).map(entity).collect()
}

/// Waits until `/readyz` warns of it and people are told.
async fn until_told(running: &Running) {
    let told = async {
        loop {
            let (status, ready) = ask(running, "/readyz", None).await;
            let (_, listed) = ask(running, "/v1/alerts?limit=1000", None).await;
            let is_alert = listed["alerts"].as_array().unwrap().iter().any(|alert| alert["rule"] == PASSED_BY);
            if status == StatusCode::OK && ready["warnings"]["log"].is_string() && is_alert {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), told).await.expect("people are told, and it stays ready");
}

/// Gives a machine a rule more, which finds the fourth session of an actor.
fn with_another_rule(machine: &Machine) {
    let of_third = |file: &str| std::fs::read_to_string(machine.path(&format!("rules/{}.{file}", THIRD.id))).unwrap();
    let fourth = of_third("sql").replace("n = 3", "n = 4");
    for (file, text) in
        [("sql", fourth), ("fires.jsonl", of_third("fires.jsonl")), ("quiet.jsonl", of_third("quiet.jsonl"))]
    {
        std::fs::write(machine.path(&format!("rules/own/fourth.{file}")), text).unwrap();
    }
}

/// Whether a rule is one of the test's. A start without a rule that was there is told of by keywatch itself.
fn is_own(rule: &Value) -> bool {
    rule.as_str().is_some_and(|rule| rule.starts_with("own/"))
}

/// Ids of what these rules found, as it stands in Kafka, each as often as it stands there.
fn found(machine: &Machine) -> BTreeMap<String, usize> {
    let arguments = ["tail", "keywatch.toml", "--topic", "conclusions", "--all", "--kind", "finding."];
    let (lines, _) = tools::log(&machine.path(""), &arguments, 0);
    let mut found = BTreeMap::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if is_own(&line["detail"]["rule"]) {
            *found.entry(line["detail"]["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    found
}

/// Waits until so many findings stand in Kafka.
async fn until_found(machine: &Machine, count: usize) {
    let until = std::time::Instant::now() + std::time::Duration::from_mins(2);
    while found(machine).len() < count {
        assert!(std::time::Instant::now() < until, "{} findings, not {count}", found(machine).len());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn p1_processes_with_different_rules_change_places_and_what_is_found_stands_once() {
    let (broker, prefix, shared) = (broker(), prefix(), tempfile::tempdir().unwrap());
    let (key, state) = (shared.path().join("role.key"), shared.path().join("state"));
    let log = format!("partitions = {PARTITIONS}\nkey_file = \"{}\"\n", key.display());
    let taker = of_all_systems(Machine::with_this_rule_alone(THIRD));
    taker.configure(&log_section(&broker, &prefix, &log));
    let taking = taker.start_with(&["--role", "ingest"]).await;
    let [earlier, later] = [(); 2].map(|()| {
        let machine = of_all_systems(Machine::with_this_rule_alone(THIRD));
        let here = format!("{log}share_partitions = true\nstate = \"{}\"\n", state.display());
        machine.configure(&log_section(&broker, &prefix, &here));
        machine
    });
    with_another_rule(&later);
    let each = SYSTEMS.len();

    let one = earlier.start_with(&EVALUATE).await;
    until_shared(&[&one], 4).await;
    send(&taking, &[round(0..3, 1), round(0..3, 2)].concat()).await;
    // Side by side for a while, as in a rolling upgrade.
    let two = later.start_with(&EVALUATE).await;
    until_shared(&[&one, &two], 2).await;
    send(&taking, &round(0..1, 3)).await;
    until_found(&taker, each).await;
    one.stop();
    until_shared(&[&two], 4).await;
    send(&taking, &[round(1..2, 3), round(0..2, 4)].concat()).await;
    until_found(&taker, 4 * each).await;

    // And the way back. Who does not have the rule finds nothing of its, and leaves what it found.
    let one = earlier.start_with(&EVALUATE).await;
    until_shared(&[&one, &two], 2).await;
    two.stop();
    until_shared(&[&one], 4).await;
    send(&taking, &[round(2..3, 3), round(2..3, 4)].concat()).await;
    until_found(&taker, 5 * each).await;
    let (status, listed) = ask(&one, "/v1/alerts?limit=1000", None).await;
    assert_eq!(status, StatusCode::OK, "{listed}");
    let alerts = listed["alerts"].as_array().unwrap().iter();
    assert_eq!(alerts.filter(|alert| is_own(&alert["rule"])).count(), 5 * each, "an alert for each");
    one.stop();
    taking.stop();
    let found = found(&taker);
    assert!(found.len() == 5 * each && found.values().all(|times| *times == 1), "{found:?}");
}
