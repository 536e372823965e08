//! The pipeline: the log → the engine → findings → alerting. The same for the demo and for `keywatch run`; who appends
//! to the log is not its concern.
//!
//! On opening it goes on from the last snapshot of window state, or runs the rules over the whole log again, so that
//! windows remember what they did before the restart; findings that were acted upon already are not taken again. That
//! fills every gap that a parked rule left: no snapshot is made while one is parked.

mod responding;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time;

use keywatch_alerting::{Action, Executor};
use keywatch_detectors::{Decided, Engine, Lost, Parked};
use keywatch_store::{Event, Finding, Instant, Inventory, Log, Position, Topic};
use tokio::task::block_in_place;

use crate::clock;
use crate::limits::{PIPELINE_RECORDS_MAX, SNAPSHOT_RECORDS_MAX, SNAPSHOT_RECORDS_MIN, SNAPSHOT_SECONDS};
use crate::service::evaluation::alerting_snapshots::AlertingSnapshots;
use crate::service::evaluation::catch_up::CatchUp;
use crate::service::evaluation::coverage::CoverageWatch;
use crate::service::evaluation::found_elsewhere::FoundElsewhere;
use crate::service::evaluation::history::{History, KnownFindings};
use crate::service::evaluation::isolation::{Isolation, Slice};
use crate::service::evaluation::outage::{self, Outages};
use crate::service::evaluation::pipeline_metrics::PipelineMetrics;
use crate::service::evaluation::rule_records;
use crate::service::evaluation::snapshots::{Restored, Snapshots};
use crate::service::evaluation::state_store::uploads::{State, Uploads};
use crate::service::evaluation::system_records;
use crate::service::evaluation::ticks::Dues;
use crate::service::log::Confirm;
use crate::service::metrics::Metrics;
use crate::service::role::Role;

/// The pipeline over one log.
pub(crate) struct Pipeline {
    log: Arc<dyn Log>,
    engine: Engine,
    executor: Executor,
    /// Whether it finds, responds, or both.
    role: Role,
    /// What another process finds, where this one only responds.
    elsewhere: Option<FoundElsewhere>,
    /// Fails once another process has this one's place.
    confirm: Confirm,
    metrics: PipelineMetrics,
    /// Next record of the events topic.
    position: Position,
    /// Log time of the last record that the rules have seen.
    seen: Instant,
    /// Findings that an earlier run acted upon.
    known: KnownFindings,
    isolation: Isolation,
    /// While the records of earlier runs of the process are gone through.
    catch_up: Option<CatchUp>,
    snapshots: Option<SnapshotSchedule>,
    coverage: Option<CoverageWatch>,
    /// What the rules wait for, told to who writes ticks.
    dues: Arc<Dues>,
    /// What waits while the log cannot be written; without it that is an error.
    outages: Option<Outages>,
}

/// Where window state and alerting's state are kept, and how far the last snapshots are.
struct SnapshotSchedule {
    snapshots: Snapshots,
    alerting: AlertingSnapshots,
    uploads: Option<Uploads>,
    /// The digest of each system's last activation before what the engine sees next.
    activations: BTreeMap<String, String>,
    position: Position,
    written: time::Instant,
}

impl SnapshotSchedule {
    /// Whether another snapshot is due for an engine that has seen all before `position`.
    fn is_due(&self, position: Position) -> bool {
        let records = position.0 - self.position.0;
        let is_time = self.written.elapsed() >= time::Duration::from_secs(SNAPSHOT_SECONDS);
        records >= SNAPSHOT_RECORDS_MAX || (is_time && records >= SNAPSHOT_RECORDS_MIN)
    }
}

/// Where a pipeline goes on, and where it keeps what the next one goes on from.
pub(crate) struct Resumption {
    /// The engine as it was kept.
    pub(crate) restored: Restored,
    /// What is known of the log: of all of it, or since alerting's state was kept.
    pub(crate) history: History,
    /// Snapshots of window state.
    pub(crate) snapshots: Snapshots,
    /// Snapshots of alerting's state.
    pub(crate) alerting: AlertingSnapshots,
    /// What sends both to a bucket, where the configuration names one.
    pub(crate) uploads: Option<Uploads>,
}

/// A finding, and what was decided to do about it.
pub(crate) struct Handled {
    /// The finding.
    pub(crate) finding: Finding,
    /// What alerting decided.
    pub(crate) actions: Vec<Action>,
}

