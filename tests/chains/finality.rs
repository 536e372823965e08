//! Final blocks of a real node: told as such once, and told again as left when a reorganisation reaches below them.

use serde_json::json;

use super::watcher::{Watcher, of_kind};
use crate::support::anvil::Anvil;

#[tokio::test]
async fn what_leaves_final_blocks_is_told_and_what_comes_instead_becomes_final_in_turn() {
    let node = Anvil::start().await;
    node.mine(6).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "finality = 2");
    let watching = watcher.start();
    watching.until_read(&node).await;
    node.rpc("anvil_reorg", json!([4, []])).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    node.mine(1).await;
    watching.until_read(&node).await;
    watching.stop();

    let events = watcher.told();
    let said: Vec<_> = of_kind(&events, "chain.finality")
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            let number = |name: &str| detail[name].as_u64();
            (event.outcome().unwrap(), number("block").unwrap(), number("fork_block"), number("epoch").unwrap())
        })
        .collect();
    let before = said.iter().rfind(|(outcome, _, _, epoch)| (*outcome, *epoch) == ("final", 0));
    assert_eq!(before, Some(&("final", 4, None, 0)), "{said:?}");
    let left: Vec<_> = said.iter().filter(|(outcome, ..)| *outcome == "reverted").collect();
    assert_eq!(left, [&("reverted", 4, Some(2), 0)], "{said:?}");
    assert_eq!(said.last(), Some(&("final", 5, None, 1)), "{said:?}");
}

#[tokio::test]
async fn a_reorganisation_right_behind_a_first_start_reverts_nothing_final() {
    let node = Anvil::start().await;
    node.mine(6).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "finality = 2");
    // It begins behind the newest block.
    watcher.configure("start = 1\n", "");
    let watching = watcher.start();
    watching.until_read(&node).await;
    node.rpc("anvil_reorg", json!([1, []])).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    node.mine(3).await;
    watching.until_read(&node).await;
    watching.stop();

    let events = watcher.told();
    let reorganised = of_kind(&events, "chain.reorg");
    assert_eq!((reorganised.len(), &reorganised[0].detail().value()["fork_block"]), (1, &json!(5)));
    let said: Vec<_> = of_kind(&events, "chain.finality")
        .iter()
        .map(|event| (event.outcome().unwrap().to_owned(), event.detail().value()["block"].as_u64().unwrap()))
        .collect();
    assert_eq!(said, [("final".to_owned(), 7)]);
    assert!(of_kind(&events, "source.status").is_empty());
}
