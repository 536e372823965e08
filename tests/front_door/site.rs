//! A running keywatch with the sources and credentials that a test wants.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use reqwest::{Client, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::serving::Serving;

/// A keywatch with a directory of its own.
pub(super) struct Site {
    pub(super) directory: tempfile::TempDir,
    pub(super) keywatch: Serving,
}

/// What stands in the configuration of a source: its system, its name, its feed, and how it proves who it is.
pub(super) struct Source<'a>(pub(super) &'a str, pub(super) &'a str, pub(super) &'a str, pub(super) &'a str);

impl Site {
    /// Two systems, and in them what `sources` lists; `files` are written beside the configuration.
    pub(super) fn start(sources: &[Source<'_>], server: &str, files: &[(&str, &[u8])]) -> Site {
        let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{server}\n{}", credentials(sources));
        Site::of(&inventory(sources), &config, files)
    }

    /// With that inventory and that configuration.
    pub(super) fn of(inventory: &str, config: &str, files: &[(&str, &[u8])]) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let own = [("inventory.toml", inventory.as_bytes()), ("keywatch.toml", config.as_bytes())];
        for (name, bytes) in files.iter().chain(&own) {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        let keywatch = Serving::start(directory.path(), &[]);
        Site { directory, keywatch }
    }

    /// Changes what stands in its configuration of who may send.
    pub(super) fn configure(&self, sources: &[Source<'_>]) {
        let config = format!("[server]\nlisten = \"127.0.0.1:0\"\n{}", credentials(sources));
        self.write("keywatch.toml", config.as_bytes());
    }

    /// Writes a file beside the configuration.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.directory.path().join(name), bytes).unwrap();
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.keywatch.url.rsplit("//").next().unwrap().parse().unwrap()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.keywatch.url)
    }

    /// Sends `body` under a bearer token, from one of this machine's addresses.
    pub(super) async fn post_from(&self, from: &str, path: &str, token: &str, body: String) -> Response {
        client(from).post(self.url(path)).bearer_auth(token).body(body).send().await.unwrap()
    }

    /// The sum of the metrics whose line begins so.
    pub(super) async fn metric(&self, line_start: &str) -> u64 {
        let text = client("127.0.0.99").get(self.url("/metrics")).send().await.unwrap().text().await.unwrap();
        let lines = text.lines().filter(|line| line.starts_with(line_start));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// Waits until a metric is as large as that; half a minute at most.
    pub(super) async fn until_metric(&self, line_start: &str, least: u64) {
        let waiting = async { while self.metric(line_start).await < least {} };
        let reached = tokio::time::timeout(Duration::from_secs(30), waiting).await;
        assert!(reached.is_ok(), "{line_start} is {}, not {least}", self.metric(line_start).await);
    }

    /// A connection from one of this machine's addresses.
    pub(super) async fn connect_from(&self, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse::<IpAddr>().unwrap(), 0)).unwrap();
        socket.connect(self.address()).await.unwrap()
    }

    /// Stops it, and gives what the sources have brought into the log.
    pub(super) fn stop(self) -> Vec<Event> {
        let mut events = self.stop_with_all();
        events.retain(|event| event.source() != "keywatch");
        events
    }

    /// Stops it, and gives all that is in the log.
    pub(super) fn stop_with_all(self) -> Vec<Event> {
        assert!(self.keywatch.stop().success());
        all(&self.directory)
    }

    /// Kills it without warning, and gives the same.
    pub(super) fn kill(self) -> Vec<Event> {
        drop(self.keywatch);
        brought(&self.directory)
    }
}

fn brought(directory: &tempfile::TempDir) -> Vec<Event> {
    all(directory).into_iter().filter(|event| event.source() != "keywatch").collect()
}

fn all(directory: &tempfile::TempDir) -> Vec<Event> {
    let log = EmbeddedLog::open(directory.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    log.read(Topic::Events, Position(0), 100_000).unwrap()
}

fn inventory(sources: &[Source<'_>]) -> String {
    let mut inventory = String::new();
    for system in ["cold", "hot"] {
        writeln!(inventory, "[[systems]]\nid = \"{system}\"").unwrap();
        for Source(_, name, feed, _) in sources.iter().filter(|source| source.0 == system) {
            writeln!(inventory, "[[systems.sources]]\nsource = \"{name}\"\nfeed = \"{feed}\"").unwrap();
        }
    }
    inventory
}

fn credentials(sources: &[Source<'_>]) -> String {
    let mut text = String::new();
    for Source(system, name, feed, proof) in sources {
        writeln!(text, "[[credentials]]\nsystem = \"{system}\"\nsource = \"{name}\"\nfeed = \"{feed}\"\n{proof}")
            .unwrap();
    }
    text
}

/// A line of the configuration that lets `token` in.
pub(super) fn bearer(token: &str) -> String {
    format!("token_sha256 = \"{}\"", hex::encode(Sha256::digest(token)))
}

/// A client that speaks from one of this machine's addresses.
pub(super) fn client(from: &str) -> Client {
    // The provider of the process; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let from: IpAddr = from.parse().unwrap();
    Client::builder().local_address(from).timeout(Duration::from_secs(20)).build().unwrap()
}

/// An event line.
pub(super) fn heartbeat(id: &str) -> String {
    json!({ "id": id, "kind": "source.heartbeat", "event_time": "2025-02-21T00:00:00Z" }).to_string()
}
