//! Attacks on what keywatch may do alone: a forged feed that wants everybody cut off, decoys that use up the budget; and
//! what people decide on what is left.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::support::{
    FaultyPdp, MortalLog, SYSTEM, allowed, at, control, executor, finding, input, inventory, policy, until,
};
use keywatch_alerting::lifecycle::record::{finding_created, records};
use keywatch_alerting::policy::settings::{Approvals, Budgets};
use keywatch_alerting::{
    Action, AlertState, Approval, Dependencies, EnforcementPoint, Error, Executor, Policy, Response, Schedule, plan,
};
use keywatch_store::event::Origin;
use keywatch_store::finding::{Proof, Target};
use keywatch_store::{Event, Finding, Log, Severity, Topic};
use serde_json::Value;

/// A session that the identity provider opened.
fn opened(session: &str, seconds: i64) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "idp".into() };
    let mut event = Event::builder(&origin, session, "session.started", at(seconds));
    event.time(at(seconds));
    event.session(session);
    event.outcome("success");
    event.build_own()
}

/// A finding that would cut a session off, on the word of a source.
fn against(session: &str, seconds: i64, source: &str) -> Finding {
    Finding {
        source: source.into(),
        rule: format!("forged/{source}"),
        entity: session.into(),
        session: Some(session.into()),
        request: None,
        wallet: None,
        response: vec![Target::Session],
        ..finding(session, seconds)
    }
}

fn play(state: &mut AlertState, findings: &[Finding], policy: &Policy) -> (Vec<Response>, Vec<Response>) {
    let (mut revoked, mut proposed) = (Vec::new(), Vec::new());
    for finding in findings {
        state.apply(&finding_created(finding));
        let actions = plan(finding, state, policy);
        for (_, record) in records(&actions) {
            state.apply(&record);
        }
        for action in actions {
            match action {
                Action::Revoke(response) => revoked.push(response),
                Action::Propose(response) => proposed.push(response),
                _ => {}
            }
        }
    }
    (revoked, proposed)
}

#[test]
fn a_forged_feed_that_wants_everybody_cut_off_is_stopped() {
    let everybody: Vec<String> = (0..100).map(|person| format!("session-{person}")).collect();
    let mut state = AlertState::default();
    everybody.iter().for_each(|session| state.apply(&opened(session, -600)));
    assert_eq!(state.sessions().count(SYSTEM, at(0)), 100);
    // With budgets so wide that only the share holds.
    let wide = Budgets {
        rule_per_hour: 1000,
        source_per_hour: 1000,
        system_per_hour: 1000,
        system_per_minute: 1000,
        ..Budgets::default()
    };
    let share_alone = Policy { budgets: wide, ..policy() };
    let forged: Vec<Finding> =
        everybody.iter().zip(0..).map(|(session, second)| against(session, second, "safe")).collect();
    let (revoked, proposed) = play(&mut state, &forged, &share_alone);
    assert_eq!((revoked.len(), proposed.len()), (20, 80), "a fifth of the sessions, and no more without a person");
    assert!(proposed.iter().all(|response| response.over_limit && response.why.contains("of 100 open sessions")));
    // With the budgets as they are, the source is stopped before.
    let mut state = AlertState::default();
    everybody.iter().for_each(|session| state.apply(&opened(session, -600)));
    let (revoked, proposed) = play(&mut state, &forged, &policy());
    assert_eq!((revoked.len(), proposed.len()), (10, 90));
}

#[test]
fn in_a_minute_only_so_much_is_done_alone() {
    let mut state = AlertState::default();
    let at_once: Vec<Finding> = (0..12)
        .map(|number| Finding { rule: format!("r/{number}"), ..against(&format!("s-{number}"), 0, "safe") })
        .collect();
    let budgets = Budgets { system_per_minute: 4, ..Budgets::default() };
    let (revoked, proposed) = play(&mut state, &at_once, &Policy { budgets, ..policy() });
    assert_eq!((revoked.len(), proposed.len()), (4, 8));
    assert!(proposed[0].over_limit && proposed[0].why.contains("of a minute"), "{}", proposed[0].why);
    let later = Finding { rule: "r/later".into(), ..against("s-later", 61, "safe") };
    let (revoked, _) = play(&mut state, &[later], &Policy { budgets, ..policy() });
    assert_eq!(revoked.len(), 1, "a minute later there is something left");
}

