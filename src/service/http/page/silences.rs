//! Silences: listed, begun, agreed to by a second person, ended.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::{IntoResponse, Redirect, Response};
use keywatch_store::time::SECOND_NS;
use maud::{Markup, html};
use serde_json::{Value, json};

use super::addresses::path;
use super::fields::Fields;
use super::parts::{choice, hidden, items, text, time};
use super::sessions::Session;
use super::{Page, layout};
use crate::clock;
use crate::service::operators::Permission;

/// Hours that a silence lasts, to choose from.
const HOURS: [&str; 6] = ["1", "2", "4", "8", "24", "72"];

/// `GET /page/silences`.
pub(super) async fn list(State(page): State<Arc<Page>>, Extension(session): Extension<Session>) -> Response {
    let answered = page.ask(&session, Method::GET, "/v1/silences", None).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    let silences = items(&answered.value["silences"]);
    let content = html! {
        h1 { "Silences" }
        p { "What is silenced is still found, recorded and responded to; only nobody is told." }
        @if silences.is_empty() { p.nothing { "Nothing is silenced." } }
        @for silence in silences { (one(&session, silence)) }
    };
    layout::page(&session, "Silences", "/page/silences", &content)
}

fn one(session: &Session, silence: &Value) -> Markup {
    let status = text(silence, "status");
    let (waits, ended) = (status.starts_with("waiting"), ["ended", "expired"].contains(&status));
    let matcher = silence["matcher"].as_object().into_iter().flatten();
    html! {
        article.silence {
            h2 #(named(silence)) { (status) }
            p #(format!("{}-what", named(silence))) {
                @for (name, value) in matcher.filter(|(_, value)| value.is_string()) {
                    (name) " " code { (value.as_str().unwrap_or_default()) } " "
                }
                @for (name, value) in silence["matcher"]["facts"].as_object().into_iter().flatten() {
                    (name) " " code { (value.as_str().unwrap_or_default()) } " "
                }
                @if silence["allows"].is_object() { "on the allow-list, from a verdict, " }
                @for wider in items(&silence["wider"]) { "with " strong { (wider.as_str().unwrap_or_default()) } ", " }
                "in " (text(silence, "system")) @if silence["criticals"] == true { ", criticals too" } ", until "
                (time(text(silence, "until"))) " UTC"
            }
            p {
                strong { (text(silence, "by")) } " says: " (text(silence, "reason"))
                @if silence["approved_by"].is_string() { ". " strong { (text(silence, "approved_by")) } " agrees." }
            }
            @if session.operator.may(Permission::Silence) && !ended {
                div.acts {
                    @if waits && text(silence, "by") != session.operator.name { (button(session, silence, "approve", "Agree")) }
                    (button(session, silence, "end", "End it"))
                }
            }
        }
    }
}

fn button(session: &Session, silence: &Value, act: &str, label: &str) -> Markup {
    html! {
        form.act method="post" action=(path(&["page", "silences", text(silence, "id"), act])) {
            (hidden("token", &session.token))
            button aria-describedby=(format!("{0} {0}-what", named(silence))) { (label) }
        }
    }
}

/// The id of what says which silence is meant.
fn named(silence: &Value) -> String {
    format!("s-{}", text(silence, "id"))
}

/// A form for a silence of one of these rules.
pub(super) fn form(session: &Session, system: &str, rules: &[&str]) -> Markup {
    html! {
        form.act method="post" action="/page/silences" {
            (hidden("token", &session.token))
            (hidden("system", system))
            (choice("rule", "Rule", None, rules, ""))
            label { "About this alone" input name="entity" placeholder="anything"; }
            (choice("hours", "Hours", None, &HOURS, "1"))
            label.long { "Why" input name="reason" required; }
            label.check { input type="checkbox" name="criticals" value="yes"; "criticals too: a second person has to agree" }
            button { "Silence" }
        }
    }
}

/// `POST /page/silences`.
pub(super) async fn begin(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    fields: Fields,
) -> Response {
    let hours: i64 = fields.text("hours").parse().unwrap_or(0);
    let mut matcher = json!({});
    for name in ["rule", "entity"] {
        if let Some(value) = fields.get(name) {
            matcher[name] = Value::from(value);
        }
    }
    let request = json!({
        "system": fields.text("system"),
        "matcher": matcher,
        "reason": fields.text("reason"),
        "until": clock::now().saturating_add(hours.saturating_mul(3_600 * SECOND_NS)),
        "criticals": fields.get("criticals").is_some(),
    });
    done(&page, &session, "/v1/silences", &request).await
}

/// `POST /page/silences/{id}/{act}`.
pub(super) async fn about(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path((id, act)): Path<(String, String)>,
    _: Fields,
) -> Response {
    done(&page, &session, &path(&["v1", "silences", &id, &act]), &json!({})).await
}

async fn done(page: &Page, session: &Session, asked: &str, body: &Value) -> Response {
    let answered = page.ask(session, Method::POST, asked, Some(body)).await;
    if !answered.status.is_success() {
        return layout::refused(Some(session), answered.status, answered.problem());
    }
    Redirect::to("/page/silences").into_response()
}
