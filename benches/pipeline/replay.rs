//! Events a second of all shipped rules over a log in memory.

use std::time::{Duration, Instant as Stopwatch};

use keywatch_detectors::{Decided, Engine, Rule, Settings, rule};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Log, Position, Topic};

use crate::Times;
use crate::copies::Incident;
use crate::support::custody::{self, DAY_EVENTS, EVENTS_A_SLIP_MIN, SLIPS};

const EVENTS: usize = 200_000;
const RUNS: usize = 5;
/// Events of a log that is run one event at a time.
const FEW_EVENTS: usize = 2_000;
/// Records appended at once while a log is filled.
const FILL_RECORDS: usize = 4_096;

/// What one run over a log took.
struct Run {
    engine: Duration,
    reading: Duration,
    batches: Times,
    findings: usize,
    /// Of the findings those that traffic without attacks may give.
    slips: usize,
}

/// Prints events a second and the time of a batch, for each log and size of batch.
pub(crate) fn table() {
    let rules = rule::shipped().unwrap();
    println!("\nreplay: {} rules, in memory, one thread; median of {RUNS} runs, batches of all runs", rules.len());
    let header = format!("{:>8} {:>8} {:>8} {:>8}", "p50", "p99", "p99.9", "max");
    println!("{:<34} {:>6} {:>9} {:>9}   {header}", "", "batch", "rules", "+ reading");
    println!("{:<34} {:>6} {:>9} {:>9}   {:>35}", "", "events", "events/s", "events/s", "µs a batch");
    for name in ["2025-02-bybit", "2024-05-dmm-bitcoin"] {
        let incident = Incident::read(name);
        let (copies, events) = incident.copies(EVENTS);
        let all_found = |run: &Run| run.findings == incident.findings * copies;
        measure(&format!("{name}, {copies} copies"), &rules, &filled(events), all_found);
    }
    let slips_only = |run: &Run| run.findings == run.slips && run.slips <= DAY_EVENTS / EVENTS_A_SLIP_MIN;
    measure("ordinary traffic", &rules, &filled(ordinary()), slips_only);
}

/// Prints what each rule costs when it runs alone over the ordinary traffic: an event in large batches, and a run in
/// batches of one event, which is what a run costs whatever it holds.
pub(crate) fn rules_table() {
    let events = ordinary();
    let few = filled(events[..FEW_EVENTS].to_vec());
    let all = filled(events);
    let cost = |rules: &[Rule]| {
        let nanoseconds = |log: &MemoryLog, size: usize| {
            let runs = (0..RUNS).map(|_| run(rules, log, size).engine).collect();
            median(runs).as_nanos() as f64 / log.end(Topic::Events).0 as f64
        };
        (nanoseconds(&all, 4_096), nanoseconds(&few, 1) / 1_000.0)
    };
    println!("\nrules alone, ordinary traffic; median of {RUNS} runs");
    println!("{:<40} {:>12} {:>12}", "", "ns an event", "µs a run");
    let rules = rule::shipped().unwrap();
    let mut alone: Vec<((f64, f64), &str)> =
        rules.iter().map(|rule| (cost(std::slice::from_ref(rule)), rule.id.as_str())).collect();
    alone.sort_by(|one, other| other.0.0.total_cmp(&one.0.0));
    for ((event, run), rule) in alone.into_iter().chain([(cost(&[]), "none"), (cost(&rules), "all")]) {
        println!("{rule:<40} {event:>12.0} {run:>12.1}");
    }
}

fn ordinary() -> Vec<Event> {
    custody::ordinary(1).collect()
}

fn filled(events: Vec<Event>) -> MemoryLog {
    let log = MemoryLog::new();
    let mut events = events.into_iter().peekable();
    while events.peek().is_some() {
        let appended = log.append(Topic::Events, events.by_ref().take(FILL_RECORDS).collect()).unwrap();
        assert_eq!(appended.repeats + appended.conflicts, 0, "every event has an id of its own");
    }
    log
}

fn measure(what: &str, rules: &[Rule], log: &MemoryLog, is_right: impl Fn(&Run) -> bool) {
    for size in [256, 4_096] {
        let runs: Vec<Run> = (0..RUNS).map(|_| run(rules, log, size)).collect();
        let mut batches = Times::new();
        for run in &runs {
            assert!(is_right(run), "{what}: {} findings", run.findings);
            batches.add(&run.batches);
        }
        let rate = |taken: fn(&Run) -> Duration| {
            log.end(Topic::Events).0 as f64 / median(runs.iter().map(taken).collect()).as_secs_f64()
        };
        let [alone, read] = [rate(|run| run.engine), rate(|run| run.engine + run.reading)];
        println!("{what:<34} {size:>6} {alone:>9.0} {read:>9.0}   {}", batches.shown());
    }
}

fn run(rules: &[Rule], log: &MemoryLog, size: usize) -> Run {
    let mut engine = Engine::new(rules, &Settings::default()).unwrap();
    let mut run = Run { engine: Duration::ZERO, reading: Duration::ZERO, batches: Times::new(), findings: 0, slips: 0 };
    let mut position = Position::default();
    loop {
        let begun = Stopwatch::now();
        let events = log.read(Topic::Events, position, size).unwrap();
        run.reading += begun.elapsed();
        if events.is_empty() {
            return run;
        }
        let begun = Stopwatch::now();
        let outcome = engine.run(position, &events).unwrap();
        let taken = begun.elapsed();
        run.engine += taken;
        run.batches.note(taken);
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        run.findings += outcome.findings.len();
        let is_slip = |decided: &&Decided| SLIPS.contains(&decided.finding.rule.as_str());
        run.slips += outcome.findings.iter().filter(is_slip).count();
        position = position.plus(events.len());
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
