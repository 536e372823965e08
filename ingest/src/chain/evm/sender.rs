//! Who signed a waiting transaction, by its own fields: a node says who sent it, and nothing but the signature proves that. The
//! fields are put together as they were signed, held against the transaction's hash, and the signer is recovered.

use alloy::primitives::{Address, U256, keccak256};
use serde::Deserialize;
use serde_json::Value;

use super::rpc::Transaction;
use super::signed::Signed;

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
    let Ok(sent) = Transaction::deserialize(sent) else { return Sender::Unknown };
    let Some(signed) = Signed::of(&sent) else { return Sender::Unknown };
    // Everybody can read what an account signed for another chain, and show it here; it never stands in a block.
    let is_foreign = signed.chain.is_some_and(|named| named != U256::from(chain));
    if is_foreign || keccak256(signed.whole()) != sent.hash {
        return Sender::Nobody;
    }
    signed.signer().map_or(Sender::Nobody, Sender::Signed)
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
        sent["chainId"].as_str().map_or(1, |id| u64::try_from(id.parse::<U256>().unwrap()).unwrap())
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
