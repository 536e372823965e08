//! Signing in with an operator's token, and out; how a session begins, whichever way somebody signed in.
//!
//! A token that is right is taken, unless its operator has signed in very often of late: each time is a record of every system that
//! they see. Wrong ones are counted by address, so that who tries them from the same address does
//! not keep a colleague out; the wrong ones beyond that are not answered as such any more.
//!
//! Whoever signs in while the log takes nothing sees what is shown without a record of it, and does nothing until the sign-in
//! stands in the log; it is written again until it does, also where the session is over by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use keywatch_store::Instant as Time;
use maud::html;
use tokio::time::{sleep, timeout};

use super::addresses::address;
use super::fields::Fields;
use super::parts::hidden;
use super::sessions::{self, SHIFT, cookie, name, random, set_cookie};
use super::{Page, layout};
use crate::clock;
use crate::limits::{
    BODY_GRACE_SECONDS, PAGE_FORM_BYTES_MAX, PAGE_SIGN_IN_SECONDS_MAX, PAGE_SIGN_IN_WRITE_AGAIN_SECONDS,
    PAGE_SIGN_IN_WRITE_SECONDS_MAX,
};
use crate::service::http::address::Address;
use crate::service::http::listener::Caller;
use crate::service::operators::Operator;

/// Without it nothing can be kept apart from a guess.
const NO_RANDOMNESS: &str = "There is no randomness on this machine.";

/// The cookie that shows that the form came from here.
fn form_cookie(secure: bool) -> &'static str {
    if secure { "__Host-keywatch-form" } else { "keywatch-form" }
}

/// Where who has not signed in is sent; `path`, with its query, is where they wanted to go.
pub(super) fn sign_in_address(path: &str) -> String {
    address(&["page", "sign-in"], &[("to", if path == "/page" { "" } else { path })])
}

/// Where to go on: to a page of ours and nowhere else.
pub(super) fn onward(to: &str) -> &str {
    let ours = to.starts_with("/page/") || to.starts_with("/page?");
    if ours && to.bytes().all(|byte| byte.is_ascii_graphic()) { to } else { "/page" }
}

/// `GET /page/sign-in`.
pub(super) async fn form(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some(token) = random() else { return layout::refused(None, StatusCode::SERVICE_UNAVAILABLE, NO_RANDOMNESS) };
    let fields = Fields::read(uri.query().unwrap_or_default());
    shown(&page, None, page.is_secure(&headers), &token, fields.text("to"))
}

