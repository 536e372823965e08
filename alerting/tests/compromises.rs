//! A stolen credential of a source: what it wrote is tainted, no revocation goes without a person on its word, and all of that
//! stands in records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{self, Duration};

use keywatch_alerting::{
    Action, AlertState, CompromiseRequest, Error, Executor, RefusedBySource, Rests, Saved, Sink, Terminal,
};
use keywatch_store::event::Origin;
use keywatch_store::finding::Proof;
use keywatch_store::{Event, Finding, Instant, Log, Severity, Topic};
use serde_json::json;

use crate::support::{
    FaultyPdp, MortalLog, SESSION, SYSTEM, at, executor, executor_from, finding, same_with_a_restart_at_every_record,
};

fn sinks() -> Vec<Arc<dyn Sink>> {
    vec![Arc::new(Terminal::new("terminal", std::io::sink()))]
}

fn scene() -> (Arc<MortalLog>, Executor) {
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), sinks());
    (log, executor)
}

/// A high finding about the session, on the word of a source: `safe` and `custody` are of one trust group, `node` of another.
fn said(source: &str, id: &str, seconds: i64) -> Finding {
    let rule = format!("own/{source}");
    let entity = format!("{SESSION} {source}");
    let source = source.to_owned();
    let (proof, severity) = (Proof::Corroborated, Severity::High);
    Finding { rule, entity, source, proof, severity, ..finding(id, seconds) }
}

/// Something else, before anything that matters: log time has begun.
async fn begin(executor: &Executor) {
    let (wallet, session, request) = (None, None, None);
    let other =
        Finding { wallet, session, request, response: Vec::new(), severity: Severity::Low, ..said("stray", "0", 0) };
    executor.take(&other).await.unwrap();
}

fn request(source: &str, since: Instant, until: Option<Instant>) -> CompromiseRequest {
    let (system, source, reason) = (SYSTEM.to_owned(), source.to_owned(), "found in a paste".to_owned());
    CompromiseRequest { system, source, since, until, reason }
}

/// By which fingerprint the process that is asked recognises a source.
fn taken(source: &str, print: &str) -> BTreeMap<String, BTreeSet<String>> {
    BTreeMap::from([(source.to_owned(), BTreeSet::from([print.to_owned()]))])
}

/// What is refused where these fingerprints are refused as that source's, and nothing else.
fn refused_as(source: &str, prints: &[&str]) -> RefusedBySource {
    let prints = prints.iter().map(|print| (*print).to_owned()).collect();
    RefusedBySource::from([((SYSTEM.to_owned(), source.to_owned()), prints)])
}

async fn declare(executor: &Executor, request: CompromiseRequest) -> String {
    let taken = taken(&request.source, "print");
    executor.compromised(request, &taken, "ann", at(1_000)).await.unwrap().id
}

fn revokes(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Revoke(_)))
}

