//! What a multisig transaction calls, decoded from its bytes. The service's own decoding is not believed.

use alloy::primitives::{Address, U256, hex};
use alloy::sol_types::SolInterface;
use keywatch_store::multisend;
use serde_json::{Value, json};

use super::events::address as canonical;
use crate::limits::{ARGUMENT_BYTES_MAX, CALL_NESTING_MAX, INNER_CALLS_MAX};
use abi::Known::KnownCalls;

pub(super) mod abi {
    #![allow(missing_docs, unreachable_pub, clippy::pedantic, reason = "generated from the contracts' own definitions")]
    alloy::sol! {
        interface Known {
            function transfer(address to, uint256 value);
            function transferFrom(address from, address to, uint256 value);
            function approve(address spender, uint256 value);
            function increaseAllowance(address spender, uint256 addedValue);
            function setApprovalForAll(address operator, bool approved);
            function addOwnerWithThreshold(address owner, uint256 threshold);
            function removeOwner(address prevOwner, address owner, uint256 threshold);
            function swapOwner(address prevOwner, address oldOwner, address newOwner);
            function changeThreshold(uint256 threshold);
            function enableModule(address module);
            function disableModule(address prevModule, address module);
            function setGuard(address guard);
            function setFallbackHandler(address handler);
            function changeMasterCopy(address masterCopy);
            function upgradeTo(address implementation);
            function upgradeToAndCall(address implementation, bytes data);
            function transferOwnership(address newOwner);
            function approveHash(bytes32 hashToApprove);
            function multiSend(bytes transactions);
            function execTransaction(address to, uint256 value, bytes data, uint8 operation, uint256 safeTxGas, uint256 baseGas, uint256 gasPrice, address gasToken, address refundReceiver, bytes signatures);
            function execTransactionFromModule(address to, uint256 value, bytes data, uint8 operation);
            function execTransactionFromModuleReturnData(address to, uint256 value, bytes data, uint8 operation);
        }
    }
}

/// What a call does with tokens, in their base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// They go to `recipient`.
    Move { recipient: Address, amount: U256 },
    /// Somebody may take them later.
    Allow { amount: U256 },
}

/// A call that is known by its selector and whose arguments fit.
#[derive(Debug)]
pub(crate) struct Call {
    name: &'static str,
    arguments: Value,
    pub(crate) tokens: Option<Tokens>,
}

impl Call {
    /// Decodes call data; `None` when there is none or it is not known.
    pub(crate) fn decode(data: &[u8]) -> Option<Call> {
        Call::decode_at(data, 0)
    }

    /// `{name, args}`; addresses and bytes in hexadecimal, numbers as decimal text.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "args": self.arguments })
    }

    fn decode_at(data: &[u8], depth: usize) -> Option<Call> {
        if depth >= CALL_NESTING_MAX {
            return None;
        }
        let call = KnownCalls::abi_decode(data).ok()?;
        let (name, arguments) = describe(&call, depth);
        Some(Call { name, arguments, tokens: tokens(&call) })
    }
}

/// Where a call runs code of somebody else as the wallet, however deep within batches: the first address delegated to
/// that is no batching contract of the multisig itself.
pub(crate) fn foreign_delegate(data: &[u8]) -> Option<Address> {
    delegated_at(data, 0)
}

fn delegated_at(data: &[u8], depth: usize) -> Option<Address> {
    if depth >= CALL_NESTING_MAX {
        return None;
    }
    let within = |operation: u8, to: Address, data: &[u8]| {
        let foreign = operation == 1 && !multisend::is_deployment(&canonical(to));
        if foreign { Some(to) } else { delegated_at(data, depth + 1) }
    };
    match KnownCalls::abi_decode(data).ok()? {
        KnownCalls::multiSend(call) => {
            packed_calls(&call.transactions).find_map(|inner| within(inner.operation, inner.to, inner.data))
        }
        KnownCalls::execTransaction(call) => within(call.operation, call.to, &call.data),
        KnownCalls::execTransactionFromModule(call) => within(call.operation, call.to, &call.data),
        KnownCalls::execTransactionFromModuleReturnData(call) => within(call.operation, call.to, &call.data),
        _ => None,
    }
}

