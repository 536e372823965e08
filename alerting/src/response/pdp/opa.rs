//! A single Open Policy Agent, reached over its REST API (OPA documentation, REST API, Data API).
//!
//! The document is written with `PUT /v1/data/revocations` and read back; ids travel in JSON bodies only, never in a
//! path. OPA keeps such data in memory: the document is published again at every heartbeat, so that a restarted OPA
//! denies everything only until then.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use serde_json::{Value, json};

use super::{Call, DECISION_PATH, Decision, PolicyDecisionPoint};
use crate::Error;
use crate::limits::{PDP_ANSWER_BYTES_MAX, PDP_CALL_MS_MAX};
use crate::response::revocation::RevocationDocument;

/// How an OPA is reached.
#[derive(Clone)]
pub struct OpaSettings {
    /// Base address, e.g. `http://127.0.0.1:8181`.
    pub url: String,
    /// Bearer token, where OPA runs with `--authentication=token`.
    pub token: Option<String>,
}

/// An OPA.
pub struct OpaPdp {
    client: Client,
    url: String,
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
        Ok(OpaPdp { client, url })
    }

    fn silent(&self, problem: String) -> Error {
        Error::PdpSilent { endpoint: self.url.clone(), problem }
    }

    fn refused(&self, problem: String) -> Error {
        Error::PdpRefused { endpoint: self.url.clone(), problem }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Error> {
        let mut response = request.send().await.map_err(|error| self.silent(chain(&error)))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(chain(&error)))? {
            body.extend_from_slice(&chunk);
            if body.len() > PDP_ANSWER_BYTES_MAX {
                return Err(self.refused(format!("its answer is longer than {PDP_ANSWER_BYTES_MAX} bytes")));
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
        let (_, body) = self.send(request).await?;
        serde_json::from_slice(&body).map_err(|error| self.refused(format!("its answer is not JSON: {error}")))
    }

    async fn put_and_read_back(&self, document: &RevocationDocument) -> Result<(), Error> {
        let at = format!("{}/v1/data/revocations", self.url);
        self.send(self.client.put(&at).json(&document.to_value())).await?;
        let meta = self.json(self.client.get(format!("{at}/meta"))).await?;
        let kept = meta["result"]["seq"].as_u64();
        if kept != Some(document.sequence) {
            let kept = kept.map_or_else(|| "none".to_owned(), |kept| kept.to_string());
            return Err(self.refused(format!("document {} was written, {kept} is in force", document.sequence)));
        }
        Ok(())
    }
}

impl PolicyDecisionPoint for OpaPdp {
    fn publish<'a>(&'a self, document: &'a RevocationDocument) -> Call<'a, ()> {
        Box::pin(self.put_and_read_back(document))
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
