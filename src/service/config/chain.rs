//! Chains that are followed, and their nodes: `[[chains]]` of the configuration. What stands there is checked where chains
//! are started.

use std::path::PathBuf;

use serde::Deserialize;

use crate::service::chains::evm::Storage;

/// A chain that is followed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are the configuration's keys")]
pub(crate) struct Chain {
    /// The system whose wallets are watched.
    pub(crate) system: String,
    /// The source that the events are written under, as the inventory names it.
    pub(crate) source: String,
    /// The chain, as the inventory's wallets name it.
    pub(crate) chain: String,
    /// Chain id (EIP-155), for a chain that keywatch does not know.
    #[serde(default)]
    pub(crate) chain_id: Option<u64>,
    /// Symbol of its own asset, for a chain that keywatch does not know.
    #[serde(default)]
    pub(crate) asset: Option<String>,
    /// Nodes that are asked.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Nodes that have to say the same.
    #[serde(default = "one")]
    pub(crate) quorum: usize,
    /// First block that is read where nothing was read before.
    #[serde(default)]
    pub(crate) start: Option<u64>,
    /// Blocks that must stand above one before it is read.
    #[serde(default)]
    pub(crate) confirmations: u64,
    /// Blocks that a reorganisation may reach back.
    #[serde(default = "reorg_depth")]
    pub(crate) reorg_depth_max: usize,
    /// Blocks that must stand above one until it is final; else what nodes say, or what is usual on the chain.
    #[serde(default)]
    pub(crate) finality: Option<u64>,
    /// Milliseconds between two looks at the nodes.
    #[serde(default = "poll")]
    pub(crate) poll_milliseconds: u64,
    /// Requests a second that each node may be asked.
    #[serde(default = "requests")]
    pub(crate) requests_per_second: u32,
    /// Whether transactions that wait for their block are told too.
    #[serde(default)]
    pub(crate) pool: bool,
    /// Whether nodes are asked for calls within transactions.
    #[serde(default)]
    pub(crate) traces: bool,
    /// Seconds that a node may name no new block, or be behind the others, before it is left out.
    #[serde(default)]
    pub(crate) stall_seconds: Option<u64>,
    /// Blocks by which a node is behind the others.
    #[serde(default)]
    pub(crate) behind_blocks: Option<u64>,
    /// Seconds between two looks at all balances; none at zero.
    #[serde(default = "balances")]
    pub(crate) balance_seconds: u64,
    /// Which wallets' storage is compared before and after each block.
    #[serde(default)]
    pub(crate) storage: Storage,
}

/// A node of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// What it is called in events and metrics.
    pub(crate) name: String,
    /// Its address.
    #[serde(default)]
    pub(crate) url: Option<String>,
    /// File with its address, where that holds a key.
    #[serde(default)]
    pub(crate) url_file: Option<PathBuf>,
    /// Address of its WebSocket, where it announces blocks.
    #[serde(default)]
    pub(crate) ws: Option<String>,
    /// File with that address, where it holds a key.
    #[serde(default)]
    pub(crate) ws_file: Option<PathBuf>,
    /// Address at which a node of Bitcoin announces over `ZeroMQ`.
    #[serde(default)]
    pub(crate) zmq: Option<String>,
}

fn one() -> usize {
    1
}

fn reorg_depth() -> usize {
    64
}

fn poll() -> u64 {
    1000
}

fn balances() -> u64 {
    900
}

fn requests() -> u32 {
    50
}
