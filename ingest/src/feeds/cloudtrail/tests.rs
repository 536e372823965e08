//! Records as `CloudTrail` writes them, and what is easily misread in them.

use serde_json::json;

use super::*;
use crate::feeds::sample::{changed, example_with, one, read, rejected};

fn call(name: &str, source: &str, parameters: &Value) -> keywatch_store::Event {
    changed(
        &CLOUDTRAIL,
        &[("eventName", json!(name)), ("eventSource", json!(source)), ("requestParameters", parameters.clone())],
    )
}

#[test]
fn a_signature_has_its_key_by_arn_and_no_digest() {
    let event = changed(&CLOUDTRAIL, &[]);
    assert_eq!((event.kind(), event.outcome()), ("signing.signed", Some("success")));
    assert_eq!(event.key(), Some("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"));
    assert_eq!(event.actor(), Some("arn:aws:sts::111122223333:assumed-role/signer/i-0a1b2c"));
    assert_eq!((event.ip(), event.session(), event.tx()), (Some("10.0.3.17"), Some("ASIAIOSFODNN7EXAMPLE"), None));
    let detail = event.detail().value();
    assert_eq!(
        (&detail["vpc_endpoint"], &detail["mfa"], &detail["algorithm"]),
        (&json!("vpce-0f1e"), &json!("false"), &json!("ECDSA_SHA_256"))
    );
    assert_eq!(detail["record"]["userIdentity"]["accessKeyId"], "***");
}

#[test]
fn a_refused_signature_failed() {
    let event = changed(&CLOUDTRAIL, &[("errorCode", json!("AccessDenied"))]);
    assert_eq!((event.kind(), event.reason()), ("signing.failed", Some("AccessDenied")));
    let by_alias = changed(&CLOUDTRAIL, &[("errorCode", json!("AccessDenied")), ("resources", json!(null))]);
    assert_eq!((by_alias.key(), &by_alias.detail().value()["alias"]), (None, &json!("alias/hot-wallet")));
    let other = example_with(&CLOUDTRAIL, &[("eventSource", json!("signer.amazonaws.com"))]);
    assert_eq!(read(&CLOUDTRAIL, other.to_string().as_bytes()).skipped, 1);
}

#[test]
fn keys_are_administered() {
    for (name, parameters, target) in [
        ("ScheduleKeyDeletion", json!({"keyId": "k", "pendingWindowInDays": 7}), "k"),
        ("UpdateAlias", json!({"aliasName": "alias/hot", "targetKeyId": "k2"}), "alias/hot"),
        ("CreateGrant", json!({"keyId": "k", "granteePrincipal": "arn:x", "operations": ["Sign"]}), "arn:x"),
    ] {
        let event = call(name, "kms.amazonaws.com", &parameters);
        let detail = event.detail().value();
        assert_eq!((event.kind(), &detail["act"], &detail["target"]), ("control.key", &json!(name), &json!(target)));
    }
    let open = json!({"keyId": "k", "policy": "{\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"Action\":\"kms:*\"}]}"});
    assert_eq!(call("PutKeyPolicy", "kms.amazonaws.com", &open).detail().value()["open_to_all"], true);
    let closed = json!({"keyId": "k", "policy": "{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::1:root\"}}}"});
    assert_eq!(call("PutKeyPolicy", "kms.amazonaws.com", &closed).detail().value()["open_to_all"], Value::Null);
}

#[test]
fn both_shapes_of_security_groups_are_read() {
    let flat = json!({"groupId": "sg-1", "cidrIp": "208.236.235.254/0", "fromPort": 22, "toPort": 22, "ipProtocol": "tcp", "ipPermissions": {}});
    let listed = json!({"groupId": "sg-1", "ipPermissions": {"items": [{
        "fromPort": 22, "ipRanges": {"items": [{"cidrIp": "10.1.2.3/8"}]}, "ipv6Ranges": {"items": [{"cidrIpv6": "::/0"}]},
    }]}});
    for (parameters, ranges) in [(flat, json!(["0.0.0.0/0"])), (listed, json!(["10.0.0.0/8", "::/0"]))] {
        let event = call("AuthorizeSecurityGroupIngress", "ec2.amazonaws.com", &parameters);
        let detail = event.detail().value();
        assert_eq!((event.kind(), &detail["target"], &detail["ranges"]), ("control.network", &json!("sg-1"), &ranges));
        assert_eq!(detail["open_to_all"], true);
    }
    let narrow = json!({"groupId": "sg-1", "cidrIp": "203.0.113.7/32"});
    assert_eq!(
        call("AuthorizeSecurityGroupIngress", "ec2.amazonaws.com", &narrow).detail().value()["open_to_all"],
        Value::Null
    );
}

