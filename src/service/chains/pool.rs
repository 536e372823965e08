//! The loop over the pools of nodes: every node is asked, since each has a pool of its own, and what is new is told.
//!
//! Nothing here stops blocks; its requests share the node's budget with theirs. A node that shows no pool is counted and warned of, and its blocks are read all the same.

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keywatch_ingest::chain::pool::{Pool, PoolLimits, Waiting, Whereabouts};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Log};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::endpoints::Endpoints;
use super::follower::chain::Chain;
use super::node::{Class, Node, Trouble};
use super::watching::Watching;
use super::{position, writing};
use crate::clock;
use crate::limits::{POOL_ABSENT_SECONDS, POOL_ASK_SECONDS, POOL_RESTORED_SECONDS, POOL_TRANSACTIONS_MAX};
use crate::service::intake::Intake;
use crate::service::turns::stopped;

/// What a chain with a pool answers, besides its blocks.
pub(crate) trait PoolChain: Chain {
    /// What was looked at of one node's pool, so that it is not looked at again.
    type Seen: Default + Send + Sync;

    /// New transactions of a node's pool that are about watched wallets, and how many were not looked at for want of room.
    /// `some_wait` says that some were told and wait, so that others may take their place.
    fn waiting(
        &self,
        node: &Node,
        seen: &mut Self::Seen,
        time: Instant,
        some_wait: bool,
    ) -> impl Future<Output = Result<(Vec<Waiting>, usize), Trouble>> + Send;

    /// What is to be recorded of a node besides, once.
    fn reports(_seen: &mut Self::Seen) -> Vec<Event> {
        Vec::new()
    }

    /// Whether a node has a transaction, waiting or in a block.
    fn whereabouts(&self, node: &Node, tx: &str) -> impl Future<Output = Result<Whereabouts, Trouble>> + Send;
}

/// A pool that the follower of the same chain shares, to say what stands in a block.
pub(crate) type SharedPool = Arc<Mutex<Pool>>;

/// The pool of a source on a chain as the log has it.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn restored(log: &dyn Log, origin: &Origin, chain: &str) -> anyhow::Result<SharedPool> {
    let absent_nanoseconds = i64::try_from(POOL_ABSENT_SECONDS * 1_000_000_000).expect("minutes fit");
    let limits = PoolLimits { transactions: POOL_TRANSACTIONS_MAX, absent_nanoseconds };
    let mut pool = Pool::new(origin.clone(), chain.to_owned(), limits);
    let mut settled = HashSet::new();
    let oldest = clock::now().nanoseconds().saturating_sub(POOL_RESTORED_SECONDS * 1_000_000_000);
    position::backwards(log, |event| {
        if event.system() == origin.system {
            pool.restore(event, &mut settled);
        }
        event.time().nanoseconds() < oldest
    })?;
    Ok(Arc::new(Mutex::new(pool)))
}

/// What watches the pools of a chain's nodes.
pub(crate) struct PoolWatcher<C: PoolChain> {
    chain: Arc<C>,
    endpoints: Arc<Endpoints>,
    poll: Duration,
    intake: Arc<Intake>,
    pool: SharedPool,
    seen: Vec<C::Seen>,
    /// What was last wrong with each node, so that it is warned of once.
    reported: Vec<Option<Class>>,
    asked_at: Option<Instant>,
    /// What is watched, where it may change.
    changes: Option<watch::Receiver<Watching<C>>>,
    /// Rung when a node announces something that waits.
    wake: Arc<Notify>,
}

impl<C: PoolChain> PoolWatcher<C> {
    /// One over these nodes.
    pub(crate) fn new(
        chain: Arc<C>,
        endpoints: Arc<Endpoints>,
        poll: Duration,
        intake: Arc<Intake>,
        pool: SharedPool,
    ) -> PoolWatcher<C> {
        let nodes = endpoints.nodes().count();
        let seen = (0..nodes).map(|_| C::Seen::default()).collect();
        PoolWatcher {
            chain,
            endpoints,
            poll,
            intake,
            pool,
            seen,
            reported: vec![None; nodes],
            asked_at: None,
            changes: None,
            wake: Arc::default(),
        }
    }

    /// Takes what is watched from `changes`.
    pub(crate) fn watching(mut self, changes: watch::Receiver<Watching<C>>) -> PoolWatcher<C> {
        self.changes = Some(changes);
        self
    }

