//! Whatever lowers what keywatch does is told by an alert that no silence covers: a start that lets the rules do less than the one
//! before, an inventory that declares less, and a rule that people put into shadow or switch off while it runs, which takes two.

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::operators::{ask, get, machine, post, run, said_to};
use crate::running::machine::{Machine, Rule, Running, presented};
use crate::support::clock::now;
use crate::support::command::err;
use crate::support::meanwhile::until;

const PRESENTED: Rule = Rule {
    id: "own/presented",
    sql: "SELECT event_id, actor AS entity, actor, session FROM events WHERE kind = 'session.presented'",
};

/// What was found about the configuration so far.
fn found(machine: &Machine) -> Vec<Value> {
    let found = machine.conclusions().filter(|event| event.kind() == "finding.created");
    let found = found.map(|event| event.detail().value());
    found.filter(|finding| finding["rule"] == "keywatch/protection_lowered").collect()
}

#[tokio::test]
async fn a_start_with_less_protection_is_told_once() {
    let machine = Machine::with_this_rule_alone(PRESENTED);
    machine.start().await.stop();
    assert!(found(&machine).is_empty(), "there was nothing before");
    machine.configure("[alerting]\nshadow = true\n");
    machine.start().await.stop();
    let lowered = found(&machine);
    assert_eq!(lowered.len(), 1, "{lowered:?}");
    let title = lowered[0]["title"].as_str().unwrap();
    assert!(title.ends_with("in shadow: own/presented"), "{title}");
    machine.start().await.stop();
    assert_eq!(found(&machine).len(), 1, "it is as before");
    let configured = machine.conclusions().filter(|event| event.kind() == "protection.configured").count();
    assert_eq!(configured, 2, "two configurations, three starts");
}

/// Titles of what was found about lowered protection so far.
fn titles(machine: &Machine) -> Vec<String> {
    found(machine).iter().map(|finding| finding["title"].as_str().unwrap().to_owned()).collect()
}

/// The wall clock's time, that many seconds ahead.
fn ahead(seconds: i64) -> Instant {
    now().saturating_add(seconds * SECOND_NS)
}

fn wanted(to: &str, seconds: i64) -> Value {
    json!({ "system": "cold", "rule": "own/presented", "to": to, "reason": "a migration", "until": ahead(seconds) })
}

/// Somebody presents a session, and how often their incident has paged is returned once it is there.
async fn pages_about(running: &Running, actor: &str) -> u64 {
    running.send([presented(&format!("session-of-{actor}"), actor, 1)]).await;
    let title = format!("Something about {actor}");
    let of_actor = || async {
        let answer = get(running, "/v1/incidents").await;
        let incidents = answer["incidents"].as_array().unwrap();
        incidents.iter().find(|incident| incident["title"] == title.as_str()).and_then(|one| one["pages"].as_u64())
    };
    until("the incident is there", || async { of_actor().await.is_some() }).await;
    of_actor().await.unwrap()
}

/// The one switch that there is.
async fn switch(running: &Running) -> Value {
    let answer = get(running, "/v1/switches?rule=own/presented").await;
    assert_eq!(answer["switches"].as_array().unwrap().len(), 1, "{answer}");
    answer["switches"][0].clone()
}

