//! The metrics of the pipeline: reads what passes through and decides nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keywatch_detectors::Parked;
use keywatch_store::{Clock, Event, Finding, Instant, Log, Position, Topic};

use crate::clock;
use crate::limits::{PIPELINE_RECORDS_MAX, RESPONSES_TIMED_MAX};
use crate::service::evaluation::isolation::RetryOutcome;
use crate::service::metrics::Metrics;

/// The counters of a pipeline, and what they need to remember.
pub(super) struct PipelineMetrics {
    metrics: Arc<Metrics>,
    /// Next record of the conclusions topic.
    concluded: Position,
    /// When a revocation that is not probed yet was asked for, by its response id.
    asked: BTreeMap<String, Instant>,
}

impl PipelineMetrics {
    /// For a log whose conclusions up to there were counted in an earlier run, and that many rules.
    pub(super) fn new(metrics: Arc<Metrics>, concluded: Position, rules: usize) -> PipelineMetrics {
        metrics.rules_active.with_label_values::<&str>(&[]).set(gauge(rules as u64));
        PipelineMetrics { metrics, concluded, asked: BTreeMap::new() }
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
        self.metrics.rule_findings.with_label_values(&[finding.rule.as_str(), severity.as_str()]).inc();
    }

    /// It has been acted upon: how long that is after it was decided, in a log that runs by the wall clock.
    pub(super) fn handled(&self, finding: &Finding, clock: Clock) {
        if clock == Clock::Wall {
            let nanoseconds = clock::now().0.saturating_sub(finding.decided.0);
            let latency = Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0));
            self.metrics.finding_latency.observe(&[], latency);
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
    }

    /// A snapshot of alerting's state was made, or a kept one looked at.
    pub(super) fn alerting_snapshots(&self, outcome: &str, count: usize) {
        self.metrics.alerting_snapshots.with_label_values(&[outcome]).inc_by(count as u64);
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
        let detail = event.detail().value();
        let id = detail["response_id"].as_str().unwrap_or_default().to_owned();
        match step {
            "requested" => self.requested(id, event.time()),
            "verified" => {
                let degree = event.outcome().unwrap_or("unconfirmed");
                self.metrics.verifications.with_label_values(&[degree]).inc();
                if let Some(asked) = self.asked.remove(&id) {
                    let nanoseconds = u64::try_from(event.time().0.saturating_sub(asked.0)).unwrap_or(0);
                    self.metrics.response_latency.observe(&[], Duration::from_nanos(nanoseconds));
                }
            }
            _ => {}
        }
    }

    /// A decision point that is never reached leaves responses open for good.
    fn requested(&mut self, id: String, at: Instant) {
        self.asked.insert(id, at);
        if self.asked.len() > RESPONSES_TIMED_MAX {
            let oldest = self.asked.iter().min_by_key(|(_, at)| **at).map(|(id, _)| id.clone());
            oldest.map(|id| self.asked.remove(&id));
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

    fn conclusion(&self, event: &Event) {
        let detail = event.detail().value();
        match event.kind().strip_prefix("alert.") {
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
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use serde_json::json;

    use super::*;

    fn response(step: &str, number: usize) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "keywatch".to_owned() };
        let time = Instant(i64::try_from(number).unwrap());
        let mut event = Event::builder(&origin, &format!("{step}/{number}"), &format!("response.{step}"), time);
        event.time(time).detail(&json!({ "response_id": number.to_string() })).build_own()
    }

    #[test]
    fn p7_revocations_that_are_never_probed_give_way_the_oldest_first() {
        let mut metrics = PipelineMetrics::new(Metrics::new(), Position::default(), 1);
        let asked: Vec<Event> = (0..=RESPONSES_TIMED_MAX).map(|number| response("requested", number)).collect();
        metrics.responses(&asked, asked.len());
        assert_eq!(metrics.asked.len(), RESPONSES_TIMED_MAX);
        assert!(!metrics.asked.contains_key("0"));

        metrics.responses(&[response("verified", 0), response("verified", 1)], 0);
        assert_eq!(metrics.asked.len(), RESPONSES_TIMED_MAX - 1);
        assert_eq!(metrics.metrics.verifications.with_label_values(&["unconfirmed"]).get(), 2);
    }
}
