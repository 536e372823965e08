//! Alerts whose events were taken back: unconfirmed until they are found again, over once what came instead is final where that is
//! safe to say, and the same however the records are cut and wherever a start goes on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::{FaultyPdp, MortalLog, SYSTEM, WALLET, allowed, at, executor, executor_from, finding};
use keywatch_alerting::{
    Act, Action, Alert, AlertState, Executor, History, Saved, Sink, Status, Terminal, Unconfirmed, Verdict,
};
use keywatch_store::event::Origin;
use keywatch_store::finding::{Proof, Target};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, EventId, Finding, Instant, Log, Position, Severity, Topic};
use serde_json::{Value, json};

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

fn said(kind: &str, id: &str, seconds: i64, outcome: Option<&str>, detail: &Value) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "node".into() };
    let mut event = Event::builder(&origin, id, kind, at(seconds));
    event.time(at(seconds)).chain("local").tx("0x01").outcome(outcome).detail(detail);
    event.build_own()
}

/// A transfer in a block.
fn transfer(id: &str, seconds: i64, block: u64) -> Event {
    said("chain.transfer", id, seconds, Some("success"), &json!({"block": block, "block_hash": id, "epoch": 0}))
}

/// A reorganisation on the word of `agreed` nodes, of which `quorum` had to agree.
fn reorg(seconds: i64, epoch: u64, (agreed, quorum): (u64, u64)) -> Event {
    let detail = json!({"fork_block": 11, "epoch": epoch, "agreed": agreed, "quorum": quorum});
    said("chain.reorg", &format!("reorg/{epoch}"), seconds, None, &detail)
}

fn retracted(id: &str, seconds: i64, block: u64, epoch: u64) -> Event {
    let detail = json!({"event": event_id(id).to_string(), "kind": "chain.transfer", "block": block, "epoch": epoch});
    said("chain.retracted", &format!("retracted/{epoch}/{id}"), seconds, None, &detail)
}

fn final_up_to(block: u64, seconds: i64) -> Event {
    said("chain.finality", &format!("final/{block}"), seconds, Some("final"), &json!({"block": block, "epoch": 1}))
}

fn event_id(id: &str) -> EventId {
    EventId::derive(SYSTEM, "node", id)
}

/// What a rule finds about that event.
fn found(id: &str, seconds: i64, severity: Severity) -> Finding {
    Finding {
        source: "node".into(),
        title: "Much has left".into(),
        wallet: Some(WALLET.into()),
        tx: Some("0x01".into()),
        evidence: vec![event_id(id)],
        suppress_ns: 3_600 * SECOND_NS,
        ..Finding::about("chain/much", severity, SYSTEM, WALLET, event_id(id), at(seconds))
    }
}

async fn scene() -> (Arc<MortalLog>, Executor) {
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    executor.resume().await.unwrap();
    (log, executor)
}

/// The records come into the log, and the pipeline goes over them.
async fn hear(log: &MortalLog, executor: &Executor, events: Vec<Event>) {
    let appended = log.append(Topic::Events, events).unwrap();
    executor.observe(appended.first, &appended.written);
    executor.page_due(SYSTEM, appended.written.last().unwrap().time()).await.unwrap();
}

fn notified(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Notify { .. }))
}

/// The one alert, and where it stands.
fn alert(executor: &Executor) -> (Alert, Status) {
    executor.with_state(|state| {
        let [alert]: [&Alert; 1] = state.alerts().collect::<Vec<_>>().try_into().unwrap();
        (alert.clone(), alert.status(state.incident_of(&alert.incident).unwrap()))
    })
}

fn unconfirmed(executor: &Executor) -> Option<Unconfirmed> {
    alert(executor).0.grounds.unconfirmed
}

#[tokio::test]
async fn what_is_taken_back_is_unconfirmed_and_what_is_found_again_pages_no_second_time() {
    for status in [Status::Open, Status::Acknowledged] {
        let (log, executor) = scene().await;
        hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
        assert!(notified(&executor.take(&found("a", 10, Severity::High)).await.unwrap()));
        let (before, _) = alert(&executor);
        if status == Status::Acknowledged {
            executor.operate(&before.incident, "ann", None, Act::Acknowledge, at(15)).await.unwrap();
        }
        hear(&log, &executor, vec![reorg(20, 1, (3, 2)), retracted("a", 20, 12, 1)]).await;
        let taken_back = unconfirmed(&executor).unwrap();
        let Unconfirmed { block, epoch, agreed, quorum, is_final, .. } = taken_back;
        assert_eq!((block, epoch, agreed, quorum, is_final), (12, 1, 3, 2, false));
        assert_eq!(log.of_kind("alert.unconfirmed").len(), 1);
        assert_eq!(alert(&executor).1, status, "nothing is closed");

        // Long after the rule's `suppress_for`, when a new alert would page again.
        hear(&log, &executor, vec![transfer("b", 9_000, 14)]).await;
        assert!(!notified(&executor.take(&found("b", 9_000, Severity::High)).await.unwrap()));
        let (after, stands) = alert(&executor);
        assert_eq!((&after.alert_id, after.deliveries, stands), (&before.alert_id, 1, status));
        assert_eq!(after.grounds.unconfirmed, None);
    }
}

