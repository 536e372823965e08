//! Single windows against stock DataFusion: one keyed count, and thirty windows in six key groups.

use keywatch_detectors::{Engine, Rule, Settings};

use crate::stock::{self, Query};
use crate::support::feed::{Feed, Shape};
use crate::support::measured::{self, Measured, Meter};
use crate::support::rule;

const BATCHES: [usize; 5] = [256, 2_048, 4_096, 16_384, 65_536];
const KEYS: [u64; 3] = [100, 10_000, 1_000_000];
const KEYED_EVENTS: usize = 2_000_000;
const GROUPS_EVENTS: usize = 500_000;

const GROUP_KEYS: [&str; 6] = ["session", "actor", "device", "wallet", "country", "session, country"];
const GROUP_COLUMNS: &[&str] = &["event_id", "time", "session", "actor", "device", "wallet", "country", "amount_usd"];

/// Prints the keyed count at every number of keys and every size of batch.
pub(crate) fn keyed_table() {
    println!("\n### One keyed count over an hour\n");
    println!("{KEYED_EVENTS} events, 10 ms apart; a floor is the engine without a rule.\n");
    println!("| keys | engine | batch | {} | × keywatch | |\n|{}", Measured::HEADER, "---|".repeat(14));
    for keys in KEYS {
        let keys = keys.to_string();
        for batch in BATCHES {
            let batch = batch.to_string();
            let ours = measured::least(&["keyed", "keywatch", &keys, &batch]);
            row(&keys, "floor", &batch, &measured::once(&["keyed", "floor", &keys, &batch]), &ours);
            row(&keys, "keywatch", &batch, &ours, &ours);
            row(&keys, "stock live", &batch, &measured::once(&["keyed", "live", &keys, &batch]), &ours);
        }
        let ours = measured::least(&["keyed", "keywatch", &keys, "4096"]);
        row(&keys, "stock sorted", "whole", &measured::once(&["keyed", "sorted", &keys, "4096"]), &ours);
    }
}

/// Prints thirty windows.
pub(crate) fn groups_table() {
    println!("\n### Thirty windows in six key groups\n");
    println!("{GROUPS_EVENTS} events, 200 ms apart; count, sum, min, max and last over frames of 1 minute to 1 day.\n");
    println!("| keys | engine | batch | {} | × keywatch | |\n|{}", Measured::HEADER, "---|".repeat(14));
    for batch in ["2048", "4096", "16384"] {
        let ours = measured::least(&["groups", "keywatch", "10000", batch]);
        row("six", "floor", batch, &measured::once(&["groups", "floor", "10000", batch]), &ours);
        row("six", "keywatch", batch, &ours, &ours);
        if batch == "4096" {
            row("six", "stock live", batch, &measured::once(&["groups", "live", "10000", batch]), &ours);
            row("six", "stock sorted", "whole", &measured::once(&["groups", "sorted", "10000", batch]), &ours);
        }
    }
}

fn row(keys: &str, engine: &str, batch: &str, measured: &Measured, ours: &Measured) {
    let ratio = measured.cpu_ns_an_event() / ours.cpu_ns_an_event();
    println!("| {keys} | {engine} | {batch} | {} | {ratio:.1} | {} |", measured.cells(), measured.note);
}

/// One cell: what is asked, who answers, number of sessions, size of a batch.
pub(crate) fn cell(what: &str, engine: &str, keys: &str, batch: &str) -> Measured {
    let (keys, batch) = (keys.parse().unwrap(), batch.parse().unwrap());
    let query = if what == "keyed" { keyed(keys) } else { groups(keys) };
    match engine {
        "keywatch" => ours(&[rule("bench/measured", &query.sql)], query.shape, batch),
        "floor" => ours(&[], query.shape, batch),
        "live" => stock::live(&query, batch),
        _ => stock::sorted(&query, batch),
    }
}

fn ours(rules: &[Rule], shape: Shape, batch: usize) -> Measured {
    let mut feed = Feed::new(shape, batch);
    let mut meter = Meter::new();
    let mut engine = Engine::new(rules, &Settings::default()).unwrap();
    let mut findings = 0;
    while let Some((first, events)) = feed.next() {
        let outcome = meter.time(|| engine.run(first, events)).unwrap();
        assert!(outcome.parked.is_empty(), "{:?}", outcome.parked);
        findings += outcome.findings.len();
    }
    meter.measured(feed.given(), findings)
}

/// A count that hardly any session reaches: four deviations above what chance gives.
fn keyed(sessions: u64) -> Query {
    let shape = Shape { sessions, events: KEYED_EVENTS, apart_ns: 10_000_000, full: false };
    let usual = 360_000.0 / sessions as f64;
    let unusual = (usual + 4.5 * usual.sqrt()).ceil() + 3.0;
    let sql = format!(
        "SELECT event_id, session AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY session ORDER BY time RANGE \
         BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS n FROM events) WHERE n >= {unusual}"
    );
    Query { sql, columns: &["event_id", "time", "session"], shape }
}

fn groups(sessions: u64) -> Query {
    let calls = ["count(*)", "sum(amount_usd)", "min(amount_usd)", "max(amount_usd)", "last_value(amount_usd)"];
    let frames = ["1 minute", "10 minutes", "1 hour", "6 hours", "1 day"];
    let mut windows = Vec::new();
    for (group, keys) in GROUP_KEYS.iter().enumerate() {
        for (call, frame) in calls.iter().zip(frames.iter().cycle().skip(group)) {
            windows.push(format!(
                "{call} OVER (PARTITION BY {keys} ORDER BY time RANGE BETWEEN INTERVAL '{frame}' PRECEDING AND CURRENT \
                 ROW) AS w{}",
                windows.len()
            ));
        }
    }
    // So much that no count could stop early.
    let none: Vec<String> = (0..windows.len()).map(|number| format!("w{number} > 1000000000000000")).collect();
    let sql = format!(
        "SELECT event_id, session AS entity FROM (SELECT *, {} FROM events) WHERE {}",
        windows.join(", "),
        none.join(" OR ")
    );
    let shape = Shape { sessions, events: GROUPS_EVENTS, apart_ns: 200_000_000, full: true };
    Query { sql, columns: GROUP_COLUMNS, shape }
}
