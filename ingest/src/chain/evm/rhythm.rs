//! Balances that are read at a rhythm, also of wallets that no block touches, against what events explained since they were
//! read before. So what moves in silence is found: a token that rebases or lies, value that a contract sent to a wallet whose
//! block was not compared, a block that was missed.
//!
//! What a wallet holds of an asset is compared with itself: the same wallet and asset at an earlier block. A reorganisation
//! takes back what was read, and the comparison begins anew. What it holds is told too: where that has changed since it was told,
//! and now and then where it has not.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, I256, U256};
use keywatch_store::event::Builder;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::balance::{left_over, native, transferred};
use super::events::{Decoder, Place, address, amount, complete};
use super::watch::Watched;
use crate::chain::registry;
use crate::limits::{BALANCES_READ_MAX, BALANCES_TOLD_SECONDS};

/// A wallet, and a token or the chain's own asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The wallet.
    pub wallet: Address,
    /// The token's contract; the chain's own asset where there is none.
    pub token: Option<Address>,
}

/// The block at which balances were read.
#[derive(Clone, Copy, Debug)]
pub struct At {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: B256,
    /// The epoch in which it was read.
    pub epoch: u64,
    /// When the balances were read.
    pub time: Instant,
}

/// What was read last of a balance, and what events said since.
#[derive(Clone, Copy, Debug)]
struct Weighed {
    height: u64,
    units: U256,
    explained: I256,
}

/// What was read last of all balances.
#[derive(Clone, Debug, Default)]
pub struct Rhythm {
    weighed: BTreeMap<Pair, Weighed>,
    /// What was told to be held, and when.
    told: BTreeMap<Pair, (U256, Instant)>,
    /// The last that was asked for.
    last: Option<Pair>,
}

impl Rhythm {
    /// Which balances are asked for next: all of them, or as many as are read at once, those behind the last ones first; and of
    /// how many.
    #[must_use]
    pub fn next(&self, watched: &Watched) -> (Vec<Pair>, usize) {
        // In the order of pairs, of which each wallet has one of the chain's own asset and then those of the tokens.
        let (wallets, tokens) = (watched.addresses(), watched.tokens());
        let of_each = tokens.len() + 1;
        let count = wallets.len() * of_each;
        let begin = self.last.map_or(0, |last| {
            let before = wallets.partition_point(|wallet| *wallet < last.wallet);
            let told = last.token.map_or(1, |last| 1 + tokens.partition_point(|token| *token <= last));
            before * of_each + if wallets.get(before) == Some(&last.wallet) { told } else { 0 }
        });
        let pair = |index: usize| {
            let token = (index % of_each).checked_sub(1).map(|token| tokens[token]);
            Pair { wallet: wallets[index / of_each], token }
        };
        let pairs = (begin..count).chain(0..begin).take(BALANCES_READ_MAX).map(pair).collect();
        (pairs, count)
    }

    /// Takes what the events of blocks explain.
    pub fn take(&mut self, decoder: &Decoder<'_>, events: &[Event]) {
        for (pair, units) in events.iter().filter_map(|event| effect(event, &decoder.network.asset)) {
            if let Some(weighed) = self.weighed.get_mut(&pair) {
                weighed.explained = weighed.explained.wrapping_add(units);
            }
        }
    }

    /// Takes balances that were read at a block, in the order in which they were asked for; gives the events of those that
    /// changed otherwise than events explain. A balance that could not be read is `None`, and is compared the next time.
    pub fn weigh(&mut self, decoder: &Decoder<'_>, at: &At, read: &[(Pair, Option<U256>)]) -> Vec<Event> {
        self.weighed.retain(|pair, _| is_watched(decoder.watched, pair));
        self.last = read.last().map(|(pair, _)| *pair);
        let mut events = Vec::new();
        for (pair, units) in read {
            let Some(units) = *units else { continue };
            let now = Weighed { height: at.height, units, explained: I256::ZERO };
            if let Some(before) = self.weighed.insert(*pair, now) {
                events.extend(unexplained(decoder, at, pair, &before, units));
            }
        }
        events
    }

