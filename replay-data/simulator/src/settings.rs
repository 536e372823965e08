//! What is asked for, and the sizes that follow from it.

use keywatch_store::Instant;
use keywatch_store::time::SECOND_NS;

use crate::Scenario;
use crate::limits::{ATTACKS_MAX, DAYS_MAX, DESKS_MAX, EVENTS_MAX, SYSTEMS_MAX, WALLETS_MAX};

/// Events that a session has at least: started, factor, two postures, network, two uses, end; and its share of the rest.
const EVENTS_A_KEY_MIN: u64 = 14;
/// Sessions that a system has at least: its desk has to sign on.
const KEYS_A_SYSTEM_MIN: u64 = 8;
/// Events for each session where nobody says how many sessions there shall be.
const EVENTS_A_KEY: u64 = 40;

/// Monday, 2025-04-07: the first month has Easter, the first of May, and two releases of system software.
const START_SECONDS: i64 = 1_743_984_000;

/// A simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Events in all.
    pub events: u64,
    /// Trusted environments, of equal size.
    pub systems: u64,
    /// Sessions in all; one for every 40 events where it is `None`.
    pub keys: Option<u64>,
    /// Days over which the events are spread.
    pub days: u64,
    /// The seed.
    pub seed: u64,
    /// When it begins.
    pub start: Instant,
    /// Attacks to play.
    pub attacks: Vec<Scenario>,
    /// How often each of them is played.
    pub attacks_each: u64,
}

impl Settings {
    /// One system over `days` days, without attacks.
    #[must_use]
    pub fn new(events: u64, days: u64, seed: u64) -> Settings {
        let start = Instant(START_SECONDS * SECOND_NS);
        Settings { events, systems: 1, keys: None, days, seed, start, attacks: Vec::new(), attacks_each: 1 }
    }

    /// Sessions in all.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.keys.unwrap_or_else(|| (self.events / EVENTS_A_KEY).max(self.systems * KEYS_A_SYSTEM_MIN))
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let within = |setting, value: u64, max: u64| match value {
            0 => Err(Error::Zero { setting }),
            _ if value > max => Err(Error::TooMany { setting, value, max }),
            _ => Ok(()),
        };
        within("events", self.events, EVENTS_MAX)?;
        within("systems", self.systems, SYSTEMS_MAX)?;
        within("days", self.days, DAYS_MAX)?;
        let sessions = self.sessions();
        within("keys", sessions, EVENTS_MAX)?;
        if sessions < self.systems * KEYS_A_SYSTEM_MIN {
            return Err(Error::TooFewKeys { keys: sessions, needed: self.systems * KEYS_A_SYSTEM_MIN });
        }
        if self.events < sessions.saturating_mul(EVENTS_A_KEY_MIN) {
            let needed = sessions.saturating_mul(EVENTS_A_KEY_MIN);
            return Err(Error::TooFewEvents { events: self.events, keys: sessions, needed });
        }
        let attacks = self.attacks.len() as u64 * self.attacks_each;
        if attacks > ATTACKS_MAX {
            return Err(Error::TooMany { setting: "attacks", value: attacks, max: ATTACKS_MAX });
        }
        self.check_heartbeats()
    }

    /// The rule that sees a silence looks only at sources that speak often.
    fn check_heartbeats(&self) -> Result<(), Error> {
        let seldom = Sizes::of(self).heartbeat_seconds() > HEARTBEAT_SECONDS_WATCHED_MAX;
        if self.attacks.contains(&Scenario::SourceSilenced) && seldom {
            return Err(Error::TooSeldom { needed: self.systems * self.days * HEARTBEAT_EVENTS_A_DAY_MIN });
        }
        Ok(())
    }
}

/// Longest declared heartbeat that `source/silent` looks at, seconds.
const HEARTBEAT_SECONDS_WATCHED_MAX: i64 = 900;
/// Events a day and system from which heartbeats come every 300 s: 3 sources × 288 are 2 % of it.
const HEARTBEAT_EVENTS_A_DAY_MIN: u64 = 3 * 288 * 50;

/// Why there is no such simulation. Every one of them is to be rejected: asking again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A number that must not be 0.
    #[error("{setting}: 0 is too few, at least 1 is needed")]
    Zero {
        /// What it is a number of.
        setting: &'static str,
    },
    /// A number above its limit.
    #[error("{setting}: {value} is too many, at most {max}")]
    TooMany {
        /// What it is a number of.
        setting: &'static str,
        /// As asked for.
        value: u64,
        /// The limit.
        max: u64,
    },
    /// Too few sessions for the people of every system.
    #[error("keys: {keys} is too few for these systems, at least {needed} are needed ({KEYS_A_SYSTEM_MIN} a system)")]
    TooFewKeys {
        /// As asked for.
        keys: u64,
        /// Enough.
        needed: u64,
    },
    /// Too few events for the sessions.
    #[error(
        "events: {events} is too few for {keys} keys, at least {needed} are needed ({EVENTS_A_KEY_MIN} a key); ask for more events or fewer keys"
    )]
    TooFewEvents {
        /// As asked for.
        events: u64,
        /// Sessions.
        keys: u64,
        /// Enough.
        needed: u64,
    },
    /// Heartbeats would be too seldom for silence to mean anything.
    #[error(
        "source-silenced: sources speak too seldom here, at least {needed} events are needed for these systems and days; ask for more events or fewer days"
    )]
    TooSeldom {
        /// Enough.
        needed: u64,
    },
    /// No such scenario.
    #[error("there is no scenario `{name}`; there are {}", Scenario::names().join(", "))]
    UnknownScenario {
        /// As asked for.
        name: String,
    },
}

