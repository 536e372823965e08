//! Bybit's records prove themselves: hashes, signatures, the calldata and the transaction of the takeover.

use alloy::primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use alloy::rlp::{Encodable, Header};
use alloy::sol;
use alloy::sol_types::SolCall;
use keywatch_store::Event;
use serde_json::Value;

use super::builder::BYBIT;
use super::{approvals_follow_decisions, committed};

const SHOWN: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";
const EXECUTED: &str = "0xb3476d061aeb8fc1d605a873c483a2402d88a68a9cdd1a8b47655dd55ba004f8";
const TAKEOVER: &str = "0x46deef0f52e3a983b67abf4714448a41dd7ffd6d32d32da69d62081c68ad7882";

sol! {
    #[allow(missing_docs, clippy::too_many_arguments)]
    function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas,
        uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures) external;
}

fn of_kind(kind: &str) -> Vec<Event> {
    committed(&BYBIT).into_iter().filter(|event| event.kind() == kind).collect()
}

#[test]
fn every_hash_recomputes_from_the_fields_it_is_filed_with() {
    let requested = of_kind("signing.requested");
    assert_eq!(requested.len(), 14, "nonces 59 to 70, and two requests with nonce 71");
    for event in requested {
        let detail = event.detail().value();
        assert_eq!(detail["hash_filed"], detail["hash_recomputed"]);
        assert_eq!(detail["hash_filed"].as_str(), event.request());
        assert_eq!(event.outcome(), Some("verified"));
    }
}

#[test]
fn only_the_three_confirmations_of_the_shown_request_do_not_fit() {
    let approved = of_kind("signing.approved");
    let with = |outcome: &str| approved.iter().filter(|event| event.outcome() == Some(outcome)).collect::<Vec<_>>();
    assert_eq!((with("verified").len(), with("unverifiable").len()), (30 + 3, 6));
    for event in with("unverifiable") {
        assert_eq!(event.detail().value()["signature_type"], "APPROVED_HASH");
    }
    let strangers: Vec<(Option<String>, String, String)> = with("mismatch")
        .iter()
        .map(|event| {
            let recovered = event.detail().value()["signer_recovered"].as_str().unwrap().to_lowercase();
            (event.request().map(str::to_owned), event.time().to_string(), recovered)
        })
        .collect();
    let expected = [
        ("2025-02-21T05:42:40.788469Z", "0x9ed84723885128072e4eebe53d2c71cac23ceb01"),
        ("2025-02-21T13:44:22.889083Z", "0xa85a24ee415d3ace4873e147ae1b7b1a349ac919"),
        ("2025-02-21T14:11:40.728213Z", "0x4f9f84fe95f3248c61491717a54a0aea5eeba344"),
    ];
    assert_eq!(
        strangers,
        expected.map(|(time, stranger)| (Some(SHOWN.to_owned()), time.to_owned(), stranger.to_owned()))
    );
}

#[test]
fn what_was_executed_is_a_delegatecall_by_a_stranger_with_the_signatures_of_the_owners() {
    let signed = of_kind("signing.signed");
    let delegated: Vec<&Event> = signed.iter().filter(|event| event.detail().value()["operation"] == 1).collect();
    assert_eq!((signed.len(), delegated.len()), (13, 1));
    assert_eq!((delegated[0].request(), delegated[0].tx()), (Some(EXECUTED), Some(TAKEOVER)));
    assert_eq!(
        delegated[0].time().unix_seconds(),
        "2025-02-21T14:13:35Z".parse::<keywatch_store::Instant>().unwrap().unix_seconds()
    );
}

#[test]
fn every_confirmation_was_allowed_and_the_executed_request_was_never_asked_about() {
    approvals_follow_decisions(&BYBIT, &[EXECUTED]);
}

fn takeover() -> Value {
    serde_json::from_str(&BYBIT.read("sources/takeover-transaction.json")).unwrap()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is no text"))
}

fn word(value: &Value, name: &str) -> U256 {
    match &value[name] {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_u64().map(U256::from).unwrap(),
    }
}

/// RLP of a legacy transaction (EIP-155) with the given last three fields.
fn rlp_of(transaction: &Value, last: [U256; 3]) -> Vec<u8> {
    let mut payload = Vec::new();
    for name in ["nonce", "gasPrice", "gasLimit"] {
        word(transaction, name).encode(&mut payload);
    }
    text(transaction, "to").parse::<Address>().unwrap().encode(&mut payload);
    word(transaction, "value").encode(&mut payload);
    text(transaction, "input").parse::<Bytes>().unwrap().encode(&mut payload);
    for field in last {
        field.encode(&mut payload);
    }
    let mut out = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    out.extend(payload);
    out
}

#[test]
fn the_signed_transaction_of_the_takeover_hashes_and_recovers_to_what_is_told() {
    let transaction = takeover();
    let (r, s, v) = (word(&transaction, "r"), word(&transaction, "s"), word(&transaction, "v"));
    let signed = rlp_of(&transaction, [v, r, s]);
    assert_eq!(signed.len(), 814);
    assert_eq!(keccak256(&signed), TAKEOVER.parse::<B256>().unwrap());
    let chain = U256::from(1);
    assert!(v == U256::from(37) || v == U256::from(38), "EIP-155 with chain id 1");
    let prehash = keccak256(rlp_of(&transaction, [chain, U256::ZERO, U256::ZERO]));
    let sender = Signature::new(r, s, v == U256::from(38)).recover_address_from_prehash(&prehash).unwrap();
    assert_eq!(sender, text(&transaction, "from").parse::<Address>().unwrap());
}

#[test]
fn the_calldata_of_the_takeover_encodes_again_from_the_record_of_the_service() {
    let service: Value = serde_json::from_str(&BYBIT.read("sources/safe-transaction-service.json")).unwrap();
    let records = service["results"].as_array().unwrap();
    let record = records.iter().find(|record| record["safeTxHash"] == EXECUTED).unwrap();
    let call = execTransactionCall {
        to: text(record, "to").parse().unwrap(),
        value: word(record, "value"),
        data: text(record, "data").parse().unwrap(),
        operation: 1,
        safeTxGas: word(record, "safeTxGas"),
        baseGas: word(record, "baseGas"),
        gasPrice: word(record, "gasPrice"),
        gasToken: text(record, "gasToken").parse().unwrap(),
        refundReceiver: text(record, "refundReceiver").parse().unwrap(),
        signatures: text(record, "signatures").parse().unwrap(),
    };
    assert_eq!(Bytes::from(call.abi_encode()), text(&takeover(), "input").parse::<Bytes>().unwrap());
}
