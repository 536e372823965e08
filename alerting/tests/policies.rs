//! The shipped policies, case by case, in the embedded evaluator; and the same through the decision point.

use crate::support::{input, wall_clock};
use keywatch_alerting::{EmbeddedPdp, PolicyDecisionPoint, RevocationDocument};
use regorus::{Engine, Value as Rego};
use serde_json::{Value, json};

const REVOCATIONS: &str = include_str!("../policies/revocations.rego");
const WALLET_SIGNING: &str = include_str!("../policies/wallet_signing.rego");
const WALLET_SIGNING_TEST: &str = include_str!("../policies/wallet_signing_test.rego");

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.add_policy("revocations.rego".into(), REVOCATIONS.into()).unwrap();
    engine.add_policy("wallet_signing.rego".into(), WALLET_SIGNING.into()).unwrap();
    engine
}

/// An evaluation error counts as a denial, as it does for who asks a real decision point.
fn allowed(data: &Value, input: &Value) -> bool {
    let mut engine = engine();
    engine.add_data(Rego::from_json_str(&data.to_string()).unwrap()).unwrap();
    engine.set_input(Rego::from_json_str(&input.to_string()).unwrap());
    engine.eval_rule("data.wallet.signing.allow".into()).is_ok_and(|answer| answer == Rego::from(true))
}

fn document() -> Value {
    json!({
        "meta": { "system": "cold", "seq": 3, "issued_at": wall_clock()().unix_seconds(), "prev_sha256": "" },
        "sessions": { "cut": { "reason": "r" }, "quiet": false },
        "subjects": { "mallory": { "not_before": 1_740_000_000 }, "eve": {}, "trent": null },
        "devices": { "lost": {} },
        "requests": { "0xbad": {} },
        "wallets": { "0xfrozen": {} },
    })
}

fn data() -> Value {
    json!({ "revocations": document() })
}

fn changed(base: &Value, changes: &Value) -> Value {
    let mut value = base.clone();
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    value
}

fn without(base: &Value, name: &str) -> Value {
    let mut value = base.clone();
    value.as_object_mut().unwrap().remove(name);
    value
}

fn yes(user: &Value) -> Value {
    json!({ "user": user, "approved": true })
}

#[test]
fn an_input_is_allowed_only_when_every_condition_holds() {
    let good = input("s-1");
    assert!(allowed(&data(), &good), "the good one, without which no denial says anything");
    for changes in [
        json!({ "session_id": "cut" }),
        json!({ "session_id": "CUT" }),
        json!({ "session_id": "quiet" }),
        json!({ "session_id": "" }),
        json!({ "session_id": null }),
        json!({ "session_id": " cut" }),
        json!({ "session_id": ["cut"] }),
        json!({ "subject": "mallory" }),
        json!({ "subject": "Mallory" }),
        json!({ "subject": "eve" }),
        json!({ "subject": "trent" }),
        json!({ "subject": 7 }),
        json!({ "session_started_at": "1740000001" }),
        json!({ "session_started_at": null }),
        json!({ "session_started_at": wall_clock()().unix_seconds() + 600 }),
        json!({ "device_id": "lost" }),
        json!({ "device_id": null }),
        json!({ "request_id": "0xbad" }),
        json!({ "request_id": "0xBAD" }),
        json!({ "wallet": "0xfrozen" }),
        json!({ "wallet": "0xFROZEN" }),
        json!({ "wallet": "0xfrozen " }),
        json!({ "destination": "" }),
        json!({ "amount_usd": null }),
        json!({ "amount_usd": false }),
        json!({ "amount_usd": -1 }),
        json!({ "amount_usd": 0 }),
        json!({ "amount_usd": "500" }),
        json!({ "destination_risk_score": null }),
        json!({ "destination_risk_score": -1 }),
        json!({ "destination_risk_score": 5 }),
        json!({ "destination_risk_score": "1" }),
        json!({ "signer": "somebody" }),
        json!({ "signer": null }),
        json!({ "initiator": null }),
        json!({ "operation": 1 }),
        json!({ "operation": null }),
        json!({ "operation": "0" }),
        json!({ "operation": false }),
    ] {
        assert!(!allowed(&data(), &changed(&good, &changes)), "{changes}");
    }
    for name in [
        "session_id",
        "subject",
        "session_started_at",
        "device_id",
        "wallet",
        "request_id",
        "destination",
        "amount_usd",
        "destination_risk_score",
        "signer",
        "initiator",
        "operation",
    ] {
        assert!(!allowed(&data(), &without(&good, name)), "without {name}");
    }
    for changes in [
        json!({ "ip": null }),
        json!({ "human_approvals": null }),
        json!({ "subject": "mallory", "session_started_at": 1_740_000_001 }),
        json!({ "wallet": "bc1qhot", "operation": null }),
        json!({ "amount_usd": 9_999.99 }),
    ] {
        assert!(allowed(&data(), &changed(&good, &changes)), "{changes}");
    }
}

