//! Customers: who they are, how often they want their money, and to where.
//!
//! Few are busy and most come once in months; new ones sign up daily and pay out to addresses that nobody has seen; a market
//! maker is paid a dozen or two times a day at the same address, some days in equal parts; who takes out much sends a little
//! first. Sizes are heavy-tailed: half of all withdrawals are below some hundred dollars, and
//! one in a thousand is hundreds of times that.

use crate::calendar::{DAY, HOUR, MINUTE};
use crate::chance::Chance;
use crate::firm::{Firm, place};
use crate::money::{self, Asset};
use crate::payments::Order;
use crate::season::Season;

/// A customer with the addresses that they have used.
#[derive(Clone, Debug)]
struct Customer {
    name: String,
    addresses: Vec<(Asset, String)>,
}

/// Everybody who has an account.
pub(crate) struct Customers {
    all: Vec<Customer>,
    market_maker: String,
    is_desk: bool,
}

/// What withdrawals are made in, the most usual first, with shares of a thousand.
const WANTED: [(Asset, usize, u64); 7] = [
    (money::TRON_USDT, place::HOT_TRON, 300),
    (money::BTC, place::HOT_BITCOIN, 250),
    (money::ETH, place::HOT_ETHEREUM, 150),
    (money::USDT, place::HOT_ETHEREUM, 110),
    (money::USDC, place::HOT_ETHEREUM, 70),
    (money::SOL, place::HOT_SOLANA, 90),
    (money::TRX, place::HOT_TRON, 30),
];

impl Customers {
    /// Those of a firm.
    pub(crate) fn of(firm: &Firm, chance: &mut Chance) -> Customers {
        let is_desk = firm.module.is_some();
        let count = if is_desk { 60 } else { 3_000 };
        let all =
            (0..count).map(|number| Customer { name: format!("cus-{number:05}"), addresses: Vec::new() }).collect();
        let chain = if is_desk { money::USDT.chain } else { money::TRON_USDT.chain };
        Customers { all, market_maker: chain.address(chance), is_desk }
    }

    /// What they want on a day, in the order of time.
    pub(crate) fn orders(&mut self, season: &Season, day: i64, chance: &mut Chance) -> Vec<Order> {
        let usual = if self.is_desk { 24 } else { 200 };
        let wanted = chance.count((usual * season.volume_percent(day) / 100).cast_unsigned());
        let mut orders: Vec<Order> = (0..wanted).map(|_| self.order(day, chance)).collect();
        if !self.is_desk {
            orders.extend(self.of_market_maker(day, chance));
        }
        let trials: Vec<Order> = orders.iter().filter_map(|order| trial(order, day, chance)).collect();
        orders.extend(trials);
        orders.sort_by_key(|order| order.at);
        orders
    }

    fn order(&mut self, day: i64, chance: &mut Chance) -> Order {
        let at = day * DAY + hour(chance) * HOUR + chance.between(0, HOUR - 1);
        let (asset, wallet) = if self.is_desk { desk_asset(chance) } else { exchange_asset(chance) };
        let least = if self.is_desk { 150_000 } else { 15_000 };
        let cents = chance.heavy(least, if self.is_desk { 300 } else { 8_000 });
        let cents = cents * Season::size_percent(day).cast_unsigned() / 100;
        let number = if chance.thousandths(110) {
            // Signed up this week.
            self.all.push(Customer { name: format!("cus-{:05}", self.all.len()), addresses: Vec::new() });
            self.all.len() - 1
        } else {
            chance.favourite(self.all.len())
        };
        let customer = &mut self.all[number];
        let known: Vec<usize> = (0..customer.addresses.len()).filter(|at| customer.addresses[*at].0 == asset).collect();
        let to = if known.is_empty() || chance.thousandths(180) {
            let fresh = asset.chain.address(chance);
            customer.addresses.push((asset, fresh.clone()));
            fresh
        } else {
            customer.addresses[*chance.pick(&known)].1.clone()
        };
        let name = customer.name.clone();
        Order { customer: name, ..Order::new(at, wallet, asset, to, cents, day, chance) }
    }

    /// The same address many times a day.
    fn of_market_maker(&self, day: i64, chance: &mut Chance) -> Vec<Order> {
        let asset = money::TRON_USDT;
        let times = chance.count(15);
        let is_in_parts = chance.thousandths(300);
        let part = chance.between(4, 9) * 100_000;
        let begin = day * DAY + chance.between(0, 4) * HOUR;
        let mut at = begin;
        let orders = (0..times).map(|_| {
            at += chance.around(50 * MINUTE);
            let cents = if is_in_parts { part } else { chance.around(400_000) }.cast_unsigned();
            let to = self.market_maker.clone();
            let order = Order::new(at, place::HOT_TRON, asset, to, cents, day, chance);
            Order { customer: "cus-market-maker".to_owned(), ..order }
        });
        orders.collect()
    }
}

/// Nights are quiet and never still: customers live everywhere.
fn hour(chance: &mut Chance) -> i64 {
    let first = chance.between(0, 23);
    if (1..6).contains(&first) && chance.thousandths(550) { chance.between(8, 22) } else { first }
}

fn exchange_asset(chance: &mut Chance) -> (Asset, usize) {
    let mut drawn = chance.below(1000);
    for (asset, wallet, share) in WANTED {
        if drawn < share {
            return (asset, wallet);
        }
        drawn -= share;
    }
    (money::BTC, place::HOT_BITCOIN)
}

fn desk_asset(chance: &mut Chance) -> (Asset, usize) {
    (*chance.pick(&[money::USDT, money::USDT, money::USDC, money::ETH]), place::DESK_HOT)
}

/// Half of those who take out much send a little first, to see that the address is right.
fn trial(order: &Order, day: i64, chance: &mut Chance) -> Option<Order> {
    let is_tried = order.cents > 2_000_000 && chance.thousandths(500);
    let at = (order.at - chance.between(8, 50) * MINUTE).max(day * DAY);
    let (to, cents) = (order.to.clone(), chance.between(1_000, 6_000).cast_unsigned());
    let little = Order::new(at, order.wallet, order.asset, to, cents, day, chance);
    is_tried.then(|| Order { customer: order.customer.clone(), ..little })
}
