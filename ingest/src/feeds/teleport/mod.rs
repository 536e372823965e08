//! Teleport audit events: who opened which server, with which factor, under which lock.

use super::table::Column::{Actor, Device, Ip, Reason, Session};
use super::table::{About, Fact, Table, Words, on, pass};

const WENT: Fact = Fact::By(Words {
    from: "success",
    words: &[("false", "failure"), ("true", "success"), ("", "success")],
    otherwise: None,
});

/// A request to Kubernetes has the status of its answer in place of `success`.
const ANSWERED: Fact = Fact::By(Words {
    from: "response_code",
    words: &[("2*", "success"), ("3*", "success"), ("101", "success"), ("", "success")],
    otherwise: Some("failure"),
});

const DONE: Fact = Fact::By(Words { from: "success", words: &[("false", "failed")], otherwise: Some("success") });

const TARGET: &[(&str, Fact)] =
    &[("act", Fact::At("event")), ("target", Fact::At("target.user | target | name | addr.local"))];

const LOCK: &[(&str, Fact)] =
    &[("act", Fact::At("event")), ("target", Fact::At("target")), ("by", Fact::At("updated_by"))];

/// The feed `teleport`.
pub static TELEPORT: Table = Table {
    name: "teleport",
    about: About {
        title: "Teleport audit log",
        what: "Sign-ons, sessions on servers and commands in them, factors, locks and roles of the access plane. A lock ends \
               sessions at the enforcement point.",
        format: "Teleport, audit events as JSON lines; codes as in its audit reference",
        delivery: "Files of the auth server or the event handler; at least once. The identity is `uid`.",
        traps: &[
            "Names have dots in them: `addr.remote` is one member and no path.",
            "`sid` is the session on a server, from its start to its end; a sign-on has none.",
            "A lock names whom it locks in `target`, and its maker in `updated_by`. One of a role, a server or a device ends \
             the sessions of nobody by name and is `control.iam`.",
            "The device of a factor (`mfa_device`) is a hardware key and not the device of the session.",
            "A failed sign-on has the event of a successful one, and `success` false.",
            "`kube.request` has no `success`: a `response_code` of 2xx, 3xx or 101 is one, any other a failure.",
            "Certificates are issued at each sign-on (`cert.create`) and change nobody's rights; a sign-on to a service \
             behind Teleport (`saml.idp.auth`) does not either. Both are passed over.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "event",
    cases: &[
        on(&["user.login"], "session.started").outcome(WENT),
        on(&["auth"], "session.presented").outcome(Fact::Is("failure")),
        on(
            &["session.start", "db.session.start", "app.session.start", "windows.desktop.session.start"],
            "session.presented",
        )
        .outcome(WENT),
        on(&["kube.request"], "session.presented").outcome(ANSWERED),
        on(&["session.command", "session.exec", "exec"], "session.presented")
            .outcome(WENT)
            .says(&[("command", Fact::At("path | command")), ("arguments", Fact::At("argv"))]),
        on(&["session.end", "db.session.end", "windows.desktop.session.end"], "session.ended"),
        on(&["mfa.add"], "session.mfa_changed")
            .says(&[("change", Fact::Is("create")), ("factor", Fact::At("mfa_device.mfa_device_type"))]),
        on(&["mfa.delete"], "session.mfa_changed")
            .says(&[("change", Fact::Is("delete")), ("factor", Fact::At("mfa_device.mfa_device_type"))]),
        on(&["lock.created"], "control.iam").and(&[("target.user", &[""])]).outcome(DONE).says(LOCK),
        on(&["lock.created"], "session.revoked").done_to("target.user"),
        pass(&["saml.idp.auth"]),
        on(
            &[
                "role.*",
                "user.create",
                "user.update",
                "user.delete",
                "access_request.*",
                "access_list.*",
                "saml.*",
                "oidc.*",
                "github.*",
                "trusted_cluster.*",
                "join_token.create",
                "lock.deleted",
                "bot.*",
            ],
            "control.iam",
        )
        .outcome(DONE)
        .says(TARGET),
        on(&["session_recording_config.*", "auth_preference.*", "cluster_networking_config.*"], "control.policy")
            .outcome(DONE)
            .says(TARGET),
        pass(&["*"]),
    ],
    id: &["uid"],
    time: "time",
    columns: &[
        (Actor, "user | identity.user"),
        (Session, "sid"),
        (Device, "trusted_device.device_id"),
        (Ip, "'addr.remote'"),
        (Reason, "error | message"),
    ],
    facts: &[
        ("code", Fact::At("code")),
        ("login", Fact::At("login")),
        ("server", Fact::At("server_id")),
        ("method", Fact::At("method")),
        ("mfa_device", Fact::At("mfa_device.mfa_device_name")),
        ("cluster", Fact::At("cluster_name")),
        ("index", Fact::At("ei")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, read, rejected};

    #[test]
    fn a_name_with_dots_is_one_name() {
        let event = changed(&TELEPORT, &[]);
        assert_eq!((event.kind(), event.actor(), event.ip()), ("session.started", Some("dana"), Some("203.0.113.7")));
        assert_eq!((event.outcome(), event.session()), (Some("success"), None));
        assert_eq!(changed(&TELEPORT, &[("success", json!(false))]).outcome(), Some("failure"));
    }

    #[test]
    fn a_session_on_a_server_has_its_own_id() {
        for (name, kind) in [
            ("session.start", "session.presented"),
            ("session.command", "session.presented"),
            ("session.end", "session.ended"),
        ] {
            let event = changed(&TELEPORT, &[("event", json!(name)), ("sid", json!("s-1"))]);
            assert_eq!((event.kind(), event.session()), (kind, Some("s-1")), "{name}");
        }
        let command = changed(
            &TELEPORT,
            &[
                ("event", json!("session.command")),
                ("path", json!("/bin/ls")),
                ("argv", json!(["-l", "--password=s3cret"])),
            ],
        );
        assert_eq!(command.detail().value()["command"], "/bin/ls");
        assert!(!command.detail().value()["record"].to_string().contains("s3cret"));
    }

    #[test]
    fn a_request_to_kubernetes_went_as_its_answer_says() {
        for (code, outcome) in [
            (json!(200), "success"),
            (json!("201"), "success"),
            (json!(302), "success"),
            (json!(101), "success"),
            (json!(null), "success"),
            (json!(403), "failure"),
            (json!(500), "failure"),
        ] {
            let event = changed(
                &TELEPORT,
                &[("event", json!("kube.request")), ("success", json!(null)), ("response_code", code.clone())],
            );
            assert_eq!((event.kind(), event.outcome()), ("session.presented", Some(outcome)), "{code}");
        }
    }

    #[test]
    fn a_secret_is_hidden_after_its_option() {
        let command = changed(
            &TELEPORT,
            &[("event", json!("session.command")), ("argv", json!(["login", "--password", "s3cret", "-v"]))],
        );
        let detail = command.detail().value();
        assert_eq!(detail["arguments"], json!(["login", "--password", "***", "-v"]));
        assert!(!detail["record"].to_string().contains("s3cret"));
    }

    #[test]
    fn connectors_lists_and_clusters_change_and_certificates_are_passed_over() {
        for name in
            ["saml.created", "oidc.updated", "github.deleted", "access_list.member.create", "trusted_cluster.create"]
        {
            let event = changed(&TELEPORT, &[("event", json!(name)), ("name", json!("corporate"))]);
            let detail = event.detail().value();
            assert_eq!(
                (event.kind(), &detail["act"], &detail["target"]),
                ("control.iam", &json!(name), &json!("corporate"))
            );
        }
        for name in ["cert.create", "saml.idp.auth"] {
            let other = example_with(&TELEPORT, &[("event", json!(name))]);
            assert_eq!(read(&TELEPORT, other.to_string().as_bytes()).skipped, 1, "{name}");
        }
    }

    #[test]
    fn a_lock_names_whom_it_locks() {
        let event = changed(
            &TELEPORT,
            &[
                ("event", json!("lock.created")),
                ("code", json!("TLK00I")),
                ("target", json!({"user": "eve"})),
                ("updated_by", json!("dana")),
            ],
        );
        assert_eq!(
            (event.kind(), event.actor(), &event.detail().value()["by"]),
            ("session.revoked", Some("eve"), &json!("dana"))
        );
        assert_eq!((event.ip(), event.session()), (None, None));
        let role = changed(&TELEPORT, &[("event", json!("lock.created")), ("target", json!({"role": "admin"}))]);
        assert_eq!(
            (role.kind(), role.outcome(), &role.detail().value()["target"]),
            ("control.iam", Some("success"), &json!({"role": "admin"}))
        );
    }

    #[test]
    fn factors_and_roles_change() {
        let added = changed(
            &TELEPORT,
            &[("event", json!("mfa.add")), ("mfa_device", json!({"mfa_device_type": "TOTP", "mfa_device_uuid": "m"}))],
        );
        assert_eq!((added.kind(), &added.detail().value()["change"]), ("session.mfa_changed", &json!("create")));
        let role = changed(&TELEPORT, &[("event", json!("role.created")), ("name", json!("admin"))]);
        assert_eq!(
            (role.kind(), role.outcome(), &role.detail().value()["target"]),
            ("control.iam", Some("success"), &json!("admin"))
        );
        let other = example_with(&TELEPORT, &[("event", json!("session.upload"))]);
        assert_eq!(read(&TELEPORT, other.to_string().as_bytes()).skipped, 1);
        assert_eq!(rejected(&TELEPORT, &[("uid", json!(null))]), "uid");
    }
}
