//! From an event to its finding, through `keywatch run` with all shipped rules (`make bench-kafka`): on Kafka until a consumer
//! of committed messages reads the finding in the conclusions, and on both logs until keywatch says that it was acted upon.
//!
//! The loop is open: each request goes out at its instant, whatever became of those before it, and its events count from that
//! instant. So a stall shows in everything that it held up, and not only in what was under way.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::parts::{Parts, say_measured};
use super::reading::Reading;
use super::running::log_section;
use super::say;
use crate::running::machine::{Machine, Rule};
use crate::support::kafka::{broker, prefix};
use crate::support::serving::Serving;

/// Finds what is marked, and nothing else.
pub(super) const MARKED: Rule = Rule {
    id: "own/marked",
    sql: "SELECT event_id, session AS entity FROM events WHERE kind = 'session.presented' AND asn = 64999",
};
pub(super) const MARKED_ASN: u32 = 64_999;

const EVENTS_A_SECOND: [u32; 3] = [1_000, 5_000, 20_000];
const SECONDS: u32 = 40;
/// Before anything is measured.
const SECONDS_BEFORE: u32 = 5;
const REQUESTS_A_SECOND: u32 = 100;
/// Each makes a finding and an alert, which are a transaction each.
const MARKED_A_SECOND: u32 = 5;
/// People whose sessions are presented over and over.
const PEOPLE: u32 = 500;
/// As a sender has them: others wait for their turn, and count from their instant all the same.
const REQUESTS_OPEN_MAX: usize = 32;
/// How long a refused request waits, and how long all is waited for after the last request.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_mins(1);
/// A rate counts as held where so much of it was reached.
const HELD: f64 = 0.98;
const MICROSECONDS_MAX: u64 = 600_000_000;

/// When the finding about each session was first seen.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, Instant>>>);

/// What was sent at one rate.
struct Spell {
    /// The sessions that are found, with the instant of their request.
    due: BTreeMap<String, Instant>,
    /// Events a second, from the first request until the last one was answered.
    reached: f64,
    /// Requests that had to be repeated.
    refused: u32,
}

/// Milliseconds from the instant of an event.
struct Took {
    p50: f64,
    p99: f64,
    most: f64,
    /// Those that had not come when they were waited for no longer; they count with that time.
    missing: u32,
}

impl Seen {
    fn note(&self, session: &str) {
        let now = Instant::now();
        self.0.lock().unwrap().entry(session.to_owned()).or_insert(now);
    }

    async fn until_all(&self, spell: &Spell) {
        let until = Instant::now() + PATIENCE;
        let has_all = || {
            let seen = self.0.lock().unwrap();
            spell.due.keys().all(|session| seen.contains_key(session))
        };
        while !has_all() && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn took(&self, spell: &Spell) -> Took {
        let (seen, now) = (self.0.lock().unwrap(), Instant::now());
        let mut took = Histogram::<u64>::new_with_max(MICROSECONDS_MAX, 3).unwrap();
        let mut missing = 0;
        for (session, due) in &spell.due {
            let found = seen.get(session).copied();
            missing += u32::from(found.is_none());
            let microseconds = found.unwrap_or(now).saturating_duration_since(*due).as_micros();
            took.saturating_record(u64::try_from(microseconds).unwrap());
        }
        let milliseconds = |microseconds: u64| Duration::from_micros(microseconds).as_secs_f64() * 1e3;
        let [p50, p99] = [0.5, 0.99].map(|quantile| milliseconds(took.value_at_quantile(quantile)));
        Took { p50, p99, most: milliseconds(took.max()), missing }
    }
}

impl Took {
    fn cells(&self) -> String {
        let Took { p50, p99, most, missing } = self;
        let late = if *missing > 0 { format!(", {missing} never") } else { String::new() };
        format!("{p50:>8.1} | {p99:>8.1} | {most:>8.1}{late}")
    }
}

/// The events of a request, one a line; the first is the marked one where there is one.
fn body(round: &str, number: u32, events: u32, marked: Option<&str>) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = keywatch_store::Instant::from_unix_seconds(i64::try_from(now).unwrap()).unwrap().to_string();
    let line = |event: u32| {
        let person = (number * events + event) % PEOPLE;
        let mut line = json!({
            "id": format!("{round}/{number}/{event}"), "kind": "session.presented", "event_time": time,
            "actor": format!("person-{person}"), "session": format!("session-{person}"),
            "device": format!("laptop-{person}"), "ip": format!("203.0.113.{}", person % 250),
        });
        if let (0, Some(session)) = (event, marked) {
            line["session"] = session.into();
            line["asn"] = MARKED_ASN.into();
        }
        line.to_string()
    };
    (0..events).map(line).collect::<Vec<String>>().join("\n")
}

