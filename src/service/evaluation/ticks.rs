//! When log time goes on by itself. A system gets a tick every second while something happens in it and a while after; at the
//! second at which something that waits is due to be decided; and once a minute otherwise, so that an idle system costs
//! next to nothing and nothing is decided later than by a tick every second.
//!
//! Ticks are records. A log that is replayed has those that were written, and when they were does not change what is found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keywatch_detectors::Engine;
use keywatch_store::time::SECOND_NS;
use keywatch_store::{Event, Instant, Log};

use crate::limits::{STANDSTILL_SECONDS_MAX, TICK_BUSY_SECONDS, TICK_SECONDS_MAX};
use crate::service::evaluation::system_records;

/// What the rules wait for in each system that they have seen a record of.
#[derive(Debug, Default)]
pub(crate) struct Dues(Mutex<BTreeMap<String, Due>>);

#[derive(Clone, Copy, Debug)]
struct Due {
    /// Log time at which the first row that waits is decided.
    decided: Option<Instant>,
    /// Log time at which something last happened.
    happened: Instant,
}

impl Dues {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Due>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules went through these records.
    pub(crate) fn note(&self, engine: &Engine, events: &[Event]) {
        let mut happened = BTreeMap::<&str, Instant>::new();
        for event in events {
            let last = happened.entry(event.system()).or_insert(Instant::UNASSIGNED);
            // Which node stood where is nothing that happens in a system, and comes by the minute.
            if !["tick", "chain.head"].contains(&event.kind()) {
                *last = event.time();
            }
        }
        let mut all = self.all();
        for (system, time) in happened {
            let before = all.get(system).map_or(Instant::UNASSIGNED, |due| due.happened);
            let due = Due { decided: engine.next_due(system), happened: before.max(time) };
            all.insert(system.to_owned(), due);
        }
    }

    /// Something was found in a system at that log time, and is to be told.
    pub(crate) fn found(&self, system: &str, time: Instant) {
        if let Some(due) = self.all().get_mut(system) {
            due.happened = due.happened.max(time);
        }
    }

    /// Rules came back, with rows of theirs that wait.
    pub(crate) fn renew(&self, engine: &Engine) {
        self.all().iter_mut().for_each(|(system, due)| due.decided = engine.next_due(system));
    }
}

/// Which systems get a tick, and when each had the last.
#[derive(Debug)]
pub(crate) struct Ticks {
    dues: Arc<Dues>,
    /// When the process began, which counts as something that happened: what was open before is told and proved now.
    begun: Instant,
    last: BTreeMap<String, Instant>,
}

impl Ticks {
    /// Ticks of these systems from `begun` on.
    pub(crate) fn new(dues: Arc<Dues>, begun: Instant, systems: impl Iterator<Item = String>) -> Ticks {
        Ticks { dues, begun, last: systems.map(|system| (system, Instant::UNASSIGNED)).collect() }
    }

    /// The ticks that are to be written now.
    pub(crate) fn due(&self, now: Instant) -> Vec<Event> {
        let dues = self.dues.all();
        let is_due = |(system, last): &(&String, &Instant)| {
            let Some(due) = dues.get(*system) else { return true };
            let after = |seconds: i64, time: Instant| time.saturating_add(seconds.saturating_mul(SECOND_NS));
            after(TICK_SECONDS_MAX, **last) <= now
                || now < after(TICK_BUSY_SECONDS, due.happened.max(self.begun))
                || due.decided.is_some_and(|decided| decided <= now)
        };
        self.last.iter().filter(is_due).map(|(system, _)| system_records::tick(system, now)).collect()
    }

    /// They stand in the log.
    pub(crate) fn written(&mut self, systems: &[String], now: Instant) {
        for system in systems {
            self.last.insert(system.clone(), now);
        }
    }
}

/// That not even ticks reach the log. An append that hangs is no error, so that nobody else says it.
pub(crate) fn standstill(log: &dyn Log, systems: &[String], now: Instant) -> Option<String> {
    let newest = systems.iter().filter_map(|system| log.time_of(system)).max()?;
    let seconds = now.unix_seconds().saturating_sub(newest.unix_seconds());
    (seconds > STANDSTILL_SECONDS_MAX).then(|| format!("nothing was written for {seconds} s"))
}

#[cfg(test)]
mod tests {
    use keywatch_detectors::{Rule, Settings};
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;
    use keywatch_store::{Position, Topic};

    use super::*;

    const SECOND: i64 = SECOND_NS;

    /// Tells of a session behind which its actor is silent for an hour.
    const SILENCE: &str = "SELECT event_id, actor AS entity FROM (SELECT *, min(time) OVER (PARTITION BY actor ORDER BY time \
                           RANGE BETWEEN INTERVAL '1 nanosecond' FOLLOWING AND INTERVAL '1 hour' FOLLOWING) AS next_at FROM \
                           events WHERE kind = 'session.presented') WHERE next_at IS NULL";

