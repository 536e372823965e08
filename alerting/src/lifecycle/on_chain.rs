//! What alerts stand on of what chains said, and what of that was taken back: a finding hangs on events of blocks, and blocks are
//! left. A fold over the records of followers; decides nothing and reads no clock.
//!
//! The records of the events topic say which events stood in blocks, which of them were taken back and on whose word, and that what
//! came instead is final. An alert's own record says which of these events its finding hangs on, as it was known then, so that the
//! two topics may be folded in any relation to each other.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Event, EventId, Finding, Instant};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lifecycle::alert::Alert;
use crate::lifecycle::grounds::Unconfirmed;
use crate::lifecycle::pairs;
use crate::limits::{ALERT_EVENTS_MAX, CHAIN_EVENTS_MAX, RETRACTED_KEPT_NS, RETRACTED_MAX};

/// Kinds whose events a follower takes back with the block that they stood in.
const OF_BLOCKS: [&str; 6] =
    ["chain.tx", "chain.transfer", "chain.contract", "chain.module_tx", "chain.approval", "chain.balance"];

/// By system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OnChain {
    systems: BTreeMap<String, Chains>,
}

/// The chains of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chains {
    #[serde(with = "pairs")]
    said: BTreeMap<EventId, Said>,
    #[serde(with = "pairs")]
    taken_back: BTreeMap<EventId, TakenBack>,
    /// The last reorganisation of each source and chain.
    #[serde(with = "pairs")]
    reorganisations: BTreeMap<(String, String), Reorganisation>,
}

/// An event of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    at: Instant,
    /// Whether it stood in a block; what waits for one is in none.
    in_block: bool,
}

/// An event whose block was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TakenBack {
    at: Instant,
    source: String,
    chain: String,
    tx: Option<String>,
    block: u64,
    of: Reorganisation,
    /// When what came instead of its block became final.
    final_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reorganisation {
    epoch: u64,
    agreed: u64,
    quorum: u64,
}

/// What is to be said of an alert at that log time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Log time.
    pub(crate) at: Instant,
    /// How it stands then.
    pub(crate) unconfirmed: Unconfirmed,
}

impl OnChain {
    /// Takes in what a follower wrote; other kinds are passed over.
    pub(crate) fn apply(&mut self, event: &Event) {
        let kind = event.kind();
        let of_block = OF_BLOCKS.contains(&kind);
        if !of_block && !["chain.reorg", "chain.retracted", "chain.finality"].contains(&kind) {
            return;
        }
        let detail = event.detail().value();
        let chains = self.systems.entry(event.system().to_owned()).or_default();
        match kind {
            "chain.reorg" => chains.reorganised(event, &detail),
            "chain.retracted" => chains.retracted(event, &detail),
            "chain.finality" => chains.final_up_to(event, &detail),
            _ => chains.said(event, &detail),
        }
    }

    /// The events of blocks that a finding hangs on: none where it hangs on what waits for its block, `None` where it hangs on
    /// nothing that a chain said, or on more than is remembered of an alert.
    pub(crate) fn of(&self, finding: &Finding) -> Option<BTreeSet<EventId>> {
        let said = &self.systems.get(&finding.system)?.said;
        if said.get(&finding.anchor).is_some_and(|anchor| !anchor.in_block) {
            return Some(BTreeSet::new());
        }
        let evidence = std::iter::once(&finding.anchor).chain(&finding.evidence);
        let in_blocks = evidence.filter(|id| said.get(*id).is_some_and(|said| said.in_block));
        let events: BTreeSet<EventId> = in_blocks.copied().collect();
        (1..=ALERT_EVENTS_MAX).contains(&events.len()).then_some(events)
    }

    /// Whether anything was taken back in a system.
    pub(crate) fn has_taken_back(&self, system: &str) -> bool {
        self.systems.get(system).is_some_and(|chains| !chains.taken_back.is_empty())
    }

    /// Whether a finding is of a transaction that an alert stands on and that was taken back: it is in another block again.
    pub(crate) fn is_found_again(&self, alert: &Alert, finding: &Finding) -> bool {
        let Some(chains) = self.systems.get(&alert.system).filter(|_| finding.tx.is_some()) else { return false };
        let left = alert.grounds.events().iter().filter_map(|id| chains.taken_back.get(id));
        left.map(|one| &one.tx).any(|tx| *tx == finding.tx)
    }

