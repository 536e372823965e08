//! Revocation at three real Open Policy Agents of one system: one that is wiped, one that cannot be reached, one whose list
//! somebody has changed, and one that two processes write to.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use keywatch_alerting::{Dependencies, EnforcementPoint, Executor, Policy, Replica, Schedule, Seal, Sink, Terminal};
use keywatch_store::log::hash_chain::Key;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Finding, Log, Position, Topic};
use serde_json::{Value, json};

use crate::support::meanwhile::until;
use crate::support::opa::Opa;
use crate::support::revoking::{client, finding, first_record, healthy, now, records};

/// What people read.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn executor(log: &Arc<MemoryLog>, opas: &[&Opa], page: &Page) -> Executor {
    let replicas = ["a", "b", "c"].into_iter().zip(opas);
    let replicas = replicas.map(|(name, opa)| Replica::new(name, Arc::new(client(opa)))).collect();
    let site = EnforcementPoint::replicated(replicas, healthy()).sealed_by(Seal::new(Key::new(&[7; 32])));
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::new(Terminal::new("terminal", page.clone()))];
    let means = Dependencies {
        log: Arc::clone(log) as Arc<dyn Log>,
        policy: Policy::default(),
        sites: BTreeMap::from([("cold".to_owned(), site)]),
        sinks,
        deliveries: Schedule::pages(),
        revocations: Schedule::new(vec![Duration::from_millis(50)]),
        clock: Arc::new(now),
    };
    Executor::open(means).unwrap()
}

fn stolen() -> Value {
    let mut input = healthy();
    input["session_id"] = json!("s-stolen");
    input
}

async fn allows(opa: &Opa, input: &Value) -> bool {
    client(opa).ask(input).await.unwrap().allow
}

/// Rules of keywatch's own that were told, with severity.
fn own_rules(log: &MemoryLog) -> Vec<(String, String)> {
    let all = log.read(Topic::Conclusions, Position(0), usize::MAX).unwrap();
    let opened = all.iter().filter(|event| event.kind() == "alert.opened").map(|event| event.detail().value());
    let said = |value: &Value| value.as_str().unwrap().to_owned();
    let told = opened.map(|record| (said(&record["finding"]["rule"]), said(&record["finding"]["severity"])));
    told.filter(|(rule, _)| rule.starts_with("keywatch/")).collect()
}

#[tokio::test]
async fn p5_a_revocation_counts_once_every_replica_denies_it() {
    let (a, mut b, c) = (Opa::start(), Opa::start(), Opa::start());
    let (log, page) = (Arc::new(MemoryLog::new()), Page::default());
    let executor = executor(&log, &[&a, &b, &c], &page);
    executor.resume().await.unwrap();
    for opa in [&a, &b, &c] {
        assert!(allows(opa, &stolen()).await, "the session is let in before it is cut");
    }
    let port_of_c = c.port();
    drop(c);

    executor.take(&finding("s-stolen")).await.unwrap();
    let failed = first_record(&log, "response.failed").await;
    let problem = failed.reason().unwrap().to_owned();
    assert!(problem.contains("decision point c") && problem.contains("in force at a, b"), "{problem}");
    assert!(!allows(&a, &stolen()).await && !allows(&b, &stolen()).await, "the others do not wait for it");
    assert_eq!(records(&log, "response.verified").len(), 0, "and nothing is claimed of all");
    executor.idle().await;
    assert!(page.text().contains("could NOT yet stop"), "{}", page.text());

    let port_of_b = b.port();
    drop(b);
    b = Opa::start_on(port_of_b).expect("the port was this test's a moment ago");
    assert!(
        !allows(&b, &healthy()).await || !allows(&b, &stolen()).await,
        "wiped, it lets the stolen session in never"
    );
    let c = Opa::start_on(port_of_c).expect("the port was this test's a moment ago");

    let verified = first_record(&log, "response.verified").await;
    assert_eq!(verified.outcome(), Some("denied_at_pdp"), "{:?}", verified.reason());
    assert!(verified.reason().unwrap().starts_with("at all 3 replicas"), "{:?}", verified.reason());
    for opa in [&a, &b, &c] {
        assert!(!allows(opa, &stolen()).await);
        assert!(allows(opa, &healthy()).await);
    }
    assert_eq!(records(&log, "response.requested").len(), 1, "decided once");
    assert_eq!(records(&log, "response.published").len(), 1);
    assert_eq!(records(&log, "response.verified").len(), 1);
}

