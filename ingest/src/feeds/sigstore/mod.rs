//! What a verifier of Sigstore signatures found: an artifact that was admitted, refused, or has no signature.
//!
//! By itself it verifies no bundle. It reads the bundle beside the result, and believes no result about another artifact than
//! the one that was signed. Where an operator says whom they trust ([`trust`]), [`verifying`] stands in its place.

mod certificate;
mod content;
mod key;
mod log;
pub mod trust;
mod verify;
pub mod verifying;

use alloy::primitives::hex;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::table::Column::{Actor, Key, Reason};
use super::table::{About, Draft, Fact, Finish, Table, Words, on, path};
use crate::{Problem, limits, reject::capped};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle";

/// The feed `sigstore`.
pub static SIGSTORE: Table = Table {
    name: "sigstore",
    about: About {
        title: "Sigstore verification results",
        what: "Which artifact was checked, whose signature it has, where the transparency log has it, and what the verifier \
               found. One `control.artifact` a check.",
        format: "keywatch's own fields around a result of cosign, policy-controller or another verifier; `bundle` as in \
                 sigstore/protobuf-specs, `application/vnd.dev.sigstore.bundle` v0.1 to v0.3",
        delivery: "Posted by the admission controller or the pipeline after each verification. The identity is artifact, time \
                   and a hash of the record.",
        traps: &[
            "Without `[sigstore]` in the configuration, whether a signature is good is the verifier's word. What the bundle \
             itself says is held against it: where the digest that was signed is not the artifact's, the outcome is `failed` \
             whatever the result says.",
            "With it, a result counts only if its bundle verifies here too ([how](../sigstore.md)): `detail.verified` says \
             whether, `detail.not_verified` why not, and a `verified` whose bundle does not verify or is missing is `failed`.",
            "A bundle has a certificate of Fulcio or the hint of a key (`cosign sign --key`); both are read, and with a key \
             there is no identity. The hint is nobody's word: with `[sigstore]`, `detail.signer` is `key:` and the name of the \
             trusted key whose signature it is.",
            "`name` is the verifier's word; it is what a trusted key's `repository` is compared with.",
            "Numbers of the bundle are text (`logIndex`, `integratedTime`), as protobuf writes 64-bit integers.",
            "`integratedTime` is a claim without an inclusion promise: `detail.time_promised` says whether there is one.",
            "An artifact without a signature is `unsigned`, and one whose check could not be made is `failed`: neither is \
             verified.",
        ],
    },
    wrapper: None,
    decode: None,
    unfold: None,
    select: "artifact",
    cases: &[on(&["*"], "control.artifact").outcome(Fact::By(Words {
        from: "result",
        words: &[("verified", "verified"), ("unsigned", "unsigned")],
        otherwise: Some("failed"),
    }))],
    id: &["artifact", "at", "#"],
    time: "at",
    columns: &[
        (Actor, "identity"),
        (Key, "key | bundle.verificationMaterial.publicKey.hint"),
        (Reason, "reason | error"),
    ],
    facts: &[
        ("act", Fact::Is("verify")),
        ("artifact", Fact::At("artifact")),
        ("name", Fact::At("name")),
        ("identity", Fact::At("identity")),
        ("issuer", Fact::At("issuer")),
        ("target", Fact::At("target")),
        ("log_index", Fact::At("log_index | bundle.verificationMaterial.tlogEntries.0.logIndex")),
        ("log_id", Fact::At("bundle.verificationMaterial.tlogEntries.0.logId.keyId")),
    ],
    hidden: &[],
    finish: Some(Finish(|_, record, draft| complete(record, draft))),
    example: include_str!("example.json"),
};

/// What the bundle says of itself.
fn complete(record: &Value, draft: &mut Draft) -> Result<(), Problem> {
    let Some(bundle) = path::find(record, "bundle") else { return Ok(()) };
    let media_type = path::find(bundle, "mediaType").and_then(Value::as_str).unwrap_or_default();
    if !media_type.starts_with(MEDIA_TYPE) {
        return Err(Problem::new("bundle.mediaType", format!("must begin with {MEDIA_TYPE}")));
    }
    let entry = path::find(bundle, "verificationMaterial.tlogEntries.0");
    let promised = entry.is_some_and(|entry| path::find(entry, "inclusionPromise.signedEntryTimestamp").is_some());
    draft.detail.insert("time_promised".to_owned(), Value::from(promised));
    let by_certificate = path::find(
        bundle,
        "verificationMaterial.certificate.rawBytes | verificationMaterial.x509CertificateChain.certificates.0.rawBytes",
    );
    draft
        .detail
        .insert("signed_by".to_owned(), Value::from(if by_certificate.is_some() { "certificate" } else { "key" }));
    let Some(signed) = signed_digests(bundle)? else { return Ok(()) };
    let artifact = path::find(record, "artifact").and_then(Value::as_str).unwrap_or_default();
    if !signed.iter().any(|digest| artifact.eq_ignore_ascii_case(digest)) {
        let signed = signed.into_iter().next().unwrap_or_else(|| "nothing with a digest".to_owned());
        draft.outcome(Some("failed"));
        draft.event.reason(format!("the bundle signs {signed}"));
        draft.detail.insert("signed_artifact".to_owned(), Value::from(signed));
    }
    Ok(())
}

