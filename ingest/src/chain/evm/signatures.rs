//! What owners of a watched Safe signed its transactions with, as the two numbers that an ECDSA signature is: their keys are part
//! of the same custody, and two signatures of one key with the same `r` and another `s` give it away to everybody. Whether there
//! are two is for rules to find; here they are only read.
//!
//! Whoever carries a transaction may append anything to its signatures, and only the first are looked at by the contract. So only
//! those are told that recover to an owner whom the inventory declares: nobody else can have made them.
//!
//! Source: `Safe.sol` (`checkNSignatures`): 65 bytes each, `r ‖ s ‖ v`; v 27 and 28 sign the hash, v 31 and 32 the form of it that
//! `eth_sign` makes (EIP-191), with v − 4. Contracts' signatures (v 0) and approvals on chain (v 1) are none of a key.

use alloy::primitives::{Address, B256, Signature, U256, eip191_hash_message};
use keywatch_store::Event;
use serde_json::json;

use super::events::{Decoder, Place, address, complete};
use crate::limits::OWNER_SIGNATURES_MAX;

/// Bytes of a signature.
const BYTES: usize = 65;

/// The events of what declared owners signed that hash with, which the Safe executed; `number` tells its executions within a
/// transaction apart.
pub(super) fn told(
    decoder: &Decoder<'_>,
    place: &Place<'_>,
    safe: Address,
    hash: B256,
    signatures: &[u8],
    number: usize,
) -> Vec<Event> {
    let owners = decoder.watched.owners(&safe);
    if owners.is_empty() {
        return Vec::new();
    }
    let parts = signatures.chunks_exact(BYTES).take(OWNER_SIGNATURES_MAX).enumerate();
    let signed = parts.filter_map(|(index, part)| Some((index, recovered(hash, part)?)));
    let own = signed.filter(|(_, (signer, _))| owners.contains(signer));
    let told = own.map(|(index, (signer, signature))| {
        let mut event = decoder.event(place, "chain.signature", safe, &format!("owner/{number}/{index}"));
        event.request(format!("{hash:#x}")).outcome("success");
        let detail = json!({
            "r": format!("{:064x}", signature.r()),
            "s": format!("{:064x}", signature.s()),
            "signer": address(signer),
        });
        complete(&mut event, place, detail)
    });
    told.collect()
}

