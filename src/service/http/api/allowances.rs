//! Entries of the allow-list, made from the verdict on an alert. Who may handle alerts may ask for one; it holds only once
//! somebody who may silence agrees, as with a silence of criticals, and it is listed and ended as silences are.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Json;
use keywatch_alerting::AllowanceRequest;
use keywatch_store::Instant;
use serde::Deserialize;

use super::acts::body_as;
use super::{Answer, Api, Caller, Refusal, views};
use crate::clock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    reason: String,
    until: Instant,
    #[serde(default)]
    any: BTreeSet<String>,
    amount_max: Option<String>,
}

/// `POST /v1/alerts/{id}/allow`.
pub(super) async fn allow(
    State(api): State<Arc<Api>>,
    Extension(operator): Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> Answer {
    let Allow { reason, until, any, amount_max } = body_as(&body)?;
    api.away(move |api| {
        let system = api.executor.with_state(|state| state.incident_of(&id).map(|incident| incident.system.clone()));
        if !system.is_some_and(|system| operator.sees(&system)) {
            return Err(Refusal::nothing(&id));
        }
        let now = clock::now();
        let wanted = AllowanceRequest { alert: id, reason, until, any, amount_max };
        let allowing = api.executor.allow(&wanted, &operator.name, now);
        let silence = api.threads.block_on(allowing)?;
        Ok(Json(views::silence(&silence, now)))
    })
    .await
}
