//! `keywatch init`: what a site needs to begin, from its history: a proposed inventory, a configuration with every rule in shadow,
//! and how much each family of rules would have found.
//!
//! | module | what it does |
//! |---|---|
//! | [`seen`] | what a history shows of a site |
//! | [`proposal`] | that as an inventory |
//! | [`families`] | findings a day by family of rules; the configuration |
//!
//! It writes new files and changes none.

mod families;
mod proposal;
mod seen;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use keywatch_store::{Event, Inventory, Position};

use crate::commands::backtest;
use crate::commands::backtest::found::{History, found};
use crate::output;
use families::Families;
use seen::Seen;

/// Events that are looked at at once.
const BATCH_EVENTS: usize = 4096;

const INVENTORY: &str = "inventory.toml";
const CONFIGURATION: &str = "keywatch.toml";

/// Get a site going: propose an inventory from its history, and a configuration with every rule in shadow.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch import --feed safe --system cold multisig-transactions.json > history.jsonl
  keywatch init history.jsonl --output site
  keywatch init keywatch-data --output site                from the log of a keywatch that already runs

Writes inventory.toml and keywatch.toml into the directory; files that are there are never changed. docs/init.md says how to go \
on from there: read the inventory, then take the rules out of shadow family by family.

Exit codes: 0 done; 2 not done.")]
pub(crate) struct Arguments {
    /// History: the directory of a log, or files of event lines in the order of time
    #[arg(required = true, value_name = "LOG|FILE")]
    paths: Vec<PathBuf>,
    /// Directory to write into; it is made where it is not there
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A history that cannot be read or names no system, files that are there already.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let twice = arguments.paths.iter().any(|path| path == Path::new("-"));
    ensure!(!twice, "the history is read twice, so it cannot be standard input; write it into a file");
    let [inventory, configuration] = [INVENTORY, CONFIGURATION].map(|name| arguments.output.join(name));
    for file in [&inventory, &configuration] {
        ensure!(!file.exists(), "{} is there already; name another directory", file.display());
    }
    let mut seen = Seen::default();
    backtest::each_batch(&arguments.paths, BATCH_EVENTS, |_: Position, events: &[Event]| {
        events.iter().for_each(|event| seen.take(event));
        Ok(())
    })?;
    ensure!(!seen.systems.is_empty(), "no source says anything in this history");
    let proposed = proposal::inventory(&seen);
    let declared = Inventory::parse(INVENTORY, &proposed)?;
    let History { rules, days, irregularities } = found(&arguments.paths, &declared)?;
    let families = Families::new(&rules, days);

    fs::create_dir_all(&arguments.output).with_context(|| format!("cannot make {}", arguments.output.display()))?;
    write_new(&inventory, &proposed)?;
    write_new(&configuration, &families.configuration())?;
    for (id, system) in &seen.systems {
        let counts = [system.sources.len(), system.wallets.len(), system.people.len(), system.destinations.len()];
        let [sources, wallets, people, destinations] = counts;
        let line = format!(
            "system {id}: {} events, {sources} sources, {wallets} wallets, {people} people, {destinations} destinations",
            system.events
        );
        output::line(&output::printable(&line))?;
    }
    output::line(&format!("\n{}\n", families.table()))?;
    irregularities.map_or(Ok(()), |odd| output::line(&format!("{odd}\n")))?;
    output::line(&format!("read {}, then {}; docs/init.md goes on", inventory.display(), configuration.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that is not there.
fn write_new(file: &Path, text: &str) -> anyhow::Result<()> {
    let written = File::create_new(file).and_then(|mut open| open.write_all(text.as_bytes()));
    written.with_context(|| format!("cannot write {}", file.display()))
}
