//! `keywatch doctor`: is everything that the configuration names there, and does every source speak?
//!
//! | module | what it looks at |
//! |---|---|
//! | [`files`] | files with secrets, the room of the disk |
//! | [`reach`] | what is outside: decision points, nodes of chains, receivers; and what time it is there |
//! | [`running`] | a keywatch that runs, through its API |
//! | [`stopped`] | the log of one that does not |
//! | [`sources`] | what each source said, beside what is declared of it |
//! | [`report`] | what was found, as a table or JSON |
//!
//! It changes nothing, and sends nobody a notification.

mod files;
mod reach;
mod report;
mod running;
mod sources;
mod stopped;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use keywatch_store::Inventory;

use crate::clock;
use crate::commands::operator::client::Server;
use crate::service::config::{self, Config, Overrides};
use crate::service::role::Role;
use report::{Line, Report};
use running::Asked;

/// Look whether everything that the configuration names is there, and whether every source speaks.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch doctor                                        with keywatch.toml, of a keywatch that runs or not
  keywatch doctor --token-file ann.token                 one that runs: what its sources and receivers do
  keywatch doctor --config /etc/keywatch/keywatch.toml --json

A keywatch that answers is asked through its API; the log of one that does not run is read. Nothing is changed, and \
nobody is notified: `keywatch deliveries test` does that. docs/doctor.md says what each line means.
Exit codes: 0 nothing is wrong; 1 something is, and its line says what to do; 2 not looked.")]
pub(crate) struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "keywatch.toml", env = "KEYWATCH_CONFIG")]
    config: PathBuf,
    /// Address of keywatch [default: where the configuration lets it listen]
    #[arg(long, value_name = "URL", env = "KEYWATCH_URL")]
    url: Option<String>,
    /// File with your token as an operator, unless the environment has it
    #[arg(long, value_name = "FILE", env = "KEYWATCH_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    // Never a value of the command line, which everybody on the machine can see.
    #[arg(long, hide = true, env = "KEYWATCH_TOKEN", hide_env_values = true, default_value = "")]
    token: String,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
///
/// # Errors
/// No threads can be started, or standard output is closed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let file = arguments.config.display().to_string();
    match config::load(&arguments.config, &arguments.overrides) {
        Ok((config, inventory)) => {
            let found = format!(
                "{} credentials, {} chains, {} decision points, {} systems",
                config.credentials.len(),
                config.chains.len(),
                config.decision_points.len(),
                inventory.systems.len()
            );
            report.add(Line::fine("configuration", file.clone(), found));
            // On Kafka each process has a role of its own, and its own part of this.
            if config.log.kafka.is_empty()
                && let Err(error) = Role::All.check(&config, &inventory)
            {
                let advice =
                    "keywatch does not start before it is done; docs/front-door.md says how a source is let in";
                report.add(Line::wrong("configuration", file, format!("{error:#}"), advice));
            }
            examine(arguments, &config, &inventory, &mut report)?;
        }
        Err(error) => {
            let advice = "correct it as the message says; nothing else was looked at";
            report.add(Line::wrong("configuration", file, format!("{error:#}"), advice));
        }
    }
    report.show(arguments.json)?;
    Ok(ExitCode::from(u8::from(report.is_wrong())))
}

fn examine(arguments: &Arguments, config: &Config, inventory: &Inventory, report: &mut Report) -> anyhow::Result<()> {
    report.add_all(files::secrets(config));
    report.add(files::room(&config.data));
    let url = arguments.url.clone().unwrap_or_else(|| own_address(config));
    let server = Server::at(url.clone(), arguments.token_file.clone(), arguments.token.clone());
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let (asked, (outside, skews)) =
        runtime.block_on(async { tokio::join!(running::ask(&server), reach::all(config, inventory)) });
    let heard = match asked {
        Asked::Answers(answers) => {
            report.service = "running";
            report.add_all(answers.lines(&url));
            answers.heard()
        }
        Asked::Nobody(problem) => {
            report.service = "stopped";
            let (lines, heard) = stopped::look(config, inventory, &url, &problem);
            report.add_all(lines);
            heard
        }
    };
    if let Some(heard) = heard {
        let now = if report.service == "running" { Some(clock::now()) } else { heard.until };
        report.add_all(sources::lines(config, inventory, &heard, now));
    } else if report.service == "stopped" {
        report.add_all(sources::unspoken(config, inventory, None));
    }
    report.add_all(outside);
    report.extend(reach::clock_line(&skews));
    Ok(())
}

/// Where this configuration's keywatch is reached from this machine.
fn own_address(config: &Config) -> String {
    let listen = config.server.listen;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    if listen.ip().is_unspecified() {
        return format!("{scheme}://127.0.0.1:{}", listen.port());
    }
    format!("{scheme}://{listen}")
}
