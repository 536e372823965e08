//! What the parameters of a call open: ranges of addresses, policies for everybody, trails without their keys.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::{feeds, limits};

/// Members that hold a range of addresses, in lower case.
const RANGES: [&str; 4] = ["cidrip", "cidripv4", "cidripv6", "cidrblock"];

/// Adds what the parameters of a control call say that a rule cannot see in them.
pub(super) fn describe(record: &Value, detail: &mut Map<String, Value>) {
    let Some(parameters) = record.get("requestParameters") else { return };
    let mut ranges = Vec::new();
    collect_ranges(parameters, &mut ranges);
    let mut open = ranges.iter().any(|range| range.ends_with("/0"));
    if !ranges.is_empty() {
        detail.insert("ranges".to_owned(), json!(ranges));
    }
    for name in ["policy", "policyDocument", "assumeRolePolicyDocument"] {
        let policy = parameters.get(name).and_then(Value::as_str);
        open |= policy.is_some_and(allows_everybody);
    }
    if open {
        detail.insert("open_to_all".to_owned(), json!(true));
    }
    if record.get("eventName").and_then(Value::as_str) == Some("PutEventSelectors") && excludes_kms(parameters) {
        detail.insert("kms_excluded".to_owned(), json!(true));
    }
}

fn collect_ranges(value: &Value, ranges: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if RANGES.contains(&name.to_lowercase().as_str()) => {
                        if let Some(range) = masked(text).filter(|_| ranges.len() < limits::LEFT_OUT_NAMES_MAX) {
                            ranges.push(range);
                        }
                    }
                    other => collect_ranges(other, ranges),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_ranges(item, ranges)),
        _ => {}
    }
}

/// A range with its host bits cleared; a single address is the range of itself.
fn masked(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.trim().parse().ok()?;
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let bits: u32 = if bits.is_empty() { whole } else { bits.parse().ok()? };
    let host = whole.checked_sub(bits)?;
    Some(match address {
        IpAddr::V4(v4) => {
            let cleared = v4.to_bits().checked_shr(host).and_then(|kept| kept.checked_shl(host)).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv4Addr::from_bits(cleared))
        }
        IpAddr::V6(v6) => {
            let cleared = v6.to_bits().checked_shr(host).and_then(|kept| kept.checked_shl(host)).unwrap_or(0);
            format!("{}/{bits}", std::net::Ipv6Addr::from_bits(cleared))
        }
    })
}

/// Whether a statement of a policy allows everybody, without any condition.
fn allows_everybody(policy: &str) -> bool {
    let Ok(policy) = feeds::strict_json(policy.as_bytes()) else { return false };
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement) => vec![statement],
        None => Vec::new(),
    };
    statements.into_iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        allows && statement.get("Condition").is_none() && statement.get("Principal").is_some_and(is_everybody)
    })
}

fn is_everybody(principal: &Value) -> bool {
    match principal {
        Value::String(text) => text == "*",
        Value::Array(items) => items.iter().any(is_everybody),
        Value::Object(members) => members.values().any(is_everybody),
        _ => false,
    }
}

fn excludes_kms(parameters: &Value) -> bool {
    match parameters {
        Value::String(text) => text == "kms.amazonaws.com",
        Value::Array(items) => items.iter().any(excludes_kms),
        Value::Object(members) => members.values().any(excludes_kms),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_bits_are_cleared_before_anything_is_compared() {
        for (text, range) in [
            ("208.236.235.254/0", Some("0.0.0.0/0")),
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            ("10.1.2.3", Some("10.1.2.3/32")),
            ("::1/0", Some("::/0")),
            ("2001:db8::1/32", Some("2001:db8::/32")),
            ("10.0.0.0/33", None),
            ("everywhere", None),
        ] {
            assert_eq!(masked(text).as_deref(), range, "{text}");
        }
    }
}
