//! Puts the parts of the service together: the evaluator first, then the front door; ends both in order on a signal.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use keywatch_ingest::feeds;
use keywatch_store::Inventory;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::limits::{ADDRESS_CONNECTIONS_MAX, CONNECTIONS_MAX, SHUTDOWN_SECONDS_MAX};
use crate::output;
use crate::service::authentication::Operators;
use crate::service::bundles::Bundles;
use crate::service::chains::start;
use crate::service::config::Config;
use crate::service::declared::Current;
use crate::service::evaluation::evaluator::{self, Evaluator, RunningEvaluator};
use crate::service::http::api::sources::Source;
use crate::service::http::api::{self, Api, Known};
use crate::service::http::bundles;
use crate::service::http::credentials::accepting::Accepting;
use crate::service::http::credentials::prints::Refused;
use crate::service::http::credentials::refused::Refusing;
use crate::service::http::credentials::{self, current};
use crate::service::http::handed::handed_on;
use crate::service::http::listener::Door;
use crate::service::http::page::{self, Page};
use crate::service::http::places::Places;
use crate::service::http::routes;
use crate::service::http::server::Server;
use crate::service::http::tls;
use crate::service::intake::Intake;
use crate::service::intake_topics;
use crate::service::inventory_file::{self, Declared};
use crate::service::log::{OpenLog, ReadableLog};
use crate::service::metrics::Metrics;
use crate::service::oidc::Oidc;
use crate::service::pull::start as pulls;
use crate::service::readiness::Readiness;
use crate::service::refusals::Refusals;
use crate::service::role::Role;
use crate::service::shares::child::Parent;
use crate::service::sql::postgres::Endpoint;

/// Followers of chains and pullers that run.
type Followers = JoinSet<anyhow::Result<()>>;

/// Serves until a signal to stop or until `parent` says so, and ends in order. A process without a log to read evaluates
/// nothing, follows no chain and answers no operator.
///
/// # Errors
/// A rule, a destination, a decision point or a credential cannot be used; the address cannot be listened on; the log
/// cannot be read or written.
pub(crate) async fn serve(
    config: &Config,
    inventory: Inventory,
    log: OpenLog,
    role: Role,
    metrics: Arc<Metrics>,
    parent: Option<Parent>,
) -> anyhow::Result<()> {
    metrics.build_info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    metrics.watch_disk(&config.data);
    let readiness = Readiness::new(Arc::clone(&metrics));
    let inventory = Current::new(inventory);
    let appended = Arc::new(Notify::new());
    let (stop, stopping) = watch::channel(false);
    stop_on_signal(stop.clone())?;
    if let Some(parent) = &parent {
        let (stop, ends) = (stop.clone(), parent.ends.clone());
        tokio::spawn(async move {
            stopped(ends).await;
            stop.send_replace(true);
        });
    }
    log.watch(&metrics, &appended, &readiness)?;
    let intake = Intake { log: Arc::clone(&log.writer), inventory, metrics, appended };
    let parts = Parts { role, intake: Arc::new(intake), log, readiness, parent };
    let evaluating = parts.evaluate(config, &stopping)?;
    let (mut evaluator, router) = evaluating.unzip();
    let mut further = Further::default();
    let served = match further.start(config, &parts, &stopping) {
        Ok(()) => {
            let served = serve_http(config, parts, (&mut evaluator, &mut further.followers), router, stopping).await;
            stop.send_replace(true);
            served.and(end_of(&mut further.followers).await)
        }
        Err(error) => Err(error),
    };
    // Whatever ended the serving: the evaluator ends between two steps, and keeps its state.
    stop.send_replace(true);
    let evaluated = match &mut evaluator {
        Some(evaluator) => evaluator.end().await,
        None => Ok(()),
    };
    if let Some(reading) = further.reading {
        // It has said why it ended, also when it panicked.
        let _ = tokio::task::spawn_blocking(move || reading.join()).await;
    }
    served.and(evaluated)?;
    tracing::info!("stopped");
    Ok(())
}

/// What the parts of a process share.
struct Parts {
    role: Role,
    log: OpenLog,
    intake: Arc<Intake>,
    readiness: Arc<Readiness>,
    /// Who has started this process for one partition.
    parent: Option<Parent>,
}

