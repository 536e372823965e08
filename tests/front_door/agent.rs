//! `keywatch agent` against a running keywatch: every line is in the log once, whatever happens to files, to keywatch and to
//! the agent.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use keywatch_store::Event;
use serde_json::json;

use super::site::{Site, Source, bearer, heartbeat};
use crate::support::command::{err, keywatch};
use crate::support::serving::Serving;

/// Events of the agent's lines; its heartbeats are counted under another feed.
const TAKEN: &str = "keywatch_ingest_events_total{feed=\"osquery\"";

/// An agent that runs, killed without warning when it is dropped.
struct Agent(Child);

impl Agent {
    fn start(site: &Site, more: &[&str]) -> Agent {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        command.arg("agent").args(arguments(site, more)).current_dir(site.directory.path());
        Agent(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // SIGKILL; it may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn arguments(site: &Site, more: &[&str]) -> Vec<String> {
    let own = ["--url", &site.keywatch.url, "--token-file", "token"];
    own.iter().chain(more).map(|argument| (*argument).to_owned()).collect()
}

fn site() -> Site {
    let (osquery, idp) = (bearer("osquery"), bearer("idp"));
    let sources = [Source("cold", "fleet", "osquery", &osquery), Source("cold", "idp", "events", &idp)];
    Site::start(&sources, "", &[("token", b"osquery\n"), ("idp.token", b"idp\n")])
}

/// A line of osquery's results for each number.
fn results(numbers: std::ops::Range<u32>) -> String {
    let result = |number: u32| {
        let line = json!({
            "name": "pack_posture_disk_encryption", "hostIdentifier": "H", "action": "added",
            "unixTime": 1_740_116_560 + number, "columns": { "encrypted": "1", "name": format!("/dev/sd{number}") },
        });
        format!("{line}\n")
    };
    numbers.map(result).collect()
}

/// What osquery has written, in a directory beside keywatch's own.
struct Osquery(PathBuf);

impl Osquery {
    fn of(site: &Site) -> Osquery {
        let directory = site.directory.path().join("osquery");
        fs::create_dir(&directory).unwrap();
        Osquery(directory)
    }

    fn append(&self, numbers: std::ops::Range<u32>) {
        let file = fs::OpenOptions::new().append(true).create(true).open(self.0.join("osqueryd.results.log"));
        file.unwrap().write_all(results(numbers).as_bytes()).unwrap();
    }

    fn rotate(&self) {
        fs::rename(self.0.join("osqueryd.results.log"), self.0.join("osqueryd.results.log.1")).unwrap();
    }
}

/// Stops keywatch and checks that each of the lines is in the log, and once.
fn check_all(site: Site, numbers: std::ops::Range<u32>) {
    let events = site.stop();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind() == "session.posture") {
        *times.entry(event.detail().value()["row"]["name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let expected: BTreeMap<String, usize> = numbers.map(|number| (format!("/dev/sd{number}"), 1)).collect();
    assert!(times == expected, "{} lines of {}, {times:?}", times.len(), expected.len());
    let says_that_it_is_alive = |event: &Event| event.kind() == "source.heartbeat" && event.source() == "fleet";
    assert!(events.iter().any(says_that_it_is_alive), "no heartbeat");
}

#[tokio::test]
async fn p2_a_file_that_grows_and_rotates_is_in_the_log_line_by_line() {
    let site = site();
    let osquery = Osquery::of(&site);
    let _agent = Agent::start(&site, &["--osquery", "osquery"]);
    osquery.append(0..3);
    site.until_metric(TAKEN, 3).await;
    osquery.append(3..6);
    osquery.rotate();
    osquery.append(6..9);
    site.until_metric(TAKEN, 9).await;
    osquery.append(9..10);
    site.until_metric(TAKEN, 10).await;
    check_all(site, 0..10);
}

#[tokio::test]
async fn p2_a_keywatch_that_is_down_for_a_while_misses_nothing() {
    let site = site();
    let osquery = Osquery::of(&site);
    let _agent = Agent::start(&site, &["--osquery", "osquery"]);
    osquery.append(0..10);
    site.until_metric(TAKEN, 10).await;
    let address = site.address().to_string();
    // Killed without warning, and started again where it was.
    let Site { directory, keywatch } = site;
    drop(keywatch);
    osquery.append(10..30);
    osquery.rotate();
    osquery.append(30..50);
    let keywatch = Serving::start(directory.path(), &["--listen", &address]);
    let site = Site { directory, keywatch };
    site.until_metric(TAKEN, 40).await;
    check_all(site, 0..50);
}

#[tokio::test]
async fn p2_an_agent_that_is_killed_goes_on_where_it_was() {
    let site = site();
    Osquery::of(&site).append(0..20_000);
    for kill in 0..3 {
        let agent = Agent::start(&site, &["--osquery", "osquery"]);
        site.until_metric(TAKEN, 4_000 * kill + 1).await;
        drop(agent);
    }
    let once = arguments(&site, &["--osquery", "osquery", "--once"]);
    let once: Vec<&str> = ["agent"].into_iter().chain(once.iter().map(String::as_str)).collect();
    let ended = keywatch(site.directory.path(), &once, b"");
    assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
    check_all(site, 0..20_000);
}

#[tokio::test]
async fn standard_input_is_sent_to_its_end() {
    let site = site();
    let input = format!("{}\n\n{}\nnonsense", heartbeat("1"), heartbeat("2"));
    let url = site.keywatch.url.as_str();
    let arguments = ["agent", "--url", url, "--feed", "events", "--token-file", "idp.token"];
    let ended = keywatch(site.directory.path(), &arguments, input.as_bytes());
    assert_eq!(ended.status.code(), Some(1), "a record was rejected: {}", err(&ended));
    let again = keywatch(site.directory.path(), &arguments, heartbeat("3").as_bytes());
    assert_eq!(again.status.code(), Some(0), "{}", err(&again));
    let events = site.stop();
    let kinds = |kind: &str| events.iter().filter(|event| event.kind() == kind).count();
    // Each of the two has said once that it is alive.
    assert_eq!((kinds("source.heartbeat"), kinds("source.reject")), (3 + 2, 1));
}

#[tokio::test]
async fn what_an_agent_cannot_do_is_said_in_one_line() {
    let site = site();
    let url = site.keywatch.url.as_str();
    let run = |more: &[&str]| {
        let arguments = [&["agent", "--url", url], more].concat();
        let ended = keywatch(site.directory.path(), &arguments, b"{}\n");
        (ended.status.code(), err(&ended))
    };
    let token = ["--token-file", "token"];
    for (more, said) in [
        (["--feed", "events"], "this credential is for /v1/ingest/osquery"),
        (["--osquery", "nowhere"], "nowhere is no directory"),
        (["--file", "nowhere"], "--feed"),
    ] {
        let (code, error) = run(&[token, more].concat());
        assert!(code == Some(2) && error.contains(said), "{more:?}: {code:?} {error}");
    }
    let (code, error) = run(&["--token-file", "keywatch.toml", "--feed", "osquery"]);
    assert!(code == Some(2) && error.contains("holds no token"), "{error}");
    fs::write(site.directory.path().join("wrong"), "wrong").unwrap();
    let (code, error) = run(&["--token-file", "wrong", "--feed", "osquery"]);
    assert!(code == Some(2) && error.contains("401") && !error.contains("panicked"), "{error}");
}
