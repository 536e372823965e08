//! `keywatch backtest`: rules over history as fast as the machine goes, and what they would have found and cost.
//!
//! | module | what it does |
//! |---|---|
//! | [`input`] | what a path on the command line is |
//! | [`reading`], [`parsing`] | the reading thread: lines or log → admitted events, in batches; lines parsed on several threads |
//! | [`pack`] | a pack of rules over the batches, and a tally for each rule |
//! | [`diff`] | what another pack adds and removes |
//! | [`truth`] | labels of attacks, and which findings belong to which |
//! | [`alerts`] | how many alerts its findings come to |
//! | [`found`] | how much the shipped rules find, for `keywatch init` |
//! | [`report`], [`rules`], [`score`], [`checks`] | the figures; those of each rule and of the labels; what is not as it should be |
//! | [`figures`] | numbers as the report shows them |
//! | [`table`], [`junit`] | how the figures are written |
//!
//! Reading and rules run on threads of their own with a bounded channel between them. Nothing outside is touched, and
//! nobody is notified.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use anyhow::{anyhow, bail, ensure};
use keywatch_detectors::Rule;
use keywatch_store::{Event, Position};

use crate::event_files::Ends;
use crate::limits::{BACKTEST_BATCH_EVENTS_MAX, BACKTEST_BATCHES_MAX};
use crate::output;
use crate::rule_files;
use crate::service::config;

use alerts::Alerts;
use diff::{Diff, Side};
use input::Input;
use pack::Pack;
use reading::{Read, Reader};
use report::Report;
use truth::{Score, Truth};

mod alerts;
mod checks;
mod diff;
mod figures;
pub(crate) mod found;
pub(crate) mod input;
mod junit;
mod pack;
mod parsing;
mod reading;
mod report;
mod rules;
mod score;
mod table;
mod truth;

/// Run rules over history as fast as the machine goes: what they find, what they cost, what a change of them changes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch backtest keywatch-data                              what the rules find in the log of `keywatch run`
  keywatch backtest replay-data/2025-02-bybit --sort cost      which rule costs most
  keywatch backtest --diff my-rules --rule signing/mine LOG    what a changed rule adds (+) and removes (-)
  keywatch backtest --truth truth.jsonl history.jsonl          recall, precision and time to detect of labelled attacks
  zcat 2025-*.jsonl.gz | keywatch backtest --rules my-rules --format json -
  keywatch backtest --format junit --max-findings-per-day 5 LOG > backtest.xml

Several inputs are one history; name them in the order of time. A log that `keywatch run` has open cannot be read.
docs/backtest.md says how every figure comes about.

Exit codes: 0 done; 1 done, and a line was rejected, a log lacks what a later version wrote, a rule was parked, a threshold \
does not hold or, with --diff, the packs differ; 2 not done.")]
pub(crate) struct Arguments {
    /// History: the directory of a log or of an incident, a file of event lines, or `-` for standard input
    #[arg(required = true, value_name = "LOG|DIR|FILE")]
    paths: Vec<PathBuf>,
    /// Rules instead of those built in: a directory, or one file; drafts that have no events yet are taken too
    #[arg(long, value_name = "DIR|FILE")]
    rules: Option<PathBuf>,
    /// Let log time go on after the last record until everything is decided; what is absent after it counts as absent
    #[arg(long)]
    complete: bool,
    /// Run this rule only, `family/name`; may be given several times
    #[arg(long = "rule", value_name = "RULE")]
    only: Vec<String>,
    /// Another directory of rules: what does it find that the first does not, and what does it miss
    #[arg(long, value_name = "DIR")]
    diff: Option<PathBuf>,
    /// Labels of the attacks in the history, JSON lines
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Inventory, instead of the one beside event lines
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// How the figures are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// What rules are sorted by
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// Events that go through the rules at once
    #[arg(long, value_name = "EVENTS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=i64::from(BACKTEST_BATCH_EVENTS_MAX)))]
    batch: u32,
    /// Findings shown for each rule and sign of a difference
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    #[command(flatten)]
    thresholds: Thresholds,
}

