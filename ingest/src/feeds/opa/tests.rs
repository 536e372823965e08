//! The OPA feed on records as replicas send them, and on what they should never send.

use keywatch_store::Inventory;
use keywatch_store::event::Origin;

use super::*;

fn log(input: &Value, more: &Value) -> Value {
    let mut record = json!({
        "labels": {"id": "replica-1", "version": "1.4.2"}, "decision_id": "d-1", "path": "/wallet/signing/allow",
        "timestamp": "2025-02-21T05:42:10.123456789Z", "result": true, "input": input, "requested_by": "10.0.0.9:4711",
        "bundles": {"policy": {"revision": "r7"}, "revocations": {}}, "req_id": 12, "unknown": {"is": "ignored"},
    });
    for (name, value) in more.as_object().unwrap() {
        if value == "ABSENT" {
            record.as_object_mut().unwrap().remove(name);
        } else {
            record[name] = value.clone();
        }
    }
    record
}

fn input() -> Value {
    json!({
        "subject": "ceo@bybit.example", "session_id": "s-1", "device_id": "laptop-1", "ip": "203.0.113.7",
        "wallet": "0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4", "request_id": "0xABCD", "destination": "0xEF01",
        "amount_usd": 81_000_000.50, "destination_risk_score": 1, "initiator": "Alice",
        "human_approvals": [{"user": "bob", "approved": true}, {"user": "BOB", "approved": true}, {"user": "eve", "approved": false}],
    })
}

fn read(body: &[u8]) -> Reading {
    let origin = Origin { system: "cold".into(), source: "opa".into() };
    let inventory = Inventory::parse(
        "i",
        "[[systems]]\nid = \"cold\"\n[[systems.wallets]]\nwallet = \"0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4\"\nchain = \"ethereum\"",
    )
    .unwrap();
    Opa::STANDARD.read(&Context { origin: &origin, inventory: Some(&inventory) }, body)
}

fn one(record: &Value) -> Event {
    let mut reading = read(record.to_string().as_bytes());
    assert_eq!(reading.rejects, [], "{record}");
    reading.events.remove(0)
}

#[test]
fn a_decision_fills_its_columns_and_facts() {
    let event = one(&log(&input(), &json!({})));
    assert_eq!(event.event_id(), keywatch_store::EventId::derive("cold", "opa", "replica-1/d-1"));
    assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:10.123456789Z");
    let columns = [
        event.actor(),
        event.session(),
        event.device(),
        event.ip(),
        event.request(),
        event.to_address(),
        event.chain(),
    ];
    let columns: Vec<&str> = columns.into_iter().map(|column| column.unwrap()).collect();
    assert_eq!(columns, ["ceo@bybit.example", "s-1", "laptop-1", "203.0.113.7", "0xabcd", "0xef01", "ethereum"]);
    assert_eq!(event.wallet(), Some("0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4"));
    assert_eq!((event.outcome(), event.amount_usd_cents()), (Some("allow"), Some(8_100_000_050)));
    let detail = event.detail().value();
    for (name, value) in [
        ("path", json!("wallet/signing/allow")),
        ("amount_type", json!("number")),
        ("amount_positive", json!(true)),
        ("risk_type", json!("number")),
        ("approvals_type", json!("array")),
        ("approvals", json!(3)),
        ("approvers_distinct", json!(1)),
        ("self_approved", json!(false)),
        ("result_type", json!("boolean")),
        ("bundles", json!({"policy": "r7", "revocations": null})),
        ("policy_revision", json!("policy r7")),
        ("req_id", json!(12)),
    ] {
        assert_eq!(detail[name], value, "{name}");
    }
}

#[test]
fn a_result_is_an_allow_only_if_it_is_true() {
    for (result, outcome, kind) in [
        (json!(true), "allow", "boolean"),
        (json!({"allow": true, "reasons": []}), "allow", "object"),
        (json!(false), "deny", "boolean"),
        (json!({"allow": false}), "deny", "object"),
        (json!({"allowed": true, "reasons": []}), "allow", "object"),
        (json!("true"), "unknown", "string"),
        (json!({"allow": "true"}), "unknown", "object"),
        (json!({}), "unknown", "object"),
        (json!([true]), "unknown", "array"),
        (json!(1), "unknown", "number"),
        (Value::Null, "unknown", "null"),
        (json!("ABSENT"), "undefined", "absent"),
    ] {
        let event = one(&log(&input(), &json!({ "result": result })));
        assert_eq!((event.outcome(), event.detail().value()["result_type"].as_str()), (Some(outcome), Some(kind)));
    }
}

