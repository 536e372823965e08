//! Blocks as nodes answer them, and what is told of them.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;
use keywatch_store::event::Origin;
use keywatch_store::inventory::{System, Wallet};
use keywatch_store::{Event, line};
use serde_json::{Value, json};

use super::call::abi;
use super::state::{Looked, State, bounded, slots};
use super::tokens::Held;
use super::{Block, Decoder, Network, ReadBlock, Receipt, Trace, Watched};
use crate::limits::WALLETS_COMPARED_MAX;

mod assets;
mod destinations;
mod permissions;
mod poisoning;

const WALLET: &str = "0x1111111111111111111111111111111111111111";
const SAFE: &str = "0x2222222222222222222222222222222222222222";
const OTHER: &str = "0x9999999999999999999999999999999999999999";
const USDT: &str = "0xdac17f958d2ee523a2206206994597c13d831ec7";
const TRANSFER: &str = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";
const WETH: &str = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2";
const DEPOSIT: &str = "0xe1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c";
const WITHDRAWAL: &str = "0x7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65";
const APPROVAL: &str = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925";
const EXECUTION_SUCCESS: &str = "0x442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e";
const EXECUTION_FROM_MODULE_SUCCESS: &str = "0x6895c13664aa4f67288b25d7a21d7aaa34916e355fb9b6fae0a139a9085becb8";
const ADDED_OWNER: &str = "0x9465fa0c962cc76958e6373a993326400c1c94f8be2fe3a952adfa7f60b2ea26";
const CHANGED_THRESHOLD: &str = "0x610f7ff2b304ae8903c3de74c60c6ab1f7d6226b3f52c5161905bb5ad4039c93";
const ENABLED_MODULE: &str = "0xecdf3a3effea5783a3c4c2140e677577666428d44ed9d474a0b3a4c9943f8440";

fn word(address: &str) -> String {
    format!("0x{:0>64}", &address[2..])
}

fn number(value: u64) -> String {
    format!("0x{value:064x}")
}

fn hash(number: u64) -> String {
    format!("0x{number:064x}")
}

/// A transaction beside its receipt.
fn transaction(
    number: u64,
    from: &str,
    to: &str,
    value: u64,
    input: &[u8],
    status: u64,
    logs: &Value,
) -> (Value, Value) {
    let hash = hash(0xaa00 + number);
    let input = alloy::primitives::hex::encode_prefixed(input);
    let sent =
        json!({"hash": hash, "from": from, "to": to, "value": format!("{value:#x}"), "input": input, "nonce": "0x7"});
    let receipt = json!({
        "transactionHash": hash, "blockHash": self::hash(0xb1), "status": format!("{status:#x}"), "gasUsed": "0x5208",
        "effectiveGasPrice": "0x77359400", "logs": logs, "contractAddress": null,
    });
    (sent, receipt)
}

fn log(number: u64, address: &str, topics: &[&str], data: &str) -> Value {
    json!({"address": address, "topics": topics, "data": data, "logIndex": format!("{number:#x}"), "removed": false})
}

fn read(parts: Vec<(Value, Value)>, traces: Option<Value>) -> ReadBlock {
    let (transactions, receipts): (Vec<Value>, Vec<Value>) = parts.into_iter().unzip();
    let block = json!({
        "hash": hash(0xb1), "parentHash": hash(0xb0), "number": "0x10", "timestamp": "0x67b80000",
        "receiptsRoot": hash(1), "transactions": transactions,
    });
    let block: Block = serde_json::from_str(&block.to_string()).unwrap();
    let receipts: Vec<Receipt> = serde_json::from_str(&Value::from(receipts).to_string()).unwrap();
    let traces: Option<Vec<Trace>> = traces.map(|traces| serde_json::from_str(&traces.to_string()).unwrap());
    ReadBlock::new(block, receipts, traces).unwrap()
}

