//! What an Open Policy Agent holds: a policy that somebody exchanges at the real one is told with its name, also where it
//! happens while keywatch is down, and a question with a known answer shows what it does.

use std::time::Duration;

use keywatch_store::Event;
use reqwest::Client;
use serde_json::{Value, json};

use super::pulling;
use super::scripted::Scripted;
use crate::running::machine::{Machine, Running};
use crate::support::opa::Opa;
use crate::support::revoking::healthy;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A machine that looks at this OPA and asks it one question.
fn machine(url: &str, more: &str, answer: bool) -> Machine {
    let pull = format!(
        "[[pull]]\nsystem = \"cold\"\nsource = \"opa-state\"\nkind = \"opa_state\"\nurl = \"{url}\"\n\
         allow_plain_http = true\npoll_seconds = 1\n{more}\
         canaries = [{{ name = \"thief\", input_file = \"thief.json\", answer = {answer} }}]\n"
    );
    let machine = pulling("[[systems.sources]]\nsource = \"opa-state\"\nfeed = \"opa_status\"\n", &pull);
    let mut thief = healthy();
    thief["amount_usd"] = json!("500");
    std::fs::write(machine.path("thief.json"), thief.to_string()).unwrap();
    machine
}

/// Waits for two looks from now on at which the canary came out like that: what the first of them saw is in the log.
async fn two_looks(running: &Running, outcome: &str) {
    let label = format!("outcome=\"{outcome}\"");
    let before = running.metric("keywatch_pdp_canaries_total", &label).await;
    let waiting = async {
        while running.metric("keywatch_pdp_canaries_total", &label).await < before + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it is looked at every second");
}

/// The policy's id there and its text.
async fn wallet_policy(opa: &Opa) -> (String, String) {
    let answer: Value =
        Client::new().get(format!("{}/v1/policies", opa.url())).send().await.unwrap().json().await.unwrap();
    let policies = answer["result"].as_array().unwrap();
    let text = |policy: &Value, name: &str| policy[name].as_str().unwrap().to_owned();
    let own = policies.iter().find(|policy| text(policy, "id").ends_with("wallet_signing.rego")).unwrap();
    (text(own, "id"), text(own, "raw"))
}

async fn put(opa: &Opa, id: &str, policy: &str) {
    let url = format!("{}/v1/policies/{id}", opa.url());
    let request = Client::new().put(url).header("content-type", "text/plain").body(policy.to_owned());
    assert!(request.send().await.unwrap().status().is_success());
}

fn of_part<'a>(events: &'a [Event], part: &str) -> Vec<(&'a str, Value)> {
    let states = events.iter().filter(|event| event.kind() == "pdp.state");
    let states = states.map(|event| (event.outcome().unwrap(), event.detail().value()));
    states.filter(|(_, detail)| detail["part"] == part).collect()
}

#[tokio::test]
async fn a_policy_that_somebody_exchanges_is_told_with_its_name_also_across_a_restart() {
    let opa = Opa::start();
    let machine = machine(&opa.url(), "expected_file = \"expected.json\"\n", false);
    std::fs::write(machine.path("expected.json"), r#"{"data": "00"}"#).unwrap();
    let (id, text) = wallet_policy(&opa).await;

    let running = machine.start().await;
    two_looks(&running, "as_expected").await;
    put(&opa, &id, "package wallet.signing\n\nallow := true\n").await;
    two_looks(&running, "different").await;
    drop(running);
    put(&opa, &id, &text).await;
    let running = machine.start().await;
    two_looks(&running, "as_expected").await;
    running.stop();

    let events = machine.record().events;
    let policies = of_part(&events, "policies");
    let outcomes: Vec<&str> = policies.iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, ["seen", "changed", "changed"], "{policies:#?}");
    let (first, tampered, back) = (&policies[0].1, &policies[1].1, &policies[2].1);
    assert_eq!(tampered["before"], first["sha256"]);
    assert_eq!(tampered["policies"], id.as_str());
    assert_eq!((&back["before"], &back["sha256"]), (&tampered["sha256"], &first["sha256"]));
    assert!(first["replica"].is_string(), "{first}");
    let data = of_part(&events, "data");
    assert!(!data.is_empty() && data.iter().all(|(outcome, _)| *outcome == "unexpected"), "{data:#?}");
    assert_eq!(of_part(&events, "config").len(), 1, "the id of a process is no part of it");

    let canaries: Vec<&Event> = events.iter().filter(|event| event.kind() == "pdp.canary").collect();
    let different = canaries.iter().find(|event| event.outcome() == Some("different")).unwrap();
    let detail = different.detail().value();
    let told = (&detail["canary"], &detail["expected"], &detail["answered"]);
    assert_eq!(told, (&json!("thief"), &json!(false), &json!(true)));
    assert!(detail["latency_ms"].is_u64(), "{detail}");
    let written: String = events.iter().map(|event| event.detail().value().to_string()).collect();
    assert!(!written.contains("package wallet"), "no text of a policy is kept");
}

#[tokio::test]
async fn a_part_that_cannot_be_read_is_told_once_and_hides_no_canary() {
    // It answers with a configuration where it is asked for policies.
    let opa = Scripted::start(&[], |query, body| {
        let answer = match (query, body) {
            ("", "") => json!({ "result": { "labels": { "id": "p-1" } } }),
            ("", _) => json!({ "result": [{ "hash": "0a".repeat(32) }] }),
            _ => json!({ "decision_id": "d-1", "result": false }),
        };
        (None, answer.to_string())
    })
    .await;
    let machine = machine(&opa.url, "", true);
    let running = machine.start().await;
    // Four requests a look; the one after the second look shows that it is in the log.
    opa.until(|asked| asked.len() >= 9).await;
    running.stop();

    let paths: Vec<String> = opa.asked().into_iter().map(|asked| asked.path).take(4).collect();
    assert_eq!(paths, ["/v1/config", "/v1/policies", "/v1/query", "/v1/data/wallet/signing/allow"]);
    let events = machine.record().events;
    let statuses: Vec<&Event> =
        events.iter().filter(|event| event.kind() == "source.status" && event.source() == "opa-state").collect();
    assert_eq!(statuses.len(), 1, "{statuses:#?}");
    assert_eq!(statuses[0].outcome(), Some("degraded"));
    assert_eq!(statuses[0].detail().value()["interface"], "policies");
    assert_eq!((of_part(&events, "config").len(), of_part(&events, "data").len()), (1, 1));
    let is_told = |event: &&Event| event.kind() == "pdp.canary" && event.outcome() == Some("different");
    assert!(events.iter().filter(is_told).count() >= 2);
    let said = events.iter().find(is_told).unwrap();
    assert_eq!(said.decision(), Some("d-1"));
}
