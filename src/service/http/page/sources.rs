//! The sources that may send: which of them keywatch hears of.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use keywatch_store::time::SECOND_NS;
use maud::{Markup, html};
use serde_json::Value;

use super::parts::{items, text, time};
use super::sessions::Session;
use super::{Page, layout};
use crate::words::span;

/// `GET /page/sources`.
pub(super) async fn list(State(page): State<Arc<Page>>, Extension(session): Extension<Session>) -> Response {
    let answered = page.ask(&session, Method::GET, "/v1/sources", None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let sources = items(&answered.value["sources"]);
    let content = html! {
        h1 { "Sources" }
        p { "Since keywatch began to run: a source that has not spoken since counts from then." }
        div.wide tabindex="0" role="region" aria-label="Sources" {
            table {
                thead { tr {
                    th scope="col" { "State" } th scope="col" { "System" } th scope="col" { "Source" } th scope="col" { "Feed" }
                    th scope="col" { "Last heard (UTC)" } th scope="col" { "Quiet for" } th scope="col" { "May be quiet for" }
                } }
                tbody { @for source in sources { (source_row(source)) } }
            }
        }
        @if sources.is_empty() { p.nothing { "No source may send." } }
    };
    layout::page(&session, "Sources", "/page/sources", &content)
}

fn source_row(source: &Value) -> Markup {
    let seconds = |field: &str| source[field].as_i64().map(|seconds| span(seconds.saturating_mul(SECOND_NS)));
    html! {
        tr {
            td { @if source["silent"] == true { strong.wrong { "✕ SILENT" } } @else { "✓ heard" } }
            td { (text(source, "system")) }
            td { (text(source, "source")) }
            td { (text(source, "feed")) }
            td { (time(text(source, "heard"))) }
            td { (seconds("quiet_seconds").unwrap_or_default()) }
            td { @if let Some(most) = seconds("heartbeat_seconds") { (most) } @else { span.quiet { "any time" } } }
        }
    }
}
