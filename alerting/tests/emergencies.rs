//! Emergency access: nobody who has it by a registered case that is open is cut off without a person, and everybody else is.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywatch_alerting::{Action, CompromiseRequest, Executor, Sink, Terminal};
use keywatch_store::event::Origin;
use keywatch_store::finding::Target;
use keywatch_store::{Event, Finding, Log, Topic};
use serde_json::json;

use crate::support::{FaultyPdp, MortalLog, SESSION, SYSTEM, at, executor, finding, input};

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
    over(&log, &FaultyPdp::new())
}

fn over(log: &Arc<MortalLog>, pdp: &Arc<FaultyPdp>) -> Executor {
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Terminal::new("terminal", std::io::sink()))];
    executor(log, pdp, sinks)
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
        executor.compromised(request, &BTreeMap::new(), "ann", at(1_000)).await.unwrap();
        // The finding itself is on another source's word.
        let finding = Finding { source: "node".into(), ..finding("1", 0) };
        assert_eq!(outcome(&executor, &finding).await.0, revoked, "{what}");
    }
}

/// The same person, found by another rule's entity, so that no alert stands for it already.
fn again(id: &str, seconds: i64) -> Finding {
    Finding { entity: id.into(), ..finding(id, seconds) }
}

#[tokio::test]
async fn p5_what_a_case_held_up_is_revoked_by_the_next_finding_once_it_is_over() {
    // The case was opened twenty seconds before, and lasts for a day at most.
    let expires = 86_400 - 20;
    let closed = vec![said("custody.break_glass", "alice", "closed", 30)];
    let left = vec![said("custody.person", "bob", "inactive", 30)];
    for (how, then, last_open, first_over) in [
        ("it expires", Vec::new(), expires - 1, expires),
        ("it is closed", closed, 20, 40),
        ("the second person leaves the register", left, 20, 40),
    ] {
        let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
        log.append(Topic::Events, opened()).unwrap();
        let executor = over(&log, &pdp);
        executor.resume().await.unwrap();
        let (revoked, why) = outcome(&executor, &again("1", 0)).await;
        assert!(!revoked && why.contains("alice has emergency access"), "{how}: {why}");
        assert!(!outcome(&executor, &again("2", last_open)).await.0, "{how}: it is open still");
        assert!(pdp.allows(&input(SESSION)), "{how}: nobody was cut off");

        let first = log.end(Topic::Events);
        let appended = log.append(Topic::Events, then).unwrap().written;
        executor.observe(first, &appended);
        assert!(outcome(&executor, &again("3", first_over)).await.0, "{how}");
        assert!(!pdp.allows(&input(SESSION)), "{how}: the session is cut");
    }
}

#[tokio::test]
async fn a_case_that_is_opened_anew_lasts_for_a_day_from_then_on() {
    let anew = [opened(), vec![said("custody.break_glass", "alice", "open", 80_000)]].concat();
    assert!(
        !outcome(&after(anew.clone()), &finding("1", 90_000)).await.0,
        "a day after the first, not after the second"
    );
    assert!(outcome(&after(anew), &finding("1", 80_000 + 86_400)).await.0);
}
