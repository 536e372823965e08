//! The gate before a decision point that speaks `AuthZEN` (`alerting/gate`), on a real Open Policy Agent with a small server
//! behind it that answers as the Access Evaluation API does. Cerbos itself stands in `cerbos`.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use keywatch_alerting::{Dependencies, EnforcementPoint, Executor, Policy, Schedule};
use keywatch_store::Log;
use keywatch_store::log::memory::MemoryLog;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::opa::{Opa, binary, free_port, policies};
use crate::support::revoking::{client, finding, first_record, healthy, now};
use crate::support::tree::root;

type Asked = Arc<Mutex<Vec<Value>>>;

/// Everybody but mallory may sign.
async fn decide(State(asked): State<Asked>, Json(request): Json<Value>) -> Json<Value> {
    let decision = request["action"]["name"] == "sign" && request["subject"]["id"] != "mallory";
    asked.lock().unwrap().push(request);
    Json(json!({ "decision": decision }))
}

/// The one behind: its address, and what it was asked.
async fn behind() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/access/v1/evaluation", listener.local_addr().unwrap());
    let asked = Asked::default();
    let router = Router::new().route("/access/v1/evaluation", post(decide)).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

/// An OPA with the gate and no other policy for wallets.
pub(crate) fn gate() -> Opa {
    // The provider of the process; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let started = (0..5).find_map(|_| {
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let mut arguments: Vec<String> =
            ["run", "--server", "--disable-telemetry", "--log-level", "error", "--addr", &address]
                .map(str::to_owned)
                .into();
        let own = ["authzen.rego", "wallet_signing.rego"].map(|file| root().join("alerting/gate").join(file));
        let files = own.into_iter().chain([policies().join("revocations.rego")]);
        arguments.extend(files.map(|file| file.display().to_string()));
        Opa::start_as(port, &arguments)
    });
    started.expect("OPA did not start on any of five free ports")
}

/// Says to the gate who is behind it.
pub(crate) async fn put_behind(opa: &Opa, url: &str) {
    let custody = json!({ "authzen": { "url": url } });
    let put = Client::new().put(format!("{}/v1/data/custody", opa.url())).json(&custody).send();
    assert!(put.await.unwrap().status().is_success());
}

/// What the gate answers to a request of the Access Evaluation API.
pub(crate) async fn decision(opa: &Opa, subject: &str, session: &str) -> Value {
    let request = json!({
        "subject": { "type": "user", "id": subject, "properties": {
            "session_id": session, "session_started_at": now().unix_seconds() - 600, "device_id": "d-1",
        } },
        "action": { "name": "sign" },
        "resource": { "type": "wallet", "id": "0xhot" },
        "context": { "request_id": "r-1" },
    });
    let url = format!("{}/v0/data/authzen/evaluation", opa.url());
    Client::new().post(url).json(&request).send().await.unwrap().json().await.unwrap()
}

/// keywatch, which publishes there.
pub(crate) fn keywatch(log: &Arc<MemoryLog>, opa: &Opa) -> Executor {
    let site = EnforcementPoint::new(Arc::new(client(opa)), healthy());
    Executor::open(Dependencies {
        log: Arc::clone(log) as Arc<dyn Log>,
        policy: Policy::default(),
        sites: BTreeMap::from([("cold".to_owned(), site)]),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: Schedule::new(vec![Duration::from_millis(50)]),
        clock: Arc::new(now),
    })
    .unwrap()
}

fn of_session(asked: &Asked, session: &str) -> usize {
    let asked = asked.lock().unwrap();
    asked.iter().filter(|request| request["subject"]["properties"]["session_id"] == session).count()
}

#[test]
fn the_gate_passes_the_checks_and_tests_of_the_real_opa() {
    for arguments in [["check", "--strict"].as_slice(), &["test", "--verbose"], &["fmt", "--fail", "--list"]] {
        let mut command = Command::new(binary());
        command.args(arguments).arg(root().join("alerting/gate")).arg(policies().join("revocations.rego"));
        let output = command.output().unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "opa {}: {said}", arguments.join(" "));
        let tested = arguments[0] != "test" || said.contains("PASS: 5/5");
        assert!(tested, "opa found other tests to run: {said}");
    }
}

#[tokio::test]
async fn p5_what_is_revoked_is_denied_before_a_decision_point_that_speaks_authzen_and_proved_there() {
    let opa = gate();
    let (url, asked) = behind().await;
    assert_eq!(decision(&opa, "alice", "s-stolen").await, json!({ "decision": false }), "nobody is behind yet");
    put_behind(&opa, &url).await;
    let log = Arc::new(MemoryLog::new());
    let executor = keywatch(&log, &opa);
    executor.resume().await.unwrap();
    assert_eq!(decision(&opa, "alice", "s-stolen").await, json!({ "decision": true }));
    assert_eq!(decision(&opa, "mallory", "s-other").await, json!({ "decision": false }), "the one behind says no");

    executor.take(&finding("s-stolen")).await.unwrap();

    let verified = first_record(&log, "response.verified").await;
    assert_eq!(verified.outcome(), Some("denied_at_pdp"), "{:?}", verified.reason());
    let before = of_session(&asked, "s-stolen");
    assert_eq!(decision(&opa, "alice", "s-stolen").await, json!({ "decision": false }));
    assert_eq!(of_session(&asked, "s-stolen"), before, "the one behind is not asked for what is revoked");
    assert_eq!(decision(&opa, "alice", "s-new").await, json!({ "decision": true }));
    put_behind(&opa, &format!("http://127.0.0.1:{}/access/v1/evaluation", free_port())).await;
    assert_eq!(decision(&opa, "alice", "s-new").await, json!({ "decision": false }), "nobody answers behind");
}