/// Whom a call lets take any amount of a token, however deep within batches: the first spender of an allowance of at
/// least 2^255 units. No token has as many.
pub(crate) fn unlimited_spender(data: &[u8]) -> Option<Address> {
    spender_at(data, 0)
}

fn spender_at(data: &[u8], depth: usize) -> Option<Address> {
    if depth >= CALL_NESTING_MAX {
        return None;
    }
    let unlimited = |spender: Address, amount: U256| amount.bit(255).then_some(spender);
    match KnownCalls::abi_decode(data).ok()? {
        KnownCalls::approve(call) => unlimited(call.spender, call.value),
        KnownCalls::increaseAllowance(call) => unlimited(call.spender, call.addedValue),
        KnownCalls::setApprovalForAll(call) => call.approved.then_some(call.operator),
        KnownCalls::multiSend(call) => {
            packed_calls(&call.transactions).find_map(|inner| spender_at(inner.data, depth + 1))
        }
        KnownCalls::execTransaction(call) => spender_at(&call.data, depth + 1),
        KnownCalls::execTransactionFromModule(call) => spender_at(&call.data, depth + 1),
        KnownCalls::execTransactionFromModuleReturnData(call) => spender_at(&call.data, depth + 1),
        _ => None,
    }
}

fn tokens(call: &KnownCalls) -> Option<Tokens> {
    Some(match call {
        KnownCalls::transfer(call) => Tokens::Move { recipient: call.to, amount: call.value },
        KnownCalls::transferFrom(call) => Tokens::Move { recipient: call.to, amount: call.value },
        KnownCalls::approve(call) => Tokens::Allow { amount: call.value },
        KnownCalls::increaseAllowance(call) => Tokens::Allow { amount: call.addedValue },
        _ => return None,
    })
}

fn describe(call: &KnownCalls, depth: usize) -> (&'static str, Value) {
    let address = |address: Address| canonical(address);
    let number = |number: U256| number.to_string();
    match call {
        KnownCalls::transfer(c) => ("transfer", json!({"to": address(c.to), "value": number(c.value)})),
        KnownCalls::transferFrom(c) => {
            ("transferFrom", json!({"from": address(c.from), "to": address(c.to), "value": number(c.value)}))
        }
        KnownCalls::approve(c) => ("approve", json!({"spender": address(c.spender), "value": number(c.value)})),
        KnownCalls::increaseAllowance(c) => {
            ("increaseAllowance", json!({"spender": address(c.spender), "added_value": number(c.addedValue)}))
        }
        KnownCalls::setApprovalForAll(c) => {
            ("setApprovalForAll", json!({"operator": address(c.operator), "approved": c.approved}))
        }
        KnownCalls::addOwnerWithThreshold(c) => {
            ("addOwnerWithThreshold", json!({"owner": address(c.owner), "threshold": number(c.threshold)}))
        }
        KnownCalls::removeOwner(c) => (
            "removeOwner",
            json!({"prev_owner": address(c.prevOwner), "owner": address(c.owner), "threshold": number(c.threshold)}),
        ),
        KnownCalls::swapOwner(c) => (
            "swapOwner",
            json!({"prev_owner": address(c.prevOwner), "old_owner": address(c.oldOwner), "new_owner": address(c.newOwner)}),
        ),
        KnownCalls::changeThreshold(c) => ("changeThreshold", json!({"threshold": number(c.threshold)})),
        KnownCalls::enableModule(c) => ("enableModule", json!({"module": address(c.module)})),
        KnownCalls::disableModule(c) => {
            ("disableModule", json!({"prev_module": address(c.prevModule), "module": address(c.module)}))
        }
        KnownCalls::setGuard(c) => ("setGuard", json!({"guard": address(c.guard)})),
        KnownCalls::setFallbackHandler(c) => ("setFallbackHandler", json!({"handler": address(c.handler)})),
        KnownCalls::changeMasterCopy(c) => ("changeMasterCopy", json!({"master_copy": address(c.masterCopy)})),
        KnownCalls::upgradeTo(c) => ("upgradeTo", json!({"implementation": address(c.implementation)})),
        KnownCalls::upgradeToAndCall(c) => {
            ("upgradeToAndCall", json!({"implementation": address(c.implementation), "data": bytes(&c.data)}))
        }
        KnownCalls::transferOwnership(c) => ("transferOwnership", json!({"new_owner": address(c.newOwner)})),
        KnownCalls::approveHash(c) => ("approveHash", json!({"hash": format!("{:#x}", c.hashToApprove)})),
        KnownCalls::multiSend(c) => ("multiSend", multi_send(&c.transactions, depth)),
        KnownCalls::execTransaction(c) => ("execTransaction", inner(c.operation, c.to, c.value, &c.data, depth)),
        KnownCalls::execTransactionFromModule(c) => {
            ("execTransactionFromModule", inner(c.operation, c.to, c.value, &c.data, depth))
        }
        KnownCalls::execTransactionFromModuleReturnData(c) => {
            ("execTransactionFromModuleReturnData", inner(c.operation, c.to, c.value, &c.data, depth))
        }
    }
}

