//! `keywatch alerts`, `incidents`, `responses`, `sessions`, `sources` and `about`: what an operator sees and does, over the API of a
//! running keywatch.
//!
//! | module | what it does |
//! |---|---|
//! | [`client`] | speaks to the API |
//! | [`ids`] | ids by their beginnings |
//! | [`mod@responses`] | `keywatch responses` and `keywatch sessions` |
//! | [`mod@sources`] | `keywatch sources` |
//! | [`switches`] | `keywatch detectors` as far as it asks a running keywatch: rules put into shadow, off and on |
//! | [`tables`], [`response_text`] | answers as text |

pub(super) mod client;
mod ids;
mod response_text;
mod responses;
mod sources;
pub(super) mod switches;
pub(super) mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, anyhow, ensure};
use keywatch_alerting::limits::ALLOWANCE_NS_MAX;
use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use serde_json::{Value, json};

use crate::service::http::page::standalone;
use crate::{clock, output};
use client::Server;
use ids::whole;
pub(crate) use responses::{ResponsesArguments, SessionsArguments, responses, sessions};
pub(crate) use sources::{SourcesArguments, sources};

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400 * SECOND_NS;

/// Days that an entry of the allow-list lasts at most.
const ALLOWANCE_DAYS_MAX: i64 = ALLOWANCE_NS_MAX / DAY_NS;

/// See and handle alerts: acknowledge, assign, comment, resolve, silence, hand over.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch alerts list --status open --severity high
  keywatch alerts show 4f0c…                     what happened, and the chain of custody around it
  keywatch alerts ack 4f0c… 9ab1…
  keywatch alerts resolve 4f0c… --verdict benign --reason 'key ceremony of March'
  keywatch alerts resolve 4f0c… --verdict benign --reason 'pays salaries each month' --allow 30
  keywatch alerts allow 4f0c… --days 30 --reason 'salaries' --any destination --amount-up-to 5000000
  keywatch alerts silence --system cold --rule chain/amount_outlier --for 8h --reason 'migration'
  keywatch alerts handover --since 2026-03-01T06:00:00Z

An id may be that of an alert or of its incident: people handle incidents. Its first digits will do, four or more.
docs/alerts.md tells the day of an analyst.
KEYWATCH_URL says where keywatch is; KEYWATCH_TOKEN_FILE, or KEYWATCH_TOKEN itself, who you are.")]
pub(crate) struct AlertsArguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: AlertsAction,
}

/// See incidents: alerts that belong together.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch incidents list
  keywatch incidents show 77d2…
  keywatch incidents export 77d2… --output incident.html

`keywatch alerts` acknowledges, comments and resolves them.")]
pub(crate) struct IncidentsArguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: IncidentsAction,
}

/// Show everything that is known about a session, person, device, request, wallet, address or transaction.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch about 0x47666fab8bd0ac7003bce3f5c3585383f09486e2
  keywatch about ann --since 2026-03-01T00:00:00Z

That you asked is written down.")]
pub(crate) struct AboutArguments {
    #[command(flatten)]
    server: Server,
    /// The name, exactly as it stands in events
    #[arg(value_name = "NAME")]
    name: String,
    /// How far to look back [default: 30 days]
    #[arg(long, value_name = "TIME")]
    since: Option<Instant>,
}

#[derive(Debug, clap::Subcommand)]
enum IncidentsAction {
    /// List incidents, those that nobody has taken up first
    List(Filter),
    /// Show an incident
    Show(Id),
    /// Write an incident with its timeline as one HTML file that needs no network
    Export(Export),
}

#[derive(Debug, clap::Subcommand)]
enum AlertsAction {
    /// List alerts, worst first
    List(Filter),
    /// Show an alert and its incident
    Show(Id),
    /// Acknowledge incidents: you see to them
    Ack(Ids),
    /// Give an incident to somebody
    Assign(Assign),
    /// Say something about an incident
    Comment(Comment),
    /// Say what an incident, or one alert of it, was
    Resolve(Resolve),
    /// Take up an incident again that was resolved
    Reopen(Reopen),
    /// Put findings like the one of a resolved alert on the allow-list; a second person has to agree
    Allow(Allow),
    /// Silence findings for a while; criticals need a second person
    Silence(Silence),
    /// List silences and entries of the allow-list
    Silences,
    /// Agree to a silence of criticals, or an entry of the allow-list, that somebody else asked for
    ApproveSilence(Id),
    /// End a silence, or an entry of the allow-list, before its time
    EndSilence(Id),
    /// Report what a shift leaves to the next
    Handover(Handover),
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// open, acknowledged or resolved
    #[arg(long)]
    status: Option<String>,
    /// One system
    #[arg(long)]
    system: Option<String>,
    /// This severity and worse: info, low, medium, high, critical
    #[arg(long)]
    severity: Option<String>,
    /// Whose
    #[arg(long)]
    assignee: Option<String>,
    /// One rule
    #[arg(long)]
    rule: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Id {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
}

#[derive(Debug, clap::Args)]
struct Export {
    /// Its id
    #[arg(value_name = "ID")]
    id: String,
    /// Where to write it [default: standard output]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Ids {
    /// Ids of alerts or incidents
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct Assign {
    /// Id of an alert or incident
    #[arg(value_name = "ID")]
    id: String,
    /// Who is to see to it; nobody, to give it back
    #[arg(value_name = "NAME")]
    assignee: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Comment {
    /// Id of an alert or incident
    #[arg(value_name = "ID")]
    id: String,
    /// The words
    #[arg(value_name = "TEXT")]
    comment: String,
}

#[derive(Debug, clap::Args)]
struct Resolve {
    /// Id of an alert, which alone is meant then, or of an incident
    #[arg(value_name = "ID")]
    id: String,
    /// true: an attack; false: nothing of it happened; benign: it was meant; test: an exercise
    #[arg(long, value_parser = ["true", "false", "benign", "test"])]
    verdict: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Put findings like the alert's last one on the allow-list for so many days, once a second person agrees
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=ALLOWANCE_DAYS_MAX))]
    allow: Option<u16>,
}