/// Decoys of one source use up what that source has, and a real theft that another source proves is still answered.
#[test]
fn decoys_do_not_use_up_what_a_real_theft_needs() {
    let mut state = AlertState::default();
    // Each rule for itself stays within its budget; they come over ten minutes.
    let decoys: Vec<Finding> = (0..60)
        .map(|number| Finding {
            rule: format!("decoy/{}", number / 6),
            response: vec![Target::Request],
            request: Some(format!("0xdecoy{number}")),
            ..against(&format!("decoy-{number}"), i64::from(number) * 10, "safe")
        })
        .collect();
    let (revoked, proposed) = play(&mut state, &decoys, &policy());
    assert_eq!((revoked.len(), proposed.len()), (20, 40), "no more than the source's budget");
    let theft = Finding { source: "node".into(), ..finding("theft", 660) };
    let (revoked, _) = play(&mut state, &[theft], &policy());
    assert_eq!(revoked.len(), 1, "the theft is answered without a person");
}

#[test]
fn a_rule_and_a_system_can_be_in_shadow() {
    let in_shadow = |policy: Policy| {
        let (revoked, proposed) = play(&mut AlertState::default(), &[finding("1", 0)], &policy);
        revoked.is_empty() && proposed.len() == 1 && !proposed[0].over_limit
    };
    assert!(in_shadow(Policy { shadow_rules: ["signing/mismatch".to_owned()].into(), ..policy() }));
    assert!(in_shadow(Policy { shadow_systems: [SYSTEM.to_owned()].into(), ..policy() }));
    assert!(!in_shadow(Policy { shadow_rules: ["other/rule".to_owned()].into(), ..policy() }));
    assert!(!in_shadow(Policy { shadow_systems: ["other".to_owned()].into(), ..policy() }));
}

fn scene(approvals: Approvals) -> (Arc<MortalLog>, Arc<FaultyPdp>, Executor) {
    scene_under(Policy { approvals, ..Policy::default() })
}

fn scene_under(mut policy: Policy) -> (Arc<MortalLog>, Arc<FaultyPdp>, Executor) {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    policy.adopt(&inventory());
    let point = EnforcementPoint::new(Arc::clone(&pdp) as _, control());
    let executor = Executor::open(Dependencies {
        log: Arc::clone(&log) as _,
        policy,
        sites: [(SYSTEM.to_owned(), point)].into(),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: crate::support::milliseconds(&[5]),
        clock: crate::support::wall_clock(),
    })
    .unwrap();
    (log, pdp, executor)
}

fn asks() -> Finding {
    Finding { proof: Proof::Corroborated, ..finding("1", 0) }
}

async fn proposal(executor: &Executor) -> String {
    executor.resume().await.unwrap();
    let actions = executor.take(&asks()).await.unwrap();
    let Action::Propose(response) = &actions[0] else { panic!("{actions:?}") };
    response.id.clone()
}

#[tokio::test]
async fn two_people_have_to_agree_where_two_are_asked_for() {
    let (log, pdp, executor) = scene(Approvals { people: 2, ..Approvals::default() });
    let id = proposal(&executor).await;
    for (person, waits) in [("dora", true), ("Dora", true), ("emil", false)] {
        let approval = executor.approve(&id, person, "it is not us").await.unwrap();
        assert_eq!(matches!(approval, Approval::Waits { needed: 2, .. }), waits, "{person}: {approval:?}");
        assert_eq!(pdp.allows(&input(crate::support::SESSION)), waits, "{person}");
    }
    assert_eq!(log.of_kind("response.approved").len(), 2, "the same person twice is one");
    assert_eq!(log.of_kind("response.requested")[0].actor(), Some("dora, emil"));
    assert_eq!(executor.responses(Some(SYSTEM))[0].status(), "denied_at_pdp");
    assert!(executor.responses(Some("other")).is_empty());
}

#[tokio::test]
async fn who_is_concerned_or_has_no_name_decides_nothing() {
    let (_log, _pdp, executor) = scene(Approvals::default());
    let id = proposal(&executor).await;
    for person in ["alice", "ALICE", "", " dora"] {
        let error = executor.approve(&id, person, "it is not us").await.unwrap_err();
        assert!(matches!(error, Error::NotAllowed { .. }), "{person}: {error}");
    }
    let error = executor.reject("no such", "dora", "why").await.unwrap_err();
    assert!(matches!(error, Error::NoResponse { .. }), "{error}");
    for reason in [" ".to_owned(), "x".repeat(4_001)] {
        let error = executor.approve(&id, "dora", &reason).await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
    }
    let error = executor.undo(&id, "dora", "why").await.unwrap_err();
    assert!(error.to_string().contains("is proposed: there is nothing to take back"), "{error}");
}

#[tokio::test]
async fn who_is_known_by_two_names_is_one_person() {
    let known_as = |name: &str, alias: &str| (name.to_owned(), BTreeSet::from([alias.to_owned()]));
    let aliases = BTreeMap::from([known_as("dora", "Alice"), known_as("emil", "emil@firm")]);
    let approvals = Approvals { people: 2, ..Approvals::default() };
    let (log, _pdp, executor) = scene_under(Policy { approvals, aliases, ..Policy::default() });
    let id = proposal(&executor).await;
    let error = executor.approve(&id, "dora", "it is not us").await.unwrap_err();
    assert!(matches!(error, Error::NotAllowed { .. }), "it is about alice, who is dora: {error}");
    for person in ["emil", "Emil@Firm"] {
        let approval = executor.approve(&id, person, "it is not us").await.unwrap();
        assert!(matches!(approval, Approval::Waits { needed: 2, .. }), "{person}: {approval:?}");
    }
    assert_eq!(log.of_kind("response.approved").len(), 1);
}

