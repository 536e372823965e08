//! Balances of tokens that move otherwise than their logs say, to the last unit: one that takes a fee, and one that rebases.

use std::collections::BTreeSet;

use keywatch_store::Event;
use serde_json::json;

use super::watcher::{Watcher, of_kind, unexplained};
use crate::support::anvil::{ACCOUNTS, Anvil};

const WALLET: &str = ACCOUNTS[0];
const OTHER: &str = ACCOUNTS[1];
const TOKEN: &str = "0x00000000000000000000000000000000000c0de2";

/// A token that credits two units less than it says, and whose balances stand in the slot of the holder's address:
///
/// ```text
/// 60003560e01c                            selector = calldata[0..4]
/// 80 63 70a08231 14 6021 57               balanceOf(holder): to 0x21
/// 63 a9059cbb 14 602e 57                  transfer(to, units): to 0x2e
/// 602435 600435 55 00                     anything else (holder, units): balance[holder] = units, and says nothing
/// 5b 600435 54 600052 60206000f3          0x21: return balance[holder]
/// 5b 602435 3354 03 3355                  0x2e: balance[caller] = balance[caller] - units
///    6002 602435 03 600435 54 01 600435 55      balance[to] = balance[to] + units - 2
///    602435 600052                              log Transfer(caller, to, units)
///    600435 33 7f ddf2…b3ef 6020 6000 a3
///    6001 600052 60206000f3                     return true
/// ```
const CODE: &str = "0x60003560e01c806370a082311460215763a9059cbb14602e5760243560043555005b600435546000526020600\
                    0f35b6024353354033355600260243503600435540160043555602435600052600435337fddf252ad1be2c89b69\
                    c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef60206000a3600160005260206000f3";

fn word(address: &str) -> String {
    format!("{:0>64}", &address[2..])
}

/// A call of the token with an account and units.
async fn call(node: &Anvil, from: &str, selector: &str, account: &str, units: u64) -> String {
    let data = format!("0x{selector}{}{units:064x}", word(account));
    node.send(json!({"from": from, "to": TOKEN, "data": data})).await
}

#[tokio::test]
async fn what_a_token_takes_or_gives_without_saying_so_is_told_to_the_last_unit() {
    const TRANSFER: &str = "a9059cbb";
    const REBASE: &str = "00000001";
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([TOKEN, CODE])).await;
    let slot = format!("0x{}", word(OTHER));
    node.rpc("anvil_setStorageAt", json!([TOKEN, slot, format!("0x{:064x}", 10_000)])).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.declare(&format!("[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\n"));
    let watching = watcher.start();
    // 98 arrive, and it says 100; then there are 150; then 50 leave, as it says.
    call(&node, OTHER, TRANSFER, WALLET, 100).await;
    call(&node, WALLET, REBASE, WALLET, 150).await;
    call(&node, WALLET, TRANSFER, OTHER, 50).await;
    watching.until_read(&node).await;
    watching.stop();

    let events = watcher.told();
    let tokens: BTreeSet<Option<&str>> = of_kind(&events, "chain.transfer").iter().map(|event| event.asset()).collect();
    assert_eq!(tokens, BTreeSet::from([Some(TOKEN)]));
    let moved: Vec<i128> =
        of_kind(&events, "chain.transfer").iter().map(|event| event.amount().unwrap().saturated()).collect();
    assert_eq!(moved, [100, 50]);
    let told: Vec<_> = unexplained(&events)
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            assert_eq!((event.asset(), event.wallet(), &detail["token"]), (Some(TOKEN), Some(WALLET), &json!(TOKEN)));
            let sides = ["direction", "before", "after"].map(|name| detail[name].as_str().unwrap().to_owned());
            (event.amount().unwrap().saturated(), sides)
        })
        .collect();
    let sides = |sides: [&str; 3]| sides.map(str::to_owned);
    assert_eq!(told, [(2, sides(["out", "0", "98"])), (52, sides(["in", "98", "150"]))]);
    assert!(of_kind(&events, "source.status").is_empty());
}

#[tokio::test]
async fn what_a_router_does_with_a_silent_token_is_told_in_its_block() {
    /// Calls the token with what it is called with:
    ///
    /// ```text
    /// 36 6000 6000 37                         memory = calldata
    /// 6000 6000 36 6000 6000 73 TOKEN 5a f1   call(gas, TOKEN, 0, memory)
    /// 00
    /// ```
    const ROUTER_CODE: &str = "0x3660006000376000600036600060007300000000000000000000000000000000000c0de25af100";
    const ROUTER: &str = "0x00000000000000000000000000000000000c0de3";
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([TOKEN, CODE])).await;
    node.rpc("anvil_setCode", json!([ROUTER, ROUTER_CODE])).await;
    // Nothing is read at a rhythm, and the token is not declared to rebase.
    let watcher = Watcher::new(&[("anvil", node.url())], "balance_seconds = 0");
    watcher.declare(&format!("[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\n"));
    let watching = watcher.start();
    let data = format!("0x00000001{}{:064x}", word(WALLET), 150);
    // What an estimate finds is enough for the router, whose call then fails for want of gas.
    node.send(json!({"from": WALLET, "to": ROUTER, "data": data, "gas": "0x30d40"})).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let told = unexplained(&events);
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].wallet(), told[0].asset(), told[0].outcome()),
        (Some(WALLET), Some(TOKEN), Some("unexplained"))
    );
    assert_eq!((told[0].amount().unwrap().saturated(), &told[0].detail().value()["direction"]), (150, &json!("in")));
}