#[tokio::test]
async fn a_rule_is_switched_off_by_two_people_who_may() {
    let machine = machine();
    let running = machine.start().await;
    let far = 15 * 86_400;
    for (token, body, expected) in [
        ("", wanted("off", 3_600), StatusCode::UNAUTHORIZED),
        ("token", wanted("off", 3_600), StatusCode::UNAUTHORIZED),
        ("vera", wanted("off", 3_600), StatusCode::FORBIDDEN),
        ("ann", wanted("off", 3_600), StatusCode::FORBIDDEN),
        ("ann", wanted("on", 0), StatusCode::FORBIDDEN),
        ("stranger", wanted("off", 3_600), StatusCode::FORBIDDEN),
        ("bob", wanted("off", far), StatusCode::CONFLICT),
        ("bob", wanted("off", -60), StatusCode::CONFLICT),
        ("bob", wanted("on", 0), StatusCode::CONFLICT),
        ("bob", wanted("away", 3_600), StatusCode::BAD_REQUEST),
        (
            "bob",
            json!({ "system": "cold", "rule": "own/presented", "to": "off", "reason": "r" }),
            StatusCode::BAD_REQUEST,
        ),
        (
            "bob",
            json!({ "system": "cold", "rule": "own/other", "to": "off", "reason": "r", "until": ahead(60) }),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let (status, answer) = ask(&running, token, Method::POST, "/v1/switches", Some(body)).await;
        assert_eq!(status, expected, "{token}: {answer}");
    }
    let asked = post(&running, "bob", "/v1/switches", wanted("off", 3_600)).await;
    assert_eq!(asked["switches"][0]["status"], "waiting for a second person", "{asked}");
    assert_eq!(pages_about(&running, "alice").await, 1, "one person alone");
    let approve = format!("/v1/switches/{}/approve", asked["switches"][0]["id"].as_str().unwrap());
    for (token, expected) in [
        ("vera", StatusCode::FORBIDDEN),
        ("ann", StatusCode::FORBIDDEN),
        ("stranger", StatusCode::NOT_FOUND),
        ("bob", StatusCode::CONFLICT),
    ] {
        let (status, answer) = ask(&running, token, Method::POST, &approve, None).await;
        assert_eq!(status, expected, "{token}: {answer}");
    }
    let agreed = post(&running, "carol", &approve, json!({})).await;
    assert_eq!(agreed["switches"][0]["status"], "active", "{agreed}");
    assert_eq!(pages_about(&running, "eve").await, 0, "it is found, and nobody is told");
    let (_, seen) = ask(&running, "stranger", Method::GET, "/v1/switches", None).await;
    assert_eq!(seen, json!({ "systems": ["hot"], "switches": [] }), "another's systems");
    let report = get(&running, "/v1/handover").await;
    assert_eq!(report["switches"], agreed["switches"], "{report}");
    running.stop();
    let titles = titles(&machine);
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].starts_with("bob asks to switch own/presented off"), "{titles:?}");
    assert!(titles[1].starts_with("bob and carol switched own/presented off"), "{titles:?}");
}

#[tokio::test]
async fn what_is_switched_stands_after_kill_9_and_after_a_fold_of_the_whole_log() {
    let machine = machine();
    let running = machine.start().await;
    let asked = post(&running, "bob", "/v1/switches", wanted("off", 3_600)).await;
    let id = asked["switches"][0]["id"].as_str().unwrap().to_owned();
    post(&running, "carol", &format!("/v1/switches/{id}/approve"), json!({})).await;
    let before = switch(&running).await;
    // Without warning.
    drop(running);

    let running = machine.start().await;
    assert_eq!(switch(&running).await, before);
    assert_eq!(pages_about(&running, "eve").await, 0);
    running.stop();
    std::fs::remove_dir_all(machine.path("keywatch-data/alerting-state")).unwrap();
    let running = machine.start().await;
    assert_eq!(switch(&running).await, before, "without what was kept");
    assert_eq!(pages_about(&running, "mallory").await, 0);
    let on = json!({ "system": "cold", "rule": "own/presented", "to": "on", "reason": "it is done" });
    let raised = post(&running, "bob", "/v1/switches", on).await;
    assert_eq!(
        (&raised["switches"][0]["status"], &raised["switches"][0]["ended_by"]),
        (&json!("ended"), &json!("bob"))
    );
    assert_eq!(pages_about(&running, "dave").await, 1, "one person is enough to switch it on");
    running.stop();
    let kinds: Vec<String> = machine.conclusions().map(|event| event.kind().to_owned()).collect();
    for kind in ["protection.switch_asked", "protection.switch_approved", "protection.switch_ended"] {
        assert_eq!(kinds.iter().filter(|of| *of == kind).count(), 1, "{kind}");
    }
    assert_eq!(titles(&machine).len(), 2, "asked for and agreed to, each told once over three starts");
}

