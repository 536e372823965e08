//! The bucket of a log sink: its files are read as they come, and one that cannot be read holds up no other. And a container of
//! Azure, which is read in the same way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keywatch_store::Instant;
use serde_json::Value;

use super::pulling;
use crate::support::meanwhile::until;

const DAY: &str = "cloudaudit.googleapis.com/activity/2025/02/21";

/// A bucket of Cloud Storage by the address of the service, as `path` has it: `/audit/…`.
struct Bucket {
    /// Content and time of each object.
    objects: BTreeMap<String, (String, &'static str)>,
    /// How often what may not be read was asked for.
    refused: AtomicUsize,
}

impl Bucket {
    fn list(&self, prefix: &str) -> String {
        let behind = self.objects.iter().filter_map(|(key, object)| Some((key.strip_prefix(prefix)?, object)));
        let mut entries: Vec<String> = behind
            .map(|(rest, (_, written))| match rest.split_once('/') {
                Some((directory, _)) => {
                    format!("<CommonPrefixes><Prefix>{prefix}{directory}/</Prefix></CommonPrefixes>")
                }
                None => format!(
                    "<Contents><Key>{prefix}{rest}</Key><Generation>1</Generation><LastModified>{written}</LastModified></Contents>"
                ),
            })
            .collect();
        entries.dedup();
        let entries = entries.concat();
        format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
             <IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        )
    }
}

