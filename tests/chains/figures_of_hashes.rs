//! What it takes to hold a block against its hash; a measurement, run by hand (`make bench-chains`).

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::{Duration, Instant};

use keywatch_ingest::chain::evm::{Block, Receipt, roots};
use serde_json::{Value, json};

use super::generated::{LOGS, TRANSACTIONS};
use crate::support::anvil::{ACCOUNTS, Anvil, quantity};

/// Makes a contract that says something three times and is empty.
const SAYS: &str = "0x602a60005260076020600060206000a160086020600060206000a160096020600060206000a100";

const TIMES: u32 = 200;

fn each(mut task: impl FnMut()) -> Duration {
    let begun = Instant::now();
    (0..TIMES).for_each(|_| task());
    begun.elapsed() / TIMES
}

#[tokio::test]
#[ignore = "a measurement"]
async fn holding_a_block_against_its_hash() {
    let node = Anvil::start().await;
    node.rpc("evm_setAutomine", json!([false])).await;
    let mut last = Value::Null;
    for _ in 0..TRANSACTIONS {
        last = node.rpc("eth_sendTransaction", json!([{"from": ACCOUNTS[0], "data": SAYS, "gas": "0x186a0"}])).await;
    }
    node.mine(1).await;
    let receipt = node.rpc("eth_getTransactionReceipt", json!([last])).await;
    let height = receipt["blockNumber"].clone();
    let texts = [
        node.rpc("eth_getBlockByNumber", json!([height, true])).await.to_string(),
        node.rpc("eth_getBlockReceipts", json!([height])).await.to_string(),
    ];
    let read = || -> (Block, Vec<Receipt>) {
        (serde_json::from_str(&texts[0]).unwrap(), serde_json::from_str(&texts[1]).unwrap())
    };
    let (block, receipts) = read();
    let logs: usize = receipts.iter().map(|receipt| receipt.logs.len()).sum();
    assert_eq!((block.transactions.len(), block.number), (TRANSACTIONS, quantity(&height)));
    assert!(logs >= LOGS, "{logs} logs");
    let parsed = each(|| {
        assert_eq!(read().1.len(), TRANSACTIONS);
    });
    let checked = each(|| roots::check(&block, &receipts).unwrap());
    let recovered = each(|| roots::check_senders(&block).unwrap());
    println!(
        "a block of {TRANSACTIONS} transactions and {logs} logs, one processor: parsing {parsed:.0?}, holding it against its hash \
         {checked:.0?} ({:.2} times as long), its senders against their signatures {recovered:.1?}",
        checked.as_secs_f64() / parsed.as_secs_f64()
    );
}
