//! A token of a source that somebody stole: declared while keywatch runs, refused at once, and everything that was written
//! under it shown as tainted, also after a start.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::operators::{ask, get, machine, one_incident, post, run, said_to};
use crate::running::machine::{Machine, Running, presented};
use crate::support::command::err;
use crate::support::meanwhile::until;

/// The answer to an event of the source under that token.
async fn sent(running: &Running, token: &str, id: &str) -> StatusCode {
    let event = presented(id, "eve", 1);
    ask(running, token, Method::POST, "/v1/ingest/events", Some(event)).await.0
}

/// A second administrator, and operators' tokens as files.
fn prepared() -> Machine {
    let machine = machine();
    let hash = hex::encode(Sha256::digest("dave"));
    machine.configure(&format!(
        "\n[[operators]]\nname = \"dave\"\ntoken_sha256 = \"{hash}\"\nroles = [\"admin\"]\nsystems = [\"cold\"]\n"
    ));
    for name in ["carol", "dave"] {
        std::fs::write(machine.path(name), name).unwrap();
    }
    machine
}

/// The source has another token beside its old one.
fn add_token(machine: &Machine, fresh: &str) {
    let [old, new] = ["token", fresh].map(|token| hex::encode(Sha256::digest(token)));
    let file = machine.path("keywatch.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let one = format!("token_sha256 = \"{old}\"");
    assert!(text.contains(&one));
    std::fs::write(&file, text.replace(&one, &format!("token_sha256 = [\"{old}\", \"{new}\"]"))).unwrap();
}

fn declaration(source: &str) -> Value {
    json!({ "system": "cold", "source": source, "since": "2020-01-01T00:00:00Z", "reason": "found in a paste" })
}

async fn is_shown_as_tainted(running: &Running, incident: &str) {
    let shown = get(running, &format!("/v1/incidents/{incident}")).await;
    assert_eq!(shown["alert_list"][0]["rests_on_tainted"], "alone", "{shown}");
    let tainted: Vec<&Value> =
        shown["custody"]["timeline"].as_array().unwrap().iter().filter(|event| event["tainted"] == true).collect();
    assert!(tainted.len() == 1 && tainted[0]["source"] == "idp", "{}", shown["custody"]);
    assert!(tainted[0]["problems"].to_string().contains("the credential of idp was stolen"), "{}", tainted[0]);
    let about = get(running, "/v1/about/s-long-enough-1").await;
    assert_eq!(about["newest"][0]["tainted"], true, "{about}");
}

async fn is_taken_back_by_two(running: &Running, machine: &Machine, id: &str) {
    let as_who =
        |name: &str, arguments: &[&str], expected: &[&str]| said_to(running, &machine.path(name), arguments, expected);
    as_who("carol", &["sources", "list"], &["idp", "events"]);
    as_who("carol", &["sources", "compromises"], &[id, "stands", "found in a paste"]);
    as_who("carol", &["sources", "affected", id], &["tainted events", "own/presented", "alone"]);
    let restore = ["sources", "restore", id, "--reason", "it was ours"];
    as_who("carol", &restore, &["waiting for a second person"]);
    let alone = run(running, &machine.path("carol"), &restore);
    assert!(alone.status.code() == Some(2) && err(&alone).contains("two people"), "{}", err(&alone));
    assert_eq!(sent(running, "token", "s-of-the-thief-4").await, StatusCode::UNAUTHORIZED);
    as_who("dave", &restore, &["taken back"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_token_is_refused_at_once_and_what_it_wrote_is_tainted_also_after_kill_9() {
    let machine = prepared();
    let running = machine.start().await;
    let incident = one_incident(&running).await;
    for (token, source, expected) in [
        ("ann", "idp", StatusCode::FORBIDDEN),
        ("bob", "idp", StatusCode::FORBIDDEN),
        ("stranger", "idp", StatusCode::FORBIDDEN),
        ("carol", "idq", StatusCode::CONFLICT),
        ("carol", "keywatch", StatusCode::CONFLICT),
    ] {
        let (status, answer) = ask(&running, token, Method::POST, "/v1/compromises", Some(declaration(source))).await;
        assert_eq!(status, expected, "{token} {source}: {answer}");
    }
    let declared = post(&running, "carol", "/v1/compromises", declaration("idp")).await;
    assert_eq!((&declared["status"], &declared["by"]), (&json!("stands"), &json!("carol")), "{declared}");
    assert_eq!(declared["refused"].as_array().unwrap().len(), 1, "{declared}");
    let affected = &declared["affected"];
    assert_eq!((&affected["events"], &affected["total"]), (&json!(1), &json!(1)), "{declared}");
    assert_eq!(affected["findings"][0]["rests"], "alone", "{declared}");
    assert_eq!(affected["findings"][0]["alert"]["incident"], json!(incident), "{declared}");
    assert!(
        !declared.to_string().contains(&hex::encode(Sha256::digest("token"))),
        "a fingerprint is no hash of a token"
    );
    assert_eq!(sent(&running, "token", "s-of-the-thief-1").await, StatusCode::UNAUTHORIZED, "with the answer");
    // Without warning.
    drop(running);

    let running = machine.start().await;
    assert_eq!(sent(&running, "token", "s-of-the-thief-2").await, StatusCode::UNAUTHORIZED, "also after a start");
    is_shown_as_tainted(&running, &incident).await;

    add_token(&machine, "fresh");
    until("the new token counts", || async {
        running.metric("keywatch_door_credential_reloads_total", "taken").await == 1
    })
    .await;
    assert_eq!(sent(&running, "fresh", "s-fresh-1").await, StatusCode::OK);
    assert_eq!(sent(&running, "token", "s-of-the-thief-3").await, StatusCode::UNAUTHORIZED, "the old one beside it");

    is_taken_back_by_two(&running, &machine, declared["id"].as_str().unwrap()).await;
    assert_eq!(sent(&running, "token", "s-ours-1").await, StatusCode::OK, "it was theirs");
    let shown = get(&running, &format!("/v1/incidents/{incident}")).await;
    assert_eq!(shown["alert_list"][0]["rests_on_tainted"], Value::Null, "{shown}");
    running.stop();

    let conclusions: Vec<_> = machine.conclusions().collect();
    let count = |kind: &str| conclusions.iter().filter(|event| event.kind() == kind).count();
    for kind in ["credential.compromised", "credential.restore_asked", "credential.restored"] {
        assert_eq!(count(kind), 1, "{kind}");
    }
    let told = conclusions.iter().filter(|event| event.kind() == "finding.created").map(|event| event.detail().value());
    let told = told.filter(|finding| finding["rule"] == "keywatch/credential_compromised").count();
    assert_eq!(told, 3, "declared, asked for, agreed to");
}
