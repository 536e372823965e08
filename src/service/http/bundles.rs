//! Signed revocation bundles for Open Policy Agents (OPA documentation, Bundles: `ETag`, long polling).
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/bundles/<system>/revocations.tar.gz` | the newest bundle, signed with the first key |
//! | `GET /v1/bundles/<system>/<key>/revocations.tar.gz` | the same, signed with that key |
//!
//! 304 when `If-None-Match` names the newest; with `Prefer: wait=<seconds>` the answer waits that long for a newer one. 401
//! without a token of that system, 404 for a key that does not sign, 503 before the first bundle. It signs nothing itself.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use keywatch_alerting::response::bundle::Fetched;
use serde_json::json;
use tokio::sync::watch;

use super::credentials::bearer;
use crate::limits::BUNDLE_WAIT_SECONDS_MAX;
use crate::service::bundles::Bundles;

/// By this OPA knows that it may ask to wait.
const BUNDLE_TYPE: &str = "application/vnd.openpolicyagent.bundles";

struct Serving {
    bundles: Bundles,
    /// Whoever waits is let go when keywatch stops.
    stopping: watch::Receiver<bool>,
}

/// The routes of bundles.
pub(crate) fn router(bundles: Bundles, stopping: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/v1/bundles/{system}/revocations.tar.gz", get(of_first_key))
        .route("/v1/bundles/{system}/{key}/revocations.tar.gz", get(of_key))
        .with_state(Arc::new(Serving { bundles, stopping }))
}

async fn of_first_key(State(serving): State<Arc<Serving>>, Path(system): Path<String>, headers: HeaderMap) -> Response {
    fetch(&serving, &system, None, &headers).await
}

async fn of_key(
    State(serving): State<Arc<Serving>>,
    Path((system, key)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    fetch(&serving, &system, Some(&key), &headers).await
}

async fn fetch(serving: &Serving, system: &str, key: Option<&str>, headers: &HeaderMap) -> Response {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let Some(board) = token.and_then(|token| serving.bundles.board_for(system, token)) else {
        return refusal(StatusCode::UNAUTHORIZED, "no token of a decision point of this system");
    };
    let known = known(headers);
    let mut stopping = serving.stopping.clone();
    let fetched = tokio::select! {
        fetched = board.fetch(key, &known, wait(headers)) => fetched,
        _ = stopping.wait_for(|stop| *stop) => return refusal(StatusCode::SERVICE_UNAVAILABLE, "keywatch stops"),
    };
    match fetched {
        Fetched::New(bundle) => {
            let body = Body::from(Bytes::from_owner(bundle.bytes));
            ([(header::CONTENT_TYPE, BUNDLE_TYPE.to_owned()), (header::ETAG, quoted(&bundle.etag))], body)
                .into_response()
        }
        Fetched::Unchanged(etag) => (StatusCode::NOT_MODIFIED, [(header::ETAG, quoted(&etag))]).into_response(),
        Fetched::Nothing => refusal(StatusCode::SERVICE_UNAVAILABLE, "nothing is published yet"),
        Fetched::NoKey => refusal(StatusCode::NOT_FOUND, "no key of that name signs bundles"),
    }
}

fn refusal(status: StatusCode, problem: &str) -> Response {
    (status, Json(json!({ "error": problem }))).into_response()
}

fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The entity tags of `If-None-Match` (RFC 9110 §13.1.2).
fn known(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(','));
    tags.map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned()).collect()
}

/// The `wait` of `Prefer` (RFC 7240 §4.3), within bounds.
fn wait(headers: &HeaderMap) -> Duration {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split([';', ',']));
    let seconds = preferences.find_map(|one| one.trim().strip_prefix("wait=")?.trim().parse::<u64>().ok());
    Duration::from_secs(seconds.unwrap_or(0).min(BUNDLE_WAIT_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn what_opa_asks_for_is_understood() {
        for (said, seconds) in [
            ("modes=snapshot,delta;wait=10", 10),
            ("wait=5", 5),
            ("modes=snapshot,delta", 0),
            ("wait=-1", 0),
            ("wait=99999", BUNDLE_WAIT_SECONDS_MAX),
        ] {
            assert_eq!(wait(&with("prefer", said)), Duration::from_secs(seconds), "{said}");
        }
        assert_eq!(known(&with("if-none-match", "\"a\", W/\"b\",c")), ["a", "b", "c"]);
        assert!(known(&HeaderMap::new()).is_empty());
    }
}
