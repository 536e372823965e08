//! What wallets hold as far as the blocks that were read tell: the sum of the coins that these blocks made for them and that
//! are not spent. For chains whose outputs say all that moves, so that nobody has to be asked. Pure.
//!
//! Coins of a wallet are counted from one block on, the first that was read with it. A coin that an earlier block made is
//! counted neither when it is there nor when it is spent, so that a sum is never about half of a coin; a node that lists all
//! coins of a wallet moves that block to the beginning. The sums stand with the cursor, and with them what each block changed
//! that may still be left.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::maturity::Rewards;
use crate::limits::HOLDINGS_WALLETS_MAX;

/// Coins of one wallet that a block made or spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The wallet, as the inventory names it.
    pub wallet: String,
    /// Height of the block that made the coins; none where no node tells it.
    pub made: Option<u64>,
    /// Base units; negative where they were spent.
    pub units: i64,
    /// Base units among them that the block pays its miner.
    pub coinbase: i64,
}

/// What a wallet holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Height of the first block whose coins are counted.
    pub since: u64,
    /// Base units of those that are not spent.
    pub units: i64,
}

/// All coins of wallets at one block, as a node lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The block's height.
    pub height: u64,
    /// Its hash.
    pub hash: String,
    /// Base units by wallet and by the height of the block that made them.
    pub units: BTreeMap<String, BTreeMap<u64, i64>>,
    /// Those among them that a block paid its miner, as far as the node says so.
    pub coinbase: BTreeMap<String, BTreeMap<u64, i64>>,
}

/// A wallet of which a node lists more or less than the blocks explain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The wallet.
    pub wallet: String,
    /// Base units that the blocks explain.
    pub explained: i64,
    /// Base units that the node lists of the same coins.
    pub listed: i64,
}

impl Difference {
    /// Base units that the node lists beyond what the blocks explain; negative where it lists less.
    #[must_use]
    pub fn gap(&self) -> i64 {
        self.listed.saturating_sub(self.explained)
    }
}

/// What a block changed of what a wallet holds, in coins that are counted and in those that are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changed {
    counted: i64,
    older: i64,
}

/// What all wallets hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    wallets: BTreeMap<String, Held>,
    /// What the blocks that may still be left changed, by their height.
    recent: BTreeMap<u64, BTreeMap<String, Changed>>,
    /// What cannot be spent yet.
    rewards: Rewards,
}

