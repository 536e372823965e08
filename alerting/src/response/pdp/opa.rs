//! An Open Policy Agent, reached over its REST API (OPA documentation, REST API, Data API). Ids travel in JSON bodies only,
//! never in a path.
//!
//! The document gets there in one of two ways. By the Data API it is written with `PUT /v1/data/revocations` and read back;
//! OPA keeps such data in memory, so it is written again at every heartbeat, and a restarted OPA denies everything only
//! until then. As a bundle it is offered to be fetched, and published once OPA says that it has activated that revision.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Call, DECISION_PATH, Decision, HeldDocument, PolicyDecisionPoint};
use crate::Error;
use crate::limits::{ACTIVATION_LOOK_MS, DOCUMENT_BYTES_MAX, PDP_ANSWER_BYTES_MAX, PDP_CALL_MS_MAX};
use crate::response::bundle::BundleBoard;
use crate::response::revocation::RevocationDocument;

/// How an OPA is reached.
#[derive(Clone)]
pub struct OpaSettings {
    /// Base address, e.g. `http://127.0.0.1:8181`.
    pub url: String,
    /// Bearer token, where OPA runs with `--authentication=token`.
    pub token: Option<String>,
}

/// How the document gets to an OPA.
#[derive(Clone)]
pub enum Delivery {
    /// It is written there.
    Data,
    /// It is fetched from this board, as a signed bundle.
    Bundle(Arc<BundleBoard>),
}

/// An OPA.
pub struct OpaPdp {
    client: Client,
    url: String,
    delivery: Delivery,
}

impl OpaPdp {
    /// Prepares a client; nothing is sent yet. The process must have a rustls provider installed.
    ///
    /// # Errors
    /// [`Error::PdpRefused`] when the address or token cannot be used.
    pub fn new(settings: &OpaSettings) -> Result<OpaPdp, Error> {
        let url = settings.url.trim_end_matches('/').to_owned();
        let refuse = |problem: String| Error::PdpRefused { endpoint: url.clone(), problem };
        reqwest::Url::parse(&url).map_err(|error| refuse(format!("not an address: {error}")))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| refuse("the token holds characters that a header cannot carry".to_owned()))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let client = Client::builder()
            .default_headers(headers)
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_millis(PDP_CALL_MS_MAX))
            .build()
            .map_err(|error| refuse(chain(&error)))?;
        Ok(OpaPdp { client, url, delivery: Delivery::Data })
    }

    /// The same OPA, which fetches bundles from this board.
    #[must_use]
    pub fn fetching(self, board: Arc<BundleBoard>) -> OpaPdp {
        OpaPdp { delivery: Delivery::Bundle(board), ..self }
    }

    fn silent(&self, problem: String) -> Error {
        Error::PdpSilent { endpoint: self.url.clone(), problem }
    }

    fn refused(&self, problem: String) -> Error {
        Error::PdpRefused { endpoint: self.url.clone(), problem }
    }

    async fn send(&self, request: RequestBuilder, bytes_max: usize) -> Result<(StatusCode, Vec<u8>), Error> {
        let mut response = request.send().await.map_err(|error| self.silent(chain(&error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(chain(&error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > bytes_max {
                return Err(self.refused(format!("its answer is longer than {bytes_max} bytes")));
            }
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.silent(format!("{status}: {}", excerpt(&body))));
        }
        if !status.is_success() {
            return Err(self.refused(format!("{status}: {}", excerpt(&body))));
        }
        Ok((status, body))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Error> {
        let (_, body) = self.send(request, PDP_ANSWER_BYTES_MAX).await?;
        serde_json::from_slice(&body).map_err(|error| self.refused(format!("its answer is not JSON: {error}")))
    }

    async fn put_and_read_back(&self, document: &RevocationDocument) -> Result<(), Error> {
        let at = format!("{}/v1/data/revocations", self.url);
        self.send(self.client.put(&at).json(&document.to_value()), PDP_ANSWER_BYTES_MAX).await?;
        let meta = self.json(self.client.get(format!("{at}/meta"))).await?;
        let kept = meta["result"]["seq"].as_u64();
        if kept != Some(document.sequence) {
            let kept = kept.map_or_else(|| "none".to_owned(), |kept| kept.to_string());
            return Err(self.refused(format!("document {} was written, {kept} is in force", document.sequence)));
        }
        Ok(())
    }

    /// Waits until the bundle of this document is in force.
    async fn offer_and_look(&self, board: &Arc<BundleBoard>, document: &RevocationDocument) -> Result<(), Error> {
        board.put(document).await?;
        let until = Instant::now() + Duration::from_millis(PDP_CALL_MS_MAX * 9 / 10);
        let at = format!("{}/v1/data/revocations/meta?provenance=true", self.url);
        loop {
            let answer = self.json(self.client.get(&at)).await?;
            let meta = &answer["result"];
            let (kept, stamp) = (meta["seq"].as_u64(), meta["issued_at"].as_i64());
            let is_this = kept == Some(document.sequence)
                && meta["sha256"].as_str() == Some(document.sha256().as_str())
                && stamp >= Some(document.issued_at);
            if is_this && comes_of_bundle(&answer, &document.revision()) {
                return Ok(());
            }
            if Instant::now() >= until {
                let kept = kept.map_or_else(|| "none".to_owned(), |kept| kept.to_string());
                return Err(self.refused(format!(
                    "the bundle of document {} is offered, {kept} is in force{}",
                    document.sequence,
                    if is_this { " and does not come of a bundle" } else { "; its status says what it got" }
                )));
            }
            sleep(Duration::from_millis(ACTIVATION_LOOK_MS)).await;
        }
    }
}

/// Whether one of the bundles in force has this revision.
fn comes_of_bundle(answer: &Value, revision: &str) -> bool {
    let bundles = answer["provenance"]["bundles"].as_object();
    bundles.into_iter().flatten().any(|(_, bundle)| bundle["revision"].as_str() == Some(revision))
}

impl PolicyDecisionPoint for OpaPdp {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        match &self.delivery {
            Delivery::Data => Box::pin(self.put_and_read_back(document)),
            Delivery::Bundle(board) => Box::pin(self.offer_and_look(board, document)),
        }
    }

    fn fetches(&self) -> bool {
        matches!(self.delivery, Delivery::Bundle(_))
    }

    fn meta(&self) -> Call<'_, Option<Value>> {
        Box::pin(async move {
            let answer = self.json(self.client.get(format!("{}/v1/data/revocations/meta", self.url))).await?;
            Ok(Some(answer["result"].clone()))
        })
    }

    fn held(&self) -> Call<'_, Option<HeldDocument>> {
        Box::pin(async move {
            let request = self.client.get(format!("{}/v1/data/revocations", self.url));
            let (_, body) = self.send(request, DOCUMENT_BYTES_MAX).await?;
            let answer: Value = serde_json::from_slice(&body)
                .map_err(|error| self.refused(format!("its answer is not JSON: {error}")))?;
            Ok(Some(HeldDocument::of(&answer["result"])))
        })
    }

    fn ask<'a>(&'a self, input: &'a Value) -> Call<'a, Decision> {
        Box::pin(async move {
            let at = format!("{}/v1/data/{DECISION_PATH}", self.url);
            let answer = self.json(self.client.post(at).json(&json!({ "input": input }))).await?;
            Ok(Decision {
                allow: answer["result"] == Value::Bool(true),
                decision_id: answer["decision_id"].as_str().map(str::to_owned),
                sequence: None,
            })
        })
    }
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

/// An error with its causes, the address left out: it may hold a secret.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut said = if error.is_timeout() { "no answer in time".to_owned() } else { "the request failed".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}
