//! What the parameters of a call open: ranges of addresses, policies for everybody, trails without their keys.
//!
//! It sees one call: not what stood before it, what another rule still forbids, or where a route leads.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

use crate::{feeds, limits};

/// Members that hold a range of addresses, in lower case.
const RANGES: [&str; 7] = [
    "cidrip",
    "cidripv4",
    "cidripv6",
    "cidrblock",
    "ipv6cidrblock",
    "destinationcidrblock",
    "destinationipv6cidrblock",
];

/// The ranges of a call.
#[derive(Default)]
struct Ranges {
    /// Up to [`limits::RANGES_MAX`] of them.
    listed: Vec<String>,
    /// Any of them, listed or not, is all addresses. A record has no more ranges than its bytes allow.
    has_all: bool,
}

/// Adds what the parameters of a control call say that a rule cannot see in them.
pub(super) fn describe(record: &Value, detail: &mut Map<String, Value>) {
    let Some(parameters) = record.get("requestParameters") else { return };
    let mut ranges = Ranges::default();
    collect_ranges(parameters, &mut ranges);
    let mut open = ranges.has_all;
    if !ranges.listed.is_empty() {
        detail.insert("ranges".to_owned(), json!(ranges.listed));
    }
    for name in ["policy", "policyDocument", "assumeRolePolicyDocument"] {
        let policy = parameters.get(name).and_then(Value::as_str);
        open |= policy.is_some_and(allows_everybody);
    }
    let act = record.get("eventName").and_then(Value::as_str).unwrap_or_default();
    if open && !closes(act, parameters) {
        detail.insert("open_to_all".to_owned(), json!(true));
    }
    if act == "PutEventSelectors" && excludes_kms(parameters) {
        detail.insert("kms_excluded".to_owned(), json!(true));
    }
}

/// Whether a call takes away or forbids what its parameters name.
fn closes(act: &str, parameters: &Value) -> bool {
    let rule = parameters.get("ruleAction").and_then(Value::as_str);
    let denies = rule.is_some_and(|rule| rule.eq_ignore_ascii_case("deny"));
    denies || act.starts_with("Revoke") || act.starts_with("Delete")
}

fn collect_ranges(value: &Value, ranges: &mut Ranges) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if RANGES.contains(&name.to_lowercase().as_str()) => {
                        let Some(range) = masked(text) else { continue };
                        ranges.has_all |= range.ends_with("/0");
                        if ranges.listed.len() < limits::RANGES_MAX {
                            ranges.listed.push(range);
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

/// Whether a statement of a policy allows everybody, or everybody but some, without any condition.
fn allows_everybody(policy: &str) -> bool {
    let Ok(policy) = feeds::strict_json(policy.as_bytes()) else { return false };
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement) => vec![statement],
        None => Vec::new(),
    };
    statements.into_iter().any(|statement| {
        let allows = statement.get("Effect").and_then(Value::as_str) == Some("Allow");
        let everybody = statement.get("NotPrincipal").is_some() || statement.get("Principal").is_some_and(is_everybody);
        allows && everybody && statement.get("Condition").is_none_or(is_no_condition)
    })
}

/// An empty condition always holds.
fn is_no_condition(condition: &Value) -> bool {
    condition.is_null() || condition.as_object().is_some_and(Map::is_empty)
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

    fn described(act: &str, parameters: &Value) -> Map<String, Value> {
        let mut detail = Map::new();
        describe(&json!({"eventName": act, "requestParameters": parameters}), &mut detail);
        detail
    }

    #[test]
    fn many_harmless_ranges_hide_no_open_one() {
        let mut items = vec![json!({"cidrIp": "10.0.0.0/8"}); limits::RANGES_MAX];
        items.push(json!({"cidrIp": "0.0.0.0/0"}));
        let detail = described("AuthorizeSecurityGroupIngress", &json!({"ipRanges": {"items": items}}));
        assert_eq!(detail["ranges"].as_array().map(Vec::len), Some(limits::RANGES_MAX));
        assert_eq!(detail["open_to_all"], true);
    }

    #[test]
    fn routes_and_lists_name_ranges_and_what_closes_opens_nothing() {
        for (act, parameters, open) in [
            ("CreateRoute", json!({"destinationCidrBlock": "0.0.0.0/0"}), true),
            ("CreateRoute", json!({"destinationIpv6CidrBlock": "::/0"}), true),
            ("CreateNetworkAclEntry", json!({"ipv6CidrBlock": "::/0", "ruleAction": "allow"}), true),
            ("CreateNetworkAclEntry", json!({"cidrBlock": "0.0.0.0/0", "ruleAction": "deny"}), false),
            ("RevokeSecurityGroupIngress", json!({"cidrIp": "0.0.0.0/0"}), false),
            ("DeleteRoute", json!({"destinationCidrBlock": "0.0.0.0/0"}), false),
        ] {
            let detail = described(act, &parameters);
            assert_eq!(detail.contains_key("open_to_all"), open, "{act} {parameters}");
            assert_eq!(detail["ranges"].as_array().map(Vec::len), Some(1), "{act} {parameters}");
        }
    }

    #[test]
    fn a_policy_is_open_to_all_but_some_and_under_an_empty_condition() {
        for (statement, open) in [
            (json!({"Effect": "Allow", "Principal": "*"}), true),
            (json!({"Effect": "Allow", "Principal": "*", "Condition": {}}), true),
            (
                json!({"Effect": "Allow", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
                false,
            ),
            (json!({"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:user/eve"}}), true),
            (json!({"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::1:user/dana"}}), false),
            (json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}}), false),
        ] {
            assert_eq!(allows_everybody(&json!({ "Statement": [statement] }).to_string()), open, "{statement}");
        }
    }
}
