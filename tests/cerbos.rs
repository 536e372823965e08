//! Cerbos itself, with the policies of `alerting/cerbos`: behind the gate, where a revocation is proved, and without it, where
//! who asks hands over what keywatch's own policy says. Left out where it is not installed (`make cerbos`).

use std::fs;
use std::sync::Arc;

use keywatch_store::log::memory::MemoryLog;
use reqwest::Client;
use serde_json::{Value, json};

use crate::authzen_gate::{decision, gate, keywatch, put_behind};
use crate::dashboards::left_out;
use crate::support::cerbos::Cerbos;
use crate::support::opa::Opa;
use crate::support::revoking::{finding, first_record, healthy};
use crate::support::tree::root;

fn is_there() -> bool {
    let there = Cerbos::is_there();
    if !there {
        left_out("Cerbos is not installed (`make cerbos`, or KEYWATCH_TEST_CERBOS names it)");
    }
    there
}

#[tokio::test]
async fn p5_what_is_revoked_is_denied_before_a_real_cerbos_and_proved_there() {
    if !is_there() {
        return;
    }
    let cerbos = Cerbos::start(&root().join("alerting/cerbos/behind")).await;
    let opa = gate();
    put_behind(&opa, &format!("{}/access/v1/evaluation", cerbos.url())).await;
    let log = Arc::new(MemoryLog::new());
    let executor = keywatch(&log, &opa);
    executor.resume().await.unwrap();
    assert_eq!(decision(&opa, "alice", "s-stolen").await, json!({ "decision": true }));
    assert_eq!(decision(&opa, "mallory", "s-other").await, json!({ "decision": false }), "Cerbos says no");

    executor.take(&finding("s-stolen")).await.unwrap();

    let verified = first_record(&log, "response.verified").await;
    assert_eq!(verified.outcome(), Some("denied_at_pdp"), "{:?}", verified.reason());
    assert_eq!(decision(&opa, "alice", "s-stolen").await, json!({ "decision": false }));
    assert_eq!(decision(&opa, "alice", "s-new").await, json!({ "decision": true }));
    drop(cerbos);
    assert_eq!(decision(&opa, "alice", "s-new").await, json!({ "decision": false }), "nobody answers behind");
}

/// What keywatch's policy says of an input at an OPA that keywatch publishes to.
async fn clear(opa: &Opa, input: &Value) -> bool {
    let url = format!("{}/v1/data/keywatch/revocations/clear", opa.url());
    let asked = Client::new().post(url).json(&json!({ "input": input })).send().await.unwrap();
    let answer: Value = asked.json().await.unwrap();
    answer["result"] == true
}

/// What Cerbos makes of a signer with these attributes.
async fn effect(cerbos: &Cerbos, attributes: &Value) -> String {
    let request = json!({
        "requestId": "r-1",
        "principal": { "id": "alice", "roles": ["signer"], "attr": attributes },
        "resources": [{ "actions": ["sign"], "resource": { "kind": "wallet", "id": "0xhot", "attr": {} } }],
    });
    let answer = cerbos.ask("/api/check/resources", &request).await;
    answer["results"][0]["actions"]["sign"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_verdict_that_is_handed_over_stops_what_is_revoked_at_a_cerbos_without_a_gate() {
    if !is_there() {
        return;
    }
    let (cerbos, opa) = (Cerbos::start(&root().join("alerting/cerbos/alone")).await, Opa::start());
    let log = Arc::new(MemoryLog::new());
    let executor = keywatch(&log, &opa);
    let mut stolen = healthy();
    stolen["session_id"] = json!("s-stolen");
    let asked = async |input: &Value| effect(&cerbos, &json!({ "keywatch_clear": clear(&opa, input).await })).await;
    assert_eq!(asked(&stolen).await, "EFFECT_DENY", "keywatch has said nothing yet");
    executor.resume().await.unwrap();
    assert_eq!(asked(&stolen).await, "EFFECT_ALLOW");

    executor.take(&finding("s-stolen")).await.unwrap();

    first_record(&log, "response.verified").await;
    assert_eq!(asked(&stolen).await, "EFFECT_DENY");
    assert_eq!(asked(&healthy()).await, "EFFECT_ALLOW");
    for attributes in [json!({}), json!({ "keywatch_clear": "true" }), json!({ "keywatch_clear": null })] {
        assert_eq!(effect(&cerbos, &attributes).await, "EFFECT_DENY", "{attributes}");
    }
}

#[tokio::test]
async fn a_condition_in_a_rule_that_denies_lets_in_who_leaves_the_verdict_out() {
    if !is_there() {
        return;
    }
    let policies = tempfile::tempdir().unwrap();
    let rules = "apiVersion: api.cerbos.dev/v1\nresourcePolicy:\n  resource: wallet\n  version: default\n  rules:\n    \
                 - actions: [sign]\n      effect: EFFECT_ALLOW\n      roles: [signer]\n    \
                 - actions: [sign]\n      effect: EFFECT_DENY\n      roles: [signer]\n      condition:\n        match:\n          \
                 expr: request.principal.attr.keywatch_clear != true\n";
    fs::write(policies.path().join("wallet.yaml"), rules).unwrap();
    let cerbos = Cerbos::start(policies.path()).await;
    assert_eq!(effect(&cerbos, &json!({ "keywatch_clear": false })).await, "EFFECT_DENY");
    assert_eq!(effect(&cerbos, &json!({})).await, "EFFECT_ALLOW", "what docs/revocation.md warns of");
}

#[test]
fn the_policy_of_the_documentation_is_the_one_that_is_tested() {
    let page = fs::read_to_string(root().join("docs/revocation.md")).unwrap();
    let policy = fs::read_to_string(root().join("alerting/cerbos/alone/wallet.yaml")).unwrap();
    let shown: Vec<String> =
        policy.lines().filter(|line| !line.starts_with('#')).map(|line| format!("    {line}")).collect();
    assert!(shown.len() > 10 && page.contains(&shown.join("\n")), "docs/revocation.md shows another policy");
}
