//! What comes in: deposits swept from customers' addresses, and what nobody asked for.
//!
//! Where it comes from: dust in the second after a payment, from an address that looks like the payee's
//! (MetaMask/metamask-extension#39882); transfers of nothing, and of worthless tokens, that a token's contract records as if
//! the wallet had made them (trezor/trezor-suite#7278, forta-network/starter-kits#388); airdrops of tokens with an address for a
//! name. Monitors take both sides of these for thieves (forta-network/starter-kits#343, #344).

use crate::calendar::{DAY, HOUR, MINUTE, SECOND};
use crate::chance::Chance;
use crate::event::{Column, Event};
use crate::firm::{Firm, Wallet, node, place};
use crate::journal::Journal;
use crate::money;
use crate::names::{self, Chain};
use crate::season::Season;

/// A token that nobody asked for and that moved in some wallet's name.
#[derive(Debug)]
pub(crate) struct Unasked {
    /// Wallet that it names.
    pub(crate) wallet: String,
    /// Its contract.
    pub(crate) token: String,
    /// When it moved.
    pub(crate) at: i64,
    /// It pretends to be another token.
    pub(crate) is_counterfeit: bool,
}

/// Tells a history's incoming transfers; the tokens among them on Ethereum that nobody asked for.
pub(crate) fn tell(firm: &Firm, season: &Season, journal: &mut Journal, chance: &mut Chance) -> Vec<Unasked> {
    let mut tokens = Vec::new();
    for day in season.all() {
        for (index, wallet) in firm.wallets.iter().enumerate().filter(|(_, wallet)| wallet.temperature == "hot") {
            let hourly = if index == place::HOT_SOLANA { 1 } else { 2 };
            for hour in 0..24 {
                let swept = chance.count(hourly * season.volume_percent(day).cast_unsigned() / 100);
                for _ in 0..swept {
                    let at = day * DAY + hour * HOUR + chance.between(0, 14 * MINUTE);
                    deposit(firm, wallet, day, at, journal, chance);
                }
            }
        }
        unasked(firm, day, &mut tokens, journal, chance);
    }
    tokens
}

fn deposit(firm: &Firm, wallet: &Wallet, day: i64, at: i64, journal: &mut Journal, chance: &mut Chance) {
    let asset = *chance.pick(wallet.assets);
    let units = asset.units(chance.heavy(6_000, 6_000), day);
    let from = wallet.chain.address(chance);
    let event = incoming(wallet, at, &from, chance).say(Column::Asset, asset.symbol).say(Column::Amount, units);
    journal.tell(firm.system, event, at);
}

fn incoming(wallet: &Wallet, at: i64, from: &str, chance: &mut Chance) -> Event {
    let event = Event::new(node(wallet.chain), "chain.transfer").say(Column::Wallet, &wallet.address);
    let event = event.say(Column::Chain, wallet.chain.name()).say(Column::FromAddress, from);
    let event = event.say(Column::ToAddress, &wallet.address).say(Column::Outcome, "success");
    let event = event.say(Column::Tx, wallet.chain.transaction(chance)).with("direction", "in");
    event.with("block", wallet.chain.block(at))
}

/// Dust, airdrops, and records of transfers that the wallet never made.
fn unasked(firm: &Firm, day: i64, tokens: &mut Vec<Unasked>, journal: &mut Journal, chance: &mut Chance) {
    for wallet in &firm.wallets {
        let daily = match (wallet.chain, wallet.temperature) {
            (Chain::Bitcoin, "hot") => 2,
            (Chain::Ethereum, "hot") => 8,
            (Chain::Tron | Chain::Solana, _) => 5,
            (Chain::Ethereum, _) => 1,
            (Chain::Bitcoin, _) => 0,
        };
        for _ in 0..chance.count(daily) {
            let at = day * DAY + chance.between(0, DAY - 1);
            let (event, at) = match (wallet.chain, chance.below(10)) {
                (Chain::Bitcoin, _) => (dust(wallet, at, chance), at),
                (_, 0..=3) => (airdrop(wallet, at, chance), at),
                (_, 4..=6) => (dust(wallet, at, chance), at),
                _ => (forged(firm, wallet, at, chance), at + 2 * SECOND),
            };
            // Assets that are worth something are named by their symbol.
            if let Some(token) = event.column(Column::Asset).filter(|asset| asset.starts_with("0x")) {
                let is_counterfeit = event.column(Column::FromAddress) == Some(wallet.address.as_str());
                tokens.push(Unasked { wallet: wallet.address.clone(), token: token.to_owned(), at, is_counterfeit });
            }
            journal.tell(firm.system, event, at);
        }
    }
}

/// A thousandth of a cent, from an address that looks like one of the company's own or of a partner's.
fn dust(wallet: &Wallet, at: i64, chance: &mut Chance) -> Event {
    let asset = wallet.assets[0];
    let from = names::lookalike(&wallet.address, chance);
    let units = if wallet.chain == Chain::Bitcoin { 546 } else { chance.below(900) + 1 };
    incoming(wallet, at, &from, chance).say(Column::Asset, asset.symbol).say(Column::Amount, units)
}

/// A token with a web page for a name.
fn airdrop(wallet: &Wallet, at: i64, chance: &mut Chance) -> Event {
    let token = wallet.chain.address(chance);
    let from = wallet.chain.address(chance);
    let units = u128::from(chance.below(90_000) + 1_000) * 1_000_000;
    let event = incoming(wallet, at, &from, chance).say(Column::Asset, token).say(Column::Amount, units);
    event.with("token_name", "visit-claim.example to claim")
}

/// A record of a token's contract that says that the wallet sent something to a look-alike of a partner. Of the true token it
/// can only be nothing; of a token with the same name it can be any amount.
fn forged(firm: &Firm, wallet: &Wallet, at: i64, chance: &mut Chance) -> Event {
    let partner = firm.partners.iter().find(|(address, _)| address.len() == wallet.address.len());
    let imitated = partner.map_or(wallet.address.as_str(), |(address, _)| address);
    let to = names::lookalike(imitated, chance);
    let event = incoming(wallet, at, &wallet.address, chance).say(Column::ToAddress, to).with("direction", "out");
    if chance.thousandths(600) {
        return event.say(Column::Asset, money::USDT.symbol).say(Column::Amount, 0);
    }
    let counterfeit = wallet.chain.address(chance);
    let units = u128::from(chance.below(50_000) + 100) * 1_000_000;
    event.say(Column::Asset, counterfeit).say(Column::Amount, units).with("token_name", "USDT")
}