fn told(read: &ReadBlock, epoch: u64) -> Vec<Event> {
    let wallet = |wallet: &str, technology: &str| Wallet {
        wallet: wallet.into(),
        chain: "ethereum".into(),
        technology: technology.into(),
        ..Wallet::default()
    };
    let system = System { wallets: vec![wallet(WALLET, ""), wallet(SAFE, "safe")], ..System::default() };
    let (watched, unreadable) = Watched::of(&system, "ethereum");
    assert!(unreadable.is_empty());
    let network = Network { name: "ethereum".into(), id: 1, asset: "ETH".into() };
    let origin = Origin { system: "cold".into(), source: "node".into() };
    Decoder { origin: &origin, network: &network, watched: &watched }.block(read, epoch)
}

/// What matters of each event, in one line.
fn shown(events: &[Event]) -> Vec<String> {
    let one = |event: &Event| {
        let detail = event.detail().value();
        let texts = [
            Some(event.kind()),
            event.wallet(),
            event.outcome(),
            detail["direction"].as_str(),
            event.asset(),
            event.from_address(),
            event.to_address(),
        ];
        let texts: Vec<&str> = texts
            .into_iter()
            .flatten()
            .map(|text| text.get(..6).filter(|_| text.len() == 42).unwrap_or(text))
            .collect();
        let amount = event.amount().map(|amount| format!(" {}", amount.saturated())).unwrap_or_default();
        format!("{}{amount}", texts.join(" "))
    };
    events.iter().map(one).collect()
}

#[test]
fn what_a_watched_account_sends_is_its_transaction_and_what_moves_has_two_sides() {
    let events = told(&read(vec![transaction(1, WALLET, SAFE, 5, &[], 1, &json!([]))], None), 0);
    assert_eq!(
        shown(&events),
        [
            "chain.tx 0x1111 success ETH 0x1111 0x2222 5",
            "chain.transfer 0x1111 success out ETH 0x1111 0x2222 5",
            "chain.transfer 0x2222 success in ETH 0x1111 0x2222 5",
        ]
    );
    let detail = events[0].detail().value();
    assert_eq!(
        (&detail["nonce"], &detail["block"], &detail["fee_rate"]),
        (&json!(7), &json!(16), &json!(2_000_000_000))
    );
    assert_eq!(detail["fee"], json!("42000000000000"));
    assert_eq!(events[0].event_time().to_string(), "2025-02-21T04:24:32Z");
}

#[test]
fn beside_the_price_of_a_transaction_stands_what_its_block_asked_of_everybody() {
    let mut block = read(vec![transaction(1, WALLET, SAFE, 5, &[], 1, &json!([]))], None);
    assert!(told(&block, 0)[0].detail().value().get("base_fee").is_none(), "the chain has none");
    block.block.base_fee_per_gas = Some(U256::from(1_900_000_000_u64));
    let events = told(&block, 0);
    let detail = events[0].detail().value();
    assert_eq!((&detail["base_fee"], &detail["fee_rate"]), (&json!(1_900_000_000), &json!(2_000_000_000)));
    assert!(events[1].detail().value().get("base_fee").is_none(), "a transfer pays nothing");
}

#[test]
fn a_transaction_that_failed_moves_nothing() {
    let events = told(&read(vec![transaction(1, WALLET, OTHER, 5, &[], 0, &json!([]))], None), 0);
    assert_eq!(shown(&events), ["chain.tx 0x1111 failed ETH 0x1111 0x9999 5"]);
}

#[test]
fn strangers_leave_no_trace() {
    let logs = json!([log(0, USDT, &[TRANSFER, &word(OTHER), &word(USDT)], &number(5))]);
    assert!(told(&read(vec![transaction(1, OTHER, USDT, 5, &[1, 2, 3, 4], 1, &logs)], None), 0).is_empty());
}

#[test]
fn a_token_is_told_by_its_log_and_by_its_call() {
    let to: Address = OTHER.parse().unwrap();
    let input = abi::Known::transferCall { to, value: U256::from(9) }.abi_encode();
    let logs = json!([log(3, USDT, &[TRANSFER, &word(WALLET), &word(OTHER)], &number(8))]);
    let events = told(&read(vec![transaction(1, WALLET, USDT, 0, &input, 1, &logs)], None), 0);
    assert_eq!(
        shown(&events),
        ["chain.tx 0x1111 success USDT 0x1111 0x9999 9", "chain.transfer 0x1111 success out USDT 0x1111 0x9999 8",],
        "a token that takes a fee asked for 9 moves 8"
    );
    let events = told(&read(vec![transaction(1, WALLET, USDT, 5, &input, 1, &json!([]))], None), 0);
    assert_eq!(shown(&events)[0], "chain.tx 0x1111 success ETH 0x1111 0xdac1 5", "no token takes what is sent along");
}

