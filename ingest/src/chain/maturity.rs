//! Which coins of wallets cannot be spent yet, since a block paid them to its miner. Such a coin is good in a block that stands a
//! hundred above its own, and not before (`COINBASE_MATURITY` of Bitcoin's consensus). Until then nobody can spend it, so that
//! what is immature is what the newest blocks paid, whatever else wallets do. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::limits::IMMATURE_COINS_MAX;

/// Blocks from the one that paid a miner to the first in which that may be spent.
const COINBASE_MATURITY: u64 = 100;

/// What blocks paid to watched wallets as their miners, as far back as it may be immature, also where blocks are left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rewards {
    /// Base units by wallet and height; no wallet without any.
    wallets: BTreeMap<String, BTreeMap<u64, i64>>,
}

impl Rewards {
    /// The block at a height paid that to a wallet. They stand in each record of a cursor, so that there is an end of them.
    pub(super) fn pay(&mut self, wallet: &str, height: u64, units: i64) {
        let count: usize = self.wallets.values().map(BTreeMap::len).sum();
        if units > 0 && count < IMMATURE_COINS_MAX {
            self.wallets.entry(wallet.to_owned()).or_default().insert(height, units);
        }
    }

    /// Takes what a node lists that blocks paid to a wallet, as of the block at `tip`. What is long mature, or above it, is none
    /// of it, whatever the node says.
    pub(super) fn adopt(&mut self, wallet: &str, coins: &BTreeMap<u64, i64>, tip: u64) {
        let from = tip.saturating_sub(2 * COINBASE_MATURITY);
        for (height, units) in coins.range(from..=tip) {
            self.pay(wallet, *height, *units);
        }
    }

    /// What of it the block behind the one at `tip` may not spend, of coins that the block at `since` or a later one made.
    pub(super) fn immature(&self, wallet: &str, since: u64, tip: u64) -> i64 {
        // What is counted may begin behind the newest block.
        let from = since.max(first(tip));
        let coins = self.wallets.get(wallet).into_iter().flat_map(|coins| coins.range(from..));
        coins.filter(|(height, _)| **height <= tip).map(|(_, units)| *units).fold(0, i64::saturating_add)
    }

    /// Keeps those of these wallets.
    pub(super) fn keep(&mut self, names: &BTreeSet<String>) {
        self.wallets.retain(|wallet, _| names.contains(wallet));
    }

    /// Forgets what a wallet was paid.
    pub(super) fn forget(&mut self, wallet: &str) {
        self.wallets.remove(wallet);
    }

    /// The blocks below a height stay, so that what is mature behind it remains so.
    pub(super) fn settle(&mut self, oldest: u64) {
        let first = first(oldest);
        self.each(|coins| *coins = coins.split_off(&first));
    }

    /// The blocks above a height are left.
    pub(super) fn rewind(&mut self, height: u64) {
        self.each(|coins| _ = coins.split_off(&height.saturating_add(1)));
    }

    fn each(&mut self, change: impl Fn(&mut BTreeMap<u64, i64>)) {
        self.wallets.values_mut().for_each(change);
        self.wallets.retain(|_, coins| !coins.is_empty());
    }

    /// Puts them into the record of a cursor: height and base units of each, by wallet.
    pub(super) fn record(&self, detail: &mut Value) {
        if self.wallets.is_empty() {
            return;
        }
        let of_wallet = |coins: &BTreeMap<u64, i64>| {
            let coins: Vec<Value> = coins.iter().map(|(height, units)| json!([height, units])).collect();
            Value::Array(coins)
        };
        let wallets: Map<String, Value> =
            self.wallets.iter().map(|(wallet, coins)| (wallet.clone(), of_wallet(coins))).collect();
        detail["rewards"] = Value::Object(wallets);
    }

    /// Those of a record.
    pub(super) fn of(detail: &Value) -> Rewards {
        let mut rewards = Rewards::default();
        for (wallet, coins) in detail["rewards"].as_object().into_iter().flatten() {
            for coin in coins.as_array().into_iter().flatten() {
                if let (Some(height), Some(units)) = (coin[0].as_u64(), coin[1].as_i64()) {
                    rewards.pay(wallet, height, units);
                }
            }
        }
        rewards
    }
}

/// Height of the first block whose coinbase the block behind the one at `tip` may not spend.
fn first(tip: u64) -> u64 {
    tip.saturating_add(2).saturating_sub(COINBASE_MATURITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewards() -> Rewards {
        let mut rewards = Rewards::default();
        for height in [1, 2, 150] {
            rewards.pay("miner", height, 50);
        }
        rewards.pay("other", 150, 0);
        rewards
    }

    #[test]
    fn a_coin_of_a_coinbase_is_good_in_the_hundredth_block_above_its_own() {
        let rewards = rewards();
        let immature = |tip| rewards.immature("miner", 0, tip);
        assert_eq!([1, 2, 99].map(immature), [50, 100, 100], "of what was paid by then");
        // Block 101 may spend what block 1 paid.
        assert_eq!([100, 101, 149, 150, 248, 249].map(immature), [50, 0, 0, 50, 50, 0]);
        assert_eq!((rewards.immature("miner", 2, 2), rewards.immature("nobody", 0, 2)), (50, 0));
    }

    #[test]
    fn what_may_be_immature_again_is_kept_and_what_was_left_is_not() {
        let mut rewards = rewards();
        rewards.settle(100);
        assert_eq!(rewards.immature("miner", 0, 100), 50, "block 100 may become the newest again");
        rewards.rewind(149);
        assert_eq!(rewards.immature("miner", 0, 150), 0);
        rewards.settle(101);
        assert_eq!(rewards, Rewards::default());
    }

    #[test]
    fn p7_a_node_that_lists_very_many_coins_makes_no_record_too_long() {
        let coins: BTreeMap<u64, i64> = (0..5000).map(|height| (height, 1)).collect();
        let mut rewards = Rewards::default();
        rewards.adopt("one", &coins, 1000);
        assert_eq!((rewards.wallets["one"].len(), rewards.immature("one", 0, 1000)), (201, 99));
        for other in 0..200 {
            rewards.adopt(&other.to_string(), &coins, 1000);
        }
        assert_eq!(rewards.wallets.values().map(BTreeMap::len).sum::<usize>(), IMMATURE_COINS_MAX);
    }

    #[test]
    fn they_come_back_from_records() {
        let mut detail = json!({});
        rewards().record(&mut detail);
        assert_eq!(detail, json!({"rewards": {"miner": [[1, 50], [2, 50], [150, 50]]}}));
        assert_eq!(Rewards::of(&detail), rewards());
        let mut none = json!({});
        Rewards::default().record(&mut none);
        assert_eq!((Rewards::of(&none), none), (Rewards::default(), json!({})));
        let mut kept = rewards();
        kept.keep(&BTreeSet::from(["other".to_owned()]));
        assert_eq!(kept, Rewards::default());
    }
}
