//! When a parked rule is tried again, which records it gets, and what is written about it.

use keywatch_detectors::{Rule, Settings};
use keywatch_store::event::Origin;
use keywatch_store::log::memory::MemoryLog;

use super::*;

const RULE: &str =
    "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n
    SELECT event_id, actor AS entity, 100 / asn AS share FROM events WHERE kind = 'decision'";

fn event(index: i64, asn: i64) -> Event {
    let origin = Origin { system: "cold".to_owned(), source: "opa".to_owned() };
    let time = keywatch_store::Instant(1 + index * 1_000_000);
    let mut event = Event::builder(&origin, &index.to_string(), "decision", time);
    event.time(time).actor("ann").asn(asn).build_own()
}

/// A log of that many decisions, the one at `poisoned` with a zero, and what an engine with one rule made of it.
fn parked_at(poisoned: i64, records: i64) -> (MemoryLog, Engine, Isolation, Instant) {
    park(poisoned, records, Engine::new(&[Rule::parse("t/shares", RULE).unwrap()], &Settings::default()).unwrap())
}

fn park(poisoned: i64, records: i64, mut engine: Engine) -> (MemoryLog, Engine, Isolation, Instant) {
    let log = MemoryLog::new();
    log.append(Topic::Events, (0..records).map(|index| event(index, i64::from(index != poisoned))).collect()).unwrap();
    let (mut isolation, now) = (Isolation::default(), Instant::now());
    let mut position = Position::default();
    while position < log.end(Topic::Events) {
        let events = log.read(Topic::Events, position, PIPELINE_RECORDS_MAX).unwrap();
        for parked in engine.run(position, &events).unwrap().parked {
            let records = isolation.park(&parked, &events, now);
            assert_eq!(records.len(), 1);
            assert_eq!((records[0].kind(), records[0].system()), ("rule.parked", "cold"));
            assert_eq!(records[0].detail().value()["failures"], 1);
        }
        position = position.plus(events.len());
    }
    assert!(isolation.is_parked("t/shares"));
    (log, engine, isolation, now)
}

#[test]
fn waits_double_and_end_at_ten_minutes() {
    let seconds: Vec<u64> = [1, 2, 3, 10, 11, 64, 65, u32::MAX].map(|failures| wait(failures).as_secs()).to_vec();
    assert_eq!(seconds, [1, 2, 4, 512, 600, 600, 600, 600]);
}

#[test]
fn p3_a_parked_rule_is_taken_through_the_log_in_slices_once_it_is_due() {
    let (log, mut engine, mut isolation, begun) = parked_at(5000, 20_000);
    let end = log.end(Topic::Events);
    assert!(isolation.slice(&mut engine, &log, end, begun).unwrap().is_none(), "it is not due yet");

    let due = begun + Duration::from_secs(1);
    let (mut slices, mut found, mut records, mut skipped) = (0, Vec::new(), Vec::new(), Vec::new());
    while let Some(slice) = isolation.slice(&mut engine, &log, end, due).unwrap() {
        slices += 1;
        found.extend(slice.findings.iter().map(|decided| decided.position.0));
        records.extend(slice.records);
        skipped.extend(slice.skipped);
        assert_eq!(slice.ended.is_some(), slice.findings.last().is_some_and(|last| last.position.0 == 19_999));
    }
    assert_eq!(slices, 20_000_usize.div_ceil(PIPELINE_RECORDS_MAX));
    assert_eq!(found, (4096..20_000).filter(|position| *position != 5000).collect::<Vec<_>>());
    assert_eq!(skipped.iter().map(|skipped| skipped.event).collect::<Vec<_>>(), [Some(event(5000, 0).event_id())]);
    let [resumed] = records.as_slice() else { panic!("{records:?}") };
    let detail = resumed.detail().value();
    assert_eq!(
        (resumed.kind(), &detail["from_position"], &detail["to_position"]),
        ("rule.resumed", &4096.into(), &20_000.into())
    );
    assert_eq!((&detail["findings"], detail["skipped"].as_array().unwrap().len()), (&15_903.into(), 1));
    assert_eq!(detail["from_time"].as_str(), Some(event(4096, 1).time().to_string().as_str()));
    assert_eq!(detail["to_time"].as_str(), Some(event(19_999, 1).time().to_string().as_str()));

    assert!(!isolation.is_parked("t/shares"));
    assert_eq!(engine.run(end, &[event(20_000, 1)]).unwrap().findings.len(), 1, "it is evaluated with the others");
}

