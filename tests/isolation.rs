//! A rule of the operator's own that divides by what a source sends, in a running keywatch: it is parked, reported, and
//! comes back; nothing is lost or doubled, also when the process is killed in the middle of the gap.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use keywatch_store::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Lane, Log, Position};
use reqwest::{Client, StatusCode};
use serde_json::json;
use sha2::{Digest, Sha256};

#[path = "support/serving.rs"]
mod serving;

use serving::Serving;

const RULE: &str = "own/shares";

const SQL: &str = "/*
version: 1
title: A share of {entity}
severity: low
entity: the actor
meaning: It divides by what a source sends.
runbook: [look]
suppress_for: 1h
*/
SELECT event_id, actor AS entity, 100 / asn AS share FROM events WHERE kind = 'session.presented'
";

/// A machine with that rule beside those built in.
fn set_up() -> tempfile::TempDir {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| std::fs::write(directory.path().join(file), text).unwrap();
    write("inventory.toml", "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"idp\"\nfeed = \"events\"\n");
    let hash = hex::encode(Sha256::digest("token"));
    let credential = "[[credentials]]\nsystem = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\ntoken_sha256 = ";
    let config = format!("rules_directory = \"rules\"\n[server]\nlisten = \"127.0.0.1:0\"\n{credential}\"{hash}\"\n");
    write("keywatch.toml", &config);
    std::fs::create_dir_all(directory.path().join("rules/own")).unwrap();
    write("rules/own/shares.sql", SQL);
    for (file, kind) in [("fires", "session.presented"), ("quiet", "session.ended")] {
        let event = json!({
            "event_id": "5d1c0c5fb0a2419cf0ad4e1b8d1d7f60", "system": "cold", "time": "2025-03-03T09:00:00Z",
            "event_time": "2025-03-03T09:00:00Z", "source": "idp", "kind": kind, "actor": "ann", "asn": 5,
        });
        write(&format!("rules/own/shares.{file}.jsonl"), &event.to_string());
    }
    directory
}

struct Running {
    keywatch: Serving,
    client: Client,
}

impl Running {
    async fn start(directory: &Path) -> Running {
        let running = Running { keywatch: Serving::start(directory, &[]), client: Client::new() };
        let asking = async { while running.get("/readyz").await.0 != StatusCode::OK {} };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it catches up with its log");
        running
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.keywatch.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// One session after the other is presented, each in a request of its own.
    async fn present(&self, ids: std::ops::Range<u32>, poisoned: u32) {
        for id in ids {
            let asn = u32::from(id != poisoned) * 20;
            let body = json!({
                "id": id.to_string(), "kind": "session.presented", "event_time": "2025-03-03T09:00:00Z",
                "actor": "ann", "session": id.to_string(), "asn": asn,
            });
            let url = format!("{}/v1/ingest/events", self.keywatch.url);
            let answer = self.client.post(url).bearer_auth("token").body(body.to_string()).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
        }
    }

    /// Waits until a metric of the rule has that value.
    async fn until(&self, metric: &str, label: &str, value: u64) {
        let has = |line: &str| {
            line.starts_with(&format!("{metric}{{"))
                && line.contains(label)
                && line.contains(RULE)
                && line.ends_with(&format!(" {value}"))
        };
        let asking = async {
            while !self.get("/metrics").await.1.lines().any(has) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let known = tokio::time::timeout(Duration::from_secs(30), asking).await;
        assert!(known.is_ok(), "{metric} is not {value}: {}", self.get("/metrics").await.1);
    }
}

/// What stands in the log in the end.
struct Record {
    events: Vec<Event>,
    conclusions: Vec<Event>,
}

impl Record {
    fn read(directory: &Path) -> Record {
        let log = EmbeddedLog::open(directory.join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
        let all = |lane| log.read(lane, Position(0), 100_000).unwrap();
        Record { events: all(Lane::Events), conclusions: all(Lane::Conclusions) }
    }

    /// How many records of a kind there are about the rule.
    fn about_the_rule(&self, kind: &str) -> usize {
        let about = self.events.iter().filter(|event| event.kind == kind);
        about.filter(|event| event.detail.value()["rule"] == RULE).count()
    }

    /// Sessions that the rule found, each as often as it stands there.
    fn found(&self) -> BTreeMap<String, usize> {
        let session = |anchor: &str| {
            let event = self.events.iter().find(|event| event.event_id.to_string() == anchor);
            event.and_then(|event| event.session.clone()).unwrap()
        };
        let mut found = BTreeMap::new();
        for event in self.conclusions.iter().filter(|event| event.kind == "finding.created") {
            let detail = event.detail.value();
            if detail["rule"] == RULE {
                *found.entry(session(detail["anchor"].as_str().unwrap())).or_default() += 1;
            }
        }
        found
    }

    /// Rules whose findings opened an alert.
    fn alerted(&self) -> BTreeSet<String> {
        let opened = self.conclusions.iter().filter(|event| event.kind == "alert.opened");
        opened.map(|event| event.detail.value()["finding"]["rule"].as_str().unwrap().to_owned()).collect()
    }
}

fn once(ids: std::ops::Range<u32>, poisoned: &[u32]) -> BTreeMap<String, usize> {
    ids.filter(|id| !poisoned.contains(id)).map(|id| (id.to_string(), 1)).collect()
}

#[tokio::test]
async fn p3_a_rule_that_fails_comes_back_and_finds_what_it_missed() {
    let directory = set_up();
    let running = Running::start(directory.path()).await;
    running.present(0..30, 10).await;
    running.until("keywatch_rule_retries_total", "resumed", 1).await;
    running.until("keywatch_rule_parked", "", 0).await;
    running.present(30..40, 35).await;
    running.until("keywatch_rule_skipped_total", "", 2).await;
    running.until("keywatch_rule_parks_total", "", 1).await;
    running.until("keywatch_rule_findings_total", "", 38).await;
    assert!(running.keywatch.stop().success());

    let record = Record::read(directory.path());
    assert_eq!(record.found(), once(0..40, &[10, 35]));
    let counts = ["rule.parked", "rule.resumed", "rule.skipped"].map(|kind| record.about_the_rule(kind));
    assert_eq!(counts, [1, 1, 2]);
    let alerted = record.alerted();
    assert!(alerted.contains("rule/parked") && alerted.contains("rule/skipped"), "people are told: {alerted:?}");
}

#[tokio::test]
async fn p3_killed_in_the_middle_of_a_gap_nothing_is_lost_or_doubled() {
    let directory = set_up();
    let running = Running::start(directory.path()).await;
    running.present(0..20, 10).await;
    running.until("keywatch_rule_parks_total", "", 1).await;
    running.present(20..25, 99).await;
    drop(running);

    let running = Running::start(directory.path()).await;
    running.present(25..40, 35).await;
    drop(running);

    let running = Running::start(directory.path()).await;
    running.present(40..41, 99).await;
    assert!(running.keywatch.stop().success());
    let running = Running::start(directory.path()).await;
    assert!(running.keywatch.stop().success());

    let record = Record::read(directory.path());
    assert_eq!(record.found(), once(0..41, &[10, 35]));
    let counts = ["rule.parked", "rule.resumed", "rule.skipped"].map(|kind| record.about_the_rule(kind));
    assert_eq!(counts, [1, 1, 2]);
}
