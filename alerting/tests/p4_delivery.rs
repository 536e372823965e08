//! Promise P4: a notification is delivered at least once with a stable key, whatever the receiver answers and wherever
//! keywatch stops.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{FaultyPdp, MortalLog, SESSION, executor, finding, until, wall_clock};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use keywatch_alerting::executor::Executor;
use keywatch_alerting::{Secret, Sink, Terminal, Webhook, WebhookSettings};
use keywatch_store::{Event, Finding, Severity};
use serde_json::Value;

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const NEXT_SECRET: &str = "whsec_Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// What is answered: status, header name, header value.
type Answer = (u16, &'static str, &'static str);

/// What came in: when, path, headers, body.
type Request = (Instant, String, HeaderMap, Bytes);

/// A receiver that answers as scripted, then 204.
#[derive(Clone, Default)]
struct Receiver {
    script: Arc<Mutex<VecDeque<Answer>>>,
    got: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    async fn start(script: &[Answer]) -> (Receiver, String) {
        let receiver =
            Receiver { script: Arc::new(Mutex::new(script.iter().copied().collect())), ..Receiver::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn answer(State(receiver): State<Receiver>, uri: axum::http::Uri, headers: HeaderMap, body: Bytes) -> Response {
    receiver.got.lock().unwrap().push((Instant::now(), uri.path().to_owned(), headers, body));
    let (status, name, value) = receiver.script.lock().unwrap().pop_front().unwrap_or((204, "", ""));
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if !name.is_empty() {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

fn webhook(address: &str) -> Arc<dyn Sink> {
    // Fails when another test of this process was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let secrets = [NEXT_SECRET, SECRET].map(|text| Secret::parse(text).unwrap()).to_vec();
    let settings = WebhookSettings { name: "pager".into(), url: address.into(), secrets, ..WebhookSettings::default() };
    Arc::new(Webhook::new(settings, wall_clock()).unwrap())
}

async fn scene(script: &[(u16, &'static str, &'static str)]) -> (Arc<MortalLog>, Receiver, Executor, String) {
    let (receiver, address) = Receiver::start(script).await;
    let log = MortalLog::immortal();
    let executor = executor(&log, &FaultyPdp::new(), vec![webhook(&address)]);
    executor.resume().await.unwrap();
    (log, receiver, executor, address)
}

fn reasons(events: &[Event]) -> Vec<(bool, String)> {
    let said = |event: &Event| {
        (event.detail().value()["dead"] == Value::Bool(true), event.reason().unwrap_or_default().to_owned())
    };
    events.iter().map(said).collect()
}

#[tokio::test]
async fn a_page_is_signed_by_every_secret_and_says_what_an_analyst_needs() {
    let (log, receiver, executor, _) = scene(&[]).await;
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    let got = receiver.got.lock().unwrap();
    let (_, path, headers, body) = &got[0];
    assert_eq!(path, "/hook");
    let id = headers["webhook-id"].to_str().unwrap();
    let timestamp: i64 = headers["webhook-timestamp"].to_str().unwrap().parse().unwrap();
    assert!((wall_clock()().unix_seconds() - timestamp).abs() < 60);
    let signatures = headers["webhook-signature"].to_str().unwrap();
    let expected = [NEXT_SECRET, SECRET].map(|secret| Secret::parse(secret).unwrap().sign(id, timestamp, body));
    assert_eq!(signatures, expected.join(" "));
    let message: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(message["type"], "alert.opened");
    assert_eq!(message["data"]["severity"], "critical");
    assert_eq!(message["data"]["key"], id);
    assert!(message["data"]["did"][0].as_str().unwrap().contains("denied_at_pdp"));
    assert!(!String::from_utf8_lossy(body).contains(SESSION));
    assert_eq!(log.of_kind("alert.notified").len(), 1);
    assert_eq!(got.len(), 1);
}

#[tokio::test]
async fn p4_failures_are_retried_under_the_same_key() {
    let (log, receiver, executor, _) = scene(&[(500, "", ""), (503, "", ""), (302, "location", "/elsewhere")]).await;
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    let got = receiver.got.lock().unwrap();
    let keys: Vec<&str> = got.iter().map(|(_, _, headers, _)| headers["webhook-id"].to_str().unwrap()).collect();
    assert_eq!(keys.len(), 4);
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert!(got.iter().all(|(_, path, ..)| path == "/hook"), "a redirect is not followed");
    assert_eq!(log.of_kind("alert.notified").len(), 1);
    let failed = reasons(&log.of_kind("alert.failed"));
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert!(!failed[0].0 && failed[0].1.contains("500"));
}

#[tokio::test]
async fn retry_after_is_obeyed() {
    let (_, receiver, executor, _) = scene(&[(429, "retry-after", "1")]).await;
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    let got = receiver.got.lock().unwrap();
    assert!(got[1].0 - got[0].0 >= Duration::from_secs(1), "our own schedule waits 5 ms");
}

#[tokio::test]
async fn a_refusal_is_put_aside_with_its_reason_and_not_tried_again() {
    let (log, receiver, first, address) = scene(&[(422, "", "")]).await;
    first.take(&finding("1", 0)).await.unwrap();
    first.idle().await;
    let failed = reasons(&log.of_kind("alert.failed"));
    assert_eq!(failed.len(), 1);
    assert!(failed[0].0 && failed[0].1.contains("422"), "{failed:?}");
    let second = executor(&log, &FaultyPdp::new(), vec![webhook(&address)]);
    second.resume().await.unwrap();
    second.idle().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_schedule_that_ends_puts_aside() {
    let (log, receiver, executor, _) = scene(&[(500, "", ""); 9]).await;
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    assert_eq!(receiver.count(), 5, "the first attempt and four waits");
    let dead: Vec<bool> = reasons(&log.of_kind("alert.failed")).into_iter().map(|(dead, _)| dead).collect();
    assert_eq!(dead, [false, true]);
}

#[tokio::test]
async fn a_destination_that_is_gone_gets_nothing_more_and_others_hear_of_it() {
    let (receiver, address) = Receiver::start(&[(410, "", "")]).await;
    let log = MortalLog::immortal();
    let page: Arc<Mutex<Vec<u8>>> = Arc::default();
    let terminal: Arc<dyn Sink> = Arc::new(Terminal::new("terminal", Shared(Arc::clone(&page))));
    let executor = executor(&log, &FaultyPdp::new(), vec![webhook(&address), terminal]);
    executor.resume().await.unwrap();
    executor.take(&finding("1", 0)).await.unwrap();
    executor.idle().await;
    for _ in 0..2 {
        executor.refresh().await.unwrap();
        executor.idle().await;
    }
    assert_eq!(receiver.count(), 1);
    let text = String::from_utf8(page.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("Destination pager says that it is gone").count(), 1, "{text}");
}

#[tokio::test]
async fn p4_what_was_not_taken_before_a_crash_is_sent_again_under_the_same_key() {
    let (log, receiver, first, address) = scene(&[]).await;
    // finding, requested, opened, published, verified are written, the delivery's record is not.
    log.dies_after(5);
    first.take(&finding("1", 0)).await.unwrap();
    first.idle().await;
    assert_eq!(receiver.count(), 1);
    assert!(log.of_kind("alert.notified").is_empty());
    log.dies_after(usize::MAX);
    let second = executor(&log, &FaultyPdp::new(), vec![webhook(&address)]);
    second.resume().await.unwrap();
    until("it is recorded", || log.of_kind("alert.notified").len() == 1).await;
    {
        let got = receiver.got.lock().unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].2["webhook-id"], got[1].2["webhook-id"]);
    }
    second.resume().await.unwrap();
    second.idle().await;
    assert_eq!(receiver.count(), 2, "once it is taken it is not sent again");
}

#[tokio::test]
async fn many_alerts_wait_for_a_destination_that_takes_few_at_once() {
    let (log, receiver, executor, _) = scene(&[]).await;
    for index in 0..40 {
        let plain = Finding {
            entity: index.to_string(),
            severity: Severity::Low,
            response: Vec::new(),
            // Nothing that they share: forty incidents.
            wallet: None,
            session: None,
            request: None,
            ..finding(&index.to_string(), index)
        };
        executor.take(&plain).await.unwrap();
    }
    executor.idle().await;
    assert_eq!((receiver.count(), log.of_kind("alert.notified").len()), (40, 40));
}

#[tokio::test]
async fn what_an_attacker_wrote_moves_no_cursor_and_the_message_has_all_parts() {
    let log = MortalLog::immortal();
    let page: Arc<Mutex<Vec<u8>>> = Arc::default();
    let terminal: Arc<dyn Sink> = Arc::new(Terminal::new("terminal", Shared(Arc::clone(&page))));
    let executor = executor(&log, &FaultyPdp::new(), vec![terminal]);
    executor.resume().await.unwrap();
    let mut hostile = finding("1", 0);
    hostile.title = format!("to \u{1b}[2J\u{202e}evil by {SESSION}");
    hostile.facts.insert("memo".into(), "a\rb\u{7}".into());
    executor.take(&hostile).await.unwrap();
    executor.idle().await;
    let text = String::from_utf8(page.lock().unwrap().clone()).unwrap();
    assert!(text.starts_with("CRITICAL to \u{fffd}[2J\u{fffd}evil by sess-…#"), "{text}");
    assert!(!text.contains(['\u{1b}', '\r', '\u{7}', '\u{202e}']) && !text.contains(SESSION), "{text}");
    let anchor = hostile.anchor.to_string();
    for part in
        ["2025-02-21T05:42:40Z", "Somebody signed", "Stop signing.", "denied_at_pdp", "stay valid", &anchor, "cold"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
