//! `keywatch detectors`: what the rules are, whether they load, whether they do what their own events say; and of a running
//! keywatch, which of them people put into shadow or switched off.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use keywatch_detectors::Settings;
use keywatch_detectors::check::check as check_events;
use keywatch_detectors::rule::{self, Header, Rule};

use crate::commands::operator::client::Server;
use crate::commands::operator::switches::{self, Approve, Listed, Lower, Raise};
use crate::explanation::targets;
use crate::output;

mod check;
mod cost;
mod coverage;
mod explain;
mod new;
mod record;

/// List, check, test and explain rules.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch detectors list                                        every rule, with severity and title
  keywatch detectors explain signing/confirmation_mismatch       what it means, what to do, how it runs, its SQL and plan
  keywatch detectors explain source/silent --log keywatch-data   what it remembers and costs over that log
  keywatch detectors new signing/mine --directory rules          the skeleton of a rule
  keywatch detectors check rules/signing/mine.sql                everything that is wrong with it, and what to write instead
  keywatch detectors record rules/signing/mine.sql keywatch-data events on which it fires and stays quiet, out of history
  keywatch detectors coverage --log keywatch-data                what of each system the rules see, and what they are blind to
  keywatch detectors test                                        does each rule fire on its own events and stay quiet on the others

Of a running keywatch, with KEYWATCH_URL and KEYWATCH_TOKEN_FILE:
  keywatch detectors list --running                              the rules that run, and which are in shadow or off
  keywatch detectors off chain/amount_outlier --until 2026-03-04T18:00:00Z --reason 'migration of the vault'
  keywatch detectors approve 51bc…                               the second person agrees
  keywatch detectors on chain/amount_outlier --reason 'it is done'")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do with rules.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Every rule: id, severity, title, what it asks to be revoked
    List {
        /// Directory of rules, instead of those built in
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// Those that run, with what people put into shadow or switched off
        #[arg(long, conflicts_with = "rules")]
        running: bool,
        #[command(flatten)]
        server: Server,
    },
    /// Ask that a rule pages and proposes and revokes nothing by itself; a second person has to agree
    Shadow(Lower),
    /// Ask that what a rule finds is recorded and nothing more; a second person has to agree
    Off(Lower),
    /// Switch a rule on again
    On(Raise),
    /// Agree that a rule is put into shadow or switched off, as somebody else asked
    Approve(Approve),
    /// List the rules that are in shadow or off, or are to be
    Switches(Listed),
    /// Write the skeleton of a rule
    New {
        /// Its id, `family/name`
        #[arg(value_name = "RULE")]
        id: String,
        /// Directory of rules to write it into
        #[arg(long, value_name = "DIR", default_value = "rules")]
        directory: PathBuf,
    },
    /// Cut the events on which a rule fires, and those on which it stays quiet, out of history
    Record(record::RecordArguments),
    /// Say everything that is wrong with rules, whether or not their events are there yet
    Check {
        /// Rule files or directories of rules [default: those built in]
        #[arg(value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
    },
    /// Run each rule over the events beside it: it must fire on one file and stay quiet on the other
    Test {
        /// Rules by id, `family/name` [default: all]
        #[arg(value_name = "RULE")]
        rules: Vec<String>,
        /// Directory of rules, instead of those built in
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Say what a rule means, what to do when it fires, how it is run, what it remembers, and over a log what that costs
    Explain {
        /// Rule by id, `family/name`
        #[arg(value_name = "RULE")]
        rule: String,
        /// Directory of rules, instead of those built in
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
        /// Run it with the rules built in over this log (directory of a log or of an incident, file of event lines) and
        /// say what it remembers and costs; may be given several times
        #[arg(long, value_name = "DIR|FILE")]
        log: Vec<PathBuf>,
    },
    /// Say which rule sees what of which system: sees, half blind (and what is missing), blind
    Coverage(CoverageArguments),
}

/// What a system is seen by.
#[derive(Debug, clap::Args)]
pub(crate) struct CoverageArguments {
    /// Inventory [default: the one that the history brings]
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// What was heard: directory of a log or of an incident, or file of event lines; may be given several times
    #[arg(long, value_name = "DIR|FILE")]
    log: Vec<PathBuf>,
    /// Directory of rules, instead of those built in
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// List the rules that see everything too
    #[arg(long)]
    all: bool,
}

/// Runs the command.
///
/// # Errors
/// A rule that is asked for and is not there, a directory that cannot be read, a closed standard output.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::List { running: true, server, .. } => switches::running(server),
        Command::List { rules, .. } => list(&load(rules.as_deref())?),
        Command::Shadow(wanted) => switches::lower(wanted, "shadow"),
        Command::Off(wanted) => switches::lower(wanted, "off"),
        Command::On(wanted) => switches::raise(wanted),
        Command::Approve(wanted) => switches::approve(wanted),
        Command::Switches(wanted) => switches::list(wanted),
        Command::Check { paths } => check::run(paths),
        Command::New { id, directory } => new::run(id, directory),
        Command::Record(arguments) => record::run(arguments),
        Command::Test { rules, directory } => test(&chosen(load(directory.as_deref())?, rules)?),
        Command::Explain { rule, directory, log } => {
            let chosen = chosen(load(directory.as_deref())?, std::slice::from_ref(rule))?;
            explain::run(&chosen[0], rule::shipped()?, log)
        }
        Command::Coverage(arguments) => coverage::run(arguments, &load(arguments.directory.as_deref())?),
    }
}

/// The rules of a directory, or those built in.
///
/// # Errors
/// Names the file that cannot be read, and the field at fault.
fn load(directory: Option<&Path>) -> anyhow::Result<Vec<Rule>> {
    Ok(directory.map_or_else(rule::shipped, rule::load)?)
}

/// The rules of those ids, or all when none is named.
fn chosen(rules: Vec<Rule>, ids: &[String]) -> anyhow::Result<Vec<Rule>> {
    if let Some(unknown) = ids.iter().find(|id| rules.iter().all(|rule| rule.id != **id)) {
        bail!(
            "there is no rule `{unknown}`: it is named by its id, FAMILY/NAME; `keywatch detectors list` shows those built in, and \
             --directory DIR finds your own"
        );
    }
    Ok(rules.into_iter().filter(|rule| ids.is_empty() || ids.contains(&rule.id)).collect())
}

fn list(rules: &[Rule]) -> anyhow::Result<ExitCode> {
    let rows = rules.iter().map(|rule| {
        let Header { severity, title, response, .. } = &rule.header;
        [rule.id.clone(), severity.to_string(), targets(response), title.clone()]
    });
    output::line(&output::table(["rule", "severity", "cuts or holds", "title"], rows))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs each rule over the events beside it.
fn test(rules: &[Rule]) -> anyhow::Result<ExitCode> {
    let mut wrong = 0;
    for rule in rules {
        let verdict = match check_events(rule, &Settings::default()) {
            Ok(report) if report.is_good() => format!("ok     {}", rule.id),
            Ok(report) if report.fired.is_empty() => format!("wrong  {}: quiet on its .fires.jsonl", rule.id),
            Ok(report) => format!("wrong  {}: fires on its .quiet.jsonl: {}", rule.id, report.noise[0].title),
            Err(error) => format!("wrong  {error}"),
        };
        wrong += usize::from(verdict.starts_with("wrong"));
        output::line(&output::printable(&verdict))?;
    }
    output::note(&format!("{} rules, {wrong} wrong", rules.len()));
    Ok(ExitCode::from(u8::from(wrong > 0)))
}
