//! DMM Bitcoin's two transactions prove themselves: ids, sizes, fees, addresses, all eighteen signatures.

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1};
use bitcoin::sighash::SighashCache;
use bitcoin::{Address, Network, PublicKey, Script, Transaction, TxOut, ecdsa};
use keywatch_store::Event;

use super::builder::DMM_BITCOIN;
use super::{approvals_follow_decisions, committed};

const WALLET: &str = "3P8MfdM4pULv7ozdQvfwAqNF29zAjmnUYD";
const GENUINE: &str = "1B6rJ6ZKfZmkqMyBGe5KR27oWkEbQdNM7P";
const IMITATION: &str = "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P";
const THEFT: &str = "975ec405ac9dc9fa5ab8009d94d6a1fe31dff8a8127ea90d023104e52754e4d7";
const FUNDING: &str = "c03acb80562302248f8be621e765315345a85cd3856bf49583e97b0428342908";
/// What the one input of the funding transaction was worth, satoshi.
const FUNDING_INPUT_SAT: u64 = 470_301_946_745;

fn transaction(name: &str) -> Transaction {
    deserialize_hex(DMM_BITCOIN.read(&format!("sources/{name}-transaction.hex")).trim()).unwrap()
}

fn address_of(output: &TxOut) -> String {
    Address::from_script(&output.script_pubkey, Network::Bitcoin).unwrap().to_string()
}

/// The outputs of the funding transaction that the theft spends, in the order of its inputs.
fn spent(theft: &Transaction, funding: &Transaction) -> Vec<TxOut> {
    let id = funding.compute_txid();
    let output = |input: &bitcoin::TxIn| {
        assert_eq!(input.previous_output.txid, id);
        funding.output[input.previous_output.vout as usize].clone()
    };
    theft.input.iter().map(output).collect()
}

fn node_tx(tx: &str) -> Event {
    committed(&DMM_BITCOIN).into_iter().find(|event| event.kind() == "chain.tx" && event.tx() == Some(tx)).unwrap()
}

#[test]
fn the_theft_is_told_as_its_bytes_say_it() {
    let (theft, funding) = (transaction("theft"), transaction("funding"));
    assert_eq!((theft.compute_txid().to_string(), funding.compute_txid().to_string()), (THEFT.into(), FUNDING.into()));
    assert_eq!((theft.total_size(), theft.vsize(), theft.input.len(), theft.output.len()), (3006, 1298, 9, 1));
    let spent = spent(&theft, &funding);
    assert!(spent.iter().all(|output| address_of(output) == WALLET));
    let inputs_sat: u64 = spent.iter().map(|output| output.value.to_sat()).sum();
    let fee_sat = inputs_sat - theft.output[0].value.to_sat();
    assert_eq!((inputs_sat, fee_sat, fee_sat / theft.vsize() as u64), (450_300_000_000, 10_000_000, 7704));
    let told = node_tx(THEFT);
    let detail = told.detail().value();
    assert_eq!(told.amount().unwrap().to_string(), theft.output[0].value.to_sat().to_string());
    assert_eq!((told.to_address(), address_of(&theft.output[0]).as_str()), (Some(IMITATION), IMITATION));
    assert_eq!(detail["fee"], fee_sat.to_string());
    for (name, number) in
        [("fee_rate", 7704), ("vsize", 1298), ("size", 3006), ("inputs", 9), ("outputs", 1), ("change_outputs", 0)]
    {
        assert_eq!(detail[name], number, "{name}");
    }
}

#[test]
fn the_funding_before_it_paid_a_79th_of_the_fee_and_had_change() {
    let funding = transaction("funding");
    let fee_sat = FUNDING_INPUT_SAT - funding.output.iter().map(|output| output.value.to_sat()).sum::<u64>();
    assert_eq!((fee_sat, fee_sat / funding.vsize() as u64, 10_000_000 / fee_sat), (126_700, 100, 78));
    let to_wallet: u64 =
        funding.output.iter().filter(|output| address_of(output) == WALLET).map(|output| output.value.to_sat()).sum();
    let told = node_tx(FUNDING);
    assert_eq!(told.amount().unwrap().to_string(), to_wallet.to_string());
    assert_eq!(told.from_address(), Some(address_of(&funding.output[0]).as_str()), "change goes back");
    let detail = told.detail().value();
    assert_eq!((&detail["fee"], &detail["fee_rate"]), (&"126700".into(), &100.into()));
}

