//! Whose signature a confirmation is, as the Safe contracts check it (`checkNSignatures`): 65 bytes `r ‖ s ‖ v`, where
//! v 27 and 28 are ECDSA over the hash, v 31 and 32 ECDSA (v − 4) over the `eth_sign` form of the hash (EIP-191), v 1 an
//! approval made on chain with the owner in r, and v 0 a contract's signature (EIP-1271) with the contract in r.
//!
//! `unverifiable` is only what nothing but the chain can tell. What cannot possibly be the owner's is a mismatch.

use alloy::primitives::{Address, B256, Signature, U256, eip191_hash_message};

/// What a confirmation is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The service's names: `EOA`, `ETH_SIGN`, `APPROVED_HASH`, `CONTRACT_SIGNATURE`; `NONE` and `UNKNOWN` are ours.
    pub(super) kind: &'static str,
    pub(super) recovered: Option<Address>,
    /// `verified`, `mismatch` or `unverifiable`.
    pub(super) outcome: &'static str,
    pub(super) reason: Option<String>,
}

/// Judges `signature`, filed as `owner`'s over `hash`.
pub(super) fn verify(hash: B256, owner: Address, signature: Option<&[u8]>) -> Verdict {
    let Some(bytes) = signature else {
        return unverifiable("NONE", "no signature is filed; only the chain can tell");
    };
    let Some((fixed, _)) = bytes.split_first_chunk::<65>() else {
        return mismatch("UNKNOWN", format!("{} bytes are no signature, which has 65", bytes.len()));
    };
    match fixed[64] {
        0 => named("CONTRACT_SIGNATURE", fixed, owner, "a contract's signature; only the chain can tell"),
        1 => named("APPROVED_HASH", fixed, owner, "approved on chain beforehand; only the chain can tell"),
        v @ (27 | 28) => recovered("EOA", fixed, v, hash, owner),
        v @ (31 | 32) => recovered("ETH_SIGN", fixed, v - 4, eip191_hash_message(hash), owner),
        v => mismatch("UNKNOWN", format!("v = {v} is no signature that the contract takes")),
    }
}

/// A signature that only names a signer, in r: it must at least be the one it is filed under.
fn named(kind: &'static str, signature: &[u8; 65], owner: Address, reason: &str) -> Verdict {
    let named = Address::from_slice(&signature[12..32]);
    if named == owner && signature[..12] == [0; 12] {
        return unverifiable(kind, reason);
    }
    mismatch(kind, format!("the signature names {named:#x}, not {owner:#x} under whom it is filed"))
}

fn recovered(kind: &'static str, signature: &[u8; 65], v: u8, prehash: B256, owner: Address) -> Verdict {
    let r = U256::from_be_slice(&signature[..32]);
    let s = U256::from_be_slice(&signature[32..64]);
    match Signature::new(r, s, v == 28).recover_address_from_prehash(&prehash) {
        Ok(signer) if signer == owner => Verdict { kind, recovered: Some(signer), outcome: "verified", reason: None },
        Ok(signer) => {
            let reason = format!("the signature recovers to {signer:#x}, not to {owner:#x} under whom it is filed");
            Verdict { recovered: Some(signer), ..mismatch(kind, reason) }
        }
        Err(_) => mismatch(kind, "the signature recovers to nobody".to_owned()),
    }
}

fn mismatch(kind: &'static str, reason: String) -> Verdict {
    Verdict { kind, recovered: None, outcome: "mismatch", reason: Some(reason) }
}

fn unverifiable(kind: &'static str, reason: &str) -> Verdict {
    Verdict { kind, recovered: None, outcome: "unverifiable", reason: Some(reason.to_owned()) }
}
