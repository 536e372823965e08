//! Revocation documents as signed bundles, fetched by a real Open Policy Agent: from `keywatch run`, and through a man in the
//! middle who sends what he likes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use keywatch_alerting::response::bundle::{Bundle, Fetched};
use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use keywatch_alerting::{
    BundleBoard, Dependencies, EnforcementPoint, Error, Executor, OpaPdp, Policy, Replica, RevocationDocument,
    Schedule, SigningKey,
};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Instant, Log, Position, Topic};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::keys::{Pair, pair};
use crate::support::meanwhile::until;
use crate::support::opa::{Opa, free_port};
use crate::support::revoking::{client, finding, first_record, healthy, now, records};
use crate::support::serving::Serving;

const TOKEN: &str = "the-token-of-opa";

/// What the man in the middle sends.
#[derive(Clone)]
enum Sends {
    /// What keywatch offers.
    Honest,
    /// Always this.
    This(Vec<u8>),
}

struct Middle {
    board: Arc<BundleBoard>,
    sends: Mutex<Sends>,
}

async fn answer(State(middle): State<Arc<Middle>>, headers: HeaderMap) -> Response {
    let known: Vec<String> = headers
        .get("if-none-match")
        .map(|tag| tag.to_str().unwrap().trim_matches('"').to_owned())
        .into_iter()
        .collect();
    let sends = middle.sends.lock().unwrap().clone();
    let bundle = match sends {
        Sends::This(bytes) if known.contains(&hex::encode(Sha256::digest(&bytes))) => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            return StatusCode::NOT_MODIFIED.into_response();
        }
        Sends::This(bytes) => Bundle { etag: hex::encode(Sha256::digest(&bytes)), bytes: bytes.into() },
        // As long as a poll of OPA takes at least, so that a change of mind is soon seen.
        Sends::Honest => match middle.board.fetch(None, &known, Duration::from_millis(200)).await {
            Fetched::New(bundle) => bundle,
            Fetched::Unchanged(_) => return StatusCode::NOT_MODIFIED.into_response(),
            other => return (StatusCode::SERVICE_UNAVAILABLE, format!("{other:?}")).into_response(),
        },
    };
    let etag = format!("\"{}\"", bundle.etag);
    let kind = [("content-type", "application/vnd.openpolicyagent.bundles"), ("etag", etag.as_str())];
    (kind, bundle.bytes.to_vec()).into_response()
}

