//! Segments over a small log: what is kept of it, what is read for what is wanted, and what is made again.

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::event::{Origin, TextColumn};
use crate::log::embedded::{EmbeddedLog, Options};
use crate::log::hash_chain::GENESIS;
use crate::log::memory::MemoryLog;
use crate::{Clock, Event, Instant};

const RECORDS: usize = 3 * SEGMENT_RECORDS_MAX + 100;

fn event(number: usize) -> Event {
    let system = if number < SEGMENT_RECORDS_MAX { "hot" } else { "cold" };
    let origin = Origin { system: system.to_owned(), source: "a".to_owned() };
    let time = Instant(1 + i64::try_from(number).unwrap() * 1000);
    let kind = if number.is_multiple_of(2) { "session.started" } else { "chain.transfer" };
    let mut event = Event::builder(&origin, &number.to_string(), kind, time);
    event.time(time).session(Some(format!("s{}", number / 100)));
    event.build_own()
}

fn fill(log: &dyn Log) {
    let events: Vec<Event> = (0..RECORDS).map(event).collect();
    for batch in events.chunks(1000) {
        log.append(Topic::Events, batch.to_vec()).unwrap();
    }
}

fn made(log: &dyn Log, segments: &Segments) -> u64 {
    let mut read = 0;
    segments
        .catch_up(log, Topic::Events, |records| {
            read += records;
            ControlFlow::Continue(())
        })
        .unwrap();
    read
}

fn read(log: &dyn Log, plan: &ReadPlan, wanted: &Wanted) -> Vec<Event> {
    let read = |stretch: &Stretch| {
        let records = usize::try_from(stretch.end.0 - stretch.first.0).unwrap();
        log.read(Topic::Events, stretch.first, records).unwrap()
    };
    plan.stretches.iter().flat_map(read).filter(|event| wanted.holds(event)).collect()
}

fn questions() -> Vec<Wanted> {
    let one = |text: &str| BTreeSet::from([text.to_owned()]);
    vec![
        Wanted::default(),
        Wanted { time: 1..=5_000_000, ..Wanted::default() },
        Wanted { event_time: 9_000_000..=9_500_000, ..Wanted::default() },
        Wanted { systems: Some(one("hot")), ..Wanted::default() },
        Wanted { names: vec![(TextColumn::Session, one("s100"))], ..Wanted::default() },
        Wanted { names: vec![(TextColumn::Session, one("s100")), (TextColumn::Source, one("a"))], ..Wanted::default() },
        Wanted {
            names: vec![(TextColumn::Session, [1, 99, 240].map(|n| format!("s{n}")).into())],
            ..Wanted::default()
        },
        Wanted { kinds: Some(Kinds::named(&["nothing"])), ..Wanted::default() },
        Wanted { kinds: Some(Kinds { beginnings: vec!["chain.".into()], ..Kinds::default() }), ..Wanted::default() },
    ]
}

/// Whether each question is answered with what a scan of the whole log answers, and whether something was skipped for it.
fn answered_as_by_a_scan(log: &dyn Log, segments: &Segments) -> Vec<bool> {
    let all: Vec<Event> = (0..RECORDS).map(event).collect();
    let mut skipped = Vec::new();
    for wanted in questions() {
        let plan = segments.plan(log, Topic::Events, &wanted);
        let expected: Vec<&Event> = all.iter().filter(|event| wanted.holds(event)).collect();
        assert_eq!(read(log, &plan, &wanted).iter().collect::<Vec<_>>(), expected, "{wanted:?}");
        let planned: u64 = plan.stretches.iter().map(|stretch| stretch.end.0 - stretch.first.0).sum();
        assert_eq!(planned + plan.skipped, RECORDS as u64);
        skipped.push(plan.skipped > 0);
    }
    skipped
}

#[test]
fn what_is_skipped_holds_nothing_that_is_wanted() {
    let expected = [false, true, true, true, true, true, true, true, false];
    let log = MemoryLog::new();
    fill(&log);
    let segments = Segments::in_memory();
    made(&log, &segments);
    assert_eq!(answered_as_by_a_scan(&log, &segments), expected);
    // Here batches have a thousand records, and the pieces of segments begin within them.
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path(), Options::new(Clock::Recorded)).unwrap();
    fill(&log);
    let segments = log.segments();
    made(&log, &segments);
    assert_eq!(answered_as_by_a_scan(&log, &segments), expected);
}

#[test]
fn of_a_segment_only_the_pieces_are_read_that_hold_the_name() {
    let log = MemoryLog::new();
    fill(&log);
    let segments = Segments::in_memory();
    made(&log, &segments);
    let names = vec![(TextColumn::Session, BTreeSet::from(["s100".to_owned()]))];
    let plan = segments.plan(&log, Topic::Events, &Wanted { names, ..Wanted::default() });
    let stretches: Vec<(u64, u64)> = plan.stretches.iter().map(|stretch| (stretch.first.0, stretch.end.0)).collect();
    // Records 10,000 to 10,099 lie in the fourth sixteenth of the second segment; after the third is no segment yet.
    assert_eq!(stretches, [(8192 + 3 * 512, 8192 + 4 * 512), (3 * 8192, 3 * 8192 + 100)]);
}

