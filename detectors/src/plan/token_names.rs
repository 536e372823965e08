//! What token contracts call themselves, as the log has it (`chain.asset`), for titles of findings where the inventory says
//! nothing. No rule sees it here.
//!
//! Anybody can make a contract that calls itself anything, so only plain names are kept, the first one of each contract, and of
//! no more contracts than there is room for: what was kept is never given up, so that a title depends on the records before it
//! and on no cut of batches.

use std::collections::BTreeMap;

use keywatch_store::{Event, Instant};

use crate::limits::{TOKEN_DECIMALS_MAX, TOKEN_SYMBOL_LETTERS_MAX, TOKENS_SAID_MAX};

/// What a contract called itself first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenName {
    /// Log time from which on that is known.
    pub(crate) from: Instant,
    /// Its symbol.
    pub(crate) symbol: String,
    /// Digits of an amount behind the point.
    pub(crate) decimals: u8,
}

/// Contracts of each system, by address and chain.
#[derive(Debug, Default)]
pub(crate) struct TokenNames {
    by_system: BTreeMap<String, BTreeMap<(String, String), TokenName>>,
}

impl TokenNames {
    /// Takes a record; most say nothing of this.
    pub(crate) fn take(&mut self, event: &Event) {
        let (true, Some(chain)) = (event.kind() == "chain.asset", event.chain()) else { return };
        let detail = event.detail().value();
        let decimals = detail["decimals"].as_u64().and_then(|decimals| u8::try_from(decimals).ok());
        let (Some(token), Some(symbol), Some(decimals)) =
            (detail["token"].as_str(), detail["symbol"].as_str(), decimals)
        else {
            return;
        };
        if is_plain(symbol) && decimals <= TOKEN_DECIMALS_MAX {
            let name = TokenName { from: event.time(), symbol: symbol.to_owned(), decimals };
            self.put(event.system(), (token.to_owned(), chain.to_owned()), name);
        }
    }

    /// Keeps what a contract (address and chain) calls itself, where nothing is kept of it yet.
    pub(crate) fn put(&mut self, system: &str, contract: (String, String), name: TokenName) {
        let names = self.by_system.entry(system.to_owned()).or_default();
        if names.len() < TOKENS_SAID_MAX {
            names.entry(contract).or_insert(name);
        }
    }

    /// What a contract was known to call itself at a log time; without a chain, where only one has such a contract.
    pub(crate) fn at(&self, system: &str, token: &str, chain: Option<&str>, time: Instant) -> Option<&TokenName> {
        let names = self.by_system.get(system)?.range((token.to_owned(), String::new())..);
        let of_it = names.take_while(|((address, _), _)| address == token);
        let mut here = of_it.filter(|((_, on), name)| name.from <= time && chain.is_none_or(|chain| chain == on));
        let (_, found) = here.next()?;
        here.next().is_none().then_some(found)
    }

    /// All of them: system, address and chain, name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &(String, String), &TokenName)> {
        self.by_system
            .iter()
            .flat_map(|(system, names)| names.iter().map(move |(contract, name)| (system.as_str(), contract, name)))
    }
}

/// Whether a symbol is one that nobody can take for something else that a title says.
fn is_plain(symbol: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'$');
    (1..=TOKEN_SYMBOL_LETTERS_MAX).contains(&symbol.len()) && symbol.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use serde_json::json;

    use super::*;

    fn said(token: &str, chain: &str, symbol: &str, decimals: u64, time: i64) -> Event {
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let mut event = Event::builder(&origin, &format!("{token}{time}"), "chain.asset", Instant(time));
        event.time(Instant(time)).chain(chain).outcome("said");
        event.detail(&json!({"token": token, "symbol": symbol, "decimals": decimals})).build_own()
    }

    #[test]
    fn a_contract_is_known_by_its_first_plain_name_from_then_on() {
        let mut kept = TokenNames::default();
        for event in [
            said("0xa", "base", "two words", 6, 1),
            said("0xa", "base", "GALA", 8, 2),
            said("0xa", "base", "USDC", 6, 3),
            said("0xb", "base", "USDC?0xa", 6, 3),
            said("0xc", "base", "HUGE", 300, 3),
            said("0xd", "base", "DEEP", 37, 3),
        ] {
            kept.take(&event);
        }
        let name = |token: &str, time: i64| kept.at("cold", token, Some("base"), Instant(time)).cloned();
        let gala = TokenName { from: Instant(2), symbol: "GALA".into(), decimals: 8 };
        assert_eq!((name("0xa", 1), name("0xa", 2), name("0xa", 9)), (None, Some(gala.clone()), Some(gala)));
        assert_eq!((name("0xb", 9), name("0xc", 9), name("0xd", 9)), (None, None, None));
        assert_eq!(kept.at("warm", "0xa", Some("base"), Instant(9)), None, "each system has its own log time");
    }

    #[test]
    fn the_same_address_on_two_chains_is_two_contracts() {
        let mut kept = TokenNames::default();
        kept.take(&said("0xa", "base", "ONE", 6, 1));
        assert_eq!(kept.at("cold", "0xa", None, Instant(1)).map(|name| name.symbol.as_str()), Some("ONE"));
        kept.take(&said("0xa", "ethereum", "TWO", 6, 2));
        let symbol = |chain| kept.at("cold", "0xa", chain, Instant(2)).map(|name| name.symbol.as_str());
        assert_eq!((symbol(Some("ethereum")), symbol(Some("base")), symbol(None)), (Some("TWO"), Some("ONE"), None));
        assert_eq!(symbol(Some("arbitrum")), None);
    }

    #[test]
    fn contracts_beyond_the_limit_take_no_place_of_others() {
        let mut kept = TokenNames::default();
        for number in 0..=TOKENS_SAID_MAX {
            kept.take(&said(&format!("0x{number:05}"), "base", "SPAM", 6, 1));
        }
        assert_eq!(kept.all().count(), TOKENS_SAID_MAX);
        assert!(kept.at("cold", "0x00000", Some("base"), Instant(1)).is_some());
    }
}
