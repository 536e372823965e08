//! Chains that are followed, and their nodes: `[[chains]]` of the configuration. What stands there is checked here; it is
//! started in `chains::start`.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use keywatch_ingest::chain::{address, bitcoin, evm, registry};
use keywatch_store::Inventory;
use keywatch_store::inventory::System;
use serde::Deserialize;

use super::credential::Credential;

/// Ids of Ethereum's main chain and of its test networks Holesky, Hoodi and Sepolia.
const ETHEREUM_CHAINS: [u64; 4] = [1, 17_000, 560_048, 11_155_111];

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
    /// Seconds between two looks at the newest block of each node; none at zero.
    #[serde(default = "heads")]
    pub(crate) head_seconds: u64,
    /// Seconds between two looks at all balances; none at zero.
    #[serde(default = "balances")]
    pub(crate) balance_seconds: u64,
    /// Seconds between two lists of all coins of the wallets that a node of Bitcoin is asked for; none at zero.
    #[serde(default)]
    pub(crate) scan_seconds: u64,
    /// Which wallets' storage is compared before and after each block.
    #[serde(default)]
    pub(crate) storage: Storage,
    /// Whether blocks are held against their hashes; else they are where the chain is Ethereum's main one or a test network of it.
    #[serde(default)]
    pub(crate) verify_blocks: Option<bool>,
}

impl Chain {
    /// Whether blocks are held against their hashes: on chains whose blocks have the form that Ethereum documents, or where that is
    /// said.
    pub(crate) fn verifies(&self) -> bool {
        let id = self.chain_id.or(registry::find(&self.chain).map(|known| known.id));
        self.verify_blocks.unwrap_or(id.is_some_and(|id| ETHEREUM_CHAINS.contains(&id)))
    }

    /// The network of a chain with accounts.
    ///
    /// # Errors
    /// A chain that keywatch does not know and that says no id.
    pub(crate) fn network(&self) -> anyhow::Result<evm::Network> {
        let known = registry::find(&self.chain);
        let id = self.chain_id.or(known.map(|known| known.id));
        let asset = self.asset.clone().or(known.map(|known| known.asset.to_owned()));
        let Some(id) = id else { bail!("chain: `{}` is not known; say its chain_id", self.chain) };
        Ok(evm::Network { name: self.chain.to_ascii_lowercase(), id, asset: asset.unwrap_or_else(|| "ETH".to_owned()) })
    }
}

/// Which wallets' storage is compared before and after a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Storage {
    /// None.
    Never,
    /// Those whose code may have run in the block, as far as is known.
    #[default]
    Touched,
    /// All, at every block.
    Always,
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

fn heads() -> u64 {
    60
}

fn balances() -> u64 {
    900
}

fn requests() -> u32 {
    50
}

/// Checks chains against the inventory and the credentials.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(chains: &[Chain], credentials: &[Credential], inventory: &Inventory) -> anyhow::Result<()> {
    check_keys(chains, inventory)?;
    for (index, chain) in chains.iter().enumerate() {
        let place = || format!("chains[{index}] (source `{}`)", chain.source);
        check_one(chain, credentials, inventory).with_context(place)?;
        let same = |other: &Chain| other.system == chain.system && other.source == chain.source;
        ensure!(!chains[..index].iter().any(same), "{}: each chain needs a source of its own", place());
    }
    Ok(())
}

/// A wallet that is declared by its raw private key would bring that into the log, also where nobody follows its chain.
fn check_keys(chains: &[Chain], inventory: &Inventory) -> anyhow::Result<()> {
    let is_known = |name: &str| {
        let is_followed = chains.iter().any(|chain| chain.chain.eq_ignore_ascii_case(name));
        is_followed || registry::find(name).is_some() || bitcoin::network(name).is_some()
    };
    for system in &inventory.systems {
        for (index, wallet) in system.wallets.iter().enumerate() {
            ensure!(
                !(address::may_be_key(&wallet.wallet) && is_known(&wallet.chain)),
                "inventory, system `{}`: entry {} of `wallets` is no address of {}; if it is a private key, take it as known to \
                 whoever could read the file",
                system.id,
                index + 1,
                wallet.chain
            );
        }
    }
    Ok(())
}

