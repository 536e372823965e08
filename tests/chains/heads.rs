//! Nodes that announce their blocks over a WebSocket: a block is read at once, however seldom nodes are polled; a socket that
//! ends is opened again; and where there is none, polling goes on.

use std::time::Duration;

use super::door::Door;
use super::watcher::{Watcher, Watching};
use crate::support::anvil::{ACCOUNTS, Anvil};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];
const REQUESTS: &str = "keywatch_chain_requests_total";

/// Far less than the minute after which nodes are polled.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Follows a node that announces its blocks at `ws`, and is polled every minute.
fn watcher(node: &Anvil, ws: &str) -> Watcher {
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.configure("poll_milliseconds = 50", "poll_milliseconds = 60000");
    let ws = ws.replace("http://", "ws://");
    watcher.configure("name = \"anvil\",", &format!("name = \"anvil\", ws = \"{ws}\","));
    watcher
}

/// Waits until no node was asked anything for two seconds: the next look is a minute away, or an announcement.
async fn until_quiet(watching: &Watching) {
    let quiet = async {
        let mut asked = 0;
        loop {
            let now = watching.metric(REQUESTS, "").await;
            if now > 0 && now == asked {
                return;
            }
            asked = now;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), quiet).await.is_ok(), "nodes are asked all the time");
}

#[tokio::test]
async fn a_block_that_is_announced_is_read_at_once() {
    let node = Anvil::start().await;
    let watcher = watcher(&node, &node.url());
    let watching = watcher.start();
    until_quiet(&watching).await;
    for units in [1, 2, 3] {
        node.pay(WALLET, OTHER, units).await;
        let read = tokio::time::timeout(AT_ONCE, watching.until_read(&node)).await;
        assert!(read.is_ok(), "block {} is not read", node.height().await);
        until_quiet(&watching).await;
    }
    watching.stop();
}

#[tokio::test]
async fn a_socket_that_ends_is_opened_again() {
    let node = Anvil::start().await;
    let mut door = Door::open(&node.url()).await;
    let watcher = watcher(&node, &door.url());
    let watching = watcher.start();
    until_quiet(&watching).await;
    door.shut();
    node.pay(WALLET, OTHER, 1).await;
    door.open_again(&node.url()).await;
    // Whoever is told again that blocks will be announced looks for what was made meanwhile.
    let read = tokio::time::timeout(AT_ONCE, watching.until_read(&node)).await;
    assert!(read.is_ok(), "block {} is not read", node.height().await);
    watching.stop();
}

#[tokio::test]
async fn where_nobody_announces_nodes_are_polled() {
    let node = Anvil::start().await;
    let watcher = watcher(&node, "http://127.0.0.1:9");
    watcher.configure("poll_milliseconds = 60000", "poll_milliseconds = 50");
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 1).await;
    watching.until_read(&node).await;
    watching.stop();
}
