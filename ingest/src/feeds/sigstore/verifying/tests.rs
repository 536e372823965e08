//! Bundles of `vectors.py`, good ones and ones with one thing changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywatch_store::Event;
use keywatch_store::event::Origin;
use serde_json::json;

use super::super::log::{root_of, sha256};
use super::super::trust::Identity;
use super::super::verify::Verified;
use super::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors.json")).unwrap()
}

fn named(name: &str) -> Value {
    vectors()["bundles"][name].clone()
}

fn identity(subject: &str, issuer: &str) -> Identity {
    Identity { system: "cold".to_owned(), subject: subject.to_owned(), issuer: issuer.to_owned() }
}

/// The workflow of the vectors.
fn workflow() -> Identity {
    let vectors = vectors();
    identity(vectors["subject"].as_str().unwrap(), vectors["issuer"].as_str().unwrap())
}

fn trust() -> Trust {
    Trust::parse(vectors()["trusted_root"].to_string().as_bytes(), vec![workflow()]).unwrap()
}

fn why_not(bundle: &Value, trust: &Trust) -> String {
    verify::bundle(bundle, trust, "cold", None).unwrap_err()
}

/// Changes one bit of what base64 says at a pointer, so many bytes before its end.
fn flip(bundle: &mut Value, pointer: &str, from_end: usize) {
    let text = bundle.pointer_mut(pointer).unwrap();
    let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    let at = bytes.len() - 1 - from_end;
    bytes[at] ^= 1;
    *text = Value::from(STANDARD.encode(bytes));
}

fn replace(bundle: &mut Value, pointer: &str, with: impl Fn(&str) -> String) {
    let text = bundle.pointer_mut(pointer).unwrap();
    let changed = with(text.as_str().unwrap());
    assert_ne!(text.as_str().unwrap(), changed, "{pointer}");
    *text = Value::from(changed);
}

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

#[test]
fn a_bundle_says_who_signed_and_when() {
    for name in ["message", "message_p384", "message_v0.1", "dsse", "dsse_p384", "dsse_ed25519"] {
        let verified =
            verify::bundle(&named(name), &trust(), "cold", None).unwrap_or_else(|why| panic!("{name}: {why}"));
        let Identity { subject, issuer, .. } = workflow();
        let expected = Verified { signer: Signer::Identity { subject, issuer }, at: Some(1_740_116_540) };
        assert_eq!(verified, expected, "{name}");
    }
    let dana = identity("dana", &workflow().issuer);
    let trust = Trust::parse(vectors()["trusted_root"].to_string().as_bytes(), vec![dana]).unwrap();
    let Signer::Identity { subject, .. } = verify::bundle(&named("user_name"), &trust, "cold", None).unwrap().signer
    else {
        panic!("a key");
    };
    assert_eq!(subject, "dana");
}

