//! The evaluator of `keywatch run`: what is appended goes through the rules at once, log time goes on in the log whether
//! anything happens or not, and the decision points regularly get the revocation documents.
//!
//! It has threads of its own: however busy the threads are that serve HTTP, ticks, rules and revocations go on.
//!
//! It knows no rule and no format; [`pipeline`] does what there is to do with a record.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{self, Duration};

use anyhow::{Context, ensure};
use keywatch_alerting::delivery::heartbeat::Obstacle;
use keywatch_alerting::{Dependencies, Executor, Policy, Protection, Schedule, Sink, Terminal};
use keywatch_detectors::rule::{self, Rule};
use keywatch_detectors::{Engine, Settings};
use keywatch_store::inventory::System;
use keywatch_store::{Inventory, Log, Topic};
use tokio::runtime;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{MissedTickBehavior, interval};

use crate::limits::{EVALUATOR_THREADS, SHUTDOWN_SECONDS_MAX, TICK_SECONDS};
use crate::service::bundles::Bundles;
use crate::service::config::Config;
use crate::service::config::receiver::STANDARD_ERROR;
use crate::service::evaluation::alerting_snapshots::{self, AlertingSnapshots, RestoredAlerting};
use crate::service::evaluation::heartbeat::{refresh, repeat};
use crate::service::evaluation::history::History;
use crate::service::evaluation::lag::{self, Lag};
use crate::service::evaluation::outage::{Outages, unless_interrupted};
use crate::service::evaluation::passed_by;
use crate::service::evaluation::pipeline::{Handled, Pipeline, Resumption};
use crate::service::evaluation::progress::Progress;
use crate::service::evaluation::snapshots::{self, Snapshots};
use crate::service::evaluation::state_store;
use crate::service::evaluation::state_store::uploads::State;
use crate::service::evaluation::system_records;
use crate::service::evaluation::ticks::{Ticks, standstill};
use crate::service::integrations;
use crate::service::log::{Confirm, PassedMessages};
use crate::service::metrics::Metrics;
use crate::service::operators;
use crate::service::readiness::Readiness;
use crate::service::receivers::with_heartbeats;
use crate::service::role::Role;
use crate::service::ways;
use crate::{clock, output};

/// The part that is not ready before every record of the log went through the rules.
const RULES: &str = "rules";

/// The part that is not ready while the cluster takes nothing.
const LOG: &str = "log";

/// What is said meanwhile.
const GOING_THROUGH: &str = "the log is going through the rules again";

/// What the evaluator works over.
pub(crate) struct Evaluator {
    /// Whether it finds, responds, or both.
    pub(crate) role: Role,
    /// The log of this machine.
    pub(crate) log: Arc<dyn Log>,
    /// Fails once another process responds in the place of this one.
    pub(crate) confirm: Confirm,
    /// What the log has passed by.
    pub(crate) passed_by: PassedMessages,
    /// What is declared.
    pub(crate) inventory: Arc<Inventory>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Rung after every append to the events topic.
    pub(crate) appended: Arc<Notify>,
    /// Where revocation documents are offered to decision points that fetch them.
    pub(crate) bundles: Bundles,
    /// Says that the rules have caught up with the log.
    pub(crate) readiness: Arc<Readiness>,
}

/// An evaluator whose threads run.
pub(crate) struct RunningEvaluator {
    /// Receives how it ended; `None` once that was returned.
    ended: Option<oneshot::Receiver<anyhow::Result<()>>>,
    /// Alerting, which operators see and change.
    pub(crate) executor: Executor,
    /// The threads that it delivers on.
    pub(crate) threads: runtime::Handle,
}

impl RunningEvaluator {
    /// Returns when the evaluator fails. What stands in the log is taken up on the next start, so the process should end then.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        match self.end().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Returns when the evaluator has ended.
    ///
    /// # Errors
    /// Why it failed, unless that was returned before.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        let Some(ended) = &mut self.ended else { return Ok(()) };
        let ended = ended
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the evaluator broke off; this is a defect of keywatch")));
        self.ended = None;
        ended
    }
}

impl Evaluator {
    /// Activates the inventory where it has changed, makes the pipeline, and starts to follow the log on threads of its own.
    /// It ends in order when `stopping` becomes true.
    ///
    /// # Errors
    /// A rule, a destination or a decision point that cannot be used; a log that cannot be read or written.
    pub(crate) fn start(self, config: &Config, stopping: watch::Receiver<bool>) -> anyhow::Result<RunningEvaluator> {
        // Where it fails, its threads are waited for, which those that serve must not do as they are.
        block_in_place(|| self.start_threads(config, stopping))
    }

