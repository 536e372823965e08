//! Mapping files as their users meet them: at the front door, in `keywatch import`, in `keywatch feeds`. And a source that
//! delivers hours at once.

use std::io::Write;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic, line};
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::support::command::{err, keywatch, out};
use crate::support::serving::Serving;
use crate::support::tree;

fn example(name: &str) -> Vec<u8> {
    std::fs::read(tree::root().join("ingest/src/feeds/mapping").join(name)).unwrap()
}

/// A directory with a mapping, an inventory and a configuration that name it.
fn machine() -> tempfile::TempDir {
    // The provider of the process; a second test finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let here = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| std::fs::write(here.path().join(name), text).unwrap();
    let hash = |source: &str| hex::encode(Sha256::digest(format!("token-of-{source}")));
    let sources = [("badges-1", "badges"), ("mdm", "osquery")];
    let declared: Vec<String> = sources
        .iter()
        .map(|(source, feed)| format!("[[systems.sources]]\nsource = \"{source}\"\nfeed = \"{feed}\"\n"))
        .collect();
    let credentials: Vec<String> = sources
        .iter()
        .map(|(source, feed)| {
            format!(
                "[[credentials]]\nsystem = \"cold\"\nsource = \"{source}\"\nfeed = \"{feed}\"\ntoken_sha256 = \"{}\"\n",
                hash(source)
            )
        })
        .collect();
    write("badges.toml", &example("example.toml"));
    write("records.jsonl", &example("example.jsonl"));
    write("inventory.toml", format!("[[systems]]\nid = \"cold\"\n{}", declared.concat()).as_bytes());
    let config =
        format!("[[feeds]]\nmapping = \"badges.toml\"\n{}[server]\nlisten = \"127.0.0.1:0\"\n", credentials.concat());
    write("keywatch.toml", config.as_bytes());
    here
}

async fn post(url: &str, feed: &str, source: &str, body: Vec<u8>) -> Response {
    let request = Client::new().post(format!("{url}/v1/ingest/{feed}")).bearer_auth(format!("token-of-{source}"));
    request.body(body).send().await.unwrap()
}

fn brought(directory: &Path, source: &str) -> Vec<Event> {
    let log = EmbeddedLog::open(directory.join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let events = log.read(Topic::Events, Position(0), 100_000).unwrap();
    events.into_iter().filter(|event| event.source() == source).collect()
}

#[tokio::test]
async fn a_mapped_feed_has_its_own_route_and_its_own_credential() {
    let here = machine();
    let serving = Serving::start(here.path(), &[]);
    let answer = post(&serving.url, "badges", "badges-1", example("example.jsonl")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let told: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(
        (told["records"].as_u64(), told["events"].as_u64(), told["rejected"].as_u64()),
        (Some(4), Some(2), Some(1))
    );
    for (feed, source, status) in [
        ("badges", "mdm", StatusCode::NOT_FOUND),
        ("osquery", "badges-1", StatusCode::FORBIDDEN),
        ("badges", "nobody", StatusCode::UNAUTHORIZED),
    ] {
        assert_eq!(post(&serving.url, feed, source, b"{}".to_vec()).await.status(), status, "{feed} of {source}");
    }
    assert!(serving.stop().success());
    let events = brought(here.path(), "badges-1");
    let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, ["custody.access", "source.status", "source.reject"]);
    assert!(events.iter().all(|event| event.system() == "cold"));
}

/// The trap: a mapping that would let a record say for which system it speaks is not served at all.
#[test]
fn p8_a_mapping_of_a_field_onto_system_is_refused_at_the_start_by_line() {
    let here = machine();
    let text = String::from_utf8(example("example.toml")).unwrap();
    let place = text.lines().position(|line| line.starts_with("[columns]")).unwrap() + 2;
    let spoiled = text.replace("[columns]\n", "[columns]\nsystem = \"tenant\"\n");
    std::fs::write(here.path().join("badges.toml"), spoiled).unwrap();
    for arguments in [
        vec!["run"],
        vec!["feeds", "check", "badges.toml"],
        vec!["import", "--mapping", "badges.toml", "--system", "cold", "records.jsonl"],
    ] {
        let done = keywatch(here.path(), &arguments, b"");
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", err(&done));
        assert!(
            err(&done).contains(&format!("badges.toml:{place}: columns.system: `system` comes from the credential")),
            "{}",
            err(&done)
        );
        assert_eq!(out(&done), "", "{arguments:?}");
    }
}

#[test]
fn a_mapping_is_checked_and_imported_with_before_it_is_served() {
    let here = machine();
    let shown = keywatch(here.path(), &["feeds", "check", "badges.toml"], b"");
    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    assert!(
        out(&shown).contains("feed `badges`, makes custody.access, source.heartbeat, source.status"),
        "{}",
        out(&shown)
    );
    let tried = keywatch(here.path(), &["feeds", "check", "badges.toml", "--records", "records.jsonl"], b"");
    assert_eq!(tried.status.code(), Some(1), "{}", err(&tried));
    assert!(
        out(&tried).contains("rejected: line 4: at | received: ")
            && out(&tried).contains("4 records: 2 events, 1 rejected, 1 passed over"),
        "{}",
        out(&tried)
    );
    let arguments = ["import", "--mapping", "badges.toml", "--inventory", "inventory.toml", "records.jsonl"];
    let imported = keywatch(here.path(), &arguments, b"");
    let events: Vec<_> = out(&imported).lines().map(|text| line::read(text.as_bytes()).unwrap()).collect();
    assert_eq!(
        (events.len(), events[0].source(), imported.status.code()),
        (2, "badges-1", Some(1)),
        "{}",
        err(&imported)
    );
    let both =
        keywatch(here.path(), &["import", "--mapping", "badges.toml", "--feed", "okta", "--system", "s", "-"], b"");
    assert_eq!(both.status.code(), Some(2));
}

#[test]
fn feeds_are_listed_and_shown() {
    let here = tempfile::tempdir().unwrap();
    let listed = out(&keywatch(here.path(), &["feeds", "list"], b""));
    for feed in keywatch_ingest::feeds::all() {
        assert!(
            listed.lines().any(|line| line.split_whitespace().next() == Some(feed.name())),
            "{}: {listed}",
            feed.name()
        );
        let shown = keywatch(here.path(), &["feeds", "show", feed.name()], b"");
        assert!(shown.status.success() && out(&shown).contains(&format!("`{}`", feed.name())), "{}", err(&shown));
    }
    let unknown = keywatch(here.path(), &["feeds", "show", "nonsense"], b"");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("the feeds are"), "{}", err(&unknown));
}

