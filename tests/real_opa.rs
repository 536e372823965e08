//! Revocation against a real Open Policy Agent: the policies hold there too, it answers what the embedded decision point
//! answers, and what is reported as denied is denied.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use keywatch_alerting::{
    Dependencies, EmbeddedPdp, EnforcementPoint, Executor, Policy, Response, RevocationDocument, Schedule, Targets,
};
use keywatch_store::Log;
use keywatch_store::log::memory::MemoryLog;
use serde_json::{Value, json};

use crate::support::opa::Opa;
use crate::support::revoking::{client, finding, first_record, healthy, now, records};

fn executor(log: &Arc<MemoryLog>, opa: &Opa) -> Executor {
    let means = Dependencies {
        log: Arc::clone(log) as Arc<dyn Log>,
        policy: Policy::default(),
        sites: BTreeMap::from([("cold".to_owned(), EnforcementPoint::new(Arc::new(client(opa)), healthy()))]),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: Schedule::new(vec![Duration::from_millis(50)]),
        clock: Arc::new(now),
    };
    Executor::open(means).unwrap()
}

#[test]
fn the_policies_pass_the_checks_and_tests_of_the_real_opa() {
    for arguments in [["check", "--strict"].as_slice(), &["test", "--verbose"], &["fmt", "--fail", "--list"]] {
        let output = Command::new(crate::support::opa::binary())
            .args(arguments)
            .arg(crate::support::opa::policies())
            .output()
            .unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "opa {}: {said}", arguments.join(" "));
        let tested = arguments[0] != "test" || said.contains("PASS:");
        assert!(tested, "opa found no test to run: {said}");
    }
}

#[tokio::test]
async fn p5_a_session_is_reported_as_denied_after_the_real_opa_denied_it() {
    let opa = Opa::start();
    let log = Arc::new(MemoryLog::new());
    let executor = executor(&log, &opa);
    executor.resume().await.unwrap();
    let mut stolen = healthy();
    stolen["session_id"] = json!("s-stolen");
    assert!(client(&opa).ask(&stolen).await.unwrap().allow, "the session is let in before it is cut");

    executor.take(&finding("s-stolen")).await.unwrap();

    let verified = first_record(&log, "response.verified").await;
    assert_eq!(verified.outcome(), Some("denied_at_pdp"), "{:?}", verified.reason());
    let order = ["response.requested", "response.published", "response.verified"];
    let times = order.map(|kind| records(&log, kind).first().map(keywatch_store::Event::time).unwrap());
    assert!(times.is_sorted(), "the intent is written before anything is done");
    for (field, name) in [("session_id", "s-stolen"), ("request_id", "0xbad"), ("wallet", "0xcold")] {
        let mut input = healthy();
        input[field] = json!(name);
        assert!(!client(&opa).ask(&input).await.unwrap().allow, "{field} {name}");
    }
    assert!(client(&opa).ask(&healthy()).await.unwrap().allow, "the healthy session goes on");
}

#[tokio::test]
async fn p5_while_opa_is_down_nothing_is_reported_and_its_return_is_enough() {
    let opa = Opa::start();
    let log = Arc::new(MemoryLog::new());
    let executor = executor(&log, &opa);
    let port = opa.port();
    drop(opa);

    executor.take(&finding("s-stolen")).await.unwrap();
    first_record(&log, "response.failed").await;
    assert_eq!(records(&log, "response.requested").len(), 1, "the intent is kept");
    assert_eq!(records(&log, "response.verified").len(), 0, "and nothing is claimed");

    let opa = Opa::start_on(port).expect("the port was this test's a moment ago");
    let verified = first_record(&log, "response.verified").await;
    assert_ne!(verified.outcome(), Some("unconfirmed"), "{:?}", verified.reason());
    assert_eq!(records(&log, "response.requested").len(), 1, "decided once");
    let mut stolen = healthy();
    stolen["session_id"] = json!("s-stolen");
    assert!(!client(&opa).ask(&stolen).await.unwrap().allow);
}

