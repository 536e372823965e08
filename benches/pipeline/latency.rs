//! From before an append to the finding in hand, on the durable log, while traffic arrives at a fixed rate.
//!
//! Callers append as front doors do, each waiting until its events are durable. A follower waits for the log to grow,
//! reads and runs all rules. Markers are approvals whose signature recovers to somebody else: a rule without look-ahead
//! finds each at once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant as Stopwatch};

use keywatch_detectors::{Engine, Settings, rule};
use keywatch_store::event::Origin;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, EventId, Instant, Log, Position, Topic};
use serde_json::json;

use crate::Times;
use crate::support::custody::{self, DAY_EVENTS, SYSTEM};

const SPELL_SECONDS: usize = 15;
/// Days of traffic: one before, and one for all loads.
const DAYS: usize = 2;
/// A source of approvals, whose records a marker imitates.
const SIGNER: &str = "safe-transaction-service";
const READ_RECORDS: usize = 4_096;
const SILENCE_MAX: Duration = Duration::from_secs(30);
const FOUND_BY: &str = "signing/confirmation_mismatch";

/// How events arrive.
struct Load {
    name: &'static str,
    appends_a_second: usize,
    events_an_append: usize,
    callers: usize,
    /// Every so many appends end with a marker.
    marker_every: usize,
}

const LOADS: [Load; 3] = [
    Load { name: "one", appends_a_second: 1_000, events_an_append: 1, callers: 8, marker_every: 10 },
    Load { name: "many", appends_a_second: 100, events_an_append: 100, callers: 4, marker_every: 1 },
    Load { name: "idle", appends_a_second: 20, events_an_append: 1, callers: 1, marker_every: 1 },
];

/// The log, the rules that follow it, and how far they are.
struct Following<'a> {
    log: &'a EmbeddedLog,
    engine: Engine,
    position: Position,
}

/// Prints the time of a durable append and the time to the finding under each load.
pub(crate) fn table(directory: &Path) {
    let root = tempfile::tempdir_in(directory).unwrap();
    let log = EmbeddedLog::open(root.path(), Options::new(Clock::Wall)).unwrap();
    let engine = Engine::new(&rule::shipped().unwrap(), &Settings::default()).unwrap();
    let mut following = Following { log: &log, engine, position: Position::default() };
    let mut traffic = custody::ordinary(DAYS);
    let mut before: Vec<Event> = traffic.by_ref().take(DAY_EVENTS).collect();
    before.iter_mut().for_each(|event| *event = claiming(event, now()));
    for events in before.chunks(READ_RECORDS) {
        log.append(Topic::Events, events.to_vec()).unwrap();
    }
    following.catch_up(|_| ());
    // The follower needs no ticks.
    let mut traffic = traffic.filter(|event| event.source() != "keywatch");
    println!(
        "\nlatency: durable log on the wall clock, {} records before, {SPELL_SECONDS} s each; µs",
        following.position.0
    );
    println!("{:<42} {:>35}   {:>35} {:>8}", "", "durable append", "append to finding", "");
    let header = format!("{:>8} {:>8} {:>8} {:>8}", "p50", "p99", "p99.9", "max");
    println!("{:<31} {:>10} {header}   {header} {:>8}", "appends a second × events", "reached/s", "findings");
    for load in &LOADS {
        measure(&mut following, load, &mut traffic);
    }
}

fn measure(following: &mut Following<'_>, load: &Load, traffic: &mut impl Iterator<Item = Event>) {
    let appends: Vec<Mutex<Vec<Event>>> = load.appends(traffic).into_iter().map(Mutex::new).collect();
    let markers = appends.len() / load.marker_every;
    let (log, next) = (following.log, AtomicUsize::new(0));
    let sent: Mutex<HashMap<EventId, Stopwatch>> = Mutex::default();
    let mut found = Times::new();
    let begun = Stopwatch::now();
    let (durable, taken) = std::thread::scope(|scope| {
        let call = || append_in_turn(log, load, &appends, &next, &sent, begun);
        let callers: Vec<_> = (0..load.callers).map(|_| scope.spawn(call)).collect();
        following.until(markers, &sent, &mut found);
        let mut durable = Times::new();
        for caller in callers {
            durable.add(&caller.join().unwrap());
        }
        (durable, begun.elapsed())
    });
    assert_eq!(found.len(), markers as u64, "a marker was not found within {SILENCE_MAX:?}");
    let reached = (appends.len() * load.events_an_append) as f64 / taken.as_secs_f64();
    let what = format!("{} × {}, {} callers", load.appends_a_second, load.events_an_append, load.callers);
    println!("{what:<31} {reached:>10.0} {}   {} {:>8}", durable.shown(), found.shown(), found.len());
}

