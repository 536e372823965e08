//! The HTTP API for people: incidents and alerts, what is done about them, responses, silences, everything about a name, the
//! hand-over of a shift. `keywatch alerts` and the web page use nothing else.
//!
//! Every request is a named operator's. Whatever changes something is a durable record before it is answered; so is that
//! somebody was shown what is nobody else's business.
//!
//! | module | what it does |
//! |---|---|
//! | [`incidents`] | lists and shows incidents and alerts |
//! | [`acts`] | what operators do: acknowledge, assign, comment, resolve, reopen, silence |
//! | [`allowances`] | entries of the allow-list, made from a verdict |
//! | [`compromises`] | credentials of sources that somebody else had: what is tainted, what rests on it |
//! | [`responses`], [`sessions`] | lists and shows responses; approve, reject, take back; lets a session in again |
//! | [`about`] | everything about a name; the hand-over of a shift |
//! | [`custody`] | the chain of custody around an incident, with what is missing or does not agree |
//! | [`deliveries`] | how the receivers do; what was put aside, and trying that again |
//! | [`compared`], [`facts`] | requests that claim the same place; what else an event of the chain says, with both values of what differs |
//! | [`changes`] | waits until something has changed |
//! | [`names`] | refuses the name of a rule, a system or a person that is not there, with the nearest ones |
//! | [`rules`], [`noise`], [`coverage`] | the rules that run; what each cost people; what covers which row of the CCSS |
//! | [`switches`] | rules that are put into shadow, switched off and on again while keywatch runs |
//! | [`sources`] | the sources that may send |
//! | [`history`] | where in the log a time is |
//! | [`views`] | the JSON of incidents, alerts, events, silences |
//!
//! `openapi.json` describes it, and is served; a test holds it against the routes.

mod about;
mod acts;
mod allowances;
mod changes;
mod compared;
mod compromises;
mod coverage;
mod custody;
mod deliveries;
mod facts;
mod history;
pub(crate) mod incidents;
mod names;
mod noise;
pub(crate) mod responses;
pub(crate) mod rules;
mod sessions;
pub(crate) mod sources;
mod switches;
mod views;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use keywatch_alerting::{Error, Executor};
use keywatch_store::{Instant, Log};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::time::timeout;

use crate::clock;
use crate::limits::{
    API_BODY_BYTES_MAX, API_CONCURRENT_MAX, API_RETRY_AFTER_SECONDS, API_WAIT_SECONDS_MAX, CHANGES_WAITING_MAX,
};
use crate::service::authentication::Operators;
use crate::service::declared::Current;
use crate::service::http::credentials::refused::Refusing;
use crate::service::metrics::Metrics;
use crate::service::operators::{Operator, Permission};
use rules::Rules;
use sources::Source;

/// The description of the API.
const OPENAPI: &str = include_str!("openapi.json");

/// What every request may use.
pub(crate) struct Api {
    /// Who may speak.
    pub(crate) operators: Operators,
    /// Alerting.
    pub(crate) executor: Executor,
    /// The threads on which alerting delivers.
    pub(crate) threads: Handle,
    /// The log of this machine.
    pub(crate) log: Arc<dyn Log>,
    /// Counters.
    pub(crate) metrics: Arc<Metrics>,
    /// Turns: what one operator asks for must not slow down the rules.
    pub(crate) turns: Arc<Semaphore>,
    /// Turns of who waits for changes.
    waiting: Arc<Semaphore>,
    /// The turn to write a sign-in: where the log hangs, those that are written again take no turn from who reads.
    signing_in: Arc<Semaphore>,
    /// What rules cost people, as far as it was counted; who counts has it alone.
    counting: Arc<Mutex<Option<noise::Counting>>>,
    /// What does not change while keywatch runs.
    known: Known,
    /// Whoever waits is let go when keywatch stops.
    stopping: watch::Receiver<bool>,
}

/// What does not change while keywatch runs.
pub(crate) struct Known {
    /// The rules that run.
    pub(crate) rules: Rules,
    /// The sources that may send.
    pub(crate) sources: Vec<Source>,
    /// The front door, as far as operators change it.
    pub(crate) door: Refusing,
    /// What is declared, for what people call amounts; it may change all the same.
    pub(crate) inventory: Arc<Current>,
}

