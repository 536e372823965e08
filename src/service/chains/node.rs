//! One node over JSON-RPC 2.0 on HTTP: requests one by one or in a batch, spaced as its budget asks, and what can go wrong
//! with each.
//!
//! It knows no method and no chain. An address often holds a key, so it is never shown: a node is told by its name.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode, Url, redirect};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::limits::{
    NODE_ANSWER_BYTES_MAX, NODE_BATCH_MAX, NODE_CALL_SECONDS_MAX, NODE_LATE_MILLISECONDS_MAX, NODE_PROBLEM_BYTES_MAX,
    NODE_RESERVED_BYTES_MAX, NODE_REST_SECONDS_MAX,
};
use crate::service::metrics::Metrics;

/// What kind of thing went wrong; the label of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// No connection, or none that lasted.
    Unreachable,
    /// An HTTP status that is no success.
    Status,
    /// Too many requests.
    RateLimited,
    /// An error of JSON-RPC.
    Rpc,
    /// An answer that is not what it should be.
    Malformed,
    /// It does not have what was asked for.
    Missing,
    /// It is a node of another chain.
    OtherChain,
    /// Too few nodes say the same.
    NoQuorum,
    /// A reorganisation deeper than is followed.
    TooDeep,
    /// A block that is not what its hash stands for.
    Unvouched,
}

impl Class {
    /// The word in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::Unreachable => "unreachable",
            Class::Status => "status",
            Class::RateLimited => "rate_limited",
            Class::Rpc => "rpc",
            Class::Malformed => "malformed",
            Class::Missing => "missing",
            Class::OtherChain => "other_chain",
            Class::NoQuorum => "no_quorum",
            Class::TooDeep => "too_deep",
            Class::Unvouched => "unvouched",
        }
    }
}

/// What went wrong. Asking again, here or elsewhere, is all that can be done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// What kind of thing.
    pub(crate) class: Class,
    /// The node, where it was one.
    pub(crate) endpoint: String,
    /// In words.
    pub(crate) problem: String,
    /// How long the node asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Code of an error of JSON-RPC.
    pub(crate) code: Option<i64>,
}

