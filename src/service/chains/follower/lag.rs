//! Which nodes of a chain have stopped, or stay behind the others. Each node's newest block is asked for on its own, whoever
//! else answers meanwhile, so that one that answers and has stopped is seen. What follows from it knows
//! [`Endpoints::leave_out`].
//!
//! Heights are the nodes' own words. Where no quorum is asked for, one node that names blocks which nobody has would make all
//! others lag: then only a node that does not move itself is left out.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use keywatch_store::{Event, Log};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::chain::{Chain, head_of};
use crate::clock;
use crate::limits::{LAG_LOOK_SECONDS, LAG_RESTORED_SECONDS};
use crate::service::chains::endpoints::Endpoints;
use crate::service::chains::{position, writing};
use crate::service::intake::Intake;
use crate::service::turns::{stopped, unless_stopped};

/// When a node lags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// How long it may stand still, or be behind.
    pub(crate) time: Duration,
    /// Blocks by which it is behind.
    pub(crate) blocks: u64,
}

/// What is wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It names no new block, or does not answer.
    Still,
    /// It moves, and not as far as the others.
    Behind,
}

/// What was seen of a node.
#[derive(Clone, Copy, Debug)]
struct Seen {
    height: Option<u64>,
    moved: Instant,
    abreast: Instant,
}

/// What was seen of all nodes, in the order in which they are named.
struct Lag {
    patience: Patience,
    quorum: usize,
    seen: Vec<Seen>,
}

impl Lag {
    fn new(patience: Patience, quorum: usize, nodes: usize, now: Instant) -> Lag {
        Lag { patience, quorum, seen: vec![Seen { height: None, moved: now, abreast: now }; nodes] }
    }

    /// Takes what each node says is its newest block.
    fn take(&mut self, heights: &[Option<u64>], now: Instant) {
        let agreed = self.agreed(heights);
        for (seen, height) in self.seen.iter_mut().zip(heights) {
            let Some(height) = *height else { continue };
            // Also one that is lower: a node that follows a reorganisation works.
            if seen.height != Some(height) {
                (seen.height, seen.moved) = (Some(height), now);
            }
            if agreed.is_some_and(|agreed| agreed.saturating_sub(height) < self.patience.blocks) {
                seen.abreast = now;
            }
        }
    }

    /// The height that enough nodes have, so that fewer than that cannot make the others lag.
    fn agreed(&self, heights: &[Option<u64>]) -> Option<u64> {
        let mut told: Vec<u64> = heights.iter().copied().flatten().collect();
        told.sort_unstable_by(|one, other| other.cmp(one));
        told.get(self.quorum - 1).copied()
    }

    fn wrong(&self, now: Instant) -> Vec<Option<Wrong>> {
        let patience = self.patience.time;
        let of = |seen: &Seen| {
            if now.duration_since(seen.moved) >= patience {
                Some(Wrong::Still)
            } else if now.duration_since(seen.abreast) >= patience {
                Some(Wrong::Behind)
            } else {
                None
            }
        };
        self.seen.iter().map(of).collect()
    }

    /// Which nodes are left out. Where no node moves, the chain stands, and none is worse than the others.
    fn out(&self, wrong: &[Option<Wrong>]) -> Vec<bool> {
        let all_still = wrong.iter().all(|wrong| *wrong == Some(Wrong::Still));
        let is_out = |wrong: &Option<Wrong>| match wrong {
            Some(Wrong::Still) => !all_still,
            Some(Wrong::Behind) => self.quorum > 1,
            None => false,
        };
        wrong.iter().map(is_out).collect()
    }
}

/// What looks at each node of a chain.
pub(crate) struct LagWatcher<C> {
    chain: Arc<C>,
    endpoints: Arc<Endpoints>,
    intake: Arc<Intake>,
    lag: Lag,
    /// Nodes of which the log says that something is wrong.
    told: Vec<bool>,
}