impl Api {
    /// An API over alerting and the log.
    pub(crate) fn new(
        operators: Operators,
        executor: Executor,
        threads: Handle,
        log: Arc<dyn Log>,
        metrics: Arc<Metrics>,
        known: Known,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Api> {
        let turns = Arc::new(Semaphore::new(API_CONCURRENT_MAX));
        let waiting = Arc::new(Semaphore::new(CHANGES_WAITING_MAX));
        let (signing_in, counting) = (Arc::new(Semaphore::new(1)), Arc::default());
        Arc::new(Api {
            operators,
            executor,
            threads,
            log,
            metrics,
            turns,
            waiting,
            signing_in,
            counting,
            known,
            stopping,
        })
    }

    /// Does `work` away from the threads that serve connections, once it is its turn.
    async fn away<T: Send + 'static>(
        self: &Arc<Api>,
        work: impl FnOnce(&Api) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let waited = timeout(Duration::from_secs(API_WAIT_SECONDS_MAX), Arc::clone(&self.turns).acquire_owned()).await;
        let turn = waited.map_err(|_| Refusal::unavailable("too many requests at once"))?;
        let api = Arc::clone(self);
        // The turn lasts as long as the work, also where nobody waits for the answer any more.
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&api)
        })
        .await;
        done.unwrap_or_else(|_| Err(Refusal::unavailable("this is a defect of keywatch")))
    }

    /// Writes down that an operator signed in on the web page at `now`, in each declared system that they see; once, also where
    /// it is asked for again.
    pub(crate) async fn record_sign_in(
        self: &Arc<Api>,
        operator: &Operator,
        way: &'static str,
        now: Instant,
    ) -> Result<(), Refusal> {
        let defect = || Refusal::unavailable("this is a defect of keywatch");
        let turn = Arc::clone(&self.signing_in).acquire_owned().await.map_err(|_| defect())?;
        let (api, operator) = (Arc::clone(self), operator.clone());
        // The turn lasts as long as the work, also where nobody waits for it any more.
        let written = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let inventory = api.known.inventory.now();
            let systems = inventory.systems.iter().map(|system| system.id.clone());
            let systems: Vec<String> = systems.filter(|system| operator.sees(system)).collect();
            api.executor.record_sign_in(&systems, &operator.name, way, now)
        })
        .await;
        written.map_err(|_| defect())??;
        Ok(())
    }
}

/// An answer.
type Answer = Result<Json<Value>, Refusal>;

/// Who asks.
type Caller = Extension<Operator>;

/// Why a request is refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    problem: String,
}

impl Refusal {
    fn new(status: StatusCode, problem: impl Into<String>) -> Refusal {
        Refusal { status, problem: problem.into() }
    }

    fn unavailable(problem: &str) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, problem)
    }

    /// What is not there, or not the operator's to see: the answer does not tell which.
    fn nothing(name: &str) -> Refusal {
        let problem = format!("there is no incident, alert or silence `{name}` in your systems");
        Refusal::new(StatusCode::NOT_FOUND, problem)
    }

    /// The same, of a response.
    fn no_response(id: &str) -> Refusal {
        Refusal::new(StatusCode::NOT_FOUND, format!("there is no response `{id}` in your systems"))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let status = match &error {
            Error::NoIncident { .. } | Error::NoResponse { .. } | Error::NoDeadLetter { .. } => StatusCode::NOT_FOUND,
            Error::NotAllowed { .. } => StatusCode::FORBIDDEN,
            Error::Refused { .. } | Error::ResponseClosed { .. } => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refusal::new(status, error.to_string())
    }
}

impl From<keywatch_store::Error> for Refusal {
    fn from(error: keywatch_store::Error) -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": self.problem }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Bearer realm=\"keywatch operators\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(API_RETRY_AFTER_SECONDS));
        }
        response
    }
}

/// Every route.
pub(crate) fn router(api: Arc<Api>) -> Router {
    let routes = Router::new()
        .route("/v1/me", get(me))
        .route("/v1/incidents", get(incidents::list_incidents))
        .route("/v1/incidents/{id}", get(incidents::show))
        .route("/v1/incidents/{id}/{act}", post(acts::act))
        .route("/v1/alerts", get(incidents::list_alerts))
        .route("/v1/alerts/{id}", get(incidents::show))
        .route("/v1/alerts/{id}/allow", post(allowances::allow))
        .route("/v1/alerts/{id}/{act}", post(acts::act))
        .route("/v1/acknowledge", post(acts::acknowledge_many))
        .route("/v1/silences", get(acts::silences).post(acts::silence))
        .route("/v1/silences/{id}/{act}", post(acts::about_silence))
        .route("/v1/compromises", get(compromises::list).post(compromises::declare))
        .route("/v1/compromises/{id}", get(compromises::show))
        .route("/v1/compromises/{id}/restore", post(compromises::restore))
        .route("/v1/responses", get(responses::list))
        .route("/v1/responses/{id}", get(responses::show))
        .route("/v1/responses/{id}/{act}", post(responses::act))
        .route("/v1/sessions/restore", post(sessions::restore))
        .route("/v1/deliveries", get(deliveries::deliveries))
        .route("/v1/deliveries/redrive", post(deliveries::redrive))
        .route("/v1/about/{name}", get(about::about))
        .route("/v1/handover", get(about::handover))
        .route("/v1/changes", get(changes::changes))
        .route("/v1/rules", get(rules::list))
        .route("/v1/rules/{family}/{name}", get(rules::show))
        .route("/v1/switches", get(switches::list).post(switches::switch))
        .route("/v1/switches/{id}/approve", post(switches::approve))
        .route("/v1/noise", get(noise::noise))
        .route("/v1/coverage", get(coverage::coverage))
        .route("/v1/sources", get(sources::list))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), authenticate))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX));
    let described = Router::new().route("/v1/openapi.json", get(openapi));
    routes.merge(described).layer(middleware::map_response(secure)).with_state(api)
}

