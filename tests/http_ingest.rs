//! The front door over real HTTP: who is let in, what each kind of bad input gets, and that a 200 means durable.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::serving::Serving;

/// A machine that is set up: a directory, a running keywatch, and a client.
struct Machine {
    directory: tempfile::TempDir,
    keywatch: Serving,
    client: Client,
}

impl Machine {
    /// Asks until the rules have caught up with the log; ten seconds at most.
    async fn until_ready(&self) {
        let asking = async { while self.get("/readyz").await.0 != StatusCode::OK {} };
        let ready = tokio::time::timeout(std::time::Duration::from_secs(10), asking).await;
        assert!(ready.is_ok(), "not ready: {}", self.get("/readyz").await.1);
    }

    fn start() -> Machine {
        // The provider of the process; a second test finds it installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let sources = [("idp", "events"), ("opa-1", "opa"), ("safe-1", "safe")];
        let mut inventory = "[[systems]]\nid = \"cold\"\n".to_owned();
        let mut config = "[server]\nlisten = \"127.0.0.1:0\"\n".to_owned();
        for (source, feed) in sources {
            writeln!(inventory, "[[systems.sources]]\nsource = \"{source}\"\nfeed = \"{feed}\"").unwrap();
            let hash = hex::encode(Sha256::digest(token(source)));
            writeln!(config, "[[credentials]]\nsystem = \"cold\"\nsource = \"{source}\"").unwrap();
            writeln!(config, "feed = \"{feed}\"\ntoken_sha256 = \"{hash}\"").unwrap();
        }
        std::fs::write(directory.path().join("inventory.toml"), inventory).unwrap();
        std::fs::write(directory.path().join("keywatch.toml"), config).unwrap();
        let keywatch = Serving::start(directory.path(), &[]);
        Machine { directory, keywatch, client: Client::new() }
    }

