//! The rules that run: what each finds, why that matters, what to do, when it fires without anything being wrong, and how it is
//! run.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::time::SECOND_NS;
use serde_json::{Value, json};

use super::{Answer, Api, Refusal};
use crate::explanation;
use crate::service::metrics::Metrics;

/// The rules that run.
pub(crate) struct Rules {
    rules: Vec<Rule>,
    /// What a list says of them.
    views: Value,
}

impl Rules {
    /// All of them, in the order of their ids.
    pub(super) fn all(&self) -> &[Rule] {
        &self.rules
    }
}

/// `GET /v1/rules`.
pub(super) async fn list(State(api): State<Arc<Api>>) -> Answer {
    Ok(Json(json!({ "rules": api.known.rules.views })))
}

/// `GET /v1/rules/{family}/{name}`: a rule, and how it is run, as `keywatch detectors explain` says it.
pub(super) async fn show(State(api): State<Arc<Api>>, Path((family, name)): Path<(String, String)>) -> Answer {
    let id = format!("{family}/{name}");
    api.away(move |api| {
        let found = api.known.rules.rules.iter().find(|rule| rule.id == id);
        let nothing = || Refusal::new(StatusCode::NOT_FOUND, format!("no rule `{id}` runs here"));
        let mut view = explained(found.ok_or_else(nothing)?)?;
        view["running"] = running(&api.metrics, &id);
        Ok(Json(view))
    })
    .await
}

/// Planned anew each time: seldom asked for, and the engine that runs it has other things to do.
fn explained(rule: &Rule) -> Result<Value, Refusal> {
    let engine = Engine::new(std::slice::from_ref(rule), &Settings::default());
    let engine = engine.map_err(|error| Refusal::unavailable(&error.to_string()))?;
    let defect = || Refusal::unavailable("the plan is not there; this is a defect of keywatch");
    let description = engine.describe(&rule.id).ok_or_else(defect)?;
    let (plan, _) = engine.explain(&rule.id).ok_or_else(defect)?;
    let explain = explanation::how_it_runs(&description).map_err(|_| defect())?;
    let parameters: Vec<Value> = rule.header.parameters.iter().map(|(name, parameter)| {
        json!({ "name": name, "default": explanation::shown(&parameter.default), "meaning": parameter.meaning })
    }).collect();
    let mut view = view(rule);
    view["parameters"] = Value::from(parameters);
    view["suppress_seconds"] = Value::from(rule.header.suppress_ns / SECOND_NS);
    view["decided_after_seconds"] = Value::from(description.following_ns / SECOND_NS);
    view["explain"] = Value::from(explain.trim());
    view["sql"] = Value::from(rule.sql.trim());
    view["plan"] = Value::from(plan.trim_end());
    Ok(view)
}

/// What the rule costs this process: what it took of the processor since the start, over how many records, and what its
/// windows remember now.
fn running(metrics: &Metrics, rule: &str) -> Value {
    let rule = [rule];
    json!({
        "processor_seconds": metrics.rule_processor.with_label_values(&rule).get(),
        "records": metrics.engine_records.with_label_values::<&str>(&[]).get(),
        "rows": metrics.rule_window_rows.with_label_values(&rule).get(),
        "bytes": metrics.rule_window_bytes.with_label_values(&rule).get(),
        "parked": metrics.rule_parked.with_label_values(&rule).get() == 1,
    })
}

/// What the API says of rules, in the order of their ids.
pub(crate) fn views(rules: &[Rule]) -> Rules {
    let mut rules = rules.to_vec();
    rules.sort_by(|one, other| one.id.cmp(&other.id));
    let views = rules.iter().map(view).collect();
    Rules { rules, views }
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