#[tokio::test]
async fn a_replica_that_was_wiped_or_changed_is_told_of_and_made_good() {
    let (a, mut b) = (Opa::start(), Opa::start());
    let (log, page) = (Arc::new(MemoryLog::new()), Page::default());
    let executor = executor(&log, &[&a, &b], &page);
    executor.resume().await.unwrap();
    executor.take(&finding("s-stolen")).await.unwrap();
    assert_eq!(first_record(&log, "response.verified").await.outcome(), Some("denied_at_pdp"));
    executor.refresh().await.unwrap();
    assert!(own_rules(&log).is_empty(), "{:?}", own_rules(&log));

    let port = b.port();
    drop(b);
    b = Opa::start_on(port).expect("the port was this test's a moment ago");
    assert!(!allows(&b, &healthy()).await, "without a document it denies everything");
    executor.refresh().await.unwrap();
    assert!(allows(&b, &healthy()).await && !allows(&b, &stolen()).await, "it has the document again");
    let wiped = ("keywatch/replica_drifted".to_owned(), "medium".to_owned());
    assert_eq!(own_rules(&log), std::slice::from_ref(&wiped));

    // Somebody takes the session out of the list by the API of the first, and leaves the rest as it is.
    let patch = json!([{ "op": "remove", "path": "/s-stolen" }]);
    let at = format!("{}/v1/data/revocations/sessions", a.url());
    let request = reqwest::Client::new().patch(at).header("content-type", "application/json-patch+json");
    assert!(request.body(patch.to_string()).send().await.unwrap().status().is_success());
    assert!(allows(&a, &stolen()).await, "the list was changed");
    executor.refresh().await.unwrap();
    assert!(!allows(&a, &stolen()).await, "and is as it was");
    assert_eq!(own_rules(&log), [wiped, ("keywatch/replica_drifted".to_owned(), "critical".to_owned())]);
    until("people were told", || async { page.text().contains("a document that keywatch did not write") }).await;
}

/// Sequence number of the document that is in force.
async fn sequence(opa: &Opa) -> Value {
    client(opa).meta().await.unwrap().unwrap()["seq"].take()
}

#[tokio::test]
async fn p5_a_replaced_process_puts_nothing_over_its_successors_list_and_a_forged_one_stops_nobody() {
    let opa = Opa::start();
    let (old_log, new_log, page) = (Arc::new(MemoryLog::new()), Arc::new(MemoryLog::new()), Page::default());
    let old = executor(&old_log, &[&opa], &page);
    old.resume().await.unwrap();
    old.take(&finding("s-stolen")).await.unwrap();
    first_record(&old_log, "response.verified").await;
    for topic in Topic::ALL {
        new_log.append(topic, old_log.read(topic, Position(0), usize::MAX).unwrap()).unwrap();
    }
    let new = executor(&new_log, &[&opa], &page);
    new.resume().await.unwrap();
    new.take(&Finding { entity: "0xother".into(), ..finding("s-later") }).await.unwrap();
    until("the second is proved", || async { records(&new_log, "response.verified").len() == 2 }).await;
    assert_eq!(sequence(&opa).await, 2);
    let mut later = healthy();
    later["session_id"] = json!("s-later");

    old.refresh().await.unwrap();
    assert_eq!(sequence(&opa).await, 2, "the older list is put over it by nobody");
    assert!(!allows(&opa, &later).await && allows(&opa, &healthy()).await);
    assert_eq!(own_rules(&old_log), [("keywatch/superseded".to_owned(), "critical".to_owned())]);
    assert!(old.superseded().is_some() && new.superseded().is_none());

    // Whoever may write there says that all is let in, under a number that no list of ours will ever have.
    let at = format!("{}/v1/data/revocations", opa.url());
    let held: Value = reqwest::get(&at).await.unwrap().json().await.unwrap();
    let mut forged = held["result"].clone();
    forged["meta"]["seq"] = json!(u64::MAX);
    forged["sessions"] = json!({});
    let put = reqwest::Client::new().put(&at).json(&forged).send().await.unwrap();
    assert!(put.status().is_success());
    let both = [later, stolen()];
    assert!(allows(&opa, &both[0]).await && allows(&opa, &both[1]).await, "the forged list is in force");
    new.refresh().await.unwrap();
    assert!(!allows(&opa, &both[0]).await && !allows(&opa, &both[1]).await, "and is as it was");
    assert_eq!((sequence(&opa).await, new.superseded()), (json!(2), None));
    assert_eq!(own_rules(&new_log), [("keywatch/replica_drifted".to_owned(), "critical".to_owned())]);
}
