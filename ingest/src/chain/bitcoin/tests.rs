//! A real theft and its funding as their bytes are, and small blocks of our own.

use std::collections::BTreeMap;

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness, transaction,
};
use keywatch_store::event::Origin;
use keywatch_store::inventory::{System, Wallet};
use keywatch_store::{Event, Instant};
use serde_json::{Value, json};

use super::{Coins, Decoder, Heights, Place, Watched, balance};
use crate::chain::follow::ReadRef;
use crate::chain::holdings::{Difference, Held, Move};

const THEFT: &str = include_str!("../../../../replay-data/2024-05-dmm-bitcoin/sources/theft-transaction.hex");
const FUNDING: &str = include_str!("../../../../replay-data/2024-05-dmm-bitcoin/sources/funding-transaction.hex");
const ROBBED: &str = "3P8MfdM4pULv7ozdQvfwAqNF29zAjmnUYD";
const THIEF: &str = "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P";

fn transaction(hex: &str) -> Transaction {
    deserialize_hex(hex.trim()).unwrap()
}

fn watched(wallets: &[&str], network: Network) -> Watched {
    let wallet = |wallet: &&str| Wallet { wallet: (*wallet).into(), chain: "bitcoin".into(), ..Wallet::default() };
    let system = System { wallets: wallets.iter().map(wallet).collect(), ..System::default() };
    let (watched, unreadable) = Watched::of(&system, "bitcoin", network);
    assert_eq!(unreadable, Vec::<String>::new());
    watched
}

fn block(transactions: Vec<Transaction>) -> Block {
    let header = Header {
        version: Version::ONE,
        prev_blockhash: BlockHash::all_zeros(),
        merkle_root: TxMerkleNode::all_zeros(),
        time: 1_717_129_170,
        bits: CompactTarget::from_consensus(0x1d00_ffff),
        nonce: 0,
    };
    Block { header, txdata: transactions }
}

/// A node is believed, and may lie: of coins that are more than all there can be no sum is made.
#[test]
fn coins_beyond_all_sums_end_nothing() {
    let mut theft = transaction(THEFT);
    for output in &mut theft.output {
        output.value = Amount::from_sat(u64::MAX);
    }
    let script = watched_script();
    let coin = |input: &TxIn| {
        (input.previous_output, TxOut { value: Amount::from_sat(u64::MAX), script_pubkey: script.clone() })
    };
    let coins: Coins = theft.input.iter().map(coin).collect();
    assert!(coins.len() > 1, "two coins are more than a number holds");
    let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![theft], &coins);
    let spent = events.iter().find(|event| event.kind() == "chain.tx").unwrap();
    assert!(spent.detail().value().get("fee").is_none(), "{spent:?}");
}

fn watched_script() -> ScriptBuf {
    let robbed: bitcoin::Address<bitcoin::address::NetworkUnchecked> = ROBBED.parse().unwrap();
    robbed.assume_checked().script_pubkey()
}

fn told(watched: &Watched, transactions: Vec<Transaction>, coins: &Coins) -> Vec<Event> {
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched };
    for wanted in decoder.wanted(&transactions) {
        assert!(coins.contains_key(&wanted), "the test has to give the coin {wanted}");
    }
    let place = Place::Block { height: 9, hash: "ab".into(), epoch: 0 };
    let mut events = decoder.block(&block(transactions), &place, coins);
    // Each input of the theft has two; they have a test of their own.
    events.retain(|event| event.kind() != "chain.signature");
    events
}

