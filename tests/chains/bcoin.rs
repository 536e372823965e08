//! Blocks and waiting transactions of a second real node of Bitcoin, which shares no code with btcd: a payment and a sweep in
//! the shape of the theft from DMM Bitcoin are seen while they wait and in their blocks, the sweep is undone by a longer branch
//! that another node made, and told again in its new block, with amounts that add up to the last unit.

use keywatch_store::Event;
use serde_json::{Value, json};

use super::watcher::{Watcher, of_kind};
use crate::dashboards::left_out;
use crate::support::bcoin::Bcoin;
use crate::support::btcd::Wallet;
use crate::support::tools::version;

const WAITING: &str = "keywatch_chain_waiting";
/// Blocks behind which bcoin takes transactions with witnesses: it is asked for three windows of 144.
const WITNESSES: u64 = 440;

/// What the miner of a block gets besides fees, satoshi: half as much after each 150 blocks, as on every regtest.
fn reward(height: u64) -> i128 {
    5_000_000_000 >> (height / 150)
}

/// Satoshi of transfers that stand in blocks and were not taken back.
fn units(events: &[Event], direction: &str) -> i128 {
    let taken: Vec<Value> =
        of_kind(events, "chain.retracted").iter().map(|event| event.detail().value()["event"].clone()).collect();
    let stands = |event: &&&Event| {
        event.outcome() == Some("success")
            && event.detail().value()["direction"] == direction
            && !taken.contains(&Value::from(event.event_id().to_string()))
    };
    of_kind(events, "chain.transfer").iter().filter(stands).map(|event| event.amount().unwrap().saturated()).sum()
}

#[test]
fn its_folder_is_named_for_the_version_that_npm_installs() {
    let package: Value = serde_json::from_str(include_str!("bcoin/package.json")).unwrap();
    assert_eq!(package["dependencies"]["bcoin"], version("BCOIN_VERSION"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_waits_is_mined_undone_and_mined_again_is_told_at_each_step() {
    if !Bcoin::is_there() {
        return left_out("no bcoin here, or no Node.js that runs it (`make bcoin`, `.ci/install-package nodejs`)");
    }
    let (wallet, thief, miner) = (Wallet::of(0x11), Wallet::of(0x22), Wallet::of(0x33));
    let node = Bcoin::start(&wallet.address).await;
    let mut coins = Vec::new();
    for hash in &node.mine(WITNESSES).await[..10] {
        coins.push(node.coin(hash).await);
    }
    let settings = "chain = \"bitcoin-regtest\"\npool = true";
    let address = wallet.address.to_string();
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("bcoin", node.url())], settings);
    let watching = watcher.start();
    let outputs = [(&thief.address, 1_000_000_000), (&wallet.address, 3_999_990_000)];
    let paid = node.send(&wallet.spend(&coins[..1], &outputs)).await;
    watching.until(WAITING, "", 1).await;
    let forked = node.mine(1).await;
    watching.until_height(WITNESSES + 1).await;
    watching.until_none(WAITING).await;
    let sweep = wallet.spend(&coins[1..], &[(&thief.address, 44_995_000_000)]);
    let swept = node.send(&sweep).await;
    watching.until(WAITING, "", 1).await;
    node.mine(2).await;
    watching.until_height(WITNESSES + 3).await;

    // The other node has the blocks up to the payment, and makes more behind it than the first one has.
    let other = Bcoin::start(&miner.address).await;
    for height in 1..=WITNESSES + 1 {
        let hash = node.rpc("getblockhash", json!([height])).await;
        other.take(&node, hash.as_str().unwrap()).await;
    }
    assert_eq!(other.rpc("getbestblockhash", json!([])).await, json!(forked[0]));
    for hash in other.mine(4).await {
        node.take(&other, &hash).await;
    }
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    assert_eq!(node.send(&sweep).await, swept);
    node.mine(1).await;
    assert_eq!(node.height().await, WITNESSES + 6);
    watching.until_height(WITNESSES + 6).await;
    watching.stop();

    let events = watcher.told();
    let spends = of_kind(&events, "chain.tx");
    let waited = |tx: &str| spends.iter().any(|event| event.tx() == Some(tx) && event.outcome() == Some("unconfirmed"));
    assert!(waited(&paid) && waited(&swept));
    let mined: Vec<_> = spends.iter().filter(|event| event.outcome() == Some("success")).collect();
    let told = mined.iter().map(|event| {
        let detail = event.detail().value();
        let shape = ["inputs", "outputs", "change_outputs"].map(|name| detail[name].as_u64().unwrap());
        (event.tx().unwrap().to_owned(), shape, detail["epoch"].as_u64().unwrap())
    });
    let expected = [(paid, [1, 2, 1], 0), (swept.clone(), [9, 1, 0], 0), (swept, [9, 1, 0], 1)];
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let fees = mined.iter().map(|event| event.detail().value()["fee"].as_str().unwrap().to_owned());
    assert_eq!(fees.collect::<Vec<_>>(), ["10000", "5000000", "5000000"]);
    let retracted = of_kind(&events, "chain.retracted");
    assert!(retracted.iter().any(|event| event.detail().value()["event"] == mined[1].event_id().to_string()));

    // Its blocks but for those of the other node, and the fees in them.
    let rewards: i128 = (1..=WITNESSES + 1).chain([WITNESSES + 6]).map(reward).sum();
    assert_eq!(units(&events, "in"), rewards + 10_000 + 5_000_000);
    assert_eq!(units(&events, "out"), 1_000_000_000 + 44_995_000_000);
}
