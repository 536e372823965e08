//! What all pages share: the head, the way around, and the foot.

use axum::Extension;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use super::parts::hidden;
use super::sessions::Session;
use crate::service::operators::Permission;

/// Seconds after which a board is loaded again where there is no script.
const RELOAD_SECONDS: u32 = 30;

/// Pages that everybody finds from everywhere.
const PLACES: [(&str, &str); 6] = [
    ("/page", "Incidents"),
    ("/page/responses", "Responses"),
    ("/page/silences", "Silences"),
    ("/page/rules", "Rules"),
    ("/page/coverage", "Coverage"),
    ("/page/sources", "Sources"),
];

/// A page of who has signed in.
pub(super) fn page(session: &Session, title: &str, place: &str, content: &Markup) -> Response {
    whole(Some(session), title, place, content, false)
}

/// As [`page`], of which the script knows when it is no longer new.
pub(super) fn live(session: &Session, title: &str, place: &str, content: &Markup) -> Response {
    whole(Some(session), title, place, content, true)
}

/// A page that opens itself once more, from here.
pub(super) fn again() -> Response {
    moment("0", &html! { p { "One moment." } })
}

/// A page that opens another one of ours, from here: a browser that another site has sent keeps the cookie of a session back
/// until then, also where it is redirected.
pub(super) fn onward(to: &str) -> Response {
    moment(&format!("0; url={to}"), &html! { p { "You are signed in. " a href=(to) { "Go on" } } })
}

fn moment(refresh: &str, content: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content=(refresh); title { "keywatch" } }
            body { main { (content) } }
        }
    };
    Html(page.into_string()).into_response()
}

/// A page for nobody in particular.
pub(super) fn open(title: &str, content: &Markup) -> Response {
    whole(None, title, "", content, false)
}

/// What is not done, and why.
pub(super) fn refused(session: Option<&Session>, status: StatusCode, problem: &str) -> Response {
    let content = html! {
        h1 { "Not done" }
        p.refused role="alert" { (problem) }
        p { @if session.is_some() { a href="/page" { "Back to the incidents" } } @else { a href="/page/sign-in" { "Sign in" } } }
    };
    (status, whole(session, "Not done", "", &content, false)).into_response()
}

/// `GET` of what is no page.
pub(super) async fn nowhere(Extension(session): Extension<Session>) -> Response {
    refused(Some(&session), StatusCode::NOT_FOUND, "There is no such page.")
}

fn whole(session: Option<&Session>, title: &str, place: &str, content: &Markup, live: bool) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · keywatch" }
                link rel="icon" type="image/svg+xml" href="/page/files/icon.svg";
                link rel="stylesheet" href="/page/files/page.css";
                script src="/page/files/page.js" defer {}
                @if live { noscript { meta http-equiv="refresh" content=(RELOAD_SECONDS); } }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header { (around(session, place)) }
                main #content tabindex="-1" { (content) }
                footer {
                    p {
                        "Times are UTC, as they stand in the log"
                        span #zone {}
                        "."
                    }
                    // The script shows it: without one there are no such keys. Who speaks to a computer may want none.
                    label #keys .check hidden {
                        input type="checkbox" checked;
                        span { kbd { "j" } " and " kbd { "k" } " go through a list, " kbd { "Enter" } " opens" }
                    }
                }
            }
        }
    };
    Html(page.into_string()).into_response()
}

fn around(session: Option<&Session>, place: &str) -> Markup {
    html! {
        a.brand href="/page" { "keywatch" }
        @if let Some(session) = session {
            nav aria-label="Pages" {
                @for (href, name) in PLACES {
                    a href=(href) aria-current=[(href == place).then_some("page")] { (name) }
                }
            }
            form.sign-out method="post" action="/page/sign-out" {
                (hidden("token", &session.token))
                span.who { (session.operator.name) @if !session.operator.may(Permission::Handle) { " (sees only)" } }
                button { "Sign out" }
            }
        }
    }
}
