//! Followers as the configuration names them: settings are read, nodes prepared, and each follower started as a task.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use keywatch_ingest::chain::finality::Finality;
use keywatch_ingest::chain::{bitcoin, evm};
use keywatch_store::Log;
use keywatch_store::event::Origin;
use keywatch_store::inventory::System;
use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bitcoin::BitcoinChain;
use super::endpoints::Endpoints;
use super::evm::EvmChain;
use super::evm_vouching::Vouching;
use super::follower::lag::{LagWatcher, Patience};
use super::follower::node_heads::HeadWatcher;
use super::follower::{Follower, Pace};
use super::heads::Heads;
use super::node::{Node, NodeSettings};
use super::pool::{self, PoolChain, PoolWatcher};
use super::watching::{self, Make, Watching};
use super::zmq::{Announcements, Wakes};
use super::{evm_destinations, evm_metadata};
use crate::limits::{BITCOIN_FINAL_BLOCKS, BITCOIN_LAG_BLOCKS, BITCOIN_LAG_SECONDS, LAG_BLOCKS, LAG_SECONDS};
use crate::service::config;
use crate::service::intake::Intake;
use crate::service::inventory_file::Declared;
use crate::service::metrics::Metrics;

/// Starts a follower for each chain of the configuration; each ends in order when `stopping` becomes true. Where they stand
/// they read from `log`, which has what the intake takes. What they watch changes with what is `declared`.
///
/// # Errors
/// An address file that cannot be read, a log that cannot be read.
pub(crate) fn followers(
    chains: &[config::Chain],
    log: &Arc<dyn Log>,
    declared: &Declared,
    intake: &Arc<Intake>,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<JoinSet<anyhow::Result<()>>> {
    let mut tasks = JoinSet::new();
    for chain in chains {
        let place = || format!("chains (source `{}` on {})", chain.source, chain.chain);
        let inventory = intake.inventory.now();
        let system = inventory.system(&chain.system).with_context(place)?;
        let endpoints = endpoints(chain, &intake.metrics).with_context(place)?;
        let (pace, log, intake, stopping) = (pace(chain), Arc::clone(log), Arc::clone(intake), stopping.clone());
        let (declared, name, heads) = (declared.clone(), chain.chain.as_str(), heads(chain).with_context(place)?);
        let zmq = announcements(chain, &intake.metrics).with_context(place)?;
        let endpoints = Arc::new(endpoints);
        let parts = Parts {
            endpoints,
            pace,
            patience: patience(chain),
            head_interval: Duration::from_secs(chain.head_seconds),
            pool: chain.pool,
            heads,
            zmq,
            declared,
            log,
            intake,
            stopping,
        };
        if bitcoin::network(name).is_some() {
            let watching = Watching::new(name, system, made(chain, AnyChain::bitcoin))?;
            parts.start(watching, &mut tasks).with_context(place)?;
        } else {
            let watching = Watching::new(name, system, made(chain, AnyChain::evm))?;
            parts.start(watching, &mut tasks).with_context(place)?;
        }
    }
    Ok(tasks)
}

/// How a chain of the configuration is made of what a system declares.
fn made<C: 'static>(chain: &config::Chain, of_its_kind: fn(AnyChain) -> Option<C>) -> Make<C> {
    let chain = chain.clone();
    Arc::new(move |system: &System| of_its_kind(configured(&chain, system)?).context("a chain stays of its kind"))
}

/// What a chain is followed with.
struct Parts {
    endpoints: Arc<Endpoints>,
    pace: Pace,
    /// When a node lags.
    patience: Patience,
    /// Time between two looks at the newest block of each node; none where it is zero.
    head_interval: Duration,
    /// Whether what waits is watched too.
    pool: bool,
    /// Nodes that announce blocks.
    heads: Vec<Heads>,
    /// Nodes that announce over `ZeroMQ`.
    zmq: Vec<Announcements>,
    declared: Declared,
    log: Arc<dyn Log>,
    intake: Arc<Intake>,
    stopping: watch::Receiver<bool>,
}

impl Parts {
    fn start<C: PoolChain>(self, watching: Watching<C>, tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
        let Parts { endpoints, pace, patience, head_interval, heads, zmq, declared, log, intake, stopping, .. } = self;
        let chain = Arc::clone(&watching.chain);
        let changes = watching::follow(watching, declared);
        let pool = if self.pool { Some(pool::restored(log.as_ref(), chain.origin(), chain.name())?) } else { None };
        let mut pool_wake = None;
        if let Some(pool) = &pool {
            let (chain, endpoints, intake) = (Arc::clone(&chain), Arc::clone(&endpoints), Arc::clone(&intake));
            let watcher = PoolWatcher::new(chain, endpoints, pace.poll, intake, Arc::clone(pool));
            pool_wake = Some(watcher.wake());
            tasks.spawn(watcher.watching(changes.clone()).run(stopping.clone()));
        }
        let (looked, of, intake_of) = (Arc::clone(&chain), Arc::clone(&endpoints), Arc::clone(&intake));
        let lag = LagWatcher::new(looked, of, patience, log.as_ref(), intake_of)?;
        tasks.spawn(lag.run(stopping.clone()));
        if head_interval > Duration::ZERO {
            let (looked, of, intake_of) = (Arc::clone(&chain), Arc::clone(&endpoints), Arc::clone(&intake));
            let watcher = HeadWatcher::new(looked, of, head_interval, patience.time, intake_of);
            tasks.spawn(watcher.run(stopping.clone()));
        }
        let follower = Follower::open(chain, endpoints, pace, Arc::clone(&log), intake, pool)?;
        let follower = follower.watching(changes, log.as_ref())?;
        for heads in heads {
            let (wake, stopping) = (follower.wake(), stopping.clone());
            tasks.spawn(async move {
                heads.run(wake, stopping).await;
                Ok(())
            });
        }
        for announcements in zmq {
            let wakes = Wakes { blocks: follower.wake(), pool: pool_wake.clone() };
            let stopping = stopping.clone();
            tasks.spawn(async move {
                announcements.run(wakes, stopping).await;
                Ok(())
            });
        }
        tasks.spawn(follower.run(stopping));
        Ok(())
    }
}

