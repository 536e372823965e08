//! How the receivers of notifications do, what was put aside, and trying that again.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::acts::body_as;
use super::{Answer, Api, Caller};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Redrive {
    destination: String,
    #[serde(default)]
    key: Option<String>,
}

/// `GET /v1/deliveries`.
pub(super) async fn deliveries(State(api): State<Arc<Api>>, Extension(operator): Caller) -> Answer {
    api.away(move |api| {
        let receivers: Vec<Value> = api
            .executor
            .receivers()
            .into_iter()
            .map(|receiver| {
                let (waiting, _) = api.executor.with_state(|state| state.waiting(&receiver.name));
                json!({
                    "name": receiver.name,
                    "down": receiver.down,
                    "waiting": waiting,
                    "dead": receiver.dead,
                    "last": receiver.last,
                })
            })
            .collect();
        let letters = api.executor.dead_letters().into_iter().filter(|letter| operator.sees(&letter.system));
        let letters: Vec<Value> = letters.map(|letter| json!(letter)).collect();
        Ok(Json(json!({ "receivers": receivers, "dead_letters": letters })))
    })
    .await
}

/// `POST /v1/deliveries/redrive`: dead letters of a destination, of the systems that the operator sees.
pub(super) async fn redrive(State(api): State<Arc<Api>>, Extension(operator): Caller, body: Bytes) -> Answer {
    let Redrive { destination, key } = body_as(&body)?;
    api.away(move |api| {
        let sees = |system: &str| operator.sees(system);
        let redriving = api.executor.redrive(&destination, key.as_deref(), &operator.name, sees);
        let redriven = api.threads.block_on(redriving)?;
        Ok(Json(json!({ "redriven": redriven })))
    })
    .await
}
