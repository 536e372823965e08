//! Repeats are recognised over the horizon however few ids are held in memory, and whatever became of the index on disk.

use std::fs;
use std::path::Path;

use crate::support::{event, read_all, saying};
use keywatch_store::limits::REPEAT_HORIZON_NS;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::log::memory::MemoryLog;
use keywatch_store::{Clock, Event, Log, Position, Topic};
use proptest::prelude::*;

/// Opens a log that holds next to no ids in memory.
fn open(path: &Path) -> EmbeddedLog {
    let options = Options { recent_ids_max: 16, ..Options::new(Clock::Recorded) };
    EmbeddedLog::open(path, options).unwrap()
}

fn numbered(numbers: std::ops::Range<i64>) -> Vec<Event> {
    numbers.map(|number| event("s", &number.to_string(), number + 1)).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A closed log of 100 records in commits of 10.
fn hundred(directory: &Path) {
    let log = open(directory);
    for first in (0..100).step_by(10) {
        log.append(Topic::Events, numbered(first..first + 10)).unwrap();
    }
    assert_eq!(log.append(Topic::Events, numbered(0..100)).unwrap().repeats, 100);
}

#[test]
fn without_its_index_or_with_a_damaged_one_a_log_makes_it_again() {
    let cases: [fn(&Path); 6] = [
        |_| (),
        |ids| fs::remove_dir_all(ids).unwrap(),
        |ids| fs::remove_dir_all(ids.join("tables")).unwrap(),
        |ids| fs::remove_file(ids.join("events.marker")).unwrap(),
        |ids| fs::write(ids.join("events.marker"), "nothing of ours").unwrap(),
        |ids| {
            for entry in fs::read_dir(ids.join("tables")).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::write(path, "nothing of ours").unwrap();
                }
            }
        },
    ];
    for (number, damage) in cases.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        hundred(directory.path());
        damage(&directory.path().join("ids"));
        for _ in 0..2 {
            let log = open(directory.path());
            let again = log.append(Topic::Events, numbered(0..100)).unwrap();
            assert_eq!((again.repeats, again.written.len()), (100, 0), "case {number}");
            let other = log.append(Topic::Events, vec![saying("s", "7", 8, "other words")]).unwrap();
            assert!(other.conflicts + other.repeats == 1 && other.conflicts < 2, "case {number}");
        }
    }
}

/// A log that was put back as it was earlier, with its head, and not the index that lies beside it.
#[test]
fn p2_an_index_that_knows_more_than_the_log_swallows_nothing() {
    let directory = tempfile::tempdir().unwrap();
    hundred(directory.path());
    let earlier = tempfile::tempdir().unwrap();
    copy(&directory.path().join("data"), earlier.path());
    let head = fs::read(directory.path().join("head")).unwrap();
    let log = open(directory.path());
    for first in (100..200).step_by(10) {
        log.append(Topic::Events, numbered(first..first + 10)).unwrap();
    }
    drop(log);
    fs::remove_dir_all(directory.path().join("data")).unwrap();
    copy(earlier.path(), &directory.path().join("data"));
    fs::write(directory.path().join("head"), head).unwrap();

    let log = open(directory.path());
    assert_eq!(log.end(Topic::Events), Position(100));
    let again = log.append(Topic::Events, numbered(90..200)).unwrap();
    assert_eq!((again.repeats, again.written.len()), (10, 100), "what the log lost is taken again");
}

/// A system's own time decides, also of ids that left memory long before.
#[test]
fn ids_on_disk_are_forgotten_after_the_horizon_of_their_own_system() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    log.append(Topic::Events, numbered(0..40)).unwrap();
    log.append(Topic::Events, vec![event("other", "far", 40 + 2 * REPEAT_HORIZON_NS)]).unwrap();
    assert_eq!(log.append(Topic::Events, numbered(0..40)).unwrap().repeats, 40);
    log.append(Topic::Events, vec![event("s", "later", 20 + REPEAT_HORIZON_NS)]).unwrap();
    assert_eq!(log.append(Topic::Events, numbered(19..40)).unwrap().repeats, 21, "the first of them was said at 20");
    assert_eq!(log.append(Topic::Events, numbered(0..19)).unwrap().written.len(), 19);
}

fn appends() -> impl Strategy<Value = Vec<(bool, Vec<Event>)>> {
    let one = (0..2_usize, 0..60_u32, 0..40_i64, 0..3_u8).prop_map(|(system, id, time, content)| {
        let (system, time) = (["a", "ü"][system], time * REPEAT_HORIZON_NS / 20);
        match content {
            0 => saying(system, &id.to_string(), time, "other words"),
            _ => event(system, &id.to_string(), time),
        }
    });
    prop::collection::vec((prop::bool::weighted(0.8), prop::collection::vec(one, 0..30)), 1..16)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn with_few_ids_in_memory_the_records_are_those_of_the_log_in_memory(groups in appends(), reopen in 1..6_usize) {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryLog::new();
        let mut log = open(directory.path());
        for (number, (observed, events)) in groups.into_iter().enumerate() {
            if number % reopen == 0 {
                drop(log);
                log = open(directory.path());
            }
            let topic = if observed { Topic::Events } else { Topic::Conclusions };
            prop_assert_eq!(log.append(topic, events.clone()).unwrap(), memory.append(topic, events).unwrap());
        }
        for topic in Topic::ALL {
            prop_assert_eq!(read_all(&log, topic, Position(0), 100), memory.read(topic, Position(0), usize::MAX).unwrap());
        }
    }
}