impl Trouble {
    /// Trouble that is no single node's.
    pub(crate) fn new(class: Class, problem: String) -> Trouble {
        Trouble { class, endpoint: String::new(), problem, retry_after: None, code: None }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.endpoint.is_empty() {
            write!(f, "node `{}`: ", self.endpoint)?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Trouble {}

/// How a node is reached.
#[derive(Clone)]
pub(crate) struct NodeSettings {
    /// What it is called in events and metrics.
    pub(crate) name: String,
    /// Its address, with credentials where it asks for some.
    pub(crate) url: Url,
    /// Requests a second that it may be asked.
    pub(crate) requests_per_second: u32,
}

/// A node.
pub(crate) struct Node {
    name: String,
    chain: String,
    url: Url,
    client: Client,
    number: AtomicU64,
    /// Whether it is known to be a node of the chain that it was named for.
    checked: AtomicBool,
    interval: Duration,
    /// When the next request may be sent.
    next: Mutex<Instant>,
    metrics: Arc<Metrics>,
}

/// An answer to one request.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<RpcError>,
}

/// An answer that is what it should be, read in one go: a block with its receipts has half a million bytes.
#[derive(Deserialize)]
struct Whole<T> {
    result: Option<T>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct RpcError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
}

impl Node {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub(crate) fn new(settings: &NodeSettings, chain: &str, metrics: Arc<Metrics>) -> anyhow::Result<Node> {
        let timeout = Duration::from_secs(NODE_CALL_SECONDS_MAX);
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(timeout).build()?;
        Ok(Node {
            name: settings.name.clone(),
            chain: chain.to_owned(),
            url: settings.url.clone(),
            client,
            number: AtomicU64::new(0),
            checked: AtomicBool::new(false),
            interval: Duration::from_secs(1) / settings.requests_per_second.max(1),
            next: Mutex::new(Instant::now()),
            metrics,
        })
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is known to be a node of the chain that it was named for.
    pub(crate) fn is_checked(&self) -> bool {
        self.checked.load(Ordering::Acquire)
    }

    /// From now on it is known to be one, until the connection to it breaks: behind the same address may then be another.
    pub(crate) fn set_checked(&self) {
        self.checked.store(true, Ordering::Release);
    }

    /// Asks for something that the node must have.
    ///
    /// # Errors
    /// Every kind of [`Trouble`]; [`Class::Missing`] where it answers `null`.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, method: &str, parameters: Value) -> Result<T, Trouble> {
        let answer = self.ask_for(method, parameters).await?;
        answer.ok_or_else(|| self.trouble(Class::Missing, format!("{method} answers null")))
    }

    /// Asks for something that the node may not have: `None` where it answers `null`.
    ///
    /// # Errors
    /// Every kind of [`Trouble`].
    pub(crate) async fn ask_for<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Value,
    ) -> Result<Option<T>, Trouble> {
        self.ask_within(method, parameters, NODE_CALL_SECONDS_MAX).await
    }

    /// As [`Node::ask_for`], for what may take so many seconds.
    ///
    /// # Errors
    /// Every kind of [`Trouble`].
    pub(crate) async fn ask_within<T: DeserializeOwned>(
        &self,
        method: &str,
        parameters: Value,
        seconds: u64,
    ) -> Result<Option<T>, Trouble> {
        let id = self.number.fetch_add(1, Ordering::Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
        let text = self.send(&body, 1, seconds).await?;
        if let Ok(Whole { result, error: None }) = serde_json::from_slice(&text) {
            return Ok(result);
        }
        // Once more, for what is wrong with it.
        let answer: Answer = self.read(method, &text)?;
        self.result(method, &answer)
    }

    /// Asks the same of many things in one request; answers stand in the order of the questions.
    ///
    /// # Errors
    /// As [`Node::ask`]; one answer that is trouble is trouble for all.
    pub(crate) async fn ask_each<T: DeserializeOwned>(&self, questions: &[(&str, Value)]) -> Result<Vec<T>, Trouble> {
        let missing = || self.trouble(Class::Missing, "a part of a batch is not answered".into());
        let answers = self.batch(questions).await?;
        answers.into_iter().map(|answer| answer.and_then(|answer| answer.ok_or_else(missing))).collect()
    }

    /// As [`Node::ask_each`], for any number of questions: in several requests, so that no answer is too long.
    ///
    /// # Errors
    /// As [`Node::ask_each`].
    pub(crate) async fn ask_many<T: DeserializeOwned>(&self, questions: &[(&str, Value)]) -> Result<Vec<T>, Trouble> {
        let mut answers = Vec::with_capacity(questions.len());
        for piece in questions.chunks(NODE_BATCH_MAX) {
            answers.extend(self.ask_each(piece).await?);
        }
        Ok(answers)
    }

    /// As [`Node::ask_each`], where an answer that is an error or nothing is nobody else's matter: it is `None`.
    ///
    /// # Errors
    /// The whole request is not answered.
    pub(crate) async fn ask_each_alone<T: DeserializeOwned>(
        &self,
        questions: &[(&str, Value)],
    ) -> Result<Vec<Option<T>>, Trouble> {
        Ok(self.batch(questions).await?.into_iter().map(|answer| answer.ok().flatten()).collect())
    }

    /// As [`Node::ask_each`], with what became of each question.
    ///
    /// # Errors
    /// The whole request is not answered.
    pub(crate) async fn batch<T: DeserializeOwned>(
        &self,
        questions: &[(&str, Value)],
    ) -> Result<Vec<Result<Option<T>, Trouble>>, Trouble> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        let ask = |(id, (method, parameters)): (usize, &(&str, Value))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
        let body: Vec<Value> = questions.iter().enumerate().map(ask).collect();
        let text = self.send(&Value::from(body), questions.len(), NODE_CALL_SECONDS_MAX).await?;
        let mut answers: Vec<Result<Option<T>, Trouble>> = questions.iter().map(|_| Ok(None)).collect();
        for answer in self.read::<Vec<Answer>>("a batch", &text)? {
            let place = answer.id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|id| *id < questions.len());
            let Some(place) = place else {
                return Err(self.trouble(Class::Malformed, "a batch is answered with an id that was not asked".into()));
            };
            answers[place] = self.result(questions[place].0, &answer);
        }
        Ok(answers)
    }

