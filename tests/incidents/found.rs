//! What is found, and what it hangs on.

use std::collections::HashSet;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use keywatch_store::Severity;

use super::recording::{Expected, bybit, incidents};
use super::rules::{admitted, decided, findings};

#[test]
fn the_incidents_are_found_as_expected() {
    for incident in incidents() {
        let mut found: Vec<Expected> = findings(&admitted(incident.events))
            .into_iter()
            .map(|finding| Expected {
                time: finding.time,
                rule: finding.rule,
                entity: finding.entity,
                severity: finding.severity,
            })
            .collect();
        found.sort();
        assert_eq!(found, incident.expected, "{}", incident.name);
    }
}

#[test]
fn the_first_critical_finding_of_bybit_is_the_first_confirmation_that_does_not_fit() {
    let incident = bybit();
    let found = findings(&admitted(incident.events));
    let first = found.iter().find(|finding| finding.severity == Severity::Critical).unwrap();
    assert_eq!(first.rule, "signing/confirmation_mismatch");
    assert_eq!(first.time.to_string(), "2025-02-21T05:42:40.788469Z");
    assert_eq!(first.decided, first.time, "nothing has to be waited for");
    assert_eq!(first.session.as_deref(), Some("ses-1f4e-71"));
    let lead_seconds = incident.lost_at.unix_seconds() - first.decided.unix_seconds();
    assert!(lead_seconds > 8 * 3600, "{lead_seconds} s before the loss");
}

#[test]
fn every_finding_is_proven_by_events_of_the_log_its_anchor_first() {
    for incident in incidents() {
        let events = admitted(incident.events);
        let ids: HashSet<_> = events.iter().map(keywatch_store::Event::event_id).collect();
        for finding in findings(&events) {
            let anchor = events.iter().find(|event| event.event_id() == finding.anchor).unwrap();
            assert_eq!((anchor.time(), anchor.source()), (finding.time, finding.source.as_str()), "{}", finding.title);
            assert_eq!(finding.evidence.first(), Some(&finding.anchor), "{}", finding.title);
            assert!(finding.evidence.iter().all(|id| ids.contains(id)), "{}", finding.title);
            assert!(!finding.title.contains(['{', '}']), "{}", finding.title);
        }
    }
}

/// The rules wait for nobody: neither a runtime around them nor its budget for a task may hold them up.
#[test]
fn the_rules_run_to_their_end_within_a_task_of_a_runtime() {
    let (done, is_done) = sync_channel(1);
    std::thread::spawn(move || {
        let events = admitted(bybit().events);
        let cuts: Vec<usize> = (0..events.len()).step_by(20).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        done.send(runtime.block_on(async { decided(&events, &cuts).len() })).unwrap();
    });
    let found = is_done.recv_timeout(Duration::from_mins(2)).expect("the rules came to their end");
    assert_eq!(found, bybit().expected.len());
}
