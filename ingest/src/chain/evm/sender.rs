//! Who signed a waiting transaction, by its own fields: a node says who sent it, and nothing but the signature proves that. The
//! fields are put together as they were signed, held against the transaction's hash, and the signer is recovered.
//!
//! Sources: EIP-155 (replay protection of transactions without a type), EIP-2718 and the types of EIP-2930, EIP-1559, EIP-4844
//! and EIP-7702; recursive length prefix of the Yellow Paper, appendix B.

use alloy::primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use serde_json::Value;

/// What a transaction's fields prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// That account signed it.
    Signed(Address),
    /// Nobody did, on this chain: it has another hash, no signer, or is for another chain.
    Nobody,
    /// Nothing: it is of a kind that is not known here, or fields are missing.
    Unknown,
}

/// What the fields of a transaction prove, as `eth_getTransactionByHash` answers it on a chain of that number.
#[must_use]
pub fn sender(sent: &Value, chain: u64) -> Sender {
    let parts = || Some((payload(sent)?, Signed::of(sent)?, sent["hash"].as_str()?.parse::<B256>().ok()?));
    let Some((payload, signed, hash)) = parts() else { return Sender::Unknown };
    // Everybody can read what an account signed for another chain, and show it here; it never stands in a block.
    let named = if signed.kind == 0 { signed.chain } else { number(&sent["chainId"]) };
    let is_foreign = named.is_some_and(|named| named != U256::from(chain));
    if is_foreign || keccak256(signed.whole(&payload)) != hash {
        return Sender::Nobody;
    }
    let message = keccak256(signed.message(&payload));
    let signature = Signature::new(signed.r, signed.s, signed.second);
    signature.recover_address_from_prehash(&message).map_or(Sender::Nobody, Sender::Signed)
}

/// The signature of a transaction, and what it is of.
struct Signed {
    kind: u8,
    /// The number before the halves, as it stands in the transaction.
    v: U256,
    /// Whether it was the second of the two keys.
    second: bool,
    /// Chain that a transaction without a type names in `v`.
    chain: Option<U256>,
    r: U256,
    s: U256,
}

impl Signed {
    fn of(sent: &Value) -> Option<Signed> {
        let (kind, r, s) = (kind(sent)?, number(&sent["r"])?, number(&sent["s"])?);
        if r.is_zero() || s.is_zero() {
            return None;
        }
        if kind > 0 {
            let v = number(&sent["yParity"]).or_else(|| number(&sent["v"]))?;
            return (v <= U256::ONE).then(|| Signed { kind, v, second: v == U256::ONE, chain: None, r, s });
        }
        let v = number(&sent["v"])?;
        let (base, chain) = if matches!(u8::try_from(v), Ok(27 | 28)) {
            (U256::from(27), None)
        } else {
            let beyond = v.checked_sub(U256::from(35))?;
            (v - beyond % U256::from(2), Some(beyond / U256::from(2)))
        };
        Some(Signed { kind, v, second: v > base, chain, r, s })
    }

    /// What was signed.
    fn message(&self, payload: &[u8]) -> Vec<u8> {
        let mut list = payload.to_vec();
        if let Some(chain) = self.chain {
            for value in [chain, U256::ZERO, U256::ZERO] {
                put_number(&mut list, value);
            }
        }
        self.typed(&list)
    }

    /// The transaction as it goes through the network.
    fn whole(&self, payload: &[u8]) -> Vec<u8> {
        let mut list = payload.to_vec();
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

/// The type of a transaction that is known here; nodes from before there were types say none.
fn kind(sent: &Value) -> Option<u8> {
    if sent["type"].is_null() {
        return Some(0);
    }
    u8::try_from(number(&sent["type"])?).ok().filter(|kind| *kind <= 4)
}

/// What a transaction says before its signature.
fn payload(sent: &Value) -> Option<Vec<u8>> {
    let kind = kind(sent)?;
    let numbers: &[&str] = match kind {
        0 => &["nonce", "gasPrice", "gas"],
        1 => &["chainId", "nonce", "gasPrice", "gas"],
        _ => &["chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas"],
    };
    let mut out = Vec::new();
    for name in numbers {
        put_number(&mut out, number(&sent[*name])?);
    }
    match &sent["to"] {
        Value::Null => put(&mut out, &[]),
        to => put(&mut out, address(to)?.as_slice()),
    }
    put_number(&mut out, number(&sent["value"])?);
    put(&mut out, &bytes(&sent["input"])?);
    if kind > 0 {
        put_list(&mut out, &each(&sent["accessList"], access)?);
    }
    if kind == 3 {
        put_number(&mut out, number(&sent["maxFeePerBlobGas"])?);
        put_list(&mut out, &each(&sent["blobVersionedHashes"], word)?);
    }
    if kind == 4 {
        put_list(&mut out, &each(&sent["authorizationList"], authorization)?);
    }
    Some(out)
}

/// The entries of a list, one after the other.
fn each(list: &Value, entry: fn(&Value) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let entries = list.as_array()?.iter().map(entry).collect::<Option<Vec<_>>>()?;
    Some(entries.concat())
}

fn access(entry: &Value) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    put(&mut list, address(&entry["address"])?.as_slice());
    put_list(&mut list, &each(&entry["storageKeys"], word)?);
    Some(listed(&list))
}

fn authorization(entry: &Value) -> Option<Vec<u8>> {
    let mut list = Vec::new();
    put_number(&mut list, number(&entry["chainId"])?);
    put(&mut list, address(&entry["address"])?.as_slice());
    put_number(&mut list, number(&entry["nonce"])?);
    put_number(&mut list, number(&entry["yParity"]).or_else(|| number(&entry["v"]))?);
    put_number(&mut list, number(&entry["r"])?);
    put_number(&mut list, number(&entry["s"])?);
    Some(listed(&list))
}

fn word(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    put(&mut out, value.as_str()?.parse::<B256>().ok()?.as_slice());
    Some(out)
}

fn listed(list: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, list);
    out
}

