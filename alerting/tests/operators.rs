//! What operators do: records, a fold that is the same after a restart at every record, and what it changes of paging.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::support::{FaultyPdp, MortalLog, SYSTEM, WALLET, allowed, at, executor, executor_from, finding};
use keywatch_alerting::{
    Act, Action, AlertState, AllowanceRequest, Error, Executor, Matcher, Saved, Silence, SilenceRequest, Sink, Status,
    Terminal, Verdict,
};
use keywatch_store::{Event, Finding, Instant, Log, Severity, Topic};

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

async fn scene() -> (Arc<MortalLog>, Executor) {
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    executor.resume().await.unwrap();
    (log, executor)
}

fn plain(id: &str, seconds: i64, severity: Severity) -> Finding {
    Finding { severity, response: Vec::new(), ..finding(id, seconds) }
}

fn notified(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Notify { .. }))
}

/// The one incident: id and status.
fn incident(executor: &Executor) -> (String, Status) {
    executor.with_state(|state| {
        let [incident]: [_; 1] = state.incidents().iter().collect::<Vec<_>>().try_into().unwrap();
        (incident.id.clone(), incident.handling.status)
    })
}

fn resolve(verdict: Verdict) -> Act {
    Act::Resolve { verdict, reason: "looked at it".into() }
}

async fn operate(executor: &Executor, name: &str, by: &str, act: Act) -> Result<bool, Error> {
    let operated = executor.operate(name, by, None, act, at(50)).await?;
    Ok(operated.changed)
}

fn request(criticals: bool, until: Instant) -> SilenceRequest {
    let matcher = Matcher { wallet: Some(WALLET.into()), ..Matcher::default() };
    SilenceRequest { system: SYSTEM.into(), matcher, reason: "migration".into(), until, criticals }
}

fn allowance(alert: &str, until: Instant) -> AllowanceRequest {
    AllowanceRequest { alert: alert.into(), reason: "salaries".into(), until, any: BTreeSet::new(), amount_max: None }
}

#[tokio::test]
async fn who_looks_before_anything_is_found_is_written_down_at_the_time_that_the_events_have_come_to() {
    let (log, executor) = scene().await;
    log.append(Topic::Events, vec![allowed("d")]).unwrap();
    let systems = [SYSTEM.to_owned()];
    for _ in 0..2 {
        executor.record_sign_in(&systems, "ann", "token", at(50)).unwrap();
    }
    executor.record_read(SYSTEM, "ann", "about", "alice", at(50)).unwrap();
    executor.record_question(&systems, "ann", "SELECT 1", at(50)).unwrap();
    let [signed_in, read] = ["operator.signed_in", "operator.read"].map(|kind| log.of_kind(kind));
    assert_eq!((signed_in.len(), read.len()), (1, 2), "what is written again stands there once");
    let times: Vec<Instant> = [signed_in, read].concat().iter().map(Event::time).collect();
    assert!(times.iter().all(|time| (at(-60)..at(-59)).contains(time)), "{times:?}");
}

#[tokio::test]
async fn a_theft_that_goes_on_after_it_was_acknowledged_pages_again() {
    let (_, executor) = scene().await;
    executor.take(&plain("1", 0, Severity::Critical)).await.unwrap();
    let (id, _) = incident(&executor);
    assert!(!notified(&executor.take(&plain("2", 10, Severity::Critical)).await.unwrap()), "nothing is worse");
    assert!(operate(&executor, &id, "ann", Act::Acknowledge).await.unwrap());
    assert!(!operate(&executor, &id, "bob", Act::Acknowledge).await.unwrap(), "it is acknowledged already");
    assert!(!notified(&executor.take(&plain("3", 20, Severity::High)).await.unwrap()), "that is no theft");
    assert_eq!(incident(&executor).1, Status::Acknowledged);
    assert!(notified(&executor.take(&plain("4", 30, Severity::Critical)).await.unwrap()));
    assert_eq!(incident(&executor), (id, Status::Open), "it needs another acknowledgement");
}

