//! Waits for changes, so that a board shows what is new without being asked: a long poll of the API.
//!
//! Not a web socket: a connection that has left HTTP would have left the door's places, deadlines and its end in order too, and
//! every proxy understands a request that takes long.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Json, Response};

use super::Page;
use super::addresses::address;
use super::fields::Fields;
use super::sessions::Session;
use crate::limits::CHANGES_WAIT_SECONDS_MAX;

/// `GET /page/changes?seen=…`: as `GET /v1/changes`.
pub(super) async fn changes(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    uri: Uri,
) -> Response {
    let fields = Fields::read(uri.query().unwrap_or_default());
    let wait = CHANGES_WAIT_SECONDS_MAX.to_string();
    let path = address(&["v1", "changes"], &[("seen", fields.text("seen")), ("wait", &wait)]);
    let answered = page.ask(&session, Method::GET, &path, None).await;
    (answered.status, Json(answered.value)).into_response()
}
