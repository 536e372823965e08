//! The `safeTxHash` from the fields of a transaction, as the Safe contracts compute it (EIP-712; `encodeTransactionData`
//! of `GnosisSafe.sol` / `Safe.sol`).
//!
//! | contract version | typed struct | domain |
//! |---|---|---|
//! | 0.1.0 to before 1.0.0 | `SafeTx` with `dataGas` | verifying contract |
//! | 1.0.0 to before 1.3.0 | `SafeTx` with `baseGas` | verifying contract |
//! | 1.3.0 and later | `SafeTx` with `baseGas` | chain id, verifying contract |
//!
//! Earlier contracts hashed otherwise and are not verified.

use std::fmt;

use alloy::primitives::{B256, U256};
use alloy::sol_types::{Eip712Domain, SolStruct};
use keywatch_store::inventory::Wallet;

use super::record::Record;
use crate::chain::registry::{self, CHAINS, Chain};

mod typed {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated from the contract's own definition")]
    alloy::sol! {
        struct SafeTx {
            address to;
            uint256 value;
            bytes data;
            uint8 operation;
            uint256 safeTxGas;
            uint256 baseGas;
            uint256 gasPrice;
            address gasToken;
            address refundReceiver;
            uint256 nonce;
        }
    }

    pub(super) mod before_1_0 {
        alloy::sol! {
            struct SafeTx {
                address to;
                uint256 value;
                bytes data;
                uint8 operation;
                uint256 safeTxGas;
                uint256 dataGas;
                uint256 gasPrice;
                address gasToken;
                address refundReceiver;
                uint256 nonce;
            }
        }
    }
}

/// What recomputing gave.
pub(super) struct Recomputed {
    pub(super) hash: Option<B256>,
    /// How it was computed.
    pub(super) scheme: Option<String>,
    /// `verified`, `mismatch` or `unverifiable`.
    pub(super) outcome: &'static str,
    pub(super) reason: Option<String>,
    /// Declared, or that under which the hash came out, else `ethereum`.
    pub(super) chain: String,
}

/// A way in which contracts compute the hash.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    DataGas,
    NoChain,
    WithChain(&'static Chain),
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scheme::DataGas => f.write_str("0.1.0 to before 1.0.0"),
            Scheme::NoChain => f.write_str("1.0.0 to before 1.3.0"),
            Scheme::WithChain(chain) => write!(f, "1.3.0 and later on {} (chain id {})", chain.name, chain.id),
        }
    }
}

/// Recomputes under what the inventory declares for the wallet. Where version or chain is not declared, every known way
/// is tried and the one that fits is named; a hash that fits none is a mismatch.
pub(super) fn recompute(record: &Record, wallet: Option<&Wallet>) -> Recomputed {
    let declared = wallet.map(|wallet| (wallet.chain.to_ascii_lowercase(), version(&wallet.contract_version)));
    let (chain, version) = declared.unwrap_or_else(|| (String::new(), None));
    let expected = match expected(&chain, version) {
        Ok(expected) => expected,
        Err(reason) => return unverifiable(chain, reason),
    };
    let fits = |scheme: &Scheme| hash(record, *scheme) == record.hash;
    let fitting = expected.filter(fits).or_else(|| all_schemes().find(fits));
    match (expected, fitting) {
        (Some(expected), Some(fitting)) if fitting != expected => {
            let reason = format!(
                "the filed hash fits the fields only under {fitting}, not under {expected}, which the inventory declares"
            );
            recomputed(record, expected, "mismatch", Some(reason), chain)
        }
        (_, Some(fitting)) => recomputed(record, fitting, "verified", None, chain),
        (Some(expected), None) => {
            let reason = "the filed hash is not the hash of the fields".to_owned();
            recomputed(record, expected, "mismatch", Some(reason), chain)
        }
        (None, None) => {
            let on = registry::find(&chain).unwrap_or(&CHAINS[0]);
            let reason = "the filed hash is not the hash of the fields under any known contract version and chain; \
                          declare the wallet's chain and contract_version in the inventory";
            recomputed(record, Scheme::WithChain(on), "mismatch", Some(reason.to_owned()), chain)
        }
    }
}

fn recomputed(
    record: &Record,
    scheme: Scheme,
    outcome: &'static str,
    reason: Option<String>,
    chain: String,
) -> Recomputed {
    let chain = match scheme {
        _ if !chain.is_empty() => chain,
        Scheme::WithChain(chain) => chain.name.to_owned(),
        Scheme::DataGas | Scheme::NoChain => "ethereum".to_owned(),
    };
    Recomputed { hash: Some(hash(record, scheme)), scheme: Some(scheme.to_string()), outcome, reason, chain }
}

