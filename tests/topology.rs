//! The topology of `docker-compose.kafka.yml` as plain processes: its configuration files, its flags and its settings of Kafka,
//! with ports of loopback in the place of names. The Bybit incident goes in through the process that takes events in; the one
//! that evaluates finds, tells and revokes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use keywatch_alerting::response::pdp::PolicyDecisionPoint;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Log, Position, Topic};
use serde_json::Value;
use serde_norway::Value as Yaml;

use crate::compose::{on_kafka, texts};
use crate::incidents::recording::bybit;
use crate::incidents::rules::findings;
use crate::support::command::{err, keywatch, out};
use crate::support::kafka::Cluster;
use crate::support::opa::{Opa, free_port};
use crate::support::revoking::client;
use crate::support::serving::Serving;
use crate::support::tree::root;

/// The most that anything here is waited for; three brokers share the processors with all of it.
const PATIENCE: Duration = Duration::from_mins(3);

/// The request that was shown to Bybit's signers, and did not fit what they signed.
const SHOWN: &str = "0x9d89e67333f99c136537be74029c44592985a4855172f4c2d0d942029868f98e";

/// Takes what is posted to it, in the place of Alertmanager.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Vec::new()));
        let receiver = Receiver { url, taken: Arc::clone(&taken) };
        // It ends with the process of the tests.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if let Ok(body) = answer(stream) {
                    taken.lock().unwrap().push(body);
                }
            }
        });
        receiver
    }

    fn has(&self, text: &str) -> bool {
        self.taken.lock().unwrap().iter().any(|body| body.contains(text))
    }
}

/// Reads one request and says yes.
fn answer(stream: TcpStream) -> std::io::Result<String> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// What stands in the compose file, and what stands there for it here.
struct Place {
    directory: tempfile::TempDir,
    names: Vec<(String, String)>,
}

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let secrets = directory.path().join("secrets");
        let script = root().join("dashboards/compose/kafka/secrets.sh");
        assert!(Command::new("sh").arg(script).arg(&secrets).status().unwrap().success());
        let names = [
            ("/run/secrets", secrets),
            ("/etc/keywatch", directory.path().join("etc")),
            ("/var/lib/keywatch", directory.path().join("lib")),
            ("/policies", root().join("alerting/policies")),
        ];
        let names = names.map(|(name, path)| (name.to_owned(), path.display().to_string())).into();
        Place { directory, names }
    }

    fn name(&mut self, name: &str, here: &str) {
        self.names.push((name.to_owned(), here.to_owned()));
        self.copy(&root().join("dashboards/compose"), &self.directory.path().join("etc"));
    }

    fn here(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, here)| text.replace(name, here))
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The files that compose mounts, with the names that are known.
    fn copy(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()) {
            let target = to.join(entry.file_name().unwrap());
            if entry.is_dir() {
                self.copy(&entry, &target);
            } else {
                std::fs::write(target, self.here(&std::fs::read_to_string(&entry).unwrap())).unwrap();
            }
        }
    }

    /// Starts a service of keywatch and waits until its own health check passes.
    fn serve(&self, name: &str, service: &Yaml) -> Serving {
        let command: Vec<String> = texts(&service["command"]).iter().map(|word| self.here(word)).collect();
        let [run, arguments @ ..] = command.as_slice() else { panic!("{name} has no command") };
        assert_eq!(run, "run");
        let data = self.data(name, service);
        std::fs::create_dir_all(Path::new(&data).parent().unwrap()).unwrap();
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.extend(["--listen", "127.0.0.1:0", "--data", &data]);
        let keywatch = Serving::start(self.directory.path(), &arguments);
        let port = keywatch.url.rsplit(':').next().unwrap();
        let check = texts(&service["healthcheck"]["test"]);
        let [kind, program, check @ ..] = check.as_slice() else { panic!("{name} has no health check") };
        assert_eq!(kind, "CMD");
        wait(&format!("{name} is healthy"), || {
            let check = check.iter().map(|word| word.replace("8040", port));
            Command::new(program).args(check).status().unwrap().success()
        });
        keywatch
    }

    /// Each container has a volume of its own.
    fn data(&self, name: &str, service: &Yaml) -> String {
        let data = self.here(service["environment"]["KEYWATCH_DATA"].as_str().unwrap());
        data.replace("/lib/", &format!("/lib-{name}/"))
    }
}

fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Properties that the image of Kafka makes of its environment, without those that say where a node is.
fn properties(environment: &Yaml) -> String {
    let of_a_place = ["node.id", "controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"];
    let mut text = String::new();
    for (name, value) in environment.as_mapping().unwrap() {
        let Some(name) = name.as_str().unwrap().strip_prefix("KAFKA_") else { continue };
        let name = name.to_lowercase().replace('_', ".");
        let value = value.as_str().map_or_else(|| value.as_i64().unwrap().to_string(), str::to_owned);
        if name != "heap.opts" && !of_a_place.contains(&name.as_str()) {
            text.extend([name.as_str(), "=", &value, "\n"]);
        }
    }
    text
}

