//! What every real node of Bitcoin is asked for in the same words.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Block, OutPoint, TxOut};
use serde_json::json;

use super::node::Node;

/// A node, of regtest.
pub(crate) struct Bitcoin(Node);

impl Bitcoin {
    /// Starts the command for a port and an empty directory; it lets user `u` with password `p` ask.
    pub(crate) async fn start(name: &str, command: impl Fn(u16, &Path) -> Command) -> Bitcoin {
        Bitcoin(Node::start(name, "u:p@", "getblockcount", command).await)
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
    pub(crate) async fn block(&self, hash: &str) -> String {
        self.rpc("getblock", json!([hash, 0])).await.as_str().unwrap().to_owned()
    }

    /// The coin that a block made for its miner.
    pub(crate) async fn coin(&self, hash: &str) -> (OutPoint, TxOut) {
        let block: Block = deserialize_hex(&self.block(hash).await).unwrap();
        let made = &block.txdata[0];
        (OutPoint::new(made.compute_txid(), 0), made.output[0].clone())
    }
}

impl Deref for Bitcoin {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}
