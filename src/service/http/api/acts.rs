//! What operators do: acknowledge, assign, comment, resolve, reopen, silence. Each is a durable record before it is answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Json;
use keywatch_alerting::{Act, SilenceRequest, Verdict};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::views::AlertCounts;
use super::{Answer, Api, Caller, Refusal, lacks, names, views};
use crate::clock;
use crate::limits::{API_KEY_BYTES_MAX, API_MANY_MAX};
use crate::service::operators::{Operator, Permission};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assign {
    assignee: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Comment {
    comment: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolve {
    verdict: Verdict,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    pub(super) reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many {
    ids: BTreeSet<String>,
}

/// `POST /v1/incidents/{id}/{act}` and `POST /v1/alerts/{id}/{act}`.
pub(super) async fn act(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path((name, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let act = match act.as_str() {
        "acknowledge" => Act::Acknowledge,
        "assign" => Act::Assign { assignee: body_as::<Assign>(&body)?.assignee },
        "comment" => Act::Comment { comment: body_as::<Comment>(&body)?.comment },
        "resolve" => {
            let Resolve { verdict, reason } = body_as(&body)?;
            Act::Resolve { verdict, reason }
        }
        "reopen" => Act::Reopen { reason: body_as::<Reason>(&body)?.reason },
        other => {
            let known = "acknowledge, assign, comment, resolve, reopen";
            return Err(Refusal::new(StatusCode::NOT_FOUND, format!("nobody can `{other}`; there are {known}")));
        }
    };
    let key = key(&headers)?;
    api.away(move |api| operate(api, &operator, &name, key, act).map(Json)).await
}

/// `POST /v1/acknowledge`: several at once; each is answered for itself.
pub(super) async fn acknowledge_many(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    let Many { ids } = body_as(&body)?;
    if ids.len() > API_MANY_MAX {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, format!("at most {API_MANY_MAX} at once")));
    }
    api.away(move |api| {
        let one = |name: String| match operate(api, &operator, &name, None, Act::Acknowledge) {
            Ok(done) => json!({ "id": name, "incident": done["incident"], "changed": done["changed"] }),
            Err(refusal) => json!({ "id": name, "error": refusal.problem }),
        };
        Ok(Json(json!({ "results": ids.into_iter().map(one).collect::<Vec<Value>>() })))
    })
    .await
}

fn operate(api: &Api, operator: &Operator, name: &str, key: Option<String>, act: Act) -> Result<Value, Refusal> {
    let system = api.executor.with_state(|state| state.incident_of(name).map(|incident| incident.system.clone()));
    let Some(system) = system.filter(|system| operator.sees(system)) else { return Err(Refusal::nothing(name)) };
    if let Act::Assign { assignee: Some(assignee) } = &act {
        names::check_assignee(api, operator, assignee, &system)?;
    }
    let operating = api.executor.operate(name, &operator.name, key, act, clock::now());
    let operated = api.threads.block_on(operating)?;
    let incident = api.executor.with_state(|state| {
        let incident = state.incidents().get(&operated.incident)?;
        Some(views::incident(&AlertCounts::of(state), incident))
    });
    Ok(json!({ "incident": operated.incident, "changed": operated.changed, "now": incident }))
}

/// `GET /v1/silences`.
pub(super) async fn silences(State(api): State<Arc<Api>>, Extension(operator): Caller) -> Answer {
    api.away(move |api| {
        let now = clock::now();
        let views: Vec<Value> = api.executor.with_state(|state| {
            let all = state.silences().iter().filter(|silence| operator.sees(&silence.request.system));
            all.map(|silence| views::silence(silence, now)).collect()
        });
        Ok(Json(json!({ "silences": views })))
    })
    .await
}

/// `POST /v1/silences`.
pub(super) async fn silence(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    may_silence(&operator)?;
    let request: SilenceRequest = body_as(&body)?;
    if !operator.sees(&request.system) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, format!("system `{}` is not one of yours", request.system)));
    }
    api.away(move |api| {
        names::check_silence(api, &operator, &request)?;
        let now = clock::now();
        let silence = api.threads.block_on(api.executor.silence(request, &operator.name, now))?;
        Ok(Json(views::silence(&silence, now)))
    })
    .await
}

/// `POST /v1/silences/{id}/approve` and `POST /v1/silences/{id}/end`.
pub(super) async fn about_silence(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path((id, act)): Path<(String, String)>,
) -> Answer {
    may_silence(&operator)?;
    api.away(move |api| {
        let system = api.executor.with_state(|state| Some(state.silences().get(&id)?.request.system.clone()));
        if !system.is_some_and(|system| operator.sees(&system)) {
            return Err(Refusal::nothing(&id));
        }
        let now = clock::now();
        let silence = match act.as_str() {
            "approve" => api.threads.block_on(api.executor.approve_silence(&id, &operator.name, now))?,
            "end" => api.threads.block_on(api.executor.end_silence(&id, &operator.name, now))?,
            other => {
                let problem = format!("nobody can `{other}` a silence; there are approve, end");
                return Err(Refusal::new(StatusCode::NOT_FOUND, problem));
            }
        };
        Ok(Json(views::silence(&silence, now)))
    })
    .await
}

fn may_silence(operator: &Operator) -> Result<(), Refusal> {
    if operator.may(Permission::Silence) { Ok(()) } else { Err(lacks(operator, Permission::Silence)) }
}

pub(super) fn body_as<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}")))
}

/// What the client calls its request, so that a repetition of it is none.
fn key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let fits = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= API_KEY_BYTES_MAX);
    let problem = || format!("`Idempotency-Key` has 1 to {API_KEY_BYTES_MAX} printable characters");
    fits.map(|key| Some(key.to_owned())).ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, problem()))
}
