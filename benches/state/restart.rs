//! A restart with ten million rows in windows: the snapshot is written and read as the program does, checksum included.
//!
//! One process builds the state, writes the snapshot, and then runs the next events itself, so that what it finds in them
//! is known; another one restores and must find the same. The file comes from the page cache, as after a restart of the
//! process; the events come from a file, are read before the clock starts, and stand for what the log holds.

use std::path::{Path, PathBuf};
use std::time::Instant as Stopwatch;

use keywatch_detectors::{Engine, Limits, Rule, Settings, StateSize, rule as rules};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Instant, Log, Position, Topic, line};
use serde::{Deserialize, Serialize};

use crate::snapshots::Snapshots;
use crate::support::custody;
use crate::support::feed::{Feed, Shape};
use crate::support::measured::{once, status_bytes};
use crate::support::rule;
use crate::{BATCH, Following, mebibytes};

const ROWS: usize = 10_000_000;
/// So that as many fit into one group of windows.
const LIMITS: Limits = Limits { rows_max: 2 * ROWS, keys_max: 2 * ROWS, waiting_max: 2 * ROWS };
const MINUTE_NS: i64 = 60_000_000_000;
/// Where the snapshot stands; the log beside it needs the record before only.
const POSITION: Position = Position(1);

const COUNT: &str = "one count";
const FOUR: &str = "count, sum, max and distinct by four keys";
const AHEAD: &str = "count over 10 minutes ahead, a tenth of the rows";
const SHIPPED: &str = "shipped rules, two million events";
const WHAT: [&str; 4] = [COUNT, FOUR, AHEAD, SHIPPED];
const SHIPPED_DAYS: usize = 10;

/// Calls with their keys, and what every key exceeds.
const CALLS: [(&str, &str, u64); 4] = [
    ("count(*)", "session", 50),
    ("sum(amount_usd)", "actor", 1_000),
    ("max(amount_usd)", "wallet", 100),
    ("count(DISTINCT device)", "country", 100),
];

#[derive(Deserialize, Serialize)]
pub(crate) struct Saved {
    rows: usize,
    keys: usize,
    accounted_bytes: usize,
    seconds: f64,
    disk_bytes: u64,
    peak_bytes: u64,
}

#[derive(Deserialize, Serialize)]
pub(crate) struct Restored {
    seconds: f64,
    found_seconds: f64,
    findings: usize,
    peak_bytes: u64,
}

/// Prints what a restart takes.
pub(crate) fn table(directory: &Path) {
    println!("\n### Restart with {ROWS} rows in windows, where nothing else stands\n");
    println!(
        "Seconds from the start of the restoring to its end, and to the first finding that rests on what was restored.\n"
    );
    println!(
        "| rules | rows | keys | MiB accounted | s to save | MiB on disk | s to restore | s to first finding | MiB resident at most, saving / restoring |"
    );
    println!("|{}", "---|".repeat(9));
    for what in WHAT {
        let root = tempfile::tempdir_in(directory).unwrap();
        let root = root.path().to_str().unwrap();
        let saved: Saved = once(&["save", what, root]);
        let restored: Restored = once(&["restore", what, root]);
        println!(
            "| {what} | {} | {} | {} | {:.2} | {} | {:.2} | {:.2} | {} / {} |",
            saved.rows,
            saved.keys,
            mebibytes(saved.accounted_bytes as u64),
            saved.seconds,
            mebibytes(saved.disk_bytes),
            restored.seconds,
            restored.found_seconds,
            mebibytes(saved.peak_bytes),
            mebibytes(restored.peak_bytes)
        );
    }
}

/// Builds the state and writes the snapshot, the next events and what is found in them.
pub(crate) fn save(what: &str, directory: &Path) -> Saved {
    let mut following = Following::new(&rules_of(what), LIMITS);
    let next = if what == SHIPPED { fill_with_traffic(&mut following) } else { fill(&mut following, what) };
    let StateSize { rows, keys, bytes, .. } = following.engine.state_size();
    let log = log(&next[0]);
    let begun = Stopwatch::now();
    Snapshots::at(&snapshots(directory)).write(&following.engine, &log, POSITION).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    let peak_bytes = status_bytes("VmHWM:");
    let files = std::fs::read_dir(snapshots(directory)).unwrap();
    let disk_bytes = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let lines: Vec<String> = next.iter().map(line::write).collect();
    std::fs::write(directory.join("next.jsonl"), lines.join("\n")).unwrap();
    std::fs::write(directory.join("found"), found(&mut following.engine, &next).join("\n")).unwrap();
    Saved { rows, keys, accounted_bytes: bytes, seconds, disk_bytes, peak_bytes }
}