/// Sizes of one simulation; all but the first two are of one system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    pub(crate) span_ns: i64,
    /// Width of a part of the agenda.
    pub(crate) part_ns: i64,
    pub(crate) sessions: u64,
    /// Uses that a session has on average.
    pub(crate) uses: u64,
    /// People besides those of the desks.
    pub(crate) people: u64,
    pub(crate) desks: u64,
    pub(crate) wallets: u64,
    /// How long those of the desks stay signed on.
    pub(crate) desk_session_ns: i64,
    pub(crate) requests: u64,
    pub(crate) noise: u64,
    pub(crate) upkeep: u64,
    pub(crate) tick_ns: i64,
    pub(crate) heartbeat_ns: i64,
    /// People whose devices one release of system software reaches.
    pub(crate) wave_people: u64,
}

/// People of a desk: four custodians, two analysts.
pub(crate) const DESK_PEOPLE: u64 = 6;
/// Days between two releases of system software, the first of them on the third day.
pub(crate) const RELEASE_DAYS: u64 = 14;

/// Shares of the events, in thousandths.
pub(crate) const SESSION_SHARE: u64 = 600;
const REQUEST_SHARE: u64 = 200;
const NOISE_SHARE: u64 = 130;
const UPKEEP_SHARE: u64 = 15;
const WAVE_SHARE: u64 = 10;
const TICK_SHARE: u64 = 25;
const HEARTBEAT_SHARE: u64 = 20;
/// Events of a request, in tenths.
const REQUEST_EVENTS_TENTHS: u64 = 122;

impl Sizes {
    pub(crate) fn of(settings: &Settings) -> Sizes {
        let events = (settings.events / settings.systems).max(1);
        let share = |thousandths: u64| (events.saturating_mul(thousandths) / 1_000).max(1);
        let sessions = (settings.sessions() / settings.systems).max(1);
        let seconds = settings.days * 86_400;
        let wallets = (sessions / 50).clamp(8, WALLETS_MAX);
        let desks = (wallets / 16).clamp(1, DESKS_MAX);
        let working_days = (settings.days * 5 / 7).max(1);
        let people = (sessions * 8 / 15 / working_days).max(4);
        let releases = settings.days.saturating_sub(2).div_ceil(RELEASE_DAYS);
        let ns = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(SECOND_NS);
        Sizes {
            span_ns: ns(seconds),
            part_ns: (ns(seconds) / i64::try_from(settings.events / 256 + 1).unwrap_or(i64::MAX)).max(1_000_000),
            sessions,
            uses: (share(SESSION_SHARE) / sessions).saturating_sub(6).max(2),
            people,
            desks,
            wallets,
            desk_session_ns: ns((desks * DESK_PEOPLE * seconds * 5 / sessions).max(6 * 3_600)),
            requests: (share(REQUEST_SHARE) * 10 / REQUEST_EVENTS_TENTHS).max(1),
            noise: share(NOISE_SHARE),
            upkeep: share(UPKEEP_SHARE),
            tick_ns: ns(seconds.div_ceil(share(TICK_SHARE)).max(1)),
            heartbeat_ns: ns((3 * seconds).div_ceil(share(HEARTBEAT_SHARE)).max(60)),
            wave_people: share(WAVE_SHARE).checked_div(2 * releases).unwrap_or_default().min(people),
        }
    }

    /// What the inventory declares: three times the real rhythm.
    pub(crate) fn heartbeat_seconds(&self) -> i64 {
        3 * (self.heartbeat_ns / SECOND_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_said_with_what_would_be_enough() {
        let good = Settings::new(100_000, 30, 1);
        let wrong = [
            (Settings { systems: 0, ..good.clone() }, "systems: 0 is too few"),
            (Settings { days: 10_000, ..good.clone() }, "days: 10000 is too many, at most 3653"),
            (Settings { keys: Some(3), ..good.clone() }, "at least 8 are needed"),
            (Settings { keys: Some(50_000), ..good.clone() }, "at least 700000 are needed"),
            (Settings { attacks: vec![Scenario::SourceSilenced], ..good.clone() }, "at least 1296000 events"),
        ];
        for (settings, said) in wrong {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(good.check(), Ok(()));
    }
}
