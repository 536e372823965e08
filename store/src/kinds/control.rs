//! The kinds of controls: changes of policies, keys, grants, networks, artifacts.

use super::kind::{Field, Kind, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
    source("control.policy", "a policy was changed", DONE, CHANGE),
    source("control.destination", "a destination was added to or removed from an allow-list", DONE, CHANGE),
    source(
        "control.key",
        "a key was created, disabled, granted, exported, re-pointed or scheduled for deletion",
        DONE,
        CHANGE,
    ),
    source("control.wallet", "a wallet or account was created or changed", DONE, CHANGE),
    source("control.iam", "an identity, role or grant was changed", DONE, CHANGE),
    source("control.network", "a network rule, route or peering was changed", DONE, CHANGE),
    source("control.logging", "a log, trail or sensor was changed", DONE, CHANGE),
    source(
        "control.artifact",
        "the signature of an artifact was checked",
        &["verified", "failed", "unsigned"],
        &[
            ("artifact", "text", "its digest, as sha256:…"),
            ("identity", "text", "who signed it, as the certificate says"),
            ("issuer", "text", "who vouches for that identity"),
            ("target", "text", "where it runs or will"),
            ("log_index", "text", "its place in the transparency log"),
        ],
    ),
    source("control.deploy", "a pipeline put an artifact where it runs; the actor started the run", DONE, DEPLOY),
    source(
        "control.secret",
        "a secret was found where none may stand",
        &["verified", "unverified"],
        &[
            ("rule", "text", "what the scanner takes it for"),
            ("place", "text", "file or object"),
            ("commit", "text", "the commit that holds it"),
        ],
    ),
];

/// Whether a change was made; one that was refused is an attempt.
const DONE: &[&str] = &["success", "failed"];

const CHANGE: &[Field] = &[
    ("act", "text", "what was done, in the source's word"),
    ("target", "text", "what it was done to, where the source names it"),
];

const DEPLOY: &[Field] = &[
    ("target", "text", "where"),
    ("artifact", "text", "its digest, as sha256:…"),
    ("repository", "text", "of the pipeline"),
    ("ref", "text", "branch or tag that it ran for"),
    ("ref_protected", "text", "yes, no, unknown"),
    ("workflow", "text", "the workflow that asked for the credentials"),
    ("environment", "text", "the environment, whose gates it had to pass"),
    ("trigger", "text", "what started it: push, pull_request, workflow_dispatch …"),
];
