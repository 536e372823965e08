//! A node that answers and has stopped: it is told, the chain goes on without it, and it is told when it moves again. Where each
//! node stands is told too, and that two which nobody else compares go on with different blocks.

use std::time::Duration;

use keywatch_store::Event;
use serde_json::json;

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

#[tokio::test]
async fn nodes_that_nobody_else_compares_are_told_where_they_go_on_with_different_blocks() {
    const TOLD: (&str, &str) = ("keywatch_events_total", "kind=\"chain.disagreement\"");
    let (one, other) = (Anvil::start().await, Anvil::start().await);
    // Without a quorum only the first is asked for blocks.
    let settings = "head_seconds = 1\nstall_seconds = 3";
    let watcher = Watcher::new(&[("one", one.url()), ("other", other.url())], settings);
    let watching = watcher.start();
    // Their first blocks differ, since each holds another payment.
    one.pay(WALLET, OTHER, 3).await;
    other.pay(WALLET, OTHER, 4).await;
    let told = async {
        while watching.metric(TOLD.0, TOLD.1).await < 1 {
            one.mine(1).await;
            other.mine(1).await;
            tokio::time::sleep(BREATH).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, told).await.is_ok(), "nobody compares them");
    watching.stop();

    let events = watcher.told();
    let heads = of_kind(&events, "chain.head");
    for (name, node) in [("one", &one), ("other", &other)] {
        let own: Vec<&&Event> = heads.iter().filter(|head| head.detail().value()["replica"] == name).collect();
        let newest = own.last().expect("it answers").detail().value();
        let block =
            node.rpc("eth_getBlockByNumber", json!([format!("{:#x}", newest["block"].as_u64().unwrap()), false])).await;
        assert_eq!(newest["block_hash"], block["hash"], "{newest}");
        assert!(newest["age_seconds"].is_i64() || newest["age_seconds"].is_u64(), "{newest}");
        let mut hashes: Vec<String> = own.iter().map(|head| head.detail().value()["block_hash"].to_string()).collect();
        let count = hashes.len();
        hashes.dedup();
        assert_eq!(hashes.len(), count, "one that is still the same is told once");
    }
    let told = of_kind(&events, "chain.disagreement");
    assert_eq!(told.len(), 1);
    let said = told[0].detail().value()["said"].as_array().unwrap().clone();
    let names: Vec<_> = said.iter().map(|said| said["endpoint"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["one", "other"]);
    assert_ne!(said[0]["says"], said[1]["says"]);
    assert!(of_kind(&events, "source.status").is_empty(), "both move");
}