/// A chain of either kind.
pub(crate) enum AnyChain {
    /// Ethereum or one of its relatives.
    Evm(Box<EvmChain>),
    /// Bitcoin or one of its test networks.
    Bitcoin(BitcoinChain),
}

impl AnyChain {
    fn evm(self) -> Option<EvmChain> {
        if let AnyChain::Evm(chain) = self { Some(*chain) } else { None }
    }

    fn bitcoin(self) -> Option<BitcoinChain> {
        if let AnyChain::Bitcoin(chain) = self { Some(chain) } else { None }
    }
}

/// A chain of the configuration, with what the inventory watches on it.
///
/// # Errors
/// A chain that keywatch does not know and that says no id.
pub(crate) fn configured(chain: &config::Chain, system: &System) -> anyhow::Result<AnyChain> {
    let (made, unreadable) = if let Some(network) = bitcoin::network(&chain.chain) {
        let (watched, unreadable) = bitcoin::Watched::of(system, &chain.chain, network);
        let name = chain.chain.to_ascii_lowercase();
        (AnyChain::Bitcoin(BitcoinChain::new(origin(chain), name, network, watched)), unreadable)
    } else {
        let (watched, unreadable) = evm::Watched::of(system, &chain.chain);
        let network = chain.network()?;
        let vouching = Vouching::new(if chain.verifies() { doubters(chain) } else { 0 });
        let (traces, storage, origin) = (chain.traces, chain.storage, origin(chain));
        let (told, used) = (evm_metadata::Told::default(), evm_destinations::Told::default());
        let chain = EvmChain { origin, network, watched, traces, storage, told, vouching, used };
        (AnyChain::Evm(Box::new(chain)), unreadable)
    };
    for wallet in unreadable {
        tracing::warn!(
            wallet,
            chain = chain.chain,
            "the inventory names a wallet that cannot be watched on this chain"
        );
    }
    Ok(made)
}

/// How many nodes have to have nothing better before a block is read for which nothing vouches: all of them, or as many as a
/// quorum asks for, so that one that is away holds up nothing that the others agree on.
fn doubters(chain: &config::Chain) -> usize {
    if chain.quorum > 1 { chain.quorum } else { chain.endpoints.len() }
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
    let depth = chain.finality.or_else(|| bitcoin::network(&chain.chain).map(|_| BITCOIN_FINAL_BLOCKS));
    Pace {
        finality: depth.map_or(Finality::Told, Finality::Depth),
        start: chain.start,
        confirmations: chain.confirmations,
        depth_max: chain.reorg_depth_max,
        balances: Duration::from_secs(chain.balance_seconds),
        scan: Duration::from_secs(chain.scan_seconds),
        poll: Duration::from_millis(chain.poll_milliseconds),
    }
}

/// When a node of a chain lags.
fn patience(chain: &config::Chain) -> Patience {
    let is_bitcoin = bitcoin::network(&chain.chain).is_some();
    let (seconds, blocks) =
        if is_bitcoin { (BITCOIN_LAG_SECONDS, BITCOIN_LAG_BLOCKS) } else { (LAG_SECONDS, LAG_BLOCKS) };
    Patience {
        time: Duration::from_secs(chain.stall_seconds.unwrap_or(seconds)),
        blocks: chain.behind_blocks.unwrap_or(blocks),
    }
}

/// The nodes of a chain that announce blocks.
fn heads(chain: &config::Chain) -> anyhow::Result<Vec<Heads>> {
    let announces = |endpoint: &&config::Endpoint| endpoint.ws.is_some() || endpoint.ws_file.is_some();
    let heads = |endpoint: &config::Endpoint| {
        let url = parsed(endpoint.ws.as_ref(), endpoint.ws_file.as_ref());
        let heads = url.and_then(|url| Heads::new(&chain.chain, &endpoint.name, url));
        heads.with_context(|| format!("endpoint `{}`", endpoint.name))
    };
    chain.endpoints.iter().filter(announces).map(heads).collect()
}

/// The nodes of a chain that announce over `ZeroMQ`.
fn announcements(chain: &config::Chain, metrics: &Arc<Metrics>) -> anyhow::Result<Vec<Announcements>> {
    let announcing = chain.endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.zmq.as_ref()?)));
    let made = announcing.map(|(endpoint, address)| {
        let made = Announcements::new(&chain.chain, &endpoint.name, address, Arc::clone(metrics));
        made.with_context(|| format!("endpoint `{}`", endpoint.name))
    });
    made.collect()
}

/// An address that stands here or in a file.
fn parsed(url: Option<&String>, file: Option<&PathBuf>) -> anyhow::Result<Url> {
    let text = match (url, file) {
        (Some(url), None) => url.clone(),
        (None, Some(file)) => fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?,
        _ => bail!("has to have its address either here or in a file"),
    };
    Url::parse(text.trim()).map_err(|error| anyhow::anyhow!("its address is none: {error}"))
}

/// The address of a node; never part of an error, since it may hold a key.
fn address(endpoint: &config::Endpoint) -> anyhow::Result<Url> {
    let url = parsed(endpoint.url.as_ref(), endpoint.url_file.as_ref())?;
    ensure!(["http", "https"].contains(&url.scheme()), "its address has to begin with http:// or https://");
    Ok(url)
}
