//! Envoy and Istio access logs: connections of services and sessions on the routes that are watched.
//!
//! It misses no line that was lost, and knows a peer only by what the proxy wrote of its certificate: with the file logger
//! one without a URI name looks like none.

use keywatch_store::time::SECOND_NS;
use serde_json::{Value, json};

use super::table::Column::{Actor, Ip, Reason, Session};
use super::table::{About, Fact, Table, on, pass, path, value};
use crate::Problem;

/// The feed `envoy`.
pub static ENVOY: Table = Table {
    name: "envoy",
    about: About {
        title: "Envoy and Istio access logs",
        what: "Requests that a proxy let through or refused: who the peer was by its certificate, what was asked, and whether \
               the external authorization or a rule denied it. One `session.network` a request.",
        format: "Envoy, `envoy.data.accesslog.v3` as JSON (`common_properties`, `request`, `response`), or JSON lines of the file \
                 logger with Envoy's or Istio's usual names",
        delivery: "Best effort: the access log service and files may lose entries, so that a missing one proves nothing. \
                   The identity is the stream, the type of the entry and a hash of the entry.",
        traps: &[
            "A request without a peer certificate went around mutual TLS: `detail.peer` is absent and `detail.mutual_tls` \
             false. Envoy writes the properties of a certificate that was not shown as empty ones. Where an entry says nothing \
             of TLS, `detail.mutual_tls` is absent.",
            "`x-request-id` can be set by the caller, and every proxy on the way logs the same: it is no identity.",
            "`UAEX` or `ext_authz_denied` is a denial by the policy decision point, `rbac_access_denied` one by a rule: \
             `detail.denied_by`.",
            "`x-forwarded-for` is whatever the caller wrote; the address is that of the connection.",
            "A path may carry tokens in its query; the query is not kept.",
            "Probes of health are passed over by their exact path: `/healthz/../sign` is none.",
            "Long streams are logged at their beginning, periodically and at their end, by `access_log_type`. The time of an \
             `End` or `Periodic` entry is the start plus the duration, which is in milliseconds with the file logger.",
        ],
    },
    wrapper: Some("log_entry"),
    decode: None,
    unfold: Some(|record| unfold(&record)),
    select: "start",
    cases: &[pass(&["*"]).and(&[("path", &["/healthz", "/livez", "/readyz"])]), on(&["*"], "session.network")],
    id: &["stream", "kind_of_entry", "#"],
    time: "ended | start",
    columns: &[(Actor, "peer"), (Ip, "downstream"), (Session, "session"), (Reason, "details")],
    facts: &[
        ("peer", Fact::At("peer")),
        ("mutual_tls", Fact::At("mutual_tls")),
        ("denied_by", Fact::At("denied_by")),
        ("request_id", Fact::At("request_id")),
        ("method", Fact::At("method")),
        ("authority", Fact::At("authority")),
        ("path", Fact::At("path")),
        ("status", Fact::At("status")),
        ("upstream", Fact::At("upstream")),
        ("route", Fact::At("route")),
        ("tls", Fact::At("tls")),
        ("fingerprint", Fact::At("fingerprint")),
        ("flags", Fact::At("flags")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// Each name, and where the forms of the log have it.
const NAMES: &[(&str, &str)] = &[
    ("start", "common_properties.start_time | start_time"),
    ("stream", "common_properties.stream_id | stream_id"),
    ("kind_of_entry", "common_properties.access_log_type | access_log_type"),
    (
        "peer",
        "common_properties.tls_properties.peer_certificate_properties.subject_alt_name.0.uri | \
         common_properties.tls_properties.peer_certificate_properties.subject_alt_name.1.uri | \
         common_properties.tls_properties.peer_certificate_properties.subject_alt_name.0.dns | downstream_peer_uri_san",
    ),
    ("tls", "common_properties.tls_properties.tls_version | downstream_tls_version"),
    ("fingerprint", "common_properties.tls_properties.ja3_fingerprint | ja3_fingerprint"),
    (
        "downstream",
        "common_properties.downstream_direct_remote_address.socket_address.address | \
         common_properties.downstream_remote_address.socket_address.address | downstream_direct_remote_address | \
         downstream_remote_address",
    ),
    ("upstream", "common_properties.upstream_cluster | upstream_cluster"),
    ("route", "common_properties.route_name | route_name"),
    ("flags", "common_properties.response_flags | response_flags"),
    ("method", "request.request_method | method"),
    ("authority", "request.authority | authority"),
    ("path", "request.path | path"),
    ("request_id", "request.request_id | request_id | x_request_id"),
    ("status", "response.response_code | response_code"),
    ("details", "response.response_code_details | response_code_details"),
    ("session", "common_properties.custom_tags.session_id | session_id"),
];

/// What may carry a query, as JSON pointers.
const QUERIES: &[&str] =
    &["/path", "/original_path", "/referer", "/request/path", "/request/original_path", "/request/referer"];

/// Both forms under one set of names, beside the entry itself.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let kept = without_queries(record);
    let mut entry = json!({});
    for (name, at) in NAMES {
        if let Some(found) = path::find(&kept, at) {
            entry[*name] = found.clone();
        }
    }
    if entry.get("kind_of_entry").is_none() {
        entry["kind_of_entry"] = json!("entry");
    }
    if entry.get("stream").is_none() {
        // Of the line as it came: two that differ only in what is not kept are two.
        entry["stream"] = json!(value::identity(record, &[path::RECORD_HASH])?);
    }
    entry["ended"] = json!(ended(record, &entry));
    entry["mutual_tls"] = json!(mutual_tls(record, entry.get("peer").is_some()));
    entry["denied_by"] = denied_by(&entry);
    entry["entry"] = kept;
    Ok(vec![entry])
}

fn without_queries(record: &Value) -> Value {
    let mut kept = record.clone();
    for pointer in QUERIES {
        let Some(found) = kept.pointer_mut(pointer) else { continue };
        if let Some((bare, _)) = found.as_str().and_then(|text| text.split_once('?')) {
            *found = json!(bare);
        }
    }
    kept
}

/// When an entry was written that is not of a stream's beginning; `None` where it does not say how long that had lasted.
fn ended(record: &Value, entry: &Value) -> Option<String> {
    let kind = entry["kind_of_entry"].as_str()?;
    if !(kind.ends_with("End") || kind.ends_with("Periodic")) {
        return None;
    }
    let start = value::time(&value::scalar(&entry["start"])?).ok()?;
    let lasted = path::find(record, "common_properties.duration | duration").and_then(value::scalar)?;
    Some(start.saturating_add(nanoseconds(&lasted)?).to_string())
}

/// A duration: in seconds as Protocol Buffers write it (`0.012s`), in milliseconds as the file logger does.
fn nanoseconds(text: &str) -> Option<i64> {
    let (number, unit) = text.strip_suffix('s').map_or((text, SECOND_NS / 1000), |seconds| (seconds, SECOND_NS));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let parts = nine.parse::<i64>().ok()? / (SECOND_NS / unit);
    whole.parse::<i64>().ok()?.checked_mul(unit)?.checked_add(parts)
}

/// Whether the peer showed a certificate; `None` where the entry says nothing of TLS.
fn mutual_tls(record: &Value, peer_is_known: bool) -> Option<bool> {
    let tls = path::find(record, "common_properties.tls_properties");
    let certificate = tls.and_then(|tls| tls.get("peer_certificate_properties"));
    let is_mutual = peer_is_known || certificate.is_some_and(says_something);
    let speaks_of_tls = tls.is_some() || record.get("downstream_peer_uri_san").is_some();
    (is_mutual || speaks_of_tls).then_some(is_mutual)
}

/// Whether an object has a member that is not empty.
fn says_something(value: &Value) -> bool {
    let is_empty = |member: &Value| match member {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    value.as_object().is_some_and(|members| !members.values().all(is_empty))
}

fn denied_by(entry: &Value) -> Value {
    let said = format!("{} {}", entry["details"].as_str().unwrap_or_default(), entry["flags"]);
    let words = [
        ("ext_authz_denied", "ext_authz"),
        ("UAEX", "ext_authz"),
        ("unauthorized_details", "ext_authz"),
        ("rbac_access_denied", "rbac"),
    ];
    words.iter().find(|(word, _)| said.contains(word)).map_or(Value::Null, |(_, by)| json!(by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read};

    fn line() -> Value {
        json!({
            "start_time": "2025-02-21T05:42:40.788Z", "request_id": "rq-1", "method": "POST", "authority": "signer.internal",
            "path": "/sign?token=s3cret", "response_code": 403, "response_code_details": "ext_authz_denied", "response_flags": "UAEX",
            "downstream_remote_address": "10.0.9.4:51122", "downstream_peer_uri_san": null, "x_forwarded_for": "1.1.1.1",
        })
    }

    #[test]
    fn a_peer_is_known_by_its_certificate() {
        let event = changed(&ENVOY, &[]);
        assert_eq!((event.kind(), event.actor()), ("session.network", Some("spiffe://prod/ns/portal/sa/web")));
        let detail = event.detail().value();
        assert_eq!((event.ip(), event.request(), &detail["request_id"]), (Some("10.0.3.17"), None, &json!("9f1c")));
        assert_eq!(
            (&detail["mutual_tls"], &detail["denied_by"], &detail["status"]),
            (&json!(true), &Value::Null, &json!(200))
        );
    }

    #[test]
    fn a_request_around_mutual_tls_and_a_denial_show() {
        let event = one(&ENVOY, &line());
        let detail = event.detail().value();
        assert_eq!(
            (event.actor(), &detail["mutual_tls"], &detail["denied_by"]),
            (None, &json!(false), &json!("ext_authz"))
        );
        let mut by_rule = line();
        by_rule["response_code_details"] = json!("rbac_access_denied_matched_policy[none]");
        by_rule["response_flags"] = json!("-");
        assert_eq!(one(&ENVOY, &by_rule).detail().value()["denied_by"], "rbac");
    }

    #[test]
    fn what_the_caller_wrote_is_no_address_and_queries_are_hidden() {
        let event = one(&ENVOY, &line());
        assert_eq!((event.ip(), &event.detail().value()["path"]), (Some("10.0.9.4"), &json!("/sign")));
        assert!(!event.detail().as_str().contains("s3cret"));
        for pointer in ["request.path", "request.original_path", "request.referer"] {
            let event = changed(&ENVOY, &[(pointer, json!("/sign?x=plain-query"))]);
            assert!(!event.detail().as_str().contains("plain-query"), "{pointer}");
        }
    }

    #[test]
    fn mutual_tls_is_said_only_where_the_entry_speaks_of_tls() {
        let properties = "common_properties.tls_properties";
        let certificate = "common_properties.tls_properties.peer_certificate_properties";
        for (path, value, mutual, peer) in [
            (certificate, json!({"subject": "O=prod"}), json!(true), None),
            (certificate, json!({"subject_alt_name": [{"dns": "web.prod"}]}), json!(true), Some("web.prod")),
            (
                certificate,
                json!({"subject_alt_name": [{"dns": "web.prod"}, {"uri": "spiffe://prod/web"}]}),
                json!(true),
                Some("spiffe://prod/web"),
            ),
            (certificate, json!({"subject_alt_name": [], "subject": ""}), json!(false), None),
            (certificate, json!(null), json!(false), None),
            (properties, json!(null), json!(null), None),
        ] {
            let event = changed(&ENVOY, &[(path, value.clone())]);
            assert_eq!((&event.detail().value()["mutual_tls"], event.actor()), (&mutual, peer), "{value}");
        }
        let mut silent = line();
        silent.as_object_mut().unwrap().remove("downstream_peer_uri_san");
        assert_eq!(one(&ENVOY, &silent).detail().value()["mutual_tls"], Value::Null);
    }

    #[test]
    fn the_end_of_a_stream_is_told_at_its_end() {
        let kind = "common_properties.access_log_type";
        let started = changed(&ENVOY, &[(kind, json!("DownstreamStart"))]).event_time();
        assert_eq!(started.to_string(), "2025-02-21T05:42:40.788Z");
        for (said, duration, lasted_ns) in [
            ("DownstreamEnd", json!("0.012s"), 12_000_000),
            ("DownstreamPeriodic", json!("60s"), 60_000_000_000),
            ("DownstreamEnd", json!("1.000000001s"), 1_000_000_001),
            ("DownstreamEnd", json!("soon"), 0),
            ("DownstreamEnd", json!(null), 0),
        ] {
            let event = changed(&ENVOY, &[(kind, json!(said)), ("common_properties.duration", duration.clone())]);
            assert_eq!(event.event_time(), started.saturating_add(lasted_ns), "{said} {duration}");
        }
        let mut ended = line();
        ended["access_log_type"] = json!("DownstreamEnd");
        for (duration, lasted_ns) in [(json!(250), 250_000_000), (json!("250"), 250_000_000), (json!(0.5), 500_000)] {
            ended["duration"] = duration;
            assert_eq!(one(&ENVOY, &ended).event_time(), started.saturating_add(lasted_ns));
        }
    }

    #[test]
    fn entries_of_one_stream_are_told_apart_by_their_type() {
        let kind = |name: &str| changed(&ENVOY, &[("common_properties.access_log_type", json!(name))]).event_id();
        assert_ne!(kind("DownstreamStart"), kind("DownstreamEnd"));
        // The same request id, which the caller may have set.
        let nameless = |name: &str, value: Value| {
            let mut line = line();
            line[name] = value;
            one(&ENVOY, &line).event_id()
        };
        let first = nameless("response_code", json!(403));
        assert_ne!(first, nameless("response_code", json!(200)));
        assert_ne!(first, nameless("path", json!("/sign?token=other")));
    }

    #[test]
    fn probes_are_passed_over_and_a_line_without_time_refused() {
        let probe = example_with(&ENVOY, &[("request.path", json!("/healthz"))]);
        assert_eq!(read(&ENVOY, probe.to_string().as_bytes()).skipped, 1);
        assert_eq!(changed(&ENVOY, &[("request.path", json!("/healthz/../sign"))]).kind(), "session.network");
        assert_eq!(read(&ENVOY, b"{\"method\":\"GET\"}").rejects[0].field, "start");
        let batch = json!({"identifier": {"node": {"id": "n"}}, "log_entry": [example_with(&ENVOY, &[])]});
        assert_eq!(read(&ENVOY, batch.to_string().as_bytes()).events, vec![changed(&ENVOY, &[])]);
    }
}
