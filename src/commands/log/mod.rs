//! `keywatch log`: is a log whole, how does one go on when it is not, what is in it, and how does it get elsewhere?
//!
//! The store looks and writes; here it is only told.

mod copy;
mod cut;
mod place;
mod since;
mod tail;
mod topics;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use indicatif::ProgressBar;
use keywatch_store::log::TopicHead;
use keywatch_store::log::embedded::{Acceptance, Accepted, Options, Progress, Report, accept_loss, check};
use keywatch_store::{Clock, Topic};

use crate::commands::backtest::input::lacks;
use crate::service::evaluation::{alerting_snapshots, snapshots};
use crate::{clock, output};

/// Check, show and copy a log, or go on with one that has lost records.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch log check keywatch-data                  is it whole, and where does it end?
  keywatch log accept-loss keywatch-data --by ann --reason 'disk failed, sources send again'
                                                    go on without what is missing
  keywatch log tail keywatch.toml --follow --kind signing.   what is written to the log on Kafka that this file names
  keywatch log copy --backup keywatch-data backup   the same records under the same key, for `keywatch run` to go on with
  keywatch log copy keywatch-data keywatch.toml     from the embedded log to Kafka, with all log times
  keywatch log copy keywatch.toml keep --since 2026-01-01T00:00:00Z
                                                    what came since then, with what was declared before
  keywatch log copy keywatch.toml left --from-cut --by ann
                                                    what retention has left, with records of what is missing

A log in a directory is looked at while no keywatch has it open. docs/damaged-log.md says what to do with a damaged one, \
docs/kafka.md what is to be known about Kafka.
Exit codes: 0 whole, or done; 1 damaged; 2 not looked at, not done.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Read every file and every record, and say what is wrong and where the log ends; nothing is changed
    Check(Place),
    /// Show the newest records as event lines, those that are asked for
    Tail(tail::TailArguments),
    /// Copy the records of a log into an empty one, with their log times
    Copy(copy::CopyArguments),
    /// Make a log of what stands, with a record of what is lost and of who went on without it
    AcceptLoss(Loss),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The log's directory; to check a log on Kafka, the configuration (*.toml) that names it
    #[arg(value_name = "DIR|TOML")]
    directory: PathBuf,
    /// The key that its batches are signed with [default: DIR/keywatch.key]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Loss {
    #[command(flatten)]
    place: Place,
    /// Who accepts the loss; it stands in the log
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why; it stands in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// System that lost records, where no record of it stands any more; may be given several times
    #[arg(long = "system", value_name = "SYSTEM")]
    systems: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// The log is open in another keywatch, too little of it can be read, or there is no loss to accept.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Check(place) => match place::Place::of(&place.directory) {
            place::Place::Configuration(file) => topics::check(&file),
            _ => check_log(place),
        },
        Action::Tail(arguments) => tail::run(arguments),
        Action::Copy(arguments) => copy::run(arguments),
        Action::AcceptLoss(loss) => accept(loss),
    }
}

fn check_log(place: &Place) -> anyhow::Result<ExitCode> {
    let mut bars = Bars::new();
    let report = check(&place.directory, &place.options(), |progress| bars.show(progress));
    bars.end();
    let report = report?;
    show(&report)?;
    let lacks = lacks(&place.directory, report.topics.map(|found| found.end.position))?;
    lacks.iter().try_for_each(|said| output::line(said))?;
    Ok(ExitCode::from(u8::from(!(report.damage.is_empty() && lacks.is_empty()))))
}

fn accept(loss: &Loss) -> anyhow::Result<ExitCode> {
    for (name, text) in [("--by", &loss.by), ("--reason", &loss.reason)] {
        ensure!(!text.trim().is_empty(), "{name} is empty; who reads the log later wants to know");
    }
    let acceptance = Acceptance {
        by: loss.by.clone(),
        reason: loss.reason.clone(),
        systems: loss.systems.clone(),
        at: clock::now(),
        made_from_it: [snapshots::DIRECTORY, alerting_snapshots::DIRECTORY].map(str::to_owned).into(),
    };
    let mut bars = Bars::new();
    let accepted =
        accept_loss(&loss.place.directory, &loss.place.options(), &acceptance, |progress| bars.show(progress));
    bars.end();
    let Accepted { report, gaps, salvaged, set_aside } = accepted?;
    show_damage(&report)?;
    output::line(&format!("{salvaged} records that stood behind the damage are kept"))?;
    output::line(&format!(
        "{gaps} records source.gap say what is lost and that {} went on; rule source/gap pages",
        loss.by
    ))?;
    output::line(&format!("the damaged log lies in {}; keep it until the damage is explained", set_aside.display()))?;
    Ok(ExitCode::SUCCESS)
}

impl Place {
    fn options(&self) -> Options {
        Options { key_file: self.key_file.clone(), ..Options::new(Clock::Wall) }
    }
}

fn show(report: &Report) -> anyhow::Result<()> {
    let rows = Topic::ALL.into_iter().zip(&report.topics).map(|(topic, found)| {
        [
            topic.name().to_owned(),
            found.oldest.0.to_string(),
            found.records.to_string(),
            found.batches.to_string(),
            described(&found.end),
        ]
    });
    output::line(&output::table(["topic", "oldest", "records", "batches", "ends at"], rows))?;
    if let Some(heads) = &report.heads {
        for (topic, head) in Topic::ALL.into_iter().zip(heads) {
            output::line(&format!("head of {}: {}", topic.name(), described(head)))?;
        }
    } else {
        output::line("no head could be read: nothing but the log itself says where it ends")?;
    }
    if !report.signed {
        output::line("the key could not be read, so that no MAC and no head was checked; name it with --key-file")?;
    }
    for gap in &report.gaps {
        output::line(&output::printable(&cut::said(gap)))?;
    }
    if report.more_gaps > 0 {
        output::line(&format!("{} further records source.gap are not shown", report.more_gaps))?;
    }
    if report.damage.is_empty() {
        output::line("whole: every file, batch and link verifies, and the log reaches its head")?;
        return Ok(());
    }
    show_damage(report)
}

fn show_damage(report: &Report) -> anyhow::Result<()> {
    output::line("damaged:")?;
    for file in &report.damage.files {
        output::line(&output::printable(&format!("  {file}")))?;
    }
    for loss in &report.damage.losses {
        output::line(&output::printable(&format!("  {loss}")))?;
    }
    if report.damage.losses.is_empty() {
        output::line("  no record is known to be missing")?;
    }
    Ok(())
}

fn described(head: &TopicHead) -> String {
    if head.position.0 == 0 {
        return "0".to_owned();
    }
    format!("{} {} {}", head.position.0, head.time, hex::encode(&head.hash[..8]))
}

/// Two bars, one after the other: the files, the records in them.
struct Bars {
    files: ProgressBar,
    records: Option<ProgressBar>,
}

impl Bars {
    fn new() -> Bars {
        Bars { files: output::progress_of_bytes(None), records: None }
    }

    fn show(&mut self, progress: Progress) {
        match progress {
            Progress::Bytes(bytes) => self.files.inc(bytes),
            Progress::Records(records) => {
                self.files.finish_and_clear();
                self.records.get_or_insert_with(output::progress_of_records).inc(records);
            }
        }
    }

    fn end(&self) {
        self.files.finish_and_clear();
        self.records.iter().for_each(ProgressBar::finish_and_clear);
    }
}
