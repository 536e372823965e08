//! Ten thousand findings in a minute through the whole process, and one theft among them: how long until its page arrives at a
//! webhook. A measurement, for it takes the minute.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::machine::{Machine, Rule, presented};

/// Finds every session that is presented.
const ANY: Rule = Rule {
    id: "own/any",
    sql: "SELECT event_id, session AS entity, session FROM events WHERE kind = 'session.presented' AND asn = 1",
};

/// Finds the one.
const THEFT: &str = "/*\nversion: 1\ntitle: A theft\nseverity: critical\nentity: the session\nmeaning: It is the one.\n\
                     runbook: [look]\nsuppress_for: 1h\n*/\nSELECT event_id, session AS entity, session FROM events \
                     WHERE kind = 'session.presented' AND asn = 2\n";

const PIECES: usize = 100;
const FINDINGS: usize = 10_000;

/// What the webhook got, and when.
type Told = Arc<Mutex<Vec<(Instant, Value)>>>;

async fn take(State(told): State<Told>, body: String) {
    told.lock().unwrap().push((Instant::now(), serde_json::from_str(&body).unwrap()));
}

/// The machine with both rules and a webhook.
fn machine(url: &str) -> Machine {
    let machine = Machine::with_this_rule_alone(ANY);
    std::fs::write(machine.path("rules/own/theft.sql"), THEFT).unwrap();
    for (file, asn) in [("fires", 2), ("quiet", 1)] {
        let event = json!({
            "event_id": "5d1c0c5fb0a2419cf0ad4e1b8d1d7f60", "system": "cold", "time": "2025-03-03T09:00:00Z",
            "event_time": "2025-03-03T09:00:00Z", "source": "idp", "kind": "session.presented", "actor": "ann",
            "session": "s-1", "asn": asn,
        });
        std::fs::write(machine.path(&format!("rules/own/theft.{file}.jsonl")), event.to_string()).unwrap();
    }
    // The machine's own example of what fires has to have what its rule asks for.
    let fires = std::fs::read_to_string(machine.path("rules/own/any.fires.jsonl")).unwrap();
    let mut fires: Value = serde_json::from_str(&fires).unwrap();
    fires["asn"] = json!(1);
    fires["session"] = json!("s-1");
    std::fs::write(machine.path("rules/own/any.fires.jsonl"), fires.to_string()).unwrap();
    std::fs::write(machine.path("hook.secret"), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX").unwrap();
    machine.configure(&format!("[[webhooks]]\nname = \"pager\"\nurl = \"{url}\"\nsecret_files = [\"hook.secret\"]\n"));
    machine
}

#[tokio::test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
async fn bench_a_theft_among_ten_thousand_findings_in_a_minute() {
    let told = Told::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(take)).with_state(Arc::clone(&told));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let machine = machine(&url);
    let running = machine.start().await;

    let mut pace = tokio::time::interval(Duration::from_mins(1) / u32::try_from(PIECES).unwrap());
    let mut sent = None;
    for piece in 0..PIECES {
        pace.tick().await;
        if piece == PIECES / 2 {
            sent = Some(Instant::now());
            running.send([presented("s-theft", "eve", 2)]).await;
        }
        let each = FINDINGS / PIECES;
        running.send((0..each).map(|number| presented(&format!("s-{piece}-{number}"), "ann", 1))).await;
    }
    let is_theft = |body: &Value| body.to_string().contains("own/theft");
    let arrived = async {
        loop {
            let found = told.lock().unwrap().iter().find(|(_, body)| is_theft(body)).map(|(at, _)| *at);
            match found {
                Some(at) => return at,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let arrived = tokio::time::timeout(Duration::from_mins(1), arrived).await.expect("the theft is told");
    running.until("keywatch_rule_findings_total", "own/any", u64::try_from(FINDINGS).unwrap()).await;
    let pages = told.lock().unwrap().len();
    running.stop();

    let seconds = arrived.duration_since(sent.unwrap()).as_secs_f64();
    println!("{FINDINGS} findings in a minute, {pages} pages taken by then; the theft was told after {seconds:.2} s");
    assert!(seconds <= 5.0, "the theft was told after {seconds:.2} s");
    assert_eq!(machine.record().found().len(), FINDINGS, "nothing is lost");
}
