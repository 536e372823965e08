//! What wallets let others do: take tokens through Permit2, and run code as themselves.

use keywatch_store::Instant;

use super::*;
use crate::chain::evm::rpc::Transaction;

const PERMIT2: &str = "0x000000000022d473030f116ddee9f6b43ac78ba3";
const PERMIT2_APPROVAL: &str = "0xda9fa7c1b00402c17d0161b249b1ab8bbec047c5a52207b9c112deffd817036b";
const PERMIT2_PERMIT: &str = "0xc6a377bfc4eb120024a8ac08eef205be16b817020812c73223e81d1bdb9708ec";
const PERMIT2_LOCKDOWN: &str = "0x89b1add15eff56b3dfe299ad94e01f2b52fbcb80ae1a3baea6ae8c04cb2b98a4";

fn words(words: &[&str]) -> String {
    let digits: Vec<&str> = words.iter().map(|word| word.trim_start_matches("0x")).collect();
    format!("0x{}", digits.concat())
}

#[test]
fn an_allowance_through_permit2_is_told_by_that_contract_only() {
    let everything = format!("0x{:0>64}", "f".repeat(40));
    let said = |contract: &str, owner: &str| {
        let topics = |signature| [signature, word(owner), word(USDT), word(OTHER)];
        let (approval, permit) = (topics(PERMIT2_APPROVAL.to_owned()), topics(PERMIT2_PERMIT.to_owned()));
        let logs = json!([
            log(0, contract, &approval.each_ref().map(String::as_str), &words(&[&number(5), &number(1_800_000_000)])),
            log(1, contract, &permit.each_ref().map(String::as_str), &words(&[&everything, &number(7), &number(0)])),
            log(2, contract, &[PERMIT2_LOCKDOWN, &word(owner)], &words(&[&word(USDT), &word(OTHER)])),
        ]);
        told(&read(vec![transaction(1, OTHER, OTHER, 0, &[1, 2, 3, 4], 1, &logs)], None), 0)
    };
    let events = said(PERMIT2, WALLET);
    assert_eq!(
        shown(&events),
        [
            "chain.approval 0x1111 granted USDT 0x1111 0x9999 5".to_owned(),
            format!("chain.approval 0x1111 granted USDT 0x1111 0x9999 {}", events[1].amount().unwrap().saturated()),
            "chain.approval 0x1111 revoked USDT 0x1111 0x9999 0".to_owned(),
        ]
    );
    let details: Vec<Value> = events.iter().map(|event| event.detail().value()).collect();
    let of = |name: &str| details.iter().map(|detail| detail[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("expires_at"), [json!(1_800_000_000), json!(7), Value::Null]);
    assert_eq!(of("unlimited_spender"), [Value::Null, json!(OTHER), Value::Null]);
    assert!(of("through").iter().all(|through| *through == json!(PERMIT2)));
    assert!(said(OTHER, WALLET).is_empty() && said(PERMIT2, OTHER).is_empty());
}

/// The account of the key 1, and its word that the code at `0x9999…` runs as itself, for chain 1 and its number 5.
const ACCOUNT: &str = "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf";

fn authorized(chain_id: u64) -> Value {
    json!([{
        "chainId": format!("{chain_id:#x}"), "address": OTHER, "nonce": "0x5", "yParity": "0x0",
        "r": "0xd47644539acec3da5e3ecf5fe8863c628a9c97e8b71e9ea9167a6f4f83c03c32",
        "s": "0x70a080d2b27c61d4cec876d5f331921ca474506b1d2afec274ccb54a2d9ed5c8",
    }])
}

fn told_of_account(read: &ReadBlock) -> Vec<(Option<String>, Value, Value)> {
    let wallet = Wallet { wallet: ACCOUNT.into(), chain: "ethereum".into(), ..Wallet::default() };
    let system = System { wallets: vec![wallet], ..System::default() };
    let watched = Watched::of(&system, "ethereum").0;
    let network = Network { name: "ethereum".into(), id: 1, asset: "ETH".into() };
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let events = Decoder { origin: &origin, network: &network, watched: &watched }.block(read, 0);
    let told = events.iter().map(|event| {
        let detail = event.detail().value();
        assert_eq!((event.kind(), event.wallet()), ("chain.contract", Some(ACCOUNT)));
        assert_eq!(detail["change"], json!("implementation"));
        (event.tx().map(str::to_owned), detail["before"].clone(), detail["after"].clone())
    });
    told.collect()
}

#[test]
fn an_account_that_lets_code_run_as_itself_has_another_implementation() {
    let block = |chain_id: u64| {
        // It fails, and what accounts signed holds all the same.
        let (mut sent, receipt) = transaction(1, SAFE, SAFE, 0, &[], 0, &json!([]));
        sent["authorizationList"] = authorized(chain_id);
        read(vec![(sent, receipt)], None)
    };
    let state = |delegate: Option<&str>| State {
        values: vec![B256::ZERO; 3],
        code: delegate.map_or(B256::ZERO, |_| B256::repeat_byte(1)),
        delegate: delegate.map(|to| to.parse().unwrap()),
        balance: U256::ZERO,
    };
    let looked =
        |before, after| Looked { wallet: ACCOUNT.parse().unwrap(), before: state(before), after: state(after) };
    let (tx, nobody) = (Some(hash(0xaa01)), json!("0x0000000000000000000000000000000000000000"));
    let mut read = block(1);
    assert_eq!(told_of_account(&read), [(tx.clone(), Value::Null, json!(OTHER))], "its code was not read");
    read.looked = vec![looked(None, Some(OTHER))];
    assert_eq!(told_of_account(&read), [(tx, nobody.clone(), json!(OTHER))], "and told once");
    read.looked = vec![looked(None, None)];
    assert!(told_of_account(&read).is_empty(), "the number was used up");
    // What no transaction of the block explains is read from the code.
    let mut other = self::read(Vec::new(), None);
    other.looked = vec![looked(Some(OTHER), None)];
    assert_eq!(told_of_account(&other), [(None, json!(OTHER), nobody)]);
    assert!(told_of_account(&block(2)).is_empty(), "of another chain, and by then of another signer");
}

#[test]
fn what_an_account_signed_is_told_while_it_waits_in_somebody_elses_transaction() {
    let wallet = Wallet { wallet: ACCOUNT.into(), chain: "ethereum".into(), ..Wallet::default() };
    let system = System { wallets: vec![wallet], ..System::default() };
    let watched = Watched::of(&system, "ethereum").0;
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let told = |network_id: u64, chain_id: u64| {
        let network = Network { name: "ethereum".into(), id: network_id, asset: "ETH".into() };
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let (mut sent, _) = transaction(1, SAFE, SAFE, 0, &[], 0, &json!([]));
        let said = authorized(chain_id);
        // Whoever carries it may write it as often as he likes.
        sent["authorizationList"] = json!([said[0], said[0], said[0]]);
        let sent: Transaction = serde_json::from_value(sent).unwrap();
        let delegations = decoder.delegating(&sent);
        assert_eq!(decoder.is_about_watched(&sent), !delegations.is_empty());
        let event = |one| decoder.will_delegate(&sent, one, Instant(5));
        (delegations.iter().map(|one| one.nonce).collect::<Vec<_>>(), delegations.iter().map(event).collect::<Vec<_>>())
    };
    let (numbers, events) = told(1, 1);
    assert_eq!((numbers, events.len()), (vec![5], 1));
    let event = &events[0];
    assert_eq!((event.kind(), event.wallet(), event.actor()), ("chain.contract", Some(ACCOUNT), Some(SAFE)));
    assert_eq!((event.outcome(), event.tx()), (Some("unconfirmed"), Some(hash(0xaa01).as_str())));
    assert_eq!(event.detail().value(), json!({"change": "implementation", "after": OTHER}));
    assert!(told(1, 2).1.is_empty(), "by another signer");
    assert!(told(2, 1).1.is_empty(), "for another chain");
}
