//! Entries of the allow-list: as narrow as what was judged, wider only where somebody says so and a second person is told,
//! and as they were where they are of old.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keywatch_alerting::{Act, Action, AlertState, AllowanceRequest, Executor, Saved, Silence, Sink, Terminal, Verdict};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Finding, Instant, Log, Severity, Topic};
use serde_json::json;

use crate::support::{FaultyPdp, MortalLog, SYSTEM, at, executor, executor_from, finding};

const RULE: &str = "chain/amount_outlier";
const ENTITY: &str = "0xhot eth";

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

/// Ann pays 100 of an asset from one wallet to one destination.
fn payment(id: &str, seconds: i64) -> Finding {
    let facts = [("asset", "eth"), ("chain", "ethereum"), ("moved_before", id)];
    Finding {
        rule: RULE.into(),
        entity: ENTITY.into(),
        severity: Severity::High,
        actor: Some("ann".into()),
        wallet: Some("0xhot".into()),
        to_address: Some("0xd1".into()),
        amount: Some("100".into()),
        facts: facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        response: Vec::new(),
        ..finding(id, seconds)
    }
}

fn wanted(alert: &str) -> AllowanceRequest {
    let until = at(30 * 86_400);
    AllowanceRequest { alert: alert.into(), reason: "salaries".into(), until, any: BTreeSet::new(), amount_max: None }
}

/// A finding that was judged benign; the id of its alert.
async fn judged(executor: &Executor, judged: &Finding) -> String {
    executor.take(judged).await.unwrap();
    let alert = executor.with_state(|state| state.alert(judged).unwrap().alert_id.clone());
    let benign = Act::Resolve { verdict: Verdict::Benign, reason: "it is payroll".into() };
    executor.operate(&alert, "ann", None, benign, at(10)).await.unwrap();
    alert
}

async fn allowed(executor: &Executor, wanted: &AllowanceRequest) -> Silence {
    let asked = executor.allow(wanted, "ann", at(20)).await.unwrap();
    executor.approve_silence(&asked.id, "bob", at(30)).await.unwrap()
}

/// Whether the entry keeps the finding from people.
async fn is_covered(executor: &Executor, entry: &Silence, finding: Finding) -> bool {
    let actions = executor.take(&finding).await.unwrap();
    let silence = actions.iter().find_map(|action| match action {
        Action::OpenAlert(record) | Action::UpdateAlert(record) | Action::Suppress(record) => Some(&record.silence),
        _ => None,
    });
    silence.expect("every finding ends in an alert record").as_deref() == Some(entry.id.as_str())
}

async fn scene() -> (Arc<MortalLog>, Executor) {
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    executor.resume().await.unwrap();
    (log, executor)
}

#[tokio::test]
async fn an_entry_covers_what_was_judged_and_nobody_elses_payment() {
    let (log, executor) = scene().await;
    let alert = judged(&executor, &payment("1", 0)).await;
    let entry = allowed(&executor, &wanted(&alert)).await;
    assert!(entry.allows.as_ref().unwrap().wider(&entry.request.matcher).is_empty());
    let fact = |finding: Finding, name: &str, value: &str| {
        let facts: BTreeMap<String, String> =
            finding.facts.clone().into_iter().chain([(name.to_owned(), value.to_owned())]).collect();
        Finding { facts, ..finding }
    };
    let amount = |digits: &str| Some(digits.to_owned());
    for (what, expected, finding) in [
        ("the same again", true, payment("2", 4_000)),
        ("less", true, Finding { amount: amount("99"), ..payment("3", 8_000) }),
        ("another session of hers", true, Finding { session: Some("s-other".into()), ..payment("4", 12_000) }),
        ("more", false, Finding { amount: amount("101"), ..payment("5", 16_000) }),
        ("much more", false, Finding { amount: amount(&"9".repeat(77)), ..payment("6", 20_000) }),
        ("another destination", false, Finding { to_address: Some("0xd2".into()), ..payment("7", 24_000) }),
        ("no destination", false, Finding { to_address: None, ..payment("8", 28_000) }),
        ("another person", false, Finding { actor: Some("eve".into()), ..payment("9", 32_000) }),
        ("nobody known", false, Finding { actor: None, ..payment("10", 36_000) }),
        ("another device", true, Finding { device: Some("laptop-2".into()), ..payment("11", 40_000) }),
        ("another source", false, Finding { source: "custody".into(), ..payment("12", 44_000) }),
        ("another asset", false, fact(payment("13", 48_000), "asset", "usdc")),
        ("worse", false, Finding { severity: Severity::Critical, ..payment("14", 52_000) }),
        ("another rule", false, Finding { rule: "chain/payout_burst".into(), ..payment("15", 56_000) }),
    ] {
        assert_eq!(is_covered(&executor, &entry, finding).await, expected, "{what}");
    }
    executor.idle().await;
    let whole = executor.with_state(AlertState::clone);
    let again = crate::support::executor(&log, &FaultyPdp::new(), sinks());
    assert!(again.with_state(|state| *state == whole), "the log gives the same");
    let mut kept = Vec::new();
    executor.save(&mut kept).unwrap();
    let restored = executor_from(Saved::read(&kept).unwrap(), &log, &FaultyPdp::new(), sinks());
    assert!(restored.with_state(|state| *state == whole), "and so does what was kept");
}

