//! What people have to be told of though something came in between: a crash, or a replica that is silent meanwhile.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::support::{
    FaultyPdp, MortalLog, SYSTEM, at, control, executor, finding, inventory, milliseconds, until, wall_clock,
};
use keywatch_alerting::{
    Dependencies, EmbeddedPdp, EnforcementPoint, Error, Executor, Matcher, Policy, PolicyDecisionPoint, Replica,
    RevocationDocument, Schedule, SilenceRequest,
};
use keywatch_store::{Finding, Severity};

/// Severities of the findings of that rule.
fn told(log: &MortalLog, rule: &str) -> Vec<String> {
    let details = log.of_kind("finding.created").into_iter().map(|event| event.detail().value());
    let of_rule = details.filter(|finding| finding["rule"] == rule);
    of_rule.map(|finding| finding["severity"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_silence_whose_author_ended_before_telling_is_told_at_the_next_start() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let first = executor(&log, &pdp, Vec::new());
    first.resume().await.unwrap();
    first.take(&Finding { severity: Severity::Low, response: Vec::new(), ..finding("0", 0) }).await.unwrap();
    let matcher = Matcher { rule: Some("other/rule".into()), ..Matcher::default() };
    let request =
        SilenceRequest { system: SYSTEM.into(), matcher, reason: "migration".into(), until: at(60), criticals: false };
    log.dies_after(1);
    let error = first.silence(request, "ann", at(1)).await.unwrap_err();
    assert!(matches!(error, Error::Log(_)), "{error}");
    log.dies_after(usize::MAX);
    assert_eq!((log.of_kind("alert.silenced").len(), told(&log, "keywatch/silenced").len()), (1, 0));
    for _ in 0..2 {
        executor(&log, &pdp, Vec::new()).resume().await.unwrap();
        assert_eq!(told(&log, "keywatch/silenced"), ["medium"], "once");
    }
}

#[tokio::test]
async fn a_revocation_that_was_taken_back_is_told_once_whatever_comes_in_between() {
    for dies in [true, false] {
        let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
        let first = executor(&log, &pdp, Vec::new());
        first.resume().await.unwrap();
        first.take(&finding("1", 0)).await.unwrap();
        let id = first.responses(None)[0].response.id.clone();
        log.dies_after(if dies { 1 } else { usize::MAX });
        assert_eq!(first.undo(&id, "dora", "it was us").await.is_err(), dies);
        log.dies_after(usize::MAX);
        assert_eq!(told(&log, "keywatch/response_undone").len(), usize::from(!dies));
        let second = executor(&log, &pdp, Vec::new());
        second.resume().await.unwrap();
        assert_eq!(told(&log, "keywatch/response_undone"), ["high"]);
        assert_eq!(second.responses(None)[0].status(), "undone");
        assert_eq!(log.of_kind("response.undone")[0].reason(), Some("it was us"));
        // It is told of by itself: an incident of which people know already would hide it.
        let incidents = second.with_state(|state| state.incidents().iter().count());
        assert_eq!(incidents, 2);
    }
}

#[tokio::test]
async fn a_replica_that_drifts_while_another_is_silent_is_told_of_and_made_good() {
    let (log, silent) = (MortalLog::immortal(), FaultyPdp::new());
    let drifting = Arc::new(EmbeddedPdp::new("replica-2", &[]).unwrap());
    silent.down.store(true, Ordering::SeqCst);
    let replicas = vec![Replica::new("one", Arc::clone(&drifting) as _), Replica::new("two", Arc::clone(&silent) as _)];
    let mut policy = Policy::default();
    policy.adopt(&inventory());
    let executor = Executor::open(Dependencies {
        log: Arc::clone(&log) as _,
        policy,
        sites: [(SYSTEM.to_owned(), EnforcementPoint::replicated(replicas, control()))].into(),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        // After the second attempt only heartbeats try.
        revocations: milliseconds(&[600_000]),
        clock: wall_clock(),
    })
    .unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    until("two attempts failed", || log.of_kind("response.failed").len() == 2).await;
    assert_eq!(drifting.decide(&control()).unwrap().sequence, Some(1));
    executor.refresh().await.unwrap();
    assert!(told(&log, "keywatch/replica_drifted").is_empty(), "nothing has changed there");

    drifting.publish(&RevocationDocument::empty(SYSTEM).stamped(wall_clock()())).await.unwrap();
    executor.refresh().await.unwrap();
    assert_eq!(told(&log, "keywatch/replica_drifted"), ["critical"]);
    assert_eq!(drifting.decide(&control()).unwrap().sequence, Some(1), "it has the document again");
    assert_eq!(executor.responses(None)[0].status(), "failed", "the silent one is waited for");
}
