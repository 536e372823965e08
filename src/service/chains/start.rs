//! Followers as the configuration names them: settings are read, nodes prepared, and each follower started as a task.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_ingest::chain::{bitcoin, evm, registry};
use keywatch_store::Inventory;
use keywatch_store::event::Origin;
use keywatch_store::inventory::System;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bitcoin::BitcoinChain;
use super::endpoints::Endpoints;
use super::evm::EvmChain;
use super::follower::{Follower, Pace};
use super::node::{Node, NodeSettings};
use super::pool::{self, PoolChain, PoolWatcher};
use crate::service::config;
use crate::service::config::credential::Credential;
use crate::service::intake::Intake;
use crate::service::metrics::Metrics;

/// Starts a follower for each chain of the configuration; each ends in order when `stopping` becomes true.
///
/// # Errors
/// An address file that cannot be read, a log that cannot be read.
pub(crate) fn followers(
    chains: &[config::Chain],
    intake: &Arc<Intake>,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut tasks = JoinSet::new();
    for chain in chains {
        let place = || format!("chains (source `{}` on {})", chain.source, chain.chain);
        let system = intake.inventory.system(&chain.system).with_context(place)?;
        let endpoints = endpoints(chain, &intake.metrics).with_context(place)?;
        let (pace, intake, stopping) = (pace(chain), Arc::clone(intake), stopping.clone());
        let parts = Parts { endpoints: Arc::new(endpoints), pace, pool: chain.pool, intake, stopping };
        match configured(chain, system)? {
            AnyChain::Evm(chain) => parts.start(chain, &mut tasks).with_context(place)?,
            AnyChain::Bitcoin(chain) => parts.start(chain, &mut tasks).with_context(place)?,
        }
    }
    Ok(tasks)
}

/// What a chain is followed with.
struct Parts {
    endpoints: Arc<Endpoints>,
    pace: Pace,
    /// Whether what waits is watched too.
    pool: bool,
    intake: Arc<Intake>,
    stopping: watch::Receiver<bool>,
}

impl Parts {
    fn start<C: PoolChain>(self, chain: C, tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let Parts { endpoints, pace, intake, stopping, .. } = self;
        let chain = Arc::new(chain);
        let pool =
            if self.pool { Some(pool::restored(intake.log.as_ref(), chain.origin(), chain.name())?) } else { None };
        if let Some(pool) = &pool {
            let (chain, endpoints, intake) = (Arc::clone(&chain), Arc::clone(&endpoints), Arc::clone(&intake));
            let watcher = PoolWatcher::new(chain, endpoints, pace.poll, intake, Arc::clone(pool));
            tasks.spawn(watcher.run(stopping.clone()));
        }
        tasks.spawn(Follower::open(chain, endpoints, pace, intake, pool)?.run(stopping));
        Ok(())
    }
}

/// A chain of either kind.
pub(crate) enum AnyChain {
    /// Ethereum or one of its relatives.
    Evm(EvmChain),
    /// Bitcoin or one of its test networks.
    Bitcoin(BitcoinChain),
}

/// A chain of the configuration, with what the inventory watches on it.
///
/// # Errors
/// A chain that keywatch does not know and that says no id.
pub(crate) fn configured(chain: &config::Chain, system: &System) -> anyhow::Result<AnyChain> {
    let (made, unreadable) = if let Some(network) = bitcoin::network(&chain.chain) {
        let (watched, unreadable) = bitcoin::Watched::of(system, &chain.chain, network);
        let name = chain.chain.to_ascii_lowercase();
        (AnyChain::Bitcoin(BitcoinChain { origin: origin(chain), name, network, watched }), unreadable)
    } else {
        let (watched, unreadable) = evm::Watched::of(system, &chain.chain);
        let network = network(chain)?;
        let (traces, storage) = (chain.traces, chain.storage);
        (AnyChain::Evm(EvmChain { origin: origin(chain), network, watched, traces, storage }), unreadable)
    };
    for wallet in unreadable {
        tracing::warn!(wallet, chain = chain.chain, "is no address of this chain and is not watched");
    }
    Ok(made)
}

