//! Signing in at the identity provider: the way there, and back with a code.
//!
//! Both are links that a browser follows. What goes along and comes back is bound to that browser by a cookie: nobody is signed
//! in as somebody else by a link that another has made. It is the one cookie that is `SameSite=Lax`, since the provider sends
//! the browser here; that of the session stays `Strict`, so the page that answers opens the next one by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use super::fields::Fields;
use super::sessions::{cookie, set_returning_cookie};
use super::sign_in::{add_cookie, begin_session, failed, onward, sign_in_address, too_many};
use super::{Page, layout};
use crate::limits::OIDC_SIGN_IN_SECONDS_MAX;
use crate::service::http::listener::Caller;
use crate::service::oidc::Oidc;
use crate::service::oidc::attempt::Attempt;
use crate::service::oidc::sign_in::{SignIn, Trouble};
use crate::service::operators::Operator;

/// The cookie of an attempt.
fn attempt_cookie(secure: bool) -> &'static str {
    if secure { "__Host-keywatch-attempt" } else { "keywatch-attempt" }
}

/// Whether that is one that no other host of the domain can set, and that of the session: also behind a proxy that does not say that it ends TLS, since
/// a browser that is not on TLS here is on another address than the one to which it is sent back.
fn is_secure(page: &Page, sign_in: &SignIn, headers: &HeaderMap) -> bool {
    sign_in.comes_back_over_tls() || page.is_secure(headers)
}

/// `GET /page/sign-in/provider?to=…`: sends somebody there.
pub(super) async fn begin(State(page): State<Arc<Page>>, uri: Uri, headers: HeaderMap) -> Response {
    let Some((_, sign_in)) = page.provider() else { return no_provider() };
    let fields = Fields::read(uri.query().unwrap_or_default());
    let to = onward(fields.text("to"));
    if headers.get("sec-fetch-site").is_some_and(|from| from == "cross-site") {
        // Nobody is signed in because another site wants it.
        return Redirect::to(&sign_in_address(to)).into_response();
    }
    match sign_in.begin(to).await {
        Ok((url, kept)) => {
            let secure = is_secure(&page, sign_in, &headers);
            let mut response = Redirect::to(url.as_str()).into_response();
            let kept = set_returning_cookie(attempt_cookie(secure), &kept, secure, OIDC_SIGN_IN_SECONDS_MAX);
            add_cookie(&mut response, &kept);
            response
        }
        Err(trouble) => said(&trouble),
    }
}

/// `GET /page/sign-in/callback?code=…&state=…`: somebody comes back.
pub(super) async fn come_back(State(page): State<Arc<Page>>, request: Request) -> Response {
    let Some((oidc, sign_in)) = page.provider() else { return no_provider() };
    let (head, _) = request.into_parts();
    let secure = is_secure(&page, sign_in, &head.headers);
    let address = head.extensions.get::<Caller>().and_then(|caller| caller.address);
    let fields = Fields::read(head.uri.query().unwrap_or_default());
    let kept = cookie(&head.headers, attempt_cookie(secure)).unwrap_or_default();
    let attempt = sign_in.resume(kept, fields.text("state")).filter(|_| sign_in.is_of_issuer(fields.get("iss")));
    let Some(attempt) = attempt else {
        let problem = "This sign-in was not begun in this browser, or more than ten minutes ago. Begin again.";
        return failed(&page, address, layout::refused(None, StatusCode::FORBIDDEN, problem));
    };
    // What was not begun here costs the provider nothing, and keeps nobody behind the same address out.
    if let Some(Err(wait)) = address.map(|address| page.exchanges.may_try(address, Instant::now())) {
        return too_many(wait);
    }
    let mut response = match signed_in((oidc, sign_in), &fields, &attempt).await {
        Ok((operator, lasts)) => {
            let response = layout::onward(onward(&attempt.onward));
            begin_session(&page, operator, ("identity_provider", lasts), secure, response).await
        }
        Err(trouble) => {
            let _ = address.map(|address| page.exchanges.failure(address, Instant::now()));
            failed(&page, address, said(&trouble))
        }
    };
    // It is over, whatever came of it.
    add_cookie(&mut response, &set_returning_cookie(attempt_cookie(secure), "", secure, 0));
    response
}

/// Who it is that comes back with these fields, and for how long the provider says so.
async fn signed_in(
    (oidc, sign_in): (&Oidc, &SignIn),
    fields: &Fields,
    attempt: &Attempt,
) -> Result<(Operator, Duration), Trouble> {
    let Some(code) = fields.get("code") else {
        // What it says besides is a stranger's text.
        let why: String = fields.text("error").chars().take(64).collect();
        return Err(Trouble::Refused(format!("it sent somebody back with `{}`", why.escape_debug())));
    };
    let token = sign_in.exchange(code, attempt).await?;
    oidc.signed_in(sign_in, &token, attempt).await
}

/// What is told of it: the log has the rest.
fn said(trouble: &Trouble) -> Response {
    tracing::warn!(%trouble, "nobody was signed in by the identity provider");
    let (status, problem) = match trouble {
        Trouble::Unreachable(_) => (
            StatusCode::BAD_GATEWAY,
            "The identity provider does not answer. Try again later, or sign in with a token of the configuration.",
        ),
        Trouble::Refused(_) => (StatusCode::UNAUTHORIZED, "The identity provider has not signed you in. Begin again."),
        Trouble::Token(_) => (
            StatusCode::UNAUTHORIZED,
            "What the identity provider says of you cannot be believed here. Begin again, and tell an administrator if it \
             stays so.",
        ),
        Trouble::NotGranted(_) => (
            StatusCode::FORBIDDEN,
            "The identity provider knows you, and no role here is yours. Ask an administrator of keywatch for one.",
        ),
        Trouble::Busy => {
            (StatusCode::SERVICE_UNAVAILABLE, "Many people are signing in just now. Begin again in a moment.")
        }
    };
    layout::refused(None, status, problem)
}

fn no_provider() -> Response {
    layout::refused(None, StatusCode::NOT_FOUND, "There is no identity provider here. Sign in with a token.")
}
