//! A theft is one incident: people are told of it once, again where it gets worse, and not for each of its findings.

use std::collections::BTreeSet;

use keywatch_store::Event;
use serde_json::Value;

use super::process::{Pace, conclude};
use super::recording::{Incident, bybit, dmm_bitcoin};

/// The records by which people are told, oldest first.
fn pages(conclusions: &[Event]) -> Vec<Value> {
    let alerts = ["alert.opened", "alert.updated", "incident.paged"];
    let told = conclusions.iter().filter(|event| alerts.contains(&event.kind()));
    let details = told.map(|event| event.detail().value());
    details.filter(|detail| detail["notify"] == true).collect()
}

/// Every incident, as later records have it.
fn incidents(incident: &Incident, pace: Pace) -> (BTreeSet<String>, Vec<Value>) {
    let conclusions = conclude(&incident.events, incident.begins, pace);
    let pages = pages(&conclusions);
    let of = |field: &str| -> BTreeSet<String> {
        let alerts = conclusions.iter().filter(|event| event.kind().starts_with("alert."));
        let all = alerts.filter_map(|event| event.detail().value()[field].as_str().map(str::to_owned));
        all.collect()
    };
    let merged: BTreeSet<String> = conclusions
        .iter()
        .filter_map(|event| event.detail().value()["merges"].as_array().cloned())
        .flatten()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    (of("incident").difference(&merged).cloned().collect(), pages)
}

/// Of each page its time, what it is about and why it went out.
fn in_words(pages: &[Value]) -> Vec<String> {
    let word = |page: &Value| {
        let time = page["paged"].as_str().or(page["finding"]["decided"].as_str()).unwrap();
        format!("{time} {} {}", page["finding"]["rule"], page["causes"])
    };
    pages.iter().map(word).collect()
}

#[test]
fn the_theft_from_bybit_is_one_incident_and_four_pages_at_most_at_every_pace() {
    let incident = bybit();
    let (all, pages) = incidents(&incident, Pace::Fast);
    assert_eq!(all.len(), 1, "{all:?}");
    let told = in_words(&pages);
    let (slowly, at_leisure) = incidents(&incident, Pace::Slow);
    assert_eq!((slowly, in_words(&at_leisure)), (all, told.clone()), "how fast it is played changes nothing");
    assert!(pages.len() <= 4, "{told:#?}");
    assert!(told[0].starts_with("2025-02-21T05:42:40"), "{told:#?}");
    let keys: BTreeSet<&str> = pages.iter().map(|page| page["key"].as_str().unwrap()).collect();
    assert_eq!(keys.len(), pages.len(), "each has a key of its own");
    let last = told.last().unwrap();
    assert!(last.contains("destination") && last.contains("amount"), "the outflows are told: {told:#?}");
}

#[test]
fn the_theft_from_dmm_bitcoin_pages_before_the_loss_and_a_few_times() {
    let incident = dmm_bitcoin();
    let (_, pages) = incidents(&incident, Pace::Fast);
    let decided = |page: &Value| page["finding"]["decided"].as_str().unwrap().to_owned();
    assert!(decided(&pages[0]) < incident.lost_at.to_string(), "{pages:#?}");
    assert!(pages.len() < incident.expected.len().max(5), "{} pages", pages.len());
}
