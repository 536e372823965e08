//! Bundles of `vectors_keys.py`, signed with keys and not certificates: good ones and ones with one thing changed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keywatch_store::Event;
use keywatch_store::event::Origin;
use serde_json::json;

use super::super::trust::TrustedKey;
use super::super::verify::Verified;
use super::*;

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";
const REPOSITORY: &str = "registry.exchange.example/signer";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors_keys.json")).unwrap()
}

fn named(name: &str) -> Value {
    vectors()["bundles"][name].clone()
}

/// A key of the vectors, for the system `cold`.
fn key(name: &str, repository: Option<&str>) -> TrustedKey {
    TrustedKey::parse(vectors()["keys"][name].as_str().unwrap().as_bytes(), name, "cold", repository).unwrap()
}

fn trust(keys: &[&str]) -> Trust {
    let logs = Trust::of_logs(vectors()["log"].as_str().unwrap().as_bytes()).unwrap();
    logs.with_keys(keys.iter().map(|name| key(name, None)).collect())
}

fn known() -> Trust {
    trust(&["p384", "ed25519", "p256"])
}

fn why_not(bundle: &Value, trust: &Trust) -> String {
    verify::bundle(bundle, trust, "cold", None).unwrap_err()
}

/// Changes one bit of the last byte of what base64 says at a pointer.
fn flip(bundle: &mut Value, pointer: &str) {
    let text = bundle.pointer_mut(pointer).unwrap();
    let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    *text = Value::from(STANDARD.encode(bytes));
}

#[test]
fn a_bundle_says_which_key_signed_and_when_if_a_log_has_it() {
    for (name, key, at) in [
        ("message", "p256", Some(1_740_116_540)),
        ("message_unlogged", "p256", None),
        ("message_p384", "p384", None),
        ("dsse", "p256", Some(1_740_116_540)),
        ("dsse_unlogged", "p256", None),
        ("dsse_ed25519", "ed25519", Some(1_740_116_540)),
    ] {
        let verified = verify::bundle(&named(name), &known(), "cold", None);
        assert_eq!(verified, Ok(Verified { signer: Signer::Key(key.to_owned()), at }), "{name}");
    }
    // An empty list of entries is none, and a hint of a KMS is not a hash.
    let mut bundle = named("message_unlogged");
    bundle["verificationMaterial"]["tlogEntries"] = json!([]);
    bundle["verificationMaterial"]["publicKey"] = json!({ "hint": "gcpkms://projects/exchange/keys/release" });
    assert!(verify::bundle(&bundle, &known(), "cold", None).is_ok());
}

#[test]
fn a_changed_byte_is_found_wherever_it_is() {
    for (name, pointer, reason) in [
        ("message", "/messageSignature/signature".to_owned(), "not of this digest by key:p256"),
        ("message_unlogged", "/messageSignature/signature".to_owned(), "not of this digest by key:p256"),
        ("message_unlogged", "/messageSignature/messageDigest/digest".to_owned(), "not of this digest by key:p256"),
        ("dsse_unlogged", "/dsseEnvelope/payload".to_owned(), "not of this envelope by key:p256"),
        ("dsse_ed25519", "/dsseEnvelope/signatures/0/sig".to_owned(), "not of this envelope by key:ed25519"),
        ("message", format!("{ENTRY}/canonicalizedBody"), "not of this entry"),
        ("message", format!("{ENTRY}/inclusionPromise/signedEntryTimestamp"), "not of this entry"),
        ("message", format!("{ENTRY}/inclusionProof/hashes/0"), "does not lead to its root"),
        ("dsse", format!("{ENTRY}/logId/keyId"), "the log is not one"),
    ] {
        let mut bundle = named(name);
        flip(&mut bundle, &pointer);
        let why = why_not(&bundle, &known());
        assert!(why.contains(reason), "{name} {pointer}: {why}");
    }
}

#[test]
fn an_entry_that_is_there_has_to_be_of_this_signature_and_of_a_trusted_log() {
    let entries = |name: &str| named(name)["verificationMaterial"]["tlogEntries"].clone();
    for (name, foreign) in
        [("message_unlogged", "message_by_stranger"), ("message_unlogged", "dsse"), ("dsse_unlogged", "message")]
    {
        let mut bundle = named(name);
        bundle["verificationMaterial"]["tlogEntries"] = entries(foreign);
        assert!(why_not(&bundle, &known()).contains("of another signature"), "{name} {foreign}");
    }
    // A good entry excuses no bad one beside it.
    let mut bundle = named("message");
    let both = [entries("message")[0].clone(), entries("message_by_stranger")[0].clone()];
    bundle["verificationMaterial"]["tlogEntries"] = json!(both);
    assert!(why_not(&bundle, &known()).contains("of another signature"));
    bundle["verificationMaterial"]["tlogEntries"] = Value::from(vec![entries("message")[0].clone(); 9]);
    assert!(why_not(&bundle, &known()).contains("at most 8"));
    bundle["verificationMaterial"]["tlogEntries"] = json!({ "0": entries("message")[0] });
    assert!(why_not(&bundle, &known()).contains("no list"));
    let without_logs = Trust::default().with_keys(vec![key("p256", None)]);
    assert!(why_not(&named("message"), &without_logs).contains("the log is not one"));
    assert!(verify::bundle(&named("message_unlogged"), &without_logs, "cold", None).is_ok());
}

