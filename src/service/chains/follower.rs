//! The loop of a follower: the next blocks, or a reorganisation, or waiting; and the append that makes it durable.
//!
//! The cursor goes into the log in one append with the events of its blocks, so that no block is skipped and none is told
//! twice whenever the process ends. Nodes that fail, lag, lie or are missing delay it and are reported; they never move it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use futures::stream::{self, StreamExt};
use keywatch_ingest::chain::finality::{self, Finality};
use keywatch_ingest::chain::follow::{Cursor, Step};
use keywatch_ingest::chain::leaving::{Agreement, reorganisation};
use keywatch_ingest::limits::HOLDINGS_MOVES_MAX;
use keywatch_store::{Event, Log};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::endpoints::{Agreed, Endpoints};
use super::node::{Class, Node, Trouble};
use super::pool::SharedPool;
use super::{position, writing};
use crate::clock;
use crate::limits::{
    BEGIN_REMEMBERED_MAX, FOLLOW_BLOCKS_MAX, FOLLOW_EVENTS_MAX, FOLLOW_FETCHES_MAX, HEADS_AGAIN_SECONDS,
    NODE_REST_SECONDS_MIN,
};
use crate::service::intake::Intake;
use crate::service::turns::{self, stopped, unless_stopped};

mod backfill;
mod balances;
pub(crate) mod chain;
mod final_blocks;
mod health;
mod holdings;
pub(crate) mod lag;
pub(crate) mod node_heads;

use backfill::Backfill;
use balances::Balances;
use chain::{Chain, Fetched, fetch, head_of};
use holdings::{Scanning, Telling};

/// How a chain is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The first block that is read where nothing was read before; else the newest.
    pub(crate) start: Option<u64>,
    /// Blocks that must stand above one before it is read.
    pub(crate) confirmations: u64,
    /// Blocks that a reorganisation may reach back.
    pub(crate) depth_max: usize,
    /// How blocks become final.
    pub(crate) finality: Finality,
    /// Time between two looks at all balances; none where it is zero.
    pub(crate) balances: Duration,
    /// Time between two lists of all coins; none where it is zero.
    pub(crate) scan: Duration,
    /// Time between two looks at the nodes where nothing is new.
    pub(crate) poll: Duration,
}

/// A follower of one chain for one source.
pub(crate) struct Follower<C> {
    chain: Arc<C>,
    endpoints: Arc<Endpoints>,
    pace: Pace,
    log: Arc<dyn Log>,
    intake: Arc<Intake>,
    cursor: Option<Cursor>,
    /// What is wrong, as the log says it.
    reported: Option<Class>,
    /// Whether the log's last word, from before the start, is that nothing can be read.
    was_down: bool,
    /// When it is looked again whether parts of blocks can be read that could not be.
    looks_at: Option<tokio::time::Instant>,
    /// What nodes say is final, and when they are asked again.
    final_told: (Option<u64>, Option<tokio::time::Instant>),
    /// The last disagreement that the log has.
    dissent: String,
    /// What waits, where that is watched.
    pool: Option<SharedPool>,
    /// Balances as they were read at their rhythm.
    balances: Balances,
    /// What was told of what wallets hold.
    telling: Telling,
    /// What nodes are asked about that.
    scanning: Scanning,
    /// What is watched besides, and is still to be read of old blocks.
    backfill: Backfill<C>,
    /// Rung when a node announces a block.
    wake: Arc<Notify>,
}

/// What a turn of the loop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It read blocks, or left some.
    Moved,
    /// There was nothing new.
    Waited,
}

type Failure = turns::Failure<Trouble>;