    async fn send(&self, body: &Value, weight: usize, seconds: u64) -> Result<Vec<u8>, Trouble> {
        self.wait_for_turn(weight).await;
        self.metrics.chain_requests.with_label_values(&[self.chain.as_str(), self.name.as_str()]).inc_by(weight as u64);
        let unreachable = |error: reqwest::Error| self.trouble(Class::Unreachable, chain_of(&error.without_url()));
        let asked = self.client.post(self.url.clone()).json(body).timeout(Duration::from_secs(seconds));
        let mut response = asked.send().await.map_err(unreachable)?;
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
        let mut text = Vec::with_capacity(announced.min(NODE_RESERVED_BYTES_MAX));
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            text.extend_from_slice(&chunk);
            if text.len() > NODE_ANSWER_BYTES_MAX {
                let problem = format!("its answer is longer than {NODE_ANSWER_BYTES_MAX} bytes");
                return Err(self.trouble(Class::Malformed, problem));
            }
        }
        if status.is_success() || is_error_of_rpc(status, &text) {
            return Ok(text);
        }
        let class = if status == StatusCode::TOO_MANY_REQUESTS { Class::RateLimited } else { Class::Status };
        let trouble = self.trouble(class, format!("{status}: {}", excerpt(&text)));
        // Nobody stops a follower for longer than a node rests.
        let rest = |seconds: u64| Duration::from_secs(seconds.min(NODE_REST_SECONDS_MAX));
        Err(Trouble { retry_after: retry_after.map(rest), ..trouble })
    }

    /// Requests are spaced, so that a node's provider has no reason to refuse them. A timer is late by up to some milliseconds:
    /// that is made up for, and none is set for a turn that has come, since each would hold up all requests behind it.
    async fn wait_for_turn(&self, weight: usize) {
        let mut next = self.next.lock().await;
        if *next > Instant::now() {
            sleep_until(*next).await;
        }
        let made_up = Instant::now().checked_sub(Duration::from_millis(NODE_LATE_MILLISECONDS_MAX));
        let from = made_up.map_or(*next, |made_up| made_up.max(*next));
        *next = from + self.interval * u32::try_from(weight).unwrap_or(u32::MAX);
    }

    fn read<T: DeserializeOwned>(&self, what: &str, text: &[u8]) -> Result<T, Trouble> {
        serde_json::from_slice(text).map_err(|error| {
            self.trouble(Class::Malformed, format!("{what} is not answered as JSON-RPC: {error}: {}", excerpt(text)))
        })
    }

    fn result<T: DeserializeOwned>(&self, method: &str, answer: &Answer) -> Result<Option<T>, Trouble> {
        if let Some(RpcError { code, message }) = &answer.error {
            let limited = *code == -32005 || *code == 429;
            let class = if limited { Class::RateLimited } else { Class::Rpc };
            let trouble = self.trouble(class, format!("{method} fails with {code}: {}", excerpt(message.as_bytes())));
            return Err(Trouble { code: Some(*code), ..trouble });
        }
        let Some(result) = &answer.result else { return Ok(None) };
        let read = serde_json::from_str(result.get());
        read.map(Some)
            .map_err(|error| self.trouble(Class::Malformed, format!("{method} answers something else: {error}")))
    }

    /// Counts it, and says which node it was.
    pub(crate) fn trouble(&self, class: Class, problem: String) -> Trouble {
        self.metrics.chain_errors.with_label_values(&[self.chain.as_str(), self.name.as_str(), class.name()]).inc();
        if class == Class::Unreachable {
            self.checked.store(false, Ordering::Release);
        }
        Trouble { class, endpoint: self.name.clone(), problem, retry_after: None, code: None }
    }
}

