//! The kinds of signing: what was asked for, who agreed, what was signed.

use super::fields::{
    CALL, GAS_PRICE, HASH_FILED, HASH_RECOMPUTED, INNER_DELEGATE_TO, NONCE, OPERATION, PROVENANCE, TO,
    UNLIMITED_SPENDER,
};
use super::kind::{Field, Kind, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source(
        "signing.requested",
        "a signature was asked for; the request id is the hash or id it is filed under",
        &["verified", "mismatch", "unverifiable"],
        SAFE_REQUEST,
    ),
    source(
        "signing.approved",
        "a person or signer approved a request; for a multisig, one confirmation",
        &["verified", "mismatch", "unverifiable"],
        APPROVED,
    ),
    source("signing.rejected", "a person or signer rejected a request", &[], &[]),
    source("signing.signed", "a request got its full signature", &["success", "failed"], SAFE_REQUEST),
    source("signing.failed", "a signer could not or would not sign", &[], &[]),
    source("signing.unsealed", "a key decrypted, and opened what it keeps shut", &["success"], &[]),
    source("signing.round", "one round of an MPC protocol", &["ok", "abort"], ROUND),
];

const SAFE_REQUEST: &[Field] = &[
    HASH_FILED,
    HASH_RECOMPUTED,
    OPERATION,
    NONCE,
    GAS_PRICE,
    TO,
    CALL,
    INNER_DELEGATE_TO,
    UNLIMITED_SPENDER,
    ("executor", "text", "who sent the transaction"),
    PROVENANCE,
];

const APPROVED: &[Field] = &[
    ("signature_type", "text", "EOA, ETH_SIGN, APPROVED_HASH, CONTRACT_SIGNATURE"),
    ("signer_claimed", "text", "address the confirmation is filed under"),
    ("signer_recovered", "text", "address the signature recovers to over the filed hash"),
    HASH_FILED,
    HASH_RECOMPUTED,
    OPERATION,
    NONCE,
    GAS_PRICE,
    PROVENANCE,
];

const ROUND: &[Field] = &[
    ("protocol", "text", "keygen, signing, resharing; a name of the curve may stand before it, as ecdsa-signing"),
    ("session", "text", "the same for every round of one run of the protocol"),
    ("round", "integer", "number of the round"),
    ("to", "array", "who the message is for, absent for everybody"),
    ("broadcast", "boolean", "the message is for everybody"),
    ("committee", "text", "which committee the message is for, when resharing"),
    ("bytes", "integer", "size of the message"),
    ("latency_ms", "integer", "milliseconds that the round took"),
    ("culprits", "array", "whom the node blames for an abort"),
    ("parties", "array", "who takes part"),
    ("threshold", "integer", "the threshold, as the node counts it"),
];