#[test]
fn logs_are_blinded_and_identities_widened() {
    let selectors =
        json!({"trailName": "main", "eventSelectors": [{"excludeManagementEventSources": ["kms.amazonaws.com"]}]});
    let event = call("PutEventSelectors", "cloudtrail.amazonaws.com", &selectors);
    assert_eq!((event.kind(), &event.detail().value()["kms_excluded"]), ("control.logging", &json!(true)));
    assert_eq!(call("StopLogging", "cloudtrail.amazonaws.com", &json!({"name": "main"})).kind(), "control.logging");
    let refused = changed(
        &CLOUDTRAIL,
        &[
            ("eventName", json!("CreateAccessKey")),
            ("eventSource", json!("iam.amazonaws.com")),
            ("errorCode", json!("AccessDenied")),
        ],
    );
    assert_eq!((refused.kind(), refused.outcome()), ("control.iam", Some("failed")));
}

#[test]
fn people_sign_on_and_change_their_factors() {
    let login = |said: &str| {
        changed(
            &CLOUDTRAIL,
            &[
                ("eventName", json!("ConsoleLogin")),
                ("eventSource", json!("signin.amazonaws.com")),
                ("responseElements", json!({"ConsoleLogin": said})),
                ("additionalEventData", json!({"MFAUsed": "No"})),
            ],
        )
    };
    assert_eq!((login("Success").kind(), login("Success").outcome()), ("session.started", Some("success")));
    assert_eq!(login("Failure").outcome(), Some("failure"));
    assert_eq!(login("Success").detail().value()["mfa"], "No");
    let off = call("DeactivateMFADevice", "iam.amazonaws.com", &json!({"userName": "dana"}));
    assert_eq!(
        (off.kind(), off.actor(), &off.detail().value()["change"]),
        ("session.mfa_changed", Some("arn:aws:iam::111122223333:user/dana"), &json!("delete"))
    );
    assert_eq!((off.ip(), off.session()), (None, None));
    assert_eq!(off.detail().value()["by"], "arn:aws:sts::111122223333:assumed-role/signer/i-0a1b2c");
}

#[test]
fn whose_factor_changed_is_who_signs_on() {
    let person = "arn:aws:iam::111122223333:user/dana";
    let by = |caller: &Value, name: &str| {
        changed(
            &CLOUDTRAIL,
            &[
                ("eventName", json!("DeactivateMFADevice")),
                ("eventSource", json!("iam.amazonaws.com")),
                ("requestParameters", json!({ "userName": name })),
                ("userIdentity", caller.clone()),
            ],
        )
    };
    let own = by(&json!({"type": "IAMUser", "arn": person, "accessKeyId": "ASIAX"}), "dana");
    assert_eq!((own.actor(), own.session(), own.ip()), (Some(person), Some("ASIAX"), Some("10.0.3.17")));
    assert_eq!(own.detail().value()["by"], Value::Null);
    // The caller of an assumed role chooses the name of its session.
    let role = "arn:aws:sts::111122223333:assumed-role/admin/dana";
    let other = by(&json!({"type": "AssumedRole", "arn": role, "accessKeyId": "ASIAX"}), "dana");
    assert_eq!((other.actor(), other.session(), other.ip()), (Some(person), None, None));
    assert_eq!(other.detail().value()["by"], role);
    let unnamed = by(&json!({"type": "AWSService", "accessKeyId": "ASIAX"}), "dana");
    assert_eq!((unnamed.actor(), unnamed.session()), (Some(person), None));
    assert!(unnamed.detail().value().get("by").is_none());
    let china = by(&json!({"type": "Root", "arn": "arn:aws-cn:iam::111122223333:root"}), "dana");
    assert_eq!(china.actor(), Some("arn:aws-cn:iam::111122223333:user/dana"));
}

#[test]
fn what_a_key_decrypts_is_told_unless_a_service_asked_or_it_was_refused() {
    let asked = |changes: &[(&str, Value)]| {
        let decrypt = [("eventName", json!("Decrypt"))];
        read(&CLOUDTRAIL, example_with(&CLOUDTRAIL, &[decrypt.as_slice(), changes].concat()).to_string().as_bytes())
    };
    let [event] = asked(&[]).events.try_into().unwrap();
    assert_eq!((event.kind(), event.outcome()), ("signing.unsealed", Some("success")));
    assert!(event.key().is_some() && event.detail().value()["vpc_endpoint"] == "vpce-0f1e");
    for other in [
        ("userIdentity.invokedBy", json!("s3.amazonaws.com")),
        ("errorCode", json!("AccessDenied")),
        ("eventSource", json!("payment-cryptography.amazonaws.com")),
    ] {
        assert_eq!(asked(std::slice::from_ref(&other)).skipped, 1, "{other:?}");
    }
}