/// Restores, runs the next events and finds the same in them.
pub(crate) fn restore(what: &str, directory: &Path) -> Restored {
    let lines = std::fs::read_to_string(directory.join("next.jsonl")).unwrap();
    let next: Vec<Event> = lines.lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    let known = std::fs::read_to_string(directory.join("found")).unwrap();
    let log = log(&next[0]);
    let make = || Ok(Engine::new(&rules_of(what), &Settings { limits: LIMITS, ..Settings::default() })?);
    let begun = Stopwatch::now();
    let crate::snapshots::Restored { mut engine, position, missing, rejected } =
        Snapshots::at(&snapshots(directory)).restore(make, &log).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!((position, missing, rejected), (POSITION, Vec::new(), 0), "the snapshot was taken");
    let found = found(&mut engine, &next);
    let found_seconds = begun.elapsed().as_secs_f64();
    assert!(!found.is_empty() && found.join("\n") == known, "the restored engine finds what the other one found");
    Restored { seconds, found_seconds, findings: found.len(), peak_bytes: status_bytes("VmHWM:") }
}

fn rules_of(what: &str) -> Vec<Rule> {
    let hour = "INTERVAL '1 hour' PRECEDING AND CURRENT ROW";
    let (calls, frame) = match what {
        COUNT => (&CALLS[..1], hour),
        FOUR => (&CALLS[..], hour),
        AHEAD => (&CALLS[..1], "CURRENT ROW AND INTERVAL '10 minutes' FOLLOWING"),
        _ => return rules::shipped().unwrap(),
    };
    // What the row alone says stands within the sum, so that every row is held until its frame is closed.
    let one = |(call, key, more): &(&str, &str, u64)| {
        let sql = format!(
            "SELECT event_id, {key} AS entity, n FROM (SELECT *, {call} OVER (PARTITION BY {key} ORDER BY time RANGE BETWEEN \
             {frame}) AS n FROM events) WHERE n + CASE WHEN outcome = 'asked' THEN 0 ELSE -1000000000000 END > {more}"
        );
        rule(&format!("bench/by_{key}"), &sql)
    };
    calls.iter().map(one).collect()
}

/// Made-up events, as many as frames hold. In the next batch every rule is asked, or, where frames lie ahead, answers what
/// it was asked in the first.
fn fill(following: &mut Following, what: &str) -> Vec<Event> {
    let (rows, minutes) = if what == AHEAD { (ROWS / 10, 10) } else { (ROWS, 60) };
    let events = rows / rules_of(what).len();
    let apart_ns = minutes * MINUTE_NS / i64::try_from(events).unwrap();
    let shape = Shape { sessions: 10_000, events: events + BATCH, apart_ns, full: true };
    let mut feed = Feed::new(Shape { events, ..shape }, BATCH);
    while let Some((first, events)) = feed.next() {
        if what == AHEAD && first == Position::default() {
            following.run(&asked(events));
        } else {
            following.run(events);
        }
    }
    let mut next = Feed::from(shape, BATCH, events);
    asked(next.next().unwrap().1)
}

/// These events, one of which every rule is asked about.
fn asked(events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    events[BATCH / 2] = events[BATCH / 2].changed(|event| event.outcome("asked"));
    events
}

/// Custody traffic; the next event uses a session that has ended.
fn fill_with_traffic(following: &mut Following) -> Vec<Event> {
    let mut traffic = custody::ordinary(SHIPPED_DAYS);
    let (mut ended, mut last) = (None, Instant::UNASSIGNED);
    loop {
        let events: Vec<Event> = traffic.by_ref().take(BATCH).collect();
        let Some(newest) = events.last() else { break };
        last = newest.time();
        following.run(&events);
        ended = events.iter().rfind(|event| event.kind() == "session.ended").cloned().or(ended);
    }
    let ended = ended.unwrap();
    let mut id = ended.event_id();
    id.0[0] ^= 1;
    let mut used = ended.to_builder();
    used.event_id(id).kind("session.presented").outcome("success");
    used.time(last.saturating_add(1)).event_time(ended.event_time().saturating_add(2 * MINUTE_NS));
    vec![used.build_own()]
}

fn found(engine: &mut Engine, next: &[Event]) -> Vec<String> {
    let outcome = engine.run(POSITION, next).unwrap();
    assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
    outcome.findings.iter().map(|decided| serde_json::to_string(&decided.finding).unwrap()).collect()
}

/// A log whose last record before the snapshot is that one.
fn log(event: &Event) -> MemoryLog {
    let log = MemoryLog::new();
    log.append(Topic::Events, vec![event.clone()]).unwrap();
    log
}

fn snapshots(directory: &Path) -> PathBuf {
    directory.join("state")
}
