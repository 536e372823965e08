//! A receiver's heartbeat over the network: it is asked for while all is well, and withheld while the receiver takes nothing
//! or keywatch does not work.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::routing::any;
use keywatch_alerting::delivery::heartbeat::{Heartbeat, HeartbeatSettings};
use keywatch_alerting::{AddressRules, Fate, Sink};
use keywatch_store::Severity;
use tokio::net::TcpListener;

use crate::support::receivers::{Scripted, Switch, executor, often, plain, undelivered};
use crate::support::{MortalLog, until};

type Asked = Arc<Mutex<Vec<String>>>;

async fn answer(State(asked): State<Asked>, method: Method, uri: Uri) -> &'static str {
    asked.lock().unwrap().push(format!("{method} {uri}"));
    "OK"
}

/// A service that pages when it is asked no more, and its address.
async fn service() -> (Asked, String) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Asked::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/ping/5b0c", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&asked));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (asked, url)
}

#[tokio::test]
async fn a_heartbeat_is_withheld_while_its_receiver_takes_nothing_or_keywatch_does_not_work() {
    let (asked, url) = service().await;
    let switch = Switch::new("pagerduty", true);
    let works = Arc::new(AtomicBool::new(true));
    let does_it = Arc::clone(&works);
    let settings = HeartbeatSettings {
        url,
        addresses: AddressRules::default(),
        obstacle: Arc::new(move || (!does_it.load(Ordering::SeqCst)).then(|| "the log".to_owned())),
    };
    let sink: Arc<dyn Sink> = Arc::new(Heartbeat::of(Arc::clone(&switch) as _, settings).unwrap());
    let attempts = || switch.attempts.load(Ordering::SeqCst);
    let log = MortalLog::immortal();
    let executor = executor(&log, vec![sink], Vec::new(), often());

    executor.repeat().await;
    assert_eq!(*asked.lock().unwrap(), ["GET /ping/5b0c"]);

    works.store(false, Ordering::SeqCst);
    executor.repeat().await;
    assert_eq!(asked.lock().unwrap().len(), 1, "keywatch does not work");
    works.store(true, Ordering::SeqCst);

    switch.up.store(false, Ordering::SeqCst);
    executor.take(&plain("1", Severity::High, 0)).await.unwrap();
    until("three attempts failed", || attempts() >= 3).await;
    // The third attempt has ended once a fourth one begins.
    until("a further one began", || attempts() >= 4).await;
    executor.repeat().await;
    assert_eq!(asked.lock().unwrap().len(), 1, "the receiver takes nothing");

    switch.up.store(true, Ordering::SeqCst);
    executor.idle().await;
    executor.repeat().await;
    assert_eq!(asked.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_heartbeat_is_withheld_once_something_was_refused_for_good() {
    let (asked, url) = service().await;
    let refuses = Arc::new(AtomicBool::new(true));
    let does_refuse = Arc::clone(&refuses);
    let receiver = Scripted::new("pagerduty", move |_| {
        let refused = || undelivered("pagerduty", "there is no such routing key", Fate::Dead);
        let ended = if does_refuse.load(Ordering::SeqCst) { Err(refused()) } else { Ok(()) };
        Box::pin(async { ended })
    });
    let settings = HeartbeatSettings { url, addresses: AddressRules::default(), obstacle: Arc::new(|| None) };
    let sink: Arc<dyn Sink> = Arc::new(Heartbeat::of(receiver, settings).unwrap());
    let log = MortalLog::immortal();
    let executor = executor(&log, vec![sink], Vec::new(), often());

    executor.take(&plain("1", Severity::High, 0)).await.unwrap();
    executor.idle().await;
    executor.repeat().await;
    assert_eq!(asked.lock().unwrap().len(), 0, "nobody was told of it, and it is not tried again");

    refuses.store(false, Ordering::SeqCst);
    executor.take(&plain("2", Severity::High, 1)).await.unwrap();
    executor.idle().await;
    executor.repeat().await;
    assert_eq!(asked.lock().unwrap().len(), 1);
}
