//! The shipped rules over custody traffic: all of them; and those that Flink SQL can say too, in both.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use keywatch_detectors::rule::shipped;
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::{Event, Position};

use crate::support::custody::{self, DAY_EVENTS};
use crate::support::measured::{self, Measured, Meter};

const DAYS: usize = 3;
/// Flink looks at every row of a frame for every row of a key, so that more of them would take it hours.
const FLINK_DAYS: usize = 1;
const BATCHES: [&str; 5] = ["256", "2048", "4096", "16384", "65536"];
/// Runs of the job in one Java machine; the first warms it up and does not count.
const FLINK_RUNS: &str = "2";

/// Prints all shipped rules at every size of batch.
pub(crate) fn table() {
    println!("\n### All shipped rules\n");
    println!("{} events of custody traffic in memory.\n", DAYS * DAY_EVENTS);
    println!("| rules | threads | batch | {} | events/s of wall |\n|{}", Measured::HEADER, "---|".repeat(13));
    for batch in BATCHES {
        for (which, threads) in [("none", "1"), ("all", "1"), ("all", "2")] {
            let measured = measured::least(&["shipped", which, batch, threads]);
            println!("| {which} | {threads} | {batch} | {} | {:.0} |", measured.cells(), rate(&measured));
        }
    }
}

/// Events a second of wall time.
fn rate(measured: &Measured) -> f64 {
    measured.events as f64 / (measured.wall_ns as f64 / 1e9)
}

/// Prints the rules that both can say.
pub(crate) fn flink_table() {
    println!("\n### Rules that Flink SQL can say too\n");
    println!("{} events of custody traffic in memory.\n", FLINK_DAYS * DAY_EVENTS);
    println!("| engine | {} | events/s of wall | × keywatch | |\n|{}", Measured::HEADER, "---|".repeat(13));
    let ours = measured::least(&["shipped", "flink", "4096", "1"]);
    flink_row("keywatch, batches of 4096", &ours, &ours);
    let directory = tempfile::tempdir().unwrap();
    let rows = write_rows(directory.path());
    for parallelism in ["1", "2"] {
        let mut command = Command::new(folder().join("run"));
        command.arg(&rows).arg(folder().join("rules.sql")).args([parallelism, FLINK_RUNS]);
        match measured::read(&mut command) {
            Ok(theirs) => {
                flink_row(&format!("Flink, parallelism {parallelism}"), &theirs, &ours);
                assert_eq!(theirs.findings, ours.findings, "both find the same");
            }
            Err(problem) => println!("\nFlink could not be run: {problem}"),
        }
    }
    println!("\nRules: {}.", in_flink().join(", "));
}

fn flink_row(engine: &str, measured: &Measured, ours: &Measured) {
    let rate = rate(measured);
    let ratio = measured.cpu_ns_an_event() / ours.cpu_ns_an_event();
    println!("| {engine} | {} | {rate:.0} | {ratio:.1} | {} |", measured.cells(), measured.note);
}

/// One cell: which rules, size of a batch, threads.
pub(crate) fn cell(which: &str, batch: &str, threads: &str) -> Measured {
    let (rules, days) = match which {
        "none" => (Vec::new(), DAYS),
        "all" => (shipped().unwrap(), DAYS),
        _ => (as_in_flink(), FLINK_DAYS),
    };
    run(&rules, days, batch.parse().unwrap(), threads.parse().unwrap())
}

pub(crate) fn run(rules: &[Rule], days: usize, batch: usize, threads: usize) -> Measured {
    let mut days = custody::attacked(days).peekable();
    days.peek();
    let mut meter = Meter::new();
    let mut engine = Engine::new(rules, &Settings::default()).unwrap().with_threads(threads);
    let (mut position, mut findings) = (Position::default(), 0);
    for day in days {
        for events in day.chunks(batch) {
            let outcome = meter.time(|| engine.run(position, events)).unwrap();
            assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
            findings += outcome.findings.len();
            position = position.plus(events.len());
        }
    }
    meter.measured(usize::try_from(position.0).unwrap(), findings)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/flink")
}

/// The rules that stand in `flink/rules.sql`.
fn in_flink() -> Vec<String> {
    let text = std::fs::read_to_string(folder().join("rules.sql")).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("-- ")).filter(|name| !name.contains(' '));
    names.map(str::to_owned).collect()
}

/// These rules as shipped, but for frames that leave the row itself out: Flink has none that end before it.
fn as_in_flink() -> Vec<Rule> {
    let names = in_flink();
    let mut rules: Vec<Rule> = shipped().unwrap().into_iter().filter(|rule| names.contains(&rule.id)).collect();
    assert_eq!(rules.len(), names.len(), "every rule in Flink's file is a shipped one");
    for rule in &mut rules {
        rule.sql = rule.sql.replace("AND INTERVAL '1 nanosecond' PRECEDING", "AND CURRENT ROW");
    }
    rules
}

/// The traffic as tab-separated rows, columns as `Rows.java` names them.
fn write_rows(directory: &Path) -> PathBuf {
    let path = directory.join("rows.tsv");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for event in custody::attacked(FLINK_DAYS).flatten() {
        writeln!(file, "{}", row(&event)).unwrap();
    }
    file.flush().unwrap();
    path
}

fn row(event: &Event) -> String {
    let text = |field: Option<&str>| field.unwrap_or_default().to_owned();
    let milliseconds = |nanoseconds: i64| (nanoseconds / 1_000_000).to_string();
    let fields = [
        milliseconds(event.time().0),
        milliseconds(event.event_time().0),
        event.event_id().to_string(),
        event.source().to_owned(),
        event.kind().to_owned(),
        text(event.actor()),
        text(event.session()),
        text(event.device()),
        text(event.country()),
        event.asn().map(|asn| asn.to_string()).unwrap_or_default(),
        text(event.wallet()),
        text(event.request()),
        text(event.decision()),
        text(event.tx()),
        text(event.chain()),
        text(event.asset()),
        text(event.to_address()),
        event.amount().map(|amount| amount.saturated().to_string()).unwrap_or_default(),
        text(event.outcome()),
        text(event.reason()),
        event.detail().as_str().to_owned(),
    ];
    fields.join("\t")
}
