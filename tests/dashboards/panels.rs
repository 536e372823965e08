//! Bybit's day through a running keywatch that a real Prometheus scrapes, with a real Open Policy Agent to revoke at: every
//! panel's query is asked, and answered as the records of the log say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Log, Position, Topic};
use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::expected::{Expected, Facts};
use super::grafana::dashboards;
use super::prometheus::{Prometheus, tool};
use super::say;
use crate::support::clock;
use crate::support::opa::Opa;
use crate::support::serving::Serving;
use crate::support::tree::root;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where the story begins; the months before are not needed here.
const BEGINS: &str = "2025-02-21";

/// A keywatch that is set up for the incident.
struct Machine {
    directory: tempfile::TempDir,
    keywatch: Serving,
    client: Client,
    answers: BTreeMap<String, f64>,
}

fn story() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("replay-data/2025-02-bybit/events.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["kind"] != "tick" && line["time"].as_str().unwrap() >= BEGINS).collect()
}

impl Machine {
    fn start(opa: &Opa, sources: &BTreeSet<String>) -> Machine {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let inventory = std::fs::read_to_string(root().join("replay-data/2025-02-bybit/inventory.toml")).unwrap();
        // The records of the day have no heartbeats; here a source has one, so that its silence has a measure.
        let heartbeat = "\n[[systems.sources]]\nsource = \"idp\"\nfeed = \"events\"\nheartbeat_seconds = 900\n";
        let start = inventory.find("[[systems.sources]]\nsource = \"idp\"").expect("the inventory declares it");
        let end = inventory[start + 2..].find("\n[[").map_or(inventory.len(), |end| start + 2 + end);
        let inventory = format!("{}{}{heartbeat}", &inventory[..start], &inventory[end..]);
        // They are sent as event lines, whatever feed the incident's own sources have.
        let is_feed = |line: &&str| line.starts_with("feed = ");
        let lines = inventory.lines().map(|line| if is_feed(&line) { "feed = \"events\"" } else { line });
        let inventory = lines.collect::<Vec<_>>().join("\n");
        std::fs::write(directory.path().join("inventory.toml"), inventory).unwrap();
        std::fs::copy(root().join("dashboards/compose/control.json"), directory.path().join("control.json")).unwrap();
        let system = "bybit-eth-cold-1";
        let mut config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[[decision_points]]\nsystem = \"{system}\"\nopa = \"{}\"\n\
             control_file = \"control.json\"\n",
            opa.url()
        );
        for source in sources {
            let hash = hex::encode(Sha256::digest(source));
            write!(config, "[[credentials]]\nsystem = \"{system}\"\nsource = \"{source}\"\n").unwrap();
            writeln!(config, "feed = \"events\"\ntoken_sha256 = \"{hash}\"").unwrap();
        }
        std::fs::write(directory.path().join("keywatch.toml"), config).unwrap();
        let keywatch = Serving::start(directory.path(), &[]);
        Machine { directory, keywatch, client: Client::new(), answers: BTreeMap::new() }
    }

    async fn post(&mut self, token: &str, body: String) {
        let url = format!("{}/v1/ingest/events", self.keywatch.url);
        let status = self.client.post(url).bearer_auth(token).body(body).send().await.unwrap().status();
        if status != 401 {
            *self.answers.entry(format!("events {}", status.as_str())).or_default() += 1.0;
        }
    }

    /// Sends what happened, at the time that it is.
    async fn send(&mut self, events: &[Value]) {
        for event in events {
            let body = intake_line(event, &now());
            self.post(event["source"].as_str().unwrap(), body).await;
        }
    }

    /// Stops it and reads what it has written.
    fn stop(self, repeats: BTreeMap<String, f64>) -> Facts {
        let Machine { directory, keywatch, answers, .. } = self;
        assert!(keywatch.stop().success());
        let log = EmbeddedLog::open(directory.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
        let all = |topic| log.read(topic, Position(0), 100_000).unwrap();
        let mut events = all(Topic::Events);
        events.retain(|event| event.kind() != "tick");
        let declared = std::fs::read_to_string(directory.path().join("inventory.toml")).unwrap();
        let declared = keywatch_store::Inventory::parse("inventory.toml", &declared).unwrap();
        let wallets = declared.systems.iter().flat_map(|system| &system.wallets).map(|wallet| wallet.wallet.clone());
        Facts { events, conclusions: all(Topic::Conclusions), answers, repeats, wallets: wallets.collect() }
    }

    async fn metrics(&self) -> String {
        self.client.get(format!("{}/metrics", self.keywatch.url)).send().await.unwrap().text().await.unwrap()
    }

    /// What metrics say of the incident, without what goes on by itself.
    async fn counted(&self) -> Vec<String> {
        const COUNTED: [&str; 6] = [
            "keywatch_events_total",
            "keywatch_rule_findings_total",
            "keywatch_alerts_total",
            "keywatch_notifications_total",
            "keywatch_responses_total",
            "keywatch_incidents_open",
        ];
        let text = self.metrics().await;
        text.lines().filter(|line| COUNTED.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
    }
}

fn now() -> String {
    clock::now().to_string()
}

/// A recorded event as a source would send it.
fn intake_line(event: &Value, event_time: &str) -> String {
    let mut line = event.clone();
    let fields = line.as_object_mut().unwrap();
    let id = fields.remove("event_id").unwrap();
    for given in ["time", "system", "source", "late"] {
        fields.remove(given);
    }
    fields.insert("id".to_owned(), id);
    fields.insert("event_time".to_owned(), json!(event_time));
    line.to_string()
}

/// A query as Grafana would send it, with everything chosen and an hour shown in one step.
fn filled_in(expression: &str) -> String {
    let variables =
        [("$system", ".*"), ("$wallet", ".*"), ("$__rate_interval", "10m"), ("$__range", "1h"), ("$__interval", "1h")];
    variables.into_iter().fold(expression.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// The samples of all queries of a panel.
async fn shown(prometheus: &Prometheus, panel: &Value) -> Vec<(Value, f64)> {
    let mut samples = Vec::new();
    for target in panel["targets"].as_array().unwrap() {
        samples.extend(prometheus.query(&filled_in(target["expr"].as_str().unwrap())).await);
    }
    samples
}

/// Whether that is what is expected, as a line of the table.
fn compare(samples: &[(Value, f64)], expected: &Expected) -> (bool, String) {
    let close = |one: f64, other: f64| (one - other).abs() < 1e-9;
    let sum: f64 = samples.iter().map(|(_, value)| value).sum();
    match expected {
        Expected::Number(number) => (samples.len() <= 1 && close(sum, *number), format!("{sum}")),
        Expected::Total(total) => (close(sum, *total), format!("{sum}")),
        Expected::Within(low, high, least) => {
            let values: Vec<f64> = samples.iter().map(|(_, value)| *value).collect();
            let holds = values.len() >= *least && values.iter().all(|value| (*low..=*high).contains(value));
            (holds, format!("{values:?}"))
        }
        Expected::By(labels, counts) => {
            let name = |sample: &Value| {
                labels.iter().map(|label| sample[*label].as_str().unwrap_or_default()).collect::<Vec<_>>().join(" ")
            };
            let nonzero = samples.iter().filter(|(_, value)| !close(*value, 0.0));
            let shown: BTreeMap<String, f64> = nonzero.map(|(labels, value)| (name(labels), *value)).collect();
            (shown == *counts, format!("{shown:?}"))
        }
    }
}

/// The time of Prometheus's newest sample of a series, in seconds, once that is later than `than`.
async fn taken_after(prometheus: &Prometheus, series: &str, than: f64, until: Instant) -> f64 {
    loop {
        let samples = prometheus.query(&format!("timestamp({series})")).await;
        if let Some((_, at)) = samples.first().filter(|(_, at)| *at > than) {
            return *at;
        }
        assert!(Instant::now() < until, "Prometheus takes no {series} any more");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until Prometheus has scraped keywatch twice since this was asked, and evaluated its rules over that.
async fn scraped_twice(prometheus: &Prometheus, until: Instant) {
    let seconds = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let once = taken_after(prometheus, "keywatch_ready", seconds(), until).await;
    taken_after(prometheus, "keywatch_ready", once, until).await;
    // The last of the recording rules.
    taken_after(prometheus, "keywatch:data_free:ratio", seconds(), until).await;
}

/// Waits until Prometheus has what keywatch has counted, and that stands still.
async fn settled(machine: &Machine, prometheus: &Prometheus) {
    let until = Instant::now() + PATIENCE;
    loop {
        let before = machine.counted().await;
        scraped_twice(prometheus, until).await;
        let counted = machine.counted().await;
        let count = |line: &String| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
        let events: f64 = counted.iter().filter(|line| line.starts_with("keywatch_events_total")).map(count).sum();
        let scraped = prometheus.query("sum(keywatch_events_total)").await;
        let alerts = prometheus.query("sum(keywatch_alerts_total)").await.first().map_or(0.0, |(_, value)| *value);
        let counted_alerts: f64 =
            counted.iter().filter(|line| line.starts_with("keywatch_alerts_total")).map(count).sum();
        let has_all = scraped.first().is_some_and(|(_, value)| (value - events).abs() < 0.5);
        if has_all && (alerts - counted_alerts).abs() < 0.5 && alerts > 0.0 && counted == before {
            return;
        }
        assert!(Instant::now() < until, "it does not come to rest: {before:#?}");
    }
}

/// Asks every panel, while nothing of the incident changes.
async fn ask_all(machine: &Machine, prometheus: &Prometheus) -> BTreeMap<(String, String), Vec<(Value, f64)>> {
    for _ in 0..5 {
        settled(machine, prometheus).await;
        let before = machine.counted().await;
        let mut asked = BTreeMap::new();
        for (name, dashboard) in dashboards() {
            for panel in dashboard["panels"].as_array().unwrap() {
                let key = (name.clone(), panel["title"].as_str().unwrap().to_owned());
                let twice = asked.insert(key.clone(), shown(prometheus, panel).await);
                assert!(twice.is_none(), "two panels are called {key:?}");
            }
        }
        if machine.counted().await == before {
            return asked;
        }
    }
    panic!("findings came in all five times that the panels were asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_shows_what_a_plain_computation_over_the_log_gives() {
    let Some(binary) = tool("prometheus") else { return };
    let (story, opa) = (story(), Opa::start());
    let sources: BTreeSet<String> = story.iter().map(|event| event["source"].as_str().unwrap().to_owned()).collect();
    let mut machine = Machine::start(&opa, &sources);
    let scraping = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&binary, scraping.path(), &machine.keywatch.url).await;

    // Histograms stand at zero before the first of it.
    let until = Instant::now() + PATIENCE;
    while prometheus.query("keywatch_ready == 1").await.is_empty() {
        assert!(Instant::now() < until, "Prometheus does not scrape keywatch");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // In two parts, so that there is something to compare the second with.
    let middle = story.iter().position(|event| event["kind"] == "chain.contract").unwrap();
    machine.send(&story[..middle]).await;
    settled(&machine, &prometheus).await;
    machine.send(&story[middle..]).await;
    // The first again, the same id with other content, nothing that can be read, and somebody who is not known.
    let first = story[0]["source"].as_str().unwrap().to_owned();
    let again = intake_line(&story[0], "2026-01-01T00:00:00Z");
    let once = json!({ "id": "again", "kind": "source.heartbeat", "event_time": "2026-01-01T00:00:00Z" }).to_string();
    for body in [once.clone(), once, again, "{\"id\":\"broken\"}".to_owned()] {
        machine.post(&first, body).await;
    }
    machine.post("nobody", String::new()).await;

    let asked = ask_all(&machine, &prometheus).await;
    let exemplars = prometheus.exemplars("keywatch_notification_latency_seconds_bucket").await;
    let facts = machine.stop(BTreeMap::from([(format!("{first} events"), 1.0)]));
    hold_against(&asked, &facts);
    let named = exemplars.iter().map(|labels| labels["alert_id"].as_str().unwrap().to_owned());
    let (named, told): (BTreeSet<String>, _) = (named.collect(), facts.alert_ids());
    assert!(!named.is_empty() && named.is_subset(&told), "{named:?} are not all among {told:?}");
}

/// Compares what was shown with what is expected, panel by panel.
fn hold_against(asked: &BTreeMap<(String, String), Vec<(Value, f64)>>, facts: &Facts) {
    let table = facts.table();
    let listed: usize = table.iter().map(|(_, panels)| panels.len()).sum();
    let mut wrong = String::new();
    for (dashboard, panels) in &table {
        for (panel, expected) in panels {
            let samples = asked.get(&((*dashboard).to_owned(), (*panel).to_owned()));
            let Some(samples) = samples else { panic!("{dashboard} has no panel `{panel}`") };
            let (holds, shown) = compare(samples, expected);
            say(&format!("{}{dashboard} | {panel} | {shown} | {expected:?}", if holds { "   " } else { "NOT" }));
            if !holds {
                writeln!(wrong, "{dashboard} | {panel}\n  shows    {shown}\n  expected {expected:?}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "panels that show something else:\n{wrong}");
    assert_eq!(listed, asked.len(), "each panel has its expected value");
}
