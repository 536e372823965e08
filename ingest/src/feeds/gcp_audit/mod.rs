//! Google Cloud audit logs: keys of Cloud KMS used and administered, and changes of network, logging and identities.
//!
//! It does not know what logs that are switched off would have said, nor whether a long operation ever ended.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::table::Column::{Actor, Ip, Key, Reason};
use super::table::{About, Fact, Table, Words, on, pass, path};
use crate::Problem;
use crate::feeds::json as json_text;

const DONE: Fact = Fact::By(Words {
    from: "protoPayload.status.code",
    words: &[("", "success"), ("0", "success")],
    otherwise: Some("failed"),
});

const KMS: (&str, &[&str]) = ("protoPayload.serviceName", &["cloudkms.googleapis.com"]);

/// The feed `gcp_audit`.
pub static GCP_AUDIT: Table = Table {
    name: "gcp_audit",
    about: About {
        title: "Google Cloud audit logs",
        what: "Signatures of Cloud KMS keys, administration of keys, and whatever opens the network, blinds a log or widens an \
               identity. What only reads is passed over.",
        format: "Google Cloud, `LogEntry` with `google.cloud.audit.AuditLog`",
        delivery: "A log sink into Pub/Sub (push, with the entry in `message.data`, or pulled entries); repeated and in no order. \
                   Signing is in the Data Access log, which is off unless it was switched on.",
        traps: &[
            "The method is written short (`AsymmetricSign`) or long (`google.cloud.kms.v1.….AsymmetricSign`).",
            "Signing is not logged unless Data Access logs are on for Cloud KMS; taking that away is `SetIamPolicy` with \
             `auditConfigDeltas`, told as `control.logging`.",
            "A status with a code other than 0 did nothing; no status at all is success.",
            "What the caller said of itself moved from `request.caller_provided_context` to `metadata.entries`; both are read.",
            "An operation that takes long is logged at its beginning and at its end, under two ids. Only the end is told, and \
             a beginning that was refused.",
            "Cloud Storage calls it `storage.setIamPermissions` where the others have `SetIamPolicy`.",
            "Keys that open machines stand in their metadata, and a binding of a tag can turn on a role with a condition: both \
             are `control.iam`.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: Some(|record| unfold(&record)),
    select: "protoPayload.methodName",
    cases: &[
        pass(&["*"]).and(&[
            ("operation.first", &["true"]),
            ("operation.last", &["", "false"]),
            ("protoPayload.status.code", &[""]),
        ]),
        on(&["AsymmetricSign", "*.AsymmetricSign", "MacSign", "*.MacSign"], "signing.signed")
            .and(&[KMS, ("protoPayload.status.code", &["", "0"])])
            .outcome(Fact::Is("success")),
        on(&["AsymmetricSign", "*.AsymmetricSign", "MacSign", "*.MacSign"], "signing.failed").and(&[KMS]),
        on(&["*SetIamPolicy", "*setIamPolicy"], "control.logging")
            .and(&[("protoPayload.serviceData.policyDelta.auditConfigDeltas.0.action", &["ADD", "REMOVE"])])
            .outcome(DONE),
        on(
            &[
                "*CreateCryptoKey*",
                "*UpdateCryptoKey*",
                "*DestroyCryptoKey*",
                "*RestoreCryptoKey*",
                "*ImportCryptoKey*",
                "*CreateImportJob",
                "*SetIamPolicy",
            ],
            "control.key",
        )
        .and(&[KMS])
        .outcome(DONE),
        pass(&[
            "*.get*",
            "*.list*",
            "*.aggregatedList",
            "*.testIamPermissions",
            "*.Get*",
            "*.List*",
            "*.TestIamPermissions",
        ]),
        on(
            &[
                "*compute.firewalls.*",
                "*compute.firewallPolicies.*",
                "*compute.routes.*",
                "*compute.networks.*",
                "*compute.subnetworks.*",
                "*compute.vpnTunnels.*",
                "*compute.routers.*",
                "dns.changes.create",
                "dns.managedZones.*",
                "*Firewall.CreateIngressRule",
                "*Firewall.UpdateIngressRule",
                "*Firewall.DeleteIngressRule",
            ],
            "control.network",
        )
        .outcome(DONE),
        on(
            &[
                "*ConfigServiceV2.CreateSink",
                "*ConfigServiceV2.UpdateSink",
                "*ConfigServiceV2.DeleteSink",
                "*ConfigServiceV2.CreateExclusion",
                "*ConfigServiceV2.UpdateExclusion",
                "*ConfigServiceV2.DeleteExclusion",
                "*ConfigServiceV2.*Bucket",
                "*LoggingServiceV2.DeleteLog",
            ],
            "control.logging",
        )
        .outcome(DONE),
        on(
            &[
                "*SetIamPolicy",
                "*setIamPolicy",
                "storage.setIamPermissions",
                "google.iam.admin.v1.*",
                "*WorkloadIdentityPool*",
                "*InsertProjectOwnershipInvite",
                "*ApiKeys.*Key",
                "*TagBindings.CreateTagBinding",
                "*TagBindings.DeleteTagBinding",
                "*compute.instances.setMetadata",
                "*compute.instances.setServiceAccount",
                "*compute.projects.setCommonInstanceMetadata",
                "google.admin.AdminService.*GroupMember",
                "google.admin.AdminService.*Role",
                "google.admin.AdminService.*Privilege*",
                "google.admin.AdminService.*2StepVerification",
                "google.admin.AdminService.inboundSsoProfile*",
            ],
            "control.iam",
        )
        .outcome(DONE),
        pass(&["*"]),
    ],
    id: &["insertId", "timestamp", "logName"],
    time: "timestamp",
    columns: &[
        (Actor, "protoPayload.authenticationInfo.principalEmail | protoPayload.authenticationInfo.principalSubject"),
        (Ip, "protoPayload.requestMetadata.callerIp"),
        (Key, "kms_key"),
        (Reason, "protoPayload.status.message"),
    ],
    facts: &[
        ("act", Fact::At("protoPayload.methodName")),
        ("service", Fact::At("protoPayload.serviceName")),
        ("target", Fact::At("protoPayload.resourceName")),
        ("project", Fact::At("resource.labels.project_id")),
        ("user_agent", Fact::At("protoPayload.requestMetadata.callerSuppliedUserAgent")),
        ("on_behalf_of", Fact::At("protoPayload.authenticationInfo.serviceAccountDelegationInfo")),
        ("policy_delta", Fact::At("protoPayload.serviceData.policyDelta")),
        (
            "caller_context",
            Fact::At(
                "protoPayload.metadata.entries.caller_provided_context | protoPayload.request.caller_provided_context",
            ),
        ),
    ],
    hidden: &[],
    finish: None,
    example: include_str!("example.json"),
};

/// The entry within a Pub/Sub push; the key is the resource of Cloud KMS.
fn unfold(record: &Value) -> Result<Vec<Value>, Problem> {
    let mut entry = match path::find(record, "message.data").and_then(Value::as_str) {
        None => record.clone(),
        Some(data) => {
            let bytes = BASE64.decode(data).map_err(|_| Problem::new("message.data", "is not Base64"))?;
            json_text::parse(&bytes).map_err(|problem| Problem::new("message.data", problem.to_string()))?
        }
    };
    if path::find(&entry, "protoPayload.serviceName").and_then(Value::as_str) == Some("cloudkms.googleapis.com") {
        entry["kms_key"] = path::find(&entry, "protoPayload.resourceName").cloned().unwrap_or_default();
    }
    Ok(vec![entry])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, example_with, one, read, rejected};

    #[test]
    fn a_signature_is_read_in_both_forms_of_its_name() {
        for method in ["AsymmetricSign", "google.cloud.kms.v1.KeyManagementService.AsymmetricSign"] {
            let event = changed(&GCP_AUDIT, &[("protoPayload.methodName", json!(method))]);
            assert_eq!((event.kind(), event.outcome()), ("signing.signed", Some("success")));
            assert_eq!(
                event.key(),
                Some("projects/p/locations/europe-west3/keyRings/hot/cryptoKeys/eth/cryptoKeyVersions/1")
            );
            assert_eq!((event.actor(), event.ip()), (Some("signer@p.iam.gserviceaccount.com"), Some("10.0.3.17")));
        }
        let denied =
            changed(&GCP_AUDIT, &[("protoPayload.status", json!({"code": 7, "message": "PERMISSION_DENIED"}))]);
        assert_eq!((denied.kind(), denied.reason()), ("signing.failed", Some("PERMISSION_DENIED")));
    }

    #[test]
    fn switching_the_audit_off_is_told_as_that() {
        let delta = |service: &str, delta: Value| {
            changed(
                &GCP_AUDIT,
                &[
                    ("protoPayload.methodName", json!("SetIamPolicy")),
                    ("protoPayload.serviceName", json!(service)),
                    ("protoPayload.serviceData", json!({ "policyDelta": delta })),
                ],
            )
        };
        let audit = json!({"auditConfigDeltas": [{"action": "REMOVE", "service": "cloudkms.googleapis.com", "logType": "DATA_READ"}]});
        assert_eq!(delta("cloudresourcemanager.googleapis.com", audit).kind(), "control.logging");
        let binding = json!({"bindingDeltas": [{"action": "ADD", "role": "roles/owner", "member": "user:x"}]});
        assert_eq!(delta("cloudresourcemanager.googleapis.com", binding.clone()).kind(), "control.iam");
        assert_eq!(delta("cloudkms.googleapis.com", binding).kind(), "control.key");
    }

    #[test]
    fn the_control_plane_changes() {
        for (method, kind) in [
            ("v1.compute.firewalls.insert", "control.network"),
            ("google.logging.v2.ConfigServiceV2.DeleteSink", "control.logging"),
            ("google.iam.admin.v1.CreateServiceAccountKey", "control.iam"),
            ("storage.setIamPermissions", "control.iam"),
            ("v1.compute.projects.setCommonInstanceMetadata", "control.iam"),
            ("google.api.apikeys.v2.ApiKeys.CreateKey", "control.iam"),
            ("google.admin.AdminService.inboundSsoProfileCreated", "control.iam"),
            ("TagBindings.CreateTagBinding", "control.iam"),
            ("dns.changes.create", "control.network"),
            ("google.appengine.v1.Firewall.DeleteIngressRule", "control.network"),
        ] {
            let event = changed(
                &GCP_AUDIT,
                &[("protoPayload.methodName", json!(method)), ("protoPayload.serviceName", json!("x"))],
            );
            assert_eq!((event.kind(), event.outcome(), event.key()), (kind, Some("success"), None), "{method}");
        }
    }

    #[test]
    fn what_only_reads_is_passed_over() {
        for method in [
            "v1.compute.firewalls.list",
            "v1.compute.networks.getEffectiveFirewalls",
            "v1.compute.networks.listPeeringRoutes",
            "v1.compute.subnetworks.testIamPermissions",
            "google.iam.admin.v1.ListServiceAccounts",
            "storage.getIamPermissions",
            "dns.managedZones.get",
            "google.api.apikeys.v2.ApiKeys.GetKey",
        ] {
            let record = example_with(&GCP_AUDIT, &[("protoPayload.methodName", json!(method))]);
            assert_eq!(read(&GCP_AUDIT, record.to_string().as_bytes()).skipped, 1, "{method}");
        }
    }

    #[test]
    fn a_long_operation_is_told_at_its_end() {
        let method = ("protoPayload.methodName", json!("v1.compute.firewalls.insert"));
        let begun = ("operation", json!({"id": "operation-1", "first": true}));
        let record = example_with(&GCP_AUDIT, &[method.clone(), begun.clone()]);
        assert_eq!(read(&GCP_AUDIT, record.to_string().as_bytes()).skipped, 1);
        let refused = ("protoPayload.status", json!({"code": 7, "message": "PERMISSION_DENIED"}));
        assert_eq!(changed(&GCP_AUDIT, &[method.clone(), begun, refused]).outcome(), Some("failed"));
        for operation in [json!({"first": true, "last": true}), json!({"last": true})] {
            let event = changed(&GCP_AUDIT, &[method.clone(), ("operation", operation.clone())]);
            assert_eq!((event.kind(), event.outcome()), ("control.network", Some("success")), "{operation}");
        }
    }

    #[test]
    fn a_push_carries_its_entry_encoded() {
        let entry = example_with(&GCP_AUDIT, &[]);
        let push =
            json!({"subscription": "s", "message": {"messageId": "1", "data": BASE64.encode(entry.to_string())}});
        assert_eq!(one(&GCP_AUDIT, &push), one(&GCP_AUDIT, &entry));
        for data in ["!", "e30=", "bm8="] {
            let push = json!({"message": {"data": data}});
            assert_eq!(read(&GCP_AUDIT, push.to_string().as_bytes()).rejects.len(), 1, "{data}");
        }
    }

    #[test]
    fn the_context_of_the_caller_is_read_where_it_stood_and_where_it_stands() {
        for path in ["protoPayload.request", "protoPayload.metadata"] {
            let context = if path.ends_with("request") {
                json!({"caller_provided_context": "r-1"})
            } else {
                json!({"entries": {"caller_provided_context": "r-1"}})
            };
            assert_eq!(changed(&GCP_AUDIT, &[(path, context)]).detail().value()["caller_context"], "r-1");
        }
        assert_eq!(rejected(&GCP_AUDIT, &[("insertId", json!(null))]), "insertId");
    }
}
