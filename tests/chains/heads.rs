//! Nodes that announce their blocks over a WebSocket: a block is read at once, however seldom nodes are polled; a socket that
//! ends is opened again; and where there is none, polling goes on.

use std::time::Duration;

use super::door::Door;
use super::looks::Looks;
use super::watcher::Watcher;
use crate::support::anvil::{ACCOUNTS, Anvil};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];

/// Looks at a node before the next would be a minute away: where to begin, what is new, and what is new once blocks are
/// announced, which is looked for twice, since the node that announces need not be the one that is asked.
const FIRST_LOOKS: usize = 4;

/// Far less than the minute after which nodes are polled.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Follows the node behind `looks`, which announces its blocks at `ws` and is polled every minute.
fn watcher(looks: &Looks, ws: &str) -> Watcher {
    let watcher = Watcher::new(&[("anvil", looks.url())], "");
    watcher.configure("poll_milliseconds = 50", "poll_milliseconds = 60000");
    let ws = ws.replace("http://", "ws://");
    watcher.configure("name = \"anvil\",", &format!("name = \"anvil\", ws = \"{ws}\","));
    watcher
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_is_announced_is_read_at_once() {
    let node = Anvil::start().await;
    let looks = Looks::at(&node.url()).await;
    let watcher = watcher(&looks, &node.url());
    let watching = watcher.start();
    looks.until(|heights| heights.len() >= FIRST_LOOKS).await;
    for units in [1, 2, 3] {
        node.pay(WALLET, OTHER, units).await;
        let read = tokio::time::timeout(AT_ONCE, watching.until_read(&node)).await;
        let height = node.height().await;
        assert!(read.is_ok(), "block {height} is not read");
        // One look read it and one found nothing above it, so that no other is due before the next announcement.
        looks.until(|heights| heights.iter().filter(|answered| **answered == height).count() >= 2).await;
    }
    watching.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_ends_is_opened_again() {
    let node = Anvil::start().await;
    let looks = Looks::at(&node.url()).await;
    let mut door = Door::open(&node.url()).await;
    let watcher = watcher(&looks, &door.url());
    let watching = watcher.start();
    looks.until(|heights| heights.len() >= FIRST_LOOKS).await;
    door.shut();
    node.pay(WALLET, OTHER, 1).await;
    door.open_again(&node.url()).await;
    // Whoever is told again that blocks will be announced looks for what was made meanwhile.
    let read = tokio::time::timeout(AT_ONCE, watching.until_read(&node)).await;
    assert!(read.is_ok(), "block {} is not read", node.height().await);
    watching.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_announces_nodes_are_polled() {
    let node = Anvil::start().await;
    let looks = Looks::at(&node.url()).await;
    let watcher = watcher(&looks, "http://127.0.0.1:9");
    watcher.configure("poll_milliseconds = 60000", "poll_milliseconds = 50");
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 1).await;
    watching.until_read(&node).await;
    watching.stop();
}
