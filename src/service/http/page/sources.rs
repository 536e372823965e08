//! The sources that may send: which of them keywatch hears of, and how late.

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
use crate::wording::span;

/// `GET /page/sources`.
pub(super) async fn list(State(page): State<Arc<Page>>, Extension(session): Extension<Session>) -> Response {
    let answered = page.ask(&session, Method::GET, "/v1/sources?newest=true", None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let (sources, said) = (items(&answered.value["sources"]), items(&answered.value["said"]["sources"]));
    let content = html! {
        h1 { "Sources" }
        p { "Since keywatch began to run: a source that has not spoken since counts from then." }
        p {
            "The delay is from what happened, by the clock of the source, to the log, over the newest records: half of them took no "
            "longer than the first, 99 of a hundred no longer than the second."
        }
        div.wide tabindex="0" role="region" aria-label="Sources" {
            table {
                thead { tr {
                    th scope="col" { "State" } th scope="col" { "System" } th scope="col" { "Source" } th scope="col" { "Feed" }
                    th scope="col" { "Last heard (UTC)" } th scope="col" { "Quiet for" } th scope="col" { "May be quiet for" }
                    th.number scope="col" { "Delay, half" } th.number scope="col" { "Delay, 99 %" }
                } }
                tbody { @for source in sources { (source_row(source, said)) } }
            }
        }
        @if sources.is_empty() {
            p.nothing { "No source may send to this keywatch: its configuration names those that may. A demo reads its records." }
        }
    };
    layout::page(&session, "Sources", "/page/sources", &content)
}

fn source_row(source: &Value, said: &[Value]) -> Markup {
    let same = |field: &str, other: &Value| text(source, field) == text(other, field);
    let own = said.iter().find(|other| same("system", other) && same("source", other));
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
            @for field in ["delay_milliseconds_median", "delay_milliseconds_p99"] {
                @let delay = own.and_then(|own| own[field].as_i64());
                td.number { @if let Some(delay) = delay { (delayed(delay)) } @else { span.quiet { "–" } } }
            }
        }
    }
}

/// A delay; below ten seconds to the millisecond, so that what is quick can be told apart.
fn delayed(milliseconds: i64) -> String {
    if milliseconds < 10_000 {
        return format!("{}.{:03} s", milliseconds / 1_000, milliseconds % 1_000);
    }
    span(milliseconds.saturating_mul(SECOND_NS / 1_000))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_has_its_own_delays_and_stays_text() {
        let attack = "<script>alert(1)</script>";
        let source = json!({ "system": "cold", "source": attack, "feed": "events", "quiet_seconds": 5 });
        let other =
            json!({ "system": "hot", "source": attack, "delay_milliseconds_median": 1, "delay_milliseconds_p99": 2 });
        let own = json!({
            "system": "cold", "source": attack, "delay_milliseconds_median": 1_204, "delay_milliseconds_p99": 61_900,
        });
        let shown = source_row(&source, &[other.clone(), own]).into_string();
        assert!(shown.contains(">1.204 s<") && shown.contains(">1 min 1 s<"), "{shown}");
        assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script"), "{shown}");
        let unheard = source_row(&source, &[other]).into_string();
        assert!(!unheard.contains("0.00"), "another system's are not its own: {unheard}");
    }
}
