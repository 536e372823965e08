//! What operators do with a running keywatch: over the API, and with the subcommands that use it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::running::machine::{Machine, Rule, Running, presented};
use crate::support::command::{err, keywatch, out};
use crate::support::meanwhile::until;

/// Finds every session that is presented.
const PRESENTED: Rule = Rule {
    id: "own/presented",
    sql: "SELECT event_id, actor AS entity, actor, session FROM events WHERE kind = 'session.presented'",
};

pub(crate) fn machine() -> Machine {
    with_operators(Machine::with_this_rule_alone(PRESENTED))
}

/// The same machine with operators, whose tokens are their names, and a second system.
pub(crate) fn with_operators(machine: Machine) -> Machine {
    let operator = |name: &str, role: &str, systems: &str| {
        let hash = hex::encode(Sha256::digest(name));
        format!(
            "[[operators]]\nname = \"{name}\"\ntoken_sha256 = \"{hash}\"\nroles = [\"{role}\"]\nsystems = [\"{systems}\"]\n"
        )
    };
    let operators = [
        operator("ann", "analyst", "*"),
        operator("bob", "responder", "cold"),
        operator("carol", "admin", "cold"),
        operator("vera", "viewer", "cold"),
        operator("stranger", "admin", "hot"),
    ];
    let config = std::fs::read_to_string(machine.path("keywatch.toml")).unwrap();
    std::fs::write(machine.path("keywatch.toml"), format!("{config}\n{}", operators.join("\n"))).unwrap();
    let inventory = std::fs::read_to_string(machine.path("inventory.toml")).unwrap();
    std::fs::write(machine.path("inventory.toml"), format!("{inventory}\n[[systems]]\nid = \"hot\"\n")).unwrap();
    machine
}