#[tokio::test]
async fn what_a_node_knew_of_an_address_is_taken_back_and_stands_again_with_its_transaction() {
    let (log, executor) = scene().await;
    let used = json!({"used": "delegatecall", "block": 12, "block_hash": "a", "epoch": 0});
    hear(&log, &executor, vec![said("chain.destination", "a", 10, Some("contract"), &used)]).await;
    executor.take(&found("a", 10, Severity::High)).await.unwrap();
    let left = json!({"event": event_id("a").to_string(), "kind": "chain.destination", "block": 12, "epoch": 1});
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), said("chain.retracted", "left", 20, None, &left)]).await;
    assert!(unconfirmed(&executor).is_some_and(|taken_back| taken_back.block == 12));
    hear(&log, &executor, vec![transfer("b", 30, 13)]).await;
    assert_eq!(unconfirmed(&executor), None, "its transaction is in a block, though nobody tells of the address again");
    assert_eq!(log.of_kind("alert.confirmed").len(), 1);
}

#[tokio::test]
async fn what_is_final_closes_what_several_nodes_agree_on_and_nobody_has_to_look_at() {
    let cases = [
        (Severity::Low, (2, 2), Status::Open, Status::Resolved),
        (Severity::Medium, (3, 2), Status::Open, Status::Resolved),
        (Severity::High, (2, 2), Status::Open, Status::Open),
        (Severity::Critical, (2, 2), Status::Open, Status::Open),
        (Severity::Low, (1, 1), Status::Open, Status::Open),
        (Severity::Low, (2, 2), Status::Acknowledged, Status::Acknowledged),
    ];
    for (severity, word, before, after) in cases {
        let case = format!("{severity} {word:?} {before}");
        let (log, executor) = scene().await;
        hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
        executor.take(&found("a", 10, severity)).await.unwrap();
        let incident = alert(&executor).0.incident;
        if before == Status::Acknowledged {
            executor.operate(&incident, "ann", None, Act::Acknowledge, at(15)).await.unwrap();
        }
        hear(&log, &executor, vec![reorg(20, 1, word), retracted("a", 20, 12, 1)]).await;
        hear(&log, &executor, vec![final_up_to(11, 30)]).await;
        assert!(!unconfirmed(&executor).unwrap().is_final, "{case}: the block that was left is above it");
        hear(&log, &executor, vec![final_up_to(12, 40)]).await;
        assert!(unconfirmed(&executor).unwrap().is_final, "{case}");
        assert_eq!(alert(&executor).1, after, "{case}");
        let resolved = log.of_kind("alert.resolved");
        assert_eq!(resolved.len(), usize::from(after == Status::Resolved), "{case}");
        if let Some(record) = resolved.first() {
            assert_eq!(record.actor(), Some("keywatch"), "{case}");
            let closed = alert(&executor).0;
            assert_eq!((closed.verdict, closed.is_closed_by_keywatch()), (Some(Verdict::False), true), "{case}");
        }
        // In a later block all the same: it is open again.
        hear(&log, &executor, vec![transfer("b", 50, 20)]).await;
        executor.take(&found("b", 50, severity)).await.unwrap();
        let (found_again, status) = alert(&executor);
        assert_eq!((found_again.grounds.unconfirmed, found_again.verdict), (None, None), "{case}");
        assert_eq!(status == Status::Acknowledged, before == Status::Acknowledged, "{case}");
    }
}

