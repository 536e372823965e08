//! `HashiCorp` Vault: audit device lines. Signatures of the transit engine, sign-ons, and what changes keys, policies and
//! the audit itself.

use keywatch_store::event::TextColumn;
use serde_json::Value;

use super::table::Column::{Actor, Ip, Key, Reason, Request, Session};
use super::table::{About, Column, Draft, Fact, Finish, Table, Words, on, pass, path};
use crate::{Context, Problem};

/// Where an answer says that nothing was done: a refusal of an engine may stand in its own answer only.
const REFUSAL: &str = "error | response.data.error";

const DONE: Fact = Fact::By(Words { from: REFUSAL, words: &[("", "success")], otherwise: Some("failed") });

const SIGNED_ON: Fact = Fact::By(Words { from: REFUSAL, words: &[("", "success")], otherwise: Some("failure") });

const NOT_REFUSED: (&str, &[&str]) = (REFUSAL, &[""]);

const ANSWERED: (&str, &[&str]) = ("type", &["response"]);

/// Other engines have paths of the same words: `secret/data/keys/db` is no key of theirs.
const TRANSIT: (&str, &[&str]) = ("request.mount_type", &["transit"]);

const READ: (&str, &[&str]) = ("request.operation", &["read"]);

/// A signature is filed under the id of its request.
const ASKED: &[(Column, &str)] = &[(Request, "request.id")];

const CHANGES: (&str, &[&str]) = ("request.operation", &["create", "update", "patch", "delete"]);

