//! What a whole unit of an asset is worth, as the inventory declares it or its source quotes it, and what an amount is worth at
//! that, in words: `about 1.07 bn USD`.
//!
//! It informs people and decides nothing: no rule, severity or response depends on a price. All of it is exact arithmetic on
//! decimal digits; only what is shown is rounded.

use std::fmt;

use super::{Asset, System, grouped};
use crate::limits::{AMOUNT_DIGITS_MAX, PRICE_DIGITS_MAX, QUOTED_ASSETS_MAX};

/// The currency of prices where a system declares none.
const CURRENCY: &str = "USD";

/// Significant digits of a value that are shown.
const VALUE_DIGITS: usize = 3;

/// Digits of a value behind the point that are shown: cents.
const CENT_DIGITS: usize = 2;

/// Words for a million and more, with the zeros they stand for. Values beyond the last are those of no real asset.
const SCALES: [(&str, usize); 3] = [("m", 6), ("bn", 9), ("tn", 12)];

/// The price of one whole unit of an asset, a decimal number above zero, kept exactly.
///
/// ```
/// use keywatch_store::inventory::Price;
/// assert_eq!("3450.25".parse::<Price>().unwrap().to_string(), "3450.25");
/// assert!("-1".parse::<Price>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    text: String,
}

impl std::str::FromStr for Price {
    type Err = String;

    /// From decimal digits with or without a point and more digits.
    ///
    /// # Errors
    /// A sentence about a text that is no such number, has more than [`PRICE_DIGITS_MAX`] digits before or behind the point, or
    /// is not above zero.
    fn from_str(text: &str) -> Result<Price, String> {
        let shown: String = text.chars().take(2 * PRICE_DIGITS_MAX + 2).collect();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if text.starts_with('-') {
            return Err(format!("`{shown}` is negative"));
        }
        if [whole, fraction].iter().any(|part| part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit())) {
            return Err(format!("`{shown}` is no decimal number such as 3450.25"));
        }
        if whole.len() > PRICE_DIGITS_MAX || fraction.len() > PRICE_DIGITS_MAX {
            return Err(format!("`{shown}` has more than {PRICE_DIGITS_MAX} digits before or behind the point"));
        }
        if text.bytes().all(|byte| matches!(byte, b'0' | b'.')) {
            return Err(format!("`{shown}` is zero; leave out a price that is not known"));
        }
        Ok(Price { text: text.to_owned() })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Price {
    /// Its digits without the point, and how many of them stand behind it.
    fn digits(&self) -> (String, usize) {
        let (whole, fraction) = self.text.split_once('.').unwrap_or((&self.text, ""));
        (format!("{whole}{fraction}"), fraction.len())
    }

    /// What an amount in base units of an asset with so many decimals is worth, rounded to three significant digits and whole
    /// cents: `about 1.07 bn USD`. `None` where the amount is zero or no number, or worth a thousand trillions or more, as the
    /// largest number that an approval can name is.
    ///
    /// ```
    /// use keywatch_store::inventory::Price;
    /// let price: Price = "2667.5".parse().unwrap();
    /// assert_eq!(price.value_of("401346000000000000000000", 18, "USD").unwrap(), "about 1.07 bn USD");
    /// ```
    #[must_use]
    pub fn value_of(&self, digits: &str, decimals: usize, currency: &str) -> Option<String> {
        let counted =
            (1..=AMOUNT_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !counted || digits.bytes().all(|byte| byte == b'0') {
            return None;
        }
        let (price, behind) = self.digits();
        let point = decimals + behind;
        let mut places = product(digits, &price);
        places.resize(places.len().max(point + 1), 0);
        let kept = (top(&places)? + 1).saturating_sub(VALUE_DIGITS).max(point.saturating_sub(CENT_DIGITS));
        round(&mut places, kept);
        let Some(highest) = top(&places) else { return Some(format!("less than 0.01 {currency}")) };
        let whole = (highest + 1).saturating_sub(point);
        let (word, zeros) = match whole {
            0..=6 => ("", 0),
            7..=15 => *SCALES.iter().rev().find(|(_, zeros)| whole > *zeros)?,
            _ => return None,
        };
        let space = if word.is_empty() { "" } else { " " };
        Some(format!("about {}{space}{word} {currency}", decimal(&places, point + zeros)))
    }
}

/// The product of two numbers in decimal digits, its last digit first.
fn product(one: &str, other: &str) -> Vec<u32> {
    let mut places = vec![0_u32; one.len() + other.len()];
    for (shift, left) in one.bytes().rev().enumerate() {
        for (place, right) in other.bytes().rev().enumerate() {
            places[shift + place] += u32::from(left - b'0') * u32::from(right - b'0');
        }
    }
    carry(&mut places, 0);
    places
}

/// Brings every place from `from` on below ten.
fn carry(places: &mut Vec<u32>, from: usize) {
    let mut carried = 0;
    for place in &mut places[from..] {
        let sum = *place + carried;
        (*place, carried) = (sum % 10, sum / 10);
    }
    if carried > 0 {
        places.push(carried);
    }
}

/// Rounds to the place `kept`, a half upwards; every place below it becomes zero.
fn round(places: &mut Vec<u32>, kept: usize) {
    let Some(next) = kept.checked_sub(1) else { return };
    let up = places[next] >= 5;
    places[..kept].fill(0);
    if up {
        places[kept] += 1;
        carry(places, kept);
    }
}

/// The first place that is not zero.
fn top(places: &[u32]) -> Option<usize> {
    places.iter().rposition(|digit| *digit > 0)
}

/// The number with `point` places behind its point.
fn decimal(places: &[u32], point: usize) -> String {
    let (fraction, whole) = places.split_at(point);
    let text =
        |places: &[u32]| -> String { places.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect() };
    let (whole, fraction) = (text(whole), text(fraction));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}", grouped(if whole.is_empty() { "0" } else { whole }))
}

impl System {
    /// The currency of its prices, `USD` where it declares none.
    #[must_use]
    pub fn price_currency(&self) -> &str {
        if self.currency.is_empty() { CURRENCY } else { &self.currency }
    }

