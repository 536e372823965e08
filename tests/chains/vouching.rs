//! Nodes that answer with what the hash of a block does not stand for.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::watcher::{Watcher, of_kind};
use crate::dashboards::left_out;
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::command::keywatch;
use crate::support::geth::Geth;

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];
const VERIFIED: &str = "verify_blocks = true";

/// Changes what a node answered to a method.
type Lie = fn(method: &str, result: &mut Value);

/// Opens a port of its own in front of a node, which passes everything on and changes answers; gives its address.
async fn liar(node: &str, lie: Lie) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let inner = Arc::new((node.to_owned(), Client::new(), lie));
    let router = Router::new().fallback(pass).with_state(inner);
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn pass(State(inner): State<Arc<(String, Client, Lie)>>, asked: Bytes) -> Response {
    let (node, client, lie) = &*inner;
    let request = client.post(node).header("content-type", "application/json").body(asked.clone());
    let answered = async { request.send().await?.json::<Value>().await }.await;
    let Ok(mut answer) = answered else { return StatusCode::BAD_GATEWAY.into_response() };
    let asked: Value = serde_json::from_slice(&asked).unwrap();
    if let Some(method) = asked["method"].as_str() {
        lie(method, &mut answer["result"]);
    }
    axum::Json(answer).into_response()
}

/// Hides each transaction that moves something.
fn hides(method: &str, result: &mut Value) {
    let hidden = match method {
        "eth_getBlockByNumber" => result.get_mut("transactions").and_then(Value::as_array_mut),
        "eth_getBlockReceipts" => result.as_array_mut(),
        _ => None,
    };
    hidden.into_iter().for_each(Vec::clear);
}

/// Says that whatever succeeded failed.
fn denies(method: &str, result: &mut Value) {
    if method == "eth_getBlockReceipts" {
        result.as_array_mut().into_iter().flatten().for_each(|receipt| receipt["status"] = json!("0x0"));
    }
}

/// Says that somebody else sent everything.
fn blames(method: &str, result: &mut Value) {
    if method == "eth_getBlockByNumber" {
        let sent = result.get_mut("transactions").and_then(Value::as_array_mut);
        let sent = sent.into_iter().flatten().filter(|sent| sent.is_object());
        sent.for_each(|sent| sent["from"] = json!(ACCOUNTS[2]));
    }
}

/// Names a hash of each block that is longer than any record may be.
fn overflows(method: &str, result: &mut Value) {
    if method == "eth_getBlockByNumber" && result.is_object() {
        result["hash"] = json!(format!("0x{}", "ab".repeat(1 << 20)));
    }
}

fn amounts(watcher: &Watcher) -> Vec<i128> {
    let events = watcher.told();
    of_kind(&events, "chain.transfer").iter().map(|event| event.amount().unwrap().saturated()).collect()
}

#[tokio::test]
async fn what_a_node_hides_or_changes_is_read_from_the_next_and_told() {
    for lie in [hides as Lie, denies, blames] {
        let node = Anvil::start().await;
        let liar = liar(&node.url(), lie).await;
        let watcher = Watcher::new(&[("liar", liar), ("honest", node.url())], VERIFIED);
        // Senders are recovered of new blocks.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        node.rpc("evm_setNextBlockTimestamp", json!([now])).await;
        node.pay(WALLET, OTHER, 3).await;
        let watching = watcher.start();
        watching.until_read(&node).await;
        watching.until("keywatch_chain_errors_total", "class=\"unvouched\"", 1).await;
        watching.stop();
        assert_eq!(amounts(&watcher), [3]);
        let events = watcher.told();
        assert!(of_kind(&events, "chain.tx").iter().all(|event| event.outcome() == Some("success")));
        let told = of_kind(&events, "chain.disagreement");
        assert_eq!(told.len(), 1, "{told:?}");
        let said = told[0].detail().value()["said"].clone();
        assert_eq!([&said[0]["endpoint"], &said[1]["endpoint"]], ["liar", "honest"], "{said}");
        let unwell = of_kind(&events, "source.status").iter().any(|event| event.outcome() == Some("degraded"));
        assert!(!unwell, "the block was read whole");
    }
}

/// Has no receipts yet.
fn lags(method: &str, result: &mut Value) {
    if method == "eth_getBlockReceipts" {
        result.as_array_mut().into_iter().for_each(Vec::clear);
    }
}

#[tokio::test]
async fn a_node_that_does_not_have_the_receipts_yet_is_passed_over_and_no_liar() {
    let node = Anvil::start().await;
    let late = liar(&node.url(), lags).await;
    let watcher = Watcher::new(&[("late", late), ("other", node.url())], VERIFIED);
    node.pay(WALLET, OTHER, 3).await;
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.until("keywatch_chain_errors_total", "class=\"malformed\"", 1).await;
    watching.stop();
    assert_eq!(amounts(&watcher), [3]);
    assert!(of_kind(&watcher.told(), "chain.disagreement").is_empty());
}

