//! The pipeline: the log → the engine → findings → alerting. The same for the demo and for `keywatch run`; who appends
//! to the log is not its affair.
//!
//! On opening it goes on from the last snapshot of window state, or runs the rules over the whole log again, so that
//! windows remember what they did before the restart; findings that stand in the conclusions log already are not taken
//! again. That fills every gap that a parked rule left: no snapshot is made while one is parked.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time;

use keywatch_alerting::{Action, Executor};
use keywatch_detectors::{Decided, Engine, Lost, Parked, Skipped};
use keywatch_store::event::Origin;
use keywatch_store::{Event, EventId, Finding, Instant, Inventory, Lane, Log, Position};

use crate::clock;
use crate::isolation::{Ended, Isolation, Slice};
use crate::limits::{PIPELINE_RECORDS_MAX, SNAPSHOT_RECORDS_MIN, SNAPSHOT_SECONDS};
use crate::metrics::Metrics;
use crate::rule_records::{self, OpenGaps};
use crate::snapshots::Snapshots;

/// The pipeline over one log.
pub(crate) struct Pipeline {
    log: Arc<dyn Log>,
    engine: Engine,
    executor: Executor,
    metrics: Arc<Metrics>,
    /// Next record of each lane.
    position: Position,
    counted: Position,
    /// Ids of findings that stood in the conclusions log when it was opened.
    known: HashSet<String>,
    /// When a revocation was asked for, by its response id.
    asked: BTreeMap<String, Instant>,
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

/// The rules go over what earlier lives have seen.
struct CatchingUp {
    /// Where the log ended when it was opened.
    until: Position,
    gaps: OpenGaps,
    /// Findings that no life had taken, by rule.
    findings: BTreeMap<String, usize>,
    /// Records `rule.skipped` that are due and have not come yet.
    skipped: Vec<Event>,
}

impl CatchingUp {
    fn new(until: Position) -> CatchingUp {
        CatchingUp { until, gaps: OpenGaps::default(), findings: BTreeMap::new(), skipped: Vec::new() }
    }

    /// Learns what earlier lives wrote; `skipped` are records that rules went on without in this run.
    fn observe(&mut self, events: &[Event], skipped: &[Skipped]) {
        self.gaps.observe(events);
        self.skipped.extend(rule_records::skipped(skipped));
        if !self.skipped.is_empty() {
            let written = events.iter().filter(|event| event.kind == "rule.skipped").map(|event| event.event_id);
            let written: HashSet<EventId> = written.collect();
            self.skipped.retain(|record| !written.contains(&record.event_id));
        }
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
        let until = log.end(Lane::Events);
        let catching_up = Some(CatchingUp::new(until));
        let known = findings_in(log.as_ref())?;
        metrics.rules_active.with_label_values::<&str>(&[]).set(i64::try_from(engine.rules().count())?);
        let counted = log.end(Lane::Conclusions);
        let position = Position::default();
        let (asked, isolation) = (BTreeMap::new(), Isolation::default());
        Ok(Pipeline {
            log,
            engine,
            executor,
            metrics,
            position,
            counted,
            known,
            asked,
            isolation,
            catching_up,
            snapshots: None,
        })
    }

    /// Goes on from the position at which the engine's state was kept; `missing` are rules that were not in it. From now
    /// on state is kept there again.
    pub(crate) fn resume(mut self, snapshots: Snapshots, position: Position, missing: &[String]) -> Self {
        let written = time::Instant::now();
        self.position = position;
        missing.iter().for_each(|rule| self.isolation.rebuild(rule, position, written));
        self.snapshots = Some(Kept { snapshots, position, written });
        self
    }

