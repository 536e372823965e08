//! Operators whom an identity provider names, with a keywatch that runs: its keys are fetched, its claims decide, and tokens of
//! the configuration stay good when it is gone. Signing in on the page stands in [`sign_in`].

mod provider;
mod sign_in;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode as Status;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::operators::{ask, machine, one_incident};
use crate::support::clock::unix_seconds;
use crate::support::meanwhile::until;

/// An identity provider, as far as its keys are asked for.
#[derive(Clone)]
struct Provider {
    keys: Arc<Mutex<Value>>,
    down: Arc<AtomicBool>,
}

async fn keys(State(provider): State<Provider>) -> Response {
    if provider.down.load(Ordering::SeqCst) {
        return Status::SERVICE_UNAVAILABLE.into_response();
    }
    provider.keys.lock().unwrap().to_string().into_response()
}

fn key() -> Ed25519KeyPair {
    Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap()
}

fn token(key: &Ed25519KeyPair, more: &Value) -> String {
    let now = unix_seconds();
    let mut claims = json!({
        "iss": "https://id.example", "aud": "keywatch", "iat": now, "exp": now + 300, "sub": "4711",
        "email": "erin@firm.example", "groups": ["soc"],
    });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "at+jwt" });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())))
}

#[tokio::test]
async fn an_identity_provider_names_operators_and_tokens_of_the_configuration_stay() {
    let own = key();
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k", "x": URL_SAFE_NO_PAD.encode(own.public_key()) });
    let provider =
        Provider { keys: Arc::new(Mutex::new(json!({ "keys": [jwk] }))), down: Arc::new(AtomicBool::new(false)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router = Router::new().route("/keys", get(keys)).with_state(provider.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });

    let machine = machine();
    machine.configure(&format!(
        "[oidc]\nissuer = \"https://id.example\"\naudience = \"keywatch\"\nkeys_url = \"{url}\"\n\
         algorithms = [\"EdDSA\"]\nname_claim = \"email\"\n\
         [[oidc.grants]]\nclaim = \"groups\"\nvalue = \"leads\"\nroles = [\"responder\"]\nsystems = [\"cold\"]\n\
         [[oidc.grants]]\nclaim = \"groups\"\nvalue = \"soc\"\nroles = [\"analyst\"]\nsystems = [\"cold\"]\n"
    ));
    let running = machine.start().await;
    let id = one_incident(&running).await;
    let me = async |token: &str| ask(&running, token, Method::GET, "/v1/me", None).await;
    let erin = token(&own, &json!({}));
    until("the keys are known", || async { me(&erin).await.0 == StatusCode::OK }).await;
    let (_, who) = me(&erin).await;
    assert_eq!((&who["name"], &who["may"]), (&json!("erin@firm.example"), &json!(["read", "handle"])));
    let (_, lead) = me(&token(&own, &json!({ "email": "lea@firm.example", "groups": ["leads", "soc"] }))).await;
    assert_eq!(lead["may"], json!(["read", "handle", "silence", "respond", "switch"]), "the first grant that fits");
    for more in [
        json!({ "aud": "another" }),
        json!({ "iss": "https://id.example/" }),
        json!({ "exp": 1_740_000_000 }),
        json!({ "groups": ["sales"] }),
        json!({ "email": "ann" }),
        json!({ "email": "keywatch" }),
    ] {
        assert_eq!(me(&token(&own, &more)).await.0, StatusCode::UNAUTHORIZED, "{more}");
    }
    assert_eq!(me(&token(&key(), &json!({}))).await.0, StatusCode::UNAUTHORIZED, "somebody else's key");

    provider.down.store(true, Ordering::SeqCst);
    let acknowledge = format!("/v1/incidents/{id}/acknowledge");
    let (status, answer) = ask(&running, &erin, Method::POST, &acknowledge, Some(json!({}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(me("ann").await.1["name"], "ann", "a token of the configuration");
    running.stop();
    let acknowledged = machine.conclusions().find(|event| event.kind() == "alert.acknowledged").unwrap();
    assert_eq!(acknowledged.actor(), Some("erin@firm.example"));
}
