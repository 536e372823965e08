//! Emergency access: nobody who has it by a registered case that is open is cut off without a person, and everybody else is.

use std::collections::BTreeSet;
use std::sync::Arc;

use keywatch_alerting::{Action, CompromiseRequest, Executor, Sink, Terminal};
use keywatch_store::event::Origin;
use keywatch_store::finding::Target;
use keywatch_store::{Event, Finding, Log, Topic};
use serde_json::json;

use crate::support::{FaultyPdp, MortalLog, SYSTEM, at, executor, finding};

fn said(kind: &str, person: &str, outcome: &str, seconds: i64) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "custody".into() };
    let mut event = Event::builder(&origin, &format!("{kind}/{person}/{seconds}"), kind, at(seconds));
    event.time(at(seconds));
    event.actor(person);
    event.outcome(outcome);
    if kind == "custody.break_glass" {
        event.detail(&json!({ "with": "bob", "two_people": true }));
    }
    event.build_own()
}

/// Alice and bob are in the register, and alice has opened emergency access with bob.
fn opened() -> Vec<Event> {
    vec![
        said("custody.person", "alice", "active", -30),
        said("custody.person", "bob", "active", -29),
        said("custody.break_glass", "alice", "open", -20),
    ]
}

fn after(events: Vec<Event>) -> Executor {
    let log = MortalLog::immortal();
    log.append(Topic::Events, events).unwrap();
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Terminal::new("terminal", std::io::sink()))];
    executor(&log, &FaultyPdp::new(), sinks)
}

/// Whether it is revoked without a person, and why not.
async fn outcome(executor: &Executor, finding: &Finding) -> (bool, String) {
    let actions = executor.take(finding).await.unwrap();
    let why = actions.iter().find_map(|action| match action {
        Action::Propose(response) => Some(response.why.clone()),
        _ => None,
    });
    (actions.iter().any(|action| matches!(action, Action::Revoke(_))), why.unwrap_or_default())
}

#[tokio::test]
async fn a_person_decides_while_a_registered_case_is_open_and_only_then() {
    let (revoked, why) = outcome(&after(opened()), &finding("1", 0)).await;
    assert!(!revoked && why.contains("alice has emergency access"), "{why}");
    let wallet = Finding { response: vec![Target::Wallet], ..finding("1", 0) };
    assert!(outcome(&after(opened()), &wallet).await.0, "nobody is cut off by that");
    let eve = Finding { actor: Some("eve".into()), ..finding("1", 0) };
    assert!(outcome(&after(opened()), &eve).await.0, "it is not her case");
    let closed = [opened(), vec![said("custody.break_glass", "alice", "closed", -10)]].concat();
    assert!(outcome(&after(closed), &finding("1", 0)).await.0, "it is over");
    let unregistered = vec![said("custody.break_glass", "alice", "open", -20)];
    assert!(outcome(&after(unregistered), &finding("1", 0)).await.0, "nobody knows them");
    assert!(outcome(&after(opened()), &finding("1", 86_400)).await.0, "it has lasted for a day");
    assert!(outcome(&after(Vec::new()), &finding("1", 0)).await.0, "there is no case");
}

#[tokio::test]
async fn a_case_that_rests_on_a_stolen_credential_exempts_nobody() {
    for (what, since, until, revoked) in [
        ("the case", -25, 500, true),
        ("what the register says of alice", -35, -29, true),
        ("what the register says of bob", -29, -25, true),
        ("nothing of it", -19, 500, false),
    ] {
        let executor = after(opened());
        let request = CompromiseRequest {
            system: SYSTEM.into(),
            source: "custody".into(),
            since: at(since),
            until: Some(at(until)),
            reason: "found in a paste".into(),
        };
        executor.compromised(request, BTreeSet::new(), "ann", at(1_000)).await.unwrap();
        // The finding itself is on another source's word.
        let finding = Finding { source: "node".into(), ..finding("1", 0) };
        assert_eq!(outcome(&executor, &finding).await.0, revoked, "{what}");
    }
}
