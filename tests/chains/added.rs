//! Wallets that are added to the inventory of a chain that is followed: watched without a restart, their old blocks read from
//! where the inventory says, once, and taken back like any other when a reorganisation leaves them.

use std::time::Duration;

use keywatch_store::Event;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::watcher::{Watcher, Watching, of_kind, standing, unexplained};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::btcd::{Btcd, Wallet};

const OTHER: &str = ACCOUNTS[1];
const ADDED: &str = ACCOUNTS[2];
const BLOCKS: &str = "keywatch_chain_blocks_total";

fn declare(watcher: &Watcher) {
    watcher.declare(&format!(
        "[[systems.wallets]]\nwallet = \"{ADDED}\"\nchain = \"local\"\ntechnology = \"mpc\"\nfirst_block = 3\n"
    ));
}

/// Transactions, wallets and amounts of what was told to have moved.
fn moved(events: &[Event]) -> Vec<(&str, Option<&str>, i128)> {
    let moved = of_kind(events, "chain.transfer").into_iter();
    moved.map(|event| (event.tx().unwrap(), event.wallet(), event.amount().unwrap().saturated())).collect()
}

/// Six blocks with a payment to the wallet each, read before it is declared, and then read for it from the third on.
async fn followed(node: &Anvil, watcher: &Watcher) -> (Watching, Vec<String>) {
    let mut paid = Vec::new();
    for number in 1..=6 {
        paid.push(node.pay(OTHER, ADDED, 100 + number).await);
    }
    let watching = watcher.start();
    watching.until_read(node).await;
    assert_eq!(watching.metric(BLOCKS, "").await, 6);
    declare(watcher);
    watching.until(BLOCKS, "", 6 + 4).await;
    (watching, paid)
}

#[tokio::test]
async fn a_wallet_that_is_added_is_watched_without_a_restart_and_read_from_its_first_block() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let (watching, mut paid) = followed(&node, &watcher).await;
    paid.push(node.pay(OTHER, ADDED, 500).await);
    watching.until_read(&node).await;
    assert_eq!(watching.metric(BLOCKS, "").await, 6 + 4 + 1, "nothing was read again");
    drop(watching);
    // Killed and started again: what was read is read.
    let watching = watcher.start();
    paid.push(node.pay(OTHER, ADDED, 600).await);
    watching.until_read(&node).await;
    assert_eq!(watching.metric(BLOCKS, "").await, 1);
    watching.stop();

    let events = watcher.told();
    let units = [103, 104, 105, 106, 500, 600];
    let expected: Vec<_> = paid[2..].iter().zip(units).map(|(tx, units)| (tx.as_str(), Some(ADDED), units)).collect();
    assert_eq!(moved(&events), expected);
    assert!(unexplained(&events).is_empty(), "each balance is explained");
    let records = of_kind(&events, "chain.backfill");
    assert_eq!(records.last().unwrap().detail().value()["pending"], json!([]));
    assert!(of_kind(&events, "source.status").is_empty() && of_kind(&events, "source.conflict").is_empty());
}

#[tokio::test]
async fn a_wallet_that_is_added_while_keywatch_is_down_is_read_from_its_first_block() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let mut paid = Vec::new();
    for round in 0..3 {
        for number in 1..=2 {
            paid.push(node.pay(OTHER, ADDED, 100 + 2 * round + number).await);
        }
        let watching = watcher.start();
        watching.until_read(&node).await;
        if round == 2 {
            // Blocks 5 and 6 with the wallet, and then 3 and 4 for it.
            watching.until(BLOCKS, "", 4).await;
        }
        watching.stop();
        if round == 1 {
            declare(&watcher);
        }
    }
    let events = watcher.told();
    let expected = [(4, 105), (5, 106), (2, 103), (3, 104)];
    assert_eq!(moved(&events), expected.map(|(at, units): (usize, i128)| (paid[at].as_str(), Some(ADDED), units)));
    assert_eq!(of_kind(&events, "chain.backfill").last().unwrap().detail().value()["pending"], json!([]));
}

/// What the API says fills the need for a wallet's node.
async fn nodes_by_coverage(watching: &Watching) -> Value {
    let coverage = watching.ask("vera", "/v1/coverage").await;
    let needs = coverage["needs"].as_array().unwrap();
    needs.iter().find(|need| need["need"] == "node").unwrap()["sources"]["cold"].clone()
}

#[tokio::test]
async fn coverage_is_of_what_is_declared_by_now() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let token = hex::encode(Sha256::digest("vera"));
    watcher.configure_further(&format!(
        "[[operators]]\nname = \"vera\"\ntoken_sha256 = \"{token}\"\nroles = [\"viewer\"]\nsystems = [\"cold\"]\n"
    ));
    let watching = watcher.start();
    assert_eq!(nodes_by_coverage(&watching).await, json!([]));
    watcher.declare(&format!("[[systems.wallets]]\nwallet = \"{ADDED}\"\nchain = \"local\"\nnode = \"node\"\n"));
    let known = async {
        while nodes_by_coverage(&watching).await != json!(["node"]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), known).await.is_ok(), "the new wallet's node is not known");
    watching.stop();
}

#[tokio::test]
async fn old_blocks_that_a_reorganisation_leaves_are_taken_back_too() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let (watching, paid) = followed(&node, &watcher).await;
    node.rpc("anvil_reorg", json!([2, []])).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    node.mine(1).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let stand = standing(&events, "chain.transfer");
    assert_eq!(stand.len(), 2, "{stand:?}");
    assert!(paid[2..4].iter().all(|tx| stand.get(tx) == Some(&1)), "{stand:?}");
    // What a wallet holds may have been told of a block that was left, too.
    let taken = of_kind(&events, "chain.retracted").into_iter().filter(|event| event.tx().is_some());
    assert_eq!(taken.count(), 2);
}

#[tokio::test]
async fn a_wallet_of_bitcoin_is_added_in_the_same_way() {
    let (miner, other) = (Wallet::of(0x11), Wallet::of(0x22));
    let node = Btcd::start(&miner.address).await;
    node.mine(5).await;
    let address = other.address.to_string();
    let settings = "chain = \"bitcoin-regtest\"";
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    let watching = watcher.start();
    watching.until_height(5).await;
    watcher.declare(&format!(
        "[[systems.wallets]]\nwallet = \"{}\"\nchain = \"bitcoin-regtest\"\nfirst_block = 3\n",
        miner.address
    ));
    watching.until(BLOCKS, "", 5 + 3).await;
    node.mine(1).await;
    watching.until_height(6).await;
    watching.stop();
    let events = watcher.told();
    let heights: Vec<_> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| (event.wallet().unwrap().to_owned(), event.detail().value()["block"].as_u64().unwrap()))
        .collect();
    assert_eq!(heights, [3, 4, 5, 6].map(|height| (miner.address.to_string(), height)));
}
