//! `BitGo` webhooks: requests for signatures, the rounds in which they are made, transfers, and what freezes or opens a wallet.
//!
//! It reads no API, and does not know whether a notice that never came was lost.

use serde_json::Value;

use super::table::Column::{Actor, Amount, Asset, FromAddress, Reason, Request, ToAddress, Tx, Wallet};
use super::table::{About, Draft, Fact, Finish, Table, Words, on, pass, path, value};
use crate::Problem;
use crate::signature::{self, Refused};

/// The rounds of threshold signing, by the state that waits for them, and their numbers.
const ROUNDS: [(&str, i64); 7] = [
    ("eddsaPendingCommitment", 1),
    ("eddsaPendingRShare", 2),
    ("eddsaPendingGShare", 3),
    ("ecdsaMPCv2Round1", 1),
    ("ecdsaMPCv2Round2", 2),
    ("ecdsaMPCv2Round3", 3),
    ("readyToCombineShares", 4),
];

const IN_ROUNDS: &[&str] = &["eddsaPending*", "ecdsaMPCv2Round*", "readyToCombineShares"];

const STATE: &[(&str, Fact)] = &[("state", Fact::At("state"))];

const CHANGED: &[(&str, Fact)] = &[("act", Fact::At("type")), ("target", Fact::At("url | wallet | tokenId"))];