#[tokio::test]
async fn what_a_person_has_said_something_about_is_theirs_to_resolve() {
    let said = Act::Comment { comment: "I ask the exchange".into() };
    let unassigned = Act::Assign { assignee: None };
    for act in [said, unassigned] {
        let (log, executor) = scene().await;
        hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
        executor.take(&found("a", 10, Severity::Low)).await.unwrap();
        if matches!(act, Act::Assign { .. }) {
            let given = Act::Assign { assignee: Some("bob".into()) };
            executor.operate(&alert(&executor).0.incident, "ann", None, given, at(14)).await.unwrap();
        }
        executor.operate(&alert(&executor).0.incident, "ann", None, act, at(15)).await.unwrap();
        hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1), final_up_to(12, 40)]).await;
        assert!(unconfirmed(&executor).unwrap().is_final);
        assert_eq!(alert(&executor).1, Status::Open);
    }
}

#[tokio::test]
async fn a_response_keeps_its_alert_open_and_shows_it_to_who_decides() {
    let (log, executor) = scene().await;
    hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
    let asks = Finding { response: vec![Target::Wallet], proof: Proof::Corroborated, ..found("a", 10, Severity::Low) };
    let actions = executor.take(&asks).await.unwrap();
    assert!(matches!(actions[0], Action::Propose(_)), "{actions:?}");
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1), final_up_to(12, 30)]).await;
    let views = executor.standings(|_| true);
    assert_eq!(views.len(), 1);
    assert!(views[0].progress.is_waiting(), "nothing is undone or withdrawn");
    assert!(views[0].unconfirmed.as_ref().unwrap().is_final);
    assert!(log.of_kind("alert.resolved").is_empty(), "a person decides");
}

#[tokio::test]
async fn an_alert_stands_as_long_as_one_of_its_events_does() {
    let (log, executor) = scene().await;
    hear(&log, &executor, vec![transfer("a", 10, 12), transfer("b", 11, 13)]).await;
    let both = Finding { evidence: vec![event_id("b"), event_id("a")], ..found("b", 11, Severity::High) };
    executor.take(&both).await.unwrap();
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("b", 20, 13, 1)]).await;
    assert_eq!(unconfirmed(&executor), None);
    hear(&log, &executor, vec![reorg(30, 2, (1, 1)), retracted("a", 30, 12, 2)]).await;
    let taken_back = unconfirmed(&executor).unwrap();
    assert_eq!((taken_back.block, taken_back.epoch), (12, 2));
    assert!(taken_back.is_one_nodes_word(), "one of the two reorganisations was");
}

#[tokio::test]
async fn what_nothing_takes_back_or_only_waits_is_not_unconfirmed() {
    let (log, executor) = scene().await;
    let waits = said("chain.transfer", "w", 5, Some("unconfirmed"), &json!({}));
    hear(&log, &executor, vec![waits, transfer("a", 10, 12)]).await;
    executor.take(&found("w", 5, Severity::High)).await.unwrap();
    executor.take(&found("a", 10, Severity::High)).await.unwrap();
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1)]).await;
    assert!(unconfirmed(&executor).is_some(), "that it waited in a pool says nothing of a block");
    // An event of another source, which no follower takes back.
    executor.take(&found("elsewhere", 30, Severity::High)).await.unwrap();
    assert_eq!(unconfirmed(&executor), None);
    hear(&log, &executor, vec![final_up_to(12, 40)]).await;
    assert_eq!(unconfirmed(&executor), None);
}

#[tokio::test]
async fn what_is_found_because_something_was_taken_back_stands() {
    let (log, executor) = scene().await;
    hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1)]).await;
    let gone = found("retracted/1/a", 30, Severity::High);
    let reversed = Finding { evidence: vec![gone.anchor, event_id("a")], ..gone };
    executor.take(&reversed).await.unwrap();
    assert_eq!(unconfirmed(&executor), None);
}

#[tokio::test]
async fn what_was_taken_back_before_a_rule_decided_is_told_once_and_as_unconfirmed() {
    let (log, executor) = scene().await;
    hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1)]).await;
    let waited = Finding { time: at(10), ..found("a", 60, Severity::High) };
    assert!(notified(&executor.take(&waited).await.unwrap()), "people are told");
    executor.idle().await;
    let taken_back = unconfirmed(&executor).unwrap();
    assert_eq!(taken_back.since, at(60));
    assert_eq!(log.of_kind("alert.notified").len(), 1);
    let kinds = log.kinds(Topic::Conclusions);
    assert_eq!(kinds[..3], ["finding.created", "alert.opened", "alert.unconfirmed"]);
}

