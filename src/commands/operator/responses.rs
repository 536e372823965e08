//! `keywatch responses` and `keywatch sessions`: what keywatch would stop or has stopped, and what an operator decides on it.

use std::process::ExitCode;

use serde_json::json;

use super::client::Server;
use super::tables::items;
use super::{Id, print, response_text};

/// See what keywatch has stopped or would stop; approve, reject or take it back.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch responses list --status proposed      what waits for a person
  keywatch responses show 9c1e…                  what would be stopped, for whom, why, on what evidence
  keywatch responses approve 9c1e… --reason 'called ann: it is not her'
  keywatch responses reject 9c1e… --reason 'drill of March, case 114'
  keywatch responses undo 9c1e… --reason 'it was the new laptop'

Responders and administrators decide, never on what is about themselves; where two people have to agree, they are two.
docs/revocation.md tells what becomes of a decision. KEYWATCH_URL says where keywatch is; KEYWATCH_TOKEN_FILE, or \
KEYWATCH_TOKEN itself, who you are.")]
pub(crate) struct ResponsesArguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: ResponsesAction,
}

/// Let a session in again that was revoked.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch sessions restore sess-7f3a9c51e2 --reason 'it was the new laptop'

It takes back the responses that revoked the session, as `keywatch responses undo` does. Where one of these stops more than \
that, e.g. a wallet, it says so and does nothing unless --with-the-rest is said.")]
pub(crate) struct SessionsArguments {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: SessionsAction,
}

#[derive(Debug, clap::Subcommand)]
enum ResponsesAction {
    /// List responses, those that wait for a person first
    List(Filter),
    /// Show a response: what it stops, for whom, why, and how far it has come
    Show(Id),
    /// Agree to what is proposed; it is carried out once enough people have
    Approve(Decision),
    /// Decide against what is proposed
    Reject(Decision),
    /// Take a revocation back
    Undo(Decision),
}

#[derive(Debug, clap::Subcommand)]
enum SessionsAction {
    /// Let a session in again
    Restore(Restore),
}

#[derive(Debug, clap::Args)]
struct Filter {
    /// proposed, expired, rejected, released, requested, published, failed, `denied_at_pdp`, `already_denied`, unconfirmed,
    /// `accepted_by_identity_provider`, `accepted_by_signer`, `given_up`, undone
    #[arg(long)]
    status: Option<String>,
    /// One system
    #[arg(long)]
    system: Option<String>,
    /// One incident
    #[arg(long)]
    incident: Option<String>,
    /// Those that name this session
    #[arg(long)]
    session: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
struct Decision {
    /// Id of the response
    #[arg(value_name = "ID")]
    id: String,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

#[derive(Debug, clap::Args)]
struct Restore {
    /// The session, exactly as it stands in events
    #[arg(value_name = "SESSION")]
    session: String,
    /// Why; it stands in the log with your name
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Let in again, too, what else the same responses stop
    #[arg(long)]
    with_the_rest: bool,
}

/// Runs `keywatch responses`.
///
/// # Errors
/// keywatch cannot be reached, or it says no.
pub(crate) fn responses(arguments: &ResponsesArguments) -> anyhow::Result<ExitCode> {
    let server = &arguments.server;
    let decide = |decision: &Decision, act: &str| {
        let answer = server.post(&["responses", &decision.id, act], &json!({ "reason": decision.reason }))?;
        print(server, &answer, response_text::decided)
    };
    match &arguments.action {
        ResponsesAction::List(filter) => {
            print(server, &server.get(&["responses"], &filter.parameters())?, response_text::list)
        }
        ResponsesAction::Show(Id { id }) => print(server, &server.get(&["responses", id], &[])?, response_text::shown),
        ResponsesAction::Approve(decision) => decide(decision, "approve"),
        ResponsesAction::Reject(decision) => decide(decision, "reject"),
        ResponsesAction::Undo(decision) => decide(decision, "undo"),
    }
}

/// Runs `keywatch sessions`.
///
/// # Errors
/// keywatch cannot be reached, or it says no; the session is not revoked; more than it would be let in again.
pub(crate) fn sessions(arguments: &SessionsArguments) -> anyhow::Result<ExitCode> {
    let SessionsArguments { server, action: SessionsAction::Restore(restore) } = arguments;
    let Restore { session, reason, with_the_rest } = restore;
    let body = json!({ "session": session, "reason": reason, "with_the_rest": with_the_rest });
    let answer = server.post(&["sessions", "restore"], &body)?;
    print(server, &answer["undone"], |undone| {
        items(undone).iter().map(response_text::decided).collect::<Vec<_>>().join("\n")
    })
}

impl Filter {
    fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("status", self.status.clone()),
            ("system", self.system.clone()),
            ("incident", self.incident.clone()),
            ("session", self.session.clone()),
            ("limit", Some(self.limit.to_string())),
        ]
    }
}