    /// What is to be said of an alert by log time `until`: that everything it stands on was taken back, and then that this is final.
    pub(crate) fn changes(&self, alert: &Alert, until: Instant) -> Vec<Change> {
        let before = alert.grounds.unconfirmed.as_ref();
        let left = self.left(alert, until).filter(|_| before.is_none_or(|before| !before.is_final));
        let Some(left) = left else { return Vec::new() };
        let Some(last) = left.iter().max_by_key(|one| (one.at, one.block)) else { return Vec::new() };
        let agreed = left.iter().map(|one| one.of.agreed).min();
        let quorum = left.iter().map(|one| one.of.quorum).min();
        // What a rule waited for may have been taken back before it decided.
        let since = before.map_or(last.at.max(alert.last), |before| before.since);
        let unconfirmed = Unconfirmed {
            chain: last.chain.clone(),
            block: last.block,
            epoch: last.of.epoch,
            agreed: agreed.unwrap_or(1),
            quorum: quorum.unwrap_or(1),
            since,
            is_final: false,
            is_resolved: false,
        };
        let mut changes = Vec::new();
        if before.is_none() {
            changes.push(Change { at: since, unconfirmed: unconfirmed.clone() });
        }
        let final_at: Option<Vec<Instant>> =
            left.iter().map(|one| one.final_at.filter(|final_at| *final_at <= until)).collect();
        if let Some(final_at) = final_at.and_then(|all| all.into_iter().max()) {
            let unconfirmed = Unconfirmed { is_final: true, ..unconfirmed };
            changes.push(Change { at: final_at.max(since), unconfirmed });
        }
        changes
    }

    /// What an alert stands on, where all of it was taken back by log time `until`.
    fn left(&self, alert: &Alert, until: Instant) -> Option<Vec<&TakenBack>> {
        let taken_back = &self.systems.get(&alert.system)?.taken_back;
        let events = alert.grounds.events();
        events.iter().map(|id| taken_back.get(id).filter(|one| one.at <= until)).collect()
    }

    /// Forgets what was taken back long before `now` in `system`.
    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        if let Some(chains) = self.systems.get_mut(system) {
            chains.taken_back.retain(|_, one| one.at.saturating_add(RETRACTED_KEPT_NS) >= now);
        }
    }
}

impl Chains {
    fn said(&mut self, event: &Event, detail: &Value) {
        let in_block = detail["block_hash"].is_string();
        // Where no follower tells of blocks, nothing is taken back.
        if in_block || event.outcome() == Some("unconfirmed") {
            self.said.insert(event.event_id(), Said { at: event.time(), in_block });
            forget_oldest(&mut self.said, CHAIN_EVENTS_MAX, |said| said.at);
        }
    }

    fn reorganised(&mut self, event: &Event, detail: &Value) {
        let number = |name: &str| detail[name].as_u64();
        // Earlier versions did not say it: it may have been one node's word.
        let (agreed, quorum) = (number("agreed").unwrap_or(1), number("quorum").unwrap_or(1));
        let epoch = number("epoch").unwrap_or_default();
        self.reorganisations.insert(follower(event), Reorganisation { epoch, agreed, quorum });
    }

    fn retracted(&mut self, event: &Event, detail: &Value) {
        let Some(id) = detail["event"].as_str().and_then(|id| id.parse::<EventId>().ok()) else { return };
        let epoch = detail["epoch"].as_u64().unwrap_or_default();
        let (source, chain) = follower(event);
        let known = self.reorganisations.get(&(source.clone(), chain.clone())).filter(|of| of.epoch == epoch);
        let of = known.copied().unwrap_or(Reorganisation { epoch, agreed: 1, quorum: 1 });
        let block = detail["block"].as_u64().unwrap_or_default();
        let (at, tx) = (event.time(), event.tx().map(str::to_owned));
        self.taken_back.insert(id, TakenBack { at, source, chain, tx, block, of, final_at: None });
        forget_oldest(&mut self.taken_back, RETRACTED_MAX, |one| one.at);
    }

    fn final_up_to(&mut self, event: &Event, detail: &Value) {
        let Some(height) = detail["block"].as_u64().filter(|_| event.outcome() == Some("final")) else { return };
        let (source, chain) = follower(event);
        for one in self.taken_back.values_mut() {
            if one.final_at.is_none() && one.block <= height && one.source == source && one.chain == chain {
                one.final_at = Some(event.time());
            }
        }
    }
}

/// Source and chain.
fn follower(event: &Event) -> (String, String) {
    (event.source().to_owned(), event.chain().unwrap_or_default().to_owned())
}

/// Forgets the oldest tenth once there are more than `max`.
fn forget_oldest<T>(all: &mut BTreeMap<EventId, T>, max: usize, at: impl Fn(&T) -> Instant) {
    if all.len() <= max {
        return;
    }
    let mut order: Vec<(Instant, EventId)> = all.iter().map(|(id, one)| (at(one), *id)).collect();
    order.sort_unstable();
    for (_, id) in order.iter().take(max.div_ceil(10)) {
        all.remove(id);
    }
}
