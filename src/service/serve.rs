//! Puts the parts of the service together: the evaluator first, then the front door; ends both in order on a signal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use keywatch_store::{Inventory, Log};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::limits::{ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX, SHUTDOWN_SECONDS_MAX};
use crate::output;
use crate::service::config::Config;
use crate::service::evaluation::evaluator::{Evaluator, RunningEvaluator};
use crate::service::http::credentials::Credentials;
use crate::service::http::listener::Door;
use crate::service::http::places::Places;
use crate::service::http::server::{self, Server};
use crate::service::http::tls;
use crate::service::intake::Intake;
use crate::service::metrics::Metrics;
use crate::service::readiness::Readiness;

/// Serves until a signal to stop, and ends in order.
///
/// # Errors
/// A rule, a destination, a decision point or a credential cannot be used; the address cannot be listened on; the log
/// cannot be read or written.
pub(crate) async fn serve(config: &Config, inventory: Inventory, log: Arc<dyn Log>) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    let readiness = Readiness::new(Arc::clone(&metrics));
    let inventory = Arc::new(inventory);
    let appended = Arc::new(Notify::new());
    let (stop, stopping) = watch::channel(false);
    stop_on_signal(stop.clone())?;
    let evaluator = Evaluator {
        log: log.clone(),
        inventory: inventory.clone(),
        metrics: metrics.clone(),
        appended: appended.clone(),
        readiness: readiness.clone(),
    };
    let mut evaluator = evaluator.start(config, stopping.clone())?;
    let intake = Intake { log, inventory, metrics, appended };
    let served = serve_http(config, intake, readiness, &mut evaluator, stopping).await;
    // Whatever ended the serving: the evaluator ends between two steps, and keeps its state.
    stop.send_replace(true);
    let evaluated = evaluator.end().await;
    served.and(evaluated)?;
    tracing::info!("stopped");
    Ok(())
}

async fn serve_http(
    config: &Config,
    intake: Intake,
    readiness: Arc<Readiness>,
    evaluator: &mut RunningEvaluator,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (proxies, metrics) = (config.server.proxies.clone(), Arc::clone(&intake.metrics));
    let server = Server::new(Credentials::new(&config.credentials)?, intake, readiness);
    let tls = config.server.tls.as_ref().map(|tls| tls::start(tls, Arc::clone(&metrics))).transpose()?;
    let door = Door {
        listener: listen(config).await?,
        places: Places::new(CONNECTIONS_MAX, ADDRESS_CONNECTIONS_MAX, proxies),
        router: server::router(server),
        tls,
        metrics,
    };
    tokio::select! {
        () = door.serve(stopping.clone()) => {}
        failed = evaluator.failure() => return Err(failed.context("the evaluation of rules has ended, so keywatch stops")),
        () = shutdown_deadline(stopping) => tracing::warn!("requests were still open after {SHUTDOWN_SECONDS_MAX} s"),
    }
    Ok(())
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.server.listen;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    output::line(&format!("keywatch listens on {scheme}://{address}"))?;
    tracing::info!(%address, data = %config.data.display(), sources = config.credentials.len(), "serving");
    Ok(listener)
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

async fn shutdown_deadline(stopping: watch::Receiver<bool>) {
    stopped(stopping).await;
    tokio::time::sleep(Duration::from_secs(SHUTDOWN_SECONDS_MAX)).await;
}