/// What has to hold, or the exit code is 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, clap::Args)]
struct Thresholds {
    /// No rule may find more a day of log time than this
    #[arg(long, value_name = "N", value_parser = not_negative)]
    max_findings_per_day: Option<f64>,
    /// At least this share of the attacks has to be seen, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "truth", value_parser = share)]
    min_recall: Option<f64>,
    /// At least this share of the findings has to belong to an attack, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "truth", value_parser = share)]
    min_precision: Option<f64>,
}

/// How the figures are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON object
    Json,
    /// XML for continuous integration: a test case a rule
    Junit,
}

/// What rules are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// The most findings first
    #[default]
    Findings,
    /// The most processor time first
    Cost,
    /// Their ids
    Rule,
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being done.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let inventory = arguments.inventory.as_deref().map(config::read_inventory).transpose()?;
    let inputs = input::find_all(&arguments.paths, inventory.as_ref())?;
    let truth = arguments.truth.as_deref().map(Truth::read).transpose()?.unwrap_or_default();
    let mut backtest = Backtest::new(arguments, truth)?;
    let pass = pass(inputs, arguments.batch as usize, |batches| backtest.run(batches))?;
    let report = Report::new(backtest, &pass, arguments);
    match arguments.format {
        Format::Table => output::text(&table::write(&report))?,
        Format::Json => output::line(&serde_json::to_string_pretty(&report)?)?,
        Format::Junit => output::text(&junit::write(&report)?)?,
    }
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// What the events are run through.
struct Backtest {
    first: Pack,
    first_score: Score,
    alerts: Alerts,
    other: Option<Other>,
    truth: Truth,
    position: Position,
    /// Time within the rules, and waiting for the next events.
    busy: Duration,
    waited: Duration,
    /// Where the records end, if log time is to go on beyond it.
    ends: Option<Ends>,
}

/// The pack that is compared with the first.
struct Other {
    pack: Pack,
    score: Score,
    diff: Diff,
}

impl Backtest {
    fn new(arguments: &Arguments, truth: Truth) -> anyhow::Result<Backtest> {
        let first = rule_files::load_drafts(arguments.rules.as_deref())?;
        let other = arguments.diff.as_deref().map(|directory| rule_files::load_drafts(Some(directory))).transpose()?;
        let known: BTreeSet<String> = first.iter().chain(other.iter().flatten()).map(|rule| rule.id.clone()).collect();
        if let Some(unknown) = arguments.only.iter().find(|id| !known.contains(*id)) {
            bail!("there is no rule `{unknown}`{}; `keywatch detectors list` shows those there are", place(arguments));
        }
        let wanted = |rules: Vec<Rule>| -> Vec<Rule> {
            rules.into_iter().filter(|rule| arguments.only.is_empty() || arguments.only.contains(&rule.id)).collect()
        };
        let pack = |rules: Vec<Rule>| Pack::new(&wanted(rules));
        let compared = |rules| Ok(Other { pack: pack(rules)?, score: Score::new(&truth), diff: Diff::default() });
        let other = other.map(compared).transpose().map_err(|error: anyhow::Error| match &arguments.diff {
            Some(directory) => error.context(directory.display().to_string()),
            None => error,
        })?;
        let (first, first_score) = (pack(first)?, Score::new(&truth));
        let (busy, waited) = (Duration::ZERO, Duration::ZERO);
        let (alerts, position) = (Alerts::default(), Position::default());
        let ends = arguments.complete.then(Ends::default);
        Ok(Backtest { first, first_score, alerts, other, truth, position, busy, waited, ends })
    }

