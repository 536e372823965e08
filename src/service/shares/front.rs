//! The front door of a process that shares partitions: what is asked of it is asked of the processes of its partitions. It
//! knows nothing of what they answer but how answers become one.
//!
//! | request | answer |
//! |---|---|
//! | `GET /metrics` | Prometheus text of all, each series with its partition |
//! | `GET /healthz` | 200 while the process serves |
//! | `GET /readyz` | 200, or 503 naming what is not ready; and the partitions that are here |
//! | `GET /partitions/<n>` | from then on the page of that partition, in this browser |
//! | everything else | what [`answers`](super::answers) says of it |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Json, Redirect, Response};
use axum::routing::get;
use futures::future::join_all;
use maud::{DOCTYPE, html};
use reqwest::redirect::Policy;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::answers::{Asks, asks, together};
use super::asked::{Answer, Asked, PARTITION};
use super::holding::{Places, Shares};
use crate::limits::{GATHERING_CONCURRENT_MAX, HEAD_SECONDS_MAX, SHARE_ANSWER_SECONDS_MAX, SHARE_PROBE_SECONDS_MAX};
use crate::service::metrics::{Exposition, Metrics};
use crate::service::readiness::Readiness;

/// What every request may use.
pub(super) struct Front {
    shares: Arc<Shares>,
    /// Partitions that there are in all.
    partitions: u32,
    /// Whether it is asked over TLS.
    is_secure: bool,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    client: reqwest::Client,
    /// Turns of who asks how everything does.
    gathering: Semaphore,
}

impl Front {
    /// A door before these partitions.
    ///
    /// # Errors
    /// There is no client for HTTP.
    pub(super) fn new(
        shares: Arc<Shares>,
        partitions: u32,
        is_secure: bool,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Arc<Front>> {
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(SHARE_ANSWER_SECONDS_MAX))
            // Before the other side closes it: what was sent at that moment would be neither done nor refused.
            .pool_idle_timeout(Duration::from_secs(HEAD_SECONDS_MAX / 2))
            .build()?;
        let gathering = Semaphore::new(GATHERING_CONCURRENT_MAX);
        Ok(Arc::new(Front { shares, partitions, is_secure, readiness, metrics, client, gathering }))
    }

    /// What every partition says under a path; nothing of those that do not answer.
    async fn gather(&self, path: &str) -> Vec<(u32, Option<(StatusCode, String)>)> {
        // It is never closed.
        let _turn = self.gathering.acquire().await;
        let places = self.shares.places();
        let probes: Vec<_> = places.values().map(|place| self.probe(*place, path)).collect();
        let answers = join_all(probes).await;
        places.into_keys().zip(answers).collect()
    }

    async fn probe(&self, place: Option<SocketAddr>, path: &str) -> Option<(StatusCode, String)> {
        let request = self.client.get(format!("http://{}{path}", place?));
        let answer = request.timeout(Duration::from_secs(SHARE_PROBE_SECONDS_MAX)).send().await.ok()?;
        let status = answer.status();
        Some((status, answer.text().await.ok()?))
    }

    async fn answer(&self, asked: &Asked) -> Result<Response, Refusal> {
        let places = self.shares.places();
        let named = asked.partition().map_err(|_| Refusal::bad(format!("{PARTITION}: it is no number")))?;
        let only = if places.len() == 1 { places.keys().next().copied() } else { None };
        let asks = asks(&asked.method, asked.path.path());
        if asks == Asks::OfSystem
            && let Some(partition) = asked.partition_of_system(self.partitions)
        {
            return Ok(self.ask(asked, &places, partition).await?.into_response());
        }
        if let Some(partition) = named.filter(|named| places.contains_key(named) || !asked.is_of_page()).or(only) {
            return Ok(self.ask(asked, &places, partition).await?.into_response());
        }
        match asks {
            _ if places.is_empty() => Err(Refusal::nothing_here()),
            Asks::Any | Asks::OfSystem => self.first(asked, &places, true).await,
            Asks::WhoHas => self.first(asked, &places, false).await,
            Asks::All => self.all(asked, &places).await,
            Asks::Named if asked.is_of_page() => Ok(choice(&places)),
            Asks::Named => Err(Refusal::bad(format!(
                "this process has several partitions, and answers that for one: name it in the header {PARTITION}; \
                 there are {}",
                numbers(&places)
            ))),
        }
    }