#[tokio::test]
async fn a_rule_is_on_again_when_its_time_is_over() {
    let machine = machine();
    let running = machine.start().await;
    let asked = post(&running, "bob", "/v1/switches", wanted("off", 15)).await;
    let id = asked["switches"][0]["id"].as_str().unwrap().to_owned();
    post(&running, "carol", &format!("/v1/switches/{id}/approve"), json!({})).await;
    assert_eq!(pages_about(&running, "eve").await, 0);
    until("its time is over", || async { switch(&running).await["status"] == "expired" }).await;
    assert_eq!(pages_about(&running, "mallory").await, 1);
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_switched_with_the_subcommands() {
    let machine = machine();
    let running = machine.start().await;
    for name in ["ann", "bob", "carol", "vera"] {
        std::fs::write(machine.path(name), format!("{name}\n")).unwrap();
    }
    let as_who =
        |name: &str, arguments: &[&str], expected: &[&str]| said_to(&running, &machine.path(name), arguments, expected);
    let end = ahead(3_600).to_string();
    as_who("vera", &["detectors", "switches"], &["nobody has switched a rule"]);
    let shadow = ["detectors", "shadow", "own/presented", "--until", &end, "--reason", "a migration", "--json"];
    let asked: Value = serde_json::from_str(&as_who("bob", &shadow, &["waiting for a second person"])).unwrap();
    let id = asked["switches"][0]["id"].as_str().unwrap();
    as_who("carol", &["detectors", "approve", id], &["active", "own/presented", "shadow", "cold", "bob, carol"]);
    let running_rules = ["own/presented", "shadow in cold until", "by bob and carol: a migration"];
    as_who("vera", &["detectors", "list", "--running"], &running_rules);
    as_who("ann", &["alerts", "handover"], &["rules in shadow or off: 1", "a migration"]);
    assert_eq!(pages_about(&running, "alice").await, 1, "in shadow it pages");
    let on = ["detectors", "on", "own/presented", "--reason", "it is done"];
    let refused = run(&running, &machine.path("vera"), &on);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("vera may not"), "{}", err(&refused));
    let several = run(&running, &machine.path("ann"), &on);
    assert!(several.status.code() == Some(2) && err(&several).contains("cold, hot"), "{}", err(&several));
    as_who("bob", &on, &["ended"]);
    as_who("vera", &["detectors", "list", "--running"], &[" on "]);
    running.stop();
}

#[tokio::test]
async fn an_inventory_that_declares_less_is_told_while_keywatch_runs_and_at_a_start() {
    let machine = machine();
    let file = machine.path("inventory.toml");
    let full = std::fs::read_to_string(&file).unwrap();
    let spare = "[[systems.sources]]\nsource = \"spare\"\nfeed = \"events\"\n";
    let wallet = "[[systems.wallets]]\nwallet = \"0xa\"\nchain = \"ethereum\"\n";
    // They are of the last system, `hot`.
    std::fs::write(&file, format!("{full}{spare}{wallet}")).unwrap();
    let running = machine.start().await;
    std::fs::write(&file, format!("{full}{spare}")).unwrap();
    until("somebody is told", || async {
        let (_, answer) = ask(&running, "stranger", Method::GET, "/v1/incidents", None).await;
        answer["incidents"][0]["pages"] == 1
    })
    .await;
    running.stop();
    let told = titles(&machine);
    assert!(told.len() == 1 && told[0].ends_with("; wallets declared no more: 0xa"), "{told:?}");

    std::fs::write(&file, &full).unwrap();
    machine.start().await.stop();
    let told = titles(&machine);
    assert!(told.len() == 2 && told[1].ends_with("; sources declared no more: spare"), "{told:?}");
}

#[tokio::test]
async fn a_start_without_a_system_that_was_watched_is_told_once() {
    let machine = Machine::with_this_rule_alone(PRESENTED);
    let file = machine.path("inventory.toml");
    let cold = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{cold}\n[[systems]]\nid = \"hot\"\n")).unwrap();
    machine.start().await.stop();
    assert!(found(&machine).is_empty(), "there was nothing before");
    std::fs::write(&file, &cold).unwrap();
    for _ in 0..2 {
        machine.start().await.stop();
        let lowered = found(&machine);
        assert_eq!(lowered.len(), 1, "{lowered:?}");
        assert_eq!(lowered[0]["system"], "hot");
        assert!(lowered[0]["title"].as_str().unwrap().contains("without system hot"), "{lowered:?}");
    }
}
