//! How long questions in SQL take over a long log: the last hour of one system, and one session's whole life, with the log's
//! files out of the page cache and in it; and how long the log and its segments took to make.
//!
//! Run by hand: `cargo bench --workspace --bench sql [-- EVENTS [DIRECTORY]]`, where DIRECTORY is where the log is made
//! (default: the system's directory for temporary files) and stays for the next run. A million events take 190 MB. Every
//! question is a run of `keywatch query`; what is measured is from its plan to its last row, as the command itself says, and
//! beside it the whole run with opening the log and reading its segments, which `keywatch run` does once. It prints a
//! Markdown table.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

const KEYWATCH: &str = env!("CARGO_BIN_EXE_keywatch");
const EVENTS: u64 = 10_000_000;
const SYSTEMS: u64 = 4;
const DAYS: u64 = 90;
/// How often a question is asked that does not read the whole log; the median counts.
const TURNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let events = arguments.first().map_or(EVENTS, |events| events.parse().unwrap());
    let directory = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let log = directory.join(format!("keywatch-sql-{events}.log"));
    if !log.exists() {
        let begun = Instant::now();
        make(&log, events);
        println!("The log was made in {} s.", begun.elapsed().as_secs());
    }
    println!("{events} events of {SYSTEMS} systems over {DAYS} days, {} MB on disk.", bytes(&log) >> 20);
    segments(&log);
    let questions = questions(&log);
    if !cfg!(target_os = "linux") {
        println!("Files stay in the page cache on this system: `not cached` says nothing here.");
    }
    println!("\n| question | files | rows | records read | records not read | median seconds | slowest | whole run |");
    println!("|---|---|---:|---:|---:|---:|---:|---:|");
    for Question { name, sql, turns } in &questions {
        for cold in [true, false] {
            let mut answers: Vec<Answer> = (0..*turns).map(|_| ask(&log, sql, cold)).collect();
            answers.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
            let (middle, last) = (&answers[turns / 2], &answers[turns - 1]);
            let files = if cold { "not cached" } else { "cached" };
            println!(
                "| {name} | {files} | {} | {} | {} | {:.3} | {:.3} | {:.1} |",
                middle.rows, middle.read, middle.skipped, middle.seconds, last.seconds, middle.whole
            );
        }
    }
}

/// Has the segments made anew, and says how long that took.
fn segments(log: &Path) {
    let kept = log.join("segments");
    if kept.exists() {
        std::fs::remove_dir_all(&kept).unwrap();
    }
    let begun = Instant::now();
    value(log, "SELECT 1");
    println!("Its segments were made in {} s and take {} MB.", begun.elapsed().as_secs(), bytes(&kept) >> 20);
}

/// What the files in a directory take.
fn bytes(directory: &Path) -> u64 {
    let of = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { bytes(&path) } else { path.metadata().unwrap().len() }
    };
    std::fs::read_dir(directory).unwrap().map(of).sum()
}

/// What a run said of itself.
struct Answer {
    seconds: f64,
    /// From the start of the process to its end.
    whole: f64,
    rows: u64,
    read: u64,
    skipped: u64,
}

fn make(log: &Path, events: u64) {
    let numbers = [("--events", events), ("--systems", SYSTEMS), ("--days", DAYS)];
    let mut command = Command::new(KEYWATCH);
    command.arg("simulate").args(numbers.iter().flat_map(|(name, value)| [(*name).to_owned(), value.to_string()]));
    assert!(command.arg("--out").arg(log).status().unwrap().success());
}

/// A question, and how often it is asked.
struct Question {
    name: &'static str,
    sql: String,
    turns: usize,
}

/// The questions, made of what stands in the log. What they are made of is asked in a part of the log: `keywatch simulate`
/// begins on 2025-04-07, and its last event falls within the last twentieth of the days.
fn questions(log: &Path) -> Vec<Question> {
    let last = value(log, "SELECT max(time) FROM events WHERE time > '2025-07-01T00:00:00Z'");
    let session = value(
        log,
        "SELECT session FROM events WHERE kind = 'session.started' AND time > '2025-05-22T09:00:00Z' \
         AND time < '2025-05-22T12:00:00Z' ORDER BY time OFFSET 10 LIMIT 1",
    );
    let hour = format!(
        "SELECT kind, count(*) FROM events WHERE system = 'custody-1' \
         AND time > TIMESTAMP '{last}' - INTERVAL '1 hour' GROUP BY kind"
    );
    let whole = format!("SELECT time, kind, outcome, request FROM events WHERE session = '{session}' ORDER BY time");
    let transfers = "SELECT count(*), count(DISTINCT to_address) FROM events WHERE kind = 'chain.transfer'".to_owned();
    vec![
        Question { name: "the last hour of one system", sql: hour, turns: TURNS },
        Question { name: "one session's whole life", sql: whole, turns: TURNS },
        Question { name: "every transfer of the whole log", sql: transfers, turns: 1 },
    ]
}

/// The one value of a question.
fn value(log: &Path, sql: &str) -> String {
    let output = run(log, sql);
    String::from_utf8(output.stdout).unwrap().lines().nth(1).unwrap().to_owned()
}

fn ask(log: &Path, sql: &str, cold: bool) -> Answer {
    if cold {
        forget(log);
    }
    let begun = Instant::now();
    let said = String::from_utf8(run(log, sql).stderr).unwrap();
    let whole = begun.elapsed().as_secs_f64();
    // `12 rows in 0.034 s; 8192 records read, 991808 not`
    let words: Vec<&str> = said.lines().last().unwrap().split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let number = |index: usize| words[index].parse().unwrap();
    Answer { rows: number(0), seconds: words[3].parse().unwrap(), whole, read: number(5), skipped: number(8) }
}

fn run(log: &Path, sql: &str) -> Output {
    let mut command = Command::new(KEYWATCH);
    command.args(["query", "--format", "csv", "--timeout", "3600", sql]).arg(log).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Has the kernel let go of what it holds of the files.
fn forget(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget(&path);
        } else {
            let file = File::open(path).unwrap();
            file.sync_all().unwrap();
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}
