//! What each source last said, out of the newest records of a log: for the API and `keywatch doctor`. Judges nothing.

use std::collections::BTreeMap;

use keywatch_store::{Error, Event, Instant, Log, Position, Topic};
use serde::{Deserialize, Serialize};

use crate::limits::PIPELINE_RECORDS_MAX;

/// Nanoseconds of a millisecond.
const MILLISECOND_NS: i64 = 1_000_000;

/// What was heard of all sources in a stretch of the log that reaches to its end.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Activity {
    /// Log time of the first record that was looked at.
    pub(crate) from: Option<Instant>,
    /// Log time of the last.
    pub(crate) until: Option<Instant>,
    /// Each source that is named in it, by system and name.
    pub(crate) sources: Vec<SourceActivity>,
    /// Losses that somebody accepted, by system.
    pub(crate) gaps: BTreeMap<String, u64>,
}

/// What a source said in that stretch.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceActivity {
    /// Its system.
    pub(crate) system: String,
    /// Its name there.
    pub(crate) source: String,
    /// When it was last understood.
    pub(crate) heard: Option<Instant>,
    /// When what it then told of had happened, by its own clock.
    pub(crate) event_time: Option<Instant>,
    /// The kind of that record.
    pub(crate) kind: Option<String>,
    /// Milliseconds from what happened, by its clock, to the log: half of those records took no longer.
    #[serde(default)]
    pub(crate) delay_milliseconds_median: Option<i64>,
    /// The same for 99 of a hundred.
    #[serde(default)]
    pub(crate) delay_milliseconds_p99: Option<i64>,
    /// The delays themselves, until all are known.
    #[serde(skip)]
    pub(crate) delays_ns: Vec<i64>,
    /// Records that were understood.
    pub(crate) records: u64,
    /// Records that were not.
    pub(crate) rejects: u64,
    /// Records under the id of another one.
    pub(crate) conflicts: u64,
    /// Its last word about itself.
    pub(crate) status: Option<Status>,
}

/// The word of a source about itself.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// `ok`, `degraded`, `down`.
    pub(crate) outcome: String,
    /// Why, in its words.
    pub(crate) reason: Option<String>,
    /// When it said so.
    pub(crate) at: Instant,
}

impl Activity {
    /// Looks at the newest `records_max` records.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn of(log: &dyn Log, records_max: u64) -> Result<Activity, Error> {
        let end = log.end(Topic::Events).0;
        let mut position = Position(log.oldest(Topic::Events).0.max(end.saturating_sub(records_max)));
        let mut heard = Activity::default();
        let mut sources = BTreeMap::new();
        while position.0 < end {
            let events = log.read(Topic::Events, position, PIPELINE_RECORDS_MAX)?;
            let Some(last) = events.last() else { break };
            heard.from = heard.from.or_else(|| events.first().map(Event::time));
            heard.until = Some(last.time());
            position = position.plus(events.len());
            for event in &events {
                heard.take(event, &mut sources);
            }
        }
        heard.sources = sources.into_values().map(SourceActivity::with_delays).collect();
        Ok(heard)
    }

    fn take(&mut self, event: &Event, sources: &mut BTreeMap<(String, String), SourceActivity>) {
        // keywatch's own words about a source are none of the source's.
        if ["tick", "source.expected", "inventory.activated", "chain.head"].contains(&event.kind()) {
            return;
        }
        if event.kind() == "source.gap" && event.source() == "keywatch" {
            *self.gaps.entry(event.system().to_owned()).or_default() += 1;
            return;
        }
        let (system, source) = (event.system().to_owned(), event.source().to_owned());
        let said = sources.entry((system.clone(), source.clone())).or_insert_with(|| SourceActivity {
            system,
            source,
            ..SourceActivity::default()
        });
        said.take(event);
    }

    /// What an operator sees of it.
    pub(crate) fn of_systems(mut self, sees: impl Fn(&str) -> bool) -> Activity {
        self.sources.retain(|said| sees(&said.system));
        self.gaps.retain(|system, _| sees(system));
        self
    }

    /// A source.
    pub(crate) fn find(&self, system: &str, source: &str) -> Option<&SourceActivity> {
        self.sources.iter().find(|said| said.system == system && said.source == source)
    }
}

