//! How long a start takes over an old log, and what it takes. Run by hand:
//!
//! `cargo test --release --test all bench_ -- --ignored --nocapture`
//!
//! The shipped rules are off: what their windows remember is measured by `make bench-state`, and four times ten million
//! events through all of them would take hours.
//!
//! It makes a log of simulated traffic in the log time of a year or of a week that ends now, has keywatch find 20 000 things
//! in it from its beginning, and starts it again: with what was kept, killed in between, and with nothing kept.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use keywatch_simulator::{Settings, Simulation};
use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{Clocks, EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Instant, Log, Topic};

use super::machine::{Machine, Rule, Running, snapshots};
use crate::support::clock;

const MARKED: Rule = Rule {
    id: "own/marked",
    sql: "SELECT event_id, actor AS entity FROM events WHERE kind = 'session.presented' AND asn = 64999",
};

const EVENTS: u64 = 10_000_000;
const FINDINGS: u64 = 20_000;
const APPEND: usize = 2_048;
const DAY_NS: i64 = 86_400_000_000_000;

/// Clocks that show what they are told.
#[derive(Clone)]
struct Told(Arc<AtomicI64>);

impl Clocks for Told {
    fn wall(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst).unsigned_abs())
    }
}

fn now() -> i64 {
    clock::now().0
}

/// Something that the rule finds, about somebody else each time.
fn marked(number: u64, time: i64) -> Event {
    let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
    let mut event = Event::builder(&origin, &format!("marked-{number}"), "session.presented", Instant(time));
    event.session(format!("m-{number}")).actor(format!("somebody-{number}")).asn(64_999).build_own()
}

/// A log of so many days that ends now.
fn make(directory: &Path, days: u64) {
    let begins = now() - i64::try_from(days).unwrap() * DAY_NS;
    let settings = Settings { start: Instant(begins), ..Settings::new(EVENTS - FINDINGS, days, 1) };
    let mut traffic = Simulation::new(settings).unwrap();
    let clock = Told(Arc::new(AtomicI64::new(begins)));
    let options = Options { clocks: Box::new(clock.clone()), ..Options::new(Clock::Wall) };
    let log = EmbeddedLog::open(directory, options).unwrap();
    log.append(Topic::Events, traffic.inventory().activation(Instant(begins))).unwrap();
    let (mut batch, mut made, mut found) = (Vec::new(), 0, 0);
    let append = |batch: &mut Vec<Event>| {
        if let Some(last) = batch.last() {
            clock.0.fetch_max(last.event_time().0.min(now()), Ordering::SeqCst);
            log.append(Topic::Events, std::mem::take(batch)).unwrap();
        }
    };
    for event in &mut traffic {
        made += 1;
        if found < FINDINGS && made * FINDINGS / EVENTS > found {
            batch.push(marked(found, event.event_time().0));
            found += 1;
        }
        batch.push(event);
        if batch.len() >= APPEND {
            append(&mut batch);
        }
    }
    append(&mut batch);
}

fn bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .map(
            |entry| {
                if entry.file_type().unwrap().is_dir() { bytes(&entry.path()) } else { entry.metadata().unwrap().len() }
            },
        )
        .sum()
}

async fn start(machine: &Machine, what: &str) -> Running {
    let begun = Stopwatch::now();
    let running = machine.start_patiently(Duration::from_mins(20)).await;
    let ready = begun.elapsed().as_secs_f64();
    let [resident, most] = ["VmRSS", "VmHWM"].map(|field| running.memory_kib(field) / 1024);
    let gone_through = running.metric("keywatch_engine_records_total", "").await;
    println!("{what:<44} {ready:>8.2} s  {resident:>5} MiB  {most:>5} MiB at most  {gone_through:>9} records");
    running
}

async fn measure(days: u64) {
    let machine = Machine::with_this_rule_alone(MARKED);
    let data = machine.path("keywatch-data");
    let begun = Stopwatch::now();
    make(&data, days);
    let took = begun.elapsed().as_secs_f64();
    println!("{EVENTS} events in {days} days, made in {took:.0} s: {} MiB", bytes(&data) >> 20);
    start(&machine, "with nothing kept, nothing found yet").await.stop();
    println!("ids {} MiB", bytes(&data.join("ids")) >> 20);
    start(&machine, "with what was kept").await.stop();
    drop(start(&machine, "again, then killed").await);
    start(&machine, "after the kill").await.stop();
    fs::remove_dir_all(data.join("window-state")).unwrap();
    drop(start(&machine, "without window state").await);
    fs::remove_dir_all(data.join("alerting-state")).unwrap();
    start(&machine, "with nothing kept").await.stop();
    fs::remove_dir_all(data.join("ids")).unwrap();
    start(&machine, "without the index of ids").await.stop();
    assert_eq!(snapshots(&machine).len(), 2);
    let opened = machine.conclusions().filter(|event| event.kind() == "alert.opened").count() as u64;
    assert!((FINDINGS..FINDINGS + FINDINGS / 10).contains(&opened), "{opened} alerts: each thing is found once");
}

#[tokio::test]
#[ignore = "a measurement of half an hour"]
async fn bench_a_start_over_ten_million_events_of_a_week_and_of_a_year() {
    for days in [7, 365] {
        measure(days).await;
    }
}
