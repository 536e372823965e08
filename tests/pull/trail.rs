//! A trail in a directory: its log files are read, and what its digests do not prove is told, while keywatch runs and on import.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use keywatch_store::line;
use ring::{digest, hmac};
use serde_json::Value;

use super::pulling;
use crate::support::command::{err, keywatch, out};
use crate::support::meanwhile::until;

/// Writes the trail into `directory/trail`, and its keys beside it; gives its objects.
fn write(directory: &Path) -> BTreeMap<String, String> {
    let trail = include_str!("../../ingest/src/feeds/cloudtrail/trail.json");
    let trail: Value = serde_json::from_str(trail).unwrap();
    std::fs::write(directory.join("keys.json"), trail["keys"].to_string()).unwrap();
    let objects: BTreeMap<String, String> = serde_json::from_value(trail["objects"].clone()).unwrap();
    for (key, content) in &objects {
        put(directory, key, content);
    }
    objects
}

fn put(directory: &Path, key: &str, content: &str) {
    let file = directory.join("trail").join(key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, packed(content)).unwrap();
}

fn packed(content: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn logs(objects: &BTreeMap<String, String>) -> Vec<&String> {
    objects.keys().filter(|key| key.contains("/CloudTrail/")).collect()
}

/// One log file is another than its digest lists, the other is not there.
fn spoil(directory: &Path, objects: &BTreeMap<String, String>) {
    let logs = logs(objects);
    put(directory, logs[0], &objects[logs[0]].replace("2025-02-21T05:08", "2025-02-21T05:09"));
    std::fs::remove_file(directory.join("trail").join(logs[1])).unwrap();
}

const LIST: [&str; 5] = ["import", "--feed", "cloudtrail", "--system", "cold"];

#[test]
fn an_import_proves_the_log_files_of_a_trail() {
    let here = tempfile::tempdir().unwrap();
    let objects = write(here.path());
    let import = |more: &[&str]| keywatch(here.path(), &[&LIST[..], more].concat(), b"");
    let proved = import(&["--trail-keys", "keys.json", "trail"]);
    assert_eq!(proved.status.code(), Some(0), "{}", err(&proved));
    assert!(err(&proved).contains("4 digest files: 2 log files are as they were written, 0 gaps"), "{}", err(&proved));
    assert!(err(&proved).contains("2 files, 2 records, 2 events, 0 rejects"), "{}", err(&proved));

    let unasked = import(&["trail"]);
    assert_eq!(unasked.status.code(), Some(0), "{}", err(&unasked));
    assert!(err(&unasked).contains("4 digest files prove nothing without --trail-keys"), "{}", err(&unasked));

    spoil(here.path(), &objects);
    let spoiled = import(&["--trail-keys", "keys.json", "trail"]);
    assert_eq!(spoiled.status.code(), Some(1), "{}", err(&spoiled));
    assert!(err(&spoiled).contains("the log file is missing"), "{}", err(&spoiled));
    let events: Vec<_> = out(&spoiled).lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    let gaps: Vec<Value> =
        events.iter().filter(|event| event.kind() == "source.gap").map(|gap| gap.detail().value()).collect();
    let missing: Vec<&str> = gaps.iter().map(|gap| gap["missing"].as_str().unwrap()).collect();
    assert_eq!(missing, logs(&objects));
    assert_eq!(events.len(), 3, "the record that is there, and the gaps");
    let other =
        keywatch(here.path(), &["import", "--feed", "okta", "--system", "s", "--trail-keys", "k", "trail"], b"");
    assert!(err(&other).contains("only for --feed cloudtrail"), "{}", err(&other));
}

#[test]
fn an_import_names_a_log_file_that_somebody_put_there() {
    let here = tempfile::tempdir().unwrap();
    let objects = write(here.path());
    let real = logs(&objects)[0];
    put(here.path(), &real.replace("0510Z_abcdef", "0530Z_forged"), &objects[real]);
    put(here.path(), &real.replace("0510Z_abcdef", "0830Z_newest"), &objects[real]);
    let import = [&LIST[..], &["--trail-keys", "keys.json", "trail"]].concat();
    let import = keywatch(here.path(), &import, b"");
    assert_eq!(import.status.code(), Some(1), "{}", err(&import));
    assert!(err(&import).contains("4 digest files: 2 log files are as they were written, 1 gaps"), "{}", err(&import));
    assert!(err(&import).contains("1 log files are of hours that no digest here proves"), "{}", err(&import));
    let events = out(&import);
    let gap =
        events.lines().map(|text| line::read(text.as_bytes()).unwrap()).find(|event| event.kind() == "source.gap");
    let detail = gap.unwrap().detail().value();
    assert!(detail["missing"].as_str().unwrap().ends_with("0530Z_forged.json.gz"), "{detail}");
    assert!(detail["cause"].as_str().unwrap().contains("is listed by no digest"), "{detail}");
}

#[tokio::test]
async fn a_directory_is_read_as_it_fills_and_what_is_not_proved_is_told() {
    let machine = pulling(
        "[[systems.sources]]\nsource = \"trail\"\nfeed = \"cloudtrail\"\n",
        "[[pull]]\nsystem = \"cold\"\nsource = \"trail\"\nkind = \"cloudtrail_directory\"\ndirectory = \"trail\"\n\
         keys_file = \"keys.json\"\npoll_seconds = 1\noverlap_seconds = 1\nstart = \"2020-01-01T00:00:00Z\"\n",
    );
    let directory = machine.path("");
    let objects = write(&directory);
    spoil(&directory, &objects);
    let running = machine.start().await;
    // A record and two gaps, each with the cursor behind it.
    let written = || running.metric("keywatch_ingest_events_total", "source=\"trail\"");
    until("all files were read", || async { written().await >= 6 }).await;
    running.stop();
    let events = machine.record().events;
    let of_kind = |kind: &str| events.iter().filter(|event| event.source() == "trail" && event.kind() == kind).count();
    assert_eq!((of_kind("signing.signed"), of_kind("source.gap")), (1, 2));
    assert_eq!((of_kind("source.reject"), of_kind("source.conflict"), of_kind("source.status")), (0, 0, 0));
    let missing: Vec<Value> =
        events.iter().filter(|event| event.kind() == "source.gap").map(|gap| gap.detail().value()).collect();
    assert!(missing.iter().all(|gap| logs(&objects).iter().any(|log| gap["missing"] == log.as_str())), "{missing:?}");
}

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG";

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Whether a request is signed as the service demands, computed here from its own words.
fn is_signed(headers: &HeaderMap, path: &str, query: &str) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let (date, host) = (text("x-amz-date"), text("host"));
    let empty = sha256(b"");
    let request = format!(
        "GET\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{date}\n\n\
         host;x-amz-content-sha256;x-amz-date\n{empty}"
    );
    let scope = format!("{}/eu-central-1/s3/aws4_request", &date[..8]);
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(request.as_bytes()));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in [&date[..8], "eu-central-1", "s3", "aws4_request", &signed] {
        key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date";
    let wanted = format!("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{scope},{names},Signature={}", hex::encode(key));
    text("authorization") == wanted
}