#[test]
fn an_error_is_text_or_an_object() {
    for error in [json!("eval_conflict_error: boom"), json!({"code": "x", "message": "eval_conflict_error: boom"})] {
        let event = one(&log(&input(), &json!({"error": error, "result": "ABSENT"})));
        assert_eq!(event.outcome(), Some("error"));
        assert_eq!(event.reason(), Some("eval_conflict_error: boom"));
    }
    assert_eq!(one(&log(&input(), &json!({"error": null}))).outcome(), Some("allow"));
}

#[test]
fn the_traps_of_a_naive_policy_show_as_facts() {
    for (field, value, fact, said) in [
        ("amount_usd", Value::Null, "amount_type", json!("null")),
        ("amount_usd", json!("500"), "amount_type", json!("string")),
        ("amount_usd", json!("500"), "amount_positive", json!(false)),
        ("amount_usd", json!(-1), "amount_positive", json!(false)),
        ("amount_usd", json!("ABSENT"), "amount_type", json!("absent")),
        ("destination_risk_score", Value::Null, "risk_type", json!("null")),
        ("human_approvals", json!("ab"), "approvals_type", json!("string")),
        ("human_approvals", json!("ab"), "approvers_distinct", Value::Null),
        (
            "human_approvals",
            json!([{"user": "", "approved": true}, {"user": 7, "approved": true}]),
            "approvers_distinct",
            json!(0),
        ),
        ("human_approvals", json!([{"user": "ALICE", "approved": true}]), "self_approved", json!(true)),
        ("human_approvals", json!([{"user": "alice", "approved": "true"}]), "self_approved", json!(false)),
    ] {
        let mut input = input();
        if value == "ABSENT" {
            input.as_object_mut().unwrap().remove(field);
        } else {
            input[field] = value.clone();
        }
        assert_eq!(one(&log(&input, &json!({}))).detail().value()[fact], said, "{field} = {value}");
    }
}

#[test]
fn a_masked_field_is_neither_read_nor_called_absent() {
    let mut masked = input();
    masked["session_id"] = json!("**REDACTED**");
    masked.as_object_mut().unwrap().remove("amount_usd");
    let more = json!({
        "masked": ["/input/session_id", "input/destination"], "erased": ["/input/amount_usd", "/input/human_approvals/*/user"],
    });
    let event = one(&log(&masked, &more));
    assert_eq!((event.session(), event.to_address(), event.amount_usd_cents()), (None, None, None));
    let detail = event.detail().value();
    assert_eq!((&detail["amount_type"], &detail["amount_positive"]), (&json!("masked"), &Value::Null));
    assert_eq!((&detail["approvals"], &detail["approvers_distinct"]), (&json!(3), &Value::Null));
    assert_eq!(detail["input"]["session_id"], Value::Null);
    assert_eq!(detail["input"]["human_approvals"][0], json!({"approved": true}));
    assert_eq!(detail["erased"][0], "/input/amount_usd");
    let whole = one(&log(&input(), &json!({"masked": ["/input"]})));
    assert_eq!(whole.detail().value()["risk_type"], "masked");
    assert_eq!(whole.detail().value()["input"], Value::Null);
}

#[test]
fn secrets_in_an_input_are_not_kept() {
    let mut with_secret = input();
    with_secret["access_token"] = json!("abcdef");
    assert_eq!(one(&log(&with_secret, &json!({}))).detail().value()["input"]["access_token"], "***");
}

