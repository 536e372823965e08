//! A trail in a bucket that this test serves, looked at as time goes by.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::super::s3::S3;
use super::*;
use crate::limits::PULL_TRAIL_ASIDE_MAX;

#[derive(Default)]
struct Served {
    /// When it was written, and what it holds.
    objects: BTreeMap<String, (String, String)>,
    refused: BTreeSet<String>,
}

type Shared = Arc<Mutex<Served>>;

struct World {
    here: TempDir,
    url: String,
    served: Shared,
    logs: Vec<String>,
}

async fn bucket(State(served): State<Shared>, request: Request) -> Response {
    let served = served.lock().unwrap();
    let (key, query) = (&request.uri().path()[1..], request.uri().query().unwrap_or_default());
    if query.is_empty() {
        return match served.objects.get(key) {
            _ if served.refused.contains(key) => StatusCode::FORBIDDEN.into_response(),
            Some((_, content)) => {
                ([("x-amz-meta-signature", signature(&served.objects, key))], content.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        };
    }
    let url = reqwest::Url::parse(&format!("http://bucket/?{query}")).unwrap();
    let prefix = url.query_pairs().find(|(name, _)| name == "prefix").unwrap().1.into_owned();
    let mut places = BTreeSet::new();
    let mut list = "<ListBucketResult>".to_owned();
    for (key, (written, _)) in served.objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
        match key[prefix.len()..].split_once('/') {
            Some((place, _)) => {
                places.insert(place);
            }
            None => {
                write!(list, "<Contents><Key>{key}</Key><LastModified>{written}</LastModified></Contents>").unwrap();
            }
        }
    }
    for place in places {
        write!(list, "<CommonPrefixes><Prefix>{prefix}{place}/</Prefix></CommonPrefixes>").unwrap();
    }
    format!("{list}</ListBucketResult>").into_response()
}

/// What the digest after it says of its signature.
fn signature(objects: &BTreeMap<String, (String, String)>, key: &str) -> String {
    let parsed = objects.values().filter_map(|(_, content)| serde_json::from_str::<Value>(content).ok());
    let mut after = parsed.filter(|digest| digest["previousDigestS3Object"] == key);
    after.next().and_then(|digest| digest["previousDigestSignature"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn time(text: &str) -> String {
    format!("2025-02-21T{text}:00Z")
}

fn at(text: &str) -> Instant {
    time(text).parse().unwrap()
}

impl World {
    /// The trail of two hours; each digest is written five minutes after its hour.
    async fn new() -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trail = include_str!("../../../../ingest/src/feeds/cloudtrail/trail.json");
        let trail: Value = serde_json::from_str(trail).unwrap();
        let objects: BTreeMap<String, String> = serde_json::from_value(trail["objects"].clone()).unwrap();
        let logs: Vec<String> = objects.keys().filter(|key| is_log(key)).cloned().collect();
        let digests = objects.keys().filter(|key| is_digest(key)).cloned();
        let written: BTreeMap<_, _> = digests
            .zip(["05:05", "06:05", "07:05", "08:05"])
            .chain(logs.iter().cloned().zip(["05:10", "06:10"]))
            .collect();
        let objects = objects.into_iter().map(|(key, content)| (key.clone(), (time(written[&key]), content)));
        let served = Arc::new(Mutex::new(Served { objects: objects.collect(), ..Served::default() }));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(bucket).with_state(Arc::clone(&served));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("aws.toml"), "access_key_id = \"a\"\nsecret_access_key = \"s\"\n").unwrap();
        std::fs::write(here.path().join("keys.json"), trail["keys"].to_string()).unwrap();
        World { here, url, served, logs }
    }

    fn trail(&self) -> Trail {
        let aws: &Path = &self.here.path().join("aws.toml");
        let bucket = Bucket::S3(S3::new(&self.url, "eu-central-1", aws, true).unwrap());
        let origin = Origin { system: "cold".into(), source: "trail".into() };
        let keys = self.here.path().join("keys.json");
        Trail::new(bucket, keys, origin, Some(at("00:00")), SECOND_NS).unwrap()
    }

    fn refuse(&self, keys: &[String]) {
        self.served.lock().unwrap().refused = keys.iter().cloned().collect();
    }
}

/// Looks until nothing more comes at once: what is told, and how many files were read.
async fn look(trail: &Trail, cursor: &mut Cursor, now: Instant) -> (Vec<String>, usize) {
    let (mut told, mut files) = (Vec::new(), 0);
    loop {
        let page = trail.page(cursor, now).await.unwrap();
        assert!(page.rejects.is_empty(), "{:?}", page.rejects);
        told.extend(page.events.iter().map(|event| event.reason().unwrap_or_default().to_owned()));
        files += usize::from(!page.body.is_empty());
        cursor.newest = page.newest.max(cursor.newest);
        if page.next.is_none() {
            return (told, files);
        }
    }
}

/// The last digest is signed by nobody here.
const UNSIGNED: &str = "T080000Z.json.gz: the digest does not verify: signature: is not of this digest";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_somebody_put_into_the_bucket_is_told_also_after_a_restart() {
    let world = World::new().await;
    let forged = world.logs[0].replace("0510Z_abcdef", "0520Z_forged");
    let content = world.served.lock().unwrap().objects[&world.logs[0]].1.replace("req-1", "req-2");
    world.served.lock().unwrap().objects.insert(forged.clone(), (time("05:20"), content));
    let (trail, mut cursor) = (world.trail(), Cursor::default());
    let (told, files) = look(&trail, &mut cursor, at("08:10")).await;
    assert!(files == 3 && told.len() == 1 && told[0].ends_with(UNSIGNED), "{told:?}");
    let expected =
        format!("{forged}: the log file of {} is listed by no digest: who wrote it is not proved", time("05:20"));
    // Its digests have had time to come.
    let (told, files) = look(&trail, &mut cursor, at("09:30")).await;
    assert_eq!((told, files), (vec![expected.clone()], 0));
    assert!(look(&trail, &mut cursor, at("09:31")).await.0.is_empty(), "it is told once");
    // What another process has proved is asked again for what it lists, and for nothing else.
    let (told, files) = look(&world.trail(), &mut cursor, at("09:30")).await;
    assert!(files == 0 && told.len() == 2 && told[0].ends_with(UNSIGNED) && told[1] == expected, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_told_by_name_and_holds_up_no_other() {
    let world = World::new().await;
    world.refuse(&world.logs[..1]);
    let (trail, mut cursor) = (world.trail(), Cursor::default());
    let (told, files) = look(&trail, &mut cursor, at("08:10")).await;
    assert!(files == 1 && told.len() == 1 && told[0].ends_with(UNSIGNED), "{told:?}");
    assert_eq!(cursor.newest, Some(at("05:10")), "whoever begins anew reads it");
    for minute in 11..25 {
        let (told, files) = look(&trail, &mut cursor, at(&format!("08:{minute}"))).await;
        assert!(files == 0 && told.is_empty(), "{minute}: {told:?}");
    }
    let (told, _) = look(&trail, &mut cursor, at("08:25")).await;
    let cause = "the log file is passed over: it cannot be read: the bucket answers 403 Forbidden";
    assert_eq!(told, [format!("{}: {cause}", world.logs[0])]);
    world.refuse(&[]);
    let mut read = 0;
    for minute in 26..30 {
        let (told, files) = look(&trail, &mut cursor, at(&format!("08:{minute}"))).await;
        assert!(told.is_empty(), "its digests prove it now: {told:?}");
        read += files;
    }
    assert_eq!(read, 1, "its records come once it can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_gives_no_object_is_down_and_no_object_is_passed_over() {
    let world = World::new().await;
    let all: Vec<String> = world.served.lock().unwrap().objects.keys().cloned().collect();
    world.refuse(&all);
    let (trail, mut cursor) = (world.trail(), Cursor::default());
    for minute in 10..40 {
        let trouble = trail.page(&cursor, at(&format!("08:{minute}"))).await.unwrap_err();
        assert!(trouble.class == Class::Unreachable && trouble.problem.contains("403"), "{trouble}");
    }
    world.refuse(&[]);
    let mut read = 0;
    // One of those that wait comes with each look, the ones that were to be tried first before the others.
    for look_at in ["09:50", "09:51", "09:52", "09:53", "09:54", "09:55", "09:56"] {
        let (told, files) = look(&trail, &mut cursor, at(look_at)).await;
        assert!(told.iter().all(|told| !told.contains("passed over")), "{told:?}");
        read += files;
    }
    assert_eq!(read, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn p7_what_finds_no_room_aside_is_left_to_the_next_list_and_holds_up_no_other() {
    let world = World::new().await;
    let copy = world.here.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("a"), "{}").unwrap();
    let origin = Origin { system: "cold".into(), source: "trail".into() };
    let keys = world.here.path().join("keys.json");
    let trail = Trail::new(Bucket::Directory(copy), keys, origin, Some(at("00:00")), SECOND_NS).unwrap();
    let inner = &trail.0;
    let written = |number: i64| at("05:00").saturating_add(number * SECOND_NS);
    // What would lie below a file cannot be read.
    let unreadable = (0..).take(PULL_TRAIL_ASIDE_MAX + 2);
    let unreadable = unreadable.map(|number| Object { written: written(number), key: format!("a/{number}.json.gz") });
    let readable = Object { written: at("08:00"), key: "a".to_owned() };
    inner.files.lock().unwrap().due.extend(unreadable.chain([readable]));
    let page = loop {
        match inner.look(None, at("09:00")) {
            Ok(page) => break page,
            Err(trouble) => assert!(trouble.rest.is_some(), "{trouble}"),
        }
    };
    assert_eq!((page.body, page.newest), (b"{}".to_vec(), Some(at("05:00"))), "whoever begins anew reads all");
    assert!(page.more, "the bucket gives objects again, so those that wait are tried at once");
    let left = || inner.files.lock().unwrap().left;
    assert_eq!(left(), Some(written(i64::try_from(PULL_TRAIL_ASIDE_MAX).unwrap())));
    inner.look(page.newest, at("09:00")).unwrap();
    assert_eq!(left(), None, "the list has them again");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_again_and_stay_where_their_file_is_broken() {
    let world = World::new().await;
    let file = world.here.path().join("keys.json");
    let right = std::fs::read_to_string(&file).unwrap();
    let other = right.replace("833e5f43fc208361e5dff18560449517", "00");
    assert_ne!(right, other);
    std::fs::write(&file, other).unwrap();
    let trail = world.trail();
    std::fs::write(&file, &right).unwrap();
    trail.0.keys();
    // With those of the start nothing would be proved, and with none neither.
    std::fs::write(&file, "{").unwrap();
    let (told, _) = look(&trail, &mut Cursor::default(), at("08:10")).await;
    assert!(told.len() == 1 && told[0].ends_with(UNSIGNED), "{told:?}");
}
