//! Owners of a Safe: what they sign its transactions with is told, and an owner whose signer used one secret number twice is
//! found, as its key can be computed from the two.

use alloy::primitives::{Address, B256, Signature, U256, hex, uint};
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use serde_json::json;

use super::watcher::{Watcher, of_kind};
use crate::support::anvil::{ACCOUNTS, Anvil};

const SAFE: &str = "0x00000000000000000000000000000000000c0de4";
const SENDER: &str = ACCOUNTS[1];

/// The number of keys of secp256k1 (SEC 2, section 2.4.1).
const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

/// A Safe as far as its log goes: says that it executed the hash which stands where a Safe has the value.
///
/// ```text
/// 6024 35 6000 52   memory[0..32] = calldata[36..68]
/// 6000 6020 52      memory[32..64] = 0, the payment
/// 7f …              ExecutionSuccess(bytes32,uint256)
/// 6040 6000 a1 00   log
/// ```
const CODE: &str =
    "0x60243560005260006020527f442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e60406000a100";

fn public(secret: U256) -> PublicKey {
    let secret = SecretKey::from_slice(&secret.to_be_bytes::<32>()).unwrap();
    PublicKey::from_secret_key(&Secp256k1::new(), &secret)
}

fn account(key: U256) -> Address {
    Address::from_raw_public_key(&public(key).serialize_uncompressed()[1..])
}

/// A signature of a hash by a key with that secret number, as a Safe takes it.
fn signed(key: U256, number: U256, hash: B256) -> Vec<u8> {
    let r = U256::from_be_slice(&public(number).serialize()[1..]) % ORDER;
    let message = U256::from_be_bytes(hash.0) % ORDER;
    let sum = message.add_mod(r.mul_mod(key, ORDER), ORDER);
    let s = number.inv_mod(ORDER).unwrap().mul_mod(sum, ORDER);
    let recovers = |odd: bool| Signature::new(r, s, odd).recover_address_from_prehash(&hash);
    let is_own = |odd: &bool| recovers(*odd).is_ok_and(|signer| signer == account(key));
    let odd = [false, true].into_iter().find(is_own).unwrap();
    [r.to_be_bytes::<32>().as_slice(), &s.to_be_bytes::<32>(), &[27 + u8::from(odd)]].concat()
}

/// The call `execTransaction` of a Safe with these signatures: ten words, no data, the signatures.
fn call(hash: B256, signatures: &[u8]) -> String {
    let word = |number: u64| B256::from(U256::from(number));
    let mut words = vec![word(0), hash, word(0x140)];
    words.extend([word(0); 6]);
    words.extend([word(0x160), word(0), word(signatures.len() as u64)]);
    let mut data = hex::decode("6a761202").unwrap();
    words.iter().for_each(|word| data.extend_from_slice(word.as_slice()));
    data.extend_from_slice(signatures);
    data.resize(data.len().next_multiple_of(32) + 4, 0);
    hex::encode_prefixed(data)
}

#[tokio::test]
async fn an_owner_whose_signer_used_one_number_twice_is_found() {
    let (owner, other) = (U256::from(0x1001), U256::from(0x2002));
    let hash = |byte: u8| B256::repeat_byte(byte);
    let node = Anvil::start().await;
    node.rpc("anvil_setCode", json!([SAFE, CODE])).await;
    let watcher = Watcher::of_wallet(SAFE, &[("anvil", node.url())], "");
    for key in [owner, other] {
        watcher.declare(&format!("[[systems.owners]]\nwallet = \"{SAFE}\"\nowner = \"{:#x}\"\n", account(key)));
    }
    let watching = watcher.start();
    // Both owners sign each; whoever carries the second appends a signature of nobody.
    let first = [signed(owner, U256::from(77), hash(0x51)), signed(other, U256::from(78), hash(0x51))].concat();
    node.send(json!({"from": SENDER, "to": SAFE, "data": call(hash(0x51), &first), "gas": "0x30d40"})).await;
    let stranger = signed(U256::from(0x3003), U256::from(79), hash(0x52));
    let second =
        [signed(owner, U256::from(77), hash(0x52)), signed(other, U256::from(80), hash(0x52)), stranger].concat();
    node.send(json!({"from": SENDER, "to": SAFE, "data": call(hash(0x52), &second), "gas": "0x30d40"})).await;
    watching.until("keywatch_rule_findings_total", "chain/signature_nonce_reused", 1).await;
    watching.stop();

    let events = watcher.told();
    let told: Vec<_> = of_kind(&events, "chain.signature")
        .iter()
        .map(|event| {
            let detail = event.detail().value();
            assert_eq!(event.wallet(), Some(SAFE));
            let signer: Address = detail["signer"].as_str().unwrap().parse().unwrap();
            (event.request().unwrap().to_owned(), signer, detail["r"].as_str().unwrap().to_owned())
        })
        .collect();
    let r = |number: u64| hex::encode(&public(U256::from(number)).serialize()[1..]);
    let of = |byte: u8, key: U256, number: u64| (format!("{:#x}", hash(byte)), account(key), r(number));
    assert_eq!(told, [of(0x51, owner, 77), of(0x51, other, 78), of(0x52, owner, 77), of(0x52, other, 80)]);
}