/// How a request is answered; `None` where the connection ends before, as a door may have it that refuses.
async fn answered(request: RequestBuilder) -> Option<StatusCode> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    // Read to its end, so that the connection is used again.
    answer.bytes().await.ok().map(|_| status)
}

/// Sends a request until it is taken, as a source does; how often it was refused.
async fn hand_over(client: Client, url: String, body: String, turns: Arc<Semaphore>) -> u32 {
    let _turn = turns.acquire_owned().await.unwrap();
    let (mut refused, until) = (0, Instant::now() + PATIENCE);
    loop {
        match answered(client.post(&url).bearer_auth("token").body(body.clone())).await {
            Some(StatusCode::OK) => return refused,
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) | None => refused += 1,
            Some(status) => panic!("{status}"),
        }
        assert!(Instant::now() < until, "a request was refused {refused} times");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Sends so many events a second, in requests at even times.
async fn send(url: &str, events_a_second: u32, seconds: u32, round: &str) -> Spell {
    let (client, turns) = (Client::new(), Arc::new(Semaphore::new(REQUESTS_OPEN_MAX)));
    let (events, requests) = (events_a_second / REQUESTS_A_SECOND, seconds * REQUESTS_A_SECOND);
    let (mut sending, mut due) = (JoinSet::new(), BTreeMap::new());
    let begun = Instant::now();
    for number in 0..requests {
        let at = begun + Duration::from_secs(1) * number / REQUESTS_A_SECOND;
        let is_marked = number.is_multiple_of(REQUESTS_A_SECOND / MARKED_A_SECOND);
        let marked = is_marked.then(|| format!("marked-{round}-{number}"));
        let body = body(round, number, events, marked.as_deref());
        due.extend(marked.map(|session| (session, at)));
        tokio::time::sleep_until(at.into()).await;
        sending.spawn(hand_over(client.clone(), format!("{url}/v1/ingest/events"), body, Arc::clone(&turns)));
    }
    let mut refused = 0;
    while let Some(repeated) = sending.join_next().await {
        refused += repeated.unwrap();
    }
    Spell { due, reached: f64::from(events * requests) / begun.elapsed().as_secs_f64(), refused }
}

/// The session of a log line that says that what was found about it was acted upon.
fn acted_upon(line: &str) -> Option<&str> {
    let behind = line.contains(MARKED.id).then(|| line.split_once("entity="))??.1;
    behind.trim_start_matches('"').split(['"', ' ']).next()
}

/// Notes what keywatch says that it acted upon, until it ends.
fn listen(said: ChildStderr, seen: Seen) {
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            acted_upon(&line).into_iter().for_each(|session| seen.note(session));
        }
    });
}