#[test]
fn a_token_may_go_to_its_own_contract_and_only_one_known_contract_wraps() {
    let said = |token: &str| {
        let logs = json!([
            log(1, token, &[DEPOSIT, &word(WALLET)], &number(5)),
            log(2, token, &[TRANSFER, &word(WALLET), &word(token)], &number(3)),
            log(3, token, &[WITHDRAWAL, &word(WALLET)], &number(2)),
        ]);
        shown(&told(&read(vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs)], None), 0))
    };
    assert_eq!(said(USDT), ["chain.transfer 0x1111 success out USDT 0x1111 0xdac1 3"]);
    assert_eq!(
        said(WETH),
        [
            "chain.transfer 0x1111 success in WETH 0xc02a 0x1111 5",
            "chain.transfer 0x1111 success out WETH 0x1111 0xc02a 3",
            "chain.transfer 0x1111 success out WETH 0x1111 0xc02a 2",
        ]
    );
}

#[test]
fn a_token_with_ids_moves_one_and_says_which() {
    let logs = json!([log(3, OTHER, &[TRANSFER, &word(WALLET), &word(SAFE), &number(77)], "0x")]);
    let events = told(&read(vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs)], None), 0);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].amount().unwrap().saturated(), 1);
    assert_eq!(events[0].detail().value()["token_id"], json!("77"));
}

#[test]
fn an_allowance_without_limit_is_seen_in_the_log_of_the_token() {
    let logs = |units: &str| json!([log(0, USDT, &[APPROVAL, &word(WALLET), &word(OTHER)], units)]);
    let unlimited = format!("0x{}", "f".repeat(64));
    let events = told(&read(vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs(&unlimited))], None), 0);
    assert_eq!(events.len(), 1, "a permit that somebody else sent: {:?}", shown(&events));
    assert_eq!((events[0].kind(), events[0].outcome()), ("chain.approval", Some("granted")));
    assert_eq!(events[0].detail().value()["unlimited_spender"], json!(OTHER));
    let events = told(&read(vec![transaction(1, OTHER, OTHER, 0, &[1], 1, &logs(&number(0)))], None), 0);
    assert_eq!(events[0].outcome(), Some("revoked"));
}

fn exec(to: &str, value: u64, data: Vec<u8>, operation: u8) -> Vec<u8> {
    abi::Known::execTransactionCall {
        to: to.parse().unwrap(),
        value: U256::from(value),
        data: data.into(),
        operation,
        safeTxGas: U256::ZERO,
        baseGas: U256::ZERO,
        gasPrice: U256::ZERO,
        gasToken: Address::ZERO,
        refundReceiver: Address::ZERO,
        signatures: Vec::new().into(),
    }
    .abi_encode()
}

#[test]
fn a_safe_executes_under_the_hash_that_its_owners_signed() {
    let input = exec(OTHER, 3, vec![1, 2, 3, 4], 1);
    let logs = json!([log(0, SAFE, &[EXECUTION_SUCCESS], &format!("{}{}", hash(0x5afe), "0".repeat(64)))]);
    let events = told(&read(vec![transaction(1, OTHER, SAFE, 0, &input, 1, &logs)], None), 0);
    assert_eq!(shown(&events), ["chain.tx 0x2222 success ETH 0x2222 0x9999 3"]);
    assert_eq!(events[0].request(), Some(hash(0x5afe).as_str()));
    assert_eq!(events[0].actor(), Some(OTHER), "who paid for the gas");
    assert_eq!(events[0].detail().value()["operation"], json!(1));
    let failed = told(&read(vec![transaction(1, OTHER, SAFE, 0, &input, 0, &json!([]))], None), 0);
    assert_eq!(shown(&failed), ["chain.tx 0x2222 failed ETH 0x2222 0x9999 3"]);
}

