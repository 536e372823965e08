//! A small HTTP service that answers as it is told, and fails as it is told.

use std::collections::VecDeque;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::LINK;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::net::TcpListener;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a request is answered with in place of what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is answered.
    None,
    /// 429, with a second to wait.
    RateLimited,
    /// An answer that ends before its end.
    Cut,
    /// Nothing, for ever.
    Stall,
    /// 400: the place in the list is not known any more.
    Gone,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) query: String,
    pub(super) body: String,
    pub(super) authorization: String,
}

/// What a query and a body are answered with: a `Link` header, and a body.
type Answering = dyn Fn(&str, &str) -> (Option<String>, String) + Send + Sync;

struct Inner {
    answer: Box<Answering>,
    asked: Mutex<Vec<Asked>>,
    faults: Mutex<VecDeque<Fault>>,
}

/// The service.
pub(super) struct Scripted {
    pub(super) url: String,
    inner: Arc<Inner>,
}

impl Scripted {
    /// Starts it on a port of its own; the first requests meet `faults`.
    pub(super) async fn start(
        faults: &[Fault],
        answer: impl Fn(&str, &str) -> (Option<String>, String) + Send + Sync + 'static,
    ) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let faults = Mutex::new(faults.iter().copied().collect());
        let inner = Arc::new(Inner { answer: Box::new(answer), asked: Mutex::default(), faults });
        let router = Router::new().fallback(respond).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Scripted { url, inner }
    }

    /// Every request so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Waits until the requests so far are as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&[Asked]) -> bool) {
        let waiting = async {
            while !wanted(&self.asked()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let reached = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(reached.is_ok(), "it was asked {:#?}", self.asked());
    }
}

async fn respond(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: String::from_utf8(bytes.to_vec()).unwrap(),
        authorization: authorization(&parts.headers),
    };
    let fault = inner.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
    inner.asked.lock().unwrap().push(asked.clone());
    match fault {
        Fault::None => {
            let (link, body) = (inner.answer)(&asked.query, &asked.body);
            let mut response = ([("content-type", "application/json")], body).into_response();
            if let Some(link) = link {
                response.headers_mut().insert(LINK, HeaderValue::from_str(&link).unwrap());
            }
            response
        }
        Fault::RateLimited => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response(),
        Fault::Cut => {
            let pieces = [Ok(Bytes::from_static(b"[{\"uuid\":")), Err(io::Error::other("cut"))];
            Body::from_stream(stream::iter(pieces)).into_response()
        }
        Fault::Stall => pending().await,
        Fault::Gone => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn authorization(headers: &HeaderMap) -> String {
    headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}