/// Values of every JSON type, and names that stand in the revocation document.
fn values() -> Vec<Value> {
    let names =
        ["", " ", "s-cut", "S-CUT", " s-cut", "d-lost", "0xbad", "0xBAD", "0xcold", "mallory", "Mallory", "ci-bot"];
    let numbers = [json!(-1), json!(0), json!(1), json!(4.999), json!(5), json!(9_999.99), json!(10_000), json!(1e300)];
    let yes = |user: &str| json!({ "user": user, "approved": true });
    let approvals = [
        json!([yes("bob")]),
        json!([yes("bob"), yes("carol")]),
        json!([yes("bob"), yes("BOB")]),
        json!([yes("bob"), yes("alice")]),
        json!([{ "user": "bob" }, { "approved": true }, 7, null, yes("carol"), yes("dave")]),
        json!({ "user": "bob", "approved": true }),
    ];
    let others = [Value::Null, json!(true), json!([]), json!({}), json!("500")];
    names.into_iter().map(Value::from).chain(numbers).chain(approvals).chain(others).collect()
}

fn inputs() -> Vec<Value> {
    let base = healthy();
    let mut large = base.clone();
    large["amount_usd"] = json!(10_000);
    let fields: Vec<String> = base.as_object().unwrap().keys().cloned().collect();
    let mut inputs = vec![base.clone(), large.clone(), Value::Null, json!([]), json!("x"), json!({})];
    for field in &fields {
        let mut without = base.clone();
        without.as_object_mut().unwrap().remove(field);
        inputs.push(without);
        for value in values() {
            let mut changed = base.clone();
            changed[field] = value;
            inputs.push(changed);
        }
    }
    for approvals in values() {
        large["human_approvals"] = approvals;
        inputs.push(large.clone());
    }
    inputs
}

fn document() -> RevocationDocument {
    let one = |name: &str| BTreeSet::from([name.to_owned()]);
    let targets = Targets {
        sessions: one("s-cut"),
        subjects: one("mallory"),
        devices: one("d-lost"),
        requests: one("0xbad"),
        wallets: one("0xcold"),
    };
    let response = json!({
        "response_id": "r", "system": "cold", "alert_id": "a", "incident": "i", "finding_id": "f", "rule": "family/name",
        "source": "safe", "severity": "critical", "decided": now(), "sessions_until": now().unix_seconds() + 600,
        "targets": targets, "why": "a test",
    });
    let mut document = RevocationDocument::empty("cold");
    document.merge(&serde_json::from_value::<Response>(response).unwrap());
    document.stamped(now())
}

#[tokio::test]
async fn the_embedded_decision_point_answers_what_the_real_opa_answers() {
    let opa = Opa::start();
    let (real, embedded) = (client(&opa), EmbeddedPdp::new("differential", &[]).unwrap());
    let inputs = inputs();
    let mut allowed = Vec::new();
    for document in [None, Some(RevocationDocument::empty("cold").stamped(now())), Some(document())] {
        if let Some(document) = &document {
            real.publish(document).await.unwrap();
            embedded.publish(document).await.unwrap();
        }
        let mut allowed_here = 0;
        for input in &inputs {
            let (theirs, ours) = (real.ask(input).await.unwrap().allow, embedded.ask(input).await.unwrap().allow);
            assert_eq!(theirs, ours, "OPA says {theirs}, the embedded decision point {ours}: {input}");
            allowed_here += usize::from(theirs);
        }
        allowed.push(allowed_here);
    }
    assert_eq!(allowed[0], 0, "without a document everything is denied");
    assert!(allowed[1] > 50 && allowed[1] < inputs.len() - 50, "{allowed:?}: the inputs tell allow from deny");
    assert!(allowed[2] < allowed[1], "{allowed:?}: the document denies some of them");
}
