//! `replay-data/`: the one builder of every `events.jsonl`, and the proof that the foreign records in `sources/` are what
//! the READMEs say they are. `UPDATE_EXPECT=1` writes the event files anew; `expected.jsonl` is written by hand only.

mod builder;
mod bybit;
mod dmm_bitcoin;

use std::collections::{BTreeMap, BTreeSet};

use keywatch_alerting::{EmbeddedPdp, PolicyDecisionPoint, RevocationDocument};
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, Severity, line};
use serde::Deserialize;

use builder::{BYBIT, INCIDENTS, Incident};

use crate::support::clock::now;

/// Bytes that one incident's `events.jsonl` may have.
const EVENTS_BYTES_MAX: usize = 2 << 20;

/// Log time that must follow the last thing that happened, so that every frame of the rule pack closes.
const SETTLING_NS: i64 = 30 * 60 * SECOND_NS;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    rule: String,
    time: Instant,
    entity: String,
    severity: Severity,
}

fn committed(incident: &Incident) -> Vec<Event> {
    incident.read("events.jsonl").lines().map(|text| line::read(text.as_bytes()).unwrap()).collect()
}

#[test]
fn every_folder_is_an_incident_that_is_built() {
    let folders = std::fs::read_dir(BYBIT.path("..")).unwrap().map(|entry| entry.unwrap());
    let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut folders: BTreeSet<String> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    // What makes traffic up is no incident.
    folders.remove("simulator");
    folders.remove("stranger");
    assert_eq!(folders, INCIDENTS.iter().map(|incident| incident.name.to_owned()).collect());
}

#[test]
fn the_committed_events_are_what_the_sources_say() {
    for incident in INCIDENTS {
        let built: String = incident.build().iter().map(|event| line::write(event) + "\n").collect();
        if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
            std::fs::write(incident.path("events.jsonl"), &built).unwrap();
        }
        let committed = incident.read("events.jsonl");
        let differs = built.lines().zip(committed.lines()).position(|(built, committed)| built != committed);
        assert_eq!(differs, None, "{}: first differing line, from 0; UPDATE_EXPECT=1 rewrites the file", incident.name);
        assert_eq!(built.len(), committed.len(), "{}: one of the two goes on", incident.name);
        assert!(built.len() <= EVENTS_BYTES_MAX, "{}: {} bytes", incident.name, built.len());
    }
}

#[test]
fn every_event_says_whether_it_is_public_or_reconstructed() {
    for incident in INCIDENTS {
        let mut count: BTreeMap<(String, String), usize> = BTreeMap::new();
        for event in committed(incident) {
            let provenance = event.detail().value()["provenance"].as_str().unwrap_or("nothing").to_owned();
            assert!(
                ["public", "reconstructed"].contains(&provenance.as_str()),
                "{}: {}",
                incident.name,
                line::write(&event)
            );
            *count.entry((event.source().to_owned(), provenance)).or_default() += 1;
        }
        let is = |source: &str, provenance: &str| count.contains_key(&(source.to_owned(), provenance.to_owned()));
        assert!(!is("opa", "public") && !is("idp", "public"), "no source has these records: {count:?}");
    }
}

#[test]
fn nothing_is_late_and_every_frame_can_close() {
    for incident in INCIDENTS {
        let events = committed(incident);
        assert_eq!(events[0].kind(), "inventory.activated", "{}", incident.name);
        assert!(events.windows(2).all(|pair| pair[0].time() < pair[1].time()), "{}: log time", incident.name);
        assert!(events.iter().all(|event| !event.late()), "{}", incident.name);
        let happened =
            events.iter().filter(|event| event.kind() != "tick").map(keywatch_store::Event::time).max().unwrap();
        assert!(events.last().unwrap().time() >= happened.saturating_add(SETTLING_NS), "{}", incident.name);
    }
}

#[test]
fn what_is_expected_hangs_on_an_event_and_stands_in_order() {
    for incident in INCIDENTS {
        let anchors: BTreeSet<Instant> = committed(incident).iter().map(keywatch_store::Event::time).collect();
        let expected = incident.read("expected.jsonl");
        let expected: Vec<Expected> = expected.lines().map(|text| serde_json::from_str(text).unwrap()).collect();
        for finding in &expected {
            assert!(anchors.contains(&finding.time), "{}: no event at {}", incident.name, finding.time);
        }
        let key = |finding: &Expected| (finding.time, finding.rule.clone(), finding.entity.clone());
        assert!(
            expected.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])),
            "{}: by time, rule, entity",
            incident.name
        );
        assert!(expected.iter().any(|finding| finding.severity == Severity::Critical), "{}", incident.name);
    }
}

/// The decisions are written for the replay; so they must be such as the policy of this tree really gives.
#[tokio::test]
async fn every_allow_in_the_record_is_one_that_the_policy_gives() {
    for incident in INCIDENTS {
        let system = &incident.inventory().systems[0].id;
        let pdp = EmbeddedPdp::new("replay-data", &[]).unwrap();
        let now = now();
        pdp.publish(&RevocationDocument::empty(system).stamped(now)).await.unwrap();
        let events = committed(incident);
        let decisions: Vec<&Event> = events.iter().filter(|event| event.kind() == "decision").collect();
        assert!(decisions.len() >= 30, "{}", incident.name);
        for decision in decisions {
            let input = &decision.detail().value()["input"];
            assert_eq!(decision.outcome(), Some("allow"));
            assert!(pdp.ask(input).await.unwrap().allow, "{}: {input}", incident.name);
        }
    }
}

/// Every approval in the record was let through by the policy decision point 20 to 60 s before, from a session that was
/// open then and whose person holds the key that approved. What no decision allowed is listed by the caller.
fn approvals_follow_decisions(incident: &Incident, never_asked: &[&str]) {
    let events = committed(incident);
    let inventory = incident.inventory();
    let owners = &inventory.systems[0].owners;
    for approval in events.iter().filter(|event| event.kind() == "signing.approved") {
        let request = approval.request().unwrap();
        let person =
            owners.iter().find(|owner| Some(owner.owner.as_str()) == approval.actor()).map(|owner| &owner.person);
        let decision = events.iter().find(|event| {
            event.kind() == "decision"
                && event.outcome() == Some("allow")
                && event.request() == Some(request)
                && event.wallet() == approval.wallet()
                && event.actor() == person.map(String::as_str)
        });
        assert_eq!(decision.is_none(), never_asked.contains(&request), "{}", line::write(approval));
        let Some(decision) = decision else { continue };
        let lead = approval.time().0 - decision.time().0;
        assert!((20 * SECOND_NS..=60 * SECOND_NS).contains(&lead), "{}", line::write(approval));
        let of_session =
            |kind: &str| events.iter().find(|event| event.kind() == kind && event.session() == decision.session());
        let started = of_session("session.started").unwrap();
        assert!(started.time() < decision.time() && decision.time() < of_session("session.ended").unwrap().time());
        assert_eq!(started.actor(), decision.actor());
        let claimed = decision.detail().value()["input"]["session_started_at"].as_i64();
        assert_eq!(claimed, Some(started.event_time().unix_seconds()));
    }
}
