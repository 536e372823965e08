//! What people decide on responses: forms to approve, reject and take back, to let a session in again, and what becomes of them.
//! Who may not do it sees no form, and is refused by the API.

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
use super::sessions::Session;
use super::{Page, layout};
use crate::service::operators::Permission;

/// `POST /page/responses/{id}/{act}`.
pub(super) async fn act(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path((id, act)): Path<(String, String)>,
    fields: Fields,
) -> Response {
    let because = json!({ "reason": fields.text("reason") });
    let answered = page.ask(&session, Method::POST, &path(&["v1", "responses", &id, &act]), Some(&because)).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    back(&fields, &["page", "responses", text(&answered.value, "response")])
}

/// `POST /page/sessions/restore`.
pub(super) async fn restore(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    fields: Fields,
) -> Response {
    let request = json!({
        "session": fields.text("session"),
        "reason": fields.text("reason"),
        "with_the_rest": fields.get("with_the_rest").is_some(),
    });
    let answered = page.ask(&session, Method::POST, "/v1/sessions/restore", Some(&request)).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    back(&fields, &["page", "responses"])
}

/// To the incident where the form stood, or else to another page.
fn back(fields: &Fields, otherwise: &[&str]) -> Response {
    let to = fields.get("incident").map_or_else(|| path(otherwise), |incident| path(&["page", "incidents", incident]));
    Redirect::to(&to).into_response()
}

/// The forms by which an operator may decide on a response; `incident` is where they stand, if in one.
pub(super) fn forms(session: &Session, response: &Value, incident: Option<&str>) -> Markup {
    let (waits, holds) = (response["status"] == "proposed", response["in_force"] == true);
    if !session.operator.may(Permission::Respond) || !(waits || holds) {
        return html! {};
    }
    if is_about(&session.operator.name, response) {
        return html! { p.quiet { "It is about you: somebody else has to decide." } };
    }
    let form = |act: &str, label: &str, first: bool| form(session, text(response, "id"), act, label, first, incident);
    let agreed = items(&response["approvals"]).iter().any(|name| is_same(name, &session.operator.name));
    html! {
        div.acts.decide {
            @if waits && agreed { p { "You have agreed; another person has to, too." } }
            @if waits && !agreed { (form("approve", "Approve", true)) }
            @if waits { (form("reject", "Reject", false)) }
            @if holds { (form("undo", "Take back", false)) }
        }
    }
}

fn form(session: &Session, id: &str, act: &str, label: &str, first: bool, incident: Option<&str>) -> Markup {
    html! {
        form.act method="post" action=(path(&["page", "responses", id, act])) {
            (hidden("token", &session.token))
            @if let Some(incident) = incident { (hidden("incident", incident)) }
            label.long {
                "Why " (label.to_lowercase())
                input name="reason" required autocomplete="off" aria-describedby=(named(id));
            }
            button.first[first] aria-describedby=(named(id)) { (label) }
        }
    }
}

/// The id of what says which response is meant; its forms refer to it, since there may be several on a page.
pub(super) fn named(id: &str) -> String {
    format!("r-{id}")
}

/// The form by which a session is let in again: one of an incident's, or any whose id is at hand.
pub(super) fn restore_form(session: &Session, sessions: &[&str], incident: Option<&str>) -> Markup {
    if !session.operator.may(Permission::Respond) {
        return html! {};
    }
    html! {
        form.act method="post" action="/page/sessions/restore" {
            (hidden("token", &session.token))
            @if let Some(incident) = incident { (hidden("incident", incident)) }
            @if sessions.is_empty() {
                label.long { "Session, all of its id" input name="session" required autocomplete="off"; }
            } @else {
                (choice("session", "Session", None, sessions, ""))
            }
            label.long { "Why" input name="reason" required autocomplete="off"; }
            label.check {
                input type="checkbox" name="with_the_rest" value="yes";
                "with whatever else the same responses stop"
            }
            button { "Let it in again" }
        }
    }
}

/// Whether a person is to decide on what is about themselves, which nobody does.
fn is_about(person: &str, response: &Value) -> bool {
    let subjects = items(&response["names"]["subjects"]).iter();
    subjects.chain([&response["actor"]]).any(|name| is_same(name, person))
}

fn is_same(name: &Value, person: &str) -> bool {
    name.as_str().is_some_and(|name| name.to_lowercase() == person.to_lowercase())
}
