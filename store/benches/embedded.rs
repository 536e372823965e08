//! What the embedded log does on the machine at hand: appends, reads, opening, and the cost of a line.
//!
//! Run by hand: `cargo bench -p keywatch-store --bench embedded [-- DIRECTORY]`. It prints a table.

#![expect(clippy::unwrap_used, reason = "a bench that fails stops")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]
#![expect(clippy::disallowed_methods, reason = "a bench reads a clock")]
#![expect(clippy::cast_precision_loss, reason = "rates are shown rounded")]

mod lines;

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as Stopwatch};

use keywatch_store::limits::RECENT_IDS_MAX;
use keywatch_store::log::admission::fingerprint;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Instant, Log, Position, Topic, line};
use lines::event;

const RECORDS: usize = 1_000_000;
const SPELL: Duration = Duration::from_secs(2);
const HELD: usize = 2_000_000;

fn open(path: &Path) -> EmbeddedLog {
    EmbeddedLog::open(path, Options::new(Clock::Recorded)).unwrap()
}

/// A log that remembers two million ids already: all of them in memory, or most in the index.
fn filled(path: &Path, recent_ids_max: usize) -> EmbeddedLog {
    let options = Options { recent_ids_max, ..Options::new(Clock::Recorded) };
    let log = EmbeddedLog::open(path, options).unwrap();
    for first in (0..HELD).step_by(4_000) {
        log.append(Topic::Events, (first..first + 4_000).map(event).collect()).unwrap();
    }
    log
}

fn each_event(what: &str, events: &[Event], mut work: impl FnMut(&Event)) {
    let started = Stopwatch::now();
    for _ in 0..5 {
        events.iter().for_each(&mut work);
    }
    println!("{what:<40} {:>10.0} ns an event", started.elapsed().as_nanos() as f64 / (5 * events.len()) as f64);
}

fn lines_table() {
    let events: Vec<Event> = (0..20_000).map(event).collect();
    let texts: Vec<String> = events.iter().map(line::write).collect();
    println!("{:<40} {:>10} bytes", "line, on average", texts.iter().map(String::len).sum::<usize>() / texts.len());
    each_event("line::write", &events, |event| drop(black_box(line::write(event))));
    each_event("admission::fingerprint", &events, |event| {
        black_box(fingerprint(event));
    });
    each_event("Event::clone", &events, |event| drop(black_box(event.clone())));
    let mut text = texts.iter().cycle();
    each_event("line::read", &events, |_| drop(black_box(line::read(text.next().unwrap().as_bytes()))));
}

/// Appends from `threads` threads, `size` events at a time, for a while.
fn appends(log: &EmbeddedLog, threads: usize, size: usize, next: &mut usize) {
    let from = *next;
    let per_thread = 40_000_000;
    let started = Stopwatch::now();
    let appended: usize = std::thread::scope(|scope| {
        let append = |thread: usize| {
            let mut number = from + thread * per_thread;
            let begin = number;
            while started.elapsed() < SPELL {
                let events = (number..number + size).map(event).collect();
                log.append(Topic::Events, events).unwrap();
                number += size;
            }
            number - begin
        };
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || append(thread))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    *next += threads * per_thread;
    let rate = appended as f64 / started.elapsed().as_secs_f64();
    println!("{:<40} {rate:>10.0} durable appends/s", format!("{threads} threads, {size} events an append"));
}

fn reads(log: &EmbeddedLog, step: usize) {
    let started = Stopwatch::now();
    let mut position = Position(0);
    loop {
        let events = log.read(Topic::Events, position, step).unwrap();
        if events.is_empty() {
            break;
        }
        position = position.plus(events.len());
    }
    let rate = position.0 as f64 / started.elapsed().as_secs_f64();
    println!("{:<40} {rate:>10.0} records/s", format!("read and decode, {step} at a time"));
}

/// A log of a million records within the horizon whose process died with it open.
fn crashed(path: &Path, size: usize) {
    let started = Stopwatch::now();
    let program = std::env::current_exe().unwrap();
    let child = std::process::Command::new(program).args(["--load", &size.to_string()]).arg(path).status().unwrap();
    assert!(!child.success(), "the child aborts with the log open");
    println!("{:<40} {:>10.2} s", format!("load 1 M, {size} a commit"), started.elapsed().as_secs_f64());
    for what in ["after a crash", "again"] {
        let started = Stopwatch::now();
        let log = open(path);
        println!("{:<40} {:>10.3} s", format!("open 1 M records {what}"), started.elapsed().as_secs_f64());
        assert_eq!(log.end(Topic::Events), Position(RECORDS as u64));
        assert_eq!(log.append(Topic::Events, vec![event(0), event(RECORDS - 1)]).unwrap().repeats, 2);
        let started = Stopwatch::now();
        drop(log);
        println!("{:<40} {:>10.3} s", "close", started.elapsed().as_secs_f64());
    }
}

fn load(path: &Path, size: usize) -> ! {
    let log = open(path);
    for first in (0..RECORDS).step_by(size) {
        log.append(Topic::Events, (first..first + size).map(event).collect()).unwrap();
    }
    std::process::abort()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [flag, size, path] = arguments.as_slice() {
        assert_eq!(flag, "--load");
        load(Path::new(path), size.parse().unwrap());
    }
    lines_table();
    let directory = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::tempdir_in(directory).unwrap();
    let logs = [("ids in memory", usize::MAX), ("index of ids", RECENT_IDS_MAX)];
    let logs = logs.map(|(what, recent)| (what, filled(&root.path().join(what), recent)));
    let mut next = HELD;
    for (threads, size) in [(1, 1), (1, 100), (1, 2048), (8, 1), (8, 100)] {
        for _ in 0..2 {
            for (what, log) in &logs {
                print!("{what:<16}");
                appends(log, threads, size, &mut next);
            }
        }
    }
    drop(logs);
    for size in [1000, 10] {
        let path = root.path().join(size.to_string());
        crashed(&path, size);
        let log = open(&path);
        for step in [2048, 100] {
            reads(&log, step);
        }
        let started = Stopwatch::now();
        let verified = log.verify(Topic::Events, |_| ()).unwrap();
        println!("{:<40} {:>10.2} s for {} batches", "verify", started.elapsed().as_secs_f64(), verified.batches);
        let started = Stopwatch::now();
        let now = Instant(i64::MAX);
        log.retire(Topic::Events, Position(RECORDS as u64), now, 400).unwrap();
        println!("{:<40} {:>10.2} s", "retire all", started.elapsed().as_secs_f64());
    }
}