impl Holdings {
    /// Whether there are no wallets.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wallets.is_empty()
    }

    /// All wallets.
    pub fn wallets(&self) -> impl Iterator<Item = (&str, &Held)> {
        self.wallets.iter().map(|(wallet, held)| (wallet.as_str(), held))
    }

    /// What of a wallet's sum the block behind the one at `tip`, the newest that was read, may not spend yet.
    #[must_use]
    pub fn immature(&self, wallet: &str, tip: u64) -> i64 {
        self.wallets.get(wallet).map_or(0, |held| self.rewards.immature(wallet, held.since, tip))
    }

    /// From the block behind `tip` on these wallets are counted, and no others; says how many are left out, since there are
    /// more than is borne.
    pub fn watch(&mut self, names: &BTreeSet<String>, tip: u64) -> usize {
        self.wallets.retain(|wallet, _| names.contains(wallet));
        self.rewards.keep(names);
        for name in names {
            if self.wallets.len() >= HOLDINGS_WALLETS_MAX {
                break;
            }
            self.wallets.entry(name.clone()).or_insert(Held { since: tip.saturating_add(1), units: 0 });
        }
        names.len().saturating_sub(self.wallets.len())
    }

    /// Counts nothing of a wallet any more: other addresses have its name now. Until it is watched anew.
    pub fn forget(&mut self, wallet: &str) {
        self.wallets.remove(wallet);
        self.rewards.forget(wallet);
    }

    /// Takes what the block at `height` changed. A wallet of which it is not known when a spent coin was made, or of which more
    /// is spent than came, begins anew behind the block.
    pub fn take(&mut self, height: u64, moves: &[Move]) {
        let mut changed: BTreeMap<String, Changed> = BTreeMap::new();
        let mut lost = BTreeSet::new();
        for moved in moves {
            let Some(held) = self.wallets.get(&moved.wallet) else { continue };
            self.rewards.pay(&moved.wallet, height, moved.coinbase);
            let entry = changed.entry(moved.wallet.clone()).or_default();
            if moved.made.is_some_and(|made| made >= held.since) {
                entry.counted = entry.counted.saturating_add(moved.units);
            } else {
                entry.older = entry.older.saturating_add(moved.units);
            }
            if moved.made.is_none() {
                lost.insert(moved.wallet.clone());
            }
        }
        for (wallet, changed) in &changed {
            let Some(held) = self.wallets.get_mut(wallet) else { continue };
            held.units = held.units.saturating_add(changed.counted);
            if held.units < 0 || lost.contains(wallet) {
                *held = Held { since: height.saturating_add(1), units: 0 };
            }
        }
        if !changed.is_empty() {
            self.recent.insert(height, changed);
        }
    }

    /// What blocks below a height changed stays, whatever is left.
    pub fn settle(&mut self, oldest: u64) {
        self.recent = self.recent.split_off(&oldest);
        self.rewards.settle(oldest);
    }

    /// Takes back what the blocks above a height changed.
    pub fn rewind(&mut self, height: u64) {
        self.rewards.rewind(height);
        for (at, changed) in self.recent.split_off(&height.saturating_add(1)) {
            for (wallet, changed) in changed {
                if let Some(held) = self.wallets.get_mut(&wallet) {
                    held.units = held.units.saturating_sub(changed.since(held.since, at));
                }
            }
        }
    }

    /// What a wallet held behind the block at a height, of the coins that are counted now.
    fn at(&self, wallet: &str, height: u64) -> Option<i64> {
        let held = self.wallets.get(wallet)?;
        let above = self.recent.range(height.saturating_add(1)..);
        let after = above.filter_map(|(at, changed)| Some(changed.get(wallet)?.since(held.since, *at)));
        Some(after.fold(held.units, i64::saturating_sub))
    }

    /// Wallets of which a node lists other sums than the blocks explain. The block of the list is among those that are
    /// remembered.
    #[must_use]
    pub fn differences(&self, listed: &Listed) -> Vec<Difference> {
        let differs = |(wallet, held): (&String, &Held)| {
            let explained = self.at(wallet, listed.height)?;
            let coins = listed.units.get(wallet).into_iter().flat_map(|coins| coins.range(held.since..));
            let units = coins.map(|(_, units)| *units).fold(0, i64::saturating_add);
            (units != explained).then(|| Difference { wallet: wallet.clone(), explained, listed: units })
        };
        self.wallets.iter().filter_map(differs).collect()
    }

    /// Counts all coins of a wallet from now on, as a node lists them at the newest block that was read.
    pub fn adopt(&mut self, wallet: &str, listed: &Listed) {
        if let Some(held) = self.wallets.get_mut(wallet) {
            let coins = listed.units.get(wallet).into_iter().flat_map(BTreeMap::values);
            *held = Held { since: 0, units: coins.copied().fold(0, i64::saturating_add) };
            if let Some(coins) = listed.coinbase.get(wallet) {
                self.rewards.adopt(wallet, coins, listed.height);
            }
        }
    }

    /// Puts the sums into the record of a cursor, and what the newest of its blocks changed, from the height `from` on.
    pub(super) fn record(&self, detail: &mut Value, from: u64) {
        if self.wallets.is_empty() {
            return;
        }
        let held = self.wallets.iter().map(|(wallet, held)| (wallet.clone(), json!([held.since, held.units])));
        detail["held"] = Value::Object(held.collect());
        self.rewards.record(detail);
        let of_block = |changed: &BTreeMap<String, Changed>| {
            let each =
                changed.iter().map(|(wallet, changed)| (wallet.clone(), json!([changed.counted, changed.older])));
            Value::Object(each.collect())
        };
        let moved: Map<String, Value> =
            self.recent.range(from..).map(|(at, changed)| (at.to_string(), of_block(changed))).collect();
        if !moved.is_empty() {
            detail["moved"] = Value::Object(moved);
        }
    }

    /// The sums that a record has.
    pub(super) fn of(detail: &Value) -> Holdings {
        let held = |(wallet, held): (&String, &Value)| {
            Some((wallet.clone(), Held { since: held[0].as_u64()?, units: held[1].as_i64()? }))
        };
        let wallets = detail["held"].as_object().into_iter().flatten().filter_map(held).collect();
        Holdings { wallets, recent: BTreeMap::new(), rewards: Rewards::of(detail) }
    }

    /// Takes what a block changed from the record that has it.
    pub(super) fn remember(&mut self, height: u64, detail: &Value) {
        let of_wallet = |(wallet, changed): (&String, &Value)| {
            Some((wallet.clone(), Changed { counted: changed[0].as_i64()?, older: changed[1].as_i64()? }))
        };
        let moved = detail["moved"][height.to_string()].as_object();
        let changed: BTreeMap<String, Changed> = moved.into_iter().flatten().filter_map(of_wallet).collect();
        if !changed.is_empty() {
            self.recent.insert(height, changed);
        }
    }
}

