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
use crate::lifecycle::newest::Newest;
use crate::lifecycle::pairs;
use crate::limits::{ALERT_EVENTS_MAX, CHAIN_EVENTS_MAX, RETRACTED_KEPT_NS, RETRACTED_MAX};

/// Kinds whose events a follower takes back with the block that they stood in. A signature (`chain.signature`) is out in the world
/// whatever becomes of its block, and is not among them.
const OF_BLOCKS: [&str; 7] =
    ["chain.tx", "chain.transfer", "chain.contract", "chain.module_tx", "chain.approval", "chain.balance", DESTINATION];

/// What a node knew of an address that a transaction used.
const DESTINATION: &str = "chain.destination";

/// By system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OnChain {
    systems: BTreeMap<String, Chains>,
}

/// The chains of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chains {
    said: Newest<Place, CHAIN_EVENTS_MAX>,
    taken_back: Newest<TakenBack, RETRACTED_MAX>,
    /// The last reorganisation of each source and chain.
    #[serde(with = "pairs")]
    reorganisations: BTreeMap<(String, String), Reorganisation>,
}

/// Where an event of a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    /// In a block.
    Block,
    /// It waits for one.
    Pool,
    /// Beside the chain: it tells of blocks that were left or are final, and no reorganisation takes it back.
    Follower,
}

/// An event whose block was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct TakenBack {
    at: Instant,
    source: String,
    chain: String,
    kind: String,
    tx: Option<String>,
    block: u64,
    of: Reorganisation,
    /// When what came instead of its block became final.
    final_at: Option<Instant>,
    /// The event of the same kind and transaction in a block after it, and when that was read.
    again: Option<(EventId, Instant)>,
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
    /// What was taken back by then; nothing where it stands again.
    pub(crate) unconfirmed: Option<Unconfirmed>,
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
        chains.said(event, &detail);
        match kind {
            "chain.reorg" => chains.reorganised(event, &detail),
            "chain.retracted" => chains.retracted(event, &detail),
            "chain.finality" => chains.final_up_to(event, &detail),
            _ => {}
        }
    }

    /// The events of blocks that a finding hangs on: none where it hangs on what waits for its block, `None` where what it is about
    /// stands in no block, as what another source says does not, or where it hangs on more than is remembered of an alert.
    pub(crate) fn of(&self, finding: &Finding) -> Option<BTreeSet<EventId>> {
        let said = &self.systems.get(&finding.system)?.said;
        match said.get(&finding.anchor, finding.decided)? {
            Place::Pool => return Some(BTreeSet::new()),
            // That something was taken back is what it found.
            Place::Follower => return None,
            Place::Block => {}
        }
        let evidence = std::iter::once(&finding.anchor).chain(&finding.evidence);
        let in_blocks = evidence.filter(|id| said.get(id, finding.decided) == Some(&Place::Block));
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
        let taken_back = alert.grounds.events().iter().filter_map(|id| chains.taken_back.get(id, finding.decided));
        taken_back.filter(|one| one.at <= finding.decided).any(|one| one.tx == finding.tx)
    }

    /// What is to be said of an alert by log time `until`, in its order: that everything it stands on was taken back, that this is
    /// final, or that it is in a block again. Each moment is looked at by itself, so that it is the same however late that is done.
    pub(crate) fn changes(&self, alert: &Alert, until: Instant) -> Vec<Change> {
        let (events, from) = (alert.grounds.events(), alert.grounds.settled.max(alert.last));
        let Some(chains) = self.systems.get(&alert.system).filter(|_| from <= until) else { return Vec::new() };
        // Of nearly every alert nothing was.
        if !events.iter().any(|id| chains.taken_back.kept(id).is_some()) {
            return Vec::new();
        }
        // Of all that is kept, since what is forgotten by `until` was remembered before.
        let all = events.iter().flat_map(|id| chains.taken_back(id, None)).flat_map(TakenBack::times);
        let mut times: BTreeSet<Instant> = all.filter(|at| from < *at && *at <= until).collect();
        // What a rule waited for may have been taken back before it decided.
        times.insert(from);
        let mut changes = Vec::new();
        let mut stands = alert.grounds.unconfirmed.clone();
        for at in times {
            let then = chains.stand(events, at, stands.as_ref());
            let is_final = |one: Option<&Unconfirmed>| one.map(|one| one.is_final);
            if is_final(then.as_ref()) != is_final(stands.as_ref()) {
                changes.push(Change { at, unconfirmed: then.clone() });
                stands = then;
            }
        }
        changes
    }

    /// Forgets what was taken back long before `now` in `system`.
    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        if let Some(chains) = self.systems.get_mut(system) {
            chains.taken_back.retain(|one| one.at.saturating_add(RETRACTED_KEPT_NS) >= now);
        }
    }
}

