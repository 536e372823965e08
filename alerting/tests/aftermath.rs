//! What is heard after a revocation was proved: sessions that were closed, signers that go on without the targets, and what
//! must not happen any more.

use std::sync::Arc;

use crate::support::{FaultyPdp, MortalLog, SESSION, SYSTEM, allowed, at, control, finding, inventory};
use keywatch_alerting::limits::SWEEP_RECORDS;
use keywatch_alerting::{Dependencies, EnforcementPoint, Executor, Policy, Schedule};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Finding, Log, Severity, Topic};
use serde_json::Value;

/// A revocation that was proved, with a control that signs never.
async fn proved() -> (Arc<MortalLog>, Executor) {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    let executor = start(&log, &pdp);
    executor.resume().await.unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    (log, executor)
}

fn start(log: &Arc<MortalLog>, pdp: &Arc<FaultyPdp>) -> Executor {
    start_at(log, EnforcementPoint::new(Arc::clone(pdp) as _, control()).signing_never())
}

fn start_at(log: &Arc<MortalLog>, point: EnforcementPoint) -> Executor {
    let mut policy = Policy::default();
    policy.adopt(&inventory());
    Executor::open(Dependencies {
        log: Arc::clone(log) as _,
        policy,
        sites: [(SYSTEM.to_owned(), point)].into(),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: crate::support::milliseconds(&[5]),
        clock: crate::support::wall_clock(),
    })
    .unwrap()
}

fn degrees(log: &MortalLog) -> Vec<String> {
    log.of_kind("response.verified").into_iter().filter_map(|event| event.outcome().map(str::to_owned)).collect()
}

/// Rules of keywatch's own that were told as critical.
fn critical(log: &MortalLog) -> Vec<String> {
    let opened = log.of_kind("alert.opened").into_iter().map(|event| event.detail().value());
    let own = opened.filter(|record| {
        let rule = record["finding"]["rule"].as_str().unwrap_or_default();
        rule.starts_with("keywatch/") && record["finding"]["severity"] == "critical"
    });
    own.map(|record| record["finding"]["rule"].as_str().unwrap().to_owned()).collect()
}

fn event(kind: &str, id: &str, seconds: i64, session: &str, outcome: &str) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "other".into() };
    let mut event = Event::builder(&origin, id, kind, at(seconds));
    event.time(at(seconds));
    event.session(session);
    event.decision(id);
    event.outcome(outcome);
    event.detail(&Value::Object(serde_json::Map::new()));
    event.build_own()
}

fn hear(log: &MortalLog, executor: &Executor, events: Vec<Event>) {
    let appended = log.append(Topic::Events, events).unwrap();
    executor.observe(appended.first, &appended.written);
}

#[tokio::test]
async fn p5_an_allow_for_what_is_revoked_is_critical_and_a_probe_is_not() {
    let (log, executor) = proved().await;
    let probes: Vec<String> = log
        .of_kind("response.verified")
        .iter()
        .flat_map(|event| event.detail().value()["decisions"].as_array().unwrap().clone())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    // The answers to probes come back by the decision log; so does an allow that was under way, and a denial.
    let mut quiet: Vec<Event> = probes.iter().map(|id| event("decision", id, 100, SESSION, "allow")).collect();
    quiet.push(event("decision", "under-way", -60, SESSION, "allow"));
    quiet.push(event("decision", "denied", 100, SESSION, "deny"));
    quiet.push(event("decision", "another", 100, "sess-of-somebody", "allow"));
    hear(&log, &executor, quiet);
    executor.refresh().await.unwrap();
    assert!(critical(&log).is_empty(), "{:?}", critical(&log));
    hear(&log, &executor, vec![event("decision", "let-in", 101, &SESSION.to_uppercase(), "allow")]);
    executor.refresh().await.unwrap();
    executor.refresh().await.unwrap();
    assert_eq!(critical(&log), ["keywatch/allowed_after_revocation"], "told once");
}

#[tokio::test]
async fn an_allow_and_a_signature_of_the_control_are_told_with_their_record_and_not_with_the_heartbeat() {
    let (log, executor) = proved().await;
    let control = control()["session_id"].as_str().unwrap().to_owned();
    let heard =
        [event("decision", "let-in", 101, SESSION, "allow"), event("signing.signed", "s", 102, &control, "success")];
    for (told, event) in heard.into_iter().enumerate() {
        assert_eq!(critical(&log).len(), told);
        let time = event.time();
        hear(&log, &executor, vec![event]);
        executor.page_due("another-system", time).await.unwrap();
        assert_eq!(critical(&log).len(), told, "each system has its own time");
        executor.page_due(SYSTEM, time).await.unwrap();
        executor.page_due(SYSTEM, time).await.unwrap();
    }
    let both = ["keywatch/allowed_after_revocation", "keywatch/control_signed"];
    assert_eq!(critical(&log), both);
    executor.refresh().await.unwrap();
    assert_eq!(critical(&log), both, "the heartbeat has nothing to add");
}

