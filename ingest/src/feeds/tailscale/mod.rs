//! Tailscale configuration audit logs: who changed the network that devices are in, and which devices joined it.

use super::table::Column::{Actor, Device, Reason};
use super::table::{About, Fact, Table, on, parts, pass};

const WHAT: &[(&str, Fact)] = &[
    ("act", Fact::At("action")),
    ("target", Fact::At("target.name | target.id")),
    ("property", Fact::At("target.property")),
    ("before", Fact::At("old")),
    ("after", Fact::At("new")),
];

/// The feed `tailscale`.
pub static TAILSCALE: Table = Table {
    name: "tailscale",
    about: About {
        title: "Tailscale audit log",
        what: "Changes of the access rules, of nodes and keys, and of the people of a tailnet.",
        format: "Tailscale, configuration audit logs: `eventGroupID`, `origin`, `actor`, `target`, `action`",
        delivery: "Log streaming or pages of the API (`logs`); the identity is the event group with target, action and time, \
                   since one group holds several changes.",
        traps: &[
            "One act of a person is several entries of one group, and only the group has an id.",
            "A change of the access rules is one of the property `ACL` of the target `TAILNET`, and only that is \
             `control.policy`. Other properties of the tailnet are its network, its logs or who may join; what is none of \
             these (billing, contacts, features) is passed over.",
        ],
    },
    wrapper: Some("logs"),
    decode: None,
    unfold: Some(|record| Ok(parts::unwrapped(record, "event"))),
    select: "target.type",
    cases: &[
        pass(&["NODE"]).and(&[("target.property", &["LAST_SEEN", "KEY_EXPIRY_NOTICE"])]),
        on(&["NODE", "ROUTE", "DNS*", "SERVICE", "APP_CONNECTOR"], "control.network")
            .outcome(Fact::Is("success"))
            .columns(&[(Device, "target.id")])
            .says(WHAT),
        on(&["TAILNET"], "control.policy")
            .and(&[("target.property", &["ACL"])])
            .outcome(Fact::Is("success"))
            .says(WHAT),
        on(&["TAILNET"], "control.network")
            .and(&[("target.property", &["DNS*", "MAGIC_DNS", "MULLVAD_VPN", "FILE_SHARING", "GEOSTEERING"])])
            .outcome(Fact::Is("success"))
            .says(WHAT),
        on(&["TAILNET"], "control.logging")
            .and(&[("target.property", &["LOGSTREAM*", "NETWORK_FLOW_LOGGING", "LOG_EXIT_FLOWS"])])
            .outcome(Fact::Is("success"))
            .says(WHAT),
        on(&["TAILNET"], "control.iam")
            .and(&[(
                "target.property",
                &[
                    "MACHINE_APPROVAL_NEEDED",
                    "MACHINE_AUTH_NEEDED",
                    "USER_APPROVAL_REQUIRED",
                    "MAX_KEY_DURATION",
                    "AUTH_PROVIDER",
                    "SCIM",
                    "TKA",
                    "POSTURE_INTEGRATION",
                    "COLLECT_POSTURE_IDENTITY",
                ],
            )])
            .outcome(Fact::Is("success"))
            .says(WHAT),
        on(&["LOG_STREAMING*", "LOGSTREAM*", "WEBHOOK*"], "control.logging").outcome(Fact::Is("success")).says(WHAT),
        on(&["USER", "API_KEY", "AUTH_KEY", "OAUTH*", "INVITE", "ROLE", "SSO*"], "control.iam")
            .outcome(Fact::Is("success"))
            .says(WHAT),
        pass(&["*"]),
    ],
    id: &["eventGroupID", "target.id", "action", "#"],
    time: "eventTime | deferredAt",
    columns: &[(Actor, "actor.loginName | actor.id"), (Reason, "actionDetails")],
    facts: &[("origin", Fact::At("origin"))],
    hidden: &["displayName"],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn the_access_rules_the_network_and_people_change() {
        let event = changed(&TAILSCALE, &[]);
        assert_eq!((event.kind(), event.actor()), ("control.policy", Some("dana@exchange.example")));
        let detail = event.detail().value();
        assert_eq!((&detail["property"], &detail["act"]), (&json!("ACL"), &json!("UPDATE")));
        for (target, kind) in
            [("NODE", "control.network"), ("API_KEY", "control.iam"), ("LOG_STREAMING", "control.logging")]
        {
            assert_eq!(changed(&TAILSCALE, &[("target.type", json!(target))]).kind(), kind);
        }
    }

    #[test]
    fn only_the_access_rules_are_a_policy() {
        for (property, kind) in [
            ("ACL", "control.policy"),
            ("DNS_CONFIG", "control.network"),
            ("MAGIC_DNS", "control.network"),
            ("LOGSTREAM_ENDPOINT", "control.logging"),
            ("NETWORK_FLOW_LOGGING", "control.logging"),
            ("MACHINE_APPROVAL_NEEDED", "control.iam"),
            ("TKA", "control.iam"),
        ] {
            assert_eq!(changed(&TAILSCALE, &[("target.property", json!(property))]).kind(), kind, "{property}");
        }
        for property in [json!("SUPPORT_EMAIL"), json!(null)] {
            let other = example_with(&TAILSCALE, &[("target.property", property)]);
            assert_eq!(read(&TAILSCALE, other.to_string().as_bytes()).skipped, 1, "{other}");
        }
    }

    #[test]
    fn changes_of_one_group_are_told_apart() {
        let other = changed(&TAILSCALE, &[("target.property", json!("DNS_CONFIG"))]);
        assert_ne!(other.event_id(), changed(&TAILSCALE, &[]).event_id());
        let wrapped = json!({"logId": "x", "event": example_with(&TAILSCALE, &[])});
        assert_eq!(one(&TAILSCALE, &wrapped), changed(&TAILSCALE, &[]));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&TAILSCALE, &[("eventGroupID", json!(null))]), "eventGroupID");
        assert_eq!(rejected(&TAILSCALE, &[("target", json!(null))]), "target.type");
    }
}
