//! A system with very many wallets: all of them are watched, also after a restart, and an inventory with more than a log has
//! room for is refused.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use serde_json::{Value, json};

use super::watcher::{Watcher, Watching, of_kind};
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::command::{err, keywatch, out};
use crate::support::serving::Serving;

/// Wallets besides the first and the last one.
const CROWD: usize = 10_000;
/// More than have room in one record, whatever is declared of them.
const TOO_MANY: usize = 40_000;
const FINDINGS: &str = "keywatch_rule_findings_total";
const APPROVAL: &str = "chain/unlimited_approval";

/// Wallets that no transaction is about, as TOML.
fn crowd(wallets: usize) -> String {
    let mut declared = String::new();
    for number in 0..wallets {
        // Addresses as unlike each other as those in use.
        let address = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        writeln!(
            declared,
            "[[systems.wallets]]\nwallet = \"0x{number:08x}{address:032x}\"\nchain = \"local\"\ntechnology = \"mpc\"\n\
             node = \"node\"\nthreshold = 2\npurpose = \"customer_withdrawals\""
        )
        .unwrap();
    }
    declared
}

/// A wallet lets somebody take all of its tokens, which one rule finds.
async fn approve(node: &Anvil, wallet: &str, spender: u64) -> String {
    let data = format!("0x095ea7b3{spender:064x}{}", "f".repeat(64));
    node.send(json!({"from": wallet, "to": ACCOUNTS[1], "data": data})).await
}

/// All records of a kind in its log; keywatch must not run.
fn recorded(watcher: &Watcher, kind: &str) -> Vec<Event> {
    let log = EmbeddedLog::open(watcher.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let events = log.read(Topic::Events, Position(0), 1_000_000).unwrap();
    events.into_iter().filter(|event| event.kind() == kind).collect()
}

async fn until_found(watching: &Watching, count: u64) {
    watching.until(FINDINGS, APPROVAL, count).await;
}

#[tokio::test]
async fn the_last_of_ten_thousand_wallets_is_paid_and_found_also_after_a_restart() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let last = ACCOUNTS[2];
    watcher.declare(&format!(
        "{}[[systems.wallets]]\nwallet = \"{last}\"\nchain = \"local\"\nnode = \"node\"\n",
        crowd(CROWD)
    ));
    let watching = watcher.start();
    let mut paid = vec![node.pay(ACCOUNTS[1], last, 500).await];
    approve(&node, last, 0xbeef_0001).await;
    watching.until_read(&node).await;
    until_found(&watching, 1).await;
    watching.stop();
    let watching = watcher.start();
    paid.push(node.pay(ACCOUNTS[1], last, 600).await);
    approve(&node, last, 0xbeef_0002).await;
    watching.until_read(&node).await;
    until_found(&watching, 1).await;
    watching.stop();

    let events = watcher.told();
    let moved: Vec<_> = of_kind(&events, "chain.transfer")
        .iter()
        .map(|event| (event.tx().unwrap(), event.wallet().unwrap(), event.amount().unwrap().saturated()))
        .collect();
    assert_eq!(moved, [(paid[0].as_str(), last, 500), (paid[1].as_str(), last, 600)]);
    let activations = recorded(&watcher, "inventory.activated");
    assert_eq!(activations.len(), 1, "what did not change is not declared again");
    assert!(activations[0].detail().value()["packed"].is_string());
    let path = watcher.path().join("keywatch-data");
    let is_it = format!("CASE WHEN wallet = '{last}' THEN 1 ELSE 0 END");
    let sql = format!("SELECT count(*) AS wallets, max({is_it}) AS is_there FROM wallets WHERE chain = 'local'");
    let asked = keywatch(watcher.path(), &["query", &sql, path.to_str().unwrap(), "--format", "json"], b"");
    assert!(asked.status.success(), "{}", err(&asked));
    let rows: Value = serde_json::from_str(out(&asked).trim()).unwrap();
    assert_eq!(rows, json!({"wallets": CROWD + 2, "is_there": 1}));
}

/// What it says, line by line; it is read to its end, so that nobody waits for a full pipe.
fn listen(said: ChildStderr) -> Receiver<String> {
    let (tell, told) = sync_channel(10_000);
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            // Nobody listens any more once it has been heard.
            let _ = tell.try_send(line);
        }
    });
    told
}

fn heard(told: &Receiver<String>, words: &str) -> String {
    let until = Instant::now() + Duration::from_mins(1);
    loop {
        let line = told.recv_timeout(until.saturating_duration_since(Instant::now())).expect("it says so in time");
        if line.contains(words) {
            return line;
        }
    }
}

#[tokio::test]
async fn wallets_beyond_the_room_of_a_record_are_refused_and_the_inventory_before_stays() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    let before = std::fs::read_to_string(watcher.path().join("inventory.toml")).unwrap();
    let (serving, said) = Serving::start_heard(watcher.path(), &[]);
    let told = listen(said);
    watcher.declare(&crowd(TOO_MANY));
    let line = heard(&told, "the one before stays");
    let fit = "of its 40001 entries of `wallets` fit; declare the others in a system of their own";
    assert!(line.contains("system `cold`: what is declared of it takes") && line.contains(fit), "{line}");
    let looked = keywatch(watcher.path(), &["doctor"], b"");
    assert!(!looked.status.success() && out(&looked).contains(fit), "{}", out(&looked));
    let ready = || async { reqwest::get(format!("{}/readyz", serving.url)).await.unwrap().text().await.unwrap() };
    let warned = ready().await;
    assert!(warned.contains("\"ready\":true") && warned.contains("the changed file is not used"), "{warned}");

    // The wallet of before is watched as ever, and so is one that is added to a declaration that has room.
    let paid = node.pay(ACCOUNTS[1], ACCOUNTS[0], 700).await;
    std::fs::write(watcher.path().join("inventory.toml"), format!("{before}{}", crowd(5))).unwrap();
    heard(&told, "the inventory was read anew");
    assert_eq!(ready().await, r#"{"obstacles":{},"ready":true}"#);
    assert!(serving.stop().success());
    let watching = watcher.start();
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let moved: Vec<_> = of_kind(&events, "chain.transfer").iter().map(|event| event.tx().unwrap().to_owned()).collect();
    assert_eq!(moved, [paid]);
    assert_eq!(recorded(&watcher, "inventory.activated").len(), 2, "what was refused was never declared");
}
