//! Another real node of Bitcoin (bcoin, regtest, in JavaScript) on a loopback port of its own, stopped when it is dropped. It
//! keeps its blocks in memory, and has no peers: blocks of one are handed to another.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Address, Transaction};
use serde_json::json;

use super::bitcoin::Bitcoin;
use super::tools::{cached, version};

/// A node.
pub(crate) struct Bcoin(Bitcoin);

impl Bcoin {
    /// Whether it is installed, and what runs it: its folder may outlive the machine for which it was made.
    pub(crate) fn is_there() -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        folder().join("complete").is_file() && folders.any(|folder| folder.join("node").is_file())
    }

    /// Starts one that mines for `miner`, and waits until it answers.
    pub(crate) async fn start(miner: &Address) -> Bcoin {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chains/bcoin/node.js");
        let command = |port: u16, _: &Path| {
            let mut command = Command::new("node");
            command.arg(&script).args([port.to_string(), miner.to_string()]);
            // Without what it has in C, of which nothing was built.
            command.env("NODE_BACKEND", "js").env("NODE_PATH", folder().join("node_modules"));
            command
        };
        Bcoin(Bitcoin::start("bcoin", command).await)
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
    cached("KEYWATCH_TEST_BCOIN", &format!("bcoin-{}", version("BCOIN_VERSION")))
}

impl Deref for Bcoin {
    type Target = Bitcoin;

    fn deref(&self) -> &Bitcoin {
        &self.0
    }
}
