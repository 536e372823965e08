//! Blocks that a node of Bitcoin announces over `ZeroMQ` are read at once, however seldom nodes are polled, also after the
//! connection broke; announcements that were lost are seen.
//!
//! The node is btcd, which has no `ZeroMQ`: [`super::publisher`] says what Bitcoin Core would.

use std::time::Duration;

use super::publisher::Publisher;
use super::watcher::{Watcher, Watching};
use crate::support::btcd::{Btcd, Wallet};

/// Far less than the minute after which nodes are polled.
const AT_ONCE: Duration = Duration::from_secs(10);
const TOPICS: usize = 5;

async fn read_at_once(watching: &Watching, node: &Btcd) {
    let height = node.height().await;
    let read = tokio::time::timeout(AT_ONCE, watching.until_height(height)).await;
    assert!(read.is_ok(), "block {height} is not read");
}

#[tokio::test]
async fn a_block_that_is_announced_over_zeromq_is_read_at_once() {
    let miner = Wallet::of(0x11);
    let node = Btcd::start(&miner.address).await;
    node.mine(3).await;
    let mut publisher = Publisher::open().await;
    let address = miner.address.to_string();
    let settings = "chain = \"bitcoin-regtest\"";
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    watcher.configure("poll_milliseconds = 50", "poll_milliseconds = 60000");
    watcher.configure("name = \"btcd\",", &format!("name = \"btcd\", zmq = \"{}\",", publisher.address()));
    let watching = watcher.start();
    publisher.subscribed(TOPICS).await;
    watching.until_height(3).await;
    // The first may be found without it, by a look that was under way.
    for number in 0..3 {
        node.mine(1).await;
        publisher.publish("hashblock", &[7; 32], number).await;
        read_at_once(&watching, &node).await;
    }
    // A block is connected, and two such announcements are lost.
    let connected = [&[7; 32][..], &b"C"[..]].concat();
    publisher.publish("sequence", &connected, 1).await;
    node.mine(1).await;
    publisher.publish("sequence", &connected, 4).await;
    read_at_once(&watching, &node).await;
    watching.until("keywatch_chain_errors_total", "announcements_lost", 1).await;

    publisher.hang_up();
    node.mine(1).await;
    publisher.subscribed(TOPICS).await;
    // What was announced to nobody is looked for.
    read_at_once(&watching, &node).await;
    watching.stop();
}
