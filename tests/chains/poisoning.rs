//! Somebody has look-alikes of an address written into a wallet's history, by a token that allows transfers of nothing, by a
//! transaction of nothing, and by a token of their own; then the wallet pays one.

use std::collections::BTreeMap;

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Log, Position, Topic};
use serde_json::json;

use super::watcher::{Watcher, of_kind};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::btcd::{Btcd, Wallet};

const WALLET: &str = ACCOUNTS[0];
const STRANGER: &str = ACCOUNTS[1];
/// Whom the wallet pays, and who looks like it.
const RIGHT: &str = "0xd9a1b0b1e1ae382dbdc898ea68012ffcb2853a91";
const WRONG: &str = "0xd9a1c3788d81257612e2581a6ea0ada244853a91";
const TOKEN: &str = "0x00000000000000000000000000000000000c0de4";
const COUNTERFEIT: &str = "0x00000000000000000000000000000000000c0de5";

/// A token without balances, which says of each call `(from, to, units)` that so much moved. Of a transfer of nothing an
/// honest one says the same.
///
/// ```text
/// 604435 600052                           memory = units
/// 602435 600435                           to, from
/// 7f ddf2…b3ef 6020 6000 a3 00            log Transfer(from, to, units)
/// ```
const CODE: &str =
    "0x6044356000526024356004357fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a300";

async fn says(node: &Anvil, token: &str, to: &str, units: u64) {
    let word = |address: &str| format!("{:0>64}", &address[2..]);
    let data = format!("0x23b872dd{}{}{units:064x}", word(WALLET), word(to));
    node.send(json!({"from": STRANGER, "to": token, "data": data})).await;
}

/// The rules that found something of the wallet, and how often.
fn found(watcher: &Watcher) -> BTreeMap<String, usize> {
    let log = EmbeddedLog::open(watcher.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let conclusions = log.read(Topic::Conclusions, Position(0), 1_000_000).unwrap();
    let mut found = BTreeMap::new();
    for event in conclusions.iter().filter(|event| event.kind() == "finding.created") {
        let rule = event.detail().value()["rule"].as_str().unwrap().to_owned();
        *found.entry(rule).or_insert(0) += 1;
    }
    found
}

#[tokio::test]
async fn a_wallet_that_is_poisoned_and_pays_the_look_alike_is_told_of_both() {
    const FINDINGS: &str = "keywatch_rule_findings_total";
    let node = Anvil::start().await;
    for token in [TOKEN, COUNTERFEIT] {
        node.rpc("anvil_setCode", json!([token, CODE])).await;
    }
    node.rpc("anvil_setBalance", json!([WRONG, "0xde0b6b3a7640000"])).await;
    node.rpc("anvil_impersonateAccount", json!([WRONG])).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.declare(&format!("[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\n"));
    let watching = watcher.start();
    node.pay(WALLET, RIGHT, 50).await;
    says(&node, TOKEN, WRONG, 0).await;
    says(&node, COUNTERFEIT, WRONG, 50).await;
    node.pay(WRONG, WALLET, 0).await;
    watching.until_read(&node).await;
    watching.until(FINDINGS, "chain/address_poisoned", 1).await;
    assert_eq!(watching.metric(FINDINGS, "chain/destination_lookalike").await, 0, "nothing was paid");
    node.pay(WALLET, WRONG, 1_155).await;
    // The transaction, and the transfer in it.
    watching.until(FINDINGS, "chain/destination_lookalike", 2).await;
    watching.stop();

    let events = watcher.told();
    let transfers: Vec<_> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            (event.amount().unwrap().saturated(), detail["direction"].clone(), detail["unsigned"].clone())
        })
        .collect();
    let told = |units: i128, direction: &str, unsigned: serde_json::Value| (units, json!(direction), unsigned);
    assert_eq!(
        transfers,
        [
            told(50, "out", json!(null)),
            told(0, "out", json!(true)),
            told(50, "out", json!(null)),
            told(0, "in", json!(null)),
            told(1_155, "out", json!(null)),
        ]
    );
    let found = found(&watcher);
    // The first of a day is told.
    assert!((1..=2).contains(&found["chain/address_poisoned"]), "{found:?}");
    assert_eq!(found["chain/destination_lookalike"], 2, "{found:?}");
    for quiet in ["chain/asset_drained", "chain/outflow_without_signature", "chain/asset_burst"] {
        assert!(!found.contains_key(quiet), "{found:?}");
    }
}

#[tokio::test]
async fn dust_of_bitcoin_has_its_sender() {
    let (wallet, stranger) = (Wallet::of(0x11), Wallet::of(0x33));
    let node = Btcd::start(&stranger.address).await;
    let coin = node.coin(&node.mine(110).await[0]).await;
    let address = wallet.address.to_string();
    let settings = "chain = \"bitcoin-regtest\"";
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    let watching = watcher.start();
    node.send(&stranger.spend(&[coin], &[(&wallet.address, 1_000), (&stranger.address, 4_999_990_000)])).await;
    node.mine(1).await;
    watching.until_height(node.height().await).await;
    watching.stop();
    let events = watcher.told();
    let came = of_kind(&events, "chain.transfer");
    let sender = stranger.address.to_string();
    assert_eq!(came.len(), 1);
    assert_eq!((came[0].from_address(), came[0].amount().unwrap().saturated()), (Some(sender.as_str()), 1_000));
}
