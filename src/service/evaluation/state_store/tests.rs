//! Snapshots in a bucket on this machine, which fails when it is told to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State as Held};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use keywatch_store::event::Origin;
use keywatch_store::log::faulty::LackingLog;
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Event, Instant as Time, Position, Topic};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::service::state_place::StateStore;

/// What a bucket answers to a method and the name of an object, where it is not what it should.
type Fails = fn(&Method, &str) -> Option<StatusCode>;

/// A bucket on this machine, which looks at no signature.
struct Bucket {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    fails: Mutex<Fails>,
    /// How often it has answered so.
    failed: AtomicUsize,
    /// Whether it keeps whoever writes waiting.
    hangs: Mutex<bool>,
}

impl Bucket {
    fn names(&self) -> BTreeSet<String> {
        self.objects.lock().unwrap().keys().filter_map(|key| key.rsplit('/').next().map(str::to_owned)).collect()
    }

    fn positions(&self) -> BTreeSet<u64> {
        self.names().iter().map(|name| name[..20].parse().unwrap()).collect()
    }

    fn set(&self, fails: Fails) {
        *self.fails.lock().unwrap() = fails;
    }

    /// Puts all objects elsewhere.
    fn rename(&self, from: &str, to: &str) {
        let mut objects = self.objects.lock().unwrap();
        *objects =
            std::mem::take(&mut *objects).into_iter().map(|(key, content)| (key.replace(from, to), content)).collect();
    }

    /// Changes the objects whose name contains that.
    fn spoil(&self, name: &str, spoil: fn(&mut Vec<u8>)) {
        let mut objects = self.objects.lock().unwrap();
        let spoilt: Vec<&mut Vec<u8>> =
            objects.iter_mut().filter(|(key, _)| key.contains(name)).map(|(_, content)| content).collect();
        assert!(!spoilt.is_empty(), "{name}");
        spoilt.into_iter().for_each(spoil);
    }
}

async fn answer(Held(bucket): Held<Arc<Bucket>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let url = reqwest::Url::parse(&format!("http://bucket{}", parts.uri)).unwrap();
    let key = url.path().trim_start_matches("/state/").to_owned();
    let fails = *bucket.fails.lock().unwrap();
    if let Some(status) = fails(&parts.method, &key) {
        bucket.failed.fetch_add(1, Ordering::SeqCst);
        return status.into_response();
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    if parts.method == Method::PUT && *bucket.hangs.lock().unwrap() {
        std::future::pending::<()>().await;
    }
    let mut objects = bucket.objects.lock().unwrap();
    if let Some((_, prefix)) = url.query_pairs().find(|(name, _)| name == "prefix") {
        let keys = objects.keys().filter(|key| key.starts_with(&*prefix));
        let listed = keys.map(|key| format!("<Contents><Key>{key}</Key></Contents>")).collect::<Vec<String>>().concat();
        return format!("<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
            .into_response();
    }
    match parts.method {
        Method::PUT => drop(objects.insert(key, body.to_vec())),
        Method::DELETE => drop(objects.remove(&key)),
        _ => {
            let content = objects.get(&key).cloned();
            return content.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response);
        }
    }
    StatusCode::OK.into_response()
}

struct World {
    here: TempDir,
    bucket: Arc<Bucket>,
    config: LogConfig,
    log: MemoryLog,
}

impl World {
    /// A log of thirty records, and a bucket with nothing in it.
    async fn new() -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let fails: Fails = |_, _| None;
        let bucket = Arc::new(Bucket {
            objects: Mutex::default(),
            fails: Mutex::new(fails),
            failed: AtomicUsize::new(0),
            hangs: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&bucket));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let here = tempfile::tempdir().unwrap();
        std::fs::write(here.path().join("aws.toml"), "access_key_id = \"a\"\nsecret_access_key = \"s\"\n").unwrap();
        std::fs::write(here.path().join("role.key"), "07".repeat(32)).unwrap();
        let state_store = StateStore {
            endpoint,
            region: "eu-central-1".into(),
            path_style: true,
            keys_file: here.path().join("aws.toml"),
            allow_plain_http: true,
        };
        let config = LogConfig {
            kafka: "k:9092".into(),
            state: "s3://state/kw".into(),
            key_file: here.path().join("role.key"),
            state_store,
            ..LogConfig::default()
        };
        config.check().unwrap();
        let log = MemoryLog::new();
        let origin = Origin { system: "cold".to_owned(), source: "opa".to_owned() };
        let records = (1..=30).map(|index: i64| {
            let mut event = Event::builder(&origin, &index.to_string(), "decision", Time(index));
            event.time(Time(index)).actor("ann").build_own()
        });
        log.append(Topic::Events, records.collect()).unwrap();
        World { here, bucket, config, log }
    }

    /// Windows of this partition in the bucket: in small parts, and with so much patience that a busy machine answers.
    fn remote(&self) -> Remote {
        let pace = Pace { part_bytes: 16, patience: Duration::from_secs(1) };
        Remote { pace, ..remote(&self.config, "window-state").unwrap() }
    }

    /// The directory of a machine.
    fn files(&self, machine: &str) -> SnapshotFiles {
        SnapshotFiles::at(&self.here.path().join(machine).join("window-state"), "arrow")
    }

    /// Writes a snapshot on a machine and sends it.
    async fn upload(&self, files: &SnapshotFiles, position: u64) -> anyhow::Result<()> {
        write(files, position);
        self.remote().upload(&files.path(Position(position)), Position(position)).await
    }

    async fn fetch(&self, files: &SnapshotFiles) -> Fetched {
        self.remote().fetch(files, &self.log).await.unwrap()
    }
}

