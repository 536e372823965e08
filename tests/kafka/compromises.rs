//! A stolen token where one process takes events in and another one is told that it is stolen: it is refused by the one that
//! takes in, also after a start, and what was written is tainted until that one has said so.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::running::{THIRD, log_section, sessions};
use crate::operators::{ask, get, post, with_operators};
use crate::running::machine::{Machine, Running, presented};
use crate::support::command::{keywatch, out};
use crate::support::kafka::{broker, prefix};
use crate::support::meanwhile::until;

const INGEST: [&str; 2] = ["--role", "ingest"];

async fn sent(taking: &Running, id: &str) -> StatusCode {
    ask(taking, "token", Method::POST, "/v1/ingest/events", Some(presented(id, "eve", 1))).await.0
}

/// What processes that take in have said of what they take, in Kafka.
fn words(machine: &Machine) -> Vec<Value> {
    let done = keywatch(&machine.path(""), &["log", "tail", "keywatch.toml", "--topic", "events", "--all"], b"");
    let lines = out(&done);
    let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["kind"] == "credential.accepted").map(|event| event["detail"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_stolen_token_is_refused_by_the_process_that_takes_in_and_the_taint_ends_with_it() {
    let (broker, prefix) = (broker(), prefix());
    let log = log_section(&broker, &prefix, "key_file = \"role.key\"\n");
    let (taker, evaluator) = (Machine::new(THIRD), with_operators(Machine::new(THIRD)));
    taker.configure(&log);
    let taking = taker.start_with(&INGEST).await;
    std::fs::copy(taker.path("role.key"), evaluator.path("role.key")).unwrap();
    evaluator.configure(&log);
    let evaluating = evaluator.start_with(&["--role", "evaluate"]).await;
    until("it has said what it takes", || async { words(&taker).len() == 1 }).await;
    // In the order of the log: who evaluates knows of these no sooner than of that word.
    taking.send(sessions("ann", 1..=3)).await;
    evaluating.until("keywatch_rule_findings_total", "", 1).await;

    let declaration =
        json!({ "system": "cold", "source": "idp", "since": "2020-01-01T00:00:00Z", "reason": "found in a paste" });
    let declared = post(&evaluating, "carol", "/v1/compromises", declaration).await;
    assert_eq!(declared["refused"].as_array().unwrap().len(), 1, "who was asked takes nothing in: {declared}");
    assert_eq!(words(&taker)[0]["prints"], declared["refused"], "{declared}");
    until("the other process refuses it", || async {
        sent(&taking, "s-of-the-thief").await == StatusCode::UNAUTHORIZED
    })
    .await;
    until("it has said so", || async {
        let one = get(&evaluating, "/v1/compromises").await["compromises"][0].clone();
        one["still_taken_by"] == json!([]) && one["tainted_until"].is_string()
    })
    .await;
    assert_eq!(words(&taker).last().unwrap()["prints"], json!([]));

    // Without warning.
    drop(taking);
    let taking = taker.start_with(&INGEST).await;
    assert_eq!(sent(&taking, "s-of-the-thief-again").await, StatusCode::UNAUTHORIZED, "with its first answer");
    taking.stop();
    evaluating.stop();
    let names: std::collections::BTreeSet<String> =
        words(&taker).iter().map(|word| word["process"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names.len(), 1, "it is the same process: {names:?}");
}
