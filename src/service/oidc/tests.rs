//! Whose token is whose, with keys that were never fetched.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::json;

use super::*;
use crate::service::operators::{Permission, Role};

const NOW: i64 = 1_740_116_560;

fn now() -> Instant {
    Instant::from_unix_seconds(NOW).unwrap()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn token(key: &Ed25519KeyPair, claims: &Value) -> String {
    let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "at+jwt" });
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    format!("{signed}.{}", BASE64.encode(key.sign(signed.as_bytes())))
}

fn keys(key: &Ed25519KeyPair) -> Keys {
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": BASE64.encode(key.public_key()) });
    Keys::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
}

fn oidc() -> Oidc {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let configured = toml::from_str(
        r#"
        issuer = "https://id.example"
        audience = "keywatch"
        keys_url = "https://id.example/keys"
        algorithms = ["EdDSA"]
        name_claim = "email"
        grants = [
            { claim = "realm_access.roles", value = "custody-lead", roles = ["responder"], systems = ["cold"] },
            { claim = "groups", value = "soc", roles = ["analyst"], systems = ["*"] },
        ]
        "#,
    )
    .unwrap();
    let ann = Configured {
        name: "ann".into(),
        aliases: ["Ann@firm.example".to_owned()].into(),
        token_sha256: "ab".repeat(32),
        sql_password_file: None,
        roles: BTreeSet::from([Role::Viewer]),
        systems: BTreeSet::from(["*".to_owned()]),
    };
    Oidc::new(&configured, &[ann]).unwrap()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({ "iss": "https://id.example", "aud": "keywatch", "exp": NOW + 300, "groups": ["soc"] });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn claims_say_who_it_is_and_the_first_grant_what_they_may() {
    let (oidc, key) = (oidc(), key());
    let ask = |more: &Value| oidc.operator(token(&key, &claims(more)).as_bytes(), now());
    assert!(ask(&json!({ "email": "erin@firm.example" })).unwrap_err().contains("not known"), "it has no keys yet");
    oidc.adopt(keys(&key), now());
    let erin = ask(&json!({ "email": "erin@firm.example" })).unwrap();
    assert_eq!(erin.name, "erin@firm.example");
    assert!(erin.may(Permission::Handle) && !erin.may(Permission::Respond) && erin.sees("hot"));
    let lead = json!({ "email": "lea@firm.example", "realm_access": { "roles": ["x", "custody-lead"] } });
    let lead = ask(&lead).unwrap();
    assert!(lead.may(Permission::Respond) && lead.sees("cold") && !lead.sees("hot"), "not what the second would give");
    assert_eq!(ask(&json!({ "email": "ann@Firm.example" })).unwrap().name, "ann", "whose other name it is");
    for (more, said) in [
        (json!({ "email": "erin@firm.example", "groups": ["sales"] }), "no grant"),
        (json!({ "email": "erin@firm.example", "groups": { "soc": true } }), "no grant"),
        (json!({ "email": "erin@firm.example", "email_verified": false }), "verified"),
        (json!({ "email": "erin@firm.example", "email_verified": "false" }), "verified"),
        (json!({ "email": "Ann" }), "of the configuration"),
        (json!({ "email": "Keywatch" }), "no name"),
        (json!({ "email": " erin" }), "no name"),
        (json!({ "email": "erin\n" }), "no name"),
        (json!({ "email": 7 }), "no text"),
        (json!({}), "no text"),
    ] {
        let problem = ask(&more).unwrap_err();
        assert!(problem.contains(said), "{more}: {problem}");
    }
}

#[test]
fn keys_that_were_not_fetched_for_a_day_let_nobody_in() {
    let (oidc, key) = (oidc(), key());
    let earlier = Instant::from_unix_seconds(NOW - 86_400).unwrap();
    let token = token(&key, &claims(&json!({ "email": "erin@firm.example" })));
    oidc.adopt(keys(&key), earlier);
    assert!(oidc.operator(token.as_bytes(), now()).is_ok());
    oidc.adopt(keys(&key), Instant::from_unix_seconds(NOW - 86_401).unwrap());
    assert!(oidc.operator(token.as_bytes(), now()).unwrap_err().contains("too old"));
    oidc.adopt(keys(&self::key()), now());
    assert!(
        oidc.operator(token.as_bytes(), now()).unwrap_err().contains("not of these bytes"),
        "a key that was changed"
    );
}
