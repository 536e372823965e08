//! A chain that is followed into a log on Kafka: every block once, whatever becomes of the broker and of the process.

use keywatch_store::Clock;

use super::running::log_section;
use crate::chains::watcher::{Watcher, blocks, standing};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::kafka::{Broker, prefix};

/// In the log on Kafka stand all blocks of the node in their order, and these transactions and no others, each once; keywatch
/// must not run.
pub(super) async fn assert_told_once(watcher: &Watcher, node: &Anvil, sent: &[String]) {
    let events = watcher.told_in("keywatch-data/kafka-0", Clock::Recorded);
    let transactions = standing(&events, "chain.tx");
    assert_eq!(transactions.len(), sent.len());
    assert!(sent.iter().all(|hash| transactions.get(hash) == Some(&1)), "each is told once: {transactions:?}");
    let heights: Vec<u64> = blocks(&events).iter().map(|(height, _)| *height).collect();
    assert_eq!(heights, (0..=node.height().await).collect::<Vec<_>>());
}

#[tokio::test]
async fn p2_a_chain_is_followed_on_after_its_broker_and_its_process_were_killed() {
    let mut broker = Broker::start(|_, _| String::new());
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.configure_further(&log_section(&broker, &prefix(), ""));
    let watching = watcher.start();
    let [wallet, other, _] = ACCOUNTS;
    let mut sent = vec![node.pay(wallet, other, 1).await];
    watching.until_read(&node).await;

    broker.kill();
    for units in 2..12 {
        sent.push(node.pay(wallet, other, units).await);
    }
    // It has met the outage, and goes on when that is over.
    watching.until("keywatch_log_failures_total", "events", 1).await;
    broker.start_again();
    watching.until_read(&node).await;

    drop(watching);
    sent.push(node.pay(wallet, other, 12).await);
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    assert_told_once(&watcher, &node, &sent).await;
}
