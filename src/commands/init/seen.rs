//! What a history shows of a site: its sources, wallets, people and destinations, with how often. A fold over events that
//! sources wrote; it decides nothing. What is beyond a limit, or has a name that is no plain text, is counted as left out.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::kinds::{self, Writer};
use keywatch_store::{Event, Instant};

use crate::limits::{
    INIT_DESTINATION_DAYS_MAX, INIT_DESTINATIONS_MAX, INIT_OWNERS_MAX, INIT_PEOPLE_MAX, INIT_SOURCES_MAX,
    INIT_SYSTEMS_MAX, INIT_WALLETS_MAX,
};

const DAY_NS: i64 = 86_400 * 1_000_000_000;

/// Characters from which on an asset is the address of a contract: symbols are shorter.
const CONTRACT_LENGTH_MIN: usize = 20;

/// Everything that was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By system.
    pub(super) systems: BTreeMap<String, SeenSystem>,
    /// Names that were not taken in.
    pub(super) left_out: u64,
}

/// What was seen of a system.
#[derive(Debug, Default)]
pub(super) struct SeenSystem {
    pub(super) events: u64,
    pub(super) sources: BTreeMap<String, SeenSource>,
    pub(super) wallets: BTreeMap<String, SeenWallet>,
    pub(super) people: BTreeMap<String, SeenPerson>,
    pub(super) destinations: BTreeMap<String, SeenDestination>,
}

/// A source.
#[derive(Debug, Default)]
pub(super) struct SeenSource {
    pub(super) events: u64,
    /// Longest time for which it said nothing, nanoseconds.
    pub(super) silence: i64,
    last: Option<Instant>,
}

/// A wallet.
#[derive(Debug, Default)]
pub(super) struct SeenWallet {
    pub(super) events: u64,
    /// How often each chain was named with it.
    pub(super) chains: BTreeMap<String, u64>,
    /// Sources of decisions that name it.
    pub(super) decided_by: BTreeSet<String>,
    /// Sources of signatures.
    pub(super) signed_by: BTreeSet<String>,
    /// Sources that follow it on its chain.
    pub(super) followed_by: BTreeSet<String>,
    /// Who approved its requests, and how often.
    pub(super) approved_by: BTreeMap<String, u64>,
}

/// A person or service account.
#[derive(Debug, Default)]
pub(super) struct SeenPerson {
    pub(super) sessions: u64,
    pub(super) approvals: u64,
}

/// Where value went.
#[derive(Debug, Default)]
pub(super) struct SeenDestination {
    pub(super) payments: u64,
    pub(super) days: BTreeSet<i64>,
}

impl Seen {
    /// Takes an event in, unless it is one of keywatch's own.
    pub(super) fn take(&mut self, event: &Event) {
        if kinds::find(event.kind()).is_none_or(|kind| kind.writer != Writer::Source) {
            return;
        }
        let left_out = &mut self.left_out;
        let Some(system) = entry(&mut self.systems, event.system(), INIT_SYSTEMS_MAX, left_out) else { return };
        system.events += 1;
        if let Some(source) = entry(&mut system.sources, event.source(), INIT_SOURCES_MAX, left_out) {
            source.heard(event.time());
        }
        if let Some(wallet) = event.wallet()
            && let Some(wallet) = entry(&mut system.wallets, wallet, INIT_WALLETS_MAX, left_out)
        {
            wallet.take(event, left_out);
        }
        if let Some(person) = event.actor() {
            system.person(person, event.kind(), left_out);
        }
        if let Some(to) = paid(event)
            && let Some(destination) = entry(&mut system.destinations, to, INIT_DESTINATIONS_MAX, left_out)
        {
            destination.payments += 1;
            if destination.days.len() < INIT_DESTINATION_DAYS_MAX {
                destination.days.insert(event.time().nanoseconds().div_euclid(DAY_NS));
            }
        }
    }
}

impl SeenSystem {
    /// People are known by their sessions and decisions. Who only signs may be a key.
    fn person(&mut self, name: &str, kind: &str, left_out: &mut u64) {
        let begins = kind == "session.started" || kind == "decision";
        if begins && let Some(person) = entry(&mut self.people, name, INIT_PEOPLE_MAX, left_out) {
            person.sessions += u64::from(kind == "session.started");
        }
        if kind == "signing.approved"
            && let Some(person) = self.people.get_mut(name)
        {
            person.approvals += 1;
        }
    }
}

impl SeenSource {
    fn heard(&mut self, at: Instant) {
        let silence = self.last.map_or(0, |last| at.nanoseconds().saturating_sub(last.nanoseconds()));
        self.silence = self.silence.max(silence);
        self.last = Some(at);
        self.events += 1;
    }
}

