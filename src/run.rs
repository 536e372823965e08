//! `keywatch run`: the pipeline on one machine. Opens the log, serves the front door, stops in order on a signal.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Inventory, Log};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::config::{self, Config, Overrides};
use crate::credentials::Credentials;
use crate::intake::Intake;
use crate::limits::{CONNECTION_SILENCE_SECONDS_MAX, CONNECTIONS_MAX, SHUTDOWN_SECONDS_MAX};
use crate::listener::BoundedListener;
use crate::metrics::Metrics;
use crate::output::{self, LogFormat};
use crate::readiness::Readiness;
use crate::server::{self, Server};
use crate::watch::{Watch, Watching};

/// Serve the pipeline on this machine: sources send to it, it watches, tells and revokes.
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
    output::start_logging("info,fjall=warn,lsm_tree=warn", arguments.log_format);
    let (config, inventory) = config::load(&arguments.config, &arguments.overrides)?;
    let log = EmbeddedLog::open(&config.data, Options::new(Clock::Wall))?;
    // TLS of webhooks and decision points. It fails only where a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().context("cannot start threads")?;
    let served = runtime.block_on(serve(&config, inventory, Arc::new(log)));
    // Appends under way hold the log; it is closed when the last of them is done.
    runtime.shutdown_timeout(Duration::from_secs(SHUTDOWN_SECONDS_MAX));
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: &Config, inventory: Inventory, log: Arc<dyn Log>) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let readiness = Readiness::new(Arc::clone(&metrics));
    let inventory = Arc::new(inventory);
    let appended = Arc::new(Notify::new());
    let (stop, stopping) = watch::channel(false);
    stop_on_signal(stop.clone())?;
    let watch = Watch {
        log: log.clone(),
        inventory: inventory.clone(),
        metrics: metrics.clone(),
        appended: appended.clone(),
        readiness: readiness.clone(),
    };
    let mut watching = watch.start(config, stopping.clone())?;
    let intake = Intake { log, inventory, metrics, appended };
    let served = serve_front(config, intake, readiness, &mut watching, stopping).await;
    // Whatever ended the serving: the watch ends between two steps, and keeps its state.
    stop.send_replace(true);
    let watched = watching.end().await;
    served.and(watched)?;
    tracing::info!("stopped");
    Ok(())
}

async fn serve_front(
    config: &Config,
    intake: Intake,
    readiness: Arc<Readiness>,
    watching: &mut Watching,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let front = Server::new(Credentials::new(&config.credentials)?, intake, readiness);
    let listener = listen(config).await?;
    let serving = axum::serve(listener, server::router(front)).with_graceful_shutdown(stopped(stopping.clone()));
    tokio::select! {
        served = serving.into_future() => served?,
        failed = watching.failure() => return Err(failed.context("keywatch cannot watch any more and stops")),
        () = out_of_patience(stopping) => tracing::warn!("requests were still open after {SHUTDOWN_SECONDS_MAX} s"),
    }
    Ok(())
}

async fn listen(config: &Config) -> anyhow::Result<BoundedListener> {
    let address = config.server.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    output::line(&format!("keywatch listens on http://{address}"))?;
    tracing::info!(%address, data = %config.data.display(), sources = config.credentials.len(), "serving");
    Ok(BoundedListener::new(listener, CONNECTIONS_MAX, Duration::from_secs(CONNECTION_SILENCE_SECONDS_MAX)))
}

/// Says `true` on SIGTERM or ctrl-c.
fn stop_on_signal(stop: watch::Sender<bool>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for ctrl-c")?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
            _ = interrupt.recv() => tracing::info!(signal = "ctrl-c", "stopping"),
        }
        stop.send_replace(true);
    });
    Ok(())
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // The sender lives until a signal comes.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn out_of_patience(stopping: watch::Receiver<bool>) {
    stopped(stopping).await;
    tokio::time::sleep(Duration::from_secs(SHUTDOWN_SECONDS_MAX)).await;
}
