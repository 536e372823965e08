//! What keywatch says about itself to Prometheus. [`ALL`] is the one list of names, of which `docs/metrics.md` is generated;
//! the files in `dashboards/` are tested against it. Labels hold only names that keywatch or its operator chose, never what
//! a sender wrote.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use keywatch_store::log::TopicHead;
use keywatch_store::{Instant, Topic};
use prometheus::core::Collector;
use prometheus::{CounterVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::service::source::Source;

pub(crate) mod disk;
mod exposition;
mod latency;
#[cfg(test)]
mod page;

pub(crate) use exposition::Exposition;
pub(crate) use latency::Latency;

/// A metric as the list has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Described {
    /// Name as Prometheus sees it.
    pub(crate) name: &'static str,
    /// What it counts, and its unit.
    pub(crate) help: &'static str,
    /// Label names.
    pub(crate) labels: &'static [&'static str],
    /// `counter`, `gauge` or `histogram`.
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
            /// The directory whose file system is looked at.
            data: OnceLock<PathBuf>,
            latencies: Vec<Latency>,
            $(#[doc = $help] pub(crate) $field: metrics!(@type $kind),)*
        }

        impl Metrics {
            /// All at zero.
            pub(crate) fn new() -> Arc<Metrics> {
                let registry = Registry::new();
                let mut described = ALL.iter();
                let mut latencies = Vec::new();
                $(
                    let next = described.next().expect("the list has one entry for each field, in this order");
                    let $field = <metrics!(@type $kind) as Register>::register(next, &registry);
                    latencies.extend($field.latency());
                )*
                Arc::new(Metrics { registry, data: OnceLock::new(), latencies, $($field),* })
            }
        }
    };
    (@word Counter) => { "counter" };
    (@word Gauge) => { "gauge" };
    (@word Seconds) => { "counter" };
    (@word Latency) => { "histogram" };
    (@type Counter) => { IntCounterVec };
    (@type Gauge) => { IntGaugeVec };
    (@type Seconds) => { CounterVec };
    (@type Latency) => { Latency };
}

