//! `keywatch sources`: which sources may send, and credentials of theirs that somebody else had.

use std::fmt::Write as _;
use std::process::ExitCode;

use keywatch_store::Instant;
use serde_json::{Value, json};

use super::client::Server;
use super::tables::{items, text, time};
use super::{Id, print};
use crate::output::table;

/// See the sources that may send; declare a credential of one stolen, and see what rests on what was written under it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch sources list
  keywatch sources compromised --system cold --source idp --since 2026-03-01T06:00:00Z --reason 'token found in a paste'
  keywatch sources affected 51bc…                findings that rest on what it wrote since
  keywatch sources restore 51bc… --reason 'the paste was ours'

Administrators declare, and it holds at once: the credential is refused, what the source wrote since is tainted, and no \
revocation goes without a person on its word. One person declares three sources an hour. Taking it back needs two. docs/compromises.md tells the rest.")]
pub(crate) struct SourcesArguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: SourcesAction,
}

#[derive(Debug, clap::Subcommand)]
enum SourcesAction {
    /// List the sources that may send or are asked, and when each was last heard
    List,
    /// Declare that somebody else had the credential of a source
    Compromised(Compromised),
    /// List what was declared
    Compromises,
    /// Show what rests on what a source wrote under a stolen credential
    Affected(Id),
    /// Ask that a declaration is taken back, or agree to that
    Restore(Restore),
}

#[derive(Debug, clap::Args)]
struct Compromised {
    /// The system
    #[arg(long)]
    system: String,
    /// The source, as the inventory has it
    #[arg(long)]
    source: String,
    /// Log time from which on somebody else may have had it
    #[arg(long, value_name = "TIME")]
    since: Instant,
    /// Log time at which it was replaced, if it was: then nothing that is configured now is refused
    #[arg(long, value_name = "TIME")]
    until: Option<Instant>,
    /// How that is known; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Restore {
    /// Id of the declaration
    #[arg(value_name = "ID")]
    id: String,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// Runs `keywatch sources`.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn sources(arguments: &SourcesArguments) -> anyhow::Result<ExitCode> {
    let SourcesArguments { server, action } = arguments;
    match action {
        SourcesAction::List => print(server, &server.get(&["sources"], &[])?, listed),
        SourcesAction::Compromised(Compromised { system, source, since, until, reason }) => {
            let body = json!({ "system": system, "source": source, "since": since, "until": until, "reason": reason });
            print(server, &server.post(&["compromises"], &body)?, shown)
        }
        SourcesAction::Compromises => print(server, &server.get(&["compromises"], &[])?, compromises),
        SourcesAction::Affected(Id { id }) => print(server, &server.get(&["compromises", id], &[])?, shown),
        SourcesAction::Restore(Restore { id, reason }) => {
            print(server, &server.post(&["compromises", id, "restore"], &json!({ "reason": reason }))?, declared)
        }
    }
}

fn listed(answer: &Value) -> String {
    let row = |source: &Value| {
        let state = if source["silent"] == true { "silent" } else { "heard" };
        let [system, name, feed] = ["system", "source", "feed"].map(|field| text(source, field));
        [system, name, feed, state.to_owned(), time(source, "heard")]
    };
    table(["system", "source", "feed", "state", "last heard (UTC)"], items(&answer["sources"]).iter().map(row))
}

fn compromises(answer: &Value) -> String {
    let all = items(&answer["compromises"]);
    if all.is_empty() {
        return "no credential was declared stolen".to_owned();
    }
    let row = |one: &Value| {
        let who = [text(one, "by"), text(one, "restore_asked_by"), text(one, "restored_by")];
        let [id, status, system] = ["id", "status", "system"].map(|field| text(one, field));
        let [source, reason] = ["source", "reason"].map(|field| text(one, field));
        let who = who.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", ");
        [id, status, system, source, time(one, "since"), until(one), who, reason]
    };
    let headings = ["declaration", "status", "system", "source", "tainted since", "until (UTC)", "by", "why"];
    table(headings, all.iter().map(row))
}

fn until(compromise: &Value) -> String {
    let until = time(compromise, "tainted_until");
    if until.is_empty() { "it goes on".to_owned() } else { until }
}

fn declared(compromise: &Value) -> String {
    let refused = items(&compromise["refused"]).len();
    let takers: Vec<&str> = items(&compromise["still_taken_by"]).iter().filter_map(Value::as_str).collect();
    let takers = if takers.is_empty() { String::new() } else { format!("; still taken by {}", takers.join(", ")) };
    let others: Vec<&str> = items(&compromise["shared_with"]).iter().filter_map(Value::as_str).collect();
    let shared = match others.as_slice() {
        [] => String::new(),
        others => {
            format!("\nwhat is refused was also accepted for {}: declare these too if they share it", others.join(", "))
        }
    };
    format!(
        "declaration {}: {}\nthe credential of {} in {} since {} until {} UTC; {refused} refused{takers}{shared}",
        text(compromise, "id"),
        text(compromise, "status"),
        text(compromise, "source"),
        text(compromise, "system"),
        time(compromise, "since"),
        until(compromise),
    )
}

fn shown(compromise: &Value) -> String {
    let affected = &compromise["affected"];
    let mut page = declared(compromise);
    let [events, total] = ["events", "total"].map(|field| text(affected, field));
    let _ = writeln!(page, "\n\n{events} tainted events; {total} findings rest on them");
    let row = |finding: &Value| {
        let responses = items(&finding["responses"]).iter();
        let responses = responses.map(|one| format!("{} {}", text(one, "id"), text(one, "status"))).collect::<Vec<_>>();
        let [severity, rule, title] = ["severity", "rule", "title"].map(|field| text(finding, field));
        let alert = text(&finding["alert"], "id");
        [alert, severity, text(finding, "rests"), time(finding, "decided"), rule, title, responses.join(", ")]
    };
    let findings = items(&affected["findings"]);
    if !findings.is_empty() {
        let headings = ["alert", "severity", "rests on them", "log time (UTC)", "rule", "what was found", "responses"];
        let _ = writeln!(page, "\n{}", table(headings, findings.iter().map(row)));
    }
    if affected["complete"] == false {
        page.push_str("there are more than are shown, or the log was not gone through to its end\n");
    }
    page
}
