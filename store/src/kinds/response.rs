//! The kinds of responses: what was decided, done and found in effect.

use super::kind::{Field, Kind, keywatch};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    keywatch("response.proposed", "a revocation waits for a person's approval", &[], RESPONSE),
    keywatch(
        "response.requested",
        "a revocation is decided and will be carried out; written before anything is done",
        &[],
        RESPONSE,
    ),
    keywatch("response.approved", "a person agreed to a proposed revocation; `actor` is the person", &[], RESPONSE),
    keywatch("response.rejected", "a person decided against a proposed revocation", &[], RESPONSE),
    keywatch(
        "response.undo_asked",
        "a person wants a revocation taken back, and another one has to agree; `actor` is the person",
        &[],
        RESPONSE,
    ),
    keywatch("response.undone", "a person took a revocation back: its names leave the document", &[], RESPONSE),
    keywatch("response.published", "the revocation document was written to the policy decision point", &[], RESPONSE),
    keywatch("response.verified", "the effect was probed", DEGREES, RESPONSE),
    keywatch(
        "response.failed",
        "the policy decision point, or another way, could not be reached or refused; will be tried again unless it is given up",
        &["given_up"],
        RESPONSE,
    ),
];

const RESPONSE: &[Field] = &[
    ("response_id", "text", "the same for every step of one revocation"),
    ("alert_id", "text", "the alert it answers"),
    ("targets", "object", "sessions, subjects, devices, requests, wallets"),
    ("sequence", "integer", "sequence number of the revocation document"),
];

/// In what degree a revocation is in effect.
const DEGREES: &[&str] = &[
    "denied_at_pdp",
    "already_denied",
    "unconfirmed",
    "closed_at_pep",
    "no_signature_since",
    "accepted_by_identity_provider",
    "accepted_by_signer",
];
