//! Okta System Log: sessions, factors, risk and administration at the identity provider.

use keywatch_store::event::TextColumn;
use serde_json::Value;

use super::table::Column::{Actor, Asn, Country, Device, Ip, Reason, Session};
use super::table::{About, Draft, Fact, Finish, Table, Words, on, parts, pass, path};

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
            "`alternateId` is the text `unknown` where there is none: of a policy, a token, an address. A target is then known \
             by its name, else its id; a person by the id, and what is no person is no actor.",
            "A locked account is one whose password was guessed at, told as `session.risk`.",
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
        on(&["user.session.access_admin_app"], "session.presented").outcome(SUCCEEDED),
        on(&["application.policy.sign_on.deny_access", "app.generic.unauth_app_access_attempt"], "session.presented")
            .outcome(Fact::Is("failure"))
            .says(TARGET),
        on(&["user.mfa.okta_verify.deny_push"], "session.mfa").outcome(Fact::Is("failure")),
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
        on(&["user.account.report_suspicious_activity_by_enduser"], "session.risk").outcome(Fact::Is("high")),
        on(&["user.account.lock"], "session.risk").outcome(Fact::Is("medium")),
        on(&["device.signals.status.timeout"], "session.posture")
            .outcome(Fact::Is("unknown"))
            .says(&[("check", Fact::Is("device_signals"))]),
        on(
            &[
                "device.assurance.policy.*",
                "policy.lifecycle.*",
                "policy.rule.*",
                "application.policy.sign_on.*",
                "security.authenticator.lifecycle.*",
                "security.threat.configuration.*",
                "security.trusted_origin.*",
                "system.mfa.factor.*",
            ],
            "control.policy",
        )
        .outcome(DONE)
        .says(TARGET),
        on(
            &[
                "user.mfa.factor.*",
                "user.session.impersonation.*",
                "user.account.privilege.*",
                "group.privilege.*",
                "system.api_token.*",
                "system.idp.lifecycle.*",
                "iam.role.*",
                "iam.resourceset.*",
                "app.oauth2.client.lifecycle.*",
                "app.oauth2.client.privilege.*",
                "application.user_membership.show_password",
                "user.lifecycle.*",
                "user.account.unlock*",
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
    finish: Some(Finish(|_, record, draft| {
        name_the_unknown(record, draft);
        Ok(())
    })),
    example: include_str!("example.json"),
};

/// What Okta writes in place of a name.
const UNKNOWN: &str = "unknown";

/// Gives what Okta calls `unknown` another name, or none: it is nobody's.
fn name_the_unknown(record: &Value, draft: &mut Draft) {
    let text = |paths: &str| path::find(record, paths).and_then(Value::as_str).filter(|text| *text != UNKNOWN);
    let is_person = text("actor.type") == Some("User");
    let doer = text("actor.id").filter(|_| is_person);
    if draft.event.get(TextColumn::Actor) == Some(UNKNOWN) {
        let person = if draft.done_by_another { text("target[type=User].id") } else { doer };
        draft.event.actor(person);
    }
    if draft.detail.get("by").is_some_and(|by| by == UNKNOWN) {
        draft.detail.remove("by");
        draft.detail.extend(doer.map(|by| ("by".to_owned(), Value::from(by))));
    }
    if draft.detail.get("target").is_some_and(|target| target == UNKNOWN) {
        let target = text("target.0.displayName").or_else(|| text("target.0.id"));
        draft.detail.remove("target");
        draft.detail.extend(target.map(|target| ("target".to_owned(), Value::from(target))));
    }
}

#[cfg(test)]
mod tests;
