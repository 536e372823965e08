//! Forms by which operators handle an incident, and what becomes of them: one request of the API each. Who may not do it sees no
//! form, and is refused by the API.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde_json::{Value, json};

use super::addresses::path;
use super::fields::Fields;
use super::parts::{choice, hidden, items, text};
use super::sessions::{Session, random};
use super::silences;
use super::{Page, layout};
use crate::service::operators::Permission;

const VERDICTS: [&str; 4] = ["true", "false", "benign", "test"];

/// `POST /page/incidents/{id}/{act}`.
pub(super) async fn act(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path((name, act)): Path<(String, String)>,
    fields: Fields,
) -> Response {
    let body = match act.as_str() {
        "assign" => json!({ "assignee": fields.get("assignee") }),
        "comment" => json!({ "comment": fields.text("comment") }),
        "resolve" => json!({ "verdict": fields.text("verdict"), "reason": fields.text("reason") }),
        "reopen" => json!({ "reason": fields.text("reason") }),
        _ => json!({}),
    };
    let asked = path(&["v1", "incidents", &name, &act]);
    let answered = page.ask_once(&session, Method::POST, &asked, Some(&body), fields.get("key")).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    Redirect::to(&path(&["page", "incidents", text(&answered.value, "incident")])).into_response()
}

/// What can be done about an incident without a word: to take it up.
pub(super) fn quick(session: &Session, incident: &Value) -> Markup {
    let (id, status, me) = (text(incident, "id"), text(incident, "status"), session.operator.name.as_str());
    if !session.operator.may(Permission::Handle) || status == "resolved" {
        return html! {};
    }
    html! {
        div.acts.quick {
            @if status == "open" { (form(session, id, "acknowledge", "Acknowledge", true, &html! {})) }
            @if incident["assignee"] != me { (form(session, id, "assign", "Take it", false, &hidden("assignee", me))) }
        }
    }
}

/// The forms of an incident that an operator may use.
pub(super) fn forms(session: &Session, incident: &Value) -> Markup {
    if !session.operator.may(Permission::Handle) {
        return html! {};
    }
    let (id, status) = (text(incident, "id"), text(incident, "status"));
    html! {
        section.acts aria-label="What you can do" {
            (form(session, id, "assign", "Assign", false, &html! {
                label { "To" input name="assignee" placeholder="nobody" value=(text(incident, "assignee")); }
            }))
            (form(session, id, "comment", "Comment", false, &html! {
                label.long { "Comment" textarea name="comment" rows="2" required {} }
            }))
            @if status == "resolved" {
                (form(session, id, "reopen", "Reopen", false, &html! { label.long { "Why" input name="reason" required; } }))
            } @else {
                (form(session, id, "resolve", "Resolve", false, &html! {
                    (choice("verdict", "It was", None, &VERDICTS, ""))
                    label.long { "Why" input name="reason" required; }
                }))
            }
            @if session.operator.may(Permission::Silence) { (silence(session, incident)) }
        }
    }
}

fn form(session: &Session, id: &str, act: &str, label: &str, first: bool, fields: &Markup) -> Markup {
    html! {
        form.act method="post" action=(path(&["page", "incidents", id, act])) {
            (hidden("token", &session.token))
            @if let Some(key) = random() { (hidden("key", &key)) }
            (fields)
            button.first[first] { (label) }
        }
    }
}

/// What of the incident may be silenced: a rule of it, in its system.
fn silence(session: &Session, incident: &Value) -> Markup {
    let mut rules: Vec<&str> = items(&incident["alert_list"]).iter().map(|alert| text(alert, "rule")).collect();
    rules.sort_unstable();
    rules.dedup();
    html! {
        details {
            summary { "Silence a rule of it" }
            (silences::form(session, text(incident, "system"), &rules))
        }
    }
}
