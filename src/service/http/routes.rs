//! The routes of the HTTP server of `keywatch run`, and those of metrics and readiness themselves.
//!
//! | request | answer |
//! |---|---|
//! | `POST /v1/ingest/<feed>` | 200 with counts, once the log has it; see [`ingest`] for the rest |
//! | `POST /v1/ingest/<feed>/<system>/<source>` | the same, for a sender that signs and is known by its address |
//! | `GET /v1/stream/<feed>` | a WebSocket on which a source sends batches; see [`stream`] |
//! | `GET /metrics` | Prometheus text, or `OpenMetrics` where that is asked for |
//! | `GET /healthz` | 200 while the process serves |
//! | `GET /readyz` | 200, or 503 naming the parts that are not ready; with what people should be warned of |
//!
//! It knows no format and no rule: the feed reads, the intake stores.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use keywatch_store::Topic;
use serde_json::json;

use super::server::Server;
use super::{ingest, stream};
use crate::service::metrics::Exposition;

/// Every route.
pub(crate) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .route("/v1/ingest/{feed}", post(ingest::ingest))
        .route("/v1/ingest/{feed}/{system}/{source}", post(ingest::ingest_of))
        .route("/v1/stream/{feed}", get(stream::open))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { Json(json!({ "status": "serving" })) }))
        .route("/readyz", get(readyz))
        .fallback(|| async { (StatusCode::NOT_FOUND, Json(json!({ "error": "there is nothing here" }))) })
        .layer(middleware::map_response(add_security_headers))
        .with_state(server)
}

async fn add_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Gathers one after the other, away from the threads that serve connections: it copies every histogram, and who asks for
/// nothing else all day shall take one thread at most.
async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let exposition = Exposition::accepted(accept);
    let permit = Arc::clone(&server.gathering).acquire_owned().await;
    let metrics = Arc::clone(server.metrics());
    for (log, topic) in server.log.iter().flat_map(|log| Topic::ALL.map(|topic| (log, topic))) {
        metrics.show_head(topic, &log.head(topic));
    }
    // The permit is over when it is gathered, also for who has hung up.
    let gathered = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        metrics.render(exposition)
    });
    match gathered.await {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, exposition.content_type())], text).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        Err(broken) => (StatusCode::INTERNAL_SERVER_ERROR, broken.to_string()).into_response(),
    }
}

async fn readyz(State(server): State<Arc<Server>>) -> Response {
    let obstacles = server.readiness.obstacles();
    let status = if obstacles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut said = json!({ "ready": obstacles.is_empty(), "obstacles": obstacles });
    let warnings = server.readiness.warnings();
    if !warnings.is_empty() {
        said["warnings"] = json!(warnings);
    }
    (status, Json(said)).into_response()
}

#[cfg(test)]
mod tests {
    use keywatch_ingest::feeds::mapping::installed::Installed;
    use keywatch_store::log::faulty::FaultyLog;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Appended, Error, Event, Inventory, Log};
    use sha2::{Digest, Sha256};
    use tokio::net::TcpListener;
    use tokio::sync::{Notify, watch};

    use super::super::credentials::Credentials;
    use super::*;
    use crate::service::config::credential as config;
    use crate::service::declared::Current;
    use crate::service::intake::Intake;
    use crate::service::metrics::Metrics;
    use crate::service::readiness::Readiness;

    /// A log on a full disk.
    #[derive(Default)]
    struct FullDisk(MemoryLog);

    impl FaultyLog for FullDisk {
        fn records(&self) -> &dyn Log {
            &self.0
        }

        fn faulty_append(&self, _: Topic, _: Vec<Event>) -> Result<Appended, Error> {
            Err(Error::CannotWrite { path: "log".into(), problem: "no space left on device".into() })
        }
    }

    #[tokio::test]
    async fn p2_on_a_full_disk_a_source_is_told_to_repeat() {
        // The provider of the process; another test may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let credential = config::Credential {
            system: "cold".into(),
            source: "idp".into(),
            feed: "events".into(),
            token_sha256: vec![hex::encode(Sha256::digest("token"))],
            ..config::Credential::default()
        };
        let metrics = Metrics::new();
        let intake = Intake {
            log: Arc::new(FullDisk::default()),
            inventory: Current::new(Inventory::default()),
            metrics: Arc::clone(&metrics),
            appended: Arc::new(Notify::new()),
        };
        let credentials = Credentials::new(&[credential], &Installed::default()).unwrap();
        let (_changed, credentials) = watch::channel(Arc::new(credentials));
        let server = Server::new(
            credentials,
            Arc::new(intake),
            Some(Arc::new(FullDisk::default())),
            Readiness::new(metrics.clone()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/ingest/events", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router(server)).into_future());

        let event = r#"{"id":"1","kind":"source.heartbeat","event_time":"2025-02-21T00:00:00Z"}"#;
        let request = reqwest::Client::new().post(url).bearer_auth("token").body(event);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        assert!(answer.text().await.unwrap().contains("no space left on device"));
        let counted = metrics.render(Exposition::Text).unwrap();
        assert!(counted.contains(r#"keywatch_log_failures_total{topic="events"} 1"#), "{counted}");
        assert!(!counted.contains("keywatch_ingest_events_total"), "nothing is counted as taken: {counted}");
    }
}
