//! What sources say that assets are worth (`asset.price`), as a fold over the log.
//!
//! An asset's quotes are believed from the one source that the inventory names for it, in the system's currency. Of those the first
//! in each quarter of an hour is kept, which bounds what is remembered by log time and by the inventory alone, so that what is
//! known at a log time depends on the records before it and on no cut of batches.

use std::collections::{BTreeMap, VecDeque};

use super::{Asset, Price, System, amount_as_said};
use crate::limits::{QUOTE_SLOT_NS, QUOTE_VALID_NS};
use crate::{Event, Instant};

/// The kind of a quote.
const KIND: &str = "asset.price";

/// What a source said that a whole unit of an asset is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Log time at which it was said.
    pub from: Instant,
    /// Who said it.
    pub source: String,
    /// In which currency.
    pub currency: String,
    /// What a whole unit is worth.
    pub price: Price,
}

/// An asset as the inventory writes it, and its chain.
pub type QuotedAsset = (String, String);

/// The quotes of each system that may still be asked for, oldest first.
#[derive(Debug, Default)]
pub struct Quotes {
    by_system: BTreeMap<String, BTreeMap<QuotedAsset, VecDeque<Quote>>>,
}

impl Quotes {
    /// Takes a record; most say nothing of this. `system` is the inventory as of that record.
    pub fn take(&mut self, event: &Event, system: Option<&System>) {
        let (true, false, Some(system)) = (event.kind() == KIND, event.late(), system) else { return };
        let row = event.asset().and_then(|asset| system.declared_asset(asset, event.chain()));
        let Some(row) = row.filter(|row| row.price_source == event.source()) else { return };
        let detail = event.detail().value();
        let currency = detail["currency"].as_str().filter(|currency| *currency == system.price_currency());
        let price = detail["price"].as_str().and_then(|price| price.parse::<Price>().ok());
        if let (Some(currency), Some(price)) = (currency, price) {
            let (source, currency) = (event.source().to_owned(), currency.to_owned());
            let quote = Quote { from: event.time(), source, currency, price };
            self.put(event.system(), (row.asset.clone(), row.chain.clone()), quote);
        }
    }

    /// Keeps a quote, which must not be older than the last of its asset, unless one of its source is kept for the same quarter of
    /// an hour.
    pub fn put(&mut self, system: &str, asset: QuotedAsset, quote: Quote) {
        let quotes = self.by_system.entry(system.to_owned()).or_default().entry(asset).or_default();
        let mut of_slot = quotes.iter().rev().take_while(|kept| slot(kept) == slot(&quote));
        if !of_slot.any(|kept| kept.source == quote.source && kept.currency == quote.currency) {
            quotes.push_back(quote);
        }
    }

    /// The price that holds at a log time for an asset that `system` declares: what it declares, or else what its source quoted last
    /// within a day.
    fn price(&self, system: &System, row: &Asset, time: Instant) -> Option<Price> {
        if !row.price.is_empty() {
            return row.price.parse().ok();
        }
        let quotes = self.by_system.get(&system.id)?.get(&(row.asset.clone(), row.chain.clone()))?;
        let believed = |quote: &&Quote| {
            quote.from <= time && quote.source == row.price_source && quote.currency == system.price_currency()
        };
        let quote = quotes.iter().rev().find(believed)?;
        (time.0.saturating_sub(quote.from.0) <= QUOTE_VALID_NS).then(|| quote.price.clone())
    }

    /// What an amount in base units is worth at a log time, in words: `about 1.07 bn USD`. `None` of an asset that the inventory
    /// does not declare, or declares without a price that holds then.
    #[must_use]
    pub fn value_in_words(
        &self,
        system: &System,
        digits: &str,
        asset: &str,
        chain: Option<&str>,
        time: Instant,
    ) -> Option<String> {
        let row = system.declared_asset(asset, chain)?;
        let decimals = usize::try_from(row.decimals).ok()?;
        self.price(system, row, time)?.value_of(digits, decimals, system.price_currency())
    }

    /// An amount in words, as [`amount_as_said`] has it, with its value behind it where that is known:
    /// `401,346 ETH (about 1.07 bn USD)`.
    #[must_use]
    pub fn amount_with_value(
        &self,
        system: Option<&System>,
        digits: &str,
        asset: &str,
        chain: Option<&str>,
        time: Instant,
    ) -> String {
        let amount = amount_as_said(system, digits, asset, chain, None);
        let value = system.and_then(|system| self.value_in_words(system, digits, asset, chain, time));
        match value {
            Some(value) => format!("{amount} ({value})"),
            None => amount,
        }
    }

    /// Lets go of what was quoted in a system before `time`.
    pub fn forget(&mut self, system: &str, time: Instant) {
        let Some(assets) = self.by_system.get_mut(system) else { return };
        assets.retain(|_, quotes| {
            let old = quotes.partition_point(|quote| quote.from < time);
            quotes.drain(..old);
            !quotes.is_empty()
        });
        if assets.is_empty() {
            self.by_system.remove(system);
        }
    }

    /// The systems of which something is quoted.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.by_system.keys().map(String::as_str)
    }

    /// All of them: system, asset and chain, quote, those of an asset oldest first.
    pub fn all(&self) -> impl Iterator<Item = (&str, &QuotedAsset, &Quote)> {
        self.by_system.iter().flat_map(|(system, assets)| {
            let quotes = assets.iter().flat_map(|(asset, quotes)| quotes.iter().map(move |quote| (asset, quote)));
            quotes.map(move |(asset, quote)| (system.as_str(), asset, quote))
        })
    }
}

