//! Rules that are put into shadow, switched off and on again while keywatch runs: how a rule stands, and forms for who may change
//! that. Who may not sees no form, and is refused by the API.

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
use super::parts::{choice, hidden, items, strings, text, time};
use super::sessions::Session;
use super::{Page, layout};
use crate::clock;
use crate::service::operators::Permission;

/// Days for which a rule is lowered, to choose from.
const DAYS: [&str; 4] = ["1", "3", "7", "14"];

/// What may be left of a rule.
const MODES: [&str; 2] = ["shadow", "off"];

/// `POST /page/rules/{family}/{name}/{act}`: asks that the rule is lowered, agrees to that, or switches it on.
pub(super) async fn act(
    State(page): State<Arc<Page>>,
    Extension(session): Extension<Session>,
    Path((family, name, act)): Path<(String, String, String)>,
    fields: Fields,
) -> Response {
    let (asked, body) = match act.as_str() {
        "agree" => (path(&["v1", "switches", fields.text("id"), "approve"]), json!({})),
        to => ("/v1/switches".to_owned(), wanted(&format!("{family}/{name}"), to, &fields)),
    };
    let answered = page.ask(&session, Method::POST, &asked, Some(&body)).await;
    if !answered.status.is_success() {
        return layout::refused(Some(&session), answered.status, answered.problem());
    }
    Redirect::to(&path(&["page", "rules", &family, &name])).into_response()
}

fn wanted(rule: &str, act: &str, fields: &Fields) -> Value {
    let lowers = act == "lower";
    let days: i64 = fields.text("days").parse().unwrap_or(0);
    let until = clock::now().saturating_add(days.saturating_mul(86_400 * SECOND_NS));
    json!({
        "system": fields.text("system"),
        "rule": rule,
        "to": if lowers { fields.text("to") } else { act },
        "reason": fields.text("reason"),
        "until": lowers.then_some(until),
    })
}

/// What of the answer about switches stands, by now or once somebody agrees.
fn standing(answer: &Value) -> impl Iterator<Item = &Value> {
    let stands = |switch: &&Value| text(switch, "status") == "active" || waits(switch);
    items(&answer["switches"]).iter().filter(stands)
}

fn waits(switch: &Value) -> bool {
    text(switch, "status").starts_with("waiting")
}

/// For the list of rules: how one is lowered, and where.
pub(super) fn marks(answer: &Value, rule: &str) -> Markup {
    let lowered = standing(answer).filter(|switch| text(switch, "rule") == rule && !waits(switch));
    html! { @for switch in lowered { " " strong.wrong { (words(switch)) " in " (text(switch, "system")) } } }
}

fn words(switch: &Value) -> &'static str {
    if text(switch, "to") == "off" { "off" } else { "in shadow" }
}

/// For the page of a rule: how it stands in each system, who made it so, why and until when, and what one can do about it.
pub(super) fn of_rule(session: &Session, rule: &str, answer: &Value) -> Markup {
    let may = session.operator.may(Permission::Switch);
    let mut lowered: Vec<&str> = standing(answer).map(|switch| text(switch, "system")).collect();
    lowered.sort_unstable();
    lowered.dedup();
    html! {
        @if may || !lowered.is_empty() { h2 { "On, in shadow or off" } }
        @for switch in standing(answer) { (one(session, rule, switch, may)) }
        @if may {
            div.acts {
                @if !lowered.is_empty() {
                    (form(session, rule, "on", "Switch on", &html! { (choice("system", "System", None, &lowered, "")) }))
                }
                details {
                    summary { "Put it into shadow or switch it off" }
                    p {
                        "In shadow it finds and pages, and what it would revoke waits for a person. Off, what it finds is recorded, "
                        "nobody is told, and nothing is revoked or proposed. Another person has to agree, and everybody is told."
                    }
                    (form(session, rule, "lower", "Ask for it", &html! {
                        (choice("system", "System", None, &strings(&answer["systems"]), ""))
                        (choice("to", "What is left", None, &MODES, ""))
                        (choice("days", "Days", None, &DAYS, "1"))
                    }))
                }
            }
        }
    }
}

fn one(session: &Session, rule: &str, switch: &Value, may: bool) -> Markup {
    let other = text(switch, "by") != session.operator.name;
    html! {
        p {
            @if waits(switch) {
                strong { (words(switch)) ", once another person agrees" }
            } @else {
                strong.wrong { (words(switch)) }
            }
            " in " (text(switch, "system")) " until " (time(text(switch, "until"))) " UTC. "
            strong { (text(switch, "by")) } " says: " (text(switch, "reason"))
            @if switch["approved_by"].is_string() { ". " strong { (text(switch, "approved_by")) } " agrees." }
        }
        @if may && other && waits(switch) {
            form.act method="post" action=(action(rule, "agree")) {
                (hidden("token", &session.token))
                (hidden("id", text(switch, "id")))
                button { "Agree" }
            }
        }
    }
}

fn form(session: &Session, rule: &str, act: &str, label: &str, fields: &Markup) -> Markup {
    html! {
        form.act method="post" action=(action(rule, act)) {
            (hidden("token", &session.token))
            (fields)
            label.long { "Why" input name="reason" required autocomplete="off"; }
            button { (label) }
        }
    }
}

fn action(rule: &str, act: &str) -> String {
    let (family, name) = rule.split_once('/').unwrap_or((rule, ""));
    path(&["page", "rules", family, name, act])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_marks_what_is_lowered_now_and_what_people_wrote_stays_text() {
        let attack = "<script>alert(1)</script>";
        let switch = |status: &str, to: &str| json!({ "rule": "own/a", "system": attack, "status": status, "to": to, "by": attack, "reason": attack });
        let answer = json!({ "switches": [
            switch("active", "off"), switch("waiting for a second person", "shadow"), switch("ended", "shadow"),
        ] });
        let marked = marks(&answer, "own/a").into_string();
        assert!(marked.contains("off in &lt;script&gt;") && !marked.contains("in shadow"), "{marked}");
        assert!(!marked.contains("<script"), "{marked}");
        assert!(marks(&answer, "own/b").into_string().is_empty());
        assert_eq!(standing(&answer).count(), 2);
    }
}
