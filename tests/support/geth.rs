//! A real node of Ethereum (geth, `--dev`) on a loopback port of its own, stopped when it is dropped. It makes a block every
//! second, answers JSON-RPC and `WebSocket` connections at the same port, and signs for one account, which has all there is.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use alloy::primitives::U256;
use serde_json::{Value, json};

use super::anvil::quantity;
use super::node::Node;
use super::tools::{cached, version};

/// Who is paid for blocks: nobody whom a test looks at.
const PROPOSER: &str = "0x00000000000000000000000000000000000f0e00";

/// A node.
pub(crate) struct Geth(Node);

impl Geth {
    /// Whether it is installed.
    pub(crate) fn is_there() -> bool {
        binary().is_file()
    }

    /// Starts one, and waits until it answers and pays nobody of interest for its blocks.
    pub(crate) async fn start() -> Geth {
        let command = |port: u16, directory: &Path| {
            let mut command = Command::new(binary());
            command.args(["--dev", "--dev.period", "1", "--nodiscover", "--maxpeers", "0", "--nat", "none"]);
            command.args(["--port", "0", "--authrpc.port", "0", "--ipcdisable", "--verbosity", "1"]);
            for kind in ["http", "ws"] {
                command.args([format!("--{kind}"), format!("--{kind}.addr"), "127.0.0.1".to_owned()]);
                command.args([format!("--{kind}.port"), port.to_string()]);
                command.args([format!("--{kind}.api"), "eth,debug,dev".to_owned()]);
            }
            // Its keys are files, which it would leave behind.
            command.env("TMPDIR", directory).env("HOME", directory);
            command
        };
        let geth = Geth(Node::start("geth", "", "eth_blockNumber", command).await);
        geth.rpc("dev_setFeeRecipient", json!([PROPOSER])).await;
        // A block that is being made may still pay the account.
        geth.grown(2).await;
        geth
    }

    /// The account that it signs for.
    pub(crate) async fn account(&self) -> String {
        self.rpc("eth_accounts", json!([])).await[0].as_str().unwrap().to_lowercase()
    }

    /// Sends a transaction of its account, and waits for the block; gives the receipt.
    pub(crate) async fn send(&self, transaction: Value) -> Value {
        let hash = self.rpc("eth_sendTransaction", json!([transaction])).await;
        let mined = async {
            loop {
                // While it indexes transactions it answers an error.
                let answer = self.ask("eth_getTransactionReceipt", json!([hash])).await.unwrap_or_default();
                if answer["result"].is_object() {
                    return answer["result"].clone();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let receipt = tokio::time::timeout(Duration::from_secs(30), mined).await;
        let receipt = receipt.unwrap_or_else(|_| panic!("{hash} is in no block"));
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    /// Height of its newest block.
    pub(crate) async fn height(&self) -> u64 {
        quantity(&self.rpc("eth_blockNumber", json!([])).await)
    }

    /// Waits for so many further blocks.
    async fn grown(&self, blocks: u64) {
        let wanted = self.height().await + blocks;
        let grown = async {
            while self.height().await < wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), grown).await.is_ok(), "it makes no blocks");
    }

    /// Base units of an account behind the block at that height.
    pub(crate) async fn balance(&self, account: &str, height: u64) -> U256 {
        let balance = self.rpc("eth_getBalance", json!([account, format!("{height:#x}")])).await;
        balance.as_str().unwrap().parse().unwrap()
    }
}

/// The pinned binary: where `KEYWATCH_TEST_GETH` says, else where `make geth` puts it; it may not be there.
fn binary() -> PathBuf {
    cached("KEYWATCH_TEST_GETH", &format!("geth-{}/geth", version("GETH_VERSION")))
}

impl Deref for Geth {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}
