//! The newest block of each node, at a rhythm: a record of each (`chain.head`), so that the log says which node stood where; and
//! whether nodes that go on name different blocks of one height, also those that are not asked for blocks.
//!
//! Two blocks at one height are honest for some seconds. So one height is looked at again until all name the same block of it,
//! and only what lasts longer than a node may stand still is told; a node that stopped on the block that lost builds nothing on it,
//! and is told as one that has stopped. Which nodes lag, [`super::lag`] knows.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use keywatch_store::Event;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::chain::{Chain, Header, head_of};
use crate::clock;
use crate::limits::{HEAD_TOLD_SECONDS, NODE_CALL_SECONDS_MAX};
use crate::service::chains::endpoints::Endpoints;
use crate::service::chains::node::{Node, Trouble};
use crate::service::chains::writing;
use crate::service::intake::Intake;
use crate::service::turns::{stopped, unless_stopped};

/// A height of which nodes name different blocks.
struct Apart {
    height: u64,
    since: Instant,
    is_told: bool,
    /// The last word of each node.
    said: Vec<Option<String>>,
}

/// What nodes name of one height, in the order in which they are named.
struct Branches {
    /// How long nodes may differ about a height.
    patience: Duration,
    /// The newest block of each, and since when it is that.
    moved: Vec<(Option<u64>, Instant)>,
    apart: Option<Apart>,
}

impl Branches {
    fn new(patience: Duration, nodes: usize, now: Instant) -> Branches {
        Branches { patience, moved: vec![(None, now); nodes], apart: None }
    }

    /// Takes what each node says is its newest block; gives the height that they are asked about: the one at which they differ,
    /// else the highest that more than half of those have that move, so that one that is behind hides no other.
    fn height(&mut self, heights: &[Option<u64>], now: Instant) -> Option<u64> {
        for (seen, height) in self.moved.iter_mut().zip(heights) {
            if height.is_some() && seen.0 != *height {
                *seen = (*height, now);
            }
        }
        if let Some(apart) = &self.apart {
            return Some(apart.height);
        }
        let moves = self.moved.iter().filter(|(_, since)| now.duration_since(*since) < self.patience);
        let mut heights: Vec<u64> = moves.filter_map(|(height, _)| *height).collect();
        heights.sort_unstable_by(|one, other| other.cmp(one));
        if heights.len() < 2 { None } else { heights.get(heights.len() / 2).copied() }
    }

    /// Takes what each node names at that height; gives how long they have differed, where that is to be told.
    fn judge(&mut self, height: u64, named: &[Option<String>], now: Instant) -> Option<Duration> {
        if self.apart.is_none() && differ(named.iter()) {
            self.apart = Some(Apart { height, since: now, is_told: false, said: named.to_vec() });
        }
        let apart = self.apart.as_mut()?;
        for (said, name) in apart.said.iter_mut().zip(named) {
            if name.is_some() {
                said.clone_from(name);
            }
        }
        let lasts = now.duration_since(apart.since);
        let builds = |at: usize| self.moved.get(at).is_some_and(|(newest, _)| *newest > Some(height));
        let building = named.iter().enumerate().filter(|(at, _)| builds(*at)).map(|(_, name)| name);
        let is_lasting = differ(building);
        if is_lasting && lasts >= self.patience && !apart.is_told {
            apart.is_told = true;
            return Some(lasts);
        }
        // Whoever was apart and stands or does not answer any more does not keep the others from being compared.
        let is_left = lasts >= self.patience.saturating_mul(2) && !is_lasting;
        if is_left || !differ(apart.said.iter()) {
            self.apart = None;
        }
        None
    }
}

/// Whether two nodes name different blocks; one that names none says nothing else.
fn differ<'a>(named: impl Iterator<Item = &'a Option<String>>) -> bool {
    named.flatten().collect::<BTreeSet<_>>().len() > 1
}

/// What asks each node of a chain for its newest block.
pub(crate) struct HeadWatcher<C> {
    chain: Arc<C>,
    endpoints: Arc<Endpoints>,
    intake: Arc<Intake>,
    interval: Duration,
    branches: Branches,
    /// The hash that was told of each node, and when.
    told: Vec<Option<(String, Instant)>>,
}