#[tokio::test]
async fn with_a_quorum_it_is_told_too_who_answers_with_something_else() {
    let node = Anvil::start().await;
    let liar = liar(&node.url(), denies).await;
    let settings = format!("{VERIFIED}\nquorum = 2");
    let nodes = [("liar", liar), ("honest", node.url()), ("other", node.url())];
    let watcher = Watcher::new(&nodes, &settings);
    node.pay(WALLET, OTHER, 3).await;
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    assert_eq!(amounts(&watcher), [3]);
    let events = watcher.told();
    let told = of_kind(&events, "chain.disagreement");
    assert_eq!(told.len(), 1, "{told:?}");
    let said = told[0].detail().value()["said"].clone();
    let named: Vec<&Value> = said.as_array().unwrap().iter().map(|said| &said["endpoint"]).collect();
    assert_eq!(named, ["honest", "other", "liar"], "{said}");
}

#[tokio::test]
async fn where_the_other_node_is_away_nothing_is_read_and_it_is_told_what_the_first_one_said() {
    let node = Anvil::start().await;
    let liar = liar(&node.url(), denies).await;
    let watcher = Watcher::new(&[("liar", liar), ("away", "http://127.0.0.1:9".to_owned())], VERIFIED);
    node.pay(WALLET, OTHER, 3).await;
    let watching = watcher.start();
    // What was wrong the first time is told before it is asked again.
    watching.until("keywatch_chain_errors_total", "class=\"unvouched\"", 2).await;
    watching.stop();
    let events = watcher.told();
    assert!(of_kind(&events, "chain.tx").is_empty());
    let down = of_kind(&events, "source.status").into_iter().find(|event| event.outcome() == Some("down")).unwrap();
    let reason = down.reason().unwrap();
    assert!(reason.contains("`away`") && reason.contains("node `liar`: block 1 "), "{reason}");
    assert!(reason.contains("its hash stands for other receipts"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_node_has_another_the_block_is_read_and_it_is_told_that_nothing_vouches_for_it() {
    let node = Anvil::start().await;
    let liar = liar(&node.url(), denies).await;
    let watcher = Watcher::new(&[("liar", liar)], VERIFIED);
    node.pay(WALLET, OTHER, 3).await;
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    assert!(of_kind(&events, "chain.tx").iter().all(|event| event.outcome() == Some("failed")));
    let told: Vec<&str> = of_kind(&events, "source.status").iter().filter_map(|event| event.reason()).collect();
    assert!(told.iter().any(|reason| reason.contains("its hash stands for other receipts")), "{told:?}");
    let checked = keywatch(watcher.path(), &["chain", "check"], b"");
    let said = String::from_utf8(checked.stdout).unwrap();
    assert!(said.contains("its hash stands for other receipts"), "{said}");
}

#[tokio::test]
async fn a_node_that_names_no_hash_stops_nobody() {
    let node = Anvil::start().await;
    let liar = liar(&node.url(), overflows).await;
    let settings = "head_seconds = 1";
    let watcher = Watcher::new(&[("honest", node.url()), ("liar", liar)], settings);
    let watching = watcher.start();
    // It is asked for its newest block at a rhythm.
    watching.until("keywatch_chain_errors_total", "class=\"malformed\"", 2).await;
    node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    watching.stop();
    assert_eq!(amounts(&watcher), [3]);
    let events = watcher.told();
    let named: Vec<String> = of_kind(&events, "chain.head")
        .iter()
        .map(|event| event.detail().value()["replica"].as_str().unwrap().to_owned())
        .collect();
    assert!(!named.is_empty() && named.iter().all(|name| name == "honest"), "{named:?}");
}

#[tokio::test]
async fn every_block_of_anvil_stands_up_to_its_hash() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], VERIFIED);
    // A contract that says something as it is made, and one that cannot be made.
    let says = "0x602a60005260076020600060206000a1600060006000a000";
    node.send(json!({"from": WALLET, "data": says})).await;
    node.send(json!({"from": WALLET, "data": "0xfe", "gas": "0x186a0"})).await;
    node.send(json!({"from": WALLET, "to": OTHER, "value": "0x5", "gasPrice": "0x77359400"})).await;
    node.mine(3).await;
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    assert_vouched(&watcher);
    assert_eq!(of_kind(&watcher.told(), "chain.tx").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_block_of_geth_stands_up_to_its_hash() {
    if !Geth::is_there() {
        return left_out("no geth here (`make geth`)");
    }
    let node = Geth::start().await;
    let account = node.account().await;
    let settings = format!("chain = \"local\"\nchain_id = 1337\nasset = \"ETH\"\n{VERIFIED}");
    let watcher = Watcher::on("local", &account, &[("geth", node.url())], &settings);
    let watching = watcher.start();
    node.send(json!({"from": account, "data": "0x602a60005260076020600060206000a1600060006000a000"})).await;
    let paid = node.send(json!({"from": account, "to": OTHER, "value": "0x3e8"})).await;
    watching.until_height(crate::support::anvil::quantity(&paid["blockNumber"])).await;
    watching.stop();
    assert_vouched(&watcher);
    assert_eq!(of_kind(&watcher.told(), "chain.tx").len(), 2);
}

fn assert_vouched(watcher: &Watcher) {
    let events = watcher.told();
    let told: Vec<&str> = of_kind(&events, "source.status").iter().filter_map(|event| event.reason()).collect();
    assert_eq!(told, Vec::<&str>::new());
}
