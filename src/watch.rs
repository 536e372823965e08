//! The watch that `keywatch run` keeps: what is appended goes through the rules at once, every second of every system is
//! in the log whether anything happens or not, and the decision points are told regularly what is revoked.
//!
//! It knows no rule and no format; [`crate::pipeline`] does what there is to do with a record.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use keywatch_alerting::{Executor, Means, Schedule, Sink, Terminal};
use keywatch_detectors::rule::{self, Rule};
use keywatch_detectors::{Engine, Settings};
use keywatch_store::{Event, Inventory, Lane, Log};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Config;
use crate::limits::{REFRESH_SECONDS, TICK_SECONDS};
use crate::metrics::Metrics;
use crate::pipeline::{self, Pipeline, Taken};
use crate::readiness::Readiness;
use crate::snapshots::Snapshots;
use crate::{clock, means, output};

/// The part that is not ready before every record of the log went through the rules.
const RULES: &str = "rules";

/// What the watch is kept over.
pub(crate) struct Watch {
    /// The log of this machine.
    pub(crate) log: Arc<dyn Log>,
    /// What is declared.
    pub(crate) inventory: Arc<Inventory>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Rung after every append to the events lane.
    pub(crate) appended: Arc<Notify>,
    /// Says that the rules have caught up with the log.
    pub(crate) readiness: Arc<Readiness>,
}

impl Watch {
    /// Activates the inventory where it has changed, makes the pipeline, and starts the tasks that keep watch. They end
    /// in order when `stopping` becomes true. One that fails ends with its error; the process should end then, since
    /// what stands in the log is taken up on the next start.
    ///
    /// # Errors
    /// A rule, a destination or a decision point that cannot be used; a log that cannot be read or written.
    pub(crate) fn start(
        self,
        config: &Config,
        stopping: watch::Receiver<bool>,
    ) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
        let rules = rules(config.rules_directory.as_deref())?;
        check_settings(&config.rules, &rules)?;
        let snapshots = Snapshots::at(&config.data.join("window-state"));
        let make = || Ok(Engine::new(&rules, &config.rules)?);
        let (engine, position, missing) = snapshots.restore(make, self.log.as_ref())?;
        let activations = pipeline::activations(self.log.as_ref(), &self.inventory, clock::now())?;
        self.log.append(Lane::Events, activations)?;
        let executor = Executor::open(self.means(config)?)?;
        let pipeline = Pipeline::open(Arc::clone(&self.log), engine, executor.clone(), Arc::clone(&self.metrics))?;
        let pipeline = pipeline.resume(snapshots, position, &missing);
        self.readiness.obstruct(RULES, "the log is going through the rules again");

        let mut watching = JoinSet::new();
        let systems = self.inventory.systems.iter().map(|system| system.id.clone()).collect();
        watching.spawn(until(stopping.clone(), tick(self.log, systems, Arc::clone(&self.appended))));
        watching.spawn(until(stopping.clone(), refresh(executor)));
        watching.spawn(follow(pipeline, self.appended, self.readiness, stopping));
        Ok(watching)
    }

    fn means(&self, config: &Config) -> anyhow::Result<Means> {
        let terminal = Arc::new(Terminal::new("standard-error", output::pages()));
        let mut sinks: Vec<Arc<dyn Sink>> = vec![terminal];
        sinks.extend(means::webhooks(config)?);
        Ok(Means {
            log: Arc::clone(&self.log),
            policy: config.alerting.clone(),
            sites: means::sites(config)?,
            sinks,
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        })
    }
}

/// Runs a task that can be dropped at any of its waits, until `stopping` becomes true.
async fn until(
    mut stopping: watch::Receiver<bool>,
    task: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        ended = task => ended,
        _ = stopping.wait_for(|stop| *stop) => Ok(()),
    }
}

/// Takes what is appended through the rules. Stops between two steps only, so that a finding is acted upon as a whole.
async fn follow(
    mut pipeline: Pipeline,
    appended: Arc<Notify>,
    readiness: Arc<Readiness>,
    mut stopping: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    pipeline.executor().resume().await?;
    while !*stopping.borrow() {
        if let Some(taken) = pipeline.step().await? {
            taken.iter().for_each(tell);
            continue;
        }
        readiness.clear(RULES);
        tokio::select! {
            () = appended.notified() => {}
            _ = stopping.wait_for(|stop| *stop) => {}
        }
    }
    pipeline.keep_state();
    Ok(())
}

fn tell(taken: &Taken) {
    let finding = &taken.finding;
    tracing::info!(
        rule = finding.rule,
        severity = %finding.severity,
        system = finding.system,
        entity = finding.entity,
        actions = taken.actions.len(),
        "finding"
    );
}

/// Lets log time go on in systems in which nothing happens.
async fn tick(log: Arc<dyn Log>, systems: Vec<String>, appended: Arc<Notify>) -> anyhow::Result<()> {
    let mut seconds = interval(Duration::from_secs(TICK_SECONDS));
    // A machine that slept has lived through one tick, not through all that it missed.
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        seconds.tick().await;
        let now = clock::now();
        let ticks: Vec<Event> = systems.iter().map(|system| pipeline::tick(system, now)).collect();
        block_in_place(|| log.append(Lane::Events, ticks))?;
        appended.notify_one();
    }
}

/// Stamps the revocation documents anew: a policy that hears nothing denies everything after two minutes.
async fn refresh(executor: Executor) -> anyhow::Result<()> {
    let mut due = interval(Duration::from_secs(REFRESH_SECONDS));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        executor.refresh().await?;
    }
}

/// The rules built in, and those of a directory of the user's own.
fn rules(directory: Option<&Path>) -> anyhow::Result<Vec<Rule>> {
    let mut rules = rule::shipped()?;
    let own = directory.map(rule::load).transpose()?.unwrap_or_default();
    if let Some(twice) = own.iter().find(|own| rules.iter().any(|shipped| shipped.id == own.id)) {
        anyhow::bail!("{}: there is a rule of that name built in; give yours another", twice.id);
    }
    rules.extend(own);
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(rules)
}

/// A setting for a rule that is not there would look like protection.
fn check_settings(settings: &Settings, rules: &[Rule]) -> anyhow::Result<()> {
    for id in settings.disabled.iter().chain(settings.parameters.keys()) {
        ensure!(rules.iter().any(|rule| rule.id == *id), "[rules]: there is no rule `{id}`");
    }
    Ok(())
}
