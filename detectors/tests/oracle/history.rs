//! Histories: the log of one system with its inventory versions, and several of them interleaved into one log.

use std::collections::BTreeMap;

use keywatch_store::inventory::{Destination, Owner, Person, Source, System, Wallet};
use keywatch_store::{Event, Instant, Inventory};

use super::dice::Dice;
use super::traffic::{self, ACTORS, ADDRESSES, Cast, SOURCES, THEMES, WALLETS};

/// When histories begin.
pub(crate) const START: i64 = 1_740_000_000 * SECOND;
pub(crate) const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// The spans that shipped rules and generated frames look over: rows lie exactly so far apart, and one nanosecond off.
pub(crate) const SPANS: [i64; 16] = [
    1,
    2,
    SECOND,
    5 * SECOND,
    MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    HOUR,
    2 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
    400 * DAY,
];

/// A few of the spans: those that one trial is about.
pub(crate) fn spans(dice: &mut Dice, count: usize) -> Vec<i64> {
    (0..count).map(|_| *dice.pick(&SPANS)).collect()
}

/// The log of one system, in its order.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) system: String,
    pub(crate) events: Vec<Event>,
}

/// How the rows of a system lie in time.
struct Pace<'a> {
    /// Weights of: a nanosecond, seconds, minutes, hours, days.
    weights: [usize; 5],
    /// Spans by which rows lie apart exactly.
    spans: &'a [i64],
    /// Whether the other distances are fractions of these spans, too.
    is_focused: bool,
}

const WEIGHTS: [[usize; 5]; 4] = [[6, 3, 1, 0, 0], [1, 6, 3, 1, 0], [1, 2, 5, 4, 1], [2, 1, 2, 5, 4]];

impl History {
    /// A history of about `rows` rows, many of which lie apart by just one of these spans.
    pub(crate) fn generate(dice: &mut Dice, system: &str, rows: usize, start: i64, spans: &[i64]) -> History {
        let cast = Cast {
            theme: THEMES[dice.below(THEMES.len())],
            names: *dice.pick(&[1, 2, 3, 9]),
            missing: *dice.pick(&[8, 8, 40]),
        };
        let pace = Pace { weights: *dice.pick(&WEIGHTS), spans, is_focused: dice.once_in(2) };
        let mut history = History { system: system.to_owned(), events: Vec::new() };
        let mut last = start;
        for number in 0..rows {
            if dice.once_in(40) || number == 3 {
                let system = inventory(dice, system);
                for mut event in (Inventory { systems: vec![system] }).activation(Instant(last + 1)) {
                    last += 1;
                    event.set_time(Instant(last));
                    history.events.push(event);
                }
            }
            last = history.next_time(dice, &pace, last);
            let mut event = traffic::event(dice, system, number, cast, last);
            event.set_time(Instant(last));
            history.events.push(event);
        }
        if dice.once_in(2) {
            history.close(last + DAY);
        }
        history
    }

    pub(crate) fn close(&mut self, time: i64) {
        let origin = keywatch_store::event::Origin { system: self.system.clone(), source: "keywatch".to_owned() };
        let mut tick = Event::builder(&origin, "end", "tick", Instant(time));
        self.events.push(tick.time(Instant(time)).build_own());
    }

    /// After `last`: by the pace, or exactly (or 1 ns off) a span after an earlier row.
    fn next_time(&self, dice: &mut Dice, pace: &Pace<'_>, last: i64) -> i64 {
        let span = *dice.pick(pace.spans);
        if !self.events.is_empty() && dice.once_in(2) {
            let earlier = self.events[self.events.len() - 1 - dice.below(self.events.len().min(12))].time().0;
            let target = earlier + span + dice.pick(&[0, 0, 1, 1, -1]);
            if target > last {
                return target;
            }
        }
        if pace.is_focused && dice.below(4) > 0 {
            return last + (span / *dice.pick(&[2, 3, 7, 50])).max(1);
        }
        let unit = [1, SECOND, MINUTE, HOUR, DAY];
        let units = pace.weights.into_iter().zip(unit).filter(|(weight, _)| *weight > 0).collect::<Vec<_>>();
        let unit = *dice.weighed(&units);
        last + unit * i64::try_from(1 + dice.below(5)).unwrap()
    }

