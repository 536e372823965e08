//! The record of the service as far as it is used. Numbers may be JSON numbers or text; unknown members are ignored;
//! a missing one that is needed is named.

use alloy::primitives::{Address, B256, U256};
use keywatch_store::Instant;

use super::signature::{self, Verdict};
use crate::feeds::fields::Fields;
use crate::{Problem, limits};

/// A multisig transaction: its EIP-712 fields, then what happened to it.
pub(super) struct Record {
    pub(super) safe: Address,
    pub(super) to: Address,
    pub(super) value: U256,
    pub(super) data: Vec<u8>,
    /// 0 call, 1 delegatecall, 2 create (before 1.0.0).
    pub(super) operation: u8,
    pub(super) safe_tx_gas: U256,
    /// `dataGas` before 1.0.0.
    pub(super) base_gas: U256,
    pub(super) gas_price: U256,
    pub(super) gas_token: Address,
    pub(super) refund_receiver: Address,
    pub(super) nonce: U256,
    /// `safeTxHash` as filed.
    pub(super) hash: B256,
    pub(super) proposer: Option<Address>,
    pub(super) submitted: Instant,
    pub(super) confirmations_required: Option<i64>,
    pub(super) trusted: Option<bool>,
    pub(super) confirmations: Vec<Confirmation>,
    pub(super) execution: Option<Execution>,
}

/// An owner's confirmation, as filed.
pub(super) struct Confirmation {
    pub(super) owner: Address,
    pub(super) submitted: Instant,
    /// `signatureType` as filed.
    pub(super) kind: Option<String>,
    pub(super) signature: Option<Vec<u8>>,
}

/// How the transaction was executed.
pub(super) struct Execution {
    pub(super) time: Instant,
    pub(super) executor: Option<Address>,
    pub(super) transaction: B256,
    pub(super) block: Option<i64>,
    pub(super) successful: bool,
}

impl Record {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Record, Problem> {
        let base_gas = if fields.has("baseGas") { "baseGas" } else { "dataGas" };
        if !fields.has(base_gas) {
            return Err(fields.missing("baseGas"));
        }
        Ok(Record {
            safe: fields.need_address("safe")?,
            to: fields.need_address("to")?,
            value: fields.need_word("value")?,
            data: fields.bytes("data")?.unwrap_or_default(),
            operation: operation(fields)?,
            safe_tx_gas: fields.need_word("safeTxGas")?,
            base_gas: fields.need_word(base_gas)?,
            gas_price: fields.need_word("gasPrice")?,
            gas_token: address_or_zero(fields, "gasToken")?,
            refund_receiver: address_or_zero(fields, "refundReceiver")?,
            nonce: fields.need_word("nonce")?,
            hash: fields.need_hash("safeTxHash")?,
            proposer: fields.address("proposer")?,
            submitted: fields.need_time("submissionDate")?,
            confirmations_required: fields.integer("confirmationsRequired")?,
            trusted: fields.flag("trusted")?,
            confirmations: confirmations(fields)?,
            execution: execution(fields)?,
        })
    }

    /// What each confirmation is worth, in their order.
    pub(super) fn verdicts(&self) -> Vec<Verdict> {
        let verify = |confirmation: &Confirmation| {
            signature::verify(self.hash, confirmation.owner, confirmation.signature.as_deref())
        };
        self.confirmations.iter().map(verify).collect()
    }
}

pub(super) fn operation(fields: &Fields<'_>) -> Result<u8, Problem> {
    let operation = fields.integer("operation")?.ok_or_else(|| fields.missing("operation"))?;
    match u8::try_from(operation) {
        Ok(operation @ 0..=2) => Ok(operation),
        _ => Err(fields.problem("operation", "must be 0 (call), 1 (delegatecall) or 2 (create)")),
    }
}

/// The service files the zero address as null in places.
fn address_or_zero(fields: &Fields<'_>, name: &str) -> Result<Address, Problem> {
    if !fields.has(name) {
        return Err(fields.missing(name));
    }
    Ok(fields.address(name)?.unwrap_or_default())
}

fn confirmations(fields: &Fields<'_>) -> Result<Vec<Confirmation>, Problem> {
    let Some(listed) = fields.value("confirmations") else { return Ok(Vec::new()) };
    let listed = listed.as_array().ok_or_else(|| fields.problem("confirmations", "must be an array"))?;
    if listed.len() > limits::CONFIRMATIONS_MAX {
        let reason = format!("{} confirmations, at most {}", listed.len(), limits::CONFIRMATIONS_MAX);
        return Err(fields.problem("confirmations", reason));
    }
    let one = |(index, value)| confirmation(&Fields::at(value, &format!("confirmations.{index}"))?);
    listed.iter().enumerate().map(one).collect()
}

fn confirmation(fields: &Fields<'_>) -> Result<Confirmation, Problem> {
    Ok(Confirmation {
        owner: fields.need_address("owner")?,
        submitted: fields.need_time("submissionDate")?,
        kind: fields.text("signatureType")?.map(str::to_owned),
        signature: fields.bytes("signature")?,
    })
}

fn execution(fields: &Fields<'_>) -> Result<Option<Execution>, Problem> {
    if !fields.flag("isExecuted")?.ok_or_else(|| fields.missing("isExecuted"))? {
        return Ok(None);
    }
    Ok(Some(Execution {
        time: fields.need_time("executionDate")?,
        executor: fields.address("executor")?,
        transaction: fields.need_hash("transactionHash")?,
        block: fields.integer("blockNumber")?,
        successful: fields.flag("isSuccessful")?.ok_or_else(|| fields.missing("isSuccessful"))?,
    }))
}
