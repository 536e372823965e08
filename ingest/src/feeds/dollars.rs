//! Dollars as JSON says them → whole cents.

/// A JSON number of dollars as cents, half a cent rounded away from zero; `None` when it does not fit 64 bits.
pub(crate) fn usd_cents(number: &str) -> Option<i64> {
    let negative = number.starts_with('-');
    let unsigned = number.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Some(0);
    }
    // The value is `digits` × 10^(exponent − digits after the point); in cents two more.
    let shift = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(2)?;
    let cents = shifted(digits, shift)?;
    Some(if negative { -cents } else { cents })
}

/// `digits` × 10^`shift`, rounded half up.
fn shifted(digits: &str, shift: i64) -> Option<i64> {
    let length = i64::try_from(digits.len()).ok()?;
    let kept = length.checked_add(shift)?;
    if kept < 0 {
        return Some(0);
    }
    if kept > 18 {
        return None;
    }
    let kept = usize::try_from(kept).ok()?;
    let (shown, dropped) = digits.split_at(kept.min(digits.len()));
    let value: i64 = if kept == 0 { 0 } else { format!("{shown:0<kept$}").parse().ok()? };
    Some(value + i64::from(dropped.as_bytes().first().is_some_and(|digit| *digit >= b'5')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_cents_exactly() {
        for (text, cents) in [
            ("0", Some(0)),
            ("-0.0", Some(0)),
            ("9999.99", Some(999_999)),
            ("9999.994", Some(999_999)),
            ("9999.995", Some(1_000_000)),
            ("-12.5", Some(-1250)),
            ("1.5e9", Some(150_000_000_000)),
            ("15E-1", Some(150)),
            ("1e-400", Some(0)),
            ("0.005", Some(1)),
            ("0.0049", Some(0)),
            ("1e17", None),
            ("1e999999999999999999999", None),
            ("1e9223372036854775807", None),
        ] {
            assert_eq!(usd_cents(text), cents, "{text}");
        }
    }
}
