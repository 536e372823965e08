//! Waits until something has changed that an operator sees, so that whoever looks at a list need not ask again and again.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use keywatch_alerting::AlertState;
use keywatch_store::Topic;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::{Answer, Api, Caller, Refusal, parameters, parsed};
use crate::limits::{CHANGES_LOOK_MS, CHANGES_WAIT_SECONDS_MAX};
use crate::service::operators::Operator;

/// `GET /v1/changes`: a word that stands for what the operator sees of incidents and silences now; with `seen`, as soon as it
/// is another one, or once `wait` seconds are over.
pub(super) async fn changes(State(api): State<Arc<Api>>, Extension(operator): Caller, uri: Uri) -> Answer {
    let mut parameters = parameters(&uri, &["seen", "wait"])?;
    let wait: u64 = parsed(&parameters, "wait")?.unwrap_or(0);
    if wait > CHANGES_WAIT_SECONDS_MAX {
        let problem = format!("`wait` is at most {CHANGES_WAIT_SECONDS_MAX} seconds");
        return Err(Refusal::new(StatusCode::BAD_REQUEST, problem));
    }
    let seen = parameters.remove("seen").unwrap_or_default();
    let busy = |_| Refusal::unavailable("too many wait for changes");
    let _waits = Arc::clone(&api.waiting).try_acquire_owned().map_err(busy)?;
    let until = Instant::now() + Duration::from_secs(wait);
    let mut stopping = api.stopping.clone();
    let (mut end, mut now) = (None, String::new());
    loop {
        // A state that is the same need not be gone through again.
        let ends = api.log.end(Topic::Conclusions);
        if end != Some(ends) {
            end = Some(ends);
            let operator = operator.clone();
            now = api.away(move |api| Ok(api.executor.with_state(|state| word(state, &operator)))).await?;
        }
        if now != seen || Instant::now() >= until || *stopping.borrow() {
            return Ok(Json(json!({ "seen": now, "changed": now != seen })));
        }
        let next = until.min(Instant::now() + Duration::from_millis(CHANGES_LOOK_MS));
        tokio::select! {
            () = sleep_until(next) => {}
            _ = stopping.changed() => {}
        }
    }
}

/// What stands for a state as the operator sees it. That an incident was merely looked at does not change it.
fn word(state: &AlertState, operator: &Operator) -> String {
    let mut hasher = DefaultHasher::new();
    for incident in state.incidents().iter().filter(|incident| operator.sees(&incident.system)) {
        (&incident.id, incident.findings, incident.last, incident.paging.pages).hash(&mut hasher);
        (incident.severity, incident.handling.acts, incident.handling.status.to_string()).hash(&mut hasher);
    }
    for silence in state.silences().iter().filter(|silence| operator.sees(&silence.request.system)) {
        (&silence.id, &silence.approved_by, &silence.ended_by).hash(&mut hasher);
    }
    for progress in state.responses().iter().filter(|progress| operator.sees(&progress.response.system)) {
        (&progress.response.id, progress.status()).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}
