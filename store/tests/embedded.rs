//! The embedded log against the log's contract: the same records as the log in memory, locked, retained, guarded.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::support::{event, open, read_all, saying};
use keywatch_store::error::Remedy;
use keywatch_store::limits::{
    APPEND_EVENTS_MAX, BATCH_BYTES_MAX, CLOCK_JUMP_NS_MAX, LINES_IN_MEMORY_BYTES_MAX, REPEAT_HORIZON_NS,
};
use keywatch_store::log::embedded::{Clocks, EmbeddedLog, Options};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Clock, Error, Event, Instant, Inventory, Log, Position, Topic};
use proptest::prelude::*;

const DAY_NS: i64 = 86_400_000_000_000;

#[test]
fn what_is_appended_is_read_back_before_and_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let first = log.append(Topic::Events, vec![event("s", "1", 100), event("t", "1", 50)]).unwrap();
    assert_eq!((first.first, first.written.len()), (Position(0), 2));
    let second = log.append(Topic::Events, vec![event("s", "1", 100), event("s", "2", 90)]).unwrap();
    assert_eq!((second.first, second.written.len(), second.repeats), (Position(2), 1, 1));
    log.append(Topic::Conclusions, vec![event("s", "1", 7)]).unwrap();
    let written = [first.written, second.written].concat();
    let head = log.head(Topic::Events);
    let check = |log: &EmbeddedLog| {
        assert_eq!(log.read(Topic::Events, Position(0), 10).unwrap(), written);
        assert_eq!(log.read(Topic::Events, Position(1), 1).unwrap(), written[1..2]);
        assert_eq!(log.read(Topic::Events, Position(3), 10).unwrap(), []);
        assert_eq!(log.end(Topic::Conclusions), Position(1));
        assert_eq!(log.time_of("s"), Some(Instant(101)));
        assert_eq!(log.systems(), ["s", "t"]);
        assert_eq!(log.head(Topic::Events), head);
        assert_eq!(log.verify(Topic::Events, |_| ()).unwrap().hash, head.hash);
    };
    check(&log);
    drop(log);
    check(&open(directory.path()));
}

#[test]
fn appends_that_are_begun_stand_in_their_order_and_need_nobody_to_wait() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let begin = |id: &str, time| log.begin_append(Topic::Events, vec![event("s", id, time)]).unwrap();
    let (first, second, third) = (begin("1", 100), begin("2", 90), begin("1", 100));
    // The last one is a repeat, and knows it although the first was not durable when it was begun.
    assert_eq!(third.wait().unwrap().repeats, 1);
    assert_eq!(second.wait().unwrap().first, Position(1));
    assert_eq!(first.wait().unwrap().first, Position(0));
    let unheard = begin("3", 110);
    drop(log);
    let log = open(directory.path());
    assert_eq!(log.end(Topic::Events), Position(3));
    assert_eq!(unheard.wait().unwrap().written, log.read(Topic::Events, Position(2), 1).unwrap());
}

#[test]
fn a_directory_serves_one_log_with_one_clock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("not/there/yet");
    let log = open(&path);
    let second = EmbeddedLog::open(&path, Options::new(Clock::Recorded)).unwrap_err();
    assert!(matches!(&second, Error::InUse { path: named } if *named == path));
    assert_eq!(second.remedy(), Remedy::Retry);
    drop(log);
    let other = EmbeddedLog::open(&path, Options::new(Clock::Wall)).unwrap_err();
    assert!(matches!(other, Error::OtherClock { found: Clock::Recorded, wanted: Clock::Wall, .. }), "{other}");
}

#[cfg(unix)]
#[test]
fn the_key_is_the_owners_and_a_log_without_its_key_is_not_given_another() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let key = directory.path().join("keywatch.key");
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(&key).unwrap();
    let missing = EmbeddedLog::open(directory.path(), Options::new(Clock::Recorded)).unwrap_err();
    assert!(missing.to_string().contains("keywatch.key: cannot read the key"), "{missing}");
    assert!(!key.exists());
}