/// Whether an answer that is no success says in the body what is wrong. Nodes of Bitcoin do: with status 500, and Bitcoin Core
/// before 28 with 404 where it does not know a method and with 400 where it does not understand a question.
fn is_error_of_rpc(status: StatusCode, text: &[u8]) -> bool {
    match status {
        StatusCode::INTERNAL_SERVER_ERROR => text.starts_with(b"{"),
        StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => {
            serde_json::from_slice::<Answer>(text).is_ok_and(|answer| answer.error.is_some())
        }
        _ => false,
    }
}

/// An error with what caused it.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

fn excerpt(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(NODE_PROBLEM_BYTES_MAX)]);
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(requests_per_second: u32) -> Node {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let settings =
            NodeSettings { name: "own".to_owned(), url: "http://127.0.0.1:9".parse().unwrap(), requests_per_second };
        Node::new(&settings, "base", Metrics::new()).unwrap()
    }

    /// How long so many requests wait for their turns, all of which are asked for at once.
    async fn waited(node: &Node, requests: usize) -> Duration {
        let begun = Instant::now();
        futures::future::join_all((0..requests).map(|_| node.wait_for_turn(1))).await;
        begun.elapsed()
    }

    #[tokio::test]
    async fn requests_are_spaced_as_the_budget_asks_and_not_as_timers_tick() {
        let (slow, fast) = (node(1000), node(1_000_000));
        let spaced = waited(&slow, 200).await;
        assert!(spaced >= Duration::from_millis(199 - NODE_LATE_MILLISECONDS_MAX), "{spaced:?}");
        // What was not asked for a while is not asked at once behind it.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let later = waited(&slow, 200).await;
        assert!(later >= Duration::from_millis(199 - NODE_LATE_MILLISECONDS_MAX), "{later:?}");
        // A timer for each of them would take more than two seconds.
        let at_once = waited(&fast, 2000).await;
        assert!(at_once < Duration::from_secs(1), "{at_once:?}");
    }

    #[test]
    fn an_answer_is_read_in_one_go_only_where_nothing_is_wrong_with_it() {
        let read = |text: &str| serde_json::from_str::<Whole<String>>(text).ok().filter(|whole| whole.error.is_none());
        let result = |text: &str| read(text).map(|whole| whole.result);
        assert_eq!(result(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#), Some(Some("0x1".to_owned())));
        assert_eq!(result(r#"{"id":1,"result":null,"error":null}"#), Some(None));
        assert_eq!(result(r#"{"id":1}"#), Some(None));
        for wrong in [r#"{"result":"0x1","error":{"code":-1}}"#, r#"{"result":7}"#, r#"{"result":"0x1""#] {
            assert_eq!(result(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn errors_of_nodes_of_bitcoin_are_read_whatever_status_they_have() {
        let core = br#"{"result":null,"error":{"code":-32601,"message":"Method not found"},"id":1}"#;
        for status in [StatusCode::NOT_FOUND, StatusCode::BAD_REQUEST, StatusCode::INTERNAL_SERVER_ERROR] {
            assert!(is_error_of_rpc(status, core), "{status}");
        }
        assert!(!is_error_of_rpc(StatusCode::FORBIDDEN, core));
        assert!(!is_error_of_rpc(StatusCode::NOT_FOUND, br#"{"message":"no such route"}"#), "a provider's own page");
        assert!(!is_error_of_rpc(StatusCode::NOT_FOUND, b"<html>"));
    }
}
