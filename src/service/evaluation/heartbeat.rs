//! What is done over and over beside the rules: decision points get their documents with a new stamp, pagers get heartbeats.
//! It knows neither.

use std::sync::Arc;
use std::time::Duration;

use keywatch_alerting::Executor;
use keywatch_alerting::limits::REPEAT_SECONDS;
use tokio::time::{MissedTickBehavior, interval};

use crate::limits::REFRESH_SECONDS;
use crate::service::evaluation::outage::Outages;
use crate::service::readiness::Readiness;

/// The part that is not ready while a later document of another process is in force.
const DECISION_POINTS: &str = "decision points";

/// Stamps the revocation documents anew: a policy that hears nothing denies everything after two minutes. Also when the log
/// takes something again: what could not be recorded then is taken up.
pub(super) async fn refresh(executor: Executor, outages: Outages, readiness: Arc<Readiness>) -> anyhow::Result<()> {
    let mut due = interval(Duration::from_secs(REFRESH_SECONDS));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = outages.over() => {}
        }
        outages.persist(|| refresh_once(&executor, &readiness)).await?;
    }
}

/// One heartbeat. That another process has taken the place of this one has to be heard without the log too, which this one
/// may not reach: it is not ready, and the heartbeats to pagers end.
async fn refresh_once(executor: &Executor, readiness: &Readiness) -> Result<(), keywatch_alerting::Error> {
    let refreshed = executor.refresh().await;
    match executor.superseded() {
        Some(why) => {
            tracing::error!(why, "this process does nothing at a decision point");
            readiness.obstruct(DECISION_POINTS, why);
        }
        None => readiness.clear(DECISION_POINTS),
    }
    refreshed
}

/// Heartbeats to pagers, and what stands for receivers that forget.
pub(super) async fn repeat(executor: Executor) -> anyhow::Result<()> {
    let mut due = interval(Duration::from_secs(REPEAT_SECONDS));
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        executor.repeat().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use keywatch_alerting::{
        Dependencies, EmbeddedPdp, EnforcementPoint, Policy, PolicyDecisionPoint, RevocationDocument, Schedule, Seal,
    };
    use keywatch_store::log::hash_chain::Key;
    use keywatch_store::log::memory::MemoryLog;
    use serde_json::json;

    use super::*;
    use crate::clock;
    use crate::service::metrics::Metrics;

    fn seal() -> Seal {
        Seal::new(Key::new(&[7; 32]))
    }

    fn executor(pdp: &Arc<EmbeddedPdp>) -> Executor {
        let site = EnforcementPoint::new(Arc::clone(pdp) as _, json!({})).sealed_by(seal());
        Executor::open(Dependencies {
            log: Arc::new(MemoryLog::new()),
            policy: Policy::default(),
            sites: BTreeMap::from([("cold".to_owned(), site)]),
            sinks: Vec::new(),
            deliveries: Schedule::pages(),
            revocations: Schedule::revocations(),
            clock: Arc::new(clock::now),
        })
        .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_was_replaced_is_not_ready_as_long_as_its_successors_document_stands() {
        let pdp = Arc::new(EmbeddedPdp::new("one", &[]).unwrap());
        let (executor, readiness) = (executor(&pdp), Readiness::new(Metrics::new()));
        refresh_once(&executor, &readiness).await.unwrap();
        assert!(readiness.obstacles().is_empty());

        let mut later = RevocationDocument::empty("cold").stamped(clock::now());
        later.sequence = 9;
        // Without the seal it is another hand's, and written over.
        pdp.publish(&later).await.unwrap();
        refresh_once(&executor, &readiness).await.unwrap();
        assert!(readiness.obstacles().is_empty(), "{:?}", readiness.obstacles());

        let mac = seal().mac(&later.meta_value());
        pdp.publish(&later.with_mac(mac)).await.unwrap();
        refresh_once(&executor, &readiness).await.unwrap();
        let obstacles = readiness.obstacles();
        assert!(obstacles[DECISION_POINTS].contains("document 9"), "{obstacles:?}");
        assert_eq!(pdp.decide(&json!({})).unwrap().sequence, Some(9), "nothing is put over it");

        pdp.publish(&RevocationDocument::empty("cold")).await.unwrap();
        refresh_once(&executor, &readiness).await.unwrap();
        assert!(readiness.obstacles().is_empty(), "nothing later stands there any more");
    }
}
