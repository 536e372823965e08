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

/// Members that hold a policy: as text, or as JSON where the service takes it apart first.
const POLICIES: [&str; 6] =
    ["policy", "policyDocument", "assumeRolePolicyDocument", "bucketPolicy", "resourcePolicy", "policyText"];

/// Members of a permission of Lambda that narrow it to some callers.
const NARROWS: [&str; 3] = ["sourceArn", "sourceAccount", "principalOrgID"];

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
    open |= POLICIES.iter().any(|name| parameters.get(*name).is_some_and(opens));
    let act = record.get("eventName").and_then(Value::as_str).unwrap_or_default();
    open |= is_given_to_all(act, parameters);
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

/// Whether a disk, image, snapshot, bucket or function is given to everybody without a policy.
fn is_given_to_all(act: &str, parameters: &Value) -> bool {
    let is_all = |item: &Value| item == "all" || item.get("group").is_some_and(|group| group == "all");
    let shares = ["/createVolumePermission/add/items", "/launchPermission/add/items", "/valuesToAdd"];
    let mut items = shares.iter().filter_map(|share| parameters.pointer(share)?.as_array()).flatten();
    if items.any(is_all) {
        return true;
    }
    if act.starts_with("AddPermission") {
        let is_narrow = NARROWS.iter().any(|name| parameters.get(*name).is_some());
        return parameters.get("principal").is_some_and(is_everybody) && !is_narrow;
    }
    // Groups of S3 are addresses, and those under `global` are everybody and everybody with an account of AWS.
    let is_public = |text: &str| {
        matches!(text, "public-read" | "public-read-write" | "authenticated-read") || text.contains("/groups/global/")
    };
    act == "PutBucketAcl" && has_text(parameters, &is_public)
}

/// Whether a policy, as text or as JSON itself, allows everybody.
fn opens(policy: &Value) -> bool {
    match policy {
        Value::String(text) => feeds::strict_json(text.as_bytes()).is_ok_and(|policy| allows_everybody(&policy)),
        policy => allows_everybody(policy),
    }
}

/// Whether a statement of a policy allows everybody, or everybody but some, without any condition.
fn allows_everybody(policy: &Value) -> bool {
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
    has_text(parameters, &|text| text == "kms.amazonaws.com")
}

/// Whether any text within a value is such a one.
fn has_text(value: &Value, is_such: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_such(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, is_such)),
        Value::Object(members) => members.values().any(|member| has_text(member, is_such)),
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
            let policy = json!({ "Statement": [statement] });
            for form in [json!(policy.to_string()), policy] {
                assert_eq!(opens(&form), open, "{form}");
            }
        }
        assert!(!opens(&json!("no policy")) && !opens(&json!([""])) && !opens(&json!(null)));
    }

    #[test]
    fn what_is_given_to_everybody_without_a_policy_is_open() {
        let share = |group: &str| json!({"add": {"items": [{"userId": "111122223333"}, {"group": group}]}});
        for (act, parameters, open) in [
            ("ModifySnapshotAttribute", json!({"createVolumePermission": share("all")}), true),
            ("ModifySnapshotAttribute", json!({"createVolumePermission": share("none")}), false),
            ("ModifyImageAttribute", json!({"launchPermission": share("all")}), true),
            ("ModifyImageAttribute", json!({"launchPermission": {"remove": {"items": [{"group": "all"}]}}}), false),
            ("ModifyDBSnapshotAttribute", json!({"valuesToAdd": ["111122223333", "all"]}), true),
            ("ModifyDBSnapshotAttribute", json!({"valuesToAdd": ["111122223333"]}), false),
            ("PutBucketAcl", json!({"x-amz-acl": ["public-read"]}), true),
            ("PutBucketAcl", json!({"x-amz-acl": ["private"], "acl": [""]}), false),
            ("PutBucketAcl", json!({"x-amz-grant-read": "uri=http://acs.amazonaws.com/groups/global/AllUsers"}), true),
            ("AddPermission20150331v2", json!({"principal": "*", "action": "lambda:InvokeFunction"}), true),
            ("AddPermission20150331v2", json!({"principal": "*", "sourceAccount": "111122223333"}), false),
            ("AddPermission20150331v2", json!({"principal": "events.amazonaws.com"}), false),
            ("PutBucketPolicy", json!({"bucketPolicy": {"Statement": [{"Effect": "Allow", "Principal": "*"}]}}), true),
        ] {
            assert_eq!(described(act, &parameters).contains_key("open_to_all"), open, "{act} {parameters}");
        }
    }
}
