//! A trail in a directory: its log files are read, and what its digests do not prove is told, while keywatch runs and on import.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use keywatch_store::line;
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
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    std::fs::write(file, encoder.finish().unwrap()).unwrap();
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
