//! Rules that Sigma and keywatch can both express, JSON lines in, findings out, against rsigma.
//!
//! One list gives both languages, so that both are asked the same.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::{Event, Position, line};

use crate::support::custody::{self, DAY_EVENTS};
use crate::support::measured::{self, Measured, Meter};
use crate::support::rule;

const DAYS: usize = 1;
/// rsigma as it comes, and with the allocator that keywatch has.
const PROGRAMS: [(&str, &str); 2] =
    [("rsigma, allocator of the system", "peer-rsigma"), ("rsigma, mimalloc", "peer-rsigma-mimalloc")];

/// What one event has to hold; a field `detail.x` is a member of the detail.
const PLAIN: [&[(&str, &str)]; 10] = [
    &[("kind", "decision"), ("outcome", "allow"), ("detail.self_approved", "true")],
    &[("kind", "decision"), ("outcome", "allow"), ("detail.amount_type", "string")],
    &[("kind", "signing.approved"), ("outcome", "mismatch")],
    &[("kind", "signing.requested"), ("outcome", "mismatch")],
    &[("kind", "chain.tx"), ("detail.operation", "1")],
    &[("kind", "session.posture"), ("outcome", "not_compliant"), ("detail.check", "disk_encryption")],
    &[("kind", "session.mfa"), ("outcome", "failure")],
    &[("kind", "decision"), ("outcome", "deny")],
    &[("kind", "chain.contract"), ("detail.change", "owner_added")],
    &[("kind", "session.mfa_changed"), ("detail.change", "create")],
];

/// What is counted, by what, of what (nothing: events), over how many minutes, from how many on.
struct Window {
    of: &'static [(&'static str, &'static str)],
    by: &'static str,
    distinct: Option<&'static str>,
    minutes: u32,
    at_least: u32,
}

const WINDOWS: [Window; 5] = [
    Window {
        of: &[("kind", "session.presented"), ("outcome", "failure")],
        by: "session",
        distinct: None,
        minutes: 60,
        at_least: 2,
    },
    Window { of: &[("kind", "session.presented")], by: "session", distinct: None, minutes: 60, at_least: 25 },
    Window {
        of: &[("kind", "session.presented")],
        by: "session",
        distinct: Some("country"),
        minutes: 1_440,
        at_least: 2,
    },
    Window { of: &[("kind", "decision")], by: "actor", distinct: None, minutes: 60, at_least: 60 },
    Window { of: &[("kind", "signing.approved")], by: "request", distinct: Some("actor"), minutes: 60, at_least: 4 },
];

/// Prints both on the same lines.
pub(crate) fn table() {
    println!("\n### Ten plain rules and five windows, JSON lines in, findings out, one thread\n");
    println!("{} lines of custody traffic; findings are those of the plain rules.\n", DAYS * DAY_EVENTS);
    println!("| engine | {} | × keywatch | |\n|{}", Measured::HEADER, "---|".repeat(12));
    let ours = measured::least(&["sigma", "4096"]);
    row("keywatch, batches of 4096", &ours, &ours);
    match theirs() {
        Ok(measured) => {
            for ((engine, _), theirs) in PROGRAMS.iter().zip(measured) {
                row(engine, &theirs, &ours);
                assert_eq!(theirs.findings, ours.findings, "both find the same");
                let (found, own) = (in_windows(&theirs), in_windows(&ours));
                assert!(ours.findings > 0 && own > 0, "there is something to find");
                assert!(found.abs_diff(own) <= own / 100, "{found} beside {own} in windows");
            }
        }
        Err(problem) => println!("\nrsigma could not be run: {problem}"),
    }
}