#[test]
fn a_large_amount_needs_two_other_people_who_say_yes() {
    let large = changed(&input("s-1"), &json!({ "amount_usd": 10_000 }));
    let (bob, carol) = (yes(&json!("bob")), yes(&json!("carol")));
    assert!(allowed(&data(), &changed(&large, &json!({ "human_approvals": [bob, carol] }))));
    let no = |user: &str| json!({ "user": user, "approved": false });
    for approvals in [
        json!([]),
        json!([bob]),
        json!([bob, bob]),
        json!([bob, yes(&json!("BOB"))]),
        json!([bob, yes(&json!("alice"))]),
        json!([bob, yes(&json!("Alice"))]),
        json!([no("bob"), no("carol")]),
        json!([bob, no("carol")]),
        json!([bob, { "user": "carol", "approved": "true" }]),
        json!([bob, { "user": "carol" }]),
        json!([bob, yes(&json!(null))]),
        json!([yes(&json!(null)), yes(&json!(""))]),
        json!([bob, yes(&json!(" bob"))]),
        json!([bob, "carol"]),
        json!("ab"),
        json!({ "a": bob, "b": carol }),
        json!(null),
    ] {
        assert!(!allowed(&data(), &changed(&large, &json!({ "human_approvals": approvals }))), "{approvals}");
    }
    let approved = changed(&large, &json!({ "human_approvals": [bob, carol] }));
    for changes in [
        json!({ "signer": "somebody" }),
        json!({ "destination_risk_score": 10 }),
        json!({ "initiator": null }),
        json!({ "operation": 1 }),
        json!({ "wallet": "0xfrozen" }),
        json!({ "amount_usd": "10000" }),
    ] {
        assert!(!allowed(&data(), &changed(&approved, &changes)), "{changes}");
    }
}

#[test]
fn a_document_that_cannot_be_relied_on_denies() {
    let good = input("s-1");
    let now = wall_clock()().unix_seconds();
    assert!(!allowed(&json!({}), &good), "no document");
    for section in ["meta", "sessions", "subjects", "devices", "requests", "wallets"] {
        assert!(!allowed(&json!({ "revocations": without(&document(), section) }), &good), "without {section}");
        let list = changed(&document(), &json!({ section: [] }));
        assert!(!allowed(&json!({ "revocations": list }), &good), "{section} as a list");
    }
    for (issued_at, expected) in [
        (json!(now - 60), true),
        (json!(now + 10), true),
        (json!(now - 121), false),
        (json!(now + 60), false),
        (json!(now.to_string()), false),
        (json!(null), false),
    ] {
        let meta = json!({ "meta": { "issued_at": issued_at } });
        let data = json!({ "revocations": changed(&document(), &meta) });
        assert_eq!(allowed(&data, &good), expected, "{issued_at}");
    }
}

#[test]
fn the_operator_names_the_signers() {
    let with = |signers: Value| json!({ "revocations": document(), "custody": { "signers": signers } });
    let by = |signer: &str| changed(&input("s-1"), &json!({ "signer": signer }));
    assert!(allowed(&with(json!(["safe-signer"])), &by("safe-signer")));
    assert!(!allowed(&with(json!(["safe-signer"])), &by("ci-bot")));
    assert!(!allowed(&with(json!([])), &by("ci-bot")));
}

#[test]
fn the_rego_tests_hold_here_too() {
    let mut engine = engine();
    engine.add_policy("wallet_signing_test.rego".into(), WALLET_SIGNING_TEST.into()).unwrap();
    let names: Vec<&str> = WALLET_SIGNING_TEST
        .lines()
        .filter(|line| line.starts_with("test_"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names.len(), 14);
    for name in names {
        let answer = engine.eval_rule(format!("data.wallet.signing_test.{name}")).unwrap();
        assert_eq!(answer, Rego::from(true), "{name}");
    }
}

#[tokio::test]
async fn the_embedded_decision_point_denies_until_a_document_is_published() {
    let pdp = EmbeddedPdp::new("replica", &["safe-signer".to_owned()]).unwrap();
    let input = changed(&input("s-1"), &json!({ "signer": "safe-signer" }));
    let before = pdp.ask(&input).await.unwrap();
    assert!(!before.allow && before.sequence.is_none());
    pdp.publish(&RevocationDocument::empty("cold").stamped(wall_clock()())).await.unwrap();
    let after = pdp.ask(&input).await.unwrap();
    assert!(after.allow && after.sequence == Some(0) && after.decision_id != before.decision_id);
    let record = pdp.decision_record(&input, &after, crate::support::at(0));
    assert_eq!(record["result"], json!(true));
    assert_eq!(record["path"], "wallet/signing/allow");
    assert!(record["bundles"]["revocations"]["revision"].as_str().unwrap().starts_with("0-"));
}