    async fn post(&self, feed: &str, source: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = format!("{}/v1/ingest/{feed}", self.keywatch.url);
        self.client.post(url).bearer_auth(token(source)).body(body).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.get(format!("{}{path}", self.keywatch.url)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    async fn metric(&self, line_start: &str) -> u64 {
        let (_, text) = self.get("/metrics").await;
        let line = text.lines().find(|line| line.starts_with(line_start));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Stops it and gives what sources have brought into the log.
    fn stop(self) -> Vec<Event> {
        let Machine { directory, keywatch, .. } = self;
        assert!(keywatch.stop().success());
        brought(directory.path())
    }
}

fn token(source: &str) -> String {
    format!("token-of-{source}")
}

/// The events of sources and their rejects; what keywatch says of itself is left out.
fn brought(directory: &Path) -> Vec<Event> {
    let log = EmbeddedLog::open(directory.join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let events = log.read(Topic::Events, Position(0), 100_000).unwrap();
    events.into_iter().filter(|event| ["idp", "opa-1", "safe-1"].contains(&event.source())).collect()
}

fn heartbeat(id: u32) -> String {
    json!({ "id": id.to_string(), "kind": "source.heartbeat", "event_time": "2025-02-21T00:00:00Z" }).to_string()
}

fn decision(id: &str) -> Value {
    json!({
        "labels": { "id": "replica-1" }, "decision_id": id, "path": "wallet/signing/allow", "result": true,
        "timestamp": "2025-02-21T05:40:00Z", "input": { "session_id": "s1", "subject": "alice" },
    })
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn p2_a_source_is_answered_after_its_events_are_durable() {
    let machine = Machine::start();
    let body = format!("{}\n{}\n", heartbeat(1), heartbeat(2));
    let answer = machine.post("events", "idp", body.clone()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let counts = json_of(answer).await;
    assert_eq!((&counts["records"], &counts["events"], &counts["rejected"]), (&json!(2), &json!(2), &json!(0)));
    let again = json_of(machine.post("events", "idp", body).await).await;
    assert_eq!(again["repeats"], 2, "{again}");

    // Killed without warning right after the answer.
    let Machine { directory, keywatch, .. } = machine;
    drop(keywatch);
    let kinds: Vec<String> = brought(directory.path()).into_iter().map(|event| event.kind().to_owned()).collect();
    assert_eq!(kinds, ["source.heartbeat", "source.heartbeat"]);
}

#[tokio::test]
async fn a_malformed_record_is_kept_as_a_reject_and_costs_nothing_else() {
    let machine = Machine::start();
    let body = format!("{}\n{{\"id\":\"2\",\"kind\":\"nonsense\"}}\n{}\n", heartbeat(1), heartbeat(3));
    let answer = machine.post("events", "idp", body).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let counts = json_of(answer).await;
    assert_eq!((&counts["events"], &counts["rejected"]), (&json!(2), &json!(1)), "{counts}");
    assert_eq!(
        (&counts["rejects"][0]["line"], &counts["rejects"][0]["field"]),
        (&json!(2), &json!("kind")),
        "{counts}"
    );

    let nothing = machine.post("events", "idp", "no JSON at all").await;
    assert_eq!(nothing.status(), StatusCode::BAD_REQUEST);
    assert_eq!(json_of(nothing).await["rejected"], 1);
    assert_eq!(machine.post("events", "idp", " \n").await.status(), StatusCode::BAD_REQUEST);

    let events = machine.stop();
    let rejects: Vec<&Event> = events.iter().filter(|event| event.kind() == "source.reject").collect();
    assert_eq!((events.len(), rejects.len()), (4, 2));
    let detail = rejects[0].detail().value();
    assert_eq!((&detail["feed"], &detail["field"]), (&json!("events"), &json!("kind")));
    assert!(detail["raw"].as_str().unwrap().contains("nonsense"));
}

#[tokio::test]
async fn p8_input_without_valid_credentials_is_counted_and_never_stored() {
    let machine = Machine::start();
    let url = format!("{}/v1/ingest/events", machine.keywatch.url);
    for authorization in [None, Some("Bearer wrong"), Some("Basic aWRwOng="), Some("Bearer ")] {
        let mut request = machine.client.post(&url).body(heartbeat(1));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{authorization:?}");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    assert_eq!(machine.metric("keywatch_ingest_unauthenticated_total").await, 4);
    assert_eq!(machine.stop(), []);
}

#[tokio::test]
async fn p8_a_token_opens_one_feed_and_writes_under_its_own_name() {
    let machine = Machine::start();
    assert_eq!(machine.post("safe", "idp", "[]").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(machine.post("nonsense", "idp", "[]").await.status(), StatusCode::NOT_FOUND);
    for claim in [json!({ "source": "opa-1" }), json!({ "system": "hot" }), json!({ "kind": "finding.created" })] {
        let mut record: Value = serde_json::from_str(&heartbeat(1)).unwrap();
        record.as_object_mut().unwrap().extend(claim.as_object().unwrap().clone());
        let answer = machine.post("events", "idp", record.to_string()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{claim}");
    }
    let events = machine.stop();
    assert!(events.iter().all(|event| event.kind() == "source.reject" && event.source() == "idp"), "{events:?}");
}

#[tokio::test]
async fn decision_logs_arrive_compressed_as_opa_sends_them() {
    let machine = Machine::start();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(json!([decision("d1"), decision("d2")]).to_string().as_bytes()).unwrap();
    let url = format!("{}/v1/ingest/opa", machine.keywatch.url);
    let request = |body: Vec<u8>, encoding: &str| {
        let request = machine.client.post(&url).bearer_auth(token("opa-1")).header("content-encoding", encoding);
        request.header("content-type", "application/json").body(body).send()
    };
    let body = encoder.finish().unwrap();
    assert_eq!(request(body.clone(), "gzip").await.unwrap().status(), StatusCode::OK);
    assert_eq!(request(body.clone(), "br").await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(request(b"not gzip".to_vec(), "gzip").await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(machine.metric("keywatch_ingest_events_total").await, 2);
    let events = machine.stop();
    let decisions: Vec<_> = events.iter().filter_map(|event| event.decision()).collect();
    assert_eq!(decisions, ["d1", "d2"]);
}

#[tokio::test]
async fn p7_sizes_are_capped_before_anything_is_parsed() {
    let machine = Machine::start();
    // 100 MB announced and not sent: the answer does not wait for them.
    let mut stream = TcpStream::connect(machine.keywatch.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /v1/ingest/events HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer {}\r\nContent-Length: 104857600\r\n\r\n",
        token("idp")
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");

    // 64 MiB of blanks behind a few kilobytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    for _ in 0..64 {
        encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let url = format!("{}/v1/ingest/events", machine.keywatch.url);
    let request = machine.client.post(url).bearer_auth(token("idp")).header("content-encoding", "gzip");
    let answer = request.body(encoder.finish().unwrap()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(machine.metric("keywatch_ingest_requests_total{feed=\"events\",status=\"413\"}").await, 2);
    assert_eq!(machine.stop(), []);
}

#[tokio::test]
async fn other_types_and_paths_are_refused() {
    let machine = Machine::start();
    let url = format!("{}/v1/ingest/events", machine.keywatch.url);
    let request = machine.client.post(&url).bearer_auth(token("idp")).header("content-type", "application/xml");
    assert_eq!(request.body("<a/>").send().await.unwrap().status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(machine.client.get(&url).send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(machine.get("/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn it_says_how_it_does() {
    let machine = Machine::start();
    assert_eq!(machine.get("/healthz").await.0, StatusCode::OK);
    machine.until_ready().await;
    machine.post("events", "idp", heartbeat(1)).await;
    let (status, metrics) = machine.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    for said in [
        "keywatch_ready 1",
        "keywatch_build_info{version=\"",
        "keywatch_ingest_events_total{feed=\"events\",source=\"idp\",system=\"cold\"} 1",
        "keywatch_ingest_latency_seconds_bucket{feed=\"events\",le=\"+Inf\"} 1",
        "keywatch_log_append_latency_seconds_count{topic=\"events\"}",
    ] {
        assert!(metrics.contains(said), "{said} is not in:\n{metrics}");
    }
}

#[tokio::test]
async fn a_log_in_use_and_an_address_in_use_are_named() {
    let machine = Machine::start();
    let here = machine.directory.path();
    let second = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_keywatch"));
        let output = command.arg("run").args(arguments).current_dir(here).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = second(&[]);
    assert!(code == Some(2) && said.contains("in use by another keywatch process"), "{said}");
    let address = machine.keywatch.url.trim_start_matches("http://");
    let (code, said) = second(&["--data", "elsewhere", "--listen", address]);
    assert!(code == Some(2) && said.contains(&format!("cannot listen on {address}")), "{said}");
}
