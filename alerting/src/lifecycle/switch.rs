//! Rules that people put into shadow or switched off while keywatch runs: which, in which system, since when and until when. A
//! fold over the records of operators. Knows no configuration, which may lower more than this does.
//!
//! Whoever lowers protection asks for it, and it holds only once a second person agrees; it ends by itself. One person is enough
//! to raise it again. Rules that are off still run: what they find is recorded, so that nothing is lost.

use std::collections::BTreeMap;
use std::fmt;

use keywatch_store::Instant;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::lifecycle::compromise::problem_of_reason;
use crate::limits::{SILENCE_TEXT_BYTES_MAX, SWITCH_NS_MAX, SWITCHES_KEPT_NS, SWITCHES_MAX};

/// What is left of a rule. What comes later leaves less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It finds and pages, and what it would revoke waits for a person, as by `shadow_rules` of the configuration.
    Shadow,
    /// What it finds is recorded. Nobody is told, and nothing is revoked or proposed.
    Off,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Shadow => "into shadow",
            Mode::Off => "off",
        })
    }
}

/// What is asked for. The JSON form stands in the detail of `protection.switch_asked`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchRequest {
    /// The trusted environment.
    pub system: String,
    /// The rule.
    pub rule: String,
    /// What is to be left of it.
    pub to: Mode,
    /// Why.
    pub reason: String,
    /// Log time from which on the rule is as the configuration has it.
    pub until: Instant,
}

impl SwitchRequest {
    /// What is wrong with it, asked for at `now`.
    #[must_use]
    pub fn problem(&self, now: Instant) -> Option<String> {
        if [&self.system, &self.rule].into_iter().any(|name| name.len() > SILENCE_TEXT_BYTES_MAX) {
            return Some(format!("a name is longer than {SILENCE_TEXT_BYTES_MAX} bytes"));
        }
        if self.until <= now {
            return Some("it ends before it begins".to_owned());
        }
        if self.until > now.saturating_add(SWITCH_NS_MAX) {
            let days = SWITCH_NS_MAX / 86_400_000_000_000;
            return Some(format!("a rule is off or in shadow for at most {days} days; for longer, change the rule"));
        }
        problem_of_reason(&self.reason)
    }
}

/// One rule that somebody put into shadow or switched off, or wants to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What was asked for.
    pub request: SwitchRequest,
    /// Who asked.
    pub by: String,
    /// Log time of that.
    pub at: Instant,
    /// The second person, who agreed, and log time of that.
    pub approved: Option<(String, Instant)>,
    /// Who switched the rule on again or refused to agree, why, and log time of that.
    pub ended: Option<(String, String, Instant)>,
}

impl Switch {
    /// Whether it waits for a second person at `now`.
    #[must_use]
    pub fn waits(&self, now: Instant) -> bool {
        self.approved.is_none() && self.ended.is_none() && now < self.request.until
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        let begun = self.approved.as_ref().is_some_and(|(_, at)| *at <= now);
        begun && self.ended.is_none() && now < self.request.until
    }

    /// Whether it holds for whatever comes next, where `now` may be the time of a record before it was agreed to.
    #[must_use]
    pub fn is_active(&self, now: Instant) -> bool {
        self.approved.as_ref().is_some_and(|(_, at)| self.holds(now.max(*at)))
    }

    /// Whether it holds, or may yet, at `now`.
    fn stands(&self, now: Instant) -> bool {
        self.waits(now) || self.is_active(now)
    }

    /// Whether it is about that rule of that system.
    #[must_use]
    pub fn is_of(&self, system: &str, rule: &str) -> bool {
        self.request.system == system && self.request.rule == rule
    }

    /// As it is told at `now`.
    #[must_use]
    pub fn view(&self, now: Instant) -> Value {
        let status = match self {
            Switch { ended: Some(_), .. } => "ended",
            switch if switch.waits(now) => "waiting for a second person",
            switch if switch.is_active(now) => "active",
            _ => "expired",
        };
        let SwitchRequest { system, rule, to, reason, until } = &self.request;
        json!({
            "id": self.id, "system": system, "rule": rule, "to": to, "status": status, "reason": reason, "until": until,
            "by": self.by, "at": self.at,
            "approved_by": self.approved.as_ref().map(|(by, _)| by),
            "approved_at": self.approved.as_ref().map(|(_, at)| at),
            "ended_by": self.ended.as_ref().map(|(by, ..)| by),
            "end_reason": self.ended.as_ref().map(|(_, reason, _)| reason),
        })
    }
}

/// All that are remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switches(BTreeMap<String, Switch>);

impl Switches {
    /// Somebody asked for one.
    pub(crate) fn asked(&mut self, switch: Switch) {
        // Those that are over give way first, then what is over next: a rule is on again sooner, and never later.
        if self.0.len() >= SWITCHES_MAX {
            let next = self.0.values().min_by_key(|other| (other.stands(switch.at), other.request.until, &other.id));
            if let Some(id) = next.map(|other| other.id.clone()) {
                self.0.remove(&id);
            }
        }
        self.0.insert(switch.id.clone(), switch);
    }

    /// A second person agrees. Who asked for it is nobody's second person.
    pub(crate) fn approved(&mut self, id: &str, by: String, at: Instant) {
        if let Some(switch) = self.0.get_mut(id).filter(|switch| switch.waits(at) && switch.by != by) {
            switch.approved = Some((by, at));
        }
    }

    /// Somebody switched the rule on again.
    pub(crate) fn ended(&mut self, id: &str, by: String, reason: String, at: Instant) {
        if let Some(switch) = self.0.get_mut(id) {
            switch.ended.get_or_insert((by, reason, at));
        }
    }

