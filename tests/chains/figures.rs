//! Figures of followers; measurements, run by hand (`make bench-chains`).

#![expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench prints its table")]

use std::fmt::Write;
use std::time::{Duration, Instant};

use keywatch_ingest::chain::evm::{Block, Decoder, Network, ReadBlock, Receipt, Watched};
use keywatch_store::event::Origin;
use keywatch_store::inventory::{System, Wallet as Declared};
use serde_json::json;

use super::generated::{self, LOGS, TRANSACTIONS};
use super::memory;
use super::watcher::{Watcher, Watching};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::btcd::{Btcd, Wallet};

const BLOCKS: &str = "keywatch_chain_blocks_total";
const REQUESTS: &str = "keywatch_chain_requests_total";
const FINDINGS: &str = "keywatch_rule_findings_total";

/// Blocks that nodes have before anybody follows them.
const CATCHING_UP: u64 = 1500;
/// Large blocks that are generated for who catches up, so that the start of a process counts little.
const GENERATED: u64 = 3000;
/// By how much ten thousand wallets may be slower than ten.
const CROWD_SLOWER_MAX: f64 = 1.2;
/// Blocks over which memory is measured, and those between two looks at it.
const LONG: u64 = 100_000;
const LOOK: u64 = 10_000;
/// Small blocks that are made at once.
const STAGE: u64 = 1000;
/// KiB that a follower may grow by over the second half of them, less than one for each block: what nodes answer for that half
/// has 700,000. What the log has written it holds in memory too, until that is a table.
const GROWN_KIB_MAX: u64 = 48 * 1024;
/// Payments whose way is measured.
const ROUNDS: usize = 200;

/// Starts keywatch, waits until that block is read, and prints what it took; gives the seconds of a block, without the start.
async fn catch_up(what: &str, watcher: &Watcher, height: u64) -> (Watching, f64) {
    watcher.configure("requests_per_second = 2000", "requests_per_second = 1000000");
    let begun = Instant::now();
    let watching = watcher.start();
    let started = begun.elapsed();
    watching.until_height(height).await;
    let took = begun.elapsed();
    let (blocks, requests) = (watching.metric(BLOCKS, "").await, watching.metric(REQUESTS, "").await);
    let a_second = |took: Duration| blocks as f64 / took.as_secs_f64();
    println!(
        "{what}: {blocks} blocks in {took:.2?} ({:.0} a second; {:.0} without the start, which is {started:.2?} of it), {:.2} \
         requests a block",
        a_second(took),
        a_second(took.saturating_sub(started)),
        requests as f64 / blocks as f64
    );
    (watching, took.saturating_sub(started).as_secs_f64() / blocks as f64)
}

/// The address of a wallet that no generated block is about.
fn bystander(number: usize) -> String {
    format!("0x{:040x}", 0xdead_0000_0000_usize + number)
}

/// How long one processor takes for a block and its receipts, from their text to what is about one of so many wallets in them.
fn decoding(wallets: usize) -> Duration {
    const TIMES: u32 = 200;
    let [block, receipts] = generated::answers(7);
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let network = Network { name: "local".into(), id: 31337, asset: "ETH".into() };
    let wallet = |number: usize| Declared { wallet: bystander(number), chain: "local".into(), ..Declared::default() };
    let (watched, _) =
        Watched::of(&System { wallets: (0..wallets).map(wallet).collect(), ..System::default() }, "local");
    let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
    let begun = Instant::now();
    for _ in 0..TIMES {
        let block: Block = serde_json::from_str(&block).unwrap();
        let receipts: Vec<Receipt> = serde_json::from_str(&receipts).unwrap();
        let read = ReadBlock::new(block, receipts, None).unwrap();
        assert!(decoder.block(&read, 0).is_empty());
    }
    begun.elapsed() / TIMES
}

