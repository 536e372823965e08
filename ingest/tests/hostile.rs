//! What bad input gets, for every feed alike: nothing panics, nothing vanishes, nothing is parsed before its size is
//! known.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use keywatch_ingest::transport::body;
use keywatch_ingest::{Context, Error, Feed, Reading, feeds, limits};
use keywatch_store::event::Origin;
use proptest::prelude::*;
use serde_json::{Value, json};

#[path = "hostile/mutations.rs"]
mod mutations;
#[path = "../fuzz/src/lib.rs"]
mod parsers;
#[path = "hostile/traps.rs"]
mod traps;

use parsers::check;

const SAFE_PAGE: &str = include_str!("../../replay-data/2025-02-bybit/sources/safe-transaction-service.json");

fn read(feed: &dyn Feed, body: &[u8]) -> Reading {
    let origin = Origin { system: "cold".into(), source: "idp".into() };
    feed.read(&Context { origin: &origin, inventory: None }, body)
}

/// A record that the feed accepts, told apart by `number`.
fn good(feed: &str, number: usize) -> Value {
    match feed {
        "events" => json!({"id": number.to_string(), "kind": "source.heartbeat", "event_time": "2025-02-21T05:42:40Z"}),
        "opa" => json!({
            "labels": {"id": "replica"}, "decision_id": number.to_string(), "timestamp": "2025-02-21T05:42:40Z",
            "result": true, "input": {"amount_usd": 1},
        }),
        "safe" => {
            let page: Value = serde_json::from_str(SAFE_PAGE).unwrap();
            let mut record = page["results"][1].clone();
            record["safeTxHash"] = json!(format!("0x{number:064x}"));
            record["confirmations"] = json!([]);
            record["isExecuted"] = json!(false);
            record
        }
        table => {
            let table = feeds::TABLES.into_iter().find(|known| known.name == table).unwrap();
            let mut record: Value = serde_json::from_str(table.example).unwrap();
            let id = table.id[0].split(" | ").next().unwrap();
            // These bring a record into another shape, or know it by a hash of all of it.
            let pointer = match table.name {
                "azure" => "/correlationId".to_owned(),
                "bitgo" => "/id".to_owned(),
                "secret_scanner" => "/Fingerprint".to_owned(),
                "envoy" => "/common_properties/stream_id".to_owned(),
                "vpc_flow" => "/bytes".to_owned(),
                "web3signer" => "/thread".to_owned(),
                _ => format!("/{}", id.trim_start_matches("entry.").replace('.', "/")),
            };
            *record.pointer_mut(&pointer).unwrap() = json!(number.to_string());
            record
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn p7_a_body_of_100_mb_is_refused_before_it_is_parsed() {
    let body = vec![b'['; 100 << 20];
    for feed in feeds::all() {
        let reading = read(feed, &body);
        assert_eq!((reading.events.len(), reading.rejects.len()), (0, 1));
        let reject = &reading.rejects[0];
        assert_eq!((reject.field.as_str(), reject.line, reject.bytes), ("body", None, body.len()));
        assert!(reject.reason.contains("smaller batches"));
    }
    let refused = body::decode(None, &body, limits::BODY_BYTES_MAX).unwrap_err();
    assert_eq!(refused, Error::TooLarge { max: limits::BODY_BYTES_MAX, after: "" });
}

/// A body of records that each stay within their own limits.
#[test]
fn p7_records_of_many_parts_are_counted_over_the_whole_body() {
    let hosts = |count: usize| (0..count).map(|id| json!({ "id": id })).collect::<Vec<_>>();
    let notice = |name: &str, parts: usize| {
        let mut record = good("fleet", 1);
        record["policy"]["name"] = json!(name);
        record["hosts"] = json!(hosts(parts));
        record.to_string()
    };
    let fleet = feeds::find("fleet").unwrap();
    let many = notice("p", limits::PARTS_MAX);
    let fitting = limits::RECORDS_MAX / limits::PARTS_MAX;
    let reading = read(fleet, vec![many.as_str(); fitting].join("\n").as_bytes());
    assert_eq!((reading.records, reading.rejects.len()), (fitting * limits::PARTS_MAX, 0));
    // Each part of these has a name of 20,000 bytes, and there are 95 of them in each record.
    let heavy = notice(&"p".repeat(20_000), 95);
    let records_of_heavy = limits::BODY_PARTS_BYTES_MAX / (20_000 * 94) + 1;
    for (record, count, said) in [(many, fitting + 1, "records, their parts"), (heavy, records_of_heavy, "repeat")] {
        let body = vec![record.as_str(); count].join("\n");
        let reading = read(fleet, body.as_bytes());
        check(fleet, &reading);
        assert_eq!((reading.events.len(), reading.rejects.len(), reading.records), (0, 1, 1));
        let reject = &reading.rejects[0];
        assert_eq!((reject.field.as_str(), reject.line), ("body", None));
        assert!(reject.reason.contains(said) && reject.reason.contains("smaller batches"), "{}", reject.reason);
    }
}

#[test]
fn p7_a_gzip_bomb_is_refused() {
    let bomb = gzip(&vec![b' '; 200 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(body::decode(Some("gzip"), &bomb, limits::BODY_BYTES_MAX), Err(Error::TooLarge { .. })));
}

#[test]
fn p7_one_record_may_be_neither_too_large_nor_too_deep() {
    for feed in feeds::all() {
        let neighbour = good(feed.name(), 1).to_string();
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let barely = format!("{}{}", "[".repeat(limits::NESTING_MAX), "]".repeat(limits::NESTING_MAX));
        let large = format!("\"{}\"", "x".repeat(limits::RECORD_BYTES_MAX));
        for (value, said) in [(deep, "nested deeper"), (barely, "nested deeper"), (large, "bytes, at most")] {
            let reading = read(feed, format!("[{{\"a\":{value}}},{neighbour}]").as_bytes());
            assert_eq!((reading.events.len(), reading.rejects.len()), (1, 1));
            assert!(reading.rejects[0].reason.contains(said), "{}", reading.rejects[0].reason);
            assert!(reading.rejects[0].raw.len() <= keywatch_store::limits::REJECT_RAW_BYTES_MAX);
        }
    }
}

/// `serde_json` keeps numbers and raw values under private member names; a sender may write those names too.
#[test]
fn p8_private_names_of_the_parser_are_ordinary_input() {
    let array = |depth: usize, inside: &str| format!("{}{inside}{}", "[".repeat(depth), "]".repeat(depth));
    let mut packed = array(120, "");
    for depth in [120; 12].into_iter().chain([40]) {
        packed = array(depth, &json!({ "$serde_json::private::RawValue": packed }).to_string());
    }
    let number = json!({"$serde_json::private::Number": "not a number"}).to_string();
    for feed in feeds::all() {
        for (value, said) in [(&packed, "nested deeper"), (&number, "not valid JSON")] {
            let mut record = good(feed.name(), 1);
            record["detail"] = json!({"place": "PLACE"});
            let body = record.to_string().replace("\"PLACE\"", value);
            let reading = read(feed, body.as_bytes());
            check(feed, &reading);
            assert_eq!((reading.events.len(), reading.rejects.len()), (0, 1));
            assert!(reading.rejects[0].reason.contains(said), "{}", reading.rejects[0].reason);
        }
    }
}

#[test]
fn invalid_utf_8_costs_its_record_alone() {
    for feed in feeds::all() {
        let (one, two) = (good(feed.name(), 1).to_string(), good(feed.name(), 2).to_string());
        let body = [one.as_bytes(), b"\n{\"id\":\"\xff\xfe\"}\n", two.as_bytes()].concat();
        let reading = read(feed, &body);
        assert_eq!((reading.events.len(), reading.rejects.len()), (2, 1));
        assert!(reading.rejects[0].reason.contains("UTF-8"));
        assert_eq!(reading.rejects[0].line, Some(2));
    }
}

#[test]
fn secrets_do_not_survive_in_a_reject() {
    for feed in feeds::all() {
        let body = br#"{"password":"hunter2","headers":{"authorization":"Bearer hunter2"},"key":"-----BEGIN PRIVATE KEY-----hunter2"}"#;
        let reading = read(feed, body);
        assert!(!reading.rejects[0].raw.contains("hunter2"), "{}", reading.rejects[0].raw);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "measures how long a feed takes")]
fn the_time_to_read_grows_with_the_size_and_no_faster() {
    // Bodies on which a parser that starts over at every line, or looks back at every bracket, would not end.
    for unit in ["{\"a\":\n", "{\"results\":[\n", "{\"a\":1,\n ", "\"", "[\n", "{", "\\\"", ",", "}\n"] {
        let body = unit.repeat((4 << 20) / unit.len());
        for feed in feeds::all() {
            let started = std::time::Instant::now();
            let reading = read(feed, body.as_bytes());
            assert!(started.elapsed().as_secs() < 20, "{unit:?} took {:?}", started.elapsed());
            assert!(reading.records > 0);
        }
    }
}

/// Text that is no record of any feed, without line feeds and with its brackets closed.
fn bad() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("{}".to_owned()),
        Just("null".to_owned()),
        Just("{\"id\":1e999}".to_owned()),
        Just("{\"id\":{\"x\":[nope]}}".to_owned()),
        Just("nope".to_owned()),
        Just("\"text\"".to_owned()),
        "[a-z0-9 :]{0,20}".prop_map(|text| format!("{{\"{text}\" {text}}}")),
    ]
}

fn mixture() -> impl Strategy<Value = Vec<Option<String>>> {
    prop::collection::vec(prop::option::of(bad()), 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p2_every_record_becomes_events_or_a_reject(mixture in mixture(), array in any::<bool>()) {
        for feed in feeds::all() {
            let texts: Vec<String> = mixture.iter().enumerate().map(|(number, bad)| {
                bad.clone().unwrap_or_else(|| good(feed.name(), number).to_string())
            }).collect();
            let body = if array { format!("[{}]", texts.join(",")) } else { texts.join("\n") };
            let reading = read(feed, body.as_bytes());
            let rejected = mixture.iter().flatten().count();
            prop_assert_eq!(reading.records, mixture.len());
            prop_assert_eq!(reading.rejects.len(), rejected);
            prop_assert_eq!(reading.events.len(), mixture.len() - rejected);
            check(feed, &reading);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        for feed in feeds::all() {
            check(feed, &read(feed, &bytes));
        }
        let _ = body::decompress(&bytes, 10_000);
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(text in "[\\[\\]{}\",:\\\\0-9a-e.\n -]{0,400}") {
        for feed in feeds::all() {
            check(feed, &read(feed, text.as_bytes()));
        }
    }

    #[test]
    fn a_real_body_with_some_bytes_changed_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for feed in feeds::all() {
            let mut body = match feed.name() {
                "safe" => SAFE_PAGE.as_bytes().to_vec(),
                name => format!("[{},{}]", good(name, 1), good(name, 2)).into_bytes(),
            };
            for (index, byte) in &changes {
                let position = index.index(body.len());
                body[position] = *byte;
            }
            check(feed, &read(feed, &body));
            body.truncate(cut.index(body.len()));
            check(feed, &read(feed, &body));
        }
    }
}