/// A configuration of OPA that fetches from there.
fn opa_config(directory: &Path, url: &str, resource: &str, keys: &[(&str, &Pair)]) -> PathBuf {
    let keys: BTreeMap<&str, Value> =
        keys.iter().map(|(id, pair)| (*id, json!({ "algorithm": "ES256", "key": pair.public }))).collect();
    let config = json!({
        "services": { "keywatch": { "url": url, "credentials": { "bearer": { "token": TOKEN } } } },
        "keys": keys,
        "bundles": { "revocations": {
            "service": "keywatch", "resource": resource, "signing": { "scope": "cold" },
            "polling": { "long_polling_timeout_seconds": 5, "min_delay_seconds": 1, "max_delay_seconds": 1 },
        } },
    });
    let file = directory.join(format!("opa-{}.json", now().nanoseconds()));
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// keywatch, the man in the middle and an OPA that trusts one key.
struct Scene {
    _directory: tempfile::TempDir,
    log: Arc<MemoryLog>,
    executor: Executor,
    middle: Arc<Middle>,
    opa: Opa,
}

async fn scene() -> Scene {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let key = pair();
    let board = BundleBoard::new(vec![SigningKey::from_pem("k1", &key.private).unwrap()]).unwrap();
    let middle = Arc::new(Middle { board: Arc::clone(&board), sends: Mutex::new(Sends::Honest) });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/revocations.tar.gz", get(answer)).with_state(Arc::clone(&middle));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let file = opa_config(directory.path(), &url, "revocations.tar.gz", &[("k1", &key)]);
    let started = tokio::task::spawn_blocking(move || Opa::start_configured(free_port(), &file));
    let opa = started.await.unwrap().expect("OPA starts with this configuration");
    board.put(&RevocationDocument::empty("cold").stamped(now())).await.unwrap();
    until("the first bundle is in force", || async { client(&opa).ask(&healthy()).await.unwrap().allow }).await;
    let pdp: OpaPdp = client(&opa).fetching(board);
    let log = Arc::new(MemoryLog::new());
    let means = Dependencies {
        log: Arc::clone(&log) as Arc<dyn Log>,
        policy: Policy::default(),
        sites: BTreeMap::from([(
            "cold".to_owned(),
            EnforcementPoint::replicated(vec![Replica::new("opa-1", Arc::new(pdp))], healthy()),
        )]),
        sinks: Vec::new(),
        deliveries: Schedule::pages(),
        revocations: Schedule::new(vec![Duration::from_millis(50)]),
        clock: Arc::new(now),
    };
    let executor = Executor::open(means).unwrap();
    executor.resume().await.unwrap();
    let scene = Scene { _directory: directory, log, executor, middle, opa };
    assert!(scene.told().is_empty(), "{:?}", scene.told());
    scene
}

impl Scene {
    async fn allows(&self, input: &Value) -> bool {
        client(&self.opa).ask(input).await.unwrap().allow
    }

    async fn newest(&self) -> Vec<u8> {
        match self.middle.board.fetch(None, &[], Duration::ZERO).await {
            Fetched::New(bundle) => bundle.bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn send(&self, sends: Sends) {
        *self.middle.sends.lock().unwrap() = sends;
    }

    /// Rules of keywatch's own that were told, with title.
    fn told(&self) -> Vec<(String, String)> {
        let all = self.log.read(Topic::Conclusions, Position(0), usize::MAX).unwrap();
        let opened = all.iter().filter(|event| event.kind() == "alert.opened").map(|event| event.detail().value());
        let said = |value: &Value| value.as_str().unwrap().to_owned();
        let told = opened.map(|record| (said(&record["finding"]["rule"]), said(&record["finding"]["title"])));
        told.filter(|(rule, _)| rule.starts_with("keywatch/")).collect()
    }
}

fn stolen() -> Value {
    let mut input = healthy();
    input["session_id"] = json!("s-stolen");
    input
}

#[tokio::test]
async fn p5_a_session_is_denied_by_the_bundle_and_proved() {
    let scene = scene().await;
    assert!(scene.allows(&stolen()).await, "the session is let in before it is cut");
    scene.executor.take(&finding("s-stolen")).await.unwrap();
    let verified = first_record(&scene.log, "response.verified").await;
    assert_eq!(verified.outcome(), Some("denied_at_pdp"), "{:?}", verified.reason());
    assert!(!scene.allows(&stolen()).await && scene.allows(&healthy()).await);
    // Nobody else can write where the bundle owns.
    let at = format!("{}/v1/data/revocations/sessions", scene.opa.url());
    let answer = reqwest::Client::new().put(at).body("{}").send().await.unwrap();
    assert_eq!(answer.status(), 400, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn an_old_bundle_from_a_man_in_the_middle_is_told_of() {
    let scene = scene().await;
    let old = scene.newest().await;
    scene.executor.take(&finding("s-stolen")).await.unwrap();
    first_record(&scene.log, "response.verified").await;
    assert!(!scene.allows(&stolen()).await);
    // A valid signature, an old list: OPA takes it, and lets the session in again until the stamp is too old.
    scene.send(Sends::This(old));
    until("the old list is in force", || async { scene.allows(&stolen()).await }).await;
    scene.executor.refresh().await.unwrap();
    let told = scene.told();
    let drifted =
        told.iter().any(|(rule, title)| rule == "keywatch/replica_drifted" && title.contains("older edition"));
    assert!(drifted, "{told:?}");
    let failed =
        told.iter().any(|(rule, title)| rule == "keywatch/heartbeat_failed" && title.contains("0 is in force"));
    assert!(failed, "{told:?}");
    scene.send(Sends::Honest);
    until("the list is in force again", || async { !scene.allows(&stolen()).await }).await;
    assert!(scene.allows(&healthy()).await);
}

#[tokio::test]
async fn unsigned_empty_and_foreign_bundles_change_nothing_and_are_told_of() {
    let scene = scene().await;
    scene.executor.take(&finding("s-stolen")).await.unwrap();
    first_record(&scene.log, "response.verified").await;
    let unsigned = gzip(&tar(&[("revocations/data.json", "{\"sessions\":{}}")]));
    let foreign = BundleBoard::new(vec![SigningKey::from_pem("k1", &pair().private).unwrap()]).unwrap();
    foreign.put(&RevocationDocument::empty("cold").stamped(now())).await.unwrap();
    let Fetched::New(foreign) = foreign.fetch(None, &[], Duration::ZERO).await else { panic!("nothing was put") };
    for bytes in [unsigned, gzip(&tar(&[])), Vec::new(), b"garbage".to_vec(), foreign.bytes.to_vec()] {
        scene.send(Sends::This(bytes));
        // A stamp has whole seconds: the next heartbeat is another one, is not taken, and in no poll is the session let in.
        let before = now().unix_seconds();
        until("the next second", || async { now().unix_seconds() > before }).await;
        scene.executor.refresh().await.unwrap();
        assert!(!scene.allows(&stolen()).await);
    }
    let told = scene.told();
    assert!(told.iter().any(|(rule, _)| rule == "keywatch/heartbeat_failed"), "{told:?}");
    assert_eq!(records(&scene.log, "response.verified").len(), 1);
}

#[tokio::test]
async fn a_board_goes_forward_only_and_signs_with_every_key() {
    let keys = [pair(), pair()];
    let signing = |id: &str, pair: &Pair| SigningKey::from_pem(id, &pair.private).unwrap();
    let board = BundleBoard::new(vec![signing("new", &keys[0]), signing("old", &keys[1])]).unwrap();
    assert_eq!(board.fetch(None, &[], Duration::ZERO).await, Fetched::Nothing);
    let at = |seconds: i64| RevocationDocument::empty("cold").stamped(Instant(seconds * 1_000_000_000));
    board.put(&at(10)).await.unwrap();
    let Fetched::New(first) = board.fetch(None, &[], Duration::ZERO).await else { panic!("nothing was put") };
    let Fetched::New(of_old) = board.fetch(Some("old"), &[], Duration::ZERO).await else { panic!("no second key") };
    assert_ne!(first.etag, of_old.etag);
    assert_eq!(board.fetch(Some("none"), &[], Duration::ZERO).await, Fetched::NoKey);
    let known = [first.etag.clone()];
    assert_eq!(board.fetch(None, &known, Duration::ZERO).await, Fetched::Unchanged(first.etag.clone()));
    assert!(matches!(board.put(&at(9)).await, Err(Error::PdpRefused { .. })), "an older stamp is refused");
    let next = at(11);
    let (fetched, put) = tokio::join!(board.fetch(None, &known, Duration::from_secs(20)), board.put(&next));
    put.unwrap();
    assert!(matches!(fetched, Fetched::New(bundle) if bundle.etag != first.etag), "who waits hears of the next");
    assert!(SigningKey::from_pem("k", "no key").is_err() && SigningKey::from_pem("a/b", &keys[0].private).is_err());
    assert!(BundleBoard::new(Vec::new()).is_err());
}

#[tokio::test]
async fn opa_fetches_from_keywatch_run_while_keys_change_over() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let keys = [pair(), pair()];
    let port = free_port();
    set_up(directory.path(), port, &keys);
    let home = directory.path().to_owned();
    let keywatch = tokio::task::spawn_blocking(move || Serving::start(&home, &[])).await.unwrap();
    let client_of_http = reqwest::Client::new();
    let at = format!("{}/v1/bundles/cold/revocations.tar.gz", keywatch.url);
    let ask = |token: &str| client_of_http.get(&at).bearer_auth(token);
    assert_eq!(ask("wrong").send().await.unwrap().status(), 401);
    until("the first bundle is there", || async { ask(TOKEN).send().await.unwrap().status() == 200 }).await;
    let answer = ask(TOKEN).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/vnd.openpolicyagent.bundles");
    let etag = answer.headers()["etag"].clone();
    let again = ask(TOKEN).header("if-none-match", etag).send().await.unwrap();
    assert!(matches!(again.status().as_u16(), 304 | 200), "304 unless a heartbeat came between");
    // One trusts the new key and fetches what it signs, the other trusts the old one still.
    for (id, pair, resource) in [
        ("new", &keys[0], "v1/bundles/cold/revocations.tar.gz"),
        ("old", &keys[1], "v1/bundles/cold/old/revocations.tar.gz"),
    ] {
        let file = opa_config(directory.path(), &keywatch.url, resource, &[(id, pair)]);
        let opa = tokio::task::spawn_blocking(move || Opa::start_configured(port, &file)).await.unwrap();
        let opa = opa.expect("OPA starts with this configuration");
        until(id, || async { client(&opa).ask(&healthy()).await.unwrap().allow }).await;
    }
    tokio::task::spawn_blocking(move || keywatch.stop()).await.unwrap();
}

fn set_up(home: &Path, port: u16, keys: &[Pair; 2]) {
    let write = |file: &str, text: &str| std::fs::write(home.join(file), text).unwrap();
    write("new.pem", &keys[0].private);
    write("old.pem", &keys[1].private);
    write("control.json", &healthy().to_string());
    write("inventory.toml", "[[systems]]\nid = \"cold\"\nsources = [{ source = \"idp\", feed = \"events\" }]\n");
    let hash = hex::encode(Sha256::digest(TOKEN));
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[[credentials]]\nsystem = \"cold\"\nsource = \"idp\"\nfeed = \"events\"\n\
         token_sha256 = \"{}\"\n[[decision_points]]\nsystem = \"cold\"\nopa = \"http://127.0.0.1:{port}\"\n\
         control_file = \"control.json\"\ndelivery = \"bundle\"\nbundle_token_sha256 = \"{hash}\"\n\
         [bundles]\nkeys = [{{ id = \"new\", file = \"new.pem\" }}, {{ id = \"old\", file = \"old.pem\" }}]\n",
        "ab".repeat(32)
    );
    write("keywatch.toml", &config);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar archive (POSIX ustar) of these files.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, text) in files {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", text.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = b'0';
        header[257..263].copy_from_slice(b"ustar\0");
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend_from_slice(&header);
        archive.extend_from_slice(text.as_bytes());
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}