    /// What to ring when there may be something new.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    fn take_changes(&mut self) {
        let Some(changes) = self.changes.as_mut().filter(|changes| changes.has_changed().unwrap_or(false)) else {
            return;
        };
        self.chain = Arc::clone(&changes.borrow_and_update().chain);
        // What was looked at may be about a wallet that was added.
        self.seen.iter_mut().for_each(|seen| *seen = C::Seen::default());
    }

    /// Watches until `stopping` becomes true.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        loop {
            let begun = tokio::time::Instant::now();
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(()),
                turned = self.turn() => turned?,
            }
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(()),
                () = self.wake.notified() => {}
                () = sleep(self.poll.saturating_sub(begun.elapsed()).max(self.poll / 4)) => {}
            }
        }
    }

    async fn turn(&mut self) -> anyhow::Result<()> {
        self.take_changes();
        let nodes: Vec<Arc<Node>> = self.endpoints.nodes().cloned().collect();
        for (index, node) in nodes.iter().enumerate() {
            let time = clock::now();
            let some_wait = !self.pool.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
            let answer = match self.chain.sure(node).await {
                Ok(()) => self.chain.waiting(node, &mut self.seen[index], time, some_wait).await,
                Err(trouble) => Err(trouble),
            };
            self.note(index, node, answer.as_ref().err());
            let reports = C::reports(&mut self.seen[index]);
            self.append(reports).await?;
            let Ok((waiting, passed)) = answer else { continue };
            self.skipped(passed);
            let events: Vec<Event> = {
                let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.into_iter().flat_map(|waiting| pool.enter(waiting, time)).collect()
            };
            self.append(events).await?;
        }
        self.ask(&nodes).await?;
        let waiting = self.pool.lock().unwrap_or_else(PoisonError::into_inner).len();
        let labels = [self.chain.name(), self.chain.origin().source.as_str()];
        self.intake.metrics.chain_waiting.with_label_values(&labels).set(i64::try_from(waiting).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Looks every few seconds whether the nodes still have what was told. Only if every node answers that it does not, a
    /// transaction is nowhere.
    async fn ask(&mut self, nodes: &[Arc<Node>]) -> anyhow::Result<()> {
        let now = clock::now();
        let interval_ns = POOL_ASK_SECONDS * 1_000_000_000;
        if self.asked_at.is_some_and(|at| now.nanoseconds().saturating_sub(at.nanoseconds()) < interval_ns) {
            return Ok(());
        }
        self.asked_at = Some(now);
        let told: Vec<String> = {
            let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            pool.waiting().map(str::to_owned).collect()
        };
        let mut events = Vec::new();
        for tx in told {
            let Some(whereabouts) = self.whereabouts(nodes, &tx).await else { continue };
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            events.extend(pool.asked(&tx, whereabouts, clock::now()));
        }
        self.append(events).await
    }

    async fn whereabouts(&self, nodes: &[Arc<Node>], tx: &str) -> Option<Whereabouts> {
        let mut everywhere_asked = true;
        for node in nodes {
            // A node of another chain knows nothing of it.
            if self.chain.sure(node).await.is_err() {
                everywhere_asked = false;
                continue;
            }
            match self.chain.whereabouts(node, tx).await {
                Ok(Whereabouts::Known) => return Some(Whereabouts::Known),
                Ok(Whereabouts::Nowhere) => {}
                Err(_) => everywhere_asked = false,
            }
        }
        everywhere_asked.then_some(Whereabouts::Nowhere)
    }

    fn note(&mut self, index: usize, node: &Node, trouble: Option<&Trouble>) {
        let class = trouble.map(|trouble| trouble.class);
        if let Some(trouble) = trouble.filter(|_| self.reported[index] != class) {
            let (chain, name) = (self.chain.name(), node.name());
            tracing::warn!(chain, node = name, %trouble, "waiting transactions of a node cannot be read");
        }
        self.reported[index] = class;
    }

    fn skipped(&self, count: usize) {
        if count > 0 {
            let labels = [self.chain.name(), self.chain.origin().source.as_str()];
            self.intake.metrics.chain_waiting_skipped.with_label_values(&labels).inc_by(count as u64);
        }
    }

    async fn append(&self, events: Vec<Event>) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        writing::write(&self.intake, self.chain.origin(), self.chain.name(), events).await
    }
}