#[test]
fn a_batch_loses_only_what_is_broken() {
    let good = log(&input(), &json!({})).to_string();
    let bodies = [
        format!("[{good},{{nope}},{}]", good.replace("d-1", "d-2")),
        format!("{good}\n{{nope}}\n{}\n", good.replace("d-1", "d-2")),
    ];
    for body in bodies {
        let reading = read(body.as_bytes());
        assert_eq!((reading.events.len(), reading.rejects.len(), reading.records), (2, 1, 3));
    }
    let zipped = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(format!("[{good}]").as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let body = crate::transport::body::decode(Some("gzip"), &zipped, limits::BODY_BYTES_MAX).unwrap();
    assert_eq!(read(&body).events.len(), 1);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (more, field) in [
        (json!({"labels": "ABSENT"}), "labels"),
        (json!({"labels": {}}), "labels.id"),
        (json!({"labels": ["a"]}), "labels"),
        (json!({"decision_id": "ABSENT"}), "decision_id"),
        (json!({"decision_id": 7}), "decision_id"),
        (json!({"timestamp": "now"}), "timestamp"),
        (json!({"masked": "/input"}), "masked"),
        (json!({"erased": [1]}), "erased"),
        (json!({"path": ["x"]}), "path"),
        (json!({"bundles": 3}), "bundles"),
    ] {
        let reading = read(log(&input(), &more).to_string().as_bytes());
        assert_eq!(reading.rejects[0].field, field);
    }
}

#[test]
fn another_mapping_reads_other_pointers() {
    let mapping: InputMapping = serde_json::from_str(r#"{"subject": "/who/name", "wallet": "/a~1b"}"#).unwrap();
    let origin = Origin { system: "cold".into(), source: "opa".into() };
    let record = log(&json!({"who": {"name": "carol"}, "a/b": "w", "session_id": "s"}), &json!({}));
    let context = Context { origin: &origin, inventory: None };
    let reading = Opa { mapping }.read(&context, record.to_string().as_bytes());
    let event = &reading.events[0];
    assert_eq!((event.actor(), event.wallet(), event.session()), (Some("carol"), Some("w"), Some("s")));
}

#[test]
fn the_inventory_says_where_the_verdict_of_a_path_stands() {
    let inventory = Inventory::parse(
        "i",
        "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"opa\"\nfeed = \"opa\"\nverdicts = { \"portal/authz\" = \"/grant\" }",
    )
    .unwrap();
    let origin = Origin { system: "cold".into(), source: "opa".into() };
    let context = Context { origin: &origin, inventory: Some(&inventory) };
    let record = log(&input(), &json!({"path": "/portal/authz", "result": {"grant": false, "allow": true}}));
    let reading = Opa::STANDARD.read(&context, record.to_string().as_bytes());
    assert_eq!(reading.events[0].outcome(), Some("deny"));
}

#[test]
fn the_console_of_a_container_is_read_for_its_decisions_alone() {
    let decision =
        log(&input(), &json!({"level": "info", "msg": "Decision Log", "type": "openpolicyagent.org/decision_logs"}));
    let body = format!(
        "{}\nopa-1  | {decision}\n2026-03-02T10:00:00Z stdout F {}\n{}\n",
        json!({"level": "info", "msg": "Initializing server.", "addrs": [":8181"]}),
        json!({"level": "error", "msg": "Bundle load failed", "name": "policy", "type": "plugin"}),
        log(&input(), &json!({"level": "info", "decision_id": "d-2", "labels": "ABSENT"})),
    );
    let reading = read(body.as_bytes());
    assert_eq!((reading.records, reading.events.len(), reading.skipped), (4, 1, 2));
    // A decision without its replica is a decision that cannot be identified, and no line to pass over.
    assert_eq!(reading.rejects[0].field, "labels");
}

#[test]
fn the_batch_of_a_decision_is_kept() {
    let event = one(&log(&input(), &json!({"batch_decision_id": "b-1"})));
    assert_eq!(event.detail().value()["batch_decision_id"], "b-1");
}

#[test]
fn the_revision_of_the_policy_is_that_of_all_bundles_but_the_revocations() {
    for (bundles, told) in [
        (
            json!({"b": {"revision": "2"}, "a": {"revision": "1"}, "revocations": {"revision": "9-x"}}),
            json!("a 1, b 2"),
        ),
        (json!({"revocations": {"revision": "9-x"}}), Value::Null),
        (json!({"policy": {}}), Value::Null),
    ] {
        assert_eq!(one(&log(&input(), &json!({"bundles": bundles}))).detail().value()["policy_revision"], told);
    }
}