#[test]
fn the_signatures_of_a_real_theft_are_told_and_each_has_a_nonce_of_its_own() {
    let (theft, funding) = (transaction(THEFT), transaction(FUNDING));
    let wallets = watched(&[ROBBED], Network::Bitcoin);
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &wallets };
    let place = Place::Block { height: 9, hash: "ab".into(), epoch: 0 };
    let coins = coins_of(&funding);
    let mut events = Vec::new();
    decoder.transaction(&theft, &place, Instant(1), &|at| coins.get(at).cloned(), &mut events);
    events.retain(|event| event.kind() == "chain.signature");
    let mut told: Vec<String> =
        events.iter().map(|event| event.detail().value()["r"].as_str().unwrap().to_owned()).collect();
    // Two of three owners signed each of nine inputs. The first one's `r` as its bytes have it.
    assert_eq!(
        (told.len(), told[0].as_str()),
        (18, "e3592b14c96e3eefdf8e3bea8343533ed3b1cfe55e2df4d4b0e62973f4a5b376")
    );
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), 18);
    let inputs: Vec<u64> = events.iter().filter_map(|event| event.detail().value()["input"].as_u64()).collect();
    assert_eq!(inputs, (0..9).flat_map(|input| [input, input]).collect::<Vec<u64>>());
    assert!(events.iter().all(|event| event.wallet() == Some(ROBBED)));
}

fn coins_of(transaction: &Transaction) -> Coins {
    let id = transaction.compute_txid();
    (0..).zip(&transaction.output).map(|(index, output)| (OutPoint::new(id, index), output.clone())).collect()
}

fn shown(events: &[Event]) -> Vec<(&str, &str, &str, i128)> {
    let one = |event: &Event| event.amount().unwrap().saturated();
    let shown = |event| (Event::kind(event), event.wallet().unwrap(), event.to_address().unwrap(), one(event));
    events.iter().map(shown).collect()
}

#[test]
fn a_real_theft_is_told_as_its_bytes_say_it() {
    let (theft, funding) = (transaction(THEFT), transaction(FUNDING));
    let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![theft], &coins_of(&funding));
    assert_eq!(
        shown(&events),
        [("chain.tx", ROBBED, THIEF, 450_290_000_000), ("chain.transfer", ROBBED, THIEF, 450_290_000_000)]
    );
    let detail = events[0].detail().value();
    for (name, value) in [("inputs", 9), ("outputs", 1), ("change_outputs", 0), ("fee_rate", 7704), ("vsize", 1298)] {
        assert_eq!(detail[name], json!(value), "{name}");
    }
    assert_eq!(detail["fee"], json!("10000000"));
    assert_eq!((events[0].asset(), events[0].outcome()), (Some("BTC"), Some("success")));
}

#[test]
fn what_is_received_in_many_outputs_adds_up() {
    let funding = transaction(FUNDING);
    let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![funding.clone()], &Coins::new());
    assert!(events.iter().all(|event| event.kind() == "chain.transfer" && event.detail().value()["direction"] == "in"));
    let received: i128 = events.iter().map(|event| event.amount().unwrap().saturated()).sum();
    assert_eq!(received, 470_300_000_000);
}

#[test]
fn a_coin_that_is_made_and_spent_in_one_block_is_known() {
    let (theft, funding) = (transaction(THEFT), transaction(FUNDING));
    let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![funding, theft], &Coins::new());
    let left = events.iter().filter(|event| event.kind() == "chain.tx").count();
    assert_eq!(left, 1);
}

#[test]
fn a_stranger_is_not_looked_up() {
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let other = watched(&["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"], Network::Bitcoin);
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &other };
    assert!(decoder.wanted(&[transaction(THEFT)]).is_empty());
    let robbed = watched(&[ROBBED], Network::Bitcoin);
    assert_eq!(Decoder { watched: &robbed, ..decoder }.wanted(&[transaction(THEFT)]).len(), 9);
}

/// A payment of one coin, with `change` back to where it came from.
fn payment(coin: &TxOut, input: TxIn, pays: u64, change: u64) -> Transaction {
    let output = |script: ScriptBuf, units| TxOut { value: Amount::from_sat(units), script_pubkey: script };
    let stranger = ScriptBuf::new_p2wsh(&ScriptBuf::new().wscript_hash());
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![output(stranger, pays), output(coin.script_pubkey.clone(), change)],
    }
}

