//! An Open Policy Agent whose bearer token stands in a file that may change while keywatch runs: a revocation must not fail
//! until somebody starts keywatch again. Knows nothing of what it is asked.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use keywatch_alerting::response::pdp::{Call, HeldDocument};
use keywatch_alerting::{BundleBoard, Decision, OpaPdp, OpaSettings, PolicyDecisionPoint, RevocationDocument};

/// The Open Policy Agent, with the token that the file holds.
pub(crate) struct RotatingToken {
    url: String,
    file: PathBuf,
    board: Option<Arc<BundleBoard>>,
    current: Mutex<Current>,
}

struct Current {
    token: String,
    opa: Arc<OpaPdp>,
}

impl RotatingToken {
    /// Reads the token for the first time.
    ///
    /// # Errors
    /// The file cannot be read, or address or token cannot be used.
    pub(crate) fn new(url: &str, file: &Path, board: Option<Arc<BundleBoard>>) -> anyhow::Result<RotatingToken> {
        let token = read(file)?;
        let opa = connect(url, Some(&token), board.as_ref())?;
        let current = Mutex::new(Current { token, opa: Arc::new(opa) });
        Ok(RotatingToken { url: url.to_owned(), file: file.to_owned(), board, current })
    }

    /// The agent with the token of now. One that cannot be read or used leaves the last: it may be half written.
    fn opa(&self) -> Arc<OpaPdp> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = read(&self.file).map(|token| Some(token).filter(|token| *token != current.token));
        let replaced = changed.and_then(|token| {
            let Some(token) = token else { return Ok(()) };
            let opa = Arc::new(connect(&self.url, Some(&token), self.board.as_ref())?);
            *current = Current { token, opa };
            tracing::info!(opa = self.url, "the token of a decision point has changed");
            Ok(())
        });
        if let Err(error) = replaced {
            tracing::warn!(opa = self.url, %error, "its token cannot be read again; the last one is used");
        }
        Arc::clone(&current.opa)
    }
}

impl PolicyDecisionPoint for RotatingToken {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        Box::pin(async move { self.opa().publish(document).await })
    }

    fn ask<'a>(&'a self, input: &'a serde_json::Value) -> Call<'a, Decision> {
        Box::pin(async move { self.opa().ask(input).await })
    }

    fn fetches(&self) -> bool {
        self.board.is_some()
    }

    fn meta(&self) -> Call<'_, Option<serde_json::Value>> {
        Box::pin(async move { self.opa().meta().await })
    }

    fn held(&self) -> Call<'_, Option<HeldDocument>> {
        Box::pin(async move { self.opa().held().await })
    }
}

/// An agent at this address.
///
/// # Errors
/// Address or token cannot be used.
pub(crate) fn connect(url: &str, token: Option<&str>, board: Option<&Arc<BundleBoard>>) -> anyhow::Result<OpaPdp> {
    let opa = OpaPdp::new(&OpaSettings { url: url.to_owned(), token: token.map(str::to_owned) })?;
    Ok(match board {
        Some(board) => opa.fetching(Arc::clone(board)),
        None => opa,
    })
}

fn read(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "{} is empty", file.display());
    Ok(token.to_owned())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse, Json, Response};
    use serde_json::json;

    use super::*;

    /// Allows whoever has the token that it expects.
    async fn allow(State(expected): State<Arc<Mutex<String>>>, headers: HeaderMap) -> Response {
        let expected = format!("Bearer {}", expected.lock().unwrap());
        if headers.get("authorization").is_some_and(|given| *given == expected) {
            Json(json!({ "result": true })).into_response()
        } else {
            StatusCode::UNAUTHORIZED.into_response()
        }
    }

    #[tokio::test]
    async fn a_token_that_changes_is_used_from_then_on_and_one_that_cannot_be_read_leaves_the_last() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let expected = Arc::new(Mutex::new("first".to_owned()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(allow).with_state(Arc::clone(&expected));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("opa.token");
        assert!(RotatingToken::new(&url, &file, None).is_err(), "there is no file");
        std::fs::write(&file, "first\n").unwrap();
        let opa = RotatingToken::new(&url, &file, None).unwrap();
        assert!(opa.ask(&json!({})).await.unwrap().allow);

        *expected.lock().unwrap() = "second".to_owned();
        assert!(opa.ask(&json!({})).await.is_err(), "the file has the first");
        std::fs::write(&file, "second\n").unwrap();
        assert!(opa.ask(&json!({})).await.unwrap().allow);
        for broken in ["", "no\nheader"] {
            std::fs::write(&file, broken).unwrap();
            assert!(opa.ask(&json!({})).await.unwrap().allow, "{broken:?}");
        }
        std::fs::remove_file(&file).unwrap();
        assert!(opa.ask(&json!({})).await.unwrap().allow, "the file is gone");
    }
}
