//! Several nodes of one chain: one that is down delays nothing, one of another chain is not followed, and of nodes that say
//! different things none is followed until enough agree.

use serde_json::{Value, json};

use super::door::Door;
use super::watcher::{Watcher, of_kind, standing};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::command::{keywatch, out};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];

#[tokio::test]
async fn a_node_that_is_down_is_passed_over() {
    let node = Anvil::start().await;
    // Nothing listens on the discard port.
    let watcher = Watcher::new(&[("down", "http://127.0.0.1:9".into()), ("up", node.url())], "");
    let watching = watcher.start();
    let sent = node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    assert!(watching.metric("keywatch_chain_errors_total", "class=\"unreachable\"").await > 0);
    watching.stop();
    assert_eq!(standing(&watcher.told(), "chain.tx").get(&sent), Some(&1));
}

#[tokio::test]
async fn a_node_that_goes_away_and_comes_back_is_told_and_nothing_is_missed() {
    let node = Anvil::start().await;
    let mut door = Door::open(&node.url()).await;
    let watcher = Watcher::new(&[("anvil", door.url())], "");
    let watching = watcher.start();
    let before = node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    door.shut();
    let during = node.pay(WALLET, OTHER, 4).await;
    watching.until("keywatch_chain_errors_total", "class=\"unreachable\"", 1).await;
    door.open_again(&node.url()).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let stand = standing(&events, "chain.tx");
    assert_eq!((stand.get(&before), stand.get(&during)), (Some(&1), Some(&1)));
    let states: Vec<Option<&str>> = of_kind(&events, "source.status").iter().map(|event| event.outcome()).collect();
    assert_eq!(states, [Some("down"), Some("ok")]);
}

#[tokio::test]
async fn a_node_of_another_chain_is_never_followed() {
    let node = Anvil::start().await;
    node.rpc("anvil_setChainId", json!([5])).await;
    node.mine(1).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let watching = watcher.start();
    watching.until("keywatch_chain_errors_total", "class=\"other_chain\"", 1).await;
    watching.stop();
    let events = watcher.told();
    assert!(of_kind(&events, "chain.progress").is_empty() && of_kind(&events, "chain.tx").is_empty());
    let reason = of_kind(&events, "source.status")[0].reason().unwrap().to_owned();
    assert!(reason.contains("chain 5") && reason.contains("31337"), "{reason}");
    let checked = keywatch(watcher.path(), &["chain", "check"], b"");
    assert_eq!(checked.status.code(), Some(1), "{}", out(&checked));
}

#[tokio::test]
async fn a_node_of_another_chain_does_not_stand_in_for_one_that_is_away() {
    let (node, other) = (Anvil::start().await, Anvil::start().await);
    other.rpc("anvil_setChainId", json!([5])).await;
    let mut door = Door::open(&node.url()).await;
    let watcher = Watcher::new(&[("right", door.url()), ("wrong", other.url())], "");
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    door.shut();
    // Longer than the right one, so that it would be read if nobody asked which chain it is of.
    other.mine(5).await;
    watching.until("keywatch_chain_errors_total", "class=\"other_chain\"", 2).await;
    door.open_again(&node.url()).await;
    node.pay(WALLET, OTHER, 5).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let moved: Vec<i128> =
        of_kind(&events, "chain.transfer").iter().map(|event| event.amount().unwrap().saturated()).collect();
    assert_eq!(moved, [3, 5]);
    assert!(of_kind(&events, "chain.reorg").is_empty());
}

#[tokio::test]
async fn a_node_that_lies_is_outvoted_and_told() {
    // Two ways to one node are two that agree.
    let (node, liar) = (Anvil::start().await, Anvil::start().await);
    let door = Door::open(&node.url()).await;
    let nodes = [("one", node.url()), ("two", door.url()), ("liar", liar.url())];
    let watcher = Watcher::new(&nodes, "quorum = 2");
    let watching = watcher.start();
    liar.pay(WALLET, OTHER, 4).await;
    node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let moved: Vec<i128> =
        of_kind(&events, "chain.transfer").iter().map(|event| event.amount().unwrap().saturated()).collect();
    assert_eq!(moved, [3]);
    let told = of_kind(&events, "chain.disagreement");
    assert_eq!(told.len(), 1);
    let said = told[0].detail().value()["said"].as_array().unwrap().clone();
    assert_eq!(said.len(), 3);
}

#[tokio::test]
async fn where_too_few_agree_nothing_is_read() {
    let (one, other) = (Anvil::start().await, Anvil::start().await);
    let watcher = Watcher::new(&[("one", one.url()), ("other", other.url())], "quorum = 2");
    let watching = watcher.start();
    other.pay(WALLET, OTHER, 4).await;
    one.pay(WALLET, OTHER, 3).await;
    let asked = watching.metric("keywatch_chain_requests_total", "endpoint=\"one\"").await;
    watching.until("keywatch_chain_requests_total", "endpoint=\"one\"", asked + 20).await;
    watching.stop();
    let events = watcher.told();
    assert!(of_kind(&events, "chain.transfer").is_empty());
    let reasons: Vec<&str> = of_kind(&events, "source.status").iter().filter_map(|event| event.reason()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("no 2 nodes say the same")), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_blocks_that_broke_off_go_on_where_they_were_and_are_the_same_in_the_end() {
    let node = Anvil::start().await;
    for number in 1..=100 {
        node.pay(WALLET, OTHER, number).await;
    }
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let read = |arguments: &[&str]| {
        let command = [&["chain", "backfill", "node", "--from", "1"], arguments].concat();
        keywatch(watcher.path(), &command, b"")
    };
    let whole = out(&read(&["--to", "100"]));
    assert!(whole.lines().count() > 200, "a transaction and a transfer each, and the destination");

    // As it stands behind an interruption in block 65: a part of a line too many, and what is kept of 64 blocks.
    let upto = |height: u64| {
        let is_before =
            |line: &&str| serde_json::from_str::<Value>(line).unwrap()["detail"]["block"].as_u64() < Some(height);
        whole.lines().filter(is_before).flat_map(|line| [line, "\n"]).collect::<String>()
    };
    let before = upto(64);
    let file = watcher.path().join("events.jsonl");
    std::fs::write(&file, format!("{before}{{\"event_id\":")).unwrap();
    let progress = json!({
        "source": "node", "from": 1, "to": 100, "next": 64, "events": before.lines().count(), "bytes": before.len(), "used": {},
    });
    std::fs::write(watcher.path().join("events.jsonl.progress"), progress.to_string()).unwrap();
    let other = read(&["--to", "99", "--out", "events.jsonl"]);
    assert_eq!(other.status.code(), Some(2), "another range does not go on");
    let gone_on = read(&["--out", "events.jsonl"]);
    assert!(gone_on.status.success(), "{gone_on:?}");
    let lines = |text: &str| {
        let of_blocks = |line: &&str| !line.contains("chain.destination");
        text.lines().filter(of_blocks).map(str::to_owned).collect::<Vec<_>>()
    };
    // What was told of a destination is not remembered across an interruption, and is told again.
    assert_eq!(lines(&std::fs::read_to_string(&file).unwrap()), lines(&whole));
    assert!(!watcher.path().join("events.jsonl.progress").exists());
}