async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Lets named operators through, and nobody else.
async fn authenticate(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    // The web page has asked who it is before; no request from outside comes with this.
    let known = request.extensions().get::<Operator>().cloned();
    let Some(operator) = known.or_else(|| api.operators.identify(authorization, clock::now())) else {
        api.metrics.api_unauthenticated.with_label_values::<&str>(&[]).inc();
        return Refusal::new(StatusCode::UNAUTHORIZED, "an operator's bearer token is needed").into_response();
    };
    let needed = if request.method().is_safe() { Permission::Read } else { Permission::Handle };
    if !operator.may(needed) {
        let asked = if needed == Permission::Handle { changes_with(request.uri().path()) } else { needed };
        return lacks(&operator, asked).into_response();
    }
    let method = request.method().to_string();
    request.extensions_mut().insert(operator);
    let response = next.run(request).await;
    api.metrics.api_requests.with_label_values(&[method.as_str(), response.status().as_str()]).inc();
    response
}

/// What it takes to change something there, for the words with which somebody who may change nothing is refused. Those who handle
/// incidents are refused there, where they may not.
fn changes_with(path: &str) -> Permission {
    let rights = [
        ("responses/", Permission::Respond),
        ("sessions/", Permission::Respond),
        ("silences", Permission::Silence),
        ("switches", Permission::Switch),
        ("compromises", Permission::Administer),
    ];
    let asked = path.strip_prefix("/v1/").unwrap_or_default();
    let right = rights.into_iter().find(|(folder, _)| asked.starts_with(*folder));
    right.map_or(Permission::Handle, |(_, right)| right)
}

fn lacks(operator: &Operator, needed: Permission) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, format!("{} may not {}", operator.name, needed.words()))
}

async fn me(Extension(operator): Caller) -> Json<Value> {
    let rights = [
        ("read", Permission::Read),
        ("handle", Permission::Handle),
        ("silence", Permission::Silence),
        ("respond", Permission::Respond),
        ("switch", Permission::Switch),
        ("administer", Permission::Administer),
    ];
    let may: Vec<&str> = rights.into_iter().filter(|(_, right)| operator.may(*right)).map(|(name, _)| name).collect();
    let mut answer = json!(operator);
    answer["may"] = json!(may);
    Json(answer)
}

/// The parameters of a query, of which each is known.
fn parameters(uri: &Uri, known: &[&str]) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = |problem: String| Refusal::new(StatusCode::BAD_REQUEST, problem);
    let url = reqwest::Url::parse(&format!("http://keywatch/?{}", uri.query().unwrap_or_default()))
        .map_err(|error| wrong(format!("the query cannot be read: {error}")))?;
    let mut parameters = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        if !known.contains(&name.as_ref()) {
            return Err(wrong(format!("unknown parameter `{name}`; there are {}", known.join(", "))));
        }
        parameters.insert(name.into_owned(), value.into_owned());
    }
    Ok(parameters)
}

/// A parameter as what it is to be.
fn parsed<T>(parameters: &BTreeMap<String, String>, name: &str) -> Result<Option<T>, Refusal>
where
    T: serde::de::DeserializeOwned,
{
    let Some(text) = parameters.get(name) else { return Ok(None) };
    // A word stands there without quotes, a number as it is. Of what is neither, the first error says what it could have been.
    let word = serde_json::from_value(Value::from(text.as_str()));
    let read = word.or_else(|error| match serde_json::from_str::<Value>(text) {
        Ok(value) => serde_json::from_value(value),
        Err(_) => Err(error),
    });
    let wrong = |error: serde_json::Error| Refusal::new(StatusCode::BAD_REQUEST, format!("`{name}`: {error}"));
    read.map(Some).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_change_nothing_is_told_who_may_change_this() {
        for (path, expected) in [
            ("/v1/responses/r-1/reject", Permission::Respond),
            ("/v1/sessions/restore", Permission::Respond),
            ("/v1/silences", Permission::Silence),
            ("/v1/silences/s-1/end", Permission::Silence),
            ("/v1/switches", Permission::Switch),
            ("/v1/compromises", Permission::Administer),
            ("/v1/incidents/i-1/comment", Permission::Handle),
            ("/v1/alerts/a-1/allow", Permission::Handle),
        ] {
            assert_eq!(changes_with(path), expected, "{path}");
        }
    }

    #[test]
    fn who_finds_the_log_taking_nothing_is_told_so_and_when_to_come_back() {
        let busy = keywatch_store::Error::Busy { seconds: 9 };
        let refusal = Refusal::from(Error::from(busy));
        assert!(refusal.problem.contains("the log cannot be written just now"), "{}", refusal.problem);
        let response = refusal.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], API_RETRY_AFTER_SECONDS.to_string());
        let unknown = Refusal::nothing("i-1").into_response();
        assert!(!unknown.headers().contains_key(header::RETRY_AFTER));
    }
}