    async fn ask(&self, asked: &Asked, places: &Places, partition: u32) -> Result<Answer, Refusal> {
        let place = places.get(&partition).ok_or_else(|| Refusal::elsewhere(partition, places))?;
        let place = place.ok_or_else(|| Refusal::not_yet(partition))?;
        asked.send(&self.client, place).await.map_err(|error| {
            tracing::warn!(partition, %error, "the process of a partition did not answer");
            Refusal::not_yet(partition)
        })
    }

    /// The first answer, else what stands in the way of the last. Where `any` will not do, one that nothing is there is passed
    /// over; and where somebody did not answer, that is said, since the thing may be there.
    async fn first(&self, asked: &Asked, places: &Places, any: bool) -> Result<Response, Refusal> {
        let (mut nothing, mut silent) = (None, None);
        for partition in places.keys() {
            match self.ask(asked, places, *partition).await {
                Ok(answer) if any || answer.status != StatusCode::NOT_FOUND => return Ok(answer.into_response()),
                Ok(answer) => nothing = Some(answer),
                Err(refusal) => silent = Some(refusal),
            }
        }
        match (silent, nothing) {
            (None, Some(answer)) => Ok(answer.into_response()),
            (silent, _) => Err(silent.unwrap_or_else(Refusal::nothing_here)),
        }
    }

    /// Asks all at once, or where they are to do something one after the other, and no more after one that refuses.
    async fn ask_all(&self, asked: &Asked, places: &Places) -> Vec<Result<Answer, Refusal>> {
        if asked.method.is_safe() {
            let all: Vec<_> = places.keys().map(|partition| self.ask(asked, places, *partition)).collect();
            return join_all(all).await;
        }
        let mut answers = Vec::new();
        for partition in places.keys() {
            let answer = self.ask(asked, places, *partition).await;
            let refuses = !matches!(&answer, Ok(Answer { status: StatusCode::OK | StatusCode::NOT_FOUND, .. }));
            answers.push(answer);
            if refuses {
                break;
            }
        }
        answers
    }

    /// What all answer. A partition that does not answer would look like one in which nothing is.
    async fn all(&self, asked: &Asked, places: &Places) -> Result<Response, Refusal> {
        let Some(wanted) = asked.wanted() else {
            return Err(Refusal::bad(format!(
                "`offset`: only lists of one partition are shown from the middle; name it in the header {PARTITION}; there \
                 are {}",
                numbers(places)
            )));
        };
        let (mut done, mut nothing) = (Vec::new(), None);
        for answer in self.ask_all(asked, places).await {
            let answer = answer?;
            match answer.status {
                StatusCode::OK => done.push(answer),
                StatusCode::NOT_FOUND => nothing = Some(answer),
                _ => return Ok(answer.into_response()),
            }
        }
        let values: Vec<Value> =
            done.iter().map(|answer| serde_json::from_slice(&answer.body).unwrap_or(Value::Null)).collect();
        let answer = done.into_iter().next().map(|first| first.saying(&together(values, wanted)));
        answer.or(nothing).map(IntoResponse::into_response).ok_or_else(Refusal::nothing_here)
    }
}

/// Why a request is refused.
struct Refusal(StatusCode, String);

impl Refusal {
    fn bad(problem: String) -> Refusal {
        Refusal(StatusCode::BAD_REQUEST, problem)
    }

    fn elsewhere(partition: u32, places: &Places) -> Refusal {
        let here = if places.is_empty() { "none".to_owned() } else { numbers(places) };
        Refusal(StatusCode::NOT_FOUND, format!("partition {partition} is with another process; here: {here}"))
    }

