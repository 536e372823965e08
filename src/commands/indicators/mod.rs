//! `keywatch indicators`: what others warn of, as entries of the inventory, and which of it a history names already.
//!
//! It reads files and prints; the inventory is changed by whoever may, and every change of it is a record of the log.

mod reading;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use keywatch_store::{Event, Position};

use crate::commands::backtest;
use crate::limits::INDICATORS_SEEN_SHOWN_MAX;
use crate::{clock, output};
use reading::Warning;

/// Events that are read at once.
const BATCH_EVENTS: usize = 4096;

const DAY_SECONDS: i64 = 86_400;

/// Import what others warn of, and look whether it was seen already.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch indicators import warned.csv --by ann --history keywatch-data >> inventory.toml
                                                         entries for the last system of the inventory, and who was seen
  keywatch indicators import bundle.json --by ann --days 30 > entries.toml

FILE holds one indicator a line (what follows a comma says why, `#` begins a comment), or a STIX 2.1 bundle, of which the \
compared values of the patterns are taken. An indicator is an address of a chain or of the internet, a session, a \
transaction or a device, as events name it. The rule chain/indicator_seen finds what names one from then on.
Exit codes: 0 done; 1 a line was left out, or the history names an indicator; 2 not done.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write the indicators of a file to standard output, as entries of an inventory
    Import(Import),
}

#[derive(Debug, clap::Args)]
struct Import {
    /// Lines, or a STIX 2.1 bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who imports them
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why, where the file does not say it
    #[arg(long, value_name = "TEXT", default_value = "")]
    label: String,
    /// Days for which they count at most; 0 for good
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(..=3650))]
    days: u32,
    /// A log's directory, a file of event lines or a directory with an events.jsonl, in which they are looked for
    #[arg(long, value_name = "PATH")]
    history: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The file or the history cannot be read, the file holds no indicator.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Action::Import(import) = &arguments.action;
    let now = clock::now().unix_seconds();
    let read = reading::read(&import.file, now)?;
    for (what, problem) in &read.rejects {
        output::note(&format!("{} {what}: {problem}", import.file.display()));
    }
    ensure!(!read.warnings.is_empty(), "{} holds no indicator that counts", import.file.display());
    let seen = look_back(&import.history, &read.warnings)?;
    for (indicator, warning) in &read.warnings {
        output::text(&entry(import, indicator, warning, now))?;
    }
    Ok(if read.rejects.is_empty() && seen == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// One entry of the inventory.
fn entry(import: &Import, indicator: &str, warning: &Warning, now: i64) -> String {
    let by_days = (import.days > 0).then(|| now + i64::from(import.days) * DAY_SECONDS);
    let expires_at = [by_days, warning.until].into_iter().flatten().min().unwrap_or(0);
    let label = if warning.label.is_empty() { &import.label } else { &warning.label };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    format!(
        "\n[[systems.indicators]]\nindicator = {}\nlabel = {}\nexpires_at = {expires_at}\nimported_by = {}\n",
        quoted(indicator),
        quoted(label),
        quoted(&import.by)
    )
}

/// Shows the events that name an indicator; how many there are.
fn look_back(history: &[PathBuf], warnings: &BTreeMap<String, Warning>) -> anyhow::Result<usize> {
    if history.is_empty() {
        return Ok(0);
    }
    let (mut seen, mut rows) = (0, Vec::new());
    backtest::each_batch(history, BATCH_EVENTS, |_: Position, events: &[Event]| {
        for event in events {
            let Some(indicator) = named(event).into_iter().flatten().find(|name| warnings.contains_key(*name)) else {
                continue;
            };
            seen += 1;
            if rows.len() < INDICATORS_SEEN_SHOWN_MAX {
                let whose = event.session().or(event.request()).or(event.wallet()).unwrap_or_default();
                let time = event.time().to_string();
                rows.push([time.as_str(), event.system(), event.kind(), indicator, whose].map(str::to_owned));
            }
        }
        Ok(())
    })?;
    if !rows.is_empty() {
        output::note(&output::table(["time", "system", "kind", "indicator", "session, request or wallet"], rows));
    }
    output::note(&format!("{seen} events of the history name an indicator"));
    Ok(seen)
}

/// What an event says that an indicator may be.
fn named(event: &Event) -> [Option<&str>; 6] {
    [event.to_address(), event.from_address(), event.ip(), event.session(), event.tx(), event.device()]
}
