//! Webhooks as they come, and what is easily misread in them.

use serde_json::json;

use super::*;
use crate::feeds::sample::{changed, example_with, read, rejected};

fn status(status: &str, more: &[(&str, Value)]) -> keywatch_store::Event {
    let mut changes = vec![("eventType", json!("transaction.status.updated")), ("data.status", json!(status))];
    changes.extend_from_slice(more);
    changed(&FIREBLOCKS, &changes)
}

#[test]
fn a_request_is_told_with_all_that_rules_ask() {
    let event = changed(&FIREBLOCKS, &[]);
    assert_eq!(event.kind(), "signing.requested");
    let columns = [event.actor(), event.wallet(), event.request(), event.asset(), event.chain(), event.to_address()];
    let expected =
        ["5e1f-dana", "12", "withdrawal-7781", "ETH", "ethereum", "0x47666fab8bd0ac7003bce3f5c3585383f09486e2"];
    assert_eq!(columns, expected.map(Some));
    assert_eq!(event.amount_usd_cents(), Some(3_012_345));
    assert_eq!(event.amount().unwrap().saturated(), 11_250_000_000_000_000_000);
    assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40.788Z");
    assert_eq!(event.detail().value()["address_type"], "ONE_TIME");
}

#[test]
fn a_status_says_what_was_done() {
    let hash = ("data.txHash", json!("0xAB01"));
    for (said, more, kind, outcome) in [
        ("BROADCASTING", vec![], "signing.signed", Some("success")),
        ("CONFIRMING", vec![hash.clone()], "chain.tx", Some("unconfirmed")),
        ("COMPLETED", vec![hash.clone()], "chain.tx", Some("success")),
        ("FAILED", vec![hash.clone()], "chain.tx", Some("failed")),
        ("FAILED", vec![("data.subStatus", json!("SIGNING_ERROR"))], "signing.failed", None),
        ("BLOCKED", vec![("data.subStatus", json!("BLOCKED_BY_POLICY"))], "signing.rejected", None),
        ("REJECTED", vec![], "signing.rejected", None),
        ("COMPLETED", vec![("data.notBroadcastByFireblocks", json!(true))], "signing.signed", Some("success")),
    ] {
        let event = status(said, &more);
        assert_eq!((event.kind(), event.outcome()), (kind, outcome), "{said} {more:?}");
    }
    assert_eq!(status("FAILED", &[("data.subStatus", json!("SIGNING_ERROR"))]).reason(), Some("SIGNING_ERROR"));
    assert_eq!(status("COMPLETED", &[hash]).tx(), Some("0xab01"));
    for undecided in ["SUBMITTED", "PENDING_AUTHORIZATION", "PENDING_3RD_PARTY", "QUEUED"] {
        let record = example_with(
            &FIREBLOCKS,
            &[("eventType", json!("transaction.status.updated")), ("data.status", json!(undecided))],
        );
        assert_eq!(read(&FIREBLOCKS, record.to_string().as_bytes()).skipped, 1, "{undecided}");
    }
}

#[test]
fn a_deposit_is_no_request() {
    let source = ("data.source", json!({"type": "UNKNOWN", "id": null}));
    let vault = ("data.destination", json!({"type": "VAULT_ACCOUNT", "id": "12"}));
    for (said, outcome) in [("CONFIRMING", "unconfirmed"), ("COMPLETED", "success"), ("FAILED", "failed")] {
        let event = changed(&FIREBLOCKS, &[source.clone(), vault.clone(), ("data.status", json!(said))]);
        assert_eq!((event.kind(), event.outcome()), ("chain.transfer", Some(outcome)));
        assert_eq!((event.wallet(), event.request()), (Some("12"), None));
        assert_eq!(event.detail().value()["direction"], "in");
    }
}

#[test]
fn what_is_signed_blindly_is_signed_when_it_is_completed() {
    for operation in ["RAW", "TYPED_MESSAGE"] {
        let event = status("COMPLETED", &[("data.operation", json!(operation))]);
        assert_eq!((event.kind(), &event.detail().value()["act"]), ("signing.signed", &json!(operation)));
    }
}

