//! Feeds that are tables: their pages are as the tables have them, and records as they come give the events that stand
//! beside them.

use std::collections::BTreeSet;
use std::fmt::Write;

use keywatch_ingest::{Context, Feed, feeds};
use keywatch_store::event::Origin;
use keywatch_store::line;

use crate::support::{golden, tree};

#[test]
fn the_pages_of_feeds_are_as_their_tables_have_them() {
    let pages = feeds::table::page::all();
    for (name, text) in &pages {
        golden::check(&tree::root().join("docs/feeds").join(name), text);
    }
    let generated: BTreeSet<String> = pages.into_iter().map(|(name, _)| format!("docs/feeds/{name}")).collect();
    let files = tree::files().into_iter().map(|file| file.to_string_lossy().into_owned());
    let there: BTreeSet<String> = files.filter(|file| file.starts_with("docs/feeds/")).collect();
    assert_eq!(there, generated, "docs/feeds/ holds generated pages only");
}

#[test]
fn records_as_they_come_give_the_events_beside_them() {
    for table in feeds::TABLES {
        let folder = tree::root().join("ingest/src/feeds").join(table.name);
        let body =
            std::fs::read(folder.join("records.jsonl")).unwrap_or_else(|error| panic!("{}: {error}", table.name));
        golden::check(&folder.join("events.jsonl"), &told(table, &body));
    }
}

/// Event lines, and what was refused.
fn told(feed: &dyn Feed, body: &[u8]) -> String {
    let origin = Origin { system: "cold".to_owned(), source: feed.name().to_owned() };
    let reading = feed.read(&Context { origin: &origin, inventory: None }, body);
    let mut told = String::new();
    for event in &reading.events {
        writeln!(told, "{}", line::write(event)).unwrap();
    }
    for reject in &reading.rejects {
        writeln!(told, "rejected: line {}: {}: {}", reject.line.unwrap_or_default(), reject.field, reject.reason)
            .unwrap();
    }
    writeln!(told, "records {}, skipped {}", reading.records, reading.skipped).unwrap();
    told
}

/// A record of the feeds that are code and busy: a decision, and an event in keywatch's own lines.
const CODE_EXAMPLES: [(&str, &str); 2] = [
    (
        "opa",
        r#"{"labels":{"id":"replica-1","version":"1.4.2"},"decision_id":"d-1","path":"/wallet/signing/allow",
        "timestamp":"2025-02-21T05:42:10.123456789Z","result":true,"requested_by":"10.0.0.9:4711","req_id":12,
        "bundles":{"policy":{"revision":"r7"}},"input":{"subject":"ceo@bybit.example","session_id":"s-1",
        "device_id":"laptop-1","ip":"203.0.113.7","wallet":"0x1Db92e2EeBC8E0c075a02BeA49a2935BcD2dFCF4",
        "request_id":"0xABCD","destination":"0xEF01","amount_usd":81000000.50}}"#,
    ),
    (
        "events",
        r#"{"id":"1","kind":"session.presented","event_time":"2025-02-21T05:42:40Z","actor":"dana","session":"s-1",
        "device":"laptop-1","ip":"203.0.113.7","country":"CH","detail":{"user_agent":"Mozilla/5.0","mfa":true}}"#,
    ),
];

/// Runs of each, of which the fastest counts.
const RUNS: usize = 15;

/// What a feed takes of the same bytes, beside a parser that keeps nothing but the values: run with
/// `--ignored --nocapture bench_`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "a bench prints its table")]
fn bench_feeds_beside_a_bare_parse() {
    let tables = feeds::TABLES.into_iter().map(|table| -> (&dyn Feed, &str) { (table, table.example) });
    let of_code = CODE_EXAMPLES.into_iter().map(|(name, example)| (feeds::find(name).unwrap(), example));
    for (feed, example) in of_code.chain(tables) {
        let record: serde_json::Value = serde_json::from_str(example).unwrap();
        let line = format!("{record}\n");
        let body = line.repeat((2 << 20) / line.len());
        let parse = || body.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count();
        let origin = Origin { system: "cold".to_owned(), source: feed.name().to_owned() };
        let context = Context { origin: &origin, inventory: None };
        let read = || feed.read(&context, body.as_bytes()).events.len();
        let [(bare, values), (read, events)] = fastest([&parse, &read]);
        assert_eq!(values, events);
        let count = |number: usize| f64::from(u32::try_from(number).unwrap());
        println!(
            "{:12} {:5} bytes a record {:8.0} events/s {:6.1} MB/s {:5.2} times a bare parse",
            feed.name(),
            line.len(),
            count(events) / read,
            count(body.len()) / read / 1e6,
            read / bare,
        );
    }
}

/// Seconds of the fastest run of each, and what it gave. They take turns, so that what else the machine does disturbs both.
fn fastest(both: [&dyn Fn() -> usize; 2]) -> [(f64, usize); 2] {
    let mut fastest = [(f64::INFINITY, 0); 2];
    for _ in 0..RUNS {
        for (run, fastest) in both.into_iter().zip(&mut fastest) {
            let started = std::time::Instant::now();
            let given = run();
            let seconds = started.elapsed().as_secs_f64();
            if seconds < fastest.0 {
                *fastest = (seconds, given);
            }
        }
    }
    fastest
}