#[tokio::test]
async fn an_incident_is_resolved_with_a_verdict_and_what_comes_then_reopens_it() {
    let (_, executor) = scene().await;
    executor.take(&plain("1", 0, Severity::High)).await.unwrap();
    executor.take(&Finding { rule: "other/rule".into(), ..plain("2", 10, Severity::High) }).await.unwrap();
    let alerts: Vec<String> = executor.with_state(|state| state.alerts().map(|alert| alert.alert_id.clone()).collect());
    let (id, _) = incident(&executor);
    assert!(operate(&executor, &alerts[0], "ann", resolve(Verdict::Benign)).await.unwrap());
    assert_eq!(incident(&executor).1, Status::Open, "one of two alerts");
    assert!(operate(&executor, &alerts[1], "ann", resolve(Verdict::False)).await.unwrap());
    assert_eq!(incident(&executor).1, Status::Resolved, "the last alert resolves it");
    for act in [Act::Acknowledge, resolve(Verdict::True), Act::Assign { assignee: Some("bob".into()) }] {
        let refused = operate(&executor, &id, "ann", act).await.unwrap_err();
        assert!(refused.to_string().contains("reopen it first"), "{refused}");
    }
    assert!(operate(&executor, &id, "ann", Act::Reopen { reason: "wrong key".into() }).await.unwrap());
    assert!(operate(&executor, &id, "ann", resolve(Verdict::Test)).await.unwrap());
    assert!(notified(&executor.take(&plain("3", 60, Severity::High)).await.unwrap()));
    assert_eq!(incident(&executor), (id, Status::Open));
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_leaves_no_record() {
    let (log, executor) = scene().await;
    executor.take(&plain("1", 0, Severity::High)).await.unwrap();
    executor.idle().await;
    let (id, _) = incident(&executor);
    let before = log.all(Topic::Conclusions).len();
    for (act, problem) in [
        (Act::Comment { comment: " ".into() }, "`comment` is empty"),
        (Act::Comment { comment: "x".repeat(9_999) }, "longer than"),
        (Act::Reopen { reason: "why not".into() }, "not resolved"),
    ] {
        let refused = operate(&executor, &id, "ann", act).await.unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    let nothing = operate(&executor, "nothing", "ann", Act::Acknowledge).await.unwrap_err();
    assert!(matches!(nothing, Error::NoIncident { .. }));
    for (request, problem) in [
        (request(false, at(0)), "before it begins"),
        (request(false, at(31 * 86_400)), "at most 720 hours"),
        (request(true, at(4 * 3_600 + 60)), "at most 4 hours"),
        (SilenceRequest { matcher: Matcher::default(), ..request(false, at(60)) }, "empty"),
        (SilenceRequest { reason: " ".into(), ..request(false, at(60)) }, "reason"),
    ] {
        let refused = executor.silence(request, "ann", at(1)).await.unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    assert_eq!(log.all(Topic::Conclusions).len(), before);
    let comment = Act::Comment { comment: "once".into() };
    for changed in [true, false] {
        let key = Some("key-1".to_owned());
        assert_eq!(executor.operate(&id, "ann", key, comment.clone(), at(5)).await.unwrap().changed, changed);
    }
    assert_eq!(log.of_kind("alert.commented").len(), 1, "a repetition under the same key is none");
}

#[tokio::test]
async fn the_longest_time_counts_from_now_also_where_log_time_is_behind() {
    let (_, executor) = scene().await;
    executor.take(&plain("1", 0, Severity::High)).await.unwrap();
    let alert = executor.with_state(|state| state.alerts().next().unwrap().alert_id.clone());
    operate(&executor, &alert, "ann", resolve(Verdict::Benign)).await.unwrap();
    executor.allow(&allowance(&alert, at(60 + 90 * 86_400)), "ann", at(60)).await.unwrap();
    executor.silence(request(true, at(60 + 4 * 3_600)), "ann", at(60)).await.unwrap();
}

#[tokio::test]
async fn criticals_are_silenced_by_two_people_and_everybody_hears_of_it() {
    let (log, executor) = scene().await;
    executor
        .take(&Finding { wallet: None, session: None, request: None, ..plain("0", 0, Severity::Low) })
        .await
        .unwrap();
    let asked = executor.silence(request(true, at(3_600)), "ann", at(1)).await.unwrap();
    let told = |log: &MortalLog| {
        let findings = log.of_kind("finding.created");
        findings.iter().filter(|event| event.detail().value()["rule"] == "keywatch/silenced").count()
    };
    assert_eq!(told(&log), 1);
    assert!(asked.is_waiting() && !asked.holds(at(2)));
    assert!(notified(&executor.take(&plain("1", 10, Severity::Critical)).await.unwrap()), "one person alone");
    let own = executor.approve_silence(&asked.id, "ann", at(11)).await.unwrap_err();
    assert!(own.to_string().contains("two people"), "{own}");
    let silence = executor.approve_silence(&asked.id, "bob", at(12)).await.unwrap();
    assert!(silence.holds(at(13)));
    assert_eq!(told(&log), 2);
    let worse =
        |id: &str, seconds| Finding { to_address: Some(format!("0x{id}")), ..plain(id, seconds, Severity::Critical) };
    assert!(!notified(&executor.take(&worse("2", 700)).await.unwrap()), "silenced");
    assert!(notified(&executor.take(&worse("3", 3_600)).await.unwrap()), "it has ended");
    executor.end_silence(&asked.id, "carol", at(20)).await.unwrap();
    assert_eq!(log.of_kind("alert.silence_ended").len(), 1);
}

#[tokio::test]
async fn a_silence_leaves_criticals_and_other_findings_alone() {
    let (_, executor) = scene().await;
    executor
        .take(&Finding { wallet: None, session: None, request: None, ..plain("0", 0, Severity::Low) })
        .await
        .unwrap();
    let silence: Silence = executor.silence(request(false, at(3_600)), "ann", at(1)).await.unwrap();
    assert!(!notified(&executor.take(&plain("1", 10, Severity::High)).await.unwrap()));
    let elsewhere =
        Finding { wallet: Some("w2".into()), session: None, request: None, ..plain("2", 11, Severity::High) };
    assert!(notified(&executor.take(&Finding { rule: "r".into(), ..elsewhere }).await.unwrap()));
    assert!(notified(&executor.take(&plain("3", 12, Severity::Critical)).await.unwrap()));
    executor.end_silence(&silence.id, "ann", at(13)).await.unwrap();
    let other = Finding {
        rule: "s".into(),
        wallet: Some(WALLET.into()),
        session: None,
        request: None,
        ..plain("4", 9_000, Severity::High)
    };
    assert!(notified(&executor.take(&other).await.unwrap()));
}

#[tokio::test]
async fn an_entry_of_the_allow_list_is_made_from_a_verdict_by_two_people_and_covers_nothing_worse() {
    let (log, executor) = scene().await;
    let about = |entity: &str, id: &str, seconds, severity| Finding {
        entity: entity.into(),
        wallet: None,
        session: None,
        request: None,
        ..plain(id, seconds, severity)
    };
    let of = |entity: &str| {
        let entity = entity.to_owned();
        executor.with_state(|state| state.alerts().find(|alert| alert.entity == entity).unwrap().alert_id.clone())
    };
    let until = at(30 * 86_400);
    executor.take(&about("payroll", "1", 0, Severity::High)).await.unwrap();
    executor.take(&about("vault", "2", 1, Severity::Critical)).await.unwrap();
    let (payroll, vault) = (of("payroll"), of("vault"));
    let refused =
        async |name: &str, until| executor.allow(&allowance(name, until), "ann", at(50)).await.unwrap_err().to_string();
    assert!(refused(&payroll, until).await.contains("resolve the alert with one first"));
    for alert in [&payroll, &vault] {
        operate(&executor, alert, "ann", resolve(Verdict::Benign)).await.unwrap();
    }
    for (name, until, expected) in [
        (payroll.as_str(), at(91 * 86_400), "at most 2160 hours"),
        (vault.as_str(), until, "criticals"),
        ("nothing", until, "is no alert"),
    ] {
        let problem = refused(name, until).await;
        assert!(problem.contains(expected), "{name}: {problem}");
    }
    let asked = executor.allow(&allowance(&payroll, until), "ann", at(50)).await.unwrap();
    assert!(asked.is_waiting() && refused(&payroll, until).await.contains(&asked.id));
    let told = async |finding: Finding| notified(&executor.take(&finding).await.unwrap());
    assert!(told(about("payroll", "3", 4_000, Severity::High)).await, "one person alone");
    let own = executor.approve_silence(&asked.id, "ann", at(4_001)).await.unwrap_err();
    assert!(own.to_string().contains("two people"), "{own}");
    executor.approve_silence(&asked.id, "bob", at(4_002)).await.unwrap();
    assert!(!told(about("payroll", "4", 8_000, Severity::High)).await);
    assert!(!told(about("payroll", "5", 8_001, Severity::High)).await, "counted on the same alert");
    let covered = |executor: &Executor| executor.with_state(|state| state.silences().get(&asked.id).unwrap().covered);
    assert_eq!(covered(&executor), 2);
    assert!(told(about("payroll", "6", 8_100, Severity::Critical)).await, "it is worse");
    assert!(told(about("other", "7", 12_000, Severity::High)).await, "it is about something else");
    assert!(told(about("payroll", "8", 30 * 86_400 + 1, Severity::High)).await, "it has ended");
    let told_of = log.of_kind("finding.created");
    let told_of = told_of.iter().filter(|event| event.detail().value()["rule"] == "keywatch/silenced").count();
    assert_eq!(told_of, 2, "that it was asked for, and that it was agreed to");
    let again = crate::support::executor(&log, &FaultyPdp::new(), sinks());
    assert_eq!(
        again.with_state(|state| state.silences().clone()),
        executor.with_state(|state| state.silences().clone())
    );
}

/// Everything that an operator can do, some of it over and over, each step with the record that it writes.
async fn a_shift(executor: &Executor) {
    executor.take(&plain("1", 0, Severity::High)).await.unwrap();
    let (id, _) = incident(executor);
    operate(executor, &id, "ann", Act::Acknowledge).await.unwrap();
    operate(executor, &id, "ann", Act::Assign { assignee: Some("bob".into()) }).await.unwrap();
    operate(executor, &id, "bob", Act::Comment { comment: "looking".into() }).await.unwrap();
    executor.take(&Finding { to_address: Some("0xa".into()), ..plain("2", 10, Severity::High) }).await.unwrap();
    executor.take(&plain("3", 20, Severity::Critical)).await.unwrap();
    operate(executor, &id, "bob", resolve(Verdict::Benign)).await.unwrap();
    operate(executor, &id, "ann", Act::Reopen { reason: "no".into() }).await.unwrap();
    operate(executor, &id, "ann", Act::Assign { assignee: None }).await.unwrap();
    let silence = executor.silence(request(true, at(3_600)), "ann", at(30)).await.unwrap();
    executor.approve_silence(&silence.id, "bob", at(31)).await.unwrap();
    executor.end_silence(&silence.id, "bob", at(32)).await.unwrap();
    executor.take(&Finding { to_address: Some("0xb".into()), ..plain("4", 60, Severity::Critical) }).await.unwrap();
    executor.page_due(SYSTEM, at(700)).await.unwrap();
    operate(executor, &id, "bob", resolve(Verdict::True)).await.unwrap();
    executor.idle().await;
}

#[tokio::test]
async fn p1_the_fold_is_the_same_with_a_restart_at_every_record() {
    let (log, live) = scene().await;
    a_shift(&live).await;
    let whole = live.with_state(AlertState::clone);
    let records: Vec<Event> = log.all(Topic::Conclusions);
    for kind in [
        "acknowledged",
        "assigned",
        "commented",
        "resolved",
        "reopened",
        "silenced",
        "silence_approved",
        "silence_ended",
    ] {
        assert!(records.iter().any(|record| record.kind() == format!("alert.{kind}")), "no alert.{kind}");
    }
    assert_eq!(log.of_kind("incident.paged").len(), 1, "what had waited");
    for cut in 0..=records.len() {
        let older = MortalLog::immortal();
        let append = |records: &[Event]| {
            if !records.is_empty() {
                older.append(Topic::Conclusions, records.to_vec()).unwrap();
            }
        };
        append(&records[..cut]);
        let mut kept = Vec::new();
        executor(&older, &FaultyPdp::new(), sinks()).save(&mut kept).unwrap();
        append(&records[cut..]);
        let again = executor_from(Saved::read(&kept).unwrap(), &older, &FaultyPdp::new(), sinks());
        assert!(again.with_state(|state| *state == whole), "a restart after {cut} of {} records", records.len());
    }
}

#[tokio::test]
async fn a_record_that_is_not_durable_has_changed_nothing() {
    let (log, executor) = scene().await;
    executor.take(&plain("1", 0, Severity::High)).await.unwrap();
    executor.idle().await;
    let (id, _) = incident(&executor);
    log.dies_after(0);
    let refused = operate(&executor, &id, "ann", Act::Acknowledge).await.unwrap_err();
    assert!(matches!(refused, Error::Log(_)), "{refused}");
    assert_eq!(incident(&executor).1, Status::Open);
    log.dies_after(usize::MAX);
    assert!(operate(&executor, &id, "ann", Act::Acknowledge).await.unwrap());
}
