//! Blocks of a real node: nothing is skipped and nothing told twice across kills and restarts, amounts and fees add up to
//! the last unit, and what a reorganisation undoes is taken back.

use serde_json::{Value, json};

use super::watcher::{Watcher, blocks, of_kind, standing, unexplained};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::command::{keywatch, out};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];
const THIRD: &str = ACCOUNTS[2];

/// What anvil gives each account.
const GIVEN: i128 = 10_000_000_000_000_000_000_000;

/// The balance of the wallet, from its events alone.
fn explained(events: &[keywatch_store::Event]) -> i128 {
    let taken: Vec<String> = of_kind(events, "chain.retracted")
        .iter()
        .map(|event| event.detail().value()["event"].as_str().unwrap().to_owned())
        .collect();
    let mut balance = GIVEN;
    for event in events.iter().filter(|event| !taken.contains(&event.event_id().to_string())) {
        let amount = event.amount().map_or(0, keywatch_store::Amount::saturated);
        match (event.kind(), event.detail().value()["direction"].as_str()) {
            ("chain.transfer", Some("in")) => balance += amount,
            ("chain.transfer", Some("out")) => balance -= amount,
            ("chain.tx", _) => {
                let fee = event.detail().value()["fee"].as_str().unwrap().parse::<i128>().unwrap();
                balance -= fee;
            }
            _ => {}
        }
    }
    balance
}

#[tokio::test]
async fn p2_every_block_is_read_once_across_kills_and_restarts() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let mut sent = Vec::new();
    for round in 0..3 {
        let watching = watcher.start();
        for number in 0..40_u64 {
            sent.push(node.pay(WALLET, OTHER, 1000 + number).await);
            node.pay(OTHER, WALLET, 7).await;
            node.pay(OTHER, THIRD, 9).await;
        }
        match round {
            // Killed while it reads, then while it has nothing to do, then stopped in order.
            0 => watching.until("keywatch_chain_blocks_total", "", 10).await,
            _ => watching.until_read(&node).await,
        }
        if round == 2 {
            watching.stop();
        }
    }
    let events = watcher.told();
    let transactions = standing(&events, "chain.tx");
    assert_eq!(transactions.len(), sent.len());
    assert!(sent.iter().all(|hash| transactions.get(hash) == Some(&1)), "each is told once");
    let heights: Vec<u64> = blocks(&events).iter().map(|(height, _)| *height).collect();
    assert_eq!(heights, (0..=node.height().await).collect::<Vec<_>>());
    assert_eq!(explained(&events), i128::try_from(node.balance(WALLET).await).unwrap());
}

#[tokio::test]
async fn what_a_reorganisation_undoes_is_taken_back_and_what_comes_again_is_told_again() {
    for depth in [1_u64, 3, 10] {
        let node = Anvil::start().await;
        let watcher = Watcher::new(&[("anvil", node.url())], "");
        let watching = watcher.start();
        node.mine(2).await;
        let kept = node.pay(WALLET, OTHER, 1).await;
        let mut undone = Vec::new();
        for number in 0..depth {
            undone.push(node.pay(WALLET, OTHER, 100 + number).await);
        }
        watching.until_read(&node).await;
        let paid = json!({"from": WALLET, "to": THIRD, "value": "0x5", "nonce": "0x1", "gas": "0x5208"});
        node.rpc("anvil_reorg", json!([depth, [[paid, 0]]])).await;
        watching.until("keywatch_chain_reorgs_total", "", 1).await;
        node.mine(1).await;
        watching.until_read(&node).await;
        watching.stop();

        let events = watcher.told();
        let reorgs = of_kind(&events, "chain.reorg");
        assert_eq!(reorgs.len(), 1, "depth {depth}");
        assert_eq!(reorgs[0].detail().value()["depth"], json!(depth));
        // What the wallet holds may have been told of one of these blocks, too.
        let taken: Vec<&str> = of_kind(&events, "chain.retracted").iter().filter_map(|event| event.tx()).collect();
        let expected: Vec<&str> = undone.iter().flat_map(|hash| [hash.as_str(); 2]).collect();
        assert_eq!(taken, expected, "transaction and transfer of each");
        let stand = standing(&events, "chain.transfer");
        assert_eq!(stand.get(&kept), Some(&1));
        assert_eq!(stand.len(), 2, "what was kept, and what took the place of the rest: {stand:?}");
        assert_eq!(explained(&events), i128::try_from(node.balance(WALLET).await).unwrap());
    }
}

