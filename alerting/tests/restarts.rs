//! Alerting goes on from a state that was kept: it is the state of the whole log, and what was told and revoked is told and
//! revoked once, wherever the process ended and however old the kept state is.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use crate::support::{FaultyPdp, MortalLog, SESSION, SYSTEM, allowed, executor_from, finding, policy, until};
use keywatch_alerting::delivery::sink::Attempt;
use keywatch_alerting::lifecycle::record::{finding_created, records};
use keywatch_alerting::limits::{FINDING_KEPT_NS, INCIDENT_ALERTS_MAX, PROBE_INPUTS_BYTES_MAX, SWEEP_RECORDS};
use keywatch_alerting::response::ways::Asked;
use keywatch_alerting::response::ways::planning::{Reach, WayRules, When};
use keywatch_alerting::{Action, AlertState, Executor, Saved, Sink, Terminal, Way, plan};
use keywatch_store::finding::{Proof, Target};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Finding, Log, Position, Severity, Topic};
use serde_json::json;

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

/// Opens from a kept state, or from the beginning of the log.
fn open(log: &Arc<MortalLog>, pdp: &Arc<FaultyPdp>, kept: &[u8]) -> Executor {
    let saved = if kept.is_empty() { Saved::default() } else { Saved::read(kept).unwrap() };
    executor_from(saved, log, pdp, sinks())
}

fn keep(executor: &Executor) -> Vec<u8> {
    let mut kept = Vec::new();
    executor.save(&mut kept).unwrap();
    kept
}

/// Others append, and the executor sees it as the pipeline goes over it.
fn others_append(log: &MortalLog, executor: &Executor, events: Vec<Event>) {
    let appended = log.append(Topic::Events, events).unwrap();
    executor.observe(appended.first, &appended.written);
}

fn degrees(log: &MortalLog) -> usize {
    log.of_kind("response.verified").len()
}

#[tokio::test]
async fn p1_a_state_kept_at_any_moment_and_the_log_since_is_the_state_of_the_whole_log() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let live = open(&log, &pdp, &[]);
    live.resume().await.unwrap();
    let mut kept = vec![keep(&live)];
    let proposal =
        Finding { proof: Proof::Corroborated, entity: "e".into(), request: Some("0xother".into()), ..finding("2", 10) };
    for step in 0..9 {
        match step {
            0 | 4 => others_append(&log, &live, vec![allowed(&format!("d-{step}"))]),
            1 => drop(live.take(&finding("1", 0)).await.unwrap()),
            2 => {
                let actions = live.take(&proposal).await.unwrap();
                assert!(matches!(actions[0], Action::Propose(_)), "{actions:?}");
            }
            3 => drop(live.take(&Finding { severity: Severity::Low, ..finding("3", 20) }).await.unwrap()),
            5 => {
                pdp.down.store(true, SeqCst);
                let other = Finding { entity: "f".into(), session: Some("second".into()), ..finding("4", 30) };
                live.take(&other).await.unwrap();
            }
            6 => until("an attempt failed", || !log.of_kind("response.failed").is_empty()).await,
            7 => {
                pdp.down.store(false, SeqCst);
                until("it was verified", || degrees(&log) == 2).await;
            }
            _ => {
                let waiting = live.with_state(|state| {
                    let waiting = state.responses().iter().find(|progress| progress.status() == "proposed");
                    waiting.map(|progress| progress.response.id.clone())
                });
                live.approve(&waiting.expect("a proposal waits"), "dora", "it is not us").await.unwrap();
            }
        }
        live.idle().await;
        kept.push(keep(&live));
    }
    live.observe(Position(0), &log.all(Topic::Events));
    let state = live.with_state(AlertState::clone);
    assert!(state.inputs().get(SYSTEM, Target::Session, SESSION).is_some(), "inputs are kept, too");
    kept.push(Vec::new());
    for (moment, kept) in kept.iter().enumerate() {
        let again = open(&log, &pdp, kept);
        assert!(again.with_state(|again| *again == state), "kept at moment {moment}");
        assert_eq!(Saved::read(&keep(&again)).unwrap().folded, Saved::read(&keep(&live)).unwrap().folded);
    }
}

