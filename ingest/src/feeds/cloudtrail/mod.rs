//! AWS `CloudTrail`: keys used and administered, sign-ons, and changes of network, logging and identities.
//!
//! It does not know whether records are missing, and reads no record against its digest: [`trail`] does, for who has the files
//! of digests too.

pub mod digest;
pub mod listed;
mod names;
mod parameters;
pub mod trail;

use keywatch_store::event::TextColumn;
use serde_json::Value;

use super::table::Column::{Actor, Decision, Ip, Key, Reason};
use super::table::{About, Draft, Fact, Finish, Table, Words, on, parts, pass, path};

/// Whether AWS did it: an error code says that it did not.
const DONE: Fact = Fact::By(Words { from: "errorCode", words: &[("", "success")], otherwise: Some("failed") });

const KMS: &[(&str, &[&str])] = &[("eventSource", &["kms.amazonaws.com"])];

/// The feed `cloudtrail`.
pub static CLOUDTRAIL: Table = Table {
    name: "cloudtrail",
    about: About {
        title: "AWS CloudTrail",
        what: "Signatures of KMS keys and what they decrypt, administration of keys, sign-ons to the console, decisions of \
               Verified Permissions, and whatever opens the network, blinds a log or widens an identity. What only reads is \
               passed over.",
        format: "AWS CloudTrail record contents, version 1.08 and later; key events as in the KMS developer guide",
        delivery: "Objects with `Records`, EventBridge events (`detail`) or single records; minutes late, in no order, \
                   repeated. The identity is `eventID`. EventBridge leaves out read-only events unless its rule asks for \
                   them, and `Sign` is read-only.",
        traps: &[
            "`Sign` has neither digest nor signature: it is bound to a transaction by key, time, principal and count only.",
            "`requestParameters.keyId` may be an alias, which can be pointed to another key; the key is the ARN in `resources`. \
             A call that was refused may name the alias only: it is `detail.alias`, and there is no key.",
            "A call that failed is recorded too, with `errorCode`: it is an attempt and no change.",
            "Rules of security groups come flat (`cidrIp`) and as `ipPermissions.items`; both are read into `detail.ranges`.",
            "A range may have host bits, as `208.236.235.254/0`: it is masked first, and any `/0` is `detail.open_to_all`, \
             unless the call revokes, deletes or denies.",
            "KMS can be excluded from a trail by an event selector: `detail.kms_excluded`.",
            "A policy is JSON as text, or JSON itself with buckets (`bucketPolicy`); one that allows everybody is \
             `detail.open_to_all`. An empty `Condition` is none, and `NotPrincipal` is everybody but some. So is what is given \
             to everybody without a policy: a snapshot or image shared with the group `all`, a public list of a bucket, a \
             function that anybody may call.",
            "A record may come again with an `addendum`; `detail.corrects` names the first one.",
            "`sourceIPAddress` may be the name of an AWS service, which is no address.",
            "An hour without its digest file, or a digest that does not continue the one before it, is a gap: `digest::verify` \
             checks the chain and `digest::is_listed` a file, for whoever fetches them.",
            "Who changes a factor is not whose factor it is: that is the event's actor, and the caller, with another name, \
             `detail.by`. The call names an IAM user without an ARN; the actor is the ARN that the user's own records have, \
             `arn:aws:iam::<recipientAccountId>:user/<userName>`, unless the user has an IAM path, which the call leaves out.",
            "Only temporary credentials (`ASIA…`) are a session.",
            "`Decrypt` is what a person or machine asked KMS for itself; what a service decrypts for them (`invokedBy`), a bucket \
             or a volume, is passed over.",
        ],
    },
    wrapper: Some("Records"),
    decode: None,
    unfold: Some(|record| Ok(unfold(record))),
    select: "eventName",
    cases: &[
        on(&["Sign"], "signing.signed")
            .and(&[("eventSource", &["kms.amazonaws.com"]), ("errorCode", &[""])])
            .outcome(Fact::Is("success")),
        on(&["Sign"], "signing.failed").and(KMS),
        // What a service of AWS decrypts on the way, for whoever asks it, is its own business.
        on(&["Decrypt"], "signing.unsealed")
            .and(&[("eventSource", &["kms.amazonaws.com"]), ("errorCode", &[""]), ("userIdentity.invokedBy", &[""])])
            .outcome(Fact::Is("success")),
        on(names::KEYS, "control.key").and(KMS).outcome(DONE),
        on(&["ConsoleLogin"], "session.started").outcome(Fact::By(Words {
            from: "responseElements.ConsoleLogin",
            words: &[("Success", "success")],
            otherwise: Some("failure"),
        })),
        on(&["IsAuthorized*", "BatchIsAuthorized*"], "decision")
            .and(&[("eventSource", &["verifiedpermissions.amazonaws.com"])])
            .columns(&[(Decision, "requestID"), (Actor, "requestParameters.principal.entityId")])
            .outcome(Fact::By(Words {
                from: "additionalEventData.decision",
                words: &[("ALLOW", "allow"), ("DENY", "deny"), ("", "unknown")],
                otherwise: Some("unknown"),
            })),
        on(&["EnableMFADevice"], "session.mfa_changed")
            .and(&[("errorCode", &[""])])
            .done_to("requestParameters.userName")
            .says(&[("change", Fact::Is("create"))]),
        on(&["DeactivateMFADevice"], "session.mfa_changed")
            .and(&[("errorCode", &[""])])
            .done_to("requestParameters.userName")
            .says(&[("change", Fact::Is("delete"))]),
        on(names::NETWORK, "control.network").outcome(DONE),
        on(names::LOGGING, "control.logging").outcome(DONE),
        on(names::IDENTITIES, "control.iam").outcome(DONE),
        on(names::POLICIES, "control.policy")
            .and(&[("eventSource", &["verifiedpermissions.amazonaws.com"])])
            .outcome(DONE),
        pass(&["*"]),
    ],
    id: &["eventID"],
    time: "eventTime",
    columns: &[
        (Actor, "userIdentity.arn | userIdentity.principalId | userIdentity.invokedBy | userIdentity.userName"),
        (Ip, "sourceIPAddress"),
        (Key, "resources[type=AWS::KMS::Key].ARN | requestParameters.targetKeyId | requestParameters.keyId"),
        (Reason, "errorCode"),
    ],
    facts: &[
        ("act", Fact::At("eventName")),
        ("service", Fact::At("eventSource")),
        ("target", Fact::At(names::TARGET)),
        ("account", Fact::At("recipientAccountId | userIdentity.accountId")),
        ("region", Fact::At("awsRegion")),
        ("mfa", Fact::At("additionalEventData.MFAUsed | userIdentity.sessionContext.attributes.mfaAuthenticated")),
        ("vpc_endpoint", Fact::At("vpcEndpointId")),
        ("tls", Fact::At("tlsDetails.tlsVersion")),
        ("algorithm", Fact::At("requestParameters.signingAlgorithm")),
        ("message_type", Fact::At("requestParameters.messageType")),
        ("principal_type", Fact::At("userIdentity.type")),
        ("user_agent", Fact::At("userAgent")),
        ("corrects", Fact::At("addendum.originalEventID")),
    ],
    hidden: &[],
    finish: Some(Finish(|_, record, draft| {
        complete(record, draft);
        Ok(())
    })),
    example: include_str!("example.json"),
};

