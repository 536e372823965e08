//! WebSocket streams of sources: who may open one, that an acknowledged message is durable, and how each of them ends.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use keywatch_store::Event;
use reqwest::header::{AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::site::{Site, Source, bearer, client, heartbeat};
use crate::support::meanwhile::until;

pub(super) type Socket = WebSocketStream<TcpStream>;

fn site() -> Site {
    let (idp, osquery) = (bearer("idp"), bearer("osquery"));
    let slow = format!("{}\nrequests_per_second = 5", bearer("slow"));
    let narrow = format!("{}\nkinds = [\"session.*\"]", bearer("narrow"));
    let sources = [
        Source("cold", "idp", "events", &idp),
        Source("cold", "fleet", "osquery", &osquery),
        Source("cold", "slow", "events", &slow),
        Source("hot", "narrow", "events", &narrow),
    ];
    Site::start(&sources, "", &[])
}

/// Opens a stream, or gives the status that refuses it.
pub(super) async fn try_open(site: &Site, feed: &str, token: &str) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/v1/stream/{feed}", site.address()).into_client_request().unwrap();
    let authorization = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().insert(AUTHORIZATION, authorization);
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("keywatch.stream.v1"));
    let stream = TcpStream::connect(site.address()).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

pub(super) async fn open(site: &Site, feed: &str, token: &str) -> Socket {
    try_open(site, feed, token).await.unwrap()
}

pub(super) async fn send(socket: &mut Socket, seq: u64, lines: &str) {
    socket.send(Message::text(format!("{{\"seq\":{seq}}}\n{lines}"))).await.unwrap();
}