impl Parts {
    /// Starts to evaluate, where the log is read, and gives the routes of decision points that fetch bundles.
    fn evaluate(
        &self,
        config: &Config,
        stopping: &watch::Receiver<bool>,
    ) -> anyhow::Result<Option<(RunningEvaluator, Router)>> {
        let Some(readable) = &self.log.readable else { return Ok(None) };
        let Intake { inventory, metrics, appended, .. } = self.intake.as_ref();
        let bundles = if self.role.responds() { Bundles::new(config)? } else { Bundles::default() };
        let evaluator = Evaluator {
            role: self.role,
            confirm: readable.confirm(),
            passed_by: readable.passed_by(),
            bundles: bundles.clone(),
            log: Arc::clone(&readable.log),
            inventory: inventory.now(),
            metrics: Arc::clone(metrics),
            appended: Arc::clone(appended),
            readiness: Arc::clone(&self.readiness),
        };
        let evaluator = evaluator.start(config, stopping.clone())?;
        Ok(Some((evaluator, bundles::router(bundles, stopping.clone()))))
    }

    /// What operators ask: the API, the page, and SQL.
    async fn answer(
        &self,
        config: &Config,
        evaluator: &RunningEvaluator,
        (credentials, refusing): (&credentials::Current, watch::Sender<Refused>),
        stopping: &watch::Receiver<bool>,
    ) -> anyhow::Result<(Router, Endpoint)> {
        let Some(ReadableLog { log, segments, .. }) = &self.log.readable else {
            return Ok((Router::new(), Endpoint::default()));
        };
        let Intake { inventory, metrics, .. } = self.intake.as_ref();
        let (executor, threads) = (evaluator.executor.clone(), evaluator.threads.clone());
        let sql =
            Endpoint::start(config, (Arc::clone(log), Arc::clone(segments)), &inventory.now(), &executor, metrics)
                .await?;
        let oidc = Oidc::start(config.oidc.as_ref(), &config.operators, stopping.clone())?;
        let operators = Operators::new(&config.operators)?.with_oidc(oidc);
        let known = known(config, Refusing::new(refusing, credentials.clone()), credentials, Arc::clone(inventory))?;
        let metrics = Arc::clone(metrics);
        let api = Api::new(operators, executor, threads, Arc::clone(log), metrics, known, stopping.clone());
        let page = page::router(Page::new(Arc::clone(&api), config.server.is_over_tls()));
        Ok((api::router(api).merge(page), sql))
    }
}

/// Other ways in than the front door.
#[derive(Default)]
struct Further {
    followers: Followers,
    /// The inventory file is followed for as long as this is kept: what it declares anew is written into the log, from where the
    /// rules take it.
    declared: Option<Declared>,
    /// Reads intake topics.
    reading: Option<JoinHandle<()>>,
}

impl Further {
    fn start(&mut self, config: &Config, parts: &Parts, stopping: &watch::Receiver<bool>) -> anyhow::Result<()> {
        // A follower and a puller read their places back from the log.
        if let Some(ReadableLog { log, .. }) = &parts.log.readable
            && parts.role.finds()
        {
            let declared = inventory_file::follow(config, &parts.intake, true, Some(&parts.readiness));
            self.followers = start::followers(&config.chains, log, &declared, &parts.intake, stopping)?;
            pulls::pullers(&config.pull, (log, &parts.intake), stopping, &mut self.followers)?;
            self.declared = Some(declared);
        }
        if parts.role.takes_in() {
            let (intake, readiness) = (Arc::clone(&parts.intake), Arc::clone(&parts.readiness));
            let of_topics = (&config.intake, &config.log);
            self.reading = intake_topics::start(of_topics, &config.installed, intake, readiness, stopping.clone())?;
        }
        Ok(())
    }
}