#[derive(Debug, clap::Args)]
struct Allow {
    /// Id of an alert with the verdict false or benign
    #[arg(value_name = "ID")]
    id: String,
    /// How long
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u16).range(1..=ALLOWANCE_DAYS_MAX))]
    days: u16,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Any other of this side as well, e.g. destination, amount, actor, device or ip; the second person is told
    #[arg(long, value_name = "SIDE")]
    any: Vec<String>,
    /// Up to this amount in base units, in place of the one that was judged
    #[arg(long, value_name = "UNITS")]
    amount_up_to: Option<String>,
}

#[derive(Debug, clap::Args)]
struct Reopen {
    /// Id of an alert or incident
    #[arg(value_name = "ID")]
    id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Silence {
    /// The system
    #[arg(long)]
    system: String,
    /// Findings of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Findings about this
    #[arg(long)]
    entity: Option<String>,
    /// Findings about this wallet
    #[arg(long)]
    wallet: Option<String>,
    /// Findings about this person
    #[arg(long)]
    actor: Option<String>,
    /// Findings about this destination
    #[arg(long)]
    destination: Option<String>,
    /// Findings from this source
    #[arg(long)]
    source: Option<String>,
    /// How long, e.g. 90m or 8h
    #[arg(long = "for", value_name = "DURATION")]
    length: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Criticals are meant too: a second person has to agree, and it lasts 4 hours at most
    #[arg(long)]
    criticals: bool,
}

#[derive(Debug, clap::Args)]
struct Handover {
    /// When the shift began [default: 12 hours before its end]
    #[arg(long, value_name = "TIME")]
    since: Option<Instant>,
    /// When it ended [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Instant>,
}

impl Filter {
    /// The list; where nothing fits what was asked for, that is said too: a name that is misspelt finds nothing either.
    fn ask(&self, server: &Server, list: &str) -> anyhow::Result<Value> {
        let answer = server.get(&[list], &self.parameters())?;
        let is_set =
            [&self.status, &self.system, &self.severity, &self.assignee, &self.rule].iter().any(|of| of.is_some());
        if is_set && answer["total"] == 0 {
            output::note(&format!("nothing fits the filter; `keywatch {list} list` shows all of your systems"));
        }
        Ok(answer)
    }

    fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("status", self.status.clone()),
            ("system", self.system.clone()),
            ("severity", self.severity.clone()),
            ("assignee", self.assignee.clone()),
            ("rule", self.rule.clone()),
            ("limit", Some(self.limit.to_string())),
        ]
    }
}

/// Runs `keywatch alerts`.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn alerts(arguments: &AlertsArguments) -> anyhow::Result<ExitCode> {
    let server = &arguments.server;
    let (answer, text): (Value, fn(&Value) -> String) = match &arguments.action {
        AlertsAction::List(filter) => (filter.ask(server, "alerts")?, tables::alerts),
        AlertsAction::Show(Id { id }) => (server.get(&["alerts", &whole(server, id)?], &[])?, tables::shown),
        AlertsAction::Ack(Ids { ids }) => return acknowledge(server, ids),
        AlertsAction::Assign(Assign { id, assignee }) => (
            server.post(&["incidents", &whole(server, id)?, "assign"], &json!({ "assignee": assignee }))?,
            tables::operated,
        ),
        AlertsAction::Comment(Comment { id, comment }) => (
            server.post(&["incidents", &whole(server, id)?, "comment"], &json!({ "comment": comment }))?,
            tables::operated,
        ),
        AlertsAction::Resolve(resolve) => return resolved(server, resolve),
        AlertsAction::Reopen(Reopen { id, reason }) => (
            server.post(&["incidents", &whole(server, id)?, "reopen"], &json!({ "reason": reason }))?,
            tables::operated,
        ),
        AlertsAction::Allow(wanted) => (allow(server, wanted)?, tables::silence),
        AlertsAction::Silence(silence) => (server.post(&["silences"], &silence.body()?)?, tables::silence),
        AlertsAction::Silences => (server.get(&["silences"], &[])?, tables::silences),
        AlertsAction::ApproveSilence(Id { id }) => {
            (server.post(&["silences", id, "approve"], &json!({}))?, tables::silence)
        }
        AlertsAction::EndSilence(Id { id }) => (server.post(&["silences", id, "end"], &json!({}))?, tables::silence),
        AlertsAction::Handover(Handover { since, until }) => {
            let parameters =
                [("since", since.map(|time| time.to_string())), ("until", until.map(|time| time.to_string()))];
            (server.get(&["handover"], &parameters)?, tables::handover)
        }
    };
    print(server, &answer, text)
}