#[tokio::test]
async fn a_reorganisation_while_keywatch_is_down_is_seen_at_its_start() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let watching = watcher.start();
    node.mine(1).await;
    let before = node.rpc("evm_snapshot", json!([])).await;
    let undone = node.pay(WALLET, OTHER, 100).await;
    watching.until_read(&node).await;
    drop(watching);
    node.rpc("evm_revert", json!([before])).await;
    let instead = node.pay(WALLET, THIRD, 200).await;
    node.mine(2).await;
    let watching = watcher.start();
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let stand = standing(&events, "chain.tx");
    assert_eq!((stand.get(&undone), stand.get(&instead)), (None, Some(&1)));
}

#[tokio::test]
async fn value_that_a_contract_moves_is_seen_in_its_calls() {
    let node = Anvil::start().await;
    // Sends everything that it holds to whoever calls it: CALL(gas, caller, selfbalance, 0, 0, 0, 0).
    let contract = "0x00000000000000000000000000000000000c0de0";
    node.rpc("anvil_setCode", json!([contract, "0x6000600060006000473361fffff100"])).await;
    node.rpc("anvil_setBalance", json!([contract, "0x3039"])).await;
    let watcher = Watcher::of_wallet(contract, &[("anvil", node.url())], "traces = true");
    let blind = Watcher::of_wallet(contract, &[("anvil", node.url())], "");
    let both = [watcher.start(), blind.start()];
    node.pay(OTHER, contract, 5).await;
    for watching in both {
        watching.until_read(&node).await;
        watching.stop();
    }
    let rest = blind.told();
    let rest = unexplained(&rest);
    assert_eq!((rest.len(), rest[0].amount().unwrap().saturated()), (1, 12_345 + 5), "what no transfer explains");
    let events = watcher.told();
    assert!(unexplained(&events).is_empty());
    let moved: Vec<(Value, i128)> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| (event.detail().value()["direction"].clone(), event.amount().unwrap().saturated()))
        .collect();
    assert_eq!(moved, [(json!("in"), 5), (json!("out"), 12_345 + 5)]);
}

#[tokio::test]
async fn what_is_written_without_a_log_is_seen_in_storage() {
    let node = Anvil::start().await;
    // Writes what it is called with into its slot 0, and says nothing: SSTORE(0, CALLDATALOAD(0)).
    let wallet = "0x00000000000000000000000000000000000c0de1";
    node.rpc("anvil_setCode", json!([wallet, "0x60003560005500"])).await;
    let watcher = Watcher::of_wallet(wallet, &[("anvil", node.url())], "");
    let watching = watcher.start();
    let word = |address: &str| format!("0x{:0>64}", &address[2..]);
    for implementation in [OTHER, OTHER, THIRD] {
        node.send(json!({"from": OTHER, "to": wallet, "data": word(implementation)})).await;
    }
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let changes: Vec<Value> = of_kind(&events, "chain.contract").iter().map(|event| event.detail().value()).collect();
    let told: Vec<[&Value; 3]> =
        changes.iter().map(|detail| [&detail["change"], &detail["before"], &detail["after"]]).collect();
    let nothing = json!("0x0000000000000000000000000000000000000000");
    let name = json!("implementation");
    assert_eq!(told, [[&name, &nothing, &json!(OTHER)], [&name, &json!(OTHER), &json!(THIRD)]]);
}

#[tokio::test]
async fn old_blocks_are_read_on_demand_and_nodes_are_checked() {
    let node = Anvil::start().await;
    let sent = node.pay(WALLET, OTHER, 3).await;
    node.mine(5).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let read = keywatch(watcher.path(), &["chain", "backfill", "node", "--from", "1", "--to", "4"], b"");
    let lines: Vec<Value> = out(&read).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["chain.tx", "chain.transfer", "chain.destination"]);
    assert!(lines.iter().all(|line| line["tx"] == json!(sent)));
    let checked = keywatch(watcher.path(), &["chain", "check"], b"");
    assert!(checked.status.success() && out(&checked).contains("fine"), "{}", out(&checked));
}
