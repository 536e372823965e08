//! Another real node of Bitcoin (bcoin, regtest, in JavaScript) on a loopback port of its own, stopped when it is dropped. It
//! keeps its blocks in memory, and has no peers: blocks of one are handed to another.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Address, Block, OutPoint, Transaction, TxOut};
use reqwest::Client;
use serde_json::{Value, json};

/// How long an answer may take: the longest is that to who asks for hundreds of blocks.
const PATIENCE: Duration = Duration::from_mins(2);

/// A node.
pub(crate) struct Bcoin {
    child: Child,
    port: u16,
    client: Client,
}

impl Bcoin {
    /// Whether it is installed, and what runs it: its folder may outlive the machine for which it was made.
    pub(crate) fn is_there() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        folder().join("complete").is_file() && folders.any(|folder| folder.join("node").is_file())
    }

    /// Starts one that mines for `miner`, and waits until it answers.
    pub(crate) async fn start(miner: &Address) -> Bcoin {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chains/bcoin/node.js");
        for _ in 0..5 {
            // The port is free when it is looked for and may be taken a moment later: then the next one.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new("node");
            command.arg(&script).args([port.to_string(), miner.to_string()]);
            // Without what it has in C, of which nothing was built.
            command.env("NODE_BACKEND", "js").env("NODE_PATH", folder().join("node_modules"));
            let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut bcoin = Bcoin { child, port, client: Client::new() };
            let answers = async {
                while bcoin.child.try_wait().unwrap().is_none() {
                    if bcoin.ask("getblockcount", json!([])).await.is_some() {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                false
            };
            if tokio::time::timeout(Duration::from_secs(30), answers).await == Ok(true) {
                return bcoin;
            }
        }
        panic!("bcoin did not start on any of five free ports");
    }

    /// Its address, with credentials.
    pub(crate) fn url(&self) -> String {
        format!("http://u:p@127.0.0.1:{}", self.port)
    }

    /// What it answers; it must.
    pub(crate) async fn rpc(&self, method: &str, parameters: Value) -> Value {
        let answer = self.ask(method, parameters.clone()).await.unwrap_or_else(|| panic!("{method} is not answered"));
        assert!(answer["error"].is_null(), "{method} {parameters}: {answer}");
        answer["result"].clone()
    }

    async fn ask(&self, method: &str, parameters: Value) -> Option<Value> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters});
        let asked = self.client.post(format!("http://127.0.0.1:{}", self.port)).basic_auth("u", Some("p")).json(&body);
        asked.timeout(PATIENCE).send().await.ok()?.json().await.ok()
    }

    /// Mines blocks; gives their hashes.
    pub(crate) async fn mine(&self, blocks: u64) -> Vec<String> {
        let hashes = self.rpc("generate", json!([blocks])).await;
        hashes.as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().to_owned()).collect()
    }

    /// Height of its newest block.
    pub(crate) async fn height(&self) -> u64 {
        self.rpc("getblockcount", json!([])).await.as_u64().unwrap()
    }

    /// The block of a hash, as bytes in hexadecimal.
    async fn block(&self, hash: &str) -> String {
        self.rpc("getblock", json!([hash, 0])).await.as_str().unwrap().to_owned()
    }

    /// The coin that a block made for its miner.
    pub(crate) async fn coin(&self, hash: &str) -> (OutPoint, TxOut) {
        let block: Block = deserialize_hex(&self.block(hash).await).unwrap();
        let made = &block.txdata[0];
        (OutPoint::new(made.compute_txid(), 0), made.output[0].clone())
    }

    /// Takes a block of another node.
    pub(crate) async fn take(&self, other: &Bcoin, hash: &str) {
        let refused = self.rpc("submitblock", json!([other.block(hash).await])).await;
        assert!(refused.is_null(), "block {hash} is refused: {refused}");
    }

    /// Hands it a transaction, and waits until it is in its pool; gives the id.
    pub(crate) async fn send(&self, transaction: &Transaction) -> String {
        let id = self.rpc("sendrawtransaction", json!([serialize_hex(transaction)])).await;
        // It answers before it has looked at it, and alike where it does not take it.
        let taken = async {
            while !self.rpc("getrawmempool", json!([])).await.as_array().unwrap().contains(&id) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), taken).await.is_ok(), "{id} is not taken");
        id.as_str().unwrap().to_owned()
    }
}

/// Where it is: where `KEYWATCH_TEST_BCOIN` says, else where `make bcoin` puts it; it may not be there.
fn folder() -> PathBuf {
    let pinned = include_str!("../../.ci/versions").lines().find_map(|line| line.strip_prefix("BCOIN_VERSION="));
    let cache = || {
        let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
        Path::new(&home).join(".cache/keywatch/tools").join(format!("bcoin-{}", pinned.unwrap()))
    };
    std::env::var_os("KEYWATCH_TEST_BCOIN").map_or_else(cache, PathBuf::from)
}

impl Drop for Bcoin {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