    fn event(id: &str, kind: &str, seconds: i64) -> Event {
        let origin = Origin { system: "cold".to_owned(), source: "idp".to_owned() };
        let mut event = Event::builder(&origin, id, kind, Instant(seconds * SECOND));
        event.actor("ann").time(Instant(seconds * SECOND));
        event.build_own()
    }

    fn engine() -> Engine {
        let text = format!(
            "/*\nversion: 1\ntitle: t\nseverity: low\nentity: e\nmeaning: m\nrunbook: [look]\nsuppress_for: 1h\n*/\n{SILENCE}"
        );
        Engine::new(&[Rule::parse("own/silence", &text).unwrap()], &Settings::default()).unwrap()
    }

    fn seconds(ticks: &mut Ticks, dues: &Dues, engine: &mut Engine, from: i64, to: i64) -> (Vec<i64>, Vec<i64>) {
        let (mut written, mut found) = (Vec::new(), Vec::new());
        for second in from..to {
            let now = Instant(second * SECOND);
            for tick in ticks.due(now) {
                written.push(second);
                ticks.written(&["cold".to_owned()], now);
                let outcome = engine.run(Position(0), std::slice::from_ref(&tick)).unwrap();
                found.extend(outcome.findings.iter().map(|_| second));
                dues.note(engine, &[tick]);
            }
        }
        (written, found)
    }

    #[test]
    fn an_idle_system_has_a_tick_a_minute_and_one_when_something_is_due() {
        let (dues, mut engine) = (Arc::new(Dues::default()), engine());
        let mut ticks = Ticks::new(Arc::clone(&dues), Instant(0), std::iter::once("cold".to_owned()));
        let first = event("1", "session.presented", 100);
        engine.run(Position(0), std::slice::from_ref(&first)).unwrap();
        dues.note(&engine, &[first]);
        // Every second for a while after something happened.
        let busy_until = 100 + TICK_BUSY_SECONDS;
        let (written, found) = seconds(&mut ticks, &dues, &mut engine, 101, busy_until);
        assert_eq!((written, found), ((101..busy_until).collect(), vec![]));
        // Where a node stands is nothing that happens.
        dues.note(&engine, &[event("2", "chain.head", busy_until)]);
        // Then once a minute, and at the second at which the silence is an hour long.
        let (written, found) = seconds(&mut ticks, &dues, &mut engine, busy_until, 3_790);
        assert_eq!(found, [3_700]);
        let last = busy_until - 1;
        let expected: Vec<i64> =
            (1..=62).map(|minute| last + 60 * minute).take_while(|second| *second < 3_700).collect();
        assert_eq!(written[..expected.len()], expected);
        assert_eq!(written[expected.len()..], [3_700, 3_760]);
        // What was found is told at its time.
        dues.found("cold", Instant(3_790 * SECOND));
        assert_eq!(seconds(&mut ticks, &dues, &mut engine, 3_791, 3_794).0, [3_791, 3_792, 3_793]);
    }

    #[test]
    fn a_log_that_not_even_ticks_reach_stands_still() {
        let (log, systems) = (MemoryLog::new(), ["cold", "hot"].map(str::to_owned));
        let at = |seconds: i64| standstill(&log, &systems, Instant(seconds * SECOND));
        assert_eq!(at(9_000), None, "nothing was ever written");
        log.append(Topic::Events, vec![event("1", "source.heartbeat", 100)]).unwrap();
        assert_eq!(at(100 + STANDSTILL_SECONDS_MAX), None);
        let hangs = format!("nothing was written for {} s", STANDSTILL_SECONDS_MAX + 1);
        assert_eq!(at(101 + STANDSTILL_SECONDS_MAX), Some(hangs));
    }

    #[test]
    fn a_system_of_which_nothing_is_known_has_a_tick_a_second_and_an_idle_day_is_small() {
        let (dues, mut engine) = (Arc::new(Dues::default()), engine());
        let mut ticks = Ticks::new(Arc::clone(&dues), Instant(0), std::iter::once("cold".to_owned()));
        assert_eq!(ticks.due(Instant(5 * SECOND)).len(), 1);
        ticks.written(&["cold".to_owned()], Instant(5 * SECOND));
        assert_eq!(ticks.due(Instant(6 * SECOND)).len(), 1);

        let first = event("1", "source.heartbeat", 1);
        engine.run(Position(0), std::slice::from_ref(&first)).unwrap();
        dues.note(&engine, &[first]);
        let day = TICK_BUSY_SECONDS + 60..TICK_BUSY_SECONDS + 60 + 86_400;
        let (written, _) = seconds(&mut ticks, &dues, &mut engine, day.start, day.end);
        assert_eq!(written.len(), 24 * 60);
    }
}
