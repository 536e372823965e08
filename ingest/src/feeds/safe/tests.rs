//! On the real records of the wallet that was emptied on 2025-02-21: nonces 59 to 70 and both of nonce 71.

use alloy::primitives::{B256, hex, keccak256};
use keywatch_store::{EventId, Inventory, event::Origin};

use super::*;
use crate::Problem;

const PAGE: &str = include_str!("../../../../replay-data/2025-02-bybit/sources/safe-transaction-service.json");
const SHOWN: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";
const EXECUTED: &str = "0xb3476d061aeb8fc1d605a873c483a2402d88a68a9cdd1a8b47655dd55ba004f8";
const WALLET: &str = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";

/// Owners and, in the same order, whom their signatures recover to over the shown proposal.
const OWNERS: [&str; 3] = [
    "0x1f4eb0a903619ac168b19a82f1a6e2e426522211",
    "0x3cc3a225769900e003e264dd4cb43e90896bc21a",
    "0xe3df2cceac61b1afa311372ecc5b40a3a6585a9e",
];
const STRANGERS: [&str; 3] = [
    "0x9ed84723885128072e4eebe53d2c71cac23ceb01",
    "0x4f9f84fe95f3248c61491717a54a0aea5eeba344",
    "0xa85a24ee415d3ace4873e147ae1b7b1a349ac919",
];

fn inventory(chain: &str, version: &str) -> Inventory {
    let text = format!(
        "[[systems]]\nid = \"cold\"\n[[systems.wallets]]\nwallet = \"{WALLET}\"\nchain = \"{chain}\"\ncontract_version = \"{version}\""
    );
    Inventory::parse("inventory.toml", &text).unwrap()
}

fn read_with(inventory: Option<&Inventory>, body: &str) -> Reading {
    let origin = Origin { system: "cold".into(), source: "safe-transaction-service".into() };
    Safe.read(&Context { origin: &origin, inventory }, body.as_bytes())
}

fn read(body: &str) -> Reading {
    read_with(Some(&inventory("ethereum", "1.1.1")), body)
}

fn events(record: &Value) -> Vec<Event> {
    let reading = read(&record.to_string());
    assert_eq!(reading.rejects, []);
    reading.events
}

fn records() -> Vec<Value> {
    let page: Value = serde_json::from_str(PAGE).unwrap();
    page["results"].as_array().unwrap().clone()
}

fn record(hash: &str) -> Value {
    records().into_iter().find(|record| record["safeTxHash"] == hash).unwrap()
}

fn by_nonce(nonce: i64) -> Value {
    records().into_iter().find(|record| record["nonce"] == nonce).unwrap()
}

fn outcomes<'a>(events: &'a [Event], kind: &str) -> Vec<&'a str> {
    events.iter().filter(|event| event.kind() == kind).map(|event| event.outcome().unwrap()).collect()
}

fn of_kind<'a>(events: &'a [Event], kind: &str) -> &'a Event {
    events.iter().find(|event| event.kind() == kind).unwrap()
}

#[test]
fn every_hash_recomputes_and_the_history_verifies() {
    let reading = read(PAGE);
    assert_eq!((reading.rejects.len(), reading.records), (0, 14));
    assert_eq!(outcomes(&reading.events, "signing.requested"), ["verified"; 14]);
    let history: Vec<Event> =
        reading.events.into_iter().filter(|event| !matches!(event.request(), Some(SHOWN | EXECUTED))).collect();
    let approved = outcomes(&history, "signing.approved");
    assert_eq!(approved.iter().filter(|outcome| **outcome == "verified").count(), 30);
    assert_eq!(approved.iter().filter(|outcome| **outcome == "unverifiable").count(), 6);
    assert_eq!(approved.len(), 36);
    for event in history.iter().filter(|event| event.outcome() == Some("unverifiable")) {
        assert_eq!(event.detail().value()["signature_type"], "APPROVED_HASH");
        assert!(event.reason().unwrap().contains("only the chain"));
    }
    assert_eq!(outcomes(&history, "signing.signed"), ["success"; 12]);
    assert_eq!(outcomes(&history, "chain.tx"), ["success"; 12]);
}