#[tokio::test]
async fn what_was_rejected_or_has_waited_too_long_is_not_carried_out() {
    let (log, pdp, first) = scene(Approvals::default());
    let id = proposal(&first).await;
    first.reject(&id, "dora", "a test of ours").await.unwrap();
    let error = first.approve(&id, "emil", "it is not us").await.unwrap_err();
    assert!(error.to_string().contains("is rejected (decided on by dora)"), "{error}");
    assert_eq!(log.of_kind("response.rejected")[0].reason(), Some("a test of ours"));
    assert!(pdp.allows(&input(crate::support::SESSION)));
    // A restart knows it from the log.
    let second = executor(&log, &pdp, Vec::new());
    assert_eq!(second.responses(None)[0].status(), "rejected");

    let (log, _pdp, third) = scene(Approvals { expire_after_hours: 1, ..Approvals::default() });
    let id = proposal(&third).await;
    let later = opened("s-later", 3_700);
    log.append(Topic::Events, vec![later]).unwrap();
    let error = third.approve(&id, "emil", "it is not us").await.unwrap_err();
    assert!(matches!(&error, Error::ResponseClosed { .. }) && error.to_string().contains("has expired"), "{error}");
    let standing = third.standing(&id).unwrap();
    assert!(standing.expired && standing.needed == 1 && standing.expires == at(3_600), "{standing:?}");
}

#[tokio::test]
async fn who_signed_in_again_while_a_proposal_waited_is_cut_off_by_its_approval() {
    let (log, pdp, executor) = scene(Approvals::default());
    executor.resume().await.unwrap();
    let actions = executor.take(&Finding { response: vec![Target::Subject], ..asks() }).await.unwrap();
    let Action::Propose(response) = &actions[0] else { panic!("{actions:?}") };
    log.append(Topic::Events, vec![opened("s-later", 3_000)]).unwrap();
    executor.approve(&response.id, "dora", "it is not us").await.unwrap();
    let allows = |began: i64| {
        let mut input = input(crate::support::SESSION);
        input["session_started_at"] = Value::from(at(began).unix_seconds());
        pdp.allows(&input)
    };
    assert!(!allows(2_000), "this session began before the approval");
    assert!(allows(3_600), "who signs in after it is let in");
}

#[tokio::test]
async fn a_revocation_can_be_taken_back_as_far_as_no_other_holds_it() {
    let (log, pdp, executor) = scene(Approvals::default());
    executor.resume().await.unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    let other = Finding { entity: "e".into(), session: Some("s-2".into()), ..finding("2", 4_000) };
    executor.take(&other).await.unwrap();
    let responses = executor.responses(None);
    let first = responses.iter().find(|progress| progress.response.decided == at(0)).unwrap().response.clone();
    assert!(!pdp.allows(&input(crate::support::SESSION)));
    executor.undo(&first.id, "dora", "it was us").await.unwrap();
    assert!(pdp.allows(&input(crate::support::SESSION)), "the session is let in again");
    let mut of_other = control();
    of_other["session_id"] = Value::from("s-2");
    assert!(!pdp.allows(&of_other), "the other one is not");
    let error = executor.undo(&first.id, "dora", "once more").await.unwrap_err();
    assert!(error.to_string().contains("is undone (decided on by dora)"), "{error}");
    // Taken back, it may be revoked anew; and a restart publishes the same document.
    let document = executor.with_state(|state| state.responses().document(SYSTEM));
    let restarted = crate::support::executor(&log, &pdp, Vec::new());
    assert_eq!(restarted.with_state(|state| state.responses().document(SYSTEM)), document);
    assert_eq!(document.sequence, 3);
}

#[tokio::test]
async fn at_the_limit_people_are_told_once_an_hour() {
    let (log, _pdp, executor) = scene(Approvals::default());
    executor.resume().await.unwrap();
    for number in 0..13 {
        let one =
            Finding { severity: Severity::Critical, ..against(&format!("s-{number}"), i64::from(number), "safe") };
        executor.take(&one).await.unwrap();
    }
    let told = || {
        let opened = log.of_kind("alert.opened").into_iter().map(|event| event.detail().value());
        opened.filter(|record| record["finding"]["rule"] == "keywatch/response_limit").count()
    };
    until("people are told", || told() == 1).await;
    assert_eq!(log.of_kind("response.requested").len(), 10);
    assert_eq!(log.of_kind("response.proposed").len(), 3);
}
