//! What several kinds say alike in `outcome` and `detail`, and what those say that say much.

pub(super) const INCIDENT: (&str, &str, &str) = ("incident", "text", "the incident");
pub(super) const BY: (&str, &str, &str) = ("by", "text", "name of the operator");
pub(super) const COMPROMISE: (&str, &str, &str) = ("compromise_id", "text", "the declaration");
pub(super) const SILENCE: (&str, &str, &str) = ("silence_id", "text", "the silence");

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

pub(super) const DECISION: &[(&str, &str, &str)] = &[
    ("batch_decision_id", "text", "the same for every decision of one batch query"),
    ("input", "object", "the input as logged, masked fields left out"),
    ("path", "text", "the policy path asked, without a leading slash"),
    ("labels", "object", "labels of the replica"),
    (
        "policy_revision",
        "text",
        "revision of the policy that decided; of OPA, those of its bundles but the revocations",
    ),
    ("erased", "array", "JSON pointers erased or masked by the replica"),
    ("amount_type", "text", "JSON type of the input's amount, `absent` or `masked`"),
    ("amount_positive", "boolean", "the amount is a number above zero"),
    ("risk_type", "text", "JSON type of the input's risk score, `absent` or `masked`"),
    ("approvals_type", "text", "JSON type of the input's approvals, `absent` or `masked`"),
    ("approvals", "integer", "approvals the input lists"),
    ("approvers_distinct", "integer", "distinct non-empty approvers with an affirmative approval, case-folded"),
    ("self_approved", "boolean", "an affirmative approval is by the initiator"),
];

pub(super) const SIGNING_APPROVED: &[(&str, &str, &str)] = &[
    ("signature_type", "text", "EOA, ETH_SIGN, APPROVED_HASH, CONTRACT_SIGNATURE"),
    ("signer_claimed", "text", "address the confirmation is filed under"),
    ("signer_recovered", "text", "address the signature recovers to over the filed hash"),
    ("hash_filed", "text", "safeTxHash as filed"),
    ("hash_recomputed", "text", "safeTxHash recomputed from the fields"),
    ("operation", "integer", "0 call, 1 delegatecall"),
    ("nonce", "integer", "the wallet's nonce"),
    ("provenance", "text", "public or reconstructed, in replay data"),
];