/// The next message that is no ping, half a minute at most.
async fn next(socket: &mut Socket) -> Message {
    let heard = async {
        loop {
            match socket.next().await.expect("the stream ended").unwrap() {
                Message::Ping(_) => {}
                message => return message,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.unwrap()
}

pub(super) async fn answer(socket: &mut Socket) -> Value {
    serde_json::from_str(next(socket).await.to_text().unwrap()).unwrap()
}

/// The code with which the other side closes it.
pub(super) async fn closed(socket: &mut Socket) -> CloseCode {
    match next(socket).await {
        Message::Close(Some(frame)) => frame.code,
        other => panic!("it was not closed: {other:?}"),
    }
}

fn ids(events: &[Event], kind: &str) -> usize {
    events.iter().filter(|event| event.kind() == kind).count()
}

#[tokio::test]
async fn p2_an_acknowledged_message_is_durable() {
    let site = site();
    let mut socket = open(&site, "events", "idp").await;
    send(&mut socket, 7, &format!("{}\nnonsense\n{}", heartbeat("1"), heartbeat("2"))).await;
    let acknowledged = answer(&mut socket).await;
    let counts = ["ack", "records", "events", "repeats", "rejected"].map(|name| acknowledged[name].as_u64());
    assert_eq!(counts, [7, 3, 2, 0, 1].map(Some), "{acknowledged}");
    assert_eq!(acknowledged["rejects"][0]["line"], 2, "lines are counted without the head: {acknowledged}");
    assert_eq!(site.metric("keywatch_door_streams{feed=\"events\"}").await, 1);
    // Killed without warning right after the answer.
    let events = site.kill();
    assert_eq!((ids(&events, "source.heartbeat"), ids(&events, "source.reject")), (2, 1));
}

#[tokio::test]
async fn p2_what_was_cut_is_sent_again_without_loss_or_double() {
    let site = site();
    let mut socket = open(&site, "events", "idp").await;
    send(&mut socket, 1, &heartbeat("1")).await;
    assert_eq!(answer(&mut socket).await["ack"], 1);
    // Nobody waits for the answer.
    send(&mut socket, 2, &heartbeat("2")).await;
    drop(socket);
    let mut socket = open(&site, "events", "idp").await;
    for (seq, id) in ["1", "2", "3"].into_iter().enumerate() {
        send(&mut socket, seq as u64, &heartbeat(id)).await;
        let acknowledged = answer(&mut socket).await;
        assert_eq!((&acknowledged["ack"], &acknowledged["events"]), (&json!(seq), &json!(1)), "{acknowledged}");
    }
    drop(socket);
    assert_eq!(site.stop().len(), 3);
}

#[tokio::test]
async fn p8_a_stream_is_refused_before_it_is_one() {
    let site = site();
    for (feed, token, status) in
        [("events", "wrong", 401), ("osquery", "idp", 403), ("nonsense", "idp", 404), ("events", "osquery", 403)]
    {
        assert_eq!(try_open(&site, feed, token).await.err(), Some(status), "{feed} as {token}");
    }
    // No WebSocket at all, and one without the sub-protocol.
    let plain = client("127.0.0.1").get(site.url("/v1/stream/events")).bearer_auth("idp").send().await.unwrap();
    assert_eq!(plain.status(), 400);
    assert!(plain.text().await.unwrap().contains("Upgrade: websocket"));
    let request = client("127.0.0.1").get(site.url("/v1/stream/events")).bearer_auth("idp");
    let request = request.header("connection", "upgrade").header("upgrade", "websocket");
    let without = request.header("sec-websocket-version", "13").send().await.unwrap();
    assert!(without.text().await.unwrap().contains("keywatch.stream.v1"));
    assert_eq!(site.metric("keywatch_ingest_unauthenticated_total ").await, 1);
    assert_eq!(site.metric("keywatch_door_refusals_total{reason=\"broken\"}").await, 2);
    assert_eq!(site.stop(), []);
}

#[tokio::test]
async fn p7_a_message_that_is_too_large_ends_the_stream_before_it_comes() {
    let site = site();
    let mut socket = open(&site, "events", "idp").await;
    // A frame of 100 MB is announced, and nothing of it sent.
    let mut head = vec![0x82, 0xff];
    head.extend_from_slice(&104_857_600_u64.to_be_bytes());
    head.extend_from_slice(&[0; 4]);
    socket.get_mut().write_all(&head).await.unwrap();
    assert_eq!(closed(&mut socket).await, CloseCode::Size);
    assert_eq!(site.metric("keywatch_door_streams_closed_total{reason=\"too_large\"}").await, 1);
}

#[tokio::test]
async fn what_is_no_message_ends_the_stream_with_the_reason() {
    let site = site();
    for (first, second) in [("no head", ""), ("{\"seq\":2}\n", "{\"seq\":2}\n"), ("{\"seq\":1,\"more\":2}\n", "")] {
        let mut socket = open(&site, "events", "idp").await;
        socket.send(Message::text(first)).await.unwrap();
        if !second.is_empty() {
            // A body that is empty is refused, and costs nothing else.
            let refused = answer(&mut socket).await;
            assert_eq!((&refused["refused"], &refused["error"]), (&json!(2), &json!("the body is empty")));
            socket.send(Message::text(second)).await.unwrap();
        }
        assert_eq!(closed(&mut socket).await, CloseCode::Policy, "{first}");
    }
    assert_eq!(site.stop(), []);
}

/// Reads what the server sends without answering any of it, until it closes the stream; the code.
async fn close_code_unanswered(mut socket: Socket, begun: &[u8]) -> u16 {
    let stream = socket.get_mut();
    stream.write_all(begun).await.unwrap();
    let reading = async {
        loop {
            let mut head = [0; 2];
            stream.read_exact(&mut head).await.unwrap();
            let mut payload = vec![0; usize::from(head[1])];
            stream.read_exact(&mut payload).await.unwrap();
            match head[0] {
                0x88 => return u16::from_be_bytes([payload[0], payload[1]]),
                ping => assert_eq!(ping, 0x89),
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(2), reading).await.unwrap()
}

#[tokio::test]
async fn p7_who_has_gone_and_who_sends_too_slowly_is_cut() {
    let site = site();
    let (gone, slow) = (open(&site, "events", "idp").await, open(&site, "events", "idp").await);
    // A message of 100 bytes, of which one comes.
    let begun = [0x82, 0xe4, 0, 0, 0, 0, b'{'];
    let codes = tokio::join!(close_code_unanswered(gone, &[]), close_code_unanswered(slow, &begun));
    assert_eq!(codes, (1001, 1008));
    for reason in ["idle", "slow"] {
        site.until_metric(&format!("keywatch_door_streams_closed_total{{reason=\"{reason}\"}}"), 1).await;
    }
}

#[tokio::test]
async fn p7_who_sends_too_much_is_pushed_back_and_loses_nothing() {
    let site = site();
    let mut socket = open(&site, "events", "slow").await;
    let begun = Instant::now();
    // Ten at once and five a second are its share; the stream itself was one.
    for seq in 1..=25 {
        send(&mut socket, seq, &heartbeat(&seq.to_string())).await;
    }
    for seq in 1..=25 {
        assert_eq!(answer(&mut socket).await["ack"], seq);
    }
    assert!(begun.elapsed() >= Duration::from_secs(2), "it was not pushed back: {:?}", begun.elapsed());
    // Another source is not made to wait for it.
    let mut other = open(&site, "events", "idp").await;
    send(&mut other, 1, &heartbeat("other")).await;
    assert_eq!(answer(&mut other).await["ack"], 1);
    assert_eq!(site.metric("keywatch_door_refusals_total{reason=\"source_rate\"}").await, 0);
    drop((socket, other));
    assert_eq!(site.stop().len(), 26);
}

#[tokio::test]
async fn p7_a_source_has_so_many_streams_and_gets_them_back() {
    let site = site();
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(open(&site, "events", "idp").await);
    }
    assert_eq!(try_open(&site, "events", "idp").await.err(), Some(429));
    // Its requests have turns of their own, and other sources have their streams.
    let posted = site.post_from("127.0.0.1", "/v1/ingest/events", "idp", heartbeat("1")).await;
    assert_eq!(posted.status(), 200);
    drop(open(&site, "osquery", "osquery").await);
    streams.pop();
    until("a stream is free again", || async { try_open(&site, "events", "idp").await.is_ok() }).await;
}

#[tokio::test]
async fn a_source_of_any_feed_says_how_it_is() {
    let site = site();
    let mut socket = open(&site, "osquery", "osquery").await;
    for (seq, heartbeat) in [json!({ "host": "mpc-1" }), json!({ "problem": "the buffer is full" })].iter().enumerate()
    {
        let message = json!({ "seq": seq, "heartbeat": heartbeat }).to_string();
        socket.send(Message::text(message)).await.unwrap();
        assert_eq!(answer(&mut socket).await["events"], 1);
    }
    // Who may not write heartbeats writes none.
    let mut narrow = open(&site, "events", "narrow").await;
    narrow.send(Message::text(json!({ "seq": 1, "heartbeat": {} }).to_string())).await.unwrap();
    let refused = answer(&mut narrow).await;
    assert_eq!((&refused["events"], &refused["rejected"]), (&json!(0), &json!(1)), "{refused}");
    drop((socket, narrow));
    let events = site.stop();
    let said: Vec<(&str, &str, Option<&str>)> =
        events.iter().map(|event| (event.source(), event.kind(), event.reason())).collect();
    assert_eq!(said[0], ("fleet", "source.heartbeat", None));
    assert_eq!(said[1], ("fleet", "source.status", Some("the buffer is full")));
    assert_eq!((said.len(), said[2].0, said[2].1), (3, "narrow", "source.reject"));
    assert_eq!(events[0].detail().value()["host"], "mpc-1");
}

#[tokio::test]
async fn streams_are_told_when_keywatch_stops() {
    let site = site();
    let mut socket = open(&site, "events", "idp").await;
    socket.send(Message::Ping(Bytes::from_static(b"there"))).await.unwrap();
    assert_eq!(next(&mut socket).await, Message::Pong(Bytes::from_static(b"there")));
    let stopping = tokio::task::spawn_blocking(move || site.stop());
    assert_eq!(closed(&mut socket).await, CloseCode::Away);
    // The answer to it lets the other side go.
    while socket.next().await.is_some_and(|message| message.is_ok()) {}
    assert_eq!(stopping.await.unwrap(), []);
}