#[test]
fn which_key_may_sign_is_the_operators_to_say() {
    let by_stranger = named("message_by_stranger");
    assert_eq!(why_not(&by_stranger, &known()), "the signature is not of this digest by any key that is trusted");
    assert!(verify::bundle(&by_stranger, &trust(&["stranger"]), "cold", None).is_ok(), "else it is good");
    // Whatever a hint says, it is the signature that counts.
    let mut posing = by_stranger;
    posing["verificationMaterial"]["publicKey"] = named("message")["verificationMaterial"]["publicKey"].clone();
    assert_eq!(why_not(&posing, &known()), "the signature is not of this digest by key:p256");

    let bundle = named("message");
    let elsewhere = verify::bundle(&bundle, &known(), "hot", None).unwrap_err();
    assert_eq!(elsewhere, "key:p256 is not expected to sign here");
    let of_one = known().with_keys(vec![key("p256", Some(REPOSITORY))]);
    assert!(verify::bundle(&bundle, &of_one, "cold", Some(REPOSITORY)).is_ok());
    for other in [None, Some("registry.exchange.example/signer-2"), Some("registry.exchange.example")] {
        let why = verify::bundle(&bundle, &of_one, "cold", other).unwrap_err();
        assert_eq!(why, "key:p256 is not expected to sign here", "{other:?}");
    }
    // Named twice, for one repository and for another.
    let twice = known().with_keys(vec![key("p256", Some("other")), key("p256", Some(REPOSITORY))]);
    assert!(verify::bundle(&bundle, &twice, "cold", Some(REPOSITORY)).is_ok());
}

#[test]
fn ed25519_over_an_artifact_is_told_as_what_it_is() {
    assert!(why_not(&named("message_ed25519"), &known()).contains("Ed25519 signs the artifact itself"));
}

#[test]
fn a_key_file_that_cannot_be_used_names_what_is_wrong() {
    let why = |text: &str| TrustedKey::parse(text.as_bytes(), "release", "cold", None).unwrap_err().reason;
    let pem = vectors()["keys"]["p256"].as_str().unwrap().to_owned();
    assert!(why("").contains("has 0 blocks"));
    assert!(why(&pem.repeat(2)).contains("has 2 blocks"));
    assert!(why(&pem.replace("PUBLIC KEY", "PRIVATE KEY")).contains("PUBLIC KEY and nothing else"));
    assert!(why("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n").contains("not P-256"));
    let nothing = Trust::of_logs(b"").unwrap_err();
    assert_eq!(nothing.field, "tlogs");
}

/// The event of a record that says `verified`, as changed.
fn event(change: impl FnOnce(&mut Value)) -> Event {
    let mut record = json!({
        "artifact": vectors()["artifact"], "at": "2025-02-21T05:42:40Z", "result": "verified", "identity": "somebody",
        "issuer": "https://id.example", "name": REPOSITORY, "bundle": named("message_unlogged"),
    });
    change(&mut record);
    let origin = Origin { system: "cold".into(), source: "admission".into() };
    let context = Context { origin: &origin, inventory: None };
    let trust = known().with_keys(vec![key("p256", Some(REPOSITORY))]);
    let mut reading = Verifying::new(trust).read(&context, record.to_string().as_bytes());
    assert_eq!(reading.rejects, []);
    reading.events.remove(0)
}

#[test]
fn the_event_names_the_key_and_nobody_whom_the_record_claims() {
    let good = event(|_| ());
    let detail = good.detail().value();
    assert_eq!((good.outcome(), &detail["verified"]), (Some("verified"), &json!(true)));
    assert_eq!((good.actor(), &detail["signer"]), (Some("key:p256"), &json!("key:p256")));
    assert_eq!((&detail["identity"], &detail["issuer"]), (&json!(null), &json!(null)));
    assert_eq!((&detail["signed_by"], &detail["signed_at"]), (&json!("key"), &json!(null)));
    let logged = event(|record| record["bundle"] = named("message"));
    assert_eq!(logged.detail().value()["signed_at"], json!("2025-02-21T05:42:20Z"));

    let changes: [fn(&mut Value); 4] = [
        |record| flip(&mut record["bundle"], "/messageSignature/signature"),
        |record| record["bundle"] = named("message_by_stranger"),
        |record| record["name"] = json!("registry.exchange.example/other"),
        |record| record["artifact"] = json!("sha256:00"),
    ];
    for change in changes {
        let refused = event(change);
        assert_eq!((refused.outcome(), &refused.detail().value()["verified"]), (Some("failed"), &json!(false)));
        assert!(refused.reason().unwrap().starts_with("the bundle "), "{:?}", refused.reason());
        assert_eq!(refused.detail().value()["signer"], json!(null));
    }
}
