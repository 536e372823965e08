//! `keywatch deliveries`: `test` sends a receiver of the configuration a notification that says that it is a test, without a
//! running keywatch and without a record; `list` and `redrive` ask the API of a running one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Subcommand;
use keywatch_alerting::delivery::trial;
use keywatch_store::Severity;
use serde_json::json;

use crate::commands::operator::client::Server;
use crate::commands::operator::tables;
use crate::service::config::{self, Overrides};
use crate::service::integrations;
use crate::{clock, output};

/// Try the receivers of notifications, see how they do, and try again what they did not take.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch deliveries test on-call                     does a page arrive?
  keywatch deliveries test on-call --resolve           end the test there
  keywatch deliveries test on-call --severity critical as loud as the worst
  keywatch deliveries list                             how they do, and what was put aside
  keywatch deliveries redrive on-call                  try again what was put aside

Exit codes of test: 0 the receiver took it, 1 it did not. An end finds a test of the same severity.
KEYWATCH_URL says where keywatch is; KEYWATCH_TOKEN_FILE, or KEYWATCH_TOKEN itself, who you are.")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test notification, marked as one
    Test(Test),
    /// List receivers and dead letters
    List(List),
    /// Try dead letters of a receiver again
    Redrive(Redrive),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Args)]
struct Redrive {
    /// Name of the receiver
    receiver: String,
    /// Only the dead letter under this key
    #[arg(long)]
    key: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, clap::Args)]
struct Test {
    /// Name of the receiver
    receiver: String,
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "keywatch.toml", env = "KEYWATCH_CONFIG")]
    config: PathBuf,
    /// How bad the test says it is
    #[arg(long, default_value = "low", value_parser = severity)]
    severity: Severity,
    /// Say that the test is over, instead
    #[arg(long)]
    resolve: bool,
}

/// Runs the command.
///
/// # Errors
/// A configuration that is wrong, a receiver that it does not name; a keywatch that cannot be reached or says no.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.action {
        Action::Test(test) => try_receiver(test),
        Action::List(List { server }) => {
            let answer = server.get(&["deliveries"], &[])?;
            output::line(&if server.json { answer.to_string() } else { tables::deliveries(&answer) })?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Redrive(Redrive { receiver, key, server }) => {
            let mut body = json!({ "destination": receiver });
            if let Some(key) = key {
                body["key"] = json!(key);
            }
            let answer = server.post(&["deliveries", "redrive"], &body)?;
            let said = format!("{} tried again; `keywatch deliveries list` shows what came of it", answer["redriven"]);
            output::line(&if server.json { answer.to_string() } else { said })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn try_receiver(test: &Test) -> anyhow::Result<ExitCode> {
    let (config, _) = config::load(&test.config, &Overrides::default())?;
    let sinks = integrations::receivers(&config)?;
    let Some(sink) = sinks.iter().find(|sink| sink.name() == test.receiver) else {
        let names: Vec<&str> = sinks.iter().map(|sink| sink.name()).collect();
        let has = if names.is_empty() { "none besides standard error".to_owned() } else { names.join(", ") };
        bail!("{} has no receiver `{}`; it has {has}", test.config.display(), test.receiver);
    };
    let notification = trial::notification(sink.name(), test.severity, clock::now(), test.resolve);
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    match runtime.block_on(sink.deliver(&notification)) {
        Ok(()) => {
            let what = if test.resolve { "the end of the test" } else { "the test" };
            output::line(&format!("{} took {what}; see whether it arrived", sink.name()))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            output::note(&format!("keywatch: {error}"));
            Ok(ExitCode::from(1))
        }
    }
}

fn severity(text: &str) -> Result<Severity, String> {
    let all = [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
    let found = all.into_iter().find(|severity| severity.to_string() == text);
    found.ok_or_else(|| format!("`{text}` is not info, low, medium, high or critical"))
}
