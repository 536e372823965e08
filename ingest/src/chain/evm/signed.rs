//! Transactions as they were signed and as they go through the network.
//!
//! Sources: EIP-155 (replay protection of transactions without a type), EIP-2718 and the types of EIP-2930, EIP-1559, EIP-4844
//! and EIP-7702.

use alloy::primitives::{Address, B256, Signature, U256, keccak256};

use super::rlp::{put, put_list, put_number};
use super::rpc::{Access, Authorization, Transaction};

/// A transaction in bytes, with its signature.
pub(super) struct Signed {
    kind: u8,
    /// What it says before its signature.
    payload: Vec<u8>,
    /// The number before the halves, as it stands in the transaction.
    v: U256,
    /// Whether it was the second of the two keys.
    second: bool,
    /// Chain that a transaction without a type names in `v`, and one with a type in a field.
    pub(super) chain: Option<U256>,
    r: U256,
    s: U256,
}

impl Signed {
    /// The bytes of a transaction; `None` where it is of a kind that is not known here, or fields are missing.
    pub(super) fn of(sent: &Transaction) -> Option<Signed> {
        let (kind, r, s) = (kind(sent.kind)?, sent.r?, sent.s?);
        if r.is_zero() || s.is_zero() {
            return None;
        }
        let payload = payload(sent, kind)?;
        if kind > 0 {
            let v = sent.y_parity.or(sent.v)?;
            let second = v == U256::ONE;
            return (v <= U256::ONE).then_some(Signed { kind, payload, v, second, chain: sent.chain_id, r, s });
        }
        let v = sent.v?;
        let (base, chain) = if matches!(u8::try_from(v), Ok(27 | 28)) {
            (U256::from(27), None)
        } else {
            let beyond = v.checked_sub(U256::from(35))?;
            (v - beyond % U256::from(2), Some(beyond / U256::from(2)))
        };
        Some(Signed { kind, payload, v, second: v > base, chain, r, s })
    }

    /// Who signed it.
    pub(super) fn signer(&self) -> Option<Address> {
        let signature = Signature::new(self.r, self.s, self.second);
        signature.recover_address_from_prehash(&keccak256(self.message())).ok()
    }

    /// What was signed.
    fn message(&self) -> Vec<u8> {
        let mut list = self.payload.clone();
        if let Some(chain) = self.chain.filter(|_| self.kind == 0) {
            for value in [chain, U256::ZERO, U256::ZERO] {
                put_number(&mut list, value);
            }
        }
        self.typed(&list)
    }

    /// The transaction as it goes through the network, of which the hash is its own.
    pub(super) fn whole(&self) -> Vec<u8> {
        let mut list = self.payload.clone();
        for value in [self.v, self.r, self.s] {
            put_number(&mut list, value);
        }
        self.typed(&list)
    }

    fn typed(&self, list: &[u8]) -> Vec<u8> {
        let mut bytes = if self.kind == 0 { Vec::new() } else { vec![self.kind] };
        put_list(&mut bytes, list);
        bytes
    }
}

/// The type that carries authorizations (EIP-7702).
pub(super) const DELEGATING: u8 = 4;

/// The type of a transaction that is known here; nodes from before there were types say none.
pub(super) fn kind(said: Option<U256>) -> Option<u8> {
    u8::try_from(said.unwrap_or_default()).ok().filter(|kind| *kind <= DELEGATING)
}

/// What a transaction says before its signature.
fn payload(sent: &Transaction, kind: u8) -> Option<Vec<u8>> {
    let nonce = Some(U256::from(sent.nonce));
    let numbers = match kind {
        0 => vec![nonce, sent.gas_price, sent.gas],
        1 => vec![sent.chain_id, nonce, sent.gas_price, sent.gas],
        _ => vec![sent.chain_id, nonce, sent.max_priority_fee_per_gas, sent.max_fee_per_gas, sent.gas],
    };
    let mut out = Vec::with_capacity(sent.input.len() + 192);
    for number in numbers {
        put_number(&mut out, number?);
    }
    put(&mut out, sent.to.as_ref().map_or(&[][..], |to| to.as_slice()));
    put_number(&mut out, sent.value);
    put(&mut out, &sent.input);
    if kind > 0 {
        put_list(&mut out, &each(sent.access_list.as_ref()?, access));
    }
    if kind == 3 {
        put_number(&mut out, sent.max_fee_per_blob_gas?);
        let mut hashes = Vec::new();
        sent.blob_versioned_hashes.as_ref()?.iter().for_each(|hash| put(&mut hashes, hash.0.as_slice()));
        put_list(&mut out, &hashes);
    }
    if kind == DELEGATING {
        let entries = sent.authorization_list.as_ref()?.iter().map(authorization).collect::<Option<Vec<_>>>()?;
        put_list(&mut out, &entries.concat());
    }
    Some(out)
}

/// The entries of a list, one after the other.
fn each<T>(list: &[T], entry: fn(&T) -> Vec<u8>) -> Vec<u8> {
    list.iter().flat_map(entry).collect()
}

fn access(entry: &Access) -> Vec<u8> {
    let mut list = Vec::new();
    put(&mut list, entry.address.as_slice());
    let mut keys = Vec::new();
    entry.storage_keys.iter().for_each(|key: &B256| put(&mut keys, key.as_slice()));
    put_list(&mut list, &keys);
    listed(&list)
}

fn authorization(entry: &Authorization) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    put_number(&mut list, entry.chain_id);
    put(&mut list, entry.address.as_slice());
    put_number(&mut list, U256::from(entry.nonce));
    for value in [entry.y_parity.or(entry.v)?, entry.r, entry.s] {
        put_number(&mut list, value);
    }
    Some(listed(&list))
}

fn listed(list: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, list);
    out
}
