//! A real node of a chain on a loopback port of its own, which is asked over JSON-RPC and stopped when it is dropped.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

/// How long an answer may take: the longest is that to who asks for hundreds of blocks.
const PATIENCE: Duration = Duration::from_mins(2);

/// A node, and a directory that is its own.
pub(crate) struct Node {
    child: Child,
    url: String,
    client: Client,
    _directory: tempfile::TempDir,
}

impl Node {
    /// Starts the command for a port and an empty directory, and waits until it answers `question`, which has no parameters.
    /// Who asks it has to be `user`, as URLs have it before the host, with the `@`; nothing where anybody may ask.
    pub(crate) async fn start(name: &str, user: &str, question: &str, command: impl Fn(u16, &Path) -> Command) -> Node {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            // The port is free when it is looked for and may be taken a moment later: then the next one.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let directory = tempfile::tempdir().unwrap();
            let mut command = command(port, directory.path());
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let url = format!("http://{user}127.0.0.1:{port}");
            let mut node = Node { child, url, client: Client::new(), _directory: directory };
            let answers = async {
                while node.child.try_wait().unwrap().is_none() {
                    if node.ask(question, json!([])).await.is_some() {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                false
            };
            if tokio::time::timeout(Duration::from_secs(30), answers).await == Ok(true) {
                return node;
            }
        }
        panic!("{name} did not start on any of five free ports");
    }

    /// Its address, with credentials where it asks for them.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// What it answers; it must.
    pub(crate) async fn rpc(&self, method: &str, parameters: Value) -> Value {
        let answer = self.ask(method, parameters.clone()).await.unwrap_or_else(|| panic!("{method} is not answered"));
        // Nodes of Bitcoin say of an error that there is none, nodes of Ethereum say nothing of it.
        assert!(answer["error"].is_null(), "{method} {parameters}: {answer}");
        answer["result"].clone()
    }

    /// Its whole answer, which may be an error; `None` where there is none.
    pub(crate) async fn ask(&self, method: &str, parameters: Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let asked = self.client.post(&self.url).json(&body).timeout(PATIENCE);
        asked.send().await.ok()?.json().await.ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
