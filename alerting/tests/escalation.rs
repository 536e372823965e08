//! Incidents that nobody acknowledges go on to others: once, in the time that the route gives, until somebody takes them up.

use keywatch_alerting::lifecycle::handling::Act;
use keywatch_store::{Finding, Severity};

use crate::support::receivers::{Switch, executor, incident_of, often, operate, plain, route, tick, worse};
use crate::support::{MortalLog, at};

#[tokio::test]
async fn an_incident_that_nobody_acknowledges_goes_on_to_others_once() {
    let log = MortalLog::immortal();
    let (pager, chief) = (Switch::new("pager", true), Switch::new("chief", true));
    let escalating = || {
        vec![route(
            r#"{ "receivers": ["pager"], "escalate": [{ "after_minutes": 15, "receivers": ["chief", "pager"] }] }"#,
        )]
    };
    let first = executor(&log, vec![pager.clone(), chief.clone()], escalating(), often());
    let seen = plain("seen", Severity::High, 1);
    first.take(&plain("unseen", Severity::High, 0)).await.unwrap();
    first.take(&seen).await.unwrap();
    operate(&first, &seen, Act::Acknowledge).await;
    first.idle().await;
    drop(first);
    let second = executor(&log, vec![pager.clone(), chief.clone()], escalating(), often());
    tick(&log, 14 * 60);
    second.refresh().await.unwrap();
    second.idle().await;
    assert!(chief.keys().is_empty());
    tick(&log, 15 * 60 + 2);
    for _ in 0..3 {
        second.refresh().await.unwrap();
    }
    second.idle().await;
    let got = chief.got.lock().unwrap();
    let told: Vec<(&str, &str)> = got.iter().map(|told| (told.kind, told.entity.as_str())).collect();
    assert_eq!(told, [("alert.escalated", "unseen")]);
    assert!(got[0].again[0].contains("15 minutes"), "{:?}", got[0].again);
    // The pager pages again, and hears of the acknowledgement.
    let mut kinds = pager.kinds();
    kinds.sort_unstable();
    assert_eq!(kinds, ["alert.acknowledged", "alert.escalated", "alert.opened", "alert.opened"]);
    let mut keys = pager.keys();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4, "each under a key of its own");
}

#[tokio::test]
async fn what_goes_on_to_others_goes_to_them_until_somebody_acknowledges_it() {
    let log = MortalLog::immortal();
    let (pager, chief) = (Switch::new("pager", true), Switch::new("chief", true));
    let escalating =
        vec![route(r#"{ "receivers": ["pager"], "escalate": [{ "after_minutes": 15, "receivers": ["chief"] }] }"#)];
    let executor = executor(&log, vec![pager.clone(), chief.clone()], escalating, often());
    let theft = plain("1", Severity::High, 0);
    executor.take(&theft).await.unwrap();
    tick(&log, 15 * 60);
    executor.refresh().await.unwrap();
    executor.idle().await;
    assert_eq!(chief.kinds(), ["alert.escalated"]);
    // Whoever was woken up hears how it goes on.
    executor.take(&Finding { decided: at(16 * 60), ..worse(&theft) }).await.unwrap();
    executor.idle().await;
    assert_eq!(chief.kinds(), ["alert.escalated", "alert.updated"]);
    operate(&executor, &theft, Act::Acknowledge).await;
    tick(&log, 60 * 60);
    executor.refresh().await.unwrap();
    executor.idle().await;
    assert_eq!(chief.kinds(), ["alert.escalated", "alert.updated", "alert.acknowledged"], "it goes on no more");
    let incident = incident_of(&executor, &theft);
    let keys = [format!("{incident}-escalated-0"), format!("{incident}-1")];
    assert_eq!(chief.keys()[..2], keys, "keys begin with the incident's");
}

#[tokio::test]
async fn a_further_page_does_not_put_an_escalation_off() {
    let log = MortalLog::immortal();
    let (pager, chief) = (Switch::new("pager", true), Switch::new("chief", true));
    let routes =
        vec![route(r#"{ "receivers": ["pager"], "escalate": [{ "after_minutes": 15, "receivers": ["chief"] }] }"#)];
    let executor = executor(&log, vec![pager.clone(), chief.clone()], routes, often());
    let theft = plain("1", Severity::High, 0);
    executor.take(&theft).await.unwrap();
    executor.take(&Finding { decided: at(10 * 60), ..worse(&theft) }).await.unwrap();
    tick(&log, 15 * 60);
    executor.refresh().await.unwrap();
    executor.idle().await;
    assert_eq!(chief.kinds(), ["alert.escalated"]);
    assert_eq!(chief.got.lock().unwrap()[0].severity, Severity::Critical, "with what is known by then");
    tick(&log, 25 * 60);
    executor.refresh().await.unwrap();
    executor.idle().await;
    assert_eq!(chief.kinds(), ["alert.escalated"], "and once");
}
