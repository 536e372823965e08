//! Two partitions whose processes are shells, which say that they listen where this test answers for them.

use std::fmt::Write;

use axum::body::{Body, to_bytes};
use axum::http::HeaderMap;
use axum::http::request::Builder;
use axum::routing::post;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use keywatch_store::log::kafka::LeaseChange;
use tokio::net::TcpListener;

use super::super::child::Program;
use super::*;
use crate::service::http::handed::Secret;

/// Answers as the process of a partition.
fn partition(number: u32) -> Router {
    let alert = json!({ "id": format!("a{number}"), "severity": "low" });
    let list = json!({ "total": 1, "alerts": [alert] });
    let find = move |Path(id): Path<String>| async move {
        let is_here = id == format!("a{number}");
        if is_here {
            (StatusCode::OK, Json(json!(number)))
        } else {
            (StatusCode::NOT_FOUND, Json(json!({ "error": "no" })))
        }
    };
    // One of them is ready, and warns of something.
    let ready = if number == 1 { json!({ "warnings": { "log": "lacks something" } }) } else { json!({}) };
    let secure = |headers: HeaderMap| async move { format!("{:?}", headers.get("x-forwarded-proto")) };
    Router::new()
        .route("/readyz", get(move || async move { Json(ready) }))
        .route("/metrics", get(|| async { "# HELP keywatch_ready r\n# TYPE keywatch_ready gauge\nkeywatch_ready 1\n" }))
        .route("/v1/alerts", get(move || async move { Json(list) }))
        .route("/v1/alerts/{id}", get(find))
        .route("/v1/silences", post(move || async move { Json(json!({ "partition": number })) }))
        .route("/v1/noise", get(move || async move { Json(json!({ "partition": number })) }))
        .route("/v1/me", get(secure))
        .route("/page", get(move || async move { format!("page of {number}") }))
}

/// The door before these partitions of two.
async fn door(numbers: &[u32]) -> TowerToHyperService<Router> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut script = String::new();
    for number in numbers {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        writeln!(script, "[ $0 = {number} ] && echo 'keywatch listens on http://{address}'").unwrap();
        let router = partition(*number);
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
    script += "cat >&2; exit 0";
    let metrics = Metrics::new();
    let readiness = Readiness::new(Arc::clone(&metrics));
    let secret = Secret::random().unwrap();
    let program = Program { executable: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()], secret };
    let shares = Shares::new(program, Arc::clone(&readiness));
    shares.change(LeaseChange::Assigned(numbers.to_vec()));
    let listening = async {
        while !readiness.obstacles().is_empty() {
            shares.look();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listening).await.expect("they listen");
    TowerToHyperService::new(router(Front::new(shares, 2, true, readiness, metrics).unwrap()))
}

async fn ask(
    door: &TowerToHyperService<Router>,
    request: Builder,
    body: &'static str,
) -> (StatusCode, HeaderMap, String) {
    let Ok(answer) = door.call(request.body(Body::from(body)).unwrap()).await;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

fn to(path: &str) -> Builder {
    axum::http::Request::builder().uri(path)
}

#[tokio::test]
async fn all_partitions_answer_as_one_where_they_can_and_one_by_one_where_not() {
    let door = door(&[0, 1]).await;
    let (status, _, listed) = ask(&door, to("/v1/alerts"), "").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((status, &listed["total"], listed["alerts"].as_array().unwrap().len()), (StatusCode::OK, &json!(2), 2));
    for (path, expected, said) in [
        ("/v1/alerts/a1", 200_u16, "1"),
        ("/v1/alerts/a2", 404, "no"),
        ("/v1/alerts?offset=5", 400, "`offset`"),
        ("/v1/noise", 400, "there are 0, 1"),
        ("/v1/me", 200, "Some(\"https\")"),
    ] {
        let (status, _, answer) = ask(&door, to(path), "").await;
        assert!(status.as_u16() == expected && answer.contains(said), "{path}: {status} {answer}");
    }
    for (partition, expected, said) in
        [("1", 200, "{\"partition\":1}"), ("7", 404, "here: 0, 1"), ("x", 400, "no number")]
    {
        let (status, _, answer) = ask(&door, to("/v1/noise").header(PARTITION, partition), "").await;
        assert!(status.as_u16() == expected && answer.contains(said), "{partition}: {status} {answer}");
    }
    // `cold` is in partition 0 of 2, `abc` in 1.
    for (system, partition) in [("cold", "{\"partition\":0}"), ("abc", "{\"partition\":1}")] {
        let body = if system == "cold" { r#"{"system":"cold"}"# } else { r#"{"system":"abc"}"# };
        let (_, _, answer) = ask(&door, to("/v1/silences").method("POST"), body).await;
        assert_eq!(answer, partition);
    }
}

#[tokio::test]
async fn a_browser_chooses_a_partition_and_scrapers_see_all() {
    let door = door(&[0, 1]).await;
    let (status, headers, choice) = ask(&door, to("/page"), "").await;
    assert!(status == StatusCode::OK && choice.contains("href=\"/partitions/1\""), "{choice}");
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    let (status, headers, _) = ask(&door, to("/partitions/1"), "").await;
    assert_eq!((status, &headers[header::LOCATION]), (StatusCode::SEE_OTHER, &HeaderValue::from_static("/page")));
    let cookie = headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("keywatch-partition=1;") && cookie.ends_with("Secure"), "{cookie}");
    let (_, _, page) = ask(&door, to("/page").header("cookie", "keywatch-partition=1"), "").await;
    assert_eq!(page, "page of 1");
    let (_, _, page) = ask(&door, to("/page").header("cookie", "keywatch-partition=9"), "").await;
    assert!(page.contains("Which partition?"), "what the cookie names has moved");
    let (_, _, metrics) = ask(&door, to("/metrics"), "").await;
    for series in ["keywatch_ready 1", "keywatch_ready{partition=\"0\"} 1", "keywatch_ready{partition=\"1\"} 1"] {
        assert!(metrics.lines().any(|line| line == series), "no {series} in {metrics}");
    }
    let (status, _, ready) = ask(&door, to("/readyz"), "").await;
    let warnings = json!({ "partition 1": { "log": "lacks something" } });
    let expected = json!({ "ready": true, "obstacles": {}, "partitions": [0, 1], "warnings": warnings });
    assert_eq!((status, serde_json::from_str::<Value>(&ready).unwrap()), (StatusCode::OK, expected));
}

#[tokio::test]
async fn with_one_partition_nothing_has_to_be_named() {
    let door = door(&[1]).await;
    assert_eq!(ask(&door, to("/page"), "").await.2, "page of 1");
    assert_eq!(ask(&door, to("/v1/noise"), "").await.2, "{\"partition\":1}");
    let (status, _, answer) = ask(&door, to("/v1/silences").method("POST"), r#"{"system":"cold"}"#).await;
    assert!(
        status == StatusCode::NOT_FOUND && answer.contains("partition 0 is with another process; here: 1"),
        "{answer}"
    );
}
