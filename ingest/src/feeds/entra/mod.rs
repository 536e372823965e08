//! Microsoft Entra ID: sign-ins, factors, risk and administration.
//!
//! It knows the end of a session only where somebody revoked it, and joins no steps of one sign-in.

use serde_json::Value;

use super::table::Column::{Actor, Asn, Country, Device, Ip, Reason, Session};
use super::table::{About, Fact, Table, Words, on, parts, pass, path};

const DONE: Fact = Fact::By(Words {
    from: "entry.result | entry.resultType | outer.resultType",
    words: &[("success", "success"), ("Success", "success"), ("0", "success"), ("", "success")],
    otherwise: Some("failed"),
});

const TARGET: &[(&str, Fact)] = &[
    ("act", Fact::At("entry.activityDisplayName | outer.operationName")),
    (
        "target",
        Fact::At(
            "entry.targetResources.0.userPrincipalName | entry.targetResources.0.displayName | entry.targetResources.0.id",
        ),
    ),
];

/// The person that something was done to.
const PERSON: &str = "entry.targetResources.0.userPrincipalName | entry.targetResources.0.id";

/// A change that was refused is none: it is told as `control.iam` that failed.
const CHANGED: (&str, &[&str]) = ("entry.result", &["success", "Success", ""]);

/// The feed `entra`.
pub static ENTRA: Table = Table {
    name: "entra",
    about: About {
        title: "Microsoft Entra ID",
        what: "Sign-ins of people and services, factors that were registered or deleted, risk detections, and administration \
               of roles, applications and conditional access.",
        format: "Microsoft Graph, `signIn`, `directoryAudit` and `riskDetection`; the same within `properties` as the diagnostic \
                 settings export them (`SignInLogs`, `NonInteractiveUserSignInLogs`, `AuditLogs`, `UserRiskEvents`)",
        delivery: "Event Hub (`records`), storage or pages of Graph (`value`); minutes late, in no order, repeated. The \
                   identity is the entry's `id`.",
        traps: &[
            "`status.errorCode` 0 is a success; 50074, 50076, 50125, 50140 and 16000 are interruptions that ask the person for \
             something, neither a success nor a failure, and are passed over. Exports have the code in `resultType` too; a \
             sign-in without any code is told as a failure.",
            "A sign-in that is not interactive is a use of a session, not its beginning.",
            "`sessionId` is the session; `uniqueTokenIdentifier` and `correlationId` are of one token or request.",
            "A factor, a session or a revocation is the target's: the event's actor is the person, without address and session \
             of the administrator, who stands in `detail.by`. What was refused is `control.iam` that failed.",
            "Success is written `Success`, `success` or 0, by the kind of log.",
        ],
    },
    wrapper: Some("records"),
    decode: None,
    unfold: Some(|record| Ok(unfold(record))),
    select: "form",
    cases: &[
        pass(&["sign-in"]).and(&[(CODE, &["50074", "50076", "50125", "50140", "16000"])]),
        on(&["sign-in"], "session.presented").and(&[("entry.isInteractive", &["false"])]).outcome(SIGNED_ON),
        on(&["sign-in"], "session.started").outcome(SIGNED_ON),
        on(&["audit"], "session.mfa_changed")
            .and(&[
                CHANGED,
                ("entry.activityDisplayName", &["*registered security info", "*registered * security info"]),
            ])
            .done_to(PERSON)
            .says(&[("change", Fact::Is("create"))]),
        on(&["audit"], "session.mfa_changed")
            .and(&[CHANGED, ("entry.activityDisplayName", &["*deleted security info"])])
            .done_to(PERSON)
            .says(&[("change", Fact::Is("delete"))]),
        on(&["audit"], "session.mfa_changed")
            .and(&[
                CHANGED,
                (
                    "entry.activityDisplayName",
                    &["*changed default security info", "*updated security info", "Disable Strong Authentication"],
                ),
            ])
            .done_to(PERSON)
            .says(&[("change", Fact::Is("update"))]),
        on(&["audit"], "control.policy")
            .and(&[(
                "entry.activityDisplayName",
                &["*conditional access policy", "*named location", "*authorization policy"],
            )])
            .outcome(DONE)
            .says(TARGET),
        on(&["audit"], "session.revoked")
            .and(&[
                CHANGED,
                (
                    "entry.activityDisplayName",
                    &["Update StsRefreshTokenValidFrom Timestamp", "Revoke*session*", "Revoke*token*"],
                ),
            ])
            .done_to(PERSON),
        on(&["audit"], "control.iam").outcome(DONE).says(TARGET),
        on(&["risk"], "session.risk").outcome(Fact::By(Words {
            from: "entry.riskLevel",
            words: &[("low", "low"), ("medium", "medium"), ("high", "high")],
            otherwise: None,
        })),
    ],
    id: &["entry.id"],
    time: "entry.createdDateTime | entry.activityDateTime | entry.detectedDateTime | outer.time",
    columns: &[
        (
            Actor,
            "entry.userPrincipalName | entry.initiatedBy.user.userPrincipalName | entry.initiatedBy.app.displayName | entry.servicePrincipalName",
        ),
        (Session, "entry.sessionId"),
        (Device, "entry.deviceDetail.deviceId"),
        (Ip, "entry.ipAddress | entry.initiatedBy.user.ipAddress | outer.callerIpAddress"),
        (Country, "entry.location.countryOrRegion"),
        (Asn, "entry.autonomousSystemNumber"),
        (Reason, "entry.status.failureReason | entry.resultReason | entry.riskEventType"),
    ],
    facts: &[
        ("application", Fact::At("entry.appDisplayName")),
        ("error_code", Fact::At("entry.status.errorCode")),
        ("compliant", Fact::At("entry.deviceDetail.isCompliant")),
        ("managed", Fact::At("entry.deviceDetail.isManaged")),
        ("conditional_access", Fact::At("entry.conditionalAccessStatus")),
        ("requirement", Fact::At("entry.authenticationRequirement")),
        ("client", Fact::At("entry.clientAppUsed")),
        ("risk_level", Fact::At("entry.riskLevelDuringSignIn")),
    ],
    hidden: &["geoCoordinates", "userDisplayName"],
    finish: None,
    example: include_str!("example.json"),
};

