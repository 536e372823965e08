//! Okta's System Log: pages along `rel="next"`, an overlap for what appears late.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use keywatch_store::{Event, Instant};
use reqwest::Url;
use serde_json::{Value, json};

use super::pulling;
use super::scripted::{Asked, Fault, Scripted};
use crate::running::machine::Machine;

const PAGE: usize = 3;

fn record(id: &str, published: &str) -> Value {
    let mut record: Value = serde_json::from_str(include_str!("../../ingest/src/feeds/okta/example.json")).unwrap();
    record["uuid"] = json!(id);
    record["published"] = json!(published);
    record
}

fn time(record: &Value) -> Instant {
    record["published"].as_str().unwrap().parse().unwrap()
}

/// A page in the order of time: from `since` on, or behind `after`.
fn page(records: &[Value], query: &str) -> (Option<String>, String) {
    let url = Url::parse(&format!("http://okta/?{query}")).unwrap();
    let given = |name: &str| {
        let pair = url.query_pairs().find(|(given, _)| given == name);
        pair.map(|(_, value)| value.parse::<Instant>().unwrap())
    };
    let mut own: Vec<&Value> = records.iter().collect();
    own.sort_by_key(|record| time(record));
    match (given("since"), given("after")) {
        (Some(since), None) => own.retain(|record| time(record) >= since),
        (None, Some(after)) => own.retain(|record| time(record) > after),
        other => panic!("it asks {query}: {other:?}"),
    }
    own.truncate(PAGE);
    let last = own.last().map_or_else(|| "2025-02-21T06:00:00Z".to_owned(), |last| time(last).to_string());
    let link = format!("</api/v1/logs?self=1>; rel=\"self\", </api/v1/logs?after={last}>; rel=\"next\"");
    (Some(link), json!(own).to_string())
}

fn machine(okta: &Scripted) -> Machine {
    let pull = format!(
        "[[pull]]\nsystem = \"cold\"\nsource = \"okta\"\nkind = \"okta_system_log\"\nurl = \"{}\"\nallow_plain_http = true\n\
         token_file = \"okta.token\"\npoll_seconds = 1\nstart = \"2025-02-21T05:00:00Z\"\n",
        okta.url
    );
    let machine = pulling("[[systems.sources]]\nsource = \"okta\"\nfeed = \"okta\"\n", &pull);
    std::fs::write(machine.path("okta.token"), "00token\n").unwrap();
    machine
}

fn rounds(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| asked.query.contains("since=")).count()
}

/// Waits until a round that began from now on is over, and what it brought is in the log.
async fn a_whole_round(okta: &Scripted) {
    let before = rounds(&okta.asked());
    okta.until(|asked| rounds(asked) >= before + 2).await;
}

fn of_kind<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.kind() == kind && event.source() == "okta").collect()
}

#[tokio::test]
async fn p2_a_log_in_pages_is_read_whole_through_cuts_rate_limits_and_a_kill_between_two_pages() {
    let all = (0..8).map(|index| record(&format!("e-{index}"), &format!("2025-02-21T05:12:0{index}.417Z")));
    let records = Arc::new(Mutex::new(all.collect::<Vec<_>>()));
    let own = Arc::clone(&records);
    let faults = [Fault::RateLimited, Fault::None, Fault::Cut, Fault::None, Fault::Stall];
    let okta = Scripted::start(&faults, move |query, _| page(&own.lock().unwrap(), query)).await;
    let machine = machine(&okta);

    let running = machine.start().await;
    // The fifth request asks for the third page, so the second is durable. Then, without warning:
    okta.until(|asked| asked.len() >= 5).await;
    drop(running);
    let running = machine.start().await;
    okta.until(|asked| asked.len() >= 6).await;
    let asked = okta.asked();
    assert_eq!(asked[0].authorization, "SSWS 00token");
    assert!(asked[0].query.contains("since=2025-02-21T05%3A00%3A00Z"), "{:?}", asked[0]);
    assert_eq!(asked[5].query, asked[4].query, "it goes on where it was");
    a_whole_round(&okta).await;
    // One that appears late, and one that is new; a record that nobody can read comes again with each round.
    let mut broken = record("e-broken", "2025-02-21T05:12:06Z");
    broken["actor"] = json!(7);
    broken["eventType"] = json!(null);
    records.lock().unwrap().extend([
        record("e-late", "2025-02-21T05:12:02.9Z"),
        record("e-new", "2025-02-21T05:13:00Z"),
        broken,
    ]);
    a_whole_round(&okta).await;
    a_whole_round(&okta).await;
    running.stop();

    let events = machine.record().events;
    let started = of_kind(&events, "session.started");
    let ids: BTreeSet<_> = started.iter().map(|event| event.event_id()).collect();
    assert_eq!((started.len(), ids.len()), (10, 10));
    assert_eq!(of_kind(&events, "source.reject").len(), 1, "it is kept once");
    assert!(of_kind(&events, "source.conflict").is_empty());
    assert!(!of_kind(&events, "source.cursor").is_empty());
    let words: Vec<_> = of_kind(&events, "source.status").iter().map(|event| event.outcome().unwrap()).collect();
    assert_eq!(words, ["degraded", "ok", "down", "ok"]);
}

#[tokio::test]
async fn p2_a_place_that_the_service_does_not_know_any_more_costs_no_record() {
    let all = (0..5).map(|index| record(&format!("e-{index}"), &format!("2025-02-21T05:12:0{index}.417Z")));
    let records = all.collect::<Vec<_>>();
    let okta = Scripted::start(&[Fault::None, Fault::Gone], move |query, _| page(&records, query)).await;
    let machine = machine(&okta);
    let running = machine.start().await;
    // The first round ends where its next page is gone.
    a_whole_round(&okta).await;
    a_whole_round(&okta).await;
    running.stop();
    let events = machine.record().events;
    assert_eq!(of_kind(&events, "session.started").len(), 5);
    let asked = okta.asked();
    assert!(asked[1].query.contains("after=") && asked[2].query.contains("since="), "{asked:#?}");
}
