//! Promise P5: nothing is revoked without a durable intent, nothing is reported in a degree that was not confirmed.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use crate::support::{
    FaultyPdp, MortalLog, REQUEST, SESSION, WALLET, allowed, at, control, executor, finding, input, until,
};
use keywatch_alerting::executor::Executor;
use keywatch_alerting::{Action, Error, Sink, Terminal};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::{Finding, Log, Topic};
use serde_json::{Value, json};

/// A log in which the session of the finding was allowed once, and a decision point with a document in force.
async fn scene() -> (Arc<MortalLog>, Arc<FaultyPdp>, Executor) {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
    let executor = executor(&log, &pdp, Vec::new());
    executor.resume().await.unwrap();
    assert!(pdp.allows(&input(SESSION)) && pdp.allows(&control()));
    (log, pdp, executor)
}

fn degrees(log: &MortalLog) -> Vec<String> {
    log.of_kind("response.verified").into_iter().filter_map(|event| event.outcome().map(str::to_owned)).collect()
}

fn with(name: &str, value: &str) -> Value {
    let mut input = control();
    input[name] = json!(value);
    input
}

fn everything_of_it_is_denied(pdp: &FaultyPdp) -> bool {
    let stopped = [input(SESSION), with("session_id", SESSION), with("request_id", REQUEST), with("wallet", WALLET)];
    pdp.allows(&control()) && stopped.iter().all(|input| !pdp.allows(input))
}

#[tokio::test]
async fn p5_a_revocation_is_probed_before_it_is_reported() {
    let (log, pdp, executor) = scene().await;
    let actions = executor.take(&finding("1", 0)).await.unwrap();
    assert!(matches!(actions[0], Action::Revoke(_)));
    assert_eq!(
        log.kinds(Topic::Events)[1..],
        ["response.requested", "response.published", "response.verified"].map(str::to_owned)
    );
    assert_eq!(log.kinds(Topic::Conclusions), ["finding.created", "alert.opened"]);
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    assert!(everything_of_it_is_denied(&pdp));
    assert_eq!(pdp.sequence(), Some(1));
    let verified = &log.of_kind("response.verified")[0];
    assert_eq!(verified.session(), Some(SESSION));
    let decisions = verified.detail().value()["decisions"].as_array().unwrap().len();
    assert_eq!(decisions, 5, "control, last input of the session, and one for each target");
    assert!(executor.take(&finding("1", 0)).await.unwrap().is_empty(), "taking it again does nothing");
}

#[tokio::test]
async fn p5_nothing_is_published_without_a_durable_intent() {
    for appends in 0..2 {
        let (log, pdp, executor) = scene().await;
        let published = pdp.publishes.load(SeqCst);
        log.dies_after(appends);
        let error = executor.take(&finding("1", 0)).await.unwrap_err();
        assert!(matches!(error, Error::Log(_)), "{error}");
        assert_eq!(pdp.publishes.load(SeqCst), published);
        assert!(pdp.allows(&input(SESSION)));
    }
}

/// The process dies at every append in turn; the next start sees the same log, and either the decision point as it was
/// left or one that has lost its memory as well.
#[tokio::test]
async fn p5_a_crash_at_any_step_is_made_good_once() {
    for pdp_restarts in [false, true] {
        for appends in 0..6 {
            let (log, pdp, first) = scene().await;
            log.dies_after(appends);
            let finished = first.take(&finding("1", 0)).await;
            assert_eq!(finished.is_ok(), appends == 5, "five records are written: {finished:?}");
            drop(first);
            log.dies_after(usize::MAX);
            let pdp = if pdp_restarts { FaultyPdp::new() } else { pdp };
            let second = executor(&log, &pdp, Vec::new());
            second.resume().await.unwrap();
            // What the engine hands over again after a restart, and a further start.
            second.take(&finding("1", 0)).await.unwrap();
            executor(&log, &pdp, Vec::new()).resume().await.unwrap();
            let here = format!("died after {appends} appends, decision point restarted: {pdp_restarts}");
            assert_eq!(log.of_kind("response.requested").len(), 1, "{here}");
            assert_eq!(log.of_kind("response.verified").len(), 1, "{here}");
            assert_eq!(log.of_kind("alert.opened").len(), 1, "{here}");
            assert_eq!(log.of_kind("source.conflict").len(), 0, "{here}");
            assert_ne!(degrees(&log), ["unconfirmed"], "{here}");
            assert!(everything_of_it_is_denied(&pdp), "{here}");
            assert_eq!(pdp.sequence(), Some(1), "{here}");
        }
    }
}

