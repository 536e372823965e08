//! Records as Okta writes them, and what is easily misread in them.

use serde_json::json;

use super::*;
use crate::feeds::sample::{changed, example_with, read, rejected};

#[test]
fn a_session_carries_who_where_and_the_root_session() {
    let event = changed(&OKTA, &[]);
    assert_eq!((event.kind(), event.outcome()), ("session.started", Some("success")));
    let columns = [event.actor(), event.session(), event.device(), event.ip(), event.country()];
    let expected = ["dana@exchange.example", "idxZ2nmWgKjQ6yPBPR4Nc5Vxw", "guo4a5u7YAHhjXrMK0g4", "203.0.113.7", "DE"];
    assert_eq!(columns, expected.map(Some));
    assert_eq!(event.asn(), Some(64501));
    assert_eq!(event.detail().value()["record"]["client"]["geographicalContext"]["geolocation"], "***");
}

#[test]
fn an_application_joins_the_session_that_opened_it() {
    let event = changed(
        &OKTA,
        &[("eventType", json!("user.authentication.sso")), ("authenticationContext.externalSessionId", json!("child"))],
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
    for (act, change) in [("activate", "create"), ("reset_all", "delete"), ("suspend", "revoke"), ("update", "update")]
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
        let event =
            changed(&OKTA, &[("eventType", json!("user.risk.change")), ("debugContext.debugData.risk", json!(risk))]);
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
fn the_unknown_has_another_name_or_none() {
    let policy = json!([{"type": "PolicyEntity", "id": "00p1", "alternateId": "unknown", "displayName": "Default"}]);
    let event = changed(&OKTA, &[("eventType", json!("policy.lifecycle.update")), ("target", policy)]);
    assert_eq!(event.detail().value()["target"], "Default");
    let unnamed = json!([{"type": "PolicyEntity", "id": "00p1", "alternateId": "unknown", "displayName": "unknown"}]);
    let event = changed(&OKTA, &[("eventType", json!("policy.lifecycle.update")), ("target", unnamed)]);
    assert_eq!(event.detail().value()["target"], "00p1");
    let of = |actor: Value| changed(&OKTA, &[("actor", actor)]).actor().map(str::to_owned);
    let address = json!({"type": "IP address", "id": "203.0.113.7", "alternateId": "unknown"});
    assert_eq!(of(address), None);
    assert_eq!(of(json!({"type": "User", "id": "00u1", "alternateId": "unknown"})).as_deref(), Some("00u1"));
    assert_eq!(of(json!({"type": "User", "id": "unknown", "alternateId": "unknown"})), None);
    assert_eq!(of(json!({"type": "User", "id": "unknown", "alternateId": "eve@x"})).as_deref(), Some("eve@x"));
    let factor = [
        ("eventType", json!("user.mfa.factor.reset_all")),
        ("actor", json!({"type": "SystemPrincipal", "id": "okta.1", "alternateId": "unknown"})),
        ("target", json!([{"type": "User", "id": "00u2", "alternateId": "dana@exchange.example"}])),
    ];
    let event = changed(&OKTA, &factor);
    assert_eq!((event.actor(), event.detail().value().get("by")), (Some("dana@exchange.example"), None));
}

#[test]
fn what_is_refused_guessed_at_and_reported_is_told() {
    for (act, kind, outcome) in [
        ("user.account.lock", "session.risk", "medium"),
        ("user.account.report_suspicious_activity_by_enduser", "session.risk", "high"),
        ("user.mfa.okta_verify.deny_push", "session.mfa", "failure"),
        ("application.policy.sign_on.deny_access", "session.presented", "failure"),
        ("user.session.access_admin_app", "session.presented", "success"),
        ("application.policy.sign_on.update", "control.policy", "success"),
        ("system.mfa.factor.deactivate", "control.policy", "success"),
        ("system.idp.lifecycle.create", "control.iam", "success"),
        ("iam.role.create", "control.iam", "success"),
        ("application.user_membership.show_password", "control.iam", "success"),
    ] {
        let event = changed(&OKTA, &[("eventType", json!(act))]);
        assert_eq!((event.kind(), event.outcome()), (kind, Some(outcome)), "{act}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for path in ["uuid", "published", "eventType"] {
        assert_eq!(rejected(&OKTA, &[(path, json!(null))]), path);
    }
}
