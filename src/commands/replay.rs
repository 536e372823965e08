//! `keywatch replay`: recorded events through the same rules and the same plan, with no outside effect.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time;

use anyhow::{Context, bail, ensure};
use keywatch_detectors::rule::{self, Need, Observed, ObservedSystems};
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::inventory::System;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Finding, Log, Position, Topic};
use serde_json::json;

use crate::commands::replayed;
use crate::event_files::{DeclaredInventory, Ends};
use crate::incident::{Expected, Incident, read_lines};
use crate::limits::PIPELINE_RECORDS_MAX;
use crate::output;
use crate::service::config;

/// Wallets that a notice names.
const UNSEEN_WALLETS_SHOWN: usize = 3;

/// Run the rules over recorded events and show the findings; nothing outside is touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch replay replay-data/2025-02-bybit              findings as a table
  keywatch replay replay-data/2025-02-bybit --check      compare with expected.jsonl; exit code 1 and a diff if they differ
  keywatch replay events.jsonl --format jsonl            findings as JSON lines
  keywatch replay replay-data/2025-02-bybit --html bybit.html
                                                         the incident with its timeline, as one file to look at
  keywatch replay events.jsonl --complete                decide what still waits at the end of foreign records
  keywatch import --feed safe --system cold safe.json | keywatch replay -

A directory holds events.jsonl and, if there is one, inventory.toml and expected.jsonl. A finding as a JSON line has at \
least time, rule, severity, system, entity, session, request, tx, title and evidence (event ids).")]
pub(crate) struct Arguments {
    /// Directory of an incident, a file of event lines, or `-` for standard input
    #[arg(value_name = "DIR|FILE")]
    pub(crate) path: PathBuf,
    /// How findings are written
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
    /// Compare with the incident's expected.jsonl and exit with 1 if they differ
    #[arg(long)]
    pub(crate) check: bool,
    /// Let log time go on after the last record until everything is decided; what is absent after it counts as absent
    #[arg(long)]
    pub(crate) complete: bool,
    /// Inventory, instead of the directory's
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// Write the incidents that the findings make, with their timelines, as one HTML file that needs no network
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// How findings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON object a line
    Jsonl,
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being done.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let recording = read(arguments)?;
    if let Some(file) = &arguments.html {
        let shown = replayed::write(file, &recording.events)?;
        output::note(&format!("{shown} incidents written to {}", file.display()));
    }
    let log = MemoryLog::new();
    let records = fill(&log, recording.events)?;
    let begun = time::Instant::now();
    let ran = run_rules(&log, arguments.complete)?;
    let seconds = begun.elapsed().as_secs_f64();