#[test]
fn what_could_not_be_read_back_is_refused_and_nothing_of_it_written() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let blob = serde_json::json!({ "blob": "x".repeat(1 << 20) });
    let long = event("s", "2", 2).changed(|event| event.detail(&blob));
    let refused = log.append(Topic::Events, vec![event("s", "1", 1), long]).unwrap_err();
    assert!(matches!(&refused, Error::Line { field, .. } if field == "line"), "{refused}");
    let many = (0..=APPEND_EVENTS_MAX).map(|number| event("s", &number.to_string(), 1)).collect();
    assert_eq!(log.append(Topic::Events, many).unwrap_err().remedy(), Remedy::Reject);
    assert_eq!(log.append(Topic::Events, vec![event("s", "1", 1)]).unwrap().first, Position(0));
}

#[test]
fn a_large_append_is_cut_into_batches_and_read_in_any_steps() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let wide = |number: usize| saying("s", &number.to_string(), 1, &"y".repeat(number % 4000));
    let events: Vec<Event> = (0..10_000).map(wide).collect();
    let bytes: usize = events.iter().map(|event| keywatch_store::line::write(event).len()).sum();
    let written = log.append(Topic::Events, events).unwrap().written;
    let mut reached = Vec::new();
    let verified = log.verify(Topic::Events, |position| reached.push(position)).unwrap();
    assert!(reached.len() > bytes / BATCH_BYTES_MAX, "{reached:?}");
    assert_eq!((verified.batches, verified.end), (reached.len() as u64, Position(10_000)));
    for step in [1, 7, 999, 20_000] {
        assert!(read_all(&log, Topic::Events, Position(0), step) == written, "in steps of {step}");
    }
    assert!(read_all(&log, Topic::Events, Position(1234), 100) == written[1234..]);
}

#[test]
fn delays_declared_before_reopening_still_make_late() {
    let directory = tempfile::tempdir().unwrap();
    let declared = r#"
        [[systems]]
        id = "s"
        [[systems.sources]]
        source = "source-1"
        feed = "events"
        max_delay_seconds = 5
    "#;
    let inventory = Inventory::parse("i.toml", declared).unwrap();
    let log = open(directory.path());
    log.append(Topic::Events, inventory.activation(Instant(1))).unwrap();
    drop(log);
    let log = open(directory.path());
    let said = |id: &str, event_time: i64| {
        event("s", id, 10_000_000_000).changed(|event| event.event_time(Instant(event_time)))
    };
    let appended = log.append(Topic::Events, vec![said("1", 4_000_000_000), said("2", 6_000_000_000)]).unwrap();
    let late: Vec<bool> = appended.written.iter().map(keywatch_store::Event::late).collect();
    assert_eq!(late, [true, false]);
}

#[test]
fn ids_are_remembered_over_the_horizon_across_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    log.append(Topic::Events, vec![event("s", "1", 100), event("idle", "1", 100)]).unwrap();
    for step in 1..=7 {
        log.append(Topic::Events, vec![event("s", &format!("day {step}"), 100 + step * DAY_NS)]).unwrap();
    }
    drop(log);
    let log = open(directory.path());
    assert_eq!(log.append(Topic::Events, vec![event("s", "1", 100)]).unwrap().repeats, 1);
    assert_eq!(log.append(Topic::Events, vec![saying("s", "1", 100, "other")]).unwrap().conflicts, 1);
    log.append(Topic::Events, vec![event("s", "later", 100 + REPEAT_HORIZON_NS + DAY_NS)]).unwrap();
    drop(log);
    let log = open(directory.path());
    let again = log.append(Topic::Events, vec![event("s", "1", 100), event("s", "day 2", 100 + 2 * DAY_NS)]).unwrap();
    assert_eq!((again.written.len(), again.repeats), (1, 1));
    assert_eq!(log.append(Topic::Events, vec![event("idle", "1", 100)]).unwrap().repeats, 1);
}

#[derive(Clone, Default)]
struct TestClocks {
    wall_ns: Arc<AtomicI64>,
    monotonic_ns: Arc<AtomicI64>,
}

impl TestClocks {
    fn advance(&self, wall_ns: i64, monotonic_ns: i64) {
        self.wall_ns.fetch_add(wall_ns, Ordering::SeqCst);
        self.monotonic_ns.fetch_add(monotonic_ns, Ordering::SeqCst);
    }
}