/// A descriptor that cannot be read would leave a whole wallet unwatched.
fn check_descriptors(system: &System, chain: &str) -> anyhow::Result<()> {
    let Some(network) = bitcoin::network(chain) else { return Ok(()) };
    for wallet in system.wallets.iter().filter(|wallet| wallet.chain.eq_ignore_ascii_case(chain)) {
        let read = bitcoin::descriptor::branches(wallet, network);
        read.map_err(|problem| anyhow::anyhow!("wallet {}: {problem}", wallet.wallet))?;
    }
    Ok(())
}

fn check_one(chain: &Chain, credentials: &[Credential], inventory: &Inventory) -> anyhow::Result<()> {
    let Some(system) = inventory.system(&chain.system) else {
        bail!("system: the inventory has no `{}`", chain.system);
    };
    let declared = system.sources.iter().find(|source| source.source == chain.source);
    let Some(declared) = declared else { bail!("source: the inventory's system has none of that name") };
    ensure!(
        declared.feed == "chain",
        "source: the inventory says that `{}` reads it; write feed = \"chain\"",
        declared.feed
    );
    let sends = credentials.iter().any(|sender| sender.system == chain.system && sender.source == chain.source);
    ensure!(!sends, "source: [[credentials]] lets somebody send under this name; a follower needs one of its own");
    if bitcoin::network(&chain.chain).is_none() {
        chain.network()?;
    }
    check_descriptors(system, &chain.chain)?;
    ensure!(!chain.endpoints.is_empty(), "endpoints: name at least one node");
    for (index, endpoint) in chain.endpoints.iter().enumerate() {
        let twice = chain.endpoints[..index].iter().any(|other| other.name == endpoint.name);
        ensure!(!twice && !endpoint.name.is_empty(), "endpoints[{index}]: each node needs a name of its own");
        ensure!(
            endpoint.url.is_some() != endpoint.url_file.is_some(),
            "endpoints[{index}]: write either url or url_file"
        );
        ensure!(
            endpoint.ws.is_none() || endpoint.ws_file.is_none(),
            "endpoints[{index}]: write ws or ws_file, and not both"
        );
        let announces = endpoint.ws.is_some() || endpoint.ws_file.is_some();
        ensure!(
            !announces || bitcoin::network(&chain.chain).is_none(),
            "endpoints[{index}]: nodes of Bitcoin announce nothing over a WebSocket; leave ws out"
        );
        ensure!(
            endpoint.zmq.is_none() || bitcoin::network(&chain.chain).is_some(),
            "endpoints[{index}]: only nodes of Bitcoin announce over ZeroMQ; leave zmq out"
        );
    }
    let nodes = chain.endpoints.len();
    ensure!((1..=nodes).contains(&chain.quorum), "quorum: {} of {nodes} endpoints", chain.quorum);
    ensure!(
        chain.quorum == 1 || chain.quorum * 2 > nodes,
        "quorum: two halves could both have it; {} of {nodes}",
        chain.quorum
    );
    ensure!((1..=4096).contains(&chain.reorg_depth_max), "reorg_depth_max: 1 to 4096");
    ensure!(chain.poll_milliseconds >= 50, "poll_milliseconds: 50 or more");
    ensure!(chain.stall_seconds != Some(0), "stall_seconds: 1 or more");
    ensure!(chain.behind_blocks != Some(0), "behind_blocks: 1 or more");
    ensure!(chain.head_seconds <= 31_536_000, "head_seconds: a year at most, 0 for none");
    ensure!(chain.balance_seconds <= 31_536_000, "balance_seconds: a year at most, 0 for none");
    let is_bitcoin = bitcoin::network(&chain.chain).is_some();
    ensure!(chain.scan_seconds == 0 || is_bitcoin, "scan_seconds: only nodes of Bitcoin list coins; leave it out");
    let scans = chain.scan_seconds == 0 || (60..=31_536_000).contains(&chain.scan_seconds);
    ensure!(scans, "scan_seconds: a minute to a year, 0 for none");
    let verifies = chain.verify_blocks.is_some();
    ensure!(
        !(verifies && is_bitcoin),
        "verify_blocks: blocks of Bitcoin always are held against their hashes; leave it out"
    );
    ensure!(chain.requests_per_second > 0, "requests_per_second: 1 or more");
    Ok(())
}
