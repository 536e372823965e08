//! Transactions that wait in the pool of a real node: seen before their block, replaced by another, told once across a
//! restart, and waiting no more once they stand in a block.

use bitcoin::{OutPoint, TxOut};
use keywatch_store::Event;
use serde_json::json;

use super::watcher::{Watcher, Watching, of_kind};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::btcd::{Btcd, Wallet};

const WAITING: &str = "keywatch_chain_waiting";

async fn send(node: &Anvil, to: &str, units: u64, nonce: u64, price: u64) -> String {
    let sent = json!([{
        "from": ACCOUNTS[0], "to": to, "value": format!("{units:#x}"), "nonce": format!("{nonce:#x}"),
        "gas": "0x5208", "gasPrice": format!("{price:#x}"),
    }]);
    node.rpc("eth_sendTransaction", sent).await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_payment_is_seen_before_its_block_and_its_replacement_too() {
    const GWEI: u64 = 1_000_000_000;
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "pool = true");
    node.rpc("evm_setAutomine", json!([false])).await;
    let watching = watcher.start();
    let first = send(&node, ACCOUNTS[1], 1000, 0, 3 * GWEI).await;
    watching.until(WAITING, "", 1).await;
    drop(watching);

    // Killed and started again: what was told is known.
    let watching = watcher.start();
    watching.until(WAITING, "", 1).await;
    node.mine(1).await;
    watching.until_none(WAITING).await;
    let second = send(&node, ACCOUNTS[1], 5, 1, 3 * GWEI).await;
    watching.until(WAITING, "", 1).await;
    let other = send(&node, ACCOUNTS[2], 999_000, 1, 9 * GWEI).await;
    // Until the pool was looked at since: each turn has a request of its own, beside those for blocks.
    let asked = watching.metric("keywatch_chain_requests_total", "").await;
    watching.until("keywatch_chain_requests_total", "", asked + 30).await;
    node.mine(1).await;
    watching.until_read(&node).await;
    watching.until_none(WAITING).await;
    watching.stop();

    let events = watcher.told();
    let told: Vec<_> = of_kind(&events, "chain.tx")
        .iter()
        .map(|event| (event.tx().unwrap().to_owned(), event.outcome().unwrap().to_owned()))
        .collect();
    let (waits, stands) = ("unconfirmed", "success");
    let expected = [(&first, waits), (&first, stands), (&second, waits), (&other, waits), (&other, stands)];
    let expected: Vec<_> = expected.into_iter().map(|(tx, outcome)| (tx.clone(), outcome.to_owned())).collect();
    assert_eq!(told, expected);
    let waited = of_kind(&events, "chain.tx")[3];
    assert_eq!((waited.to_address(), waited.amount().unwrap().saturated()), (Some(ACCOUNTS[2]), 999_000));
    let dropped = of_kind(&events, "chain.dropped");
    assert_eq!(dropped.len(), 1);
    assert_eq!((dropped[0].tx(), dropped[0].outcome()), (Some(second.as_str()), Some("replaced")));
    assert_eq!(dropped[0].detail().value()["by"], json!(other));
}

#[tokio::test]
async fn a_call_that_a_watched_safe_would_refuse_is_not_told() {
    const SAFE: &str = "0x5afe5afe5afe5afe5afe5afe5afe5afe5afe5afe";
    // execTransaction(to, value, data, operation, safeTxGas, baseGas, gasPrice, gasToken, refundReceiver, signatures)
    let word = |number: u64| format!("{number:064x}");
    let call = format!(
        "0x6a761202{:0>64}{}{}{}{}{}{}{}{}{}{}{}",
        ACCOUNTS[2].trim_start_matches("0x"),
        word(7),
        word(320),
        word(0),
        word(0),
        word(0),
        word(0),
        word(0),
        word(0),
        word(352),
        word(0),
        word(0)
    );
    // The code of one refuses everything, the other's answers 1.
    for (code, told) in [("0x60006000fd", 0), ("0x600160005260206000f3", 1)] {
        let node = Anvil::start().await;
        node.rpc("anvil_setCode", json!([SAFE, code])).await;
        let watcher = Watcher::of_wallet(SAFE, &[("anvil", node.url())], "pool = true");
        node.rpc("evm_setAutomine", json!([false])).await;
        let watching = watcher.start();
        watching.until("keywatch_chain_requests_total", "", 20).await;
        let sent = json!([{"from": ACCOUNTS[1], "to": SAFE, "data": call, "gas": "0x30d40"}]);
        node.rpc("eth_sendTransaction", sent).await;
        if told == 1 {
            watching.until(WAITING, "", 1).await;
        }
        node.mine(1).await;
        watching.until_read(&node).await;
        watching.stop();
        let events = watcher.told();
        let waited: Vec<_> =
            of_kind(&events, "chain.tx").into_iter().filter(|event| event.outcome() == Some("unconfirmed")).collect();
        assert_eq!(waited.len(), told, "{code}");
        for event in waited {
            assert_eq!((event.wallet(), event.to_address()), (Some(SAFE), Some(ACCOUNTS[2])));
            assert_eq!((event.actor(), event.amount().unwrap().saturated()), (Some(ACCOUNTS[1]), 7));
        }
    }
}