/// The quarter of an hour of log time in which a quote was said.
fn slot(quote: &Quote) -> i64 {
    quote.from.0.div_euclid(QUOTE_SLOT_NS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Inventory;
    use crate::event::Origin;

    const DECLARED: &str = r#"
        [[systems]]
        id = "cold"
        [[systems.sources]]
        source = "quotes"
        feed = "events"
        [[systems.sources]]
        source = "other"
        feed = "events"
        [[systems.assets]]
        asset = "ETH"
        chain = "ethereum"
        decimals = 18
        price_source = "quotes"
        [[systems.assets]]
        asset = "USDC"
        chain = "ethereum"
        decimals = 6
        price = "1"
        [[systems.assets]]
        asset = "USDC"
        chain = "base"
        decimals = 6
    "#;

    fn system() -> System {
        Inventory::parse("i.toml", DECLARED).unwrap().systems.remove(0)
    }

    fn quoted(source: &str, asset: &str, price: &str, currency: &str, time: i64) -> Event {
        let origin = Origin { system: "cold".into(), source: source.into() };
        let mut event = Event::builder(&origin, &format!("{asset}{time}"), KIND, Instant(time));
        event.time(Instant(time)).asset(asset).chain("ethereum");
        event.detail(&json!({"price": price, "currency": currency})).build_own()
    }

    fn eth(quotes: &Quotes, time: i64) -> Option<String> {
        quotes.value_in_words(&system(), "2000000000000000000", "ETH", Some("ethereum"), Instant(time))
    }

    #[test]
    fn a_quote_is_believed_from_the_declared_source_alone() {
        let mut quotes = Quotes::default();
        let late = |mut event: Event| {
            event.set_late(true);
            event
        };
        for event in [
            quoted("other", "ETH", "9000000", "USD", 1),
            quoted("quotes", "ETH", "-3000", "USD", 2),
            quoted("quotes", "ETH", "3000", "EUR", 3),
            quoted("quotes", "USDC", "9", "USD", 4),
            quoted("quotes", "GALA", "9", "USD", 5),
            late(quoted("quotes", "ETH", "9000000", "USD", 6)),
        ] {
            quotes.take(&event, Some(&system()));
        }
        quotes.take(&quoted("quotes", "ETH", "3000", "USD", 7), None);
        assert_eq!((quotes.all().count(), eth(&quotes, 10)), (0, None));
        quotes.take(&quoted("quotes", "ETH", "3000", "USD", 8), Some(&system()));
        assert_eq!((eth(&quotes, 7), eth(&quotes, 8).as_deref()), (None, Some("about 6,000 USD")));
        let mut elsewhere = system();
        elsewhere.assets[0].price_source = "other".into();
        let value = quotes.value_in_words(&elsewhere, "1", "ETH", Some("ethereum"), Instant(9));
        assert_eq!(value, None, "it is no longer the source that is believed");
    }

    #[test]
    fn a_quote_holds_for_a_day_of_log_time() {
        let mut quotes = Quotes::default();
        quotes.take(&quoted("quotes", "ETH", "3000", "USD", 1), Some(&system()));
        assert_eq!(eth(&quotes, 1 + QUOTE_VALID_NS).as_deref(), Some("about 6,000 USD"));
        assert_eq!(eth(&quotes, 2 + QUOTE_VALID_NS), None);
    }

    #[test]
    fn of_a_quarter_of_an_hour_the_first_is_kept_and_what_is_old_is_let_go() {
        let mut quotes = Quotes::default();
        for number in 0..8 {
            let price = (1000 + number).to_string();
            quotes.take(&quoted("quotes", "ETH", &price, "USD", number * QUOTE_SLOT_NS / 2), Some(&system()));
        }
        let kept: Vec<String> = quotes.all().map(|(_, _, quote)| quote.price.to_string()).collect();
        assert_eq!(kept, ["1000", "1002", "1004", "1006"]);
        assert_eq!(eth(&quotes, QUOTE_SLOT_NS / 2).as_deref(), Some("about 2,000 USD"));
        quotes.forget("cold", Instant(2 * QUOTE_SLOT_NS));
        assert_eq!(quotes.all().count(), 2);
        quotes.forget("cold", Instant(i64::MAX));
        assert_eq!(quotes.systems().count(), 0);
    }

    #[test]
    fn an_amount_has_a_value_where_one_declared_asset_has_a_price() {
        let (quotes, system) = (Quotes::default(), system());
        let said = |digits: &str, asset: &str, chain: Option<&str>| {
            quotes.amount_with_value(Some(&system), digits, asset, chain, Instant(1))
        };
        assert_eq!(said("2500000", "USDC", Some("ethereum")), "2.5 USDC (about 2.5 USD)");
        assert_eq!(said("2500000", "USDC", Some("base")), "2.5 USDC", "declared without a price");
        assert_eq!(said("2500000", "USDC", None), "2.5 USDC", "nobody says which of two");
        assert_eq!(said("0", "USDC", Some("ethereum")), "0 USDC");
        assert_eq!(said("150000000", "BTC", Some("bitcoin")), "1.5 BTC", "not declared");
        assert_eq!(quotes.amount_with_value(None, "150000000", "BTC", None, Instant(1)), "1.5 BTC");
    }
}