    /// The asset that it declares under that name; without a chain, where it declares only one of that name.
    pub(super) fn declared_asset(&self, asset: &str, chain: Option<&str>) -> Option<&Asset> {
        let here = |row: &&Asset| chain.is_none_or(|chain| row.chain.eq_ignore_ascii_case(chain));
        let mut declared = self.assets.iter().filter(|row| row.asset == asset).filter(here);
        let row = declared.next()?;
        declared.next().is_none().then_some(row)
    }

    /// What is wrong with its prices.
    pub(super) fn check_prices(&self) -> Result<(), String> {
        let currency = &self.currency;
        let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if !(currency.is_empty() || is_code) {
            return Err(format!("`currency`: `{currency}` is no code of three capital letters (ISO 4217)"));
        }
        for asset in &self.assets {
            self.check_price(asset).map_err(|problem| format!("`assets`: `{}`: {problem}", asset.asset))?;
        }
        let quoted = self.assets.iter().filter(|asset| !asset.price_source.is_empty()).count();
        if quoted > QUOTED_ASSETS_MAX {
            return Err(format!("`assets`: {quoted} have a `price_source`; {QUOTED_ASSETS_MAX} may"));
        }
        Ok(())
    }

    /// A price is one or the other, so that nobody asks which of two holds; its source has to be declared, since a misspelt one
    /// would never be believed.
    fn check_price(&self, asset: &Asset) -> Result<(), String> {
        let (price, source) = (&asset.price, &asset.price_source);
        match (price.is_empty(), source.is_empty()) {
            (true, true) => Ok(()),
            (false, false) => Err("it has both `price` and `price_source`; declare one".to_owned()),
            (false, true) => price.parse::<Price>().map(|_| ()).map_err(|problem| format!("its `price` {problem}")),
            (true, false) if self.sources.iter().any(|declared| declared.source == *source) => Ok(()),
            (true, false) => Err(format!("its `price_source` `{source}` is not among the system's sources")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Inventory;

    fn value(digits: &str, decimals: usize, price: &str) -> Option<String> {
        price.parse::<Price>().unwrap().value_of(digits, decimals, "USD")
    }

    #[test]
    fn a_value_is_rounded_to_three_digits_and_cents() {
        for (digits, decimals, price, said) in [
            ("401346768858404671833410", 18, "2667.5", "about 1.07 bn USD"),
            ("1", 0, "3450.25", "about 3,450 USD"),
            ("100", 2, "1", "about 1 USD"),
            ("1", 0, "0.999", "about 1 USD"),
            ("1", 0, "0.5", "about 0.5 USD"),
            ("1", 0, "0.0512", "about 0.05 USD"),
            ("1", 0, "0.005", "about 0.01 USD"),
            ("1", 0, "0.00499", "less than 0.01 USD"),
            ("1", 18, "0.000000000000000001", "less than 0.01 USD"),
            ("1", 0, "12.345", "about 12.3 USD"),
            ("1", 0, "12.35", "about 12.4 USD"),
            ("1", 0, "99.95", "about 100 USD"),
            ("1", 0, "99.949", "about 99.9 USD"),
            ("1", 0, "1234.5", "about 1,230 USD"),
            ("1", 0, "1235", "about 1,240 USD"),
            ("1", 0, "999499", "about 999,000 USD"),
            ("1", 0, "999500", "about 1 m USD"),
            ("1", 0, "1234999", "about 1.23 m USD"),
            ("1", 0, "45260000", "about 45.3 m USD"),
            ("1", 0, "999500000", "about 1 bn USD"),
            ("1", 0, "150000000000", "about 150 bn USD"),
            ("1", 0, "2500000000000", "about 2.5 tn USD"),
            ("999", 0, "1000000000000", "about 999 tn USD"),
        ] {
            assert_eq!(value(digits, decimals, price).as_deref(), Some(said), "{digits} at {price}");
        }
    }

    #[test]
    fn what_has_no_sensible_value_has_none() {
        let unlimited = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(value("1000", 0, "1000000000000"), None);
        assert_eq!(value("999500000000000", 0, "1"), None, "rounded up to a thousand trillions");
        assert_eq!(value(unlimited, 18, "3450.25"), None);
        assert_eq!(value(unlimited, 0, "999999999999999999.999999999999999999"), None);
        for digits in ["0", "000", "", "unknown", "-5", "1.5"] {
            assert_eq!(value(digits, 0, "1"), None, "{digits}");
        }
    }

    #[test]
    fn a_price_is_a_decimal_number_above_zero() {
        for good in ["1", "3450.25", "0.000000000000000001", "007", "999999999999999999.5"] {
            assert_eq!(good.parse::<Price>().unwrap().to_string(), good);
        }
        for (bad, said) in [
            ("", "is no decimal number"),
            (".5", "is no decimal number"),
            ("5.", "is no decimal number"),
            ("1,000", "is no decimal number"),
            ("1e3", "is no decimal number"),
            ("1.2.3", "is no decimal number"),
            ("+1", "is no decimal number"),
            ("٣", "is no decimal number"),
            ("-3450.25", "is negative"),
            ("0.00", "is zero"),
            ("1234567890123456789", "more than 18 digits"),
            ("1.1234567890123456789", "more than 18 digits"),
        ] {
            let problem = bad.parse::<Price>().unwrap_err();
            assert!(problem.contains(said), "{bad}: {problem}");
        }
    }

    #[test]
    fn what_is_wrong_with_prices_is_named() {
        let declared = |system: &str, asset: &str| {
            format!(
                "[[systems]]\nid = \"cold\"\n{system}\n[[systems.sources]]\nsource = \"quotes\"\nfeed = \"events\"\n\
                 [[systems.assets]]\nasset = \"ETH\"\nchain = \"ethereum\"\ndecimals = 18\n{asset}"
            )
        };
        for (system, asset) in
            [("", "price = \"3450.25\""), ("currency = \"EUR\"", "price_source = \"quotes\""), ("", "")]
        {
            Inventory::parse("i.toml", &declared(system, asset)).unwrap();
        }
        for (system, asset, said) in [
            ("", "price = \"1\"\nprice_source = \"quotes\"", "`ETH`: it has both `price` and `price_source`"),
            ("", "price_source = \"quoter\"", "its `price_source` `quoter` is not among the system's sources"),
            ("", "price = \"-1\"", "its `price` `-1` is negative"),
            ("", "price = \"a lot\"", "its `price` `a lot` is no decimal number"),
            ("", "price = \"1.0000000000000000001\"", "more than 18 digits"),
            ("", "price = 3450.25", "expected a string"),
            ("currency = \"dollars\"", "", "`dollars` is no code of three capital letters"),
        ] {
            let error = Inventory::parse("i.toml", &declared(system, asset)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