    /// Takes the same balances; gives the events of what is held, of each that is another than was told, or that was told long
    /// ago. Nothing is told of a balance that could not be read.
    pub fn held(&mut self, decoder: &Decoder<'_>, at: &At, read: &[(Pair, Option<U256>)]) -> Vec<Event> {
        self.told.retain(|pair, _| is_watched(decoder.watched, pair));
        let again = BALANCES_TOLD_SECONDS.saturating_mul(SECOND_NS);
        let mut events = Vec::new();
        for (pair, units) in read {
            let Some(units) = *units else { continue };
            let is_told = self.told.get(pair).is_some_and(|(before, told_at)| {
                *before == units && at.time.nanoseconds().saturating_sub(told_at.nanoseconds()) < again
            });
            if !is_told {
                self.told.insert(*pair, (units, at.time));
                events.push(holding(decoder, at, pair, units));
            }
        }
        events
    }

    /// Forgets what was read, since blocks were left.
    pub fn forget(&mut self) {
        self.weighed.clear();
        self.told.clear();
    }
}

fn is_watched(watched: &Watched, pair: &Pair) -> bool {
    watched.has(&pair.wallet) && pair.token.is_none_or(|token| watched.tokens().binary_search(&token).is_ok())
}

fn unexplained(decoder: &Decoder<'_>, at: &At, pair: &Pair, before: &Weighed, after: U256) -> Option<Event> {
    let (rest, mut detail) = left_over(before.units, after, before.explained)?;
    detail["since"] = json!(before.height);
    let mut told = told(decoder, at, pair, "rhythm");
    told.event.outcome("unexplained").amount(amount(rest));
    Some(told.complete(detail))
}

/// The event of what a wallet holds at a block. It may be told again of the same block, so the time is part of its id.
fn holding(decoder: &Decoder<'_>, at: &At, pair: &Pair, units: U256) -> Event {
    let mut told = told(decoder, at, pair, &format!("held/{}", at.time.nanoseconds()));
    told.event.outcome("held").amount(amount(units));
    told.complete(json!({"after": units.to_string()}))
}

/// An event of a balance that is being made.
struct Told {
    event: Builder,
    place: Place<'static>,
    token: Option<String>,
}

impl Told {
    fn complete(mut self, mut detail: Value) -> Event {
        if let Some(token) = &self.token {
            detail["token"] = json!(token);
        }
        complete(&mut self.event, &self.place, detail)
    }
}

fn told(decoder: &Decoder<'_>, at: &At, pair: &Pair, id: &str) -> Told {
    let place = Place { height: at.height, hash: at.hash, epoch: at.epoch, time: at.time, base_fee: None, tx: None };
    let token = pair.token.map(address);
    let id = token.as_ref().map_or_else(|| id.to_owned(), |token| format!("{id}/{token}"));
    let mut event = decoder.event(&place, "chain.balance", pair.wallet, &id);
    match &token {
        Some(token) => event.asset(registry::token(&decoder.network.name, token)),
        None => event.asset(&decoder.network.asset),
    };
    Told { event, place, token }
}

/// What an event says that a wallet gained or lost, and of what. What was found unexplained at a block is explained by that.
fn effect(event: &Event, asset: &str) -> Option<(Pair, I256)> {
    // What is held moves nothing.
    if !matches!(event.kind(), "chain.transfer" | "chain.balance" | "chain.tx") || event.outcome() == Some("held") {
        return None;
    }
    let wallet: Address = event.wallet()?.parse().ok()?;
    let detail = event.detail().value();
    if event.kind() == "chain.tx" {
        return Some((Pair { wallet, token: None }, native(event, &detail, asset)));
    }
    let token = match detail["token"].as_str() {
        Some(token) => Some(token.parse::<Address>().ok()?),
        // An asset that is neither the chain's own nor has a contract is none that is asked for.
        None if event.asset() != Some(asset) => return None,
        None => None,
    };
    Some((Pair { wallet, token }, transferred(event, &detail)))
}

#[cfg(test)]
mod tests {
    use keywatch_store::Amount;
    use keywatch_store::event::Origin;
    use keywatch_store::inventory::{Asset, System, Wallet};

    use super::super::watch::Network;
    use super::*;

    const WALLET: Address = Address::repeat_byte(0x11);
    const OTHER: Address = Address::repeat_byte(0x22);
    const TOKEN: Address = Address::repeat_byte(0x33);
    const NATIVE: Pair = Pair { wallet: WALLET, token: None };
    const HELD: Pair = Pair { wallet: WALLET, token: Some(TOKEN) };

