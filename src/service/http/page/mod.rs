//! The web page for who is on duty: the board of incidents, each incident with its timeline, and what is done about it.
//!
//! It asks the HTTP API and nothing else: every handler makes a request of [`super::api`] in this process, as the operator who
//! has signed in, and shows the answer. What the API refuses is refused here in the same words. Pages are made on the server;
//! the one script makes them newer and shows local times, and without it everything still works.
//!
//! | module | what it does |
//! |---|---|
//! | [`sessions`], [`sign_in`] | who has signed in; the form for that, with a token |
//! | [`provider`] | signing in at the identity provider |
//! | [`unwritten`], [`frequency`] | sign-ins that the log does not take; how often an operator signs in |
//! | [`board`] | the board of incidents |
//! | [`incident`], [`timeline`], [`compared`] | one incident: its timeline, what was shown beside what was signed |
//! | [`acts`], [`silences`] | forms: what operators do about an incident, and silences |
//! | [`responses`], [`decisions`] | what waits for a person and what was stopped; forms to decide on it |
//! | [`live`] | waits for changes |
//! | [`rules`], [`coverage`], [`sources`] | the rules that run, what they mean and cost people, what covers what; the sources that may send |
//! | [`switches`] | how a rule stands; forms to put it into shadow, to switch it off and on |
//! | [`standalone`] | an incident as one file that needs no network |
//! | [`fields`], [`addresses`], [`layout`], [`parts`], [`assets`] | forms and queries; addresses; what all pages share; small pieces; style and script |

mod acts;
mod addresses;
mod assets;
mod board;
mod compared;
mod coverage;
mod decisions;
mod fields;
mod frequency;
mod incident;
mod layout;
mod live;
mod parts;
mod provider;
mod responses;
mod rules;
mod sessions;
mod sign_in;
mod silences;
mod sources;
pub(crate) mod standalone;
mod switches;
mod timeline;
mod unwritten;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use self::frequency::Frequency;
use self::sessions::{Session, Sessions};
use self::unwritten::Unwritten;
use super::address::Addresses;
use super::api::{self, Api};
use crate::limits::{PAGE_ANSWER_BYTES_MAX, PAGE_FORM_BYTES_MAX};
use crate::service::config::sign_in::CALLBACK_PATH;
use crate::service::oidc::Oidc;
use crate::service::oidc::sign_in::SignIn;

/// What may be loaded and where forms may go: this server, and no script or style that stands in a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page.
pub(crate) struct Page {
    api: Arc<Api>,
    /// The routes of the API, which are asked in this process.
    routes: TowerToHyperService<Router>,
    sessions: Sessions,
    /// Sign-ins that wait for the log.
    unwritten: Unwritten,
    /// How often operators have signed in of late.
    frequency: Frequency,
    /// Attempts to sign in that failed.
    failures: Arc<Addresses>,
    /// Those of them that cost the identity provider an answer.
    exchanges: Arc<Addresses>,
    tls: bool,
}

/// What the API answered.
struct Answered {
    status: StatusCode,
    value: Value,
}

impl Answered {
    /// Why it says no.
    fn problem(&self) -> &str {
        self.value["error"].as_str().unwrap_or("the answer cannot be read")
    }
}

impl Page {
    /// A page over an API; `tls` says whether browsers come over TLS.
    pub(crate) fn new(api: Arc<Api>, tls: bool) -> Arc<Page> {
        let routes = TowerToHyperService::new(api::router(Arc::clone(&api)));
        let [failures, exchanges] = [(); 2].map(|()| Arc::new(Addresses::default()));
        let (sessions, unwritten, frequency) = (Sessions::default(), Unwritten::default(), Frequency::default());
        Arc::new(Page { api, routes, sessions, unwritten, frequency, failures, exchanges, tls })
    }

    /// Asks the API as the operator of a session.
    async fn ask(&self, session: &Session, method: Method, path: &str, body: Option<&Value>) -> Answered {
        self.ask_once(session, method, path, body, None).await
    }

