//! What people decide on responses of a running keywatch, over the API and with the subcommands: by one person, by two, by
//! nobody who may not; carried out at a real Open Policy Agent, and taken back there.

use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::operators::{ask, get, post, run, with_operators};
use crate::running::machine::{Machine, Rule, Running};
use crate::support::command::{err, out};
use crate::support::meanwhile::until;
use crate::support::opa::Opa;
use crate::support::revoking::{client, healthy, now};

/// Asks that every session that is presented be stopped, and its device.
const PRESENTED: Rule = Rule {
    id: "own/presented",
    sql: "SELECT event_id, actor AS entity, actor, session, device FROM events WHERE kind = 'session.presented'",
};

/// A machine with operators and that rule, of which one source alone speaks; with more in the configuration.
pub(crate) fn machine(more: &str) -> Machine {
    let machine = with_operators(Machine::with_this_rule_alone(PRESENTED));
    let change = |file: &str, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(machine.path(file)).unwrap();
        std::fs::write(machine.path(file), change(text)).unwrap();
    };
    change("rules/own/presented.sql", &|rule| {
        let asked = "suppress_for: 1h\nresponse: [session, device]";
        rule.replace("severity: low", "severity: high").replace("suppress_for: 1h", asked)
    });
    change("keywatch.toml", &|config| format!("{config}\n{more}"));
    // However slow the machine is: what came late is told with another reason.
    change("inventory.toml", &|inventory| {
        inventory.replacen("feed = \"events\"\n", "feed = \"events\"\nmax_delay_seconds = 600\n", 1)
    });
    machine
}

/// Somebody presents a session; the id of the response that is proposed.
pub(crate) async fn proposed(running: &Running, session: &str, actor: &str, device: Option<&str>) -> String {
    let mut event = json!({
        "id": session, "kind": "session.presented", "event_time": now(), "actor": actor, "session": session, "asn": 5,
    });
    if let Some(device) = device {
        event["device"] = json!(device);
    }
    running.send([event]).await;
    let path = format!("/v1/responses?session={session}");
    until("a response is proposed", || async { get(running, &path).await["total"] == 1 }).await;
    get(running, &path).await["responses"][0]["id"].as_str().unwrap().to_owned()
}

fn because(reason: &str) -> Value {
    json!({ "reason": reason })
}

