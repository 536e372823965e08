//! Emergency access that is open, as the sources of custody records say: a bounded fold over `custody.break_glass` and the
//! register of people. Whoever works in an emergency is not cut off by a machine while a registered case is open; outside of
//! it there is no exemption.
//!
//! A case is registered where two different people are named and both stand in the register. Whoever can write custody
//! records could make one up: so it lasts for a day unless it is opened anew, and only asks for a person where keywatch would
//! have acted alone. Rules tell of cases that are not in order; one that is made up well shows by the proposal alone.

use std::collections::BTreeMap;

use keywatch_store::{Event, Instant};
use serde::{Deserialize, Serialize};

use crate::lifecycle::pairs;
use crate::limits::{BREAK_GLASS_CASES_MAX, BREAK_GLASS_NS_MAX, REGISTERED_PEOPLE_MAX};

/// System and person, in small letters.
type Person = (String, String);

/// A case that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Case {
    with: String,
    source: String,
    opened: Instant,
}

/// All systems.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    /// People of the register; of those who are trusted now, which source says so and since which log time.
    #[serde(with = "pairs")]
    register: BTreeMap<Person, Option<(String, Instant)>>,
    /// Who opened each case.
    #[serde(with = "pairs")]
    open: BTreeMap<Person, Case>,
}

impl BreakGlass {
    /// Takes in an event; those that are about something else are passed over.
    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(person) = event.actor().map(|actor| name(event.system(), actor)) else { return };
        match (event.kind(), event.outcome()) {
            ("custody.person", outcome) => {
                let trusted = (outcome == Some("active")).then(|| (event.source().to_owned(), event.time()));
                if self.register.len() < REGISTERED_PEOPLE_MAX || self.register.contains_key(&person) {
                    self.register.insert(person, trusted);
                }
            }
            // What comes late opens nothing: it may have been over for long.
            ("custody.break_glass", Some("open")) if !event.late() => self.opened(person, event),
            ("custody.break_glass", Some("closed")) => {
                self.open.remove(&person);
            }
            _ => {}
        }
    }

    fn opened(&mut self, person: Person, event: &Event) {
        let detail = event.detail().value();
        let Some(with) = detail["with"].as_str().filter(|_| detail["two_people"] == true) else { return };
        let opened = event.time();
        self.open.retain(|_, case| opened < case.opened.saturating_add(BREAK_GLASS_NS_MAX));
        if self.open.len() < BREAK_GLASS_CASES_MAX {
            let (_, with) = name(event.system(), with);
            self.open.insert(person, Case { with, source: event.source().to_owned(), opened });
        }
    }

    /// What the registered case that is open for a person at `now` rests on: the source and the log time of the case itself,
    /// and of what the register says of either person.
    #[must_use]
    pub fn case_of(&self, system: &str, person: &str, now: Instant) -> Option<[(&str, Instant); 3]> {
        let person = name(system, person);
        let case = self.open.get(&person)?;
        let is_open = case.opened <= now && now < case.opened.saturating_add(BREAK_GLASS_NS_MAX);
        let with = (person.0.clone(), case.with.clone());
        if !is_open || with == person {
            return None;
        }
        let [(own, own_at), (other, other_at)] = [self.trusted(&person)?, self.trusted(&with)?];
        Some([(case.source.as_str(), case.opened), (own.as_str(), *own_at), (other.as_str(), *other_at)])
    }

    fn trusted(&self, person: &Person) -> Option<&(String, Instant)> {
        self.register.get(person)?.as_ref()
    }
}

fn name(system: &str, person: &str) -> Person {
    (system.to_owned(), person.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use keywatch_store::event::Origin;
    use serde_json::json;

    use super::*;

    fn said(kind: &str, person: &str, outcome: &str, second: i64) -> Event {
        let origin = Origin { system: "cold".into(), source: "custody".into() };
        let time = Instant(second);
        let mut event = Event::builder(&origin, &format!("{kind}/{person}/{second}"), kind, time);
        event.time(time);
        event.actor(person);
        event.outcome(outcome);
        if kind == "custody.break_glass" {
            event.detail(&json!({ "with": "Bob", "two_people": !person.eq_ignore_ascii_case("bob") }));
        }
        event.build_own()
    }

    fn after(events: &[Event]) -> BreakGlass {
        let mut all = BreakGlass::default();
        events.iter().for_each(|event| all.apply(event));
        all
    }

    #[test]
    fn only_a_registered_case_that_is_open_exempts() {
        let person = |name: &str, outcome: &str| said("custody.person", name, outcome, 1);
        let opened = |name: &str| said("custody.break_glass", name, "open", 10);
        let both = [person("ann", "active"), person("bob", "active")];
        let is_exempt = |more: &[Event], now: i64| {
            let all = after(&[&both[..], more].concat());
            all.case_of("cold", "Ann", Instant(now)).is_some()
        };
        assert!(is_exempt(&[opened("ann")], 11), "whatever the case of the letters");
        assert!(!is_exempt(&[opened("ann")], 9), "before it was opened");
        assert!(!is_exempt(&[opened("ann")], 10 + BREAK_GLASS_NS_MAX), "a day later");
        assert!(!is_exempt(&[opened("ann"), said("custody.break_glass", "ann", "closed", 12)], 13));
        assert!(!is_exempt(&[], 11), "no case");
        assert!(!is_exempt(&[opened("eve")], 11), "somebody else's case");
        assert!(!is_exempt(&[opened("ann"), said("custody.person", "bob", "inactive", 12)], 13), "the second one left");
        let alone = after(&[opened("ann")]);
        assert_eq!(alone.case_of("cold", "ann", Instant(11)), None, "nobody is in the register");
        let itself = after(&[&both[..], &[opened("bob")]].concat());
        assert_eq!(itself.case_of("cold", "bob", Instant(11)), None, "one person");
        assert_eq!(after(&[&both[..], &[opened("ann")]].concat()).case_of("hot", "ann", Instant(11)), None);
    }
}
