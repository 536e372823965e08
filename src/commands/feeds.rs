//! `keywatch feeds`: which formats there are, how one is read, whether a mapping file is right and what it makes of records.
//!
//! Stores nothing and reads no clock; what is wrong with a mapping is said by the room that reads it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use keywatch_ingest::feeds::{self, table::page};
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::{Context, Feed, Reading};
use keywatch_store::event::Origin;
use keywatch_store::line;

use crate::output;
use crate::service::config;

/// List and show feeds, and check mapping files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch feeds list                                     every format that is understood
  keywatch feeds show okta                                which field fills which column, kinds, traps, an example
  keywatch feeds check badges.toml                        is this mapping file right, and how does it read a record?
  keywatch feeds check badges.toml --records badges.jsonl what becomes of each of these records?

docs/mapping.md says how a mapping file is written. Exit codes: 0 right, every record was read; 1 some records were \
rejected; 2 the mapping is wrong, said as FILE:LINE: KEY: REASON, or nothing could be read.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Every feed that is built in: its name, what it is, whose format
    List,
    /// How a feed reads a record
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Whether a mapping file is right, and what it makes of records
    Check {
        /// The mapping file
        #[arg(value_name = "FILE")]
        mapping: PathBuf,
        /// Records as the source sends them; what each becomes is printed
        #[arg(long, value_name = "FILE")]
        records: Option<PathBuf>,
    },
}

/// Runs the command.
///
/// # Errors
/// A mapping that is wrong, an unknown feed, a file that cannot be read, a closed standard output.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::List => {
            let rows = page::listed().map(|(name, what, format)| [name, what, format].map(str::to_owned));
            output::line(&output::table(["feed", "what", "format"], rows))?;
        }
        Command::Show { name } => {
            let feed = feeds::find(name)?;
            output::text(&page::about(feed.name()).context("the feed has no page; this is a defect of keywatch")?)?;
        }
        Command::Check { mapping, records } => return check(mapping, records.as_deref()),
    }
    Ok(ExitCode::SUCCESS)
}

fn check(file: &Path, records: Option<&Path>) -> anyhow::Result<ExitCode> {
    let mapping = config::read_mapping(file)?;
    let kinds: Vec<&str> = mapping.kinds().into_iter().collect();
    output::line(&format!("{}: feed `{}`, makes {}", file.display(), mapping.name(), kinds.join(", ")))?;
    let table = mapping.into_feed();
    let Some(records) = records else {
        output::text(&page::reading(table))?;
        return Ok(ExitCode::SUCCESS);
    };
    let cannot = || format!("cannot read {}", records.display());
    let mut body = Vec::new();
    File::open(records)
        .with_context(cannot)?
        .take(BODY_BYTES_MAX as u64 + 1)
        .read_to_end(&mut body)
        .with_context(cannot)?;
    ensure!(body.len() <= BODY_BYTES_MAX, "{}: more than {BODY_BYTES_MAX} bytes; cut it", records.display());
    let origin = Origin { system: "SYSTEM".to_owned(), source: "SOURCE".to_owned() };
    let reading = table.read(&Context { origin: &origin, inventory: None }, &body);
    told(&reading)?;
    Ok(ExitCode::from(u8::from(!reading.rejects.is_empty())))
}

/// What became of records: the events, then what was refused, then counts.
fn told(reading: &Reading) -> std::io::Result<()> {
    for event in &reading.events {
        output::line(&line::write(event))?;
    }
    for reject in &reading.rejects {
        let place = reject.line.map_or_else(|| "whole".to_owned(), |line| format!("line {line}"));
        output::line(&output::printable(&format!("rejected: {place}: {}: {}", reject.field, reject.reason)))?;
    }
    let (events, rejects, skipped) = (reading.events.len(), reading.rejects.len(), reading.skipped);
    output::line(&format!("{} records: {events} events, {rejects} rejected, {skipped} passed over", reading.records))
}