fn scraped(keywatch: &Serving) -> String {
    let mut stream = TcpStream::connect(keywatch.url.strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The sum of a metric over the series whose labels hold these texts.
fn metric(keywatch: &Serving, name: &str, labels: &[&str]) -> u64 {
    let text = scraped(keywatch);
    let of_it = text.lines().filter(|line| line.split([' ', '{']).next() == Some(name));
    let wanted = of_it.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Ids of findings of `keywatch replay`, each with the time at which it was decided.
fn replayed(directory: &Path, copy: &str) -> BTreeMap<String, keywatch_store::Instant> {
    let copied = keywatch(directory, &["log", "copy", copy, "events.jsonl"], b"");
    assert!(copied.status.success(), "{}", err(&copied));
    let done = keywatch(directory, &["replay", "events.jsonl", "--format", "jsonl"], b"");
    assert!(done.status.success(), "{}", err(&done));
    let text = out(&done);
    let found = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    found
        .map(|found| (found["id"].as_str().unwrap().to_owned(), found["decided"].as_str().unwrap().parse().unwrap()))
        .collect()
}

/// Ids of what the process found, each as often as it concluded it.
fn found(copy: &str) -> BTreeMap<String, usize> {
    let log = EmbeddedLog::open(copy, Options::new(Clock::Recorded)).unwrap();
    let mut found = BTreeMap::new();
    for event in log.read(Topic::Conclusions, Position(0), usize::MAX).unwrap() {
        let detail = event.detail().value();
        // keywatch's findings about itself come from no rule.
        let is_of_a_rule = detail["rule"].as_str().is_some_and(|rule| !rule.starts_with("keywatch/"));
        if event.kind() == "finding.created" && is_of_a_rule {
            *found.entry(detail["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_the_topology_of_compose_finds_tells_and_revokes_what_a_replay_finds() {
    let compose = on_kafka();
    let services = &compose["services"];
    let cluster = Cluster::start_configured(&properties(&services["kafka-1"]["environment"]));
    let (receiver, mut place) = (Receiver::start(), Place::new());
    place.name("kafka-1:9092,kafka-2:9092,kafka-3:9092", &cluster.address());
    place.name("http://alertmanager:9093", &receiver.url);

    let ingest = place.serve("ingest", &services["ingest"]);
    place.name("http://ingest:8040", &ingest.url);
    let opa = (0..5).find_map(|_| {
        let port = free_port();
        let listen = |word: &String| place.here(word).replace("0.0.0.0:8181", &format!("127.0.0.1:{port}"));
        Opa::start_as(port, &texts(&services["opa"]["command"]).iter().map(listen).collect::<Vec<_>>())
    });
    let opa = opa.expect("OPA did not start on any of five free ports");
    place.name("http://opa:8181", &opa.url());
    let evaluate = place.serve("evaluate", &services["evaluate"]);

    let here = |word: &String| place.here(word).replace("http://127.0.0.1:8040", &ingest.url);
    let play: Vec<String> = texts(&services["play"]["command"]).iter().map(here).collect();
    let play: Vec<&str> = play.iter().map(String::as_str).collect();
    let played = keywatch(place.directory.path(), &play, b"");
    assert!(played.status.success(), "{}", err(&played));

    let mismatches = ["signing/confirmation_mismatch"];
    wait("all is found", || metric(&evaluate, "keywatch_rule_findings_total", &mismatches) == 3);
    wait("it is told", || receiver.has("signing/confirmation_mismatch"));
    wait("a revocation is proved", || {
        metric(&evaluate, "keywatch_response_verifications_total", &["denied_at_pdp"]) > 0
    });
    let control: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path("etc/control.json")).unwrap()).unwrap();
    let mut shown = control.clone();
    shown["request_id"] = SHOWN.into();
    assert!(!client(&opa).ask(&shown).await.unwrap().allow, "nobody signs it any more");
    assert!(client(&opa).ask(&control).await.unwrap().allow);
    // Those of the incident, and what OPA itself has decided since and posts.
    let decisions = bybit().events.iter().filter(|event| event.kind() == "decision").count() as u64;
    wait("OPA's decisions come in", || {
        metric(&ingest, "keywatch_ingest_events_total", &["source=\"opa\""]) > decisions
    });
    assert_eq!(metric(&evaluate, "keywatch_log_foreign_messages_total", &[]), 0);

    assert!(ingest.stop().success());
    wait("all is evaluated", || metric(&evaluate, "keywatch_engine_lag_records", &[]) == 0);
    let evaluated = crate::support::revoking::now();
    assert!(evaluate.stop().success());
    let copy = format!("{}/kafka-0", place.data("evaluate", &services["evaluate"]));
    let (found, replayed) = (found(&copy), replayed(place.directory.path(), &copy));
    assert!(found.values().all(|times| *times == 1), "{found:?}");
    // What was decided between the last look and the end may not have been concluded any more.
    let settled = replayed.iter().filter(|(_, decided)| **decided < evaluated).map(|(id, _)| id);
    let missing: Vec<&String> = settled.filter(|id| !found.contains_key(*id)).collect();
    assert!(missing.is_empty() && found.keys().all(|id| replayed.contains_key(id)), "{found:?} {replayed:?}");
    // By id, these are the findings of the incident itself.
    let of_incident = findings(&bybit().events);
    let of_incident: BTreeSet<&str> =
        of_incident.iter().filter(|finding| finding.rule == mismatches[0]).map(|finding| finding.id.as_str()).collect();
    assert_eq!(of_incident.len(), 3);
    assert!(of_incident.iter().all(|id| found.contains_key(*id)), "{of_incident:?} {found:?}");
}
