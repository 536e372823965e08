//! `keywatch pdp`: decisions of a log asked again of the policy that they name.
//!
//! It reads files and shows what differs; it asks no decision point, and cannot know which data a decision point had besides
//! what it is given.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use keywatch_alerting::Reevaluation;
use keywatch_ingest::feeds::opa::verdict;
use keywatch_store::{Event, Position};
use serde_json::{Value, json};

use crate::commands::backtest;
use crate::limits::{PDP_POLICY_FILES_MAX, PDP_REPLAY_ROWS_MAX};
use crate::{clock, output};

/// Events that are read at once.
const BATCH_EVENTS: usize = 4096;

/// Ask logged decisions again of the policy that they were made by.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch pdp replay --policy bundle/ keywatch-data     what would that policy have said?
  keywatch pdp replay --policy bundle/ --revision 'policy r7' events.jsonl
                                                         only what was decided by that revision

A directory of policies holds .rego files (those that end in _test.rego are left out) and may hold a data.json. A decision \
that differs was made by another policy or other data than these (docs/revocation.md). Without data on revocations in \
data.json none are taken to be there, so that what was denied for one differs.
Exit codes: 0 all decisions are those of the policy; 1 some differ; 2 not done.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Evaluate the input of each decision again and show those that come out differently
    Replay(Replay),
}

#[derive(Debug, clap::Args)]
struct Replay {
    /// Directory with the policy, as it was published
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// Only decisions that say that they were made by this revision (`detail.policy_revision`)
    #[arg(long, value_name = "TEXT")]
    revision: Option<String>,
    /// A log's directory, or files of event lines, or directories with an events.jsonl
    #[arg(value_name = "PATH", default_value = "keywatch-data")]
    paths: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The policy does not load, the history cannot be read or holds no event.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Action::Replay(replay) = &arguments.action;
    let mut asked = Asked::new(replay)?;
    backtest::each_batch(&replay.paths, BATCH_EVENTS, |_: Position, events: &[Event]| {
        let decisions = events.iter().filter(|event| event.kind() == "decision");
        decisions.for_each(|event| asked.take(event));
        Ok(())
    })?;
    asked.tell()
}

/// What came of asking again.
struct Asked<'a> {
    policy: Reevaluation,
    revision: Option<&'a str>,
    same: usize,
    differing: usize,
    /// Of those that differ, the first ones.
    rows: Vec<[String; 6]>,
    /// Why decisions could not be asked again, and how many.
    left_out: BTreeMap<&'static str, usize>,
}

impl Asked<'_> {
    fn new(replay: &Replay) -> anyhow::Result<Asked<'_>> {
        let policies = policies(&replay.policy)?;
        let data = data(&replay.policy)?;
        Ok(Asked {
            policy: Reevaluation::new(&policies, &data)?,
            revision: replay.revision.as_deref(),
            same: 0,
            differing: 0,
            rows: Vec::new(),
            left_out: BTreeMap::new(),
        })
    }

    fn take(&mut self, event: &Event) {
        let detail = event.detail().value();
        if self.revision.is_some() && detail["policy_revision"].as_str() != self.revision {
            *self.left_out.entry("of another revision").or_default() += 1;
            return;
        }
        let Some(path) = detail["path"].as_str() else {
            *self.left_out.entry("without a path").or_default() += 1;
            return;
        };
        let input = &detail["input"];
        if input.is_null() || !detail["erased"].is_null() || input.to_string().contains("\"***\"") {
            *self.left_out.entry("whose input was not logged in full").or_default() += 1;
            return;
        }
        let answer = self.policy.ask(path, input);
        let said = match &answer {
            Ok(Some(result)) => verdict::of(Some(result), Some(path), &BTreeMap::new()).0,
            Ok(None) => "undefined",
            Err(_) => "error",
        };
        let logged = event.outcome().unwrap_or("unknown");
        // Where the verdict of a result is not known, the result itself is compared.
        let same_result = matches!(&answer, Ok(Some(result)) if *result == detail["result"]);
        if same_result || (said == logged && said != "unknown") {
            self.same += 1;
            return;
        }
        self.differing += 1;
        if self.rows.len() < PDP_REPLAY_ROWS_MAX {
            let said = answer.err().map_or_else(|| said.to_owned(), |error| error.to_string());
            let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
            let replica = detail["labels"]["id"].as_str().unwrap_or(event.source()).to_owned();
            let [decision, request] = [event.decision(), event.request()].map(text);
            self.rows.push([event.event_time().to_string(), replica, decision, request, logged.to_owned(), said]);
        }
    }

    fn tell(self) -> anyhow::Result<ExitCode> {
        for (why, count) in &self.left_out {
            output::note(&format!("{count} decisions {why} were not asked again"));
        }
        ensure!(self.same + self.differing > 0, "there is no decision that can be asked again");
        if !self.rows.is_empty() {
            let headings = ["decided", "replica", "decision", "request", "logged", "the policy says"];
            output::line(&output::table(headings, self.rows))?;
        }
        output::line(&format!("{} decisions asked again, {} differ", self.same + self.differing, self.differing))?;
        Ok(if self.differing == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// The policies below a directory, by file.
fn policies(directory: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let (mut found, mut directories) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", directory.display()))?;
            // A link is not followed: it may lead back here.
            let (kind, path) = (entry.file_type()?, entry.path());
            let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("_test"));
            if kind.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rego") && !is_test {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                found.push((path.display().to_string(), text));
            }
            ensure!(
                found.len() + directories.len() <= PDP_POLICY_FILES_MAX,
                "{} holds more than {PDP_POLICY_FILES_MAX} policies and directories",
                directory.display()
            );
        }
    }
    ensure!(!found.is_empty(), "{} holds no .rego file", directory.display());
    found.sort();
    Ok(found)
}

/// The data beside the policies. Where it says nothing of revocations, there are none: without a document in force keywatch's
/// own policy denies everything.
fn data(directory: &Path) -> anyhow::Result<Value> {
    let file = directory.join("data.json");
    let mut data = if file.is_file() {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no JSON", file.display()))?
    } else {
        json!({})
    };
    let members = data.as_object_mut().with_context(|| format!("{} must hold an object", file.display()))?;
    members.entry("revocations").or_insert_with(|| {
        json!({
            "meta": { "system": "", "seq": 0, "issued_at": clock::now().unix_seconds() },
            "sessions": {}, "subjects": {}, "devices": {}, "requests": {}, "wallets": {},
        })
    });
    Ok(data)
}