    show(&ran.findings, arguments.format)?;
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = records as f64 / seconds.max(1e-9);
    output::note(&format!(
        "{records} records, {} findings, {} rows waited for records that did not come, {seconds:.2} s ({rate:.0} records/s)",
        ran.findings.len(),
        ran.waiting
    ));
    ran.unseen.iter().for_each(|notice| output::note(notice));
    for (rule, problem) in &ran.parked {
        output::note(&format!("rule {rule} failed and was parked: {problem}"));
    }
    let as_expected = match recording.expected {
        Some(expected) => compare(&expected, &ran.findings),
        None => true,
    };
    let good = as_expected && recording.rejects == 0 && ran.parked.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

struct Recording {
    events: Vec<Event>,
    rejects: usize,
    expected: Option<Vec<Expected>>,
}

fn read(arguments: &Arguments) -> anyhow::Result<Recording> {
    let incident = arguments.path.is_dir().then(|| Incident::at(&arguments.path));
    let file = incident.as_ref().map_or_else(|| arguments.path.clone(), |_| arguments.path.join("events.jsonl"));
    ensure!(
        incident.is_none() || file.exists(),
        "{} has no events.jsonl: name the directory of one incident, or a file of event lines; `keywatch backtest` reads \
         a log",
        arguments.path.display()
    );
    let lines = read_lines(&bytes(&file)?);
    for (number, problem) in &lines.rejects {
        output::note(&format!("{} line {number}: {problem}", file.display()));
    }
    ensure!(!lines.events.is_empty(), "{} holds no event line", file.display());
    let mut declared = match (&arguments.inventory, &incident) {
        (Some(file), _) => DeclaredInventory::overriding(config::read_inventory(file)?),
        (None, Some(incident)) => DeclaredInventory::fallback(incident.inventory()?),
        (None, None) => DeclaredInventory::default(),
    };
    let expected = match (arguments.check, &incident) {
        (false, _) => None,
        (true, Some(incident)) => Some(incident.expected()?),
        (true, None) => bail!("--check needs the directory of an incident, with its expected.jsonl"),
    };
    let events =
        lines.events.into_iter().flat_map(|event| declared.activations_before(&event).into_iter().chain([event]));
    Ok(Recording { events: events.collect(), rejects: lines.rejects.len(), expected })
}

fn bytes(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(bytes)
}

fn fill(log: &MemoryLog, events: Vec<Event>) -> anyhow::Result<usize> {
    let appended = log.append(Topic::Events, events)?;
    if appended.repeats + appended.conflicts > 0 {
        output::note(&format!(
            "{} repeats skipped, {} conflicts kept as source.conflict",
            appended.repeats, appended.conflicts
        ));
    }
    Ok(appended.written.len())
}

/// What the rules gave.
struct Ran {
    findings: Vec<Finding>,
    waiting: usize,
    parked: Vec<(String, String)>,
    /// What was not judged since nobody tells of it.
    unseen: Vec<String>,
}

fn run_rules(log: &MemoryLog, complete: bool) -> anyhow::Result<Ran> {
    let rules = rule::shipped()?;
    let mut engine = Engine::new(&rules, &Settings::default())?;
    let mut ran = Ran { findings: Vec::new(), waiting: 0, parked: Vec::new(), unseen: Vec::new() };
    let (mut seen, mut ends) = (ObservedSystems::default(), Ends::default());
    let mut position = Position::default();
    let bar = output::progress(usize::try_from(log.end(Topic::Events).0)?);
    loop {
        let events = log.read(Topic::Events, position, PIPELINE_RECORDS_MAX)?;
        bar.set_position(position.0);
        if events.is_empty() {
            bar.finish_and_clear();
            if complete {
                let outcome = engine.run(position, &ends.closing_ticks(&engine))?;
                ran.findings.extend(outcome.findings.into_iter().map(|decided| decided.finding));
            }
            ran.waiting = engine.state_size().waiting;
            ran.unseen = unseen(&rules, &seen);
            return Ok(ran);
        }
        ends.take(&events);
        for event in &events {
            seen.take(event);
        }
        let outcome = engine.run(position, &events)?;
        position = position.plus(events.len());
        ran.findings.extend(outcome.findings.into_iter().map(|decided| decided.finding));
        ran.parked.extend(outcome.parked.into_iter().map(|parked| (parked.rule, parked.problem)));
    }
}

/// What no rule could judge, in sentences: a link that nobody tells of is shown and not paged.
fn unseen(rules: &[Rule], seen: &ObservedSystems) -> Vec<String> {
    let notice = |system: &str, need: &Need, wallets: &[String]| {
        let named = wallets.iter().take(UNSEEN_WALLETS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = wallets.len().saturating_sub(UNSEEN_WALLETS_SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let need = need.to_string().replace('_', " ");
        format!("system {system}: no {need} is connected for {named}{more}; rules that need one do not judge it")
    };
    let of_system = |(system, heard): (System, Observed)| {
        let missing = rule::missing_links(rules, &system, &heard);
        missing.iter().map(|(need, wallets)| notice(&system.id, need, wallets)).collect::<Vec<_>>()
    };
    seen.each().flat_map(of_system).collect()
}

fn show(findings: &[Finding], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Jsonl => {
            let mut out = output::buffered();
            for finding in findings {
                writeln!(out, "{}", as_json(finding))?;
            }
            out.flush()?;
        }
        Format::Table => {
            let mut findings: Vec<&Finding> = findings.iter().collect();
            findings.sort_by_key(|finding| finding.time);
            let rows = findings.iter().map(|finding| {
                [finding.time.to_string(), finding.severity.to_string(), finding.rule.clone(), finding.title.clone()]
            });
            output::line(&output::table(["log time", "severity", "rule", "what was found"], rows))?;
        }
    }
    Ok(())
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let mut object = json!(finding);
    for field in ["session", "request", "tx"] {
        if object.get(field).is_none() {
            object[field] = serde_json::Value::Null;
        }
    }
    object
}

/// Compares as sets with multiplicity; the order of findings is the log's and proven elsewhere.
fn compare(expected: &[Expected], findings: &[Finding]) -> bool {
    let mut balance: BTreeMap<Expected, i64> = BTreeMap::new();
    for expected in expected {
        *balance.entry(expected.clone()).or_default() += 1;
    }
    for finding in findings {
        let found = Expected {
            time: finding.time,
            rule: finding.rule.clone(),
            entity: finding.entity.clone(),
            severity: finding.severity,
        };
        *balance.entry(found).or_default() -= 1;
    }
    let differing: Vec<(&Expected, i64)> =
        balance.iter().filter(|(_, count)| **count != 0).map(|(e, n)| (e, *n)).collect();
    if differing.is_empty() {
        output::note(&format!("as expected: all {} findings, and no other", expected.len()));
        return true;
    }
    let mut text = String::from("not as expected (- expected and not found, + found and not expected):");
    for (line, count) in differing {
        let sign = if count > 0 { '-' } else { '+' };
        let times = if count.abs() > 1 { format!(" ({} times)", count.abs()) } else { String::new() };
        let Expected { time, rule, entity, severity } = line;
        text.extend([format!("\n{sign} {time} {severity} {rule} {entity}{times}")]);
    }
    output::note(&text);
    false
}
