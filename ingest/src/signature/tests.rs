//! Signatures made by OpenSSL (`fixture.json`) and by ring, and what must not pass for one.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixture.json")).unwrap()
}

fn keys() -> Keys {
    Keys::parse(fixture()["jwks"].to_string().as_bytes()).unwrap()
}

fn text(name: &str) -> String {
    fixture()[name].as_str().unwrap().to_owned()
}

#[test]
fn a_detached_signature_is_of_the_raw_body() {
    let (header, body) = (text("detached"), text("body"));
    detached(&keys(), &[Algorithm::Rs512], &header, body.as_bytes()).unwrap();
    // The same JSON, written otherwise.
    let rewritten = body.replace("\":\"", "\": \"");
    assert!(detached(&keys(), &[Algorithm::Rs512], &header, rewritten.as_bytes()).is_err());
}

#[test]
fn a_token_gives_its_header_and_payload() {
    let (header, payload) = compact(&keys(), &[Algorithm::Rs256], &text("compact")).unwrap();
    assert_eq!((header["typ"].as_str(), payload), (Some("secevent+jwt"), text("body").into_bytes()));
}

#[test]
fn only_what_is_accepted_is() {
    let body = text("body");
    let refused = |header: &str, accepted: &[Algorithm]| {
        detached(&keys(), accepted, header, body.as_bytes()).unwrap_err().to_string()
    };
    let good = text("detached");
    let with =
        |protected: &Value| format!("{}..{}", BASE64.encode(protected.to_string()), good.split_once("..").unwrap().1);
    for (header, said) in [
        (with(&json!({"alg": "none"})), "`none` is not accepted"),
        (with(&json!({"alg": "HS512", "kid": "webhook-2025"})), "`HS512` is not accepted"),
        (with(&json!({"alg": "RS512", "kid": "other"})), "no key"),
        (with(&json!({"alg": "RS512"})), "not of these bytes"),
        (text("critical"), "`crit`"),
        (format!("{good}!"), "base64url"),
        (good.replace("..", "."), "<protected>"),
        (String::new(), "<protected>"),
        ("..".to_owned(), "no JSON"),
        (format!("{}..x", "A".repeat(10_000)), "too long"),
    ] {
        let reason = refused(&header, &[Algorithm::Rs512]);
        assert!(reason.contains(said), "{header}: {reason}");
    }
    assert!(refused(&good, &[Algorithm::Es256]).contains("not accepted"));
}

#[test]
fn elliptic_curves_verify_too() {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let p256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let (x, y) = p256.public_key().as_ref()[1..].split_at(32);
    let ed = Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap();
    let set = json!({"keys": [
        {"kty": "EC", "crv": "P-256", "kid": "p", "x": BASE64.encode(x), "y": BASE64.encode(y)},
        {"kty": "OKP", "crv": "Ed25519", "kid": "e", "x": BASE64.encode(ed.public_key())},
        {"kty": "OKP", "crv": "Ed25519", "kid": "enc", "use": "enc", "x": BASE64.encode(ed.public_key())},
    ]});
    let keys = Keys::parse(set.to_string().as_bytes()).unwrap();
    let unsigned = |alg: &str, kid: &str| {
        format!("{}.{}", BASE64.encode(json!({"alg": alg, "kid": kid}).to_string()), BASE64.encode("{}"))
    };
    let signed = unsigned("ES256", "p");
    let token = format!("{signed}.{}", BASE64.encode(p256.sign(&random, signed.as_bytes()).unwrap()));
    compact(&keys, &[Algorithm::Es256], &token).unwrap();
    let signed = unsigned("EdDSA", "e");
    let token = format!("{signed}.{}", BASE64.encode(ed.sign(signed.as_bytes())));
    compact(&keys, &[Algorithm::EdDsa], &token).unwrap();
    // A key of another type under that id, and one that is for encryption, are no keys.
    assert!(compact(&keys, &[Algorithm::EdDsa], &token.replace(&BASE64.encode("{}"), &BASE64.encode("[]"))).is_err());
    for kid in ["p", "enc"] {
        let signed = unsigned("EdDSA", kid);
        let token = format!("{signed}.{}", BASE64.encode(ed.sign(signed.as_bytes())));
        assert!(compact(&keys, &[Algorithm::EdDsa], &token).unwrap_err().to_string().contains("no key"));
    }
}

#[test]
fn a_hash_with_a_secret_is_of_the_raw_body() {
    // RFC 4231, test case 2.
    let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    hmac_sha256(b"Jefe", tag, b"what do ya want for nothing?").unwrap();
    assert!(hmac_sha256(b"Jefe", tag, b"what do ya want for nothing? ").is_err());
    assert!(hmac_sha256(b"jefe", tag, b"what do ya want for nothing?").is_err());
    for header in ["", "zz", &tag[..62]] {
        assert!(hmac_sha256(b"Jefe", header, b"what do ya want for nothing?").is_err());
    }
}

#[test]
fn a_set_without_a_usable_key_is_refused() {
    for set in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}", "{\"keys\":[],\"keys\":[]}"] {
        assert!(Keys::parse(set.as_bytes()).is_err(), "{set}");
    }
}

#[test]
fn p7_a_set_of_too_many_keys_is_refused_and_none_is_dropped() {
    let of = |keys: usize| {
        let key = fixture()["jwks"]["keys"][0].clone();
        Keys::parse(json!({"keys": vec![key; keys]}).to_string().as_bytes())
    };
    of(limits::JWKS_KEYS_MAX).unwrap();
    assert!(of(limits::JWKS_KEYS_MAX + 1).unwrap_err().to_string().contains("at most"));
}