/// Starts keywatch and waits until it is ready.
async fn start(machine: &Machine, acted: &Seen) -> Serving {
    let (keywatch, said) = Serving::start_heard(&machine.path(""), &[]);
    listen(said, acted.clone());
    let (client, url) = (Client::new(), format!("{}/readyz", keywatch.url));
    let until = Instant::now() + PATIENCE;
    while client.get(&url).send().await.unwrap().status() != StatusCode::OK {
        assert!(Instant::now() < until, "keywatch is not ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    keywatch
}

/// A machine with all shipped rules, whose source may ask as often as it likes.
fn machine() -> Machine {
    let machine = Machine::new(MARKED);
    machine.configure("requests_per_second = 100000\n");
    machine
}

/// All rates on a log; for each, how long it took until keywatch had acted.
async fn measure(log: &str, keywatch: &Serving, acted: &Seen, readable: Option<(&Seen, &Parts)>) -> Vec<Took> {
    let before = send(&keywatch.url, EVENTS_A_SECOND[0], SECONDS_BEFORE, "before").await;
    acted.until_all(&before).await;
    let mut all = Vec::new();
    for rate in EVENTS_A_SECOND {
        let spell = send(&keywatch.url, rate, SECONDS, &rate.to_string()).await;
        for seen in readable.map(|(seen, _)| seen).into_iter().chain([acted]) {
            seen.until_all(&spell).await;
        }
        let Spell { due, reached, refused } = &spell;
        let is_held = if *reached >= HELD * f64::from(rate) { "yes" } else { "no" };
        let read = readable.map_or_else(|| " – | – | –".to_owned(), |(seen, _)| seen.took(&spell).cells());
        let (took, count) = (acted.took(&spell), due.len());
        say(&format!(
            "| {log} | {rate} | {reached:.0} | {is_held}, {refused} repeated | {count} | {read} | {} |",
            took.cells()
        ));
        if let Some((_, parts)) = readable {
            parts.say(rate, due, &acted.0.lock().unwrap());
        }
        all.push(took);
    }
    all
}

async fn on_the_embedded_log() -> Vec<Took> {
    let (machine, acted) = (machine(), Seen::default());
    let keywatch = start(&machine, &acted).await;
    let took = measure("embedded", &keywatch, &acted, None).await;
    assert!(keywatch.stop().success());
    took
}

async fn on_kafka() -> Vec<Took> {
    let (broker, prefix) = (broker(), prefix());
    let (machine, acted, readable, parts) = (machine(), Seen::default(), Seen::default(), Parts::default());
    machine.configure(&log_section(&broker, &prefix, "key_file = \"role.key\"\n"));
    let keywatch = start(&machine, &acted).await;
    let (seen, others) = (readable.clone(), Arc::new(Mutex::new(BTreeMap::<String, u32>::new())));
    let (counted, noted) = (Arc::clone(&others), parts.clone());
    let reading = Reading::start(&broker, &prefix, 1, move |found| {
        if found.rule == MARKED.id {
            seen.note(&found.entity);
            noted.note(&found);
        } else {
            *counted.lock().unwrap().entry(found.rule).or_default() += 1;
        }
    });
    let took = measure("Kafka", &keywatch, &acted, Some((&readable, &parts))).await;
    let metrics = Client::new().get(format!("{}/metrics", keywatch.url)).send().await.unwrap();
    say_measured(&metrics.text().await.unwrap());
    assert!(keywatch.stop().success());
    drop(reading);
    say(&format!("findings of shipped rules beside them: {:?}", others.lock().unwrap()));
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures, by `make bench-kafka`"]
async fn measure_the_log_on_kafka_from_an_event_to_its_finding() {
    say(&format!(
        "{SECONDS} s at each rate, {REQUESTS_A_SECOND} requests and {MARKED_A_SECOND} findings a second; ms from the instant \
         of the request; sender, broker and keywatch on {} processors",
        std::thread::available_parallelism().unwrap()
    ));
    say("| log | events/s | reached | held | findings | readable p50 | p99 | most | acted upon p50 | p99 | most |");
    say("|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    let embedded = on_the_embedded_log().await;
    let kafka = on_kafka().await;
    for ((rate, embedded), kafka) in EVENTS_A_SECOND.iter().zip(&embedded).zip(&kafka) {
        let [p50, p99] =
            [(kafka.p50, embedded.p50), (kafka.p99, embedded.p99)].map(|(on_kafka, there)| on_kafka / there);
        say(&format!("acted upon at {rate} events/s, Kafka / embedded: p50 × {p50:.1}, p99 × {p99:.1}"));
    }
}

#[test]
fn what_keywatch_acted_upon_is_read_from_its_log_lines() {
    let line = "2026-11-29T04:00:00.000000Z  INFO keywatch::service::evaluation::evaluator: finding rule=\"own/marked\" \
                severity=low system=\"cold\" entity=\"marked-1000-20\" actions=1";
    assert_eq!(acted_upon(line), Some("marked-1000-20"));
    assert_eq!(acted_upon(&line.replace("own/marked", "session/stolen")), None);
}
