//! What a block changes of what watched wallets hold, and the events that tell what they hold. The sums are made in
//! [`crate::chain::holdings`]; coins of a coinbase count as soon as their block is read, and are told to be immature as long as they
//! cannot be spent.

use std::collections::{BTreeMap, HashMap};

use bitcoin::{Amount as Satoshi, Block, Denomination, OutPoint, ScriptBuf, Txid};
use keywatch_store::event::Builder;
use keywatch_store::{Amount, Event, Instant};
use serde_json::{Value, json};

use super::decode::{Coins, Decoder};
use super::watch::Watched;
use crate::chain::follow::ReadRef;
use crate::chain::holdings::{Difference, Held, Listed, Move};

/// Heights of the blocks that made coins, by the transactions that did.
pub type Heights = HashMap<Txid, u64>;

impl Decoder<'_> {
    /// What a block changes. `coins` holds what [`Decoder::wanted`] names, `heights` those of them that watched wallets spend,
    /// as far as nodes tell.
    #[must_use]
    pub fn moves(&self, block: &Block, height: u64, coins: &Coins, heights: &Heights) -> Vec<Move> {
        let mut moves: BTreeMap<(&str, Option<u64>), i64> = BTreeMap::new();
        let mut add = |wallet, made, units: i64| {
            let sum = moves.entry((wallet, made)).or_default();
            *sum = sum.saturating_add(units);
        };
        let mut coinbase: BTreeMap<&str, i64> = BTreeMap::new();
        let mut here: HashMap<OutPoint, (&str, i64)> = HashMap::new();
        for transaction in &block.txdata {
            for input in transaction.input.iter().filter(|_| !transaction.is_coinbase()) {
                let at = &input.previous_output;
                if let Some((wallet, units)) = here.get(at) {
                    add(*wallet, Some(height), -units);
                } else if let Some(coin) = coins.get(at)
                    && let Some(wallet) = self.watched.wallet(&coin.script_pubkey)
                {
                    add(wallet, heights.get(&at.txid).copied(), -units(coin.value));
                }
            }
            let id = transaction.compute_txid();
            for (index, output) in (0..).zip(&transaction.output) {
                if let Some(wallet) = self.watched.wallet(&output.script_pubkey) {
                    add(wallet, Some(height), units(output.value));
                    here.insert(OutPoint::new(id, index), (wallet, units(output.value)));
                    if transaction.is_coinbase() {
                        let paid = coinbase.entry(wallet).or_default();
                        *paid = paid.saturating_add(units(output.value));
                    }
                }
            }
        }
        let told = moves.into_iter().filter(|(_, units)| *units != 0);
        let paid = |wallet: &str, made: Option<u64>| {
            coinbase.get(wallet).copied().filter(|_| made == Some(height)).unwrap_or_default()
        };
        let moved = told.map(|((wallet, made), units)| Move {
            wallet: wallet.to_owned(),
            made,
            units,
            coinbase: paid(wallet, made),
        });
        moved.collect()
    }

    /// The event of what a wallet holds behind a block, and how much of that cannot be spent yet.
    #[must_use]
    pub fn held(&self, at: &ReadRef, wallet: &str, held: &Held, immature: i64, time: Instant) -> Event {
        let mut event = self.balance(at, wallet, "held", time);
        event.amount(Amount::from_u128(u128::try_from(held.units).unwrap_or_default()));
        let detail = json!({
            "after": held.units.to_string(),
            "immature": immature.to_string(),
            "from_block": held.since,
        });
        complete(&mut event, at, detail)
    }

    /// The event that a node lists other coins of a wallet than the blocks up to this one explain.
    #[must_use]
    pub fn differs(&self, at: &ReadRef, difference: &Difference, time: Instant) -> Event {
        let Difference { wallet, explained, listed } = difference;
        let rest = difference.gap();
        let mut event = self.balance(at, wallet, "unexplained", time);
        event.amount(Amount::from_u128(u128::from(rest.unsigned_abs())));
        let detail = json!({
            "direction": if rest < 0 { "out" } else { "in" },
            "before": explained.to_string(),
            "after": listed.to_string(),
            "since": at.height,
        });
        complete(&mut event, at, detail)
    }

    fn balance(&self, at: &ReadRef, wallet: &str, outcome: &str, time: Instant) -> Builder {
        let Decoder { origin, chain, .. } = self;
        let id = format!("chain.balance/{chain}/{}/{}/{wallet}/{outcome}/{}", at.epoch, at.hash, time.nanoseconds());
        let mut event = Event::builder(origin, &id, "chain.balance", time);
        event.wallet(wallet).chain(chain).asset("BTC").outcome(outcome);
        event
    }
}

fn complete(event: &mut Builder, at: &ReadRef, mut detail: Value) -> Event {
    detail["block"] = json!(at.height);
    detail["block_hash"] = json!(at.hash);
    detail["epoch"] = json!(at.epoch);
    event.detail(&detail).build_own()
}

/// All coins of watched wallets as a node lists them (`scantxoutset` of Bitcoin Core: `height`, `bestblock`, and `unspents` with
/// `scriptPubKey`, `amount`, `height`, and `coinbase` where the node says it).
///
/// # Errors
/// In words, what the answer lacks.
pub fn listed(answer: &Value, watched: &Watched) -> Result<Listed, String> {
    if answer["success"] != true {
        return Err("its list of coins was broken off".to_owned());
    }
    let (Some(height), Some(hash)) = (answer["height"].as_u64(), answer["bestblock"].as_str()) else {
        return Err("its list of coins does not say of which block it is".to_owned());
    };
    let unspents = answer["unspents"].as_array().ok_or("its answer has no list of coins")?;
    let mut listed = Listed { height, hash: hash.to_owned(), ..Listed::default() };
    for unspent in unspents {
        let read = || {
            let script = ScriptBuf::from_hex(unspent["scriptPubKey"].as_str()?).ok()?;
            Some((script, satoshi(&unspent["amount"])?, unspent["height"].as_u64()?))
        };
        let (script, value, made) = read().ok_or("its list has a coin without script, amount or height")?;
        let Some(wallet) = watched.wallet(&script) else { continue };
        let add = |sums: &mut BTreeMap<String, BTreeMap<u64, i64>>| {
            let sum = sums.entry(wallet.to_owned()).or_default().entry(made).or_default();
            *sum = sum.saturating_add(units(value));
        };
        add(&mut listed.units);
        if unspent["coinbase"] == true {
            add(&mut listed.coinbase);
        }
    }
    Ok(listed)
}

/// An amount as nodes write it, in bitcoin: Bitcoin Core with eight places, btcd as Go writes it, with an exponent where it is
/// small.
#[must_use]
pub fn satoshi(value: &Value) -> Option<Satoshi> {
    let Value::Number(number) = value else { return None };
    let exact = Satoshi::from_str_in(&number.to_string(), Denomination::Bitcoin);
    exact.ok().or_else(|| Satoshi::from_btc(value.as_f64()?).ok())
}

fn units(value: Satoshi) -> i64 {
    i64::try_from(value.to_sat()).unwrap_or(i64::MAX)
}
