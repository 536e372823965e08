//! A wallet of many addresses on a real node of Bitcoin: each payment near the gap moves it on, also across a restart.

use bitcoin::{Address, Network, ScriptBuf, WPubkeyHash};
use serde_json::{Value, json};

use super::watcher::{Watcher, of_kind};
use crate::support::btcd::{Btcd, Wallet};
use crate::support::command::{keywatch, out};

/// The account of BIP-84's vectors, in the form of test networks.
const DESCRIPTOR: &str = "wpkh(tpubDCxX2sYFS5bDkSe5GKKYHjBW7tgyN1R3UchpLJvdbf54ohxeGRtd8MbDUe1cguVHe4vnK68DsuD5MXjxi9EXx16rb9EnNsa\
                          F5KT99CinaJz/<0;1>/*)#2ddvput4";
/// Hashes of its keys 0/1, 0/3, 0/4 and 1/0.
const KEYS: [&str; 4] = [
    "9c90f934ea51fa0f6504177043e0908da6929983",
    "47e8cfa1e26ffc460468348a9cb218d0346a3778",
    "d97cc009122c6ac9f405852249d8892b5037d07d",
    "3e34985dca6fddc9fb369940e4c7d8e2873f529c",
];

fn address(hash: &str) -> Address {
    let script = ScriptBuf::new_p2wpkh(&hash.parse::<WPubkeyHash>().unwrap());
    Address::from_script(&script, Network::Regtest).unwrap()
}

#[tokio::test]
async fn addresses_beyond_the_first_gap_are_watched_as_they_come_near() {
    let miner = Wallet::of(0x11);
    let node = Btcd::start(&miner.address).await;
    let mut coins = Vec::new();
    for hash in node.mine(110).await.iter().take(3) {
        coins.push(node.coin(hash).await);
    }
    let to = KEYS.map(address);
    let pay = async |coin: usize, paid: &[&Address]| {
        let rest = 4_999_990_000 - 1_000 * paid.len() as u64;
        let outputs: Vec<(&Address, u64)> =
            paid.iter().map(|to| (*to, 1_000)).chain([(&miner.address, rest)]).collect();
        let sent = node.send(&miner.spend(&coins[coin..=coin], &outputs)).await;
        node.mine(1).await;
        sent
    };
    let watcher = Watcher::on("bitcoin-regtest", "treasury", &[("btcd", node.url())], "chain = \"bitcoin-regtest\"");
    watcher.declare(&format!("descriptor = \"{DESCRIPTOR}\"\ngap_limit = 2\n"));
    let watching = watcher.start();
    // The second of two is paid, and in the same transaction one that is only watched because of it.
    let first = pay(0, &[&to[1], &to[0]]).await;
    watching.until_height(node.height().await).await;
    watching.stop();
    let watching = watcher.start();
    let second = pay(1, &[&to[2]]).await;
    let third = pay(2, &[&to[3]]).await;
    watching.until_height(node.height().await).await;
    watching.stop();

    let events = watcher.told();
    let told: Vec<_> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| (event.tx().unwrap(), event.wallet().unwrap(), event.to_address().unwrap().to_owned()))
        .collect();
    let paid = |tx, to: &Address| (tx, "treasury", to.to_string());
    let expected = [
        paid(first.as_str(), &to[1]),
        paid(first.as_str(), &to[0]),
        paid(second.as_str(), &to[2]),
        paid(third.as_str(), &to[3]),
    ];
    assert_eq!(told, expected);
    let last = *of_kind(&events, "chain.progress").last().unwrap();
    assert_eq!(last.detail().value()["used"], json!({"treasury/0": 5, "treasury/1": 1}));

    // The same by hand, of blocks that are asked for at once.
    let read = keywatch(watcher.path(), &["chain", "backfill", "node", "--from", "111"], b"");
    let lines: Vec<Value> = out(&read).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let transfers = lines.iter().filter(|line| line["kind"] == "chain.transfer");
    let paid: Vec<&str> = transfers.map(|line| line["to_address"].as_str().unwrap()).collect();
    assert_eq!(paid, expected.each_ref().map(|(_, _, to)| to.as_str()));
}
