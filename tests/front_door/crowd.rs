//! Floods: slow bodies under one token, idle connections without any, guesses at tokens.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::site::{Site, Source, bearer, client, heartbeat};

/// One crowd after the other: together they would need more file descriptors than a process usually may have.
static CROWD: Mutex<()> = Mutex::const_new(());

fn two_sources() -> Site {
    let (greedy, other) = (bearer("greedy"), bearer("other"));
    let sources = [Source("cold", "greedy", "events", &greedy), Source("cold", "other", "events", &other)];
    Site::start(&sources, "", &[])
}

/// Says that a large body comes, sends its first byte, and says no more.
async fn slow_body(site: &Site, from: &str) -> TcpStream {
    let mut stream = site.connect_from(from).await;
    let head =
        "POST /v1/ingest/events HTTP/1.1\r\nHost: k\r\nAuthorization: Bearer greedy\r\nContent-Length: 1000\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The first line of the answer.
async fn status(stream: &mut TcpStream) -> String {
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_exact(&mut answer)).await;
    read.unwrap().map_or_else(|_| "cut".to_owned(), |_| String::from_utf8(answer.to_vec()).unwrap())
}

#[tokio::test]
async fn p7_two_hundred_slow_bodies_under_one_token_cost_another_source_nothing() {
    let _alone = CROWD.lock().await;
    let site = two_sources();
    let mut slow = Vec::new();
    for number in 0..200 {
        slow.push(slow_body(&site, ["127.0.0.1", "127.0.0.2", "127.0.0.3"][number % 3]).await);
    }
    site.until_metric("keywatch_door_refusals_total{reason=\"source_requests\"}", 136).await;
    let begun = Instant::now();
    for (id, from) in ["127.0.0.1", "127.0.0.4"].into_iter().enumerate() {
        let answer = site.post_from(from, "/v1/ingest/events", "other", heartbeat(&id.to_string())).await;
        assert_eq!(answer.status(), 200, "from {from}");
    }
    // Ten times what it takes on a busy machine, and well below the time that a slow body gets.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let refused = site.post_from("127.0.0.4", "/v1/ingest/events", "greedy", heartbeat("x")).await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    // The slow ones are told so, one after the other, and the source has its turns back.
    let mut statuses = Vec::new();
    for stream in &mut slow {
        statuses.push(status(stream).await);
    }
    let count = |wanted: &str| statuses.iter().filter(|status| *status == wanted).count();
    assert_eq!((count("HTTP/1.1 429"), count("HTTP/1.1 408")), (136, 64), "{statuses:?}");
    let answer = site.post_from("127.0.0.4", "/v1/ingest/events", "greedy", heartbeat("y")).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn p7_seven_hundred_idle_connections_keep_nobody_out() {
    let _alone = CROWD.lock().await;
    let site = two_sources();
    let mut idle = Vec::new();
    for _ in 0..700 {
        idle.push(site.connect_from("127.0.0.2").await);
    }
    site.until_metric("keywatch_door_connections_cut_total{reason=\"address_full\"}", 572).await;
    for from in ["127.0.0.1", "127.0.0.2"] {
        let answer = site.post_from(from, "/v1/ingest/events", "other", heartbeat(from)).await;
        assert_eq!(answer.status(), 200, "from {from}");
    }
    assert!(site.metric("keywatch_door_connections ").await <= 130);
    // Those that never ask anything are cut in the end.
    let mut last = idle.pop().unwrap();
    assert_eq!(status(&mut last).await, "cut");
}

#[tokio::test]
async fn p7_idle_connections_of_many_addresses_fill_the_door_and_make_room() {
    let _alone = CROWD.lock().await;
    let site = two_sources();
    let mut idle = Vec::new();
    for number in 0..600 {
        idle.push(site.connect_from(&format!("127.0.1.{}", number % 200 + 1)).await);
    }
    site.until_metric("keywatch_door_connections_cut_total{reason=\"door_full\"}", 88).await;
    let answer = site.post_from("127.0.0.1", "/v1/ingest/events", "other", heartbeat("1")).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn p8_who_guesses_tokens_is_slowed_down_and_his_neighbour_is_not() {
    let site = two_sources();
    let guesser = client("127.0.0.5");
    let mut statuses = Vec::new();
    while !statuses.contains(&429) && statuses.len() < 1000 {
        let guess = statuses.len();
        let request = guesser.post(site.url("/v1/ingest/events")).bearer_auth(format!("guess-{guess}"));
        statuses.push(request.body(heartbeat("1")).send().await.unwrap().status().as_u16());
    }
    let told = statuses.iter().filter(|status| **status == 401).count();
    assert!(told >= 60 && told + 1 == statuses.len() && statuses.contains(&429), "{statuses:?}");
    // Even from the same address, valid credentials are heard.
    let answer = site.post_from("127.0.0.5", "/v1/ingest/events", "other", heartbeat("2")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(site.stop().len(), 1);
}
