//! Rules that people put into shadow or switch off while keywatch runs, and inventories that protect less: what is done then,
//! who has to agree, and that all of it stands in records and is told.

use std::sync::Arc;

use keywatch_alerting::{
    Action, Error, Executor, Matcher, Mode, SilenceRequest, Sink, Switch, SwitchRequest, Terminal,
};
use keywatch_store::finding::Proof;
use keywatch_store::{Event, Finding, Instant, Inventory, Log, Severity, Topic};

use crate::support::{
    FaultyPdp, MortalLog, SYSTEM, at, executor, finding, inventory, same_with_a_restart_at_every_record,
};

/// The rule of every finding here, unless it says another.
const RULE: &str = "signing/mismatch";

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

/// An executor whose log time has begun.
async fn scene() -> (Arc<MortalLog>, Executor) {
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    let stray = Finding { rule: "own/stray".into(), severity: Severity::Low, response: Vec::new(), ..theft("0", 0) };
    executor.take(&stray).await.unwrap();
    (log, executor)
}

/// A theft that has nothing to do with any other, and proves itself.
fn theft(id: &str, seconds: i64) -> Finding {
    let [entity, session, request] = ["wallet", "session", "request"].map(|what| format!("{what}-{id}"));
    let (wallet, session, request) = (Some(entity.clone()), Some(session), Some(request));
    Finding { entity, wallet, session, request, ..finding(id, seconds) }
}

/// A high finding about one session, on the word of a source; `safe` and `node` are of different trust groups.
fn said(source: &str, id: &str, seconds: i64) -> Finding {
    let (rule, entity, source) = (format!("own/{source}"), format!("it {source}"), source.to_owned());
    Finding { rule, entity, source, proof: Proof::Corroborated, severity: Severity::High, ..finding(id, seconds) }
}

fn request(rule: &str, to: Mode, until: Instant) -> SwitchRequest {
    SwitchRequest { system: SYSTEM.into(), rule: rule.into(), to, reason: "a migration".into(), until }
}

/// What is done about a finding, in words.
async fn done(executor: &Executor, finding: &Finding) -> Vec<&'static str> {
    let actions = executor.take(finding).await.unwrap();
    let word = |action: &Action| match action {
        Action::Revoke(_) => "revoke",
        Action::Propose(_) => "propose",
        Action::Notify { .. } => "notify",
        Action::OpenAlert(_) | Action::UpdateAlert(_) | Action::Suppress(_) => "record",
    };
    actions.iter().map(word).collect()
}

/// Lowered by ann, with bob as the second person.
async fn lowered(executor: &Executor, rule: &str, to: Mode, until: Instant) -> Switch {
    let asked = executor.lower(request(rule, to, until), "ann", at(1)).await.unwrap();
    executor.approve_switch(&asked.id, "bob", at(2)).await.unwrap()
}

