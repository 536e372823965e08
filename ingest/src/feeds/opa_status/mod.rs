//! Status of the Open Policy Agent: whether a replica has the policy that it should have, and loses decisions.

use serde_json::{Map, Value, json};

use super::table::Column::Reason;
use super::table::{About, Fact, Table, Words, on, parts};
use crate::limits;

/// The feed `opa_status`.
pub static OPA_STATUS: Table = Table {
    name: "opa_status",
    about: About {
        title: "Open Policy Agent: status",
        what: "What a replica of the policy decision point says of itself: revisions of its bundles, failed activations, \
               states of its plugins, and decisions that it lost. One `source.status` a report.",
        format: "OPA, page \"Status\"; plugin states as in `v1/plugins/plugins.go`",
        delivery: "Pushed to `POST /status` (one object), pulled from `GET /v1/status` (within `result`), or a line of the \
                   console log. Sent on activation and on changes of plugins; no order, no repeats that matter.",
        traps: &[
            "A report has no time of its own: the latest time of its bundles counts, or the time of the console line. One \
             without both is rejected, since nothing says when it was true.",
            "A bundle that fails keeps its old revision and goes on deciding: `code` or `errors` tell, not `active_revision`.",
            "Lost decisions are counters among the metrics, by several names; any of them above zero is degraded. Decisions \
             that were dropped by rule, by an error of the mask or by a crash are counted nowhere.",
            "A replica with a plugin in `ERROR` still reports: it is degraded, never down. A source that says that it goes \
             down is given longer before its silence is told.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| Ok(unwrap(record))),
    select: "labels.id",
    cases: &[on(&["*"], "source.status").outcome(Fact::By(Words {
        from: "trouble",
        words: &[("", "ok")],
        otherwise: Some("degraded"),
    }))],
    id: &["labels.id", "#"],
    time: "time | latest",
    columns: &[(Reason, "trouble")],
    facts: &[
        ("replica", Fact::At("labels.id")),
        ("version", Fact::At("labels.version")),
        ("labels", Fact::At("labels")),
        ("revisions", Fact::At("revisions")),
        ("decisions_lost", Fact::At("decisions_lost")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

fn unwrap(record: Value) -> Vec<Value> {
    parts::unwrapped(record, "result").iter().map(summed_up).collect()
}

/// The report with what has to be looked for in it: the latest time, the revisions, the losses and the troubles, which
/// are absent when all is well.
fn summed_up(report: &Value) -> Value {
    let mut record = report.clone();
    if !record.is_object() {
        return record;
    }
    let bundles: Vec<(&str, &Value)> = ["bundles", "discovery"].iter().flat_map(|name| bundles(report, name)).collect();
    let times = bundles.iter().flat_map(|(_, bundle)| {
        let said = |name: &&str| bundle.get(name).and_then(Value::as_str)?.parse::<keywatch_store::Instant>().ok();
        ["last_request", "last_successful_request", "last_successful_download", "last_successful_activation"]
            .iter()
            .filter_map(said)
            .collect::<Vec<_>>()
    });
    // A bundle that was never fetched has the zero of Go's time.
    let latest = times.filter(|time| time.nanoseconds() > 0).max();
    record["latest"] = json!(latest.map(|time| time.to_string()));
    let revisions = bundles.iter().map(|(name, bundle)| ((*name).to_owned(), bundle["active_revision"].clone()));
    record["revisions"] = Value::Object(revisions.collect::<Map<_, _>>());
    let lost = lost(report.get("metrics"), 0);
    record["decisions_lost"] = if lost > 0 { json!(lost) } else { Value::Null };
    let troubles = troubles(report, &bundles, lost);
    record["trouble"] = if troubles.is_empty() { Value::Null } else { json!(troubles.join("; ")) };
    record
}

fn bundles<'a>(report: &'a Value, name: &str) -> Vec<(&'a str, &'a Value)> {
    match (name, report.get(name)) {
        ("discovery", Some(discovery)) => vec![("discovery", discovery)],
        (_, Some(Value::Object(bundles))) => bundles.iter().map(|(name, bundle)| (name.as_str(), bundle)).collect(),
        _ => Vec::new(),
    }
}

fn troubles(report: &Value, bundles: &[(&str, &Value)], lost: u64) -> Vec<String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let failed = bundles.iter().filter(|(_, bundle)| {
        !text(bundle, "code").is_empty() || bundle["errors"].as_array().is_some_and(|errors| !errors.is_empty())
    });
    let mut troubles: Vec<String> = failed
        .map(|(name, bundle)| format!("bundle {name}: {} {}", text(bundle, "code"), text(bundle, "message")))
        .collect();
    let code = report.get("decision_logs").map(|logs| text(logs, "code")).unwrap_or_default();
    if !code.is_empty() {
        troubles.push(format!("decision logs: {code}"));
    }
    for (name, plugin) in report.get("plugins").and_then(Value::as_object).into_iter().flatten() {
        let state = text(plugin, "state");
        if !state.is_empty() && state != "OK" {
            troubles.push(format!("plugin {name}: {state}"));
        }
    }
    if lost > 0 {
        troubles.push(format!("{lost} decisions lost"));
    }
    troubles.truncate(limits::LEFT_OUT_NAMES_MAX);
    troubles
}

/// The sum of the counters of lost decisions, wherever they stand among the metrics.
fn lost(metrics: Option<&Value>, depth: usize) -> u64 {
    let Some(members) = metrics.and_then(Value::as_object).filter(|_| depth < 4) else { return 0 };
    let tells = |name: &str| name.contains("decision_logs_dropped") || name.contains("decision_logs_encoding_failure");
    let of = |(name, value): (&String, &Value)| if tells(name) { count(value) } else { lost(Some(value), depth + 1) };
    members.iter().map(of).fold(0, u64::saturating_add)
}

/// A number, or the number in a metric family of Prometheus.
fn count(value: &Value) -> u64 {
    match value {
        Value::Number(number) => number.as_u64().unwrap_or_else(|| u64::from(number.as_f64().is_some_and(|n| n > 0.0))),
        Value::Array(items) => items.iter().map(count).fold(0, u64::saturating_add),
        Value::Object(members) => {
            let inner = ["metric", "counter", "value"].iter().filter_map(|name| members.get(*name));
            inner.map(count).fold(0, u64::saturating_add)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn a_replica_that_is_well_says_so() {
        let event = changed(&OPA_STATUS, &[]);
        assert_eq!((event.kind(), event.outcome(), event.reason()), ("source.status", Some("ok"), None));
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40.25Z");
        let detail = event.detail().value();
        assert_eq!(detail["revisions"], json!({"policy": "r7", "revocations": "41-ab"}));
        assert_eq!(detail["replica"], "9a3b2f");
    }

    #[test]
    fn troubles_are_told() {
        for (changes, outcome, said) in [
            (
                vec![("bundles.policy.code", json!("bundle_error")), ("bundles.policy.message", json!("no signature"))],
                "degraded",
                "bundle policy: bundle_error no signature",
            ),
            (vec![("bundles.policy.errors", json!([{"code": "rego_parse_error"}]))], "degraded", "bundle policy"),
            (vec![("plugins.bundle.state", json!("ERROR"))], "degraded", "plugin bundle: ERROR"),
            (vec![("plugins.bundle.state", json!("WARN"))], "degraded", "plugin bundle: WARN"),
            (
                vec![("bundles.policy.code", json!("x: ERROR")), ("bundles.policy.message", json!("a: ERROR"))],
                "degraded",
                "bundle policy: x: ERROR a: ERROR",
            ),
            (vec![("plugins.bundle.state", json!("NOT_READY"))], "degraded", "plugin bundle: NOT_READY"),
            (
                vec![("decision_logs", json!({"code": "decision_log_error"}))],
                "degraded",
                "decision logs: decision_log_error",
            ),
            (
                vec![("metrics", json!({"prometheus": {"counter_decision_logs_dropped_rate_limit_exceeded": 3}}))],
                "degraded",
                "3 decisions lost",
            ),
            (
                vec![(
                    "metrics",
                    json!({"prometheus": {"x_decision_logs_dropped_y": {"metric": [{"counter": {"value": 2}}]}}}),
                )],
                "degraded",
                "2 decisions lost",
            ),
        ] {
            let event = changed(&OPA_STATUS, &changes);
            assert_eq!(event.outcome(), Some(outcome), "{changes:?}");
            assert!(event.reason().unwrap().contains(said), "{:?}", event.reason());
        }
    }

    #[test]
    fn more_troubles_than_are_told_are_troubles_still() {
        let failed = |number: usize| (format!("b{number}"), json!({"code": "bundle_error"}));
        let mut bundles: Map<String, Value> = (0..=limits::LEFT_OUT_NAMES_MAX).map(failed).collect();
        bundles.insert("z".to_owned(), json!({"last_request": "2025-02-21T05:42:40Z"}));
        let event =
            changed(&OPA_STATUS, &[("bundles", Value::Object(bundles)), ("plugins.bundle.state", json!("ERROR"))]);
        assert_eq!(event.outcome(), Some("degraded"));
        assert!(!event.reason().unwrap().contains("ERROR"));
    }

    #[test]
    fn a_report_is_pushed_pulled_or_on_the_console() {
        let report = example_with(&OPA_STATUS, &[]);
        assert_eq!(one(&OPA_STATUS, &json!({ "result": report })), one(&OPA_STATUS, &report));
        let console =
            example_with(&OPA_STATUS, &[("time", json!("2025-02-21T05:50:00Z")), ("msg", json!("Status Log"))]);
        assert_eq!(one(&OPA_STATUS, &console).event_time().to_string(), "2025-02-21T05:50:00Z");
    }

    #[test]
    fn a_report_without_any_time_is_refused() {
        assert_eq!(
            rejected(&OPA_STATUS, &[("bundles", json!({"policy": {"last_request": "0001-01-01T00:00:00Z"}}))]),
            "time | latest"
        );
        assert_eq!(rejected(&OPA_STATUS, &[("labels", json!({}))]), "labels.id");
        assert_eq!(read(&OPA_STATUS, br#"{"result":[1]}"#).rejects.len(), 1);
    }
}