/// Who signed, and with what. `s` is the smaller of the two that say the same, so that a signature that somebody turned over is
/// still known as the same.
fn recovered(hash: B256, part: &[u8]) -> Option<(Address, Signature)> {
    let (prehash, v) = match *part.last()? {
        v @ (27 | 28) => (hash, v),
        v @ (31 | 32) => (eip191_hash_message(hash), v - 4),
        _ => return None,
    };
    let (r, s) = (U256::from_be_slice(part.get(..32)?), U256::from_be_slice(part.get(32..64)?));
    let signature = Signature::new(r, s, v == 28).normalized_s();
    Some((signature.recover_address_from_prehash(&prehash).ok()?, signature))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{hex, uint};
    use keywatch_store::Instant;
    use keywatch_store::event::Origin;
    use keywatch_store::inventory::{Owner, System, Wallet};
    use serde_json::Value;

    use super::super::watch::{Network, Watched};
    use super::*;

    /// The records of the wallet that was emptied on 2025-02-21, as its transaction service answered them.
    const PAGE: &str = include_str!("../../../../replay-data/2025-02-bybit/sources/safe-transaction-service.json");
    const EXECUTED: &str = "0xb3476d061aeb8fc1d605a873c483a2402d88a68a9cdd1a8b47655dd55ba004f8";
    const SAFE: &str = "0x1db92e2eebc8e0c075a02bea49a2935bcd2dfcf4";
    const OWNERS: [&str; 3] = [
        "0x1f4eb0a903619ac168b19a82f1a6e2e426522211",
        "0x3cc3a225769900e003e264dd4cb43e90896bc21a",
        "0xe3df2cceac61b1afa311372ecc5b40a3a6585a9e",
    ];

    /// What stood behind the call that was executed.
    fn signatures() -> Vec<u8> {
        let page: Value = serde_json::from_str(PAGE).unwrap();
        let record = page["results"].as_array().unwrap().iter().find(|record| record["safeTxHash"] == EXECUTED);
        hex::decode(record.unwrap()["signatures"].as_str().unwrap()).unwrap()
    }

    /// Signer, r and s of each signature that is told where these owners are declared.
    fn shown(owners: &[&str], signatures: &[u8]) -> Vec<[String; 3]> {
        let owner = |owner: &&str| Owner { wallet: SAFE.into(), owner: (*owner).into(), ..Owner::default() };
        let safe =
            Wallet { wallet: SAFE.into(), chain: "ethereum".into(), technology: "safe".into(), ..Wallet::default() };
        let system = System { wallets: vec![safe], owners: owners.iter().map(owner).collect(), ..System::default() };
        let (watched, _) = Watched::of(&system, "ethereum");
        let network = Network { name: "ethereum".into(), id: 1, asset: "ETH".into() };
        let origin = Origin { system: "cold".into(), source: "node".into() };
        let decoder = Decoder { origin: &origin, network: &network, watched: &watched };
        let place =
            Place { height: 16, hash: B256::with_last_byte(1), epoch: 0, time: Instant(5), base_fee: None, tx: None };
        let events = told(&decoder, &place, SAFE.parse().unwrap(), EXECUTED.parse().unwrap(), signatures, 0);
        let said = |event: &Event| {
            assert_eq!(
                (event.kind(), event.wallet(), event.request()),
                ("chain.signature", Some(SAFE), Some(EXECUTED))
            );
            let detail = event.detail().value();
            ["signer", "r", "s"].map(|name| detail[name].as_str().unwrap().to_owned())
        };
        events.iter().map(said).collect()
    }

    #[test]
    fn what_declared_owners_signed_is_told_and_nothing_that_is_appended() {
        let signatures = signatures();
        let all = shown(&OWNERS, &signatures);
        let signers: Vec<&str> = all.iter().map(|[signer, ..]| signer.as_str()).collect();
        assert_eq!(signers, OWNERS);
        assert_eq!([&all[0][1], &all[0][2]].map(String::len), [64, 64]);
        assert_eq!(all[0][1], hex::encode(&signatures[..32]));
        assert_eq!(shown(&OWNERS[1..2], &signatures), all[1..2], "of one owner that is declared");
        assert!(shown(&[], &signatures).is_empty());
        // An r that was seen, with another s: it recovers to nobody's address.
        let mut forged = signatures[..BYTES].to_vec();
        forged[63] ^= 1;
        let appended = [&signatures[..], &forged[..], &[7_u8; 40][..]].concat();
        assert_eq!(shown(&OWNERS, &appended), all);
    }

    #[test]
    fn a_signature_that_was_turned_over_is_the_same() {
        let order = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);
        let signatures = signatures();
        let mut turned = signatures[..BYTES].to_vec();
        let s = order - U256::from_be_slice(&turned[32..64]);
        turned[32..64].copy_from_slice(&s.to_be_bytes::<32>());
        turned[64] = 63 - turned[64];
        assert_eq!(shown(&OWNERS, &turned), shown(&OWNERS, &signatures[..BYTES]));
    }

    #[test]
    fn each_form_of_a_signature_is_read_and_none_that_is_of_no_key() {
        let mut part = signatures()[..BYTES].to_vec();
        let (hash, owner) = (EXECUTED.parse::<B256>().unwrap(), OWNERS[0].parse::<Address>().unwrap());
        assert_eq!(recovered(hash, &part).unwrap().0, owner, "by eth_sign");
        part[64] -= 4;
        assert_eq!(recovered(eip191_hash_message(hash), &part).unwrap().0, owner, "of the hash itself");
        assert_ne!(recovered(hash, &part).map(|(signer, _)| signer), Some(owner));
        for v in [0, 1, 29, 255] {
            part[64] = v;
            assert!(recovered(hash, &part).is_none(), "{v}");
        }
        assert!(recovered(hash, &[]).is_none() && recovered(hash, &[27]).is_none());
    }
}