#[test]
fn every_kind_of_address_is_recognised_by_what_its_input_reveals() {
    let key = hex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let script = vec![0x51];
    let witness = |items: &[&[u8]]| (Vec::new(), Witness::from_slice(items));
    let signature = [7_u8; 64];
    let push = |items: &[&[u8]]| -> Vec<u8> {
        items.iter().flat_map(|item| [&[u8::try_from(item.len()).unwrap()], *item].concat()).collect()
    };
    let program = [&[0_u8, 20][..], &hex("751e76e8199196d454941c45d1b3a323f1433bd6")].concat();
    let by_script =
        bitcoin::Address::p2wsh(bitcoin::Script::from_bytes(&script), bitcoin::KnownHrp::Mainnet).to_string();
    for (address, (script_sig, witness)) in [
        ("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH", (push(&[&signature, &key]), Witness::new())),
        // OP_DROP takes away again what stands behind the key.
        (
            "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
            ([push(&[&signature, &key, &[1, 2]]), vec![0x75]].concat(), Witness::new()),
        ),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", witness(&[&signature, &key])),
        ("3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN", (push(&[&program]), Witness::from_slice(&[&signature[..], &key]))),
        (by_script.as_str(), witness(&[&script])),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", witness(&[&signature])),
    ] {
        let wallets = watched(&[address], Network::Bitcoin);
        let coin = TxOut { value: Amount::from_sat(1000), script_pubkey: script_of(address) };
        let at = OutPoint::new(Txid::all_zeros(), 3);
        let input = TxIn {
            previous_output: at,
            script_sig: ScriptBuf::from_bytes(script_sig),
            sequence: Sequence::MAX,
            witness,
        };
        let spending = payment(&coin, input, 700, 200);
        let events = told(&wallets, vec![spending.clone()], &Coins::from([(at, coin)]));
        assert_eq!(events.len(), 2, "{address}");
        let detail = events[0].detail().value();
        assert_eq!((&detail["change_outputs"], &detail["fee"]), (&json!(1), &json!("100")), "{address}");
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &wallets };
        assert_eq!(decoder.wanted(&[spending]), [at], "{address}");
    }
}

#[test]
fn who_funded_a_real_wallet_is_what_the_input_shows() {
    let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![transaction(FUNDING)], &Coins::new());
    assert!(!events.is_empty());
    assert!(events.iter().all(|event| event.from_address() == Some("3Dhk8F6KYvMyqHN1r4kAT8t7SceK7yDjA4")));
}

#[test]
fn an_input_shows_who_pays_where_its_form_has_one_meaning() {
    let key = hex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
    let signature = [&[0x30, 0x45][..], &[7; 69]].concat();
    let push = |items: &[&[u8]]| -> Vec<u8> {
        items.iter().flat_map(|item| [&[u8::try_from(item.len()).unwrap()], *item].concat()).collect()
    };
    let program = [&[0_u8, 20][..], &hex("751e76e8199196d454941c45d1b3a323f1433bd6")].concat();
    let control = [&[0xc0_u8][..], &[9; 32]].concat();
    let paid = |script_sig: Vec<u8>, items: &[&[u8]]| {
        let mut paying = transaction(FUNDING);
        paying.input[0].script_sig = ScriptBuf::from_bytes(script_sig);
        paying.input[0].witness = Witness::from_slice(items);
        let events = told(&watched(&[ROBBED], Network::Bitcoin), vec![paying], &Coins::new());
        events[0].from_address().map(str::to_owned)
    };
    let shown = |address: &str| Some(address.to_owned());
    assert_eq!(paid(push(&[&signature, &key]), &[]), shown("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"));
    assert_eq!(paid(Vec::new(), &[&signature, &key]), shown("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"));
    assert_eq!(paid(push(&[&program]), &[&signature, &key]), shown("3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN"));
    assert_eq!(paid(push(&[&signature]), &[]), None, "a bare key");
    assert_eq!(paid(Vec::new(), &[&[7; 64]]), None, "a Taproot key");
    assert_eq!(paid(Vec::new(), &[&[0x51], &control]), None, "a Taproot script");
}