impl<C: Chain> HeadWatcher<C> {
    /// One over these nodes, which may differ about a height for as long as `patience`.
    pub(crate) fn new(
        chain: Arc<C>,
        endpoints: Arc<Endpoints>,
        interval: Duration,
        patience: Duration,
        intake: Arc<Intake>,
    ) -> HeadWatcher<C> {
        let nodes = endpoints.nodes().count();
        let branches = Branches::new(patience, nodes, Instant::now());
        HeadWatcher { chain, endpoints, intake, interval, branches, told: vec![None; nodes] }
    }

    /// Looks until `stopping` becomes true.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(()),
                () = sleep(self.interval) => {}
            }
            let Some(looked) = unless_stopped(&mut stopping, pin!(self.look())).await else { return Ok(()) };
            looked?;
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let chain = &self.chain;
        let asked = self.endpoints.nodes().map(|node| in_time(newest(chain.as_ref(), node)));
        // A node that does not answer has no head; that it does not is said by its status.
        let heads: Vec<Option<(u64, Header)>> = join_all(asked).await;
        let now = Instant::now();
        let names: Vec<String> = self.endpoints.nodes().map(|node| node.name().to_owned()).collect();
        let mut events = Vec::new();
        for ((name, head), told) in names.iter().zip(&heads).zip(&mut self.told) {
            let Some((height, header)) = head else { continue };
            if tells(told.as_ref(), &header.hash, now) {
                events.push(record(chain.as_ref(), name, *height, header));
                *told = Some((header.hash.clone(), now));
            }
        }
        let heights: Vec<Option<u64>> = heads.iter().map(|head| head.as_ref().map(|(height, _)| *height)).collect();
        if let Some(height) = self.branches.height(&heights, now) {
            let asked = self.endpoints.nodes().map(|node| in_time(named(chain.as_ref(), node, height)));
            let named: Vec<Option<String>> = join_all(asked).await;
            if let Some(lasts) = self.branches.judge(height, &named, now) {
                events.push(disagreement(chain.as_ref(), height, &names, &named, lasts));
            }
        }
        if events.is_empty() {
            return Ok(());
        }
        writing::write(&self.intake, self.chain.origin(), self.chain.name(), events).await
    }
}

/// Whether a node's newest block is told: it is another one than was told last, or that is long ago.
fn tells(told: Option<&(String, Instant)>, hash: &str, now: Instant) -> bool {
    let again = Duration::from_secs(HEAD_TOLD_SECONDS);
    told.is_none_or(|(before, at)| before != hash || now.duration_since(*at) >= again)
}

/// What a node answers, where it does so in time: one that is slow keeps what the others say waiting for no longer than one
/// question may take.
async fn in_time<T>(asked: impl Future<Output = Result<Option<T>, Trouble>>) -> Option<T> {
    timeout(Duration::from_secs(NODE_CALL_SECONDS_MAX), asked).await.ok()?.ok().flatten()
}

/// The newest block of a node.
async fn newest<C: Chain>(chain: &C, node: &Node) -> Result<Option<(u64, Header)>, Trouble> {
    let height = head_of(chain, node).await?;
    let header = chain.header(node, height).await?;
    Ok(header.map(|header| (height, header)))
}

/// The block that a node names at a height.
async fn named<C: Chain>(chain: &C, node: &Node, height: u64) -> Result<Option<String>, Trouble> {
    chain.sure(node).await?;
    chain.hash_at(node, height).await
}

fn record<C: Chain>(chain: &C, name: &str, height: u64, header: &Header) -> Event {
    let now = clock::now();
    let id = format!("head/{}/{name}/{}", chain.name(), now.nanoseconds());
    let mut event = Event::builder(chain.origin(), &id, "chain.head", now);
    event.chain(chain.name()).detail(&json!({
        "replica": name,
        "block": height,
        "block_hash": header.hash,
        "age_seconds": now.unix_seconds().saturating_sub(header.time.unix_seconds()),
    }));
    event.build_own()
}