#[tokio::test]
async fn p4_p5_ended_at_any_append_and_started_from_a_kept_state_everything_is_told_and_revoked_once() {
    let mut second_deaths = 0;
    for appends in 0..8 {
        for further in 0..6 {
            let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
            log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
            let first = open(&log, &pdp, &[]);
            first.resume().await.unwrap();
            log.dies_after(appends);
            // It ends somewhere; its state is kept as it is then.
            let before = keep(&first);
            let _ = first.take(&finding("1", 0)).await;
            first.idle().await;
            let mut kept = Vec::new();
            // Where it does not know what the log has of its last append, there is the state from before.
            if first.save(&mut kept).is_err() {
                kept = before;
            }
            drop(first);

            // A second run ends, too, without keeping anything: what was kept is older than the log.
            log.dies_after(further);
            let second = open(&log, &pdp, &kept);
            second_deaths += usize::from(second.resume().await.is_err());
            second.idle().await;
            drop(second);

            log.dies_after(usize::MAX);
            let third = open(&log, &pdp, &kept);
            third.resume().await.unwrap();
            third.take(&finding("1", 0)).await.unwrap();
            third.idle().await;
            let here = format!("died after {appends} appends, and {further} appends later");
            for kind in ["finding.created", "response.requested", "response.verified", "alert.opened"] {
                assert_eq!(log.of_kind(kind).len(), 1, "{kind}: {here}");
            }
            for kind in ["finding.created", "alert.opened"] {
                assert_eq!(log.times_taken(kind), 1, "not even as a repeat: {kind}: {here}");
            }
            assert_eq!(log.of_kind("source.conflict").len(), 0, "{here}");
            assert_eq!(pdp.sequence(), Some(1), "{here}");
            let told: Vec<String> =
                log.of_kind("alert.notified").iter().map(|event| event.event_id().to_string()).collect();
            assert!(told.len() == 1 || told.len() == 2 && told[0] != told[1], "a page, and what came of it: {here}");
            assert_eq!(third.with_state(|state| state.undelivered("terminal", |_| false, 9)), [], "{here}");
            let state = third.with_state(AlertState::clone);
            assert!(open(&log, &pdp, &[]).with_state(|whole| *whole == state), "{here}");
        }
    }
    assert!(second_deaths > 5, "the second run died {second_deaths} times");
}

#[test]
fn what_is_no_kept_state_is_refused() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let kept = String::from_utf8(keep(&open(&log, &pdp, &[]))).unwrap();
    for (text, problem) in [
        (kept[..kept.len() / 2].to_owned(), "EOF"),
        (kept.replacen("alerting state ", "alerting state 9", 1), "another format"),
        (kept.replacen("\"incidents\"", "\"accidents\"", 1), "incidents"),
    ] {
        let refused = Saved::read(text.as_bytes()).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
}

/// A way that counts how often it is asked. It says yes, or nothing: then whoever asked never comes to anything.
struct Counted {
    rules: WayRules,
    asked: AtomicUsize,
    answers: bool,
}

impl Counted {
    fn new(answers: bool) -> Arc<Counted> {
        let (name, system) = ("idp".to_owned(), SYSTEM.to_owned());
        let (when, reach, give_up_ns) = (When::Always, Reach::People, 24 * 3_600 * SECOND_NS);
        let rules = WayRules { name, system, needs_approval: false, when, reach, give_up_ns };
        Arc::new(Counted { rules, asked: AtomicUsize::new(0), answers })
    }
}

impl Way for Counted {
    fn rules(&self) -> &WayRules {
        &self.rules
    }

