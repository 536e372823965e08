//! The real Prometheus, and the checks of its own tools. `.ci/run` installs them (Debian's `prometheus` and
//! `prometheus-alertmanager`); where they are missing, a line on standard error says which test was left out.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

use super::left_out;
use crate::support::clock::unix_seconds;
use crate::support::tree::root;

/// Where a tool is; `None`, said on standard error, where it is not installed.
pub(super) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        left_out(&format!("{name} is not installed (`.ci/install-package prometheus prometheus-alertmanager`)"));
    }
    found
}

fn passes(tool: &Path, arguments: &[&str]) {
    let output = Command::new(tool).args(arguments).current_dir(root()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{} {}:\n{said}", tool.display(), arguments.join(" "));
}

#[test]
fn promtool_finds_the_rules_right_and_each_alert_fires_and_stays_quiet() {
    let Some(promtool) = tool("promtool") else { return };
    for config in ["dashboards/prometheus/prometheus.yml", "dashboards/compose/kafka/prometheus.yml"] {
        passes(&promtool, &["check", "config", config]);
    }
    for file in ["recording_test.yml", "alerts_test.yml", "alerts_delivery_test.yml", "alerts_kafka_test.yml"] {
        passes(&promtool, &["test", "rules", &format!("dashboards/prometheus/{file}")]);
    }
}

#[test]
fn amtool_finds_the_routing_right_and_everything_reaches_whom_it_should() {
    let Some(amtool) = tool("amtool") else { return };
    let config = "dashboards/alertmanager/alertmanager.yml";
    passes(&amtool, &["check-config", config]);
    for (receiver, labels) in [
        ("pager", "alertname=KeywatchDown severity=critical"),
        ("shift", "alertname=KeywatchRuleParked severity=high"),
        ("office-hours", "alertname=KeywatchRejects severity=medium"),
        ("dead-mans-switch", "alertname=Watchdog severity=none"),
        ("dead-mans-switch", "alertname=KeywatchHeartbeat severity=none service=keywatch"),
        ("pager", "alertname=signing/confirmation_mismatch severity=critical service=keywatch incident=1"),
        ("shift", "alertname=session/impossible_travel severity=medium service=keywatch incident=2"),
    ] {
        let verify = format!("--verify.receivers={receiver}");
        let mut arguments = vec!["config", "routes", "test", "--config.file", config, &verify];
        arguments.extend(labels.split(' '));
        passes(&amtool, &arguments);
    }
}

#[test]
fn each_alert_is_tested_in_both_directions_and_says_what_to_do() {
    let read = |file: &str| std::fs::read_to_string(root().join("dashboards/prometheus").join(file)).unwrap();
    let rules: Value = serde_norway::from_str(&read("alerts.yml")).unwrap();
    let tests = ["alerts_test.yml", "alerts_delivery_test.yml", "alerts_kafka_test.yml"].map(read).concat();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let alert = rule["alert"].as_str().unwrap();
        for said in ["summary", "description"] {
            assert!(rule["annotations"][said].as_str().is_some_and(|text| !text.is_empty()), "{alert} has no {said}");
        }
        if alert == "Watchdog" {
            continue;
        }
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "high", "medium"].contains(&severity), "{alert}: {severity}");
        for test in ["fires", "stays quiet"] {
            assert!(tests.contains(&format!("name: {alert} {test}\n")), "no test that {alert} {test}");
        }
    }
}

/// A Prometheus that scrapes one keywatch every second, stopped when it is dropped.
pub(super) struct Prometheus {
    child: Child,
    url: String,
    client: Client,
}

impl Prometheus {
    /// Starts it in an empty directory, with the recording rules of this tree, and waits until it is ready.
    pub(super) async fn start(binary: &Path, directory: &Path, keywatch: &str) -> Prometheus {
        let target = keywatch.strip_prefix("http://").unwrap();
        let rules = root().join("dashboards/prometheus/recording.yml");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\nscrape_configs:\n\
             - {{job_name: keywatch, static_configs: [{{targets: ['{target}']}}]}}\n",
            rules.display()
        );
        std::fs::write(directory.join("prometheus.yml"), config).unwrap();
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(binary);
            command.current_dir(directory).args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"]);
            command.arg("--enable-feature=exemplar-storage").arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let url = format!("http://127.0.0.1:{port}");
            let mut prometheus = Prometheus { child: command.spawn().unwrap(), url, client: Client::new() };
            if prometheus.comes_up().await {
                return prometheus;
            }
        }
        panic!("Prometheus did not start on any of five free ports");
    }

    async fn comes_up(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until && self.child.try_wait().unwrap().is_none() {
            let ready = self.client.get(format!("{}/-/ready", self.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// The samples of an expression now: labels and value.
    pub(super) async fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let answer = self.get("query", &[("query", expression)]).await;
        let sample = |sample: &Value| (sample["metric"].clone(), sample["value"][1].as_str().unwrap().parse().unwrap());
        answer["result"].as_array().unwrap().iter().map(sample).collect()
    }

    /// The labels of the exemplars of an expression in the last hour.
    pub(super) async fn exemplars(&self, expression: &str) -> Vec<Value> {
        let now = unix_seconds();
        let (start, end) = ((now - 3_600).to_string(), (now + 60).to_string());
        let answer = self.get("query_exemplars", &[("query", expression), ("start", &start), ("end", &end)]).await;
        let series = answer.as_array().unwrap().iter();
        series.flat_map(|series| series["exemplars"].as_array().unwrap()).map(|found| found["labels"].clone()).collect()
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.url), parameters).unwrap();
        let answer: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