/// What it is answered with that is no success.
async fn refused(running: &Running, token: &str, path: &str, body: Value) -> (StatusCode, String) {
    let (status, answer) = ask(running, token, Method::POST, path, Some(body)).await;
    let error = answer["error"].as_str().unwrap_or_default().to_owned();
    assert!(!status.is_success() && !error.is_empty(), "{token} {path}: {status} {answer}");
    (status, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn p5_one_person_approves_it_is_denied_and_another_takes_it_back() {
    let opa = tokio::task::spawn_blocking(Opa::start).await.unwrap();
    let point =
        format!("[[decision_points]]\nsystem = \"cold\"\nopa = \"{}\"\ncontrol_file = \"control.json\"\n", opa.url());
    let machine = machine(&point);
    std::fs::write(machine.path("control.json"), healthy().to_string()).unwrap();
    let running = machine.start().await;
    let allows = |session: &'static str| {
        let pdp = client(&opa);
        async move {
            let mut input = healthy();
            input["session_id"] = json!(session);
            pdp.ask(&input).await.unwrap().allow
        }
    };
    until("the document is there", || allows("s-of-mallory")).await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    let listed = get(&running, "/v1/responses?status=proposed&system=cold").await["responses"][0].clone();
    for (field, expected) in [
        ("id", json!(id)),
        ("actor", json!("mallory")),
        ("needed", json!(1)),
        ("approvals", json!([])),
        ("in_force", json!(false)),
        ("trust_groups", json!([])),
    ] {
        assert_eq!(listed[field], expected, "{field} of {listed}");
    }
    assert!(!listed.to_string().contains("s-of-mallory"), "a list shortens sessions: {listed}");
    let by_incident = format!("/v1/responses?incident={}", listed["incident"].as_str().unwrap());
    assert_eq!(get(&running, &by_incident).await["total"], 1);
    assert!(allows("s-of-mallory").await, "a proposal stops nothing");

    let path = format!("/v1/responses/{id}");
    let done = post(&running, "bob", &format!("{path}/approve"), because("nobody knows of it")).await;
    assert_eq!((&done["outcome"], &done["now"]["status"]), (&json!("decided"), &json!("denied_at_pdp")), "{done}");
    assert!(!allows("s-of-mallory").await && allows("s-of-others").await);
    let (status, error) = refused(&running, "carol", &format!("{path}/approve"), because("me too")).await;
    assert!(status == StatusCode::CONFLICT && error.contains("denied_at_pdp (decided on by bob)"), "{error}");

    let undone = post(&running, "carol", &format!("{path}/undo"), because("it was the new laptop")).await;
    assert_eq!(undone["now"]["status"], "undone", "{undone}");
    assert!(allows("s-of-mallory").await, "it is let in again");
    let (status, error) = refused(&running, "bob", &format!("{path}/undo"), because("again")).await;
    assert!(status == StatusCode::CONFLICT && error.contains("nothing to take back"), "{error}");
    let told = get(&running, "/v1/alerts?rule=keywatch/response_undone").await;
    assert!(told["alerts"][0]["title"].as_str().unwrap().contains("carol took a revocation back"), "{told}");

    // Without warning; the records say the same.
    let shown = get(&running, &path).await;
    drop(running);
    let running = machine.start().await;
    assert_eq!(get(&running, &path).await, shown);
    let said = shown["rulings"].as_array().unwrap().iter().map(|ruling| [&ruling["by"], &ruling["reason"]]);
    let expected =
        [["bob", "nobody knows of it"], ["carol", "it was the new laptop"]].map(|said| said.map(Value::from));
    assert!(said.eq(expected.iter().map(|[by, reason]| [by, reason])), "{shown}");
    assert_eq!(shown["names"], json!({ "sessions": ["s-of-mallory"] }), "who asks for one sees all of it");
    assert_eq!(shown["finding"]["meaning"], "It is there for a test.");
    running.stop();
    let record = machine.record();
    let read = record.conclusions.iter().filter(|event| event.kind() == "operator.read");
    assert_eq!(read.count(), 2, "what was shown is written down");
    for (kind, who) in [("response.approved", "bob"), ("response.undone", "carol")] {
        let of_kind: Vec<_> = record.events.iter().filter(|event| event.kind() == kind).collect();
        assert_eq!(of_kind.len(), 1, "{kind}");
        assert!(of_kind[0].actor() == Some(who) && of_kind[0].reason().is_some(), "{kind}");
    }
}

#[tokio::test]
async fn where_two_have_to_agree_they_are_two_and_neither_is_whom_it_is_about() {
    let machine = machine("[alerting.approvals]\npeople = 2\n");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    let approve = format!("/v1/responses/{id}/approve");
    for _ in 0..2 {
        let waits = post(&running, "bob", &approve, because("nobody knows of it")).await;
        assert_eq!(waits["outcome"], "waits", "{waits}");
        let (now, approvals) = (&waits["now"], json!(["bob"]));
        assert_eq!(
            (&now["status"], &now["approvals"]),
            (&json!("proposed"), &approvals),
            "the same person twice is one"
        );
    }
    let done = post(&running, "carol", &approve, because("I called them")).await;
    assert_eq!((&done["outcome"], &done["now"]["approved_by"]), (&json!("decided"), &json!("bob, carol")), "{done}");
    // This system has no decision point, and that is said.
    assert_eq!(done["now"]["status"], "failed", "{done}");
    assert!(done["now"]["because"].as_str().unwrap().contains("no policy decision point"), "{done}");

    let own = proposed(&running, "s-of-carol", "Carol", None).await;
    for act in ["approve", "reject"] {
        let path = format!("/v1/responses/{own}/{act}");
        let (status, error) = refused(&running, "carol", &path, because("it is fine")).await;
        assert!(status == StatusCode::FORBIDDEN && error.contains("somebody else has to decide"), "{error}");
    }
    running.stop();
    assert_eq!(machine.record().events.iter().filter(|event| event.kind() == "response.approved").count(), 2);
}

#[tokio::test]
async fn a_session_that_two_people_let_in_again_waits_for_the_second() {
    let machine = machine("[alerting.approvals]\nundo_approvals = 2\n");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    post(&running, "bob", &format!("/v1/responses/{id}/approve"), because("nobody knows of it")).await;
    let restore = json!({ "session": "s-of-mallory", "reason": "the new laptop" });
    for (name, outcome) in [("bob", "undo_waits"), ("bob", "undo_waits"), ("carol", "undone")] {
        let answer = post(&running, name, "/v1/sessions/restore", restore.clone()).await;
        let restored = &answer["undone"][0];
        assert_eq!((&restored["response"], &restored["outcome"]), (&json!(id), &json!(outcome)), "{name}: {answer}");
        assert_eq!(restored["now"]["status"] == "undone", outcome == "undone", "{answer}");
    }
    running.stop();
}

#[tokio::test]
async fn nobody_decides_whom_role_system_or_time_do_not_allow() {
    let machine = machine("");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    let path = |act: &str| format!("/v1/responses/{id}/{act}");
    // It is proposed only: nothing stands that could be taken back.
    let restore = || json!({ "session": "s-of-mallory", "reason": "r" });
    for (token, path, body, expected) in [
        ("", path("approve"), because("r"), StatusCode::UNAUTHORIZED),
        ("token", path("approve"), because("r"), StatusCode::UNAUTHORIZED),
        ("vera", path("approve"), because("r"), StatusCode::FORBIDDEN),
        ("ann", path("approve"), because("r"), StatusCode::FORBIDDEN),
        ("ann", path("undo"), because("r"), StatusCode::FORBIDDEN),
        ("stranger", path("approve"), because("r"), StatusCode::NOT_FOUND),
        ("bob", "/v1/responses/nothing/approve".to_owned(), because("r"), StatusCode::NOT_FOUND),
        ("bob", path("explode"), because("r"), StatusCode::NOT_FOUND),
        ("bob", path("approve"), json!({}), StatusCode::BAD_REQUEST),
        ("ann", "/v1/sessions/restore".to_owned(), restore(), StatusCode::FORBIDDEN),
        ("bob", "/v1/sessions/restore".to_owned(), restore(), StatusCode::NOT_FOUND),
        ("bob", "/v1/sessions/restore".to_owned(), because("r"), StatusCode::BAD_REQUEST),
        ("bob", path("approve"), because(" "), StatusCode::CONFLICT),
        ("bob", path("undo"), because("r"), StatusCode::CONFLICT),
    ] {
        let (status, error) = refused(&running, token, &path, body).await;
        assert_eq!(status, expected, "{token} {path}: {error}");
    }
    for (token, path, expected) in [
        ("stranger", format!("/v1/responses/{id}"), StatusCode::NOT_FOUND),
        ("vera", format!("/v1/responses/{id}"), StatusCode::OK),
        ("vera", "/v1/responses?status=gone".to_owned(), StatusCode::BAD_REQUEST),
        ("vera", "/v1/responses?colour=red".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let (status, answer) = ask(&running, token, Method::GET, &path, None).await;
        assert_eq!(status, expected, "{token} {path}: {answer}");
    }
    let (_, seen) = ask(&running, "stranger", Method::GET, "/v1/responses", None).await;
    assert_eq!(seen["total"], 0);
    let (_, me) = ask(&running, "bob", Method::GET, "/v1/me", None).await;
    assert_eq!(me["may"], json!(["read", "handle", "silence", "respond", "switch"]));

    let rejected = post(&running, "bob", &path("reject"), because("a drill")).await;
    assert_eq!((&rejected["outcome"], &rejected["now"]["because"]), (&json!("rejected"), &json!("a drill")));
    let (status, error) = refused(&running, "carol", &path("approve"), because("r")).await;
    assert!(status == StatusCode::CONFLICT && error.contains("is rejected (decided on by bob)"), "{error}");
    running.stop();
    let record = machine.record();
    assert_eq!(record.about_the_rule("response.rejected"), 1);
    assert_eq!(record.about_the_rule("response.requested"), 0);
}

#[tokio::test]
async fn what_has_waited_too_long_can_be_approved_no_more() {
    let machine = machine("[alerting.approvals]\nexpire_after_hours = 0\n");
    let running = machine.start().await;
    let id = proposed(&running, "s-of-mallory", "mallory", None).await;
    // As soon as log time has gone on.
    let expired = || async { get(&running, "/v1/responses?status=expired").await["total"] == 1 };
    until("it has expired", expired).await;
    let (status, error) = refused(&running, "bob", &format!("/v1/responses/{id}/approve"), because("too late")).await;
    assert!(status == StatusCode::CONFLICT && error.contains("has expired"), "{error}");
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_and_sessions_with_the_subcommands() {
    let machine = machine("");
    let running = machine.start().await;
    let first = proposed(&running, "s-of-mallory", "mallory", Some("laptop-7")).await;
    let second = proposed(&running, "s-of-eve", "eve", None).await;
    let (first, second) = (first.as_str(), second.as_str());
    for name in ["ann", "bob"] {
        std::fs::write(machine.path(name), format!("{name}\n")).unwrap();
    }
    let ran = |name: &str, arguments: &[&str], code: i32, expected: &[&str]| {
        let done = run(&running, &machine.path(name), arguments);
        let said = format!("{}{}", out(&done), err(&done));
        assert_eq!(done.status.code(), Some(code), "{arguments:?}: {said}");
        for part in expected {
            assert!(said.contains(part), "{arguments:?}: no `{part}` in\n{said}");
        }
        said
    };
    ran("ann", &["responses", "list"], 0, &[first, second, "waits for 1 person until", "eve", "own/presented"]);
    let shown = [
        "HIGH Something about mallory",
        "stops        session s-of-mallory",
        "stops        device laptop-7",
        "waits for 1 person until",
        "one trust group alone says so",
        "no source that counts as a witness",
        "It is there for a test.",
    ];
    ran("ann", &["responses", "show", first], 0, &shown);
    ran("ann", &["responses", "approve", first, "--reason", "r"], 2, &["responder or admin does"]);
    ran("bob", &["responses", "approve", first], 2, &["--reason"]);
    let approved = ["approved, and decided", "approved by bob, NOT in force everywhere", "no policy decision point"];
    ran("bob", &["responses", "approve", first, "--reason", "nobody knows of it"], 0, &approved);
    ran("bob", &["responses", "reject", second, "--reason", "a drill"], 0, &["rejected by bob: a drill"]);
    ran("bob", &["responses", "undo", second, "--reason", "r"], 2, &["nothing to take back"]);

    let restore = ["sessions", "restore", "s-of-mallory", "--reason", "the new laptop"];
    ran("bob", &restore, 2, &[first, "device laptop-7", "--with-the-rest"]);
    let all = [&restore[..], &["--with-the-rest"]].concat();
    ran("bob", &all, 0, &["taken back by bob: the new laptop"]);
    ran("bob", &all, 2, &["no revocation of this session"]);
    let said = ["bob approved: nobody knows of it", "bob undone: the new laptop", "taken back by bob"];
    ran("ann", &["responses", "show", first], 0, &said);
    let listed = ran("ann", &["responses", "list", "--status", "undone", "--json"], 0, &[]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["total"], &listed["responses"][0]["id"]), (&json!(1), &json!(first)));
    ran("ann", &["responses", "list", "--status", "proposed"], 0, &["no responses"]);
    running.stop();
}