#[test]
fn the_signatures_of_nonce_71_are_the_owners_only_for_what_was_executed() {
    for (hash, outcome, recovered) in [(EXECUTED, "verified", OWNERS), (SHOWN, "mismatch", STRANGERS)] {
        let events = events(&record(hash));
        assert_eq!(outcomes(&events, "signing.approved"), [outcome; 3]);
        for (owner, signer) in OWNERS.into_iter().zip(recovered) {
            let event =
                events.iter().find(|event| event.kind() == "signing.approved" && event.actor() == Some(owner)).unwrap();
            let detail = event.detail().value();
            assert_eq!((&detail["signer_claimed"], &detail["signer_recovered"]), (&json!(owner), &json!(signer)));
            assert_eq!((&detail["hash_filed"], &detail["hash_recomputed"]), (&json!(hash), &json!(hash)));
            assert_eq!(detail["signature_type"], "ETH_SIGN");
            assert_eq!(event.reason().is_some(), outcome == "mismatch");
        }
    }
    let first = &events(&record(SHOWN))[1];
    assert_eq!(first.event_time().to_string(), "2025-02-21T05:42:40.788469Z");
    assert_eq!((first.to_address(), first.asset()), (Some("0x88a1493366d48225fc3cefbdae9ebb23e323ade3"), Some("ETH")));
    assert_eq!(first.amount().unwrap().to_string(), "30000000000000000000000");
}

#[test]
fn an_execution_is_told_as_a_signature_and_a_transaction() {
    let events = events(&record(EXECUTED));
    let kinds: Vec<&str> = events.iter().map(keywatch_store::Event::kind).collect();
    let approved = "signing.approved";
    assert_eq!(kinds, ["signing.requested", approved, approved, approved, "signing.signed", "chain.tx"]);
    let requested = &events[0];
    assert_eq!(requested.actor(), None);
    let source = "safe-transaction-service";
    for (index, id) in [
        (0, format!("requested/{EXECUTED}")),
        (4, format!("signed/{EXECUTED}")),
        (5, "tx/0x46deef0f52e3a983b67abf4714448a41dd7ffd6d32d32da69d62081c68ad7882".to_owned()),
    ] {
        assert_eq!(events[index].event_id(), EventId::derive("cold", source, &id));
    }
    let (signed, transaction) = (&events[4], &events[5]);
    for event in [signed, transaction] {
        assert_eq!(event.actor(), Some("0x0fa09c3a328792253f8dee7116848723b72a6d2e"));
        assert_eq!(event.tx(), Some("0x46deef0f52e3a983b67abf4714448a41dd7ffd6d32d32da69d62081c68ad7882"));
        assert_eq!(event.wallet(), Some(WALLET));
        assert_eq!(event.chain(), Some("ethereum"));
        // Delegated to, not called: the transfer that the call data shows moves nothing.
        assert_eq!(event.to_address(), Some("0x96221423681a6d52e184d440a8efcebb105c7242"));
        assert_eq!(event.detail().value()["operation"], 1);
        assert_eq!(event.detail().value()["call"]["args"]["to"], "0xbdd077f651ebe7f7b3ce16fe5f2b025be2969516");
    }
    assert_eq!(transaction.from_address(), Some(WALLET));
    assert_eq!(transaction.detail().value()["block"], 21_895_238);
    assert_eq!(signed.detail().value()["signers"].as_array().unwrap().len(), 3);
}

#[test]
fn calls_are_decoded_and_a_token_transfer_names_its_recipient() {
    let token = events(&by_nonce(67));
    let signed = of_kind(&token, "signing.signed");
    assert_eq!(signed.asset(), Some("mETH"));
    assert_eq!(signed.to_address(), Some("0xf89d7b9c864f589bbf53a82105107622b35eaa40"));
    assert_eq!(signed.amount().unwrap().to_string(), "5000000000000000000000");
    assert_eq!(signed.detail().value()["to"], "0xd5f7838f5c461feff7fe49ea5ebaf7728bb0adfa");
    let removal = events(&by_nonce(60));
    let call = &of_kind(&removal, "signing.requested").detail().value()["call"];
    assert_eq!((&call["name"], &call["args"]["threshold"]), (&json!("removeOwner"), &json!("3")));
    let addition = events(&by_nonce(59));
    assert_eq!(of_kind(&addition, "chain.tx").detail().value()["call"]["name"], "addOwnerWithThreshold");
}