#[test]
fn what_waits_is_unconfirmed_and_is_told_anew_in_its_block() {
    let (theft, funding) = (transaction(THEFT), transaction(FUNDING));
    let robbed = watched(&[ROBBED], Network::Bitcoin);
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &robbed };
    let coins = coins_of(&funding);
    let mut waiting = Vec::new();
    decoder.transaction(&theft, &Place::Pool, Instant(1), &|at| coins.get(at).cloned(), &mut waiting);
    assert!(waiting.iter().all(|event| event.outcome() == Some("unconfirmed")));
    waiting.retain(|event| event.kind() != "chain.signature");
    let confirmed = told(&robbed, vec![theft], &coins);
    assert_eq!(waiting.len(), confirmed.len());
    assert!(waiting.iter().all(|event| confirmed.iter().all(|other| other.event_id() != event.event_id())));
}

fn hex(digits: &str) -> Vec<u8> {
    alloy::primitives::hex::decode(digits).unwrap()
}

fn script_of(address: &str) -> ScriptBuf {
    let address: bitcoin::Address<bitcoin::address::NetworkUnchecked> = address.parse().unwrap();
    address.require_network(Network::Bitcoin).unwrap().script_pubkey()
}

/// What a block at height 9 changes of what the robbed wallet holds; the coins that it spends are of block 4.
fn moves(transactions: Vec<Transaction>, coins: &Coins, heights: &Heights) -> Vec<Move> {
    let wallets = watched(&[ROBBED], Network::Bitcoin);
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &wallets };
    decoder.moves(&block(transactions), 9, coins, heights)
}

#[test]
fn a_real_theft_takes_from_what_is_held_what_its_funding_brought() {
    let (theft, funding) = (transaction(THEFT), transaction(FUNDING));
    let moved = |made: Option<u64>, units: i64| Move { wallet: ROBBED.to_owned(), made, units, coinbase: 0 };
    assert_eq!(moves(vec![funding.clone()], &Coins::new(), &Heights::new()), [moved(Some(9), 470_300_000_000)]);
    // Output and fee of the theft, which has no change.
    let (heights, coins) = (Heights::from([(funding.compute_txid(), 4)]), coins_of(&funding));
    assert_eq!(moves(vec![theft.clone()], &coins, &heights), [moved(Some(4), -450_300_000_000)]);
    assert_eq!(moves(vec![theft.clone()], &coins, &Heights::new()), [moved(None, -450_300_000_000)]);
    let both = moves(vec![funding, theft], &Coins::new(), &Heights::new());
    assert_eq!(both, [moved(Some(9), 20_000_000_000)]);
}

#[test]
fn what_a_block_pays_its_miner_is_told_apart() {
    let funding = transaction(FUNDING);
    let mut reward = funding.clone();
    reward.input.truncate(1);
    reward.input[0].previous_output = OutPoint::null();
    assert!(reward.is_coinbase());
    let made = |units: i64, coinbase| Move { wallet: ROBBED.to_owned(), made: Some(9), units, coinbase };
    let paid = 470_300_000_000;
    assert_eq!(moves(vec![reward.clone()], &Coins::new(), &Heights::new()), [made(paid, paid)]);
    let both = moves(vec![reward, funding], &Coins::new(), &Heights::new());
    assert_eq!(both, [made(2 * paid, paid)], "the other pays in the same block");
}

