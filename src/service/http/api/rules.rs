//! The rules that run: what each finds, why that matters, what to do, and when it fires without anything being wrong.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use keywatch_detectors::Rule;
use serde_json::{Value, json};

use super::{Answer, Api};

/// `GET /v1/rules`.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Answer {
    Ok(Json(json!({ "rules": api.known.rules })))
}

/// What the API says of rules, in the order of their ids.
pub(crate) fn views(rules: &[Rule]) -> Value {
    let mut rules: Vec<&Rule> = rules.iter().collect();
    rules.sort_by_key(|rule| &rule.id);
    rules.into_iter().map(view).collect()
}

fn view(rule: &Rule) -> Value {
    let header = &rule.header;
    json!({
        "id": rule.id,
        "version": header.version,
        "title": header.title,
        "severity": header.severity,
        "entity": header.entity,
        "meaning": header.meaning,
        "runbook": header.runbook,
        "false_positives": header.false_positives,
        "without_history": header.without_history,
        "needs": header.needs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "response": header.response,
        "ccss": header.ccss,
        "attack": header.attack,
    })
}
