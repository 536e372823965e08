//! Signed requests: each scheme, its replays, and what was changed, is stale or is of somebody else.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::{Response, StatusCode};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::site::{Site, Source, bearer, client};

const OLD_SECRET: [u8; 32] = [7; 32];
const NEW_SECRET: [u8; 32] = [8; 32];

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

fn whsec(secret: &[u8]) -> Vec<u8> {
    format!("whsec_{}\n", STANDARD.encode(secret)).into_bytes()
}

fn tag(secret: &[u8], signed: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed).as_ref().to_vec()
}

/// An event of now.
fn event(id: &str) -> String {
    event_at(id, now())
}

fn event_at(id: &str, seconds: i64) -> String {
    json!({ "id": id, "kind": "source.heartbeat", "event_time": seconds_as_text(seconds) }).to_string()
}

fn seconds_as_text(seconds: i64) -> String {
    keywatch_store::Instant::from_unix_seconds(seconds).unwrap().to_string()
}

async fn post(site: &Site, path: &str, headers: &[(&str, String)], body: &str) -> Response {
    let request = client("127.0.0.1").post(site.url(path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    request.body(body.to_owned()).send().await.unwrap()
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_str(&answer.text().await.unwrap()).unwrap()
}

/// The headers of Standard Webhooks.
fn standard(secret: &[u8], id: &str, seconds: i64, body: &str) -> [(&'static str, String); 3] {
    let signature = STANDARD.encode(tag(secret, format!("{id}.{seconds}.{body}").as_bytes()));
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

#[tokio::test]
async fn p8_a_signed_message_is_taken_once_in_its_time_and_from_its_source_alone() {
    let signed = "signature = { scheme = 'standard-webhooks', secret_files = ['new', 'old'] }";
    let other = "signature = { scheme = 'standard-webhooks', secret_files = ['other'] }";
    let sources = [Source("cold", "agent", "events", signed), Source("hot", "agent", "events", other)];
    let files = [("new", whsec(&NEW_SECRET)), ("old", whsec(&OLD_SECRET)), ("other", whsec(&[9; 32]))];
    let site = Site::start(&sources, "", &files.each_ref().map(|(name, text)| (*name, text.as_slice())));
    let path = "/v1/ingest/events/cold/agent";

    let (first, at) = (event("1"), now());
    let headers = standard(&NEW_SECRET, "msg_1", at, &first);
    assert_eq!(post(&site, path, &headers, &first).await.status(), StatusCode::OK);
    // Captured and sent once more.
    assert_eq!(post(&site, path, &headers, &first).await.status(), StatusCode::CONFLICT);
    // Under the secret that is being replaced too: it is the same message.
    let again = standard(&OLD_SECRET, "msg_1", at, &first);
    assert_eq!(post(&site, path, &again, &first).await.status(), StatusCode::CONFLICT);
    // Tried again by its sender, whose attempt has a time of its own.
    let retried = json_of(post(&site, path, &standard(&OLD_SECRET, "msg_1", at - 1, &first), &first).await).await;
    assert_eq!((&retried["events"], &retried["repeats"]), (&json!(1), &json!(1)), "{retried}");

    let second = event("2");
    let good = standard(&NEW_SECRET, "msg_2", now(), &second);
    let mut unsigned = good.to_vec();
    unsigned.pop();
    let mut twice = good.to_vec();
    twice.push(("webhook-id", "msg_2".into()));
    for (headers, body, why) in [
        (standard(&NEW_SECRET, "msg_2", now() - 400, &second).to_vec(), &second, "stale"),
        (standard(&NEW_SECRET, "msg_2", now() + 400, &second).to_vec(), &second, "of the future"),
        (standard(&[9; 32], "msg_2", now(), &second).to_vec(), &second, "the other system's secret"),
        (good.to_vec(), &event("3"), "a changed body"),
        (unsigned, &second, "no signature"),
        (twice, &second, "two ids"),
        (vec![("authorization", "Bearer agent".into())], &second, "a token that is none"),
    ] {
        assert_eq!(post(&site, path, &headers, body).await.status(), StatusCode::UNAUTHORIZED, "{why}");
    }
    for path in [
        "/v1/ingest/events/hot/agent",
        "/v1/ingest/events/cold/other",
        "/v1/ingest/events",
        "/v1/ingest/opa/cold/agent",
    ] {
        assert_eq!(post(&site, path, &good, &second).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(site.metric("keywatch_door_refusals_total{reason=\"replayed\"}").await, 2);
    assert_eq!(site.metric("keywatch_ingest_unauthenticated_total").await, 11);
    // The log does not know, and could be told later: a refusal is no answer.
    assert_eq!(post(&site, path, &good, &second).await.status(), StatusCode::OK);
    assert_eq!(site.stop().len(), 2);
}

#[tokio::test]
async fn p8_a_signature_without_a_time_makes_replays_harmless_while_ids_are_known() {
    let secret: &[u8] = b"a secret of thirty-two characters";
    let signed = "signature = { scheme = 'body-hmac', header = 'x-signature-sha256', secret_files = ['secret'] }";
    let site = Site::start(&[Source("cold", "bitgo", "events", signed)], "", &[("secret", secret)]);
    let send = async |body: &str| {
        let headers = [("x-signature-sha256", hex::encode(tag(secret, body.as_bytes())))];
        post(&site, "/v1/ingest/events/cold/bitgo", &headers, body).await
    };
    let body = event("1");
    assert_eq!(send(&body).await.status(), StatusCode::OK);
    let again = json_of(send(&body).await).await;
    assert_eq!(again["repeats"], 1, "{again}");
    for (body, days) in [(event_at("2", now() - 7 * 86_400), "-7"), (event_at("3", now() + 2 * 86_400), "+2")] {
        let answer = send(&body).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{days} days");
        let said = json_of(answer).await;
        assert!(said["rejects"][0]["reason"].as_str().unwrap().contains("a replay"), "{said}");
    }
    let changed = [("x-signature-sha256", hex::encode(tag(secret, body.as_bytes())))];
    let answer = post(&site, "/v1/ingest/events/cold/bitgo", &changed, &event("9")).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let kinds: Vec<String> = site.stop().iter().map(|event| event.kind().to_owned()).collect();
    assert_eq!(kinds, ["source.heartbeat", "source.reject", "source.reject"]);
}

/// A key, and the key set that holds it as `k`.
fn key() -> (Ed25519KeyPair, Vec<u8>) {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = URL_SAFE_NO_PAD.encode(key.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k", "use": "sig", "x": x }] });
    (key, set.to_string().into_bytes())
}

/// The three parts of a JWS.
fn jws(key: &Ed25519KeyPair, header: &Value, payload: &str) -> [String; 3] {
    let (header, payload) = (URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(format!("{header}.{payload}").as_bytes()));
    [header, payload, signature]
}

#[tokio::test]
async fn p8_a_fireblocks_webhook_is_verified_over_its_raw_body() {
    let (key, set) = key();
    let signed = "[credentials.signature]\nscheme = 'detached-jws'\nheader = 'Fireblocks-Webhook-Signature'\n\
                  keys_file = 'keys.json'\nalgorithms = ['EdDSA']";
    let site = Site::start(&[Source("hot", "fireblocks", "fireblocks", signed)], "", &[("keys.json", set.as_slice())]);
    let mut webhook: Value =
        serde_json::from_str(include_str!("../../ingest/src/feeds/fireblocks/example.json")).unwrap();
    webhook["data"]["lastUpdated"] = json!(now() * 1000);
    let body = webhook.to_string();
    let detached = |header: &Value| {
        let [header, _, signature] = jws(&key, header, &body);
        format!("{header}..{signature}")
    };
    let send = async |signature: String, body: &str| {
        let headers = [("fireblocks-webhook-signature", signature), ("content-type", "application/json".to_owned())];
        post(&site, "/v1/ingest/fireblocks/hot/fireblocks", &headers, body).await
    };
    let good = json!({ "alg": "EdDSA", "kid": "k" });
    let taken = json_of(send(detached(&good), &body).await).await;
    assert_eq!((&taken["events"], &taken["repeats"]), (&json!(1), &json!(0)), "{taken}");
    // Fireblocks repeats the same bytes until it is answered.
    assert_eq!(json_of(send(detached(&good), &body).await).await["repeats"], 1);
    let rewritten = serde_json::to_string_pretty(&webhook).unwrap();
    assert_eq!(send(detached(&good), &rewritten).await.status(), StatusCode::UNAUTHORIZED);
    for header in [json!({ "alg": "none" }), json!({ "alg": "EdDSA", "kid": "other" })] {
        assert_eq!(send(detached(&header), &body).await.status(), StatusCode::UNAUTHORIZED, "{header}");
    }
    let events = site.stop();
    assert_eq!((events.len(), events[0].kind(), events[0].system()), (1, "signing.requested", "hot"));
}

#[tokio::test]
async fn p8_a_pushed_security_event_token_is_answered_in_the_words_of_its_protocol() {
    let (key, set) = key();
    let signed = "[credentials.signature]\nscheme = 'security-event-token'\nkeys_file = 'keys.json'\n\
                  algorithms = ['EdDSA']\nissuer = 'https://idp.example/'\naudience = 'https://keywatch.example/v1/ingest/ssf'";
    let site = Site::start(&[Source("cold", "idp", "ssf", signed)], "", &[("keys.json", set.as_slice())]);
    let mut claims: Value = serde_json::from_str(include_str!("../../ingest/src/feeds/ssf/example.json")).unwrap();
    claims["iat"] = json!(now());
    let event_type = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    claims["events"][event_type]["event_timestamp"] = json!(now());
    let header = json!({ "alg": "EdDSA", "kid": "k", "typ": "secevent+jwt" });
    let send = async |claims: &Value, header: &Value| {
        let token = jws(&key, header, &claims.to_string()).join(".");
        let headers = [("content-type", "application/secevent+jwt".to_owned())];
        post(&site, "/v1/ingest/ssf/cold/idp", &headers, &token).await
    };
    for _ in 0..2 {
        let answer = send(&claims, &header).await;
        assert_eq!((answer.status(), answer.text().await.unwrap()), (StatusCode::ACCEPTED, String::new()));
    }
    for (name, value, code) in [
        ("aud", json!("https://other.example"), "invalid_audience"),
        ("iss", json!("https://other.example"), "invalid_issuer"),
        ("exp", json!(now() + 60), "invalid_request"),
    ] {
        let mut changed = claims.clone();
        changed[name] = value;
        let answer = send(&changed, &header).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{name}");
        let said = json_of(answer).await;
        assert!(said["err"] == code && said["description"].is_string(), "{name}: {said}");
    }
    let unknown = send(&claims, &json!({ "alg": "EdDSA", "kid": "other", "typ": "secevent+jwt" })).await;
    assert_eq!(json_of(unknown).await["err"], "invalid_key");
    let revoked = site.stop().iter().filter(|event| event.kind() == "session.revoked").count();
    assert_eq!(revoked, 1);
}

#[tokio::test]
async fn p8_a_token_is_of_one_system_one_source_and_its_kinds() {
    let cold = format!("{}\nkinds = ['session.*', 'source.heartbeat']", bearer("cold-token"));
    let hot = bearer("hot-token");
    let sources = [Source("cold", "idp", "events", &cold), Source("hot", "idp", "events", &hot)];
    let site = Site::start(&sources, "", &[]);
    let post = async |path: &str, body: String| site.post_from("127.0.0.1", path, "cold-token", body).await.status();
    assert_eq!(post("/v1/ingest/events/cold/idp", event("1")).await, StatusCode::OK);
    assert_eq!(post("/v1/ingest/events/hot/idp", event("2")).await, StatusCode::FORBIDDEN);
    let of_hot = event("3").replace('{', "{\"system\":\"hot\",");
    assert_eq!(post("/v1/ingest/events", of_hot).await, StatusCode::BAD_REQUEST);
    let of_another_kind = event("4").replace("source.heartbeat", "signing.requested");
    assert_eq!(post("/v1/ingest/events", of_another_kind).await, StatusCode::BAD_REQUEST);
    let events = site.stop();
    let written: Vec<(&str, &str)> = events.iter().map(|event| (event.system(), event.kind())).collect();
    assert_eq!(written, [("cold", "source.heartbeat"), ("cold", "source.reject"), ("cold", "source.reject")]);
    assert!(events[2].reason().unwrap().contains("may not write `signing.requested`"));
}