#[test]
fn approvals_name_who_approved_last() {
    let kind = ("eventType", json!("transaction.approval_status.updated"));
    let event = changed(&FIREBLOCKS, &[kind.clone(), ("data.signedBy", json!(["u-1", "u-2"]))]);
    assert_eq!((event.kind(), event.actor()), ("signing.approved", Some("u-2")));
    let asked = example_with(&FIREBLOCKS, std::slice::from_ref(&kind));
    assert_eq!(read(&FIREBLOCKS, asked.to_string().as_bytes()).skipped, 1);
    let event = changed(&FIREBLOCKS, &[kind, ("data.status", json!("REJECTED")), ("data.rejectedBy", json!("u-3"))]);
    assert_eq!((event.kind(), event.actor()), ("signing.rejected", Some("u-3")));
}

#[test]
fn allow_lists_and_vaults_change() {
    for (event_type, kind) in [
        ("external_wallet.asset.added", "control.destination"),
        ("contract_wallet.asset.removed", "control.destination"),
        ("vault_account.created", "control.wallet"),
        ("exchange_account.added", "control.wallet"),
    ] {
        let event =
            changed(&FIREBLOCKS, &[("eventType", json!(event_type)), ("data", json!({"id": "w1", "address": "0xEF"}))]);
        assert_eq!((event.kind(), &event.detail().value()["target"]), (kind, &json!("0xEF")), "{event_type}");
    }
    let balance = example_with(&FIREBLOCKS, &[("eventType", json!("vault_account.asset.balance_updated"))]);
    assert_eq!(read(&FIREBLOCKS, balance.to_string().as_bytes()).skipped, 1);
}

#[test]
fn seconds_and_milliseconds_are_told_apart() {
    for created in [json!(1_740_116_560), json!(1_740_116_560_000_i64), json!("1740116560")] {
        let event = changed(&FIREBLOCKS, &[("createdAt", created), ("data.lastUpdated", json!(null))]);
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40Z");
    }
    assert_eq!(rejected(&FIREBLOCKS, &[("data.lastUpdated", json!(17_401_165))]), "data.lastUpdated | createdAt");
}

#[test]
fn amounts_are_exact_or_refused() {
    let amount = |text: &str| [("data.amountInfo.amount", json!(text))];
    for text in ["NaN", "1e400", "-1", "0.0000000000000000001"] {
        assert_eq!(rejected(&FIREBLOCKS, &amount(text)), "data.amountInfo.amount", "{text}");
    }
    let unknown =
        changed(&FIREBLOCKS, &[("data.assetId", json!("NEW_COIN")), ("data.amountInfo.amount", json!("1.5"))]);
    assert_eq!((unknown.amount(), &unknown.detail().value()["amount_text"]), (None, &json!("1.5")));
}

#[test]
fn a_replayed_webhook_is_the_same_event() {
    let id = |changes: &[(&str, Value)]| changed(&FIREBLOCKS, changes).event_id();
    assert_eq!(id(&[]), id(&[("createdAt", json!(1_740_116_600))]));
    assert_ne!(id(&[]), id(&[("id", json!("other"))]));
}

#[test]
fn the_signature_is_over_the_raw_body() {
    let fixture: Value = serde_json::from_str(include_str!("../../signature/fixture.json")).unwrap();
    let keys = Keys::parse(fixture["jwks"].to_string().as_bytes()).unwrap();
    let (header, body) = (fixture["detached"].as_str().unwrap(), fixture["body"].as_str().unwrap());
    verify(&keys, header, body.as_bytes()).unwrap();
    assert!(verify(&keys, header, body.replace("created", "Created").as_bytes()).is_err());
    // RS256 over the same key is not what Fireblocks signs with.
    let compact = fixture["compact"].as_str().unwrap();
    let (protected, rest) = compact.split_once('.').unwrap();
    let other = format!("{protected}..{}", rest.split_once('.').unwrap().1);
    assert!(verify(&keys, &other, body.as_bytes()).unwrap_err().to_string().contains("not accepted"));
}