impl Clocks for TestClocks {
    fn wall(&self) -> Instant {
        Instant(self.wall_ns.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic_ns.load(Ordering::SeqCst).unsigned_abs())
    }
}

fn open_wall(path: &Path, clocks: &TestClocks) -> EmbeddedLog {
    let options = Options { clocks: Box::new(clocks.clone()), ..Options::new(Clock::Wall) };
    EmbeddedLog::open(path, options).unwrap()
}

#[test]
fn a_wall_clock_gives_the_time_of_appending_until_it_jumps() {
    for jump in [CLOCK_JUMP_NS_MAX + 1_000_000, -CLOCK_JUMP_NS_MAX - 1_000_000] {
        let directory = tempfile::tempdir().unwrap();
        let clocks = TestClocks::default();
        clocks.advance(1_000 * DAY_NS, 0);
        let log = open_wall(directory.path(), &clocks);
        clocks.advance(DAY_NS + CLOCK_JUMP_NS_MAX, DAY_NS);
        let written = log.append(Topic::Events, vec![event("s", "1", 7), event("s", "2", 7)]).unwrap().written;
        let expected = 1_001 * DAY_NS + CLOCK_JUMP_NS_MAX;
        assert_eq!([written[0].time(), written[1].time()], [Instant(expected), Instant(expected + 1)]);
        clocks.advance(jump - CLOCK_JUMP_NS_MAX, 0);
        for _ in 0..2 {
            let stopped = log.append(Topic::Events, vec![event("s", "3", 7)]).unwrap_err();
            assert!(matches!(stopped, Error::ClockJump { jump_ms } if jump_ms == jump / 1_000_000), "{stopped}");
        }
        assert_eq!(log.wait_past(Topic::Events, Position(2), Duration::from_hours(1)), Position(2));
        drop(log);
        let log = open_wall(directory.path(), &clocks);
        let again = log.append(Topic::Events, vec![event("s", "2", 7), event("s", "3", 7)]).unwrap();
        assert_eq!((again.repeats, again.written.len()), (1, 1));
        assert!(again.written[0].time() > Instant(expected + 1));
    }
}

#[test]
fn a_follower_wakes_when_its_topic_grows() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    assert_eq!(log.wait_past(Topic::Events, Position(0), Duration::from_millis(5)), Position(0));
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            let mut next = Position(0);
            while next < Position(100) {
                let end = log.wait_past(Topic::Events, next, Duration::from_mins(1));
                assert!(end > next, "woke for nothing");
                next = next.plus(log.read(Topic::Events, next, 1000).unwrap().len());
            }
            next
        });
        for number in 0..100 {
            log.append(Topic::Events, vec![event("s", &number.to_string(), 1)]).unwrap();
        }
        assert_eq!(follower.join().unwrap(), Position(100));
    });
}

#[test]
fn threads_that_append_together_share_commits_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..100 {
                    let sent = event(&format!("s{}", thread % 3), &format!("{thread}/{number}"), 1);
                    let appended = log.append(Topic::Events, vec![sent.clone()]).unwrap();
                    let kept = log.read(Topic::Events, appended.first, 1).unwrap();
                    assert_eq!((kept[0].event_id(), &kept), (sent.event_id(), &appended.written));
                }
            });
        }
    });
    let verified = log.verify(Topic::Events, |_| ()).unwrap();
    assert_eq!(verified.end, Position(800));
}

