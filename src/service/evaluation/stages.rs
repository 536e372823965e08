//! How long each stage takes from a finding to a revocation that a probe has shown, read off the log times of the records.
//! It remembers when a stage began until it ends, so many at most.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use keywatch_store::{Event, Instant};

use crate::limits::STAGES_TIMED_MAX;
use crate::service::metrics::Metrics;

/// The stages that are under way.
#[derive(Default)]
pub(super) struct Stages {
    /// Findings without an alert, by finding id.
    found: Begun,
    /// Alerts that are told, by the key of the telling. Every destination takes it from here.
    told: Begun,
    /// Revocations that a decision point does not have, by response id.
    asked: Begun,
    /// Revocations that are not probed.
    published: Begun,
    /// Both of these together.
    whole: Begun,
}

impl Stages {
    /// A record of the conclusions topic.
    pub(super) fn conclusion(&mut self, event: &Event, metrics: &Arc<Metrics>) {
        let detail = event.detail().value();
        let text = |name: &str| detail[name].as_str().unwrap_or_default();
        match event.kind() {
            "finding.created" => self.found.begin(text("id"), event.time()),
            "alert.opened" | "alert.updated" | "alert.suppressed" => {
                if let Some(took) = self.found.end(detail["finding"]["id"].as_str().unwrap_or_default(), event.time()) {
                    metrics.alert_latency.observe_alert(&[], took, text("alert_id"));
                }
                if event.kind() != "alert.suppressed" && detail["notify"] == true {
                    self.told.begin(text("key"), event.time());
                }
            }
            "incident.paged" => self.told.begin(text("key"), event.time()),
            "alert.notified" => {
                if let Some(took) = self.told.since(text("key"), event.time()) {
                    metrics.notification_latency.observe_alert(&[text("destination")], took, text("alert_id"));
                }
            }
            _ => {}
        }
    }

    /// A `response.` record of the events topic.
    pub(super) fn response(&mut self, step: &str, event: &Event, metrics: &Arc<Metrics>) {
        let detail = event.detail().value();
        // Another way than the decision point: accepted is not enforced.
        if detail["via"].is_object() {
            return;
        }
        let id = detail["response_id"].as_str().unwrap_or_default();
        let alert_id = detail["alert_id"].as_str().unwrap_or_default();
        match step {
            "requested" => {
                self.asked.begin(id, event.time());
                self.whole.begin(id, event.time());
            }
            "published" => {
                if let Some(took) = self.asked.end(id, event.time()) {
                    metrics.enforcement_latency.observe_alert(&[], took, alert_id);
                }
                self.published.begin(id, event.time());
            }
            "verified" => {
                if let Some(took) = self.published.end(id, event.time()) {
                    metrics.verification_latency.observe_alert(&[], took, alert_id);
                }
                if let Some(took) = self.whole.end(id, event.time()) {
                    metrics.response_latency.observe_alert(&[], took, alert_id);
                }
            }
            _ => {}
        }
    }
}

/// When something began, by name. What never ends gives way, the oldest first.
#[derive(Default)]
struct Begun {
    at: BTreeMap<String, Instant>,
    order: VecDeque<String>,
}

impl Begun {
    fn begin(&mut self, name: &str, at: Instant) {
        if self.at.insert(name.to_owned(), at).is_none() {
            self.order.push_back(name.to_owned());
        }
        // Names that have ended stand in the order still, so that it, too, is cut.
        while self.order.len() > STAGES_TIMED_MAX {
            self.order.pop_front().map(|oldest| self.at.remove(&oldest));
        }
    }

    fn since(&self, name: &str, now: Instant) -> Option<Duration> {
        let begun = self.at.get(name)?;
        Some(Duration::from_nanos(u64::try_from(now.0.saturating_sub(begun.0)).unwrap_or(0)))
    }

    fn end(&mut self, name: &str, now: Instant) -> Option<Duration> {
        let took = self.since(name, now);
        self.at.remove(name);
        took
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::time::SECOND_NS;
    use serde_json::{Value, json};

    use super::*;

    fn record(kind: &str, at_seconds: usize, detail: &Value) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "keywatch".to_owned() };
        let time = Instant(i64::try_from(at_seconds).unwrap() * SECOND_NS);
        let mut event = Event::builder(&origin, &format!("{kind}/{at_seconds}"), kind, time);
        event.time(time).detail(detail).build_own()
    }

    #[test]
    fn each_stage_is_timed_from_the_record_before_it() {
        let (metrics, mut stages) = (Metrics::new(), Stages::default());
        let alert = json!({ "alert_id": "a1", "key": "k1", "notify": true, "finding": { "id": "f1" } });
        stages.conclusion(&record("finding.created", 1, &json!({ "id": "f1" })), &metrics);
        stages.conclusion(&record("alert.opened", 2, &alert), &metrics);
        for (at, destination) in [(5, "ops"), (9, "soc")] {
            let told = json!({ "alert_id": "a1", "key": "k1", "destination": destination });
            stages.conclusion(&record("alert.notified", at, &told), &metrics);
        }
        let response = json!({ "response_id": "r1", "alert_id": "a1" });
        for (step, at) in [("requested", 2), ("published", 4), ("verified", 9)] {
            stages.response(step, &record(&format!("response.{step}"), at, &response), &metrics);
        }
        let text = metrics.render(crate::service::metrics::Exposition::Text).unwrap();
        for line in [
            "keywatch_alert_latency_seconds_sum 1",
            r#"keywatch_notification_latency_seconds_sum{destination="ops"} 3"#,
            r#"keywatch_notification_latency_seconds_sum{destination="soc"} 7"#,
            "keywatch_enforcement_latency_seconds_sum 2",
            "keywatch_verification_latency_seconds_sum 5",
            "keywatch_response_latency_seconds_sum 7",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
    }

    #[test]
    fn p7_stages_that_never_end_give_way_the_oldest_first() {
        let (metrics, mut stages) = (Metrics::new(), Stages::default());
        for number in 0..=STAGES_TIMED_MAX {
            let response = json!({ "response_id": number.to_string() });
            stages.response("requested", &record("response.requested", number, &response), &metrics);
        }
        assert_eq!(stages.whole.at.len(), STAGES_TIMED_MAX);
        assert_eq!(stages.whole.since("0", Instant(0)), None);
        let last = STAGES_TIMED_MAX.to_string();
        let now = Instant(i64::try_from(STAGES_TIMED_MAX).unwrap() * SECOND_NS);
        assert_eq!(stages.whole.end(&last, now), Some(Duration::ZERO));
    }
}