impl SeenWallet {
    fn take(&mut self, event: &Event, left_out: &mut u64) {
        self.events += 1;
        if let Some(chain) = event.chain()
            && let Some(named) = entry(&mut self.chains, chain, INIT_OWNERS_MAX, left_out)
        {
            *named += 1;
        }
        let source = || event.source().to_owned();
        match event.kind() {
            "decision" => {
                self.decided_by.insert(source());
            }
            "signing.signed" => {
                self.signed_by.insert(source());
            }
            "chain.tx" | "chain.transfer" | "chain.progress" => {
                self.followed_by.insert(source());
            }
            "signing.approved" => {
                if let Some(by) = event.actor()
                    && let Some(approved) = entry(&mut self.approved_by, by, INIT_OWNERS_MAX, left_out)
                {
                    *approved += 1;
                }
            }
            _ => {}
        }
    }
}

/// Where an outflow of a wallet goes to. What moves nothing, what failed, and what a token says that is known by its contract
/// only is none: anybody can have it said, of an address that looks like one the wallet pays.
fn paid(event: &Event) -> Option<&str> {
    let wallet = event.wallet()?;
    let from = event.from_address();
    let is_nothing = event.amount().is_some_and(|amount| amount.saturated() == 0) || event.outcome() == Some("failed");
    let is_hearsay = is_nothing || event.asset().is_some_and(|asset| asset.len() >= CONTRACT_LENGTH_MIN);
    let is_outflow =
        event.kind() == "chain.transfer" && !is_hearsay && from.is_none_or(|from| from.eq_ignore_ascii_case(wallet));
    event.to_address().filter(|to| is_outflow && !to.eq_ignore_ascii_case(wallet))
}

/// What is counted under a name; nothing where there are too many already, or where it is no plain text.
fn entry<'a, T: Default>(
    map: &'a mut BTreeMap<String, T>,
    name: &str,
    most: usize,
    left_out: &mut u64,
) -> Option<&'a mut T> {
    let is_plain = !name.is_empty() && !name.chars().any(char::is_control);
    if !map.contains_key(name) {
        if !is_plain || map.len() >= most {
            *left_out += 1;
            return None;
        }
        map.insert(name.to_owned(), T::default());
    }
    map.get_mut(name)
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;

    use super::*;

    fn event(kind: &str, second: i64, fill: impl FnOnce(&mut keywatch_store::event::Builder)) -> Event {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let at = Instant(second * 1_000_000_000);
        let mut event = Event::builder(&origin, &format!("{kind}/{second}"), kind, at);
        event.time(at);
        fill(&mut event);
        event.build_own()
    }

    #[test]
    fn it_counts_what_sources_say_and_nothing_of_its_own() {
        let mut seen = Seen::default();
        seen.take(&event("tick", 0, |_| {}));
        assert!(seen.systems.is_empty());
        for (second, to) in [(0, "0xb"), (86_400, "0xb"), (86_500, "0xA")] {
            seen.take(&event("chain.transfer", second, |event| {
                event.wallet("0xa").from_address("0xa").to_address(to).chain("ethereum");
            }));
        }
        seen.take(&event("chain.transfer", 86_550, |event| {
            event.wallet("0xa").from_address("0xa").to_address("0xe").amount(keywatch_store::Amount::from_u128(0));
        }));
        seen.take(&event("chain.transfer", 86_560, |event| {
            let counterfeit = "0x5555555555555555555555555555555555555555";
            event.wallet("0xa").from_address("0xa").to_address("0xe").asset(counterfeit);
        }));
        seen.take(&event("chain.transfer", 86_600, |event| {
            event.wallet("0xa").from_address("0xc").to_address("0xa").chain("ethereum");
        }));
        seen.take(&event("signing.approved", 86_700, |event| {
            event.wallet("0xa").actor("0xkey");
        }));
        let cold = &seen.systems["cold"];
        let to = &cold.destinations["0xb"];
        assert_eq!(
            (to.payments, to.days.len(), cold.destinations.len()),
            (2, 2, 1),
            "what it got and its own are none"
        );
        assert_eq!(cold.sources["node"].silence, 86_400_000_000_000);
        let wallet = &cold.wallets["0xa"];
        assert_eq!((wallet.events, wallet.chains["ethereum"], wallet.approved_by["0xkey"]), (7, 4, 1));
        assert!(cold.people.is_empty(), "who only signs may be a key");
    }

    #[test]
    fn names_that_are_no_plain_text_and_those_beyond_the_limit_are_left_out() {
        let (mut map, mut left_out) = (BTreeMap::<String, u64>::new(), 0);
        for (name, taken) in
            [("ann", true), ("bob\n", false), ("", false), ("carol", true), ("dora", false), ("ann", true)]
        {
            assert_eq!(entry(&mut map, name, 2, &mut left_out).is_some(), taken, "{name:?}");
        }
        assert_eq!(left_out, 3);
    }
}