#[test]
fn an_error_of_another_type_is_no_success() {
    for code in [json!({}), json!([]), json!(["AccessDenied"])] {
        for name in ["Sign", "CreateGrant", "EnableMFADevice"] {
            let changes = [
                ("eventName", json!(name)),
                ("requestParameters", json!({"userName": "dana", "keyId": "k"})),
                ("errorCode", code.clone()),
            ];
            assert_eq!(rejected(&CLOUDTRAIL, &changes), "errorCode", "{name} {code}");
        }
    }
}

#[test]
fn verified_permissions_decide() {
    for (said, outcome) in [("ALLOW", "allow"), ("DENY", "deny")] {
        let event = changed(
            &CLOUDTRAIL,
            &[
                ("eventName", json!("IsAuthorized")),
                ("eventSource", json!("verifiedpermissions.amazonaws.com")),
                ("additionalEventData", json!({ "decision": said })),
            ],
        );
        assert_eq!((event.kind(), event.outcome(), event.decision()), ("decision", Some(outcome), Some("req-1")));
    }
}

#[test]
fn records_come_in_objects_and_in_events() {
    let record = example_with(&CLOUDTRAIL, &[]);
    let object = json!({"Records": [record, example_with(&CLOUDTRAIL, &[("eventID", json!(null))])]});
    let reading = read(&CLOUDTRAIL, object.to_string().as_bytes());
    assert_eq!((reading.events.len(), reading.rejects[0].field.as_str()), (1, "eventID"));
    let event =
        json!({"version": "0", "detail-type": "AWS API Call via CloudTrail", "source": "aws.kms", "detail": record});
    assert_eq!(one(&CLOUDTRAIL, &event), one(&CLOUDTRAIL, &record));
}

#[test]
fn services_lasting_keys_and_corrections() {
    let event = changed(
        &CLOUDTRAIL,
        &[
            ("sourceIPAddress", json!("cloudformation.amazonaws.com")),
            ("userIdentity.accessKeyId", json!("AKIAIOSFODNN7EXAMPLE")),
            ("addendum", json!({"reason": "UPDATED_DATA", "originalEventID": "first"})),
        ],
    );
    assert_eq!((event.ip(), event.session()), (None, None));
    assert_eq!(event.detail().value()["corrects"], "first");
    assert_eq!(rejected(&CLOUDTRAIL, &[("eventName", json!(null))]), "eventName");
}

#[test]
fn shares_policies_of_objects_and_ways_into_machines_are_told() {
    for (name, source, parameters, kind, target) in [
        ("ModifySnapshotAttribute", "ec2", json!({"snapshotId": "snap-1"}), "control.iam", json!("snap-1")),
        ("ModifyImageAttribute", "ec2", json!({"imageId": "ami-1"}), "control.iam", json!("ami-1")),
        ("ModifyDBSnapshotAttribute", "rds", json!({"dBSnapshotIdentifier": "s"}), "control.iam", json!("s")),
        ("PutBucketPolicy", "s3", json!({"bucketName": "b"}), "control.iam", json!("b")),
        ("AddPermission20150331v2", "lambda", json!({"functionName": "f"}), "control.iam", json!("f")),
        ("SendSSHPublicKey", "ec2-instance-connect", json!({"instanceId": "i-1"}), "control.iam", json!("i-1")),
        ("DetachRolePolicy", "iam", json!({"roleName": "r"}), "control.iam", json!("r")),
        ("LeaveOrganization", "organizations", json!(null), "control.iam", json!(null)),
        ("AuthorizeDBSecurityGroupIngress", "rds", json!({"dBSecurityGroupName": "g"}), "control.network", json!("g")),
        ("CreateTrafficMirrorSession", "ec2", json!({}), "control.network", json!(null)),
        ("PutBucketLogging", "s3", json!({"bucketName": "b"}), "control.logging", json!("b")),
        ("StopActivityStream", "rds", json!({"resourceArn": "a"}), "control.logging", json!("a")),
    ] {
        let event = call(name, &format!("{source}.amazonaws.com"), &parameters);
        assert_eq!((event.kind(), &event.detail().value()["target"]), (kind, &target), "{name}");
    }
}
