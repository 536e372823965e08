//! A log that lost records, as a user meets it: nothing evaluates it as if it were whole, `keywatch log check` says what is
//! wrong, and going on with the loss is recorded and pages.

use std::fs;
use std::path::{Path, PathBuf};

use keywatch_store::limits::REPEAT_HORIZON_NS;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, EventId, Instant, Log, Position, Topic, line};
use serde_json::Value;

use crate::support::command::{err, keywatch, out};
use crate::support::tree;

/// The log of an incident in batches of a hundred, closed; the records in it.
fn log(directory: &Path) -> Vec<Event> {
    let text = fs::read_to_string(tree::root().join("replay-data/2025-02-bybit/events.jsonl")).unwrap();
    let events: Vec<Event> = text.lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    let log = EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap();
    for batch in events.chunks(100) {
        log.append(Topic::Events, batch.to_vec()).unwrap();
    }
    events
}

fn journal(directory: &Path) -> PathBuf {
    let data = fs::read_dir(directory.join("data")).unwrap().map(|entry| entry.unwrap().path());
    data.filter(|path| path.extension().is_some_and(|extension| extension == "jnl")).max().unwrap()
}

/// Flips a bit in the middle of what stands in the journal.
fn damage(directory: &Path) {
    let file = journal(directory);
    let mut bytes = fs::read(&file).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[used / 2] ^= 1;
    fs::write(file, bytes).unwrap();
}

fn run(arguments: &[&str], code: i32) -> (String, String) {
    let done = keywatch(tree::root(), arguments, b"");
    assert_eq!(done.status.code(), Some(code), "{arguments:?}: {}{}", out(&done), err(&done));
    (out(&done), err(&done))
}

#[test]
fn p6_a_damaged_log_is_evaluated_only_after_somebody_accepted_the_loss() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let events = log(directory.path());
    let (whole, _) = run(&["log", "check", path], 0);
    assert!(
        whole.contains("whole: every file") && whole.contains(&format!("head of events: {} ", events.len())),
        "{whole}"
    );

    damage(directory.path());
    let (_, refused) = run(&["backtest", path], 2);
    assert!(refused.contains("100 records of the events topic are missing"), "{refused}");
    assert!(refused.contains(".jnl, bytes ") && refused.contains("keywatch log check"), "{refused}");
    let (found, _) = run(&["log", "check", path], 1);
    assert!(found.contains("100 records of the events topic are missing"), "{found}");
    assert!(!directory.path().join("scratch").exists());
    assert!(run(&["log", "accept-loss", path, "--by", " ", "--reason", "x"], 2).1.contains("--by is empty"));

    let accept = ["log", "accept-loss", path, "--by", "ann", "--reason", "the disk failed"];
    let (accepted, _) = run(&accept, 0);
    assert!(accepted.contains("rule source/gap pages") && accepted.contains("damaged-1"), "{accepted}");
    assert!(run(&accept, 2).1.contains("nothing is wrong with this log"));
    run(&["log", "check", path], 0);
    let (report, _) = run(&["backtest", path, "--format", "json", "--rule", "source/gap"], 0);
    let report: Value = serde_json::from_str(&report).unwrap();
    let gaps = report["rules"][0]["findings"].as_u64().unwrap();
    assert!(gaps >= 1, "{report}");
    assert_eq!(report["events"].as_u64().unwrap(), events.len() as u64 - 100 + gaps);
}

#[test]
fn a_log_is_not_looked_at_while_it_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let open = EmbeddedLog::open(directory.path(), Options::new(Clock::Wall)).unwrap();
    assert!(run(&["log", "check", path], 2).1.contains("in use by another keywatch"));
    drop(open);
    run(&["log", "check", path], 0);
    let nowhere = directory.path().join("nowhere");
    assert!(run(&["log", "check", nowhere.to_str().unwrap()], 2).1.contains("no such directory"));
    assert!(!nowhere.exists(), "looking makes nothing");
}

/// The findings of event lines, by rule and id, with the inventory that a start would declare again.
fn found(lines: &str, directory: &Path) -> Vec<(String, String)> {
    let file = directory.join("replayed.jsonl");
    fs::write(&file, lines).unwrap();
    let inventory = "replay-data/2025-02-bybit/inventory.toml";
    let (said, _) = run(&["replay", file.to_str().unwrap(), "--format", "jsonl", "--inventory", inventory], 0);
    let finding = |line: &str| {
        let finding: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        (text("rule"), text("id"))
    };
    said.lines().map(finding).collect()
}

#[test]
fn p3_what_retention_has_left_is_copied_with_a_record_of_what_is_missing_and_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let places = ["old", "left", "left.jsonl"].map(|name| directory.path().join(name));
    let [old, left, lines] = places.each_ref().map(|place| place.to_str().unwrap());
    let events = log(&places[0]);
    let cut = 200;
    let remaining: Vec<(EventId, Instant)> = {
        let log = EmbeddedLog::open(&places[0], Options::new(Clock::Recorded)).unwrap();
        // The horizon of repeats is kept in any case: what is as old as that goes.
        let now = Instant(events[cut + 50].time().0 + REPEAT_HORIZON_NS);
        assert_eq!(log.retire(Topic::Events, log.end(Topic::Events), now, 0).unwrap(), Position(cut as u64));
        let records = log.read(Topic::Events, Position(cut as u64), usize::MAX).unwrap();
        records.iter().map(|event| (event.event_id(), event.time())).collect()
    };
    assert!(!remaining.is_empty());

    let (_, refused) = run(&["log", "copy", old, left], 2);
    assert!(refused.contains("events starts at position 200") && refused.contains("--from-cut --by NAME"), "{refused}");
    assert!(!places[1].exists(), "nothing is made");
    assert!(run(&["log", "copy", old, left, "--from-cut", "--by", " "], 2).1.contains("--by is empty"));
    run(&["log", "copy", old, left, "--from-cut", "--by", "ann"], 0);
    let (checked, _) = run(&["log", "check", left], 0);
    assert!(checked.contains("200 records of the events topic are missing, from the beginning to"), "{checked}");
    assert!(checked.contains("ann went on without them") && checked.contains("whole: every file"), "{checked}");

    // A copy of the copy is a whole log, and has what was said.
    run(&["log", "copy", left, lines], 0);
    let copied = fs::read_to_string(&places[2]).unwrap();
    let (said, rest) = copied.split_once('\n').unwrap();
    let gap = line::read(said.as_bytes()).unwrap();
    assert_eq!((gap.kind(), gap.actor(), gap.time().0), ("source.gap", Some("ann"), remaining[0].1.0 - 1));
    let stamps: Vec<(EventId, Instant)> = rest
        .lines()
        .map(|text| line::read(text.as_bytes()).unwrap())
        .map(|event| (event.event_id(), event.time()))
        .collect();
    assert_eq!(stamps, remaining, "the same order and log times");

    // What remains is found as it is without the record, and that something is missing is found too.
    let (of_gap, of_rest): (Vec<_>, Vec<_>) =
        found(&copied, directory.path()).into_iter().partition(|(rule, _)| rule == "source/gap");
    assert_eq!(of_gap.len(), 1);
    assert!(!of_rest.is_empty());
    assert_eq!(of_rest, found(rest, directory.path()));
}
