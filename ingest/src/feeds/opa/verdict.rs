//! What a decision's result says.
//!
//! Policies answer in many shapes, so where the verdict stands is declared for each decision path (`verdicts` of the
//! source in the inventory). Where nothing is declared, the result itself and the members in [`USUAL`] are looked at.
//!
//! | outcome | when |
//! |---|---|
//! | `allow`, `deny` | a verdict was found |
//! | `undefined` | the log has no result: the policy said nothing, which an enforcement point must take for a denial |
//! | `error` | the log carries an error |
//! | `unknown` | a result in which no verdict was found, or two that disagree |
//!
//! `unknown` is no denial: a denial that never was would make every signature after it look forged, and the answer to a
//! partial evaluation is no verdict at all. Neither is it an allow: the text `"true"` and the number 1 let pass only at an
//! enforcement point that is at fault, and `result_type` in the detail says what was there.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::feeds::fields::type_name;

/// Where a verdict usually stands in a result that is an object: JSON pointers (RFC 6901). `/allow` is the word of most
/// policies, `/allowed` that of the Envoy plugin and of many portals, the others are those of policies that wrap it.
pub const USUAL: [&str; 6] =
    ["/allow", "/allowed", "/decision", "/result/allow", "/result/allowed", "/result/decision"];

/// `allow`, `deny` or `unknown`, and for the last one the reason.
#[must_use]
pub fn of(
    result: Option<&Value>,
    path: Option<&str>,
    declared: &BTreeMap<String, String>,
) -> (&'static str, Option<String>) {
    let Some(result) = result else { return unknown("the result is null") };
    let path = path.unwrap_or_default().trim_matches('/');
    if let Some(pointer) = declared.get(path) {
        return match result.pointer(pointer) {
            None => {
                unknown(&format!("the result has nothing at `{pointer}`, which the inventory declares for `{path}`"))
            }
            Some(found) => match verdict(found) {
                Some(allowed) => (word(allowed), None),
                None => unknown(&format!("`{pointer}` is {}, not a verdict", described(found))),
            },
        };
    }
    if let Value::Bool(allowed) = result {
        return (word(*allowed), None);
    }
    let found: Vec<(&str, &Value)> =
        USUAL.into_iter().filter_map(|pointer| Some((pointer, result.pointer(pointer)?))).collect();
    let verdicts: Vec<(&str, bool)> =
        found.iter().filter_map(|(pointer, value)| Some((*pointer, verdict(value)?))).collect();
    match (verdicts.as_slice(), found.first()) {
        ([(_, first), rest @ ..], _) if rest.iter().all(|(_, other)| other == first) => (word(*first), None),
        ([(one, _), rest @ ..], _) => {
            let other = rest.iter().map(|(pointer, _)| *pointer).collect::<Vec<_>>().join("`, `");
            unknown(&format!("`{one}` and `{other}` disagree"))
        }
        ([], Some((pointer, value))) => unknown(&format!("`{pointer}` is {}, not a verdict", described(value))),
        ([], None) => unknown(&format!("no verdict in a result that is {}", described(result))),
    }
}

/// A boolean, or one of the words that policies say in its place.
fn verdict(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(allowed) => Some(*allowed),
        Value::String(said) => match said.to_ascii_lowercase().as_str() {
            "allow" | "allowed" | "permit" | "permitted" => Some(true),
            "deny" | "denied" | "forbid" | "forbidden" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn word(allowed: bool) -> &'static str {
    if allowed { "allow" } else { "deny" }
}

fn unknown(reason: &str) -> (&'static str, Option<String>) {
    ("unknown", Some(reason.to_owned()))
}

fn described(value: &Value) -> String {
    match type_name(value) {
        "null" => "null".to_owned(),
        name @ ("array" | "object") => format!("an {name}"),
        name => format!("a {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_verdict_is_found_where_policies_put_it() {
        for (result, outcome) in [
            (json!(true), "allow"),
            (json!(false), "deny"),
            (json!({"allow": true, "reasons": []}), "allow"),
            (json!({"allowed": true, "headers": {}}), "allow"),
            (json!({"allowed": false, "http_status": 403}), "deny"),
            (json!({"result": {"decision": "DENY"}}), "deny"),
            (json!({"decision": "permit"}), "allow"),
            (json!({"allow": true, "allowed": true}), "allow"),
            (json!({"allow": true, "allowed": false}), "unknown"),
            (json!("true"), "unknown"),
            (json!({"allow": "true"}), "unknown"),
            (json!({}), "unknown"),
            (json!([true]), "unknown"),
            (json!(1), "unknown"),
            (json!({"queries": [[{"index": 0}]]}), "unknown"),
        ] {
            let (found, reason) = of(Some(&result), None, &BTreeMap::new());
            assert_eq!((found, reason.is_some()), (outcome, outcome == "unknown"), "{result}: {reason:?}");
        }
        assert_eq!(of(None, None, &BTreeMap::new()).0, "unknown");
    }

    #[test]
    fn what_is_declared_for_a_path_is_the_only_place() {
        let declared = BTreeMap::from([("portal/authz".to_owned(), "/grant/ok".to_owned())]);
        let at = |result: Value| of(Some(&result), Some("/portal/authz"), &declared);
        assert_eq!(at(json!({"grant": {"ok": true}, "allow": false})).0, "allow");
        assert_eq!(
            at(json!({"allow": true})).1.unwrap(),
            "the result has nothing at `/grant/ok`, which the inventory declares for `portal/authz`"
        );
        assert_eq!(at(json!({"grant": {"ok": 1}})).1.unwrap(), "`/grant/ok` is a number, not a verdict");
        assert_eq!(of(Some(&json!({"allow": true})), Some("other"), &declared).0, "allow");
    }
}
