//! The kinds of custody: what the business asked for, and what people do with keys and rooms.

use super::kind::{Kind, source};

/// Every kind of them.
pub(super) const KINDS: &[Kind] = &[
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
];
