//! What is kept of a record beside the columns: all of it, secrets and what is personal hidden, up to a cap.
//!
//! It knows names, not meanings: a secret or a person's name under a name that tells nothing is kept, and a name that is to
//! be hidden is not looked for within text. Members that come first are kept first, whatever they are worth.

use serde_json::{Map, Value, json};

use crate::{limits, mask};

/// The members of a record that fit, masked; the names of those that do not.
pub(super) fn of(record: &Value, hidden: &[&str]) -> (Value, Vec<String>) {
    let mut kept = Map::new();
    let mut left_out = Vec::new();
    let mut bytes = 0;
    let Value::Object(members) = record else { return (json!({}), left_out) };
    for (name, member) in members {
        let size = name.len() + member.to_string().len();
        if bytes + size > limits::KEPT_BYTES_MAX {
            if left_out.len() < limits::LEFT_OUT_NAMES_MAX {
                left_out.push(crate::reject::capped(name, limits::NAME_BYTES_MAX));
            }
            continue;
        }
        bytes += size;
        kept.insert(name.clone(), member.clone());
    }
    let mut kept = Value::Object(kept);
    mask::values(&mut kept);
    hide(&mut kept, hidden);
    (kept, left_out)
}

/// Hides what is personal, and secrets within texts: a query, a command line, JSON as text.
pub(super) fn hide(value: &mut Value, hidden: &[&str]) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                if hidden.contains(&name.as_str()) {
                    *member = Value::from(mask::MASK);
                } else {
                    hide(member, hidden);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide(item, hidden)),
        Value::String(text) if mask::may_hold_secret(text) => *text = mask::text(text),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_what_is_personal_are_hidden_and_the_rest_is_kept() {
        let record = json!({
            "uri": "/login?user=a&access_token=s3cret", "api_token": "s3cret", "phone": {"n": "s3cret"}, "x": [1, {"y": true}],
            "nested": "{\"password\":\"s3cret\"}",
        });
        let (kept, left_out) = of(&record, &["phone"]);
        assert!(!kept.to_string().contains("s3cret"), "{kept}");
        assert_eq!(
            (&kept["x"], kept["uri"].as_str()),
            (&json!([1, {"y": true}]), Some("/login?user=a&access_token=***"))
        );
        assert!(left_out.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let record = json!({"a": 1, "b": "x".repeat(limits::KEPT_BYTES_MAX), "c": 2});
        assert_eq!(of(&record, &[]), (json!({"a": 1, "c": 2}), vec!["b".to_owned()]));
    }
}
