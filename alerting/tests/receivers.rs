//! Receivers that fail in every way, side by side: one that is down, slow, sends us away or talks nonsense loses nothing and
//! delays no other (promise P4).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use keywatch_alerting::delivery::message::Notification;
use keywatch_alerting::lifecycle::handling::Act;
use keywatch_alerting::lifecycle::matcher::Matcher;
use keywatch_alerting::lifecycle::silence::SilenceRequest;
use keywatch_alerting::{Error, Executor, Pace, Sink};
use keywatch_store::{Finding, Severity};

use crate::support::receivers::{Switch, executor, incident_of, often, operate, plain, resolve, route, worse};
use crate::support::{MortalLog, SYSTEM, WALLET, at, finding, milliseconds, until, wall_clock};

#[tokio::test]
async fn p4_a_receiver_that_is_down_delays_no_other_and_loses_nothing() {
    let log = MortalLog::immortal();
    let (down, up) = (Switch::new("down", false), Switch::new("up", true));
    let executor = executor(&log, vec![down.clone(), up.clone()], Vec::new(), often());
    for index in 0..30 {
        executor.take(&plain(&index.to_string(), Severity::Low, index)).await.unwrap();
    }
    executor.take(&plain("worst", Severity::Critical, 31)).await.unwrap();
    until("the other one has everything", || up.keys().len() == 31).await;
    assert!(down.keys().is_empty());
    until("it counts as down", || executor.receivers()[0].down).await;
    assert_eq!(waiting(&executor, "down"), 31);
    down.up.store(true, Ordering::SeqCst);
    executor.idle().await;
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    assert_eq!(sorted(down.keys()), sorted(up.keys()));
    assert_eq!((waiting(&executor, "down"), executor.receivers()[0].down), (0, false));
}

/// Whoever redrives sees every system.
fn all(_: &str) -> bool {
    true
}

fn waiting(executor: &Executor, destination: &str) -> usize {
    executor.with_state(|state| state.waiting(destination).0)
}

