//! Credentials that change while keywatch runs: what is taken out ends, what is new counts, what is broken changes nothing.

use keywatch_store::Event;
use reqwest::StatusCode;
use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::site::{Site, Source, bearer, client, heartbeat};
use super::streams::{answer, closed, open, send, try_open};

const TAKEN: &str = "keywatch_door_credential_reloads_total{outcome=\"taken\"}";
const REFUSED: &str = "keywatch_door_credential_reloads_total{outcome=\"refused\"}";

/// The line of two tokens of one source.
fn both(one: &str, other: &str) -> String {
    let hash = |token| bearer(token).trim_start_matches("token_sha256 = ").to_owned();
    format!("token_sha256 = [{}, {}]", hash(one), hash(other))
}

async fn status(site: &Site, token: &str, id: &str) -> StatusCode {
    site.post_from("127.0.0.1", "/v1/ingest/events", token, heartbeat(id)).await.status()
}

#[tokio::test]
async fn p8_a_token_that_is_taken_out_ends_its_streams_and_its_open_requests() {
    let (two, new, other) = (both("old", "new"), bearer("new"), bearer("other"));
    let neighbour = || Source("hot", "agent", "events", &other);
    let site = Site::start(&[Source("cold", "idp", "events", &two), neighbour()], "", &[]);
    assert_eq!(site.metric(TAKEN).await, 0);
    let (mut under_old, mut under_new) = (open(&site, "events", "old").await, open(&site, "events", "new").await);
    send(&mut under_old, 1, &heartbeat("1")).await;
    assert_eq!(answer(&mut under_old).await["ack"], 1);
    // A request of which half has come.
    let line = heartbeat("half");
    let mut half = site.connect_from("127.0.0.1").await;
    let head = format!(
        "POST /v1/ingest/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer old\r\ncontent-length: {}\r\n\r\n",
        line.len()
    );
    half.write_all(format!("{head}{}", &line[..10]).as_bytes()).await.unwrap();
    assert_eq!(status(&site, "old", "2").await, StatusCode::OK);

    site.configure(&[Source("cold", "idp", "events", &new), neighbour()]);
    assert_eq!(closed(&mut under_old).await, CloseCode::Policy);
    site.until_metric("keywatch_door_streams_closed_total{reason=\"withdrawn\"}", 1).await;
    half.write_all(&line.as_bytes()[10..]).await.unwrap();
    let mut said = [0; 12];
    half.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"HTTP/1.1 401");
    assert_eq!(status(&site, "old", "3").await, StatusCode::UNAUTHORIZED);
    assert_eq!(try_open(&site, "events", "old").await.err(), Some(401));
    // The token beside it goes on, on the stream that was open and on others; so does the neighbour.
    send(&mut under_new, 1, &heartbeat("4")).await;
    assert_eq!(answer(&mut under_new).await["ack"], 1);
    assert_eq!((status(&site, "new", "5").await, status(&site, "other", "6").await), (StatusCode::OK, StatusCode::OK));
    site.until_metric(TAKEN, 1).await;
    assert_eq!(site.metric(REFUSED).await, 0);
    drop((under_old, under_new));
    let ids: Vec<String> = site.stop().iter().map(|event| event.system().to_owned()).collect();
    assert_eq!(ids, ["cold", "cold", "cold", "cold", "hot"], "events 1, 2, 4, 5 and 6");
}

#[tokio::test]
async fn p8_kinds_that_are_narrowed_hold_for_a_stream_that_is_open() {
    let token = bearer("token");
    let narrowed = format!("{token}\nkinds = [\"session.*\"]");
    let site = Site::start(&[Source("cold", "idp", "events", &token)], "", &[]);
    let mut stream = open(&site, "events", "token").await;
    send(&mut stream, 1, &heartbeat("1")).await;
    assert_eq!(answer(&mut stream).await["rejected"], 0);
    site.configure(&[Source("cold", "idp", "events", &narrowed)]);
    site.until_metric(TAKEN, 1).await;
    send(&mut stream, 2, &heartbeat("2")).await;
    assert_eq!(answer(&mut stream).await["rejected"], 1);
    drop(stream);
    let kinds: Vec<String> = site.stop().iter().map(|event| event.kind().to_owned()).collect();
    assert_eq!(kinds, ["source.heartbeat", "source.reject"]);
}

#[tokio::test]
async fn p8_broken_files_leave_what_was_there_and_the_log_says_so() {
    let (token, next) = (bearer("token"), bearer("next"));
    let site = Site::start(&[Source("cold", "idp", "events", &token)], "", &[]);
    let unwell = |events: &[Event]| {
        let own = events.iter().filter(|event| event.source() == "keywatch" && event.kind() == "source.status");
        own.map(|event| (event.system().to_owned(), event.outcome().unwrap().to_owned())).collect::<Vec<_>>()
    };
    // No TOML; nothing; a source that the inventory does not have.
    site.write("keywatch.toml", b"[[credentials]\n");
    site.until_metric(REFUSED, 1).await;
    assert_eq!(status(&site, "token", "1").await, StatusCode::OK);
    site.write("keywatch.toml", b"");
    site.until_metric(REFUSED, 2).await;
    site.configure(&[Source("cold", "stranger", "events", &next)]);
    site.until_metric(REFUSED, 3).await;
    assert_eq!(status(&site, "token", "2").await, StatusCode::OK);
    assert_eq!(status(&site, "next", "3").await, StatusCode::UNAUTHORIZED);
    site.configure(&[Source("cold", "idp", "events", &next)]);
    site.until_metric(TAKEN, 1).await;
    assert_eq!(status(&site, "next", "4").await, StatusCode::OK);
    assert_eq!(status(&site, "token", "5").await, StatusCode::UNAUTHORIZED);
    let events = site.stop_with_all();
    let cold = |outcome: &str| ("cold".to_owned(), outcome.to_owned());
    assert_eq!(unwell(&events), [cold("degraded"), cold("degraded"), cold("degraded"), cold("ok")]);
    let said = events.iter().find(|event| event.outcome() == Some("degraded")).unwrap();
    assert!(said.reason().unwrap().contains("keywatch.toml"), "{said:?}");
}

#[tokio::test]
async fn p8_a_secret_that_is_changed_in_its_file_counts_and_one_that_is_none_does_not() {
    const OLD: &[u8] = b"0123456789abcdef-old";
    const NEW: &[u8] = b"0123456789abcdef-new";
    let proof = "signature = { scheme = 'body-hmac', header = 'x-tag', secret_files = ['secret'] }";
    let site = Site::start(&[Source("cold", "idp", "events", proof)], "", &[("secret", OLD)]);
    let post = async |secret: &[u8], id: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let time = keywatch_store::Instant::from_unix_seconds(i64::try_from(now).unwrap()).unwrap();
        let body = heartbeat(id).replace("2025-02-21T00:00:00Z", &time.to_string());
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), body.as_bytes());
        let request = client("127.0.0.1").post(site.url("/v1/ingest/events/cold/idp"));
        request.header("x-tag", hex::encode(tag)).body(body).send().await.unwrap().status()
    };
    assert_eq!(post(OLD, "1").await, StatusCode::OK);
    site.write("secret", b"short");
    site.until_metric(REFUSED, 1).await;
    assert_eq!(post(OLD, "2").await, StatusCode::OK);
    site.write("secret", NEW);
    site.until_metric(TAKEN, 1).await;
    assert_eq!(post(NEW, "3").await, StatusCode::OK);
    assert_eq!(post(OLD, "4").await, StatusCode::UNAUTHORIZED);
    assert_eq!(site.stop().len(), 3);
}
