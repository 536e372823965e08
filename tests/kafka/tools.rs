//! `keywatch log` on Kafka: a log moves there with its times and is gone on with, is shown, checked, and copied back.

use std::collections::BTreeMap;
use std::path::Path;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::kafka::{KafkaLog, Producer, Settings, partition_of};
use keywatch_store::{Clock, Event, EventId, Instant, Log, LogWriter, Position, Topic, line};

use super::foreign::write;
use super::packed::signed;
use super::running::{THIRD, log_section, sessions, third};
use crate::incidents::recording::bybit;
use crate::running::machine::Machine;
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::{Broker, broker, prefix};

/// Runs `keywatch log` there; what it says.
pub(super) fn log(directory: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let arguments = [&["log"][..], arguments].concat();
    let done = keywatch(directory, &arguments, b"");
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}{}", out(&done), err(&done));
    (out(&done), err(&done))
}

pub(super) fn all(log: &dyn Log, topic: Topic) -> Vec<Event> {
    log.read(topic, Position(0), usize::MAX).unwrap()
}

pub(super) fn directory_with(broker: &Broker, prefix: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let inventory = "[[systems]]\nid = \"any\"\n";
    std::fs::write(directory.path().join("inventory.toml"), inventory).unwrap();
    std::fs::write(directory.path().join("keywatch.toml"), log_section(broker, prefix, "")).unwrap();
    directory
}

#[test]
fn p1_a_log_is_copied_to_kafka_and_back_with_all_times() {
    let (broker, prefix) = (broker(), prefix());
    let directory = directory_with(&broker, &prefix);
    let path = directory.path();
    let first = EmbeddedLog::open(path.join("first"), Options::new(Clock::Recorded)).unwrap();
    let events = bybit().events;
    first.append(Topic::Events, events.clone()).unwrap();
    first.append(Topic::Conclusions, events[..3].to_vec()).unwrap();
    let records = Topic::ALL.map(|topic| all(&first, topic));
    drop(first);

    log(path, &["copy", "first", "keywatch.toml"], 0);
    let (_, refused) = log(path, &["copy", "first", "keywatch.toml"], 2);
    assert!(refused.contains("copy into an empty one"), "{refused}");
    let (checked, _) = log(path, &["check", "keywatch.toml"], 0);
    assert!(checked.contains("whole: every message"), "{checked}");

    log(path, &["copy", "keywatch.toml", "second"], 0);
    let second = EmbeddedLog::open(path.join("second"), Options::new(Clock::Recorded)).unwrap();
    assert_eq!(Topic::ALL.map(|topic| all(&second, topic)), records);
    log(path, &["copy", "keywatch.toml", "events.jsonl"], 0);
    let lines: Vec<String> = records[0].iter().map(line::write).collect();
    assert_eq!(std::fs::read_to_string(path.join("events.jsonl")).unwrap(), format!("{}\n", lines.join("\n")));

    // The first events that are wanted, and no others.
    let arguments = ["tail", "keywatch.toml", "--all", "--kind", "signing.", "--where", "wallet IS NOT NULL"];
    let wanted = |event: &&Event| event.kind().starts_with("signing.") && event.wallet().is_some();
    let shown: Vec<String> = records[0].iter().filter(wanted).map(line::write).collect();
    assert!(!shown.is_empty() && shown.len() < records[0].len());
    for place in ["keywatch.toml", "second", "events.jsonl"] {
        let arguments = arguments.map(|argument| if argument == "keywatch.toml" { place } else { argument });
        if place == "second" {
            let held = log(path, &arguments, 2).1;
            assert!(held.contains("in use"), "{held}");
            continue;
        }
        assert_eq!(log(path, &arguments, 0).0, format!("{}\n", shown.join("\n")), "{place}");
    }

    write(&broker, &format!("{prefix}.events"), "any", "{}", None);
    let (said, _) = log(path, &["check", "keywatch.toml"], 1);
    assert!(
        said.contains(&format!("offset {} is none of keywatch's: it has no keywatch-clock", events.len())),
        "{said}"
    );
}