#[tokio::test]
async fn the_others_hear_of_a_receiver_that_fails_and_of_what_it_keeps_from_people() {
    let log = MortalLog::immortal();
    let (down, up) = (Switch::new("down", false), Switch::new("up", true));
    let routes = vec![route(r#"{ "receivers": ["down"], "severity_from": "high" }"#)];
    let executor = executor(&log, vec![down.clone(), up.clone()], routes, often());
    executor.take(&plain("1", Severity::Critical, 0)).await.unwrap();
    until("it counts as down", || executor.receivers()[0].down).await;
    for _ in 0..3 {
        executor.refresh().await.unwrap();
    }
    until("the other one is told", || up.keys().len() == 2).await;
    let got = up.got.lock().unwrap();
    let told: Vec<&Notification> = got.iter().filter(|told| told.rule == "keywatch/delivery_failed").collect();
    assert_eq!(told.len(), 1, "once an hour");
    let title = &told[0].title;
    assert!(title.contains("Receiver down") && title.contains("A confirmation does not verify"), "{title}");
    assert_eq!(told[0].severity, Severity::Critical);
}

#[tokio::test]
async fn routes_choose_who_is_told() {
    let log = MortalLog::immortal();
    let names = ["pager", "chat", "custody", "everything"];
    let all: Vec<Arc<Switch>> = names.iter().map(|name| Switch::new(name, true)).collect();
    let routes = vec![
        route(r#"{ "receivers": ["pager"], "severity_from": "high" }"#),
        route(r#"{ "receivers": ["chat"], "rules": ["signing/*"], "hours": "05:00-06:00", "days": ["fri"] }"#),
        route(r#"{ "receivers": ["custody"], "systems": ["hot"] }"#),
    ];
    let sinks = all.iter().map(|sink| Arc::clone(sink) as Arc<dyn Sink>).collect();
    let executor = executor(&log, sinks, routes, often());
    // 2025-02-21T05:42:40Z was a Friday.
    let late = 2 * 3_600;
    for (id, severity, rule, seconds) in [
        ("a", Severity::Critical, "signing/x", 0),
        ("b", Severity::Low, "signing/x", 0),
        ("c", Severity::Low, "chain/x", 0),
        ("d", Severity::High, "signing/x", late),
    ] {
        let routed = Finding { rule: rule.into(), ..plain(id, severity, seconds) };
        executor.take(&routed).await.unwrap();
    }
    executor.idle().await;
    let told: Vec<Vec<String>> = all
        .iter()
        .map(|sink| {
            let mut entities: Vec<String> = sink.got.lock().unwrap().iter().map(|told| told.entity.clone()).collect();
            entities.sort();
            entities
        })
        .collect();
    // Nobody's route is about c, so that all are told of it.
    assert_eq!(told, [vec!["a", "c", "d"], vec!["a", "b", "c"], vec!["c"], vec!["a", "b", "c", "d"]]);
}

#[test]
fn hours_go_over_midnight_and_days_are_those_of_the_evening() {
    let night = route(r#"{ "receivers": ["p"], "hours": "22:00-06:00", "days": ["thu"], "utc_offset_minutes": 60 }"#);
    // Friday 06:42 there: no more. Friday 05:42: Thursday's night.
    assert!(!night.matches(&finding("1", 0)));
    assert!(night.matches(&finding("1", -3_600)));
    // A night earlier it is Wednesday's.
    assert!(!night.matches(&finding("1", -3_600 - 86_400)));
    for (text, expected) in [
        (r#"{ "receivers": [] }"#, "names none"),
        (r#"{ "receivers": ["x"] }"#, "no receiver `x`"),
        (r#"{ "receivers": ["p"], "hours": "8-18" }"#, "HH:MM"),
        (r#"{ "receivers": ["p"], "escalate": [{ "after_minutes": 5, "receivers": ["y"] }] }"#, "no receiver `y`"),
        (r#"{ "receivers": ["p"], "escalate": [{ "after_minutes": 0, "receivers": ["p"] }] }"#, "above zero"),
    ] {
        let problem = route(text).check(&["p".to_owned()]).unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
}

#[tokio::test]
async fn what_was_put_aside_is_listed_and_redriven_once() {
    let log = MortalLog::immortal();
    let sink = Switch::new("pager", false);
    let first = executor(&log, vec![sink.clone()], Vec::new(), milliseconds(&[1]));
    first.take(&plain("1", Severity::High, 0)).await.unwrap();
    first.idle().await;
    let letters = first.dead_letters();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.contains("connection refused") && letters[0].destination == "pager");
    assert!(matches!(first.redrive("chat", None, "ann", all).await, Err(Error::NoDeadLetter { .. })));
    assert!(matches!(first.redrive("pager", None, "eve", |_| false).await, Err(Error::NoDeadLetter { .. })));
    // Again it fails for the same reason: that is another death.
    assert_eq!(first.redrive("pager", None, "ann", all).await.unwrap(), 1);
    first.idle().await;
    assert_eq!(first.dead_letters().len(), 1);
    sink.up.store(true, Ordering::SeqCst);
    let second = executor(&log, vec![sink.clone()], Vec::new(), milliseconds(&[1]));
    second.resume().await.unwrap();
    second.idle().await;
    assert!(sink.keys().is_empty(), "a restart redrives nothing");
    assert_eq!(second.redrive("pager", Some(&letters[0].key), "bob", all).await.unwrap(), 1);
    second.idle().await;
    assert_eq!(sink.keys(), [letters[0].key.clone()]);
    assert!(second.dead_letters().is_empty());
    let by: Vec<Option<String>> =
        log.of_kind("alert.redriven").iter().map(|event| event.actor().map(str::to_owned)).collect();
    assert_eq!(by, [Some("ann".to_owned()), Some("bob".to_owned())]);
}

#[tokio::test]
async fn p4_a_restart_does_not_begin_the_time_to_give_up_anew() {
    let log = MortalLog::immortal();
    let pace = Pace { give_up_after: Duration::from_secs(1), ..Pace::default() };
    let sink = Switch::with_pace("pager", false, pace);
    let first = executor(&log, vec![sink.clone()], Vec::new(), milliseconds(&[3_600_000]));
    first.take(&plain("1", Severity::High, 0)).await.unwrap();
    until("the first failure is recorded", || log.of_kind("alert.failed").len() == 1).await;
    drop(first);
    let since = log.of_kind("alert.failed")[0].detail().value()["since"].as_i64().unwrap();
    until("a second passed", || wall_clock()().unix_seconds() > since).await;
    let second = executor(&log, vec![sink.clone()], Vec::new(), milliseconds(&[3_600_000]));
    second.resume().await.unwrap();
    second.idle().await;
    assert_eq!(second.dead_letters().len(), 1);
}

#[tokio::test]
async fn p4_a_receiver_that_comes_back_hears_of_the_end_after_the_beginning_and_once() {
    let log = MortalLog::immortal();
    let (down, up) = (Switch::new("down", false), Switch::new("up", true));
    let first = executor(&log, vec![down.clone(), up.clone()], Vec::new(), often());
    let found = plain("1", Severity::High, 0);
    first.take(&found).await.unwrap();
    first.take(&worse(&found)).await.unwrap();
    operate(&first, &found, Act::Acknowledge).await;
    operate(&first, &found, resolve()).await;
    let all = ["alert.acknowledged", "alert.opened", "alert.resolved", "alert.updated"];
    let sorted = |sink: &Switch| {
        let mut kinds = sink.kinds();
        kinds.sort_unstable();
        kinds
    };
    until("the other one has all of it", || sorted(&up) == all).await;
    drop(first);
    until("what was under way has ended", || Arc::strong_count(&down) == 1).await;
    let second = executor(&log, vec![down.clone(), up.clone()], Vec::new(), often());
    down.up.store(true, Ordering::SeqCst);
    second.resume().await.unwrap();
    second.idle().await;
    for sink in [&up, &down] {
        assert_eq!(sorted(sink), all);
        assert_eq!(sink.kinds()[2..], ["alert.acknowledged", "alert.resolved"], "after both pages, in this order");
    }
    let got = down.got.lock().unwrap();
    assert_eq!(got[3].again, ["resolved by ann: benign: it was a drill"]);
    let pages: Vec<&str> = got[3].pages.iter().map(|page| page.key.as_str()).collect();
    let incident = incident_of(&second, &found);
    assert_eq!(pages, [incident.clone(), format!("{incident}-1")], "both pages can be ended");
}

#[tokio::test]
async fn a_page_that_is_redriven_after_its_incident_ended_is_ended_there_too() {
    let log = MortalLog::immortal();
    let sink = Switch::new("pager", false);
    let executor = executor(&log, vec![sink.clone()], Vec::new(), milliseconds(&[1]));
    let found = plain("1", Severity::High, 0);
    executor.take(&found).await.unwrap();
    executor.idle().await;
    operate(&executor, &found, resolve()).await;
    executor.idle().await;
    assert_eq!(executor.dead_letters().len(), 2);
    sink.up.store(true, Ordering::SeqCst);
    let page = incident_of(&executor, &found);
    assert_eq!(executor.redrive("pager", Some(&page), "ann", all).await.unwrap(), 1);
    executor.idle().await;
    assert_eq!(sink.kinds(), ["alert.opened", "alert.resolved"]);
}

#[tokio::test]
async fn of_a_silence_everybody_hears_whatever_the_routes_say() {
    let log = MortalLog::immortal();
    let (pager, chat) = (Switch::new("pager", true), Switch::new("chat", true));
    let routes =
        vec![route(r#"{ "receivers": ["pager"], "severity_from": "high" }"#), route(r#"{ "receivers": ["chat"] }"#)];
    let executor = executor(&log, vec![pager.clone(), chat.clone()], routes, often());
    executor.take(&plain("1", Severity::Low, 0)).await.unwrap();
    executor.idle().await;
    let request = SilenceRequest {
        system: SYSTEM.into(),
        matcher: Matcher { rule: Some("signing/mismatch".into()), ..Matcher::default() },
        reason: "a drill".into(),
        until: at(3_600),
        criticals: false,
    };
    executor.silence(request, "ann", at(1)).await.unwrap();
    executor.idle().await;
    let rules = |sink: &Switch| sink.got.lock().unwrap().iter().map(|told| told.rule.clone()).collect::<Vec<_>>();
    assert_eq!(rules(&pager), ["keywatch/silenced"]);
    assert_eq!(rules(&chat), ["signing/mismatch", "keywatch/silenced"]);
}

#[tokio::test]
async fn what_is_told_together_goes_to_everybody_to_whom_any_of_it_would_have_gone() {
    let log = MortalLog::immortal();
    let (pager, chat) = (Switch::new("pager", true), Switch::new("chat", true));
    let routes = vec![
        route(r#"{ "receivers": ["pager"], "rules": ["signing/*"] }"#),
        route(r#"{ "receivers": ["chat"], "rules": ["chain/*"] }"#),
    ];
    let executor = executor(&log, vec![pager.clone(), chat.clone()], routes, often());
    let shared = |id: &str, rule: &str, severity: Severity, seconds: i64| Finding {
        rule: rule.into(),
        wallet: Some(WALLET.into()),
        ..plain(id, severity, seconds)
    };
    let to = |name: &str, found: Finding| Finding { to_address: Some(name.into()), ..found };
    executor.take(&shared("1", "signing/a", Severity::High, 0)).await.unwrap();
    executor.take(&to("0xd1", shared("2", "chain/a", Severity::High, 60))).await.unwrap();
    executor.take(&to("0xd2", shared("3", "signing/b", Severity::High, 120))).await.unwrap();
    executor.idle().await;
    assert_eq!((pager.kinds().len(), chat.kinds().len()), (1, 0), "what is no worse is gathered");
    executor.page_due(SYSTEM, at(700)).await.unwrap();
    executor.idle().await;
    assert_eq!((pager.kinds().len(), chat.kinds().len()), (2, 1), "one page for both");
    executor.take(&to("0xd3", shared("4", "chain/b", Severity::High, 800))).await.unwrap();
    executor.take(&shared("5", "signing/c", Severity::Critical, 820)).await.unwrap();
    executor.idle().await;
    assert_eq!((pager.kinds().len(), chat.kinds().len()), (3, 2), "what is urgent takes along what waits");
}
