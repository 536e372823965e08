//! A response is taken back by as many people as the settings ask for, and by no person twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use keywatch_alerting::policy::settings::{Approvals, Policy};
use keywatch_alerting::{Dependencies, EnforcementPoint, Executor, PolicyDecisionPoint, Undoing};

use crate::support::{FaultyPdp, MortalLog, SYSTEM, WALLET, control, finding, inventory, milliseconds, wall_clock};

fn executor(log: &Arc<MortalLog>, pdp: &Arc<FaultyPdp>) -> Executor {
    let pdp: Arc<dyn PolicyDecisionPoint> = Arc::clone(pdp) as _;
    let approvals = Approvals { undo_approvals: 2, ..Approvals::default() };
    let mut policy = Policy { approvals, ..Policy::default() };
    policy.adopt(&inventory());
    Executor::open(Dependencies {
        log: Arc::clone(log) as _,
        policy,
        sites: BTreeMap::from([(SYSTEM.to_owned(), EnforcementPoint::new(pdp, control()))]),
        sinks: Vec::new(),
        deliveries: milliseconds(&[5]),
        revocations: milliseconds(&[5]),
        clock: wall_clock(),
    })
    .unwrap()
}

#[tokio::test]
async fn two_people_take_a_response_back_where_that_is_asked_for() {
    let (log, pdp) = (MortalLog::immortal(), FaultyPdp::new());
    let first = executor(&log, &pdp);
    first.resume().await.unwrap();
    first.take(&finding("1", 0)).await.unwrap();
    let id = first.responses(None)[0].response.id.clone();
    let mut on_wallet = control();
    on_wallet["wallet"] = WALLET.into();
    for name in ["dora", "Dora"] {
        let waits = Undoing::Waits { asked: vec!["dora".to_owned()], needed: 2 };
        assert_eq!(first.undo(&id, name, "it was us").await.unwrap(), waits);
    }
    assert_eq!(log.of_kind("response.undo_asked").len(), 1);
    assert!(!pdp.allows(&on_wallet) && log.of_kind("response.undone").is_empty());

    // The wish stands in the log.
    let second = executor(&log, &pdp);
    second.resume().await.unwrap();
    assert!(second.undo(&id, "alice", "it was me").await.is_err(), "it is about her");
    assert_eq!(second.undo(&id, "carol", "I saw it too").await.unwrap(), Undoing::Undone);
    assert!(pdp.allows(&on_wallet));
    assert_eq!(second.responses(None)[0].status(), "undone");
}