fn shown(page: &Page, problem: Option<&str>, secure: bool, token: &str, to: &str) -> Response {
    let host = page.provider().map(|(_, sign_in)| sign_in.host());
    let content = html! {
        form.sign-in method="post" action="/page/sign-in" {
            h1 { "Sign in" }
            @if let Some(problem) = problem { p #problem .refused role="alert" { (problem) } }
            @if !secure { p.warning { "This connection is not encrypted. Use it on this machine only." } }
            @if let Some(host) = host {
                // A link: the page's policy lets no form lead elsewhere, not by a redirect either.
                a.provider href=(address(&["page", "sign-in", "provider"], &[("to", to)])) { "Sign in at " (host) }
                p.hint { "Or, where that is down, with a token:" }
            }
            (hidden("token", token))
            (hidden("to", to))
            label {
                "Your token"
                input type="password" name="secret" required autofocus[host.is_none()] autocomplete="current-password"
                    aria-invalid=[problem.map(|_| "true")] aria-describedby=[problem.map(|_| "problem")];
            }
            button.first[host.is_none()] { "Sign in" @if host.is_some() { " with the token" } }
            p.hint { "The token of an operator of the configuration. It is not kept: a session of half a day is." }
        }
    };
    let mut response = layout::open("Sign in", &content);
    add_cookie(&mut response, &set_cookie(form_cookie(secure), token, secure, PAGE_SIGN_IN_SECONDS_MAX));
    response
}

/// `POST /page/sign-in`.
pub(super) async fn sign_in(State(page): State<Arc<Page>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let secure = page.is_secure(&head.headers);
    let received = timeout(Duration::from_secs(BODY_GRACE_SECONDS), to_bytes(body, PAGE_FORM_BYTES_MAX)).await;
    let Ok(Ok(body)) = received else {
        return layout::refused(None, StatusCode::BAD_REQUEST, "That is more than a token, or it came too slowly.");
    };
    let fields = Fields::read(&String::from_utf8_lossy(&body));
    let (sent, own) = (fields.get("token"), cookie(&head.headers, form_cookie(secure)));
    if sent.is_none() || sent != own {
        let problem = "This form is older than it may be, or your browser takes no cookies. Load it again.";
        return layout::refused(None, StatusCode::FORBIDDEN, problem);
    }
    let presented = format!("Bearer {}", fields.text("secret"));
    if let Some(operator) = page.api.operators.find(Some(presented.as_bytes())) {
        let onward = Redirect::to(onward(fields.text("to"))).into_response();
        let mut response = begin_session(&page, operator.clone(), ("token", SHIFT), secure, onward).await;
        add_cookie(&mut response, &set_cookie(form_cookie(secure), "", secure, 0));
        return response;
    }
    let address = head.extensions.get::<Caller>().and_then(|caller| caller.address);
    let problem = Some("That is no operator's token.");
    let mut answer = shown(&page, problem, secure, sent.unwrap_or_default(), fields.text("to"));
    *answer.status_mut() = StatusCode::UNAUTHORIZED;
    failed(&page, address, answer)
}

/// Begins a session of somebody who signed in this way, for so long; `response` is what they are answered. Where the log does not
/// take that they did, they see and do nothing.
pub(super) async fn begin_session(
    page: &Arc<Page>,
    operator: Operator,
    (way, lasts): (&'static str, Duration),
    secure: bool,
    mut response: Response,
) -> Response {
    if let Err(wait) = page.frequency.signs_in(&operator.name, Instant::now()) {
        tracing::warn!(operator = operator.name, way, "an operator signs in on the page more often than is taken");
        let problem =
            "You have signed in too often in the last minutes. Use a session that you have, or wait a little.";
        return too_early(problem, wait);
    }
    let Some(written) = write_down(page, &operator, way).await else {
        let problem = "The log takes nothing just now, and too many sign-ins wait for it. Use a session that you have.";
        return layout::refused(None, StatusCode::SERVICE_UNAVAILABLE, problem);
    };
    let who = operator.name.clone();
    let Some(id) = page.sessions.begin(operator, lasts, &written, Instant::now()) else {
        return layout::refused(None, StatusCode::SERVICE_UNAVAILABLE, NO_RANDOMNESS);
    };
    tracing::info!(operator = who, way, "signed in on the page");
    add_cookie(&mut response, &set_cookie(name(secure), &id, secure, lasts.min(SHIFT).as_secs()));
    response
}

/// Counts an attempt to sign in that failed. `answer` is for who has not failed too often.
pub(super) fn failed(page: &Page, address: Option<Address>, answer: Response) -> Response {
    page.api.metrics.api_unauthenticated.with_label_values::<&str>(&[]).inc();
    let heard = address.map_or(Ok(()), |address| page.failures.failure(address, Instant::now()));
    heard.map_or_else(too_many, |()| answer)
}

/// What who has failed too often is answered.
pub(super) fn too_many(wait: Duration) -> Response {
    too_early("Too many attempts to sign in from your address have failed. Wait a little.", wait)
}

fn too_early(problem: &str, wait: Duration) -> Response {
    let mut response = layout::refused(None, StatusCode::TOO_MANY_REQUESTS, problem);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    response
}

/// `POST /page/sign-out`.
pub(super) async fn sign_out(State(page): State<Arc<Page>>, headers: HeaderMap, _: Fields) -> Response {
    let secure = page.is_secure(&headers);
    if let Some(id) = sessions::id(&headers, secure) {
        page.sessions.end(id);
    }
    let mut response = Redirect::to("/page/sign-in").into_response();
    for secure in [true, false].into_iter().filter(|secure| cookie(&headers, name(*secure)).is_some()) {
        add_cookie(&mut response, &set_cookie(name(secure), "", secure, 0));
    }
    response
}

/// Adds a cookie to an answer.
pub(super) fn add_cookie(response: &mut Response, cookie: &str) {
    // What it is made of are digits, letters and our own words.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Writes a sign-in down: whether it stands in the log, now or later on. `None` where it does not and too many wait already.
async fn write_down(page: &Arc<Page>, operator: &Operator, way: &'static str) -> Option<Arc<AtomicBool>> {
    let (now, within) = (clock::now(), Duration::from_secs(PAGE_SIGN_IN_WRITE_SECONDS_MAX));
    let written = matches!(timeout(within, page.api.record_sign_in(operator, way, now)).await, Ok(Ok(())));
    if !written {
        tracing::error!(operator = operator.name, way, "a sign-in on the page cannot be written down yet");
        if !page.unwritten.begin(&operator.name) {
            return None;
        }
    }
    let is_written = Arc::new(AtomicBool::new(written));
    if !written {
        tokio::spawn(write_again(Arc::clone(page), operator.clone(), way, now, Arc::clone(&is_written)));
    }
    Some(is_written)
}

/// Writes it again until the log has it, as the same record.
async fn write_again(page: Arc<Page>, operator: Operator, way: &'static str, now: Time, is_written: Arc<AtomicBool>) {
    loop {
        sleep(Duration::from_secs(PAGE_SIGN_IN_WRITE_AGAIN_SECONDS)).await;
        if page.api.record_sign_in(&operator, way, now).await.is_ok() {
            break;
        }
    }
    is_written.store(true, Ordering::Release);
    page.unwritten.end(&operator.name);
    tracing::info!(operator = operator.name, way, "a sign-in on the page is written down now");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_signed_in_goes_on_to_a_page_of_ours() {
        assert_eq!(sign_in_address("/page"), "/page/sign-in");
        assert_eq!(sign_in_address("/page/incidents/a"), "/page/sign-in?to=%2Fpage%2Fincidents%2Fa");
        for ours in ["/page/incidents/a%2Fb", "/page?severity=high&rule=own%2Fpresented"] {
            assert_eq!(onward(ours), ours);
        }
        for elsewhere in ["", "/pages", "//evil.example", "https://evil.example", "/page/\r\nSet-Cookie: a=b", "/v1/me"]
        {
            assert_eq!(onward(elsewhere), "/page", "{elsewhere}");
        }
    }
}
