//! The metrics of the pipeline: reads what passes through and decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{self, Duration};

use keywatch_alerting::{Action, AlertState, Executor, ReceiverStatus};
use keywatch_detectors::{Engine, Parked};
use keywatch_store::{Clock, Event, Finding, Instant, Inventory, Log, Position, Severity, Topic};

use crate::clock;
use crate::limits::{GAUGES_SECONDS, PIPELINE_RECORDS_MAX};
use crate::service::evaluation::isolation::RetryOutcome;
use crate::service::evaluation::labels::Labels;
use crate::service::evaluation::stages::Stages;
use crate::service::metrics::Metrics;

/// The counters of a pipeline, and what they need to remember.
pub(super) struct PipelineMetrics {
    metrics: Arc<Metrics>,
    /// Next record of the conclusions topic.
    concluded: Position,
    stages: Stages,
    labels: Labels,
    /// Processor time that each rule has been counted with.
    busy: BTreeMap<String, Duration>,
    /// Open incidents by system and severity.
    incidents: BTreeMap<(String, String), i64>,
    /// When what rules cost and what is open was shown last.
    shown: Option<time::Instant>,
}

impl PipelineMetrics {
    /// For a log whose conclusions up to there were counted in an earlier run, and for these rules and destinations.
    pub(super) fn new(
        metrics: Arc<Metrics>,
        concluded: Position,
        engine: &Engine,
        destinations: &[String],
    ) -> PipelineMetrics {
        metrics.rules_active.with_label_values::<&str>(&[]).set(gauge(engine.rules().count() as u64));
        for state in ["windows", "alerting"] {
            metrics.snapshot_last.with_label_values(&[state]).set(clock::now().unix_seconds());
        }
        // Shown at zero, since Prometheus' `increase` does not see the first of a series that is new.
        metrics.verifications.with_label_values(&["unconfirmed"]);
        for topic in ["events", "conclusions"] {
            metrics.log_failures.with_label_values(&[topic]);
        }
        for rule in engine.rules() {
            for counter in [&metrics.rule_parks, &metrics.rule_skipped, &metrics.rule_limited] {
                counter.with_label_values(&[rule.id.as_str()]);
            }
        }
        for destination in destinations {
            metrics.notifications.with_label_values(&[destination.as_str(), "dead"]);
        }
        let (stages, labels) = (Stages::default(), Labels::default());
        let (busy, incidents) = (BTreeMap::new(), BTreeMap::new());
        PipelineMetrics { metrics, concluded, stages, labels, busy, incidents, shown: None }
    }

    /// What is declared: its wallets may stand in labels, and its sources have their longest silence.
    pub(super) fn declare(&mut self, inventory: &Inventory) {
        self.labels.declare(inventory);
        for system in &inventory.systems {
            for source in system.sources.iter().filter(|source| source.heartbeat_seconds > 0) {
                let labels = [system.id.as_str(), source.source.as_str()];
                self.metrics.source_heartbeat.with_label_values(&labels).set(source.heartbeat_seconds);
            }
        }
    }

    /// Events that no earlier run went through.
    pub(super) fn events(&mut self, events: &[Event]) {
        self.labels.observe(events);
        for (labels, count) in self.labels.count(events) {
            self.metrics.events.with_label_values(&labels).inc_by(count);
        }
    }

    /// Records went through every rule, and so many are left.
    pub(super) fn run(&self, records: usize, left: u64, took: Duration) {
        self.metrics.engine_run_latency.observe(&[], took);
        self.metrics.engine_records.with_label_values::<&str>(&[]).inc_by(records as u64);
        self.metrics.engine_lag_records.with_label_values::<&str>(&[]).set(gauge(left));
    }

