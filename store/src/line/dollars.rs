//! US dollars as the line has them: text with two decimals, cents in memory.

/// Cents as dollars with two decimals: `-12.05`.
#[must_use]
pub fn format_usd(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let magnitude = cents.unsigned_abs();
    format!("{sign}{}.{:02}", magnitude / 100, magnitude % 100)
}

/// Dollars with at most two decimals, as cents.
///
/// # Errors
/// A text that is not a decimal number, has more than two decimals, or does not fit 64 bits of cents.
pub fn parse_usd(text: &str) -> Result<i64, String> {
    let refuse = || format!("`{text}` is not an amount of US dollars with at most two decimals");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let negative = whole.starts_with('-');
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(digits) || !plain(fraction) || fraction.len() > 2 {
        return Err(refuse());
    }
    let tenths = if fraction.len() == 1 { 10 } else { 1 };
    let cents_of_fraction = fraction.bytes().fold(0, |cents, digit| cents * 10 + i64::from(digit - b'0')) * tenths;
    let cents = digits.parse::<i64>().ok().and_then(|dollars| dollars.checked_mul(100)?.checked_add(cents_of_fraction));
    let cents = cents.ok_or_else(refuse)?;
    Ok(if negative { -cents } else { cents })
}
