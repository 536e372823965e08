//! Lets a session in again: takes back the responses that hold it. Where one of them holds more than the session, it says so
//! and does nothing unless that is asked for too.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::body_as;
use super::responses::{decided, may_decide, taken_back};
use super::{Answer, Api, Caller, Refusal};

use keywatch_alerting::response::wording::name_targets;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restore {
    session: String,
    reason: String,
    #[serde(default)]
    with_the_rest: bool,
}

/// `POST /v1/sessions/restore`.
pub(super) async fn restore(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    may_decide(&operator)?;
    let Restore { session, reason, with_the_rest } = body_as(&body)?;
    api.away(move |api| {
        let holding = api.executor.standings(|progress| {
            let response = &progress.response;
            operator.sees(&response.system) && progress.is_decided() && response.targets.sessions.contains(&session)
        });
        if holding.is_empty() {
            let problem = "no revocation of this session stands in your systems";
            return Err(Refusal::new(StatusCode::NOT_FOUND, problem));
        }
        let responses = holding.iter().map(|standing| &standing.progress.response);
        if let Some(more) = responses.clone().find(|response| response.targets.iter().count() != 1 && !with_the_rest) {
            let problem = format!(
                "response {} stops more than this session: {}; say `with_the_rest` (--with-the-rest) where all of it is to be \
                 let in again",
                more.id,
                name_targets(&more.targets)
            );
            return Err(Refusal::new(StatusCode::CONFLICT, problem));
        }
        let mut undone = Vec::new();
        for response in responses {
            let outcome = taken_back(&api.threads.block_on(api.executor.undo(&response.id, &operator.name, &reason))?);
            undone.push(decided(api, &response.id, outcome));
        }
        Ok(Json(json!({ "undone": Value::from(undone) })))
    })
    .await
}