/// BIP-143: every input carries two signatures of the three keys, which the script of the wallet's address demands.
#[test]
fn all_eighteen_signatures_are_valid_so_the_signer_saw_nothing_wrong() {
    let (theft, funding) = (transaction("theft"), transaction("funding"));
    let secp = Secp256k1::verification_only();
    let mut cache = SighashCache::new(&theft);
    let mut valid = 0;
    for (index, (input, output)) in theft.input.iter().zip(spent(&theft, &funding)).enumerate() {
        let script = Script::from_bytes(input.witness.last().unwrap());
        assert_eq!(Address::p2shwsh(script, Network::Bitcoin).to_string(), WALLET);
        // OP_2, three times a push of 33 bytes, OP_3, OP_CHECKMULTISIG.
        let keys: Vec<PublicKey> =
            (0..3).map(|key| PublicKey::from_slice(&script.as_bytes()[2 + 34 * key..35 + 34 * key]).unwrap()).collect();
        for signature in [&input.witness[1], &input.witness[2]] {
            let signature = ecdsa::Signature::from_slice(signature).unwrap();
            let hash = cache.p2wsh_signature_hash(index, script, output.value, signature.sighash_type).unwrap();
            let message = Message::from_digest(hash.to_byte_array());
            valid +=
                keys.iter().filter(|key| secp.verify_ecdsa(&message, &signature.signature, &key.inner).is_ok()).count();
        }
    }
    assert_eq!(valid, 18);
}

/// Only two characters at the end and five at the beginning are the same; the rest is not meant to be read.
#[test]
fn the_two_destinations_are_real_addresses_that_look_alike() {
    for address in [GENUINE, IMITATION, WALLET] {
        address.parse::<Address<_>>().unwrap().require_network(Network::Bitcoin).unwrap();
    }
    assert_eq!(GENUINE[..5], IMITATION[..5]);
    assert_eq!(GENUINE[32..], IMITATION[32..]);
    assert_ne!(GENUINE[5..6], IMITATION[5..6]);
}

#[test]
fn ordinary_withdrawals_spend_no_more_than_the_ten_bitcoin_coins() {
    let ordinary: Vec<Event> = committed(&DMM_BITCOIN)
        .into_iter()
        .filter(|event| event.kind() == "chain.tx" && event.wallet() == Some(WALLET) && event.tx() != Some(THEFT))
        .collect();
    let coins: u64 = ordinary.iter().map(|event| event.detail().value()["inputs"].as_u64().unwrap()).sum();
    assert_eq!((ordinary.len(), coins), (14, 20));
    for event in ordinary {
        let detail = event.detail().value();
        let sat: u64 = event.amount().unwrap().to_string().parse().unwrap();
        let fee: u64 = detail["fee"].as_str().unwrap().parse().unwrap();
        assert!(sat + fee < detail["inputs"].as_u64().unwrap() * 1_000_000_000, "change is left");
        assert_eq!(fee / detail["vsize"].as_u64().unwrap(), detail["fee_rate"].as_u64().unwrap());
        assert_eq!((event.to_address(), &detail["change_outputs"]), (Some(GENUINE), &1.into()));
    }
}

#[test]
fn every_approval_was_allowed_for_the_genuine_destination() {
    approvals_follow_decisions(&DMM_BITCOIN, &[]);
    let decisions = committed(&DMM_BITCOIN).into_iter().filter(|event| event.kind() == "decision");
    assert!(decisions.into_iter().all(|event| event.to_address() == Some(GENUINE)));
}