/// The record within an event of `EventBridge`.
fn unfold(record: Value) -> Vec<Value> {
    let envelope = record.get("detail-type").is_some();
    if envelope { parts::unwrapped(record, "detail") } else { vec![record] }
}

/// The session of temporary credentials, and what the parameters open.
fn complete(record: &Value, draft: &mut Draft) {
    let credential = path::find(record, "userIdentity.accessKeyId").and_then(Value::as_str);
    if !draft.done_by_another {
        draft.event.session(credential.filter(|id| id.starts_with("ASIA")));
    }
    if draft.done_by_another
        && let Some(arn) = user_arn(record)
    {
        draft.event.actor(arn);
    }
    let key = draft.event.get(TextColumn::Key).unwrap_or_default();
    if key.starts_with("alias/") || key.contains(":alias/") {
        let alias = Value::from(key);
        draft.detail.insert("alias".to_owned(), alias);
        draft.event.key(None::<&str>);
    }
    if draft.event.get(TextColumn::Kind).is_some_and(|kind| kind.starts_with("control.")) {
        parameters::describe(record, &mut draft.detail);
    }
}

/// The ARN of the IAM user that a call names, in the partition of its caller.
fn user_arn(record: &Value) -> Option<String> {
    let text = |paths: &str| path::find(record, paths).and_then(Value::as_str);
    let name = text("requestParameters.userName").filter(|name| !name.starts_with("arn:"))?;
    let account = text("recipientAccountId | userIdentity.accountId")?;
    let partition = text("userIdentity.arn").and_then(|arn| arn.strip_prefix("arn:")?.split(':').next());
    Some(format!("arn:{}:iam::{account}:user/{name}", partition.unwrap_or("aws")))
}

#[cfg(test)]
mod tests;
