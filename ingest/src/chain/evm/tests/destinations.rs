//! Which addresses are asked about, and what is told of them.

use keywatch_store::inventory::{Destination, Library};

use super::*;
use crate::chain::evm::destinations::{self, Since};

const LIBRARY: &str = "0x7777777777777777777777777777777777777777";
const PAYEE: &str = "0x8888888888888888888888888888888888888888";
const CUSTOMERS: &str = "0x3333333333333333333333333333333333333333";

fn watched() -> Watched {
    let wallet = |wallet: &str, technology: &str, purpose: &str| Wallet {
        wallet: wallet.into(),
        chain: "ethereum".into(),
        technology: technology.into(),
        purpose: purpose.into(),
        ..Wallet::default()
    };
    let wallets = vec![
        wallet(WALLET, "", "treasury"),
        wallet(SAFE, "safe", "cold"),
        wallet(CUSTOMERS, "", "customer_withdrawals"),
    ];
    let libraries = vec![Library { address: LIBRARY.into(), ..Library::default() }];
    let destinations = vec![Destination { address: PAYEE.into(), ..Destination::default() }];
    let system = System { wallets, libraries, destinations, ..System::default() };
    Watched::of(&system, "ethereum").0
}

fn events(read: &ReadBlock) -> Vec<Event> {
    let network = Network { name: "ethereum".into(), id: 1, asset: "ETH".into() };
    let (origin, watched) = (Origin { system: "cold".into(), source: "node".into() }, watched());
    Decoder { origin: &origin, network: &network, watched: &watched }.block(read, 0)
}

/// Wallet, address and purpose of each use in a block with these transactions.
fn used(parts: Vec<(Value, Value)>) -> Vec<(String, String, &'static str)> {
    let uses = destinations::uses(&events(&read(parts, None)), &watched(), "ethereum");
    let text = |address: Address| format!("{address:#x}");
    uses.iter().map(|one| (text(one.wallet), text(one.destination), one.purpose())).collect()
}

fn one(wallet: &str, destination: &str, purpose: &'static str) -> Vec<(String, String, &'static str)> {
    vec![(wallet.to_owned(), destination.to_owned(), purpose)]
}

/// A Safe is asked by a stranger for what its owners signed.
fn executed(to: &str, operation: u8) -> (Value, Value) {
    let call = exec(to, 0, vec![1, 2, 3, 4], operation);
    let said = json!([log(0, SAFE, &[EXECUTION_SUCCESS], &(hash(0x5afe) + &number(0)[2..]))]);
    transaction(1, OTHER, SAFE, 0, &call, 1, &said)
}

#[test]
fn what_a_wallet_does_with_an_undeclared_address_is_found_by_what_gives_away_most() {
    let sent =
        |to: &str, value: u64, input: &[u8], status: u64| transaction(1, WALLET, to, value, input, status, &json!([]));
    assert_eq!(used(vec![sent(OTHER, 5, &[], 1)]), one(WALLET, OTHER, "payment"));
    assert_eq!(used(vec![sent(OTHER, 5, &[1, 2, 3, 4], 1)]), one(WALLET, OTHER, "payment"), "and called with it");
    assert_eq!(used(vec![sent(OTHER, 0, &[1, 2, 3, 4], 1)]), one(WALLET, OTHER, "call"));
    assert_eq!(used(vec![executed(OTHER, 0)]), one(SAFE, OTHER, "call"));
    assert_eq!(used(vec![executed(OTHER, 1)]), one(SAFE, OTHER, "delegatecall"));
    let enabled = json!([log(0, SAFE, &[ENABLED_MODULE], &word(OTHER))]);
    assert_eq!(used(vec![transaction(1, PAYEE, SAFE, 0, &[1], 1, &enabled)]), one(SAFE, OTHER, "module"));
    let both = used(vec![sent(OTHER, 5, &[], 1), executed(OTHER, 1)]);
    assert_eq!(both, [one(SAFE, OTHER, "delegatecall"), one(WALLET, OTHER, "payment")].concat(), "the worst first");
    for quiet in [
        sent(OTHER, 5, &[], 0),
        sent(PAYEE, 5, &[], 1),
        sent(SAFE, 5, &[], 1),
        sent(WETH, 5, &[1, 2, 3, 4], 1),
        executed(LIBRARY, 1),
        executed("0x38869bf66a61cf6bdb996a6ae40d5853fd43b526", 1),
        executed("0x0000000000000000000000000000000000000004", 0),
        transaction(1, CUSTOMERS, OTHER, 5, &[], 1, &json!([])),
        transaction(1, OTHER, WALLET, 5, &[], 1, &json!([])),
    ] {
        assert!(used(vec![quiet.clone()]).is_empty(), "{quiet:?}");
    }
}

