//! How partitions answer a request to the API together: which of them are asked, and how answers become one. It knows the
//! shapes of the API's answers, and asks nobody.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use axum::http::Method;
use keywatch_alerting::Status;
use keywatch_store::{Instant, Severity};
use serde_json::{Map, Value};

use crate::limits::ABOUT_EVENTS_MAX;

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
        ["v1", "incidents" | "alerts" | "responses" | "silences" | "switches" | "compromises", _, ..] => Asks::WhoHas,
        ["v1", "silences" | "switches" | "compromises"] if !is_read => Asks::OfSystem,
        [
            "v1",
            "incidents" | "alerts" | "responses" | "silences" | "switches" | "compromises" | "deliveries" | "sources"
            | "acknowledge" | "handover",
        ]
        | ["v1", "about", _]
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

/// Answers as one: lists behind each other and in the order of the API, counts added up, spans as wide as all.
pub(super) fn together(answers: Vec<Value>, wanted: Wanted) -> Value {
    let mut whole = Value::Object(Map::new());
    answers.into_iter().for_each(|answer| join("", &mut whole, answer));
    for (name, value) in whole.as_object_mut().into_iter().flatten() {
        if let Value::Array(list) = value {
            arrange(name, list, wanted);
        }
    }
    whole
}

/// Joins a value of that name to the one of the answers before.
fn join(name: &str, whole: &mut Value, more: Value) {
    if whole.is_null() {
        *whole = more;
        return;
    }
    match (whole, more) {
        (Value::Object(all), Value::Object(more)) => {
            for (name, value) in more {
                match all.get_mut(&name) {
                    Some(known) => join(&name, known, value),
                    None => drop(all.insert(name, value)),
                }
            }
        }
        (Value::Array(all), Value::Array(more)) => all.extend(more),
        (Value::Number(sum), Value::Number(more)) => {
            *sum = (sum.as_u64().unwrap_or_default() + more.as_u64().unwrap_or_default()).into();
        }
        (Value::Bool(all), Value::Bool(more)) => *all &= more,
        (Value::String(known), Value::String(more)) => {
            let (is, other) = (known.parse::<Instant>().ok(), more.parse::<Instant>().ok());
            let is_wider = match name {
                "first" | "since" | "looked_from" => other < is,
                "last" | "until" => other > is,
                _ => false,
            };
            if is_wider && other.is_some() {
                *known = more;
            }
        }
        _ => {}
    }
}

/// Puts a list of several into the order in which each partition has its own.
fn arrange(name: &str, list: &mut Vec<Value>, wanted: Wanted) {
    let time = |view: &Value, name: &str| read::<Instant>(view, name);
    let severity = |view: &Value| Reverse(read::<Severity>(view, "severity"));
    match name {
        "incidents" | "alerts" if wanted.is_newest_first => list.sort_by_key(|view| Reverse(time(view, "opened"))),
        // Alerts have no order of states.
        "incidents" => {
            list.sort_by_key(|view| (read::<Status>(view, "status"), severity(view), Reverse(time(view, "last"))));
        }
        "alerts" => list.sort_by_key(|view| (severity(view), Reverse(time(view, "last")))),
        // Those that wait for a person first.
        "responses" => list.sort_by_key(|view| (view["status"] != "proposed", Reverse(time(view, "decided")))),
        "unresolved" | "opened" | "resolved" => list.sort_by_key(|view| (severity(view), time(view, "opened"))),
        "acts" => list.sort_by_key(|view| time(view, "at")),
        "newest" => {
            list.sort_by_key(|view| Reverse(time(view, "time")));
            list.truncate(ABOUT_EVENTS_MAX);
        }
        "results" => keep_done(list),
        "rules" => add_up(list),
        _ => {}
    }
    list.truncate(wanted.limit);
}

fn read<T: serde::de::DeserializeOwned>(view: &Value, name: &str) -> Option<T> {
    serde_json::from_value(view[name].clone()).ok()
}

