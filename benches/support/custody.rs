//! Custody traffic of the simulator (docs/simulator.md has its mix): one system, 200 000 events and 5 000 sessions a day.

use keywatch_simulator::{Scenario, Settings, Simulation};
use keywatch_store::{Event, Instant};

/// Events of a day.
pub(crate) const DAY_EVENTS: usize = 200_000;
/// The one system that there is.
pub(crate) const SYSTEM: &str = "custody-1";
/// Shipped rules that find honest exceptions in traffic without attacks; no other may find anything.
pub(crate) const SLIPS: [&str; 4] = [
    "chain/amount_outlier",
    "chain/destination_first_seen",
    "session/factor_changed_before_signing",
    "session/two_places",
];
/// Such findings come once in so many events at most.
pub(crate) const EVENTS_A_SLIP_MIN: usize = 15_000;

/// How often each scenario is played in a day with attacks.
const ATTACKS_EACH: u64 = 4;
const MILLISECOND_NS: i64 = 1_000_000;

/// Days without an attack.
pub(crate) fn ordinary(days: usize) -> Simulation {
    let days = days as u64;
    Simulation::new(Settings::new(days * DAY_EVENTS as u64, days, 1)).unwrap()
}

/// Days with every attack in them, so that engines have something to find and what they find can be compared; each day is
/// made when it is asked for. Log time strictly increases by whole milliseconds, since Flink's time attributes have no less.
pub(crate) fn attacked(days: usize) -> impl Iterator<Item = Vec<Event>> {
    let settings = Settings::new((days * DAY_EVENTS) as u64, days as u64, 1);
    let attacks = Scenario::ALL.to_vec();
    let attacks_each = ATTACKS_EACH * days as u64;
    let mut simulation = Simulation::new(Settings { attacks, attacks_each, ..settings }).unwrap();
    let mut last = i64::MIN;
    let mut events = std::iter::from_fn(move || {
        let event = simulation.next()?;
        last = whole_milliseconds(event.time()).max(last.saturating_add(MILLISECOND_NS));
        let claimed = Instant(whole_milliseconds(event.event_time()));
        Some(event.changed(|event| event.time(Instant(last)).event_time(claimed)))
    });
    std::iter::from_fn(move || {
        let day: Vec<Event> = events.by_ref().take(DAY_EVENTS).collect();
        (!day.is_empty()).then_some(day)
    })
}

fn whole_milliseconds(time: Instant) -> i64 {
    time.0.div_euclid(MILLISECOND_NS) * MILLISECOND_NS
}
