//! Exact amounts in base units (wei, satoshi, a token's smallest unit).
//!
//! The Arrow column is `Decimal128(38, 0)`. A larger integer (an unlimited allowance is 2^256 − 1) saturates there at
//! [`AMOUNT_MAX`]; the exact integer then stands in the event's detail under [`EXACT_KEY`], and its presence is the flag.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The largest amount the column holds: 10^38 − 1.
pub const AMOUNT_MAX: i128 = 99_999_999_999_999_999_999_999_999_999_999_999_999;

/// The key in an event's detail that carries the exact integer of a saturated amount, as a decimal string.
pub const EXACT_KEY: &str = "amount_exact";

/// A non-negative integer of base units, kept exactly.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount(Repr);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Fits(i128),
    /// Canonical decimal digits of an integer above [`AMOUNT_MAX`].
    Larger(String),
}

impl Amount {
    /// From an unsigned integer that a chain's word can hold.
    #[must_use]
    pub fn from_u128(units: u128) -> Amount {
        match i128::try_from(units) {
            Ok(units) if units <= AMOUNT_MAX => Amount(Repr::Fits(units)),
            _ => Amount(Repr::Larger(units.to_string())),
        }
    }

    /// From decimal digits, without sign, point or separators.
    ///
    /// # Errors
    /// A text that is not a whole non-negative decimal number of at most 78 digits (2^256 − 1 has 78).
    pub fn from_digits(text: &str) -> Result<Amount, String> {
        if let Some(units) = few_digits(text.as_bytes()) {
            return Ok(Amount(Repr::Fits(units.into())));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{}` is not a whole number of base units", shorten(text)));
        }
        let digits = text.trim_start_matches('0');
        if digits.len() > crate::limits::AMOUNT_DIGITS_MAX {
            return Err(format!("an amount of {} digits is more than a 256-bit word holds", digits.len()));
        }
        if digits.is_empty() {
            return Ok(Amount(Repr::Fits(0)));
        }
        Ok(match digits.parse::<i128>() {
            Ok(units) if units <= AMOUNT_MAX => Amount(Repr::Fits(units)),
            _ => Amount(Repr::Larger(digits.to_owned())),
        })
    }

    /// The value of the column: exact, or [`AMOUNT_MAX`] when it does not fit.
    #[must_use]
    pub fn saturated(&self) -> i128 {
        match &self.0 {
            Repr::Fits(units) => *units,
            Repr::Larger(_) => AMOUNT_MAX,
        }
    }

    /// The exact digits if the column cannot hold them.
    #[must_use]
    pub fn beyond_column(&self) -> Option<&str> {
        match &self.0 {
            Repr::Fits(_) => None,
            Repr::Larger(digits) => Some(digits),
        }
    }
}

/// The number that at most 18 digits are, which is what nearly every amount has.
fn few_digits(text: &[u8]) -> Option<i64> {
    if !(1..=18).contains(&text.len()) {
        return None;
    }
    text.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
}

fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Fits(units) => write!(f, "{units}"),
            Repr::Larger(digits) => f.write_str(digits),
        }
    }
}

impl Serialize for Amount {
    /// A decimal string: JSON numbers lose digits in many readers.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Amount::from_digits(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORD_MAX: &str = "115792089237316195423570985008687907853269984665640564039457584007913129639935";

    #[test]
    fn the_largest_word_survives_and_saturates_the_column() {
        let amount = Amount::from_digits(WORD_MAX).unwrap();
        assert_eq!(amount.to_string(), WORD_MAX);
        assert_eq!(amount.saturated(), AMOUNT_MAX);
        assert_eq!(amount.beyond_column(), Some(WORD_MAX));
        let json = serde_json::to_string(&amount).unwrap();
        assert_eq!(serde_json::from_str::<Amount>(&json).unwrap(), amount);
    }

    #[test]
    fn the_border_is_exact() {
        let fits = Amount::from_digits(&AMOUNT_MAX.to_string()).unwrap();
        assert_eq!(fits.beyond_column(), None);
        let larger = Amount::from_digits(&format!("1{}", "0".repeat(38))).unwrap();
        assert_eq!(larger.saturated(), AMOUNT_MAX);
        assert!(larger.beyond_column().is_some());
    }

    #[test]
    fn few_digits_are_read_as_many_are() {
        for text in ["0", "7", "007", "123456789012345678", "1234567890123456789"] {
            let long = format!("{}{text}", "0".repeat(40));
            assert_eq!(Amount::from_digits(text), Amount::from_digits(&long), "{text}");
            assert_eq!(Amount::from_digits(text).unwrap().to_string(), text.trim_start_matches("00"));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-1", "+1", "1.5", "1 2", "/1", "1:", "1e18", "0x10", " 1", &"9".repeat(79)] {
            assert!(Amount::from_digits(text).is_err(), "{text}");
        }
    }
}