#[test]
fn a_safe_that_a_contract_made_execute_is_found_by_its_log_and_its_call() {
    let logs = json!([log(0, SAFE, &[EXECUTION_SUCCESS, &hash(0x5afe)], &number(0))]);
    let call = json!({"type": "CALL", "from": OTHER, "to": SAFE, "value": "0x0", "calls": [
        {"type": "CALL", "from": SAFE, "to": OTHER, "value": "0x3"}],
        "input": alloy::primitives::hex::encode_prefixed(exec(OTHER, 3, Vec::new(), 0))});
    let traces = json!([{"result": {"type": "CALL", "from": OTHER, "to": USDT, "value": "0x0", "calls": [call]}}]);
    let sent = transaction(1, OTHER, USDT, 0, &[9, 9, 9, 9], 1, &logs);
    let events = told(&read(vec![sent.clone()], None), 0);
    assert_eq!(shown(&events), ["chain.tx 0x2222 success 0x2222"], "without traces it is known that, not what");
    let events = told(&read(vec![sent], Some(traces)), 0);
    assert_eq!(
        shown(&events),
        ["chain.tx 0x2222 success ETH 0x2222 0x9999 3", "chain.transfer 0x2222 success out ETH 0x2222 0x9999 3"]
    );
    assert_eq!(events[1].detail().value()["call_depth"], json!(2));
}

#[test]
fn a_module_acts_without_its_owners() {
    let call = abi::Known::execTransactionFromModuleCall {
        to: OTHER.parse().unwrap(),
        value: U256::from(4),
        data: Vec::new().into(),
        operation: 0,
    };
    let logs = json!([log(0, SAFE, &[EXECUTION_FROM_MODULE_SUCCESS, &word(WALLET)], "0x")]);
    let events = told(&read(vec![transaction(1, WALLET, SAFE, 0, &call.abi_encode(), 1, &logs)], None), 0);
    assert_eq!(events[1].kind(), "chain.module_tx");
    assert_eq!(events[1].detail().value()["module"], json!(WALLET));
    assert_eq!(events[1].amount().unwrap().saturated(), 4);
}

#[test]
fn who_controls_a_wallet_is_heard_from_the_wallet_itself_only() {
    let logs = |address: &str| {
        json!([
            log(0, address, &[ADDED_OWNER], &word(OTHER)),
            log(1, address, &[ADDED_OWNER, &word(OTHER)], "0x"),
            log(2, address, &[CHANGED_THRESHOLD], &number(1)),
            log(3, address, &[ENABLED_MODULE], &word(OTHER)),
        ])
    };
    let sent = |address: &str| vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs(address))];
    let events = told(&read(sent(SAFE), None), 0);
    let changes: Vec<(Value, Value)> = events
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            (detail["change"].clone(), detail["after"].clone())
        })
        .collect();
    let expected = [("owner_added", OTHER), ("owner_added", OTHER), ("threshold", "1"), ("module", OTHER)];
    assert_eq!(changes, expected.map(|(change, after)| (json!(change), json!(after))));
    assert!(told(&read(sent(USDT), None), 0).is_empty());
}

/// A Safe before and after a block, with one slot changed.
fn looked(change: &str, before: &str, after: &str) -> Looked {
    let state = |value: &str| State {
        values: slots(true)
            .map(|slot| {
                if slot.change == change && slot.slot != slots(true).next().unwrap().slot {
                    value.parse().unwrap()
                } else {
                    B256::ZERO
                }
            })
            .collect(),
        code: B256::ZERO,
        delegate: None,
        balance: U256::ZERO,
    };
    Looked { wallet: SAFE.parse().unwrap(), before: state(before), after: state(after) }
}