impl<C: Chain> LagWatcher<C> {
    /// One over these nodes, which knows what the log says of them.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn new(
        chain: Arc<C>,
        endpoints: Arc<Endpoints>,
        patience: Patience,
        log: &dyn Log,
        intake: Arc<Intake>,
    ) -> anyhow::Result<LagWatcher<C>> {
        let names: Vec<String> = endpoints.nodes().map(|node| node.name().to_owned()).collect();
        let told = restored(log, chain.as_ref(), &names)?;
        let lag = Lag::new(patience, endpoints.quorum(), names.len(), Instant::now());
        Ok(LagWatcher { chain, endpoints, intake, lag, told })
    }

    /// Looks until `stopping` becomes true.
    ///
    /// # Errors
    /// The log cannot be written.
    pub(crate) async fn run(mut self, mut stopping: watch::Receiver<bool>) -> anyhow::Result<()> {
        let interval = Duration::from_secs(LAG_LOOK_SECONDS).min(self.lag.patience.time / 4);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => return Ok(()),
                () = sleep(interval) => {}
            }
            let Some(looked) = unless_stopped(&mut stopping, pin!(self.look())).await else { return Ok(()) };
            looked?;
        }
    }

    async fn look(&mut self) -> anyhow::Result<()> {
        let chain = &self.chain;
        let asked = self.endpoints.nodes().map(|node| head_of(chain.as_ref(), node));
        let heights: Vec<Option<u64>> = join_all(asked).await.into_iter().map(Result::ok).collect();
        let now = Instant::now();
        self.lag.take(&heights, now);
        let wrong = self.lag.wrong(now);
        self.endpoints.leave_out(&self.lag.out(&wrong));
        let names: Vec<String> = self.endpoints.nodes().map(|node| node.name().to_owned()).collect();
        let mut events = Vec::new();
        for (index, wrong) in wrong.iter().enumerate().filter(|(index, wrong)| wrong.is_some() != self.told[*index]) {
            events.push(self.record(&names[index], self.lag.seen[index].height, *wrong));
        }
        if !events.is_empty() {
            writing::write(&self.intake, self.chain.origin(), self.chain.name(), events).await?;
        }
        self.told = wrong.iter().map(Option::is_some).collect();
        // What is told stands in the log by the time that it is counted.
        for (name, height) in names.iter().zip(heights) {
            let Some(height) = height else { continue };
            let gauge = self.intake.metrics.chain_endpoint_head.with_label_values(&[self.chain.name(), name.as_str()]);
            gauge.set(i64::try_from(height).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    fn record(&self, name: &str, height: Option<u64>, wrong: Option<Wrong>) -> Event {
        let (chain, now) = (self.chain.name(), clock::now());
        let (outcome, reason) = match wrong {
            Some(wrong) => ("degraded", Some(self.reason(name, height, wrong))),
            None => ("ok", None),
        };
        if let Some(reason) = &reason {
            tracing::warn!(chain, endpoint = name, "{reason}");
        }
        let id = format!("status/{chain}/{name}/{}", now.nanoseconds());
        let mut event = Event::builder(self.chain.origin(), &id, "source.status", now);
        event.chain(chain).outcome(outcome).reason(reason);
        event.detail(&json!({"replica": name, "block": height}));
        event.build_own()
    }

    fn reason(&self, name: &str, height: Option<u64>, wrong: Wrong) -> String {
        let Patience { time, blocks } = self.lag.patience;
        let seconds = time.as_secs();
        match (height, wrong) {
            (None, _) => format!("node `{name}` has named no block for {seconds} seconds"),
            (Some(height), Wrong::Still) => format!("node `{name}` has stood at block {height} for {seconds} seconds"),
            (Some(height), Wrong::Behind) => {
                format!("node `{name}` is at block {height}, {blocks} or more behind the others for {seconds} seconds")
            }
        }
    }
}

/// Of which nodes the log says that something is wrong, as far as it is looked at.
fn restored<C: Chain>(log: &dyn Log, chain: &C, names: &[String]) -> anyhow::Result<Vec<bool>> {
    let oldest = clock::now().nanoseconds().saturating_sub(LAG_RESTORED_SECONDS * 1_000_000_000);
    let mut words: BTreeMap<String, bool> = BTreeMap::new();
    position::backwards(log, |event| {
        let origin = chain.origin();
        let is_its = event.system() == origin.system && event.source() == origin.source;
        let is_status = is_its && event.kind() == "source.status" && event.chain() == Some(chain.name());
        let name = if is_status { event.detail().value()["replica"].as_str().map(str::to_owned) } else { None };
        if let Some(name) = name {
            words.entry(name).or_insert(event.outcome() == Some("degraded"));
        }
        names.iter().all(|name| words.contains_key(name)) || event.time().nanoseconds() < oldest
    })?;
    Ok(names.iter().map(|name| words.get(name).copied().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is wrong with each node, and whether it is left out, after each second's heights.
    fn judged<const N: usize>(quorum: usize, looks: &[[Option<u64>; N]]) -> (Vec<Option<Wrong>>, Vec<bool>) {
        let begun = Instant::now();
        let mut lag = Lag::new(Patience { time: SECOND * 3, blocks: 5 }, quorum, N, begun);
        let mut now = begun;
        for heights in looks {
            now += SECOND;
            lag.take(heights, now);
        }
        let wrong = lag.wrong(now);
        let out = lag.out(&wrong);
        (wrong, out)
    }

    #[test]
    fn a_node_that_stands_still_is_left_out_while_another_moves() {
        let looks: Vec<[Option<u64>; 3]> = (1..=4).map(|at| [Some(7), Some(7 + at), None]).collect();
        let (still, none) = (Some(Wrong::Still), None);
        assert_eq!(judged(1, &looks), (vec![still, none, still], vec![true, false, true]));
        assert_eq!(judged(1, &looks[..2]).1, [false; 3], "not yet");
        // Where a chain makes no blocks, nobody is worse than the others.
        let halted = [[Some(7), Some(7)]; 4];
        assert_eq!(judged(1, &halted), (vec![still; 2], vec![false; 2]));
    }

    #[test]
    fn one_node_that_claims_blocks_pushes_no_other_out() {
        let looks: Vec<[Option<u64>; 3]> = (1..=4).map(|at| [Some(at), Some(at), Some(at + 1000)]).collect();
        let behind = Some(Wrong::Behind);
        assert_eq!(judged(1, &looks), (vec![behind, behind, None], vec![false; 3]), "it is said, and nothing follows");
        assert_eq!(judged(2, &looks), (vec![None; 3], vec![false; 3]));
    }

    #[test]
    fn a_node_that_stays_behind_what_enough_others_have_is_left_out() {
        let looks: Vec<[Option<u64>; 3]> = (1..=4).map(|at| [Some(at), Some(at + 5), Some(at + 6)]).collect();
        assert_eq!(judged(2, &looks), (vec![Some(Wrong::Behind), None, None], vec![true, false, false]));
        // Four behind is within what is borne.
        let looks: Vec<[Option<u64>; 3]> = (1..=4).map(|at| [Some(at), Some(at + 4), Some(at + 6)]).collect();
        assert_eq!(judged(2, &looks), (vec![None; 3], vec![false; 3]));
    }
}
