//! What is said to an OPA, and how its answers are read. The policies in a real OPA are tested at the root.

use std::sync::{Arc, Mutex};

use crate::support::{at, input};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::any;
use keywatch_alerting::{Error, OpaPdp, OpaSettings, PolicyDecisionPoint, RevocationDocument};
use serde_json::{Value, json};

type Asked = Arc<Mutex<Vec<(Method, String, Option<String>, Value)>>>;

#[derive(Clone)]
struct Imitation {
    asked: Asked,
    /// Answer to a query, and the sequence number it claims to hold.
    answer: Value,
    holds: u64,
    status: StatusCode,
}

async fn serve(
    State(opa): State<Imitation>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let said = serde_json::from_slice(&body).unwrap_or(Value::Null);
    opa.asked.lock().unwrap().push((method.clone(), uri.to_string(), token, said));
    let answer = match method {
        Method::PUT => String::new(),
        Method::GET => json!({ "result": { "seq": opa.holds } }).to_string(),
        _ => opa.answer.to_string(),
    };
    (opa.status, answer)
}

async fn imitation(answer: Value, holds: u64, status: u16) -> (OpaPdp, Asked) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let asked = Asked::default();
    let status = StatusCode::from_u16(status).unwrap();
    let opa = Imitation { asked: Arc::clone(&asked), answer, holds, status };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(any(serve)).with_state(opa);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (OpaPdp::new(&OpaSettings { url, token: Some("t-1".into()) }).unwrap(), asked)
}

#[tokio::test]
async fn ids_travel_in_bodies_and_the_document_is_read_back() {
    let (pdp, asked) = imitation(json!({ "result": true, "decision_id": "d-9" }), 0, 200).await;
    let document = RevocationDocument::empty("cold").stamped(at(0));
    pdp.publish(&document).await.unwrap();
    let decision = pdp.ask(&input("s-1")).await.unwrap();
    assert!(decision.allow && decision.decision_id.as_deref() == Some("d-9"));
    let asked = asked.lock().unwrap();
    let paths: Vec<String> = asked.iter().map(|(method, path, ..)| format!("{method} {path}")).collect();
    assert_eq!(
        paths,
        ["PUT /v1/data/revocations", "GET /v1/data/revocations/meta", "POST /v1/data/wallet/signing/allow"]
    );
    assert!(asked.iter().all(|(_, _, token, _)| token.as_deref() == Some("Bearer t-1")));
    assert_eq!(asked[0].3, document.to_value());
    assert_eq!(asked[2].3, json!({ "input": input("s-1") }));
}

#[tokio::test]
async fn only_a_plain_true_allows() {
    for answer in
        [json!({}), json!({ "result": false }), json!({ "result": "true" }), json!({ "result": { "a": true } })]
    {
        let (pdp, _) = imitation(answer.clone(), 0, 200).await;
        assert!(!pdp.ask(&input("s-1")).await.unwrap().allow, "{answer}");
    }
}

#[tokio::test]
async fn errors_say_whether_it_is_silent_or_refuses() {
    let document = RevocationDocument::empty("cold");
    let (pdp, _) = imitation(json!({}), 7, 200).await;
    let error = pdp.publish(&document).await.unwrap_err();
    assert!(matches!(&error, Error::PdpRefused { problem, .. } if problem.contains("7 is in force")), "{error}");
    let (pdp, _) = imitation(json!({ "code": "unauthorized" }), 0, 401).await;
    assert!(matches!(pdp.ask(&input("s-1")).await.unwrap_err(), Error::PdpRefused { .. }));
    let (pdp, _) = imitation(json!({}), 0, 503).await;
    assert!(matches!(pdp.ask(&input("s-1")).await.unwrap_err(), Error::PdpSilent { .. }));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let pdp = OpaPdp::new(&OpaSettings { url, token: None }).unwrap();
    assert!(matches!(pdp.ask(&input("s-1")).await.unwrap_err(), Error::PdpSilent { .. }));
    assert!(OpaPdp::new(&OpaSettings { url: "not an address".into(), token: None }).is_err());
}
