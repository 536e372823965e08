//! What can be said of a policy's input by its types alone, so that rules need not look into JSON: the traps of
//! policies that compare without checking types (Rego orders null < boolean < number < string < array < object).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::input_mapping::{Found, Input, InputMapping};
use crate::feeds::fields::type_name;

pub(super) fn add(detail: &mut Map<String, Value>, mapping: &InputMapping, input: &Input<'_>) {
    let mut put = |name: &str, value: Value| detail.insert(name.to_owned(), value);
    put("amount_type", type_at(input, &mapping.amount_usd));
    put("risk_type", type_at(input, &mapping.risk));
    put("approvals_type", type_at(input, &mapping.approvals));
    match input.at(&mapping.amount_usd) {
        Found::Masked => None,
        Found::Value(Value::Number(number)) => put("amount_positive", Value::from(is_positive(&number.to_string()))),
        _ => put("amount_positive", Value::from(false)),
    };
    let Found::Value(Value::Array(approvals)) = input.at(&mapping.approvals) else { return };
    put("approvals", Value::from(approvals.len()));
    // With approvers masked nothing can be said about them.
    if input.hidden_within(&mapping.approvals) {
        return;
    }
    let approvers = approvers(approvals, mapping);
    put("approvers_distinct", Value::from(approvers.len()));
    if let Found::Value(initiator) = input.at(&mapping.initiator) {
        let initiator = initiator.as_str().unwrap_or_default().to_lowercase();
        put("self_approved", Value::from(approvers.contains(&initiator)));
    } else if input.at(&mapping.initiator) == Found::Absent {
        put("self_approved", Value::from(false));
    }
}

fn type_at(input: &Input<'_>, pointer: &str) -> Value {
    Value::from(match input.at(pointer) {
        Found::Value(value) => type_name(value),
        Found::Masked => "masked",
        Found::Absent => "absent",
    })
}

/// Distinct approvers with an affirmative approval, case-folded.
fn approvers(approvals: &[Value], mapping: &InputMapping) -> BTreeSet<String> {
    let affirmed = |approval: &&Value| approval.pointer(&mapping.affirmed) == Some(&Value::Bool(true));
    let named = |approval: &Value| Some(approval.pointer(&mapping.approver)?.as_str()?.to_lowercase());
    approvals.iter().filter(affirmed).filter_map(named).filter(|name| !name.is_empty()).collect()
}

/// Whether a JSON number is above zero, however small.
fn is_positive(number: &str) -> bool {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    !number.starts_with('-') && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'))
}

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

    #[test]
    fn positive_is_above_zero_however_small() {
        for (text, positive) in [("0", false), ("-1", false), ("0.00e9", false), ("1e-400", true), ("5", true)] {
            assert_eq!(is_positive(text), positive, "{text}");
        }
    }
}
