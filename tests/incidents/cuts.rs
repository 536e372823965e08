//! Promise P1 over the incidents: the records alone decide what is found.

use std::sync::OnceLock;

use keywatch_detectors::Decided;
use keywatch_store::log::embedded::{EmbeddedLog, Options};
use keywatch_store::{Clock, Event, Log, Position, Topic};
use proptest::prelude::*;

use super::recording::incidents;
use super::rules::{admitted, bytes, decided, engine, run};

/// The events of both incidents as a log has them, with what is found in one piece.
fn in_one_piece() -> &'static [(Vec<Event>, Vec<Decided>); 2] {
    static WHOLE: OnceLock<[(Vec<Event>, Vec<Decided>); 2]> = OnceLock::new();
    WHOLE.get_or_init(|| {
        incidents().map(|incident| {
            let events = admitted(incident.events);
            let found = decided(&events, &[]);
            assert_eq!(found.len(), incident.expected.len());
            (events, found)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p1_any_batch_cut_gives_the_same_findings(
        shares in prop::collection::vec(0.0..1.0_f64, 0..200),
        bursts in prop::collection::vec((0.0..1.0_f64, 1..12_usize), 0..8),
    ) {
        for (events, whole) in in_one_piece() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "an index")]
            let index = |share: f64| (share * events.len() as f64) as usize;
            // Single cuts, and runs of batches of one record.
            let runs = bursts.iter().flat_map(|(share, length)| (0..*length).map(|step| index(*share) + step));
            let mut cuts: Vec<usize> = shares.iter().map(|share| index(*share)).chain(runs).collect();
            cuts.retain(|cut| *cut <= events.len());
            cuts.sort_unstable();
            prop_assert_eq!(bytes(&decided(events, &cuts)), bytes(whole));
        }
    }
}

#[test]
fn p1_record_by_record_gives_the_same_findings_at_the_same_positions() {
    for (events, whole) in in_one_piece() {
        let cuts: Vec<usize> = (0..events.len()).collect();
        let one_by_one = decided(events, &cuts);
        assert_eq!(bytes(&one_by_one), bytes(whole));
        let positions = |found: &[Decided]| found.iter().map(|decided| decided.position).collect::<Vec<_>>();
        assert_eq!(positions(&one_by_one), positions(whole));
    }
}

fn open(directory: &std::path::Path) -> EmbeddedLog {
    EmbeddedLog::open(directory, Options::new(Clock::Recorded)).unwrap()
}

/// What the rules find in the log from its beginning on, read in pieces of that many records.
fn read_and_run(log: &EmbeddedLog, records: usize) -> Vec<Decided> {
    let (mut engine, mut position, mut found) = (engine(), Position::default(), Vec::new());
    loop {
        let events = log.read(Topic::Events, position, records).unwrap();
        if events.is_empty() {
            return found;
        }
        found.extend(run(&mut engine, usize::try_from(position.0).unwrap(), &events));
        position = position.plus(events.len());
    }
}

#[test]
fn p1_the_log_on_disk_with_a_restart_in_the_middle_gives_the_same_findings() {
    for (events, whole) in in_one_piece() {
        for stop in [events.len() / 3, events.len() - 590, events.len() - 400] {
            let directory = tempfile::tempdir().unwrap();
            let log = open(directory.path());
            log.append(Topic::Events, events[..stop].to_vec()).unwrap();
            let before = read_and_run(&log, 700);
            drop(log);
            let log = open(directory.path());
            log.append(Topic::Events, events[stop..].to_vec()).unwrap();
            assert_eq!(log.read(Topic::Events, Position::default(), events.len()).unwrap(), *events);
            let again = read_and_run(&log, 333);
            assert_eq!(bytes(&again), bytes(whole), "stopped before record {stop}");
            let after: Vec<Decided> = again.into_iter().filter(|decided| decided.position.0 >= stop as u64).collect();
            assert_eq!([bytes(&before), bytes(&after)].concat(), bytes(whole), "stopped before record {stop}");
        }
    }
}

#[test]
fn p1_two_systems_in_one_partition() {
    let [(one, found_in_one), (other, found_in_other)] = in_one_piece();
    // They lie months apart; they are made to happen in the same days, so that their records really alternate.
    let moved_ns = one.last().unwrap().time().0 - other.last().unwrap().time().0 + 1_234_567_891;
    let moved = |event: &Event| {
        let (time, claimed) = (event.time().saturating_add(moved_ns), event.event_time().saturating_add(moved_ns));
        event.changed(|event| event.time(time).event_time(claimed))
    };
    let together = admitted(one.iter().cloned().chain(other.iter().map(moved)).collect());
    let turns = together.array_windows().filter(|[one, next]| one.system() != next.system()).count();
    assert!(turns > 1000, "the records alternate {turns} times only");
    let mut found = bytes(&decided(&together, &[]));
    let mut apart = bytes(found_in_one);
    apart.extend(bytes(&decided(&other.iter().map(moved).collect::<Vec<_>>(), &[])));
    assert_eq!(found.len(), found_in_one.len() + found_in_other.len());
    found.sort();
    apart.sort();
    assert_eq!(found, apart);
}
