//! The forms of a body: `CloudEvents` in each mode, for a feed that reads something else, and compression.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::site::{Site, Source, bearer, client};

fn decision(id: &str) -> Value {
    json!({
        "labels": { "id": "replica-1" }, "decision_id": id, "path": "wallet/signing/allow", "result": true,
        "timestamp": "2025-02-21T05:40:00Z", "input": { "session_id": "s1", "subject": "alice" },
    })
}

#[tokio::test]
async fn a_record_is_the_same_event_whichever_way_it_came() {
    let token = bearer("token");
    let site = Site::start(&[Source("cold", "opa-1", "opa", &token)], "", &[]);
    let cloud =
        |id: &str| json!({ "specversion": "1.0", "id": "other", "source": "s", "type": "t", "data": decision(id) });
    let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let request = client("127.0.0.1").post(site.url("/v1/ingest/opa")).bearer_auth("token").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = request.send().await.unwrap();
        (answer.status(), serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let plain = decision("d1").to_string().into_bytes();
    let (status, counts) = send(&[("content-type", "application/json")], plain.clone()).await;
    assert_eq!((status, &counts["events"], &counts["repeats"]), (StatusCode::OK, &json!(1), &json!(0)));

    let binary = [("ce-specversion", "1.0"), ("ce-id", "other"), ("ce-source", "s"), ("ce-type", "t")];
    let structured = [("content-type", "application/cloudevents+json")];
    let packed = [("content-type", "application/cloudevents+json"), ("content-encoding", "zstd")];
    let envelope = cloud("d1").to_string().into_bytes();
    let zstd = zstd_of(&envelope);
    for (headers, body) in [(binary.as_slice(), plain), (structured.as_slice(), envelope), (packed.as_slice(), zstd)] {
        let (status, counts) = send(headers, body).await;
        assert_eq!((status, &counts["repeats"]), (StatusCode::OK, &json!(1)), "{headers:?}: {counts}");
    }

    let batch = json!([cloud("d2"), { "specversion": "1.0", "id": "empty" }, cloud("d3")]).to_string();
    let (status, counts) = send(&[("content-type", "application/cloudevents-batch+json")], batch.into_bytes()).await;
    assert_eq!(
        (status, &counts["events"], &counts["rejected"], &counts["records"]),
        (StatusCode::OK, &json!(2), &json!(1), &json!(3))
    );
    assert_eq!((&counts["rejects"][0]["line"], &counts["rejects"][0]["field"]), (&json!(2), &json!("data")));

    for (headers, body) in [
        (vec![("ce-specversion", "0.3")], "{}"),
        (vec![("ce-specversion", "1.0"), ("ce-id", "%zz")], "{}"),
        (vec![("content-type", "application/cloudevents-batch+json")], "{}"),
        (vec![("content-encoding", "zstd")], "not zstd"),
    ] {
        assert_eq!(send(&headers, body.into()).await.0, StatusCode::BAD_REQUEST, "{headers:?}");
    }
    let decisions = site.stop();
    let ids: Vec<&str> = decisions.iter().filter_map(|event| event.decision()).collect();
    assert_eq!(ids, ["d1", "d2", "d3"]);
}

/// A zstd frame of one raw block (RFC 8878 §3.1.1), written by hand.
fn zstd_of(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 1 << 16);
    let size = u32::try_from(bytes.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd];
    // Single segment, with a content size of four bytes.
    frame.push(0b1010_0000);
    frame.extend(size.to_le_bytes());
    frame.extend(&((size << 3) | 1).to_le_bytes()[..3]);
    frame.extend(bytes);
    frame
}