    /// Runs all that comes.
    fn run(&mut self, batches: &Receiver<Vec<Event>>) -> anyhow::Result<()> {
        loop {
            let begun = Stopwatch::now();
            let Ok(events) = batches.recv() else { return self.complete() };
            let received = Stopwatch::now();
            self.evaluate(&events)?;
            self.waited += received.duration_since(begun);
            self.busy += received.elapsed();
        }
    }

    fn complete(&mut self) -> anyhow::Result<()> {
        let Some(ends) = self.ends.take() else { return Ok(()) };
        let engines = [Some(&self.first), self.other.as_ref().map(|other| &other.pack)];
        let ticks = engines.into_iter().flatten().map(|pack| pack.closing_ticks(&ends));
        let ticks = ticks.max_by_key(|ticks| ticks.iter().map(Event::time).max());
        self.evaluate(&ticks.unwrap_or_default())
    }

    fn evaluate(&mut self, events: &[Event]) -> anyhow::Result<()> {
        if let Some(ends) = &mut self.ends {
            ends.take(events);
        }
        let found = self.first.run(self.position, events)?;
        self.first_score.add(&self.truth, &found);
        self.alerts.add(events, &found);
        if let Some(other) = &mut self.other {
            other.diff.add(Side::Removed, &found)?;
            let found = other.pack.run(self.position, events)?;
            other.score.add(&self.truth, &found);
            other.diff.add(Side::Added, &found)?;
        }
        self.position = self.position.plus(events.len());
        Ok(())
    }
}

/// Where rules were looked for, in words.
fn place(arguments: &Arguments) -> String {
    let directories: Vec<String> = [&arguments.rules, &arguments.diff]
        .into_iter()
        .flatten()
        .map(|directory: &PathBuf| Path::display(directory).to_string())
        .collect();
    if directories.is_empty() { String::new() } else { format!(" in {}", directories.join(" and ")) }
}

/// What the pass over the history was.
struct Pass {
    read: Read,
    /// From the first byte read to the last event run.
    elapsed: Duration,
}

/// Hands a history on, a batch after the other with the position of its first event.
///
/// # Errors
/// It cannot be read or holds no event, or `take` fails.
pub(crate) fn each_batch(
    paths: &[PathBuf],
    batch_events: usize,
    mut take: impl FnMut(Position, &[Event]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut position = Position::default();
    let pass = pass(input::find_all(paths, None)?, batch_events, |batches| {
        batches.iter().try_for_each(|events| {
            take(position, &events)?;
            position = position.plus(events.len());
            Ok(())
        })
    });
    pass.map(drop)
}

/// One pass over the history: it is read on a thread of its own.
fn pass(
    inputs: Vec<Input>,
    batch_events: usize,
    run: impl FnOnce(&Receiver<Vec<Event>>) -> anyhow::Result<()>,
) -> anyhow::Result<Pass> {
    let bytes = inputs.iter().map(|input| input.bytes).sum::<Option<u64>>();
    let (out, batches) = sync_channel(BACKTEST_BATCHES_MAX);
    let begun = Stopwatch::now();
    let reader = Reader::new(out, batch_events, output::progress_of_bytes(bytes));
    let read = thread::scope(|scope| {
        let reading = scope.spawn(move || reader.read_all(inputs));
        let ran = run(&batches);
        // The reader must not wait for rules that have stopped.
        drop(batches);
        let read = reading.join().map_err(|_| anyhow!("the reading thread panicked"))?;
        ran?;
        read
    })?;
    ensure!(read.events > 0, "there is no event to run the rules over");
    Ok(Pass { read, elapsed: begun.elapsed() })
}

fn share(text: &str) -> Result<f64, String> {
    let share = not_negative(text)?;
    if share <= 1.0 { Ok(share) } else { Err("must lie between 0 and 1".to_owned()) }
}

fn not_negative(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number.is_finite() && number >= 0.0 { Ok(number) } else { Err("must be zero or more".to_owned()) }
}