impl Pipeline {
    /// Opens it at the beginning of a log on whose findings nothing was done; [`Pipeline::step`] then goes on from there.
    pub(crate) fn open(log: Arc<dyn Log>, engine: Engine, executor: Executor, metrics: Arc<Metrics>) -> Self {
        let mut engine = engine.with_stopwatch(clock::processor_time);
        engine.bisect(true);
        Pipeline {
            known: KnownFindings::default(),
            metrics: PipelineMetrics::new(metrics, log.end(Topic::Conclusions), &engine, &executor.destinations()),
            catch_up: Some(CatchUp::new(log.end(Topic::Events))),
            position: Position::default(),
            seen: Instant::UNASSIGNED,
            isolation: Isolation::default(),
            snapshots: None,
            coverage: None,
            dues: Arc::default(),
            outages: None,
            role: Role::All,
            elsewhere: None,
            confirm: Arc::new(|| Ok(())),
            log,
            engine,
            executor,
        }
    }

    /// Opens it where the engine's state was kept, and leaves out what was done by then. From now on state is kept there
    /// again.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn resume(
        log: Arc<dyn Log>,
        resumption: Resumption,
        executor: Executor,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let Resumption { restored, history, snapshots, alerting, uploads } = resumption;
        let Restored { engine, position, missing, rejected } = restored;
        let rules = engine.rules().cloned().collect();
        let coverage = CoverageWatch::open(rules, log.as_ref(), position, Arc::clone(&metrics))?;
        let mut pipeline = Pipeline::open(log, engine, executor, metrics);
        pipeline.coverage = Some(coverage);
        let written = time::Instant::now();
        (pipeline.position, pipeline.known) = (position, history.known);
        missing.iter().for_each(|rule| pipeline.isolation.rebuild(rule, position, written));
        pipeline.isolation.start_from(snapshots.clone());
        let activations = history.activations;
        pipeline.snapshots = Some(SnapshotSchedule { snapshots, alerting, uploads, activations, position, written });
        pipeline.metrics.snapshots("restored", usize::from(position > Position::default()));
        pipeline.metrics.snapshots("rejected", rejected);
        Ok(pipeline)
    }

    /// From here on it waits while the log cannot be written.
    pub(crate) fn wait_for_log(&mut self, outages: Outages) {
        self.outages = Some(outages);
    }

    /// From here on it is shown what the rules see of each system.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn watch_coverage(&mut self, metrics: Arc<Metrics>) -> anyhow::Result<()> {
        let rules = self.engine.rules().cloned().collect();
        self.coverage = Some(CoverageWatch::open(rules, self.log.as_ref(), self.position, metrics)?);
        Ok(())
    }

    /// Writes snapshots of window state and of alerting's state, so that the next start need not go through the whole log.
    pub(crate) fn write_snapshot(&mut self) {
        // A parked rule would be missing, and its gap be taken for filled.
        let is_whole = self.catch_up.is_none() && self.isolation.is_idle();
        let Some(schedule) = self.snapshots.as_mut().filter(|schedule| is_whole && schedule.position < self.position)
        else {
            return;
        };
        let (log, position) = (self.log.as_ref(), self.position);
        let windows = block_in_place(|| schedule.snapshots.write(&self.engine, log, position));
        self.metrics.snapshots(outcome("window state", &windows), 1);
        let alerting = block_in_place(|| schedule.alerting.write(&self.executor, log, position, &schedule.activations));
        self.metrics.alerting_snapshots(outcome("alerting's state", &alerting), 1);
        if let Some(uploads) = &schedule.uploads {
            let written = [(State::Windows, windows.is_ok()), (State::Alerting, alerting.is_ok())];
            let written = written.into_iter().filter(|(_, is_written)| *is_written);
            written.for_each(|(state, _)| uploads.offer(state, position));
        }
        (schedule.position, schedule.written) = (position, time::Instant::now());
        // Every rule is evaluated beyond what an earlier run acted upon.
        self.known.clear();
    }

    /// Keeps what is remembered for the next process, and waits a while until it is in the bucket, where there is one.
    pub(crate) fn end(&mut self) {
        self.write_snapshot();
        let uploads = self.snapshots.as_mut().and_then(|schedule| schedule.uploads.take());
        if let Some(uploads) = uploads {
            block_in_place(|| uploads.end());
        }
    }

    /// How far the records of earlier runs are gone through: the next one, and the first that is new. `None` once they are.
    pub(crate) fn catching_up(&self) -> Option<(Position, Position)> {
        self.catch_up.as_ref().map(|catch_up| (self.position, catch_up.until()))
    }

    /// Log time of the last record that went through the rules.
    pub(crate) fn seen(&self) -> Instant {
        self.seen
    }

    /// Takes the next records of the log through every rule, and a parked rule that is due through a slice of what it
    /// missed; acts on what is found. Gives nothing when there is nothing to do.
    ///
    /// # Errors
    /// The log cannot be read or written; nothing more should be attempted then.
    pub(crate) async fn step(&mut self) -> anyhow::Result<Option<Vec<Handled>>> {
        self.end_catching_up().await?;
        let live = self.follow().await?;
        let retried = self.retry().await?;
        let responded = self.respond().await?;
        if self.role.responds() {
            self.metrics.conclusions(self.log.as_ref())?;
        } else {
            self.forget_responded()?;
        }
        self.metrics.show(&self.engine, self.role.responds().then_some(&self.executor));
        if self.snapshots.as_ref().is_some_and(|schedule| schedule.is_due(self.position)) {
            self.write_snapshot();
        }
        Ok(match (live, retried, responded) {
            (None, None, None) => None,
            (live, retried, responded) => Some(live.into_iter().chain(retried).chain(responded).flatten().collect()),
        })
    }

    async fn follow(&mut self) -> anyhow::Result<Option<Vec<Handled>>> {
        let events = self.log.read(Topic::Events, self.position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            return Ok(None);
        }
        self.executor.observe(self.position, &events);
        self.elsewhere.iter_mut().for_each(|elsewhere| elsewhere.observe(&events));
        let begun = time::Instant::now();
        let outcome = block_in_place(|| self.engine.run(self.position, &events))?;
        let took = begun.elapsed();
        self.dues.note(&self.engine, &events);
        // Those before were counted by the run that appended them.
        let seen = self.catch_up.as_ref().map_or(0, |catch_up| catch_up.until().0.saturating_sub(self.position.0));
        if self.role.finds() {
            self.metrics.events(events.get(usize::try_from(seen).unwrap_or(usize::MAX)..).unwrap_or_default());
        }
        self.position = self.position.plus(events.len());
        self.seen = events.last().map_or(self.seen, Event::time);
        if let Some(coverage) = &mut self.coverage {
            coverage.observe(&events);
        }
        if let Some(schedule) = &mut self.snapshots {
            system_records::learn(&mut schedule.activations, &events);
        }
        if self.role.responds() {
            self.metrics.responses(&events, self.executor.with_state(|state| state.responses().open().len()));
        }
        self.record_parked(&events, &outcome.parked).await?;
        self.record_limited(&outcome.lost).await?;
        let skipped = match &mut self.catch_up {
            Some(catch_up) => {
                catch_up.observe(&events, &outcome.skipped);
                Vec::new()
            }
            None => rule_records::skipped(&outcome.skipped),
        };
        self.record_skipped(skipped).await?;
        let mut handled = Vec::new();
        for decided in outcome.findings {
            handled.extend(self.handle(decided).await?);
        }
        self.page_due(&events).await?;
        let left = self.log.end(Topic::Events).0.saturating_sub(self.position.0);
        self.metrics.run(events.len(), left, took);
        Ok(Some(handled))
    }

    /// From here on a rule that fails is parked. What earlier runs of the process left open has been filled by now.
    async fn end_catching_up(&mut self) -> anyhow::Result<()> {
        let Some(mut caught_up) = self.catch_up.take_if(|catch_up| catch_up.is_over(self.position)) else {
            return Ok(());
        };
        self.engine.bisect(false);
        self.coverage.iter().for_each(CoverageWatch::report);
        self.record_skipped(caught_up.take_skipped()).await?;
        let records = {
            let loaded: HashSet<&str> = self.engine.rules().map(|rule| rule.id.as_str()).collect();
            let is_filled = |rule: &str| loaded.contains(rule) && !self.isolation.is_parked(rule);
            caught_up.resumed(self.log.as_ref(), self.position, is_filled)?
        };
        self.append(records).await?;
        Ok(())
    }

    async fn retry(&mut self) -> anyhow::Result<Option<Vec<Handled>>> {
        let (log, now) = (self.log.as_ref(), time::Instant::now());
        let slice = block_in_place(|| self.isolation.slice(&mut self.engine, log, self.position, now))?;
        let Some(Slice { findings, records, skipped, ended }) = slice else { return Ok(None) };
        self.dues.renew(&self.engine);
        let mut handled = Vec::new();
        for decided in findings {
            handled.extend(self.handle(decided).await?);
        }
        self.record_skipped(rule_records::skipped(&skipped)).await?;
        self.append(records).await?;
        if let Some((rule, ended)) = ended {
            tracing::info!(rule, ?ended, "a parked rule was tried");
            self.metrics.retried(&rule, ended);
        }
        Ok(Some(handled))
    }

    /// Steps until the end of the log.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub(crate) async fn run_to_end(&mut self) -> anyhow::Result<Vec<Handled>> {
        let mut all = Vec::new();
        while let Some(handled) = self.step().await? {
            all.extend(handled);
        }
        Ok(all)
    }

    /// What is declared, for what metrics may name.
    pub(crate) fn declare(&mut self, inventory: &Inventory) {
        self.metrics.declare(inventory);
    }

    /// What the rules wait for.
    pub(crate) fn dues(&self) -> Arc<Dues> {
        Arc::clone(&self.dues)
    }

    /// The executor, to look at its state or refresh the decision points.
    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    async fn handle(&mut self, decided: Decided) -> anyhow::Result<Option<Handled>> {
        if self.known.take(&decided) {
            return Ok(None);
        }
        let finding = decided.finding;
        if let Some(catch_up) = &mut self.catch_up {
            catch_up.found(&finding.rule);
        }
        self.dues.found(&finding.system, finding.decided);
        let found_at = clock::now();
        if !self.role.responds() {
            self.record(&finding).await?;
            self.metrics.finding(&finding);
            return Ok(Some(Handled { finding, actions: Vec::new() }));
        }
        let actions = self.take(&finding).await?;
        // Counted when it is in the log, so that what was counted is there after a kill.
        self.metrics.finding(&finding);
        self.metrics.handled(&finding, &actions, found_at, self.log.clock());
        Ok(Some(Handled { finding, actions }))
    }

    async fn take(&mut self, finding: &Finding) -> anyhow::Result<Vec<Action>> {
        match &self.outages {
            Some(outages) => outages.persist(|| self.executor.take(finding)).await,
            None => Ok(self.executor.take(finding).await?),
        }
    }

    /// News of incidents that have waited long enough by the time of the last record of each system are told, and an inventory
    /// that protects less than the one before.
    async fn page_due(&mut self, events: &[Event]) -> anyhow::Result<()> {
        if !self.role.responds() {
            return Ok(());
        }
        if events.iter().any(|event| event.kind() == "inventory.activated") {
            match &self.outages {
                Some(outages) => outages.persist(|| self.executor.declared()).await?,
                None => self.executor.declared().await?,
            }
        }
        let times: BTreeMap<&str, Instant> = events.iter().map(|event| (event.system(), event.time())).collect();
        for (system, time) in times {
            match &self.outages {
                Some(outages) => outages.persist(|| self.executor.page_due(system, time)).await?,
                None => self.executor.page_due(system, time).await?,
            }
        }
        Ok(())
    }

    async fn record_parked(&mut self, events: &[Event], parked: &[Parked]) -> anyhow::Result<()> {
        for parked in parked {
            let Parked { rule, problem, from } = parked;
            tracing::error!(rule, problem, from = from.0, "a rule failed and is parked");
            self.metrics.parked(parked);
            let records = self.isolation.park(parked, events, time::Instant::now());
            self.append(records).await?;
        }
        Ok(())
    }

    async fn record_skipped(&mut self, records: Vec<Event>) -> anyhow::Result<()> {
        // Those that stand in the log already are no news.
        for record in self.append(records).await? {
            let rule = rule_of(&record);
            tracing::error!(rule, problem = record.reason(), "a rule goes on without a record that it cannot evaluate");
            self.metrics.skipped(&rule);
        }
        Ok(())
    }

    async fn record_limited(&mut self, lost: &[Lost]) -> anyhow::Result<()> {
        // Over a log that was run before they stand in it already.
        for record in self.append(rule_records::limited(lost)).await? {
            let rule = rule_of(&record);
            tracing::error!(rule, detail = record.detail().as_str(), "a rule's windows reached a limit");
            self.metrics.limited(&rule);
        }
        Ok(())
    }

    async fn append(&mut self, records: Vec<Event>) -> anyhow::Result<Vec<Event>> {
        outage::append(self.outages.as_ref(), self.log.as_ref(), records).await
    }
}

fn rule_of(record: &Event) -> String {
    record.detail().value()["rule"].as_str().unwrap_or_default().to_owned()
}

/// The word for how the writing of a snapshot ended, which is said where it failed.
fn outcome(what: &str, written: &anyhow::Result<()>) -> &'static str {
    match written {
        Ok(()) => "written",
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "{what} cannot be kept; a restart will take longer");
            "failed"
        }
    }
}
