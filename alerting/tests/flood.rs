//! Ten thousand findings in a minute of log time, and one theft among them: it is the next that a receiver is told of, however
//! many wait for it, and nothing of the rest is lost.

use std::sync::Arc;

use keywatch_alerting::{Pace, Sink};
use keywatch_store::Severity;

use crate::support::receivers::{Switch, executor, incident_of, often, plain};
use crate::support::{MortalLog, until};

const FINDINGS: i64 = 10_000;

/// The place of the theft among them.
const THEFT: i64 = 9_000;

#[tokio::test]
async fn p4_a_theft_among_ten_thousand_findings_is_told_next_and_nothing_is_lost() {
    let log = MortalLog::immortal();
    let pager = Switch::with_pace("pager", true, Pace { per_minute: 60, ..Pace::default() });
    let executor = executor(&log, vec![Arc::clone(&pager) as Arc<dyn Sink>], Vec::new(), often());
    let theft = plain("theft", Severity::Critical, THEFT * 60 / FINDINGS);
    let mut told_before = 0;
    for number in 0..FINDINGS {
        if number == THEFT {
            told_before = pager.keys().len();
            executor.take(&theft).await.unwrap();
        }
        let found = plain(&number.to_string(), Severity::Medium, number * 60 / FINDINGS);
        executor.take(&found).await.unwrap();
    }
    let key = incident_of(&executor, &theft);
    until("the theft is told", || pager.keys().contains(&key)).await;
    let place = pager.keys().iter().position(|told| *told == key).unwrap();
    assert!(place <= told_before + 5, "{place}: only what was under way is told before it, of {told_before} told");

    let findings = usize::try_from(FINDINGS).unwrap() + 1;
    assert_eq!((log.of_kind("finding.created").len(), log.of_kind("alert.opened").len()), (findings, findings));
    let waiting = executor.with_state(|state| state.waiting("pager").0);
    assert_eq!(waiting + pager.keys().len(), findings, "what was not told yet waits");
}