    /// What has lowered the rule at `now`: what leaves the least of it. `None` where the rule is as the configuration has it.
    #[must_use]
    pub fn lowered(&self, system: &str, rule: &str, now: Instant) -> Option<&Switch> {
        let holding = self.0.values().filter(|switch| switch.is_of(system, rule) && switch.holds(now));
        holding.max_by_key(|switch| (switch.request.to, switch.request.until))
    }

    /// Whether something has lowered the rule for whatever comes next.
    #[must_use]
    pub fn lowers(&self, system: &str, rule: &str, now: Instant) -> bool {
        self.0.values().any(|switch| switch.is_of(system, rule) && switch.is_active(now))
    }

    /// Why a further one is not taken, asked for at `now`.
    #[must_use]
    pub fn refuses(&self, request: &SwitchRequest, now: Instant) -> Option<String> {
        let known = self.0.values().find(|switch| {
            let is_as_long = switch.request.to >= request.to && switch.request.until >= request.until;
            switch.stands(now) && is_as_long && switch.is_of(&request.system, &request.rule)
        });
        if let Some(known) = known {
            return Some(format!("that is asked for or agreed to already: {}", known.id));
        }
        let standing = self.0.values().filter(|switch| switch.stands(now)).count();
        (standing >= SWITCHES_MAX).then(|| "there are too many; switch some rules on first".to_owned())
    }

    /// The one of that id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Switch> {
        self.0.get(id)
    }

    /// Every one that is remembered, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Switch> {
        self.0.values()
    }

    /// Forgets those of the system that ended a while before `now`.
    pub(crate) fn sweep(&mut self, system: &str, now: Instant) {
        self.0.retain(|_, switch| {
            switch.request.system != system || now < switch.request.until.saturating_add(SWITCHES_KEPT_NS)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(id: &str, to: Mode, until: i64) -> Switch {
        let (system, rule, reason) = ("cold".to_owned(), "own/a".to_owned(), "a migration".to_owned());
        let request = SwitchRequest { system, rule, to, reason, until: Instant(until) };
        Switch { id: id.to_owned(), request, by: "ann".to_owned(), at: Instant(1), approved: None, ended: None }
    }

    fn mode(switches: &Switches, now: i64) -> Option<Mode> {
        switches.lowered("cold", "own/a", Instant(now)).map(|switch| switch.request.to)
    }

    #[test]
    fn it_holds_from_the_second_person_on_until_it_ends() {
        let mut all = Switches::default();
        all.asked(asked("s", Mode::Shadow, 100));
        all.approved("s", "ann".to_owned(), Instant(10));
        assert_eq!(mode(&all, 10), None, "one person");
        all.approved("s", "bob".to_owned(), Instant(20));
        assert_eq!([19, 20, 99, 100].map(|now| mode(&all, now)), [None, Some(Mode::Shadow), Some(Mode::Shadow), None]);
        assert!(
            all.lowered("hot", "own/a", Instant(50)).is_none() && all.lowered("cold", "own/b", Instant(50)).is_none()
        );
        all.asked(asked("o", Mode::Off, 60));
        all.approved("o", "bob".to_owned(), Instant(30));
        assert_eq!([30, 60].map(|now| mode(&all, now)), [Some(Mode::Off), Some(Mode::Shadow)], "the least counts");
        all.ended("s", "carol".to_owned(), "it is done".to_owned(), Instant(40));
        all.ended("o", "carol".to_owned(), "it is done".to_owned(), Instant(40));
        assert_eq!(mode(&all, 41), None);
        all.asked(asked("late", Mode::Off, 50));
        all.approved("late", "bob".to_owned(), Instant(50));
        assert_eq!(mode(&all, 49), None, "nobody agrees to what is over");
    }

    #[test]
    fn what_is_asked_for_has_to_make_sense_and_to_be_news() {
        let request = asked("s", Mode::Shadow, 100).request;
        assert_eq!(request.problem(Instant(1)), None);
        for (wrong, said) in [
            (SwitchRequest { until: Instant(1), ..request.clone() }, "before it begins"),
            (SwitchRequest { until: Instant(2 + SWITCH_NS_MAX), ..request.clone() }, "at most 14 days"),
            (SwitchRequest { reason: " ".to_owned(), ..request.clone() }, "`reason`"),
        ] {
            assert!(wrong.problem(Instant(1)).is_some_and(|problem| problem.contains(said)), "{wrong:?}");
        }
        let mut all = Switches::default();
        all.asked(asked("s", Mode::Shadow, 100));
        assert!(all.refuses(&request, Instant(2)).is_some_and(|problem| problem.ends_with(": s")));
        let (longer, more) = (asked("l", Mode::Shadow, 101).request, asked("m", Mode::Off, 90).request);
        assert!(all.refuses(&longer, Instant(2)).is_none() && all.refuses(&more, Instant(2)).is_none());
        assert_eq!(all.refuses(&request, Instant(100)), None, "that one is over");
    }

    #[test]
    fn what_is_over_takes_nobodys_place() {
        let mut all = Switches::default();
        for number in 0..SWITCHES_MAX {
            all.asked(asked(&format!("{number:03}"), Mode::Off, 100));
        }
        let request = asked("s", Mode::Off, 200).request;
        assert!(all.refuses(&request, Instant(99)).is_some_and(|problem| problem.contains("too many")));
        assert_eq!(all.refuses(&request, Instant(100)), None);
        all.asked(Switch { at: Instant(100), ..asked("new", Mode::Off, 200) });
        assert_eq!((all.iter().count(), all.get("new").is_some(), all.get("000")), (SWITCHES_MAX, true, None));
    }
}
