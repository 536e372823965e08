//! Bitcoin's blocks of a real node: what is received, spent and paid as a fee adds up to the last unit, the shape of the theft
//! from DMM Bitcoin is told, and a spend that a reorganisation undoes is taken back and told again in its new block. What a
//! wallet holds is told at each of these steps.

use bitcoin::{OutPoint, TxOut};
use keywatch_store::Event;
use serde_json::{Value, json};

use super::watcher::{Watcher, of_kind, standing};
use crate::support::btcd::{Btcd, Wallet};

/// A coin of fifty bitcoin, as regtest gives its miner for each of its first 150 blocks.
const REWARD: i128 = 5_000_000_000;

fn watcher(wallet: &Wallet, node: &Btcd) -> Watcher {
    let address = wallet.address.to_string();
    Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], "chain = \"bitcoin-regtest\"")
}

fn units(events: &[&Event], direction: &str) -> i128 {
    let moves = events.iter().filter(|event| event.detail().value()["direction"] == direction);
    moves.map(|event| event.amount().unwrap().saturated()).sum()
}

#[tokio::test]
async fn a_sweep_in_the_shape_of_a_real_theft_is_told_to_the_last_unit() {
    let (wallet, thief) = (Wallet::of(0x11), Wallet::of(0x22));
    let node = Btcd::start(&wallet.address).await;
    let mut coins: Vec<(OutPoint, TxOut)> = Vec::new();
    for hash in node.mine(120).await.iter().take(11) {
        coins.push(node.coin(hash).await);
    }
    let watcher = watcher(&wallet, &node);
    let watching = watcher.start();
    // An ordinary payment with change, then nine coins to one destination, without change and with a fee as in the theft.
    let payment = wallet.spend(&coins[..1], &[(&thief.address, 1_000_000_000), (&wallet.address, 3_999_990_000)]);
    let paid = node.send(&payment).await;
    node.mine(1).await;
    let sweep = wallet.spend(&coins[1..10], &[(&thief.address, 44_990_000_000)]);
    let swept = node.send(&sweep).await;
    node.mine(1).await;
    watching.until_height(node.height().await).await;
    watching.stop();

    let events = watcher.told();
    let spends = of_kind(&events, "chain.tx");
    let shape = |event: &Event| {
        let detail = event.detail().value();
        ["inputs", "outputs", "change_outputs"].map(|name| detail[name].as_u64().unwrap())
    };
    assert_eq!(
        spends.iter().map(|event| (event.tx().unwrap(), shape(event))).collect::<Vec<_>>(),
        [(paid.as_str(), [1, 2, 1]), (swept.as_str(), [9, 1, 0]),]
    );
    let detail = spends[1].detail().value();
    assert_eq!(detail["fee"], json!("10000000"));
    assert_eq!(detail["fee_rate"], json!(10_000_000 / sweep.vsize() as u64));
    let transfers = of_kind(&events, "chain.transfer");
    let fees: i128 =
        spends.iter().map(|event| event.detail().value()["fee"].as_str().unwrap().parse::<i128>().unwrap()).sum();
    // The miner gets the fees too.
    assert_eq!(units(&transfers, "in"), 122 * REWARD + fees);
    assert_eq!(units(&transfers, "out"), 1_000_000_000 + 44_990_000_000);
    let destination = thief.address.to_string();
    assert!(
        transfers
            .iter()
            .filter(|event| event.tx() == Some(swept.as_str()))
            .all(|event| event.to_address() == Some(destination.as_str()))
    );
}

#[tokio::test]
async fn a_spend_that_is_undone_is_taken_back_and_told_again_in_its_new_block() {
    let (wallet, thief) = (Wallet::of(0x11), Wallet::of(0x22));
    let node = Btcd::start(&wallet.address).await;
    let coin = node.coin(&node.mine(110).await[0]).await;
    let watcher = watcher(&wallet, &node);
    let watching = watcher.start();
    let spent = node.send(&wallet.spend(&[coin], &[(&thief.address, 4_999_000_000)])).await;
    let undone = node.mine(3).await;
    watching.until_height(node.height().await).await;
    node.rpc("invalidateblock", json!([undone[0]])).await;
    node.mine(5).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    watching.until_height(node.height().await).await;
    watching.stop();

    let events = watcher.told();
    let told: Vec<Value> =
        of_kind(&events, "chain.tx").iter().map(|event| event.detail().value()["epoch"].clone()).collect();
    assert_eq!(told, [json!(0), json!(1)], "the theft is included again, and is a new event");
    assert_eq!(standing(&events, "chain.tx").get(&spent), Some(&1));
    let transfers = of_kind(&events, "chain.transfer");
    let taken: Vec<String> = of_kind(&events, "chain.retracted")
        .iter()
        .map(|event| event.detail().value()["event"].as_str().unwrap().to_owned())
        .collect();
    let stand: Vec<&Event> =
        transfers.into_iter().filter(|event| !taken.contains(&event.event_id().to_string())).collect();
    assert_eq!(units(&stand, "in"), 115 * REWARD + 1_000_000);
}