async fn serve_http(
    config: &Config,
    parts: Parts,
    (evaluator, followers): (&mut Option<RunningEvaluator>, &mut Followers),
    further: Option<Router>,
    stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let metrics = Arc::clone(&parts.intake.metrics);
    let refusals = refusals(config, parts.role).await?;
    let compromised = match evaluator {
        Some(running) => running.executor.with_state(|state| state.compromises().refused()),
        None => refusals.as_ref().map(Refusals::refused).unwrap_or_default(),
    };
    let (refusing, refused) = watch::channel(Refused::new(compromised));
    let accepting = refusals.is_some().then(|| {
        let log = Arc::clone(&parts.intake.log);
        Accepting::new(&config.log.role, &config.data, log)
    });
    let accepting = accepting.transpose()?;
    let credentials = current::start(config, parts.role, &parts.intake, refused, accepting.clone())?;
    // Operators ask who reads the log and responds. The endpoint of SQL ends with the front door.
    let (asked, sql) = match evaluator {
        Some(evaluator) if parts.role.responds() => {
            parts.answer(config, evaluator, (&credentials, refusing), &stopping).await?
        }
        Some(_) | None => {
            if let Some(refusals) = refusals {
                refusals.follow(refusing, Arc::clone(&parts.readiness), stopping.clone())?;
            }
            (Router::new(), Endpoint::default())
        }
    };
    let log = parts.log.readable.map(|readable| readable.log);
    let server = Server::new(credentials, parts.intake, log, parts.readiness);
    let mut routes = routes::router(server).merge(asked).merge(further.unwrap_or_default());
    if let Some(parent) = parts.parent {
        routes = handed_on(routes, parent.secret);
    }
    let tls = config.server.tls.as_ref().map(|tls| tls::start(tls, "server.tls", Arc::clone(&metrics))).transpose()?;
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
        failed = failure_of_evaluator(evaluator) => {
            return Err(failed.context("the evaluation of rules has ended, so keywatch stops"));
        }
        failed = failure_of(followers) => return Err(failed.context("a follower of a chain or a puller has ended, so keywatch stops")),
        () = shutdown_deadline(stopping) => tracing::warn!("requests were still open after {SHUTDOWN_SECONDS_MAX} s"),
    }
    if let Some(accepting) = accepting {
        takes_no_more(accepting).await;
    }
    Ok(())
}

/// What a process that evaluates nothing has to know of stolen credentials before it takes anything in.
async fn refusals(config: &Config, role: Role) -> anyhow::Result<Option<Refusals>> {
    if role.evaluates() {
        return Ok(None);
    }
    let (log, data) = (config.log.clone(), config.data.clone());
    let read = tokio::task::spawn_blocking(move || Refusals::open(&log, &data)).await;
    read.context("the reading of declarations broke off; this is a defect of keywatch")?.map(Some)
}

/// Says that this process takes nothing any more, so that nobody waits for it to refuse something.
async fn takes_no_more(accepting: Arc<Accepting>) {
    match tokio::task::spawn_blocking(move || accepting.end()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the log does not say that nothing is taken here any more"),
        Err(error) => tracing::error!(%error, "an append broke off"),
    }
}

/// What the API says of the rules that run and of the sources that may send or are asked.
fn known(
    config: &Config,
    door: Refusing,
    credentials: &credentials::Current,
    inventory: Arc<Current>,
) -> anyhow::Result<Known> {
    let mut rules = evaluator::rules(config.rules_directory.as_deref())?;
    rules.retain(|rule| !config.rules.disabled.contains(&rule.id));
    let asked = config.pull.iter().map(|pull| {
        let feed = feeds::find(pull.kind.feed())?;
        Ok((pull.system.as_str(), pull.source.as_str(), feed))
    });
    let asked: Vec<_> = asked.collect::<anyhow::Result<_>>()?;
    let sources = Source::all(&credentials.borrow(), asked.into_iter(), &inventory.now());
    Ok(Known { rules: api::rules::views(&rules), sources, inventory, door })
}

/// Returns when the evaluator fails; never where there is none.
async fn failure_of_evaluator(evaluator: &mut Option<RunningEvaluator>) -> anyhow::Error {
    match evaluator {
        Some(evaluator) => evaluator.failure().await,
        None => std::future::pending().await,
    }
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

/// Listens on the address of the configuration, and says so.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
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

/// Returns when the time that open requests have is over.
pub(crate) async fn shutdown_deadline(stopping: watch::Receiver<bool>) {
    stopped(stopping).await;
    tokio::time::sleep(Duration::from_secs(SHUTDOWN_SECONDS_MAX)).await;
}