fn unverifiable(chain: String, reason: String) -> Recomputed {
    Recomputed { hash: None, scheme: None, outcome: "unverifiable", reason: Some(reason), chain }
}

/// The scheme that a declaration asks for; `None` when it does not say.
fn expected(chain: &str, version: Option<(u64, u64)>) -> Result<Option<Scheme>, String> {
    let known = registry::find(chain);
    match version {
        Some((0, 0)) => Err("contracts before 0.1.0 hash otherwise and are not verified".to_owned()),
        Some((0, _)) => Ok(Some(Scheme::DataGas)),
        Some((1, minor)) if minor < 3 => Ok(Some(Scheme::NoChain)),
        Some(_) if known.is_none() => {
            Err(format!("the id of chain `{chain}` is not known, and the hash depends on it"))
        }
        Some(_) => Ok(known.map(Scheme::WithChain)),
        None if !chain.is_empty() && known.is_none() => {
            Err(format!("the id of chain `{chain}` is not known, and the inventory declares no contract_version"))
        }
        None => Ok(None),
    }
}

/// `1.3.0+L2` → (1, 3).
fn version(text: &str) -> Option<(u64, u64)> {
    let mut parts = text.trim().trim_start_matches('v').split(['.', '+', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn all_schemes() -> impl Iterator<Item = Scheme> {
    [Scheme::NoChain].into_iter().chain(CHAINS.iter().map(Scheme::WithChain)).chain([Scheme::DataGas])
}

fn hash(record: &Record, scheme: Scheme) -> B256 {
    let chain_id = match scheme {
        Scheme::WithChain(chain) => Some(U256::from(chain.id)),
        Scheme::DataGas | Scheme::NoChain => None,
    };
    let domain = Eip712Domain::new(None, None, chain_id, Some(record.safe), None);
    let data = record.data.clone().into();
    if scheme == Scheme::DataGas {
        let transaction = typed::before_1_0::SafeTx {
            to: record.to,
            value: record.value,
            data,
            operation: record.operation,
            safeTxGas: record.safe_tx_gas,
            dataGas: record.base_gas,
            gasPrice: record.gas_price,
            gasToken: record.gas_token,
            refundReceiver: record.refund_receiver,
            nonce: record.nonce,
        };
        return transaction.eip712_signing_hash(&domain);
    }
    let transaction = typed::SafeTx {
        to: record.to,
        value: record.value,
        data,
        operation: record.operation,
        safeTxGas: record.safe_tx_gas,
        baseGas: record.base_gas,
        gasPrice: record.gas_price,
        gasToken: record.gas_token,
        refundReceiver: record.refund_receiver,
        nonce: record.nonce,
    };
    transaction.eip712_signing_hash(&domain)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{b256, keccak256};

    use super::*;

    #[test]
    fn the_type_hashes_are_those_of_the_contracts() {
        assert_eq!(
            keccak256(typed::SafeTx::eip712_encode_type().as_bytes()),
            b256!("0xbb8310d486368db6bd6f849402fdd73ad53d316b5a4b2644ad6efe0f941286d8")
        );
        assert_eq!(
            keccak256(typed::before_1_0::SafeTx::eip712_encode_type().as_bytes()),
            b256!("0x14d461bc7412367e924637b363c7bf29b8f47e2f84869f4426e5633d8af47b20")
        );
    }

    #[test]
    fn the_domains_are_those_of_the_contracts() {
        let domain = |chain_id: Option<U256>| {
            Eip712Domain::new(None, None, chain_id, Some(alloy::primitives::Address::ZERO), None).type_hash()
        };
        assert_eq!(domain(None), b256!("0x035aff83d86937d35b32e04f0ddc6ff469290eef2f1b692d8a815c89404d4749"));
        assert_eq!(
            domain(Some(U256::from(1))),
            b256!("0x47e79534a245952e8b16893a336b85a3d9ea9fa8c573f3d803afb92a79469218")
        );
    }

    #[test]
    fn a_version_is_read_up_to_its_minor_part() {
        for (text, parsed) in
            [("1.3.0", Some((1, 3))), ("1.3.0+L2", Some((1, 3))), ("v1.4", Some((1, 4))), ("", None), ("new", None)]
        {
            assert_eq!(version(text), parsed);
        }
    }
}