#[test]
fn a_rule_that_fails_again_soon_waits_longer() {
    let (log, mut engine, mut isolation, begun) = parked_at(10, 100);
    let end = log.end(Topic::Events);
    let due = begun + Duration::from_secs(1);
    isolation.slice(&mut engine, &log, end, due).unwrap().unwrap();
    assert!(!isolation.is_parked("t/shares"));

    let parked = Parked { rule: "t/shares".to_owned(), problem: "again".to_owned(), from: end };
    let failures = |records: &[Event]| records[0].detail().value()["failures"].as_u64();
    assert_eq!(failures(&isolation.park(&parked, &[event(100, 1)], due + Duration::from_mins(1))), Some(2));
    let late = due + Duration::from_mins(1);
    assert!(isolation.slice(&mut engine, &log, end, late + Duration::from_secs(1)).unwrap().is_none());
    let again = isolation.slice(&mut engine, &log, end, late + Duration::from_secs(2)).unwrap().unwrap();
    assert_eq!(again.ended, Some(("t/shares".to_owned(), RetryOutcome::Resumed)));
    let much_later = late + Duration::from_mins(11);
    assert_eq!(failures(&isolation.park(&parked, &[event(100, 1)], much_later)), Some(1));
}

#[test]
fn gaps_that_the_log_leaves_open_are_distinguished_from_those_that_were_filled() {
    let gap =
        |rule: &str| Gap { rule: rule.to_owned(), from: Position(3), systems: BTreeSet::from(["cold".to_owned()]) };
    let log = MemoryLog::new();
    let mut open = rule_records::OpenGaps::default();
    for rule in ["t/filled", "t/gone", "t/open"] {
        open.observe(&rule_records::parked(&gap(rule), "why", 1, Duration::from_secs(1)));
    }
    open.observe(&rule_records::resumed(&gap("t/filled"), &log, Position(9), 0, &BTreeSet::new()).unwrap());
    assert_eq!(open.filled(|rule| rule != "t/gone"), [gap("t/open")]);
}

#[test]
fn p3_a_rule_whose_windows_fail_on_a_record_waits_longer_each_time_and_goes_on_without_it() {
    let sql = RULE.replace("100 / asn", "asn");
    let engine = Engine::new(&[Rule::parse("t/shares", &sql).unwrap()], &Settings::default()).unwrap();
    let panics = |_: &str, events: &[Event]| assert!(events.iter().all(|event| event.asn() != Some(0)), "a bug");
    let (log, mut engine, mut isolation, mut now) = park(9000, 12_000, engine.with_fault(panics));
    let directory = tempfile::tempdir().unwrap();
    let unreadable = directory.path().join("not-a-directory");
    std::fs::write(&unreadable, "").unwrap();
    isolation.start_from(Snapshots::at(&unreadable));
    let (end, mut found, mut written, mut skipped) = (log.end(Topic::Events), Vec::new(), Vec::new(), Vec::new());
    for seconds in [1, 2, 4] {
        now += Duration::from_millis(1000 * seconds - 1);
        assert!(isolation.slice(&mut engine, &log, end, now).unwrap().is_none(), "it is not due yet");
        now += Duration::from_millis(1);
        while let Some(slice) = isolation.slice(&mut engine, &log, end, now).unwrap() {
            found.extend(slice.findings.iter().map(|decided| decided.position.0));
            skipped.extend(slice.skipped.iter().map(|skipped| skipped.event.unwrap()));
            written.extend(
                slice
                    .records
                    .iter()
                    .map(|record| (record.kind().to_owned(), record.detail().value()["failures"].as_u64())),
            );
        }
    }
    let parked = |failures| ("rule.parked".to_owned(), Some(failures));
    assert_eq!(written, [parked(2), parked(3), ("rule.resumed".to_owned(), None)]);
    assert_eq!(skipped, [event(9000, 0).event_id()]);
    assert_eq!(found, (8192..12_000).filter(|position| *position != 9000).collect::<Vec<_>>(), "each once");
}