#[test]
fn a_bundle_whose_only_time_is_a_timestamp_of_another_kind_is_told_as_one() {
    let mut bundle = named("message");
    let stamps = json!({ "rfc3161Timestamps": [{ "signedTimestamp": "MIIC" }] });
    bundle["verificationMaterial"]["timestampVerificationData"] = stamps;
    assert!(verify::bundle(&bundle, &trust(), "cold", None).is_ok(), "beside a promise it does no harm");
    let entry = bundle.pointer_mut(ENTRY).unwrap().as_object_mut().unwrap();
    entry.remove("inclusionPromise");
    entry.remove("integratedTime");
    entry.insert("kindVersion".to_owned(), json!({ "kind": "hashedrekord", "version": "0.0.2" }));
    let why = why_not(&bundle, &trust());
    assert!(why.contains("RFC 3161") && why.ends_with("its entry is hashedrekord 0.0.2"), "{why}");
    // Without any timestamp it is the promise that is missing.
    let mut without = named("message");
    without.pointer_mut(ENTRY).unwrap().as_object_mut().unwrap().remove("inclusionPromise");
    assert!(why_not(&without, &trust()).contains("did not promise"));
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    let cases = [
        ("message", "/messageSignature/signature".to_owned(), "not of this digest"),
        ("message", "/messageSignature/messageDigest/digest".to_owned(), "not of this digest"),
        ("message_p384", "/messageSignature/signature".to_owned(), "not of this digest"),
        ("message_p384", "/messageSignature/messageDigest/digest".to_owned(), "not of this digest"),
        ("dsse", "/dsseEnvelope/payload".to_owned(), "not of this envelope"),
        ("dsse", "/dsseEnvelope/signatures/0/sig".to_owned(), "not of this envelope"),
        ("dsse_p384", "/dsseEnvelope/payload".to_owned(), "not of this envelope"),
        ("dsse_ed25519", "/dsseEnvelope/payload".to_owned(), "not of this envelope"),
        ("dsse_ed25519", "/dsseEnvelope/signatures/0/sig".to_owned(), "not of this envelope"),
        ("message", "/verificationMaterial/certificate/rawBytes".to_owned(), "leads to no root"),
        ("message", format!("{ENTRY}/canonicalizedBody"), "not of this entry"),
        ("message", format!("{ENTRY}/inclusionPromise/signedEntryTimestamp"), "not of this entry"),
        ("message", format!("{ENTRY}/logId/keyId"), "the log is not one"),
        ("message", format!("{ENTRY}/inclusionProof/hashes/0"), "does not lead to its root"),
        ("message", format!("{ENTRY}/inclusionProof/hashes/2"), "does not lead to its root"),
        ("message", format!("{ENTRY}/inclusionProof/rootHash"), "does not lead to its root"),
    ];
    for (name, pointer, reason) in cases {
        let mut bundle = named(name);
        flip(&mut bundle, &pointer, 0);
        let why = why_not(&bundle, &trust());
        assert!(why.contains(reason), "{name} {pointer}: {why}");
    }
}

#[test]
fn a_changed_number_or_note_is_found() {
    let checkpoint = format!("{ENTRY}/inclusionProof/checkpoint/envelope");
    let cases: [(String, &str, &str, &str); 6] = [
        (format!("{ENTRY}/integratedTime"), "1740116540", "1740116541", "not of this entry and time"),
        (format!("{ENTRY}/logIndex"), "155012345", "155012346", "not of this entry and time"),
        (format!("{ENTRY}/inclusionProof/logIndex"), "3", "2", "does not lead to its root"),
        (format!("{ENTRY}/inclusionProof/treeSize"), "7", "8", "another tree"),
        (checkpoint.clone(), "\n7\n", "\n8\n", "another tree"),
        (checkpoint.clone(), "log.example - 1\n", "log.example - 2\n", "not signed by the log"),
    ];
    for (pointer, from, to, reason) in cases {
        let mut bundle = named("message");
        replace(&mut bundle, &pointer, |text| text.replacen(from, to, 1));
        let why = why_not(&bundle, &trust());
        assert!(why.contains(reason), "{pointer} {to:?}: {why}");
    }
    let mut bundle = named("message");
    replace(&mut bundle, &checkpoint, |text| {
        let (note, signature) = text.trim_end().rsplit_once(' ').unwrap();
        let mut bytes = STANDARD.decode(signature).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        format!("{note} {}\n", STANDARD.encode(bytes))
    });
    assert!(why_not(&bundle, &trust()).contains("not signed by the log"));
}

