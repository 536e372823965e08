//! What keywatch says about itself to Prometheus. [`ALL`] is the one list of names; the files in `dashboards/` are tested
//! against it. Labels hold only names that keywatch or its operator chose, never what an unauthenticated sender wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use keywatch_store::Topic;
use keywatch_store::log::TopicHead;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::limits::LATENCY_WINDOW_SECONDS;

/// A metric as the list has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    /// Name as Prometheus sees it.
    pub(crate) name: &'static str,
    /// What it counts, and its unit.
    pub(crate) help: &'static str,
    /// Label names.
    pub(crate) labels: &'static [&'static str],
    /// `counter`, `gauge` or `summary`.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests of names and dashboards need it"))]
    pub(crate) kind: &'static str,
}

macro_rules! metrics {
    ($($field:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        /// Every metric there is.
        pub(crate) const ALL: &[Described] = &[
            $(Described { name: $name, help: $help, labels: &[$($label),*], kind: metrics!(@word $kind) },)*
        ];

        /// The metrics of one process.
        #[derive(Debug)]
        pub(crate) struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub(crate) $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            /// All at zero.
            pub(crate) fn new() -> Arc<Metrics> {
                let registry = Registry::new();
                let mut described = ALL.iter();
                $(
                    let next = described.next().expect("the list has one entry for each field, in this order");
                    let $field = <metrics!(@type $kind) as Register>::register(next, &registry);
                )*
                Arc::new(Metrics { registry, $($field),* })
            }
        }
    };
    (@word Counter) => { "counter" };
    (@word Gauge) => { "gauge" };
    (@word Latency) => { "summary" };
    (@type Counter) => { IntCounterVec };
    (@type Gauge) => { IntGaugeVec };
    (@type Latency) => { Latency };
}

metrics! {
    build_info: Gauge "keywatch_build_info" ["version"] "always 1; the version is the label";
    ready: Gauge "keywatch_ready" [] "1 when every part is ready, 0 otherwise";
    ingest_requests: Counter "keywatch_ingest_requests_total" ["feed", "status"]
        "requests of authenticated sources by the HTTP status of the answer";
    ingest_unauthenticated: Counter "keywatch_ingest_unauthenticated_total" []
        "requests without valid credentials; nothing of them is stored";
    door_refusals: Counter "keywatch_door_refusals_total" ["reason"]
        "requests to the front door that were refused, by reason (docs/front-door.md)";
    door_connections: Gauge "keywatch_door_connections" [] "connections that are open";
    door_connections_cut: Counter "keywatch_door_connections_cut_total" ["reason"]
        "connections refused or cut: address_full, door_full (refused, or cut for a new one), handshake";
    door_certificate_reloads: Counter "keywatch_door_certificate_reloads_total" ["outcome"]
        "changed certificate files, by outcome: taken, refused";
    ingest_bytes: Counter "keywatch_ingest_bytes_total" ["feed"] "bytes of bodies after decompression";
    ingest_events: Counter "keywatch_ingest_events_total" ["system", "source", "feed"] "events written to the log";
    ingest_rejects: Counter "keywatch_ingest_rejects_total" ["system", "source", "feed"]
        "records that could not be understood, kept as source.reject";
    ingest_skipped: Counter "keywatch_ingest_skipped_total" ["system", "source", "feed"]
        "records that are nothing of the feed's, as the other lines of a container's output";
    ingest_repeats: Counter "keywatch_ingest_repeats_total" ["system", "source", "feed"]
        "events skipped because the log had them already";
    ingest_conflicts: Counter "keywatch_ingest_conflicts_total" ["system", "source", "feed"]
        "events whose id the log had with other content, kept as source.conflict";
    ingest_latency: Latency "keywatch_ingest_latency_seconds" ["feed"]
        "from the head of a request to its durable answer";
    log_records: Counter "keywatch_log_records_total" ["topic"] "records written to the log";
    log_failures: Counter "keywatch_log_failures_total" ["topic"] "appends that failed; nothing of them was acknowledged";
    log_append_latency: Latency "keywatch_log_append_latency_seconds" ["topic"] "one durable append";
    log_head_position: Gauge "keywatch_log_head_position" ["topic"]
        "where the log ends; it never falls, whatever happens, unless the log was cut";
    log_head_hash: Gauge "keywatch_log_head_hash" ["topic"]
        "first six bytes of the last batch's hash, as a number: with the position it says which log this is";
    log_head_time: Gauge "keywatch_log_head_time" ["topic"] "log time of the last batch, unix seconds";
    engine_lag_records: Gauge "keywatch_engine_lag_records" [] "events in the log that no rule has seen yet";
    engine_records: Counter "keywatch_engine_records_total" []
        "events that the rules went through; after a start also those since the last snapshot of window state";
    rules_active: Gauge "keywatch_rules_active" [] "rules that are evaluated";
    rule_coverage: Gauge "keywatch_rule_coverage" ["rule", "system"]
        "what a rule can see of a system: 2 everything that it needs, 1 some of it, 0 nothing that it could judge";
    rule_parked: Gauge "keywatch_rule_parked" ["rule"] "1 while a rule is parked after a failure";
    rule_parks: Counter "keywatch_rule_parks_total" ["rule"] "failures after which a rule was parked";
    rule_retries: Counter "keywatch_rule_retries_total" ["rule", "outcome"]
        "attempts to take a parked rule back, by outcome: resumed, failed";
    rule_skipped: Counter "keywatch_rule_skipped_total" ["rule"] "records that a rule could not evaluate and went on without";
    rule_limited: Counter "keywatch_rule_limited_total" ["rule"] "times that a rule's windows reached a limit and lost rows or keys";
    snapshots: Counter "keywatch_snapshots_total" ["outcome"] "snapshots of window state, by outcome: written, failed, restored, rejected";
    alerting_snapshots: Counter "keywatch_alerting_snapshots_total" ["outcome"]
        "snapshots of alerting's state, by outcome: written, failed, restored, rejected";
    rule_findings: Counter "keywatch_rule_findings_total" ["rule", "severity"] "findings";
    engine_run_latency: Latency "keywatch_engine_run_latency_seconds" [] "one batch through every rule";
    finding_latency: Latency "keywatch_finding_latency_seconds" [] "from append to recorded finding";
    alerts: Counter "keywatch_alerts_total" ["step", "severity"] "alerts opened, updated, suppressed";
    notifications: Counter "keywatch_notifications_total" ["destination", "outcome"]
        "attempts to notify, by outcome: delivered, retry, dead";
    responses: Counter "keywatch_responses_total" ["step"]
        "responses proposed, requested, published, verified, failed";
    verifications: Counter "keywatch_response_verifications_total" ["degree"]
        "probed revocations by the degree that was confirmed";
    responses_open: Gauge "keywatch_responses_open" [] "revocations decided and not yet verified";
    response_latency: Latency "keywatch_response_latency_seconds" [] "from recorded finding to probed revocation";
}