#[test]
fn p3_a_rule_comes_back_from_the_last_snapshot_before_its_gap_that_holds_it() {
    let counted = RULE.replace(
        "100 / asn AS share FROM events WHERE kind = 'decision'",
        "n, 100 / asn AS share FROM (SELECT *, count(*) OVER (PARTITION BY actor ORDER BY time RANGE BETWEEN UNBOUNDED \
         PRECEDING AND CURRENT ROW) AS n FROM events WHERE kind = 'decision')",
    );
    let engine = |id: &str| Engine::new(&[Rule::parse(id, &counted).unwrap()], &Settings::default()).unwrap();
    for (kept, slices_needed) in [("t/shares", 3), ("t/other", 5)] {
        let (log, mut engine_, mut isolation, begun) = park(17_000, 20_000, engine("t/shares"));
        let directory = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::at(directory.path());
        let (mut earlier, position) = (engine(kept), Position(8192));
        earlier.run(Position(0), &log.read(Topic::Events, Position(0), 8192).unwrap()).unwrap();
        snapshots.write(&earlier, &log, position).unwrap();
        isolation.start_from(snapshots);

        let (end, due) = (log.end(Topic::Events), begun + Duration::from_secs(1));
        let (mut slices, mut found) = (0, Vec::new());
        while let Some(slice) = isolation.slice(&mut engine_, &log, end, due).unwrap() {
            slices += 1;
            found.extend(slice.findings.into_iter().map(|found| (found.position.0, found.finding.facts["n"].clone())));
        }
        assert_eq!(slices, slices_needed, "a snapshot with {kept}");
        let counted = (16_384..20_000_u64).filter(|position| *position != 17_000);
        let counted: Vec<_> = counted.map(|position| (position, (position + 1).to_string())).collect();
        assert_eq!(found, counted, "each once, with its count");
        let next = engine_.run(end, &[event(20_000, 1)]).unwrap().findings;
        assert_eq!(next[0].finding.facts["n"], "20001", "it remembers all");
    }
}

#[test]
fn every_attempt_starts_from_the_snapshot_that_the_first_one_found() {
    let sql = RULE.replace("100 / asn", "asn");
    let engine = || Engine::new(&[Rule::parse("t/shares", &sql).unwrap()], &Settings::default()).unwrap();
    let panics = |_: &str, events: &[Event]| assert!(events.iter().all(|event| event.asn() != Some(0)), "a bug");
    let directory = tempfile::tempdir().unwrap();
    for (kept, slices_needed) in [(None, [3, 3, 3]), (Some(4096), [2, 2, 2])] {
        let (log, mut parked, mut isolation, mut now) = park(9000, 12_000, engine().with_fault(panics));
        let (snapshots, mut earlier) = (Snapshots::at(directory.path()), engine());
        if let Some(records) = kept {
            earlier.run(Position(0), &log.read(Topic::Events, Position(0), records).unwrap()).unwrap();
            snapshots.write(&earlier, &log, Position(records as u64)).unwrap();
        }
        isolation.start_from(snapshots);
        let mut slices = [0; 3];
        for (attempt, slices) in slices.iter_mut().enumerate() {
            now += wait(u32::try_from(attempt).unwrap() + 1);
            while isolation.slice(&mut parked, &log, log.end(Topic::Events), now).unwrap().is_some() {
                *slices += 1;
            }
        }
        assert_eq!(slices, slices_needed, "a snapshot of {kept:?} records");
        assert!(!isolation.is_parked("t/shares"));
    }
}