fn disagreement<C: Chain>(
    chain: &C,
    height: u64,
    names: &[String],
    named: &[Option<String>],
    lasts: Duration,
) -> Event {
    let said =
        names.iter().zip(named).filter_map(|(name, hash)| Some(json!({"endpoint": name, "says": hash.as_ref()?})));
    let said: Vec<_> = said.collect();
    let (name, now) = (chain.name(), clock::now());
    let reason = format!("nodes have named different blocks {height} for {} seconds", lasts.as_secs());
    tracing::warn!(chain = name, height, "{reason}");
    let id = format!("disagreement/{name}/{height}/heads/{}", now.nanoseconds());
    let mut event = Event::builder(chain.origin(), &id, "chain.disagreement", now);
    event.chain(name).reason(reason).detail(&json!({"block": height, "said": said}));
    event.build_own()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What each node names: its newest height, and its branch.
    type Look = [Option<(u64, &'static str)>; 3];

    /// The seconds at which a difference is told, where nodes may differ for three, and what each names then.
    fn told(looks: &[Look]) -> Vec<usize> {
        let begun = Instant::now();
        let mut branches = Branches::new(SECOND * 3, 3, begun);
        let mut told = Vec::new();
        let mut now = begun;
        for (second, look) in looks.iter().enumerate() {
            now += SECOND;
            let heights: Vec<Option<u64>> = look.iter().map(|node| node.map(|(height, _)| height)).collect();
            let Some(height) = branches.height(&heights, now) else { continue };
            // Branches part behind block 10.
            let name = |(newest, branch): (u64, &str)| {
                (newest >= height).then(|| if height > 10 { format!("{branch}{height}") } else { height.to_string() })
            };
            let named: Vec<Option<String>> = look.iter().map(|node| node.and_then(name)).collect();
            if branches.judge(height, &named, now).is_some() {
                told.push(second);
            }
        }
        told
    }

    #[test]
    fn nodes_that_build_on_different_blocks_for_long_are_told_once() {
        let looks: Vec<Look> = (0..9).map(|at| [Some((11 + at, "a")), Some((11 + at, "b")), None]).collect();
        assert_eq!(told(&looks), [3]);
        // One that is far behind hides nobody else.
        let looks: Vec<Look> = (0..9).map(|at| [Some((11 + at, "a")), Some((11 + at, "b")), Some((at, "a"))]).collect();
        assert_eq!(told(&looks), [3]);
    }

    #[test]
    fn a_short_fork_and_a_node_that_stopped_on_the_block_that_lost_are_quiet() {
        let fork: Vec<Look> = (0..9)
            .map(|at| [Some((11 + at, "a")), Some((11 + at, if at % 3 < 2 { "b" } else { "a" })), None])
            .collect();
        assert_eq!(told(&fork), [0_usize; 0], "the one that lost gives way each time");
        let stopped: Vec<Look> = (0..12).map(|at| [Some((11 + at, "a")), Some((11, "b")), None]).collect();
        assert_eq!(told(&stopped), [0_usize; 0]);
        let agreed: Vec<Look> =
            (0..9).map(|at| [Some((11 + at, "a")), Some((12 + at, "a")), Some((at, "a"))]).collect();
        assert_eq!(told(&agreed), [0_usize; 0]);
    }

    #[test]
    fn whoever_was_apart_and_is_gone_keeps_nobody_from_being_compared() {
        let looks: Vec<Look> = (0..20)
            .map(|at| {
                let third = if at < 2 { Some((11 + at, "c")) } else { None };
                let second = if at < 12 { "a" } else { "b" };
                [Some((11 + at, "a")), Some((11 + at, second)), third]
            })
            .collect();
        // The third is given up six seconds after it was first apart, at the second 6; then the second one leaves.
        assert_eq!(told(&looks), [15]);
    }

    #[test]
    fn a_head_is_told_when_it_changes_and_every_ten_minutes() {
        let now = Instant::now();
        let before = ("0xa".to_owned(), now);
        let again = Duration::from_secs(HEAD_TOLD_SECONDS);
        assert!(tells(None, "0xa", now) && tells(Some(&before), "0xb", now));
        assert!(!tells(Some(&before), "0xa", now + again / 2));
        assert!(tells(Some(&before), "0xa", now + again));
    }
}
