//! A stolen credential of a source: what it wrote is tainted, no revocation goes without a person on its word, and all of that
//! stands in records.

use std::collections::BTreeSet;
use std::sync::Arc;

use keywatch_alerting::{Action, AlertState, CompromiseRequest, Error, Executor, Rests, Saved, Sink, Terminal};
use keywatch_store::finding::Proof;
use keywatch_store::{Event, Finding, Instant, Log, Severity, Topic};

use crate::support::{FaultyPdp, MortalLog, SESSION, SYSTEM, at, executor, executor_from, finding};

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

async fn declare(executor: &Executor, request: CompromiseRequest) -> String {
    let refused = BTreeSet::from(["print".to_owned()]);
    executor.compromised(request, refused, "ann", at(1_000)).await.unwrap().id
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
    assert_eq!(executor.with_state(|state| state.compromises().refused()), BTreeSet::from(["print".to_owned()]));
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
    live.idle().await;
    let whole = live.with_state(AlertState::clone);
    assert!(log.all(Topic::Events).is_empty(), "nothing was responded to");
    let conclusions = log.all(Topic::Conclusions);
    for cut in 0..=conclusions.len() {
        let older = MortalLog::immortal();
        let append = |records: &[Event]| {
            if !records.is_empty() {
                older.append(Topic::Conclusions, records.to_vec()).unwrap();
            }
        };
        append(&conclusions[..cut]);
        let mut kept = Vec::new();
        executor(&older, &FaultyPdp::new(), sinks()).save(&mut kept).unwrap();
        append(&conclusions[cut..]);
        let again = executor_from(Saved::read(&kept).unwrap(), &older, &FaultyPdp::new(), sinks());
        assert!(again.with_state(|state| *state == whole), "a restart after {cut} of {} records", conclusions.len());
    }
}
