//! A rule of the operator's own that divides by what a source sends: it is parked, reported, and comes back; nothing is
//! lost or doubled, also when the process is killed in the middle of the gap.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{Machine, Record, Rule, Running, presented};

const SHARES: Rule = Rule {
    id: "own/shares",
    sql: "SELECT event_id, actor AS entity, 100 / asn AS share FROM events WHERE kind = 'session.presented'",
};

/// One session after the other is presented, each in a request of its own.
async fn present(running: &Running, ids: std::ops::Range<u32>, poisoned: u32) {
    for id in ids {
        running.send([presented(&id.to_string(), "ann", u32::from(id != poisoned) * 20)]).await;
    }
}

/// Rules whose findings opened an alert.
fn alerted(record: &Record) -> BTreeSet<String> {
    let opened = record.conclusions.iter().filter(|event| event.kind() == "alert.opened");
    opened.map(|event| event.detail().value()["finding"]["rule"].as_str().unwrap().to_owned()).collect()
}

fn once(ids: std::ops::Range<u32>, poisoned: &[u32]) -> BTreeMap<String, usize> {
    ids.filter(|id| !poisoned.contains(id)).map(|id| (id.to_string(), 1)).collect()
}

#[tokio::test]
async fn what_alert_rules_count_stands_at_zero_before_the_first_of_it() {
    let machine = Machine::new(SHARES);
    let running = machine.start().await;
    for counter in ["keywatch_rule_parks_total", "keywatch_rule_skipped_total", "keywatch_rule_limited_total"] {
        running.until(counter, "", 0).await;
    }
    let scraped = reqwest::get(format!("{}/metrics", running.url())).await.unwrap().text().await.unwrap();
    for counter in ["keywatch_ingest_rejects_total", "keywatch_ingest_conflicts_total"] {
        let line = format!("{counter}{{feed=\"events\",source=\"idp\",system=\"cold\"}} 0");
        assert!(scraped.lines().any(|found| found == line), "no {line} in {scraped}");
    }
    running.stop();
}

#[tokio::test]
async fn p3_a_rule_that_fails_comes_back_and_finds_what_it_missed() {
    let machine = Machine::new(SHARES);
    let running = machine.start().await;
    present(&running, 0..30, 10).await;
    running.until("keywatch_rule_retries_total", "resumed", 1).await;
    running.until("keywatch_rule_parked", "", 0).await;
    present(&running, 30..40, 35).await;
    running.until("keywatch_rule_skipped_total", "", 2).await;
    running.until("keywatch_rule_parks_total", "", 1).await;
    running.until("keywatch_rule_findings_total", "", 38).await;
    running.stop();

    let record = machine.record();
    assert_eq!(record.found(), once(0..40, &[10, 35]));
    let counts = ["rule.parked", "rule.resumed", "rule.skipped"].map(|kind| record.about_the_rule(kind));
    assert_eq!(counts, [1, 1, 2]);
    let alerted = alerted(&record);
    assert!(alerted.contains("rule/parked") && alerted.contains("rule/skipped"), "people are told: {alerted:?}");
}

#[tokio::test]
async fn p3_killed_in_the_middle_of_a_gap_nothing_is_lost_or_doubled() {
    let machine = Machine::new(SHARES);
    let running = machine.start().await;
    present(&running, 0..20, 10).await;
    running.until("keywatch_rule_parks_total", "", 1).await;
    present(&running, 20..25, 99).await;
    drop(running);

    let running = machine.start().await;
    present(&running, 25..40, 35).await;
    drop(running);

    let running = machine.start().await;
    present(&running, 40..41, 99).await;
    running.stop();
    machine.start().await.stop();

    let record = machine.record();
    assert_eq!(record.found(), once(0..41, &[10, 35]));
    let counts = ["rule.parked", "rule.resumed", "rule.skipped"].map(|kind| record.about_the_rule(kind));
    assert_eq!(counts, [1, 1, 2]);
}