/// What a snapshot of a position says in these tests.
fn content(position: u64) -> String {
    format!("windows at {position}: {}", "x".repeat(60))
}

fn write(files: &SnapshotFiles, position: u64) {
    files.write(Position(position), |out| Ok(out.write_all(content(position).as_bytes())?)).unwrap();
}

fn read(files: &SnapshotFiles, position: u64) -> String {
    let (file, bytes) = files.read(Position(position)).unwrap();
    let mut text = String::new();
    file.take(bytes).read_to_string(&mut text).unwrap();
    text
}

fn fetched(position: Option<u64>, rejected: usize) -> Fetched {
    Fetched { position: position.map(Position), rejected }
}

#[tokio::test]
async fn what_one_machine_sent_another_fetches_and_two_are_kept() {
    let world = World::new().await;
    let (first, second) = (world.files("first"), world.files("second"));
    assert_eq!(world.fetch(&second).await, fetched(None, 0), "there is none yet");
    for position in [10, 20, 30] {
        world.upload(&first, position).await.unwrap();
    }
    assert_eq!(world.bucket.positions(), BTreeSet::from([20, 30]));
    let manifests = world.bucket.names().iter().filter(|name| name.ends_with(".manifest")).count();
    assert!(manifests == 2 && world.bucket.names().len() > 8, "{:?}", world.bucket.names());
    assert_eq!(world.fetch(&second).await, fetched(Some(30), 0));
    assert_eq!(read(&second, 30), content(30));
    assert_eq!(world.fetch(&second).await, fetched(None, 0), "it is there");
    let own = std::fs::read(second.path(Position(30))).unwrap();
    std::fs::write(second.path(Position(30)), &own[1..]).unwrap();
    assert_eq!(world.fetch(&second).await, fetched(Some(30), 0), "one that is damaged here is none");
    assert_eq!(read(&second, 30), content(30));
}

#[tokio::test]
async fn half_an_upload_is_no_snapshot() {
    let world = World::new().await;
    let (first, second) = (world.files("first"), world.files("second"));
    world.upload(&first, 10).await.unwrap();
    let fails: [Fails; 2] = [
        |method, key| (method == Method::PUT && key.ends_with(".0001")).then_some(StatusCode::FORBIDDEN),
        |method, key| (method == Method::PUT && key.ends_with(".manifest")).then_some(StatusCode::BAD_GATEWAY),
    ];
    for fails in fails {
        world.bucket.set(fails);
        let told = format!("{:#}", world.upload(&first, 20).await.unwrap_err());
        assert!(told.contains("the bucket answers"), "{told}");
    }
    world.bucket.set(|_, _| None);
    assert!(world.bucket.positions().contains(&20), "parts lie there");
    assert_eq!(world.fetch(&second).await, fetched(Some(10), 0));
    // They go when they are older than what is kept.
    for position in [21, 22] {
        world.upload(&first, position).await.unwrap();
    }
    assert_eq!(world.bucket.positions(), BTreeSet::from([21, 22]));
}