#[test]
fn an_earlier_revision_gives_the_same_events_and_no_others() {
    for record in records() {
        let mut earlier = record.clone();
        for name in
            ["executionDate", "executor", "transactionHash", "blockNumber", "isSuccessful", "confirmationsRequired"]
        {
            earlier[name] = Value::Null;
        }
        earlier["isExecuted"] = json!(false);
        earlier["trusted"] = json!(false);
        earlier["modified"] = json!("2020-01-01T00:00:00Z");
        earlier["confirmations"].as_array_mut().unwrap().truncate(1);
        let later = events(&record);
        let earlier = events(&earlier);
        assert_eq!(earlier.len(), 2);
        assert!(earlier.iter().all(|event| later.contains(event)));
    }
}

#[test]
fn every_field_that_is_signed_is_checked() {
    for (name, value) in [
        ("to", json!("0x96221423681A6d52E184D440a8eFCEbB105C7242")),
        ("value", json!("30000000000000000000001")),
        ("data", json!("0x00")),
        ("operation", json!(1)),
        ("safeTxGas", json!(45746)),
        ("baseGas", json!(1)),
        ("gasPrice", json!("1")),
        ("gasToken", json!(WALLET)),
        ("refundReceiver", json!(WALLET)),
        ("nonce", json!(72)),
        ("safe", json!("0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF5")),
    ] {
        let mut altered = record(SHOWN);
        altered[name] = value;
        let requested = events(&altered).remove(0);
        assert_eq!(requested.outcome(), Some("mismatch"), "{name}");
        let detail = requested.detail().value();
        assert_ne!(detail["hash_filed"], detail["hash_recomputed"], "{name}");
        assert!(requested.reason().is_some());
    }
}

#[test]
fn what_is_sent_along_with_a_tokens_transfer_is_what_leaves() {
    let mut sent = by_nonce(67);
    sent["value"] = json!("7");
    let requested = events(&sent).remove(0);
    assert_eq!((requested.asset(), requested.amount().unwrap().to_string()), (Some("ETH"), "7".to_owned()));
    assert_eq!(requested.to_address(), Some("0xd5f7838f5c461feff7fe49ea5ebaf7728bb0adfa"), "not whom the call names");
}

#[test]
fn what_the_wallet_pays_back_to_whoever_executes_is_told() {
    let said = |record: &Value| -> Vec<Value> {
        events(record).iter().take(2).map(|event| event.detail().value()["gas_price"].clone()).collect()
    };
    let mut paying = record(SHOWN);
    assert_eq!(said(&paying), [Value::Null, Value::Null]);
    paying["gasPrice"] = json!("1000000000000");
    assert_eq!(said(&paying), [json!("1000000000000"), json!("1000000000000")]);
}