/// A call within a call.
fn inner(operation: u8, to: Address, value: U256, data: &[u8], depth: usize) -> Value {
    let mut described = json!({"operation": operation, "to": canonical(to), "value": value.to_string()});
    if let Some(call) = Call::decode_at(data, depth + 1) {
        described["call"] = call.to_json();
    } else if !data.is_empty() {
        described["data"] = Value::from(bytes(data));
    }
    described
}

/// One call of a batch.
struct Packed<'a> {
    operation: u8,
    to: Address,
    value: U256,
    data: &'a [u8],
}

/// The packed calls of `MultiSend.sol`: operation (1 byte), to (20), value (32), length (32), data.
fn packed_calls(mut rest: &[u8]) -> impl Iterator<Item = Packed<'_>> {
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_first_chunk::<85>()?;
        let length = U256::from_be_slice(&head[53..85]);
        let data = tail.get(..usize::try_from(length).ok()?)?;
        rest = &tail[data.len()..];
        let value = U256::from_be_slice(&head[21..53]);
        Some(Packed { operation: head[0], to: Address::from_slice(&head[1..21]), value, data })
    })
}

fn multi_send(packed: &[u8], depth: usize) -> Value {
    let mut calls = Vec::new();
    let (mut count, mut decoded) = (0_usize, 0);
    for call in packed_calls(packed) {
        count += 1;
        decoded += 85 + call.data.len();
        if calls.len() < INNER_CALLS_MAX {
            calls.push(inner(call.operation, call.to, call.value, call.data, depth));
        }
    }
    json!({"calls": calls, "count": count, "undecoded_bytes": packed.len() - decoded})
}

/// The first bytes in hexadecimal, and how many there are if not all are shown.
fn bytes(data: &[u8]) -> String {
    if data.len() <= ARGUMENT_BYTES_MAX {
        return hex::encode_prefixed(data);
    }
    format!("{}… ({} bytes)", hex::encode_prefixed(&data[..ARGUMENT_BYTES_MAX]), data.len())
}

#[cfg(test)]
mod tests {
    use alloy::primitives::address;
    use alloy::sol_types::SolCall;

    use super::*;

    #[test]
    fn known_selectors_are_those_of_the_contracts() {
        use abi::Known as k;
        for (selector, expected) in [
            (k::transferCall::SELECTOR, "a9059cbb"),
            (k::approveCall::SELECTOR, "095ea7b3"),
            (k::addOwnerWithThresholdCall::SELECTOR, "0d582f13"),
            (k::removeOwnerCall::SELECTOR, "f8dc5dd9"),
            (k::execTransactionCall::SELECTOR, "6a761202"),
            (k::multiSendCall::SELECTOR, "8d80ff0a"),
            (k::changeMasterCopyCall::SELECTOR, "7de7edef"),
            (k::enableModuleCall::SELECTOR, "610b5925"),
            (k::setGuardCall::SELECTOR, "e19a9dd9"),
        ] {
            assert_eq!(hex::encode(selector), expected);
        }
    }