/// What a rule cost in all partitions.
fn add_up(list: &mut Vec<Value>) {
    let mut rules: BTreeMap<String, Value> = BTreeMap::new();
    for cost in list.drain(..) {
        let rule = cost["rule"].as_str().unwrap_or_default().to_owned();
        join("", rules.entry(rule).or_default(), cost);
    }
    list.extend(rules.into_values());
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
        let response = |id: &str, status: &str, second: u32| {
            let decided = format!("2026-03-01T09:00:{second:02}Z");
            json!({ "id": id, "status": status, "decided": decided })
        };
        let first = json!({ "responses": [response("a", "published", 8), response("b", "published", 2)] });
        let second = json!({ "responses": [response("c", "proposed", 1), response("d", "undone", 5)] });
        let responses = together(vec![first, second], Wanted { limit: 3, is_newest_first: false });
        assert_eq!(
            ids(&responses, "responses"),
            ["c", "a", "d"],
            "who waits for a person comes first, then the newest"
        );
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
    fn what_is_known_of_a_name_and_what_a_shift_leaves_is_added_up() {
        let heard = |system: &str, seconds: [u32; 2], complete: bool| {
            let [first, last] = seconds.map(|second| format!("2026-03-01T09:00:{second:02}Z"));
            let systems = json!({ system: 2 });
            json!({ "name": "ann", "events": 2, "first": first, "last": last, "kinds": { "session.presented": 2 },
                    "systems": systems, "newest": [{ "time": last }, { "time": first }], "complete": complete })
        };
        let unheard = json!({ "name": "ann", "events": 0, "first": null, "last": null, "kinds": {}, "systems": {},
                              "newest": [], "complete": true });
        let whole = together(vec![unheard, heard("cold", [3, 5], true), heard("abc", [1, 4], false)], WORST);
        let times = |second: u32| format!("2026-03-01T09:00:{second:02}Z");
        assert_eq!((&whole["first"], &whole["last"]), (&json!(times(1)), &json!(times(5))));
        assert_eq!((&whole["events"], &whole["complete"], &whole["name"]), (&json!(4), &json!(false), &json!("ann")));
        assert_eq!(whole["kinds"], json!({ "session.presented": 4 }));
        assert_eq!(whole["systems"], json!({ "cold": 2, "abc": 2 }));
        let newest: Vec<&Value> = whole["newest"].as_array().unwrap().iter().map(|event| &event["time"]).collect();
        assert_eq!(newest, [5, 4, 3, 1].map(|second| json!(times(second))).iter().collect::<Vec<_>>());

        let cost = |rule: &str, alerts: u32| json!({ "rule": rule, "alerts": alerts });
        let shift = |id: &str, severity: &str, rules: [Value; 2]| json!({ "opened": [incident(id, "open", severity, 7)], "rules": rules });
        let first = shift("a", "low", [cost("x/b", 1), cost("x/c", 2)]);
        let whole = together(vec![first, shift("b", "high", [cost("x/a", 4), cost("x/b", 8)])], WORST);
        assert_eq!(ids(&whole, "opened"), ["b", "a"]);
        assert_eq!(whole["rules"], json!([cost("x/a", 4), cost("x/b", 9), cost("x/c", 2)]));
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
            (Method::GET, "/v1/switches", Asks::All),
            (Method::POST, "/v1/switches", Asks::OfSystem),
            (Method::POST, "/v1/switches/s1/approve", Asks::WhoHas),
            (Method::POST, "/v1/compromises", Asks::OfSystem),
            (Method::GET, "/v1/compromises/c1", Asks::WhoHas),
            (Method::POST, "/v1/sessions/restore", Asks::All),
            (Method::GET, "/v1/rules/signing/blind", Asks::Any),
            (Method::GET, "/v1/me", Asks::Any),
            (Method::POST, "/v1/ingest/events", Asks::Any),
            (Method::GET, "/v1/handover", Asks::All),
            (Method::GET, "/v1/about/0xabc", Asks::All),
            (Method::GET, "/v1/noise", Asks::Named),
            (Method::GET, "/v1/changes", Asks::Named),
            (Method::GET, "/page", Asks::Named),
            (Method::GET, "/", Asks::Named),
        ] {
            assert_eq!(asks(&method, path), expected, "{method} {path}");
        }
    }
}