impl Metrics {
    /// Shows where the log ends, so that somebody outside keeps what tells whether it was cut.
    pub(crate) fn show_head(&self, topic: Topic, head: &TopicHead) {
        let [first, second, third, fourth, fifth, sixth, ..] = head.hash;
        let prefix = i64::from_be_bytes([0, 0, first, second, third, fourth, fifth, sixth]);
        let position = i64::try_from(head.position.0).unwrap_or(i64::MAX);
        for (gauge, value) in [
            (&self.log_head_position, position),
            (&self.log_head_hash, prefix),
            (&self.log_head_time, head.time.unix_seconds()),
        ] {
            gauge.with_label_values(&[topic.name()]).set(value);
        }
    }

    /// The text form that Prometheus scrapes (exposition format 0.0.4).
    ///
    /// # Errors
    /// A metric family that cannot be written; none of ours is.
    pub(crate) fn render(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

trait Register {
    fn register(described: &Described, registry: &Registry) -> Self;
}

const SOUND: &str = "names and labels of the list are valid and unique, as a test shows";

impl Register for IntCounterVec {
    fn register(described: &Described, registry: &Registry) -> Self {
        let counter = IntCounterVec::new(Opts::new(described.name, described.help), described.labels).expect(SOUND);
        registry.register(Box::new(counter.clone())).expect(SOUND);
        if described.labels.is_empty() {
            counter.with_label_values::<&str>(&[]);
        }
        counter
    }
}

impl Register for IntGaugeVec {
    fn register(described: &Described, registry: &Registry) -> Self {
        let gauge = IntGaugeVec::new(Opts::new(described.name, described.help), described.labels).expect(SOUND);
        registry.register(Box::new(gauge.clone())).expect(SOUND);
        if described.labels.is_empty() {
            gauge.with_label_values::<&str>(&[]);
        }
        gauge
    }
}

impl Register for Latency {
    fn register(described: &Described, registry: &Registry) -> Self {
        let latency = Latency::new(described);
        registry.register(Box::new(latency.clone())).expect(SOUND);
        latency
    }
}

/// Latencies in high-dynamic-range histograms, shown as a summary. The quantiles cover the last five to ten minutes,
/// `_sum` and `_count` everything since the start.
#[derive(Clone, Debug)]
pub(crate) struct Latency {
    described: Described,
    desc: Desc,
    series: Arc<Mutex<BTreeMap<Vec<String>, Series>>>,
}

/// Quantiles shown; 1 is the maximum.
const QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 1.0];

#[derive(Debug)]
struct Series {
    current: Histogram<u64>,
    before: Histogram<u64>,
    current_since: Instant,
    count: u64,
    sum_seconds: f64,
}

impl Latency {
    fn new(described: &Described) -> Latency {
        let labels = described.labels.iter().map(|label| (*label).to_owned()).collect();
        let desc = Desc::new(described.name.into(), described.help.into(), labels, std::collections::HashMap::new());
        Latency { described: *described, desc: desc.expect(SOUND), series: Arc::default() }
    }

    /// Records one latency under the label values, in the order of the list.
    pub(crate) fn observe(&self, labels: &[&str], latency: Duration) {
        self.observe_at(labels, latency, Instant::now());
    }