#[test]
fn a_certificate_is_believed_only_as_it_was_issued() {
    let mut bundle = named("message");
    let leaf = STANDARD.decode(bundle["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap()).unwrap();
    let subject = workflow().subject;
    let at = leaf.windows(subject.len()).position(|part| part == subject.as_bytes()).unwrap();
    flip(&mut bundle, "/verificationMaterial/certificate/rawBytes", leaf.len() - 1 - at);
    assert!(why_not(&bundle, &trust()).contains("leads to no root"));
    for (name, reason) in [
        ("late", "not valid when the log took"),
        ("for_servers", "not for signing code"),
        ("under_a_signer", "leads to no root"),
    ] {
        let why = why_not(&named(name), &trust());
        assert!(why.contains(reason), "{name}: {why}");
    }
}

#[test]
fn who_is_trusted_is_the_operators_to_say() {
    let vectors = vectors();
    let pem = |name: &str| Trust::parse(vectors[name].as_str().unwrap().as_bytes(), vec![workflow()]).unwrap();
    let bundle = named("message");
    assert!(verify::bundle(&bundle, &pem("pem"), "cold", None).is_ok());
    assert!(why_not(&bundle, &pem("other_root")).contains("leads to no root"));
    // One second before the log took the entry, and that second.
    for (pointer, reason) in [
        ("/certificateAuthorities/0", "leads to no root"),
        ("/tlogs/0/publicKey", "the log is not one that is trusted for that time"),
    ] {
        let mut root = vectors["trusted_root"].clone();
        for (end, verifies) in [("2025-02-21T05:42:19Z", false), ("2025-02-21T05:42:20Z", true)] {
            root.pointer_mut(pointer).unwrap()["validFor"]["end"] = json!(end);
            let trust = Trust::parse(root.to_string().as_bytes(), vec![workflow()]).unwrap();
            let found = verify::bundle(&bundle, &trust, "cold", None);
            assert_eq!(found.is_ok(), verifies, "{pointer} {end}");
            assert!(verifies || found.unwrap_err().contains(reason), "{pointer}");
        }
    }
    let Identity { subject, issuer, .. } = workflow();
    for expected in [
        identity(&subject.replace("refs/heads/main", "refs/heads/mair"), &issuer),
        identity(&subject, &issuer.replace("https", "http")),
        identity(&subject[..subject.len() - 1], &issuer),
    ] {
        let trust = Trust { identities: vec![expected], ..trust() };
        assert!(why_not(&bundle, &trust).contains("is not expected to sign here"));
    }
    let elsewhere = verify::bundle(&bundle, &trust(), "warm", None).unwrap_err();
    assert!(elsewhere.contains("is not expected to sign here"), "{elsewhere}");
}

#[test]
fn what_is_missing_or_of_another_signature_does_not_verify() {
    let without = |name: &str, pointer: &str, member: &str| {
        let mut bundle = named(name);
        let parent = bundle.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        assert!(parent.remove(member).is_some(), "{member}");
        why_not(&bundle, &trust())
    };
    assert!(without("message", ENTRY, "inclusionPromise").contains("its time is not proved"));
    assert!(without("message_v0.1", ENTRY, "inclusionPromise").contains("its time is not proved"));
    assert!(without("message", ENTRY, "inclusionProof").contains("the proof that the entry is in the log is missing"));
    assert!(without("message", &format!("{ENTRY}/inclusionProof"), "checkpoint").contains("checkpoint"));
    assert!(without("message", "/verificationMaterial", "tlogEntries").contains("no entry of a log"));
    assert!(without("message", "/verificationMaterial", "certificate").contains("neither a certificate nor a key"));
    assert!(without("message", "", "messageSignature").contains("either a message's signature or an envelope"));
    let mut both = named("message");
    both["dsseEnvelope"] = named("dsse")["dsseEnvelope"].clone();
    assert!(why_not(&both, &trust()).contains("either a message's signature or an envelope"));
    // The promise and the proof are good, and of what another key signed.
    let mut swapped = named("message");
    swapped["verificationMaterial"]["tlogEntries"] =
        named("message_p384")["verificationMaterial"]["tlogEntries"].clone();
    assert!(why_not(&swapped, &trust()).contains("of another signature"));
    let mut swapped = named("dsse");
    swapped["verificationMaterial"]["tlogEntries"] = named("message")["verificationMaterial"]["tlogEntries"].clone();
    assert!(why_not(&swapped, &trust()).contains("of another signature"));
}

#[test]
fn an_audit_path_leads_to_the_root_from_its_own_place_only() {
    fn root(leaves: &[Vec<u8>]) -> Vec<u8> {
        if let [leaf] = leaves {
            return leaf.clone();
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        sha256(&[&[1], &root(left), &root(right)])
    }
    fn path(index: usize, leaves: &[Vec<u8>]) -> Vec<Vec<u8>> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let half = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(half);
        let (mut inner, other) =
            if index < half { (path(index, left), root(right)) } else { (path(index - half, right), root(left)) };
        inner.push(other);
        inner
    }
    for size in 1_usize..=9 {
        let leaves: Vec<Vec<u8>> = (0..size).map(|leaf| sha256(&[&[0], &leaf.to_be_bytes()])).collect();
        for (index, leaf) in leaves.iter().enumerate() {
            for place in 0..size {
                let found = root_of(leaf.clone(), place as u64, size as u64, &path(index, &leaves));
                assert_eq!(found == Some(root(&leaves)), place == index, "{index} of {size} at {place}");
            }
        }
    }
    assert_eq!(root_of(vec![0; 32], 1, 1, &[]), None);
    assert_eq!(root_of(vec![0; 32], 0, 0, &[]), None);
}

#[test]
fn a_trust_file_that_cannot_be_read_names_what_is_wrong() {
    let field = |text: &str| Trust::parse(text.as_bytes(), Vec::new()).unwrap_err().field;
    assert_eq!(field("nothing"), "certificateAuthorities");
    assert_eq!(field(r#"{"tlogs":[]}"#), "certificateAuthorities");
    let mut root = vectors()["trusted_root"].clone();
    root["tlogs"] = json!([]);
    assert_eq!(field(&root.to_string()), "tlogs");
    let mut root = vectors()["trusted_root"].clone();
    root["tlogs"][0]["publicKey"]["validFor"]["start"] = json!("soon");
    assert_eq!(field(&root.to_string()), "validFor.start");
    let private = vectors()["pem"].as_str().unwrap().replace("PUBLIC KEY", "PRIVATE KEY");
    assert_eq!(field(&private), "trust file");
}

/// The event of a record that says `verified`, as changed.
fn event(change: impl FnOnce(&mut Value)) -> Event {
    let mut record = json!({
        "artifact": vectors()["artifact"], "at": "2025-02-21T05:42:40Z", "result": "verified", "identity": "somebody",
        "bundle": named("message"),
    });
    change(&mut record);
    let origin = Origin { system: "cold".into(), source: "admission".into() };
    let context = Context { origin: &origin, inventory: None };
    let mut reading = Verifying::new(trust()).read(&context, record.to_string().as_bytes());
    assert_eq!(reading.rejects, []);
    reading.events.remove(0)
}

#[test]
fn a_result_counts_only_with_a_bundle_that_verifies() {
    let good = event(|_| ());
    let detail = good.detail().value();
    assert_eq!((good.outcome(), &detail["verified"]), (Some("verified"), &json!(true)));
    assert_eq!(good.actor(), Some(workflow().subject.as_str()), "the certificate's, not the record's");
    assert_eq!((&detail["issuer"], &detail["signed_at"]), (&json!(workflow().issuer), &json!("2025-02-21T05:42:20Z")));
    assert_eq!((&detail["identity"], &detail["signer"]), (&json!(workflow().subject), &json!(workflow().subject)));

    let forged = event(|record| flip(&mut record["bundle"], "/messageSignature/signature", 0));
    let detail = forged.detail().value();
    assert_eq!((forged.outcome(), &detail["verified"]), (Some("failed"), &json!(false)));
    assert!(detail["not_verified"].as_str().unwrap().contains("not of this digest"));
    assert!(forged.reason().unwrap().starts_with("the bundle does not verify: "), "{:?}", forged.reason());

    let other = event(|record| record["artifact"] = json!("sha256:00"));
    assert_eq!((other.outcome(), &other.detail().value()["verified"]), (Some("failed"), &json!(false)));
    let bare = event(|record| _ = record.as_object_mut().unwrap().remove("bundle"));
    assert_eq!((bare.outcome(), &bare.detail().value()["verified"]), (Some("failed"), &json!(false)));
    assert!(bare.reason().unwrap().contains("no bundle came"), "{:?}", bare.reason());

    // What the verifier refused stays refused.
    for (result, outcome) in [("failed", "failed"), ("unsigned", "unsigned")] {
        let refused = event(|record| record["result"] = json!(result));
        assert_eq!((refused.outcome(), &refused.detail().value()["verified"]), (Some(outcome), &json!(true)));
    }
}