impl TakenBack {
    /// When something changed about it.
    fn times(&self) -> impl Iterator<Item = Instant> {
        std::iter::once(self.at).chain(self.final_at).chain(self.again.map(|(_, at)| at))
    }
}

impl Chains {
    /// An event that was taken back, and then what came in its place as often as that was taken back, too: as far as it is
    /// remembered at log time `at`, or all that is kept.
    fn taken_back(&self, id: &EventId, at: Option<Instant>) -> Vec<&TakenBack> {
        let get = |id: &EventId| match at {
            Some(at) => self.taken_back.get(id, at),
            None => self.taken_back.kept(id),
        };
        let mut all = Vec::new();
        let mut next = get(id);
        while let Some(one) = next.filter(|_| all.len() < ALERT_EVENTS_MAX) {
            all.push(one);
            next = one.again.and_then(|(id, _)| get(&id));
        }
        all
    }

    /// What of an event is left at log time `at`, itself or what came in its place; nothing where it stands.
    fn left(&self, id: &EventId, at: Instant) -> Option<&TakenBack> {
        for one in self.taken_back(id, Some(at)) {
            if one.at > at {
                return None;
            }
            if one.again.is_none_or(|(_, again)| again > at) {
                return Some(one);
            }
        }
        None
    }

    /// How what hangs on these events stands at log time `at`, which stood as `before`.
    fn stand(&self, events: &BTreeSet<EventId>, at: Instant, before: Option<&Unconfirmed>) -> Option<Unconfirmed> {
        let left: Option<Vec<&TakenBack>> = events.iter().map(|id| self.left(id, at)).collect();
        let left = left.unwrap_or_default();
        let Some(last) = left.iter().max_by_key(|one| (one.at, one.block)) else {
            let was_left = |id: &EventId| self.taken_back.get(id, at).is_some_and(|one| one.at <= at);
            let is_back = events.iter().any(|id| was_left(id) && self.left(id, at).is_none());
            // What is no longer remembered was taken back all the same.
            return before.filter(|_| !is_back).cloned();
        };
        Some(Unconfirmed {
            chain: last.chain.clone(),
            block: last.block,
            epoch: last.of.epoch,
            agreed: left.iter().map(|one| one.of.agreed).min().unwrap_or(1),
            quorum: left.iter().map(|one| one.of.quorum).min().unwrap_or(1),
            since: before.map_or(at, |before| before.since),
            is_final: left.iter().all(|one| one.final_at.is_some_and(|final_at| final_at <= at)),
            is_resolved: before.is_some_and(|before| before.is_resolved),
        })
    }

    fn said(&mut self, event: &Event, detail: &Value) {
        let place = match event.outcome() {
            _ if !OF_BLOCKS.contains(&event.kind()) => Place::Follower,
            _ if detail["block_hash"].is_string() => Place::Block,
            Some("unconfirmed") => Place::Pool,
            // Where no follower tells of blocks, nothing is taken back.
            _ => return,
        };
        if place == Place::Block {
            self.is_back(event);
        }
        self.said.put(event.event_id(), event.time(), place);
    }