#[tokio::test]
async fn p5_what_is_revoked_waits_for_nothing_that_is_noted_of_a_chain() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let executor = executor(&log, &pdp, Vec::new());
    executor.resume().await.unwrap();
    let taken_back = vec![allowed("d-1"), transfer("a", 10, 12), reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1)];
    hear(&log, &executor, taken_back).await;
    let waited = Finding { anchor: event_id("a"), ..finding("1", 60) };
    let published = pdp.publishes.load(Ordering::SeqCst);
    // The finding, what is requested and the alert are written; then nothing is any more.
    log.dies_after(3);
    executor.take(&waited).await.unwrap_err();
    assert!(pdp.publishes.load(Ordering::SeqCst) > published);
    log.dies_after(usize::MAX);
    executor.resume().await.unwrap();
    executor.page_due(SYSTEM, at(60)).await.unwrap();
    assert_eq!((log.of_kind("response.requested").len(), log.of_kind("alert.unconfirmed").len()), (1, 1));
}

#[tokio::test]
async fn p7_however_many_alerts_one_node_takes_back_they_are_noted_at_once() {
    let (log, executor) = scene().await;
    let alerts = 200;
    hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
    for number in 0..alerts {
        let entity = format!("{WALLET} {number}");
        let about = Finding::about("chain/much", Severity::Low, SYSTEM, &entity, event_id("a"), at(10));
        executor.take(&Finding { wallet: Some(WALLET.into()), ..about }).await.unwrap();
    }
    executor.idle().await;
    let appended = log.append(Topic::Events, vec![reorg(20, 1, (1, 1)), retracted("a", 20, 12, 1)]).unwrap();
    executor.observe(appended.first, &appended.written);
    log.dies_after(1);
    executor.page_due(SYSTEM, at(21)).await.unwrap();
    assert_eq!(log.of_kind("alert.unconfirmed").len(), alerts);
    assert!(executor.with_state(|state| state.alerts().all(|alert| alert.grounds.unconfirmed.is_some())));
}

/// An alert that keywatch has resolved beside one of another source, which a person has resolved then if that `is_seen_to`.
async fn resolved_by_keywatch(is_seen_to: bool) -> (Arc<MortalLog>, Executor) {
    let (log, executor) = scene().await;
    hear(&log, &executor, vec![transfer("a", 10, 12)]).await;
    executor.take(&found("a", 10, Severity::Medium)).await.unwrap();
    if is_seen_to {
        let about = Finding::about("own/other", Severity::Medium, SYSTEM, WALLET, event_id("elsewhere"), at(11));
        executor.take(&Finding { wallet: Some(WALLET.into()), ..about }).await.unwrap();
    }
    hear(&log, &executor, vec![reorg(20, 1, (2, 2)), retracted("a", 20, 12, 1), final_up_to(12, 40)]).await;
    let name = |state: &AlertState| {
        let other = state.alerts().find(|alert| alert.rule == "own/other")?;
        assert_eq!(state.incidents().iter().count(), 1);
        Some(other.alert_id.clone())
    };
    if let Some(other) = executor.with_state(name) {
        let resolve = Act::Resolve { verdict: Verdict::Benign, reason: "meant".into() };
        executor.operate(&other, "ann", None, resolve, at(45)).await.unwrap();
    }
    let is_resolved = |state: &AlertState| state.incidents().iter().all(|one| one.handling.status == Status::Resolved);
    assert!(executor.with_state(is_resolved));
    (log, executor)
}

#[tokio::test]
async fn what_keywatch_resolved_wrongly_is_open_again_also_where_a_person_resolved_the_rest() {
    for is_seen_to in [false, true] {
        let (log, executor) = resolved_by_keywatch(is_seen_to).await;
        let pages = executor.with_state(|state| state.incidents().iter().next().unwrap().paging.pages);
        hear(&log, &executor, vec![transfer("b", 50, 20)]).await;
        executor.take(&found("b", 50, Severity::Medium)).await.unwrap();
        executor.with_state(|state| {
            let incident = state.incidents().iter().next().unwrap();
            let alert = state.alerts().find(|alert| alert.rule == "chain/much").unwrap();
            assert_eq!((alert.status(incident), alert.verdict), (Status::Open, None), "seen to: {is_seen_to}");
            assert_eq!(incident.paging.pages, pages + 1, "people are told once, seen to: {is_seen_to}");
            assert!(state.alerts().all(|other| other.rule == "chain/much" || other.verdict == Some(Verdict::Benign)));
        });
    }
}

