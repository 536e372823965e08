//! `keywatch run`: arguments, configuration and log; [`crate::service`] is what then runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;

use crate::limits::SHUTDOWN_SECONDS_MAX;
use crate::output::{self, LogFormat};
use crate::service::config::{self, Config, Overrides};
use crate::service::http::handed::Secret;
use crate::service::log;
use crate::service::metrics::Metrics;
use crate::service::role::Role;
use crate::service::serve::serve;
use crate::service::shares::child::{self, Program};
use crate::service::shares::share;

/// Serve the pipeline on this machine, its log here or on Kafka: sources send to it, it watches, tells and revokes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  keywatch run --print-config > keywatch.toml      a commented configuration to start from
  keywatch run --config keywatch.toml
  curl --data-binary @safe.json -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8040/v1/ingest/safe

A source is answered 200 only after the log has its events durably; it may repeat a request without making doubles.
GET /metrics, /healthz and /readyz say how keywatch does. SIGTERM and ctrl-c stop it: open requests are answered first.")]
pub(crate) struct Arguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "keywatch.toml", env = "KEYWATCH_CONFIG")]
    config: PathBuf,
    /// Print the commented default configuration and exit
    #[arg(long)]
    print_config: bool,
    /// What this process does; more than one process needs a log on Kafka (docs/kafka.md)
    #[arg(long, value_enum, default_value_t, env = "KEYWATCH_ROLE")]
    role: Role,
    /// The partition of a process that one with `log.share_partitions` has started
    #[arg(long, value_name = "PARTITION", hide = true)]
    share: Option<u32>,
    /// How log lines on standard error are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    #[command(flatten)]
    overrides: Overrides,
}

/// Runs the command.
///
/// # Errors
/// The configuration, inventory or a rule is wrong, the log cannot be opened or written, the address cannot be listened
/// on.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.print_config {
        output::text(config::DEFAULT)?;
        return Ok(ExitCode::SUCCESS);
    }
    // What librdkafka tells of connections it also logs itself; its client would say so again, and of every end of a topic.
    output::start_logging("info,fjall=warn,lsm_tree=warn,rdkafka::client=off", arguments.log_format);
    let (mut config, mut inventory) = config::load(&arguments.config, &arguments.overrides)?;
    let (role, mut parent) = (arguments.role, None);
    config.log.concluding = role.concluding();
    if let Some(partition) = arguments.share {
        (config, inventory) = config.of_share(inventory, partition);
        parent = Some(child::parent()?);
    } else if role == Role::Respond {
        // It has a copy and a memory of its own, also beside a process with the same configuration file.
        config.data = config.data.join(role.name());
    }
    role.check(&config, &inventory).with_context(|| arguments.config.display().to_string())?;
    // TLS of webhooks and decision points. It fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = Metrics::new();
    if role.evaluates() && config.log.share_partitions {
        let program = arguments.program(&config)?;
        return run_until_done(share(&config, program, metrics));
    }
    let (of_log, data) = (&config.log, &config.data);
    let log = if role.evaluates() { log::open(of_log, data)? } else { log::open_to_write(of_log, data, &metrics)? };
    run_until_done(serve(&config, inventory, log, role, metrics, parent))
}

/// Runs the service. Appends under way hold the log; it is closed when the last of them is done.
fn run_until_done(service: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let served = runtime.block_on(service);
    runtime.shutdown_timeout(Duration::from_secs(SHUTDOWN_SECONDS_MAX));
    served.map(|()| ExitCode::SUCCESS)
}

impl Arguments {
    /// This program, for one partition of those that it shares.
    fn program(&self, config: &Config) -> anyhow::Result<Program> {
        let executable = std::env::current_exe().context("cannot find this program")?;
        let format = self.log_format.to_possible_value().context("there is no such form of log lines")?;
        let arguments: [OsString; 11] = [
            "run".into(),
            format!("--role={}", self.role.name()).into(),
            "--config".into(),
            self.config.clone().into(),
            "--data".into(),
            config.data.clone().into(),
            "--inventory".into(),
            config.inventory.clone().into(),
            "--log-format".into(),
            format.get_name().into(),
            "--share".into(),
        ];
        Ok(Program { executable, arguments: arguments.into(), secret: Secret::random()? })
    }
}
