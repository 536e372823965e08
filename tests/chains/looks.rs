//! What stands between keywatch and the HTTP port of a node, and notes each height that the node named as its newest: a
//! follower looks for blocks by asking for that, and for nothing else.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::anvil::quantity;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

struct Inner {
    node: String,
    client: Client,
    heights: Mutex<Vec<u64>>,
}

/// A port of its own in front of a node.
pub(crate) struct Looks {
    url: String,
    inner: Arc<Inner>,
}

impl Looks {
    /// Opens on a free port.
    pub(crate) async fn at(node: &str) -> Looks {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner { node: node.to_owned(), client: Client::new(), heights: Mutex::default() });
        let router = Router::new().fallback(pass).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Looks { url, inner }
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Waits until what was answered to all looks so far is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&[u64]) -> bool) {
        let heights = || self.inner.heights.lock().unwrap().clone();
        let reached = async {
            while !wanted(&heights()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "looks were answered with {:?}", heights());
    }
}

async fn pass(State(inner): State<Arc<Inner>>, asked: Bytes) -> Response {
    let request = inner.client.post(&inner.node).header("content-type", "application/json").body(asked.clone());
    let answered = async { request.send().await?.bytes().await }.await;
    let Ok(answer) = answered else { return StatusCode::BAD_GATEWAY.into_response() };
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    if asked["method"] == "eth_blockNumber" {
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        inner.heights.lock().unwrap().push(quantity(&answer["result"]));
    }
    ([("content-type", "application/json")], answer).into_response()
}