fn number(value: &Value) -> Option<U256> {
    value.as_str()?.parse().ok()
}

fn address(value: &Value) -> Option<Address> {
    value.as_str()?.parse().ok()
}

fn bytes(value: &Value) -> Option<Bytes> {
    value.as_str()?.parse().ok()
}

fn put_number(out: &mut Vec<u8>, number: U256) {
    put(out, &number.to_be_bytes_trimmed_vec());
}

/// A text of bytes; one small byte stands for itself.
fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    if !matches!(bytes, [byte] if *byte < 0x80) {
        put_length(out, 0x80, bytes.len());
    }
    out.extend_from_slice(bytes);
}

fn put_list(out: &mut Vec<u8>, list: &[u8]) {
    put_length(out, 0xc0, list.len());
    out.extend_from_slice(list);
}

/// A length up to 55 in one byte with what begins it, a longer one behind the number of its own bytes.
fn put_length(out: &mut Vec<u8>, begins: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short) if short <= 55 => out.push(begins + short),
        _ => {
            let digits = U256::from(length).to_be_bytes_trimmed_vec();
            out.push(begins + 55 + u8::try_from(digits.len()).expect("a length has at most eight bytes"));
            out.extend(digits);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of EIP-155, and one of each kind, made and signed by an implementation of its own.
    fn examples() -> Vec<Value> {
        include_str!("tests/signed.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn chain(sent: &Value) -> u64 {
        number(&sent["chainId"]).map_or(1, |id| u64::try_from(id).unwrap())
    }

    #[test]
    fn whoever_signed_is_recovered_from_transactions_of_every_kind() {
        let kinds: Vec<String> = examples().iter().map(|sent| sent["type"].as_str().unwrap().to_owned()).collect();
        assert_eq!(kinds, ["0x0", "0x0", "0x1", "0x2", "0x3", "0x4"]);
        for sent in examples() {
            let from: Address = sent["from"].as_str().unwrap().parse().unwrap();
            assert_eq!(sender(&sent, chain(&sent)), Sender::Signed(from), "{sent}");
        }
    }

    #[test]
    fn a_field_that_was_changed_proves_that_nobody_signed_it() {
        for sent in examples() {
            for (field, value) in [("value", "0x64"), ("nonce", "0x63"), ("gas", "0x1"), ("input", "0xabcd")] {
                let mut changed = sent.clone();
                changed[field] = json!(value);
                assert_eq!(sender(&changed, chain(&sent)), Sender::Nobody, "{field} of {changed}");
            }
            // The sender that a node names is no field that is signed.
            let mut changed = sent.clone();
            changed["from"] = json!("0x0000000000000000000000000000000000000001");
            assert_eq!(sender(&changed, chain(&sent)), sender(&sent, chain(&sent)));
        }
    }

    #[test]
    fn what_was_signed_for_another_chain_is_nobodys_here() {
        let elsewhere: Vec<bool> = examples().iter().map(|sent| sender(sent, 5) == Sender::Nobody).collect();
        // Before EIP-155 a signature named no chain.
        assert_eq!(elsewhere, [true, false, true, true, true, true]);
    }

    #[test]
    fn what_is_not_known_proves_nothing() {
        for sent in examples() {
            for (field, value) in [("type", json!("0x7e")), ("gas", Value::Null), ("r", json!("0x0"))] {
                let mut other = sent.clone();
                other[field] = value;
                assert_eq!(sender(&other, chain(&sent)), Sender::Unknown, "{field}");
            }
        }
    }
}
