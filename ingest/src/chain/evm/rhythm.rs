//! Balances that are read at a rhythm, also of wallets that no block touches, against what events explained since they were
//! read before. So what moves in silence is found: a token that rebases or lies, value that a contract sent to a wallet whose
//! block was not compared, a block that was missed.
//!
//! What a wallet holds of an asset is compared with itself: the same wallet and asset at an earlier block. A reorganisation
//! takes back what was read, and the comparison begins anew.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, I256, U256};
use keywatch_store::{Event, Instant};
use serde_json::json;

use super::balance::{left_over, native, transferred};
use super::events::{Decoder, Place, address, amount, complete};
use super::watch::Watched;
use crate::chain::registry;
use crate::limits::BALANCES_READ_MAX;

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
    /// The last that was asked for.
    last: Option<Pair>,
}

impl Rhythm {
    /// Which balances are asked for next: all of them, or as many as are read at once, those behind the last ones first; and of
    /// how many.
    #[must_use]
    pub fn next(&self, watched: &Watched) -> (Vec<Pair>, usize) {
        let of = |wallet: Address| {
            let tokens = watched.tokens().iter().copied().map(Some);
            std::iter::once(None).chain(tokens).map(move |token| Pair { wallet, token })
        };
        let mut pairs: Vec<Pair> = watched.addresses().into_iter().flat_map(of).collect();
        pairs.sort_unstable();
        let begin = self.last.map_or(0, |last| pairs.partition_point(|pair| *pair <= last));
        pairs.rotate_left(begin);
        let count = pairs.len();
        pairs.truncate(BALANCES_READ_MAX);
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
        let tokens = decoder.watched.tokens();
        let is_watched = |pair: &Pair| {
            decoder.watched.has(&pair.wallet) && pair.token.is_none_or(|token| tokens.binary_search(&token).is_ok())
        };
        self.weighed.retain(|pair, _| is_watched(pair));
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

    /// Forgets what was read, since blocks were left.
    pub fn forget(&mut self) {
        self.weighed.clear();
    }
}

fn unexplained(decoder: &Decoder<'_>, at: &At, pair: &Pair, before: &Weighed, after: U256) -> Option<Event> {
    let (rest, mut detail) = left_over(before.units, after, before.explained)?;
    let place = Place { height: at.height, hash: at.hash, epoch: at.epoch, time: at.time, base_fee: None, tx: None };
    detail["since"] = json!(before.height);
    let token = pair.token.map(address);
    let id = token.as_ref().map_or_else(|| "rhythm".to_owned(), |token| format!("rhythm/{token}"));
    let mut event = decoder.event(&place, "chain.balance", pair.wallet, &id);
    event.outcome("unexplained").amount(amount(rest));
    if let Some(token) = &token {
        event.asset(registry::token(&decoder.network.name, token));
        detail["token"] = json!(token);
    } else {
        event.asset(&decoder.network.asset);
    }
    Some(complete(&mut event, &place, detail))
}

/// What an event says that a wallet gained or lost, and of what. What was found unexplained at a block is explained by that.
fn effect(event: &Event, asset: &str) -> Option<(Pair, I256)> {
    if !matches!(event.kind(), "chain.transfer" | "chain.balance" | "chain.tx") {
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
    use serde_json::Value;

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