#[tokio::test]
async fn what_a_wallet_holds_is_told_after_a_receipt_a_spend_a_reorganisation_and_a_restart() {
    const TOLD: (&str, &str) = ("keywatch_events_total", "kind=\"chain.balance\"");
    const PAID: i128 = 1_000_000_000;
    const FEE: i128 = 10_000;
    let (wallet, thief) = (Wallet::of(0x11), Wallet::of(0x22));
    let node = Btcd::start(&wallet.address).await;
    let coin = node.coin(&node.mine(110).await[0]).await;
    // btcd does not list coins; that it is asked to disturbs nothing.
    let settings = "chain = \"bitcoin-regtest\"\nbalance_seconds = 1\nscan_seconds = 60\nhead_seconds = 1";
    let address = wallet.address.to_string();
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    let watching = watcher.start();
    watching.until(TOLD.0, TOLD.1, 1).await;
    node.mine(1).await;
    watching.until(TOLD.0, TOLD.1, 2).await;
    // The fee comes back with the reward of the block.
    let payment = wallet.spend(&[coin], &[(&thief.address, 1_000_000_000), (&wallet.address, 3_999_990_000)]);
    let spent = node.send(&payment).await;
    let undone = node.mine(1).await;
    watching.until(TOLD.0, TOLD.1, 3).await;
    node.rpc("invalidateblock", json!([undone[0]])).await;
    node.mine(3).await;
    watching.until("keywatch_chain_reorgs_total", "", 1).await;
    watching.until_height(114).await;
    watching.stop();
    // A start tells what each wallet holds before it counts the height, from what its cursor has.
    let watching = watcher.start();
    watching.until(TOLD.0, TOLD.1, 1).await;
    watching.stop();

    let events = watcher.told();
    assert_eq!(standing(&events, "chain.tx").get(&spent), Some(&1));
    // Three sums are two seconds apart, so that the node was looked at meanwhile.
    let head = of_kind(&events, "chain.head")[0].detail().value();
    let (height, hash) = (head["block"].as_u64().unwrap(), head["block_hash"].as_str().unwrap());
    assert!((110..=114).contains(&height) && hash.len() == 64, "{head}");
    assert_eq!(head["replica"], json!("btcd"));
    let told = of_kind(&events, "chain.balance");
    let held = |event: &Event| {
        let detail = event.detail().value();
        assert_eq!((event.outcome(), event.wallet()), (Some("held"), Some(address.as_str())), "{detail}");
        assert_eq!(detail["from_block"], json!(1));
        let place = ["block", "epoch"].map(|name| detail[name].as_u64().unwrap());
        // Of 99 blocks the next one cannot spend what they paid, the fee of the payment among it.
        let immature: i128 = detail["immature"].as_str().unwrap().parse().unwrap();
        let units = event.amount().unwrap().saturated();
        let fee = if units < i128::from(place[0]) * REWARD { FEE } else { 0 };
        assert_eq!(immature, 99 * REWARD + fee, "{detail}");
        (place, units)
    };
    let sums: Vec<_> = told.iter().map(|event| held(event)).collect();
    assert_eq!(sums[..3], [([110, 0], 110 * REWARD), ([111, 0], 111 * REWARD), ([112, 0], 112 * REWARD - PAID)]);
    assert_eq!(sums.last(), Some(&([114, 1], 114 * REWARD - PAID)));
    let retracted = of_kind(&events, "chain.retracted");
    let taken = |event: &Event| {
        let id = event.event_id().to_string();
        retracted.iter().any(|record| record.detail().value()["event"] == id)
    };
    assert_eq!(told.iter().map(|event| taken(event)).take(3).collect::<Vec<_>>(), [false, false, true]);
}