/// The feed `vault`.
pub static VAULT: Table = Table {
    name: "vault",
    about: About {
        title: "HashiCorp Vault audit",
        what: "What Vault was asked and how it answered: signatures of transit keys, sign-ons, revoked tokens, and changes of \
               keys, policies, roles and audit devices. Reads are passed over, but for \
               those that take a key out and those that end a sign-on.",
        format: "HashiCorp Vault, `audit/types.go`; one JSON object a line",
        delivery: "File, socket or syslog audit device; in order for each device. Give every audit device a source of its \
                   own: two devices tell the same request with other hashes. Vault stops serving when no device can write. \
                   Seal, unseal, rekey, step-down and health are never audited: take them from its server log.",
        traps: &[
            "Most strings are `hmac-sha256:…`, each device with its own salt. They are kept as they are: equal ones are equal \
             within a device, and nothing else can be compared with them.",
            "A request and its answer are two lines with one id. A signature is made when it is answered; its request \
             without an answer is `signing.requested` without `signing.signed`.",
            "An answer with `error` did nothing. A refusal may stand in `response.data.error` only.",
            "Who revokes a token is not whose token ends: the session is that of `request.data.accessor`, and there is none \
             where only the token itself or a lease is named, which is `control.iam`.",
            "The name of the key is a part of the path, before the name of the hash if there is one.",
            "An export or a backup of a key is a read, and is `control.key`; one of a public key or of certificates is passed \
             over.",
            "A sign-on by OIDC ends with a read of `auth/…/oidc/callback`; what is written there and to `auth/…/oidc/auth_url` \
             is only on the way to it.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| typed(&record)),
    select: "request.path",
    cases: &[
        on(&["*/sign/*"], "signing.requested").and(&[("type", &["request"]), TRANSIT]).columns(ASKED),
        on(&["*/sign/*"], "signing.signed")
            .and(&[ANSWERED, TRANSIT, NOT_REFUSED])
            .columns(ASKED)
            .outcome(Fact::Is("success")),
        on(&["*/sign/*"], "signing.failed").and(&[ANSWERED, TRANSIT]).columns(ASKED),
        pass(&["*"]).and(&[("type", &["request"])]),
        on(&["auth/*/oidc/callback"], "session.started").and(&[READ]).outcome(SIGNED_ON),
        pass(&["*/export/public-key/*", "*/export/certificate-chain/*"]).and(&[TRANSIT, READ]),
        on(&["*/export/*", "*/byok-export/*", "*/backup/*"], "control.key").and(&[TRANSIT, READ]).outcome(DONE),
        pass(&["*"]).and(&[("request.operation", &["read", "list", "help"])]),
        on(&["auth/*/login", "auth/*/login/*"], "session.started").outcome(SIGNED_ON),
        pass(&["auth/*/oidc/auth_url", "auth/*/oidc/callback"]),
        on(&["auth/token/revoke-self"], "session.revoked").and(&[NOT_REFUSED]),
        on(&["auth/token/revoke-accessor"], "session.revoked")
            .and(&[NOT_REFUSED])
            .columns(&[(Session, "request.data.accessor")]),
        on(&["sys/audit/*", "sys/config/auditing/*"], "control.logging").and(&[CHANGES]).outcome(DONE),
        on(&["sys/policies/*", "sys/policy/*"], "control.policy").and(&[CHANGES]).outcome(DONE),
        on(&["*/keys/*", "*/restore", "*/restore/*"], "control.key").and(&[CHANGES, TRANSIT]).outcome(DONE),
        on(&["sys/rotate*"], "control.key").and(&[CHANGES]).outcome(DONE),
        on(
            &[
                "sys/auth/*",
                "sys/mounts/*",
                "sys/leases/revoke*",
                "sys/raw/*",
                "sys/generate-root*",
                "auth/*",
                "identity/*",
                "sys/namespaces/*",
            ],
            "control.iam",
        )
        .and(&[CHANGES])
        .outcome(DONE),
        pass(&["*"]),
    ],
    id: &["request.id", "type"],
    time: "time",
    columns: &[
        (Actor, "auth.display_name | auth.entity_id | auth.metadata.username"),
        (Session, "auth.accessor"),
        (Ip, "request.remote_address"),
        (Reason, REFUSAL),
    ],
    facts: &[
        ("act", Fact::At("request.operation")),
        ("target", Fact::At("request.path")),
        ("policies", Fact::At("auth.policies")),
        ("entity", Fact::At("auth.entity_id")),
        ("namespace", Fact::At("request.namespace.path")),
        ("forwarded_from", Fact::At("forwarded_from")),
        ("policy_override", Fact::At("request.policy_override")),
    ],
    hidden: &[],
    finish: Some(Finish(complete)),
    example: include_str!("example.json"),
};

/// A line that does not say whether it is a request or an answer is neither.
fn typed(record: &Value) -> Result<Vec<Value>, Problem> {
    match path::find(record, "type").and_then(Value::as_str) {
        Some("request" | "response") => Ok(vec![record.clone()]),
        Some(_) => Err(Problem::new("type", "must be request or response")),
        None => Err(Problem::new("type", "is missing")),
    }
}

/// What the path says beside the words that choose the case.
fn complete(_: &Context<'_>, record: &Value, draft: &mut Draft) -> Result<(), Problem> {
    let Some(asked) = path::find(record, "request.path").and_then(Value::as_str) else { return Ok(()) };
    if draft.event.get(TextColumn::Kind) == Some("session.revoked") && asked == "auth/token/revoke-accessor" {
        ended_by_another(record, draft);
    }
    let transit = path::find(record, "request.mount_type").and_then(Value::as_str) == Some("transit");
    if let Some(key) = key_of(asked).filter(|_| transit) {
        draft.set(Key, &key).map_err(|reason| Problem::new("request.path", reason))?;
    }
    Ok(())
}

/// A session that another ended is not that other's, and none where the record does not say whose it was.
fn ended_by_another(record: &Value, draft: &mut Draft) {
    let by = draft.event.get(TextColumn::Actor).unwrap_or_default().to_owned();
    draft.detail.insert("by".to_owned(), Value::from(by));
    draft.event.actor(None::<&str>).ip(None::<&str>);
    if path::find(record, "request.data.accessor").is_none() {
        draft.event.session(None::<&str>);
    }
}

/// The key of `transit/sign/<key>/<hash>`, of `transit/keys/<key>/…` and of `transit/export/<type>/<key>/<version>`, with
/// its mount before it.
fn key_of(asked: &str) -> Option<String> {
    let segments: Vec<&str> = asked.split('/').collect();
    let verbs = ["sign", "keys", "restore", "backup", "export", "byok-export"];
    let at = 1 + segments.iter().skip(1).position(|segment| verbs.contains(segment))?;
    let behind = if segments[at].ends_with("export") { 2 } else { 1 };
    let key = segments.get(at + behind).filter(|key| !key.is_empty())?;
    Some(format!("{}/keys/{key}", segments[..at].join("/")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn a_signature_is_made_when_it_is_answered() {
        let event = changed(&VAULT, &[]);
        assert_eq!((event.kind(), event.outcome()), ("signing.signed", Some("success")));
        assert_eq!((event.key(), event.ip()), (Some("transit/keys/hot-wallet"), Some("10.0.3.17")));
        assert_eq!((event.actor(), event.request()), (Some("approle-signer"), Some("b1c2d3")));
        let asked = changed(&VAULT, &[("type", json!("request"))]);
        assert_eq!((asked.kind(), asked.request()), ("signing.requested", Some("b1c2d3")));
        assert_ne!(asked.event_id(), event.event_id());
        let refused = changed(&VAULT, &[("error", json!("1 error occurred: permission denied"))]);
        assert_eq!(refused.kind(), "signing.failed");
        let said_within = changed(&VAULT, &[("response.data", json!({"error": "hmac-sha256:e770"}))]);
        assert_eq!((said_within.kind(), said_within.reason()), ("signing.failed", Some("hmac-sha256:e770")));
        let pki = example_with(&VAULT, &[("request.mount_type", json!("pki"))]);
        assert_eq!(read(&VAULT, pki.to_string().as_bytes()).skipped, 1);
    }

    #[test]
    fn hashed_strings_are_kept_as_they_are() {
        let event = changed(&VAULT, &[]);
        assert_eq!(event.session(), Some("hmac-sha256:6f3a01"));
        let kept = &event.detail().value()["record"];
        assert_eq!(kept["request"]["data"]["input"], "hmac-sha256:77aa");
        assert_eq!(kept["auth"]["client_token"], "***");
    }

    #[test]
    fn what_changes_vault_is_told_and_reads_are_not() {
        for (path, operation, kind) in [
            ("sys/audit/file", "delete", "control.logging"),
            ("sys/policies/acl/signer", "update", "control.policy"),
            ("transit/keys/hot-wallet/config", "update", "control.key"),
            ("transit/restore/hot-wallet", "update", "control.key"),
            ("transit/restore", "update", "control.key"),
            ("sys/rotate", "update", "control.key"),
            ("sys/rotate/config", "update", "control.key"),
            ("auth/approle/role/signer", "update", "control.iam"),
            ("sys/raw/core/audit", "update", "control.iam"),
        ] {
            let changes = [("request.path", json!(path)), ("request.operation", json!(operation))];
            let event = changed(&VAULT, &changes);
            assert_eq!((event.kind(), event.outcome()), (kind, Some("success")), "{path}");
            let read_only =
                example_with(&VAULT, &[("request.path", json!(path)), ("request.operation", json!("read"))]);
            assert_eq!(read(&VAULT, read_only.to_string().as_bytes()).skipped, 1);
        }
        let failed = changed(
            &VAULT,
            &[
                ("request.path", json!("sys/audit/file")),
                ("request.operation", json!("delete")),
                ("error", json!("no")),
            ],
        );
        assert_eq!(failed.outcome(), Some("failed"));
        let said_within = changed(
            &VAULT,
            &[
                ("request.path", json!("sys/policies/acl/signer")),
                ("response.data", json!({"error": "hmac-sha256:e770"})),
            ],
        );
        assert_eq!((said_within.kind(), said_within.outcome()), ("control.policy", Some("failed")));
    }

    #[test]
    fn a_secret_under_the_name_of_keys_is_none() {
        for (path, mount) in [("secret/data/keys/db", "kv"), ("secret/data/restore/db", "kv")] {
            let record = example_with(&VAULT, &[("request.path", json!(path)), ("request.mount_type", json!(mount))]);
            assert_eq!(read(&VAULT, record.to_string().as_bytes()).skipped, 1, "{path}");
        }
        let rotated =
            changed(&VAULT, &[("request.path", json!("sys/rotate")), ("request.mount_type", json!("system"))]);
        assert_eq!((rotated.kind(), rotated.key()), ("control.key", None));
    }

    #[test]
    fn a_key_that_is_taken_out_is_told_though_it_is_read() {
        let read_of =
            |path: &str| example_with(&VAULT, &[("request.path", json!(path)), ("request.operation", json!("read"))]);
        for (path, key) in [
            ("transit/export/signing-key/hot-wallet", "transit/keys/hot-wallet"),
            ("transit/export/encryption-key/hot-wallet/2", "transit/keys/hot-wallet"),
            ("infra/transit/export/hmac-key/keys", "infra/transit/keys/keys"),
            ("transit/byok-export/elsewhere/hot-wallet", "transit/keys/hot-wallet"),
            ("transit/backup/hot-wallet", "transit/keys/hot-wallet"),
        ] {
            let mut record = read_of(path);
            let event = one(&VAULT, &record);
            assert_eq!((event.kind(), event.outcome()), ("control.key", Some("success")), "{path}");
            assert_eq!((event.key(), &event.detail().value()["act"]), (Some(key), &json!("read")), "{path}");
            record["response"]["data"] = json!({"error": "hmac-sha256:e770"});
            assert_eq!(one(&VAULT, &record).outcome(), Some("failed"), "{path}");
            record["request"]["mount_type"] = json!("kv");
            assert_eq!(read(&VAULT, record.to_string().as_bytes()).skipped, 1, "{path}");
        }
        for path in ["transit/export/public-key/hot-wallet", "transit/export/certificate-chain/hot-wallet/1"] {
            assert_eq!(read(&VAULT, read_of(path).to_string().as_bytes()).skipped, 1, "{path}");
        }
    }

    #[test]
    fn people_sign_on_and_tokens_end() {
        let login = changed(&VAULT, &[("request.path", json!("auth/oidc/login"))]);
        assert_eq!((login.kind(), login.outcome()), ("session.started", Some("success")));
        let refused =
            changed(&VAULT, &[("request.path", json!("auth/userpass/login/dana")), ("error", json!("invalid"))]);
        assert_eq!(refused.outcome(), Some("failure"));
        let said_within = changed(
            &VAULT,
            &[
                ("request.path", json!("auth/userpass/login/dana")),
                ("response.data", json!({"error": "hmac-sha256:e770"})),
            ],
        );
        assert_eq!(said_within.outcome(), Some("failure"));
        let callback = [("request.path", json!("auth/oidc/oidc/callback")), ("request.operation", json!("read"))];
        let oidc = changed(&VAULT, &callback);
        assert_eq!((oidc.kind(), oidc.outcome()), ("session.started", Some("success")));
        for on_the_way in ["auth/oidc/oidc/callback", "auth/oidc/oidc/auth_url"] {
            let record = example_with(&VAULT, &[("request.path", json!(on_the_way))]);
            assert_eq!(read(&VAULT, record.to_string().as_bytes()).skipped, 1, "{on_the_way}");
        }
        let own = changed(&VAULT, &[("request.path", json!("auth/token/revoke-self"))]);
        assert_eq!((own.kind(), own.session()), ("session.revoked", Some("hmac-sha256:6f3a01")));
    }

    #[test]
    fn who_revokes_is_not_who_is_revoked() {
        let other = changed(
            &VAULT,
            &[
                ("request.path", json!("auth/token/revoke-accessor")),
                ("request.data", json!({"accessor": "hmac-sha256:0be1"})),
            ],
        );
        assert_eq!((other.kind(), other.session()), ("session.revoked", Some("hmac-sha256:0be1")));
        assert_eq!((other.actor(), other.ip()), (None, None));
        let unnamed = changed(&VAULT, &[("request.path", json!("auth/token/revoke-accessor"))]);
        assert_eq!((unnamed.kind(), unnamed.session()), ("session.revoked", None));
        assert_eq!(other.detail().value()["by"], "approle-signer");
        for path in ["auth/token/revoke", "sys/leases/revoke-prefix/aws"] {
            assert_eq!(changed(&VAULT, &[("request.path", json!(path))]).kind(), "control.iam", "{path}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for path in ["request.path", "request.id", "type", "time"] {
            assert_eq!(rejected(&VAULT, &[(path, json!(null))]), path);
        }
    }
}