    /// A transaction is in a block: what was taken back of it stands in this one.
    fn is_back(&mut self, event: &Event) {
        let (source, chain) = follower(event);
        let again = Some((event.event_id(), event.time()));
        for one in self.taken_back.each_mut(event.time()).filter(|one| one.again.is_none() && one.tx.is_some()) {
            let is_kind = one.kind == event.kind() || one.kind == DESTINATION;
            let is_it = one.tx.as_deref() == event.tx() && is_kind;
            if is_it && one.source == source && one.chain == chain {
                one.again = again;
            }
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
        let kind = detail["kind"].as_str().unwrap_or_default().to_owned();
        let taken_back = TakenBack { at, source, chain, kind, tx, block, of, final_at: None, again: None };
        self.taken_back.put(id, at, taken_back);
    }

    fn final_up_to(&mut self, event: &Event, detail: &Value) {
        let Some(height) = detail["block"].as_u64().filter(|_| event.outcome() == Some("final")) else { return };
        let (source, chain) = follower(event);
        for one in self.taken_back.each_mut(event.time()) {
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

#[cfg(test)]
mod tests {
    use keywatch_store::Severity;
    use keywatch_store::event::Origin;
    use serde_json::json;

    use super::*;

    fn said(kind: &str, number: usize, tx: &str, detail: &Value) -> Event {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let time = Instant(i64::try_from(number).unwrap());
        let mut event = Event::builder(&origin, &format!("{kind}/{number}"), kind, time);
        event.time(time).chain("local").tx(tx).detail(detail);
        event.build_own()
    }

    fn in_block(kind: &str, number: usize, tx: &str) -> Event {
        said(kind, number, tx, &json!({"block": number, "block_hash": number.to_string(), "epoch": 0}))
    }

    fn about(anchor: &Event, evidence: &[&Event]) -> Finding {
        let evidence = evidence.iter().map(|event| event.event_id()).collect();
        let at = anchor.time();
        Finding { evidence, ..Finding::about("chain/x", Severity::Low, "cold", "w", anchor.event_id(), at) }
    }

    #[test]
    fn p1_what_a_finding_hangs_on_is_the_same_however_many_records_are_read_at_once() {
        let events: Vec<Event> =
            (0..CHAIN_EVENTS_MAX + 5_000).map(|number| in_block("chain.tx", number, "0x01")).collect();
        let of = |on_chain: &OnChain, last: usize, first: usize| {
            on_chain.of(&about(&events[last], &[&events[first]])).map(|events| events.len())
        };
        let mut on_chain = OnChain::default();
        let mut expected = Vec::new();
        for (number, event) in events.iter().enumerate() {
            on_chain.apply(event);
            if number >= CHAIN_EVENTS_MAX {
                let first = number - CHAIN_EVENTS_MAX;
                expected.push([of(&on_chain, number, first), of(&on_chain, number, first + 1)]);
            }
        }
        assert!(expected.iter().all(|of| *of == [Some(1), Some(2)]), "the last {CHAIN_EVENTS_MAX} are known as such");
        let after: Vec<_> = (CHAIN_EVENTS_MAX..events.len())
            .map(|last| [0, 1].map(|more| of(&on_chain, last, last - CHAIN_EVENTS_MAX + more)))
            .collect();
        assert_eq!(after, expected, "what came behind it changes nothing");
    }

    #[test]
    fn what_another_source_says_is_taken_back_by_no_block() {
        let (mut on_chain, payment) = (OnChain::default(), in_block("chain.transfer", 1, "0x01"));
        on_chain.apply(&payment);
        let signed = said("signing.signed", 2, "0x01", &json!({}));
        on_chain.apply(&signed);
        assert_eq!(on_chain.of(&about(&signed, &[&signed, &payment])), None);
        assert_eq!(on_chain.of(&about(&payment, &[&signed, &payment])).unwrap(), BTreeSet::from([payment.event_id()]));
    }

    #[test]
    fn what_a_node_does_not_tell_again_of_an_address_stands_with_its_transaction() {
        let (mut on_chain, used) = (OnChain::default(), in_block(DESTINATION, 1, "0x01"));
        let detail = json!({"event": used.event_id().to_string(), "kind": DESTINATION, "block": 1, "epoch": 1});
        let all = [used.clone(), said("chain.retracted", 2, "0x01", &detail), in_block("chain.tx", 3, "0x01")];
        all.iter().for_each(|event| on_chain.apply(event));
        assert_eq!(on_chain.of(&about(&used, &[])).unwrap(), BTreeSet::from([used.event_id()]));
        let chains = &on_chain.systems["cold"];
        assert!(chains.left(&used.event_id(), Instant(2)).is_some());
        assert!(chains.left(&used.event_id(), Instant(3)).is_none(), "it is in a block again");
    }
}