impl SourceActivity {
    /// What its delays come to.
    fn with_delays(mut self) -> SourceActivity {
        let mut delays = std::mem::take(&mut self.delays_ns);
        delays.sort_unstable();
        self.delay_milliseconds_median = no_longer(&delays, 50);
        self.delay_milliseconds_p99 = no_longer(&delays, 99);
        self
    }

    fn take(&mut self, event: &Event) {
        match event.kind() {
            "source.reject" => self.rejects += 1,
            "source.conflict" => self.conflicts += 1,
            // What is missing of it, keywatch says.
            "source.gap" => {}
            // It answered, perhaps with nothing.
            "source.cursor" => self.heard = Some(event.time()),
            kind => {
                self.records += 1;
                self.heard = Some(event.time());
                self.event_time = Some(event.event_time());
                // A clock that goes before ours makes none of it.
                self.delays_ns.push(event.time().0.saturating_sub(event.event_time().0).max(0));
                self.kind = Some(kind.to_owned());
                if let ("source.status", Some(outcome)) = (kind, event.outcome()) {
                    let (outcome, reason) = (outcome.to_owned(), event.reason().map(str::to_owned));
                    self.status = Some(Status { outcome, reason, at: event.time() });
                }
            }
        }
    }
}

/// Milliseconds that so many of a hundred take no longer than, of delays in order; `None` where there are none.
fn no_longer(delays_ns: &[i64], of_hundred: usize) -> Option<i64> {
    let rank = (delays_ns.len() * of_hundred).div_ceil(100);
    delays_ns.get(rank.checked_sub(1)?).map(|delay| delay / MILLISECOND_NS)
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use keywatch_store::log::memory::MemoryLog;

    use super::*;

    fn event(source: &str, kind: &str, second: i64, outcome: Option<&str>) -> Event {
        let origin = Origin { system: "cold".into(), source: source.into() };
        let mut event = Event::builder(&origin, &format!("{source} {second}"), kind, Instant(second));
        event.time(Instant(second)).outcome(outcome);
        event.build_own()
    }

    #[test]
    fn delays_are_those_that_half_and_nearly_all_keep_to() {
        let log = MemoryLog::new();
        // One of each second from 1 to 200, and one whose clock is before ours.
        let late = |seconds: i64| {
            let origin = Origin { system: "cold".into(), source: "idp".into() };
            let happened = Instant(1_000_000_000_000 - seconds * 1_000_000_000);
            let mut event = Event::builder(&origin, &seconds.to_string(), "session.started", happened);
            event.time(Instant(1_000_000_000_000));
            event.build_own()
        };
        log.append(Topic::Events, (1..=199).chain([-7]).map(late).collect()).unwrap();
        let heard = Activity::of(&log, 1_000).unwrap();
        let idp = heard.find("cold", "idp").unwrap();
        // In order: 0, 1, … 199 seconds. The hundredth is 99, the 198th is 197.
        assert_eq!((idp.delay_milliseconds_median, idp.delay_milliseconds_p99), (Some(99_000), Some(197_000)));
        assert_eq!((no_longer(&[], 50), no_longer(&[3_000_000], 99)), (None, Some(3)));
    }

    #[test]
    fn each_source_is_known_by_its_newest_record_and_keywatch_speaks_for_none() {
        let log = MemoryLog::new();
        let events = vec![
            event("old", "session.started", 1, None),
            event("opa", "source.expected", 2, None),
            event("opa", "source.status", 3, Some("degraded")),
            event("idp", "session.started", 4, None),
            event("idp", "source.reject", 5, None),
            event("idp", "source.gap", 6, None),
            event("keywatch", "tick", 7, None),
            event("node", "chain.head", 8, None),
        ];
        log.append(Topic::Events, events).unwrap();
        let heard = Activity::of(&log, 7).unwrap();
        let names: Vec<&str> = heard.sources.iter().map(|said| said.source.as_str()).collect();
        assert_eq!(names, ["idp", "opa"], "what is older than the stretch is not looked at");
        let idp = heard.find("cold", "idp").unwrap();
        assert_eq!((idp.records, idp.rejects, idp.kind.as_deref()), (1, 1, Some("session.started")));
        let opa = heard.find("cold", "opa").unwrap();
        assert_eq!((opa.records, opa.status.as_ref().map(|status| status.outcome.as_str())), (1, Some("degraded")));
        assert_eq!(idp.delay_milliseconds_median, Some(0), "it came at once");
        assert!(heard.of_systems(|system| system == "hot").sources.is_empty());
    }
}