    fn not_yet(partition: u32) -> Refusal {
        let problem = format!(
            "partition {partition} is being started here and answers later; others answer where {PARTITION} names one"
        );
        Refusal(StatusCode::SERVICE_UNAVAILABLE, problem)
    }

    fn nothing_here() -> Refusal {
        Refusal(StatusCode::SERVICE_UNAVAILABLE, "this process has no partition; ask another one".to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.0, Json(json!({ "error": self.1 }))).into_response();
        if self.0 == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

fn numbers(places: &Places) -> String {
    places.keys().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Every route.
pub(super) fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { Json(json!({ "status": "serving" })) }))
        .route("/readyz", get(readyz))
        .route("/partitions/{partition}", get(choose))
        .fallback(forward)
        .layer(middleware::map_response(secure))
        .with_state(front)
}

/// What the partitions say of this themselves stays as they say it.
async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::CACHE_CONTROL, "no-store")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn forward(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Some(asked) = Asked::read(request, front.is_secure, front.shares.secret()).await else {
        let problem = "the body is larger than any that is taken here; events go to a process with --role ingest";
        return Refusal(StatusCode::PAYLOAD_TOO_LARGE, problem.to_owned()).into_response();
    };
    front.answer(&asked).await.unwrap_or_else(IntoResponse::into_response)
}

async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let own = match front.metrics.render(Exposition::Text) {
        Ok(own) => own,
        Err(error) => return (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    };
    let answers = front.gather("/metrics").await.into_iter();
    let texts = answers.filter_map(|(partition, answer)| match answer {
        Some((StatusCode::OK, text)) => Some((partition, text)),
        _ => None,
    });
    let text = super::scrape::together(&own, &texts.collect::<Vec<_>>());
    ([(header::CONTENT_TYPE, Exposition::Text.content_type())], text).into_response()
}

async fn readyz(State(front): State<Arc<Front>>) -> Response {
    let mut obstacles: Map<String, Value> =
        front.readiness.obstacles().into_iter().map(|(part, why)| (part.to_owned(), why.into())).collect();
    let answers = front.gather("/readyz").await;
    let partitions: Vec<u32> = answers.iter().map(|(partition, _)| *partition).collect();
    let mut warnings = Map::new();
    for (partition, answer) in answers {
        let why = match answer {
            Some((StatusCode::OK, text)) => {
                let said = serde_json::from_str::<Value>(&text).ok();
                let warned = said.and_then(|mut said| said.get_mut("warnings").map(Value::take));
                warnings.extend(warned.map(|warned| (format!("partition {partition}"), warned)));
                continue;
            }
            Some((_, text)) => serde_json::from_str::<Value>(&text)
                .map_or(Value::from(text), |mut said| said.get_mut("obstacles").map(Value::take).unwrap_or_default()),
            None => "it does not answer yet".into(),
        };
        let why = why.as_str().map_or_else(|| why.to_string(), str::to_owned);
        obstacles.insert(format!("partition {partition}"), why.into());
    }
    let is_ready = obstacles.is_empty();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut said = json!({ "ready": is_ready, "obstacles": obstacles, "partitions": partitions });
    if !warnings.is_empty() {
        said["warnings"] = Value::Object(warnings);
    }
    (status, Json(said)).into_response()
}

/// Which partition's page this browser is shown. It opens nothing: each has its own sign-in.
async fn choose(State(front): State<Arc<Front>>, Path(partition): Path<u32>) -> Response {
    let over_tls = if front.is_secure { "; Secure" } else { "" };
    let cookie = format!("{PARTITION}={partition}; Path=/; HttpOnly; SameSite=Lax{over_tls}");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/page")).into_response()
}

fn choice(places: &Places) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "keywatch" } }
            body {
                h1 { "Which partition?" }
                p { "This process has several, and each has its systems and its page." }
                ul {
                    @for partition in places.keys() {
                        li { a href={ "/partitions/" (partition) } { "Partition " (partition) } }
                    }
                }
            }
        }
    };
    let policy = (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    ([policy], Html(page.into_string())).into_response()
}

#[cfg(test)]
mod tests;