    fn start_threads(self, config: &Config, stopping: watch::Receiver<bool>) -> anyhow::Result<RunningEvaluator> {
        let threads = runtime::Builder::new_multi_thread().worker_threads(EVALUATOR_THREADS).enable_all().build();
        let threads = threads.context("cannot start threads")?;
        let entered = threads.enter();
        let (tasks, executor) = self.prepare(config, stopping)?;
        drop(entered);
        let handle = threads.handle().clone();
        let (end, ended) = oneshot::channel();
        let run = move || {
            let outcome = threads.block_on(until_one_fails(tasks));
            // Deliveries under way get the time that open requests get; what is not done is done after the next start.
            threads.shutdown_timeout(Duration::from_secs(SHUTDOWN_SECONDS_MAX));
            // Who does not listen any more has failed itself.
            let _ = end.send(outcome);
        };
        thread::Builder::new().name("evaluator".to_owned()).spawn(run).context("cannot start threads")?;
        Ok(RunningEvaluator { ended: Some(ended), executor, threads: handle })
    }

    fn prepare(
        self,
        config: &Config,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<(JoinSet<anyhow::Result<()>>, Executor)> {
        let mut rules = rules(config.rules_directory.as_deref())?;
        check_settings(&config.rules, &rules)?;
        let role = self.role;
        let protections = protections(config, &rules, &self.inventory);
        rules.retain(|_| role.finds());
        let snapshots = Snapshots::at(&config.log.state_in(&config.data).join(snapshots::DIRECTORY));
        let directory =
            if role.responds() { alerting_snapshots::DIRECTORY } else { alerting_snapshots::FINDING_DIRECTORY };
        let alerting = AlertingSnapshots::at(&config.log.state_in(&config.data).join(directory));
        let files = [(State::Windows, snapshots.files().clone()), (State::Alerting, alerting.files().clone())];
        let uploads = state_store::take_over(&config.log, &files, self.log.as_ref(), &self.metrics)?;
        let make = || Ok(Engine::new(&rules, &config.rules)?);
        let restored = snapshots.restore(make, self.log.as_ref())?;
        // What is concluded from here on, alerting need not know yet.
        let concluded = self.log.end(Topic::Conclusions);
        let (executor, history) = self.open_alerting(config, &alerting)?;
        let (log, metrics) = (Arc::clone(&self.log), Arc::clone(&self.metrics));
        let resumption = Resumption { restored, history, snapshots, alerting, uploads };
        let mut pipeline = Pipeline::resume(log, resumption, executor.clone(), metrics)?;
        pipeline.take_role(role, concluded, self.confirm);
        pipeline.declare(&self.inventory);
        self.readiness.obstruct(RULES, GOING_THROUGH);
        let outages = Outages::new(Arc::clone(&self.readiness), stopping.clone());
        pipeline.wait_for_log(outages.clone());

        let mut tasks = JoinSet::new();
        if role.finds() {
            let systems = self.inventory.systems.iter().map(|system| system.id.clone());
            let ticks = Ticks::new(pipeline.dues(), clock::now(), systems);
            let ticking = tick(self.log, ticks, Arc::clone(&self.appended), Arc::clone(&self.readiness));
            tasks.spawn(until(stopping.clone(), ticking));
        }
        if role.responds() {
            let refreshing = refresh(executor.clone(), outages.clone(), Arc::clone(&self.readiness));
            tasks.spawn(until(stopping.clone(), refreshing));
            tasks.spawn(until(stopping.clone(), repeat(executor.clone())));
        }
        let of = (self.inventory.systems.first().map(|system| system.id.clone()), role);
        let passed =
            passed_by::watch(self.passed_by, of, executor.clone(), outages.clone(), Arc::clone(&self.readiness));
        tasks.spawn(until(stopping.clone(), passed));
        let lag = Arc::new(Lag::default());
        tasks.spawn(until(stopping.clone(), lag::watch(Arc::clone(&lag), Arc::clone(&self.readiness))));
        let protections = role.responds().then_some(protections);
        let following = follow((pipeline, protections), (self.appended, self.readiness, lag), outages, stopping);
        tasks.spawn(async move { unless_interrupted(following.await) });
        Ok((tasks, executor))
    }

    /// Alerting as it was kept and the log since then, with the inventory activated where it has changed.
    fn open_alerting(&self, config: &Config, kept: &AlertingSnapshots) -> anyhow::Result<(Executor, History)> {
        let log = self.log.as_ref();
        let RestoredAlerting { saved, mut history, restored, rejected } = kept.restore(log)?;
        for (outcome, count) in [("restored", usize::from(restored)), ("rejected", rejected)] {
            self.metrics.alerting_snapshots.with_label_values(&[outcome]).inc_by(count as u64);
        }
        let folded = saved.folded;
        let ends = log.end(Topic::Events).0 + log.end(Topic::Conclusions).0;
        let records = ends.saturating_sub(folded.events.0 + folded.conclusions.0);
        let mut progress =
            Progress::new("the log is read for what alerting has to know", records, time::Instant::now());
        let executor = Executor::open_from(saved, self.dependencies(config)?, |topic, event| {
            history.learn(topic, event);
            progress.step();
        })?;
        let executor = if self.role.responds() { executor.with_ways(ways::ways(config)?) } else { executor };
        if self.role.finds() {
            self.activate(&executor, &mut history)?;
        }
        Ok((executor, history))
    }

    /// Writes what is declared into the log where it has changed.
    fn activate(&self, executor: &Executor, history: &mut History) -> anyhow::Result<()> {
        let activations = system_records::activations(&history.activations, &self.inventory, clock::now());
        activations.iter().for_each(|event| history.learn(Topic::Events, event));
        let appended = self.log.append(Topic::Events, activations)?;
        executor.observe(appended.first, &appended.written);
        Ok(())
    }

    /// What alerting works with. Who does not respond needs no address and no secret.
    fn dependencies(&self, config: &Config) -> anyhow::Result<Dependencies> {
        let (sites, sinks) = if self.role.responds() {
            (integrations::decision_points(config, &self.bundles)?, self.sinks(config)?)
        } else {
            (BTreeMap::new(), Vec::new())
        };
        Ok(Dependencies {
            log: Arc::clone(&self.log),
            policy: Policy {
                routes: config.routes.clone(),
                aliases: operators::aliases(&config.operators),
                systems: self.inventory.systems.iter().map(|system| system.id.clone()).collect(),
                ..config.alerting.clone()
            },
            sites,
            sinks,
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        })
    }

    fn sinks(&self, config: &Config) -> anyhow::Result<Vec<Arc<dyn Sink>>> {
        let terminal = Arc::new(Terminal::new(STANDARD_ERROR, output::notifications()));
        let mut sinks: Vec<Arc<dyn Sink>> = vec![terminal];
        let (readiness, log) = (Arc::clone(&self.readiness), Arc::clone(&self.log));
        let systems: Vec<String> = self.inventory.systems.iter().map(|system| system.id.clone()).collect();
        let obstacle: Obstacle = Arc::new(move || {
            let unready = readiness.obstacles().pop_first().map(|(part, why)| format!("{part}: {why}"));
            unready.or_else(|| standstill(log.as_ref(), &systems, clock::now()))
        });
        let receivers = integrations::receivers(config)?;
        sinks.extend(with_heartbeats(receivers, &config.heartbeats, config.log.partition, &obstacle)?);
        Ok(sinks)
    }
}

/// Waits for tasks; the first that fails ends the others.
async fn until_one_fails(mut tasks: JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// Runs a task that can be dropped at any of its waits, until `stopping` becomes true.
async fn until(
    mut stopping: watch::Receiver<bool>,
    task: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        ended = task => unless_interrupted(ended),
        _ = stopping.wait_for(|stop| *stop) => Ok(()),
    }
}

/// Takes what is appended through the rules. Stops between two steps only, so that a finding is acted upon as a whole.
async fn follow(
    (mut pipeline, responding): (Pipeline, Option<BTreeMap<String, Protection>>),
    (appended, readiness, lag): (Arc<Notify>, Arc<Readiness>, Arc<Lag>),
    outages: Outages,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let executor = pipeline.executor().clone();
    if let Some(protections) = responding {
        // The same time at each attempt: a record that says another under its id would be a conflict.
        let now = clock::now();
        // What another process has found may be left, too.
        outages.persist(|| executor.refuse_early(now)).await?;
        outages.persist(|| executor.resume()).await?;
        outages.persist(|| executor.configured(&protections, now)).await?;
    }
    let begun = pipeline.catching_up();
    let records = begun.map_or(0, |(from, until)| until.0.saturating_sub(from.0));
    let mut progress = Progress::new(GOING_THROUGH, records, time::Instant::now());
    while !*stopping.borrow() {
        lag.begin(clock::now());
        if let Some(handled) = pipeline.step().await? {
            lag.reached(pipeline.seen());
            handled.iter().for_each(log_finding);
            if let (Some((from, _)), Some((next, _))) = (begun, pipeline.catching_up())
                && let Some(said) = progress.reach(next.0 - from.0, time::Instant::now())
            {
                readiness.obstruct(RULES, said);
            }
            continue;
        }
        readiness.clear(RULES);
        lag.caught_up();
        tokio::select! {
            () = appended.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    pipeline.end();
    Ok(())
}

fn log_finding(handled: &Handled) {
    let finding = &handled.finding;
    tracing::info!(
        rule = finding.rule,
        severity = %finding.severity,
        system = finding.system,
        entity = finding.entity,
        actions = handled.actions.len(),
        "finding"
    );
}

/// Lets log time go on also where nothing happens, as [`Ticks`] says. A cluster that is away for a while is waited for.
async fn tick(
    log: Arc<dyn Log>,
    mut ticks: Ticks,
    appended: Arc<Notify>,
    readiness: Arc<Readiness>,
) -> anyhow::Result<()> {
    let mut seconds = interval(Duration::from_secs(TICK_SECONDS));
    // A machine that slept has lived through one tick, not through all that it missed.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        seconds.tick().await;
        let now = clock::now();
        let due = ticks.due(now);
        if due.is_empty() {
            continue;
        }
        let systems: Vec<String> = due.iter().map(|tick| tick.system().to_owned()).collect();
        match block_in_place(|| log.append(Topic::Events, due)) {
            Err(error) if error.is_outage() => {
                tracing::warn!(%error, "no tick was written");
                readiness.obstruct(LOG, error.to_string());
            }
            appended => {
                appended?;
                ticks.written(&systems, now);
                readiness.clear(LOG);
            }
        }
        appended.notify_one();
    }
}

/// The rules built in, and those of a directory of the user's own.
///
/// # Errors
/// A rule that cannot be read, or two of one name.
pub(crate) fn rules(directory: Option<&Path>) -> anyhow::Result<Vec<Rule>> {
    let mut rules = rule::shipped()?;
    let own = directory.map(rule::load).transpose()?.unwrap_or_default();
    if let Some(twice) = own.iter().find(|own| rules.iter().any(|shipped| shipped.id == own.id)) {
        anyhow::bail!("{}: there is a rule of that name built in; give yours another", twice.id);
    }
    rules.extend(own);
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rules)
}

/// What the rules may do in each system, as it is configured.
fn protections(config: &Config, rules: &[Rule], inventory: &Inventory) -> BTreeMap<String, Protection> {
    let on = || rules.iter().map(|rule| rule.id.as_str()).filter(|id| !config.rules.disabled.contains(*id));
    let of = |system: &System| (system.id.clone(), Protection::of(&system.id, on(), &config.alerting));
    inventory.systems.iter().map(of).collect()
}

/// A setting for a rule that is not there would look like protection.
fn check_settings(settings: &Settings, rules: &[Rule]) -> anyhow::Result<()> {
    for id in settings.disabled.iter().chain(settings.parameters.keys()) {
        ensure!(rules.iter().any(|rule| rule.id == *id), "[rules]: there is no rule `{id}`");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    fn ticks(log: &dyn Log) -> usize {
        let events = log.read(Topic::Events, keywatch_store::Position(0), 1000).unwrap();
        events.iter().filter(|event| event.kind() == "tick").count()
    }

    #[test]
    fn ticks_go_on_while_every_thread_that_serves_is_busy() {
        let directory = tempfile::tempdir().unwrap();
        let config = Config { data: directory.path().to_owned(), ..Config::default() };
        let (log, metrics) = (Arc::new(MemoryLog::new()), Metrics::new());
        let evaluator = Evaluator {
            role: Role::All,
            confirm: Arc::new(|| Ok(())),
            passed_by: Arc::new(Vec::new),
            log: log.clone(),
            inventory: Arc::new(Inventory::parse("inventory", "[[systems]]\nid = \"cold\"").unwrap()),
            metrics: Arc::clone(&metrics),
            appended: Arc::new(Notify::new()),
            bundles: Bundles::default(),
            readiness: Readiness::new(metrics),
        };
        let (stop, stopping) = watch::channel(false);
        let front = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        front.block_on(async {
            let mut running = evaluator.start(&config, stopping).unwrap();
            let (done, busy) = mpsc::sync_channel::<()>(1);
            tokio::spawn(async move { busy.recv() });
            let until = std::time::Instant::now() + Duration::from_secs(30);
            while ticks(log.as_ref()) < 3 {
                assert!(std::time::Instant::now() < until, "{} ticks in 30 s", ticks(log.as_ref()));
                thread::sleep(Duration::from_millis(10));
            }
            drop(done);
            stop.send_replace(true);
            running.end().await.unwrap();
        });
    }
}
