//! The traps that senders set, knowingly or not, each for every feed that it can be set for.

use std::collections::BTreeSet;

use keywatch_ingest::transport::body;
use keywatch_ingest::{Context, Error, Feed, feeds, limits};
use keywatch_store::Event;
use keywatch_store::event::Origin;
use serde_json::{Value, json};

use crate::{check, good, gzip, read};

fn named(name: &str) -> &'static dyn Feed {
    feeds::find(name).unwrap()
}

fn read_as(feed: &dyn Feed, system: &str, source: &str, body: &str) -> Vec<Event> {
    let origin = Origin { system: system.into(), source: source.into() };
    let reading = feed.read(&Context { origin: &origin, inventory: None }, body.as_bytes());
    assert_eq!(reading.rejects, [], "{}", feed.name());
    reading.events
}

/// The Open Policy Agent repeats a chunk after any answer that is no 2xx, cuts chunks anew, and uploads in no order.
#[test]
fn opa_sends_at_least_once_in_no_order_as_gzip_arrays() {
    let decisions: Vec<Value> = (0..20)
        .map(|number| {
            let mut decision = good("opa", number);
            decision["timestamp"] = json!(format!("2025-02-21T05:42:{:02}Z", (number * 7) % 20));
            decision
        })
        .collect();
    let chunk = |decisions: &[Value]| {
        let sent = gzip(json!(decisions).to_string().as_bytes());
        let body = body::decode(Some("gzip"), &sent, limits::BODY_BYTES_MAX).unwrap().into_owned();
        read(named("opa"), &body)
    };
    let whole = chunk(&decisions);
    assert!(
        whole.events.is_sorted_by_key(Event::event_time),
        "by what the replica says, not by the order of the chunk"
    );
    let again = chunk(&decisions);
    assert_eq!(whole, again, "a repeat is the same events, so that the log skips them");
    let cut_anew: Vec<Event> =
        [chunk(&decisions[10..]), chunk(&decisions[..15])].into_iter().flat_map(|part| part.events).collect();
    let ids = |events: &[Event]| events.iter().map(Event::event_id).collect::<BTreeSet<_>>();
    assert_eq!(ids(&cut_anew), ids(&whole.events));
}

/// `NaN` is no JSON and costs its record; `1e400` is JSON and no number that a machine has.
#[test]
fn nan_and_1e400_cost_at_most_their_record() {
    for feed in feeds::all() {
        let (before, after) = (good(feed.name(), 1).to_string(), good(feed.name(), 2).to_string());
        for number in ["NaN", "Infinity", "-Infinity"] {
            let spoiled = good(feed.name(), 3).to_string().replacen('{', &format!("{{\"zz\":{number},"), 1);
            let reading = read(feed, format!("{before}\n{spoiled}\n{after}").as_bytes());
            check(feed, &reading);
            assert_eq!((reading.events.len(), reading.rejects.len()), (2, 1), "{} {number}", feed.name());
            assert_eq!(reading.rejects[0].line, Some(2), "{}", feed.name());
        }
        let huge = good(feed.name(), 3).to_string().replacen('{', "{\"zz\":1e400,", 1);
        let reading = read(feed, format!("{before}\n{huge}\n{after}").as_bytes());
        check(feed, &reading);
        assert_eq!(reading.events.len() + reading.rejects.len(), 3, "{}", feed.name());
    }
}

/// A sum that is no number must not become one that a rule compares.
#[test]
fn an_amount_beyond_all_numbers_is_refused_by_name() {
    for amount in ["1e400", "\"1e400\"", "\"NaN\"", "\"-1\"", "\"0x10\"", "1.5"] {
        let order = good("custody", 1).to_string();
        let text = order.replace("\"30000000000000000000000\"", amount);
        assert_ne!(order, text, "the example has that amount");
        let reading = read(named("custody"), text.as_bytes());
        assert_eq!((reading.events.len(), reading.rejects[0].field.as_str()), (0, "amount"), "{amount}");
    }
}

/// Two readers of a record with a name twice could see two different sessions.
#[test]
fn a_name_that_is_there_twice_costs_its_record_in_every_feed() {
    for feed in feeds::all() {
        let (one, other) = (good(feed.name(), 1).to_string(), good(feed.name(), 2));
        let doubled = other.to_string().replacen('{', "{\"zz\":1,\"z\\u007a\":2,", 1);
        let reading = read(feed, format!("[{one},{doubled}]").as_bytes());
        check(feed, &reading);
        assert_eq!((reading.events.len(), reading.rejects.len()), (1, 1), "{}", feed.name());
        assert!(reading.rejects[0].reason.contains("twice"), "{}: {}", feed.name(), reading.rejects[0].reason);
    }
}