#[test]
fn tokens_that_anybody_makes_ask_for_nothing_in_the_name_of_a_wallet() {
    const STRANGE: &str = "0x6666666666666666666666666666666666666666";
    let logs = |token: &str, what: &str, units: u64| {
        json!([log(0, token, &[what, &word(WALLET), &word(OTHER)], &number(units))])
    };
    let by = |from: &str, logs: &Value| used(vec![transaction(1, from, PAYEE, 0, &[1, 2, 3, 4], 1, logs)]);
    for (what, purpose) in [(TRANSFER, "payment"), (APPROVAL, "approval")] {
        assert_eq!(by(PAYEE, &logs(USDT, what, 5)), one(WALLET, OTHER, purpose));
        assert_eq!(by(WALLET, &logs(STRANGE, what, 5)), one(WALLET, OTHER, purpose), "its own transaction");
        assert!(by(PAYEE, &logs(STRANGE, what, 5)).is_empty(), "anybody says so");
        assert!(by(PAYEE, &logs(USDT, what, 0)).is_empty(), "nothing moved, or nobody may take it any more");
    }
    let allowed = json!([log(0, USDT, &[APPROVAL, &word(CUSTOMERS), &word(OTHER)], &number(5))]);
    assert_eq!(by(PAYEE, &allowed), one(CUSTOMERS, OTHER, "approval"), "no withdrawal of a customer");
}

#[test]
fn what_a_node_knows_of_an_address_is_told_with_the_use() {
    let mut read = read(vec![executed(OTHER, 1)], None);
    let used = destinations::uses(&events(&read), &watched(), "ethereum").remove(0);
    let answers = ["0x6001", "0x6001", "0x1", "0x0"].map(|text| Some(text.to_owned()));
    let mut seen = destinations::seen(used, &answers).unwrap();
    // The block is of 0x67b80000.
    seen.since = Since { created: Some((12, 0x67b8_0000 - 3600)), known: Some(12) };
    read.destinations = vec![seen.clone()];
    let told = events(&read);
    let event = told.last().unwrap();
    assert_eq!((event.kind(), event.outcome()), ("chain.destination", Some("contract")));
    assert_eq!((event.wallet(), event.to_address()), (Some(SAFE), Some(OTHER)));
    assert_eq!(event.tx(), Some(hash(0xaa01).as_str()));
    let detail = event.detail().value();
    let code_hash = format!("{:#x}", alloy::primitives::keccak256([0x60_u8, 0x01]));
    assert_eq!((&detail["used"], &detail["code_hash"]), (&json!("delegatecall"), &json!(code_hash)));
    assert_eq!((&detail["fresh"], &detail["nonce"]), (&json!(false), &json!(1)));
    let age = ["created_block", "age_seconds", "known_since"].map(|name| detail[name].as_i64());
    assert_eq!(age, [Some(12), Some(3600), Some(12)]);

    seen.since = Since { created: None, known: Some(12) };
    read.destinations = vec![seen];
    let detail = events(&read).last().unwrap().detail().value();
    let age = ["created_block", "age_seconds", "known_since"].map(|name| detail[name].as_i64());
    assert_eq!(age, [None, None, Some(12)], "nobody knows");

    let code = format!("0xef0100{}", "99".repeat(20));
    let answers = [code.as_str(), code.as_str(), "0x1", "0x0"].map(|text| Some(text.to_owned()));
    let used = read.destinations.remove(0).used;
    read.destinations = vec![destinations::seen(used, &answers).unwrap()];
    let told = events(&read);
    let (event, detail) = (told.last().unwrap(), told.last().unwrap().detail().value());
    assert_eq!((event.outcome(), &detail["delegate"]), (Some("account"), &json!(OTHER)));
    assert_eq!(detail["code_hash"], Value::Null, "it has none of its own");
}
