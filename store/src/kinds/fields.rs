//! Fields of `detail` that several kinds have alike.

use super::kind::Field;

pub(super) const BY: Field = ("by", "text", "name of the operator");
pub(super) const CALL: Field = ("call", "object", "decoded call: name and arguments");
pub(super) const GAS_PRICE: Field = (
    "gas_price",
    "text",
    "what the wallet pays to whom the request names, or whoever executes it, for a unit of gas; left out where that is nothing",
);
pub(super) const HASH_FILED: Field = ("hash_filed", "text", "safeTxHash as filed");
pub(super) const HASH_RECOMPUTED: Field = ("hash_recomputed", "text", "safeTxHash recomputed from the fields");
pub(super) const INNER_DELEGATE_TO: Field = (
    "inner_delegate_to",
    "text",
    "first address that a call within a batch delegates to and that is no batching contract",
);
pub(super) const NONCE: Field = ("nonce", "integer", "the wallet's nonce");
pub(super) const OPERATION: Field = ("operation", "integer", "0 call, 1 delegatecall");
pub(super) const PROVENANCE: Field = ("provenance", "text", "public or reconstructed, in replay data");
pub(super) const RULE: Field = ("rule", "text", "the rule's id");
pub(super) const TO: Field = ("to", "text", "address called, as opposed to the recipient of value in `to_address`");
pub(super) const UNLIMITED_SPENDER: Field =
    ("unlimited_spender", "text", "first address that is given an allowance of at least 2^255 units");
