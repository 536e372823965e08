//! A bucket as S3 has it, on a loopback port and a thread of its own, so that it answers while a test waits for a process. It
//! computes the signature of every request itself, from what came over the wire, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

/// How long each answer takes of a bucket that is slow.
const SLOW: Duration = Duration::from_millis(300);

/// What it does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// It answers 503.
    Busy,
    /// Every answer takes long.
    Slow,
    /// It takes all objects but those whose name ends with that, and lets whoever sends one wait.
    Holds(&'static str),
}

/// A bucket that one pair of keys opens.
pub(crate) struct Bucket {
    /// The address of the service.
    pub(crate) endpoint: String,
    shared: Arc<Shared>,
    /// Ends the thread when it is dropped.
    _end: oneshot::Sender<()>,
}

struct Shared {
    name: &'static str,
    secret: &'static str,
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    fault: Mutex<Fault>,
    refused: AtomicUsize,
    held: AtomicUsize,
}

impl Bucket {
    /// An empty one.
    pub(crate) fn start(name: &'static str, secret: &'static str) -> Bucket {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            name,
            secret,
            objects: Mutex::default(),
            fault: Mutex::new(Fault::None),
            refused: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let (end, ended) = oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let serving = async move { axum::serve(listener, router).await };
                tokio::select! {
                    served = serving => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Bucket { endpoint, shared, _end: end }
    }

    /// From now on it does that wrong.
    pub(crate) fn set(&self, fault: Fault) {
        *self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Keys of the objects that lie there.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.objects(|objects| objects.keys().cloned().collect())
    }

    /// Turns a bit in the objects whose key contains that.
    pub(crate) fn damage(&self, part_of_key: &str) {
        let damaged = self.objects(|objects| {
            let damaged = objects.iter_mut().filter(|(key, _)| key.contains(part_of_key));
            damaged.map(|(_, content)| content[0] ^= 1).count()
        });
        assert!(damaged > 0, "no {part_of_key}");
    }

    /// Requests that did not carry the signature that they should.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Requests that were let wait.
    pub(crate) fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    fn objects<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        look(&mut self.shared.objects.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.unwrap();
    if !is_signed(&parts, &body, shared.secret) {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::FORBIDDEN.into_response();
    }
    let fault = *shared.fault.lock().unwrap_or_else(PoisonError::into_inner);
    match fault {
        Fault::Busy => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fault::Slow => tokio::time::sleep(SLOW).await,
        Fault::Holds(end) if parts.method == Method::PUT && parts.uri.path().ends_with(end) => {
            shared.held.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        Fault::None | Fault::Holds(_) => {}
    }
    shared.answer(&parts, &body)
}

impl Shared {
    fn answer(&self, parts: &Parts, body: &Bytes) -> Response {
        let Some(key) = parts.uri.path().strip_prefix(&format!("/{}/", self.name)) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        let mut objects = self.objects.lock().unwrap_or_else(PoisonError::into_inner);
        match (&parts.method, key) {
            (&Method::GET, "") => list(&objects, parts.uri.query().unwrap_or_default()).into_response(),
            (&Method::GET, key) => match objects.get(key) {
                Some(content) => content.clone().into_response(),
                None => StatusCode::NOT_FOUND.into_response(),
            },
            (&Method::PUT, key) => {
                objects.insert(key.to_owned(), body.to_vec());
                StatusCode::OK.into_response()
            }
            (&Method::DELETE, key) => {
                objects.remove(key);
                StatusCode::NO_CONTENT.into_response()
            }
            _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        }
    }
}

/// A page of at most three keys that begin with the prefix, behind the one that the page before ended with.
fn list(objects: &BTreeMap<String, Vec<u8>>, query: &str) -> String {
    let url = reqwest::Url::parse(&format!("http://bucket/?{query}")).unwrap();
    let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(asked["list-type"], "2");
    let after = asked.get("continuation-token").cloned().unwrap_or_default();
    let of_prefix = objects.keys().filter(|key| key.starts_with(&asked["prefix"]) && **key > after);
    let keys: Vec<&String> = of_prefix.take(4).collect();
    let is_cut = keys.len() > 3;
    let shown = &keys[..keys.len().min(3)];
    let listed: Vec<String> =
        shown.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>1</Size></Contents>")).collect();
    let listed = listed.concat();
    let next = shown.last().filter(|_| is_cut);
    let next = next.map(|key| format!("<NextContinuationToken>{key}</NextContinuationToken>")).unwrap_or_default();
    format!("<ListBucketResult><IsTruncated>{is_cut}</IsTruncated>{next}{listed}</ListBucketResult>")
}

/// Whether a request carries the signature that its keys give it, over all that the service's reference asks for.
fn is_signed(parts: &Parts, body: &[u8], secret: &str) -> bool {
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said: BTreeMap<&str, &str> = header("authorization")
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .unwrap_or_default()
        .split(',')
        .filter_map(|field| field.trim().split_once('='))
        .collect();
    let field = |name: &str| said.get(name).copied().unwrap_or_default();
    let names: Vec<&str> = field("SignedHeaders").split(';').collect();
    let is_whole = ["host", "x-amz-content-sha256", "x-amz-date"].iter().all(|name| names.contains(name));
    let digest = hex::encode(Sha256::digest(body));
    let scope: Vec<&str> = field("Credential").split('/').skip(1).collect();
    let time = header("x-amz-date");
    if !is_whole || header("x-amz-content-sha256") != digest || scope.len() != 4 || !time.starts_with(scope[0]) {
        return false;
    }
    let lines: Vec<String> = names.iter().map(|name| format!("{name}:{}\n", header(name).trim())).collect();
    let lines = lines.concat();
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let mut in_order: Vec<&str> = query.split('&').collect();
    in_order.sort_unstable();
    let query = in_order.join("&");
    let canonical = format!("{}\n{path}\n{query}\n{lines}\n{}\n{digest}", parts.method, field("SignedHeaders"));
    let canonical = hex::encode(Sha256::digest(canonical));
    let signed = format!("AWS4-HMAC-SHA256\n{time}\n{}\n{canonical}", scope.join("/"));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.iter().copied().chain([signed.as_str()]) {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    hex::encode(key) == field("Signature")
}
