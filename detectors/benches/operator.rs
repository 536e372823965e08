//! The window operator through the engine's public interface: one keyed count at three numbers of keys, and one rule
//! with five windows. Turning events into columns is part of every run; `no rule` is that alone.
//!
//! Run by hand: `cargo bench --workspace --bench operator`. Every sample takes the next stretch of one endless log, so that
//! windows are full and rows leave them as fast as rows come. Peers on the same queries: the bench `peers` of the root.

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on panics")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use keywatch_detectors::{Engine, Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::{Event, Instant, Position};

const BATCH_EVENTS: usize = 4_096;
const BETWEEN_EVENTS_NS: i64 = 10_000_000;
/// An hour of the log, after which rows leave.
const WARM_EVENTS: usize = 360_000;
const BEGIN_NS: i64 = 1_736_150_400_000_000_000;

const COUNT: &str = "SELECT event_id, session AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY session ORDER BY \
                     time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS n FROM events) WHERE n > 1000000";

const FIVE: &str = "SELECT event_id, session AS entity, n FROM (SELECT *, count(*) OVER w AS n, sum(asn) OVER w AS total, \
                    min(asn) OVER w AS least, max(asn) OVER w AS most, last_value(asn) OVER w AS latest FROM events \
                    WINDOW w AS (PARTITION BY session ORDER BY time RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT \
                    ROW)) WHERE n > 1000000 OR total < 0 OR least < 0 OR most < 0 OR latest < 0";

fn rule(sql: &str) -> Rule {
    let header = "/*\nversion: 1\ntitle: measured\nseverity: low\nentity: session\nmeaning: measured\nrunbook: [none]\n\
                  suppress_for: 0s\n*/\n";
    Rule::parse("bench/measured", &format!("{header}{sql}")).unwrap()
}

/// A log without an end: its events, a batch at a time, and how far the engine is.
struct Endless {
    engine: Engine,
    keys: u64,
    number: usize,
    events: Vec<Event>,
}

impl Endless {
    fn new(rules: &[Rule], keys: u64) -> Endless {
        let engine = Engine::new(rules, &Settings::default()).unwrap();
        let origin = Origin { system: "treasury".to_owned(), source: "idp".to_owned() };
        let event = Event::builder(&origin, "measured", "session.presented", Instant(BEGIN_NS)).build_own();
        let mut endless = Endless { engine, keys, number: 0, events: vec![event; BATCH_EVENTS] };
        while endless.number < WARM_EVENTS {
            endless.next_batch();
            endless.run();
        }
        endless.next_batch();
        endless
    }

    fn next_batch(&mut self) {
        for event in &mut self.events {
            let mixed = (self.number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let time = Instant(BEGIN_NS + i64::try_from(self.number).unwrap() * BETWEEN_EVENTS_NS);
            let session = format!("session-{:020}", (mixed ^ (mixed >> 32)) % self.keys);
            let asn = 64_500 + i64::try_from(mixed % 7).unwrap();
            *event = event.changed(|event| event.time(time).session(&session).asn(asn));
            self.number += 1;
        }
    }

    fn run(&mut self) {
        let first = Position(u64::try_from(self.number - BATCH_EVENTS).unwrap());
        assert!(self.engine.run(first, &self.events).unwrap().parked.is_empty(), "the rule holds");
    }
}

fn operator(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operator");
    group.throughput(Throughput::Elements(BATCH_EVENTS as u64)).sample_size(40);
    let cases = [
        ("no rule", vec![], 10_000),
        ("keyed count", vec![rule(COUNT)], 100),
        ("keyed count", vec![rule(COUNT)], 10_000),
        ("keyed count", vec![rule(COUNT)], 1_000_000),
        ("five windows", vec![rule(FIVE)], 10_000),
    ];
    for (name, rules, keys) in cases {
        let mut log = Endless::new(&rules, keys);
        group.bench_function(BenchmarkId::new(name, keys), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut taken = std::time::Duration::ZERO;
                for _ in 0..iterations {
                    log.next_batch();
                    taken += timed(|| log.run());
                }
                taken
            });
        });
    }
    group.finish();
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the clock, the engine does not")]
fn timed(act: impl FnOnce()) -> std::time::Duration {
    let begun = std::time::Instant::now();
    act();
    begun.elapsed()
}

criterion_group!(benches, operator);
criterion_main!(benches);
