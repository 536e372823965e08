//! The board: incidents, the newest first, page by page, filtered by what stands in the address.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::Response;
use keywatch_store::Instant;
use maud::{Markup, html};
use serde_json::Value;

use super::addresses::{address, path};
use super::fields::Fields;
use super::parts::{age, choice, columns, items, pages, severity, status, text, time, unconfirmed_alerts};
use super::responses::waiting;
use super::sessions::Session;
use super::{Page, layout};
use crate::clock;
use crate::limits::{PAGE_BOARD_INCIDENTS, PAGE_BOARD_RESPONSES};
use crate::wording::shortened;

/// `GET /page`.
pub(super) async fn show(State(page): State<Arc<Page>>, Extension(session): Extension<Session>, uri: Uri) -> Response {
    let filter = Fields::read(uri.query().unwrap_or_default());
    let number: usize = filter.text("page").parse().unwrap_or(1).max(1);
    let offset = (number - 1).saturating_mul(PAGE_BOARD_INCIDENTS).to_string();
    let limit = PAGE_BOARD_INCIDENTS.to_string();
    let query = [
        ("order", "newest"),
        ("limit", limit.as_str()),
        ("offset", offset.as_str()),
        ("status", filter.text("status")),
        ("severity", filter.text("severity")),
        ("system", filter.text("system")),
        ("rule", filter.text("rule")),
    ];
    let seen = page.ask(&session, Method::GET, "/v1/changes", None).await;
    let answered = page.ask(&session, Method::GET, &address(&["v1", "incidents"], &query), None).await;
    let first = PAGE_BOARD_RESPONSES.to_string();
    let proposed = address(&["v1", "responses"], &[("status", "proposed"), ("limit", first.as_str())]);
    let proposed = page.ask(&session, Method::GET, &proposed, None).await;
    if let Some(refused) = [&answered, &proposed].into_iter().find(|answered| !answered.status.is_success()) {
        return layout::refused(Some(&session), refused.status, refused.problem());
    }
    let content = html! {
        div #board data-seen=(text(&seen.value, "seen")) {
            (board(&answered.value, &waiting(&proposed.value), &filter, number, clock::now()))
        }
        p #news role="status" aria-live="polite" {}
        p #heard .unseen role="status" {}
    };
    layout::live(&session, "Incidents", "/page", &content)
}

fn board(answer: &Value, waiting: &Markup, filter: &Fields, number: usize, now: Instant) -> Markup {
    let incidents = items(&answer["incidents"]);
    let total = usize::try_from(answer["total"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
    html! {
        h1 { "Incidents" }
        (waiting)
        (filters(filter))
        @if incidents.is_empty() {
            p.nothing {
                @if total > 0 { "This page is past the end: there are " (total) "." }
                @else if is_set(filter) { "No incident fits the filter. " a href="/page" { "Show all" } "." }
                @else { "No incident. That is good, unless a source is silent: see " a href="/page/sources" { "sources" } "." }
            }
        } @else {
            table.board role="table" aria-label="Incidents" {
                (columns(&["Severity", "State", "What happened", "System", "Age", "Began (UTC)", "Assignee"]))
                tbody role="rowgroup" { @for incident in incidents { (row(incident, now)) } }
            }
        }
        @let kept = ["status", "severity", "system", "rule"].map(|name| (name, filter.text(name)));
        (pages("/page", &kept, number, total, PAGE_BOARD_INCIDENTS))
    }
}

/// Whether the filter leaves anything out.
fn is_set(filter: &Fields) -> bool {
    ["status", "severity", "system", "rule"].into_iter().any(|name| !filter.text(name).trim().is_empty())
}

fn row(incident: &Value, now: Instant) -> Markup {
    let opened = text(incident, "opened");
    let assignee = incident["assignee"].as_str();
    let (id, title) = (text(incident, "id"), text(incident, "title"));
    html! {
        tr role="row" {
            td role="cell" data-label="Severity" { (severity(text(incident, "severity"))) }
            td role="cell" data-label="State" { (status(incident)) }
            td.title role="cell" {
                a.entry #(format!("i-{id}")) href=(path(&["page", "incidents", id])) title=(title) { (shortened(title)) }
                (unconfirmed_alerts(incident))
            }
            td role="cell" data-label="System" { (text(incident, "system")) }
            td role="cell" data-label="Age" { (age(opened, now)) }
            td role="cell" data-label="Began" { (time(opened)) }
            td role="cell" data-label="Assignee" { @if let Some(name) = assignee { (name) } @else { span.quiet { "nobody" } } }
        }
    }
}

fn filters(filter: &Fields) -> Markup {
    let chosen = |name: &str| filter.text(name).to_owned();
    html! {
        form.filters method="get" action="/page" {
            (choice("status", "State", Some("any"), &["open", "acknowledged", "resolved"], &chosen("status")))
            (choice("severity", "Severity, at least", Some("any"), &["critical", "high", "medium", "low"], &chosen("severity")))
            label { "System" input name="system" value=(filter.text("system")) placeholder="all of yours"; }
            label { "Rule" input name="rule" value=(filter.text("rule")) placeholder="any"; }
            button { "Show" }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_board_is_good_news_only_where_nothing_is_filtered_out() {
        let nothing = json!({ "total": 0, "incidents": [] });
        let said = |filter: &str| board(&nothing, &html! {}, &Fields::read(filter), 1, Instant(0)).into_string();
        assert!(said("status=&rule=").contains("That is good"));
        let filtered = said("system=colt-1");
        assert!(filtered.contains("No incident fits the filter") && !filtered.contains("That is good"), "{filtered}");
    }

    #[test]
    fn a_title_stays_text_and_pages_keep_the_filter() {
        let incident = json!({
            "id": "a/b", "title": "<script>alert(1) </script>", "severity": "high", "status": "open", "alerts": 3,
            "unconfirmed": 1,
        });
        let answer = json!({ "total": 10_000, "incidents": [incident] });
        let filter = Fields::read("status=open&page=2");
        let shown = board(&answer, &html! {}, &filter, 2, Instant(0)).into_string();
        assert!(shown.contains("&lt;script&gt;alert(1)") && !shown.contains("<script"), "{shown}");
        assert!(shown.contains("href=\"/page/incidents/a%2Fb\""), "{shown}");
        assert!(shown.contains("unconfirmed: 1 of 3"), "{shown}");
        let last = 10_000_usize.div_ceil(PAGE_BOARD_INCIDENTS);
        assert!(shown.contains(&format!("Page 2 of {last}, 10000 in all")), "{shown}");
        assert!(shown.contains("href=\"/page?status=open&amp;page=3\""), "{shown}");
    }
}