/// Runs `keywatch incidents`.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn incidents(arguments: &IncidentsArguments) -> anyhow::Result<ExitCode> {
    let server = &arguments.server;
    match &arguments.action {
        IncidentsAction::List(filter) => print(server, &filter.ask(server, "incidents")?, tables::incidents),
        IncidentsAction::Show(Id { id }) => {
            print(server, &server.get(&["incidents", &whole(server, id)?], &[])?, tables::shown)
        }
        IncidentsAction::Export(Export { id, output }) => export(server, id, output.as_deref()),
    }
}

fn export(server: &Server, id: &str, file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let incident = server.get(&["incidents", &whole(server, id)?], &[])?;
    let page = standalone::file(&[incident], "An incident as keywatch had it.", clock::now());
    match file {
        Some(file) => std::fs::write(file, page).with_context(|| format!("cannot write {}", file.display()))?,
        None => output::text(&page)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `keywatch about`.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn about(arguments: &AboutArguments) -> anyhow::Result<ExitCode> {
    let AboutArguments { server, name, since } = arguments;
    let answer = server.get(&["about", name], &[("since", since.map(|time| time.to_string()))])?;
    print(server, &answer, tables::about)
}

/// The verdict stands where the allow-list refuses an entry.
fn resolved(server: &Server, resolve: &Resolve) -> anyhow::Result<ExitCode> {
    let Resolve { id, verdict, reason, allow: days } = resolve;
    let body = json!({ "verdict": verdict, "reason": reason });
    let id = &whole(server, id)?;
    let answer = server.post(&["incidents", id, "resolve"], &body)?;
    let Some(days) = *days else { return print(server, &answer, tables::operated) };
    let (id, reason) = (id.clone(), reason.clone());
    let allowed = allow(server, &Allow { id, days, reason, any: Vec::new(), amount_up_to: None });
    let allowed = allowed.context("the verdict is written down; there is no entry on the allow-list")?;
    print(server, &json!({ "resolved": answer, "allowed": allowed }), tables::allowed)
}

fn allow(server: &Server, wanted: &Allow) -> anyhow::Result<Value> {
    let Allow { id, days, reason, any, amount_up_to } = wanted;
    let until = clock::now().saturating_add(i64::from(*days).saturating_mul(DAY_NS));
    let body = json!({ "reason": reason, "until": until, "any": any, "amount_max": amount_up_to });
    server.post(&["alerts", &whole(server, id)?, "allow"], &body)
}

/// Each is answered for itself; one that was not acknowledged makes the exit code 1.
fn acknowledge(server: &Server, ids: &[String]) -> anyhow::Result<ExitCode> {
    let ids: Vec<String> = ids.iter().map(|id| whole(server, id)).collect::<anyhow::Result<_>>()?;
    let answer = server.post(&["acknowledge"], &json!({ "ids": ids }))?;
    print(server, &answer, tables::acknowledged)?;
    let failed = answer["results"].as_array().is_some_and(|all| all.iter().any(|one| one["error"].is_string()));
    Ok(if failed { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn print(server: &Server, answer: &Value, text: fn(&Value) -> String) -> anyhow::Result<ExitCode> {
    let said = if server.json { serde_json::to_string_pretty(answer)? } else { text(answer) };
    output::line(&output::printable(said.trim_end()))?;
    Ok(ExitCode::SUCCESS)
}

impl Silence {
    fn body(&self) -> anyhow::Result<Value> {
        let wrong = || anyhow!("--for: `{}` is no duration: write hours, e.g. 8h or 720h", self.length);
        let length: jiff::SignedDuration = self.length.parse().map_err(|_| wrong())?;
        let nanoseconds = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        ensure!(nanoseconds > 0, "--for: `{}` is no time at all", self.length);
        let mut matcher = json!({});
        for (name, value) in [
            ("rule", &self.rule),
            ("entity", &self.entity),
            ("wallet", &self.wallet),
            ("actor", &self.actor),
            ("destination", &self.destination),
            ("source", &self.source),
        ] {
            if let Some(value) = value {
                matcher[name] = Value::from(value.as_str());
            }
        }
        let until = clock::now().saturating_add(nanoseconds);
        let Silence { system, reason, criticals, .. } = self;
        Ok(json!({ "system": system, "matcher": matcher, "reason": reason, "until": until, "criticals": criticals }))
    }
}
