//! A node that answers and has stopped: it is told, the chain goes on without it, and it is told when it moves again.

use std::time::Duration;

use super::watcher::{Watcher, of_kind, standing};
use crate::support::anvil::{ACCOUNTS, Anvil};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];

/// The most that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Far less than the second that a node may stand.
const BREATH: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_node_that_has_stopped_is_told_and_another_is_asked_until_it_moves() {
    let (stopped, moving) = (Anvil::start().await, Anvil::start().await);
    // Without a quorum the first is asked, as long as it answers: it does, and has no block.
    let watcher = Watcher::new(&[("stopped", stopped.url()), ("moving", moving.url())], "stall_seconds = 1");
    let watching = watcher.start();
    let sent = moving.pay(WALLET, OTHER, 3).await;
    let read = async {
        while watching.metric("keywatch_chain_height", "").await < 1 {
            moving.mine(1).await;
            tokio::time::sleep(BREATH).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, read).await.is_ok(), "the node that moves is not asked");
    stopped.mine(1).await;
    let looked = async {
        while watching.metric("keywatch_chain_endpoint_head", "endpoint=\"stopped\"").await < 1 {
            moving.mine(1).await;
            tokio::time::sleep(BREATH).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, looked).await.is_ok(), "nobody looks at the node that stood");
    watching.stop();

    let events = watcher.told();
    assert_eq!(standing(&events, "chain.tx").get(&sent), Some(&1));
    let told: Vec<_> = of_kind(&events, "source.status")
        .iter()
        .filter(|event| event.detail().value()["replica"] == "stopped")
        .map(|event| (event.outcome().unwrap().to_owned(), event.reason().map(str::to_owned)))
        .collect();
    let stands = "node `stopped` has stood at block 0 for 1 seconds".to_owned();
    assert_eq!(told[..2], [("degraded".to_owned(), Some(stands)), ("ok".to_owned(), None)], "{told:?}");
}
