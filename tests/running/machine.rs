//! A machine on which keywatch is set up with one rule of the operator's own, and what stands in its log in the end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::serving::Serving;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// The rule.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Id, `own/…`.
    pub(crate) id: &'static str,
    /// The SQL behind the front matter.
    pub(crate) sql: &'static str,
}

/// A directory with configuration, inventory, the rule and, later, a log.
pub(crate) struct Machine {
    rule: Rule,
    directory: tempfile::TempDir,
}

impl Machine {
    /// Sets it up: system `cold` with one source, `idp`.
    pub(crate) fn new(rule: Rule) -> Machine {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let machine = Machine { rule, directory: tempfile::tempdir().unwrap() };
        let source = "[[systems.sources]]\nsource = \"idp\"\nfeed = \"events\"\n";
        machine.write("inventory.toml", &format!("[[systems]]\nid = \"cold\"\n{source}"));
        let hash = hex::encode(Sha256::digest("token"));
        let credential = "[[credentials]]\nsystem = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\ntoken_sha256 = ";
        let served = "rules_directory = \"rules\"\n[server]\nlisten = \"127.0.0.1:0\"\n";
        machine.write("keywatch.toml", &format!("{served}{credential}\"{hash}\"\n"));
        std::fs::create_dir_all(machine.path("rules/own")).unwrap();
        let matter = "version: 1\ntitle: Something about {entity}\nseverity: low\nentity: the actor\n\
                      meaning: It is there for a test.\nrunbook: [look]\nsuppress_for: 1h";
        machine.write(&format!("rules/{}.sql", rule.id), &format!("/*\n{matter}\n*/\n{}\n", rule.sql));
        for (file, kind) in [("fires", "session.presented"), ("quiet", "session.ended")] {
            let event = json!({
                "event_id": "5d1c0c5fb0a2419cf0ad4e1b8d1d7f60", "system": "cold", "time": "2025-03-03T09:00:00Z",
                "event_time": "2025-03-03T09:00:00Z", "source": "idp", "kind": kind, "actor": "ann", "asn": 5,
            });
            machine.write(&format!("rules/{}.{file}.jsonl", rule.id), &event.to_string());
        }
        machine
    }

    /// The same with the shipped rules off.
    pub(crate) fn with_this_rule_alone(rule: Rule) -> Machine {
        let machine = Machine::new(rule);
        let shipped = keywatch_detectors::rule::shipped().unwrap();
        let names: Vec<String> = shipped.iter().map(|rule| format!("\"{}\"", rule.id)).collect();
        let config = std::fs::read_to_string(machine.path("keywatch.toml")).unwrap();
        machine.write("keywatch.toml", &format!("{config}[rules]\ndisabled = [{}]\n", names.join(", ")));
        machine
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }

    /// A file of it.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Adds to its configuration.
    pub(crate) fn configure(&self, more: &str) {
        let configuration = std::fs::read_to_string(self.path("keywatch.toml")).unwrap();
        self.write("keywatch.toml", &format!("{configuration}{more}"));
    }

    /// Sessions that the rule found in these topics, each as often as it stands there.
    pub(crate) fn found(&self, events: &[Event], conclusions: &[Event]) -> BTreeMap<String, usize> {
        Record { rule: self.rule, events: events.to_vec(), conclusions: conclusions.to_vec() }.found()
    }

    /// Keys under which somebody was told, each as often as that stands in these topics.
    pub(crate) fn told(&self, events: &[Event], conclusions: &[Event]) -> BTreeMap<String, usize> {
        Record { rule: self.rule, events: events.to_vec(), conclusions: conclusions.to_vec() }.told()
    }

    /// Starts keywatch and waits until the rules have caught up with the log.
    pub(crate) async fn start(&self) -> Running {
        self.begin(&[], PATIENCE).await
    }

    /// As [`Machine::start`], over a log that takes long.
    pub(crate) async fn start_patiently(&self, patience: Duration) -> Running {
        self.begin(&[], patience).await
    }

    /// As [`Machine::start`], with further arguments.
    pub(crate) async fn start_with(&self, arguments: &[&str]) -> Running {
        self.begin(arguments, PATIENCE).await
    }

    async fn begin(&self, arguments: &[&str], patience: Duration) -> Running {
        let keywatch = Serving::start(self.directory.path(), arguments);
        let running = Running { rule: self.rule, keywatch, client: Client::new() };
        let asking = async {
            while running.get("/readyz").await.0 != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(patience, asking).await.expect("it catches up with its log");
        running
    }

    /// Its conclusions, the oldest first; keywatch must not run.
    pub(crate) fn conclusions(&self) -> impl Iterator<Item = Event> {
        let log = EmbeddedLog::open(self.path("keywatch-data"), Options::new(Clock::Wall)).unwrap();
        let end = log.end(Topic::Conclusions).0;
        let pieces =
            (0..end).step_by(4_096).map(move |from| log.read(Topic::Conclusions, Position(from), 4_096).unwrap());
        pieces.flatten()
    }

    /// What its log holds; keywatch must not run.
    pub(crate) fn record(&self) -> Record {
        let log = EmbeddedLog::open(self.path("keywatch-data"), Options::new(Clock::Wall)).unwrap();
        let all = |topic| log.read(topic, Position(0), 100_000).unwrap();
        Record { rule: self.rule, events: all(Topic::Events), conclusions: all(Topic::Conclusions) }
    }
}

/// Keywatch on that machine; killed without warning when it is dropped.
pub(crate) struct Running {
    rule: Rule,
    keywatch: Serving,
    client: Client,
}

impl Running {
    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.keywatch.url
    }

