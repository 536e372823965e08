//! The route that takes events in. Says who may speak, caps what they send, and answers only what is durable.
//!
//! It knows no format: the feed reads, the intake stores.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use keywatch_ingest::feeds;
use keywatch_ingest::limits::BODY_BYTES_MAX;
use keywatch_ingest::transport::body;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::credentials::Credential;
use super::server::Server;
use crate::clock;
use crate::limits::{BODY_SECONDS_MAX, INGEST_WAIT_SECONDS_MAX};
use crate::service::intake::Receipt;

/// Why a request is refused.
enum Refusal {
    /// 401: no valid credentials. Counted, never stored.
    Unauthenticated,
    /// 403: this credential is for another feed.
    OtherFeed { own: &'static str },
    /// 404: there is no such feed.
    UnknownFeed(String),
    /// 408: the body did not arrive in time.
    Slow,
    /// 413: the body is larger than is accepted, as sent or decompressed.
    TooLarge(String),
    /// 415: a content encoding or type that is not understood.
    Unsupported(String),
    /// 400: the body could not be received or decompressed.
    Broken(String),
    /// 503: no permit, or the log does not take anything now. The sender should repeat.
    Unavailable(String),
}

/// `POST /v1/ingest/<feed>`.
pub(super) async fn ingest(State(server): State<Arc<Server>>, Path(feed): Path<String>, request: Request) -> Response {
    let begun = Instant::now();
    let authorization = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let Some(credential) = server.credentials.find(authorization) else {
        server.metrics().ingest_unauthenticated.with_label_values::<&str>(&[]).inc();
        return Refusal::Unauthenticated.into_response();
    };
    let own = credential.feed.name();
    let receipt = accept(&server, credential, &feed, request).await;
    let response = receipt.map_or_else(IntoResponse::into_response, |receipt| answer(&receipt));
    server.metrics().ingest_requests.with_label_values(&[own, response.status().as_str()]).inc();
    server.metrics().ingest_latency.observe(&[own], begun.elapsed());
    response
}

/// 200, or 400 when nothing in the body could be read. What was rejected is kept in both cases.
fn answer(receipt: &Receipt) -> Response {
    let status = if receipt.is_unreadable() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    (status, Json(receipt)).into_response()
}

async fn accept(
    server: &Arc<Server>,
    credential: &Credential,
    feed: &str,
    request: Request,
) -> Result<Receipt, Refusal> {
    if feed != credential.feed.name() {
        // Whoever speaks is told of feeds that are built in; which of its own an installation has is nobody else's.
        feeds::find(feed).map_err(|error| Refusal::UnknownFeed(error.to_string()))?;
        return Err(Refusal::OtherFeed { own: credential.feed.name() });
    }
    let encoding = supported(request.headers())?;
    let _permit = permit(server).await?;
    let sent = receive(request).await?;
    store(Arc::clone(server), credential, encoding, sent).await
}

/// Content types that carry records, and the encoding, which the feed's room judges.
fn supported(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    const TYPES: [&str; 6] = [
        "application/json",
        "application/x-ndjson",
        "application/jsonl",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "text/plain",
    ];
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?").to_owned());
    if let Some(sent) = text(header::CONTENT_TYPE) {
        let essence = sent.split(';').next().unwrap_or_default().trim();
        if !TYPES.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
            let message = format!("content-type `{essence}` is not understood; send {}", TYPES.join(", "));
            return Err(Refusal::Unsupported(message));
        }
    }
    let encoding = text(header::CONTENT_ENCODING);
    // Judged on nothing at all, so that an encoding nobody understands is refused before its body is received.
    match body::decode(encoding.as_deref(), b"", BODY_BYTES_MAX) {
        Err(keywatch_ingest::Error::Encoding { encoding }) => {
            Err(Refusal::Unsupported(keywatch_ingest::Error::Encoding { encoding }.to_string()))
        }
        _ => Ok(encoding),
    }
}

async fn permit(server: &Server) -> Result<OwnedSemaphorePermit, Refusal> {
    let permit = Arc::clone(&server.permits).acquire_owned();
    let in_time = timeout(Duration::from_secs(INGEST_WAIT_SECONDS_MAX), permit).await;
    let permit = in_time.map_err(|_| Refusal::Unavailable("too many requests at once".to_owned()))?;
    permit.map_err(|_| Refusal::Unavailable("shutting down".to_owned()))
}

async fn receive(request: Request) -> Result<Bytes, Refusal> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > BODY_BYTES_MAX as u64) {
        return Err(Refusal::TooLarge(format!("more than {BODY_BYTES_MAX} bytes; send smaller batches")));
    }
    let received = timeout(Duration::from_secs(BODY_SECONDS_MAX), Bytes::from_request(request, &())).await;
    let received = received.map_err(|_| Refusal::Slow)?;
    received.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Refusal::TooLarge(format!("more than {BODY_BYTES_MAX} bytes; send smaller batches"))
        }
        _ => Refusal::Broken(rejection.body_text()),
    })
}

/// Decompresses, parses and appends away from the threads that serve connections: all three block.
async fn store(
    server: Arc<Server>,
    credential: &Credential,
    encoding: Option<String>,
    sent: Bytes,
) -> Result<Receipt, Refusal> {
    let credential = credential.clone();
    let stored = tokio::task::spawn_blocking(move || {
        let decoded = body::decode(encoding.as_deref(), &sent, BODY_BYTES_MAX)?;
        if decoded.iter().all(u8::is_ascii_whitespace) {
            return Err(Refusal::Broken("the body is empty".to_owned()));
        }
        server.intake.accept(&credential, &decoded, clock::now()).map_err(|error| {
            tracing::error!(error = %error, source = credential.origin.source, "the log did not take a body");
            Refusal::Unavailable(format!("the log does not take anything now: {error}"))
        })
    });
    // A feed that panics costs its sender the answer, not the server its life; the body is not acknowledged.
    stored.await.unwrap_or_else(|_| {
        Err(Refusal::Unavailable("reading the body failed; this is a defect of keywatch".to_owned()))
    })
}

impl From<keywatch_ingest::Error> for Refusal {
    fn from(error: keywatch_ingest::Error) -> Refusal {
        let message = error.to_string();
        match error {
            keywatch_ingest::Error::TooLarge { .. } => Refusal::TooLarge(message),
            keywatch_ingest::Error::Encoding { .. } => Refusal::Unsupported(message),
            keywatch_ingest::Error::Gzip { .. } => Refusal::Broken(message),
            keywatch_ingest::Error::UnknownFeed { .. } => Refusal::UnknownFeed(message),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Refusal::Unauthenticated => (StatusCode::UNAUTHORIZED, "a valid bearer token is needed".to_owned()),
            Refusal::OtherFeed { own } => (StatusCode::FORBIDDEN, format!("this token is for /v1/ingest/{own}")),
            Refusal::UnknownFeed(message) => (StatusCode::NOT_FOUND, message),
            Refusal::Slow => {
                (StatusCode::REQUEST_TIMEOUT, format!("the body did not arrive within {BODY_SECONDS_MAX} s"))
            }
            Refusal::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Refusal::Unsupported(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            Refusal::Broken(message) => (StatusCode::BAD_REQUEST, message),
            Refusal::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
        };
        let mut response = (status, Json(json!({ "error": message }))).into_response();
        let hint = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"keywatch\"")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Some((header::ACCEPT_ENCODING, "gzip, identity")),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
