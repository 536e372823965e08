//! Rules that are put into shadow, switched off and on again while keywatch runs: listed, asked for, agreed to. To lower what a
//! rule does takes two people who may; to raise it again takes one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::{Mode, Switch, SwitchRequest};
use keywatch_store::Instant;
use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::body_as;
use super::{Answer, Api, Caller, Refusal, lacks, parameters};
use crate::clock;
use crate::service::operators::{Operator, Permission};

/// How a rule is to be.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    Shadow,
    Off,
    On,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    system: String,
    rule: String,
    to: To,
    reason: String,
    until: Option<Instant>,
}

/// `GET /v1/switches`: those of all rules or of one, and the systems in which a rule can be switched.
pub(super) async fn list(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let parameters = parameters(&uri, &["rule"])?;
    api.away(move |api| {
        let (now, rule) = (clock::now(), parameters.get("rule"));
        let views: Vec<Value> = api.executor.with_state(|state| {
            let own = state.switches().iter().filter(|switch| operator.sees(&switch.request.system));
            let asked = own.filter(|switch| rule.is_none_or(|rule| switch.request.rule == *rule));
            asked.map(|switch| switch.view(now)).collect()
        });
        let inventory = api.known.inventory.now();
        let systems = inventory.systems.iter().map(|system| system.id.as_str());
        let systems: Vec<&str> = systems.filter(|system| operator.sees(system)).collect();
        Ok(Json(json!({ "systems": systems, "switches": views })))
    })
    .await
}

/// `POST /v1/switches`: asks that a rule is put into shadow or switched off, or switches it on.
pub(super) async fn switch(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    may_switch(&operator)?;
    let wanted: Wanted = body_as(&body)?;
    if !operator.sees(&wanted.system) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, format!("system `{}` is not one of yours", wanted.system)));
    }
    api.away(move |api| {
        let (now, by) = (clock::now(), operator.name.as_str());
        let to = match wanted.to {
            To::Shadow => Mode::Shadow,
            To::Off => Mode::Off,
            To::On => {
                let raising =
                    api.executor.raise((wanted.system.as_str(), wanted.rule.as_str()), by, &wanted.reason, now);
                return Ok(views(&api.threads.block_on(raising)?, now));
            }
        };
        let request = lowering(api, wanted, to)?;
        let asked = api.threads.block_on(api.executor.lower(request, by, now))?;
        Ok(views(&[asked], now))
    })
    .await
}

/// `POST /v1/switches/{id}/approve`: the second person agrees.
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path(id): Path<String>,
) -> Answer {
    may_switch(&operator)?;
    api.away(move |api| {
        let system = api.executor.with_state(|state| Some(state.switches().get(&id)?.request.system.clone()));
        if !system.is_some_and(|system| operator.sees(&system)) {
            let problem = format!("nobody asked for `{id}` in your systems");
            return Err(Refusal::new(StatusCode::NOT_FOUND, problem));
        }
        let now = clock::now();
        let approved = api.threads.block_on(api.executor.approve_switch(&id, &operator.name, now))?;
        Ok(views(&[approved], now))
    })
    .await
}

/// What is to be asked for: of a rule that runs here, until some time.
fn lowering(api: &Api, wanted: Wanted, to: Mode) -> Result<SwitchRequest, Refusal> {
    let Wanted { system, rule, reason, until, .. } = wanted;
    if !api.known.rules.all().iter().any(|known| known.id == rule) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, format!("no rule `{rule}` runs here")));
    }
    let unlimited = || Refusal::new(StatusCode::BAD_REQUEST, "`until` says when the rule is on again");
    Ok(SwitchRequest { system, rule, to, reason, until: until.ok_or_else(unlimited)? })
}

fn views(switches: &[Switch], now: Instant) -> Json<Value> {
    let views: Vec<Value> = switches.iter().map(|switch| switch.view(now)).collect();
    Json(json!({ "switches": views }))
}

fn may_switch(operator: &Operator) -> Result<(), Refusal> {
    if operator.may(Permission::Switch) { Ok(()) } else { Err(lacks(operator, Permission::Switch)) }
}