/// What the digest after an object says of its signature; of the last one nobody knows it here.
fn signature(objects: &BTreeMap<String, String>, key: &str) -> String {
    let parsed = objects.values().filter_map(|content| serde_json::from_str::<Value>(content).ok());
    let mut after = parsed.filter(|digest| digest["previousDigestS3Object"] == key);
    after.next().and_then(|digest| digest["previousDigestSignature"].as_str().map(str::to_owned)).unwrap_or_default()
}

/// A bucket that gives two entries a page.
async fn bucket(State(objects): State<Arc<BTreeMap<String, String>>>, request: Request) -> Response {
    let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
    if !is_signed(request.headers(), path, query) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let url = reqwest::Url::parse(&format!("http://bucket{path}?{query}")).unwrap();
    let given: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let Some(prefix) = given.get("prefix") else {
        return match objects.get(&path[1..]) {
            Some(content) => {
                ([("x-amz-meta-signature", signature(&objects, &path[1..]))], packed(content)).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        };
    };
    let behind = objects.keys().filter_map(|key| key.strip_prefix(prefix.as_str()));
    let entries: BTreeSet<String> = behind
        .map(|rest| match rest.split_once('/') {
            Some((directory, _)) => format!("<CommonPrefixes><Prefix>{prefix}{directory}/</Prefix></CommonPrefixes>"),
            None => format!(
                "<Contents><Key>{prefix}{rest}</Key><LastModified>2025-02-21T08:10:00.000Z</LastModified></Contents>"
            ),
        })
        .collect();
    let begin = given.get("continuation-token").map_or(0, |token| token.parse::<usize>().unwrap());
    let more = entries.len() > begin + 2;
    let mut list = format!("<ListBucketResult><IsTruncated>{more}</IsTruncated>");
    if more {
        write!(list, "<NextContinuationToken>{}</NextContinuationToken>", begin + 2).unwrap();
    }
    list.extend(entries.into_iter().skip(begin).take(2));
    format!("{list}</ListBucketResult>").into_response()
}

#[tokio::test]
async fn p8_a_bucket_is_asked_with_signed_requests_page_by_page() {
    let here = tempfile::tempdir().unwrap();
    let objects = write(here.path());
    let mut there = objects.clone();
    // The second log file is gone from the bucket.
    there.remove(logs(&objects)[1]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(bucket).with_state(Arc::new(there));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let machine = pulling(
        "[[systems.sources]]\nsource = \"trail\"\nfeed = \"cloudtrail\"\n",
        &format!(
            "[[pull]]\nsystem = \"cold\"\nsource = \"trail\"\nkind = \"cloudtrail_s3\"\nurl = \"{url}\"\nregion = \"eu-central-1\"\n\
             allow_plain_http = true\ntoken_file = \"aws.toml\"\nkeys_file = \"keys.json\"\npoll_seconds = 1\noverlap_seconds = 1\n\
             start = \"2025-02-21T00:00:00Z\"\n"
        ),
    );
    std::fs::copy(here.path().join("keys.json"), machine.path("keys.json")).unwrap();
    let keys = format!("access_key_id = \"AKIAEXAMPLE\"\nsecret_access_key = \"{SECRET}\"\n");
    std::fs::write(machine.path("aws.toml"), keys).unwrap();
    let running = machine.start().await;
    let written = || running.metric("keywatch_ingest_events_total", "source=\"trail\"");
    // The log file that is there and three gaps, each with the cursor behind it.
    until("all objects were read", || async { written().await >= 8 }).await;
    running.stop();
    let events = machine.record().events;
    let of_kind = |kind: &str| events.iter().filter(|event| event.source() == "trail" && event.kind() == kind).count();
    assert_eq!((of_kind("signing.signed"), of_kind("source.status"), of_kind("source.reject")), (1, 0, 0));
    let gaps = events.iter().filter(|event| event.kind() == "source.gap").map(|gap| gap.detail().value());
    let missing: BTreeSet<String> = gaps.map(|gap| gap["missing"].as_str().unwrap().to_owned()).collect();
    // Its last digest has no signature and is old, and both are told too.
    let last = objects.keys().rfind(|key| key.contains("/CloudTrail-Digest/")).unwrap();
    let expected = [logs(&objects)[1].clone(), last.clone(), "the digest files".to_owned()];
    assert_eq!(missing, BTreeSet::from(expected));
}