/// The digest of a message signature, or those of all subjects of an in-toto statement, as `sha256:…`; nothing where the
/// bundle holds neither.
fn signed_digests(bundle: &Value) -> Result<Option<Vec<String>>, Problem> {
    if let Some(digest) = path::find(bundle, "messageSignature.messageDigest.digest").and_then(Value::as_str) {
        let bytes = decoded("bundle.messageSignature.messageDigest.digest", digest)?;
        let algorithm = path::find(bundle, "messageSignature.messageDigest.algorithm").and_then(Value::as_str);
        let name = algorithm.unwrap_or("SHA2_256").to_ascii_lowercase().replace("sha2_", "sha");
        return Ok(Some(vec![format!("{}:{}", capped(&name, limits::NAME_BYTES_MAX), hex::encode(bytes))]));
    }
    let Some(payload) = path::find(bundle, "dsseEnvelope.payload").and_then(Value::as_str) else { return Ok(None) };
    let bytes = decoded("bundle.dsseEnvelope.payload", payload)?;
    let statement = crate::feeds::strict_json(&bytes)
        .map_err(|problem| Problem::new("bundle.dsseEnvelope.payload", problem.reason))?;
    let subjects = path::find(&statement, "subject").and_then(Value::as_array);
    let digest = |subject: &Value| {
        let digest = path::find(subject, "digest.sha256").and_then(Value::as_str)?;
        Some(format!("sha256:{}", capped(digest, limits::NAME_BYTES_MAX).to_ascii_lowercase()))
    };
    Ok(Some(subjects.into_iter().flatten().filter_map(digest).collect()))
}

fn decoded(field: &str, text: &str) -> Result<Vec<u8>, Problem> {
    STANDARD.decode(text).map_err(|error| Problem::new(field, format!("is not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feeds::sample::{changed, rejected};

    const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn a_result_is_told_with_identity_and_log() {
        let event = changed(&SIGSTORE, &[]);
        assert_eq!((event.kind(), event.outcome()), ("control.artifact", Some("verified")));
        let detail = event.detail().value();
        assert_eq!((&detail["log_index"], &detail["time_promised"]), (&json!("155012345"), &json!(true)));
        assert_eq!((&detail["signed_by"], event.key()), (&json!("certificate"), None));
        for (result, outcome) in [("unsigned", "unsigned"), ("error", "failed"), ("VERIFIED", "failed")] {
            assert_eq!(changed(&SIGSTORE, &[("result", json!(result))]).outcome(), Some(outcome));
        }
        assert_eq!(changed(&SIGSTORE, &[("result", json!(null))]).outcome(), Some("failed"));
    }

    #[test]
    fn a_bundle_of_another_artifact_verifies_nothing() {
        let event = changed(&SIGSTORE, &[("artifact", json!(OTHER))]);
        assert_eq!(event.outcome(), Some("failed"));
        assert!(event.reason().unwrap().starts_with("the bundle signs sha256:9f86"), "{:?}", event.reason());
        let statement = json!({"subject": [{"name": "signer", "digest": {"sha256": OTHER[7..].to_owned()}}]});
        let envelope =
            json!({"payload": STANDARD.encode(statement.to_string()), "payloadType": "application/vnd.in-toto+json"});
        let attested = |artifact: &str| {
            changed(
                &SIGSTORE,
                &[
                    ("artifact", json!(artifact)),
                    ("bundle.messageSignature", json!(null)),
                    ("bundle.dsseEnvelope", envelope.clone()),
                ],
            )
        };
        assert_eq!(attested(OTHER).outcome(), Some("verified"));
        assert_eq!(attested("sha256:11").outcome(), Some("failed"));
        // Of several subjects one has to be the artifact.
        let digests = |digests: &[&str]| {
            let subjects: Vec<Value> = digests.iter().map(|digest| json!({"digest": {"sha256": digest}})).collect();
            let payload = STANDARD.encode(json!({ "subject": subjects }).to_string());
            let envelope = json!({"payload": payload, "payloadType": "application/vnd.in-toto+json"});
            let changes = [
                ("artifact", json!(OTHER)),
                ("bundle.messageSignature", json!(null)),
                ("bundle.dsseEnvelope", envelope),
            ];
            changed(&SIGSTORE, &changes).outcome().map(str::to_owned)
        };
        assert_eq!(digests(&["11", "22"]).as_deref(), Some("failed"));
        assert_eq!(digests(&["11", &OTHER[7..]]).as_deref(), Some("verified"));
        assert_eq!(digests(&[]).as_deref(), Some("failed"));
    }

    #[test]
    fn a_key_has_no_identity_and_a_promise_may_be_missing() {
        let material = json!({"publicKey": {"hint": "kms-cosign"}, "tlogEntries": [{"logIndex": "7", "integratedTime": "1740116540"}]});
        let event = changed(&SIGSTORE, &[("bundle.verificationMaterial", material), ("identity", json!(null))]);
        let detail = event.detail().value();
        assert_eq!((event.key(), event.actor()), (Some("kms-cosign"), None));
        assert_eq!((&detail["time_promised"], &detail["signed_by"]), (&json!(false), &json!("key")));
    }

    #[test]
    fn what_is_no_bundle_is_refused() {
        assert_eq!(rejected(&SIGSTORE, &[("bundle.mediaType", json!("text/plain"))]), "bundle.mediaType");
        assert_eq!(
            rejected(&SIGSTORE, &[("bundle.messageSignature.messageDigest.digest", json!("%%%"))]),
            "bundle.messageSignature.messageDigest.digest"
        );
        assert_eq!(rejected(&SIGSTORE, &[("artifact", json!(null))]), "artifact");
    }
}
