//! A real Cerbos on loopback ports of its own, stopped when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;

use super::opa::free_port;
use super::tools::{cached, version};

/// A server.
pub(crate) struct Cerbos {
    child: Child,
    port: u16,
}

impl Cerbos {
    /// Whether it is installed.
    pub(crate) fn is_there() -> bool {
        binary().is_file()
    }

    /// Starts one with the policies of that directory and waits until it answers.
    pub(crate) async fn start(policies: &Path) -> Cerbos {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            // The ports are free when they are looked for and may be taken a moment later: then the next ones.
            let (port, grpc_port) = (free_port(), free_port());
            let mut command = Command::new(binary());
            command.arg("server").env("CERBOS_NO_TELEMETRY", "1");
            for (name, value) in [
                ("server.httpListenAddr", format!("127.0.0.1:{port}")),
                ("server.grpcListenAddr", format!("127.0.0.1:{grpc_port}")),
                ("storage.driver", "disk".to_owned()),
                ("storage.disk.directory", policies.display().to_string()),
            ] {
                command.arg(format!("--set={name}={value}"));
            }
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut cerbos = Cerbos { child, port };
            let answers = async {
                while cerbos.child.try_wait().unwrap().is_none() {
                    let health = Client::new().get(format!("{}/_cerbos/health", cerbos.url())).send().await;
                    if health.is_ok_and(|answer| answer.status().is_success()) {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                false
            };
            if tokio::time::timeout(Duration::from_secs(30), answers).await == Ok(true) {
                return cerbos;
            }
        }
        panic!("Cerbos did not start on any of five pairs of free ports");
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it answers to a body at a path.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Value {
        let asked = Client::new().post(format!("{}{path}", self.url())).json(body).send().await.unwrap();
        asked.json().await.unwrap()
    }
}

impl Drop for Cerbos {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pinned binary: where `KEYWATCH_TEST_CERBOS` says, else where `make cerbos` puts it.
fn binary() -> PathBuf {
    cached("KEYWATCH_TEST_CERBOS", &format!("cerbos-{}/cerbos", version("CERBOS_VERSION")))
}