    /// A finding that is new.
    pub(super) fn finding(&self, finding: &Finding) {
        let severity = finding.severity.to_string();
        let wallet = self.labels.wallet(&finding.system, finding.wallet.as_deref());
        let labels = [finding.system.as_str(), wallet, finding.rule.as_str(), severity.as_str()];
        self.metrics.rule_findings.with_label_values(&labels).inc();
    }

    /// It was found `found_at` and has been acted upon now: how long after it was decided, in a log that runs by the wall
    /// clock.
    pub(super) fn handled(&self, finding: &Finding, actions: &[Action], found_at: Instant, clock: Clock) {
        if clock != Clock::Wall {
            return;
        }
        let alert_id = actions.iter().find_map(alert_id).unwrap_or_default();
        let severity = finding.severity.to_string();
        let metrics = &self.metrics;
        metrics.detection_delay.observe_alert(&[&severity], between(finding.time, finding.decided), alert_id);
        metrics.finding_latency.observe_alert(&[], between(finding.decided, found_at), alert_id);
        metrics.handled_latency.observe_alert(&[], between(finding.decided, clock::now()), alert_id);
    }

    /// What rules cost and remember, and what is open where this process responds, every few seconds.
    pub(super) fn show(&mut self, engine: &Engine, executor: Option<&Executor>) {
        if self.shown.is_some_and(|shown| shown.elapsed() < Duration::from_secs(GAUGES_SECONDS)) {
            return;
        }
        self.shown = Some(time::Instant::now());
        for usage in engine.usage() {
            let rule = [usage.rule.as_str()];
            let counted = self.busy.insert(usage.rule.clone(), usage.busy).unwrap_or_default();
            // A rule that was parked begins at zero again.
            let new = usage.busy.checked_sub(counted).unwrap_or(usage.busy);
            self.metrics.rule_processor.with_label_values(&rule).inc_by(new.as_secs_f64());
            self.metrics.rule_window_rows.with_label_values(&rule).set(gauge(usage.state.rows as u64));
            self.metrics.rule_window_bytes.with_label_values(&rule).set(gauge(usage.state.bytes as u64));
        }
        let Some(executor) = executor else { return };
        executor.with_state(|state| self.show_state(state, &executor.destinations()));
        executor.receivers().iter().for_each(|receiver| self.show_receiver(receiver));
    }

    fn show_receiver(&self, receiver: &ReceiverStatus) {
        let destination = [receiver.name.as_str()];
        self.metrics.receiver_down.with_label_values(&destination).set(i64::from(receiver.down));
        self.metrics.receiver_last.with_label_values(&destination).set(receiver.last.unix_seconds());
        if let Some(heartbeat) = receiver.heartbeat {
            self.metrics.receiver_heartbeat.with_label_values(&destination).set(heartbeat.unix_seconds());
        }
        self.metrics.dead_letters.with_label_values(&destination).set(gauge(receiver.dead as u64));
    }

    fn show_state(&mut self, state: &AlertState, destinations: &[String]) {
        let mut worst: BTreeMap<&str, (&str, Severity)> = BTreeMap::new();
        for alert in state.alerts().filter(|alert| state.incidents().get(&alert.incident).is_some()) {
            let incident = worst.entry(&alert.incident).or_insert((&alert.system, alert.severity));
            incident.1 = incident.1.max(alert.severity);
        }
        // What was open and is no more has to be shown as none.
        self.incidents.values_mut().for_each(|count| *count = 0);
        for (system, severity) in worst.into_values() {
            *self.incidents.entry((system.to_owned(), severity.to_string())).or_default() += 1;
        }
        for ((system, severity), count) in &self.incidents {
            self.metrics.incidents_open.with_label_values(&[system, severity]).set(*count);
        }
        for destination in destinations {
            let (count, oldest) = state.waiting(destination);
            let oldest = oldest.map_or(0, Instant::unix_seconds);
            self.metrics.outbox_waiting.with_label_values(&[destination.as_str()]).set(gauge(count as u64));
            self.metrics.outbox_oldest.with_label_values(&[destination.as_str()]).set(oldest);
        }
    }