#[test]
fn a_stranger_makes_no_account_say_what_only_a_safe_does() {
    let call = exec(OTHER, 5, vec![], 0);
    assert!(told(&read(vec![transaction(1, OTHER, WALLET, 0, &call, 1, &json!([]))], None), 0).is_empty());
    assert_eq!(told(&read(vec![transaction(1, OTHER, SAFE, 0, &call, 1, &json!([]))], None), 0).len(), 1);
}

#[test]
fn a_slot_that_was_written_without_a_log_is_told() {
    let mut block =
        read(vec![transaction(1, OTHER, SAFE, 0, &exec(OTHER, 0, vec![1, 2, 3, 4], 1), 1, &json!([]))], None);
    block.looked = vec![looked("implementation", &word(USDT), &word(OTHER))];
    let events = told(&block, 0);
    assert_eq!(events.len(), 2);
    let detail = events[1].detail().value();
    assert_eq!((events[1].kind(), events[1].tx()), ("chain.contract", None));
    assert_eq!(detail["slot"], json!(number(0)));
    assert_eq!((&detail["before"], &detail["after"]), (&json!(USDT), &json!(OTHER)));
}

#[test]
fn what_a_log_told_is_not_told_again_from_its_slot() {
    let logs = json!([log(2, SAFE, &[CHANGED_THRESHOLD], &number(1)), log(3, SAFE, &[ENABLED_MODULE], &word(OTHER))]);
    let mut block = read(vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs)], None);
    block.looked = vec![looked("threshold", &number(2), &number(1)), looked("module", &word("0x01"), &word(OTHER))];
    assert_eq!(told(&block, 0).len(), 2);
    block.looked = vec![looked("threshold", &number(2), &number(0))];
    assert_eq!(told(&block, 0).len(), 3, "the log said one thing and the slot another");
}

#[test]
fn value_that_moved_without_a_known_call_is_what_the_balance_has_left_over() {
    let sides = |before: u64, after: u64| {
        let mut looked = looked("", "", "");
        (looked.before.balance, looked.after.balance) = (U256::from(before), U256::from(after));
        looked
    };
    let mut block = read(vec![transaction(1, OTHER, SAFE, 5, &[], 1, &json!([]))], None);
    block.looked = vec![sides(100, 105)];
    assert_eq!(told(&block, 0).len(), 1, "the transfer explains it");
    block.looked = vec![sides(100, 40)];
    let events = told(&block, 0);
    assert_eq!((events[1].kind(), events[1].outcome()), ("chain.balance", Some("unexplained")));
    assert_eq!(events[1].amount().unwrap().saturated(), 65);
    assert_eq!(events[1].detail().value()["direction"], json!("out"));
    // Who sends pays the fee, also of what fails.
    let mut block = read(vec![transaction(1, WALLET, OTHER, 5, &[], 0, &json!([]))], None);
    block.looked = vec![Looked { wallet: WALLET.parse().unwrap(), ..sides(42_000_000_000_007, 7) }];
    block.looked[0].before.values.truncate(3);
    block.looked[0].after.values.truncate(3);
    assert_eq!(told(&block, 0).len(), 1);
}

#[test]
fn two_wallets_that_a_block_changed_in_silence_are_two_of_each() {
    let mut block = read(vec![transaction(1, OTHER, OTHER, 0, &[], 1, &json!([]))], None);
    let mut swept = looked("implementation", &word(USDT), &word(OTHER));
    swept.before.balance = U256::from(100);
    block.looked = [SAFE, WALLET].map(|wallet| Looked { wallet: wallet.parse().unwrap(), ..swept.clone() }).into();
    block.held = [SAFE, WALLET]
        .map(|wallet| Held {
            wallet: wallet.parse().unwrap(),
            token: USDT.parse().unwrap(),
            before: U256::from(7),
            after: U256::ZERO,
        })
        .into();
    let events = told(&block, 0);
    let ids: BTreeSet<String> = events.iter().map(|event| event.event_id().to_string()).collect();
    // Of an account that is no Safe no slot of a Safe is told.
    assert_eq!((ids.len(), events.len()), (5, 5), "{events:?}");
}