impl<C: Chain> Follower<C> {
    /// A follower that goes on where the log says that it stopped.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn open(
        chain: Arc<C>,
        endpoints: Arc<Endpoints>,
        pace: Pace,
        log: Arc<dyn Log>,
        intake: Arc<Intake>,
        pool: Option<SharedPool>,
    ) -> anyhow::Result<Follower<C>> {
        let (cursor, was_down) = position::cursor(log.as_ref(), chain.origin(), chain.name(), pace.depth_max)?;
        if let Some(cursor) = &cursor {
            chain.take_used(cursor.used());
        }
        let (dissent, backfill) = (String::new(), Backfill::default());
        Ok(Follower {
            chain,
            endpoints,
            pace,
            log,
            intake,
            cursor,
            reported: None,
            was_down,
            looks_at: None,
            final_told: (None, None),
            dissent,
            pool,
            backfill,
            balances: Balances::default(),
            telling: Telling::default(),
            scanning: Scanning::default(),
            wake: Arc::default(),
        })
    }

    /// What to ring when there may be a new block.
    pub(crate) fn wake(&self) -> Arc<Notify> {
        Arc::clone(&self.wake)
    }

    /// Follows until `stopping` becomes true.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        let (mut failures, mut woken) = (0_u32, false);
        loop {
            // A node that does not answer holds up no stop. What is being appended is appended whole all the same.
            let Some(turned) = unless_stopped(&mut stopping, pin!(self.turn())).await else { return Ok(()) };
            let waits = matches!(turned, Ok(Turn::Waited));
            let pause = match turned {
                Ok(Turn::Moved) => Duration::ZERO,
                // The node that announces a block may not be the one that was asked for it.
                Ok(Turn::Waited) if woken => self.pace.poll.min(Duration::from_secs(HEADS_AGAIN_SECONDS)),
                Ok(Turn::Waited) => self.pace.poll,
                Err(Failure::Log(error)) => return Err(error),
                Err(Failure::Trouble(trouble)) => {
                    let doubled = NODE_REST_SECONDS_MIN.saturating_mul(1 << failures.min(4));
                    self.report(&trouble).await?;
                    trouble.retry_after.unwrap_or(self.pace.poll.max(Duration::from_secs(doubled)))
                }
            };
            failures = if self.reported.is_some() { failures.saturating_add(1) } else { 0 };
            woken = tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(()),
                () = self.wake.notified(), if waits => true,
                () = sleep(pause) => false,
            };
        }
    }

    async fn turn(&mut self) -> Result<Turn, Failure> {
        let head = self.head().await?;
        let mut turn = Turn::Waited;
        if self.cursor.is_none() {
            self.begin(head).await?;
            turn = Turn::Moved;
        }
        self.take_changes();
        let tip = self.cursor().tip().clone();
        let newest = head.saturating_sub(self.pace.confirmations);
        self.ask_for_finality().await;
        let moved =
            if newest > tip.height { self.read(tip.height + 1, newest).await? } else { self.compare_tip().await? };
        self.recovered().await?;
        // Also between blocks that come without a pause.
        let is_level = self.cursor().tip().height >= newest;
        if is_level {
            self.look_again().await?;
            self.weigh().await?;
            self.tell_holdings().await?;
            self.scan().await?;
        }
        let moved = if is_level && self.read_old().await? == Turn::Moved { Turn::Moved } else { moved };
        let metrics = &self.intake.metrics;
        let labels = [self.chain.name(), self.chain.origin().source.as_str()];
        let height = |height: u64| i64::try_from(height).unwrap_or(i64::MAX);
        metrics.chain_head.with_label_values(&labels).set(height(head));
        metrics.chain_height.with_label_values(&labels).set(height(self.cursor().tip().height));
        Ok(if moved == Turn::Moved { Turn::Moved } else { turn })
    }

    fn cursor(&self) -> &Cursor {
        self.cursor.as_ref().expect("a turn begins with a cursor")
    }

    fn cursor_mut(&mut self) -> &mut Cursor {
        self.cursor.as_mut().expect("a turn begins with a cursor")
    }

    /// The height that enough nodes have: with a quorum, the lowest among the highest of them.
    async fn head(&self) -> Result<u64, Trouble> {
        let chain = &self.chain;
        if self.endpoints.quorum() == 1 {
            let ask = |node: Arc<Node>| async move { head_of(chain.as_ref(), &node).await };
            return Ok(self.endpoints.agreed(ask, |_| String::new()).await?.answer);
        }
        let asked = self.endpoints.nodes().map(|node| head_of(chain.as_ref(), node));
        let mut heights: Vec<u64> = Vec::new();
        let mut trouble = None;
        for answer in futures::future::join_all(asked).await {
            match answer {
                Ok(height) => heights.push(height),
                Err(problem) => trouble = Some(problem),
            }
        }
        heights.sort_unstable_by(|one, other| other.cmp(one));
        let agreed = heights.get(self.endpoints.quorum() - 1).copied();
        agreed.ok_or_else(|| {
            let told = trouble.map(|trouble| trouble.to_string()).unwrap_or_default();
            Trouble::new(
                Class::NoQuorum,
                format!("{} nodes answer, {} have to: {told}", heights.len(), self.endpoints.quorum()),
            )
        })
    }

    async fn hash_at(&self, height: u64) -> Result<Option<String>, Trouble> {
        Ok(self.hash_agreed(height).await?.answer)
    }

    /// The same, with how many nodes say so.
    async fn hash_agreed(&self, height: u64) -> Result<Agreed<Option<String>>, Trouble> {
        let chain = &self.chain;
        let mark = |hash: &Option<String>| hash.clone().unwrap_or_default();
        let ask = |node: Arc<Node>| async move {
            chain.sure(&node).await?;
            chain.hash_at(&node, height).await
        };
        self.endpoints.agreed(ask, mark).await
    }

    /// Takes a first block as read, so that everything behind it is.
    async fn begin(&mut self, head: u64) -> Result<(), Failure> {
        let height =
            self.pace.start.map_or(head.saturating_sub(self.pace.confirmations), |start| start.saturating_sub(1));
        let hash = self.hash_at(height).await?;
        let hash =
            hash.ok_or_else(|| Trouble::new(Class::Missing, format!("no node has block {height} to begin behind")))?;
        let mut cursor = Cursor::behind(height, &hash, self.pace.depth_max);
        // Right behind the head a reorganisation soon reaches below the beginning.
        let depth = u64::try_from(self.pace.depth_max.min(BEGIN_REMEMBERED_MAX)).unwrap_or(u64::MAX);
        if head.saturating_sub(height) < depth {
            for older in (height.saturating_sub(depth - 1)..height).rev() {
                let Some(hash) = self.hash_at(older).await? else { break };
                cursor.remember([hash]);
            }
        }
        cursor.watch(self.backfill.declared());
        cursor.holdings_mut().watch(&self.chain.wallets(), height);
        let count = cursor.remembered();
        let record = cursor.record(self.chain.origin(), self.chain.name(), count, true, clock::now());
        self.append(vec![record]).await?;
        tracing::info!(chain = self.chain.name(), source = self.chain.origin().source, height, "begins to follow");
        self.cursor = Some(cursor);
        Ok(())
    }

    /// Reads blocks as far as they continue what was read.
    async fn read(&mut self, from: u64, to: u64) -> Result<Turn, Failure> {
        let to = to.min(from.saturating_add(FOLLOW_BLOCKS_MAX - 1));
        let mut cursor = self.cursor().clone();
        let (mut events, mut blocks, mut moved, mut time) = (Vec::new(), 0_usize, 0_usize, clock::now());
        let (mut leaves, mut outgrown) = (false, false);
        let mut trouble = None;
        let mut dissent = Vec::new();
        {
            let (chain, endpoints) = (self.chain.as_ref(), self.endpoints.as_ref());
            let mut fetching =
                stream::iter(from..=to).map(|height| fetch(chain, endpoints, height)).buffered(FOLLOW_FETCHES_MAX);
            while let Some(fetched) = fetching.next().await {
                let fetched = match fetched {
                    Ok(Agreed { answer: Some(fetched), dissent: more, .. }) => {
                        // Of what is watched since it was fetched, its coins were not asked for, perhaps of some nodes only.
                        outgrown = self.chain.is_outgrown(&fetched);
                        if !outgrown {
                            dissent.extend(self.dissent_record(fetched.at.height, &more));
                        }
                        fetched
                    }
                    // The node that was asked for the head has it, this one not yet.
                    Ok(Agreed { answer: None, .. }) => break,
                    Err(problem) => {
                        trouble = Some(problem);
                        break;
                    }
                };
                leaves = !outgrown && cursor.step(&fetched.at) == Step::Reorganises;
                if outgrown || leaves {
                    break;
                }
                moved += self.take(&mut cursor, &fetched, &mut events);
                (blocks, time) = (blocks + 1, fetched.at.time);
                if events.len() >= FOLLOW_EVENTS_MAX || moved >= HOLDINGS_MOVES_MAX {
                    break;
                }
            }
        }
        let disagreed = !dissent.is_empty();
        for (mark, record) in dissent {
            self.dissent = mark;
            events.push(record);
        }
        if blocks > 0 {
            cursor.take_used(self.chain.used());
            self.balances.take(self.chain.as_ref(), &events);
            let (told, origin) = (self.final_told.0, self.chain.origin());
            events.extend(finality::settle(&mut cursor, self.pace.finality, told, origin, self.chain.name(), time));
            events.push(cursor.record(origin, self.chain.name(), blocks, false, time));
            self.append(events).await?;
            let labels = [self.chain.name(), self.chain.origin().source.as_str()];
            self.intake.metrics.chain_blocks.with_label_values(&labels).inc_by(blocks as u64);
            self.cursor = Some(cursor);
        } else if disagreed {
            // Of a block that is not taken, since it leaves what was read.
            self.write(events).await.map_err(Failure::Log)?;
        }
        match trouble {
            // What was read before it is kept, and it comes up again.
            Some(trouble) if blocks == 0 => Err(trouble.into()),
            _ if leaves => self.leave().await,
            _ if blocks > 0 || outgrown => Ok(Turn::Moved),
            _ => Ok(Turn::Waited),
        }
    }

    /// Takes a block that continues, and its events; says how many changes of what wallets hold it has.
    fn take(&self, cursor: &mut Cursor, fetched: &Fetched<C::Block>, events: &mut Vec<Event>) -> usize {
        events.extend(self.chain.news(fetched, cursor.epoch()));
        cursor.take(&fetched.at);
        let moves = self.chain.moves(fetched);
        cursor.holdings_mut().take(fetched.at.height, &moves);
        if cursor.unwell_mut().take(&self.chain.asked(fetched)) {
            let id = format!("well/{}/{}", cursor.epoch(), fetched.at.hash);
            events.push(self.well_again(&id, fetched.at.time));
        }
        moves.len()
    }

    /// Nothing is above the newest block that was read; is it still the one?
    async fn compare_tip(&mut self) -> Result<Turn, Failure> {
        let tip = self.cursor().tip().clone();
        match self.hash_at(tip.height).await? {
            Some(hash) if hash != tip.hash => self.leave().await,
            // A node without the height is behind.
            _ => Ok(Turn::Waited),
        }
    }

    /// Goes back to where the nodes' chain and what was read are one, and takes back what was said of the rest.
    async fn leave(&mut self) -> Result<Turn, Failure> {
        let mut cursor = self.cursor().clone();
        let (fork, word) = self.fork(&cursor).await?;
        let (origin, name) = (self.chain.origin().clone(), self.chain.name().to_owned());
        let now = clock::now();
        let broken = finality::is_reverted(&cursor, Some(fork))
            .then(|| finality::reverted(&origin, &cursor, &name, Some(fork), &fork.to_string(), now));
        let left = cursor.rewind(fork);
        self.backfill.cut(fork);
        self.chain.rewind(fork);
        self.balances.forget();
        self.tell_anew();
        let mut events = vec![reorganisation(&origin, &name, &cursor, &left, word, now)];
        let log = Arc::clone(&self.log);
        let place = (fork, cursor.epoch());
        let (depth, of) = (left.len(), origin.clone());
        let taken = spawn_blocking(move || position::retractions(log.as_ref(), &of, &name, &left, place, now));
        let taken =
            taken.await.context("reading the log broke off").and_then(|taken| Ok(taken?)).map_err(Failure::Log)?;
        tracing::warn!(
            chain = self.chain.name(),
            source = origin.source,
            fork,
            depth,
            retracted = taken.len(),
            "reorganisation"
        );
        events.extend(broken);
        events.extend(taken);
        events.push(cursor.record(&origin, self.chain.name(), 0, false, now));
        self.append(events).await?;
        let labels = [self.chain.name(), origin.source.as_str()];
        self.intake.metrics.chain_reorgs.with_label_values(&labels).inc();
        self.cursor = Some(cursor);
        Ok(Turn::Moved)
    }

    /// The newest block that both branches have, and on whose word.
    async fn fork(&self, cursor: &Cursor) -> Result<(u64, Agreement), Trouble> {
        let quorum = self.endpoints.quorum();
        let mut agreed = usize::MAX;
        for height in (cursor.oldest()..cursor.tip().height).rev() {
            let read = cursor.at(height).map(|read| read.hash.as_str());
            let now = self.hash_agreed(height).await?;
            agreed = agreed.min(now.voices);
            match now.answer {
                Some(hash) if read == Some(hash.as_str()) => return Ok((height, Agreement { agreed, quorum })),
                Some(_) => {}
                None => {
                    return Err(Trouble::new(
                        Class::Missing,
                        format!("a node has block {} and not {height}", height + 1),
                    ));
                }
            }
        }
        let problem = format!(
            "the nodes' chain differs from what was read back to block {} and beyond; nothing more is read until a node \
             of the chain that was read answers, or reorg_depth_max reaches further",
            cursor.oldest()
        );
        Err(Trouble::new(Class::TooDeep, problem))
    }

    /// The record that nodes say different things of a block, and what tells it from the one before.
    fn dissent_record(&self, height: u64, dissent: &[(String, String)]) -> Option<(String, Event)> {
        let said = dissent.iter().map(|(name, mark)| json!({"endpoint": name, "says": mark})).collect::<Vec<_>>();
        let told = format!("{height} {}", json!(said));
        // A node that does not have the newest block yet says nothing else than the others, and hides none that does.
        let blocks = dissent.iter().map(|(_, mark)| mark).filter(|mark| mark.contains("0x") || mark.len() >= 64);
        if blocks.collect::<BTreeSet<_>>().len() < 2 || told == self.dissent {
            return None;
        }
        let (origin, chain) = (self.chain.origin(), self.chain.name());
        let id = format!("disagreement/{chain}/{height}/{}", json!(said));
        let mut event = Event::builder(origin, &id, "chain.disagreement", clock::now());
        event.chain(chain).reason(format!("nodes say different things of block {height}"));
        event.detail(&json!({"block": height, "said": said}));
        Some((told, event.build_own()))
    }

    async fn append(&self, mut events: Vec<Event>) -> Result<(), Failure> {
        let pending = events.last().and_then(|last| self.pending_record(&last.event_id().to_string()));
        // The cursor stays the last of them.
        let at = events.len().saturating_sub(1);
        events.splice(at..at, pending);
        if let Some(pool) = &self.pool {
            let replaced = pool.lock().unwrap_or_else(PoisonError::into_inner).mined(&events, clock::now());
            let at = events.len().saturating_sub(1);
            events.splice(at..at, replaced);
        }
        self.write(events).await.map_err(Failure::Log)
    }

    async fn write(&self, events: Vec<Event>) -> anyhow::Result<()> {
        writing::write(&self.intake, self.chain.origin(), self.chain.name(), events).await
    }
}
