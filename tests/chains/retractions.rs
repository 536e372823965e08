//! Alerts on a real node's chain whose events a reorganisation takes back: what people are shown of them by the API, the page and the
//! command line, when the transaction is in another block again, and when what came instead is final.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::door::Door;
use super::watcher::{Watcher, Watching};
use crate::page::browser::Browser;
use crate::support::anvil::{ACCOUNTS, Anvil};
use crate::support::command::{keywatch, out};

const REORGS: &str = "keywatch_chain_reorgs_total";

/// Lets the operator vera look.
fn with_vera(watcher: &Watcher) {
    let token = hex::encode(Sha256::digest("vera"));
    watcher.configure_further(&format!(
        "[[operators]]\nname = \"vera\"\ntoken_sha256 = \"{token}\"\nroles = [\"viewer\"]\nsystems = [\"cold\"]\n"
    ));
    std::fs::write(watcher.path().join("vera"), "vera\n").unwrap();
}

/// The wallet lets somebody take all of its tokens, which is a finding of `chain/unlimited_approval`. Gives the transaction as it
/// was signed.
async fn approve(node: &Anvil) -> Value {
    let data = format!("0x095ea7b3{:064x}{}", 0xbeef_u64, "f".repeat(64));
    let hash = node.send(json!({"from": ACCOUNTS[0], "to": ACCOUNTS[1], "data": data})).await;
    node.rpc("eth_getRawTransactionByHash", json!([hash])).await
}

/// The one alert of that rule, as soon as it is like that.
async fn alert(watching: &Watching, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    let asked = async {
        loop {
            let answer = watching.ask("vera", "/v1/alerts?rule=chain/unlimited_approval").await;
            let alerts = answer["alerts"].as_array().unwrap();
            assert!(alerts.len() < 2, "{answer}");
            if let Some(alert) = alerts.first().filter(|alert| is(alert)) {
                return alert.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), asked).await.unwrap_or_else(|_| panic!("no alert is {what}"))
}

#[tokio::test]
async fn what_a_reorganisation_takes_back_is_unconfirmed_until_it_is_in_a_block_again() {
    let node = Anvil::start().await;
    // Two ways to one node are two that agree.
    let door = Door::open(&node.url()).await;
    let watcher = Watcher::new(&[("one", node.url()), ("two", door.url())], "quorum = 2");
    with_vera(&watcher);
    let watching = watcher.start();
    node.mine(2).await;
    let signed = approve(&node).await;
    let found = alert(&watching, "found", |_| true).await;
    assert_eq!(found["unconfirmed"], json!(null));
    node.rpc("anvil_reorg", json!([1, []])).await;
    watching.until(REORGS, "", 1).await;

    let taken_back = alert(&watching, "unconfirmed", |alert| alert["unconfirmed"].is_object()).await;
    let said = &taken_back["unconfirmed"];
    let fields = ["chain", "block", "epoch", "agreed", "quorum", "final"].map(|field| said[field].clone());
    assert_eq!(fields, [json!("local"), json!(3), json!(1), json!(2), json!(2), json!(false)], "{said}");
    assert_eq!((&taken_back["id"], &taken_back["status"]), (&found["id"], &json!("open")), "it stays in the list");
    let says = "Unconfirmed: what it saw is no longer on the chain: local has left block 3 (reorganisation 1); 2 nodes say so.";
    assert_eq!(said["says"], json!(says));
    let mut browser = Browser::at(watching.url());
    browser.sign_in("vera").await;
    let page = browser.get(&format!("/page/incidents/{}", found["incident"].as_str().unwrap())).await;
    assert!(page.text.contains(says), "{}", page.text);
    let arguments = ["alerts", "list", "--url", watching.url(), "--token-file", "vera"];
    let listed = out(&keywatch(watcher.path(), &arguments, b""));
    assert!(listed.contains("[unconfirmed]"), "{listed}");

    // The rule does not find it once more, since the wallet had given the allowance before.
    node.rpc("eth_sendRawTransaction", json!([signed])).await;
    let again = alert(&watching, "confirmed", |alert| alert["unconfirmed"].is_null()).await;
    assert_eq!((&again["id"], &again["status"], &again["pages"]), (&found["id"], &json!("open"), &found["pages"]));
    watching.stop();
}

#[tokio::test]
async fn what_is_gone_for_good_stays_open_where_it_is_high_and_one_node_says_so() {
    let node = Anvil::start().await;
    let watcher = Watcher::new(&[("anvil", node.url())], "finality = 3");
    with_vera(&watcher);
    let watching = watcher.start();
    node.mine(2).await;
    approve(&node).await;
    alert(&watching, "found", |_| true).await;
    node.rpc("anvil_reorg", json!([1, []])).await;
    watching.until(REORGS, "", 1).await;
    node.mine(5).await;
    let gone = alert(&watching, "gone for good", |alert| alert["unconfirmed"]["final"] == true).await;
    assert_eq!((&gone["status"], &gone["verdict"]), (&json!("open"), &json!(null)));
    let says = gone["unconfirmed"]["says"].as_str().unwrap();
    assert!(
        says.starts_with("What it saw is not on the chain, and that is final") && says.ends_with("one node says so.")
    );
    watching.stop();
}