async fn answer(State(bucket): State<Arc<Bucket>>, request: Request) -> Response {
    let authorization =
        request.headers().get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_ours = authorization.starts_with("AWS4-HMAC-SHA256 Credential=GOOGEXAMPLE/");
    if !is_ours || !authorization.contains("/auto/s3/aws4_request,") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let url = reqwest::Url::parse(&format!("http://bucket{}", request.uri())).unwrap();
    if let Some((_, prefix)) = url.query_pairs().find(|(name, _)| name == "prefix") {
        return bucket.list(&prefix).into_response();
    }
    // A colon stands encoded in the address of an object.
    let key = url.path().trim_start_matches("/audit/").replace("%3A", ":");
    match bucket.objects.get(&key) {
        Some((content, _)) if content.is_empty() => {
            bucket.refused.fetch_add(1, Ordering::SeqCst);
            StatusCode::FORBIDDEN.into_response()
        }
        Some((content, _)) => content.clone().into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Lines of the feed's example under these ids.
fn lines(ids: &[&str]) -> String {
    let mut record: Value =
        serde_json::from_str(include_str!("../../ingest/src/feeds/gcp_audit/example.json")).unwrap();
    let mut line = |id: &&str| {
        record["insertId"] = Value::from(*id);
        record.to_string()
    };
    ids.iter().map(&mut line).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_bucket_of_a_log_sink_is_read_file_by_file_and_one_that_cannot_be_read_holds_up_no_other() {
    let objects = BTreeMap::from([
        (format!("{DAY}/04:00:00_04:59:59_S0.json"), (String::new(), "2025-02-21T05:10:00.000Z")),
        (format!("{DAY}/05:00:00_05:59:59_S0.json"), (lines(&["a", "b"]), "2025-02-21T06:10:00.000Z")),
        (format!("{DAY}/06:00:00_06:59:59_S0.json"), (lines(&["c"]), "2025-02-21T07:10:00.000Z")),
        ("README.txt".to_owned(), ("no records".to_owned(), "2025-02-21T07:10:00.000Z")),
    ]);
    let bucket = Arc::new(Bucket { objects, refused: AtomicUsize::new(0) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/audit", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(Arc::clone(&bucket));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let machine = pulling(
        "[[systems.sources]]\nsource = \"sink\"\nfeed = \"gcp_audit\"\n",
        &format!(
            "[[pull]]\nsystem = \"cold\"\nsource = \"sink\"\nkind = \"gcp_audit_gcs\"\nurl = \"{url}\"\nallow_plain_http = true\n\
             token_file = \"hmac.toml\"\npoll_seconds = 1\noverlap_seconds = 1\nstart = \"2025-02-21T00:00:00Z\"\n"
        ),
    );
    let keys = "access_key_id = \"GOOGEXAMPLE\"\nsecret_access_key = \"secret\"\n";
    std::fs::write(machine.path("hmac.toml"), keys).unwrap();
    let running = machine.start().await;
    // It is asked for again only behind all others, which are durable by then.
    until("the refused file was asked for again", || async { bucket.refused.load(Ordering::SeqCst) >= 2 }).await;
    running.stop();
    let events = machine.record().events;
    let of_kind = |kind: &str| events.iter().filter(|event| event.source() == "sink" && event.kind() == kind).count();
    assert_eq!((of_kind("signing.signed"), of_kind("source.reject")), (3, 0));
    assert!(of_kind("source.status") >= 2, "that it could not be read, and that others could");
    let cursor = events.iter().rfind(|event| event.source() == "sink" && event.kind() == "source.cursor").unwrap();
    let newest: Instant = cursor.detail().value()["cursor"]["newest"].as_str().unwrap().parse().unwrap();
    assert_eq!(newest, "2025-02-21T05:10:00Z".parse().unwrap(), "whoever goes on asks for it too");
}

const PLACE: &str =
    "resourceId=/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/HOT/y=2025/m=02/d=21/h=05/m=00";

/// A container with one blob, which lets in who has the signature.
async fn container(request: Request) -> Response {
    let url = reqwest::Url::parse(&format!("http://container{}", request.uri())).unwrap();
    let given: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    if given.get("sig").map(String::as_str) != Some("s3cret+/=") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let blob = format!("{PLACE}/PT1H.json");
    let Some(prefix) = given.get("prefix") else {
        let is_it = url.path() == format!("/logs/{}", blob.replace('=', "%3D"));
        return if is_it { vault_records().into_response() } else { StatusCode::NOT_FOUND.into_response() };
    };
    assert_eq!((url.path(), given["comp"].as_str(), given["restype"].as_str()), ("/logs", "list", "container"));
    let entry = match blob.strip_prefix(prefix.as_str()).map(|rest| rest.split_once('/')) {
        Some(Some((directory, _))) => format!("<BlobPrefix><Name>{prefix}{directory}/</Name></BlobPrefix>"),
        Some(None) => format!(
            "<Blob><Name>{blob}</Name><Properties><Last-Modified>Fri, 21 Feb 2025 06:00:03 GMT</Last-Modified></Properties></Blob>"
        ),
        None => String::new(),
    };
    format!("<EnumerationResults ContainerName=\"logs\"><Blobs>{entry}</Blobs><NextMarker /></EnumerationResults>")
        .into_response()
}

/// Two signatures of one key, a second apart.
fn vault_records() -> String {
    let example: Value = serde_json::from_str(include_str!("../../ingest/src/feeds/azure/example.json")).unwrap();
    let at = |time: &str| {
        let mut record = example.clone();
        record["time"] = Value::from(time);
        record.to_string()
    };
    [at("2025-02-21T05:42:40Z"), at("2025-02-21T05:42:41Z")].join("\n")
}

#[tokio::test]
async fn p8_a_container_of_azure_is_asked_under_a_signature_that_stands_nowhere_else() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/logs", listener.local_addr().unwrap());
    let router = Router::new().fallback(container);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let machine = pulling(
        "[[systems.sources]]\nsource = \"vault\"\nfeed = \"azure\"\n",
        &format!(
            "[[pull]]\nsystem = \"cold\"\nsource = \"vault\"\nkind = \"azure_blob\"\nurl = \"{url}\"\nallow_plain_http = true\n\
             token_file = \"sas\"\npoll_seconds = 1\noverlap_seconds = 1\nstart = \"2025-02-21T00:00:00Z\"\n"
        ),
    );
    std::fs::write(machine.path("sas"), "?sv=2022-11-02&sp=rl&sig=s3cret%2B%2F%3D\n").unwrap();
    let running = machine.start().await;
    let written = || running.metric("keywatch_ingest_events_total", "source=\"vault\"");
    // Two records, and the cursor behind them.
    until("the blob was read", || async { written().await >= 3 }).await;
    running.stop();
    let events = machine.record().events;
    let of_kind = |kind: &str| events.iter().filter(|event| event.source() == "vault" && event.kind() == kind).count();
    assert_eq!((of_kind("signing.signed"), of_kind("source.reject"), of_kind("source.status")), (2, 0, 0));
    assert!(events.iter().all(|event| !keywatch_store::line::write(event).contains("s3cret")));
}