#[tokio::test]
async fn p7_what_has_no_room_in_its_parts_is_not_begun() {
    let world = World::new().await;
    let first = world.files("first");
    first.write(Position(10), |out| Ok(out.write_all(&[0; 3_000])?)).unwrap();
    let pace = Pace { part_bytes: 1, ..world.remote().pace };
    let remote = Remote { pace, ..world.remote() };
    let told = remote.upload(&first.path(Position(10)), Position(10)).await.unwrap_err().to_string();
    assert!(told.starts_with("3032 bytes are more than"), "{told}");
    assert!(world.bucket.names().is_empty());
}

#[tokio::test]
async fn p8_what_was_changed_in_the_bucket_is_left_aside() {
    let world = World::new().await;
    let first = world.files("first");
    for position in [10, 20] {
        world.upload(&first, position).await.unwrap();
    }
    world.bucket.spoil("00020-", |content| content[0] ^= 1);
    assert_eq!(world.fetch(&world.files("second")).await, fetched(Some(10), 1), "a part is another");
    world.bucket.spoil("00020-", |content| content[0] ^= 1);
    world.bucket.spoil("00020-", |content| content.push(0));
    assert_eq!(world.fetch(&world.files("third")).await, fetched(Some(10), 1), "a part is longer");
    world.upload(&first, 20).await.unwrap();
    assert_eq!(world.fetch(&world.files("fourth")).await, fetched(Some(20), 0));
    world.bucket.spoil("00020.manifest", |content| {
        let at = content.iter().position(|byte| *byte == b'2').unwrap();
        content[at] = b'3';
    });
    assert_eq!(world.fetch(&world.files("fifth")).await, fetched(Some(10), 1), "a manifest is another");
    // Whoever has no key of the role can put nothing there that counts.
    std::fs::write(world.here.path().join("role.key"), "08".repeat(32)).unwrap();
    assert_eq!(world.fetch(&world.files("sixth")).await, fetched(None, 2));
    // And what is of one partition is none of another.
    std::fs::write(world.here.path().join("role.key"), "07".repeat(32)).unwrap();
    world.bucket.rename("-0/", "-1/");
    let other = LogConfig { partitions: 2, partition: 1, ..world.config.clone() };
    let other = Remote { pace: world.remote().pace, ..remote(&other, "window-state").unwrap() };
    assert_eq!(other.fetch(&world.files("seventh"), &world.log).await.unwrap(), fetched(None, 2));
}

