//! `keywatch pdp replay`: decisions that a policy did not make are found among those that it made.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::support::command::{err, keywatch, out};

const POLICY: &str = "package signing\n\ndefault allow := false\n\nallow if input.amount < data.limit\n";

fn decision(number: u32, outcome: &str, more: &Value) -> String {
    let mut detail = json!({
        "input": {"amount": 3}, "labels": {"id": "replica-1"}, "path": "signing/allow", "policy_revision": "policy r7",
        "result": outcome == "allow",
    });
    for (name, value) in more.as_object().unwrap() {
        detail[name] = value.clone();
    }
    let time = format!("2025-03-03T09:00:{number:02}Z");
    let id = format!("{number:032x}");
    json!({
        "event_id": id, "system": "vault-1", "time": time, "event_time": time, "source": "opa", "kind": "decision",
        "request": format!("r-{number}"), "decision": format!("d-{number}"), "outcome": outcome, "detail": detail,
    })
    .to_string()
}

fn replay(directory: &Path, decisions: &[String], more: &[&str]) -> Output {
    fs::create_dir_all(directory.join("bundle/nested")).unwrap();
    fs::write(directory.join("bundle/nested/signing.rego"), POLICY).unwrap();
    fs::write(directory.join("bundle/nested/signing_test.rego"), "no policy at all").unwrap();
    fs::write(directory.join("bundle/data.json"), "{\"limit\": 10}").unwrap();
    fs::write(directory.join("events.jsonl"), decisions.join("\n")).unwrap();
    keywatch(directory, &[&["pdp", "replay", "--policy", "bundle"][..], more, &["events.jsonl"]].concat(), b"")
}

#[test]
fn a_decision_that_the_policy_would_not_have_made_is_shown() {
    let here = tempfile::tempdir().unwrap();
    let large = json!({"input": {"amount": 30}});
    let honest = [decision(1, "allow", &json!({})), decision(2, "deny", &large)];
    let done = replay(here.path(), &honest, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert_eq!(out(&done), "2 decisions asked again, 0 differ\n");

    let tampered = [honest[0].clone(), honest[1].clone(), decision(3, "allow", &large)];
    let done = replay(here.path(), &tampered, &[]);
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    let said = out(&done);
    assert!(said.contains("3 decisions asked again, 1 differ"), "{said}");
    assert!(said.contains("d-3") && said.contains("r-3") && !said.contains("d-2"), "{said}");
}

#[test]
fn what_cannot_be_asked_again_is_counted() {
    let here = tempfile::tempdir().unwrap();
    let decisions = [
        decision(1, "allow", &json!({})),
        decision(2, "allow", &json!({"policy_revision": "policy r6", "input": {"amount": 30}})),
        decision(3, "allow", &json!({"erased": ["/input/amount"]})),
        decision(4, "allow", &json!({"path": null})),
    ];
    let done = replay(here.path(), &decisions, &["--revision", "policy r7"]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    assert_eq!(out(&done), "1 decisions asked again, 0 differ\n");
    let said = err(&done);
    for told in
        ["1 decisions of another revision", "1 decisions whose input was not logged", "1 decisions without a path"]
    {
        assert!(said.contains(told), "{told}: {said}");
    }
    let nothing = replay(here.path(), &decisions[2..], &[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(err(&nothing).contains("no decision that can be asked again"), "{}", err(&nothing));
}
