//! Blocks of geth, as anvil imitates them: receipts of whole blocks, calls within transactions, state of both sides of a
//! block, final blocks, and announcements, with balances that add up to the last unit.

use std::collections::BTreeSet;
use std::time::Duration;

use alloy::primitives::U256;
use serde_json::json;

use super::watcher::{Watcher, of_kind, unexplained};
use crate::dashboards::left_out;
use crate::support::anvil::quantity;
use crate::support::geth::Geth;

/// Far less than the minute after which nodes are polled.
const AT_ONCE: Duration = Duration::from_secs(20);

/// Blocks that geth's `--dev` makes between two that it calls final.
const FINAL_EVERY: u64 = 32;

/// Makes a contract that keeps what it is sent, and sends all of it to whoever calls it with data:
///
/// ```text
/// 6015 600c 6000 39 6015 6000 f3      returns the 21 bytes behind these 12
/// 36 6005 57 00                       without data: stop
/// 5b 6000 6000 6000 6000 47 33 61ffff f1 00      CALL(gas, caller, selfbalance, 0, 0, 0, 0)
/// ```
const CODE: &str = "0x6015600c60003960156000f336600557005b6000600060006000473361fffff100";

/// Follows the node by its announcements, with calls; it is polled every minute.
fn watcher(node: &Geth, wallet: &str, account: &str) -> Watcher {
    let settings = "chain = \"local\"\nchain_id = 1337\nasset = \"ETH\"\ntraces = true";
    let watcher = Watcher::on("local", wallet, &[("geth", node.url())], settings);
    watcher.declare(&format!("[[systems.wallets]]\nwallet = \"{account}\"\nchain = \"local\"\n"));
    watcher.configure("poll_milliseconds = 50", "poll_milliseconds = 60000");
    let ws = node.url().replace("http://", "ws://");
    watcher.configure("name = \"geth\",", &format!("name = \"geth\", ws = \"{ws}\","));
    watcher
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_geth_are_read_as_they_are_announced_and_balances_add_up() {
    if !Geth::is_there() {
        return left_out("no geth here (`make geth`)");
    }
    let node = Geth::start().await;
    let account = node.account().await;
    let made = node.send(json!({"from": account, "data": CODE})).await;
    let wallet = made["contractAddress"].as_str().unwrap().to_lowercase();
    let watcher = watcher(&node, &wallet, &account);
    let watching = watcher.start();
    watching.until_height(quantity(&made["blockNumber"])).await;
    let paid = node.send(json!({"from": account, "to": wallet, "value": "0x3e8"})).await;
    // Both wallets are in its calls, and only one of them in the transaction.
    let called = node.send(json!({"from": account, "to": wallet, "data": "0x01"})).await;
    let newest = quantity(&called["blockNumber"]);
    let read = tokio::time::timeout(AT_ONCE, watching.until_height(newest)).await;
    assert!(read.is_ok(), "block {newest} is announced and not read");
    watching.stop();

    let receipts = node.rpc("eth_getBlockReceipts", json!([called["blockHash"]])).await;
    assert_eq!(receipts.as_array().unwrap().len(), 1);
    let events = watcher.told();
    let fees: U256 = [&made, &paid, &called]
        .iter()
        .map(|receipt| U256::from(quantity(&receipt["gasUsed"])) * U256::from(quantity(&receipt["effectiveGasPrice"])))
        .sum();
    let told: Vec<_> = of_kind(&events, "chain.tx")
        .iter()
        .map(|event| (event.tx().unwrap().to_owned(), event.detail().value()["fee"].as_str().unwrap().to_owned()))
        .collect();
    let hashes: Vec<&str> = told.iter().map(|(tx, _)| tx.as_str()).collect();
    assert_eq!(hashes, [&made, &paid, &called].map(|receipt| receipt["transactionHash"].as_str().unwrap()));
    let told_fees: U256 = told.iter().map(|(_, fee)| fee.parse::<U256>().unwrap()).sum();
    assert_eq!(told_fees, fees);

    let moved: BTreeSet<_> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| {
            let direction = event.detail().value()["direction"].as_str().unwrap().to_owned();
            let (tx, of) = (event.tx().unwrap().to_owned(), event.wallet().unwrap().to_owned());
            (tx, of, direction, event.amount().unwrap().saturated())
        })
        .filter(|(.., units)| *units > 0)
        .collect();
    let side = |receipt: &serde_json::Value, of: &str, direction: &str| {
        (receipt["transactionHash"].as_str().unwrap().to_owned(), of.to_owned(), direction.to_owned(), 1000)
    };
    let expected = [
        side(&paid, &account, "out"),
        side(&paid, &wallet, "in"),
        side(&called, &wallet, "out"),
        side(&called, &account, "in"),
    ];
    assert_eq!(moved, BTreeSet::from(expected));

    // All of it is explained, and all parts of blocks were read.
    assert!(unexplained(&events).is_empty() && of_kind(&events, "source.status").is_empty());
    assert_eq!(node.balance(&account, 0).await - node.balance(&account, newest).await, fees);
    assert_eq!(node.balance(&wallet, quantity(&paid["blockNumber"])).await, U256::from(1000));
    assert_eq!(node.balance(&wallet, newest).await, U256::ZERO);

    let last = node.rpc("eth_getBlockByNumber", json!(["finalized", false])).await;
    let last = quantity(&last["number"]);
    assert_eq!(last % FINAL_EVERY, 0);
    let told = of_kind(&events, "chain.finality");
    let too_new: Vec<_> = told.iter().filter(|event| event.detail().value()["block"].as_u64() > Some(last)).collect();
    assert!(too_new.is_empty(), "{too_new:?}");
}
