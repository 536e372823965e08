//! The pipeline: the log → the engine → findings → alerting. The same for the demo and for `keywatch run`; who appends
//! to the log is not its affair.
//!
//! On opening it goes on from the last snapshot of window state, or runs the rules over the whole log again, so that
//! windows remember what they did before the restart; findings that stand in the conclusions log already are not taken
//! again. That fills every gap that a parked rule left: no snapshot is made while one is parked.

mod catching_up;
mod counting;
mod system_records;

use std::collections::HashSet;
use std::sync::Arc;
use std::time;

use keywatch_alerting::{Action, Executor};
use keywatch_detectors::{Decided, Engine, Lost, Parked};
use keywatch_store::{Event, Finding, Lane, Log, Position};
use tokio::task::block_in_place;

use crate::clock;
use crate::isolation::{Isolation, Slice};
use crate::limits::{PIPELINE_RECORDS_MAX, SNAPSHOT_RECORDS_MIN, SNAPSHOT_SECONDS};
use crate::metrics::Metrics;
use crate::rule_records;
use crate::snapshots::{Restored, Snapshots};
use catching_up::CatchingUp;
use counting::Counting;
pub(crate) use system_records::{activations, tick};

/// The pipeline over one log.
pub(crate) struct Pipeline {
    log: Arc<dyn Log>,
    engine: Engine,
    executor: Executor,
    counting: Counting,
    /// Next record of the events lane.
    position: Position,
    /// Ids of findings that stood in the conclusions log when it was opened.
    known: HashSet<String>,
    isolation: Isolation,
    /// While the records of earlier lives are gone through.
    catching_up: Option<CatchingUp>,
    snapshots: Option<Kept>,
}

/// Where window state is kept, and how far the last snapshot is.
struct Kept {
    snapshots: Snapshots,
    position: Position,
    written: time::Instant,
}

impl Kept {
    /// Whether another snapshot is due for an engine that has seen all before `position`.
    fn is_due(&self, position: Position) -> bool {
        self.written.elapsed() >= time::Duration::from_secs(SNAPSHOT_SECONDS)
            && position.0 - self.position.0 >= SNAPSHOT_RECORDS_MIN
    }
}

/// A finding, and what was decided to do about it.
pub(crate) struct Taken {
    /// The finding.
    pub(crate) finding: Finding,
    /// What alerting decided.
    pub(crate) actions: Vec<Action>,
}

