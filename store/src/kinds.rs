//! The registry of kinds: every dotted name an event may carry, what it means, and what it says in `outcome` and
//! `detail`. The reference page `docs/events.md` is generated from this file and checked by a test.

use std::sync::LazyLock;

use hashbrown::HashMap;

use detail::{BY, CHANGE, COMPROMISE, DONE, INCIDENT, RESPONSE, SAFE_REQUEST, SILENCE};
pub use kind::{Kind, Writer};
use kind::{conclusion, keywatch, operated, source};

mod chain;
mod detail;
mod kind;

/// Looks a kind up by name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    static BY_NAME: LazyLock<HashMap<&str, &Kind>> =
        LazyLock::new(|| KINDS.iter().map(|kind| (kind.name, kind)).collect());
    BY_NAME.get(name).copied()
}

/// Every kind, by family.
pub const KINDS: &[Kind] = &[
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
    source("session.mfa_changed", "a factor was enrolled, reset or removed", &[], detail::MFA_CHANGED),
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
    source(
        "decision",
        "the policy decision point answered a query",
        &["allow", "deny", "undefined", "error", "unknown"],
        detail::DECISION,
    ),
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
        detail::SIGNING_APPROVED,
    ),
    source("signing.rejected", "a person or signer rejected a request", &[], &[]),
    source("signing.signed", "a request got its full signature", &["success", "failed"], SAFE_REQUEST),
    source("signing.failed", "a signer could not or would not sign", &[], &[]),
    source("signing.unsealed", "a key decrypted, and opened what it keeps shut", &["success"], &[]),
    source("signing.round", "one round of an MPC protocol", &["ok", "abort"], detail::SIGNING_ROUND),
    source(
        "chain.tx",
        "a transaction of a wallet was seen on its chain",
        &["success", "failed", "unconfirmed"],
        chain::CHAIN_TX,
    ),
    source(
        "chain.transfer",
        "value moved from or to a wallet on its chain",
        &["success", "failed", "unconfirmed"],
        chain::CHAIN_TRANSFER,
    ),
    source(
        "chain.module_tx",
        "a module of a multisig wallet acted for it, without any signature of its owners",
        &["success", "failed", "unconfirmed"],
        chain::CHAIN_MODULE_TX,
    ),
    source(
        "chain.contract",
        "a wallet contract changed: implementation, owner, threshold, module, guard; `unconfirmed` what waits for its block",
        &["unconfirmed"],
        chain::CHAIN_CONTRACT,
    ),
    source(
        "chain.approval",
        "a wallet let somebody take its tokens, or no longer lets; `to_address` is who may take",
        &["granted", "revoked"],
        chain::CHAIN_APPROVAL,
    ),
    source(
        "chain.balance",
        "a wallet's balance: it differs from what events explain, and `amount` is the difference (`unexplained`), or what the \
         coins of a wallet on a UTXO chain add up to, which is the `amount` (`held`)",
        &["unexplained", "held"],
        chain::CHAIN_BALANCE,
    ),
    keywatch(
        "chain.signature",
        "a signature by which a watched wallet spent a coin, on UTXO chains",
        &["success", "unconfirmed"],
        chain::CHAIN_SIGNATURE,
    ),
    keywatch(
        "chain.asset",
        "what the contract of a token that moved calls itself; `disguised` where letters beyond ASCII are in it",
        &["said", "disguised"],
        chain::CHAIN_ASSET,
    ),
    keywatch(
        "chain.dropped",
        "a transaction that waited is no longer in the pool of any node, and in no block that was read",
        &["replaced", "gone"],
        &[("by", "text", "the transaction that took its place")],
    ),
    keywatch(
        "chain.nonce_missing",
        "a transaction waits behind a number of its account for which none is known, in a pool or in a block",
        &[],
        chain::CHAIN_NONCE_MISSING,
    ),
    keywatch(
        "chain.progress",
        "a follower has read these blocks of its chain, and everything watched in them stands before this record",
        &[],
        chain::CHAIN_PROGRESS,
    ),
    keywatch(
        "chain.backfill",
        "what a follower has still to read of old blocks, for wallets that were added to the inventory",
        &[],
        chain::CHAIN_BACKFILL,
    ),
    keywatch(
        "chain.finality",
        "blocks of a chain became final, or were and are left all the same",
        &["final", "reverted"],
        chain::CHAIN_FINALITY,
    ),
    keywatch(
        "chain.reorg",
        "blocks that a follower had read are no longer part of their chain",
        &[],
        chain::CHAIN_REORG,
    ),
    keywatch(
        "chain.disagreement",
        "nodes of one chain say different things of a block, of which what enough of them say was taken; or one shows a waiting \
         transaction under a sender that did not sign it, which was left out",
        &[],
        chain::CHAIN_DISAGREEMENT,
    ),
    keywatch(
        "chain.retracted",
        "an event stood in a block that is no longer part of its chain; the columns are the event's",
        &[],
        chain::CHAIN_RETRACTED,
    ),
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
    source(
        "control.deploy",
        "a pipeline put an artifact where it runs; the actor started the run",
        DONE,
        detail::CONTROL_DEPLOY,
    ),
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
    source(
        "custody.request",
        "the business asked for a movement: withdrawal ledger, ticket",
        &["open", "done", "cancelled"],
        &[],
    ),
    source(
        "custody.access",
        "a vault, safe or ceremony room was entered, or could not be",
        &["failure"],
        &[
            ("act", "text", "what was done, in the source's word: entered, left, refused"),
            ("place", "text", "which room or safe"),
            ("with", "text", "who was there too"),
        ],
    ),
    source(
        "custody.ceremony",
        "a ceremony of keys began or ended: generation, backup, recovery, destruction",
        &["open", "done", "aborted"],
        &[
            ("purpose", "text", "what it was for"),
            ("people", "array", "who took part"),
            ("ticket", "text", "the ticket that it was done for"),
        ],
    ),
    source(
        "custody.grant",
        "a person was given a right over keys or wallets, or lost it; the actor is that person",
        &["granted", "revoked"],
        &[
            ("right", "text", "which right"),
            ("ticket", "text", "the ticket that it was done for"),
            ("by", "text", "who gave or took it, where that was somebody else"),
            ("until", "text", "when it ends by itself"),
        ],
    ),
    source(
        "custody.change",
        "a change was approved to be made by its actor: ticket",
        &["open", "done", "cancelled"],
        &[("ticket", "text", "its ticket"), ("approved_by", "text", "who approved it")],
    ),
    source(
        "custody.drill",
        "what is to be done when keys are compromised was practised",
        &["passed", "failed"],
        &[("about", "text", "what was practised")],
    ),
    source(
        "custody.review",
        "a provider was reviewed",
        &["passed", "failed"],
        &[("provider", "text", "whom"), ("until", "text", "when the next is due")],
    ),
    source(
        "custody.person",
        "the register of people who are trusted with keys has a person, changed or no more",
        &["active", "inactive"],
        &[
            ("role", "text", "what the person does"),
            ("checked_until", "text", "how long the background check holds"),
            ("duties_signed", "boolean", "the duties were acknowledged in writing"),
        ],
    ),
    source(
        "custody.break_glass",
        "access for an emergency was opened or closed again",
        &["open", "closed"],
        &[("with", "text", "the second person"), ("two_people", "boolean", "two different people are named")],
    ),
    source("source.status", "a source speaks of its own health", &["ok", "degraded", "down"], &[]),
    source("source.heartbeat", "a source says that it is alive", &[], &[]),
    keywatch(
        "source.expected",
        "the inventory expects this source to speak",
        &[],
        &[("heartbeat_seconds", "integer", "longest silence that is ordinary")],
    ),
    keywatch("source.reject", "input of an authenticated source could not be understood", &[], detail::SOURCE_REJECT),
    keywatch(
        "source.conflict",
        "a source said something else under an id it had used",
        &[],
        &[("conflicting_event", "text", "the event kept first"), ("line", "text", "what was said now")],
    ),
    keywatch(
        "source.gap",
        "records are lost: of the log, and `actor` accepted it, or of a source that proves what it sent (`missing`); `reason` says why",
        &[],
        detail::SOURCE_GAP,
    ),
    keywatch(
        "source.cursor",
        "a source was asked, and everything that it answered up to here stands before this record",
        &[],
        detail::SOURCE_CURSOR,
    ),
    keywatch(
        "pdp.state",
        "what a replica of the decision point holds: at first sight, when it changed or is judged anew, and again every ten minutes",
        &["seen", "changed", "expected", "unexpected"],
        detail::PDP_STATE,
    ),
    keywatch(
        "pdp.canary",
        "a replica of the decision point was asked a question whose answer is known",
        &["as_expected", "different", "unanswered"],
        detail::PDP_CANARY,
    ),
    keywatch(
        "inventory.activated",
        "the inventory of a system from this log time on",
        &[],
        detail::INVENTORY_ACTIVATED,
    ),
    keywatch("rule.activated", "a rule version with its parameters, from this log time on", &[], &[]),
    keywatch(
        "rule.parked",
        "a rule failed, or failed again, and is not evaluated until retried: a gap begins or goes on; `reason` says why",
        &[],
        detail::RULE_PARKED,
    ),
    keywatch(
        "rule.resumed",
        "a parked rule is evaluated again, and has evaluated what it missed",
        &[],
        detail::RULE_RESUMED,
    ),
    keywatch(
        "rule.skipped",
        "a rule could not evaluate a record and goes on without it: its windows do not have it, or it was not answered; \
         `reason` says why",
        &[],
        detail::RULE_SKIPPED,
    ),
    keywatch(
        "rule.limited",
        "a rule's windows reached a limit of what they may remember, and the source that flooded them lost its oldest: \
         answers that reach into that time may count too few",
        &[],
        detail::RULE_LIMITED,
    ),
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
    keywatch("response.verified", "the effect was probed", detail::DEGREES, RESPONSE),
    keywatch(
        "response.failed",
        "the policy decision point, or another way, could not be reached or refused; will be tried again unless it is given up",
        &["given_up"],
        RESPONSE,
    ),
    keywatch("tick", "log time went on; nothing else is said", &[], &[]),
    conclusion("finding.created", "a rule concluded something; the detail is the finding"),
    conclusion("alert.opened", "a finding of a rule about something that has no alert yet"),
    conclusion("alert.updated", "a finding of an open alert that makes its incident page again"),
    conclusion("alert.suppressed", "a finding was counted on an open alert, nobody was told again"),
    conclusion("incident.paged", "what had waited since the last page of an incident is told"),
    operated("alert.acknowledged", "an operator took an incident up", &[INCIDENT, BY]),
    operated(
        "alert.assigned",
        "an operator gave an incident to somebody, or gave it back",
        &[INCIDENT, BY, ("assignee", "text", "who is to see to it; null for nobody")],
    ),
    operated(
        "alert.commented",
        "an operator said something about an incident",
        &[INCIDENT, BY, ("comment", "text", "what was said")],
    ),
    operated(
        "alert.resolved",
        "an operator said what an incident, or one alert of it, was",
        &[
            INCIDENT,
            ("alert_id", "text", "the alert, where one alone is meant"),
            BY,
            ("verdict", "text", "true, false, benign or test"),
            ("reason", "text", "why"),
        ],
    ),
    operated(
        "alert.reopened",
        "an operator took up an incident again that was resolved",
        &[INCIDENT, BY, ("reason", "text", "why")],
    ),
    operated(
        "alert.silenced",
        "an operator silenced findings; where criticals or the allow-list are meant, once a second one agrees",
        &[
            SILENCE,
            BY,
            ("request", "object", "system, matcher, reason, until, criticals"),
            (
                "allows",
                "object",
                "of an entry of the allow-list: alert, finding, verdict and severity that it was made from, and how it is wider \
                 (any, amount)",
            ),
        ],
    ),
    operated(
        "alert.silence_approved",
        "a second operator agreed to a silence of criticals, or to an entry of the allow-list",
        &[SILENCE, BY],
    ),
    operated("alert.silence_ended", "an operator ended a silence before its time", &[SILENCE, BY]),
    keywatch(
        "credential.accepted",
        "a process that takes events in for others to evaluate says by what it recognises a source from now on",
        &[],
        detail::CREDENTIAL_ACCEPTED,
    ),
    operated(
        "credential.compromised",
        "an operator declared that somebody else had the credential of a source: what the source wrote since is tainted",
        detail::CREDENTIAL_COMPROMISED,
    ),
    operated(
        "credential.compromise_asked",
        "an operator who has declared several sources wants one more declared, and another one has to declare the same",
        detail::CREDENTIAL_COMPROMISED,
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
        detail::PROTECTION_CONFIGURED,
    ),
    operated("protection.switch_asked", "an operator wants a rule off or in shadow for a while", detail::SWITCH_ASKED),
    operated("protection.switch_approved", "a second operator agreed, and it holds", detail::SWITCH_APPROVED),
    operated("protection.switch_ended", "an operator switched such a rule on again", detail::SWITCH_ENDED),
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
    conclusion("alert.notified", "a destination took a notification"),
    conclusion("alert.failed", "a destination did not take a notification: tried again, or put aside if `dead`"),
    conclusion("alert.redriven", "a notification that was put aside is tried again, since a person asked for it"),
    conclusion("alert.escalated", "nobody acknowledged an incident in time, so that further receivers are told"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_dotted_lower_case() {
        for (index, kind) in KINDS.iter().enumerate() {
            assert!(KINDS[..index].iter().all(|other| other.name != kind.name), "{}", kind.name);
            assert!(kind.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'.' || byte == b'_'));
        }
    }
}
