//! How partitions answer a request to the API together: which of them are asked, and how answers become one. It knows the
//! shapes of the API's answers, and asks nobody.

use std::cmp::Reverse;

use axum::http::Method;
use keywatch_alerting::Status;
use keywatch_store::{Instant, Severity};
use serde_json::{Map, Value};

/// Who answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Any partition: each says the same.
    Any,
    /// The one that has what the path names; the others say that there is nothing.
    WhoHas,
    /// The one of the system that the body names.
    OfSystem,
    /// All, and their answers become one.
    All,
    /// One that whoever asks has to name.
    Named,
}

/// Who answers it.
pub(super) fn asks(method: &Method, path: &str) -> Asks {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let is_read = method.is_safe();
    match parts[..] {
        ["v1", "me" | "openapi.json" | "ingest" | "stream"] | ["v1", "rules" | "ingest" | "stream", ..] => Asks::Any,
        ["v1", "incidents" | "alerts" | "responses" | "silences", _, ..] => Asks::WhoHas,
        ["v1", "silences"] if !is_read => Asks::OfSystem,
        ["v1", "incidents" | "alerts" | "responses" | "silences" | "deliveries" | "sources" | "acknowledge"]
        | ["v1", "sessions", "restore"]
        | ["v1", "deliveries", "redrive"] => Asks::All,
        _ => Asks::Named,
    }
}

/// What a list is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Entries at most.
    pub(super) limit: usize,
    /// Whether what began last comes first, and not the worst.
    pub(super) is_newest_first: bool,
}

/// Answers as one: lists behind each other and in the order that was asked for, counts added up.
pub(super) fn together(answers: Vec<Value>, wanted: Wanted) -> Value {
    let mut whole = Map::new();
    for answer in answers {
        let Value::Object(answer) = answer else { continue };
        for (name, value) in answer {
            let Some(found) = whole.get_mut(&name) else {
                whole.insert(name, value);
                continue;
            };
            match (found, value) {
                (Value::Array(all), Value::Array(more)) => all.extend(more),
                (Value::Number(sum), Value::Number(more)) => {
                    *sum = (sum.as_u64().unwrap_or_default() + more.as_u64().unwrap_or_default()).into();
                }
                _ => {}
            }
        }
    }
    for (name, value) in &mut whole {
        let Value::Array(list) = value else { continue };
        match name.as_str() {
            "incidents" | "alerts" => sort(list, wanted.is_newest_first),
            "results" => keep_done(list),
            "responses" => {}
            _ => continue,
        }
        list.truncate(wanted.limit);
    }
    Value::Object(whole)
}

/// As each partition sorts its own: by the states and severities of the API, and by time.
fn sort(list: &mut [Value], is_newest_first: bool) {
    let status = |view: &Value| view.get("alerts").and_then(|_| read::<Status>(view, "status"));
    if is_newest_first {
        list.sort_by_key(|view| Reverse(read::<Instant>(view, "opened")));
    } else {
        list.sort_by_key(|view| {
            (status(view), Reverse((read::<Severity>(view, "severity"), read::<Instant>(view, "last"))))
        });
    }
}

fn read<T: serde::de::DeserializeOwned>(view: &Value, name: &str) -> Option<T> {
    serde_json::from_value(view[name].clone()).ok()
}

/// Of what was asked of all about the same names: what the one did that has it, else what the first says.
fn keep_done(list: &mut Vec<Value>) {
    let mut kept: Vec<Value> = Vec::new();
    for result in list.drain(..) {
        let is_done = result.get("error").is_none();
        match kept.iter().position(|other| other["id"] == result["id"]) {
            Some(index) if is_done => kept[index] = result,
            Some(_) => {}
            None => kept.push(result),
        }
    }
    *list = kept;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WORST: Wanted = Wanted { limit: 10, is_newest_first: false };

    fn incident(id: &str, status: &str, severity: &str, second: u32) -> Value {
        let time = format!("2026-03-01T09:00:{second:02}Z");
        json!({ "id": id, "status": status, "severity": severity, "opened": time, "last": time, "alerts": 1 })
    }

    fn ids(answer: &Value, list: &str) -> Vec<String> {
        answer[list].as_array().unwrap().iter().map(|view| view["id"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn lists_become_one_in_the_order_of_the_api() {
        let first = [incident("a", "open", "high", 1), incident("b", "resolved", "critical", 9)];
        let second = [incident("c", "open", "critical", 2), incident("d", "open", "high", 3)];
        let both = || [&first, &second].map(|list| json!({ "total": 2, "incidents": list })).to_vec();
        let whole = together(both(), WORST);
        assert_eq!((ids(&whole, "incidents").join(" "), &whole["total"]), ("c d a b".to_owned(), &json!(4)));
        let newest = together(both(), Wanted { limit: 2, is_newest_first: true });
        assert_eq!(ids(&newest, "incidents"), ["b", "d"]);
        let silences =
            together(vec![json!({ "silences": [{ "id": "s" }] }), json!({ "silences": [{ "id": "t" }] })], WORST);
        assert_eq!(ids(&silences, "silences"), ["s", "t"]);
    }

    #[test]
    fn of_several_that_were_asked_to_do_something_counts_who_did_it() {
        let result = |id: &str, done: bool| {
            if done { json!({ "id": id, "changed": true }) } else { json!({ "id": id, "error": "no" }) }
        };
        let first = json!({ "results": [result("a", false), result("b", true), result("x", false)] });
        let second = json!({ "results": [result("a", true), result("b", false), result("x", false)] });
        let whole = together(vec![first, second], WORST);
        assert_eq!(whole["results"], json!([result("a", true), result("b", true), result("x", false)]));
        assert_eq!(together(vec![json!({ "redriven": 2 }), json!({ "redriven": 3 })], WORST), json!({ "redriven": 5 }));
    }

    #[test]
    fn who_is_asked_follows_from_the_path() {
        for (method, path, expected) in [
            (Method::GET, "/v1/incidents", Asks::All),
            (Method::GET, "/v1/incidents/a1", Asks::WhoHas),
            (Method::POST, "/v1/incidents/a1/acknowledge", Asks::WhoHas),
            (Method::POST, "/v1/acknowledge", Asks::All),
            (Method::GET, "/v1/silences", Asks::All),
            (Method::POST, "/v1/silences", Asks::OfSystem),
            (Method::POST, "/v1/silences/s1/end", Asks::WhoHas),
            (Method::POST, "/v1/sessions/restore", Asks::All),
            (Method::GET, "/v1/rules/signing/blind", Asks::Any),
            (Method::GET, "/v1/me", Asks::Any),
            (Method::POST, "/v1/ingest/events", Asks::Any),
            (Method::GET, "/v1/handover", Asks::Named),
            (Method::GET, "/v1/about/0xabc", Asks::Named),
            (Method::GET, "/page", Asks::Named),
            (Method::GET, "/", Asks::Named),
        ] {
            assert_eq!(asks(&method, path), expected, "{method} {path}");
        }
    }
}
