//! What tokens call themselves, as a node that follows Ethereum reads it of their contracts.
//!
//! Once a day of each token that moves, so every day of the dollar tokens; and once of each token that nobody asked for. Those
//! are as their makers want them read: a web page for a name, a joke, a currency's name plainly copied (half of the counterfeits),
//! or copied with letters of another script (a third of them), which filters by name do not find (trezor/trezor-suite#7278,
//! forta-network/starter-kits#343). One contract in ten answers nothing. Nobody of the company touches any of them.

use crate::calendar::{DAY, MINUTE};
use crate::chance::Chance;
use crate::deposits::Unasked;
use crate::event::{Column, Event};
use crate::firm::{Firm, node};
use crate::journal::Journal;
use crate::names::Chain;
use crate::season::Season;

/// Name and contract of the tokens that the wallets hold.
const HELD: [(&str, &str); 2] =
    [("USDT", "0xdac17f958d2ee523a2206206994597c13d831ec7"), ("USDC", "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48")];

const SILLY: [&str; 13] = [
    "Visit claim-eth.example",
    "$ 2,500 GIFT",
    "AIRDROP",
    "ZEPE",
    "PEPE2.0",
    "MOONINU",
    "SHIBDOGE",
    "BABYCAT",
    "!Claim",
    "stETH Voucher",
    "ETH 2.0 [reward-eth.example]",
    "GOLDFROG",
    "x",
];

const COPIED: [&str; 6] = ["USDT", "USDC", "USD_T", "usdt", "WETH", "Tether USD"];

/// Letters of other scripts, as their numbers, and what they read as.
const DISGUISED: [(&str, &str); 5] = [
    (r"U\u{405}DT", "USDT"),
    (r"USD\u{422}", "USDT"),
    (r"USD\u{421}", "USDC"),
    (r"\u{415}TH", "ETH"),
    (r"\u{421}laim", "Claim"),
];

/// Tells them all.
pub(crate) fn tell(firm: &Firm, season: &Season, unasked: &[Unasked], journal: &mut Journal, chance: &mut Chance) {
    for day in season.all() {
        for (symbol, token) in HELD {
            let at = day * DAY + chance.between(0, 40) * MINUTE;
            let event = said(token, at, symbol, 6).say(Column::Asset, symbol).say(Column::Outcome, "said");
            journal.tell(firm.system, event, at);
        }
    }
    for one in unasked {
        if !one.token.starts_with("0x") || chance.thousandths(100) {
            continue;
        }
        let (symbol, reads_as) = match (one.is_counterfeit, chance.below(6)) {
            (true, 0..=2) => (*chance.pick(&COPIED), ""),
            (true, 3..=4) | (false, 0) => *chance.pick(&DISGUISED),
            _ => (*chance.pick(&SILLY), ""),
        };
        let decimals = *chance.pick(&[6, 18, 18, 9, 0]);
        let event = said(&one.token, one.at, symbol, decimals).say(Column::Wallet, &one.wallet);
        let event = if reads_as.is_empty() {
            event.say(Column::Outcome, "said")
        } else {
            event.say(Column::Outcome, "disguised").with("reads_as", reads_as)
        };
        journal.tell(firm.system, event, one.at);
    }
}

fn said(token: &str, at: i64, symbol: &str, decimals: i64) -> Event {
    let event = Event::new(node(Chain::Ethereum), "chain.asset").say(Column::Chain, Chain::Ethereum.name());
    let event = event.say(Column::Asset, token).with("token", token).with("symbol", symbol);
    event.with("decimals", decimals).with("block", Chain::Ethereum.block(at))
}
