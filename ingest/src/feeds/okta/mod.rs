//! Okta System Log: sessions, factors, risk and administration at the identity provider.

use super::table::Column::{Actor, Asn, Country, Device, Ip, Reason, Session};
use super::table::{About, Fact, Table, Words, on, parts, pass};

/// How Okta says that something went well or not.
const SUCCEEDED: Fact = Fact::By(Words {
    from: "outcome.result",
    words: &[("SUCCESS", "success"), ("ALLOW", "success"), ("", "success")],
    otherwise: Some("failure"),
});

/// The same for what is changed.
const DONE: Fact = Fact::By(Words {
    from: "outcome.result",
    words: &[("SUCCESS", "success"), ("ALLOW", "success"), ("", "success")],
    otherwise: Some("failed"),
});

/// A factor belongs to the person it was changed for, whoever changed it.
const PERSON: &str = "target[type=User].alternateId";

/// A change that was refused is none: it is told as `control.iam` that failed.
const CHANGED: &[(&str, &[&str])] = &[("outcome.result", &["SUCCESS", "ALLOW", ""])];

const RISK: Fact = Fact::By(Words {
    from: "debugContext.debugData.riskLevel | debugContext.debugData.risk | severity",
    words: &[
        ("LOW*", "low"),
        ("MEDIUM*", "medium"),
        ("HIGH*", "high"),
        ("*level=LOW*", "low"),
        ("*level=MEDIUM*", "medium"),
        ("*level=HIGH*", "high"),
        ("INFO", "low"),
        ("WARN", "medium"),
        ("ERROR", "high"),
    ],
    otherwise: None,
});

const TARGET: &[(&str, Fact)] = &[
    ("act", Fact::At("eventType")),
    ("target", Fact::At("target.0.alternateId | target.0.displayName | target.0.id")),
];

