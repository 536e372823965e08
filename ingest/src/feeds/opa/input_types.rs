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
        Found::Value(Value::Number(number)) => put("amount_positive", Value::from(is_positive(number.as_str()))),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positive_is_above_zero_however_small() {
        for (text, positive) in [("0", false), ("-1", false), ("0.00e9", false), ("1e-400", true), ("5", true)] {
            assert_eq!(is_positive(text), positive, "{text}");
        }
    }
}
