//! Figures of revocation at three real Open Policy Agents; measurements, run by hand with `--ignored --nocapture`.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use keywatch_alerting::policy::settings::Budgets;
use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use keywatch_alerting::{
    BundleBoard, Dependencies, EnforcementPoint, Executor, Policy, Replica, Response, RevocationDocument, Schedule,
    SigningKey, Targets,
};
use keywatch_store::finding::Target;
use keywatch_store::log::faulty::FaultyLog;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Appended, Error as StoreError, Event, Finding, Log, Topic};
use serde_json::json;

use crate::support::keys::pair;
use crate::support::opa::Opa;
use crate::support::revoking::{client, finding, healthy, now, records};

const REVOCATIONS: usize = 1_000;

const ENTRIES: usize = 100_000;

fn unlimited() -> Policy {
    let budgets = Budgets {
        rule_per_hour: usize::MAX,
        source_per_hour: usize::MAX,
        system_per_hour: usize::MAX,
        reserved_for_critical: 0,
        system_per_minute: usize::MAX,
        share_of_sessions_percent: 100,
        share_applies_above: usize::MAX,
    };
    Policy { budgets, ..Policy::default() }
}

fn quantiles(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    println!("{what}: p50 {:?}, p99 {:?}, most {:?}, of {}", at(50), at(99), took[took.len() - 1], took.len());
}

/// The steps of a revocation: the document is published once every replica has taken it.
const STEPS: [&str; 3] = ["response.requested", "response.published", "response.verified"];

/// A log that knows when the last record of a kind was written.
struct TimedLog {
    inner: MemoryLog,
    written: Mutex<BTreeMap<String, Instant>>,
}

impl TimedLog {
    fn written(&self, kind: &str) -> Instant {
        self.written.lock().unwrap()[kind]
    }
}

impl FaultyLog for TimedLog {
    fn records(&self) -> &dyn Log {
        &self.inner
    }

    fn faulty_append(&self, topic: Topic, events: Vec<Event>) -> Result<Appended, StoreError> {
        let kinds: Vec<String> = events.iter().map(|event| event.kind().to_owned()).collect();
        let appended = self.inner.append(topic, events)?;
        let now = Instant::now();
        self.written.lock().unwrap().extend(kinds.into_iter().map(|kind| (kind, now)));
        Ok(appended)
    }
}

/// Microseconds, up to a minute.
fn took() -> Histogram<u64> {
    Histogram::new_with_max(60_000_000, 3).unwrap()
}

fn milliseconds(microseconds: u64) -> f64 {
    Duration::from_micros(microseconds).as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_thousand_revocations_at_three_replicas() {
    let opas = [Opa::start(), Opa::start(), Opa::start()];
    let log = Arc::new(TimedLog { inner: MemoryLog::new(), written: Mutex::default() });
    let replicas = opas.iter().map(|opa| Replica::new(&opa.url(), Arc::new(client(opa)))).collect();
    let executor = Executor::open(Dependencies {
        log: Arc::clone(&log) as Arc<dyn Log>,
        policy: unlimited(),
        sites: BTreeMap::from([("cold".to_owned(), EnforcementPoint::replicated(replicas, healthy()))]),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: Schedule::new(vec![Duration::from_millis(50)]),
        clock: Arc::new(now),
    })
    .unwrap();
    executor.resume().await.unwrap();
    let mut spans = [("finding to intent", took()), ("intent to enforced", took()), ("intent to verified", took())];
    for number in 0..REVOCATIONS {
        let session = format!("s-{number}");
        let one = Finding { response: vec![Target::Session], entity: session.clone(), ..finding(&session) };
        let begun = Instant::now();
        executor.take(&one).await.unwrap();
        let [intent, enforced, verified] = STEPS.map(|kind| log.written(kind));
        for ((_, took), span) in spans.iter_mut().zip([intent - begun, enforced - intent, verified - intent]) {
            took.record(u64::try_from(span.as_micros()).unwrap()).unwrap();
        }
    }
    let verified = records(&log.inner, "response.verified");
    assert_eq!(verified.len(), REVOCATIONS);
    assert!(verified.iter().all(|event| event.outcome() == Some("denied_at_pdp")));
    println!("\n{REVOCATIONS} revocations at three replicas, Data API, one after the other:\n");
    println!("| from, to | p50 ms | p99 ms | most ms |\n|---|---:|---:|---:|");
    for (what, took) in &spans {
        let [p50, p99, most] =
            [took.value_at_quantile(0.5), took.value_at_quantile(0.99), took.max()].map(milliseconds);
        println!("| {what} | {p50:.1} | {p99:.1} | {most:.1} |");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_hundred_thousand_entries() {
    let targets =
        Targets { sessions: (0..ENTRIES).map(|number| format!("session-{number:08}")).collect(), ..Targets::default() };
    let response: Response = serde_json::from_value(json!({
        "response_id": "r", "system": "cold", "alert_id": "a".repeat(32), "incident": "i", "finding_id": "f",
        "rule": "family/name", "source": "safe", "severity": "critical", "decided": now(),
        "sessions_until": now().unix_seconds() + 600, "targets": targets, "why": "a test",
    }))
    .unwrap();
    let mut document = RevocationDocument::empty("cold");
    document.merge(&response);
    let board = BundleBoard::new(vec![SigningKey::from_pem("k1", &pair().private).unwrap()]).unwrap();
    let stamped = |seconds: i64| document.clone().stamped(keywatch_store::Instant(now().0 + seconds * 1_000_000_000));
    for (what, seconds) in [("pack and sign", 0), ("sign again", 1), ("sign again", 2)] {
        let stamped = stamped(seconds);
        let begun = Instant::now();
        board.put(&stamped).await.unwrap();
        println!("{what} {ENTRIES} entries: {:?}", begun.elapsed());
    }
    let opa = Opa::start();
    let pdp = client(&opa);
    let begun = Instant::now();
    pdp.publish(&stamped(0)).await.unwrap();
    println!("put {ENTRIES} entries: {:?}", begun.elapsed());
    let mut asked = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        assert!(pdp.ask(&healthy()).await.unwrap().allow);
        asked.push(begun.elapsed());
    }
    quantiles("a decision over 100,000 entries", asked);
}
