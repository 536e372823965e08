//! What a simulation promises whatever the rules: the same bytes for the same seed, log time that goes on, the mix that
//! docs/simulator.md gives, labels that name real events.

#![allow(clippy::unwrap_used, reason = "a test panics by design")]

use std::collections::{BTreeMap, BTreeSet};

use keywatch_simulator::{Error, Scenario, Settings, Simulation};
use keywatch_store::{Event, EventId, Inventory, line};

fn settings(events: u64, days: u64) -> Settings {
    Settings { systems: 2, ..Settings::new(events, days, 11) }
}

fn lines(settings: Settings) -> String {
    Simulation::new(settings).unwrap().map(|event| line::write(&event) + "\n").collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let attacked = Settings { attacks: vec![Scenario::StolenSession, Scenario::FeeOutlier], ..settings(40_000, 5) };
    let one = lines(attacked.clone());
    assert!(one == lines(attacked.clone()));
    assert!(one != lines(Settings { seed: 12, ..attacked }));
}

/// A change of what a seed gives is one that somebody has to mean: figures and baselines are compared across it. The
/// digest is FNV-1a, 64 bits.
#[test]
fn what_a_seed_gives_stays_on_every_machine() {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for byte in lines(Settings { attacks: vec![Scenario::NewDestination], ..settings(20_000, 3) }).bytes() {
        digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    assert_eq!(format!("{digest:016x}"), "174b0678cc0019e0");
}

#[test]
fn log_time_strictly_increases_within_a_system_and_every_event_is_a_line() {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for event in Simulation::new(settings(60_000, 7)).unwrap() {
        let before = last.insert(event.system().to_owned(), event.time().0);
        assert!(before.is_none_or(|before| before < event.time().0), "{}", line::write(&event));
        assert!(event.event_time() <= event.time() && ids.insert(event.event_id()), "{}", line::write(&event));
        assert_eq!(line::read(line::write(&event).as_bytes()).unwrap(), event);
        count += 1;
    }
    assert_eq!((count, last.len()), (60_000, 2));
}

#[test]
fn it_begins_with_the_inventory_it_has() {
    let mut simulation = Simulation::new(settings(20_000, 3)).unwrap();
    let declared = simulation.inventory();
    let first: Vec<Event> = simulation.by_ref().take(8).collect();
    let activated = first.iter().filter_map(Inventory::from_activation).flat_map(|inventory| inventory.systems);
    assert_eq!(activated.collect::<Vec<_>>(), declared.systems);
    assert_eq!(first.iter().filter(|event| event.kind() == "source.expected").count(), 6);
}

#[test]
fn the_largest_inventory_is_one_line() {
    let largest = Settings { keys: Some(100_000), ..Settings::new(2_000_000, 30, 1) };
    let first = Simulation::new(largest).unwrap().next().unwrap();
    assert!(line::read(line::write(&first).as_bytes()).is_ok(), "{} bytes", line::write(&first).len());
}

/// What was simulated, by the parts of docs/simulator.md.
#[derive(Default)]
struct Mix {
    counts: BTreeMap<&'static str, u64>,
    sessions: BTreeSet<String>,
    days: i64,
}

fn part(event: &Event) -> &'static str {
    let paid_in_or_nothing =
        event.detail().as_str().contains(r#""in""#) || event.amount().is_some_and(|amount| amount.saturated() == 0);
    match event.kind() {
        "tick" => "ticks",
        "source.heartbeat" => "heartbeats",
        "decision" if event.request().is_none() => "sessions",
        "session.posture" if event.session().is_none() => "releases",
        "session.risk" | "session.mfa_changed" => "upkeep",
        kind if kind.starts_with("session.") => "sessions",
        "chain.transfer" if paid_in_or_nothing => "noise",
        "chain.tx" if event.asset().is_none() => "noise",
        "chain.tx" | "chain.transfer" | "custody.request" | "decision" => "requests",
        kind if kind.starts_with("signing.") => "requests",
        _ => "upkeep",
    }
}

fn mix(settings: Settings) -> Mix {
    let (begin, mut mix) = (settings.start.0, Mix::default());
    for event in Simulation::new(settings).unwrap() {
        *mix.counts.entry(part(&event)).or_default() += 1;
        mix.sessions.extend(event.session().map(str::to_owned));
        mix.days = (event.time().0 - begin) / 86_400_000_000_000;
    }
    mix
}

#[test]
fn the_mix_is_as_documented_whatever_the_keys() {
    for (events, days, keys) in [(400_000, 30, None), (400_000, 30, Some(400)), (400_000, 2, Some(20_000))] {
        let Mix { counts, sessions, days: lasted } = mix(Settings { keys, ..Settings::new(events, days, 3) });
        let bounds = [
            ("sessions", 550, 650),
            ("requests", 170, 230),
            ("noise", 115, 145),
            ("ticks", 20, 30),
            ("heartbeats", 15, 25),
            ("releases", 0, 15),
            ("upkeep", 10, 20),
        ];
        for (part, low, high) in bounds {
            let share = counts.get(part).copied().unwrap_or_default() * 1_000 / events;
            assert!((low..=high).contains(&share), "{part}: {share} of a thousand events, {keys:?} keys of {counts:?}");
        }
        let (asked, had) = (keys.unwrap_or(events / 40), sessions.len() as u64);
        assert!(had * 100 >= asked * 90 && had * 100 <= asked * 110, "{had} sessions, {asked} were asked for");
        assert!(lasted.unsigned_abs().abs_diff(days) <= 1 + days / 15, "{lasted} days");
    }
}

#[test]
fn labels_name_real_events_within_their_time() {
    let attacks = Scenario::ALL.to_vec();
    let planned = 3 * attacks.len();
    let mut simulation = Simulation::new(Settings { attacks, attacks_each: 3, ..settings(800_000, 6) }).unwrap();
    let times: BTreeMap<EventId, (String, i64)> =
        simulation.by_ref().map(|event| (event.event_id(), (event.system().to_owned(), event.time().0))).collect();
    let labels = simulation.take_labels();
    assert_eq!((labels.len(), simulation.attacks_missing()), (planned, Vec::new()));
    for label in labels {
        assert!(!label.events.is_empty() && !label.rules.is_empty(), "{label:?}");
        for id in &label.events {
            let (system, time) = &times[id];
            assert_eq!(system, &label.system);
            assert!((label.from.0..=label.to.0).contains(time), "{label:?}");
        }
    }
}

#[test]
fn a_scenario_that_there_is_not_is_told_with_those_there_are() {
    let error = Scenario::chosen(&["stolen-session", "rain"]).unwrap_err();
    assert_eq!(error, Error::UnknownScenario { name: "rain".to_owned() });
    assert!(error.to_string().contains("stolen-session, swapped-proposal"), "{error}");
    assert_eq!(Scenario::chosen(&["all", "all"]).unwrap(), Scenario::ALL);
}

/// `make bench` runs it and prints.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "what is measured is time, and is read")]
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn bench_events_and_lines_a_second() {
    for keys in [100, 10_000, 100_000] {
        let simulation = || Simulation::new(Settings { keys: Some(keys), ..Settings::new(2_000_000, 30, 1) }).unwrap();
        let clock = std::time::Instant::now();
        let events = simulation().map(|event| event.time().0).filter(|time| *time > 0).count();
        let made = events as f64 / clock.elapsed().as_secs_f64();
        let kept: Vec<Event> = simulation().take(300_000).collect();
        let clock = std::time::Instant::now();
        let bytes: usize = kept.iter().map(|event| line::write(event).len()).sum();
        let written = kept.len() as f64 / clock.elapsed().as_secs_f64();
        println!("{keys} keys: {made:.0} events/s, {written:.0} lines/s of {} bytes", bytes / kept.len());
    }
}
