//! Addresses that a watched wallet uses and nobody declared: what they were before the block in which they are used, and since
//! when their code stands there. Which are asked about and what the answers mean is decided here; the service asks.
//!
//! Anybody makes a token that says it moved from a stranger's wallet. So of what tokens say only that counts which a declared or
//! well-known one says, or which happened in a transaction of the wallet itself.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, Bytes, U256, keccak256};
use keywatch_store::{Event, multisend};
use serde_json::{Value, json};

use super::delegations::designated;
use super::events::{Decoder, Place, address};
use super::logs::PERMIT2;
use super::rpc::parse_quantity;
use super::watch::Watched;
use crate::chain::registry;

/// What an address is used for, in the words of events; those first that give away most.
const USES: [&str; 13] = [
    "delegatecall",
    "implementation",
    "beacon",
    "module",
    "owner",
    "admin",
    "owner_added",
    "guard",
    "module_guard",
    "fallback_handler",
    "approval",
    "payment",
    "call",
];

/// Blocks before a use at which its contract's code is asked for, until it is not there; then the block is searched between
/// the last two. Nodes without an archive have state of about 128 blocks.
const LADDER: [u64; 9] = [1, 8, 32, 120, 512, 4096, 32_768, 262_144, 2_097_152];

/// An address that a watched wallet uses in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The wallet.
    pub wallet: Address,
    /// Whom it uses.
    pub destination: Address,
    /// The transaction, as events name it.
    pub tx: Option<String>,
    rank: usize,
}

/// An address that is used, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who uses it for what.
    pub used: Use,
    /// Its code after the block.
    pub code: Bytes,
    /// Its code before the block.
    pub code_before: Bytes,
    /// Its number before the block: transactions sent, or contracts made.
    pub nonce: u64,
    /// Base units of the chain's own asset before the block.
    pub balance: U256,
    /// Since when its code stands there, where that was asked.
    pub since: Since,
}

/// Since when the code of a contract stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// Height and unix seconds of the block that made it, where that is known.
    pub created: Option<(u64, u64)>,
    /// Height of the oldest block behind which a node showed its code.
    pub known: Option<u64>,
}

/// The search for the block that made a contract. It is over when it asks for nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    from: u64,
    /// The oldest block behind which the code stood.
    standing: u64,
    /// The newest before it behind which it did not.
    absent: Option<u64>,
    step: usize,
    unknown: bool,
}

impl Use {
    /// What for, in the word of events.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        USES[self.rank]
    }
}

/// The undeclared addresses that wallets use in a block with these events: of each wallet and address the use that gives away
/// most, and those first that do.
#[must_use]
pub fn uses(events: &[Event], watched: &Watched, chain: &str) -> Vec<Use> {
    let did = |event: &&Event| matches!(event.kind(), "chain.tx" | "chain.module_tx") && succeeded(event);
    let own: BTreeSet<(Option<&str>, Option<&str>)> =
        events.iter().filter(did).map(|event| (event.wallet(), event.tx())).collect();
    let mut found: BTreeMap<(Address, Address), Use> = BTreeMap::new();
    for event in events {
        let Some(wallet) = parsed(event.wallet()) else { continue };
        let is_own = own.contains(&(event.wallet(), event.tx()));
        for (purpose, to) in said(event, watched, is_own) {
            let (Some(rank), Some(destination)) = (USES.iter().position(|word| *word == purpose), to) else { continue };
            let pays_customer = purpose == "payment" && watched.pays_customers(&wallet);
            if pays_customer || is_known(&destination, watched, chain) {
                continue;
            }
            let used = Use { wallet, destination, tx: event.tx().map(str::to_owned), rank };
            let before = found.entry((wallet, destination)).or_insert_with(|| used.clone());
            if rank < before.rank {
                *before = used;
            }
        }
    }
    let mut uses: Vec<Use> = found.into_values().collect();
    uses.sort_by_key(|used| used.rank);
    uses
}

/// What an event says that a wallet used addresses for.
fn said(event: &Event, watched: &Watched, is_own: bool) -> Vec<(String, Option<Address>)> {
    let detail = event.detail().value();
    let at = |name: &str| parsed(detail[name].as_str());
    let use_of = |purpose: &str, to: Option<Address>| (purpose.to_owned(), to);
    let to = parsed(event.to_address());
    match event.kind() {
        "chain.tx" | "chain.module_tx" if succeeded(event) => {
            let called = if detail["operation"] == 1 { use_of("delegatecall", to) } else { use_of("call", at("to")) };
            let within = use_of("delegatecall", at("inner_delegate_to"));
            vec![called, within, use_of("approval", at("unlimited_spender"))]
        }
        "chain.transfer" if succeeded(event) && detail["direction"] == "out" => {
            let is_nothing = event.amount().is_some_and(|amount| amount.saturated() == 0);
            let counts = !is_nothing && (is_own || is_believed(event, &detail, watched));
            if counts { vec![use_of("payment", to)] } else { Vec::new() }
        }
        "chain.approval" if event.outcome() == Some("granted") => {
            let counts = is_own || is_believed(event, &detail, watched);
            if counts { vec![use_of("approval", to)] } else { Vec::new() }
        }
        "chain.contract" if event.outcome().is_none() => {
            vec![(detail["change"].as_str().unwrap_or_default().to_owned(), at("after"))]
        }
        _ => Vec::new(),
    }
}

