//! Security event tokens of the Shared Signals Framework: CAEP, RISC and the stream's own.

mod token;

use super::table::Column::{Actor, Device, Reason, Session};
use super::table::{About, Fact, Table, Words, on, pass};

/// The feed `ssf`.
pub static SSF: Table = Table {
    name: "ssf",
    about: About {
        title: "Shared signals (SSF, CAEP, RISC)",
        what: "What an identity provider or device management says about sessions, credentials, devices and risk, as \
               security event tokens. It is the second path on which a session can end, beside the policy decision point.",
        format: "OpenID Shared Signals Framework 1.0, CAEP 1.0, RISC 1.0; tokens by RFC 8417, subjects by RFC 9493",
        delivery: "Pushed (RFC 8935: one token) or polled (RFC 8936: `sets`); also the payload of a token that was verified \
                   before. A paused stream may drop events, so ask for verifications: they are this source's heartbeat.",
        traps: &[
            "`sub` and `exp` must not stand in a security event token; with one of them it is an access or ID token that \
             somebody passes off, and is rejected.",
            "The header must say `secevent+jwt`, and its algorithm must not be `none`. Signature, issuer and audience are not \
             checked here: the front door does that before (`signature::token`).",
            "`event_timestamp` is in seconds by the text and in milliseconds with some senders; its size tells.",
            "Old drafts have `subject` within the event in place of `sub_id`; both are read.",
            "A subject of several parts means whatever matches all of them: person, session and device fill a column each.",
            "A change of a password is a change of a credential too; `detail.factor` says which.",
            "Google's verifications and ends of all sessions of a person (`sessions-revoked`) are events of RISC.",
        ],
    },
    wrapper: None,
    decode: Some(token::decode),
    unfold: Some(|record| token::unfold(&record)),
    select: "event_type",
    cases: &[
        on(&["*/caep/event-type/session-revoked"], "session.revoked"),
        on(&["*/caep/event-type/session-established"], "session.started").outcome(Fact::Is("success")),
        on(&["*/caep/event-type/session-presented"], "session.presented").outcome(Fact::Is("success")),
        on(&["*/caep/event-type/token-claims-change"], "session.claims_changed"),
        on(&["*/caep/event-type/credential-change"], "session.mfa_changed")
            .says(&[("change", Fact::At("event.change_type")), ("factor", Fact::At("event.credential_type"))]),
        on(&["*/caep/event-type/assurance-level-change"], "session.assurance").outcome(Fact::By(Words {
            from: "event.change_direction",
            words: &[("increase", "increased"), ("decrease", "decreased")],
            otherwise: None,
        })),
        on(&["*/caep/event-type/device-compliance-change"], "session.posture")
            .outcome(Fact::By(Words {
                from: "event.current_status",
                words: &[("compliant", "compliant"), ("not-compliant", "not_compliant")],
                otherwise: Some("unknown"),
            }))
            .says(&[("check", Fact::Is("device_compliance"))]),
        on(&["*/caep/event-type/risk-level-change"], "session.risk")
            .outcome(Fact::By(Words {
                from: "event.current_level",
                words: &[("LOW", "low"), ("MEDIUM", "medium"), ("HIGH", "high")],
                otherwise: None,
            }))
            .columns(&[(Reason, "event.risk_reason")]),
        on(&["*/risc/event-type/credential-compromise"], "session.risk")
            .outcome(Fact::Is("high"))
            .says(&[("factor", Fact::At("event.credential_type"))]),
        on(&["*/risc/event-type/sessions-revoked"], "session.revoked"),
        on(&["*/*/event-type/verification"], "source.heartbeat"),
        on(&["*/risc/event-type/*"], "control.iam")
            .outcome(Fact::Is("success"))
            .says(&[("act", Fact::At("event_type")), ("target", Fact::At("subject.user"))]),
        on(&["*/ssf/event-type/stream-updated"], "source.status").outcome(Fact::By(Words {
            from: "event.status",
            words: &[("enabled", "ok"), ("paused", "degraded"), ("disabled", "down")],
            otherwise: Some("degraded"),
        })),
        pass(&["*/secevent/*"]),
    ],
    id: &["iss", "jti", "event_type"],
    time: "event.event_timestamp | iat",
    columns: &[(Actor, "subject.user"), (Session, "subject.session"), (Device, "subject.device"), (Reason, "reason")],
    facts: &[
        ("initiator", Fact::At("event.initiating_entity")),
        ("current_level", Fact::At("event.current_level")),
        ("previous_level", Fact::At("event.previous_level | event.previous_status")),
        ("txn", Fact::At("txn")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
    use serde_json::{Value, json};

    use super::*;
    use crate::feeds::sample::{changed, events, example_with, one, read, rejected};

    const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";

    fn token(header: &Value, payload: &Value) -> String {
        format!("{}.{}.c2ln", BASE64.encode(header.to_string()), BASE64.encode(payload.to_string()))
    }

    fn good_header() -> Value {
        json!({"typ": "secevent+jwt", "alg": "RS256", "kid": "k"})
    }

    fn with_event(kind: &str, event: &Value) -> Value {
        example_with(&SSF, &[("events", json!({ kind: event }))])
    }

    fn caep(kind: &str, event: &Value) -> keywatch_store::Event {
        one(&SSF, &with_event(&format!("{CAEP}{kind}"), event))
    }

    #[test]
    fn a_pushed_token_is_what_its_payload_says() {
        let payload = example_with(&SSF, &[]);
        let reading = read(&SSF, token(&good_header(), &payload).as_bytes());
        assert_eq!((reading.events, reading.rejects), (events(&SSF, &payload), Vec::new()));
    }

    #[test]
    fn polled_tokens_are_read_each_for_itself() {
        let other = example_with(&SSF, &[("jti", json!("j2"))]);
        let body = json!({"moreAvailable": false, "sets": {
            "j1": token(&good_header(), &example_with(&SSF, &[])), "j2": token(&good_header(), &other), "j3": "nonsense",
        }});
        let reading = read(&SSF, body.to_string().as_bytes());
        assert_eq!((reading.events.len(), reading.rejects.len(), reading.records), (2, 1, 3));
        assert_eq!(reading.rejects[0].reason, "is neither an object nor a token of three parts");
        assert_eq!(reading.rejects[0].raw, "nonsense");
        let nothing = read(&SSF, br#"{"sets":{},"moreAvailable":false}"#);
        assert_eq!((nothing.skipped, nothing.rejects.len()), (1, 0));
    }

    #[test]
    fn a_refused_token_of_a_poll_says_why() {
        let payload = example_with(&SSF, &[]);
        let with_exp = example_with(&SSF, &[("exp", json!(1_740_116_560))]);
        let nested = json!({"sets": {"j": token(&good_header(), &with_exp)}});
        for (refused, field) in [
            (json!(token(&json!({"typ": "at+jwt", "alg": "RS256"}), &payload)), "typ"),
            (json!(token(&json!({"typ": "secevent+jwt", "alg": "none"}), &payload)), "alg"),
            (json!(token(&good_header(), &with_exp)), "exp"),
            (json!(token(&good_header(), &json!({"iss": "i"}))), "events"),
            (json!(token(&good_header(), &json!([]))), "record"),
            (json!(token(&good_header(), &nested)), "exp"),
            (json!(7), "record"),
            (
                json!({"event_type": format!("{CAEP}session-revoked"), "iss": "i", "jti": "j", "iat": 1_740_116_560}),
                "header",
            ),
        ] {
            let body = json!({"sets": {"j1": refused, "j2": token(&good_header(), &payload)}});
            let reading = read(&SSF, body.to_string().as_bytes());
            assert_eq!((reading.events.len(), reading.rejects.len(), reading.records), (1, 1, 2), "{refused}");
            assert_eq!(reading.rejects[0].field, field, "{refused}");
            if refused.is_string() {
                assert_eq!(reading.rejects[0].raw, "***", "{refused}");
            }
        }
    }

    #[test]
    fn what_is_no_security_event_token_is_refused() {
        let payload = example_with(&SSF, &[]);
        for (header, said) in [
            (json!({"typ": "JWT", "alg": "RS256"}), "secevent+jwt"),
            (json!({"alg": "RS256"}), "secevent+jwt"),
            (json!({"typ": "secevent+jwt", "alg": "none"}), "unsigned"),
        ] {
            let reading = read(&SSF, token(&header, &payload).as_bytes());
            assert!(reading.rejects[0].reason.contains(said), "{}", reading.rejects[0].reason);
        }
        for claim in ["sub", "exp"] {
            assert_eq!(rejected(&SSF, &[(claim, json!("1740116560"))]), claim);
        }
        for text in ["a.b", "a.b.c.d", "!.!.!", "eyJhbGciOiJSUzI1NiJ9..x"] {
            assert_eq!(read(&SSF, text.as_bytes()).rejects.len(), 1, "{text}");
        }
        // Rejected tokens are hidden as the secrets they may be.
        let reading = read(&SSF, token(&json!({"typ": "at+jwt", "alg": "RS256"}), &payload).as_bytes());
        assert_eq!(reading.rejects[0].raw, "***");
    }

    #[test]
    fn sessions_end_and_begin() {
        let event = changed(&SSF, &[]);
        assert_eq!(
            (event.kind(), event.actor(), event.session()),
            ("session.revoked", Some("dana@exchange.example"), Some("idxRoot1"))
        );
        assert_eq!(event.device(), Some("mac-dana"));
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40Z");
        assert_eq!(event.reason(), Some("Landspeed: two countries"));
        for (reason, read) in
            [(json!({"de": "Zwei Länder"}), Some("Zwei Länder")), (json!("text"), Some("text")), (json!({}), None)]
        {
            assert_eq!(caep("session-revoked", &json!({ "reason_admin": reason })).reason(), read);
        }
        assert_eq!(caep("session-established", &json!({"amr": ["pwd", "hwk"]})).outcome(), Some("success"));
        assert_eq!(caep("session-presented", &json!({})).kind(), "session.presented");
        assert_eq!(caep("token-claims-change", &json!({"claims": {"role": "ro"}})).kind(), "session.claims_changed");
    }

    #[test]
    fn credentials_devices_assurance_and_risk_change() {
        for change in ["create", "revoke", "update", "delete"] {
            let event = caep("credential-change", &json!({"credential_type": "fido2-roaming", "change_type": change}));
            let detail = event.detail().value();
            assert_eq!(
                (event.kind(), &detail["change"], &detail["factor"]),
                ("session.mfa_changed", &json!(change), &json!("fido2-roaming"))
            );
        }
        for (status, outcome) in
            [("compliant", "compliant"), ("not-compliant", "not_compliant"), ("new word", "unknown")]
        {
            let event =
                caep("device-compliance-change", &json!({"previous_status": "compliant", "current_status": status}));
            assert_eq!((event.kind(), event.outcome()), ("session.posture", Some(outcome)));
        }
        let event = caep(
            "assurance-level-change",
            &json!({"namespace": "NIST-AAL", "current_level": "nist-aal1", "previous_level": "nist-aal2", "change_direction": "decrease"}),
        );
        assert_eq!((event.kind(), event.outcome()), ("session.assurance", Some("decreased")));
        let event = caep(
            "risk-level-change",
            &json!({"principal": "USER", "current_level": "HIGH", "risk_reason": "PASSWORD_FOUND_IN_DATA_BREACH"}),
        );
        assert_eq!((event.outcome(), event.reason()), (Some("high"), Some("PASSWORD_FOUND_IN_DATA_BREACH")));
    }

    #[test]
    fn the_stream_speaks_of_itself() {
        let ssf = |kind: &str, event: &Value| {
            one(&SSF, &with_event(&format!("https://schemas.openid.net/secevent/ssf/event-type/{kind}"), event))
        };
        let heartbeat = ssf("verification", &json!({"state": "s"}));
        assert_eq!((heartbeat.kind(), heartbeat.actor()), ("source.heartbeat", None));
        for (status, outcome) in [("enabled", "ok"), ("paused", "degraded"), ("disabled", "down")] {
            assert_eq!(ssf("stream-updated", &json!({ "status": status })).outcome(), Some(outcome));
        }
        let risc = |kind: &str| {
            one(&SSF, &with_event(&format!("https://schemas.openid.net/secevent/risc/event-type/{kind}"), &json!({})))
        };
        assert_eq!(risc("account-disabled").kind(), "control.iam");
        let revoked = risc("sessions-revoked");
        assert_eq!((revoked.kind(), revoked.actor()), ("session.revoked", Some("dana@exchange.example")));
        let verified = risc("verification");
        assert_eq!((verified.kind(), verified.actor(), verified.session()), ("source.heartbeat", None, None));
        assert_eq!(
            (risc("credential-compromise").kind(), risc("credential-compromise").outcome()),
            ("session.risk", Some("high"))
        );
    }

    #[test]
    fn milliseconds_and_old_subjects_are_understood() {
        let event = caep(
            "session-revoked",
            &json!({
                "event_timestamp": 1_740_116_560_123_i64, "subject": {"format": "iss_sub", "iss": "https://idp.example", "sub": "00u1"},
            }),
        );
        assert_eq!(event.event_time().to_string(), "2025-02-21T05:42:40.123Z");
        // `sub_id` counts where both are there.
        assert_eq!(event.actor(), Some("dana@exchange.example"));
        let mut old = with_event(
            &format!("{CAEP}session-revoked"),
            &json!({"subject": {"subject_type": "iss-sub", "iss": "https://idp.example", "sub": "00u1"}}),
        );
        old.as_object_mut().unwrap().remove("sub_id");
        assert_eq!(one(&SSF, &old).actor(), Some("00u1"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for path in ["iss", "jti"] {
            assert_eq!(rejected(&SSF, &[(path, json!(null))]), path);
        }
        assert_eq!(rejected(&SSF, &[("events", json!({}))]), "events");
        assert_eq!(rejected(&SSF, &[("events", json!("x"))]), "events");
        assert_eq!(
            rejected(
                &SSF,
                &[
                    ("iat", json!(null)),
                    ("events", json!({"https://schemas.openid.net/secevent/ssf/event-type/verification": {}}))
                ]
            ),
            "event.event_timestamp | iat"
        );
    }
}