#[test]
fn a_token_that_moved_otherwise_than_it_says_is_what_the_balance_has_left_over() {
    let logs = json!([log(3, USDT, &[TRANSFER, &word(OTHER), &word(WALLET)], &number(100))]);
    let held = |before: u64, after: u64| Held {
        wallet: WALLET.parse().unwrap(),
        token: USDT.parse().unwrap(),
        before: U256::from(before),
        after: U256::from(after),
    };
    let mut block = read(vec![transaction(1, OTHER, USDT, 0, &[1, 2, 3, 4], 1, &logs)], None);
    block.held = vec![held(7, 107)];
    assert_eq!(told(&block, 0).len(), 1, "the transfer explains it");
    // It takes a fee, and says that everything arrived.
    block.held = vec![held(7, 105)];
    let events = told(&block, 0);
    assert_eq!(shown(&events)[1], "chain.balance 0x1111 unexplained out USDT 2");
    let detail = events[1].detail().value();
    assert_eq!((&detail["token"], &detail["before"], &detail["after"]), (&json!(USDT), &json!("7"), &json!("105")));
    // It rebases, and says nothing; the one balance is not the other's matter.
    let mut block = read(Vec::new(), None);
    block.held = vec![held(7, 9), Held { token: WETH.parse().unwrap(), ..held(7, 7) }];
    assert_eq!(shown(&told(&block, 0)), ["chain.balance 0x1111 unexplained in USDT 2"]);
}

#[test]
fn what_could_not_be_read_is_said() {
    let mut block = read(Vec::new(), None);
    block.asked.fails("storage", "missing trie node".into());
    let events = told(&block, 0);
    assert_eq!((events[0].kind(), events[0].outcome()), ("source.status", Some("degraded")));
    assert!(events[0].reason().unwrap().contains("block 16 could not be read: missing trie node"));
}

#[test]
fn of_too_many_wallets_those_that_acted_are_compared() {
    let crowd: Vec<Address> =
        (0..WALLETS_COMPARED_MAX + 9).map(|number| Address::from_word(U256::from(number + 1).into())).collect();
    let last = *crowd.last().unwrap();
    let block = read(vec![transaction(1, &format!("{last:#x}"), OTHER, 5, &[], 1, &json!([]))], None);
    let (kept, left_out) = bounded(&block.block, &block.receipts, crowd);
    assert_eq!((kept.len(), left_out, kept.contains(&last)), (WALLETS_COMPARED_MAX, 9, true));
}

#[test]
fn a_block_that_comes_back_gives_new_events_and_the_same_block_the_same() {
    let block = read(vec![transaction(1, WALLET, OTHER, 5, &[], 1, &json!([]))], None);
    assert_eq!(told(&block, 0), told(&block, 0));
    let ids = |epoch| told(&block, epoch).iter().map(Event::event_id).collect::<Vec<_>>();
    assert!(ids(0).iter().all(|id| !ids(1).contains(id)));
}

#[test]
fn parts_of_different_blocks_are_refused() {
    let (sent, mut receipt) = transaction(1, WALLET, OTHER, 5, &[], 1, &json!([]));
    let good = read(vec![(sent.clone(), receipt.clone())], None);
    assert!(
        ReadBlock::new(good.block.clone(), Vec::new(), None).unwrap_err().contains("1 transactions, and 0 receipts")
    );
    receipt["blockHash"] = json!(hash(0xb2));
    let other: Vec<Receipt> = serde_json::from_str(&json!([receipt]).to_string()).unwrap();
    assert!(ReadBlock::new(good.block.clone(), other, None).unwrap_err().contains("the receipt of"));
    assert!(ReadBlock::new(good.block, good.receipts, Some(Vec::new())).unwrap_err().contains("0 traces"));
}

#[test]
fn everything_told_can_be_read_back() {
    let unlimited = format!("0x{}", "f".repeat(64));
    let logs = json!([log(0, USDT, &[APPROVAL, &word(WALLET), &word(OTHER)], &unlimited)]);
    for event in told(&read(vec![transaction(1, WALLET, USDT, 1, &[9, 9, 9, 9], 1, &logs)], None), 3) {
        assert_eq!(line::read(line::write(&event).as_bytes()).unwrap(), event);
    }
}