    /// A rule failed.
    pub(super) fn parked(&self, parked: &Parked) {
        self.metrics.rule_parked.with_label_values(&[parked.rule.as_str()]).set(1);
        self.metrics.rule_parks.with_label_values(&[parked.rule.as_str()]).inc();
    }

    /// A parked rule was tried.
    pub(super) fn retried(&self, rule: &str, ended: RetryOutcome) {
        let outcome = if ended == RetryOutcome::Resumed { "resumed" } else { "failed" };
        self.metrics.rule_retries.with_label_values(&[rule, outcome]).inc();
        self.metrics.rule_parked.with_label_values(&[rule]).set(i64::from(ended == RetryOutcome::Failed));
    }

    /// A rule went on without a record.
    pub(super) fn skipped(&self, rule: &str) {
        self.metrics.rule_skipped.with_label_values(&[rule]).inc();
    }

    /// A rule's windows reached a limit.
    pub(super) fn limited(&self, rule: &str) {
        self.metrics.rule_limited.with_label_values(&[rule]).inc();
    }

    /// A snapshot of window state was made, or a kept one looked at.
    pub(super) fn snapshots(&self, outcome: &str, count: usize) {
        self.metrics.snapshots.with_label_values(&[outcome]).inc_by(count as u64);
        self.kept("windows", outcome);
    }

    /// A snapshot of alerting's state was made, or a kept one looked at.
    pub(super) fn alerting_snapshots(&self, outcome: &str, count: usize) {
        self.metrics.alerting_snapshots.with_label_values(&[outcome]).inc_by(count as u64);
        self.kept("alerting", outcome);
    }

    fn kept(&self, state: &str, outcome: &str) {
        if outcome == "written" {
            self.metrics.snapshot_last.with_label_values(&[state]).set(clock::now().unix_seconds());
        }
    }

    /// What the responses among some records say; `open` are those under way after them.
    pub(super) fn responses(&mut self, events: &[Event], open: usize) {
        for event in events {
            if let Some(step) = event.kind().strip_prefix("response.") {
                self.response(step, event);
            }
        }
        self.metrics.responses_open.with_label_values::<&str>(&[]).set(gauge(open as u64));
    }

    fn response(&mut self, step: &str, event: &Event) {
        self.metrics.responses.with_label_values(&[step]).inc();
        self.stages.response(step, event, &self.metrics);
        if step == "verified" {
            let degree = event.outcome().unwrap_or("unconfirmed");
            self.metrics.verifications.with_label_values(&[degree]).inc();
        }
    }

    /// What the conclusions topic has got since the last call.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) fn conclusions(&mut self, log: &dyn Log) -> anyhow::Result<()> {
        let events = log.read(Topic::Conclusions, self.concluded, PIPELINE_RECORDS_MAX)?;
        self.concluded = self.concluded.plus(events.len());
        events.iter().for_each(|event| self.conclusion(event));
        Ok(())
    }

    fn conclusion(&mut self, event: &Event) {
        self.stages.conclusion(event, &self.metrics);
        let detail = event.detail().value();
        match event.kind().strip_prefix("alert.") {
            Some(step @ ("opened" | "updated" | "suppressed")) => {
                let of_finding = |name: &str| detail["finding"][name].as_str().unwrap_or("unknown");
                self.metrics.alerts.with_label_values(&[step, of_finding("rule"), of_finding("severity")]).inc();
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
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Nothing where `until` is before `from`.
fn between(from: Instant, until: Instant) -> Duration {
    Duration::from_nanos(u64::try_from(until.0.saturating_sub(from.0)).unwrap_or(0))
}

fn alert_id(action: &Action) -> Option<&str> {
    match action {
        Action::OpenAlert(record) | Action::UpdateAlert(record) | Action::Suppress(record) => Some(&record.alert_id),
        _ => None,
    }
}