    /// Keeps window state, so that the next start need not go through the whole log.
    pub(crate) fn keep_state(&mut self) {
        // A parked rule would be missing, and its gap be taken for filled.
        let is_whole = self.catching_up.is_none() && self.isolation.is_idle();
        let Some(kept) = self.snapshots.as_mut().filter(|kept| is_whole && kept.position < self.position) else {
            return;
        };
        let (engine, log) = (&self.engine, self.log.as_ref());
        let outcome = match tokio::task::block_in_place(|| kept.snapshots.write(engine, log, self.position)) {
            Ok(()) => "written",
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "window state cannot be kept; a restart will take longer"
                );
                "failed"
            }
        };
        self.metrics.snapshots.with_label_values(&[outcome]).inc();
        (kept.position, kept.written) = (self.position, time::Instant::now());
    }

    /// As [`Pipeline::keep_state`], when it is due.
    fn keep_state_in_time(&mut self) {
        let due = self.snapshots.as_ref().is_some_and(|kept| {
            kept.written.elapsed() >= time::Duration::from_secs(SNAPSHOT_SECONDS)
                && self.position.0 - kept.position.0 >= SNAPSHOT_RECORDS_MIN
        });
        if due {
            self.keep_state();
        }
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
        self.count_conclusions()?;
        self.keep_state_in_time();
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
        let outcome = tokio::task::block_in_place(|| self.engine.run(self.position, &events))?;
        self.metrics.engine_run_latency.observe(&[], begun.elapsed());
        self.position = self.position.plus(events.len());
        self.count_responses(&events);
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
        let lag = self.log.end(Lane::Events).0.saturating_sub(self.position.0);
        self.metrics.engine_lag_records.with_label_values::<&str>(&[]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        Ok(Some(taken))
    }

    /// From here on a rule that fails is parked. What earlier lives left open has been filled by now.
    fn end_catching_up(&mut self) -> anyhow::Result<()> {
        let Some(mut caught_up) = self.catching_up.take_if(|catching_up| catching_up.until <= self.position) else {
            return Ok(());
        };
        self.engine.sift(false);
        self.record_skipped(std::mem::take(&mut caught_up.skipped))?;
        let loaded: HashSet<&str> = self.engine.rules().map(|rule| rule.id.as_str()).collect();
        let is_filled = |rule: &str| loaded.contains(rule) && !self.isolation.is_parked(rule);
        for gap in caught_up.gaps.filled(is_filled) {
            let findings = caught_up.findings.get(&gap.rule).copied().unwrap_or(0);
            let none = std::collections::BTreeSet::new();
            let records = rule_records::resumed(&gap, self.log.as_ref(), self.position, findings, &none)?;
            self.log.append(Lane::Events, records)?;
        }
        Ok(())
    }

    async fn retry(&mut self) -> anyhow::Result<Option<Vec<Taken>>> {
        let (log, now) = (self.log.as_ref(), time::Instant::now());
        let slice = tokio::task::block_in_place(|| self.isolation.slice(&mut self.engine, log, self.position, now))?;
        let Some(Slice { findings, records, skipped, ended }) = slice else { return Ok(None) };
        let mut taken = Vec::new();
        for decided in findings {
            taken.extend(self.take(decided).await?);
        }
        self.record_skipped(rule_records::skipped(&skipped))?;
        if !records.is_empty() {
            self.log.append(Lane::Events, records)?;
        }
        if let Some((rule, ended)) = ended {
            tracing::info!(rule, ?ended, "a parked rule was tried");
            let outcome = if ended == Ended::Resumed { "resumed" } else { "failed" };
            self.metrics.rule_retries.with_label_values(&[rule.as_str(), outcome]).inc();
            self.metrics.rule_parked.with_label_values(&[rule.as_str()]).set(i64::from(ended == Ended::Failed));
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
            *catching_up.findings.entry(finding.rule.clone()).or_default() += 1;
        }
        let severity = finding.severity.to_string();
        self.metrics.rule_findings.with_label_values(&[finding.rule.as_str(), severity.as_str()]).inc();
        let actions = self.executor.take(&finding).await?;
        if self.log.clock() == keywatch_store::Clock::Wall {
            let nanoseconds = crate::clock::now().0.saturating_sub(finding.decided.0);
            let latency = time::Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
            self.metrics.finding_latency.observe(&[], latency);
        }
        Ok(Some(Taken { finding, actions }))
    }

    fn record_parked(&mut self, events: &[Event], parked: &[Parked]) -> anyhow::Result<()> {
        for parked in parked {
            let Parked { rule, problem, from } = parked;
            tracing::error!(rule, problem, from = from.0, "a rule failed and is parked");
            self.metrics.rule_parked.with_label_values(&[rule.as_str()]).set(1);
            self.metrics.rule_parks.with_label_values(&[rule.as_str()]).inc();
            let records = self.isolation.park(parked, events, time::Instant::now());
            self.log.append(Lane::Events, records)?;
        }
        Ok(())
    }

    fn record_skipped(&self, records: Vec<Event>) -> anyhow::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        // Those that stand in the log already are no news.
        for record in self.log.append(Lane::Events, records)?.written {
            let rule = record.detail.value()["rule"].as_str().unwrap_or_default().to_owned();
            tracing::error!(rule, problem = record.reason, "a rule goes on without a record that it cannot evaluate");
            self.metrics.rule_skipped.with_label_values(&[rule.as_str()]).inc();
        }
        Ok(())
    }

    fn record_limited(&self, lost: &[Lost]) -> anyhow::Result<()> {
        if lost.is_empty() {
            return Ok(());
        }
        // Over a log that was run before they stand in it already.
        for record in self.log.append(Lane::Events, rule_records::limited(lost))?.written {
            let rule = record.detail.value()["rule"].as_str().unwrap_or_default().to_owned();
            tracing::error!(rule, detail = record.detail.as_str(), "a rule's windows reached a limit");
            self.metrics.rule_limited.with_label_values(&[rule.as_str()]).inc();
        }
        Ok(())
    }

    fn count_responses(&mut self, events: &[Event]) {
        for event in events {
            let Some(step) = event.kind.strip_prefix("response.") else { continue };
            self.metrics.responses.with_label_values(&[step]).inc();
            let detail = event.detail.value();
            let id = detail["response_id"].as_str().unwrap_or_default().to_owned();
            match (step, self.asked.get(&id)) {
                ("requested", _) => {
                    self.asked.insert(id, event.time);
                }
                ("verified", Some(asked)) => {
                    let nanoseconds = u64::try_from(event.time.0.saturating_sub(asked.0)).unwrap_or(0);
                    self.metrics.response_latency.observe(&[], time::Duration::from_nanos(nanoseconds));
                    let degree = event.outcome.as_deref().unwrap_or("unconfirmed");
                    self.metrics.verifications.with_label_values(&[degree]).inc();
                    self.asked.remove(&id);
                }
                _ => {}
            }
        }
        let open = self.executor.with_state(|state| state.responses().open().len());
        self.metrics.responses_open.with_label_values::<&str>(&[]).set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    fn count_conclusions(&mut self) -> anyhow::Result<()> {
        let events = self.log.read(Lane::Conclusions, self.counted, PIPELINE_RECORDS_MAX)?;
        self.counted = self.counted.plus(events.len());
        for event in &events {
            let detail = event.detail.value();
            match event.kind.strip_prefix("alert.") {
                Some(step @ ("opened" | "updated" | "suppressed")) => {
                    let severity = detail["finding"]["severity"].as_str().unwrap_or("unknown");
                    self.metrics.alerts.with_label_values(&[step, severity]).inc();
                }
                Some(step @ ("notified" | "failed")) => {
                    let destination = detail["destination"].as_str().unwrap_or("unknown");
                    let outcome = match (step, detail["dead"].as_bool()) {
                        ("notified", _) => "delivered",
                        (_, Some(true)) => "dead",
                        _ => "retry",
                    };
                    self.metrics.notifications.with_label_values(&[destination, outcome]).inc();
                }
                _ => {}
            }
        }
        Ok(())
    }
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

/// The activations that the log lacks: of every system whose declaration differs from the last one in the log.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn activations(log: &dyn Log, inventory: &Inventory, now: Instant) -> anyhow::Result<Vec<Event>> {
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    let mut position = Position::default();
    loop {
        let events = log.read(Lane::Events, position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            break;
        }
        position = position.plus(events.len());
        for event in events.iter().filter(|event| event.kind == "inventory.activated") {
            last.insert(event.system.clone(), digest(event));
        }
    }
    let activated = inventory.activation(now);
    let changed: HashSet<String> = activated
        .iter()
        .filter(|event| event.kind == "inventory.activated" && last.get(&event.system) != Some(&digest(event)))
        .map(|event| event.system.clone())
        .collect();
    Ok(activated.into_iter().filter(|event| changed.contains(&event.system)).collect())
}

fn digest(event: &Event) -> String {
    event.detail.value()["sha256"].as_str().unwrap_or_default().to_owned()
}

/// The tick of a system at `now`: log time goes on although nothing happens.
pub(crate) fn tick(system: &str, now: Instant) -> Event {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::new(&origin, &format!("tick/{now}"), "tick", now);
    event.time = now;
    event
}
