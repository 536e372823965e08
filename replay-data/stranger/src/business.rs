//! What a business does now and then, and what comes in bursts or in even parts for it.
//!
//! Where it comes from: trial payments before large ones, daily limits of customers' tiers that leave amounts just below round
//! sums, accounts that are closed and taken out whole, campaigns that pay the same to hundreds, and partners whose limits for one
//! transfer make a large one into several are all in the help pages of exchanges. Monitors of drains and of bursts alarm on
//! such (forta-network/starter-kits#598, #609, NethermindEth/Forta-Agents#413).

use crate::calendar::{DAY, HOUR, MINUTE, is_weekend};
use crate::chance::Chance;
use crate::firm::{Firm, place};
use crate::money::{self, Asset};
use crate::names::Chain;
use crate::payments::Order;
use crate::season::Season;

/// What a closed account holds, and the wallet that pays it.
const HOLDINGS: [(Asset, usize); 5] = [
    (money::BTC, place::HOT_BITCOIN),
    (money::ETH, place::HOT_ETHEREUM),
    (money::USDC, place::HOT_ETHEREUM),
    (money::TRON_USDT, place::HOT_TRON),
    (money::SOL, place::HOT_SOLANA),
];

/// What is planned.
pub(crate) struct Business {
    campaign: i64,
    closures: Vec<i64>,
    rebalancings: Vec<i64>,
    exchange: Vec<(Chain, String)>,
}

impl Business {
    /// Plans it.
    pub(crate) fn plan(firm: &Firm, season: &Season, chance: &mut Chance) -> Business {
        let mut on = |weekdays_only: bool| {
            let day = season.first + chance.between(0, season.days - 1);
            if weekdays_only && is_weekend(day) { day + 2 } else { day }
        };
        let campaign = on(true);
        let closures = (0..=season.days / 20).map(|_| on(false)).collect();
        let rebalancings = (0..season.days / 8).map(|_| on(true)).collect();
        let partners = firm.partners.iter().filter(|(_, label)| label.contains("exchange"));
        let exchange = partners.map(|(address, _)| {
            let chain = if address.starts_with("0x") { Chain::Ethereum } else { Chain::Bitcoin };
            (chain, address.clone())
        });
        Business { campaign, closures, rebalancings, exchange: exchange.collect() }
    }

    /// The orders of a day.
    pub(crate) fn orders(&self, day: i64, chance: &mut Chance) -> Vec<Order> {
        let mut orders = at_their_limit(day, chance);
        if day == self.campaign {
            orders.extend(campaign(day, chance));
        }
        for _ in self.closures.iter().filter(|closed| **closed == day) {
            orders.extend(closure(day, chance));
        }
        for _ in self.rebalancings.iter().filter(|planned| **planned == day) {
            orders.extend(self.rebalancing(day, chance));
        }
        orders
    }

    /// Money moves to our account at another exchange, in as many equal parts as its limit for one transfer asks for.
    fn rebalancing(&self, day: i64, chance: &mut Chance) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut at = day * DAY + chance.between(8 * 60, 16 * 60) * MINUTE;
        for (chain, address) in &self.exchange {
            let (asset, wallet) = match chain {
                Chain::Bitcoin => (money::BTC, place::HOT_BITCOIN),
                _ => (*chance.pick(&[money::USDT, money::USDC, money::ETH]), place::HOT_ETHEREUM),
            };
            let part = chance.between(5, 30).cast_unsigned() * 1_000_000;
            for _ in 0..chance.between(2, 6) {
                let order = Order::new(at, wallet, asset, address.clone(), part, day, chance);
                orders.push(order.internal("rebalancing"));
                at += chance.between(40_000, 5 * MINUTE);
            }
        }
        orders
    }
}

/// Customers whose tier ends at ten thousand dollars a day take out all but the fee.
fn at_their_limit(day: i64, chance: &mut Chance) -> Vec<Order> {
    let times = chance.count(4);
    let one = |_| {
        let at = day * DAY + chance.between(0, DAY - 1);
        let (asset, wallet) = *chance.pick(&[HOLDINGS[3], HOLDINGS[2], HOLDINGS[1]]);
        let cents = chance.between(985_000, 999_900).cast_unsigned();
        let to = asset.chain.address(chance);
        let customer = format!("cus-{:05}", chance.below(3_000));
        Order { customer, ..Order::new(at, wallet, asset, to, cents, day, chance) }
    };
    (0..times).map(one).collect()
}

/// The same bonus to everybody who took part.
fn campaign(day: i64, chance: &mut Chance) -> Vec<Order> {
    let bonus = *chance.pick(&[1_000, 2_000, 5_000]);
    let mut at = day * DAY + 10 * HOUR + chance.between(0, 6 * 60) * MINUTE;
    let winners = chance.between(90, 180);
    let one = |winner: i64| {
        at += chance.between(5_000, 60_000);
        let asset = money::TRON_USDT;
        let to = asset.chain.address(chance);
        let order = Order::new(at, place::HOT_TRON, asset, to, bonus, day, chance);
        Order { customer: format!("cus-campaign-{winner}"), ..order }
    };
    (0..winners).map(one).collect()
}

/// A wealthy customer leaves: a trial of each asset, then all of it, to addresses that are as new as the customer's new wallet.
fn closure(day: i64, chance: &mut Chance) -> Vec<Order> {
    let customer = format!("cus-{:05}", chance.below(200));
    let mut holdings = HOLDINGS;
    chance.shuffle(&mut holdings);
    let mut at = day * DAY + chance.between(7 * 60, 19 * 60) * MINUTE;
    let mut orders = Vec::new();
    for (asset, wallet) in holdings.into_iter().take(usize::from(chance.thousandths(500)) + 3) {
        let to = asset.chain.address(chance);
        let all = chance.heavy(8_000_000, 40);
        for cents in [2_500, all] {
            let order = Order::new(at, wallet, asset, to.clone(), cents, day, chance);
            orders.push(Order { customer: customer.clone(), ..order });
            at += chance.between(6, 25) * MINUTE;
        }
    }
    orders
}
