//! A process that another has taken the place of, and that still reaches the decision point, puts nothing over what its
//! successor has put there; and nobody who has not its key can make it believe that it has a successor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{MortalLog, SESSION, SYSTEM, at, control, finding, input, inventory, milliseconds, wall_clock};
use keywatch_alerting::response::pdp::{Call, HeldDocument};
use keywatch_alerting::{
    Decision, Dependencies, EmbeddedPdp, EnforcementPoint, Executor, Policy, PolicyDecisionPoint, Replica,
    RevocationDocument, Schedule, Seal,
};
use keywatch_store::log::hash_chain::Key;
use keywatch_store::{Finding, Log, Topic};
use serde_json::Value;

/// The key of the cluster's role, and another's.
const KEY: [u8; 32] = [7; 32];
const OTHER_KEY: [u8; 32] = [8; 32];

fn seal(key: &[u8; 32]) -> Seal {
    Seal::new(Key::new(key))
}

fn pdp(name: &str) -> Arc<EmbeddedPdp> {
    Arc::new(EmbeddedPdp::new(name, &[]).unwrap())
}

/// keywatch over that log, with the key, before these replicas.
fn keywatch(log: &Arc<MortalLog>, key: &[u8; 32], replicas: &[(&str, &Arc<EmbeddedPdp>)]) -> Executor {
    let replicas = replicas.iter().map(|(name, pdp)| Replica::new(name, Arc::clone(pdp) as _)).collect();
    over(log, EnforcementPoint::replicated(replicas, control()).sealed_by(seal(key)))
}

fn over(log: &Arc<MortalLog>, site: EnforcementPoint) -> Executor {
    let mut policy = Policy::default();
    policy.adopt(&inventory());
    Executor::open(Dependencies {
        log: Arc::clone(log) as _,
        policy,
        sites: [(SYSTEM.to_owned(), site)].into(),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        // Only heartbeats try again.
        revocations: milliseconds(&[600_000]),
        clock: wall_clock(),
    })
    .unwrap()
}

/// A log that has all that the other one has.
fn copy_of(log: &MortalLog) -> Arc<MortalLog> {
    let copy = MortalLog::immortal();
    for topic in Topic::ALL {
        copy.append(topic, log.all(topic)).unwrap();
    }
    copy
}

/// A second finding, about another session.
fn later() -> Finding {
    Finding { entity: "e".into(), session: Some("s2".into()), ..finding("2", 1) }
}

/// Severities of the findings of that rule.
fn told(log: &MortalLog, rule: &str) -> Vec<String> {
    let details = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    let of_rule = details.filter(|finding| finding["rule"] == rule);
    of_rule.map(|finding| finding["severity"].as_str().unwrap().to_owned()).collect()
}

fn sequence(pdp: &EmbeddedPdp) -> Option<u64> {
    pdp.decide(&control()).unwrap().sequence
}

fn denies(pdp: &EmbeddedPdp, session: &str) -> bool {
    !pdp.decide(&input(session)).unwrap().allow
}

#[tokio::test]
async fn p5_who_was_replaced_puts_no_older_list_over_its_successors() {
    let (one, two) = (pdp("one"), pdp("two"));
    let old_log = MortalLog::immortal();
    let old = keywatch(&old_log, &KEY, &[("one", &one), ("two", &two)]);
    old.resume().await.unwrap();
    old.take(&finding("1", 0)).await.unwrap();
    assert_eq!((sequence(&one), sequence(&two)), (Some(1), Some(1)));

    // From here on the first process hears nothing of the log. The other replica is out of the second one's reach.
    let new_log = copy_of(&old_log);
    let new = keywatch(&new_log, &KEY, &[("one", &one)]);
    new.resume().await.unwrap();
    new.take(&later()).await.unwrap();
    assert_eq!((sequence(&one), sequence(&two)), (Some(2), Some(1)));
    assert!(denies(&one, "s2"));

    assert_eq!(old.superseded(), None, "it has not looked yet");
    for _ in 0..2 {
        old.refresh().await.unwrap();
        assert_eq!(sequence(&one), Some(2), "nothing older is put over it");
        assert!(denies(&one, "s2") && denies(&one, SESSION));
        let why = old.superseded().expect("it knows of its successor");
        assert!(why.contains("one has document 2") && why.contains("got to 1"), "{why}");
    }
    assert_eq!(told(&old_log, "keywatch/superseded"), ["critical"]);
    assert!(told(&old_log, "keywatch/replica_drifted").is_empty(), "its successor is no attacker");
    new.refresh().await.unwrap();
    assert!(told(&new_log, "keywatch/replica_drifted").is_empty(), "what it put there still stands");
    assert_eq!(new.superseded(), None);

    // It stands aside everywhere, also where its successor puts nothing.
    two.publish(&RevocationDocument::empty(SYSTEM)).await.unwrap();
    old.refresh().await.unwrap();
    assert_eq!(sequence(&two), Some(0), "it writes nothing there any more");
}