#[test]
fn what_a_role_signed_and_nobody_can_read_is_counted_apart_from_what_no_role_wrote() {
    let (broker, prefix) = (broker(), prefix());
    let directory = directory_with(&broker, &prefix);
    let path = directory.path();
    let first = EmbeddedLog::open(path.join("first"), Options::new(Clock::Recorded)).unwrap();
    first.append(Topic::Events, bybit().events[..3].to_vec()).unwrap();
    drop(first);
    log(path, &["copy", "first", "keywatch.toml"], 0);
    let topic = format!("{prefix}.events");
    let headers = signed(&path.join("keywatch-data/keywatch.key"), "any", b"nonsense");
    write(&broker, &topic, "any", "{}", None);
    write(&broker, &topic, "any", "nonsense", Some(headers));

    let (copied, said) = log(path, &["copy", "keywatch.toml", "second"], 1);
    let words = |line: &str| {
        let words = line.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    // Topic, written, repeats, conflicts, foreign, unreadable.
    assert!(copied.lines().any(|line| words(line) == ["events", "3", "0", "0", "1", "1"]), "{copied}");
    assert!(said.contains("1 messages that a role of keywatch wrote cannot be read"), "{said}");
    let (checked, _) = log(path, &["check", "keywatch.toml"], 1);
    assert!(checked.contains("offset 3 is none of keywatch's"), "{checked}");
    assert!(checked.contains("offset 4 is keywatch's and cannot be read"), "{checked}");
}

#[test]
fn p1_a_log_of_two_partitions_is_copied_as_a_whole_in_both_directions() {
    let (broker, prefix) = (broker(), prefix());
    let directory = directory_with(&broker, &prefix);
    let path = directory.path();
    std::fs::write(path.join("keywatch.toml"), log_section(&broker, &prefix, "partitions = 2\n")).unwrap();
    let first = EmbeddedLog::open(path.join("first"), Options::new(Clock::Recorded)).unwrap();
    let systems = ["cold", "warm"];
    assert_eq!(systems.map(|system| partition_of(system, 2)), [0, 1]);
    for (number, event) in bybit().events[..400].iter().enumerate() {
        let mut id = [4; 16];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        // In turns, so that they have to be told apart.
        let (system, id) = (systems[number % 2], EventId(id));
        let line = line::write(event).replace(event.system(), system);
        let event = line::read(line.as_bytes()).unwrap().changed(|event| event.event_id(id));
        first.append(Topic::Events, vec![event.clone()]).unwrap();
        if number % 50 < 2 {
            first.append(Topic::Conclusions, vec![event]).unwrap();
        }
    }
    let of_systems = |log: &dyn Log| {
        let of_topic = |topic| {
            let records = all(log, topic);
            systems.map(|system| records.iter().filter(|event| event.system() == system).cloned().collect::<Vec<_>>())
        };
        Topic::ALL.map(of_topic)
    };
    let records = of_systems(&first);
    assert!(records.iter().flatten().all(|records| !records.is_empty()));
    drop(first);

    log(path, &["copy", "first", "keywatch.toml"], 0);
    let (checked, _) = log(path, &["check", "keywatch.toml"], 0);
    assert!(checked.contains("whole: every message"), "{checked}");
    for (partition, system) in systems.into_iter().enumerate() {
        let copy = path.join(format!("keywatch-data/kafka-{partition}"));
        let copy = EmbeddedLog::open(copy, Options::new(Clock::Recorded)).unwrap();
        assert!(all(&copy, Topic::Events).iter().all(|event| event.system() == system), "{partition}");
    }
    log(path, &["copy", "keywatch.toml", "second"], 0);
    let second = EmbeddedLog::open(path.join("second"), Options::new(Clock::Recorded)).unwrap();
    assert_eq!(of_systems(&second), records, "the same records and times");
}

#[test]
fn p1_what_was_imported_stands_before_what_is_live_and_nothing_is_imported_behind_it() {
    let (broker, directory) = (broker(), tempfile::tempdir().unwrap());
    let live = super::settings(&broker, &prefix(), Clock::Wall, directory.path());
    let import = Settings { clock: Clock::Recorded, ..live.clone() };
    let events = bybit().events;
    let copy = directory.path().join("copy");
    KafkaLog::open(&import, 0, &copy).unwrap().append(Topic::Events, events[..20].to_vec()).unwrap();

    let log = KafkaLog::open(&live, 0, &copy).unwrap();
    assert_eq!(log.end(Topic::Events), Position(20));
    let appended = log.append(Topic::Events, events[20..21].to_vec()).unwrap();
    assert!(
        appended.written[0].time() > "2026-01-01T00:00:00Z".parse::<Instant>().unwrap(),
        "it has the append's time"
    );
    Producer::open(&import).unwrap().write(Topic::Events, events[21..23].to_vec()).unwrap();
    log.append(Topic::Events, events[23..24].to_vec()).unwrap();
    assert_eq!((log.end(Topic::Events), log.foreign_messages()), (Position(22), 2));
    let records = all(&log, Topic::Events);
    assert!(records[..20].iter().map(Event::time).eq(events[..20].iter().map(Event::time)));
    drop(log);

    // So it is for who comes back, and for who reads it from the beginning.
    let again = KafkaLog::open(&live, 0, &copy).unwrap();
    Producer::open(&import).unwrap().write(Topic::Events, events[24..25].to_vec()).unwrap();
    again.append(Topic::Events, events[25..26].to_vec()).unwrap();
    assert_eq!((again.end(Topic::Events), again.foreign_messages()), (Position(23), 1));
    let other = KafkaLog::open(&live, 0, &directory.path().join("other")).unwrap();
    assert_eq!(all(&other, Topic::Events), all(&again, Topic::Events));
}

#[tokio::test]
async fn p4_a_running_system_moves_to_kafka_and_nothing_is_found_or_told_twice() {
    let broker = broker();
    let machine = Machine::new(THIRD);
    let running = machine.start().await;
    running.send(sessions("ann", 1..=2)).await;
    running.send(sessions("bob", 1..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();
    let before = machine.record();

    let configuration = std::fs::read_to_string(machine.path("keywatch.toml")).unwrap();
    let moved = format!("data = \"moved\"\n{configuration}{}", log_section(&broker, &prefix(), ""));
    std::fs::write(machine.path("keywatch.toml"), moved).unwrap();
    log(machine.path("").as_path(), &["copy", "keywatch-data", "keywatch.toml"], 0);
    let running = machine.start().await;
    running.send(sessions("ann", 3..=4)).await;
    running.send(sessions("bob", 3..=3)).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    running.stop();

    let copy = EmbeddedLog::open(machine.path("moved/kafka-0"), Options::new(Clock::Recorded)).unwrap();
    let [events, conclusions] = Topic::ALL.map(|topic| all(&copy, topic));
    assert_eq!(events[..before.events.len()], before.events, "the same records, positions and times");
    assert_eq!(machine.found(&events, &conclusions), third(&["ann", "bob"]));
    let told: BTreeMap<String, usize> = machine.told(&events, &conclusions);
    assert!(!told.is_empty() && told.values().all(|times| *times == 1), "{told:?}");
}