/// Where the code of a sign-in stands.
const CODE: &str = "entry.status.errorCode | outer.resultType";

const SIGNED_ON: Fact = Fact::By(Words { from: CODE, words: &[("0", "success")], otherwise: Some("failure") });

/// The entry itself, within an export or a page of Graph, and which of the logs it is of.
fn unfold(record: Value) -> Vec<Value> {
    let pages =
        if record.get("value").is_some_and(Value::is_array) { parts::unwrapped(record, "value") } else { vec![record] };
    pages.iter().map(shaped).collect()
}

fn shaped(record: &Value) -> Value {
    let mut shaped = serde_json::json!({});
    let exported = record.get("properties").filter(|inner| inner.is_object() && record.get("category").is_some());
    let entry = exported.unwrap_or(record);
    let category = record.get("category").and_then(Value::as_str).unwrap_or_default();
    let has = |name: &str| path::find(entry, name).is_some();
    let form = match category {
        category if category.ends_with("SignInLogs") => "sign-in",
        "AuditLogs" => "audit",
        "UserRiskEvents" | "RiskyUsers" => "risk",
        _ if has("activityDisplayName") => "audit",
        _ if has("riskEventType") => "risk",
        _ if has("appDisplayName") || has("status.errorCode") => "sign-in",
        _ => "",
    };
    shaped["form"] = Value::from(form);
    shaped["entry"] = entry.clone();
    if exported.is_some() {
        shaped["outer"] = record.clone();
        if let Some(members) = shaped["outer"].as_object_mut() {
            members.remove("properties");
        }
    }
    shaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn a_sign_in_begins_or_uses_a_session() {
        let event = changed(&ENTRA, &[]);
        assert_eq!((event.kind(), event.outcome()), ("session.started", Some("success")));
        let columns = [event.actor(), event.session(), event.device(), event.ip(), event.country()];
        assert_eq!(columns, ["dana@exchange.example", "s-001", "dev-1", "203.0.113.7", "DE"].map(Some));
        assert_eq!(event.asn(), Some(64501));
        assert_eq!(changed(&ENTRA, &[("isInteractive", json!(false))]).kind(), "session.presented");
        let failed =
            changed(&ENTRA, &[("status", json!({"errorCode": 50126, "failureReason": "Invalid credentials"}))]);
        assert_eq!((failed.outcome(), failed.reason()), (Some("failure"), Some("Invalid credentials")));
        assert_eq!(event.detail().value()["record"]["entry"]["location"]["geoCoordinates"], "***");
    }

    #[test]
    fn an_interruption_is_neither_success_nor_failure() {
        for code in [50074, 50076, 50125, 50140, 16000] {
            let record = example_with(&ENTRA, &[("status.errorCode", json!(code))]);
            assert_eq!(read(&ENTRA, record.to_string().as_bytes()).skipped, 1);
        }
    }

    #[test]
    fn exports_and_pages_hold_the_same_entries() {
        let entry = example_with(&ENTRA, &[]);
        let exported = json!({"records": [{"time": "2025-02-21T05:42:41Z", "category": "SignInLogs", "callerIpAddress": "203.0.113.7", "properties": entry}]});
        let reading = read(&ENTRA, exported.to_string().as_bytes());
        assert_eq!(
            (reading.events[0].event_id(), reading.events[0].kind()),
            (one(&ENTRA, &entry).event_id(), "session.started")
        );
        let page = json!({"@odata.context": "c", "value": [entry, {"id": "x", "appDisplayName": "y"}]});
        let reading = read(&ENTRA, page.to_string().as_bytes());
        assert_eq!((reading.events.len(), reading.rejects.len()), (1, 1));
    }

    #[test]
    fn a_sign_in_without_a_code_is_no_success() {
        let entry = example_with(&ENTRA, &[("status", json!(null))]);
        assert_eq!(one(&ENTRA, &entry).outcome(), Some("failure"));
        let exported = |code: &str| json!({"category": "SignInLogs", "resultType": code, "properties": entry});
        assert_eq!(one(&ENTRA, &exported("0")).outcome(), Some("success"));
        assert_eq!(one(&ENTRA, &exported("50126")).outcome(), Some("failure"));
        assert_eq!(read(&ENTRA, exported("50076").to_string().as_bytes()).skipped, 1);
    }

    fn audit(activity: &str) -> keywatch_store::Event {
        one(
            &ENTRA,
            &json!({
                "id": "Directory_1", "activityDateTime": "2025-02-21T05:42:40Z", "activityDisplayName": activity, "result": "success",
                "initiatedBy": {"user": {"userPrincipalName": "helpdesk@exchange.example", "ipAddress": "203.0.113.20"}},
                "targetResources": [{"type": "User", "id": "u", "userPrincipalName": "dana@exchange.example"}],
            }),
        )
    }

    #[test]
    fn factors_belong_to_the_person_they_are_registered_for() {
        for (activity, change) in [
            ("User registered security info", "create"),
            ("Admin deleted security info", "delete"),
            ("User changed default security info", "update"),
        ] {
            let event = audit(activity);
            let detail = event.detail().value();
            assert_eq!(
                (event.kind(), event.actor(), &detail["change"]),
                ("session.mfa_changed", Some("dana@exchange.example"), &json!(change))
            );
            assert_eq!((event.ip(), &detail["by"]), (None, &json!("helpdesk@exchange.example")));
        }
    }

    #[test]
    fn what_ends_is_the_session_of_the_person_and_what_was_refused_is_no_change() {
        let revoked = audit("Revoke sign in sessions");
        assert_eq!((revoked.kind(), revoked.actor()), ("session.revoked", Some("dana@exchange.example")));
        let refused = one(
            &ENTRA,
            &json!({
                "id": "Directory_2", "activityDateTime": "2025-02-21T05:42:40Z", "result": "failure",
                "activityDisplayName": "Admin deleted security info", "targetResources": [{"id": "u"}],
                "initiatedBy": {"user": {"userPrincipalName": "helpdesk@exchange.example"}},
            }),
        );
        assert_eq!(
            (refused.kind(), refused.outcome(), refused.actor()),
            ("control.iam", Some("failed"), Some("helpdesk@exchange.example"))
        );
    }

    #[test]
    fn administration_and_risk() {
        assert_eq!(audit("Update conditional access policy").kind(), "control.policy");
        let role = audit("Add member to role");
        assert_eq!(
            (role.kind(), role.outcome(), role.actor()),
            ("control.iam", Some("success"), Some("helpdesk@exchange.example"))
        );
        let risk = json!({"id": "r", "detectedDateTime": "2025-02-21T05:42:40Z", "riskEventType": "anonymizedIPAddress", "riskLevel": "medium", "userPrincipalName": "dana@exchange.example"});
        assert_eq!((one(&ENTRA, &risk).kind(), one(&ENTRA, &risk).outcome()), ("session.risk", Some("medium")));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&ENTRA, &[("id", json!(null))]), "entry.id");
        assert_eq!(read(&ENTRA, b"{}").rejects[0].field, "form");
    }
}
