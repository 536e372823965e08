//! Envoy and Istio access logs: connections of services and sessions on the routes that are watched.

use serde_json::{Value, json};

use super::table::Column::{Actor, Ip, Reason, Session};
use super::table::{About, Fact, Table, on, pass, path};
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
                   The identity is the stream and the type of the entry, else a hash of the line.",
        traps: &[
            "A request without a peer certificate went around mutual TLS: `detail.peer` is absent and `detail.mutual_tls` false.",
            "`UAEX` or `ext_authz_denied` is a denial by the policy decision point, `rbac_access_denied` one by a rule: \
             `detail.denied_by`.",
            "`x-forwarded-for` is whatever the caller wrote; the address is that of the connection.",
            "A path may carry tokens in its query; they are hidden.",
            "Probes of health are passed over by their exact path: `/healthz/../sign` is none.",
            "Long streams are logged at their beginning, periodically and at their end, by `access_log_type`.",
        ],
    },
    wrapper: Some("log_entry"),
    decode: None,
    unfold: Some(unfold),
    select: "start",
    cases: &[pass(&["*"]).and(&[("path", &["/healthz", "/livez", "/readyz"])]), on(&["*"], "session.network")],
    id: &["stream", "kind_of_entry"],
    time: "start",
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
    ("stream", "common_properties.stream_id | stream_id | x_request_id | request_id"),
    ("kind_of_entry", "common_properties.access_log_type | access_log_type"),
    (
        "peer",
        "common_properties.tls_properties.peer_certificate_properties.subject_alt_name.0.uri | downstream_peer_uri_san",
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

/// Both forms under one set of names, beside the entry itself.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut entry = json!({});
    for (name, at) in NAMES {
        if let Some(found) = path::find(record, at) {
            entry[*name] = found.clone();
        }
    }
    if let Some(text) = entry["path"].as_str() {
        entry["path"] = json!(text.split('?').next().unwrap_or_default());
    }
    if entry.get("kind_of_entry").is_none() {
        entry["kind_of_entry"] = json!("entry");
    }
    entry["mutual_tls"] = json!(entry.get("peer").is_some());
    entry["denied_by"] = denied_by(&entry);
    entry["entry"] = record.clone();
    if entry.get("stream").is_none() {
        entry["stream"] = json!(super::table::value::identity(record, &[path::RECORD_HASH])?);
    }
    Ok(vec![entry])
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
    }

    #[test]
    fn entries_of_one_stream_are_told_apart_by_their_type() {
        let kind = |name: &str| changed(&ENVOY, &[("common_properties.access_log_type", json!(name))]).event_id();
        assert_ne!(kind("DownstreamStart"), kind("DownstreamEnd"));
        let mut nameless = line();
        nameless["request_id"] = Value::Null;
        assert_eq!(one(&ENVOY, &nameless), one(&ENVOY, &nameless));
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