    fn watched(wallets: &[Address]) -> Watched {
        let wallet =
            |wallet: &Address| Wallet { wallet: format!("{wallet:#x}"), chain: "base".into(), ..Wallet::default() };
        let asset = Asset { asset: format!("{TOKEN:#x}"), chain: "base".into(), ..Asset::default() };
        let system = System { wallets: wallets.iter().map(wallet).collect(), assets: vec![asset], ..System::default() };
        Watched::of(&system, "base").0
    }

    fn network() -> Network {
        Network { name: "base".to_owned(), id: 8453, asset: "ETH".to_owned() }
    }

    fn origin() -> Origin {
        Origin { system: "cold".to_owned(), source: "node".to_owned() }
    }

    fn at(height: u64) -> At {
        At { height, hash: B256::from(U256::from(height)), epoch: 0, time: Instant(5) }
    }

    fn event(kind: &str, asset: &str, units: u128, detail: &Value) -> Event {
        let wallet = format!("{WALLET:#x}");
        let mut event = Event::builder(&origin(), &format!("{kind}/{units}"), kind, Instant(5));
        event.wallet(wallet.clone()).actor(wallet).asset(asset).amount(Amount::from_u128(units));
        event.detail(detail).build_own()
    }

    #[test]
    fn what_events_explain_is_no_difference_and_what_is_left_is_told_once() {
        let (watched, network, origin) = (watched(&[WALLET]), network(), origin());
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.next(&watched), (vec![NATIVE, HELD], 2));
        let read = |native: u64, held: u64| [(NATIVE, Some(U256::from(native))), (HELD, Some(U256::from(held)))];
        assert!(rhythm.weigh(&decoder, &at(1), &read(1000, 50)).is_empty(), "nothing to compare with");
        let token = format!("{TOKEN:#x}");
        rhythm.take(
            &decoder,
            &[
                event("chain.transfer", "ETH", 100, &json!({"direction": "out"})),
                event("chain.tx", "ETH", 100, &json!({"fee": "7"})),
                event("chain.transfer", "ETH", 40, &json!({"direction": "in"})),
                event("chain.balance", "ETH", 3, &json!({"direction": "out"})),
                event("chain.transfer", &token, 5, &json!({"direction": "in", "token": token})),
                // Of another asset.
                event("chain.transfer", "JUNK", 9, &json!({"direction": "in"})),
            ],
        );
        // 1000 - 100 - 7 + 40 - 3, and 50 + 5.
        assert!(rhythm.weigh(&decoder, &at(2), &read(930, 55)).is_empty());
        let told = rhythm.weigh(&decoder, &at(9), &read(931, 54));
        let said: Vec<_> = told
            .iter()
            .map(|event| {
                let detail = event.detail().value();
                let sides = ["direction", "before", "after"].map(|name| detail[name].as_str().unwrap().to_owned());
                (event.kind(), event.amount().unwrap().saturated(), sides, detail["since"].clone())
            })
            .collect();
        let sides = |sides: [&str; 3]| sides.map(str::to_owned);
        assert_eq!(
            said,
            [
                ("chain.balance", 1, sides(["in", "930", "931"]), json!(2)),
                ("chain.balance", 1, sides(["out", "55", "54"]), json!(2)),
            ]
        );
        assert_eq!(told[1].detail().value()["token"], json!(token));
        assert!(rhythm.weigh(&decoder, &at(10), &read(931, 54)).is_empty(), "it is told once");
    }

    #[test]
    fn what_could_not_be_read_is_compared_the_next_time_and_what_was_left_is_not() {
        let (watched, network, origin) = (watched(&[WALLET]), network(), origin());
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let mut rhythm = Rhythm::default();
        let read = |units: Option<u64>| [(NATIVE, units.map(U256::from))];
        rhythm.weigh(&decoder, &at(1), &read(Some(10)));
        assert!(rhythm.weigh(&decoder, &at(2), &read(None)).is_empty());
        let told = rhythm.weigh(&decoder, &at(3), &read(Some(8)));
        assert_eq!((told.len(), told[0].detail().value()["since"].clone()), (1, json!(1)));
        rhythm.forget();
        assert!(rhythm.weigh(&decoder, &at(4), &read(Some(1))).is_empty());
    }

    #[test]
    fn the_next_turn_begins_behind_the_last_one_also_where_that_is_watched_no_more() {
        let watched = watched(&[WALLET, OTHER]);
        let of = |wallet: Address| [None, Some(TOKEN)].map(|token| Pair { wallet, token });
        let all = [of(WALLET), of(OTHER)].concat();
        let elsewhere = [0x10, 0x1f, 0x33].map(Address::repeat_byte);
        let tokens = [None, Some(Address::repeat_byte(0x32)), Some(TOKEN), Some(Address::repeat_byte(0x34))];
        for wallet in elsewhere.into_iter().chain([WALLET, OTHER]) {
            for last in tokens.map(|token| Pair { wallet, token }) {
                let mut expected = all.clone();
                expected.rotate_left(all.iter().filter(|pair| **pair <= last).count());
                let rhythm = Rhythm { last: Some(last), ..Rhythm::default() };
                assert_eq!(rhythm.next(&watched), (expected, 4), "{last:?}");
            }
        }
    }

    #[test]
    fn what_is_held_is_told_when_it_changes_and_once_a_day() {
        let (watched, network, origin) = (watched(&[WALLET]), network(), origin());
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let mut rhythm = Rhythm::default();
        let day = BALANCES_TOLD_SECONDS * SECOND_NS;
        let mut told = |nanoseconds: i64, native: u64, held: Option<u64>| {
            let at = At { time: Instant(nanoseconds), ..at(7) };
            let read = [(NATIVE, Some(U256::from(native))), (HELD, held.map(U256::from))];
            let events = rhythm.held(&decoder, &at, &read);
            let said = |event: &Event| {
                let detail = event.detail().value();
                assert_eq!((event.kind(), event.outcome()), ("chain.balance", Some("held")));
                assert_eq!((&detail["block"], &detail["direction"]), (&json!(7), &Value::Null));
                assert_eq!(detail["after"], json!(event.amount().unwrap().to_string()));
                (event.event_id().to_string(), detail["token"].is_string(), event.amount().unwrap().saturated())
            };
            events.iter().map(said).collect::<Vec<_>>()
        };
        let of =
            |said: &[(String, bool, i128)]| said.iter().map(|(_, token, units)| (*token, *units)).collect::<Vec<_>>();
        let first = told(1, 1000, Some(0));
        assert_eq!(of(&first), [(false, 1000), (true, 0)], "also of nothing");
        assert!(told(2, 1000, None).is_empty(), "what could not be read has not changed");
        assert_eq!(of(&told(3, 1000, Some(4))), [(true, 4)]);
        let again = told(1 + day, 1000, Some(4));
        assert_eq!(of(&again), [(false, 1000)]);
        assert_ne!(first[0].0, again[0].0, "of one block it is two events");
    }

    #[test]
    fn what_is_held_explains_nothing() {
        let held = event("chain.balance", "ETH", 9, &json!({"after": "9"}));
        assert!(effect(&held, "ETH").is_some(), "as if it were a difference");
        let mut held = Event::builder(&origin(), "held", "chain.balance", Instant(5));
        held.wallet(format!("{WALLET:#x}")).asset("ETH").outcome("held").amount(Amount::from_u128(9));
        assert!(effect(&held.build_own(), "ETH").is_none());
    }

    #[test]
    fn of_very_many_balances_each_has_its_turn() {
        let crowd: Vec<Address> = (1..=BALANCES_READ_MAX as u64)
            .map(|number| Address::from_word(U256::from(number).into()))
            .chain([OTHER])
            .collect();
        let (watched, network, origin) = (watched(&crowd), network(), origin());
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let mut rhythm = Rhythm::default();
        let mut asked = Vec::new();
        for turn in 0..3 {
            let (pairs, count) = rhythm.next(&watched);
            assert_eq!((pairs.len(), count), (BALANCES_READ_MAX, 2 * (BALANCES_READ_MAX + 1)));
            let read: Vec<_> = pairs.iter().map(|pair| (*pair, Some(U256::ZERO))).collect();
            rhythm.weigh(&decoder, &at(turn), &read);
            asked.extend(pairs);
        }
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked.len(), 2 * (BALANCES_READ_MAX + 1), "wallets with two assets each");
    }
}