fn quantiles(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    println!("{what}: p50 {:.1?}, p99 {:.1?}, most {:.1?}, of {}", at(50), at(99), took[took.len() - 1], took.len());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn catching_up_over_generated_blocks() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("generated blocks of {TRANSACTIONS} transactions and {LOGS} logs:");
    let mut of_a_block = Vec::new();
    for wallets in [1, 10, 10_000] {
        let url = generated::start(GENERATED).await;
        let watcher = Watcher::new(&[("generated", url)], "");
        let mut declared = String::new();
        for number in 1..wallets {
            let address = bystander(number);
            writeln!(
                declared,
                "[[systems.wallets]]\nwallet = \"{address}\"\nchain = \"local\"\nnode = \"node\"\ntechnology = \"mpc\""
            )
            .unwrap();
        }
        watcher.declare(&declared);
        let (watching, took) = catch_up(&format!("{wallets} wallets"), &watcher, GENERATED).await;
        watching.stop();
        let one = decoding(wallets).as_secs_f64();
        println!(
            "    without the start {:.0} transactions and {:.0} logs a second; decoding alone takes one processor {:.0} µs a \
             block, {:.0} % of that time",
            TRANSACTIONS as f64 / took,
            LOGS as f64 / took,
            one * 1e6,
            100.0 * one / took
        );
        of_a_block.push(took);
    }
    let slower = of_a_block[2] / of_a_block[1];
    println!("ten thousand wallets take {slower:.2} times as long as ten");
    assert!(slower <= CROWD_SLOWER_MAX, "ten thousand wallets take {slower:.2} times as long as ten");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_over_a_hundred_thousand_blocks() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    println!("`keywatch chain follow`, small blocks, of each {STAGE} the last ones left for others:");
    let begun = Instant::now();
    let tell = |height: u64, kibibytes: u64| {
        println!("{height:>7} blocks, {:>4} MiB resident, {:.0?}", kibibytes / 1024, begun.elapsed());
    };
    let (memory, _) = memory::followed(STAGE, LOOK, LONG, tell).await;
    let (first, second) = memory.split_at(memory.len() / 2);
    let grown = second.iter().max().unwrap().saturating_sub(*first.iter().max().unwrap());
    assert!(grown < GROWN_KIB_MAX, "it grows by {grown} KiB over the second half: {memory:?}");
}

#[tokio::test]
#[ignore = "a measurement"]
async fn catching_up_over_real_nodes() {
    let node = Anvil::start().await;
    for number in 0..300 {
        node.pay(ACCOUNTS[number % 2], ACCOUNTS[2], 1).await;
    }
    node.mine(CATCHING_UP - 300).await;
    // Every other payment is from the watched wallet, whose storage and balance are then compared.
    catch_up("anvil, 150 blocks of 1,500 touch the wallet", &Watcher::new(&[("anvil", node.url())], ""), CATCHING_UP)
        .await
        .0
        .stop();

    let miner = Wallet::of(0x11);
    let node = Btcd::start(&miner.address).await;
    for _ in 0..CATCHING_UP / 100 {
        node.mine(100).await;
    }
    let address = miner.address.to_string();
    let settings = "chain = \"bitcoin-regtest\"";
    let watcher = Watcher::on("bitcoin-regtest", &address, &[("btcd", node.url())], settings);
    catch_up("btcd, each block pays the wallet", &watcher, CATCHING_UP).await.0.stop();
}

/// Waits as short as a metric can be asked until it has that value; gives how long that took.
async fn reached(watching: &Watching, name: &str, label: &str, value: u64, since: Instant) -> Duration {
    while watching.metric(name, label).await < value {
        assert!(since.elapsed() < Duration::from_secs(30), "{name} does not become {value}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    since.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn from_a_block_to_its_events_and_findings() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.configure("poll_milliseconds = 50", "poll_milliseconds = 60000");
    let ws = node.url().replace("http://", "ws://");
    watcher.configure("name = \"anvil\",", &format!("name = \"anvil\", ws = \"{ws}\","));
    let watching = watcher.start();
    let (mut events, mut findings) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // The wallet lets somebody new take all of its tokens: one finding each.
        let data = format!("0x095ea7b3{:064x}{}", 0xbeef_0000 + round, "f".repeat(64));
        node.send(json!({"from": ACCOUNTS[0], "to": ACCOUNTS[1], "data": data})).await;
        let mined = Instant::now();
        let height = node.height().await;
        events.push(reached(&watching, "keywatch_chain_height", "", height, mined).await);
        let found = round as u64 + 1;
        findings.push(reached(&watching, FINDINGS, "chain/unlimited_approval", found, mined).await);
    }
    watching.stop();
    println!("anvil, announced over its WebSocket; to some milliseconds, since it is the metrics that are asked:");
    quantiles("from the receipt to the block's events in the log", events);
    quantiles("from the receipt to the finding", findings);
}