impl Pipeline {
    /// Opens it at the beginning of the log; [`Pipeline::step`] then goes on from there.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open(
        log: Arc<dyn Log>,
        engine: Engine,
        executor: Executor,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let mut engine = engine.with_stopwatch(clock::processor_time);
        engine.sift(true);
        Ok(Pipeline {
            known: findings_in(log.as_ref())?,
            counting: Counting::new(metrics, log.end(Lane::Conclusions), engine.rules().count()),
            catching_up: Some(CatchingUp::new(log.end(Lane::Events))),
            position: Position::default(),
            isolation: Isolation::default(),
            snapshots: None,
            log,
            engine,
            executor,
        })
    }

    /// As [`Pipeline::open`], but goes on from where the engine's state was kept. From now on state is kept there again.
    ///
    /// # Errors
    /// As [`Pipeline::open`].
    pub(crate) fn resume(
        log: Arc<dyn Log>,
        restored: Restored,
        executor: Executor,
        metrics: Arc<Metrics>,
        snapshots: Snapshots,
    ) -> anyhow::Result<Self> {
        let Restored { engine, position, missing, rejected } = restored;
        let mut pipeline = Pipeline::open(log, engine, executor, metrics)?;
        let written = time::Instant::now();
        pipeline.position = position;
        missing.iter().for_each(|rule| pipeline.isolation.rebuild(rule, position, written));
        pipeline.isolation.start_from(snapshots.clone());
        pipeline.snapshots = Some(Kept { snapshots, position, written });
        pipeline.counting.snapshots("restored", usize::from(position > Position::default()));
        pipeline.counting.snapshots("rejected", rejected);
        Ok(pipeline)
    }

    /// Keeps window state, so that the next start need not go through the whole log.
    pub(crate) fn keep_state(&mut self) {
        // A parked rule would be missing, and its gap be taken for filled.
        let is_whole = self.catching_up.is_none() && self.isolation.is_idle();
        let Some(kept) = self.snapshots.as_mut().filter(|kept| is_whole && kept.position < self.position) else {
            return;
        };
        let (engine, log) = (&self.engine, self.log.as_ref());
        let outcome = match block_in_place(|| kept.snapshots.write(engine, log, self.position)) {
            Ok(()) => "written",
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(error, "window state cannot be kept; a restart will take longer");
                "failed"
            }
        };
        self.counting.snapshots(outcome, 1);
        (kept.position, kept.written) = (self.position, time::Instant::now());
    }

    /// Takes the next records of the log through every rule, and a parked rule that is due through a slice of what it
    /// missed; acts on what is found. Gives nothing when there is nothing to do.
    ///
    /// # Errors
    /// The log cannot be read or written; nothing more should be attempted then.
    pub(crate) async fn step(&mut self) -> anyhow::Result<Option<Vec<Taken>>> {
        self.end_catching_up()?;
        let live = self.follow().await?;
        let retried = self.retry().await?;
        self.counting.conclusions(self.log.as_ref())?;
        if self.snapshots.as_ref().is_some_and(|kept| kept.is_due(self.position)) {
            self.keep_state();
        }
        Ok(match (live, retried) {
            (None, None) => None,
            (live, retried) => Some(live.into_iter().chain(retried).flatten().collect()),
        })
    }

    async fn follow(&mut self) -> anyhow::Result<Option<Vec<Taken>>> {
        let events = self.log.read(Lane::Events, self.position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            return Ok(None);
        }
        // The executor saw its own records as it wrote them.
        let of_others: Vec<Event> =
            events.iter().filter(|event| !event.kind.starts_with("response.")).cloned().collect();
        self.executor.observe(&of_others);
        let begun = time::Instant::now();
        let outcome = block_in_place(|| self.engine.run(self.position, &events))?;
        let took = begun.elapsed();
        self.position = self.position.plus(events.len());
        self.counting.responses(&events, self.executor.with_state(|state| state.responses().open().len()));
        self.record_parked(&events, &outcome.parked)?;
        self.record_limited(&outcome.lost)?;
        match &mut self.catching_up {
            Some(catching_up) => catching_up.observe(&events, &outcome.skipped),
            None => self.record_skipped(rule_records::skipped(&outcome.skipped))?,
        }
        let mut taken = Vec::new();
        for decided in outcome.findings {
            taken.extend(self.take(decided).await?);
        }
        let left = self.log.end(Lane::Events).0.saturating_sub(self.position.0);
        self.counting.run(events.len(), left, took);
        Ok(Some(taken))
    }

    /// From here on a rule that fails is parked. What earlier lives left open has been filled by now.
    fn end_catching_up(&mut self) -> anyhow::Result<()> {
        let Some(mut caught_up) = self.catching_up.take_if(|catching_up| catching_up.is_over(self.position)) else {
            return Ok(());
        };
        self.engine.sift(false);
        self.record_skipped(caught_up.take_skipped())?;
        let loaded: HashSet<&str> = self.engine.rules().map(|rule| rule.id.as_str()).collect();
        let is_filled = |rule: &str| loaded.contains(rule) && !self.isolation.is_parked(rule);
        let records = caught_up.resumed(self.log.as_ref(), self.position, is_filled)?;
        self.append(records)
    }

    async fn retry(&mut self) -> anyhow::Result<Option<Vec<Taken>>> {
        let (log, now) = (self.log.as_ref(), time::Instant::now());
        let slice = block_in_place(|| self.isolation.slice(&mut self.engine, log, self.position, now))?;
        let Some(Slice { findings, records, skipped, ended }) = slice else { return Ok(None) };
        let mut taken = Vec::new();
        for decided in findings {
            taken.extend(self.take(decided).await?);
        }
        self.record_skipped(rule_records::skipped(&skipped))?;
        self.append(records)?;
        if let Some((rule, ended)) = ended {
            tracing::info!(rule, ?ended, "a parked rule was tried");
            self.counting.retried(&rule, ended);
        }
        Ok(Some(taken))
    }

    /// Steps until the end of the log.
    ///
    /// # Errors
    /// As [`Pipeline::step`].
    pub(crate) async fn catch_up(&mut self) -> anyhow::Result<Vec<Taken>> {
        let mut all = Vec::new();
        while let Some(taken) = self.step().await? {
            all.extend(taken);
        }
        Ok(all)
    }

    /// The executor, to look at its state or refresh the decision points.
    pub(crate) fn executor(&self) -> &Executor {
        &self.executor
    }

    /// Rows that wait for their frame to close.
    pub(crate) fn waiting(&self) -> usize {
        self.engine.state_size().waiting
    }

    async fn take(&mut self, decided: Decided) -> anyhow::Result<Option<Taken>> {
        let finding = decided.finding;
        if self.known.remove(&finding.id) {
            return Ok(None);
        }
        if let Some(catching_up) = &mut self.catching_up {
            catching_up.found(&finding.rule);
        }
        self.counting.finding(&finding);
        let actions = self.executor.take(&finding).await?;
        self.counting.taken(&finding, self.log.clock());
        Ok(Some(Taken { finding, actions }))
    }

    fn record_parked(&mut self, events: &[Event], parked: &[Parked]) -> anyhow::Result<()> {
        for parked in parked {
            let Parked { rule, problem, from } = parked;
            tracing::error!(rule, problem, from = from.0, "a rule failed and is parked");
            self.counting.parked(parked);
            let records = self.isolation.park(parked, events, time::Instant::now());
            self.append(records)?;
        }
        Ok(())
    }

    fn record_skipped(&self, records: Vec<Event>) -> anyhow::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        // Those that stand in the log already are no news.
        for record in self.log.append(Lane::Events, records)?.written {
            let rule = rule_of(&record);
            tracing::error!(rule, problem = record.reason, "a rule goes on without a record that it cannot evaluate");
            self.counting.skipped(&rule);
        }
        Ok(())
    }

    fn record_limited(&self, lost: &[Lost]) -> anyhow::Result<()> {
        if lost.is_empty() {
            return Ok(());
        }
        // Over a log that was run before they stand in it already.
        for record in self.log.append(Lane::Events, rule_records::limited(lost))?.written {
            let rule = rule_of(&record);
            tracing::error!(rule, detail = record.detail.as_str(), "a rule's windows reached a limit");
            self.counting.limited(&rule);
        }
        Ok(())
    }

    fn append(&self, records: Vec<Event>) -> anyhow::Result<()> {
        if !records.is_empty() {
            self.log.append(Lane::Events, records)?;
        }
        Ok(())
    }
}

fn rule_of(record: &Event) -> String {
    record.detail.value()["rule"].as_str().unwrap_or_default().to_owned()
}

fn findings_in(log: &dyn Log) -> anyhow::Result<HashSet<String>> {
    let mut known = HashSet::new();
    let mut position = Position::default();
    loop {
        let events = log.read(Lane::Conclusions, position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            return Ok(known);
        }
        position = position.plus(events.len());
        let created = events.iter().filter(|event| event.kind == "finding.created");
        known.extend(created.filter_map(|event| event.detail.value()["id"].as_str().map(str::to_owned)));
    }
}
