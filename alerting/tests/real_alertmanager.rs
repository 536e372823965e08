//! A real Alertmanager (Debian's `prometheus-alertmanager`): what it shows as standing is what keywatch says stands. Where it
//! is not installed, a line on standard error says that the test was left out.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use keywatch_alerting::Sink;
use keywatch_alerting::delivery::receivers::alertmanager::{Alertmanager, AlertmanagerSettings};
use keywatch_store::Severity;
use serde_json::Value;

use crate::support::receivers::{executor, often, operate, plain, resolve, worse};
use crate::support::{MortalLog, wall_clock};

struct Server {
    child: Child,
    url: String,
    _directory: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(url: &str) -> Option<Value> {
    let answer = reqwest::get(url).await.ok()?;
    if answer.status().is_success() { answer.json().await.ok() } else { None }
}

/// Asks until the answer is as it should be; fails after twenty seconds.
async fn wait_for(url: &str, as_it_should: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            if let Some(answer) = get(url).await.filter(&as_it_should) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap_or_else(|_| panic!("waited in vain at {url}"))
}

/// Where it is installed, if it is.
#[expect(clippy::disallowed_methods, reason = "a test looks where the binary is")]
fn binary() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("prometheus-alertmanager")).find(|file| file.is_file())
}

async fn start(binary: &Path) -> Server {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("alertmanager.yml");
    std::fs::write(&config, "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(binary)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", directory.path().display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Server { child, url: format!("http://127.0.0.1:{port}"), _directory: directory };
    wait_for(&format!("{}/api/v2/status", server.url), |_| true).await;
    server
}

fn severities(alerts: &Value) -> Vec<&str> {
    let mut severities: Vec<&str> =
        alerts.as_array().unwrap().iter().map(|alert| alert["labels"]["severity"].as_str().unwrap()).collect();
    severities.sort_unstable();
    severities
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "what is left out must not pass in silence")]
async fn what_stands_stands_there_and_what_is_over_is_over_there() {
    let Some(binary) = binary() else {
        eprintln!("left out: prometheus-alertmanager is not installed");
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = start(&binary).await;
    let settings =
        AlertmanagerSettings { name: "am".into(), urls: vec![server.url.clone()], ..AlertmanagerSettings::default() };
    let sink: Arc<dyn Sink> = Arc::new(Alertmanager::new(settings, wall_clock()).unwrap());
    let log = MortalLog::immortal();
    let begun = executor(&log, vec![sink], Vec::new(), often());
    let told = plain("1", Severity::High, 0);
    begun.take(&told).await.unwrap();
    begun.idle().await;
    let active = format!("{}/api/v2/alerts?active=true", server.url);
    let alerts = wait_for(&active, |alerts| severities(alerts) == ["high"]).await;
    assert_eq!(alerts[0]["labels"]["alertname"], "signing/mismatch");
    assert_eq!(alerts[0]["annotations"]["summary"], "A confirmation does not verify");
    begun.take(&worse(&told)).await.unwrap();
    begun.idle().await;
    wait_for(&active, |alerts| severities(alerts) == ["critical"]).await;
    begun.repeat().await;
    wait_for(&active, |alerts| severities(alerts) == ["critical", "none"]).await;
    operate(&begun, &told, resolve()).await;
    begun.idle().await;
    wait_for(&active, |alerts| severities(alerts) == ["none"]).await;
}