/// With one wrong answer in a thousand it would be more than two for each of these questions.
#[test]
fn among_many_segments_those_are_opened_that_hold_a_session_and_hardly_another_one() {
    const EACH: usize = 16;
    const SESSIONS: usize = 320;
    let log = MemoryLog::new();
    let events: Vec<Event> = (0..SESSIONS * 100).map(event).collect();
    for batch in events.chunks(1000) {
        log.append(Topic::Events, batch.to_vec()).unwrap();
    }
    let segments = Segments::in_memory();
    let of =
        |(index, events): (usize, &[Event])| Arc::new(Segment::of(Position((index * EACH) as u64), GENESIS, events));
    segments.change(Topic::Events, |made| made.extend(events.chunks(EACH).enumerate().map(of)));
    assert_eq!(segments.made(Topic::Events).len(), 2000);
    let mut in_vain = 0;
    for session in 0..SESSIONS {
        let names = vec![(TextColumn::Session, BTreeSet::from([format!("s{session}")]))];
        let wanted = Wanted { names, ..Wanted::default() };
        let plan = segments.plan(&log, Topic::Events, &wanted);
        assert_eq!(read(&log, &plan, &wanted), events[session * 100..][..100], "s{session}");
        let holds = (session * 100 / EACH) as u64..(session * 100 + 100).div_ceil(EACH) as u64;
        let opened = plan.stretches.iter().map(|stretch| stretch.first.0 / EACH as u64);
        in_vain += opened.filter(|segment| !holds.contains(segment)).count();
    }
    assert!(in_vain < 40, "{in_vain} segments were opened for {SESSIONS} sessions and did not hold them");
}

#[test]
fn segments_are_kept_beside_the_log_and_end_with_its_batches() {
    let directory = tempfile::tempdir().unwrap();
    let open = || EmbeddedLog::open(directory.path(), Options::new(Clock::Recorded)).unwrap();
    let log = open();
    fill(&log);
    let segments = log.segments();
    let read = made(&log, &segments);
    assert!(read > 2 * SEGMENT_RECORDS_MAX as u64 && segments.made(Topic::Events).len() == 3, "{read}");
    for segment in segments.made(Topic::Events).iter() {
        assert_eq!(segment.end.0 % 1000, 0, "batches stay whole");
        assert!(stands(&log, Topic::Events, segment));
    }
    drop(log);
    let log = open();
    let again = log.segments();
    assert_eq!(made(&log, &again), 0, "what is kept is not made again");
    assert_eq!(again.made(Topic::Events), segments.made(Topic::Events));
}

#[test]
fn what_was_changed_or_belongs_to_another_log_counts_for_nothing() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let open = |path: &Path| EmbeddedLog::open(path, Options::new(Clock::Recorded)).unwrap();
    let log = open(one.path());
    fill(&log);
    let all = made(&log, &log.segments());
    let file = one.path().join(DIRECTORY).join("events");
    let whole = fs::read(&file).unwrap();
    // The last byte but those of the MAC belongs to the last filter.
    let mut changed = whole.clone();
    let last = changed.len() - 40;
    changed[last] ^= 1;
    fs::write(&file, &changed).unwrap();
    assert!((1..all).contains(&made(&log, &log.segments())), "what stands before the change is kept");
    assert_eq!(fs::read(&file).unwrap(), whole, "and what was changed is made again");
    fs::write(&file, &whole[..whole.len() - 10]).unwrap();
    assert!((1..all).contains(&made(&log, &log.segments())), "so is what was cut");
    let mut earlier = whole.clone();
    earlier[b"keywatch segments ".len()] = b'1';
    fs::write(&file, &earlier).unwrap();
    assert_eq!(made(&log, &log.segments()), all, "those of an earlier form are all made again");
    assert_eq!(fs::read(&file).unwrap(), whole);

    // The same key and other records.
    fs::copy(one.path().join("keywatch.key"), other.path().join("keywatch.key")).unwrap();
    let stranger = open(other.path());
    let events: Vec<Event> = (5..RECORDS).map(event).collect();
    for batch in events.chunks(1000) {
        stranger.append(Topic::Events, batch.to_vec()).unwrap();
    }
    fs::create_dir_all(other.path().join(DIRECTORY)).unwrap();
    fs::write(other.path().join(DIRECTORY).join("events"), &whole).unwrap();
    let segments = stranger.segments();
    assert!(made(&stranger, &segments) > 2 * SEGMENT_RECORDS_MAX as u64);
    let ends: Vec<bool> =
        segments.made(Topic::Events).iter().map(|one| stands(&stranger, Topic::Events, one)).collect();
    assert_eq!(ends, [true, true, true]);
}

#[test]
fn a_panic_while_segments_are_made_does_not_end_the_making_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(directory.path(), Options::new(Clock::Recorded)).unwrap();
    fill(&log);
    let kept = log.segments();
    for segments in [&kept, &Segments::in_memory()] {
        let broken_off = || segments.catch_up(&log, Topic::Events, |_| panic!("whoever asks breaks off"));
        assert!(catch_unwind(AssertUnwindSafe(broken_off)).is_err());
        made(&log, segments);
        let ends: Vec<bool> = segments.made(Topic::Events).iter().map(|one| stands(&log, Topic::Events, one)).collect();
        assert_eq!(ends, [true, true, true]);
        assert!(answered_as_by_a_scan(&log, segments).contains(&true), "something need not be read");
    }
    assert_eq!(made(&log, &log.segments()), 0, "what is kept is whole");
}