    fn observe_at(&self, labels: &[&str], latency: Duration, now: Instant) {
        debug_assert_eq!(labels.len(), self.described.labels.len(), "{}", self.described.name);
        let key = labels.iter().map(|label| (*label).to_owned()).collect();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.entry(key).or_insert_with(|| Series::new(now)).record(latency, now);
    }

    fn family(&self, now: Instant) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.described.name.to_owned());
        family.set_help(self.described.help.to_owned());
        family.set_field_type(MetricType::SUMMARY);
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let metrics = series.iter_mut().map(|(values, series)| {
            let mut metric = Metric::default();
            metric.set_label(self.described.labels.iter().zip(values).map(|(name, value)| pair(name, value)).collect());
            metric.set_summary(series.summary(now));
            metric
        });
        family.set_metric(metrics.collect());
        family
    }
}

impl Collector for Latency {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let family = self.family(Instant::now());
        if family.get_metric().is_empty() { Vec::new() } else { vec![family] }
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

impl Series {
    fn new(now: Instant) -> Series {
        // 1 µs to 1 h, three significant digits; what lies beyond is counted at the end of the range.
        let histogram = || Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are constants");
        Series { current: histogram(), before: histogram(), current_since: now, count: 0, sum_seconds: 0.0 }
    }

    fn record(&mut self, latency: Duration, now: Instant) {
        self.rotate(now);
        self.current.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
        self.count += 1;
        self.sum_seconds += latency.as_secs_f64();
    }

    fn rotate(&mut self, now: Instant) {
        let windows = now.saturating_duration_since(self.current_since).as_secs() / LATENCY_WINDOW_SECONDS;
        if windows == 0 {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.before);
        self.current.reset();
        if windows > 1 {
            self.before.reset();
        }
        self.current_since = now;
    }

    fn summary(&mut self, now: Instant) -> Summary {
        self.rotate(now);
        let mut recent = self.current.clone();
        recent.add(&self.before).expect("both histograms have the same bounds");
        let mut summary = Summary::default();
        summary.set_sample_count(self.count);
        summary.set_sample_sum(self.sum_seconds);
        summary.set_quantile(QUANTILES.into_iter().map(|quantile| shown(&recent, quantile)).collect());
        summary
    }
}

fn shown(recent: &Histogram<u64>, quantile: f64) -> Quantile {
    let seconds = Duration::from_micros(recent.value_at_quantile(quantile)).as_secs_f64();
    let mut shown = Quantile::default();
    shown.set_quantile(quantile);
    shown.set_value(if recent.is_empty() { f64::NAN } else { seconds });
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_registered_and_is_named_by_the_rules_of_prometheus() {
        Metrics::new();
        for metric in ALL {
            assert!(metric.name.starts_with("keywatch_") && !metric.help.is_empty(), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == "counter", "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), metric.kind == "summary", "{}", metric.name);
        }
    }

    #[test]
    fn latencies_are_shown_as_quantiles_of_the_recent_past() {
        let metrics = Metrics::new();
        let start = Instant::now();
        for milliseconds in 1..=100 {
            metrics.log_append_latency.observe_at(&["events"], Duration::from_millis(milliseconds), start);
        }
        let text = metrics.render().unwrap();
        assert!(text.contains("# TYPE keywatch_log_append_latency_seconds summary"), "{text}");
        assert!(text.contains(r#"keywatch_log_append_latency_seconds{topic="events",quantile="0.5"} 0.05"#), "{text}");
        assert!(text.contains(r#"keywatch_log_append_latency_seconds_count{topic="events"} 100"#), "{text}");

        let one_window = start + Duration::from_secs(LATENCY_WINDOW_SECONDS);
        let three_windows = start + Duration::from_secs(4 * LATENCY_WINDOW_SECONDS);
        let median = |now| {
            let family = metrics.log_append_latency.family(now);
            family.get_metric()[0].get_summary().get_quantile()[0].value()
        };
        assert!((median(one_window) - 0.05).abs() < 0.001);
        assert!(median(three_windows).is_nan());
    }

    #[test]
    fn dashboards_and_alert_rules_name_only_metrics_that_exist() {
        for (file, text) in [
            ("dashboards/prometheus-rules.yml", include_str!("../../dashboards/prometheus-rules.yml")),
            ("dashboards/grafana-keywatch.json", include_str!("../../dashboards/grafana-keywatch.json")),
        ] {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let named: Vec<&str> = words.filter(|word| word.starts_with("keywatch_")).collect();
            assert!(!named.is_empty(), "{file}");
            for word in named {
                let base = ["_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
                let known = ALL.iter().any(|m| m.name == word || (m.kind == "summary" && m.name == base));
                assert!(known, "{file} names `{word}`, which is not in src/service/metrics.rs");
            }
        }
    }

    #[test]
    fn every_metric_is_shown_on_the_dashboard() {
        let dashboard = include_str!("../../dashboards/grafana-keywatch.json");
        for metric in ALL {
            assert!(dashboard.contains(metric.name), "{} stands on no panel", metric.name);
        }
    }
}