#[tokio::test]
async fn a_device_that_was_judged_is_one_of_the_sides() {
    let (_, executor) = scene().await;
    let new_device = |id: &str, seconds| Finding { device: Some("laptop-2".into()), ..payment(id, seconds) };
    let alert = judged(&executor, &new_device("1", 0)).await;
    let entry = allowed(&executor, &wanted(&alert)).await;
    assert!(is_covered(&executor, &entry, new_device("2", 4_000)).await);
    assert!(!is_covered(&executor, &entry, Finding { device: None, ..new_device("3", 8_000) }).await);
    let stolen = Finding { device: Some("desktop-9".into()), ..new_device("4", 12_000) };
    assert!(!is_covered(&executor, &entry, stolen).await);
}

#[tokio::test]
async fn what_is_wider_is_asked_for_by_name_and_said_to_the_second_person() {
    let (log, executor) = scene().await;
    let alert = judged(&executor, &payment("1", 0)).await;
    let any = |side: &str| AllowanceRequest { any: BTreeSet::from([side.to_owned()]), ..wanted(&alert) };
    let most = |most: &str| AllowanceRequest { amount_max: Some(most.into()), ..wanted(&alert) };
    for (wanted, problem) in [
        (any("rule"), "`rule` is no side"),
        (any("entity"), "`entity` is no side"),
        (any("device"), "there are actor, amount, asset, chain, destination, source, wallet"),
        (most("1.5"), "not a whole number"),
        (AllowanceRequest { any: BTreeSet::from(["amount".to_owned()]), ..most("500") }, "not both"),
    ] {
        let refused = executor.allow(&wanted, "ann", at(20)).await.unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let entry = allowed(&executor, &AllowanceRequest { amount_max: Some("500".into()), ..any("destination") }).await;
    let wider = ["any destination", "amount up to 500 where 100 was judged"];
    assert_eq!(entry.allows.as_ref().unwrap().wider(&entry.request.matcher), wider);
    let told = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    let told: Vec<String> =
        told.filter(|told| told["rule"] == "keywatch/silenced").map(|told| told["meaning"].to_string()).collect();
    assert_eq!(told.len(), 2, "asked for, and agreed to");
    assert!(told.iter().all(|meaning| meaning.contains(&wider.join(", "))), "{told:?}");
    let elsewhere = |id: &str, seconds, amount: &str| Finding {
        to_address: Some("0xd2".into()),
        amount: Some(amount.into()),
        ..payment(id, seconds)
    };
    assert!(is_covered(&executor, &entry, elsewhere("2", 4_000, "500")).await);
    assert!(!is_covered(&executor, &entry, elsewhere("3", 8_000, "501")).await);
    let eve = Finding { actor: Some("eve".into()), ..payment("4", 12_000) };
    assert!(!is_covered(&executor, &entry, eve).await, "only what was said is wider");
}

#[tokio::test]
async fn less_than_was_judged_is_no_wider() {
    let (_, executor) = scene().await;
    let alert = judged(&executor, &payment("1", 0)).await;
    let entry = allowed(&executor, &AllowanceRequest { amount_max: Some("50".into()), ..wanted(&alert) }).await;
    assert!(entry.allows.as_ref().unwrap().wider(&entry.request.matcher).is_empty());
    assert!(!is_covered(&executor, &entry, payment("2", 4_000)).await);
    assert!(is_covered(&executor, &entry, Finding { amount: Some("50".into()), ..payment("3", 8_000) }).await);
}

#[tokio::test]
async fn without_an_asset_an_amount_has_to_be_the_same() {
    let (_, executor) = scene().await;
    let bare = |id: &str, seconds, amount: &str| Finding {
        facts: BTreeMap::new(),
        amount: Some(amount.into()),
        ..payment(id, seconds)
    };
    let alert = judged(&executor, &bare("1", 0, "100")).await;
    let entry = allowed(&executor, &wanted(&alert)).await;
    assert!(is_covered(&executor, &entry, bare("2", 4_000, "100")).await);
    assert!(!is_covered(&executor, &entry, bare("3", 8_000, "99")).await, "less of something else may be more");
    executor.end_silence(&entry.id, "bob", at(40)).await.unwrap();
    let again = judged(&executor, &bare("4", 12_000, "100")).await;
    let stated = AllowanceRequest { amount_max: Some("50".into()), ..wanted(&again) };
    let entry = executor.allow(&stated, "ann", at(12_010)).await.unwrap();
    let wider = entry.allows.as_ref().unwrap().wider(&entry.request.matcher);
    assert_eq!(wider, ["amount up to 50 where 100 was judged"], "of any asset");
}

#[tokio::test]
async fn of_any_asset_an_amount_has_to_be_the_same() {
    let (_, executor) = scene().await;
    let alert = judged(&executor, &payment("1", 0)).await;
    let any_asset = AllowanceRequest { any: BTreeSet::from(["asset".to_owned()]), ..wanted(&alert) };
    let entry = allowed(&executor, &any_asset).await;
    let matcher = &entry.request.matcher;
    assert_eq!((matcher.amount.as_deref(), matcher.amount_max.as_deref()), (Some("100"), None));
    let stated = AllowanceRequest { amount_max: Some("50".into()), ..any_asset };
    let stated = executor.allow(&stated, "ann", at(40)).await.unwrap();
    let wider = stated.allows.as_ref().unwrap().wider(&stated.request.matcher);
    assert_eq!(wider, ["any asset", "amount up to 50 where 100 was judged"]);
    let of_another = |id: &str, seconds, amount: &str| {
        let mut finding = payment(id, seconds);
        finding.facts.insert("asset".into(), "wbtc".into());
        Finding { amount: Some(amount.into()), ..finding }
    };
    assert!(is_covered(&executor, &entry, of_another("2", 4_000, "100")).await);
    assert!(!is_covered(&executor, &entry, of_another("3", 8_000, "99")).await, "it may be worth far more");
}

#[tokio::test]
async fn what_names_more_than_was_judged_is_not_covered() {
    let (_, executor) = scene().await;
    let with = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let bare = |id: &str, seconds| Finding {
        actor: None,
        to_address: None,
        amount: None,
        facts: BTreeMap::new(),
        ..payment(id, seconds)
    };
    let alert = judged(&executor, &bare("1", 0)).await;
    let entry = allowed(&executor, &wanted(&alert)).await;
    for (what, expected, finding) in [
        ("the same again", true, bare("2", 4_000)),
        ("somebody", false, Finding { actor: Some("eve".into()), ..bare("3", 8_000) }),
        ("a destination", false, Finding { to_address: Some("0xd2".into()), ..bare("4", 12_000) }),
        ("an amount", false, Finding { amount: Some("1".into()), ..bare("5", 16_000) }),
        ("an asset", false, Finding { facts: with("asset", "eth"), ..bare("6", 20_000) }),
        ("a count", true, Finding { facts: with("moved_before", "7"), ..bare("7", 24_000) }),
        ("a device", true, Finding { device: Some("laptop-2".into()), ..bare("8", 28_000) }),
    ] {
        assert_eq!(is_covered(&executor, &entry, finding).await, expected, "{what}");
    }
}

#[tokio::test]
async fn where_nobody_is_known_the_session_is_a_side_and_is_not_said() {
    let (log, executor) = scene().await;
    let in_session = |id: &str, seconds, session: &str| Finding {
        actor: None,
        session: Some(session.into()),
        ..payment(id, seconds)
    };
    let alert = judged(&executor, &in_session("1", 0, "s-bearer-secret")).await;
    let entry = allowed(&executor, &wanted(&alert)).await;
    assert!(is_covered(&executor, &entry, in_session("2", 4_000, "s-bearer-secret")).await);
    assert!(!is_covered(&executor, &entry, in_session("3", 8_000, "s-other")).await);
    let told = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    for told in told.filter(|told| told["rule"] == "keywatch/silenced") {
        assert!(!told["title"].to_string().contains("s-bearer-secret"), "{told}");
    }
}

/// `alert.silenced` as it was written before an entry had sides.
fn of_old(kind: &str, detail: &serde_json::Value) -> Event {
    let origin = Origin { system: SYSTEM.into(), source: "keywatch".into() };
    let mut event = Event::builder(&origin, &format!("{kind}/old"), kind, at(1));
    event.time(at(1));
    event.detail(detail);
    event.build_own()
}

#[tokio::test]
async fn an_entry_of_old_covers_what_it_covered() {
    let log = MortalLog::immortal();
    let until: Instant = at(30 * 86_400);
    let asked = json!({
        "silence_id": "old", "by": "ann",
        "request": {
            "system": SYSTEM, "matcher": { "rule": RULE, "entity": ENTITY }, "reason": "salaries", "until": until,
            "criticals": false,
        },
        "allows": { "alert": "a1", "verdict": "benign", "severity": "high" },
    });
    let approved = json!({ "silence_id": "old", "by": "bob" });
    let records = vec![of_old("alert.silenced", &asked), of_old("alert.silence_approved", &approved)];
    log.append(Topic::Conclusions, records).unwrap();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    let entry = executor.with_state(|state| state.silences().get("old").cloned()).unwrap();
    assert_eq!(entry.allows.as_ref().unwrap().wider(&entry.request.matcher), ["whatever else a finding names"]);
    let eve = Finding { actor: Some("eve".into()), to_address: Some("0xd2".into()), ..payment("1", 4_000) };
    assert!(is_covered(&executor, &entry, eve).await);
    assert!(!is_covered(&executor, &entry, Finding { severity: Severity::Critical, ..payment("2", 8_000) }).await);
}
