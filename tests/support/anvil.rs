//! A real Ethereum node (anvil) on a loopback port of its own, stopped when it is dropped.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::node::Node;
use super::tools::{cached, version};

/// The accounts that anvil gives 10,000 ETH each, the first three.
pub(crate) const ACCOUNTS: [&str; 3] = [
    "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "0x70997970c51812dc3a010c7d01b50e0d17dc79c8",
    "0x3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
];

/// A node.
pub(crate) struct Anvil(Node);

impl Anvil {
    /// Starts one that makes a block for each transaction, and waits until it answers.
    pub(crate) async fn start() -> Anvil {
        let command = |port: u16, _: &Path| {
            let mut command = Command::new(binary());
            // The same first block for every one of them.
            command.args(["--host", "127.0.0.1", "--silent", "--timestamp", "1735689600", "--port", &port.to_string()]);
            command
        };
        Anvil(Node::start("anvil", "", "eth_blockNumber", command).await)
    }

    /// A payment, in a block of its own; gives the transaction's hash.
    pub(crate) async fn pay(&self, from: &str, to: &str, units: u64) -> String {
        self.send(json!({"from": from, "to": to, "value": format!("{units:#x}")})).await
    }

    /// A transaction, in a block of its own; gives its hash.
    pub(crate) async fn send(&self, transaction: Value) -> String {
        let hash = self.rpc("eth_sendTransaction", json!([transaction])).await.as_str().unwrap().to_owned();
        // It answers before the block is made, and would put a second payment into the same one.
        let mined = async {
            while self.rpc("eth_getTransactionReceipt", json!([hash])).await.is_null() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        assert!(tokio::time::timeout(Duration::from_secs(30), mined).await.is_ok(), "{hash} is in no block");
        hash
    }

    /// Mines empty blocks.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Height of its newest block.
    pub(crate) async fn height(&self) -> u64 {
        quantity(&self.rpc("eth_blockNumber", json!([])).await)
    }

    /// Base units of an account.
    pub(crate) async fn balance(&self, account: &str) -> u128 {
        let balance = self.rpc("eth_getBalance", json!([account, "latest"])).await;
        u128::from_str_radix(balance.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }
}

/// A number in the form of the chain.
pub(crate) fn quantity(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// The pinned binary: where `KEYWATCH_TEST_ANVIL` says, else where `make tools` puts it.
fn binary() -> PathBuf {
    let binary = cached("KEYWATCH_TEST_ANVIL", &format!("anvil-{}/anvil", version("ANVIL_VERSION")));
    let place = binary.display();
    assert!(
        binary.is_file(),
        "anvil is not at {place}: `make tools` installs it, KEYWATCH_TEST_ANVIL may name another"
    );
    binary
}

impl Deref for Anvil {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}