    #[test]
    fn a_batch_is_told_call_by_call() {
        let token = address!("0xdac17f958d2ee523a2206206994597c13d831ec7");
        let thief = address!("0x0fa09c3a328792253f8dee7116848723b72a6d2e");
        let approve = abi::Known::approveCall { spender: thief, value: U256::MAX }.abi_encode();
        let mut packed = vec![0];
        packed.extend(token.as_slice());
        packed.extend(U256::ZERO.to_be_bytes::<32>());
        packed.extend(U256::from(approve.len()).to_be_bytes::<32>());
        packed.extend(&approve);
        let whole = abi::Known::multiSendCall { transactions: packed.into() }.abi_encode();
        let described = Call::decode(&whole).unwrap().to_json();
        assert_eq!(described["args"]["count"], 1);
        assert_eq!(described["args"]["calls"][0]["call"]["name"], "approve");
        assert_eq!(described["args"]["calls"][0]["call"]["args"]["value"], U256::MAX.to_string());
        assert_eq!(Call::decode(&approve).unwrap().tokens, Some(Tokens::Allow { amount: U256::MAX }));
    }

    fn packed(operation: u8, to: Address, data: &[u8]) -> Vec<u8> {
        let mut packed = vec![operation];
        packed.extend(to.as_slice());
        packed.extend(U256::ZERO.to_be_bytes::<32>());
        packed.extend(U256::from(data.len()).to_be_bytes::<32>());
        packed.extend(data);
        packed
    }

    fn batch(calls: &[Vec<u8>]) -> Vec<u8> {
        abi::Known::multiSendCall { transactions: calls.concat().into() }.abi_encode()
    }

    #[test]
    fn a_delegatecall_within_a_batch_is_found_behind_any_number_of_calls() {
        let (batching, foreign) = (address!("0x38869bf66a61cf6bdb996a6ae40d5853fd43b526"), Address::repeat_byte(0x66));
        let ordinary = packed(0, Address::repeat_byte(1), &[1, 2, 3, 4]);
        let mut calls = vec![ordinary.clone(); INNER_CALLS_MAX + 5];
        assert_eq!(foreign_delegate(&batch(&calls)), None);
        calls.push(packed(1, batching, &batch(std::slice::from_ref(&ordinary))));
        assert_eq!(foreign_delegate(&batch(&calls)), None, "a batch within a batch is still the multisig's own");
        calls.push(packed(1, batching, &batch(&[ordinary, packed(1, foreign, &[])])));
        assert_eq!(foreign_delegate(&batch(&calls)), Some(foreign));
    }

    #[test]
    fn an_allowance_without_limit_is_found_within_batches() {
        let spender = Address::repeat_byte(0x77);
        let approve = |value| abi::Known::approveCall { spender, value }.abi_encode();
        assert_eq!(unlimited_spender(&approve(U256::MAX)), Some(spender));
        assert_eq!(unlimited_spender(&approve(U256::from(u128::MAX))), None);
        let ordinary = packed(0, Address::repeat_byte(1), &[1, 2, 3, 4]);
        let within = batch(&[ordinary, packed(0, Address::repeat_byte(2), &approve(U256::MAX))]);
        assert_eq!(unlimited_spender(&within), Some(spender));
        let all = |approved| abi::Known::setApprovalForAllCall { operator: spender, approved }.abi_encode();
        assert_eq!((unlimited_spender(&all(true)), unlimited_spender(&all(false))), (Some(spender), None));
    }

    #[test]
    fn calls_within_calls_end() {
        let mut data = Vec::new();
        for _ in 0..10 {
            let call = abi::Known::execTransactionFromModuleCall {
                to: Address::ZERO,
                value: U256::ZERO,
                data: data.into(),
                operation: 0,
            };
            data = call.abi_encode();
        }
        let described = Call::decode(&data).unwrap().to_json().to_string();
        assert_eq!(described.matches("execTransactionFromModule").count(), CALL_NESTING_MAX);
    }

    #[test]
    fn what_is_not_known_or_cut_short_is_no_call() {
        for data in [&[][..], &[0xa9, 0x05], &[0xa9, 0x05, 0x9c, 0xbb, 1], &[1, 2, 3, 4, 5]] {
            assert!(Call::decode(data).is_none());
        }
        let huge = [[0; 53].as_slice(), &[0xff; 32], &[7; 10]].concat();
        assert_eq!(multi_send(&huge, 0)["undecoded_bytes"], huge.len());
    }
}
