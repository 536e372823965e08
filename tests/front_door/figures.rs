//! Figures of the front door (`make bench-door`): senders and keywatch on the same processors, everything durable before it is
//! answered, all shipped rules running behind it. A measurement, run by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::site::{Site, Source, bearer};

const SOURCES: [Source<'static>; 4] = [
    Source("cold", "a", "events", ""),
    Source("cold", "b", "events", ""),
    Source("hot", "a", "events", ""),
    Source("hot", "b", "events", ""),
];

/// Events of one request, where they come in batches.
const BATCH: usize = 100;
const CONNECTIONS: usize = 8;
/// Batches of a connection in a round: 300,000 events in all.
const BATCHES: usize = 375;
const SINGLE_CONNECTIONS: usize = 16;
const SINGLES: usize = 1_000;
/// Events a second that are wanted, and at half of which answers are timed.
const WANTED: f64 = 50_000.0;
/// Batches of a connection at that pace: ten seconds of them.
const PACED_BATCHES: usize = 312;
/// Rounds after which memory has to stand: tables of the log fill at different paces, so that a few rounds show only how they
/// fill. A multiple of three.
const ROUNDS: usize = 12;
/// How much more of it the last third of the rounds may take than the third before.
const GROWTH_MAX: f64 = 1.05;
/// What it takes in any of these rounds, MiB (docs/front-door.md).
const RESIDENT_MIB_MAX: f64 = 512.0;
/// Between two looks at it, and looks of one round.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS_MAX: usize = 6_000;

/// One connection that is kept.
struct Sender {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Sender {
    /// Sends a request and waits until it is durable.
    fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
        self.answer.clear();
        let mut piece = [0; 4096];
        let end = loop {
            let read = self.stream.read(&mut piece).unwrap();
            assert!(read > 0, "the connection was closed");
            self.answer.extend_from_slice(&piece[..read]);
            if let Some(head) = self.answer.windows(4).position(|four| four == b"\r\n\r\n") {
                let text = String::from_utf8_lossy(&self.answer[..head]).to_ascii_lowercase();
                let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
                break head + 4 + length.trim().parse::<usize>().unwrap();
            }
        };
        while self.answer.len() < end {
            let read = self.stream.read(&mut piece).unwrap();
            assert!(read > 0, "the connection was closed");
            self.answer.extend_from_slice(&piece[..read]);
        }
        let shown = String::from_utf8_lossy(&self.answer);
        assert!(shown.starts_with("HTTP/1.1 200"), "{shown}");
    }
}

/// Connections of all sources in turn, each from an address of its own.
async fn senders(site: &Site, count: usize) -> Vec<Sender> {
    let mut senders = Vec::new();
    for number in 0..count {
        let stream = site.connect_from(&format!("127.0.1.{}", number + 1)).await.into_std().unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        senders.push(Sender { stream, answer: Vec::new() });
    }
    senders
}

/// Requests of `events` presentations each, made before anything is timed; no two events are the same.
fn requests(round: &str, connection: usize, count: usize, events: usize) -> Vec<Vec<u8>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = keywatch_store::Instant::from_unix_seconds(i64::try_from(now).unwrap()).unwrap().to_string();
    let Source(system, source, ..) = SOURCES[connection % SOURCES.len()];
    let request = |number: usize| {
        let lines = (0..events).map(|event| {
            let person = (number * events + event) % 500;
            let line = json!({
                "id": format!("{round}/{connection}/{number}/{event}"), "kind": "session.presented", "event_time": time,
                "actor": format!("person-{person}"), "session": format!("session-{connection}-{person}"),
                "device": format!("laptop-{person}"), "ip": format!("203.0.113.{}", person % 250),
            });
            format!("{line}\n")
        });
        let body: String = lines.collect();
        let head = format!(
            "POST /v1/ingest/events HTTP/1.1\r\nhost: keywatch\r\nauthorization: Bearer {system}-{source}\r\n\
             content-type: application/jsonl\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        format!("{head}{body}").into_bytes()
    };
    (0..count).map(request).collect()
}

