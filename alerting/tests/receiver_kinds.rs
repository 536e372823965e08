//! Each kind of receiver over the network, against one that answers as scripted: what it gets, and what becomes of what it
//! does not take.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use keywatch_alerting::delivery::receivers::alertmanager::{Alertmanager, AlertmanagerSettings};
use keywatch_alerting::delivery::receivers::email::{Email, EmailSettings, SmtpTls};
use keywatch_alerting::delivery::receivers::pagerduty::{PagerDuty, PagerDutySettings};
use keywatch_alerting::delivery::receivers::siem::{LineFormat, LineTarget, LineTls, Siem, SiemSettings};
use keywatch_alerting::delivery::receivers::slack::{Slack, SlackSettings};
use keywatch_alerting::lifecycle::handling::Act;
use keywatch_alerting::limits::ATTEMPT_SECONDS_MAX;
use keywatch_alerting::{AddressRules, Pace, Secret, Sink, Webhook, WebhookSettings};
use keywatch_store::Severity;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::support::receivers::{Switch, executor, incident_of, often, operate, plain, resolve, tick, worse};
use crate::support::{MortalLog, at, until, wall_clock};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What is answered once: status, `Retry-After`, body. A status of 0 is no answer at all.
type Answer = (u16, &'static str, &'static str);

/// An HTTP receiver that answers as scripted, then `200 ok`.
#[derive(Clone, Default)]
struct Fake {
    script: Arc<Mutex<VecDeque<Answer>>>,
    got: Arc<Mutex<Vec<(Instant, HeaderMap, Value)>>>,
}

impl Fake {
    async fn start(script: &[Answer]) -> (Fake, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fake = Fake { script: Arc::new(Mutex::new(script.iter().copied().collect())), ..Fake::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(any(answer)).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, address)
    }

    fn bodies(&self) -> Vec<Value> {
        self.got.lock().unwrap().iter().map(|(_, _, body)| body.clone()).collect()
    }