#[tokio::test]
async fn p5_a_decision_point_that_is_down_gets_it_once_when_it_returns() {
    let (log, pdp, executor) = scene().await;
    pdp.down.store(true, SeqCst);
    let page: Arc<std::sync::Mutex<Vec<u8>>> = Arc::default();
    drop(executor);
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Terminal::new("terminal", Shared(Arc::clone(&page))))];
    let executor = crate::support::executor(&log, &pdp, sinks);
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    until("two attempts failed", || log.of_kind("response.failed").len() >= 2).await;
    assert!(degrees(&log).is_empty());
    assert!(text(&page).contains("could NOT yet stop"), "{}", text(&page));
    let published = pdp.publishes.load(SeqCst);
    pdp.down.store(false, SeqCst);
    until("it was verified", || !degrees(&log).is_empty()).await;
    until("people were told", || text(&page).contains("denied_at_pdp")).await;
    executor.idle().await;
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    assert_eq!(pdp.publishes.load(SeqCst), published + 1);
    assert!(everything_of_it_is_denied(&pdp));
    assert_eq!(log.of_kind("alert.notified").len(), 2, "the page, and its outcome under another key");
    assert!(!text(&page).contains(SESSION), "a session id is never shown in full");
}

#[tokio::test]
async fn p5_a_decision_point_that_denies_everything_confirms_nothing() {
    let (log, pdp, executor) = scene().await;
    pdp.denies_all.store(true, SeqCst);
    executor.take(&finding("1", 0)).await.unwrap();
    assert_unconfirmed(&log, "healthy control");
}

#[tokio::test]
async fn p5_a_decision_point_that_ignores_the_document_confirms_nothing() {
    let (log, pdp, executor) = scene().await;
    pdp.ignores_documents.store(true, SeqCst);
    executor.take(&finding("1", 0)).await.unwrap();
    assert_unconfirmed(&log, "still allowed");
}

/// Reported as unconfirmed, with a critical alert of its own, once, also after a restart.
fn assert_unconfirmed(log: &MortalLog, because: &str) {
    let verified = log.of_kind("response.verified");
    assert_eq!(verified.len(), 1);
    assert_eq!(verified[0].outcome(), Some("unconfirmed"));
    assert!(verified[0].reason().unwrap().contains(because), "{:?}", verified[0].reason());
    let opened = log.of_kind("alert.opened");
    let own: Vec<Value> = opened.iter().map(|event| event.detail().value()["finding"].clone()).collect();
    assert_eq!(own.len(), 2);
    assert_eq!(own[1]["rule"], "keywatch/response_unconfirmed");
    assert_eq!(own[1]["severity"], "critical");
}

#[tokio::test]
async fn p5_an_unconfirmed_revocation_is_told_after_a_crash_before_the_telling() {
    let (log, pdp, executor) = scene().await;
    pdp.ignores_documents.store(true, SeqCst);
    // finding, requested, opened, published, verified; then the process dies.
    log.dies_after(5);
    executor.take(&finding("1", 0)).await.unwrap_err();
    log.dies_after(usize::MAX);
    crate::support::executor(&log, &pdp, Vec::new()).resume().await.unwrap();
    crate::support::executor(&log, &pdp, Vec::new()).resume().await.unwrap();
    assert_unconfirmed(&log, "still allowed");
}

#[tokio::test]
async fn p5_what_was_denied_before_is_not_claimed() {
    let (log, pdp, executor) = scene().await;
    executor.take(&finding("1", 0)).await.unwrap();
    // Another system of rules asks for a device that the session's own input names; its control probe was allowed.
    let again = Finding { response: vec![Target::Request], ..finding("2", 4_000) };
    let capitals = Finding { request: Some(REQUEST.to_uppercase().replace("0X", "0x")), ..again };
    executor.take(&capitals).await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp", "already_denied"]);
    assert_eq!(pdp.sequence(), Some(2));
}

#[tokio::test]
async fn p5_two_open_responses_are_probed_before_either_is_published() {
    let (log, pdp, executor) = scene().await;
    pdp.down.store(true, SeqCst);
    let other = Finding { entity: "e".into(), session: Some("second-session".into()), ..finding("2", 1) };
    executor.take(&finding("1", 0)).await.unwrap();
    executor.take(&other).await.unwrap();
    let published = pdp.publishes.load(SeqCst);
    pdp.down.store(false, SeqCst);
    until("both were verified", || degrees(&log).len() == 2).await;
    assert_eq!(degrees(&log), ["denied_at_pdp", "denied_at_pdp"]);
    assert_eq!(pdp.publishes.load(SeqCst), published + 1);
}