/// Sends all requests, each connection its own; `every` is the time between two of a connection, where there is one. Gives the
/// seconds in all, and how long after each was due it was answered.
fn run(senders: &mut [Sender], requests: &[Vec<Vec<u8>>], every: Option<Duration>) -> (f64, Vec<Duration>) {
    let barrier = Barrier::new(senders.len() + 1);
    let (begun, took) = thread::scope(|scope| {
        let sending: Vec<_> = (0_u32..)
            .zip(senders.iter_mut().zip(requests))
            .map(|(connection, (sender, requests))| {
                let barrier = &barrier;
                scope.spawn(move || {
                    barrier.wait();
                    // Not all at the same moment.
                    let begun = Instant::now() + every.unwrap_or_default() * connection / 8;
                    let send = |(number, request): (u32, &Vec<u8>)| {
                        let due = every.map_or_else(Instant::now, |every| begun + every * number);
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        sender.send(request);
                        due.elapsed()
                    };
                    (0_u32..).zip(requests).map(send).collect::<Vec<Duration>>()
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        (begun, sending.into_iter().flat_map(|one| one.join().unwrap()).collect::<Vec<Duration>>())
    });
    (begun.elapsed().as_secs_f64(), took)
}

fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    took[(took.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

/// MiB that a process has resident.
fn resident(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    kibibytes.unwrap().parse::<f64>().unwrap() / 1024.0
}

/// What work gives, and the MiB that a process had resident meanwhile, in the mean: at any one moment it depends on how full
/// the log's tables are.
fn looked_at<T>(process: u32, work: impl FnOnce() -> T) -> (T, f64) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let looking = scope.spawn(|| {
            let mut looks = vec![resident(process)];
            while !done.load(Ordering::Relaxed) && looks.len() < LOOKS_MAX {
                thread::sleep(LOOK_EVERY);
                looks.push(resident(process));
            }
            mean(&looks)
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        (worked, looking.join().unwrap())
    })
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / count(numbers.len())
}

#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn line([what, wanted, measured, ratio]: [&str; 4]) {
    println!("| {what:<44} | {wanted:>8} | {measured:>34} | {ratio:>6} |");
}

/// A row of the table; the ratio is one or more where it is as wanted.
fn row(what: &str, wanted: &str, measured: &str, ratio: f64) {
    line([what, wanted, measured, &format!("{ratio:.2}")]);
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// Rounds as fast as answers come: events a second of each; the MiB before them, and during each.
async fn batches(site: &Site, rules: &str, rounds: usize) -> Vec<f64> {
    let process = site.keywatch.id();
    let mut mebibytes = vec![resident(process)];
    for round in 1..=rounds {
        let named = format!("round-{round}");
        let requests: Vec<_> = (0..CONNECTIONS).map(|one| requests(&named, one, BATCHES, BATCH)).collect();
        let mut senders = senders(site, CONNECTIONS).await;
        let ((seconds, mut took), held) = looked_at(process, || run(&mut senders, &requests, None));
        let rate = count(CONNECTIONS * BATCHES * BATCH) / seconds;
        let measured = format!("{rate:.0}/s, p99 {:.1} ms", percentile(&mut took, 99));
        row(&format!("{rules}: batches of {BATCH}, {named}"), "50000/s", &measured, rate / WANTED);
        mebibytes.push(held);
    }
    mebibytes
}

/// Says what was held before and during each round; the ratio is that of the third of them before the last to the last.
fn memory(rules: &str, mebibytes: &[f64]) -> f64 {
    let [_, rounds @ ..] = mebibytes else { panic!("it was looked at before") };
    let third = rounds.len().div_ceil(3);
    let (before, last) = rounds.split_at(rounds.len() - third);
    let flat = mean(&before[before.len() - third.min(before.len())..]) / mean(last);
    let told: Vec<String> = mebibytes.iter().map(|mebibytes| format!("{mebibytes:.0}")).collect();
    row(&format!("{rules}: MiB before, and in each"), "flat", &told.join(", "), flat);
    flat
}

/// Half of what is wanted, at even times: how late answers are against when their request was due.
async fn paced(site: &Site) {
    let every = Duration::from_secs_f64(count(CONNECTIONS * BATCH) / (WANTED / 2.0));
    let requests: Vec<_> = (0..CONNECTIONS).map(|one| requests("paced", one, PACED_BATCHES, BATCH)).collect();
    let (seconds, mut took) = run(&mut senders(site, CONNECTIONS).await, &requests, Some(every));
    let late = percentile(&mut took, 99);
    let rate = count(CONNECTIONS * PACED_BATCHES * BATCH) / seconds;
    let measured = format!("{late:.1} ms, p50 {:.1}, at {rate:.0}/s", percentile(&mut took, 50));
    row("p99 until durable, at half of that", "50 ms", &measured, 50.0 / late);
}

async fn singles(site: &Site) {
    let requests: Vec<_> = (0..SINGLE_CONNECTIONS).map(|one| requests("single", one, SINGLES, 1)).collect();
    let (seconds, mut took) = run(&mut senders(site, SINGLE_CONNECTIONS).await, &requests, None);
    let rate = count(SINGLE_CONNECTIONS * SINGLES) / seconds;
    let measured = format!("{rate:.0}/s, p99 {:.1} ms", percentile(&mut took, 99));
    row("requests of one event", "2000/s", &measured, rate / 2_000.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "figures, by `make bench-door`"]
async fn measure_the_front_door() {
    let proofs = SOURCES.map(|Source(system, source, ..)| {
        format!("{}\nrequests_per_second = 100000", bearer(&format!("{system}-{source}")))
    });
    let mut sources = SOURCES;
    for (source, proof) in sources.iter_mut().zip(&proofs) {
        source.3 = proof;
    }
    line(["front door", "wanted", "measured", "ratio"]);
    line(["---"; 4]);
    // What the door itself keeps; what rules remember of an hour is theirs, and grows until the hour is over or a limit reached.
    let shipped = keywatch_detectors::rule::shipped().unwrap();
    let rules: Vec<String> = shipped.iter().map(|rule| format!("\"{}\"", rule.id)).collect();
    let none = format!("[rules]\ndisabled = [{}]\n", rules.join(", "));
    let without_rules = Site::start(&sources, &none, &[]);
    let held = batches(&without_rules, "no rules", ROUNDS).await;
    let flat = memory("no rules", &held);
    drop(without_rules);
    let site = Site::start(&sources, "", &[]);
    let with_rules = batches(&site, "all rules", 2).await;
    memory("all rules", &with_rules);
    paced(&site).await;
    singles(&site).await;
    assert_eq!(site.metric("keywatch_ingest_rejects_total").await, 0, "everything was understood");
    // Last, so that the other figures are there whatever these are.
    assert!(flat * GROWTH_MAX >= 1.0, "memory grows: {held:?} MiB");
    assert!(held.iter().all(|mebibytes| *mebibytes <= RESIDENT_MIB_MAX), "{held:?} MiB");
}