/// A node of Bitcoin, keywatch that has read its first 110 blocks, and the coin that the first of them made for the wallet.
async fn with_a_coin(wallet: &Wallet) -> (Btcd, Watcher, Watching, (OutPoint, TxOut)) {
    let node = Btcd::start(&wallet.address).await;
    let coin = node.coin(&node.mine(110).await[0]).await;
    let address = wallet.address.to_string();
    let settings = "chain = \"bitcoin-regtest\"\npool = true";
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    let watching = watcher.start();
    watching.until_height(110).await;
    (node, watcher, watching, coin)
}

/// What was told up to the next block, behind which nothing waits.
async fn told_once_mined(node: &Btcd, watcher: &Watcher, watching: Watching) -> Vec<Event> {
    node.mine(1).await;
    watching.until_height(111).await;
    watching.until_none(WAITING).await;
    watching.stop();
    watcher.told()
}

/// The transactions that were told, each with how it stands.
fn spends(events: &[Event]) -> Vec<(&str, &str)> {
    of_kind(events, "chain.tx").into_iter().map(|event| (event.tx().unwrap(), event.outcome().unwrap())).collect()
}

#[tokio::test]
async fn a_sweep_of_bitcoin_is_seen_before_its_block() {
    let (wallet, thief) = (Wallet::of(0x11), Wallet::of(0x22));
    let (node, watcher, watching, coin) = with_a_coin(&wallet).await;
    let swept = node.send(&wallet.spend(&[coin], &[(&thief.address, 4_999_000_000)])).await;
    watching.until(WAITING, "", 1).await;
    let events = told_once_mined(&node, &watcher, watching).await;
    assert_eq!(spends(&events), [(swept.as_str(), "unconfirmed"), (swept.as_str(), "success")]);
    let waited = of_kind(&events, "chain.tx")[0];
    assert_eq!(waited.detail().value()["fee"], json!("1000000"));
    assert!(of_kind(&events, "chain.dropped").is_empty());
}

#[tokio::test]
async fn a_spend_of_bitcoin_that_pays_more_takes_the_place_of_another() {
    let (wallet, thief) = (Wallet::of(0x11), Wallet::of(0x22));
    let (node, watcher, watching, coin) = with_a_coin(&wallet).await;
    let first = node.send(&wallet.spend(std::slice::from_ref(&coin), &[(&thief.address, 4_999_000_000)])).await;
    watching.until(WAITING, "", 1).await;
    let second = node.send(&wallet.spend(&[coin], &[(&thief.address, 4_990_000_000)])).await;
    watching.until("keywatch_events_total", "kind=\"chain.dropped\"", 1).await;
    let events = told_once_mined(&node, &watcher, watching).await;
    let (first, second) = (first.as_str(), second.as_str());
    assert_eq!(spends(&events), [(first, "unconfirmed"), (second, "unconfirmed"), (second, "success")]);
    let dropped: Vec<_> = of_kind(&events, "chain.dropped")
        .iter()
        .map(|event| (event.tx().unwrap(), event.outcome().unwrap(), event.detail().value()["by"].clone()))
        .collect();
    assert_eq!(dropped, [(first, "replaced", json!(second))]);
}