fn succeeded(event: &Event) -> bool {
    event.outcome() == Some("success")
}

/// Whether it is the chain's own asset, or a token whose word counts.
fn is_believed(event: &Event, detail: &Value, watched: &Watched) -> bool {
    let Some(token) = detail["token"].as_str() else { return true };
    let is_declared = || token.parse::<Address>().is_ok_and(|token| watched.tokens().contains(&token));
    event.asset() != Some(token) || detail["through"].is_string() || is_declared()
}

/// Whether an address needs no question: somebody declared it, or it is the same for everybody.
fn is_known(destination: &Address, watched: &Watched, chain: &str) -> bool {
    let text = address(*destination);
    // Contracts that come with the chain, and what ends the lists of a Safe.
    let is_small = destination.as_slice()[..18].iter().all(|byte| *byte == 0);
    let is_shared = *destination == PERMIT2 || multisend::is_deployment(&text) || registry::token(chain, &text) != text;
    is_small || is_shared || watched.declares(destination)
}

fn parsed(text: Option<&str>) -> Option<Address> {
    text.and_then(|text| text.parse().ok())
}

/// What a node answers about an address that is used: its code after the block, and its code, number and balance before it.
/// Nothing where one of them is missing.
#[must_use]
pub fn seen(used: Use, answers: &[Option<String>]) -> Option<Seen> {
    let [Some(code), Some(code_before), Some(nonce), Some(balance)] = answers else { return None };
    Some(Seen {
        used,
        code: code.parse().ok()?,
        code_before: code_before.parse().ok()?,
        nonce: parse_quantity(nonce).ok()?,
        balance: balance.parse().ok()?,
        since: Since::default(),
    })
}

impl Seen {
    /// Its code: before the block, or where there was none, after it.
    #[must_use]
    pub fn standing(&self) -> &Bytes {
        if self.code_before.is_empty() { &self.code } else { &self.code_before }
    }

    /// Whether it has code of its own, and is no account that lets other code run as itself (EIP-7702).
    #[must_use]
    pub fn is_contract(&self) -> bool {
        !self.standing().is_empty() && designated(self.standing()).is_none()
    }

    /// Whether the chain knew nothing of it before the block: it never sent anything, and had neither code nor balance.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.nonce == 0 && self.code_before.is_empty() && self.balance.is_zero()
    }
}

impl Search {
    /// Begins behind the block of that height, where the code stands.
    #[must_use]
    pub fn behind(height: u64) -> Search {
        Search { from: height, standing: height, absent: None, step: 0, unknown: false }
    }

    /// Behind which block the code is asked for next.
    #[must_use]
    pub fn asks(&self) -> Option<u64> {
        match self.absent {
            _ if self.unknown => None,
            Some(absent) => (self.standing - absent > 1).then(|| absent + (self.standing - absent) / 2),
            None if self.standing == 0 => None,
            None => LADDER.get(self.step).map(|distance| self.from.saturating_sub(*distance)),
        }
    }

    /// Takes whether the same code stood behind that block; `None` where nobody can tell.
    pub fn take(&mut self, height: u64, stood: Option<bool>) {
        match stood {
            Some(true) => self.standing = height,
            Some(false) => self.absent = Some(height),
            None => self.unknown = true,
        }
        self.step += 1;
    }

    /// The block that made it, where that was found, and the oldest behind which it stood.
    #[must_use]
    pub fn found(&self) -> (Option<u64>, u64) {
        let is_made = self.standing == 0 || self.absent.is_some_and(|absent| self.standing - absent == 1);
        (is_made.then_some(self.standing), self.standing)
    }
}