/// The feed `okta`.
pub static OKTA: Table = Table {
    name: "okta",
    about: About {
        title: "Okta System Log",
        what: "Who signed on, from where, with which factor, and who changed factors, roles and policies. The session is \
               Okta's root session, which all applications opened from one sign-on share.",
        format: "Okta, System Log API, `LogEvent`; field names as in raw JSON",
        delivery: "Pages of `GET /api/v1/logs`, exports and event hooks. Records can arrive late: let the windows of a \
                   poll overlap, repeats are skipped by `uuid`.",
        traps: &[
            "Countries are names, not codes; they become codes, and a name that is not known is kept in `detail.country_name`.",
            "A factor is asked for in several steps. `CHALLENGE` and `UNKNOWN` are no results, and no event is made of them.",
            "The person whose factor was reset is the target, the administrator is the actor of the record: the event's \
             actor is the person, without the administrator's session and address, and the administrator stands in \
             `detail.by`. A reset that was refused is `control.iam` that failed.",
            "`debugData.risk` is text of the form `{reasons=…, level=LOW}` and not JSON.",
            "`user.risk.change` was renamed `user.risk.detect`; both are read.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| Ok(parts::unwrapped(record, "data.events"))),
    select: "eventType",
    cases: &[
        pass(&["user.authentication.*", "user.session.start", "policy.evaluate_sign_on"])
            .and(&[("outcome.result", &["CHALLENGE", "UNKNOWN", "DEFERRED", "SKIPPED"])]),
        on(&["user.session.start"], "session.started").outcome(SUCCEEDED),
        on(&["user.session.end"], "session.ended"),
        on(&["user.session.clear", "user.session.expire"], "session.revoked").and(CHANGED).done_to(PERSON),
        on(&["user.authentication.sso", "policy.evaluate_sign_on"], "session.presented").outcome(SUCCEEDED),
        on(&["user.mfa.attempt_bypass"], "session.mfa").outcome(Fact::Is("bypass")),
        on(&["user.authentication.auth_via_mfa"], "session.mfa").outcome(SUCCEEDED),
        on(&["user.mfa.factor.activate"], "session.mfa_changed")
            .and(CHANGED)
            .done_to(PERSON)
            .says(&[("change", Fact::Is("create"))]),
        on(&["user.mfa.factor.deactivate", "user.mfa.factor.reset_all"], "session.mfa_changed")
            .and(CHANGED)
            .done_to(PERSON)
            .says(&[("change", Fact::Is("delete"))]),
        on(&["user.mfa.factor.suspend"], "session.mfa_changed")
            .and(CHANGED)
            .done_to(PERSON)
            .says(&[("change", Fact::Is("revoke"))]),
        on(&["user.mfa.factor.unsuspend", "user.mfa.factor.update"], "session.mfa_changed")
            .and(CHANGED)
            .done_to(PERSON)
            .says(&[("change", Fact::Is("update"))]),
        on(
            &[
                "user.session.context.change",
                "policy.auth_reevaluate.*",
                "policy.entity_risk.*",
                "user.risk.detect",
                "user.risk.change",
                "security.threat.detected",
                "security.events.provider.receive_event",
            ],
            "session.risk",
        )
        .outcome(RISK),
        on(&["device.signals.status.timeout"], "session.posture")
            .outcome(Fact::Is("unknown"))
            .says(&[("check", Fact::Is("device_signals"))]),
        on(&["device.assurance.policy.*", "policy.lifecycle.*", "policy.rule.*"], "control.policy")
            .outcome(DONE)
            .says(TARGET),
        on(
            &[
                "user.mfa.factor.*",
                "user.session.impersonation.*",
                "user.account.privilege.*",
                "group.privilege.*",
                "system.api_token.*",
                "user.lifecycle.*",
                "user.account.reset_password",
                "user.account.update_password",
                "group.user_membership.*",
            ],
            "control.iam",
        )
        .outcome(DONE)
        .says(TARGET),
        on(&["zone.*", "network_zone.*"], "control.network").outcome(DONE).says(TARGET),
        on(&["system.log_stream.*", "event_hook.*"], "control.logging").outcome(DONE).says(TARGET),
    ],
    id: &["uuid"],
    time: "published",
    columns: &[
        (Actor, "actor.alternateId | actor.id"),
        (Session, "authenticationContext.rootSessionId | authenticationContext.externalSessionId"),
        (Device, "device.id | client.device_id"),
        (Ip, "client.ipAddress | request.ipChain.0.ip"),
        (Country, "client.geographicalContext.country | request.ipChain.0.geographicalContext.country"),
        (Asn, "securityContext.asNumber"),
        (Reason, "outcome.reason"),
    ],
    facts: &[
        ("act", Fact::At("eventType")),
        ("factor", Fact::At("debugContext.debugData.factor | authenticationContext.credentialType")),
        ("user_agent", Fact::At("client.userAgent.rawUserAgent")),
        ("proxy", Fact::At("securityContext.isProxy")),
        ("threat_suspected", Fact::At("debugContext.debugData.threatSuspected")),
        ("managed", Fact::At("device.managed")),
    ],
    hidden: &["geolocation", "postalCode"],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, read, rejected};

    #[test]
    fn a_session_carries_who_where_and_the_root_session() {
        let event = changed(&OKTA, &[]);
        assert_eq!((event.kind(), event.outcome()), ("session.started", Some("success")));
        let columns = [event.actor(), event.session(), event.device(), event.ip(), event.country()];
        let expected =
            ["dana@exchange.example", "idxZ2nmWgKjQ6yPBPR4Nc5Vxw", "guo4a5u7YAHhjXrMK0g4", "203.0.113.7", "DE"];
        assert_eq!(columns, expected.map(Some));
        assert_eq!(event.asn(), Some(64501));
        assert_eq!(event.detail().value()["record"]["client"]["geographicalContext"]["geolocation"], "***");
    }

    #[test]
    fn an_application_joins_the_session_that_opened_it() {
        let event = changed(
            &OKTA,
            &[
                ("eventType", json!("user.authentication.sso")),
                ("authenticationContext.externalSessionId", json!("child")),
            ],
        );
        assert_eq!((event.kind(), event.session()), ("session.presented", Some("idxZ2nmWgKjQ6yPBPR4Nc5Vxw")));
        let alone = changed(
            &OKTA,
            &[
                ("authenticationContext.rootSessionId", json!(null)),
                ("authenticationContext.externalSessionId", json!("child")),
            ],
        );
        assert_eq!(alone.session(), Some("child"));
    }

    #[test]
    fn a_challenge_is_no_result() {
        let kind = ("eventType", json!("user.authentication.auth_via_mfa"));
        let challenge = example_with(&OKTA, &[kind.clone(), ("outcome.result", json!("CHALLENGE"))]);
        let reading = read(&OKTA, challenge.to_string().as_bytes());
        assert_eq!((reading.events.len(), reading.skipped), (0, 1));
        let passed = changed(&OKTA, &[kind.clone(), ("debugContext.debugData.factor", json!("OKTA_VERIFY_PUSH"))]);
        assert_eq!((passed.kind(), passed.outcome()), ("session.mfa", Some("success")));
        assert_eq!(passed.detail().value()["factor"], "OKTA_VERIFY_PUSH");
        assert_eq!(changed(&OKTA, &[kind, ("outcome.result", json!("FAILURE"))]).outcome(), Some("failure"));
        assert_eq!(changed(&OKTA, &[("eventType", json!("user.mfa.attempt_bypass"))]).outcome(), Some("bypass"));
    }

    #[test]
    fn a_factor_belongs_to_its_person_and_not_to_the_administrator() {
        for (act, change) in
            [("activate", "create"), ("reset_all", "delete"), ("suspend", "revoke"), ("update", "update")]
        {
            let event = changed(
                &OKTA,
                &[
                    ("eventType", json!(format!("user.mfa.factor.{act}"))),
                    ("actor.alternateId", json!("helpdesk@exchange.example")),
                    (
                        "target",
                        json!([{"type": "AppInstance", "id": "a"}, {"type": "User", "id": "u", "alternateId": "dana@exchange.example"}]),
                    ),
                ],
            );
            assert_eq!((event.kind(), event.actor()), ("session.mfa_changed", Some("dana@exchange.example")));
            let detail = event.detail().value();
            assert_eq!((&detail["change"], &detail["by"]), (&json!(change), &json!("helpdesk@exchange.example")));
        }
    }

    #[test]
    fn risk_is_read_from_text_that_is_no_json() {
        for (risk, outcome) in
            [("{reasons=Anomalous Location, level=HIGH}", "high"), ("{level=LOW}", "low"), ("MEDIUM", "medium")]
        {
            let event = changed(
                &OKTA,
                &[("eventType", json!("user.risk.change")), ("debugContext.debugData.risk", json!(risk))],
            );
            assert_eq!((event.kind(), event.outcome()), ("session.risk", Some(outcome)));
        }
    }

    #[test]
    fn a_name_of_a_country_that_nobody_knows_is_kept() {
        let event = changed(&OKTA, &[("client.geographicalContext.country", json!("Atlantis"))]);
        assert_eq!((event.country(), &event.detail().value()["country_name"]), (None, &json!("Atlantis")));
    }

    #[test]
    fn administration_is_told_with_its_target_and_result() {
        for (act, kind) in [
            ("user.account.privilege.grant", "control.iam"),
            ("system.api_token.create", "control.iam"),
            ("policy.rule.update", "control.policy"),
            ("zone.deactivate", "control.network"),
            ("system.log_stream.lifecycle.deactivate", "control.logging"),
        ] {
            let target = ("target", json!([{"type": "X", "alternateId": "t"}]));
            let event = changed(&OKTA, &[("eventType", json!(act)), ("outcome.result", json!("DENY")), target]);
            assert_eq!((event.kind(), event.outcome()), (kind, Some("failed")), "{act}");
            assert_eq!(event.detail().value()["target"], "t");
        }
    }

    #[test]
    fn an_event_hook_delivers_records_in_its_data() {
        let record = example_with(&OKTA, &[]);
        let hook = json!({"eventType": "com.okta.event_hook", "data": {"events": [record, {"uuid": "x"}]}});
        assert_eq!(read(&OKTA, hook.to_string().as_bytes()).rejects[0].field, "eventType");
        let hook = json!({"eventType": "com.okta.event_hook", "data": {"events": [record]}});
        assert_eq!(read(&OKTA, hook.to_string().as_bytes()).events, vec![changed(&OKTA, &[])]);
    }

    #[test]
    fn what_is_missing_is_named() {
        for path in ["uuid", "published", "eventType"] {
            assert_eq!(rejected(&OKTA, &[(path, json!(null))]), path);
        }
    }
}
