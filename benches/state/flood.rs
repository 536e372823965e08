//! Five million keys that come once and never again, between two stretches of ordinary traffic in the same system.

use keywatch_detectors::{Limits, rule as rules};
use keywatch_simulator::{Settings, Simulation};
use keywatch_store::event::Origin;
use keywatch_store::{Event, EventId, Instant};
use serde::{Deserialize, Serialize};

use crate::support::custody::SYSTEM;
use crate::support::measured::{forget_peak, once, status_bytes};
use crate::support::rule;
use crate::{BATCH, Following, mebibytes};

const KEYS: usize = 5_000_000;
/// The longest window by session among the shipped rules has 30 days; this makes the flood one of 347.
const APART_NS: i64 = 6_000_000_000;
/// A stretch of ordinary traffic, events and days: one comes before, and twice as much after.
const QUIET_EVENTS: usize = 200_000;
const QUIET_DAYS: u64 = 40;
/// The kinds of the flood, in turn.
const KINDS: [&str; 5] = ["session.started", "session.mfa", "session.posture", "session.presented", "session.ended"];

/// Resident and accounted sizes, and keys, at one moment.
#[derive(Clone, Copy, Default, Deserialize, Serialize)]
pub(crate) struct Sizes {
    resident_bytes: u64,
    accounted_bytes: u64,
    keys: usize,
    rows: usize,
}

/// What one cell gave.
#[derive(Deserialize, Serialize)]
pub(crate) struct Flooded {
    before: Sizes,
    /// The most that was resident, and the most keys and accounted bytes after a batch.
    peak: Sizes,
    end: Sizes,
    after: Sizes,
}

/// Prints what the flood leaves behind.
pub(crate) fn table() {
    println!("\n### A flood of once-only keys\n");
    println!(
        "{KEYS} session ids that come once, {} s apart, after {QUIET_EVENTS} events of custody traffic in {QUIET_DAYS} days, \
         and before twice as much. MiB resident (MiB accounted, keys).\n",
        APART_NS / 1_000_000_000
    );
    println!("| rules | before | most | at its end | after |\n|{}", "---|".repeat(5));
    for what in ["no rule", "count of an hour", "shipped rules"] {
        let Flooded { before, peak, end, after } = once(&["flood", what]);
        let shown = [before, peak, end, after].map(Sizes::shown).join(" | ");
        println!("| {what} | {shown} |");
    }
}

/// One cell: no rule, a count, or all shipped rules.
pub(crate) fn cell(what: &str) -> Flooded {
    let sql = "SELECT event_id, session AS entity, n FROM (SELECT *, count(*) OVER (PARTITION BY session ORDER BY time RANGE \
               BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS n FROM events WHERE session IS NOT NULL) WHERE n > \
               1000000000";
    let rules = match what {
        "shipped rules" => rules::shipped().unwrap(),
        "no rule" => Vec::new(),
        _ => vec![rule("bench/count", sql)],
    };
    let mut following = Following::new(&rules, Limits::default());
    let quiet = Settings::new(3 * QUIET_EVENTS as u64, 3 * QUIET_DAYS, 1);
    let mut quiet = Simulation::new(quiet).unwrap();
    let last = run_quiet(&mut following, &mut quiet, 0);
    let before = Sizes::of(&following);
    forget_peak();
    let mut peak = before;
    let mut flood = Flood::after(last);
    for first in (0..KEYS).step_by(BATCH) {
        following.run(flood.next(first, BATCH.min(KEYS - first)));
        peak.raise(Sizes::of(&following));
    }
    let end = Sizes::of(&following);
    let later_ns = i64::try_from(KEYS).unwrap() * APART_NS;
    run_quiet(&mut following, &mut quiet, later_ns);
    run_quiet(&mut following, &mut quiet, later_ns);
    peak.resident_bytes = status_bytes("VmHWM:");
    Flooded { before, peak, end, after: Sizes::of(&following) }
}

/// Runs ordinary traffic, moved to a later time, and gives the time of its last event.
fn run_quiet(following: &mut Following, quiet: &mut Simulation, later_ns: i64) -> Instant {
    let mut last = Instant::UNASSIGNED;
    for _ in 0..QUIET_EVENTS.div_ceil(BATCH) {
        let mut events: Vec<Event> = quiet.take(BATCH).collect();
        for event in &mut events {
            let (time, claimed) = (event.time().saturating_add(later_ns), event.event_time().saturating_add(later_ns));
            *event = event.changed(|event| event.time(time).event_time(claimed));
            last = event.time();
        }
        following.run(&events);
    }
    last
}

impl Sizes {
    fn of(following: &Following) -> Sizes {
        let size = following.engine.state_size();
        Sizes {
            resident_bytes: status_bytes("VmRSS:"),
            accounted_bytes: size.bytes as u64,
            keys: size.keys,
            rows: size.rows,
        }
    }

    fn raise(&mut self, other: Sizes) {
        self.accounted_bytes = self.accounted_bytes.max(other.accounted_bytes);
        self.keys = self.keys.max(other.keys);
        self.rows = self.rows.max(other.rows);
    }

    fn shown(self) -> String {
        let Sizes { resident_bytes, accounted_bytes, keys, .. } = self;
        format!("{} ({}, {keys})", mebibytes(resident_bytes), mebibytes(accounted_bytes))
    }
}

/// The events of the flood, a batch at a time into the same buffer.
struct Flood {
    events: Vec<Event>,
    after: Instant,
}

impl Flood {
    fn after(after: Instant) -> Flood {
        let origin = Origin { system: SYSTEM.to_owned(), source: "idp".to_owned() };
        let event = |index: usize| {
            let mut event = Event::builder(&origin, "flood", KINDS[index % KINDS.len()], after);
            event.country("CH").outcome(if index % KINDS.len() == 2 { "compliant" } else { "success" });
            event.build_own()
        };
        Flood { events: (0..BATCH).map(event).collect(), after }
    }

    fn next(&mut self, first: usize, count: usize) -> &[Event] {
        for (number, event) in (first..).zip(&mut self.events[..count]) {
            let time = self.after.saturating_add((i64::try_from(number).unwrap() + 1) * APART_NS);
            let id = EventId((number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
            let session = format!("flood-{number:020}");
            *event = event.changed(|event| event.event_id(id).time(time).event_time(time).session(&session));
        }
        &self.events[..count]
    }
}
