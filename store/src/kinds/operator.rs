//! The kinds of operators beyond incidents: stolen credentials, rules that are switched, what people looked at.

use super::fields::BY;
use super::kind::{Field, Kind, keywatch, operated};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    keywatch(
        "credential.accepted",
        "a process that takes events in for others to evaluate says by what it recognises a source from now on",
        &[],
        CREDENTIAL_ACCEPTED,
    ),
    operated(
        "credential.compromised",
        "an operator declared that somebody else had the credential of a source: what the source wrote since is tainted",
        CREDENTIAL_COMPROMISED,
    ),
    operated(
        "credential.compromise_asked",
        "an operator who has declared several sources wants one more declared, and another one has to declare the same",
        CREDENTIAL_COMPROMISED,
    ),
    operated(
        "credential.restore_asked",
        "an operator wants such a declaration taken back, and another one has to agree",
        &[COMPROMISE, BY, ("reason", "text", "why")],
    ),
    operated(
        "credential.restored",
        "a second operator agreed: the source's word counts again, and its credentials are taken",
        &[COMPROMISE, BY, ("reason", "text", "why")],
    ),
    operated(
        "protection.configured",
        "keywatch was started with a configuration that lets the rules do more or less than the one before",
        PROTECTION_CONFIGURED,
    ),
    operated("protection.switch_asked", "an operator wants a rule off or in shadow for a while", SWITCH_ASKED),
    operated("protection.switch_approved", "a second operator agreed, and it holds", SWITCH_APPROVED),
    operated("protection.switch_ended", "an operator switched such a rule on again", SWITCH_ENDED),
    operated(
        "operator.read",
        "an operator was shown an incident, or everything about somebody or something, or asked in SQL",
        &[BY, ("what", "text", "what kind of answer"), ("name", "text", "about what")],
    ),
    operated(
        "operator.signed_in",
        "an operator began a session on the web page",
        &[BY, ("way", "text", "`token` of the configuration, or `identity_provider`")],
    ),
];

const COMPROMISE: Field = ("compromise_id", "text", "the declaration");

const CREDENTIAL_ACCEPTED: &[Field] = &[
    ("of", "text", "the source"),
    ("process", "text", "the process, by a name that it keeps over restarts"),
    (
        "prints",
        "array",
        "fingerprints of what it recognises the source by; empty where it takes nothing of the source any more",
    ),
];

const CREDENTIAL_COMPROMISED: &[Field] = &[
    ("compromise_id", "text", "the declaration"),
    BY,
    ("asked_by", "text", "who had asked for it, where two people declare it"),
    ("request", "object", "system, source, since, until, reason"),
    ("refused", "array", "fingerprints of the credentials that are taken no more as those of the source"),
    (
        "shared_with",
        "array",
        "other sources of the system that were recognised by one of them; they are refused nothing",
    ),
];

const PROTECTION_CONFIGURED: &[Field] = &[
    ("on", "array", "rules that run"),
    ("acting", "array", "those of them that may revoke without a person"),
    ("gone", "boolean", "true where the inventory has the system no more"),
];

const SWITCH: Field = ("switch_id", "text", "what was asked for");

const SWITCH_ASKED: &[Field] =
    &[SWITCH, BY, ("request", "object", "system, rule, what is to be left of it (`to`: shadow or off), reason, until")];

const SWITCH_APPROVED: &[Field] = &[SWITCH, BY];

const SWITCH_ENDED: &[Field] = &[SWITCH, BY, ("reason", "text", "why")];
