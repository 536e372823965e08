//! How long questions in SQL take over a long log: the last hour of one system, and one session's whole life, with the log's
//! files out of the page cache and in it, with segments and without.
//!
//! Run by hand: `cargo bench --workspace --bench sql [-- EVENTS [DIRECTORY]]`, where DIRECTORY is where the log is made
//! (default: the system's directory for temporary files). Every question is a run of `keywatch query`; what is measured is
//! from its plan to its last row, as the command itself says. It prints a Markdown table.

#![expect(clippy::print_stdout, reason = "a bench prints its tables")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const KEYWATCH: &str = env!("CARGO_BIN_EXE_keywatch");
const EVENTS: u64 = 10_000_000;
const SYSTEMS: u64 = 4;
const DAYS: u64 = 90;
/// How often each question is asked; the median counts.
const TURNS: usize = 5;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let events = arguments.first().map_or(EVENTS, |events| events.parse().unwrap());
    let directory = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let log = directory.join(format!("keywatch-sql-{events}.log"));
    if !log.exists() {
        make(&log, events);
    }
    let (questions, begun) = questions(&log);
    println!("{events} events of {SYSTEMS} systems over {DAYS} days; the segments were there after {begun} s.\n");
    println!("| question | files | rows | records read | records not read | median seconds | slowest |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for (name, sql) in &questions {
        for cold in [true, false] {
            let mut answers: Vec<Answer> = (0..TURNS).map(|_| ask(&log, sql, cold)).collect();
            answers.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
            let (middle, last) = (&answers[TURNS / 2], &answers[TURNS - 1]);
            let files = if cold { "not cached" } else { "cached" };
            println!(
                "| {name} | {files} | {} | {} | {} | {:.3} | {:.3} |",
                middle.rows, middle.read, middle.skipped, middle.seconds, last.seconds
            );
        }
    }
}

/// What a run said of itself.
struct Answer {
    seconds: f64,
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

/// The questions, made of what stands in the log, and how long the first of them waited for the segments.
fn questions(log: &Path) -> (Vec<(&'static str, String)>, u64) {
    let begun = std::time::Instant::now();
    let last = value(log, "SELECT max(time) FROM events");
    let begun = begun.elapsed().as_secs();
    let system = value(log, "SELECT min(system) FROM events WHERE kind = 'decision'");
    let session = value(
        log,
        "SELECT session FROM events WHERE kind = 'session.started' AND session IS NOT NULL ORDER BY time OFFSET 1000 LIMIT 1",
    );
    let hour = format!(
        "SELECT kind, count(*) FROM events WHERE system = '{system}' \
         AND time > TIMESTAMP '{last}' - INTERVAL '1 hour' GROUP BY kind"
    );
    let whole = format!("SELECT time, kind, outcome, request FROM events WHERE session = '{session}' ORDER BY time");
    let transfers = "SELECT count(*), count(DISTINCT to_address) FROM events WHERE kind = 'chain.transfer'".to_owned();
    let questions = vec![
        ("the last hour of one system", hour),
        ("one session's whole life", whole),
        ("every transfer of the whole log", transfers),
    ];
    (questions, begun)
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
    let said = String::from_utf8(run(log, sql).stderr).unwrap();
    // `12 rows in 0.034 s; 8192 records read, 991808 not`
    let words: Vec<&str> = said.lines().last().unwrap().split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let number = |index: usize| words[index].parse().unwrap();
    Answer { rows: number(0), seconds: words[3].parse().unwrap(), read: number(5), skipped: number(8) }
}

fn run(log: &Path, sql: &str) -> Output {
    let mut command = Command::new(KEYWATCH);
    command.args(["query", "--format", "csv", sql]).arg(log).stdin(Stdio::null());
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