/// One address is one text whatever its checksum's capitals (EIP-55), and one that only looks like it is another.
#[test]
fn an_address_has_one_form_and_its_imitation_another() {
    let honest = "0xeca33dc9e896072d4edc4a0218391fa27b5c5af7";
    let to = |address: &str| {
        let mut order = good("custody", 1);
        order["to"] = json!(address);
        read(named("custody"), order.to_string().as_bytes()).events[0].to_address().unwrap().to_owned()
    };
    for spelled in ["0xECA33dC9E896072d4EDC4A0218391fA27B5c5aF7", "0XECA33DC9E896072D4EDC4A0218391FA27B5C5AF7", honest]
    {
        assert_eq!(to(spelled), honest);
    }
    for imitation in [
        "0xe\u{441}a33dc9e896072d4edc4a0218391fa27b5c5af7",   // Cyrillic es
        "0xec\u{430}33dc9e896072d4edc4a0218391fa27b5c5af7",   // Cyrillic a
        "0x\u{ff45}ca33dc9e896072d4edc4a0218391fa27b5c5af7",  // full width e
        "0xeca33dc9e896072d4edc4a0218391fa27b5c5af7\u{200b}", // with a space of no width
    ] {
        assert_ne!(to(imitation), honest, "{imitation}");
    }
    // Where an address is parsed and not only compared, an imitation is none.
    let mut proposal = good("safe", 1);
    proposal["to"] = json!("0xe\u{441}a33dc9e896072d4edc4a0218391fa27b5c5af7");
    let reading = read(named("safe"), proposal.to_string().as_bytes());
    assert_eq!((reading.events.len(), reading.rejects[0].field.as_str()), (0, "to"));
}

/// Ten gigabytes of spaces in ten megabytes: no more than the cap comes out of it.
#[test]
#[expect(clippy::disallowed_methods, reason = "measures that it ends at the cap")]
fn p7_a_gzip_bomb_of_10_gb_is_refused_at_the_cap() {
    let member = gzip(&vec![b' '; 64 << 20]);
    let bomb = member.repeat(160);
    assert!(bomb.len() < limits::BODY_BYTES_MAX, "{} bytes would be refused for their size", bomb.len());
    let started = std::time::Instant::now();
    let refused = body::decode(Some("gzip"), &bomb, limits::BODY_BYTES_MAX).unwrap_err();
    assert_eq!(refused, Error::TooLarge { max: limits::BODY_BYTES_MAX, after: " after decompression" });
    assert!(started.elapsed().as_secs() < 10, "{:?}: 32 MiB come out within a second", started.elapsed());
}

/// Whoever holds one source's credential forges the record of another before it arrives, under the id that it will have.
#[test]
fn p8_a_forged_event_cannot_take_the_id_of_another_sources_or_systems() {
    for feed in feeds::all() {
        let record = good(feed.name(), 1).to_string();
        let ids = |system: &str, source: &str| {
            read_as(feed, system, source, &record).iter().map(Event::event_id).collect::<BTreeSet<_>>()
        };
        let own = ids("cold", "idp");
        assert!(!own.is_empty() && own == ids("cold", "idp"), "{}", feed.name());
        assert!(own.is_disjoint(&ids("cold", "forger")), "{}: the id is the speaker's", feed.name());
        assert!(own.is_disjoint(&ids("hot", "idp")), "{}: and its system's", feed.name());
    }
}

/// Not even a record that names system, source and id speaks for another.
#[test]
fn p8_a_record_cannot_say_who_speaks() {
    for feed in feeds::all() {
        let mut record = good(feed.name(), 1);
        let plain = read_as(feed, "cold", "idp", &record.to_string());
        if feed.name() != "events" {
            record["system"] = json!("hot");
            record["event_id"] = json!("00000000000000000000000000000000");
        }
        for event in read(feed, record.to_string().as_bytes()).events {
            assert_eq!((event.system(), event.source()), ("cold", "idp"), "{}", feed.name());
            assert_eq!(event.kind(), plain[0].kind(), "{}", feed.name());
        }
    }
}