#[tokio::test]
async fn p6_a_log_that_ends_before_what_lies_in_the_bucket_is_not_taken_for_whole() {
    let world = World::new().await;
    world.upload(&world.files("first"), 31).await.unwrap();
    let second = world.files("second");
    match world.remote().fetch(&second, &world.log).await.unwrap_err() {
        Unfetched::TooNew(short) => {
            let told = short.to_string();
            assert!(told.contains("ends at 30") && told.contains("s3://state/kw/keywatch-partition-0"), "{told}");
            let place = world.remote().shown;
            assert!(told.contains("another prefix") && told.contains(&format!("below {place} ")), "{told}");
        }
        other => panic!("{other:?}"),
    }
    assert!(second.positions().unwrap().is_empty());
    // Somebody who knows that the topics were made anew does what it says, the one or the other.
    let elsewhere = LogConfig { state: "s3://state/anew".into(), ..world.config.clone() };
    let elsewhere = Remote { pace: world.remote().pace, ..remote(&elsewhere, "window-state").unwrap() };
    assert_eq!(elsewhere.fetch(&second, &world.log).await.unwrap(), fetched(None, 0));
    world.bucket.objects.lock().unwrap().clear();
    assert_eq!(world.fetch(&second).await, fetched(None, 0));
    // Of a log that is known to lack records it says nothing.
    world.upload(&world.files("first"), 31).await.unwrap();
    world.upload(&world.files("first"), 20).await.unwrap();
    let lacking = world.remote().fetch(&second, &LackingLog(world.log)).await.unwrap();
    assert_eq!((lacking, second.positions().unwrap()), (fetched(Some(20), 1), vec![Position(20)]));
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_asked_for_a_while() {
    let world = World::new().await;
    let (first, second) = (world.files("first"), world.files("second"));
    world.upload(&first, 10).await.unwrap();
    world.bucket.set(|_, _| Some(StatusCode::SERVICE_UNAVAILABLE));
    let told = world.remote().fetch(&second, &world.log).await.unwrap_err();
    assert!(matches!(&told, Unfetched::Unreachable(problem) if !problem.is_empty()), "{told:?}");
    let bucket = Arc::clone(&world.bucket);
    let patient = Pace { patience: Duration::from_secs(30), ..world.remote().pace };
    let patient = Remote { pace: patient, ..world.remote() };
    let before = bucket.failed.load(Ordering::SeqCst);
    let back = async {
        let until = std::time::Instant::now() + LONG;
        while bucket.failed.load(Ordering::SeqCst) == before {
            assert!(std::time::Instant::now() < until, "it is not asked");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bucket.set(|_, _| None);
    };
    let (found, ()) = tokio::join!(patient.fetch(&second, &world.log), back);
    assert_eq!(found.unwrap(), fetched(Some(10), 0));
}

/// The thread, with nothing but windows.
fn uploads(world: &World, files: &SnapshotFiles, metrics: &Arc<Metrics>) -> Uploads {
    let kept = Kept { remote: world.remote(), files: files.clone() };
    Uploads::start(BTreeMap::from([(State::Windows, kept)]), Arc::clone(metrics)).unwrap()
}

fn end(uploads: Uploads, time: Duration) -> bool {
    tokio::task::block_in_place(|| uploads.end_within(time))
}

const LONG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_sent_with_the_next_and_once_more_at_the_end() {
    let world = World::new().await;
    let (first, metrics) = (world.files("first"), Metrics::new());
    let count = |outcome: &str| metrics.state_store.with_label_values(&["windows", outcome]).get();
    world.bucket.set(|method, _| (method == Method::PUT).then_some(StatusCode::FORBIDDEN));
    let sending = uploads(&world, &first, &metrics);
    write(&first, 10);
    sending.offer(State::Windows, Position(10));
    let until = std::time::Instant::now() + LONG;
    while count("failed") < 1 {
        assert!(std::time::Instant::now() < until, "it is not tried");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(world.bucket.names().is_empty());
    world.bucket.set(|_, _| None);
    assert!(end(sending, LONG), "the bucket takes it again");
    assert_eq!((world.bucket.positions(), count("uploaded")), (BTreeSet::from([10]), 1));
    assert_eq!(world.fetch(&world.files("second")).await, fetched(Some(10), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_hangs_delays_neither_who_writes_nor_the_end_and_the_newest_is_sent() {
    let world = World::new().await;
    let (first, metrics) = (world.files("first"), Metrics::new());
    *world.bucket.hangs.lock().unwrap() = true;
    let sending = uploads(&world, &first, &metrics);
    for position in [10, 20, 30] {
        write(&first, position);
        sending.offer(State::Windows, Position(position));
    }
    let begun = std::time::Instant::now();
    assert!(!end(sending, Duration::from_millis(200)), "nothing is there");
    assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
    assert!(world.bucket.names().is_empty());
    *world.bucket.hangs.lock().unwrap() = false;
    let again = uploads(&world, &first, &metrics);
    again.offer(State::Windows, Position(30));
    assert!(end(again, LONG));
    assert_eq!(world.fetch(&world.files("second")).await, fetched(Some(30), 0));
}