#[test]
fn directories_and_compressed_files_are_imported_and_one_that_is_cut_costs_its_end() {
    let here = machine();
    let records = example("example.jsonl");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&records.repeat(200)).unwrap();
    let whole = encoder.finish().unwrap();
    let folder = here.path().join("day/01");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.jsonl.zst"), zstd::encode_all(records.as_slice(), 3).unwrap()).unwrap();
    std::fs::write(folder.join("b.gz"), &whole).unwrap();
    std::fs::write(folder.join("c.gz"), &whole[..whole.len() - 10]).unwrap();
    let done = keywatch(here.path(), &["import", "--mapping", "badges.toml", "--system", "cold", "day"], b"");
    assert_eq!(done.status.code(), Some(1), "{}", err(&done));
    assert!(err(&done).contains("c.gz: file: the gzip is damaged or cut"), "{}", err(&done));
    assert!(out(&done).lines().count() > 2 + 400, "{}", err(&done));
    assert!(err(&done).contains("3 files"), "{}", err(&done));
}

/// An agent that was offline gives six hours within a second: all of it is kept, marked late, and nobody is called by it.
#[tokio::test]
async fn six_hours_in_a_second_are_late_and_no_storm() {
    let here = machine();
    let serving = Serving::start(here.path(), &[]);
    let six_hours_ago =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 6 * 3600;
    let lines: Vec<String> = (0..720_u64)
        .map(|number| {
            let unix = six_hours_ago + number * 30;
            format!(
                "{{\"name\":\"pack_posture_disk_encryption\",\"hostIdentifier\":\"host-{}\",\"unixTime\":{unix},\"epoch\":0,\"counter\":{},\
                 \"numerics\":false,\"columns\":{{\"name\":\"/dev/disk1s1\",\"encrypted\":\"{}\"}},\"action\":\"added\"}}\n",
                number % 5,
                number + 1,
                u64::from(number % 7 != 0),
            )
        })
        .collect();
    let answer = post(&serving.url, "osquery", "mdm", lines.concat().into_bytes()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(serving.stop().success());
    let events = brought(here.path(), "mdm");
    assert_eq!(events.len(), 720);
    let late = events.iter().filter(|event| event.late()).count();
    assert!(late > 690, "{late} of 720 are late");
    let log = EmbeddedLog::open(here.path().join("keywatch-data"), Options::new(Clock::Wall)).unwrap();
    let opened = log.read(Topic::Conclusions, Position(0), 100_000).unwrap();
    let alerts = opened.iter().filter(|event| event.kind() == "alert.opened").count();
    assert!(alerts <= 5, "{alerts} alerts of five hosts' past");
}