#[test]
fn numbers_may_be_numbers_or_text_and_zero_addresses_null() {
    let told = events(&record(SHOWN));
    let mut other = record(SHOWN);
    for name in ["operation", "safeTxGas", "baseGas", "nonce"] {
        other[name] = json!(other[name].to_string());
    }
    other["gasToken"] = Value::Null;
    let text = other.to_string().replace(r#""30000000000000000000000""#, "30000000000000000000000");
    assert_eq!(read(&text).events, told);
}

#[test]
fn the_inventory_says_which_hash_is_right() {
    let text = record(SHOWN).to_string();
    let requested = |inventory: Option<&Inventory>| read_with(inventory, &text).events.remove(0);
    for (chain, version, outcome, said) in [
        ("ethereum", "1.1.1", "verified", ""),
        ("ethereum", "", "verified", ""),
        ("somewhere", "1.1.1", "verified", ""),
        ("ethereum", "1.3.0+L2", "mismatch", "only under 1.0.0 to before 1.3.0"),
        ("ethereum", "0.1.0", "mismatch", "only under 1.0.0 to before 1.3.0"),
        ("somewhere", "1.3.0", "unverifiable", "`somewhere` is not known"),
        ("somewhere", "", "unverifiable", "`somewhere` is not known"),
        ("ethereum", "0.0.2", "unverifiable", "before 0.1.0"),
    ] {
        let event = requested(Some(&inventory(chain, version)));
        assert_eq!(event.outcome(), Some(outcome), "{chain} {version}");
        assert!(event.reason().unwrap_or_default().contains(said), "{chain} {version}");
        assert_eq!(event.chain(), Some(chain));
    }
    let undeclared = requested(None);
    assert_eq!((undeclared.outcome(), undeclared.chain()), (Some("verified"), Some("ethereum")));
    assert_eq!(undeclared.detail().value()["hash_scheme"], "1.0.0 to before 1.3.0");
}

/// The hash as the contract's source computes it, word by word, with nothing of the library but keccak.
fn hash_by_hand(record: &Record, type_hash: &str, chain_id: Option<u64>) -> B256 {
    let word = |number: U256| number.to_be_bytes::<32>();
    let address = |address: Address| address.into_word().0;
    let fields = [
        hex::decode_to_array::<_, 32>(type_hash).unwrap(),
        address(record.to),
        word(record.value),
        keccak256(&record.data).0,
        word(U256::from(record.operation)),
        word(record.safe_tx_gas),
        word(record.base_gas),
        word(record.gas_price),
        address(record.gas_token),
        address(record.refund_receiver),
        word(record.nonce),
    ];
    let domain = match chain_id {
        None => {
            let kind = "0x035aff83d86937d35b32e04f0ddc6ff469290eef2f1b692d8a815c89404d4749";
            [hex::decode(kind).unwrap(), address(record.safe).to_vec()].concat()
        }
        Some(id) => {
            let kind = "0x47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218";
            [hex::decode(kind).unwrap(), word(U256::from(id)).to_vec(), address(record.safe).to_vec()].concat()
        }
    };
    let parts = [&[0x19, 0x01], keccak256(domain).as_slice(), keccak256(fields.concat()).as_slice()].concat();
    keccak256(parts)
}

#[test]
fn each_version_hashes_as_its_contract_does() {
    let base_gas = "0xbb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8";
    let data_gas = "0x14d461bc7412367e924637b363c7bf29b8f47e2f84869f4426e5633d8af47b20";
    for (type_hash, chain_id, chain, versions) in [
        (base_gas, None, "ethereum", ["1.0.0", "1.1.1", "1.2.0"]),
        (base_gas, Some(1), "ethereum", ["1.3.0", "1.4.1", "1.5.0"]),
        (base_gas, Some(8453), "base", ["1.3.0", "1.4.1", "2.0.0"]),
        (data_gas, None, "ethereum", ["0.1.0", "0.1.0", "0.1.0"]),
    ] {
        let mut value = by_nonce(67);
        let hash = hash_by_hand(&Record::read(&Fields::of(&value).unwrap()).unwrap(), type_hash, chain_id);
        value["safeTxHash"] = json!(format!("{hash:#x}"));
        for version in versions {
            let inventory = inventory(chain, version);
            let event = read_with(Some(&inventory), &value.to_string()).events.remove(0);
            assert_eq!(event.outcome(), Some("verified"), "{chain} {version}");
        }
        let undeclared = read_with(None, &value.to_string()).events.remove(0);
        assert_eq!((undeclared.outcome(), undeclared.chain()), (Some("verified"), Some(chain)));
    }
}

#[test]
fn a_confirmation_is_judged_by_its_bytes() {
    let signature = record(EXECUTED)["confirmations"][0]["signature"].as_str().unwrap().to_owned();
    let with_v = |v: &str| format!("{}{v}", &signature[..signature.len() - 2]);
    let names_owner = format!("0x{:0>64}{:0>64}", &OWNERS[0][2..], "");
    let names_other = format!("0x{:0>64}{:0>64}", &OWNERS[1][2..], "");
    for (filed, kind, outcome) in [
        (json!(signature), "ETH_SIGN", "verified"),
        (json!(with_v("20")), "ETH_SIGN", "mismatch"),
        (json!(with_v("1b")), "EOA", "mismatch"),
        (json!(with_v("1d")), "UNKNOWN", "mismatch"),
        (json!(format!("{names_owner}01")), "APPROVED_HASH", "unverifiable"),
        (json!(format!("{names_other}01")), "APPROVED_HASH", "mismatch"),
        (json!(format!("{names_owner}00{names_owner}").replace("000x", "00")), "CONTRACT_SIGNATURE", "unverifiable"),
        (json!(format!("{names_other}00")), "CONTRACT_SIGNATURE", "mismatch"),
        (json!(format!("0x{}1b", "00".repeat(64))), "EOA", "mismatch"),
        (json!(format!("0x{}1b", "ff".repeat(64))), "EOA", "mismatch"),
        (json!("0x"), "UNKNOWN", "mismatch"),
        (json!("0x1234"), "UNKNOWN", "mismatch"),
        (Value::Null, "NONE", "unverifiable"),
    ] {
        let mut altered = record(EXECUTED);
        altered["confirmations"][0]["signature"] = filed.clone();
        let events = events(&altered);
        let approved =
            events.iter().find(|event| event.kind() == "signing.approved" && event.actor() == Some(OWNERS[0])).unwrap();
        assert_eq!(approved.outcome(), Some(outcome), "{filed}");
        assert_eq!(approved.detail().value()["signature_type"], kind, "{filed}");
        assert_eq!(approved.reason().is_some(), outcome != "verified", "{filed}");
    }
}

#[test]
fn an_unlimited_allowance_is_told_exactly_and_moves_nothing_on_the_chain() {
    let mut allowing = by_nonce(67);
    let spender = &EXECUTED[2..42];
    allowing["data"] = json!(format!("0x095ea7b3{spender:0>64}{}", "f".repeat(64)));
    let events = events(&allowing);
    let requested = of_kind(&events, "signing.requested");
    assert_eq!(requested.amount().unwrap().to_string(), U256::MAX.to_string());
    assert_eq!(requested.detail().value()["amount_exact"], U256::MAX.to_string());
    assert_eq!(requested.asset(), Some("mETH"));
    let line = keywatch_store::line::write(requested);
    assert_eq!(keywatch_store::line::read(line.as_bytes()).unwrap(), *requested);
    let transaction = of_kind(&events, "chain.tx");
    assert_eq!((transaction.amount().unwrap().saturated(), transaction.asset()), (0, Some("ETH")));
}

#[test]
fn what_is_missing_or_wrong_is_named_and_costs_no_other_record() {
    let word_and_one = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
    let absent = json!("ABSENT");
    for (name, value, said) in [
        ("safe", absent.clone(), "missing"),
        ("safe", json!("0x12"), "not an address"),
        ("to", Value::Null, "missing"),
        ("value", json!(word_and_one), "256 bits"),
        ("value", json!(-1), "256 bits"),
        ("value", json!(1.5), "256 bits"),
        ("value", json!({"wei": 1}), "is an object"),
        ("data", json!("0xabc"), "hexadecimal"),
        ("data", json!(7), "must be text"),
        ("operation", json!(3), "must be 0"),
        ("operation", absent.clone(), "missing"),
        ("baseGas", absent.clone(), "missing"),
        ("gasToken", absent.clone(), "missing"),
        ("nonce", absent.clone(), "missing"),
        ("safeTxHash", json!("0x1234"), "32-byte hash"),
        ("submissionDate", json!("yesterday"), "RFC 3339"),
        ("isExecuted", absent.clone(), "missing"),
        ("isExecuted", json!("yes"), "true or false"),
        ("transactionHash", Value::Null, "missing"),
        ("executionDate", Value::Null, "missing"),
        ("isSuccessful", Value::Null, "missing"),
        ("blockNumber", json!("1e3"), "64-bit"),
        ("confirmations", json!({}), "must be an array"),
        ("confirmations", json!([{"owner": OWNERS[0]}]), "missing"),
        ("confirmations", json!(vec![0; 300]), "at most 256"),
        ("txType", json!("SOMETHING"), "must be MULTISIG_TRANSACTION, MODULE"),
    ] {
        let mut broken = record(EXECUTED);
        if value == absent {
            broken.as_object_mut().unwrap().remove(name);
        } else {
            broken[name] = value.clone();
        }
        let reading = read(&json!([broken, record(SHOWN)]).to_string());
        assert_eq!((reading.rejects.len(), reading.events.len(), reading.records), (1, 4, 2), "{name} = {value}");
        let reject = &reading.rejects[0];
        assert!(reject.field.starts_with(name) && reject.reason.contains(said), "{name} = {value}: {reject:?}");
    }
    let nested = Problem::new("confirmations.0.submissionDate", "is missing");
    let mut broken = record(EXECUTED);
    broken["confirmations"][0].as_object_mut().unwrap().remove("submissionDate");
    let reject = read(&broken.to_string()).rejects.remove(0);
    assert_eq!((reject.field, reject.reason), (nested.field, nested.reason));
}

#[test]
fn a_record_a_list_lines_and_the_services_page_are_the_same() {
    let lines = records().iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let list = Value::from(records()).to_string();
    let whole = read(PAGE);
    assert_eq!(read(&lines).events, whole.events);
    assert_eq!(read(&list).events, whole.events);
    assert_eq!(read(&lines).records, 14);
}

/// One page of the list of all transactions: what a module did, and what a stranger sent.
fn all_transactions() -> Value {
    json!({"count": 2, "next": null, "results": [
        {
            "txType": "MODULE_TRANSACTION", "executionDate": "2025-03-02T10:00:00Z", "blockNumber": 5, "isSuccessful": true,
            "transactionHash": format!("0x{}", "ab".repeat(32)), "safe": WALLET, "module": STRANGERS[0], "to": STRANGERS[1],
            "value": "1000000000000000000", "data": null, "operation": 0, "moduleTransactionId": "iab0,0", "transfers": [],
        },
        {
            "txType": "ETHEREUM_TRANSACTION", "executionDate": "2025-03-02T09:00:00Z", "to": WALLET, "data": null, "blockNumber": 4,
            "txHash": format!("0x{}", "ef".repeat(32)), "from": STRANGERS[2],
            "transfers": [
                {
                    "type": "ETHER_TRANSFER", "executionDate": "2025-03-02T09:00:00Z", "blockNumber": 4, "from": STRANGERS[2],
                    "transactionHash": format!("0x{}", "ef".repeat(32)), "to": WALLET, "value": "59592030000000000",
                    "tokenId": null, "tokenAddress": null, "transferId": "ief0",
                },
                {
                    "type": "ERC721_TRANSFER", "executionDate": "2025-03-02T09:00:00Z", "blockNumber": 4, "from": WALLET,
                    "transactionHash": format!("0x{}", "ef".repeat(32)), "to": STRANGERS[2], "value": null,
                    "tokenId": "77", "tokenAddress": STRANGERS[0], "transferId": "eef1",
                },
            ],
        },
    ]})
}

#[test]
fn a_module_that_acts_is_an_event_of_its_own() {
    let reading = read(&all_transactions().to_string());
    assert_eq!((reading.records, reading.rejects.len(), reading.events.len()), (2, 0, 3));
    let event = reading.events.iter().find(|event| event.kind() == "chain.module_tx").unwrap();
    assert_eq!((event.actor(), event.wallet(), event.outcome()), (Some(STRANGERS[0]), Some(WALLET), Some("success")));
    assert_eq!((event.to_address(), event.asset()), (Some(STRANGERS[1]), Some("ETH")));
    assert_eq!(event.amount().unwrap().to_string(), "1000000000000000000");
    assert_eq!(event.detail().value()["module"], STRANGERS[0]);
}

#[test]
fn what_came_and_what_left_are_transfers_as_the_wallet_sees_them() {
    let reading = read(&all_transactions().to_string());
    let transfers: Vec<&Event> = reading.events.iter().filter(|event| event.kind() == "chain.transfer").collect();
    let told = |event: &Event| {
        let detail = event.detail().value();
        (
            detail["direction"].clone(),
            event.asset().unwrap().to_owned(),
            event.amount().unwrap().to_string(),
            detail["token_id"].clone(),
        )
    };
    assert_eq!(told(transfers[0]), (json!("in"), "ETH".to_owned(), "59592030000000000".to_owned(), Value::Null));
    assert_eq!(told(transfers[1]), (json!("out"), STRANGERS[0].to_owned(), "1".to_owned(), json!("77")));
    assert!(transfers.iter().all(|event| event.wallet() == Some(WALLET) && event.chain() == Some("ethereum")));
}