#[tokio::test]
async fn a_decision_point_that_misses_its_heartbeat_is_told_of_once() {
    let (log, pdp, executor) = scene().await;
    pdp.down.store(true, SeqCst);
    for _ in 0..3 {
        executor.refresh().await.unwrap();
    }
    let rules: Vec<Value> =
        log.of_kind("alert.opened").iter().map(|event| event.detail().value()["finding"]["rule"].clone()).collect();
    assert_eq!(rules, ["keywatch/heartbeat_failed"]);
}

/// The last input of a session comes from a decision log, and so from whoever can write there.
#[tokio::test]
async fn p5_an_input_that_cannot_be_evaluated_does_not_hold_up_the_revocation() {
    let (log, pdp, executor) = scene().await;
    let text = format!(r#"{{"path":"wallet/signing/allow","input":{{"amount_usd":1e{}}}}}"#, "9".repeat(400));
    let detail: Value = serde_json::from_str(&text).unwrap();
    let poisoned = allowed("d-2").changed(|event| event.detail(&detail));
    executor.observe(log.end(Topic::Events), &[poisoned]);
    executor.take(&finding("1", 0)).await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    assert!(everything_of_it_is_denied(&pdp));
}

#[tokio::test]
async fn a_proposal_does_nothing_until_a_person_approves_it() {
    let (log, pdp, executor) = scene().await;
    let actions = executor.take(&Finding { proof: Proof::Corroborated, ..finding("1", 0) }).await.unwrap();
    let Action::Propose(response) = &actions[0] else { panic!("{actions:?}") };
    assert!(pdp.allows(&input(SESSION)));
    executor.refresh().await.unwrap();
    assert!(pdp.allows(&input(SESSION)), "a heartbeat publishes no proposal");
    executor.approve(&response.id, "dora", "it is not us").await.unwrap();
    assert!(everything_of_it_is_denied(&pdp));
    assert_eq!(log.of_kind("response.requested")[0].actor(), Some("dora"));
    let error = executor.approve(&response.id, "dora", "it is not us").await.unwrap_err();
    assert!(matches!(error, Error::ResponseClosed { .. }));
}

#[tokio::test]
async fn subjects_and_devices_are_cut_and_a_new_session_of_the_person_is_let_in() {
    let (log, pdp, executor) = scene().await;
    let person =
        Finding { response: vec![Target::Subject, Target::Device], device: Some("laptop-1".into()), ..finding("1", 0) };
    executor.take(&person).await.unwrap();
    assert_eq!(degrees(&log), ["denied_at_pdp"]);
    let mut later = with("subject", "alice");
    later["session_started_at"] = json!(at(0).unix_seconds());
    assert!(!pdp.allows(&later));
    later["session_started_at"] = json!(at(1).unix_seconds());
    assert!(pdp.allows(&later));
    later["device_id"] = json!("laptop-1");
    assert!(!pdp.allows(&later));
}

#[tokio::test]
async fn the_document_of_a_restart_is_the_same_and_each_names_the_one_before() {
    let (log, pdp, executor) = scene().await;
    executor.take(&finding("1", 0)).await.unwrap();
    let first = executor.with_state(|state| state.responses().document(crate::support::SYSTEM));
    executor.take(&Finding { entity: "e".into(), session: Some("s2".into()), ..finding("2", 1) }).await.unwrap();
    let second = executor.with_state(|state| state.responses().document(crate::support::SYSTEM));
    assert_eq!(second.prev_sha256, first.sha256());
    assert_ne!(second.sha256(), first.sha256());
    let restarted = crate::support::executor(&log, &pdp, Vec::new());
    assert_eq!(restarted.with_state(|state| state.responses().document(crate::support::SYSTEM)), second);
    let stamped = second.clone().stamped(at(5)).with_log_head(&keywatch_store::log::TopicHead::START);
    assert_eq!(stamped.sha256(), second.sha256(), "a heartbeat is no other document");
    assert_eq!(stamped.to_value()["meta"]["log_head"]["position"], 0, "it says where the log ends");
    // Sessions leave after their longest life, quarantines stay.
    let later = Finding { entity: "f".into(), session: Some("s3".into()), ..finding("3", 8 * 86_400) };
    restarted.take(&later).await.unwrap();
    let third = restarted.with_state(|state| state.responses().document(crate::support::SYSTEM));
    assert!(third.entry(Target::Session, SESSION).is_none());
    assert!(third.entry(Target::Session, "s3").is_some() && third.entry(Target::Wallet, WALLET).is_some());
}

struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn text(page: &std::sync::Mutex<Vec<u8>>) -> String {
    String::from_utf8(page.lock().unwrap().clone()).unwrap()
}
