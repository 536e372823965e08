//! Addresses of descriptors, against the vectors of BIP-84 and BIP-86 and against derivations made without this library.

use bitcoin::address::NetworkUnchecked;
use bitcoin::{Address, Network, ScriptBuf, Transaction, TxOut, WPubkeyHash, absolute, transaction};
use keywatch_store::inventory::{System, Wallet};

use super::Watched;
use crate::chain::follow::Used;

const SEGWIT: &str = "wpkh([73c5da0a/84h/0h/0h]xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLo\
                      P2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V/<0;1>/*)#qf45pmyh";
const TAPROOT: &str = "tr([73c5da0a/86h/0h/0h]xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrL\
                       prQ3VCECoY49yfdDEHGCtMMj92pReUsQ/<0;1>/*)#xf07c0qd";
/// Hashes of the keys 0/0 to 0/4 of the first.
const RECEIVING: [&str; 5] = [
    "c0cebcd6c3d3ca8c75dc5ec62ebe55330ef910e2",
    "9c90f934ea51fa0f6504177043e0908da6929983",
    "0d0a4c5855ee698ae52872a147248c189fdff7c3",
    "47e8cfa1e26ffc460468348a9cb218d0346a3778",
    "d97cc009122c6ac9f405852249d8892b5037d07d",
];
/// And of 1/0.
const CHANGE: &str = "3e34985dca6fddc9fb369940e4c7d8e2873f529c";

fn watched(descriptor: &str, network: Network, chain: &str) -> (Watched, Vec<String>) {
    let wallet = Wallet {
        wallet: "treasury".into(),
        chain: chain.into(),
        descriptor: descriptor.into(),
        gap_limit: 3,
        ..Wallet::default()
    };
    Watched::of(&System { wallets: vec![wallet], ..System::default() }, chain, network)
}

fn script(hash: &str) -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&hash.parse::<WPubkeyHash>().unwrap())
}

fn pays(hashes: &[&str]) -> Transaction {
    let output = |hash: &&str| TxOut { value: bitcoin::Amount::from_sat(1), script_pubkey: script(hash) };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::ZERO,
        input: Vec::new(),
        output: hashes.iter().map(output).collect(),
    }
}

fn reach(watched: &Watched) -> usize {
    RECEIVING.iter().take_while(|hash| watched.wallet(&script(hash)) == Some("treasury")).count()
}

#[test]
fn addresses_are_those_of_the_published_vectors() {
    let (watched, unreadable) = watched(SEGWIT, Network::Bitcoin, "bitcoin");
    assert!(unreadable.is_empty(), "{unreadable:?}");
    assert_eq!((reach(&watched), watched.wallet(&script(CHANGE))), (3, Some("treasury")));
    let first = Address::from_script(&script(RECEIVING[0]), Network::Bitcoin).unwrap().to_string();
    assert_eq!(first, "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu");

    let (watched, unreadable) = self::watched(TAPROOT, Network::Bitcoin, "bitcoin");
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let first = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";
    let first = first.parse::<Address<NetworkUnchecked>>().unwrap().require_network(Network::Bitcoin).unwrap();
    assert_eq!(watched.wallet(&first.script_pubkey()), Some("treasury"));
}

#[test]
fn a_payment_near_the_gap_moves_it_on() {
    let mut watched = watched(SEGWIT, Network::Bitcoin, "bitcoin").0;
    assert!(watched.grows(&[pays(&RECEIVING[..1])]));
    watched.grow(&[pays(&RECEIVING[..1])]);
    assert_eq!(reach(&watched), 4);
    assert!(!watched.grows(&[pays(&RECEIVING[..1])]), "it was paid before");
    assert!(!watched.grows(&[pays(&RECEIVING[4..])]), "nobody knows that it is ours");
    // One that only the other makes known, in the order in which neither is known yet.
    watched.grow(&[pays(&RECEIVING[4..]), pays(&RECEIVING[1..2])]);
    assert_eq!((reach(&watched), watched.used()), (5, Used::from([("treasury/0".to_owned(), 5)])));
}

#[test]
fn what_was_used_comes_back() {
    let used = Used::from([("treasury/0".to_owned(), 2), ("other/0".to_owned(), 9)]);
    let mut watched = watched(SEGWIT, Network::Bitcoin, "bitcoin").0;
    assert!(watched.take_used(&used));
    assert_eq!(reach(&watched), 5);
    assert!(!watched.take_used(&used) && !watched.take_used(&Used::new()), "nothing is used less");
}

#[test]
fn a_descriptor_that_is_not_sure_is_refused_and_not_shown() {
    let hardened = "wpkh(xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMr\
                    jPC7PW6V/0h/*)#mstd0n74";
    for (descriptor, network, said) in [
        (SEGWIT.replace("#qf45pmyh", ""), Network::Bitcoin, "no checksum"),
        (SEGWIT.replace("#qf45pmyh", "#qf45pmyq"), Network::Bitcoin, "cannot be read"),
        (SEGWIT.replace("84h/0h", "84h/1h"), Network::Bitcoin, "cannot be read"),
        (SEGWIT.to_owned(), Network::Regtest, "another network"),
        (hardened.to_owned(), Network::Bitcoin, "private keys"),
    ] {
        let (watched, unreadable) = self::watched(&descriptor, network, "bitcoin");
        assert!(watched.is_empty());
        assert!(unreadable.len() == 1 && unreadable[0].contains(said), "{said}: {unreadable:?}");
        assert!(!unreadable[0].contains("xpub"), "{unreadable:?}");
    }
}
