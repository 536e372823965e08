//! Security event tokens that are polled: acknowledged when they are durable, and told apart from forged ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::pulling;
use super::scripted::{Fault, Scripted};
use crate::support::clock::unix_seconds;

/// What a transmitter holds until it is told what became of it.
#[derive(Default)]
struct Held {
    tokens: BTreeMap<String, String>,
    refused: Vec<Value>,
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn token(key: &Ed25519KeyPair, id: &str) -> String {
    let now = unix_seconds();
    let claims = json!({
        "iss": "https://idp.example/", "aud": "https://keywatch.example/", "jti": id, "iat": now,
        "sub_id": { "format": "complex", "session": { "format": "opaque", "id": format!("s-{id}") } },
        "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": { "event_timestamp": now } },
    });
    let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "secevent+jwt" });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
}

/// Two tokens at once; what is acknowledged or refused does not come again.
fn poll(held: &Mutex<Held>, body: &str) -> (Option<String>, String) {
    let asked: Value = serde_json::from_str(body).unwrap();
    assert_eq!(asked["returnImmediately"], true);
    let mut held = held.lock().unwrap();
    for id in asked["ack"].as_array().unwrap() {
        held.tokens.remove(id.as_str().unwrap());
    }
    for (id, why) in asked["setErrs"].as_object().unwrap() {
        held.tokens.remove(id);
        held.refused.push(json!({ "id": id, "err": why["err"] }));
    }
    let sets: BTreeMap<_, _> = held.tokens.iter().take(2).collect();
    (None, json!({ "sets": sets, "moreAvailable": held.tokens.len() > 2 }).to_string())
}

#[tokio::test]
async fn p2_a_token_is_acknowledged_once_it_is_durable_also_by_the_keywatch_after_a_kill() {
    let (own, foreign) = (key(), key());
    let mut tokens: BTreeMap<String, String> =
        ["j-1", "j-2", "j-3"].iter().map(|id| ((*id).to_owned(), token(&own, id))).collect();
    tokens.insert("j-forged".into(), token(&foreign, "j-forged"));
    let held = Arc::new(Mutex::new(Held { tokens, refused: Vec::new() }));
    let transmitter = Arc::clone(&held);
    // The second request acknowledges the first tokens, and is never answered.
    let service = Scripted::start(&[Fault::None, Fault::Stall], move |_, body| poll(&transmitter, body)).await;
    let pull = format!(
        "[[pull]]\nsystem = \"cold\"\nsource = \"stream\"\nkind = \"caep_poll\"\nurl = \"{}/poll\"\nallow_plain_http = true\n\
         token_file = \"stream.token\"\npoll_seconds = 1\nkeys_file = \"keys.json\"\nalgorithms = [\"EdDSA\"]\n\
         issuer = \"https://idp.example/\"\naudience = \"https://keywatch.example/\"\n",
        service.url
    );
    let machine = pulling("[[systems.sources]]\nsource = \"stream\"\nfeed = \"ssf\"\n", &pull);
    std::fs::write(machine.path("stream.token"), "t0ken").unwrap();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": URL_SAFE_NO_PAD.encode(own.public_key()) });
    std::fs::write(machine.path("keys.json"), json!({ "keys": [jwk] }).to_string()).unwrap();

    let running = machine.start().await;
    service.until(|asked| asked.len() >= 2).await;
    drop(running);
    assert_eq!(held.lock().unwrap().tokens.len(), 4, "nothing was acknowledged yet");
    let running = machine.start().await;
    service.until(|_| held.lock().unwrap().tokens.is_empty()).await;
    running.stop();

    let asked = service.asked();
    let body: Value = serde_json::from_str(&asked[2].body).unwrap();
    assert_eq!(body["ack"], json!(["j-1", "j-2"]), "the log says what was taken");
    assert_eq!(asked[2].authorization, "Bearer t0ken");
    assert_eq!(held.lock().unwrap().refused, [json!({ "id": "j-forged", "err": "authentication_failed" })]);
    let events = machine.record().events;
    let sessions: BTreeSet<_> =
        events.iter().filter(|event| event.kind() == "session.revoked").map(|event| event.session().unwrap()).collect();
    assert_eq!(sessions, BTreeSet::from(["s-j-1", "s-j-2", "s-j-3"]));
    let revoked = events.iter().filter(|event| event.kind() == "session.revoked").count();
    let rejects = events.iter().filter(|event| event.kind() == "source.reject").count();
    assert_eq!((revoked, rejects), (3, 1));
}
