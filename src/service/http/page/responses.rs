//! Responses: what waits for a person to decide, and what was stopped, taken back or left alone; one of them with all that
//! somebody needs to know who decides on it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::{Method, Uri};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;

use super::addresses::{address, path};
use super::fields::Fields;
use super::parts::{choice, columns, id, items, lines, pages, severity, strings, text, time};
use super::sessions::Session;
use super::{Page, decisions, layout, rules};
use crate::limits::PAGE_LIST_RESPONSES;
use crate::service::http::api::responses::STATUSES;
use crate::wording::{short, shortened};

/// The sections of what a response names, and what one name of each is called.
const SECTIONS: [(&str, &str); 5] = [
    ("sessions", "session"),
    ("subjects", "person"),
    ("devices", "device"),
    ("requests", "request"),
    ("wallets", "wallet"),
];

/// `GET /page/responses`.
pub(super) async fn list(State(page): State<Arc<Page>>, Extension(session): Extension<Session>, uri: Uri) -> Response {
    let filter = Fields::read(uri.query().unwrap_or_default());
    let number: usize = filter.text("page").parse().unwrap_or(1).max(1);
    let limit = PAGE_LIST_RESPONSES.to_string();
    let offset = (number - 1).saturating_mul(PAGE_LIST_RESPONSES).to_string();
    let query = [
        ("limit", limit.as_str()),
        ("offset", offset.as_str()),
        ("status", filter.text("status")),
        ("system", filter.text("system")),
    ];
    let answered = page.ask(&session, Method::GET, &address(&["v1", "responses"], &query), None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let responses = items(&answered.value["responses"]);
    let total = usize::try_from(answered.value["total"].as_u64().unwrap_or_default()).unwrap_or(usize::MAX);
    let kept = [("status", filter.text("status")), ("system", filter.text("system"))];
    let content = html! {
        h1 { "Responses" }
        p { "What keywatch would stop, has stopped and was told to let in again; those that wait for a person first." }
        form.filters method="get" action="/page/responses" {
            (choice("status", "State", Some("any"), &STATUSES, filter.text("status")))
            label { "System" input name="system" value=(filter.text("system")) placeholder="all of yours"; }
            button { "Show" }
        }
        @if responses.is_empty() { p.nothing { "None." } } @else { (table(responses)) }
        (pages("/page/responses", &kept, number, total, PAGE_LIST_RESPONSES))
        @let form = decisions::restore_form(&session, &[], None);
        @if !form.0.is_empty() { section.acts aria-label="Let a session in again" { (form) } }
    };
    layout::page(&session, "Responses", "/page/responses", &content)
}

/// What waits for a person, for the board; nothing where nothing does.
pub(super) fn waiting(answer: &Value) -> Markup {
    let responses = items(&answer["responses"]);
    let total = answer["total"].as_u64().unwrap_or_default();
    html! {
        @if !responses.is_empty() {
            section.waiting aria-labelledby="waiting" {
                h2 #waiting { "Waiting for a person to decide: " (total) }
                (table(responses))
                @if total > responses.len() as u64 {
                    p { a #all-waiting href=(address(&["page", "responses"], &[("status", "proposed")])) { "All " (total) " of them" } }
                }
            }
        }
    }
}

fn table(responses: &[Value]) -> Markup {
    html! {
        div.wide #responses tabindex="0" role="region" aria-label="Responses" {
            table.board role="table" aria-label="Responses" {
                (columns(&["Severity", "State", "What it stops, and the rule", "About", "System", "Decided (UTC)"]))
                tbody role="rowgroup" { @for response in responses { (row(response)) } }
            }
        }
    }
}

fn row(response: &Value) -> Markup {
    let name = text(response, "id");
    html! {
        tr role="row" {
            td role="cell" data-label="Severity" { (severity(text(response, "severity"))) }
            td.state role="cell" data-label="State" { (state(response)) }
            td.title role="cell" {
                a.entry #(decisions::named(name)) href=(path(&["page", "responses", name])) { (shortened(text(response, "targets"))) }
                " " code.quiet { (text(response, "rule")) }
            }
            td role="cell" data-label="About" title=(text(response, "actor")) { (short(text(response, "actor"))) }
            td role="cell" data-label="System" { (text(response, "system")) }
            td role="cell" data-label="Decided" { (time(text(response, "decided"))) }
        }
    }
}

/// `GET /page/responses/{id}`.
pub(super) async fn show(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path(name): Path<String>,
) -> Response {
    let answered = page.ask(&session, Method::GET, &path(&["v1", "responses", &name]), None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let content = one(&answered.value, &decisions::forms(&session, &answered.value, None));
    layout::page(&session, "Response", "/page/responses", &content)
}

fn one(response: &Value, forms: &Markup) -> Markup {
    let finding = &response["finding"];
    let title = if finding.is_object() { text(finding, "title") } else { text(response, "rule") };
    let incident = text(response, "incident");
    html! {
        article.response {
            p.kicker {
                (severity(text(response, "severity"))) " " span { (state(response)) } " "
                span { (text(response, "system")) " · " (id(text(response, "id"))) }
            }
            h1 #(decisions::named(text(response, "id"))) { (shortened(title)) }
            (forms)
            dl.facts {
                dt { "It stops" }
                @for (section, word) in SECTIONS {
                    @for name in strings(&response["names"][section]) {
                        dd { (word) " " code { (name) } }
                    }
                }
                dt { "About" } dd { (text(response, "actor")) }
                dt { "Decided" } dd { (time(text(response, "decided"))) " UTC" }
                dt { "Because" } dd { (text(response, "why")) }
                dt { "Evidence" } dd { (evidence(response)) }
                @if !text(response, "because").is_empty() { dt { "Came of it" } dd.words { (text(response, "because")) } }
                dt { "Incident" } dd { a href=(path(&["page", "incidents", incident])) { (id(incident)) } }
                dt { "Rule" } dd { (rule(text(response, "rule"))) }
            }
            @if finding.is_object() {
                div.meaning {
                    div { h2 { "What it means" } p { (text(finding, "meaning")) } }
                    div { h2 { "What to do" } ol { (lines(text(finding, "runbook"))) } }
                }
            }
            (rulings(response))
        }
    }
}

/// A rule by its id; what keywatch finds about itself has no page.
fn rule(id: &str) -> Markup {
    html! {
        @if id.starts_with("keywatch/") { code { (id) } } @else { a href=(rules::link(id)) { code { (id) } } }
    }
}

/// Whether independent sources stand behind it by now.
fn evidence(response: &Value) -> Markup {
    let groups = strings(&response["trust_groups"]);
    html! {
        @match groups.as_slice() {
            [] => "no source that counts as a witness",
            [one] => { strong { "not twofold" } ": trust group " (one) " alone" },
            more => { "twofold: trust groups " (more.join(", ")) },
        }
        @if response["late"] == true { "; it came late" }
        @if let Some(says) = response["unconfirmed"]["says"].as_str() { "; " strong { (says) } }
    }
}

fn rulings(response: &Value) -> Markup {
    let rulings = items(&response["rulings"]);
    html! {
        h2 { "What people decided" }
        @if rulings.is_empty() { p.quiet { "Nothing yet." } }
        ul.plain role="list" {
            @for ruling in rulings {
                li {
                    (time(text(ruling, "at"))) " " strong { (text(ruling, "by")) } " " (text(ruling, "ruled")) ": "
                    span.words { (text(ruling, "reason")) }
                }
            }
        }
    }
}

/// The responses of an incident, each with the forms of who may decide on it.
pub(super) fn of_incident(session: &Session, responses: &[Value], incident: &Value) -> Markup {
    let name = text(incident, "id");
    let held = responses.iter().any(|response| response["in_force"] == true);
    let sessions = strings(&incident["sessions"]);
    html! {
        @if !responses.is_empty() {
            section {
                h2 { "What keywatch did" }
                ul.plain role="list" {
                    @for response in responses {
                        li {
                            (time(text(response, "decided"))) " " (state(response)) " "
                            a #(decisions::named(text(response, "id"))) href=(path(&["page", "responses", text(response, "id")])) {
                                (shortened(text(response, "targets")))
                            }
                            " " span.quiet { (text(response, "why")) }
                            @for ruling in items(&response["rulings"]) {
                                ". " strong { (text(ruling, "by")) } " " (text(ruling, "ruled")) ": "
                                span.words { (text(ruling, "reason")) }
                            }
                            (decisions::forms(session, response, Some(name)))
                        }
                    }
                }
                @let form = decisions::restore_form(session, &sessions, Some(name));
                @if held && !sessions.is_empty() && !form.0.is_empty() {
                    details { summary { "Let a session in again" } (form) }
                }
            }
        }
    }
}

/// Where a response stands, in words; who has agreed, who is still to.
fn state(response: &Value) -> Markup {
    let status = text(response, "status");
    let agreed = strings(&response["approvals"]);
    let needed = response["needed"].as_u64().unwrap_or(1).saturating_sub(agreed.len() as u64);
    let wrong = ["failed", "unconfirmed", "given_up"].contains(&status);
    html! {
        span.status.(if status == "proposed" { "is-open" } else { "is-taken" }) {
            @if wrong { span.wrong { "✕ " (status) } } @else { (status.replace('_', " ")) }
        }
        @if status == "proposed" {
            " waits for " (needed) @if needed == 1 { " person" } @else { " people" } " until "
            (time(text(response, "expires"))) " UTC"
            @if !agreed.is_empty() { ", " (agreed.join(", ")) " agreed" }
            @if response["shadow"] == true { ", shadow mode" }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_a_response_stands_is_said_and_names_stay_text() {
        let attack = "<script>alert(1)</script>";
        let response = json!({
            "id": "a/b", "status": "proposed", "needed": 2, "approvals": ["ann"], "expires": "2026-03-01T06:00:00Z",
            "targets": attack, "actor": attack, "rule": attack, "system": attack, "why": attack, "severity": attack,
            "names": { "sessions": [attack] }, "because": attack, "incident": "i", "trust_groups": [attack],
            "finding": { "title": attack, "meaning": attack, "runbook": attack },
            "rulings": [{ "at": "2026-03-01T06:00:00Z", "by": attack, "ruled": "approved", "reason": attack }],
        });
        for shown in [waiting(&json!({ "total": 9, "responses": [response] })), one(&response, &html! {})] {
            let shown = shown.into_string();
            assert!(shown.contains("waits for 1 person until") && shown.contains("ann agreed"), "{shown}");
            assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script"), "{shown}");
        }
        let shown = waiting(&json!({ "total": 9, "responses": [response] })).into_string();
        assert!(shown.contains("href=\"/page/responses/a%2Fb\"") && shown.contains("All 9 of them"), "{shown}");
        assert!(waiting(&json!({ "total": 0, "responses": [] })).into_string().is_empty());
    }
}
