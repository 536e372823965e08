//! Azure: keys used in Key Vault and managed HSMs, and the activity log of the control plane.
//!
//! It keeps no state: whether an operation that was started or accepted ever ended is not known here.

use serde_json::{Value, json};

use super::table::Column::{Actor, Ip, Key, Reason};
use super::table::{About, Fact, Table, Words, on, pass, path, value};

const DONE: Fact = Fact::By(Words {
    from: "result",
    words: &[("SUCCESS", "success"), ("SUCCEEDED", "success"), ("OK", "success"), ("", "success")],
    otherwise: Some("failed"),
});

/// The feed `azure`.
pub static AZURE: Table = Table {
    name: "azure",
    about: About {
        title: "Azure Key Vault and activity log",
        what: "Signatures of keys in Key Vault and managed HSMs, administration of keys and vaults, and changes of network, \
               logging, identities and policies. What only reads is passed over.",
        format: "Azure Monitor, resource logs of the category `AuditEvent` (table `AZKVAuditLogs`) and activity log of the category \
                 `Administrative`, as diagnostic settings export them",
        delivery: "Event Hub or storage, `records` or one object a line; minutes late, in no order. There is no id of a record, and \
                   `correlationId` can be empty: the identity is the operation and a hash of the record.",
        traps: &[
            "Names of operations come in any case.",
            "An operation of the control plane is logged when it starts, is accepted and ends; only the end is told.",
            "A key signs from a public address when `AddressAuthorizationType` says so: `detail.address_type`.",
            "The identity is in `identity.claim` with Key Vault and in `identity.claims` with the activity log. A person's name \
             stands under the address of its claim; `appid` is then only the application that the person used.",
            "An operation may be an object with `value` and `localizedValue`, as the API of the activity log gives it.",
            "`Microsoft.Authorization/policies/…/action` says that a policy was evaluated: nothing was changed, and it is passed \
             over.",
            "A command run on a machine, its serial console and an export of its disk are ways into it: `control.iam`.",
            "No result is success, unless the HTTP status is 400 or above.",
        ],
    },
    wrapper: Some("records"),
    decode: None,
    unfold: Some(|record| Ok(unfold(&record))),
    select: "operation",
    cases: &[
        pass(&["*"]).and(&[("result", &["START", "STARTED", "ACCEPT", "ACCEPTED"])]),
        on(&["KEYSIGN"], "signing.signed")
            .and(&[("result", &["SUCCESS", "SUCCEEDED", "OK", ""])])
            .outcome(Fact::Is("success")),
        on(&["KEYSIGN"], "signing.failed"),
        on(
            &[
                "KEYCREATE",
                "KEYIMPORT",
                "KEYDELETE",
                "KEYPURGE",
                "KEYRECOVER",
                "KEYUPDATE",
                "KEYROTATE*",
                "KEYBACKUP",
                "KEYRESTORE",
                "KEYRELEASE",
            ],
            "control.key",
        )
        .outcome(DONE),
        on(
            &[
                "VAULTPATCH",
                "VAULTPUT",
                "VAULTDELETE",
                "VAULTACCESSPOLICYCHANGED*",
                "MICROSOFT.KEYVAULT/*/WRITE",
                "MICROSOFT.KEYVAULT/*/DELETE",
                "MICROSOFT.KEYVAULT/*/PURGE/ACTION",
                "MICROSOFT.KEYVAULT/*/RECOVER/ACTION",
                "MICROSOFT.KEYVAULT/*/RESTORE/ACTION",
            ],
            "control.iam",
        )
        .outcome(DONE),
        on(
            &["MICROSOFT.NETWORK/*/WRITE", "MICROSOFT.NETWORK/*/DELETE", "MICROSOFT.NETWORK/*/ACTION"],
            "control.network",
        )
        .outcome(DONE),
        on(
            &[
                "MICROSOFT.INSIGHTS/*/WRITE",
                "MICROSOFT.INSIGHTS/*/DELETE",
                "MICROSOFT.OPERATIONALINSIGHTS/*/WRITE",
                "MICROSOFT.OPERATIONALINSIGHTS/*/DELETE",
                "MICROSOFT.EVENTHUB/*/DELETE",
                "MICROSOFT.SECURITY/*/WRITE",
                "MICROSOFT.SECURITY/*/DELETE",
                "MICROSOFT.STORAGE/*/IMMUTABILITYPOLICIES/DELETE",
            ],
            "control.logging",
        )
        .outcome(DONE),
        on(&["MICROSOFT.AUTHORIZATION/POLICY*/WRITE", "MICROSOFT.AUTHORIZATION/POLICY*/DELETE"], "control.policy")
            .outcome(DONE),
        pass(&["MICROSOFT.AUTHORIZATION/POLICIES/*/ACTION"]),
        on(
            &[
                "MICROSOFT.AUTHORIZATION/*",
                "MICROSOFT.MANAGEDIDENTITY/*/WRITE",
                "MICROSOFT.MANAGEDIDENTITY/*/DELETE",
                "*/RBAC.AUTHORIZATION.K8S.IO/*/WRITE",
                "*/RBAC.AUTHORIZATION.K8S.IO/*/DELETE",
                "MICROSOFT.STORAGE/STORAGEACCOUNTS/REGENERATEKEY/ACTION",
                "MICROSOFT.COMPUTE/*/BEGINGETACCESS/ACTION",
                "MICROSOFT.COMPUTE/*/RUNCOMMAND/ACTION",
                "MICROSOFT.CONTAINERSERVICE/*/RUNCOMMAND/ACTION",
                "MICROSOFT.SERIALCONSOLE/*/CONNECT/ACTION",
            ],
            "control.iam",
        )
        .outcome(DONE),
        pass(&["*"]),
    ],
    id: &["operation", "#"],
    time: "time | TimeGenerated | eventTimestamp",
    columns: &[
        (
            Actor,
            "identity.claim.'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn' | \
             identity.claims.'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn' | identity.claim.upn | \
             identity.claims.upn | identity.claim.appid | identity.claim.oid | identity.claims.appid | caller | \
             identity.authorization.evidence.principalId",
        ),
        (Ip, "callerIpAddress | CallerIpAddress"),
        (Key, "key"),
        (Reason, "resultDescription | resultSignature | ResultSignature"),
    ],
    facts: &[
        ("act", Fact::At("operationName.value | operationName | OperationName")),
        ("target", Fact::At("resourceId | _ResourceId | ResourceId")),
        ("algorithm", Fact::At("properties.algorithm | Algorithm")),
        ("address_type", Fact::At("properties.addrAuthType | AddressAuthorizationType")),
        ("client", Fact::At("properties.clientInfo | ClientInfo")),
        ("status", Fact::At("properties.httpStatusCode | HttpStatusCode")),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// The operation and the result in capitals, and the key of a Key Vault record without its query.
fn unfold(record: &Value) -> Vec<Value> {
    let mut shaped = record.clone();
    shaped["operation"] = json!(upper(record, "operationName.value | operationName | OperationName"));
    shaped["result"] = json!(result(record));
    let key = path::find(record, "properties.id | properties.requestUri | Id | RequestUri").and_then(Value::as_str);
    let key = key.filter(|key| key.contains("/keys/")).map(|key| key.split('?').next().unwrap_or(key));
    shaped["key"] = json!(key.map(|key| key.trim_end_matches("/sign")));
    vec![shaped]
}

/// The result in capitals; where none is given, an HTTP status of an error is a failure.
fn result(record: &Value) -> Option<String> {
    let status =
        upper(record, "properties.httpStatusCode | HttpStatusCode").and_then(|status| status.parse::<u16>().ok());
    let refused = status.filter(|status| *status >= 400).map(|_| "FAILED".to_owned());
    upper(record, "resultType.value | resultType | ResultType | status.value").or(refused)
}

fn upper(record: &Value, paths: &str) -> Option<String> {
    path::find(record, paths).and_then(value::scalar).map(|text| text.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feeds::sample::{changed, example_with, read, rejected};

    #[test]
    fn a_key_signs_and_from_where() {
        let event = changed(&AZURE, &[]);
        assert_eq!((event.kind(), event.outcome()), ("signing.signed", Some("success")));
        assert_eq!(event.key(), Some("https://hot.vault.azure.net/keys/eth/0a1b"));
        assert_eq!((event.actor(), event.ip()), (Some("app-7"), Some("203.0.113.7")));
        assert_eq!(event.detail().value()["address_type"], "PublicIP");
        let refused = changed(&AZURE, &[("resultType", json!("Failed")), ("resultSignature", json!("Forbidden"))]);
        assert_eq!((refused.kind(), refused.reason()), ("signing.failed", Some("Forbidden")));
        let uri = changed(
            &AZURE,
            &[
                ("properties.id", json!(null)),
                ("properties.requestUri", json!("https://hot.vault.azure.net/keys/eth/0a1b/sign?api-version=7.4")),
            ],
        );
        assert_eq!(uri.key(), event.key());
    }

    #[test]
    fn a_person_is_named_before_the_application() {
        let upn = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn";
        for claims in ["claim", "claims"] {
            let identity = json!({claims: {upn: "dana@exchange.example", "appid": "app-7", "oid": "o-1"}});
            assert_eq!(changed(&AZURE, &[("identity", identity)]).actor(), Some("dana@exchange.example"), "{claims}");
        }
    }

    #[test]
    fn a_record_is_known_without_a_correlation() {
        for correlation in [json!(""), json!(null)] {
            let nameless = |time: &str| {
                changed(&AZURE, &[("correlationId", correlation.clone()), ("time", json!(time))]).event_id()
            };
            assert_ne!(nameless("2025-02-21T05:42:40Z"), nameless("2025-02-21T05:42:41Z"), "{correlation}");
        }
    }

    #[test]
    fn no_result_is_success_unless_the_status_says_otherwise() {
        for (status, kind) in
            [(json!(200), "signing.signed"), (json!(403), "signing.failed"), (json!("500"), "signing.failed")]
        {
            let event = changed(&AZURE, &[("resultType", json!(null)), ("properties.httpStatusCode", status.clone())]);
            assert_eq!(event.kind(), kind, "{status}");
        }
        let deleted = [
            ("operationName", json!("KeyDelete")),
            ("resultType", json!(null)),
            ("properties.httpStatusCode", json!(409)),
        ];
        assert_eq!(changed(&AZURE, &deleted).outcome(), Some("failed"));
    }

    #[test]
    fn the_control_plane_is_told_when_it_is_done() {
        for (operation, kind) in [
            ("Microsoft.Network/networkSecurityGroups/securityRules/write", "control.network"),
            ("MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE", "control.logging"),
            ("Microsoft.Authorization/roleAssignments/write", "control.iam"),
            ("Microsoft.Authorization/policyAssignments/delete", "control.policy"),
            ("KeyDelete", "control.key"),
            ("Microsoft.KeyVault/locations/deletedVaults/purge/action", "control.iam"),
            ("Microsoft.Compute/virtualMachines/runCommand/action", "control.iam"),
            ("Microsoft.Compute/disks/beginGetAccess/action", "control.iam"),
            ("Microsoft.EventHub/namespaces/eventhubs/delete", "control.logging"),
        ] {
            let event = changed(&AZURE, &[("operationName", json!(operation)), ("resultType", json!("Success"))]);
            assert_eq!((event.kind(), event.outcome()), (kind, Some("success")), "{operation}");
        }
        for (operation, result) in [
            ("Microsoft.Network/networkSecurityGroups/write", "Start"),
            ("Microsoft.KeyVault/vaults/write", "Start"),
            ("Microsoft.KeyVault/vaults/delete", "Accepted"),
            ("KeyGet", "Success"),
            ("Microsoft.Authorization/policies/audit/action", "Success"),
        ] {
            let record = example_with(&AZURE, &[("operationName", json!(operation)), ("resultType", json!(result))]);
            assert_eq!(read(&AZURE, record.to_string().as_bytes()).skipped, 1, "{operation}");
        }
    }

    #[test]
    fn an_operation_may_be_an_object() {
        let name =
            json!({"value": "Microsoft.Authorization/locks/delete", "localizedValue": "Delete management locks"});
        let event = changed(&AZURE, &[("operationName", name), ("resultType", json!("Success"))]);
        let detail = event.detail().value();
        assert_eq!((event.kind(), &detail["act"]), ("control.iam", &json!("Microsoft.Authorization/locks/delete")));
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(rejected(&AZURE, &[("operationName", json!(null))]), "operation");
        assert_eq!(rejected(&AZURE, &[("time", json!(null))]), "time | TimeGenerated | eventTimestamp");
        let body = json!({"records": [example_with(&AZURE, &[]), {}]});
        let reading = read(&AZURE, body.to_string().as_bytes());
        assert_eq!((reading.events.len(), reading.rejects.len()), (1, 1));
    }
}