    /// A field of `/proc/<pid>/status`, KiB.
    pub(crate) fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.keywatch.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.keywatch.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Sends records of the source, one a line, in one request.
    pub(crate) async fn send(&self, records: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = records.into_iter().map(|record| record.to_string()).collect();
        let url = format!("{}/v1/ingest/events", self.keywatch.url);
        let answer = self.client.post(url).bearer_auth("token").body(lines.join("\n")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.unwrap());
    }

    /// As [`Running::send`], again and again until it is taken, as a source does whose log is away.
    pub(crate) async fn send_until_taken(&self, records: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = records.into_iter().map(|record| record.to_string()).collect();
        let (url, body) = (format!("{}/v1/ingest/events", self.keywatch.url), lines.join("\n"));
        let sending = async {
            loop {
                let answer = self.client.post(&url).bearer_auth("token").body(body.clone()).send().await.unwrap();
                match answer.status() {
                    StatusCode::OK => return,
                    status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
                }
            }
        };
        tokio::time::timeout(4 * PATIENCE, sending).await.expect("the log is back in time");
    }

    /// The value of a metric whose labels hold that text; zero where it is not there.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let is_it = |line: &&str| line.split([' ', '{']).next() == Some(name) && line.contains(label);
        text.lines().find(is_it).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Waits until a metric of the rule has that value.
    pub(crate) async fn until(&self, metric: &str, label: &str, value: u64) {
        self.until_within(PATIENCE, metric, label, value).await;
    }

    /// The same, where it may take that long.
    pub(crate) async fn until_within(&self, patience: Duration, metric: &str, label: &str, value: u64) {
        let has = |line: &str| {
            line.starts_with(&format!("{metric}{{"))
                && line.contains(label)
                && line.contains(self.rule.id)
                && line.ends_with(&format!(" {value}"))
        };
        let asking = async {
            while !self.get("/metrics").await.1.lines().any(has) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let known = tokio::time::timeout(patience, asking).await;
        assert!(known.is_ok(), "{metric} is not {value}: {}", self.get("/metrics").await.1);
    }

    /// Sends its process a signal.
    pub(crate) fn signal(&self, name: &str) {
        self.keywatch.signal(name);
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(self) -> std::process::ExitStatus {
        self.keywatch.ended()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(self) {
        assert!(self.keywatch.stop().success());
    }
}

/// What stands in the log in the end.
pub(crate) struct Record {
    rule: Rule,
    /// The events topic.
    pub(crate) events: Vec<Event>,
    /// The conclusions topic.
    pub(crate) conclusions: Vec<Event>,
}

impl Record {
    /// How many records of a kind there are about the rule.
    pub(crate) fn about_the_rule(&self, kind: &str) -> usize {
        let about = self.events.iter().filter(|event| event.kind() == kind);
        about.filter(|event| event.detail().value()["rule"] == self.rule.id).count()
    }

    /// Keys under which somebody was told, each as often as that was recorded.
    pub(crate) fn told(&self) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for event in self.conclusions.iter().filter(|event| event.kind() == "alert.notified") {
            *told.entry(event.detail().value()["key"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        told
    }

    /// Sessions that the rule found, each as often as it stands there.
    pub(crate) fn found(&self) -> BTreeMap<String, usize> {
        let session = |anchor: &str| {
            let event = self.events.iter().find(|event| event.event_id().to_string() == anchor);
            event.and_then(|event| event.session().map(str::to_owned)).unwrap()
        };
        let mut found = BTreeMap::new();
        for event in self.conclusions.iter().filter(|event| event.kind() == "finding.created") {
            let detail = event.detail().value();
            if detail["rule"] == self.rule.id {
                *found.entry(session(detail["anchor"].as_str().unwrap())).or_default() += 1;
            }
        }
        found
    }
}

/// A session that somebody presents; its id is that of the record.
pub(crate) fn presented(session: &str, actor: &str, asn: u32) -> Value {
    json!({
        "id": session, "kind": "session.presented", "event_time": "2025-03-03T09:00:00Z", "actor": actor,
        "session": session, "asn": asn,
    })
}

/// The snapshots of window state of a machine, the oldest first.
pub(crate) fn snapshots(machine: &Machine) -> Vec<PathBuf> {
    kept(machine, "keywatch-data/window-state", "arrow")
}

/// The snapshots of alerting's state of a machine, the oldest first.
pub(crate) fn alerting_snapshots(machine: &Machine) -> Vec<PathBuf> {
    kept(machine, "keywatch-data/alerting-state", "json")
}

fn kept(machine: &Machine, directory: &str, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(machine.path(directory)).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file: &PathBuf| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// The position of the log that a snapshot belongs to.
pub(crate) fn position(snapshot: &Path) -> u64 {
    snapshot.file_stem().unwrap().to_str().unwrap().parse().unwrap()
}