#[test]
fn what_is_held_and_what_a_node_lists_otherwise_is_told() {
    let wallets = watched(&[ROBBED], Network::Bitcoin);
    let origin = Origin { system: "cold".into(), source: "node".into() };
    let decoder = Decoder { origin: &origin, chain: "bitcoin", network: Network::Bitcoin, watched: &wallets };
    let at = ReadRef { height: 9, hash: "ab".to_owned(), epoch: 2 };
    let held = decoder.held(&at, ROBBED, &Held { since: 4, units: 700 }, 50, Instant(5));
    assert_eq!((held.kind(), held.outcome(), held.asset()), ("chain.balance", Some("held"), Some("BTC")));
    assert_eq!((held.wallet(), held.amount().unwrap().saturated()), (Some(ROBBED), 700));
    let place = json!({"after": "700", "immature": "50", "from_block": 4, "block": 9, "block_hash": "ab", "epoch": 2});
    assert_eq!(held.detail().value(), place);
    let difference = |listed| Difference { wallet: ROBBED.to_owned(), explained: 700, listed };
    let (less, more) = (difference(650), difference(701));
    let told = [less, more].map(|difference| decoder.differs(&at, &difference, Instant(5)));
    let said = told.each_ref().map(|event| {
        let detail = event.detail().value();
        let sides = ["direction", "before", "after"].map(|name| detail[name].as_str().unwrap().to_owned());
        (event.outcome().unwrap().to_owned(), event.amount().unwrap().saturated(), sides)
    });
    let unexplained = |units: i128, sides: [&str; 3]| ("unexplained".to_owned(), units, sides.map(str::to_owned));
    assert_eq!(said, [unexplained(50, ["out", "700", "650"]), unexplained(1, ["in", "700", "701"])]);
}

/// In the shape of Bitcoin Core 29 (`scantxoutset start`).
#[test]
fn coins_that_bitcoin_core_lists_are_summed_by_wallet_and_block() {
    let wallets = watched(&[ROBBED], Network::Bitcoin);
    let (script, other) = (watched_script().to_hex_string(), script_of(THIEF).to_hex_string());
    let unspent = |script: &str, amount: &str, height: u64| {
        format!(
            r#"{{"txid":"{}","vout":1,"scriptPubKey":"{script}","desc":"raw({script})#s3ssdknr","amount":{amount},
                 "coinbase":false,"height":{height},"blockhash":"{}","confirmations":3}}"#,
            "ab".repeat(32),
            "cd".repeat(32)
        )
    };
    let unspents = [
        unspent(&script, "0.00000546", 7),
        unspent(&script, "20.50000000", 7),
        unspent(&script, "0.00000001", 8).replace("\"coinbase\":false", "\"coinbase\":true"),
        unspent(&other, "1.00000000", 8),
    ];
    let answer = |success: bool| -> Value {
        let text = format!(
            r#"{{"success":{success},"txouts":180000000,"height":9,"bestblock":"ef","unspents":[{}],"total_amount":21.5}}"#,
            unspents.join(",")
        );
        serde_json::from_str(&text).unwrap()
    };
    let listed = balance::listed(&answer(true), &wallets).unwrap();
    assert_eq!((listed.height, listed.hash.as_str()), (9, "ef"));
    let units = BTreeMap::from([(ROBBED.to_owned(), BTreeMap::from([(7, 2_050_000_546), (8, 1)]))]);
    assert_eq!(listed.units, units);
    assert_eq!(listed.coinbase, BTreeMap::from([(ROBBED.to_owned(), BTreeMap::from([(8, 1)]))]));
    assert!(balance::listed(&answer(false), &wallets).is_err(), "a list that was broken off is none");
}

#[test]
fn amounts_are_read_as_bitcoin_core_and_as_btcd_write_them() {
    for (text, units) in [
        ("0.00000546", 546),
        ("5.46e-06", 546),
        ("1e-08", 1),
        ("20999999.97690000", 2_099_999_997_690_000),
        ("50", 5_000_000_000),
    ] {
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(balance::satoshi(&value).map(Amount::to_sat), Some(units), "{text}");
    }
    assert_eq!(balance::satoshi(&json!("1")), None);
}
