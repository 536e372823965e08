//! What is kept of a record beside the columns: all of it, secrets and what is personal hidden, up to a cap.
//!
//! It knows names, not meanings: a secret or a person's name under a name that tells nothing is kept, and a name that is to
//! be hidden is not looked for within text. Members that come first are kept first, whatever they are worth.

use std::borrow::Cow;
use std::cell::Cell;

use keywatch_store::event::{CanonicalJson, Place};
use serde_json::{Map, Value, json};

use crate::feeds::json::written_bytes;
use crate::{limits, mask};

/// What is kept of a record.
pub(super) struct Kept {
    /// Its members that fit, masked.
    pub(super) record: CanonicalJson,
    /// The names of those that do not.
    pub(super) left_out: Vec<String>,
    /// Whether it is the record as it was: nothing hidden, nothing left out.
    is_whole: bool,
}

impl Kept {
    /// The text of the record itself, where that is what is kept.
    pub(super) fn whole(&self) -> Option<&str> {
        self.is_whole.then(|| self.record.as_str())
    }
}

/// What is kept of a record; members that are `hidden` are personal.
pub(super) fn of(record: &Value, hidden: &[&str]) -> Kept {
    let Value::Object(members) = record else {
        return Kept { record: CanonicalJson::from(&json!({})), left_out: Vec::new(), is_whole: false };
    };
    let mut fitting = Vec::with_capacity(members.len());
    let mut left_out = Vec::new();
    let mut bytes = 0;
    for (name, member) in members {
        let size = name.len() + written_bytes(member);
        if bytes + size > limits::KEPT_BYTES_MAX {
            if left_out.len() < limits::LEFT_OUT_NAMES_MAX {
                left_out.push(crate::reject::capped(name, limits::NAME_BYTES_MAX));
            }
            continue;
        }
        bytes += size;
        fitting.push((name, member));
    }
    if left_out.is_empty() {
        let (record, is_whole) = shown(record, hidden);
        return Kept { record, left_out, is_whole };
    }
    let kept: Map<String, Value> = fitting.into_iter().map(|(name, member)| (name.clone(), member.clone())).collect();
    let (record, _) = shown(&Value::Object(kept), hidden);
    Kept { record, left_out, is_whole: false }
}

/// The text of a value without secrets and what is personal, as [`mask::values`] and [`hide`] leave it; whether there was
/// nothing to hide.
fn shown(value: &Value, hidden: &[&str]) -> (CanonicalJson, bool) {
    let hid = Cell::new(false);
    let text = CanonicalJson::with(value, &|place, value| {
        let is_personal = matches!(place, Place::Member(name) if hidden.contains(&name));
        let instead = match value {
            _ if is_personal || mask::is_secret(place) => Some(Cow::Borrowed(mask::MASK)),
            Value::String(text) if mask::may_hold_secret(text) => mask::without_secrets(text, &[]).map(Cow::Owned),
            _ => None,
        };
        if instead.is_some() {
            hid.set(true);
        }
        instead
    });
    (text, !hid.get())
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
        Value::String(text) if mask::may_hold_secret(text) => {
            if let Some(masked) = mask::without_secrets(text, &[]) {
                *text = masked;
            }
        }
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
        let Kept { record, left_out, is_whole } = of(&record, &["phone"]);
        assert!(!record.as_str().contains("s3cret") && !is_whole, "{record:?}");
        let kept: Value = serde_json::from_str(record.as_str()).unwrap();
        assert_eq!(
            (&kept["x"], kept["uri"].as_str()),
            (&json!([1, {"y": true}]), Some("/login?user=a&access_token=***"))
        );
        assert!(left_out.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let record = json!({"a": 1, "b": "x".repeat(limits::KEPT_BYTES_MAX), "c": 2});
        let kept = of(&record, &[]);
        assert_eq!((kept.record.as_str(), kept.whole()), (r#"{"a":1,"c":2}"#, None));
        assert_eq!(kept.left_out, ["b"]);
    }

    #[test]
    fn the_whole_record_is_kept_as_its_crate_writes_it() {
        let record: Value =
            serde_json::from_str(r#"{"b":[1E400,-0.0,"é\u0001\"/"],"a":{"y":null,"x":{}},"c":"plain","":false}"#)
                .unwrap();
        assert_eq!(of(&record, &[]).whole(), Some(record.to_string().as_str()));
        for hidden in ["b", "x"] {
            assert_eq!(of(&record, &[hidden]).whole(), None, "{hidden}");
        }
        for secret in [json!({"password": "s3cret"}), json!({"uri": "/?password=s3cret"}), json!(["--token", "s3cret"])]
        {
            assert_eq!(of(&json!({ "a": secret }), &[]).whole(), None, "{secret}");
        }
        assert_eq!(of(&json!([]), &[]).whole(), None);
    }

    #[test]
    fn what_is_shown_is_what_masking_leaves() {
        let value = json!({
            "token": {"a": 1}, "phone": [1], "uri": "/?password=s3cret&x=1", "plain": "a b", "n": [null, 1.5, true],
            "argv": ["vault", "--token", "s3cret", "--password", {"x": 1}, "--token", "--api-key", 7, ["--token", "s3cret"]],
            "deep": [{"access_key": "s3cret", "authorization": null, "x": ["Bearer s3cret", {"phone": "1"}]}],
        });
        let mut masked = value.clone();
        mask::values(&mut masked);
        hide(&mut masked, &["phone"]);
        let (shown, _) = shown(&value, &["phone"]);
        assert_eq!(shown, CanonicalJson::from(&masked));
        assert!(!shown.as_str().contains("s3cret"));
    }
}