/// rsigma counts in whole seconds, so that an event at the edge of a frame may count for one of both and not for the other.
fn in_windows(measured: &Measured) -> u64 {
    measured.note.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

fn row(engine: &str, measured: &Measured, ours: &Measured) {
    let ratio = measured.cpu_ns_an_event() / ours.cpu_ns_an_event();
    println!("| {engine} | {} | {ratio:.2} | {} |", measured.cells(), measured.note);
}

/// One cell: keywatch with batches of that size.
pub(crate) fn cell(batch: &str) -> Measured {
    let lines: Vec<String> = lines().collect();
    // As `keywatch backtest` reads a file: blocks of bytes that hold many lines.
    let block = |lines: &[String]| (lines.join("\n") + "\n").into_bytes();
    let blocks: Vec<Vec<u8>> = lines.chunks(batch.parse().unwrap()).map(block).collect();
    let plain = PLAIN.iter().enumerate().map(|(number, fields)| rule(&format!("plain/p{number}"), &plain_sql(fields)));
    let windows =
        WINDOWS.iter().enumerate().map(|(number, window)| rule(&format!("window/w{number}"), &window_sql(window)));
    let rules: Vec<Rule> = plain.chain(windows).collect();
    let mut meter = Meter::new();
    let mut engine = Engine::new(&rules, &Settings::default()).unwrap();
    let (mut position, mut found) = (Position::default(), [0, 0]);
    for block in blocks {
        let mut read = 0;
        let outcome = meter.time(|| {
            let events = events(block);
            read = events.len();
            engine.run(position, &events).unwrap()
        });
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        position = position.plus(read);
        for decided in outcome.findings {
            found[usize::from(decided.finding.rule.starts_with("window/"))] += 1;
        }
    }
    meter.measured(lines.len(), found[0]).with_note(&format!("windows found {}", found[1]))
}

/// The events of a block's lines, whose texts stay where they lie.
fn events(block: Vec<u8>) -> Vec<Event> {
    let texts = Arc::new(String::from_utf8(block).unwrap());
    let mut begin = 0;
    let ends = texts.match_indices('\n');
    ends.map(|(end, _)| line::read_within(&texts, std::mem::replace(&mut begin, end + 1)..end).unwrap()).collect()
}

fn lines() -> impl Iterator<Item = String> {
    custody::attacked(DAYS).flatten().map(|event| line::write(&event))
}

fn condition(fields: &[(&str, &str)]) -> String {
    let each = |(field, value): &(&str, &str)| match field.strip_prefix("detail.") {
        Some(member) => format!("detail_text(detail, '{member}') = '{value}'"),
        None => format!("{field} = '{value}'"),
    };
    fields.iter().map(each).collect::<Vec<_>>().join(" AND ")
}

fn plain_sql(fields: &[(&str, &str)]) -> String {
    format!("SELECT event_id, coalesce(session, request, event_id) AS entity FROM events WHERE {}", condition(fields))
}

fn window_sql(window: &Window) -> String {
    let Window { of, by, distinct, minutes, at_least } = window;
    let counted = distinct.map_or("*".to_owned(), |field| format!("DISTINCT {field}"));
    format!(
        "SELECT event_id, {by} AS entity, n FROM (SELECT *, count({counted}) OVER (PARTITION BY {by} ORDER BY time RANGE \
         BETWEEN INTERVAL '{minutes} minutes' PRECEDING AND CURRENT ROW) AS n FROM events WHERE {} AND {by} IS NOT NULL) \
         WHERE n >= {at_least}",
        condition(of)
    )
}

fn theirs() -> Result<Vec<Measured>, String> {
    let directory = tempfile::tempdir().unwrap();
    let (rules, events) = (directory.path().join("rules.yml"), directory.path().join("events.jsonl"));
    std::fs::write(&rules, yaml()).unwrap();
    let mut file = std::io::BufWriter::new(std::fs::File::create(&events).unwrap());
    for text in lines() {
        writeln!(file, "{text}").unwrap();
    }
    file.flush().unwrap();
    let programs = build()?;
    let least = |(_, program): &(&str, &str)| {
        let runs = (0..3).map(|_| measured::read(Command::new(programs.join(program)).args([&rules, &events])));
        let runs: Vec<Measured> = runs.collect::<Result<_, String>>()?;
        Ok(runs.into_iter().min_by_key(|run| run.cpu_ns).unwrap())
    };
    PROGRAMS.iter().map(least).collect()
}

/// Builds the programs of their own that hold rsigma, beside what this bench was built into, and says where they are.
fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/rsigma");
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = own.ancestors().nth(3).ok_or("no target directory")?.join("peers-rsigma");
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(["build", "--release", "--locked", "--target-dir"]).arg(&target).current_dir(&folder);
    let status = command.status().map_err(|error| error.to_string())?;
    if status.success() { Ok(target.join("release")) } else { Err("its build failed".to_owned()) }
}

/// The same rules as Sigma documents.
fn yaml() -> String {
    let mut yaml = String::new();
    for (number, fields) in PLAIN.iter().enumerate() {
        detection(&mut yaml, &format!("plain-{number}"), fields);
    }
    for (number, window) in WINDOWS.iter().enumerate() {
        detection(&mut yaml, &format!("base-{number}"), window.of);
        let (kind, field) = match window.distinct {
            Some(field) => ("value_count", format!("    field: {field}\n")),
            None => ("event_count", String::new()),
        };
        let Window { by, minutes, at_least, .. } = window;
        let _ = write!(
            yaml,
            "title: window {number}\nid: window-{number}\nlevel: high\ncorrelation:\n  type: {kind}\n  rules:\n    - \
             base-{number}\n  group-by:\n    - {by}\n  timespan: {minutes}m\n  condition:\n{field}    gte: {at_least}\n---\n"
        );
    }
    yaml.trim_end_matches("---\n").to_owned()
}

fn detection(yaml: &mut String, name: &str, fields: &[(&str, &str)]) {
    let _ = write!(
        yaml,
        "title: {name}\nid: {name}\nname: {name}\nlevel: high\nlogsource:\n  product: custody\ndetection:\n  selection:\n"
    );
    for (field, value) in fields {
        let bare = matches!(*value, "true" | "1");
        let _ = if bare { writeln!(yaml, "    {field}: {value}") } else { writeln!(yaml, "    {field}: '{value}'") };
    }
    yaml.push_str("  condition: selection\n---\n");
}
