//! Puts the parts of the service together: the evaluator first, then the front door; ends both in order on a signal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use keywatch_store::log::segments::Segments;
use keywatch_store::{Inventory, Log};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::limits::{ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX, SHUTDOWN_SECONDS_MAX};
use crate::service::bundles::Bundles;
use crate::service::chains::start;
use crate::service::config::Config;
use crate::service::evaluation::evaluator::{self, Evaluator, RunningEvaluator};
use crate::service::http::api::sources::Source;
use crate::service::http::api::{self, Api, Known};
use crate::service::http::bundles;
use crate::service::http::credentials::Credentials;
use crate::service::http::listener::Door;
use crate::service::http::page::{self, Page};
use crate::service::http::places::Places;
use crate::service::http::server::{self, Server};
use crate::service::http::tls;
use crate::service::intake::Intake;
use crate::service::metrics::Metrics;
use crate::service::operators::Operators;
use crate::service::readiness::Readiness;
use crate::service::sql::postgres::Endpoint;
use crate::{clock, output};

/// Followers of chains that run.
type Followers = JoinSet<anyhow::Result<()>>;

/// Serves until a signal to stop, and ends in order.
///
/// # Errors
/// A rule, a destination, a decision point or a credential cannot be used; the address cannot be listened on; the log
/// cannot be read or written.
pub(crate) async fn serve(
    config: &Config,
    inventory: Inventory,
    log: Arc<dyn Log>,
    segments: Segments,
) -> anyhow::Result<()> {
    let metrics = Metrics::new();
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    metrics.watch_disk(&config.data);
    let readiness = Readiness::new(Arc::clone(&metrics));
    let inventory = Arc::new(inventory);
    let appended = Arc::new(Notify::new());
    let (stop, stopping) = watch::channel(false);
    stop_on_signal(stop.clone())?;
    let bundles = Bundles::new(config)?;
    let evaluator = Evaluator {
        bundles: bundles.clone(),
        log: log.clone(),
        inventory: inventory.clone(),
        metrics: metrics.clone(),
        appended: appended.clone(),
        readiness: readiness.clone(),
    };
    let mut evaluator = evaluator.start(config, stopping.clone())?;
    let intake = Intake { log, inventory, metrics, appended };
    let fetched = bundles::router(bundles, stopping.clone());
    let served = match start::followers(&config.chains, &Arc::new(intake.clone()), &stopping) {
        Ok(mut followers) => {
            let served =
                serve_http(config, intake, readiness, (&mut evaluator, &mut followers), (fetched, segments), stopping)
                    .await;
            stop.send_replace(true);
            served.and(end_of(&mut followers).await)
        }
        Err(error) => Err(error),
    };
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
    (evaluator, followers): (&mut RunningEvaluator, &mut Followers),
    (further, segments): (Router, Segments),
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (operators, executor) = (Operators::new(&config.operators)?, evaluator.executor.clone());
    let (log, metrics) = (Arc::clone(&intake.log), Arc::clone(&intake.metrics));
    // It ends with the front door.
    let sql = Endpoint::start(config, segments, &intake, &executor).await?;
    let credentials = Credentials::new(&config.credentials, &config.installed)?;
    credentials.iter().for_each(|credential| {
        metrics.expect(credential);
        metrics.heard(credential, clock::now());
    });
    let known = known(config, &credentials, Arc::clone(&intake.inventory))?;
    let threads = evaluator.threads.clone();
    let api = Api::new(operators, executor, threads, log, Arc::clone(&metrics), known, stopping.clone());
    let page = page::router(Page::new(Arc::clone(&api), config.server.tls.is_some()));
    let server = Server::new(credentials, intake, readiness);
    let routes = server::router(server).merge(api::router(api)).merge(page).merge(further);
    let tls = config.server.tls.as_ref().map(|tls| tls::start(tls, Arc::clone(&metrics))).transpose()?;
    let door = Door {
        listener: listen(config).await?,
        places: Places::new(CONNECTIONS_MAX, ADDRESS_CONNECTIONS_MAX, config.server.proxies.clone()),
        router: routes,
        tls,
        metrics,
    };
    sql.say()?;
    tokio::select! {
        () = door.serve(stopping.clone()) => {}
        failed = evaluator.failure() => return Err(failed.context("the evaluation of rules has ended, so keywatch stops")),
        failed = failure_of(followers) => return Err(failed.context("a follower of a chain has ended, so keywatch stops")),
        () = shutdown_deadline(stopping) => tracing::warn!("requests were still open after {SHUTDOWN_SECONDS_MAX} s"),
    }
    Ok(())
}

/// What the API says of the rules that run and of the sources that may send.
fn known(config: &Config, credentials: &Credentials, inventory: Arc<Inventory>) -> anyhow::Result<Known> {
    let mut rules = evaluator::rules(config.rules_directory.as_deref())?;
    rules.retain(|rule| !config.rules.disabled.contains(&rule.id));
    let sources = Source::all(credentials, &inventory);
    Ok(Known { rules: api::rules::views(&rules), sources, inventory })
}

/// Returns when a follower fails; never where there are none, or while they end in order.
async fn failure_of(followers: &mut Followers) -> anyhow::Error {
    match end_of(followers).await {
        Err(error) => error,
        Ok(()) => std::future::pending().await,
    }
}

/// Returns when all followers have ended, or one of them failed.
async fn end_of(followers: &mut Followers) -> anyhow::Result<()> {
    while let Some(ended) = followers.join_next().await {
        ended.context("a follower broke off; this is a defect of keywatch")??;
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
///
/// # Errors
/// Signals cannot be listened for.
pub(crate) fn stop_on_signal(stop: watch::Sender<bool>) -> anyhow::Result<()> {
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