pub(super) const SIGNING_ROUND: &[(&str, &str, &str)] = &[
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

pub(super) const CONTROL_DEPLOY: &[(&str, &str, &str)] = &[
    ("target", "text", "where"),
    ("artifact", "text", "its digest, as sha256:…"),
    ("repository", "text", "of the pipeline"),
    ("ref", "text", "branch or tag that it ran for"),
    ("ref_protected", "text", "yes, no, unknown"),
    ("workflow", "text", "the workflow that asked for the credentials"),
    ("environment", "text", "the environment, whose gates it had to pass"),
    ("trigger", "text", "what started it: push, pull_request, workflow_dispatch …"),
];

pub(super) const SOURCE_GAP: &[(&str, &str, &str)] = &[
    ("topic", "text", "what lost them: events or conclusions"),
    ("from_position", "integer", "position of the first that is lost, as the damaged log counted"),
    ("to_position", "integer", "position after the last"),
    ("records", "integer", "how many, of all systems"),
    ("from_time", "text", "log time of the last record before them"),
    ("to_time", "text", "log time of the first record behind them, or of the log's head"),
    ("cause", "text", "what did not verify"),
    ("accepted_by", "text", "who went on without them"),
    ("missing", "text", "what of a source is not there, or not as it was written: a file by its name"),
];

pub(super) const SOURCE_CURSOR: &[(&str, &str, &str)] = &[
    ("stream", "text", "which list of the source"),
    ("records", "integer", "events that came of the page before this record"),
    ("cursor", "object", "where the list goes on: time of the newest record, next page, ids to be acknowledged"),
];

pub(super) const RULE_RESUMED: &[(&str, &str, &str)] = &[
    ("rule", "text", "the rule's id"),
    ("from_position", "integer", "first record that it had missed"),
    ("to_position", "integer", "first record that it did not miss"),
    ("from_time", "text", "log time of the first record that it had missed"),
    ("to_time", "text", "log time of the last record that it had missed"),
    ("findings", "integer", "findings that the gap had withheld"),
    ("skipped", "array", "event ids of records that it went on without, a hundred at most"),
];

pub(super) const RULE_LIMITED: &[(&str, &str, &str)] = &[
    ("rule", "text", "the rule's id"),
    ("flooding_source", "text", "the source that had most of them"),
    ("what", "text", "`rows` inside frames, `keys`, or rows `waiting` to be decided"),
    ("group", "text", "partition key of the windows"),
    ("count", "integer", "how many"),
    ("from_time", "text", "log time of the first"),
    ("to_time", "text", "log time of the last"),
];

/// In what degree a revocation is in effect.
pub(super) const DEGREES: &[&str] = &[
    "denied_at_pdp",
    "already_denied",
    "unconfirmed",
    "closed_at_pep",
    "no_signature_since",
    "accepted_by_identity_provider",
    "accepted_by_signer",
];

pub(super) const RULE_PARKED: &[(&str, &str, &str)] = &[
    ("rule", "text", "the rule's id"),
    ("from_position", "integer", "first record of the events topic that it did not evaluate"),
    ("failures", "integer", "attempts that failed so far"),
    ("retry_after_seconds", "integer", "how long it waits for the next one"),
];

pub(super) const RULE_SKIPPED: &[(&str, &str, &str)] = &[
    ("rule", "text", "the rule's id"),
    ("record_time", "text", "log time of the record; a system has one record at a time"),
    ("event", "text", "id of the record, where the rule still had it"),
];

pub(super) const PDP_STATE: &[(&str, &str, &str)] = &[
    ("part", "text", "`policies`, `data` without the revocations, or `config`"),
    ("sha256", "text", "of it as it is"),
    ("before", "text", "of it as it was, where that is something else"),
    ("policies", "text", "ids of policies that came, went or are others; twenty at most"),
    ("replica", "text", "id of the process, where it was told"),
];

pub(super) const PDP_CANARY: &[(&str, &str, &str)] = &[
    ("canary", "text", "its name in the configuration"),
    ("path", "text", "the policy path asked"),
    ("expected", "any", "what has to be answered"),
    ("answered", "any", "what was answered, unless it is long"),
    ("latency_ms", "integer", "milliseconds until the answer, the network among it"),
    ("policy_revision", "text", "revision of the policy that answered, where it was told"),
];

pub(super) const MFA_CHANGED: &[(&str, &str, &str)] = &[
    ("change", "text", "create, revoke, update, delete"),
    ("factor", "text", "factor changed, in the source's word"),
    ("by", "text", "who changed it, where that was not the person"),
];

pub(super) const INVENTORY_ACTIVATED: &[(&str, &str, &str)] = &[
    ("declared", "object", "the system as declared in the inventory"),
    ("sha256", "text", "of `declared` as canonical JSON"),
];

pub(super) const CREDENTIAL_ACCEPTED: &[(&str, &str, &str)] = &[
    ("of", "text", "the source"),
    ("process", "text", "the process, by a name that it keeps over restarts"),
    (
        "prints",
        "array",
        "fingerprints of what it recognises the source by; empty where it takes nothing of the source any more",
    ),
];

pub(super) const CREDENTIAL_COMPROMISED: &[(&str, &str, &str)] = &[
    ("compromise_id", "text", "the declaration"),
    ("by", "text", "name of the operator"),
    ("asked_by", "text", "who had asked for it, where two people declare it"),
    ("request", "object", "system, source, since, until, reason"),
    ("refused", "array", "fingerprints of the credentials that are taken no more as those of the source"),
    (
        "shared_with",
        "array",
        "other sources of the system that were recognised by one of them; they are refused nothing",
    ),
];

pub(super) const SOURCE_REJECT: &[(&str, &str, &str)] = &[
    ("feed", "text", "feed that read it"),
    ("raw", "text", "the first bytes, masked, lossy UTF-8"),
    ("bytes", "integer", "size of the input"),
    ("field", "text", "field at fault"),
];

pub(super) const PROTECTION_CONFIGURED: &[(&str, &str, &str)] = &[
    ("on", "array", "rules that run"),
    ("acting", "array", "those of them that may revoke without a person"),
    ("gone", "boolean", "true where the inventory has the system no more"),
];

const SWITCH: (&str, &str, &str) = ("switch_id", "text", "what was asked for");
const SWITCHED_BY: (&str, &str, &str) = ("by", "text", "name of the operator");

pub(super) const SWITCH_ASKED: &[(&str, &str, &str)] = &[
    SWITCH,
    SWITCHED_BY,
    ("request", "object", "system, rule, what is to be left of it (`to`: shadow or off), reason, until"),
];

pub(super) const SWITCH_APPROVED: &[(&str, &str, &str)] = &[SWITCH, SWITCHED_BY];

pub(super) const SWITCH_ENDED: &[(&str, &str, &str)] = &[SWITCH, SWITCHED_BY, ("reason", "text", "why")];
