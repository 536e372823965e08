//! The kinds of policy decision points: what they decided, what they hold, what they answer to known questions.

use super::kind::{Field, Kind, keywatch, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source(
        "decision",
        "the policy decision point answered a query",
        &["allow", "deny", "undefined", "error", "unknown"],
        DECISION,
    ),
    keywatch(
        "pdp.state",
        "what a replica of the decision point holds: at first sight, when it changed or is judged anew, and again every ten minutes",
        &["seen", "changed", "expected", "unexpected"],
        STATE,
    ),
    keywatch(
        "pdp.canary",
        "a replica of the decision point was asked a question whose answer is known",
        &["as_expected", "different", "unanswered"],
        CANARY,
    ),
];

const DECISION: &[Field] = &[
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

const STATE: &[Field] = &[
    ("part", "text", "`policies`, `data` without the revocations, or `config`"),
    ("sha256", "text", "of it as it is"),
    ("before", "text", "of it as it was, where that is something else"),
    ("policies", "text", "ids of policies that came, went or are others; twenty at most"),
    ("replica", "text", "id of the process, where it was told"),
];

const CANARY: &[Field] = &[
    ("canary", "text", "its name in the configuration"),
    ("path", "text", "the policy path asked"),
    ("expected", "any", "what has to be answered"),
    ("answered", "any", "what was answered, unless it is long"),
    ("latency_ms", "integer", "milliseconds until the answer, the network among it"),
    ("policy_revision", "text", "revision of the policy that answered, where it was told"),
];