/// Titles of findings about lowered protection, as far as their record says that people are told.
fn told(log: &MortalLog) -> Vec<String> {
    let opened = log.of_kind("alert.opened").into_iter().map(|event| event.detail().value());
    let opened = opened.filter(|record| record["finding"]["rule"] == "keywatch/protection_lowered");
    let opened = opened.filter(|record| record["notify"] == true);
    opened.map(|record| record["finding"]["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_rule_is_off_once_two_people_say_so_and_on_again_when_its_time_is_over() {
    let (log, executor) = scene().await;
    let asked = executor.lower(request(RULE, Mode::Off, at(3_600)), "ann", at(1)).await.unwrap();
    assert!(asked.waits(at(2)));
    assert_eq!(done(&executor, &theft("1", 10)).await, ["revoke", "record", "notify"], "one person alone");
    let own = executor.approve_switch(&asked.id, "ann", at(11)).await.unwrap_err();
    assert!(own.to_string().contains("two people"), "{own}");
    let switch = executor.approve_switch(&asked.id, "bob", at(12)).await.unwrap();
    assert!(switch.holds(at(13)), "{switch:?}");
    let again = executor.approve_switch(&asked.id, "carol", at(13)).await.unwrap_err();
    assert!(again.to_string().contains("waits for nobody"), "{again}");

    let hidden = theft("2", 700);
    assert_eq!(done(&executor, &hidden).await, ["record"]);
    let found = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    assert_eq!(found.filter(|found| found["id"] == hidden.id.as_str()).count(), 1, "nothing is lost");
    let opened = log.of_kind("alert.opened").into_iter().map(|event| event.detail().value());
    let because: Vec<_> = opened.filter(|record| record["finding"]["id"] == hidden.id.as_str()).collect();
    assert!(because.len() == 1 && because[0]["off"] == asked.id.as_str(), "{because:?}");
    let other = Finding { rule: "signing/other".into(), ..theft("3", 710) };
    assert_eq!(done(&executor, &other).await, ["revoke", "record", "notify"], "every other rule is on");
    assert_eq!(done(&executor, &theft("4", 3_600)).await, ["revoke", "record", "notify"], "its time is over");
}

#[tokio::test]
async fn a_rule_in_shadow_pages_and_proposes_and_one_person_switches_it_on() {
    let (log, executor) = scene().await;
    let switch = lowered(&executor, RULE, Mode::Shadow, at(3_600)).await;
    assert_eq!(done(&executor, &theft("1", 10)).await, ["propose", "record", "notify"]);
    assert!(executor.standings(|_| true).iter().all(|standing| standing.shadow), "whoever decides is told why");
    let reasonless = executor.raise((SYSTEM, RULE), "carol", " ", at(20)).await.unwrap_err();
    assert!(matches!(reasonless, Error::Refused { .. }), "{reasonless}");
    let raised = executor.raise((SYSTEM, RULE), "carol", "it is done", at(21)).await.unwrap();
    assert!(raised.len() == 1 && raised[0].id == switch.id && !raised[0].holds(at(22)), "{raised:?}");
    assert_eq!(done(&executor, &theft("2", 700)).await, ["revoke", "record", "notify"]);
    let nothing = executor.raise((SYSTEM, RULE), "carol", "it is done", at(701)).await.unwrap_err();
    assert!(nothing.to_string().contains("nobody has switched"), "{nothing}");
    for kind in ["protection.switch_asked", "protection.switch_approved", "protection.switch_ended"] {
        assert_eq!(log.of_kind(kind).len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_keeps_no_rule_off() {
    let (_, executor) = scene().await;
    let switch = lowered(&executor, RULE, Mode::Off, at(3_600)).await;
    let raised = executor.raise((SYSTEM, RULE), "carol", "it is done", at(7_200)).await.unwrap();
    assert!(raised.len() == 1 && raised[0].id == switch.id, "{raised:?}");
    assert_eq!(done(&executor, &theft("1", 10)).await, ["revoke", "record", "notify"]);
}

#[tokio::test]
async fn what_is_lowered_is_told_whatever_is_silenced() {
    let (log, executor) = scene().await;
    let matcher = Matcher { rule: Some("keywatch/protection_lowered".into()), ..Matcher::default() };
    let (system, reason, until, criticals) = (SYSTEM.to_owned(), "quiet".to_owned(), at(3_600), false);
    executor.silence(SilenceRequest { system, matcher, reason, until, criticals }, "ann", at(1)).await.unwrap();
    lowered(&executor, RULE, Mode::Off, at(3_600)).await;
    let titles = told(&log);
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert!(titles[0].starts_with("ann asks to switch signing/mismatch off until"), "{titles:?}");
    assert!(titles[1].starts_with("ann and bob switched signing/mismatch off until"), "{titles:?}");
    executor.refresh().await.unwrap();
    assert_eq!(told(&log).len(), 2, "each step once");
}

#[tokio::test]
async fn what_a_rule_that_is_off_finds_speaks_for_no_revocation() {
    let (_, honest) = scene().await;
    assert_eq!(done(&honest, &said("safe", "1", 10)).await[0], "propose", "one trust group alone");
    assert_eq!(done(&honest, &said("node", "2", 20)).await[0], "revoke", "a second one agrees");
    let (_, executor) = scene().await;
    lowered(&executor, "own/safe", Mode::Off, at(3_600)).await;
    assert_eq!(done(&executor, &said("safe", "1", 10)).await, ["record"]);
    assert_eq!(done(&executor, &said("node", "2", 20)).await[0], "propose");
}

#[tokio::test]
async fn what_a_rule_proposed_before_it_was_lowered_is_released_by_no_other_rule() {
    for (lowered_to, expected) in [(None, "revoke"), (Some(Mode::Shadow), "record"), (Some(Mode::Off), "record")] {
        let (_, executor) = scene().await;
        assert_eq!(done(&executor, &said("safe", "1", 10)).await[0], "propose", "one trust group alone");
        if let Some(to) = lowered_to {
            lowered(&executor, "own/safe", to, at(3_600)).await;
        }
        let agrees = Finding { response: Vec::new(), ..said("node", "2", 20) };
        assert_eq!(done(&executor, &agrees).await[0], expected, "{lowered_to:?}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_or_is_too_long_is_refused() {
    let (log, executor) = scene().await;
    let longest = at(1 + 14 * 86_400);
    for (wrong, problem) in [
        (request(RULE, Mode::Off, longest.saturating_add(1)), "at most 14 days"),
        (request(RULE, Mode::Off, at(0)), "before it begins"),
        (SwitchRequest { reason: String::new(), ..request(RULE, Mode::Off, at(60)) }, "`reason`"),
    ] {
        let refused = executor.lower(wrong, "ann", at(1)).await.unwrap_err();
        assert!(refused.to_string().contains(problem), "{refused}");
    }
    executor.lower(request(RULE, Mode::Off, longest), "ann", at(1)).await.unwrap();
    let twice = executor.lower(request(RULE, Mode::Off, longest), "bob", at(2)).await.unwrap_err();
    assert!(twice.to_string().contains("asked for or agreed to already"), "{twice}");
    let nothing = executor.approve_switch("nothing", "bob", at(3)).await.unwrap_err();
    assert!(matches!(nothing, Error::NoIncident { .. }), "{nothing}");
    assert_eq!(log.of_kind("protection.switch_asked").len(), 1);
}

#[tokio::test]
async fn an_inventory_that_protects_less_is_told_while_keywatch_runs() {
    let (log, executor) = scene().await;
    let declare = |inventory: &Inventory, seconds| {
        let appended = log.append(Topic::Events, inventory.activation(at(seconds))).unwrap();
        executor.observe(appended.first, &appended.written);
    };
    let all = inventory();
    declare(&all, 10);
    executor.refresh().await.unwrap();
    assert!(told(&log).is_empty(), "there was nothing before");
    let mut fewer = all.clone();
    fewer.systems[0].sources.retain(|source| source.source != "node");
    declare(&fewer, 20);
    declare(&all, 21);
    for _ in 0..2 {
        executor.refresh().await.unwrap();
        let titles = told(&log);
        assert!(titles.len() == 1 && titles[0].ends_with("; sources declared no more: node"), "{titles:?}");
    }
}

#[tokio::test]
async fn who_may_write_events_and_no_conclusions_switches_nothing() {
    let (log, switching) = scene().await;
    lowered(&switching, RULE, Mode::Off, at(3_600)).await;
    let kinds = ["protection.switch_asked", "protection.switch_approved"];
    let forged: Vec<Event> = kinds.into_iter().flat_map(|kind| log.of_kind(kind)).collect();
    let (log, live) = scene().await;
    let appended = log.append(Topic::Events, forged).unwrap();
    assert_eq!(appended.written.len(), 2);
    live.observe(appended.first, &appended.written);
    let started = executor(&log, &FaultyPdp::new(), sinks());
    for executor in [&live, &started] {
        assert_eq!(executor.with_state(|state| state.switches().iter().count()), 0);
    }
    assert_eq!(done(&live, &theft("1", 10)).await, ["revoke", "record", "notify"]);
}

#[tokio::test]
async fn p1_what_is_switched_is_the_same_with_a_restart_at_every_record() {
    let (log, live) = scene().await;
    let silent = |id: &str, seconds| Finding { response: Vec::new(), ..theft(id, seconds) };
    lowered(&live, RULE, Mode::Off, at(3_600)).await;
    live.take(&silent("1", 20)).await.unwrap();
    live.lower(request("own/safe", Mode::Shadow, at(9_000)), "bob", at(21)).await.unwrap();
    live.raise((SYSTEM, RULE), "carol", "it is done", at(22)).await.unwrap();
    live.take(&silent("2", 7_200)).await.unwrap();
    same_with_a_restart_at_every_record(&log, &live, sinks).await;
}