/// The feed `bitgo`.
pub static BITGO: Table = Table {
    name: "bitgo",
    about: About {
        title: "BitGo webhooks",
        what: "Requests for signatures from their first step to the signature, each round of threshold signing, approvals, \
               transfers, and what freezes a wallet or opens an enterprise: frozen, circuit breaker, access tokens, the state \
               of the webhook itself.",
        format: "BitGo, webhook notification; states of `txRequest` and `txRequestTransaction` as in `@bitgo/public-types`",
        delivery: "HTTPS POST with `x-signature-sha256`, the hexadecimal HMAC-SHA-256 of the raw body (`bitgo::verify`). Tried \
                   again for four hours after a failure, in no order. The identity is `id`, else type, transfer or hash, and \
                   state.",
        traps: &[
            "A notice has no time of its own: a relay adds `received_at`, and `record`, what it read of the transfer or request \
             through the API before believing the notice; the times in it count first.",
            "A notice with `simulation` true is BitGo's own test and is passed over.",
            "The webhook is suspended after 100 failures in a week and has to be made anew. Nothing tells of that: poll it, and \
             send what it says as type `webhook`; suspended is `source.status` `down`.",
            "`unconfirmed` does not come for a transaction that was replaced or confirmed at once.",
            "An amount of a transfer out is negative; its size is the amount and `detail.direction` says `out`.",
            "A round that repeats or never ends is an attack or a fault of a party; the session of all rounds is `txRequestId`.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| Ok(vec![named(&record)])),
    select: "type",
    cases: &[
        pass(&["*"]).and(&[("simulation", &["true"])]),
        on(&["txRequestTransaction"], "signing.round").and(&[("state", IN_ROUNDS)]).outcome(Fact::Is("ok")).says(ROUND),
        on(&["txRequestTransaction"], "signing.round")
            .and(&[("state", &["invalidSignature"])])
            .outcome(Fact::Is("abort"))
            .says(ROUND),
        on(&["txRequestTransaction", "txRequest"], "signing.signed")
            .and(&[("state", &["signed"])])
            .outcome(Fact::Is("success"))
            .says(STATE),
        on(&["txRequestTransaction", "txRequest"], "signing.rejected")
            .and(&[("state", &["rejected", "canceled"])])
            .says(STATE),
        on(&["txRequest"], "signing.failed").and(&[("state", &["failed"])]).says(STATE),
        on(&["txRequest"], "signing.approved").and(&[("state", &["readyToSend"])]).says(STATE),
        on(&["txRequest"], "signing.requested")
            .and(&[("state", &["initialized", "pendingApproval", "pendingUser*"])])
            .says(STATE),
        on(&["pendingapproval"], "signing.requested").and(&[("state", &["pending", "awaitingSignature"])]).says(STATE),
        on(&["pendingapproval"], "signing.approved").and(&[("state", &["approved", "processing"])]).says(STATE),
        on(&["pendingapproval"], "signing.rejected").and(&[("state", &["rejected"])]).says(STATE),
        on(&["transfer", "transaction"], "chain.transfer").outcome(Fact::By(Words {
            from: "record.state | state",
            words: &[
                ("confirmed", "success"),
                ("processed", "success"),
                ("failed", "failed"),
                ("rejected", "failed"),
                ("removed", "failed"),
            ],
            otherwise: Some("unconfirmed"),
        })),
        on(&["transactionRemoved", "transactionExpire"], "chain.transfer").outcome(Fact::Is("failed")),
        on(&["admin", "circuitBreaker"], "control.wallet").outcome(Fact::Is("success")).says(CHANGED),
        on(&["accessToken"], "control.iam").outcome(Fact::Is("success")).says(CHANGED),
        on(&["address_confirmation", "bankAccount"], "control.destination").outcome(Fact::Is("success")).says(CHANGED),
        on(&["webhook"], "source.status")
            .outcome(Fact::By(Words {
                from: "state",
                words: &[("active", "ok"), ("suspended", "down")],
                otherwise: Some("degraded"),
            }))
            .says(&[("failures", Fact::At("successiveFailedAttempts")), ("url", Fact::At("url"))]),
        pass(&["*"]),
    ],
    id: &["notice"],
    time: "record.modifiedTime | record.updatedDate | record.date | updatedAt | createdAt | received_at",
    columns: &[
        (Actor, "record.initiatedBy | record.user | record.creator | creator"),
        (Wallet, "wallet | walletId | record.walletId | record.wallet"),
        (Request, "txRequestId | record.txRequestId | pendingApprovalId | record.pendingApproval"),
        (Tx, "hash | record.txid"),
        (Asset, "coin | record.coin"),
        (FromAddress, "record.from"),
        (ToAddress, "record.to"),
        (Reason, "record.reason | reason"),
    ],
    facts: &[("retries", Fact::At("retries"))],
    hidden: &[],
    finish: Some(Finish(|_, record, draft| complete(record, draft))),
    example: include_str!("example.json"),
};

const ROUND: &[(&str, Fact)] = &[
    ("protocol", Fact::Is("signing")),
    ("session", Fact::At("txRequestId | record.txRequestId")),
    ("state", Fact::At("state")),
];

/// The record under an id of its own, which `BitGo` does not give every notice.
fn named(record: &Value) -> Value {
    let mut named = record.clone();
    let text = |paths: &str| path::find(record, paths).and_then(value::scalar).unwrap_or_default();
    let own = text("id");
    let (kind, state) = (text("type"), text("state"));
    named["notice"] = Value::from(if kind == "webhook" {
        // Polled: the same webhook is told of over and over, each time with how it is.
        [kind, text("id | url"), state, text("updatedAt | received_at")].join(" ")
    } else if own.is_empty() {
        let what = text("transfer | hash | txRequestId | record.txRequestId | pendingApprovalId | url | tokenId");
        [kind, what, text("wallet | walletId"), state].join(" ")
    } else {
        own
    });
    named
}

/// The number of the round, and the size and direction of an amount.
fn complete(record: &Value, draft: &mut Draft) -> Result<(), Problem> {
    let state = value::text(record, "state")?.unwrap_or_default();
    if let Some((_, round)) = ROUNDS.iter().find(|(waits, _)| *waits == state) {
        draft.detail.insert("round".to_owned(), Value::from(*round));
    }
    let amount = value::text(record, "record.valueString | record.baseValueString | record.value")?;
    if let Some(amount) = amount {
        let size = amount.trim_start_matches('-');
        let direction = if size.len() < amount.len() { "out" } else { "in" };
        draft.set(Amount, size).map_err(|reason| Problem::new("record.valueString", reason))?;
        draft.detail.insert("direction".to_owned(), Value::from(direction));
    }
    Ok(())
}

/// Whether a webhook is of `BitGo`: `header` is `x-signature-sha256`, `body` the bytes as they came.
///
/// # Errors
/// [`Refused`] with the reason.
pub fn verify(secret: &[u8], header: &str, body: &[u8]) -> Result<(), Refused> {
    signature::hmac_sha256(secret, header, body)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn each_round_is_told_with_its_number_and_session() {
        for (state, round) in ROUNDS {
            let event = changed(&BITGO, &[("state", json!(state))]);
            assert_eq!((event.kind(), event.outcome()), ("signing.round", Some("ok")), "{state}");
            let detail = event.detail().value();
            assert_eq!((&detail["round"], &detail["session"]), (&json!(round), &json!("txr-1")));
        }
        let aborted = changed(&BITGO, &[("state", json!("invalidSignature"))]);
        assert_eq!((aborted.kind(), aborted.outcome()), ("signing.round", Some("abort")));
        for (kind, state, expected) in [
            ("txRequest", "pendingApproval", "signing.requested"),
            ("txRequest", "readyToSend", "signing.approved"),
            ("txRequest", "canceled", "signing.rejected"),
            ("txRequest", "failed", "signing.failed"),
            ("txRequestTransaction", "signed", "signing.signed"),
            ("pendingapproval", "approved", "signing.approved"),
        ] {
            let event = changed(&BITGO, &[("type", json!(kind)), ("state", json!(state))]);
            assert_eq!((event.kind(), event.request()), (expected, Some("txr-1")), "{kind} {state}");
        }
    }

    #[test]
    fn a_test_of_bitgos_own_is_no_event() {
        let record = example_with(&BITGO, &[("simulation", json!(true))]);
        assert_eq!(read(&BITGO, record.to_string().as_bytes()).skipped, 1);
    }

    #[test]
    fn a_notice_without_an_id_or_time_of_its_own() {
        let notice = |state: &str| {
            one(
                &BITGO,
                &json!({"type": "transfer", "wallet": "w", "hash": "h", "transfer": "t", "coin": "btc",
                                "state": state, "received_at": 1_740_116_560}),
            )
        };
        assert_ne!(notice("unconfirmed").event_id(), notice("confirmed").event_id());
        assert_eq!(notice("confirmed").event_id(), notice("confirmed").event_id());
        assert!(rejected(&BITGO, &[("received_at", json!(null)), ("record", json!(null))]).ends_with("received_at"));
    }

    #[test]
    fn an_amount_out_is_negative_at_bitgo() {
        let moved = |value: &str| {
            changed(
                &BITGO,
                &[
                    ("type", json!("transfer")),
                    ("record", json!({"valueString": value, "date": "2025-02-21T05:42:40Z"})),
                ],
            )
        };
        let out = moved("-250000000");
        assert_eq!(
            (out.amount().map(ToString::to_string), &out.detail().value()["direction"]),
            (Some("250000000".to_owned()), &json!("out"))
        );
        assert_eq!(moved("7").detail().value()["direction"], "in");
    }

    #[test]
    fn a_webhook_that_is_suspended_is_a_source_that_is_down() {
        let webhook = |state: &str| changed(&BITGO, &[("type", json!("webhook")), ("state", json!(state))]);
        assert_eq!((webhook("suspended").kind(), webhook("suspended").outcome()), ("source.status", Some("down")));
        assert_eq!(webhook("active").outcome(), Some("ok"));
        // It is the same webhook, polled again: what it is now is news.
        assert_ne!(webhook("active").event_id(), webhook("suspended").event_id());
        let frozen = |wallet: &str| {
            let record = json!({"type": "admin", "state": "frozen", "wallet": wallet, "received_at": 1_740_116_560});
            named(&record)["notice"].clone()
        };
        assert_ne!(frozen("a"), frozen("b"));
    }

    #[test]
    fn the_signature_is_a_hash_of_the_raw_body() {
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        verify(b"Jefe", tag, b"what do ya want for nothing?").unwrap();
        assert!(verify(b"Jefe", tag, b"what do ya want for nothing? ").is_err());
    }
}