#[tokio::test]
async fn p4_people_are_told_that_it_is_open_again_wherever_the_log_stops_taking_records() {
    let (log, executor) = resolved_by_keywatch(false).await;
    hear(&log, &executor, vec![transfer("b", 50, 20)]).await;
    executor.idle().await;
    let said = |log: &MortalLog| -> Vec<(String, EventId)> {
        concluded(log).into_iter().map(|(kind, id, _)| (kind, id)).collect()
    };
    let all = said(&log);
    let kinds: Vec<&str> = all.iter().map(|(kind, _)| kind.as_str()).collect();
    assert!(kinds.ends_with(&["alert.reopened", "incident.paged", "alert.confirmed"]), "{kinds:?}");
    for lost in 0..=3 {
        let again = MortalLog::immortal();
        again.append(Topic::Events, log.all(Topic::Events)).unwrap();
        let told = log.all(Topic::Conclusions).into_iter().filter(|event| event.kind() != "alert.notified");
        again.append(Topic::Conclusions, told.take(all.len() - lost).collect()).unwrap();
        let next = executor_of(&again);
        next.page_due(SYSTEM, at(50)).await.unwrap();
        next.idle().await;
        assert_eq!(said(&again), all, "{lost} were lost");
    }
}

fn executor_of(log: &Arc<MortalLog>) -> Executor {
    executor(log, &FaultyPdp::new(), sinks())
}

/// A theft that is taken back, found again, taken back for good, and something else after it.
fn story() -> (Vec<Event>, Vec<Finding>) {
    let events = vec![
        transfer("a", 10, 12),
        reorg(20, 1, (2, 2)),
        retracted("a", 21, 12, 1),
        transfer("b", 30, 13),
        reorg(40, 2, (2, 2)),
        retracted("b", 41, 13, 2),
        final_up_to(13, 50),
        said("chain.contract", "c", 60, None, &json!({"block": 14, "block_hash": "c"})),
    ];
    let other = |finding: Finding| Finding { entity: "w2".into(), wallet: Some("w2".into()), tx: None, ..finding };
    let findings = vec![
        found("a", 10, Severity::Medium),
        found("b", 30, Severity::Medium),
        other(found("c", 60, Severity::Medium)),
    ];
    (events, findings)
}

fn concluded(log: &MortalLog) -> Vec<(String, EventId, Instant)> {
    let all = log.all(Topic::Conclusions).into_iter().filter(|event| event.kind() != "alert.notified");
    all.map(|event| (event.kind().to_owned(), event.event_id(), event.time())).collect()
}

#[tokio::test]
async fn p1_it_is_concluded_alike_record_by_record_at_once_and_from_every_kept_state() {
    let (events, findings) = story();
    let (log, live) = scene().await;
    let mut kept = Vec::new();
    for event in &events {
        let time = event.time();
        let appended = log.append(Topic::Events, vec![event.clone()]).unwrap();
        live.observe(appended.first, &appended.written);
        for finding in findings.iter().filter(|finding| finding.decided == time) {
            live.take(finding).await.unwrap();
        }
        live.page_due(SYSTEM, time).await.unwrap();
        live.idle().await;
        let mut bytes = Vec::new();
        live.save(&mut bytes).unwrap();
        kept.push(bytes);
    }
    let kinds: Vec<String> = concluded(&log).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "alert.unconfirmed").count(), 3, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "alert.resolved").count(), 1, "{kinds:?}");

    let (at_once, executor) = scene().await;
    let appended = at_once.append(Topic::Events, events.clone()).unwrap();
    executor.observe(appended.first, &appended.written);
    for finding in &findings {
        executor.take(finding).await.unwrap();
    }
    executor.page_due(SYSTEM, events.last().unwrap().time()).await.unwrap();
    executor.idle().await;
    assert_eq!(concluded(&at_once), concluded(&log));

    // Whoever asks of the whole log is told the same.
    let mut history = History::default();
    log.all(Topic::Conclusions).iter().for_each(|event| history.apply(event));
    let mut told: Vec<Alert> = history.alerts().into_iter().map(|summary| summary.alert.clone()).collect();
    told.sort_by(|one, other| one.alert_id.cmp(&other.alert_id));
    assert_eq!(told, live.with_state(|state| state.alerts().cloned().collect::<Vec<Alert>>()));

    live.observe(Position(0), &log.all(Topic::Events));
    let state = live.with_state(AlertState::clone);
    kept.push(Vec::new());
    for (moment, kept) in kept.iter().enumerate() {
        let saved = if kept.is_empty() { Saved::default() } else { Saved::read(kept).unwrap() };
        let again = executor_from(saved, &log, &FaultyPdp::new(), sinks());
        assert!(again.with_state(|again| *again == state), "kept at moment {moment}");
    }
}
