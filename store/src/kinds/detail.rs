//! What several kinds say alike in `outcome` and `detail`.

/// Whether a change was made; one that was refused is an attempt.
pub(super) const DONE: &[&str] = &["success", "failed"];

pub(super) const CHANGE: &[(&str, &str, &str)] = &[
    ("act", "text", "what was done, in the source's word"),
    ("target", "text", "what it was done to, where the source names it"),
];

pub(super) const SAFE_REQUEST: &[(&str, &str, &str)] = &[
    ("hash_filed", "text", "safeTxHash as filed"),
    ("hash_recomputed", "text", "safeTxHash recomputed from the fields"),
    ("operation", "integer", "0 call, 1 delegatecall"),
    ("nonce", "integer", "the wallet's nonce"),
    ("to", "text", "address called, as opposed to the recipient of value in `to_address`"),
    ("call", "object", "decoded call: name and arguments"),
    (
        "inner_delegate_to",
        "text",
        "first address that a call within a batch delegates to and that is no batching contract",
    ),
    ("unlimited_spender", "text", "first address that is given an allowance of at least 2^255 units"),
    ("executor", "text", "who sent the transaction"),
    ("provenance", "text", "public or reconstructed, in replay data"),
];

pub(super) const RESPONSE: &[(&str, &str, &str)] = &[
    ("response_id", "text", "the same for every step of one revocation"),
    ("alert_id", "text", "the alert it answers"),
    ("targets", "object", "sessions, subjects, devices, requests, wallets"),
    ("sequence", "integer", "sequence number of the revocation document"),
];