#[tokio::test]
async fn an_asset_that_is_no_token_is_said_and_holds_up_no_block() {
    let node = Anvil::start().await;
    // Refuses everything: REVERT(0, 0).
    node.rpc("anvil_setCode", json!([TOKEN, "0x60006000fd"])).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.declare(&format!(
        "[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\nrebases = true\n"
    ));
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    assert_eq!(of_kind(&events, "chain.transfer").len(), 1);
    let told = of_kind(&events, "source.status");
    assert_eq!((told.len(), told[0].outcome()), (1, Some("degraded")));
    let reason = told[0].reason().unwrap();
    assert!(reason.contains(TOKEN) && reason.contains(WALLET), "{reason}");

    // Who goes on with it after a restart says when it is well, and once.
    node.rpc("anvil_setCode", json!([TOKEN, CODE])).await;
    let watching = watcher.start();
    for _ in 0..3 {
        node.pay(WALLET, OTHER, 3).await;
    }
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let outcomes: Vec<_> = of_kind(&events, "source.status").iter().map(|event| event.outcome().unwrap()).collect();
    assert_eq!((outcomes.first(), outcomes.last()), (Some(&"degraded"), Some(&"ok")), "{outcomes:?}");
    let last = *of_kind(&events, "chain.progress").last().unwrap();
    assert!(last.detail().value().get("unwell").is_none(), "{last:?}");
}

#[tokio::test]
async fn what_is_not_told_of_balances_is_open_until_nobody_asks_for_it() {
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([TOKEN, "0x60006000fd"])).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "");
    watcher.declare(&format!(
        "[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\nrebases = true\n"
    ));
    let watching = watcher.start();
    node.pay(WALLET, OTHER, 3).await;
    watching.until_read(&node).await;
    watching.stop();
    watcher.configure_further("storage = \"never\"\n");
    let watching = watcher.start();
    node.mine(1).await;
    watching.until_read(&node).await;
    watching.stop();
    let events = watcher.told();
    let outcomes: Vec<_> = of_kind(&events, "source.status").iter().map(|event| event.outcome().unwrap()).collect();
    assert_eq!(outcomes, ["degraded", "ok"]);
}

#[tokio::test]
async fn what_a_token_changes_in_silence_is_found_at_the_rhythm() {
    const TRANSFER: &str = "a9059cbb";
    const REBASE: &str = "00000001";
    const TOLD: (&str, &str) = ("keywatch_events_total", "kind=\"chain.balance\",outcome=\"unexplained\"");
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([TOKEN, CODE])).await;
    let slot = format!("0x{}", word(WALLET));
    node.rpc("anvil_setStorageAt", json!([TOKEN, slot, format!("0x{:064x}", 100)])).await;
    node.mine(1).await;
    let watcher = Watcher::new(&[("anvil", node.url())], "balance_seconds = 1");
    // It is not declared to rebase, and a stranger has it do so: no block touches the wallet.
    watcher.declare(&format!("[[systems.assets]]\nasset = \"{TOKEN}\"\nchain = \"local\"\ndecimals = 6\n"));
    let watching = watcher.start();
    // A turn counts the height when it has read the balances too.
    watching.until_read(&node).await;
    call(&node, OTHER, REBASE, WALLET, 150).await;
    watching.until(TOLD.0, TOLD.1, 1).await;
    call(&node, OTHER, REBASE, WALLET, 30).await;
    watching.until(TOLD.0, TOLD.1, 2).await;
    // What it says is explained, fee included: 20 are left.
    call(&node, WALLET, TRANSFER, OTHER, 10).await;
    call(&node, OTHER, REBASE, WALLET, 40).await;
    watching.until(TOLD.0, TOLD.1, 3).await;
    watching.stop();

    let events = watcher.told();
    let told: Vec<_> = unexplained(&events)
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            assert_eq!((event.wallet(), &detail["token"]), (Some(WALLET), &json!(TOKEN)));
            assert!(detail["since"].as_u64() < detail["block"].as_u64(), "{detail}");
            (event.amount().unwrap().saturated(), detail["direction"].as_str().unwrap().to_owned())
        })
        .collect();
    let expected = [(50, "in"), (120, "out"), (20, "in")];
    assert_eq!(told, expected.map(|(units, direction)| (units, direction.to_owned())));
    // What it holds is told beside that: at first, and behind each change.
    let is_held = |event: &&&Event| event.outcome() == Some("held");
    let balances = of_kind(&events, "chain.balance");
    let of_token = balances.iter().filter(is_held).filter(|event| event.asset() == Some(TOKEN));
    let held: Vec<i128> = of_token.map(|event| event.amount().unwrap().saturated()).collect();
    assert_eq!(held[..3], [100, 150, 30]);
    assert_eq!(held.last(), Some(&40));
    assert!(held.windows(2).all(|pair| pair[0] != pair[1]), "only what changed is told again: {held:?}");
    let own: Vec<_> = balances.iter().filter(is_held).filter(|event| event.asset() == Some("ETH")).collect();
    let newest = own.last().unwrap();
    let read = node.rpc("eth_getBalance", json!([WALLET, {"blockHash": newest.detail().value()["block_hash"]}])).await;
    let read = u128::from_str_radix(read.as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    assert_eq!(newest.detail().value()["after"], json!(read.to_string()));
}
