//! What strangers have written into a wallet's history, so that their address is taken for another.

use super::*;

/// A transfer that USDT tells of, out of the wallet.
fn out(units: u64) -> Value {
    json!([log(0, USDT, &[TRANSFER, &word(WALLET), &word(OTHER)], &number(units))])
}

/// What is said of the transfers of a transaction: which side, how much, and whether the wallet had no part in it.
fn said(sender: &str, called: &str, input: &[u8], logs: &Value) -> Vec<(String, i128, Value)> {
    let events = told(&read(vec![transaction(1, sender, called, 0, input, 1, logs)], None), 0);
    let transfers = events.iter().filter(|event| event.kind() == "chain.transfer");
    let one = |event: &Event| {
        let detail = event.detail().value();
        let direction = detail["direction"].as_str().unwrap().to_owned();
        (direction, event.amount().unwrap().saturated(), detail["unsigned"].clone())
    };
    transfers.map(one).collect()
}

#[test]
fn a_transfer_of_nothing_that_the_wallet_did_not_send_is_marked() {
    let call = [0x23, 0xb8, 0x72, 0xdd];
    assert_eq!(said(OTHER, USDT, &call, &out(0)), [("out".to_owned(), 0, json!(true))]);
    assert_eq!(said(WALLET, USDT, &call, &out(0)), [("out".to_owned(), 0, Value::Null)], "its own");
    assert_eq!(said(OTHER, USDT, &call, &out(5)), [("out".to_owned(), 5, Value::Null)], "a theft by an allowance");
}

#[test]
fn a_transfer_of_nothing_that_a_safe_executed_is_its_own() {
    let of_safe = |executed: bool| {
        let transfer = log(0, USDT, &[TRANSFER, &word(SAFE), &word(OTHER)], &number(0));
        let success = log(1, SAFE, &[EXECUTION_SUCCESS], &format!("{}{}", hash(7), "0".repeat(64)));
        if executed { json!([transfer, success]) } else { json!([transfer]) }
    };
    let call = [0x01, 0x02, 0x03, 0x04];
    assert_eq!(said(OTHER, SAFE, &call, &of_safe(true)), [("out".to_owned(), 0, Value::Null)]);
    assert_eq!(said(OTHER, USDT, &call, &of_safe(false)), [("out".to_owned(), 0, json!(true))]);
}

#[test]
fn a_transaction_of_nothing_to_a_wallet_is_told_as_what_it_is() {
    let none = json!([]);
    assert_eq!(said(OTHER, WALLET, &[], &none), [("in".to_owned(), 0, Value::Null)]);
    assert!(said(OTHER, WALLET, &[1, 2, 3, 4], &none).is_empty(), "a call");
    assert!(said(WALLET, WALLET, &[], &none).is_empty(), "so that a number is taken, by the wallet itself");
    assert!(said(SAFE, WALLET, &[], &none).is_empty(), "between wallets");
}

#[test]
fn who_is_no_module_and_asks_as_one_is_marked() {
    let call = abi::Known::execTransactionFromModuleCall {
        to: OTHER.parse().unwrap(),
        value: U256::from(4),
        data: Vec::new().into(),
        operation: 0,
    };
    let asked = |status: u64| {
        let sent = transaction(1, OTHER, SAFE, 0, &call.abi_encode(), status, &json!([]));
        let events = told(&read(vec![sent], None), 0);
        let act = events.iter().find(|event| event.kind() == "chain.module_tx").unwrap();
        (act.outcome().map(str::to_owned), act.detail().value()["reverted"].clone())
    };
    assert_eq!(asked(0), (Some("failed".to_owned()), json!(true)));
    assert_eq!(asked(1), (Some("success".to_owned()), Value::Null));
}