    /// As [`Page::ask`]; a repetition with the same key is none.
    async fn ask_once(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Answered {
        let unreadable = |status| Answered { status, value: Value::Null };
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request = axum::http::Request::builder().method(method).uri(path).extension(session.operator.clone());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let Ok(request) = request.body(body) else { return unreadable(StatusCode::BAD_REQUEST) };
        let Ok(response) = self.routes.call(request).await;
        let status = response.status();
        let Ok(bytes) = to_bytes(response.into_body(), PAGE_ANSWER_BYTES_MAX).await else {
            return unreadable(StatusCode::SERVICE_UNAVAILABLE);
        };
        Answered { status, value: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// The identity provider at which people may sign in.
    fn provider(&self) -> Option<(&Oidc, &SignIn)> {
        let oidc: &Oidc = self.api.operators.provider()?;
        Some((oidc, oidc.sign_in()?))
    }

    /// Whether the browser speaks TLS with keywatch, or with a proxy before it.
    fn is_secure(&self, headers: &HeaderMap) -> bool {
        self.tls || headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https")
    }
}

/// Every route.
pub(crate) fn router(page: Arc<Page>) -> Router {
    let signed_in = Router::new()
        .route("/page", get(board::show))
        .route("/page/incidents/{id}", get(incident::show))
        .route("/page/incidents/{id}/{act}", post(acts::act))
        .route("/page/responses", get(responses::list))
        .route("/page/responses/{id}", get(responses::show))
        .route("/page/responses/{id}/{act}", post(decisions::act))
        .route("/page/sessions/restore", post(decisions::restore))
        .route("/page/silences", get(silences::list).post(silences::begin))
        .route("/page/silences/{id}/{act}", post(silences::about))
        .route("/page/rules", get(rules::list))
        .route("/page/rules/{family}/{name}", get(rules::show))
        .route("/page/rules/{family}/{name}/{act}", post(switches::act))
        .route("/page/coverage", get(coverage::show))
        .route("/page/sources", get(sources::list))
        .route("/page/changes", get(live::changes))
        .route("/page/sign-out", post(sign_in::sign_out))
        .route("/page/{*elsewhere}", get(layout::nowhere))
        .layer(middleware::from_fn_with_state(Arc::clone(&page), recognise));
    Router::new()
        .route("/", get(|| async { Redirect::to("/page") }))
        .route("/page/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/page/sign-in/provider", get(provider::begin))
        .route(CALLBACK_PATH, get(provider::come_back))
        .merge(signed_in)
        .layer(DefaultBodyLimit::max(PAGE_FORM_BYTES_MAX))
        .layer(middleware::map_response(secure))
        .route("/page/files/{name}", get(assets::file))
        .with_state(page)
}

/// Lets who has signed in through, and shows everybody else the form for that.
async fn recognise(State(page): State<Arc<Page>>, mut request: Request, next: Next) -> Response {
    let secure = page.is_secure(request.headers());
    let id = sessions::id(request.headers(), secure);
    let Some(session) = id.and_then(|id| page.sessions.find(id, Instant::now())) else {
        let opens = request.method() == Method::GET && request.uri().path() != "/page/changes";
        let from_elsewhere = request.headers().get("sec-fetch-site").is_some_and(|from| from == "cross-site");
        return match (opens, from_elsewhere) {
            // A link in a message: the browser keeps the cookie back until the page has been opened from here.
            (true, true) => layout::again(),
            (true, false) => {
                let wanted = request.uri().path_and_query().map_or("/page", PathAndQuery::as_str);
                Redirect::to(&sign_in::sign_in_address(wanted)).into_response()
            }
            (false, _) => layout::refused(None, StatusCode::UNAUTHORIZED, "Sign in first: your session is over."),
        };
    };
    if !session.is_written() && !request.method().is_safe() && request.uri().path() != "/page/sign-out" {
        let problem =
            "The log has not taken yet that you signed in: you may look, and do nothing. Try again in a moment.";
        return layout::refused(Some(&session), StatusCode::SERVICE_UNAVAILABLE, problem);
    }
    request.extensions_mut().insert(session);
    next.run(request).await
}

/// What a browser is told of every page.
async fn secure(mut response: Response) -> Response {
    let said = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in said {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