/// Findings of the rule about credentials that stand in the log.
fn told(log: &MortalLog) -> Vec<String> {
    let told = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    let told = told.filter(|finding| finding["rule"] == "keywatch/credential_compromised");
    told.map(|finding| finding["title"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn two_groups_revoke_and_one_of_them_under_a_stolen_credential_does_not() {
    let (_, honest) = scene();
    assert!(!revokes(&honest.take(&said("safe", "1", 0)).await.unwrap()), "one group alone");
    assert!(revokes(&honest.take(&said("node", "2", 10)).await.unwrap()), "a second one agrees");

    // The same, where it is known before the second group speaks that somebody else has written as the first.
    let (_, warned) = scene();
    assert!(!revokes(&warned.take(&said("safe", "1", 0)).await.unwrap()));
    declare(&warned, request("safe", at(-60), None)).await;
    assert!(!revokes(&warned.take(&said("node", "2", 10)).await.unwrap()), "what the first one said counts no more");
    assert!(!revokes(&warned.take(&said("safe", "3", 20)).await.unwrap()), "nor what it says now");
    let standing = warned.standings(|_| true);
    assert!(!standing.is_empty() && standing.iter().all(|one| one.groups.len() < 2), "people are told of one group");

    // And where it was stolen only after that.
    let (_, later) = scene();
    later.take(&said("safe", "1", 0)).await.unwrap();
    declare(&later, request("safe", at(5), None)).await;
    assert!(revokes(&later.take(&said("node", "2", 10)).await.unwrap()));
}

#[tokio::test]
async fn what_proves_itself_waits_for_a_person_where_it_is_tainted() {
    let itself = |id: &str, seconds| Finding { source: "safe".into(), ..finding(id, seconds) };
    let (_, executor) = scene();
    begin(&executor).await;
    declare(&executor, request("safe", at(0), None)).await;
    let actions = executor.take(&itself("1", 10)).await.unwrap();
    let why = actions.iter().find_map(|action| match action {
        Action::Propose(response) => Some(response.why.clone()),
        _ => None,
    });
    assert!(!revokes(&actions) && why.is_some_and(|why| why.contains("tainted")), "{actions:?}");
    let (_, before) = scene();
    begin(&before).await;
    declare(&before, request("safe", at(11), None)).await;
    assert!(revokes(&before.take(&itself("1", 10)).await.unwrap()), "it wrote that before");
}

#[tokio::test]
async fn an_alert_says_whether_all_of_it_hangs_on_tainted_events() {
    let (_, executor) = scene();
    let rests = |finding: &Finding| {
        executor.with_state(|state| {
            let alert = state.alert(finding).unwrap();
            state.compromises().rests(&alert.system, &alert.anchors)
        })
    };
    let (forged, mixed, honest) = (said("safe", "1", 100), said("custody", "2", 10), said("node", "3", 100));
    for finding in [&forged, &mixed, &honest] {
        executor.take(finding).await.unwrap();
    }
    // Counted on the same alert, on the word of the stolen one.
    executor.take(&Finding { source: "safe".into(), ..said("custody", "4", 110) }).await.unwrap();
    assert_eq!([rests(&forged), rests(&mixed), rests(&honest)], [None; 3]);
    let id = declare(&executor, request("safe", at(50), Some(at(200)))).await;
    assert_eq!([rests(&forged), rests(&mixed), rests(&honest)], [Some(Rests::Alone), Some(Rests::Partly), None]);
    executor.restore_credential(&id, "ann", "a drill", at(1_001)).await.unwrap();
    executor.restore_credential(&id, "bob", "a drill", at(1_002)).await.unwrap();
    assert_eq!([rests(&forged), rests(&mixed), rests(&honest)], [None; 3]);
}

#[tokio::test]
async fn it_is_declared_by_one_and_taken_back_by_two_and_everybody_hears_of_it() {
    let (log, executor) = scene();
    executor.take(&said("safe", "1", 0)).await.unwrap();
    let id = declare(&executor, request("safe", at(-60), None)).await;
    let titles = told(&log);
    assert!(titles.len() == 1 && titles[0].contains("ann declares the credential of safe stolen"), "{titles:?}");
    assert_eq!(executor.with_state(|state| state.compromises().refused()), refused_as("safe", &["print"]));
    let asked = executor.restore_credential(&id, "ann", "it was ours", at(1_001)).await.unwrap();
    assert!(asked.stands());
    let own = executor.restore_credential(&id, "ann", "it was ours", at(1_002)).await.unwrap_err();
    assert!(own.to_string().contains("two people"), "{own}");
    let restored = executor.restore_credential(&id, "bob", "it was ours", at(1_003)).await.unwrap();
    assert!(!restored.stands() && executor.with_state(|state| state.compromises().refused().is_empty()));
    assert_eq!(told(&log).len(), 3, "declared, asked for, agreed to");
    let opened = log.of_kind("alert.opened").into_iter().map(|event| event.detail().value());
    let paged = opened.filter(|record| record["finding"]["rule"] == "keywatch/credential_compromised");
    assert_eq!(paged.filter(|record| record["notify"] == true).count(), 3, "each of them pages");
    let again = executor.restore_credential(&id, "carol", "it was ours", at(1_004)).await.unwrap_err();
    assert!(again.to_string().contains("already"), "{again}");
    let nothing = executor.restore_credential("nothing", "bob", "why not", at(1_005)).await.unwrap_err();
    assert!(matches!(nothing, Error::NoIncident { .. }));
    for kind in ["credential.compromised", "credential.restore_asked", "credential.restored"] {
        assert_eq!(log.of_kind(kind).len(), 1, "{kind}");
    }
}

#[tokio::test]
async fn whoever_takes_many_words_away_needs_a_second_person() {
    let (log, executor) = scene();
    begin(&executor).await;
    let declared = async |source: &str, by: &str, seconds| {
        let taken = taken(source, &format!("print of {source}"));
        executor.compromised(request(source, at(-60), None), &taken, by, at(seconds)).await.unwrap()
    };
    let is_tainted = |source: &str| executor.with_state(|state| state.compromises().taint(SYSTEM, source, at(0)));
    for source in ["idp", "opa", "vault"] {
        assert!(declared(source, "ann", 1_000).await.stands(), "{source}");
    }
    assert!(declared("idp", "ann", 1_001).await.stands(), "of a source that was declared already, another token");
    for seconds in [1_002, 1_003] {
        let fourth = declared("safe", "ann", seconds).await;
        assert!(fourth.waits && !fourth.stands() && !is_tainted("safe"), "nobody agrees with themselves: {fourth:?}");
        let early = executor.restore_credential(&fourth.id, "bob", "no", at(seconds)).await.unwrap_err();
        assert!(early.to_string().contains("no second person"), "{early}");
    }
    let agreed = declared("safe", "bob", 1_004).await;
    assert!(agreed.stands() && is_tainted("safe"));
    assert_eq!(agreed.asked_by.as_deref(), Some("ann"));
    let refused = executor.with_state(|state| state.compromises().refused());
    assert_eq!(refused[&(SYSTEM.to_owned(), "safe".to_owned())], BTreeSet::from(["print of safe".to_owned()]));
    assert!(executor.with_state(|state| !state.compromises().iter().any(|one| one.waits)), "that is settled");
    assert_eq!([log.of_kind("credential.compromised").len(), log.of_kind("credential.compromise_asked").len()], [5, 2]);
    let asked = told(&log).iter().filter(|title| title.contains("wants the credential of safe declared")).count();
    assert_eq!(asked, 2, "and everybody hears of it");
}

/// A process that takes events in says by which fingerprints it recognises the source.
fn accepted(process: &str, seconds: i64, prints: &[&str]) -> Event {
    accepted_of("safe", process, seconds, prints)
}

fn accepted_of(source: &str, process: &str, seconds: i64, prints: &[&str]) -> Event {
    let origin = Origin { system: SYSTEM.to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::builder(&origin, &format!("{process}/{seconds}"), "credential.accepted", at(seconds));
    event.time(at(seconds));
    event.detail(&json!({ "of": source, "process": process, "prints": prints }));
    event.build_own()
}

#[tokio::test]
async fn p8_a_process_that_names_the_credentials_of_others_as_a_sources_has_nobody_else_refused() {
    let (log, live) = scene();
    let says = |event: Event| {
        let appended = log.append(Topic::Events, vec![event]).unwrap();
        live.observe(appended.first, &appended.written);
    };
    says(accepted("door", 1, &["print of safe"]));
    says(accepted_of("node", "door", 2, &["print of node"]));
    says(accepted_of("custody", "door", 3, &["print of custody"]));
    // A machine that takes events in and is no longer ours: it wants everybody cut off, and the door to go on for the thief.
    says(accepted("thief", 4, &["print of node", "print of custody", "print of an operator"]));
    says(accepted("door", 5, &[]));
    let declared = live.compromised(request("safe", at(0), None), &BTreeMap::new(), "ann", at(1_000)).await.unwrap();
    let all = ["print of an operator", "print of custody", "print of node", "print of safe"];
    assert_eq!(live.with_state(|state| state.compromises().refused()), refused_as("safe", &all), "as its own alone");
    let others = ["custody", "node"].map(str::to_owned);
    assert_eq!(declared.shared_with, BTreeSet::from(others), "who declares hears of it");
    assert_eq!(declared.view()["shared_with"], json!(["custody", "node"]));
    let records = log.of_kind("credential.compromised");
    assert_eq!(records[0].detail().value()["shared_with"], json!(["custody", "node"]), "and it is written down");
    let told = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    let meanings: Vec<String> = told.filter_map(|finding| finding["meaning"].as_str().map(str::to_owned)).collect();
    let said = |meaning: &&String| meaning.contains("was also accepted for custody, node");
    assert_eq!(meanings.iter().filter(said).count(), 1, "and told: {meanings:?}");
    live.idle().await;
    let again = executor(&log, &FaultyPdp::new(), sinks());
    let state = |executor: &Executor| executor.with_state(|state| state.compromises().clone());
    assert_eq!(state(&again), state(&live));
}

#[tokio::test]
async fn p1_what_every_process_takes_is_refused_and_the_taint_ends_with_the_last_of_them() {
    let (log, live) = scene();
    let says = |event: Event| {
        let appended = log.append(Topic::Events, vec![event]).unwrap();
        live.observe(appended.first, &appended.written);
    };
    says(accepted("door-1", 1, &["old", "new"]));
    says(accepted("door-2", 2, &["old"]));
    let id = {
        let declared = request("safe", at(0), None);
        live.compromised(declared, &BTreeMap::new(), "ann", at(1_000)).await.unwrap().id
    };
    let now = || live.with_state(|state| state.compromises().get(&id).cloned().unwrap());
    assert_eq!(now().refused, BTreeSet::from(["new".to_owned(), "old".to_owned()]), "this process takes nothing in");
    assert_eq!(now().ends(), None, "both still take it");
    says(accepted("door-1", 2_000, &[]));
    assert_eq!((now().ends(), now().view()["still_taken_by"].clone()), (None, json!(["door-2"])));
    says(accepted("door-2", 2_100, &["fresh"]));
    assert_eq!(now().ends(), Some(at(2_160)));
    live.idle().await;
    // Whatever was folded first: a start reads one topic after the other, and what runs has both as they came.
    let again = executor(&log, &FaultyPdp::new(), sinks());
    let state = |executor: &Executor| executor.with_state(|state| state.compromises().clone());
    assert_eq!(state(&again), state(&live));
    let mut kept = Vec::new();
    live.save(&mut kept).unwrap();
    let kept = executor_from(Saved::read(&kept).unwrap(), &log, &FaultyPdp::new(), sinks());
    assert!(kept.with_state(|kept| live.with_state(|live| kept == live)));
}

#[tokio::test]
async fn p1_what_is_tainted_is_the_same_with_a_restart_at_every_record() {
    let (log, live) = scene();
    let silent = |id: &str, seconds| Finding { response: Vec::new(), ..said("safe", id, seconds) };
    live.take(&silent("1", 0)).await.unwrap();
    let id = declare(&live, request("safe", at(-60), None)).await;
    live.take(&silent("2", 20)).await.unwrap();
    live.take(&silent("3", 7_200)).await.unwrap();
    live.restore_credential(&id, "ann", "it was ours", at(1_001)).await.unwrap();
    live.restore_credential(&id, "bob", "it was ours", at(1_002)).await.unwrap();
    declare(&live, request("node", at(-60), Some(at(30)))).await;
    same_with_a_restart_at_every_record(&log, &live, sinks).await;
}

/// What keywatch itself writes down at that time.
fn own(id: &str, kind: &str, detail: &serde_json::Value, seconds: i64) -> Event {
    let origin = Origin { system: SYSTEM.to_owned(), source: "keywatch".to_owned() };
    let mut event = Event::builder(&origin, id, kind, at(seconds));
    event.time(at(seconds));
    event.detail(detail);
    event.build_own()
}

#[test]
fn p7_a_process_that_is_made_up_costs_what_it_says_and_not_what_all_have_said() {
    let (mut state, declared, processes) = (AlertState::default(), 100, 3_000);
    for number in 0..declared {
        let id = format!("{number:032x}");
        let request = json!(request("safe", at(-60), None));
        let detail = json!({ "compromise_id": id, "by": "ann", "request": request, "refused": ["stolen"] });
        state.apply(&own(&id, "credential.compromised", &detail, 0));
    }
    let mut accept = |number: i64, prints: &[&str]| {
        let process = format!("made up {number}");
        let id = format!("{process} {}", prints.len());
        let detail = json!({ "of": "safe", "process": process, "prints": prints });
        state.apply(&own(&id, "credential.accepted", &detail, number));
    };
    let begun = time::Instant::now();
    (0..processes).for_each(|number| accept(number, &["stolen"]));
    accept(7, &[]);
    let taken = begun.elapsed();
    for compromise in state.compromises().iter() {
        assert_eq!(compromise.doors.len(), usize::try_from(processes).unwrap());
        assert_eq!((compromise.doors["made up 6"], compromise.doors["made up 7"]), (None, Some(at(7))));
    }
    assert_eq!(state.compromises().iter().count(), declared);
    assert!(taken < Duration::from_secs(15), "{taken:?}");
}