/// What is told of it.
pub(super) fn event(decoder: &Decoder<'_>, place: &Place<'_>, seen: &Seen) -> Event {
    let (chain, used) = (decoder.network.name.as_str(), &seen.used);
    let (wallet, destination) = (address(used.wallet), address(used.destination));
    let id = format!("destination/{chain}/{}/{:#x}/{wallet}/{destination}", place.epoch, place.hash);
    let mut event = Event::builder(decoder.origin, &id, "chain.destination", place.time);
    event.wallet(wallet).chain(chain).tx(&used.tx).to_address(destination);
    event.outcome(if seen.is_contract() { "contract" } else { "account" });
    let mut detail = json!({"used": used.purpose(), "fresh": seen.is_fresh(), "nonce": seen.nonce});
    detail["block"] = json!(place.height);
    detail["block_hash"] = json!(format!("{:#x}", place.hash));
    detail["epoch"] = json!(place.epoch);
    let age = |(_, made): (u64, u64)| {
        let made = i64::try_from(made).unwrap_or(i64::MAX);
        json!(place.time.unix_seconds().saturating_sub(made).max(0))
    };
    let said = [
        ("code_hash", seen.is_contract().then(|| json!(format!("{:#x}", keccak256(seen.standing()))))),
        ("delegate", designated(seen.standing()).map(|delegate| json!(address(delegate)))),
        ("created_block", seen.since.created.map(|(height, _)| json!(height))),
        ("age_seconds", seen.since.created.map(age)),
        ("known_since", seen.since.known.map(|height| json!(height))),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            detail[name] = value;
        }
    }
    event.detail(&detail).build_own()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(from: u64, stood: impl Fn(u64) -> Option<bool>) -> (Option<u64>, u64, usize) {
        let (mut search, mut asked) = (Search::behind(from), 0);
        while let Some(height) = search.asks() {
            assert!(asked < 40, "it ends");
            search.take(height, stood(height));
            asked += 1;
        }
        let (created, known) = search.found();
        (created, known, asked)
    }

    #[test]
    fn the_block_that_made_a_contract_is_found_wherever_it_is() {
        for created in [0, 1, 2, 100, 4_000_000 - 262_144, 4_000_000 - 262_143, 3_999_990, 3_999_999, 4_000_000] {
            let (found, known, asked) = search(4_000_000, |height| Some(height >= created));
            let is_within = created + 2_097_152 > 4_000_000;
            assert_eq!(found, is_within.then_some(created), "made in {created}");
            assert_eq!(known, if is_within { created } else { 4_000_000 - 2_097_152 });
            assert!(asked <= 30, "made in {created}: {asked} questions");
        }
        assert_eq!(search(5, |_| Some(true)), (Some(0), 0, 2), "it came with the chain");
        assert_eq!(search(0, |_| Some(true)), (Some(0), 0, 0));
        assert_eq!(search(5, |height| Some(height >= 3)).0, Some(3));
    }

    #[test]
    fn what_a_node_without_old_state_cannot_tell_is_not_guessed() {
        let kept = |created: u64| move |height: u64| (height >= 872).then_some(height >= created);
        assert_eq!(search(1000, kept(995)).0, Some(995), "it is young enough to be known");
        assert_eq!(search(1000, kept(500)), (None, 880, 5), "asked once beyond what the node keeps, and no more");
        assert_eq!(search(1000, |_| None), (None, 1000, 1));
    }

    #[test]
    fn what_stands_at_an_address_is_told_apart() {
        let used = || Use { wallet: Address::ZERO, destination: Address::ZERO, tx: None, rank: 0 };
        let read = |code: &str, before: &str, nonce: &str, balance: &str| {
            seen(used(), &[code, before, nonce, balance].map(|text| Some(text.to_owned()))).unwrap()
        };
        let shape = |seen: Seen| (seen.is_contract(), seen.is_fresh());
        assert_eq!(shape(read("0x", "0x", "0x0", "0x0")), (false, true));
        assert_eq!(shape(read("0x", "0x", "0x0", "0x1")), (false, false));
        assert_eq!(shape(read("0x", "0x", "0x1", "0x0")), (false, false));
        assert_eq!(shape(read("0x6000", "0x", "0x0", "0x0")), (true, true), "made in the block itself");
        assert_eq!(shape(read("0x6000", "0x6000", "0x1", "0x0")), (true, false));
        assert_eq!(shape(read("0x", "0x6000", "0x1", "0x0")), (true, false), "it is gone since");
        let delegated = format!("0xef0100{}", "99".repeat(20));
        assert_eq!(shape(read(&delegated, &delegated, "0x1", "0x0")), (false, false), "an account that lets code run");
        let answers = |nonce: Option<&str>| {
            let said = [Some("0x"), Some("0x"), nonce, Some("0x0")];
            seen(used(), &said.map(|text| text.map(str::to_owned)))
        };
        assert!(answers(Some("0x0")).is_some());
        assert!(answers(None).is_none() && answers(Some("zero")).is_none(), "a part that is missing");
    }
}