impl Changed {
    /// How much of it is counted now: of blocks before the first one that is counted nothing, and everything where all coins
    /// are.
    fn since(self, since: u64, height: u64) -> i64 {
        match since {
            0 => self.counted.saturating_add(self.older),
            since if height < since => 0,
            _ => self.counted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn moved(wallet: &str, made: u64, units: i64) -> Move {
        Move { wallet: wallet.to_owned(), made: Some(made), units, coinbase: 0 }
    }

    fn mined(wallet: &str, height: u64, units: i64) -> Move {
        Move { coinbase: units, ..moved(wallet, height, units) }
    }

    fn held(holdings: &Holdings) -> Vec<(&str, u64, i64)> {
        holdings.wallets().map(|(wallet, held)| (wallet, held.since, held.units)).collect()
    }

    fn listed(height: u64, coins: &[(&str, u64, i64)]) -> Listed {
        let mut listed = Listed { height, hash: "h".to_owned(), ..Listed::default() };
        for (wallet, made, units) in coins {
            listed.units.entry((*wallet).to_owned()).or_default().insert(*made, *units);
        }
        listed
    }

    /// Two wallets from block 11 on; `a` received at 11 and at 12, where it spent a coin of 11 and one from before.
    fn holdings() -> Holdings {
        let mut holdings = Holdings::default();
        assert_eq!(holdings.watch(&names(&["a", "b"]), 10), 0);
        holdings.take(11, &[moved("a", 11, 50), moved("stranger", 11, 7)]);
        holdings.take(12, &[moved("a", 12, 20), moved("a", 11, -30), moved("a", 4, -900)]);
        holdings
    }

    #[test]
    fn coins_are_counted_when_they_come_and_when_they_go_or_not_at_all() {
        assert_eq!(held(&holdings()), [("a", 11, 40), ("b", 11, 0)]);
    }

    #[test]
    fn what_a_left_block_changed_is_taken_back() {
        let mut holdings = holdings();
        holdings.rewind(11);
        assert_eq!(held(&holdings), [("a", 11, 50), ("b", 11, 0)]);
        holdings.take(12, &[moved("b", 12, 5)]);
        holdings.rewind(10);
        assert_eq!(held(&holdings), [("a", 11, 0), ("b", 11, 0)]);
    }

    #[test]
    fn a_wallet_whose_coins_are_not_understood_begins_anew() {
        let mut holdings = holdings();
        let unknown = Move { made: None, ..moved("a", 0, -1) };
        holdings.take(13, &[unknown, moved("b", 13, 9)]);
        assert_eq!(held(&holdings), [("a", 14, 0), ("b", 11, 9)]);
        // Its coins of before are neither there nor missed.
        holdings.take(14, &[moved("a", 12, -20), moved("a", 14, 3), moved("b", 13, -10)]);
        assert_eq!(held(&holdings), [("a", 14, 3), ("b", 15, 0)], "more than came cannot be spent");
        holdings.rewind(12);
        assert_eq!(held(&holdings), [("a", 14, 0), ("b", 15, 0)]);
    }

    #[test]
    fn wallets_come_and_go_with_what_is_declared_and_are_bounded() {
        let mut holdings = holdings();
        holdings.watch(&names(&["a", "c"]), 12);
        assert_eq!(held(&holdings), [("a", 11, 40), ("c", 13, 0)]);
        let crowd: BTreeSet<String> = (0..HOLDINGS_WALLETS_MAX + 3).map(|number| format!("w{number}")).collect();
        assert_eq!((holdings.watch(&crowd, 12), holdings.wallets().count()), (3, HOLDINGS_WALLETS_MAX));
    }

    #[test]
    fn a_wallet_of_other_addresses_begins_anew_and_takes_nothing_back_of_the_old_ones() {
        let mut holdings = holdings();
        holdings.forget("a");
        holdings.watch(&names(&["a", "b"]), 12);
        assert_eq!(held(&holdings), [("a", 13, 0), ("b", 11, 0)]);
        holdings.rewind(11);
        assert_eq!(held(&holdings), [("a", 13, 0), ("b", 11, 0)]);
    }

    #[test]
    fn a_list_of_coins_is_held_against_those_that_are_counted_at_its_block() {
        let holdings = holdings();
        let all = listed(11, &[("a", 11, 50), ("a", 4, 900)]);
        assert!(
            holdings.differences(&all).is_empty(),
            "coins from before say nothing, nor does the block behind the list"
        );
        let less = listed(12, &[("a", 11, 20), ("a", 12, 19), ("b", 12, 1)]);
        let difference = |wallet: &str, explained, listed| Difference { wallet: wallet.to_owned(), explained, listed };
        assert_eq!(holdings.differences(&less), [difference("a", 40, 39), difference("b", 0, 1)]);
    }

    #[test]
    fn with_a_list_of_all_coins_those_from_before_are_counted_too_and_come_back_with_their_block() {
        let mut holdings = holdings();
        holdings.adopt("a", &listed(12, &[("a", 11, 20), ("a", 12, 20), ("a", 3, 100)]));
        assert_eq!(held(&holdings), [("a", 0, 140), ("b", 11, 0)]);
        holdings.take(13, &[moved("a", 3, -100)]);
        assert_eq!(held(&holdings)[0], ("a", 0, 40));
        holdings.rewind(11);
        // The coin of 900 was spent in block 12, before all were counted.
        assert_eq!(held(&holdings)[0], ("a", 0, 50 + 900 + 100));
    }

    #[test]
    fn what_a_block_pays_its_miner_is_held_and_immature() {
        let mut holdings = holdings();
        holdings.take(13, &[mined("a", 13, 50), mined("stranger", 13, 50), moved("b", 13, 9)]);
        let immature = |holdings: &Holdings, tip| ["a", "b", "stranger"].map(|wallet| holdings.immature(wallet, tip));
        assert_eq!((held(&holdings)[0], immature(&holdings, 13)), (("a", 11, 90), [50, 0, 0]));
        assert_eq!((immature(&holdings, 111), immature(&holdings, 112)), ([50, 0, 0], [0; 3]));
        let before = holdings.clone();
        holdings.rewind(12);
        assert_eq!(immature(&holdings, 12), [0; 3]);
        // What is not counted is not immature either, until a node lists it.
        let mut holdings = before;
        holdings.take(14, &[Move { made: None, ..moved("a", 0, -1) }]);
        assert_eq!((held(&holdings)[0], immature(&holdings, 14)), (("a", 15, 0), [0; 3]));
        let mut all = listed(14, &[("a", 13, 50), ("a", 9, 25)]);
        all.coinbase.insert("a".to_owned(), BTreeMap::from([(9, 25)]));
        holdings.adopt("a", &all);
        assert_eq!((held(&holdings)[0], immature(&holdings, 14)), (("a", 0, 75), [75, 0, 0]));
        holdings.forget("a");
        assert_eq!(immature(&holdings, 14), [0; 3]);
    }

    #[test]
    fn sums_come_back_from_records() {
        let mut holdings = holdings();
        holdings.take(13, &[moved("b", 13, 9), mined("a", 13, 50)]);
        let (mut older, mut newer) = (json!({}), json!({}));
        let before = {
            let mut before = holdings.clone();
            before.rewind(12);
            before
        };
        before.record(&mut older, 11);
        holdings.record(&mut newer, 13);
        let mut restored = Holdings::of(&newer);
        restored.remember(13, &newer);
        restored.remember(12, &older);
        restored.remember(11, &older);
        assert_eq!(restored, holdings);
        restored.settle(13);
        holdings.settle(13);
        assert_eq!(restored, holdings);
        let mut none = json!({});
        Holdings::default().record(&mut none, 0);
        assert_eq!(none, json!({}), "chains that count nothing say nothing");
    }
}
