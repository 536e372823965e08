//! Addresses that a wallet uses and nobody declared: fresh ones, old ones, and contracts with their age, where a node can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use alloy::primitives::keccak256;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keywatch_store::Event;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::watcher::{Watcher, of_kind};
use crate::support::anvil::{ACCOUNTS, Anvil, quantity};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];
const FRESH: &str = "0xf4e54f4e54f4e54f4e54f4e54f4e54f4e54f4e54";
const TOKEN: &str = "0x00000000000000000000000000000000000c0de4";
const FINDINGS: &str = "keywatch_rule_findings_total";

/// A token that lets everybody take everything that it is asked to, and keeps no record of it:
///
/// ```text
/// 602435 600052                               memory = units
/// 600435 33 7f 8c5b…b925 6020 6000 a3 00      log Approval(caller, spender, units)
/// ```
const TOKEN_CODE: &str = "0x602435600052600435337f8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b92560206\
                          000a300";

/// Makes a contract whose code is one byte, STOP: `MSTORE8(0, 0)`, `RETURN(0, 1)`.
const MAKES: &str = "0x600060005360016000f3";

/// A node with the token, and a contract that was made in its first block; the second one is empty.
async fn node() -> (Anvil, String) {
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([TOKEN, TOKEN_CODE])).await;
    let made = node.send(json!({"from": OTHER, "data": MAKES})).await;
    let receipt = node.rpc("eth_getTransactionReceipt", json!([made])).await;
    node.mine(1).await;
    (node, receipt["contractAddress"].as_str().unwrap().to_lowercase())
}

/// Follows it; the token is declared, and nobody else is.
fn watcher(url: String) -> Watcher {
    let watcher = Watcher::new(&[("anvil", url)], "");
    watcher.declare(&format!("[[systems.libraries]]\naddress = \"{TOKEN}\"\n"));
    watcher
}

async fn approve(node: &Anvil, spender: &str) -> String {
    let data = format!("0x095ea7b3{:0>64}{:064x}", &spender[2..], 1000);
    node.send(json!({"from": WALLET, "to": TOKEN, "data": data, "gas": "0x30d40"})).await
}

/// Address, use, outcome and freshness of each that was told.
fn told(events: &[Event]) -> Vec<(String, String, String, bool)> {
    let told = of_kind(events, "chain.destination").into_iter().map(|event| {
        assert_eq!(event.wallet(), Some(WALLET));
        let detail = event.detail().value();
        let (used, fresh) = (detail["used"].as_str().unwrap().to_owned(), detail["fresh"].as_bool().unwrap());
        (event.to_address().unwrap().to_owned(), used, event.outcome().unwrap().to_owned(), fresh)
    });
    told.collect()
}

fn one(to: &str, used: &str, outcome: &str, fresh: bool) -> (String, String, String, bool) {
    (to.to_owned(), used.to_owned(), outcome.to_owned(), fresh)
}

#[tokio::test]
async fn a_young_contract_and_a_fresh_account_are_told_apart_from_an_old_one() {
    let (node, spender) = node().await;
    let watcher = watcher(node.url());
    let watching = watcher.start();
    let approved = approve(&node, &spender).await;
    node.pay(WALLET, FRESH, 5).await;
    node.pay(WALLET, OTHER, 5).await;
    node.pay(WALLET, FRESH, 5).await;
    node.pay(OTHER, WALLET, 5).await;
    watching.until_read(&node).await;
    watching.until(FINDINGS, "chain/destination_young", 1).await;
    watching.stop();

    let events = watcher.told();
    let expected = [
        one(&spender, "approval", "contract", false),
        one(FRESH, "payment", "account", true),
        one(OTHER, "payment", "account", false),
    ];
    assert_eq!(told(&events), expected, "each once");
    let approval = of_kind(&events, "chain.destination")[0];
    assert_eq!(approval.tx(), Some(approved.as_str()));
    let detail = approval.detail().value();
    assert_eq!((&detail["created_block"], &detail["known_since"], &detail["block"]), (&json!(1), &json!(1), &json!(3)));
    assert_eq!(detail["code_hash"], json!(format!("{:#x}", keccak256([0_u8]))));
    let mut times = Vec::new();
    for height in [1, 3] {
        let block = node.rpc("eth_getBlockByNumber", json!([format!("{height:#x}"), false])).await;
        times.push(quantity(&block["timestamp"]));
    }
    assert_eq!(detail["age_seconds"], json!(times[1] - times[0]));
    assert!(of_kind(&events, "source.status").is_empty());
}

#[tokio::test]
async fn what_a_reorganisation_takes_back_is_told_again_when_it_comes_again() {
    let (node, _) = node().await;
    let watcher = watcher(node.url());
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 5).await;
    node.pay(WALLET, FRESH, 5).await;
    watching.until_read(&node).await;
    node.rpc("anvil_reorg", json!([1, []])).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    node.pay(WALLET, FRESH, 7).await;
    node.pay(WALLET, OTHER, 7).await;
    watching.until_read(&node).await;
    watching.stop();

    let events = watcher.told();
    let (kept, left) = (one(OTHER, "payment", "account", false), one(FRESH, "payment", "account", true));
    assert_eq!(told(&events), [kept, left.clone(), left]);
    let taken: Vec<Value> =
        of_kind(&events, "chain.retracted").iter().map(|event| event.detail().value()["event"].clone()).collect();
    let first = of_kind(&events, "chain.destination")[1].event_id().to_string();
    assert!(taken.contains(&json!(first)), "{taken:?}");
}

/// A port in front of a node, behind which it has no code of old blocks, and how often it was asked for that.
async fn pruned(node: &Anvil) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refused = Arc::new(AtomicUsize::new(0));
    let router = Router::new().fallback(pass).with_state((node.url(), Client::new(), Arc::clone(&refused)));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, refused)
}

async fn pass(State((node, client, refused)): State<(String, Client, Arc<AtomicUsize>)>, asked: Bytes) -> Response {
    let question: Value = serde_json::from_slice(&asked).unwrap();
    // Old blocks are named by their height.
    if question["method"] == "eth_getCode" && question["params"][1].is_string() {
        refused.fetch_add(1, Ordering::Relaxed);
        let error = json!({"code": -32000, "message": "missing trie node"});
        return axum::Json(json!({"jsonrpc": "2.0", "id": question["id"], "error": error})).into_response();
    }
    let request = client.post(node).header("content-type", "application/json").body(asked);
    let answered = async { request.send().await?.bytes().await }.await;
    let Ok(answer) = answered else { return StatusCode::BAD_GATEWAY.into_response() };
    ([("content-type", "application/json")], answer).into_response()
}

#[tokio::test]
async fn where_a_node_has_no_old_state_the_age_is_left_open_and_nothing_is_unwell() {
    let (node, spender) = node().await;
    let (url, refused) = pruned(&node).await;
    let watcher = watcher(url);
    let watching = watcher.start();
    approve(&node, &spender).await;
    node.pay(WALLET, FRESH, 5).await;
    watching.until_read(&node).await;
    watching.stop();
    assert_eq!(refused.load(Ordering::Relaxed), 1, "once refused it is not asked again");

    let events = watcher.told();
    let expected = [one(&spender, "approval", "contract", false), one(FRESH, "payment", "account", true)];
    assert_eq!(told(&events), expected);
    let detail = of_kind(&events, "chain.destination")[0].detail().value();
    assert_eq!((&detail["created_block"], &detail["age_seconds"]), (&Value::Null, &Value::Null));
    assert_eq!(detail["known_since"], json!(2), "the block before the approval");
    assert!(of_kind(&events, "source.status").is_empty());
}