#[tokio::test]
async fn p5_who_has_caught_up_with_its_successor_goes_on() {
    let (pdp, old_log) = (pdp("one"), MortalLog::immortal());
    let old = keywatch(&old_log, &KEY, &[("one", &pdp)]);
    old.resume().await.unwrap();
    old.take(&finding("1", 0)).await.unwrap();
    let new_log = copy_of(&old_log);
    let new = keywatch(&new_log, &KEY, &[("one", &pdp)]);
    new.resume().await.unwrap();
    new.take(&later()).await.unwrap();
    old.refresh().await.unwrap();
    assert!(old.superseded().is_some());
    drop((old, new));

    let restarted = keywatch(&copy_of(&new_log), &KEY, &[("one", &pdp)]);
    restarted.resume().await.unwrap();
    assert_eq!(restarted.superseded(), None);
    restarted.take(&Finding { entity: "f".into(), session: Some("s3".into()), ..finding("3", 2) }).await.unwrap();
    assert_eq!(sequence(&pdp), Some(3));
    assert!(denies(&pdp, "s3"));
}

#[tokio::test]
async fn p5_a_huge_number_without_our_key_silences_nobody() {
    let (pdp, log) = (pdp("one"), MortalLog::immortal());
    let executor = keywatch(&log, &KEY, &[("one", &pdp)]);
    executor.resume().await.unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    let before = copy_of(&log);
    let mut forged = RevocationDocument::empty(SYSTEM).stamped(wall_clock()());
    forged.sequence = u64::MAX;
    let by_another = {
        let mac = seal(&OTHER_KEY).mac(&forged.meta_value());
        forged.clone().with_mac(mac)
    };
    // The MAC of the document that is in force, under another number.
    let held = pdp.meta().await.unwrap().unwrap();
    let replayed = forged.clone().with_mac(held["mac"].as_str().unwrap().to_owned());
    for document in [forged, by_another, replayed] {
        pdp.publish(&document).await.unwrap();
        assert!(!denies(&pdp, SESSION), "the forged list lets it in");
        executor.refresh().await.unwrap();
        assert_eq!(sequence(&pdp), Some(1), "ours is in force again");
        assert!(denies(&pdp, SESSION));
        assert_eq!(executor.superseded(), None);
    }
    let drifted = told(&log, "keywatch/replica_drifted");
    assert!(!drifted.is_empty() && drifted.iter().all(|severity| severity == "critical"), "{drifted:?}");
    assert!(told(&log, "keywatch/superseded").is_empty());
    assert!(told(&log, "keywatch/heartbeat_failed").is_empty());

    // A process that has just started has put nothing there, and tells of it all the same.
    let mut forged = RevocationDocument::empty(SYSTEM).stamped(wall_clock()());
    forged.sequence = 99;
    pdp.publish(&forged).await.unwrap();
    let restarted = keywatch(&before, &KEY, &[("one", &pdp)]);
    restarted.resume().await.unwrap();
    assert_eq!(sequence(&pdp), Some(1));
    assert!(denies(&pdp, SESSION));
    assert_eq!(told(&before, "keywatch/replica_drifted"), ["critical"]);
}

#[tokio::test]
async fn p5_the_document_of_another_system_under_our_key_is_no_successor() {
    let (pdp, log) = (pdp("one"), MortalLog::immortal());
    let executor = keywatch(&log, &KEY, &[("one", &pdp)]);
    executor.resume().await.unwrap();
    let mut foreign = RevocationDocument::empty("warm").stamped(at(0));
    foreign.sequence = 12;
    let mac = seal(&KEY).mac(&foreign.meta_value());
    pdp.publish(&foreign.with_mac(mac)).await.unwrap();
    executor.refresh().await.unwrap();
    assert_eq!((sequence(&pdp), executor.superseded()), (Some(0), None));
    assert_eq!(told(&log, "keywatch/replica_drifted"), ["critical"]);
}

#[tokio::test]
async fn a_list_without_its_number_is_another_hands_and_no_restart() {
    let (pdp, log) = (pdp("one"), MortalLog::immortal());
    let numberless = Arc::new(Numberless { inner: Arc::clone(&pdp), hidden: AtomicBool::new(false) });
    let site = EnforcementPoint::new(Arc::clone(&numberless) as _, control()).sealed_by(seal(&KEY));
    let executor = over(&log, site);
    executor.resume().await.unwrap();
    executor.refresh().await.unwrap();
    assert!(told(&log, "keywatch/replica_drifted").is_empty());
    numberless.hidden.store(true, Ordering::SeqCst);
    executor.refresh().await.unwrap();
    assert_eq!(told(&log, "keywatch/replica_drifted"), ["critical"]);
}

/// A decision point at which somebody has taken the number out of the document.
struct Numberless {
    inner: Arc<EmbeddedPdp>,
    hidden: AtomicBool,
}

impl PolicyDecisionPoint for Numberless {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        self.inner.publish(document)
    }

    fn ask<'a>(&'a self, input: &'a Value) -> Call<'a, Decision> {
        self.inner.ask(input)
    }

    fn held(&self) -> Call<'_, Option<HeldDocument>> {
        Box::pin(async move {
            let mut held = self.inner.held().await?;
            if let Some(held) = held.as_mut().filter(|_| self.hidden.load(Ordering::SeqCst)) {
                held.sequence = None;
                held.content_sha256 = "of what is left".to_owned();
            }
            Ok(held)
        })
    }
}