/// Who the events of a follower are written under.
pub(crate) fn origin(chain: &config::Chain) -> Origin {
    Origin { system: chain.system.clone(), source: chain.source.clone() }
}

/// The nodes of a chain.
///
/// # Errors
/// An address that is none, or cannot be read.
pub(crate) fn endpoints(chain: &config::Chain, metrics: &Arc<Metrics>) -> anyhow::Result<Endpoints> {
    let node = |endpoint: &config::Endpoint| {
        let url = address(endpoint).with_context(|| format!("endpoint `{}`", endpoint.name))?;
        let requests_per_second = chain.requests_per_second;
        let settings = NodeSettings { name: endpoint.name.clone(), url, requests_per_second };
        Node::new(&settings, &chain.chain, Arc::clone(metrics))
    };
    let nodes = chain.endpoints.iter().map(node).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Endpoints::new(nodes, chain.quorum))
}

/// How a chain is followed.
pub(crate) fn pace(chain: &config::Chain) -> Pace {
    Pace {
        start: chain.start,
        confirmations: chain.confirmations,
        depth_max: chain.reorg_depth_max,
        poll: Duration::from_millis(chain.poll_milliseconds),
    }
}

fn network(chain: &config::Chain) -> anyhow::Result<evm::Network> {
    let known = registry::find(&chain.chain);
    let id = chain.chain_id.or(known.map(|known| known.id));
    let asset = chain.asset.clone().or(known.map(|known| known.asset.to_owned()));
    let Some(id) = id else { bail!("chain: `{}` is not known; say its chain_id", chain.chain) };
    Ok(evm::Network { name: chain.chain.to_ascii_lowercase(), id, asset: asset.unwrap_or_else(|| "ETH".to_owned()) })
}

/// The address of a node; never part of an error, since it may hold a key.
fn address(endpoint: &config::Endpoint) -> anyhow::Result<Url> {
    let text = match (&endpoint.url, &endpoint.url_file) {
        (Some(url), None) => url.clone(),
        (None, Some(file)) => fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        _ => bail!("has to have either url or url_file"),
    };
    let url = Url::parse(text.trim()).map_err(|error| anyhow::anyhow!("its address is none: {error}"))?;
    ensure!(["http", "https"].contains(&url.scheme()), "its address has to begin with http:// or https://");
    Ok(url)
}

/// Checks chains against the inventory and the credentials.
///
/// # Errors
/// Each names the field and what to write instead.
pub(crate) fn check(chains: &[config::Chain], credentials: &[Credential], inventory: &Inventory) -> anyhow::Result<()> {
    for (index, chain) in chains.iter().enumerate() {
        let place = || format!("chains[{index}] (source `{}`)", chain.source);
        check_one(chain, credentials, inventory).with_context(place)?;
        let same = |other: &config::Chain| other.system == chain.system && other.source == chain.source;
        ensure!(!chains[..index].iter().any(same), "{}: each chain needs a source of its own", place());
    }
    Ok(())
}

fn check_one(chain: &config::Chain, credentials: &[Credential], inventory: &Inventory) -> anyhow::Result<()> {
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
        network(chain)?;
    }
    ensure!(!chain.endpoints.is_empty(), "endpoints: name at least one node");
    for (index, endpoint) in chain.endpoints.iter().enumerate() {
        let twice = chain.endpoints[..index].iter().any(|other| other.name == endpoint.name);
        ensure!(!twice && !endpoint.name.is_empty(), "endpoints[{index}]: each node needs a name of its own");
        ensure!(
            endpoint.url.is_some() != endpoint.url_file.is_some(),
            "endpoints[{index}]: write either url or url_file"
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
    ensure!(chain.requests_per_second > 0, "requests_per_second: 1 or more");
    Ok(())
}