metrics! {
    build_info: Gauge "keywatch_build_info" ["version"] "always 1; the version is the label";
    ready: Gauge "keywatch_ready" [] "1 when every part is ready, 0 otherwise";
    ingest_requests: Counter "keywatch_ingest_requests_total" ["feed", "status"]
        "requests of authenticated sources by the HTTP status of the answer";
    ingest_unauthenticated: Counter "keywatch_ingest_unauthenticated_total" []
        "requests without valid credentials; nothing of them is stored";
    api_requests: Counter "keywatch_api_requests_total" ["method", "status"]
        "requests of operators to the API by the HTTP status of the answer";
    api_unauthenticated: Counter "keywatch_api_unauthenticated_total" []
        "requests to the API without an operator's token";
    door_refusals: Counter "keywatch_door_refusals_total" ["reason"]
        "requests to the front door that were refused, by reason (docs/front-door.md)";
    door_connections: Gauge "keywatch_door_connections" [] "connections that are open";
    door_connections_cut: Counter "keywatch_door_connections_cut_total" ["reason"]
        "connections refused or cut, by reason (docs/front-door.md)";
    door_certificate_reloads: Counter "keywatch_door_certificate_reloads_total" ["outcome"]
        "changed certificate files, by outcome: taken, refused";
    door_credential_reloads: Counter "keywatch_door_credential_reloads_total" ["outcome"]
        "changes of who may send that were read while running, by outcome: taken, refused";
    door_streams: Gauge "keywatch_door_streams" ["feed"] "WebSocket streams of sources that are open";
    door_streams_closed: Counter "keywatch_door_streams_closed_total" ["reason"]
        "streams that ended, by reason (docs/front-door.md)";
    stream_messages: Counter "keywatch_stream_messages_total" ["feed", "outcome"]
        "messages on streams by what they were answered: acknowledged, refused";
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
        "from the head of a request, or a message of a stream, to its durable answer";
    chain_head: Gauge "keywatch_chain_head" ["chain", "source"] "height of the newest block that the nodes have";
    chain_height: Gauge "keywatch_chain_height" ["chain", "source"] "height of the newest block that was read";
    chain_endpoint_head: Gauge "keywatch_chain_endpoint_head" ["chain", "endpoint"]
        "height of the newest block of each node, as it says";
    chain_blocks: Counter "keywatch_chain_blocks_total" ["chain", "source"] "blocks read";
    chain_reorgs: Counter "keywatch_chain_reorgs_total" ["chain", "source"] "reorganisations followed";
    chain_waiting: Gauge "keywatch_chain_waiting" ["chain", "source"]
        "transactions of watched wallets that wait for their block";
    chain_waiting_skipped: Counter "keywatch_chain_waiting_skipped_total" ["chain", "source"]
        "waiting transactions that were not looked at, since too many came at once";
    chain_requests: Counter "keywatch_chain_requests_total" ["chain", "endpoint"]
        "requests to nodes; a batch counts as many as it holds";
    chain_errors: Counter "keywatch_chain_errors_total" ["chain", "endpoint", "class"]
        "what went wrong with nodes, by class";
    pull_errors: Counter "keywatch_pull_errors_total" ["system", "source", "class"]
        "what went wrong with sources that keywatch asks itself, by class";
    pdp_canaries: Counter "keywatch_pdp_canaries_total" ["system", "source", "outcome"]
        "questions with known answers to decision points, by outcome: as expected, different, unanswered";
    event_delay: Latency "keywatch_event_delay_seconds" ["feed"]
        "from when something happened, by its source's clock, until the log has it durably";
    source_last: Gauge "keywatch_source_last_timestamp_seconds" ["system", "source", "feed"]
        "when a source last sent records that were taken, unix seconds; until then the start of the process";
    source_heartbeat: Gauge "keywatch_source_heartbeat_seconds" ["system", "source"]
        "longest silence of a source that is ordinary, as the inventory declares it";
    log_records: Counter "keywatch_log_records_total" ["topic"] "records written to the log";
    log_failures: Counter "keywatch_log_failures_total" ["topic"] "appends that failed; nothing of them was acknowledged";
    log_foreign: Counter "keywatch_log_foreign_messages_total" []
        "messages in the topics of a log on Kafka that no role of keywatch wrote; they are left out";
    log_later: Gauge "keywatch_log_later_messages" []
        "messages in the topics of a log on Kafka that a later version of keywatch wrote; the copy here lacks them";
    log_lag: Gauge "keywatch_log_lag_messages" ["topic"]
        "messages at the end of a topic in Kafka that have not been read";
    log_fold: Latency "keywatch_log_fold_latency_seconds" ["topic"]
        "from the append in Kafka until a record is in the copy here";
    log_transactions: Counter "keywatch_log_transactions_total" ["outcome"]
        "transactions of conclusions, by outcome: committed, aborted, fenced (another process has the partition), unanswered (read back)";
    intake_rebalances: Counter "keywatch_intake_rebalances_total" []
        "times that partitions of intake topics were given to this process or taken from it";
    log_cluster_down: Gauge "keywatch_log_cluster_down" [] "1 while the brokers of log.kafka do not answer";
    spool_records: Gauge "keywatch_spool_records" [] "events that are durable on this machine and not yet with Kafka";
    spool_bytes: Gauge "keywatch_spool_bytes" [] "what the spool takes of the megabytes that it may have";
    spool_since: Gauge "keywatch_spool_since_timestamp_seconds" []
        "since when something is in the spool, unix seconds; 0 while nothing is";
    log_append_latency: Latency "keywatch_log_append_latency_seconds" ["topic"] "one durable append";
    log_head_position: Gauge "keywatch_log_head_position" ["topic"]
        "where the log ends; it never falls, whatever happens, unless the log was cut";
    log_head_hash: Gauge "keywatch_log_head_hash" ["topic"]
        "first six bytes of the last batch's hash, as a number: with the position it says which log this is";
    log_head_time: Gauge "keywatch_log_head_time" ["topic"] "log time of the last batch, unix seconds";
    data_free: Gauge "keywatch_data_free_bytes" [] "bytes that can still be written to the file system of the log";
    data_size: Gauge "keywatch_data_size_bytes" [] "size of the file system of the log";
    events: Counter "keywatch_events_total" ["system", "wallet", "kind", "outcome"]
        "events that the rules went through since the start, without ticks; wallets that are not declared are `undeclared`, \
         those of a system with more than a thousand `declared`";
    engine_lag_records: Gauge "keywatch_engine_lag_records" [] "events in the log that no rule has seen yet";
    engine_records: Counter "keywatch_engine_records_total" []
        "events that the rules went through; after a start also those since the last snapshot of window state";
    rule_processor: Seconds "keywatch_rule_processor_seconds_total" ["rule"] "processor time that a rule took";
    rule_window_rows: Gauge "keywatch_rule_window_rows" ["rule"] "rows that the windows of a rule remember";
    rule_window_bytes: Gauge "keywatch_rule_window_bytes" ["rule"] "bytes that the windows of a rule remember";
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
    state_store: Counter "keywatch_state_store_snapshots_total" ["state", "outcome"]
        "snapshots in the bucket of log.state, by state and outcome: uploaded, failed, fetched, rejected, unreachable";
    snapshot_last: Gauge "keywatch_snapshot_timestamp_seconds" ["state"]
        "when state was last kept, unix seconds, by state: windows, alerting; until then the start of the process";
    rule_findings: Counter "keywatch_rule_findings_total" ["system", "wallet", "rule", "severity"] "findings";
    detection_delay: Latency "keywatch_detection_delay_seconds" ["severity"]
        "from the log time of what a finding is about to that of the record that decided it";
    engine_run_latency: Latency "keywatch_engine_run_latency_seconds" [] "one batch through every rule";
    finding_latency: Latency "keywatch_finding_latency_seconds" [] "from the append that decided a finding until it is found";
    handled_latency: Latency "keywatch_handled_latency_seconds" []
        "from the append that decided a finding until it was recorded and acted upon, revocations included";
    alert_latency: Latency "keywatch_alert_latency_seconds" [] "from recorded finding to recorded alert";
    alerts: Counter "keywatch_alerts_total" ["step", "rule", "severity"] "alerts opened, updated, suppressed";
    incidents_open: Gauge "keywatch_incidents_open" ["system", "severity"]
        "incidents that may still grow, by the worst severity of their alerts";
    outbox_waiting: Gauge "keywatch_outbox_waiting" ["destination"] "notifications that a destination has not taken yet";
    outbox_oldest: Gauge "keywatch_outbox_oldest_timestamp_seconds" ["destination"]
        "log time of the oldest alert among those, unix seconds; 0 when there is none";
    notification_latency: Latency "keywatch_notification_latency_seconds" ["destination"]
        "from recorded alert until a destination has taken it";
    notifications: Counter "keywatch_notifications_total" ["destination", "outcome"]
        "attempts to notify, by outcome: delivered, retry, dead";
    receiver_down: Gauge "keywatch_receiver_down" ["destination"] "1 while a destination fails again and again";
    receiver_last: Gauge "keywatch_receiver_last_timestamp_seconds" ["destination"]
        "when a destination last took a notification, unix seconds; until then the start of the process";
    receiver_heartbeat: Gauge "keywatch_receiver_heartbeat_timestamp_seconds" ["destination"]
        "when a destination that gets heartbeats last took one, unix seconds; until then the start of the process";
    dead_letters: Gauge "keywatch_dead_letters" ["destination"] "notifications put aside that can be redriven";
    responses: Counter "keywatch_responses_total" ["step"]
        "responses proposed, requested, published, verified, failed";
    verifications: Counter "keywatch_response_verifications_total" ["degree"]
        "probed revocations by the degree that was confirmed";
    responses_open: Gauge "keywatch_responses_open" [] "revocations decided and not yet verified";
    enforcement_latency: Latency "keywatch_enforcement_latency_seconds" []
        "from the intent to revoke until the decision point has the revocation";
    verification_latency: Latency "keywatch_verification_latency_seconds" []
        "from the published revocation until a probe has shown what it does";
    response_latency: Latency "keywatch_response_latency_seconds" [] "from the intent to revoke to the probed revocation";
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

    /// A source may speak. What alerts ask `increase` of stands at zero, since the first of a series that is new is not seen.
    pub(crate) fn expect(&self, source: Source<'_>) {
        let labels = [source.origin.system.as_str(), source.origin.source.as_str(), source.feed.name()];
        for counter in [&self.ingest_rejects, &self.ingest_conflicts] {
            counter.with_label_values(&labels);
        }
    }

    /// A source spoke then. Before it does, the start of the process stands for it, so that silence from the start shows.
    pub(crate) fn heard(&self, source: Source<'_>, at: Instant) {
        let labels = [source.origin.system.as_str(), source.origin.source.as_str(), source.feed.name()];
        self.source_last.with_label_values(&labels).set(at.unix_seconds());
    }

    /// From now on shows the room of the file system that this directory is on.
    pub(crate) fn watch_disk(&self, data: &Path) {
        // A second directory would be another service's.
        let _ = self.data.set(data.to_owned());
    }

    /// What is scraped.
    ///
    /// # Errors
    /// A metric family that cannot be written; none of ours is.
    pub(crate) fn render(&self, exposition: Exposition) -> prometheus::Result<String> {
        if let Some(room) = self.data.get().and_then(|data| disk::room(data)) {
            for (gauge, bytes) in [(&self.data_free, room.free), (&self.data_size, room.size)] {
                gauge.with_label_values::<&str>(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
        let text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        Ok(match exposition {
            Exposition::Text => text,
            Exposition::OpenMetrics => {
                exposition::open_metrics(&text, &self.latencies.iter().flat_map(Latency::exemplars).collect())
            }
        })
    }
}

trait Register: Sized {
    fn register(described: &Described, registry: &Registry) -> Self;

    /// Where it is one that has exemplars.
    fn latency(&self) -> Option<Latency> {
        None
    }
}

const SOUND: &str = "names and labels of the list are valid and unique, as a test shows";

fn registered<C: Collector + Clone + 'static>(metric: C, registry: &Registry) -> C {
    registry.register(Box::new(metric.clone())).expect(SOUND);
    metric
}

impl Register for IntCounterVec {
    fn register(described: &Described, registry: &Registry) -> Self {
        let counter = IntCounterVec::new(Opts::new(described.name, described.help), described.labels).expect(SOUND);
        let counter = registered(counter, registry);
        if described.labels.is_empty() {
            counter.with_label_values::<&str>(&[]);
        }
        counter
    }
}

impl Register for IntGaugeVec {
    fn register(described: &Described, registry: &Registry) -> Self {
        let gauge = IntGaugeVec::new(Opts::new(described.name, described.help), described.labels).expect(SOUND);
        let gauge = registered(gauge, registry);
        if described.labels.is_empty() {
            gauge.with_label_values::<&str>(&[]);
        }
        gauge
    }
}

impl Register for CounterVec {
    fn register(described: &Described, registry: &Registry) -> Self {
        let counter = CounterVec::new(Opts::new(described.name, described.help), described.labels).expect(SOUND);
        registered(counter, registry)
    }
}

impl Register for Latency {
    fn register(described: &Described, registry: &Registry) -> Self {
        registered(Latency::new(described), registry)
    }

    fn latency(&self) -> Option<Latency> {
        Some(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_metric_can_be_registered_and_is_named_by_the_rules_of_prometheus() {
        Metrics::new();
        for metric in ALL {
            assert!(metric.name.starts_with("keywatch_") && !metric.help.is_empty(), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == "counter", "{}", metric.name);
            assert!(metric.kind != "histogram" || metric.name.ends_with("_seconds"), "{}", metric.name);
            assert!(!metric.help.contains(['"', '\\', '\n']), "{}: would have to be escaped", metric.name);
        }
    }

    #[test]
    fn latencies_are_histograms_whose_buckets_name_the_last_alert() {
        let metrics = Metrics::new();
        for milliseconds in 1..=100 {
            metrics.log_append_latency.observe(&["events"], Duration::from_millis(milliseconds));
        }
        metrics.notification_latency.observe_alert(&["ops \"room\""], Duration::from_millis(300), "a1b2");
        let text = metrics.render(Exposition::Text).unwrap();
        for line in [
            "# TYPE keywatch_log_append_latency_seconds histogram",
            r#"keywatch_log_append_latency_seconds_bucket{topic="events",le="0.05"} 50"#,
            r#"keywatch_log_append_latency_seconds_bucket{topic="events",le="+Inf"} 100"#,
            r#"keywatch_log_append_latency_seconds_count{topic="events"} 100"#,
            "keywatch_alert_latency_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
        assert!(!text.contains("alert_id"), "exemplars are no part of this format");

        let open = metrics.render(Exposition::OpenMetrics).unwrap();
        let bucket = r#"keywatch_notification_latency_seconds_bucket{destination="ops \"room\"",le="0.5"} 1"#;
        let line = open.lines().find(|line| line.starts_with(bucket)).unwrap();
        assert!(line.starts_with(&format!(r#"{bucket} # {{alert_id="a1b2"}} 0.3 "#)), "{line}");
        assert!(open.contains("# UNIT keywatch_notification_latency_seconds seconds\n"), "{open}");
        assert!(open.contains("# TYPE keywatch_engine_records counter\n"), "{open}");
        assert!(open.contains("\nkeywatch_engine_records_total 0\n") && open.ends_with("\n# EOF\n"), "{open}");
    }

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Exposition::accepted(Some(prometheus)), Exposition::OpenMetrics);
        assert_eq!(Exposition::accepted(Some("text/plain")), Exposition::Text);
        assert_eq!(Exposition::accepted(None), Exposition::Text);
    }

    #[test]
    fn the_room_of_the_disk_is_shown_once_it_is_known_where_to_look() {
        let metrics = Metrics::new();
        assert!(metrics.render(Exposition::Text).unwrap().contains("\nkeywatch_data_size_bytes 0\n"));
        let directory = tempfile::tempdir().unwrap();
        metrics.watch_disk(directory.path());
        metrics.render(Exposition::Text).unwrap();
        let (free, size) =
            (metrics.data_free.with_label_values::<&str>(&[]), metrics.data_size.with_label_values::<&str>(&[]));
        assert!(free.get() > 0 && free.get() <= size.get(), "{} of {}", free.get(), size.get());
    }
}