/// Takes the next append that nobody took, at its time or at once when that has passed, until there are none.
fn append_in_turn(
    log: &EmbeddedLog,
    load: &Load,
    appends: &[Mutex<Vec<Event>>],
    next: &AtomicUsize,
    sent: &Mutex<HashMap<EventId, Stopwatch>>,
    begun: Stopwatch,
) -> Times {
    let mut durable = Times::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(append) = appends.get(number) else { return durable };
        let mut events = std::mem::take(&mut *append.lock().unwrap());
        let due = begun
            + Duration::from_secs(1) * u32::try_from(number).unwrap() / u32::try_from(load.appends_a_second).unwrap();
        std::thread::sleep(due.saturating_duration_since(Stopwatch::now()));
        let claimed = now();
        for event in &mut events {
            *event = claiming(event, claimed);
        }
        let before = Stopwatch::now();
        if let Some(marker) = events.last().filter(|event| is_marker(event)) {
            sent.lock().unwrap().insert(marker.event_id(), before);
        }
        log.append(Topic::Events, events).unwrap();
        durable.note(before.elapsed());
    }
}

impl Load {
    /// The events of each append: the traffic goes on, at the place of every so many is a marker.
    fn appends(&self, traffic: &mut impl Iterator<Item = Event>) -> Vec<Vec<Event>> {
        let appends = self.appends_a_second * SPELL_SECONDS;
        let append = |number: usize| {
            let mut events: Vec<Event> = traffic.by_ref().take(self.events_an_append).collect();
            assert_eq!(events.len(), self.events_an_append, "there is traffic for the whole spell");
            if (number + 1).is_multiple_of(self.marker_every) {
                *events.last_mut().unwrap() = marker(&format!("{}-marker-{number}", self.name));
            }
            events
        };
        (0..appends).map(append).collect()
    }
}

impl Following<'_> {
    /// Follows the log until so many markers are found, or nothing comes any more.
    fn until(&mut self, markers: usize, sent: &Mutex<HashMap<EventId, Stopwatch>>, found: &mut Times) {
        while found.len() < markers as u64 {
            if self.log.wait_past(Topic::Events, self.position, SILENCE_MAX) <= self.position {
                return;
            }
            self.catch_up(|anchor| found.note(sent.lock().unwrap()[&anchor].elapsed()));
        }
    }

    fn catch_up(&mut self, mut tell: impl FnMut(EventId)) {
        loop {
            let events = self.log.read(Topic::Events, self.position, READ_RECORDS).unwrap();
            if events.is_empty() {
                return;
            }
            let outcome = self.engine.run(self.position, &events).unwrap();
            assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
            self.position = self.position.plus(events.len());
            let findings = outcome.findings.into_iter().map(|decided| decided.finding);
            findings.filter(|finding| finding.rule == FOUND_BY).for_each(|finding| tell(finding.anchor));
        }
    }
}

fn marker(request: &str) -> Event {
    let origin = Origin { system: SYSTEM.to_owned(), source: SIGNER.to_owned() };
    let mut event = Event::builder(&origin, request, "signing.approved", Instant::UNASSIGNED);
    event.request(request).outcome("mismatch");
    event.detail(&json!({ "signer_claimed": "0x01", "signer_recovered": "0x02" }));
    event.build_own()
}

/// The event with another time that its source claims.
fn claiming(event: &Event, time: Instant) -> Event {
    event.changed(|event| event.event_time(time))
}

fn is_marker(event: &Event) -> bool {
    event.outcome() == Some("mismatch")
}

fn now() -> Instant {
    Instant(i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap())
}