#[tokio::test]
async fn what_is_heard_at_once_is_told_in_the_order_of_the_log() {
    let both = ["keywatch/control_signed", "keywatch/allowed_after_revocation"];
    for at_once in [true, false] {
        let (log, executor) = proved().await;
        let control = control()["session_id"].as_str().unwrap().to_owned();
        let heard = [
            event("signing.signed", "s", 101, &control, "success"),
            event("decision", "let-in", 102, SESSION, "allow"),
        ];
        for events in heard.chunks(if at_once { 2 } else { 1 }) {
            let until = events.last().unwrap().time();
            hear(&log, &executor, events.to_vec());
            executor.page_due(SYSTEM, until).await.unwrap();
        }
        assert_eq!(critical(&log), both, "at once: {at_once}");
    }
}

#[tokio::test]
async fn decisions_of_the_past_say_nothing_of_a_decision_point_that_did_not_make_them() {
    let log = MortalLog::immortal();
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    let point = EnforcementPoint::new(FaultyPdp::new() as _, control()).retelling();
    let executor = start_at(&log, point);
    executor.resume().await.unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    hear(&log, &executor, vec![event("decision", "let-in", 101, SESSION, "allow")]);
    executor.page_due(SYSTEM, at(101)).await.unwrap();
    executor.refresh().await.unwrap();
    assert!(critical(&log).is_empty(), "{:?}", critical(&log));
}

#[tokio::test]
async fn further_degrees_are_said_once_they_were_heard() {
    let (log, executor) = proved().await;
    executor.refresh().await.unwrap();
    assert_eq!(degrees(&log).len(), 1);
    hear(&log, &executor, vec![event("session.revoked", "closed", 10, SESSION, "")]);
    executor.refresh().await.unwrap();
    executor.refresh().await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp", "closed_at_pep"]);
    // Silence of the signer is no proof; a signature of another is, once the time is over.
    hear(&log, &executor, vec![event("tick", "later", 1_000, "", "")]);
    executor.refresh().await.unwrap();
    assert_eq!(degrees(&log).len(), 2);
    hear(&log, &executor, vec![event("signing.signed", "other", 1_001, "sess-of-somebody", "success")]);
    executor.refresh().await.unwrap();
    assert_eq!(degrees(&log)[2..], ["no_signature_since"]);
    assert_eq!(executor.responses(None)[0].status(), "denied_at_pdp", "the degree that probes have shown stays");
}

#[tokio::test]
async fn after_a_signature_of_a_target_nothing_is_claimed() {
    let (log, executor) = proved().await;
    let signed = vec![
        event("signing.signed", "target", 100, SESSION, "success"),
        event("signing.signed", "other", 1_001, "sess-of-somebody", "success"),
    ];
    hear(&log, &executor, signed);
    executor.refresh().await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
}

#[tokio::test]
async fn a_signature_of_the_control_is_critical() {
    let (log, executor) = proved().await;
    let control = control()["session_id"].as_str().unwrap().to_owned();
    hear(&log, &executor, vec![event("signing.signed", "stolen", 100, &control, "success")]);
    executor.refresh().await.unwrap();
    assert_eq!(critical(&log), ["keywatch/control_signed"]);
    // After a restart it is known from the log and not told again.
    let restarted = start(&log, &FaultyPdp::new());
    restarted.resume().await.unwrap();
    assert_eq!(critical(&log).len(), 1);
}

#[tokio::test]
async fn a_signature_of_the_control_is_told_once_and_one_after_a_month_is_told_again() {
    let (log, executor) = proved().await;
    let control = control()["session_id"].as_str().unwrap().to_owned();
    hear(&log, &executor, vec![event("signing.signed", "stolen", 100, &control, "success")]);
    executor.page_due(SYSTEM, at(100)).await.unwrap();
    assert_eq!(critical(&log).len(), 1);
    // So many that alerting forgets meanwhile what is old.
    let later = 32 * 86_400;
    for number in 0..i64::try_from(SWEEP_RECORDS).unwrap() {
        let lesser = finding(&format!("n-{number}"), later + number);
        executor.take(&Finding { severity: Severity::Low, response: Vec::new(), ..lesser }).await.unwrap();
    }
    executor.page_due(SYSTEM, at(later + 2_000)).await.unwrap();
    executor.refresh().await.unwrap();
    assert_eq!(critical(&log).len(), 1, "it was told");
    hear(&log, &executor, vec![event("signing.signed", "again", later + 3_000, &control, "success")]);
    executor.page_due(SYSTEM, at(later + 3_000)).await.unwrap();
    assert_eq!(critical(&log), ["keywatch/control_signed"; 2]);
}
