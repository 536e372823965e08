//! The kinds of sessions: how people and machines sign in, with what, from where.

use super::kind::{Field, Kind, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source("session.started", "a session was opened at the identity provider", &["success", "failure"], &[]),
    source("session.presented", "a session was used: a sign-on, a page, an API call", &["success", "failure"], &[]),
    source("session.ended", "a session ended by log-out or expiry", &[], &[]),
    source("session.revoked", "the identity provider says that a session was revoked", &[], &[]),
    source(
        "session.mfa",
        "a second factor was asked for",
        &["success", "failure", "bypass"],
        &[("factor", "text", "factor used")],
    ),
    source("session.mfa_changed", "a factor was enrolled, reset or removed", &[], MFA_CHANGED),
    source(
        "session.posture",
        "the state of a device, or of the device of a session",
        &["compliant", "not_compliant", "unknown"],
        &[("check", "text", "what was checked, e.g. disk_encryption")],
    ),
    source(
        "session.risk",
        "the identity provider or a risk engine rates a session or person",
        &["low", "medium", "high"],
        &[("score", "number", "the score behind the level")],
    ),
    source(
        "session.assurance",
        "the assurance of a session's authentication changed",
        &["increased", "decreased"],
        &[("current_level", "text", "level now"), ("previous_level", "text", "level before")],
    ),
    source("session.claims_changed", "the claims of a session's tokens changed", &[], &[]),
    source("session.network", "a network connection of a session", &[], &[]),
];

const MFA_CHANGED: &[Field] = &[
    ("change", "text", "create, revoke, update, delete"),
    ("factor", "text", "factor changed, in the source's word"),
    ("by", "text", "who changed it, where that was not the person"),
];