    /// The alerts of the last request, where it is one to an Alertmanager.
    fn last(&self) -> Vec<Value> {
        self.bodies().pop().unwrap().as_array().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

async fn answer(State(fake): State<Fake>, headers: HeaderMap, body: Bytes) -> Response {
    fake.got.lock().unwrap().push((Instant::now(), headers, serde_json::from_slice(&body).unwrap_or(Value::Null)));
    let (status, after, text) = fake.script.lock().unwrap().pop_front().unwrap_or((200, "", "ok"));
    if status == 0 {
        std::future::pending::<()>().await;
    }
    let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
    if !after.is_empty() {
        response.headers_mut().insert("retry-after", after.parse().unwrap());
    }
    response
}

fn pagerduty(address: String) -> Arc<dyn Sink> {
    let settings = PagerDutySettings {
        name: "pagerduty".into(),
        url: Some(address),
        routing_key: KEY.into(),
        ..PagerDutySettings::default()
    };
    Arc::new(PagerDuty::new(settings).unwrap())
}

#[tokio::test]
async fn pagerduty_acknowledges_and_resolves_every_page_of_an_incident() {
    let (fake, address) = Fake::start(&[]).await;
    let log = MortalLog::immortal();
    let executor = executor(&log, vec![pagerduty(address)], Vec::new(), often());
    let first = plain("1", Severity::Medium, 0);
    executor.take(&first).await.unwrap();
    executor.idle().await;
    executor.take(&worse(&first)).await.unwrap();
    executor.idle().await;
    operate(&executor, &first, Act::Acknowledge).await;
    executor.idle().await;
    operate(&executor, &first, resolve()).await;
    executor.idle().await;
    let incident = incident_of(&executor, &first);
    let further = format!("{incident}-1");
    let said: Vec<(String, String)> = fake
        .bodies()
        .iter()
        .map(|body| [&body["event_action"], &body["dedup_key"]].map(|text| text.as_str().unwrap().to_owned()))
        .map(|[action, key]| (action, key))
        .collect();
    let expected = [
        ("trigger", &incident),
        ("trigger", &further),
        ("acknowledge", &incident),
        ("acknowledge", &further),
        ("resolve", &incident),
        ("resolve", &further),
    ];
    assert_eq!(said, expected.map(|(action, key)| (action.to_owned(), key.clone())));
    let bodies = fake.bodies();
    assert_eq!(
        (&bodies[0]["payload"]["severity"], &bodies[1]["payload"]["severity"]),
        (&json!("warning"), &json!("critical"))
    );
    assert_eq!(bodies[1]["payload"]["group"], json!(incident));
    assert!(bodies.iter().all(|body| body["routing_key"] == KEY));
}

#[tokio::test]
async fn alertmanager_hears_again_what_stands_and_what_is_over_from_every_replica_that_lives() {
    let ((one, first), (other, second)) = (Fake::start(&[]).await, Fake::start(&[(500, "", "no"); 99]).await);
    let log = MortalLog::immortal();
    let settings = AlertmanagerSettings {
        name: "am".into(),
        urls: vec![first, second],
        token: Some("t".into()),
        ..AlertmanagerSettings::default()
    };
    let sink: Arc<dyn Sink> = Arc::new(Alertmanager::new(settings, wall_clock()).unwrap());
    let sinks = || vec![Arc::clone(&sink)];
    let begun = executor(&log, sinks(), Vec::new(), often());
    let told = plain("1", Severity::High, 0);
    begun.take(&told).await.unwrap();
    begun.take(&plain("2", Severity::Low, 0)).await.unwrap();
    begun.idle().await;
    assert_eq!(log.of_kind("alert.notified").len(), 2, "one replica is enough");
    assert_eq!((one.count(), other.count()), (2, 2));
    assert_eq!(one.got.lock().unwrap()[0].1["authorization"], "Bearer t");
    begun.repeat().await;
    let names: Vec<Value> = one.last().iter().map(|alert| alert["labels"]["alertname"].clone()).collect();
    assert_eq!(names, ["KeywatchHeartbeat", "signing/mismatch", "signing/mismatch"]);
    assert!(one.last().iter().all(|alert| ends(alert) > wall_clock()()));
    let before: Vec<Value> = one.last().iter().map(|alert| alert["labels"].clone()).collect();
    operate(&begun, &told, resolve()).await;
    begun.idle().await;
    drop(begun);
    // That it is over survives a restart, and is said again.
    let again = executor(&log, sinks(), Vec::new(), often());
    again.repeat().await;
    let now = wall_clock()();
    let over: Vec<Value> = one.last().into_iter().filter(|alert| ends(alert) <= now).collect();
    assert_eq!(over.len(), 1, "{over:?}");
    assert_eq!(over[0]["labels"]["incident"], json!(incident_of(&again, &told)));
    assert!(before.contains(&over[0]["labels"]), "under the labels that it had");
    tick(&log, 3_600);
    again.repeat().await;
    assert_eq!(one.last().len(), 2, "what is long over is not said any more");
}

#[tokio::test]
async fn what_became_worse_is_a_new_alert_and_the_one_before_is_ended() {
    let (fake, address) = Fake::start(&[]).await;
    let log = MortalLog::immortal();
    let settings = AlertmanagerSettings { name: "am".into(), urls: vec![address], ..AlertmanagerSettings::default() };
    let sink: Arc<dyn Sink> = Arc::new(Alertmanager::new(settings, wall_clock()).unwrap());
    let executor = executor(&log, vec![sink], Vec::new(), often());
    let found = plain("1", Severity::Medium, 0);
    for finding in [found.clone(), worse(&found)] {
        executor.take(&finding).await.unwrap();
        executor.idle().await;
    }
    let (now, said) = (wall_clock()(), fake.last());
    let stands: Vec<(&Value, bool)> =
        said.iter().map(|alert| (&alert["labels"]["severity"], ends(alert) > now)).collect();
    assert_eq!(stands, [(&json!("critical"), true), (&json!("medium"), false)]);
    assert_eq!(said[0]["labels"]["incident"], said[1]["labels"]["incident"]);
    assert_eq!(said[1]["labels"], fake.bodies()[0][0]["labels"], "the alert that was told is ended, and no other");
}

fn ends(alert: &Value) -> keywatch_store::Instant {
    serde_json::from_value(alert["endsAt"].clone()).unwrap()
}

#[tokio::test]
async fn receivers_that_answer_429_500_never_or_nonsense_disturb_no_other() {
    let (limited, limited_url) = Fake::start(&[(429, "1", "later")]).await;
    let (broken, broken_url) = Fake::start(&[(500, "", "<html>\u{1b}[2J"), (200, "", "nonsense")]).await;
    let (silent, silent_url) = Fake::start(&[(0, "", ""); 99]).await;
    let up = Switch::new("up", true);
    let log = MortalLog::immortal();
    let slack = |name: &str, url: String| -> Arc<dyn Sink> {
        Arc::new(Slack::new(SlackSettings { name: name.into(), url, ..SlackSettings::default() }).unwrap())
    };
    let sinks =
        vec![slack("limited", limited_url), slack("broken", broken_url), slack("silent", silent_url), up.clone() as _];
    let executor = executor(&log, sinks, Vec::new(), often());
    let begun = Instant::now();
    executor.take(&plain("1", Severity::High, 0)).await.unwrap();
    until("the healthy one is told", || up.keys().len() == 1).await;
    assert!(begun.elapsed() < Duration::from_secs(ATTEMPT_SECONDS_MAX), "nobody waited for the silent one");
    until("all but the silent one have it", || {
        let names: Vec<Value> =
            log.of_kind("alert.notified").iter().map(|event| event.detail().value()["destination"].clone()).collect();
        ["limited", "broken", "up"].iter().all(|name| names.contains(&json!(name)))
    })
    .await;
    let times: Vec<Instant> = limited.got.lock().unwrap().iter().map(|(at, ..)| *at).collect();
    assert!(times[1] - times[0] >= Duration::from_secs(1));
    assert_eq!((broken.count(), silent.count()), (3, 1));
    let reasons: Vec<String> =
        log.of_kind("alert.failed").iter().map(|event| event.reason().unwrap_or_default().to_owned()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("500: <html> [2J")), "{reasons:?}");
}

#[tokio::test]
async fn a_webhook_gets_a_signed_heartbeat_while_keywatch_lives() {
    let (fake, address) = Fake::start(&[]).await;
    let secret = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
    let settings = WebhookSettings {
        name: "pager".into(),
        url: address,
        secrets: vec![secret],
        heartbeat: true,
        ocsf: true,
        ..WebhookSettings::default()
    };
    let sink: Arc<dyn Sink> = Arc::new(Webhook::new(settings, wall_clock()).unwrap());
    let executor = executor(&MortalLog::immortal(), vec![sink], Vec::new(), often());
    executor.take(&plain("1", Severity::High, 0)).await.unwrap();
    executor.idle().await;
    executor.repeat().await;
    let bodies = fake.bodies();
    assert_eq!((&bodies[0]["type"], &bodies[0]["data"]["class_uid"]), (&json!("alert.opened"), &json!(2004)));
    assert_eq!((&bodies[1]["type"], &bodies[1]["data"]["standing"]), (&json!("keywatch.heartbeat"), &json!(1)));
    assert!(fake.got.lock().unwrap()[1].1["webhook-signature"].to_str().unwrap().starts_with("v1,"));
}

fn siem(target: LineTarget, format: LineFormat) -> Siem {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings =
        SiemSettings { name: "siem".into(), target, format, addresses: AddressRules::default(), pace: Pace::default() };
    Siem::new(settings, wall_clock()).unwrap()
}

#[tokio::test]
async fn lines_go_to_a_file_and_over_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("findings.jsonl");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let log = MortalLog::immortal();
    let to_file: Arc<dyn Sink> = Arc::new(siem(LineTarget::File(file.clone()), LineFormat::Json));
    let executor = executor(&log, vec![to_file], Vec::new(), often());
    for id in ["1", "2"] {
        executor.take(&plain(id, Severity::High, 0)).await.unwrap();
    }
    executor.idle().await;
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["type"], "alert.opened");

    let target = LineTarget::Tcp { host: "127.0.0.1".into(), port, tls: LineTls::None };
    let sink = siem(target, LineFormat::Cef);
    let told = keywatch_alerting::delivery::trial::notification("siem", Severity::High, at(0), false);
    let accept = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let (sent, text) = tokio::join!(sink.deliver(&told), accept);
    sent.unwrap();
    let (length, message) = text.split_once(' ').unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), message.len());
    assert!(message.contains("CEF:0|keywatch|keywatch|") && message.contains("TEST of receiver siem"), "{message}");
    drop(listener);
    assert!(sink.deliver(&told).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn mail_is_handed_over_and_a_server_without_tls_gets_none_where_it_is_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let got: Arc<Mutex<Vec<String>>> = Arc::default();
    let server = tokio::spawn(smtp(listener, Arc::clone(&got)));
    let settings = EmailSettings {
        name: "mail".into(),
        host: "127.0.0.1".into(),
        port,
        tls: SmtpTls::None,
        credentials: None,
        from: "keywatch@example.net".into(),
        to: vec!["soc@example.net".into()],
        addresses: AddressRules::default(),
        pace: Pace::default(),
    };
    let told = keywatch_alerting::delivery::trial::notification("mail", Severity::High, at(0), false);
    let sink = Email::new(settings.clone(), wall_clock()).unwrap();
    sink.deliver(&told).await.unwrap();
    {
        let said = got.lock().unwrap().join("\n");
        assert!(said.contains("RCPT TO:<soc@example.net>"), "{said}");
        assert!(said.contains("Subject: [keywatch] HIGH TEST of receiver mail"), "{said}");
        got.lock().unwrap().clear();
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stripped = Email::new(EmailSettings { tls: SmtpTls::StartTls, ..settings }, wall_clock()).unwrap();
    assert!(stripped.deliver(&told).await.is_err());
    assert!(!got.lock().unwrap().join("\n").contains("MAIL FROM"));
    server.abort();
}

/// As much of an SMTP server as takes mail, without TLS.
async fn smtp(listener: TcpListener, got: Arc<Mutex<Vec<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 test\r\n").await.unwrap();
        let mut in_data = false;
        while let Ok(Some(line)) = lines.next_line().await {
            let answer = match line.as_str() {
                "." => {
                    in_data = false;
                    "250 taken\r\n"
                }
                _ if in_data => "",
                "DATA" => {
                    in_data = true;
                    "354 go on\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 test\r\n",
            };
            got.lock().unwrap().push(line);
            write.write_all(answer.as_bytes()).await.unwrap();
        }
    }
}
