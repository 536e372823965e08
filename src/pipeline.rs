//! The pipeline: the log → the engine → findings → alerting. The same for the demo and for `keywatch run`; who appends
//! to the log is not its affair.
//!
//! On opening it runs the rules over the whole log again, so that windows remember what they did before the restart;
//! findings that stand in the conclusions log already are not taken again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time;

use keywatch_alerting::{Action, Executor};
use keywatch_detectors::{Decided, Engine, Parked};
use keywatch_store::event::{Detail, Origin};
use keywatch_store::{Event, Finding, Instant, Inventory, Lane, Log, Position};
use serde_json::json;

use crate::limits::PIPELINE_RECORDS_MAX;
use crate::metrics::Metrics;

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
        let known = findings_in(log.as_ref())?;
        metrics.rules_active.with_label_values::<&str>(&[]).set(i64::try_from(engine.rules().count())?);
        let counted = log.end(Lane::Conclusions);
        let position = Position::default();
        Ok(Pipeline { log, engine, executor, metrics, position, counted, known, asked: BTreeMap::new() })
    }

    /// Takes the next records of the log through every rule, and acts on what is found. Gives nothing at the end of it.
    ///
    /// # Errors
    /// The log cannot be read or written; nothing more should be attempted then.
    pub(crate) async fn step(&mut self) -> anyhow::Result<Option<Vec<Taken>>> {
        let events = self.log.read(Lane::Events, self.position, PIPELINE_RECORDS_MAX)?;
        if events.is_empty() {
            self.count_conclusions()?;
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
        let mut taken = Vec::new();
        for decided in outcome.findings {
            taken.extend(self.take(decided).await?);
        }
        let lag = self.log.end(Lane::Events).0.saturating_sub(self.position.0);
        self.metrics.engine_lag_records.with_label_values::<&str>(&[]).set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.count_conclusions()?;
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

    fn record_parked(&self, events: &[Event], parked: &[Parked]) -> anyhow::Result<()> {
        for parked in parked {
            tracing::error!(
                rule = parked.rule,
                problem = parked.problem,
                from = parked.from.0,
                "a rule failed and is parked"
            );
            self.metrics.rule_parked.with_label_values(&[parked.rule.as_str()]).set(1);
            let systems: std::collections::BTreeSet<&str> = events.iter().map(|event| event.system.as_str()).collect();
            let records = systems.into_iter().map(|system| parked_record(system, parked)).collect();
            self.log.append(Lane::Events, records)?;
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

fn parked_record(system: &str, parked: &Parked) -> Event {
    let origin = Origin { system: system.to_owned(), source: "keywatch".to_owned() };
    let id = format!("parked/{}/{}", parked.rule, parked.from.0);
    let mut event = Event::new(&origin, &id, "rule.parked", Instant::UNASSIGNED);
    event.reason = Some(parked.problem.chars().take(1000).collect());
    event.detail = Detail::from(&json!({ "rule": parked.rule, "from_position": parked.from.0 }));
    event
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
