//! A machine on which keywatch follows a chain, and what its log holds in the end.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use reqwest::Client;
use serde_json::Value;

use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::serving::Serving;

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// A directory with configuration, inventory and, later, a log. The wallet is the node's first account.
pub(crate) struct Watcher {
    directory: tempfile::TempDir,
}

impl Watcher {
    /// Sets it up to follow these nodes from their first block; `more` is further settings of the chain.
    pub(crate) fn new(nodes: &[(&str, String)], more: &str) -> Watcher {
        Watcher::of_wallet(ACCOUNTS[0], nodes, more)
    }

    /// As [`Watcher::new`], with another wallet, which is a Safe.
    pub(crate) fn of_wallet(wallet: &str, nodes: &[(&str, String)], more: &str) -> Watcher {
        let chain = format!("chain = \"local\"\nchain_id = 31337\nasset = \"ETH\"\n{more}");
        Watcher::on("local", wallet, nodes, &chain)
    }

    /// As [`Watcher::new`], on any chain; `settings` names it.
    pub(crate) fn on(chain: &str, wallet: &str, nodes: &[(&str, String)], settings: &str) -> Watcher {
        let directory = tempfile::tempdir().unwrap();
        let inventory = format!(
            "[[systems]]\nid = \"cold\"\n[[systems.sources]]\nsource = \"node\"\nfeed = \"chain\"\n\
             [[systems.wallets]]\nwallet = \"{wallet}\"\nchain = \"{chain}\"\ntechnology = \"safe\"\n"
        );
        let mut endpoints = String::new();
        for (name, url) in nodes {
            write!(endpoints, "{{ name = \"{name}\", url = \"{url}\" }},").unwrap();
        }
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[[chains]]\nsystem = \"cold\"\nsource = \"node\"\nstart = 1\n\
             poll_milliseconds = 50\nrequests_per_second = 2000\nendpoints = [{endpoints}]\n{settings}\n"
        );
        std::fs::write(directory.path().join("inventory.toml"), inventory).unwrap();
        std::fs::write(directory.path().join("keywatch.toml"), config).unwrap();
        Watcher { directory }
    }

    /// Declares more in the inventory, as TOML.
    pub(crate) fn declare(&self, more: &str) {
        let file = self.directory.path().join("inventory.toml");
        let declared = std::fs::read_to_string(&file).unwrap();
        // In one step: whoever reads it meanwhile finds the old one or the new one.
        let whole = self.directory.path().join("inventory.new");
        std::fs::write(&whole, format!("{declared}{more}")).unwrap();
        std::fs::rename(whole, file).unwrap();
    }

    /// Writes something else in the configuration.
    pub(crate) fn configure(&self, from: &str, to: &str) {
        let file = self.directory.path().join("keywatch.toml");
        let config = std::fs::read_to_string(&file).unwrap();
        assert!(config.contains(from), "{config}");
        std::fs::write(file, config.replace(from, to)).unwrap();
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Adds to its configuration.
    pub(crate) fn configure_further(&self, more: &str) {
        let file = self.directory.path().join("keywatch.toml");
        let configuration = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{configuration}{more}")).unwrap();
    }

    /// Starts keywatch.
    pub(crate) fn start(&self) -> Watching {
        Watching { keywatch: Serving::start(self.directory.path(), &[]), client: Client::new() }
    }

    /// What the follower and its node have brought into the log; keywatch must not run.
    pub(crate) fn told(&self) -> Vec<Event> {
        self.told_in("keywatch-data", Clock::Wall)
    }

    /// As [`Watcher::told`], for a log in another directory.
    pub(crate) fn told_in(&self, log: &str, clock: Clock) -> Vec<Event> {
        let log = EmbeddedLog::open(self.directory.path().join(log), Options::new(clock)).unwrap();
        let events = log.read(Topic::Events, Position(0), 1_000_000).unwrap();
        events.into_iter().filter(|event| event.source() == "node").collect()
    }
}

/// Keywatch on that machine; killed without warning when it is dropped.
pub(crate) struct Watching {
    keywatch: Serving,
    client: Client,
}

impl Watching {
    /// The value of a metric whose labels hold that text; zero where it is not there.
    pub(crate) async fn metric(&self, name: &str, label: &str) -> u64 {
        let url = format!("{}/metrics", self.keywatch.url);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let is_it = |line: &&str| line.split([' ', '{']).next() == Some(name) && line.contains(label);
        text.lines().find(is_it).map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Its base address.
    pub(crate) fn url(&self) -> &str {
        &self.keywatch.url
    }

    /// What its API answers an operator whose token that is.
    pub(crate) async fn ask(&self, token: &str, path: &str) -> Value {
        let url = format!("{}{path}", self.keywatch.url);
        let answer = self.client.get(url).bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// Waits until a metric has at least that value.
    pub(crate) async fn until(&self, name: &str, label: &str, value: u64) {
        let reached = async {
            while self.metric(name, label).await < value {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "{name} {label} is {} and not {value}", self.metric(name, label).await);
    }

    /// Waits until a metric is zero.
    pub(crate) async fn until_none(&self, name: &str) {
        let reached = async {
            while self.metric(name, "").await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, reached).await;
        assert!(waited.is_ok(), "{name} is {} and not 0", self.metric(name, "").await);
    }

    /// Waits until everything that the node has is read.
    pub(crate) async fn until_read(&self, node: &Anvil) {
        self.until_height(node.height().await).await;
    }

    /// Waits until the block at that height is read.
    pub(crate) async fn until_height(&self, height: u64) {
        self.until("keywatch_chain_height", "", height).await;
    }

    /// Stops it in order.
    pub(crate) fn stop(self) {
        assert!(self.keywatch.stop().success());
    }
}

/// The events of a kind.
pub(crate) fn of_kind<'a>(events: &'a [Event], kind: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.kind() == kind).collect()
}

/// Balances that changed otherwise than events explain.
pub(crate) fn unexplained(events: &[Event]) -> Vec<&Event> {
    of_kind(events, "chain.balance").into_iter().filter(|event| event.outcome() == Some("unexplained")).collect()
}

/// How often each transaction stands among the events of a kind that were not taken back.
pub(crate) fn standing(events: &[Event], kind: &str) -> BTreeMap<String, usize> {
    let taken: Vec<Value> =
        of_kind(events, "chain.retracted").iter().map(|event| event.detail().value()["event"].clone()).collect();
    let mut count = BTreeMap::new();
    for event in of_kind(events, kind) {
        if !taken.contains(&Value::from(event.event_id().to_string())) {
            *count.entry(event.tx().unwrap_or_default().to_owned()).or_insert(0) += 1;
        }
    }
    count
}

/// Heights and hashes of the blocks read, in the order in which the log has them.
pub(crate) fn blocks(events: &[Event]) -> Vec<(u64, String)> {
    let read = |event: &&Event| event.detail().value()["read"].as_array().unwrap().clone();
    let blocks = of_kind(events, "chain.progress");
    let each = blocks.iter().flat_map(read);
    each.map(|block| (block[0].as_u64().unwrap(), block[1].as_str().unwrap().to_owned())).collect()
}