#[test]
fn retention_deletes_only_what_is_old_and_archived_and_the_chain_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    for day in 0..500 {
        let events = (0..3).map(|part| event("s", &format!("{day}/{part}"), 1 + day * DAY_NS + part)).collect();
        log.append(Topic::Events, events).unwrap();
    }
    let now = Instant(500 * DAY_NS);
    let retire = |through: u64, days: i64| log.retire(Topic::Events, Position(through), now, days).unwrap();
    assert_eq!(retire(0, 400), Position(0), "nothing is archived");
    assert_eq!(retire(32, 400), Position(30), "only whole batches below what is archived");
    assert_eq!(retire(1500, 400), Position(300), "only what is older");
    let gone = log.read(Topic::Events, Position(299), 1).unwrap_err();
    assert!(matches!(gone, Error::Expired { asked: 299, oldest: 300 }), "{gone}");
    let head = log.head(Topic::Events);
    let end = head.position;
    drop(log);
    let log = open(directory.path());
    assert_eq!((log.oldest(Topic::Events), log.head(Topic::Events)), (Position(300), head));
    let verified = log.verify(Topic::Events, |_| ()).unwrap();
    assert_eq!((verified.first, verified.end, verified.batches), (Position(300), end, 400));
    assert_eq!(read_all(&log, Topic::Events, Position(300), 1000).len(), 1200);
    assert_eq!(log.retire(Topic::Events, end, now, 0).unwrap(), Position(1479), "ids of the horizon are kept");
    assert_eq!(log.append(Topic::Events, vec![event("s", "499/0", 1 + 499 * DAY_NS)]).unwrap().repeats, 1);
    let later = Instant(600 * DAY_NS);
    assert_eq!(log.retire(Topic::Events, end, later, 0).unwrap(), end, "a topic may become empty");
    drop(log);
    let log = open(directory.path());
    assert_eq!(log.time_of("s"), Some(Instant(3 + 499 * DAY_NS)));
    assert_eq!(log.append(Topic::Events, vec![event("s", "new", 0)]).unwrap().first, end);
    assert_eq!(log.verify(Topic::Events, |_| ()).unwrap().batches, 1);
}

fn appends() -> impl Strategy<Value = Vec<(bool, Vec<Event>)>> {
    let one = (0..3_usize, 0..12_u32, 0..40_i64, 0..3_u8).prop_map(|(system, id, time, content)| {
        let system = ["a", "b", "ü"][system];
        let time = time * DAY_NS / 4;
        match content {
            0 => saying(system, &id.to_string(), time, "other \"words\"\n"),
            _ => event(system, &id.to_string(), time),
        }
    });
    prop::collection::vec((prop::bool::weighted(0.8), prop::collection::vec(one, 0..8)), 1..12)
}

#[test]
fn p7_lines_leave_memory_before_they_are_twice_the_limit() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let said = serde_json::json!({ "blob": "x".repeat(1 << 19) });
    let append = |number: i64| {
        let event = event("s", &number.to_string(), number + 1).changed(|event| event.detail(&said));
        log.append(Topic::Events, vec![event]).unwrap();
    };
    let limit = i64::try_from(LINES_IN_MEMORY_BYTES_MAX >> 19).unwrap();
    (0..limit / 2).for_each(append);
    assert!(!has_table_of_lines(directory.path()), "half of what may be held is on its way already");
    (limit / 2..limit + limit / 4).for_each(append);
    // It is written in the background: ten seconds at most.
    let written = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        has_table_of_lines(directory.path())
    });
    assert!(written, "all is in memory");
}

/// Whether lines stand in a file of their own beside the journals.
fn has_table_of_lines(log: &Path) -> bool {
    let keyspaces = std::fs::read_dir(log.join("data/keyspaces")).unwrap();
    let files = keyspaces.filter_map(|keyspace| std::fs::read_dir(keyspace.unwrap().path().join("blobs")).ok());
    files.flatten().next().is_some()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_grouping_gives_the_records_of_the_log_in_memory(groups in appends(), cut in 0..12_usize, step in 1..9_usize) {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryLog::new();
        let mut log = open(directory.path());
        for (number, (observed, events)) in groups.into_iter().enumerate() {
            if number == cut {
                drop(log);
                log = open(directory.path());
            }
            let topic = if observed { Topic::Events } else { Topic::Conclusions };
            prop_assert_eq!(log.append(topic, events.clone()).unwrap(), memory.append(topic, events).unwrap());
        }
        for topic in Topic::ALL {
            let expected = memory.read(topic, Position(0), usize::MAX).unwrap();
            prop_assert_eq!(read_all(&log, topic, Position(0), step), expected);
            prop_assert_eq!(log.end(topic), memory.end(topic));
        }
        for system in ["a", "b", "ü"] {
            prop_assert_eq!(log.time_of(system), memory.time_of(system));
        }
    }
}