/// Asks as an operator.
pub(crate) async fn ask(
    running: &Running,
    token: &str,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, Value) {
    let mut request = Client::new().request(method, format!("{}{path}", running.url()));
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

pub(crate) async fn get(running: &Running, path: &str) -> Value {
    let (status, answer) = ask(running, "ann", Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

pub(crate) async fn post(running: &Running, token: &str, path: &str, body: Value) -> Value {
    let (status, answer) = ask(running, token, Method::POST, path, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// One incident about ann's session; its id.
pub(crate) async fn one_incident(running: &Running) -> String {
    running.send([presented("s-long-enough-1", "ann", 1)]).await;
    running.until("keywatch_rule_findings_total", "", 1).await;
    let patience = std::time::Duration::from_secs(30);
    let listed = async {
        loop {
            let answer = get(running, "/v1/incidents").await;
            if let Some(id) = answer["incidents"][0]["id"].as_str() {
                return id.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(patience, listed).await.expect("the incident is listed")
}

#[tokio::test]
async fn an_incident_is_handled_and_everything_stands_after_kill_9() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let listed = get(&running, "/v1/incidents?status=open&severity=low").await;
    assert_eq!(listed["total"], 1);
    let sessions = listed["incidents"][0]["sessions"].to_string();
    assert!(!sessions.contains("s-long-enough-1") && sessions.contains("…#"), "a list shortens sessions: {sessions}");
    let alert = get(&running, "/v1/alerts").await["alerts"][0]["id"].as_str().unwrap().to_owned();

    post(&running, "ann", &format!("/v1/alerts/{alert}/acknowledge"), json!({})).await;
    post(&running, "ann", &format!("/v1/incidents/{id}/assign"), json!({ "assignee": "bob" })).await;
    post(&running, "bob", &format!("/v1/incidents/{id}/comment"), json!({ "comment": "looking" })).await;
    let many = post(&running, "bob", "/v1/acknowledge", json!({ "ids": [alert, "nothing"] })).await;
    assert_eq!(many["results"].as_array().unwrap().len(), 2, "{many}");
    let shown = get(&running, &format!("/v1/incidents/{id}")).await;
    // Without warning.
    drop(running);

    let running = machine.start().await;
    let again = get(&running, &format!("/v1/incidents/{id}")).await;
    for field in ["status", "assignee", "acknowledged", "history", "alert_list", "finding", "pages"] {
        assert_eq!(again[field], shown[field], "{field}");
    }
    assert_eq!((&again["status"], &again["assignee"]), (&json!("acknowledged"), &json!("bob")));
    assert_eq!(again["sessions"], json!(["s-long-enough-1"]), "who asks for one sees all of it");
    assert_eq!(again["finding"]["meaning"], "It is there for a test.");
    let evidence = again["custody"]["timeline"].as_array().unwrap().iter().filter(|event| event["evidence"] == true);
    assert_eq!(evidence.count(), 1, "{}", again["custody"]);
    assert_eq!(
        again["custody"]["links"][0],
        json!({ "link": "session", "state": "mismatch", "events": 1, "problems": ["session.presented: came late"] })
    );
    let resolved = json!({ "verdict": "benign", "reason": "it was meant" });
    let answer = post(&running, "ann", &format!("/v1/incidents/{id}/resolve"), resolved).await;
    assert_eq!(answer["now"]["status"], "resolved");
    let about = get(&running, "/v1/about/s-long-enough-1").await;
    assert_eq!((&about["events"], &about["incidents"][0]["id"]), (&json!(1), &json!(id)));
    let report = get(&running, "/v1/handover").await;
    assert_eq!(report["acts"].as_array().unwrap().len(), 4, "{report}");
    assert_eq!(report["rules"][0]["benign"], 1, "{report}");
    running.stop();

    let kinds: Vec<String> = machine.conclusions().map(|event| event.kind().to_owned()).collect();
    let count = |kind: &str| kinds.iter().filter(|of| *of == kind).count();
    for kind in ["alert.acknowledged", "alert.assigned", "alert.commented", "alert.resolved"] {
        assert_eq!(count(kind), 1, "{kind}");
    }
    assert_eq!(count("operator.read"), 3, "what was shown is written down");
}

#[tokio::test]
async fn nobody_does_what_their_role_and_systems_do_not_allow() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let (acknowledge, silences) = (format!("/v1/incidents/{id}/acknowledge"), "/v1/silences");
    let until = json!(keywatch_store::Instant(i64::MAX / 2));
    let silence = json!({ "system": "cold", "matcher": { "rule": "own/presented" }, "reason": "r", "until": until });
    for (token, path, body, expected) in [
        ("", acknowledge.as_str(), json!({}), StatusCode::UNAUTHORIZED),
        ("nobody", acknowledge.as_str(), json!({}), StatusCode::UNAUTHORIZED),
        // The token of a source is none of an operator's.
        ("token", acknowledge.as_str(), json!({}), StatusCode::UNAUTHORIZED),
        ("vera", acknowledge.as_str(), json!({}), StatusCode::FORBIDDEN),
        ("stranger", acknowledge.as_str(), json!({}), StatusCode::NOT_FOUND),
        ("ann", silences, silence.clone(), StatusCode::FORBIDDEN),
        ("stranger", silences, silence.clone(), StatusCode::FORBIDDEN),
        // It would last for centuries.
        ("bob", silences, silence, StatusCode::CONFLICT),
        ("ann", "/v1/incidents/nothing/acknowledge", json!({}), StatusCode::NOT_FOUND),
        ("ann", format!("/v1/incidents/{id}/explode").as_str(), json!({}), StatusCode::NOT_FOUND),
        ("ann", format!("/v1/incidents/{id}/resolve").as_str(), json!({ "verdict": "maybe" }), StatusCode::BAD_REQUEST),
        ("ann", format!("/v1/incidents/{id}/comment").as_str(), json!({ "comment": "" }), StatusCode::CONFLICT),
        // Nobody has the name; she may not see to it; he sees another system.
        ("ann", format!("/v1/incidents/{id}/assign").as_str(), json!({ "assignee": "bobb" }), StatusCode::CONFLICT),
        ("ann", format!("/v1/incidents/{id}/assign").as_str(), json!({ "assignee": "vera" }), StatusCode::CONFLICT),
        ("ann", format!("/v1/incidents/{id}/assign").as_str(), json!({ "assignee": "stranger" }), StatusCode::CONFLICT),
    ] {
        let (status, answer) = ask(&running, token, Method::POST, path, Some(body)).await;
        assert_eq!(status, expected, "{token} {path}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{token} {path}: {answer}");
    }
    let (status, seen) = ask(&running, "stranger", Method::GET, "/v1/incidents", None).await;
    assert_eq!((status, &seen["total"]), (StatusCode::OK, &json!(0)));
    let (_, me) = ask(&running, "vera", Method::GET, "/v1/me", None).await;
    assert_eq!(me["may"], json!(["read"]));
    let (status, answer) = ask(&running, "ann", Method::GET, "/v1/incidents?colour=red", None).await;
    assert!(status == StatusCode::BAD_REQUEST && answer["error"].to_string().contains("colour"), "{answer}");
    running.stop();
    let acknowledged = machine.conclusions().filter(|event| event.kind().starts_with("alert.ackn")).count();
    assert_eq!(acknowledged, 0);
}

#[tokio::test]
async fn a_name_that_nobody_has_is_refused_with_the_nearest_and_who_may_not_is_told_who_may() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let until = keywatch_store::Instant(i64::MAX / 2);
    let silence = |system: &str, rule: &str| json!({ "system": system, "matcher": { "rule": rule }, "reason": "r", "until": until });
    let assign = format!("/v1/incidents/{id}/assign");
    for (who, path, body, said) in [
        ("ann", assign.as_str(), json!({ "assignee": "bobb" }), "there is no operator `bobb`; the nearest are `bob`"),
        ("ann", assign.as_str(), json!({ "assignee": "vera" }), "`vera` may not see to incidents of cold"),
        ("bob", "/v1/silences", silence("cold", "own/present"), "there is no rule `own/present`; the nearest"),
        ("bob", "/v1/silences", silence("cold", "keywatch/silenced"), "never silenced"),
        ("vera", "/v1/silences", silence("cold", "own/presented"), "vera may not silence: responder or admin does"),
        ("vera", "/v1/responses/r-1/reject", json!({ "reason": "r" }), "decide on responses: responder or admin does"),
        ("vera", assign.as_str(), json!({ "assignee": "bob" }), "handle incidents: analyst, responder or admin does"),
    ] {
        let (status, answer) = ask(&running, who, Method::POST, path, Some(body)).await;
        assert!(status.is_client_error(), "{who} {path}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(said)), "{who} {path}: {answer}");
    }
    assert_eq!(get(&running, &format!("/v1/incidents/{id}")).await["assignee"], Value::Null);
    assert_eq!(get(&running, "/v1/silences").await["silences"], json!([]));
    running.stop();
}

#[tokio::test]
async fn what_a_rule_cost_people_is_counted_from_the_records() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    // One that is counted on ann's alert, and one of somebody else.
    running.send([presented("s-long-enough-2", "ann", 1), presented("s-long-enough-3", "eve", 1)]).await;
    let asked = "/v1/noise?rule=own/presented";
    until("three findings are counted", || async { get(&running, asked).await["rules"][0]["findings"] == 3 }).await;
    let rule = get(&running, asked).await["rules"][0].clone();
    assert_eq!(
        (&rule["alerts"], &rule["unjudged"], &rule["acknowledged"]),
        (&json!(2), &json!(2), &json!(0)),
        "{rule}"
    );
    assert_eq!(rule["acknowledge_seconds_median"], Value::Null, "{rule}");
    post(&running, "ann", &format!("/v1/incidents/{id}/acknowledge"), json!({})).await;
    let verdict = json!({ "verdict": "false", "reason": "it was a drill" });
    post(&running, "ann", &format!("/v1/incidents/{id}/resolve"), verdict).await;
    let answer = get(&running, asked).await;
    let rule = &answer["rules"][0];
    assert_eq!((&rule["false"], &rule["unjudged"], &rule["acknowledged"]), (&json!(1), &json!(1), &json!(1)), "{rule}");
    assert!(rule["acknowledge_seconds_median"].as_i64().is_some_and(|seconds| seconds >= 0), "{rule}");
    assert_eq!(answer["complete"], true, "{answer}");
    let (_, seen) = ask(&running, "stranger", Method::GET, "/v1/noise", None).await;
    assert_eq!(seen["rules"], json!([]), "another's systems are counted for nobody");
    let (status, _) = ask(&running, "ann", Method::GET, "/v1/noise?since=2999-01-01T00:00:00Z", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let shown = get(&running, "/v1/rules/own/presented").await;
    assert!(shown["sql"].as_str().unwrap().contains("session.presented"), "{shown}");
    assert!(shown["explain"].as_str().unwrap().contains("Step by step"), "{shown}");
    let cost = &shown["running"];
    assert!(cost["records"].as_u64() >= Some(3) && cost["rows"].is_u64() && cost["parked"] == false, "{shown}");
    let (status, answer) = ask(&running, "ann", Method::GET, "/v1/rules/own/nothing", None).await;
    assert!(status == StatusCode::NOT_FOUND && answer["error"].to_string().contains("own/nothing"), "{answer}");
    running.stop();
}

#[tokio::test]
async fn every_route_is_described_and_every_description_is_a_route() {
    let machine = machine();
    let running = machine.start().await;
    let (status, described) = ask(&running, "", Method::GET, "/v1/openapi.json", None).await;
    assert_eq!(status, StatusCode::OK);
    let mut paths = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        paths.insert(path.clone());
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let concrete = path.replace("{feed}", "events").replace(['{', '}'], "");
            let (status, _) = ask(&running, "", method.clone(), &concrete, None).await;
            let open = operation["security"] == json!([]);
            let expected = if open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    let routed = [include_str!("../src/service/http/api/mod.rs"), include_str!("../src/service/http/routes.rs")];
    let routes = routed.iter().flat_map(|text| text.split(".route(\"").skip(1));
    let routes: BTreeSet<String> = routes.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(paths, routes);
    let text = described.to_string();
    let mut references = text.split("\"#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing = references.find(|name| described["components"]["schemas"][name].is_null());
    assert_eq!(missing, None, "a schema that is not there");
}

/// Runs a subcommand as an operator.
pub(crate) fn run(running: &Running, token: &Path, arguments: &[&str]) -> Output {
    let more = ["--url", running.url(), "--token-file", token.to_str().unwrap()];
    keywatch(token.parent().unwrap(), &[arguments, &more].concat(), b"")
}

/// What a subcommand says to an operator: it succeeds, and all of `expected` is in it.
pub(crate) fn said_to(running: &Running, token: &Path, arguments: &[&str], expected: &[&str]) -> String {
    let done = run(running, token, arguments);
    let said = out(&done);
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {said}{}", err(&done));
    for part in expected {
        assert!(said.contains(part), "{arguments:?}: no `{part}` in\n{said}");
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_of_an_analyst_with_the_subcommands() {
    let machine = machine();
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let id = id.as_str();
    for name in ["ann", "bob", "carol", "vera"] {
        std::fs::write(machine.path(name), format!("{name}\n")).unwrap();
    }
    let as_who =
        |name: &str, arguments: &[&str], expected: &[&str]| said_to(&running, &machine.path(name), arguments, expected);
    as_who("ann", &["incidents", "list"], &[id, "open", "low"]);
    as_who("ann", &["alerts", "list", "--rule", "own/presented"], &["own/presented", "open"]);
    as_who("ann", &["alerts", "ack", id], &["acknowledged"]);
    as_who("ann", &["alerts", "ack", id], &["already"]);
    as_who("ann", &["alerts", "assign", id, "bob"], &["done"]);
    as_who("ann", &["alerts", "comment", id, "who is it?"], &["done"]);
    let shown =
        ["It is there for a test.", "look", "chain of custody", "session", "ann saw it", "who is it?", "evidence"];
    as_who("ann", &["incidents", "show", id], &shown);
    as_who("ann", &["incidents", "show", &id[..8]], &[id, "who is it?"]);
    as_who("ann", &["alerts", "comment", &format!("{}…", &id[..8]), "by its beginning"], &["done"]);
    as_who("ann", &["alerts", "resolve", id, "--verdict", "test", "--reason", "drill"], &["resolved", "ann says test"]);
    as_who("ann", &["alerts", "reopen", id, "--reason", "no"], &["open"]);
    let alert = get(&running, "/v1/alerts?rule=own/presented").await["alerts"][0]["id"].as_str().unwrap().to_owned();
    let allow = ["alerts", "resolve", &alert, "--verdict", "benign", "--reason", "drill", "--allow", "30"];
    as_who("ann", &allow, &["resolved", "on the allow-list", "waiting for a second person"]);
    let entry = get(&running, "/v1/silences").await["silences"][0]["id"].as_str().unwrap().to_owned();
    as_who("carol", &["alerts", "approve-silence", &entry], &["active"]);
    as_who("vera", &["alerts", "silences"], &["ann and carol", "a verdict", "own/presented"]);
    as_who("bob", &["alerts", "end-silence", &entry], &["ended"]);
    as_who("ann", &["alerts", "reopen", id, "--reason", "no"], &["open"]);
    let silence =
        ["alerts", "silence", "--system", "cold", "--rule", "own/presented", "--for", "2h", "--reason", "drill"];
    let asked = as_who("bob", &[&silence[..], &["--criticals", "--json"]].concat(), &["waiting for a second person"]);
    let asked: Value = serde_json::from_str(&asked).unwrap();
    let silence = asked["id"].as_str().unwrap();
    as_who("carol", &["alerts", "approve-silence", silence], &["active"]);
    as_who("ann", &["alerts", "silences"], &["bob and carol", "drill"]);
    as_who("bob", &["alerts", "end-silence", silence], &["ended"]);
    as_who("ann", &["deliveries", "list"], &["standard-error", "up", "nothing was put aside"]);
    as_who("ann", &["about", "s-long-enough-1"], &["1 events", "session.presented", id]);
    as_who("ann", &["alerts", "handover"], &["not resolved", "drill", "own/presented"]);

    let refused = run(&running, &machine.path("ann"), &["deliveries", "redrive", "standard-error"]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("no dead letter"), "{}", err(&refused));
    let refused = run(&running, &machine.path("ann"), &["alerts", "ack", "nothing"]);
    assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
    let refused = run(&running, &machine.path("ann"), &["alerts", "show", "nothing"]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("no incident"), "{}", err(&refused));
    std::fs::write(machine.path("nobody"), "nobody").unwrap();
    let refused = run(&running, &machine.path("nobody"), &["alerts", "list"]);
    assert!(err(&refused).contains("an operator's bearer token"), "{}", err(&refused));
    running.stop();
}