    fn ask<'a>(&'a self, _: Asked<'a>) -> Attempt<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, SeqCst);
            if !self.answers {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

#[tokio::test]
async fn p5_ended_between_the_intent_of_a_way_and_its_deed_it_is_asked_for_once_by_the_next_process() {
    // The state was kept before the finding, after the intent, or not at all.
    for moment in 0..3 {
        let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
        log.append(Topic::Events, vec![allowed("d-1")]).unwrap();
        let ended = Counted::new(false);
        let first = open(&log, &pdp, &[]).with_ways(vec![Arc::<Counted>::clone(&ended)]);
        first.resume().await.unwrap();
        let before = keep(&first);
        first.take(&finding("1", 0)).await.unwrap();
        until("the deed was begun", || ended.asked.load(SeqCst) == 1).await;
        until("the decision point denies", || degrees(&log) == 1).await;
        first.idle().await;
        let kept = [before, keep(&first), Vec::new()][moment].clone();
        drop(first);
        assert_eq!(log.of_kind("response.requested").len(), 2, "the intent stands in the log");

        let way = Counted::new(true);
        let second = open(&log, &pdp, &kept).with_ways(vec![Arc::<Counted>::clone(&way)]);
        second.resume().await.unwrap();
        until("it was accepted", || degrees(&log) == 2).await;
        second.idle().await;
        drop(second);

        let third = open(&log, &pdp, &kept).with_ways(vec![Arc::<Counted>::clone(&way)]);
        third.resume().await.unwrap();
        third.take(&finding("1", 0)).await.unwrap();
        third.refresh().await.unwrap();
        assert_eq!(third.with_state(|state| state.responses().open_ways().count()), 0, "moment {moment}");
        assert_eq!(way.asked.load(SeqCst), 1, "moment {moment}");
        assert_eq!(log.of_kind("response.requested").len(), 2, "moment {moment}");
        assert_eq!(degrees(&log), 2, "moment {moment}");
    }
}

/// Findings of a year about one wallet, each with a session of its own: its incident never ends.
#[test]
fn p7_a_year_of_findings_leaves_no_more_than_a_month() {
    const EVERY_SECONDS: i64 = 1_800;
    let policy = policy();
    let mut state = AlertState::default();
    let mut sizes = Vec::new();
    for number in 0..365 * 86_400 / EVERY_SECONDS {
        let found = Finding {
            entity: format!("e{number}"),
            session: Some(format!("s{number}")),
            severity: Severity::High,
            response: Vec::new(),
            ..finding(&number.to_string(), number * EVERY_SECONDS)
        };
        state.apply(&finding_created(&found));
        records(&plan(&found, &state, &policy)).iter().for_each(|(_, record)| state.apply(record));
        notified(&mut state, &found);
        if number % i64::try_from(SWEEP_RECORDS).unwrap() == 0 {
            sizes.push(serde_json::to_vec(&state).unwrap().len());
        }
    }
    let month = usize::try_from(FINDING_KEPT_NS / 1_000_000_000 / EVERY_SECONDS).unwrap() / 1_024 + 2;
    let (early, late) = (sizes[month], *sizes.last().unwrap());
    assert!(late < early * 3 / 2, "{early} bytes after a month, {late} after a year");
    assert!(state.alerts().count() < INCIDENT_ALERTS_MAX + 2 * 1_024, "{} alerts", state.alerts().count());
    assert_eq!(state.incidents().iter().count(), 1);
}

/// The page about a finding was taken.
fn notified(state: &mut AlertState, found: &Finding) {
    for pending in state.undelivered("terminal", |_| false, 10) {
        assert_eq!(pending.record.finding.id, found.id);
        let said = std::collections::BTreeMap::new();
        let record = keywatch_alerting::lifecycle::record::notified(&pending.record, &pending.key, "terminal", &said);
        state.apply(&record);
    }
}

#[test]
fn p7_inputs_are_limited_by_their_bytes() {
    let mut state = AlertState::default();
    let wide = "x".repeat(15_000);
    let count = 2 * PROBE_INPUTS_BYTES_MAX / wide.len();
    for number in 0..count {
        let decision = allowed(&number.to_string()).changed(|event| {
            event.session(format!("s{number}"));
            event.detail(&json!({ "path": "wallet/signing/allow", "input": { "session_id": number, "blob": wide } }))
        });
        state.apply(&decision);
    }
    let kept = |number: usize| state.inputs().get(SYSTEM, Target::Session, &format!("s{number}")).is_some();
    assert!(kept(count - 1) && kept(count - count / 3) && !kept(0) && !kept(count / 3));
}