    /// Log time through which the system has been seen.
    pub(crate) fn last(&self) -> i64 {
        self.events.last().map_or(i64::MIN, |event| event.time().0)
    }

    /// The inventory versions with the log time from which each holds, the empty one first.
    pub(crate) fn reigns(&self) -> Vec<(i64, System)> {
        let mut reigns = vec![(i64::MIN, System { id: self.system.clone(), ..System::default() })];
        for event in self.events.iter().filter(|event| event.kind() == "inventory.activated") {
            let declared = Inventory::from_activation(event).unwrap().systems;
            reigns.extend(declared.into_iter().map(|system| (event.time().0, system)));
        }
        reigns
    }
}

fn inventory(dice: &mut Dice, system: &str) -> System {
    let mut declared = System { id: system.to_owned(), name: "n".to_owned(), ccss_level: 2, ..System::default() };
    for wallet in WALLETS {
        if dice.below(4) > 0 {
            let implementation = (*dice.pick(&ADDRESSES)).to_owned();
            let threshold = i64::try_from(dice.below(4)).unwrap();
            let (wallet, chain) = (wallet.to_owned(), "ethereum".to_owned());
            declared.wallets.push(Wallet { wallet, chain, threshold, implementation, ..Wallet::default() });
        }
        for owner in ACTORS {
            if dice.once_in(3) {
                let person = (*dice.pick(&["p1", "p2"])).to_owned();
                declared.owners.push(Owner { wallet: wallet.to_owned(), owner: owner.to_owned(), person });
            }
        }
    }
    for (index, address) in ADDRESSES.into_iter().enumerate() {
        if dice.once_in(if index == 0 || index == 2 { 1 } else { 8 }) {
            declared.destinations.push(Destination { address: address.to_owned(), label: format!("d{index}") });
        }
    }
    for source in SOURCES {
        let heartbeat_seconds = *dice.pick(&[0, 1, 60, 900, 901]);
        let (source, feed) = (source.to_owned(), "events".to_owned());
        declared.sources.push(Source { source, feed, heartbeat_seconds, ..Source::default() });
    }
    declared.people.push(Person { subject: "alice".to_owned(), role: "custodian".to_owned() });
    declared
}

/// One log of all histories: each in its own order, between each other in any.
pub(crate) fn interleave(dice: &mut Dice, histories: &[History]) -> Vec<Event> {
    let mut next = vec![0; histories.len()];
    let mut open: Vec<usize> = (0..histories.len()).filter(|index| !histories[*index].events.is_empty()).collect();
    let mut log = Vec::new();
    while !open.is_empty() {
        let place = dice.below(open.len());
        let history = open[place];
        for _ in 0..=dice.below(4) {
            log.extend(histories[history].events.get(next[history]).cloned());
            next[history] += 1;
        }
        if next[history] >= histories[history].events.len() {
            open.swap_remove(place);
        }
    }
    log
}

/// Where a log is cut into batches: nowhere, at a few places, or after every record.
pub(crate) fn cuts(dice: &mut Dice, length: usize) -> Vec<usize> {
    let one_in = *dice.pick(&[1, 2, 7, 30, 500, usize::MAX]);
    (0..=length).filter(|_| dice.once_in(one_in)).collect()
}

/// Index of each record by system.
pub(crate) fn by_system(log: &[Event]) -> BTreeMap<&str, Vec<usize>> {
    let mut indices: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, event) in log.iter().enumerate() {
        indices.entry(event.system()).or_default().push(index);
    }
    indices
}
