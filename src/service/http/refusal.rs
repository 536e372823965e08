//! What a request that is refused is answered: the status, words that say what to do, when to come back; and the name under
//! which it is counted. The names are few and fixed, whatever strangers send.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use super::turns::Busy;
use crate::limits::{
    BODY_BYTES_PER_SECOND_MIN, BODY_GRACE_SECONDS, BODY_SECONDS_MAX, SOURCE_REQUESTS_MAX, SOURCE_STREAMS_MAX,
};

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 401: no valid credentials. Counted, never stored.
    Unauthenticated(String),
    /// 429: too many attempts without valid credentials from this address.
    Failing(Duration),
    /// 429: too many requests from this address.
    Crowded(Duration),
    /// 429: too many bodies at once from this address of which nobody knows yet whose they are.
    Strangers,
    /// 403: this credential is for another feed.
    OtherFeed { own: &'static str },
    /// 403: this credential is of another source than the address names.
    OtherSource,
    /// 409: a signed message that was taken already.
    Replayed,
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
    /// 429 or 503: no turn now. The sender should repeat.
    Busy(Busy),
    /// 503: the log does not take anything now. The sender should repeat.
    Unavailable(String),
}

impl Refusal {
    /// The name under which it is counted.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Refusal::Unauthenticated(_) => "unauthenticated",
            Refusal::Failing(_) => "address_failures",
            Refusal::Crowded(_) => "address_rate",
            Refusal::Strangers => "address_unproven",
            Refusal::OtherFeed { .. } => "other_feed",
            Refusal::OtherSource => "other_source",
            Refusal::UnknownFeed(_) => "unknown_feed",
            Refusal::Replayed => "replayed",
            Refusal::Slow => "slow",
            Refusal::TooLarge(_) => "too_large",
            Refusal::Unsupported(_) => "unsupported",
            Refusal::Broken(_) => "broken",
            Refusal::Busy(Busy::Requests) => "source_requests",
            Refusal::Busy(Busy::Rate(_)) => "source_rate",
            Refusal::Busy(Busy::Bytes) => "source_bytes",
            Refusal::Busy(Busy::Memory) => "memory",
            Refusal::Busy(Busy::Replays) => "source_replays",
            Refusal::Busy(Busy::Streams) => "source_streams",
            Refusal::Busy(Busy::AllStreams) => "streams",
            Refusal::Busy(Busy::Work) => "work",
            Refusal::Unavailable(_) => "unavailable",
        }
    }

    fn said(self) -> (StatusCode, String) {
        let much = StatusCode::TOO_MANY_REQUESTS;
        match self {
            Refusal::Unauthenticated(message) => (StatusCode::UNAUTHORIZED, message),
            Refusal::Failing(_) => (much, "too many attempts without valid credentials from this address".to_owned()),
            Refusal::Crowded(_) => (much, "too many requests from this address".to_owned()),
            Refusal::Strangers => {
                (much, "too many signed bodies at once whose signature is not checked yet; send again".to_owned())
            }
            Refusal::OtherFeed { own } => (StatusCode::FORBIDDEN, format!("this credential is for /v1/ingest/{own}")),
            Refusal::OtherSource => (StatusCode::FORBIDDEN, "this credential is of another source".to_owned()),
            Refusal::Replayed => (StatusCode::CONFLICT, "this message was taken already".to_owned()),
            Refusal::UnknownFeed(message) => (StatusCode::NOT_FOUND, message),
            Refusal::Slow => {
                let message = format!(
                    "the body came too slowly: {BODY_BYTES_PER_SECOND_MIN} bytes a second after the first \
                     {BODY_GRACE_SECONDS} s, and {BODY_SECONDS_MAX} s in all"
                );
                (StatusCode::REQUEST_TIMEOUT, message)
            }
            Refusal::TooLarge(message) => (StatusCode::PAYLOAD_TOO_LARGE, message),
            Refusal::Unsupported(message) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, message),
            Refusal::Broken(message) => (StatusCode::BAD_REQUEST, message),
            Refusal::Busy(Busy::Requests) => {
                (much, format!("this source has {SOURCE_REQUESTS_MAX} requests open already"))
            }
            Refusal::Busy(Busy::Rate(_)) => (much, "this source makes too many requests a second".to_owned()),
            Refusal::Busy(Busy::Bytes) => (much, "the bodies that this source sends at once are too large".to_owned()),
            Refusal::Busy(Busy::Replays) => {
                (much, "this source has signed more messages than can be remembered".to_owned())
            }
            Refusal::Busy(Busy::Streams) => {
                (much, format!("this source has {SOURCE_STREAMS_MAX} streams open already"))
            }
            Refusal::Busy(Busy::AllStreams) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many streams are open; send with POST /v1/ingest".to_owned())
            }
            Refusal::Busy(Busy::Memory) => {
                (StatusCode::SERVICE_UNAVAILABLE, "too many bytes are on their way at once".to_owned())
            }
            Refusal::Busy(Busy::Work) => (StatusCode::SERVICE_UNAVAILABLE, "too many requests at once".to_owned()),
            Refusal::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, message),
        }
    }

    /// What is wrong, in words.
    pub(super) fn message(self) -> String {
        self.said().1
    }

    /// Whole seconds after which to come back, where that makes sense.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::Failing(wait) | Refusal::Crowded(wait) | Refusal::Busy(Busy::Rate(wait)) => {
                Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
            }
            Refusal::Busy(_) | Refusal::Unavailable(_) | Refusal::Strangers => Some(1),
            _ => None,
        }
    }
}

impl From<Busy> for Refusal {
    fn from(busy: Busy) -> Refusal {
        Refusal::Busy(busy)
    }
}

impl From<keywatch_ingest::Error> for Refusal {
    fn from(error: keywatch_ingest::Error) -> Refusal {
        let message = error.to_string();
        match error {
            keywatch_ingest::Error::TooLarge { .. } => Refusal::TooLarge(message),
            keywatch_ingest::Error::Encoding { .. } => Refusal::Unsupported(message),
            keywatch_ingest::Error::Gzip { .. } | keywatch_ingest::Error::Zstd { .. } => Refusal::Broken(message),
            keywatch_ingest::Error::UnknownFeed { .. } => Refusal::UnknownFeed(message),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let retry_after = self.retry_after();
        let (status, message) = self.said();
        let mut response = (status, Json(json!({ "error": message }))).into_response();
        let hint = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer realm=\"keywatch\"")),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Some((header::ACCEPT_ENCODING, "gzip, zstd, identity")),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
