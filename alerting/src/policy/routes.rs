//! Who is told of what: routes by severity, system, rule and time of day, and whom an alert goes on to when nobody
//! acknowledges it. Pure; it does not know what a receiver is beyond its name.
//!
//! Every route that matches counts. A finding that no route matches goes to every receiver, and a receiver that no route
//! names gets everything: a slip in a configuration must not make a theft silent.

use std::collections::BTreeSet;

use keywatch_store::{Finding, Instant, Severity};
use serde::{Deserialize, Serialize};

const DAY_SECONDS: i64 = 86_400;
const MINUTE_SECONDS: i64 = 60;

/// One route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Names of the receivers.
    pub receivers: Vec<String>,
    /// Findings of this severity and worse.
    #[serde(default = "lowest")]
    pub severity_from: Severity,
    /// Systems; all where none is named.
    #[serde(default)]
    pub systems: Vec<String>,
    /// Rules, by name or as `family/*`; all where none is named.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Time of day, `HH:MM-HH:MM`; it may go over midnight.
    #[serde(default)]
    pub hours: Option<String>,
    /// Days of the week, `mon` to `sun`; the night after a day belongs to it. All where none is named.
    #[serde(default)]
    pub days: Vec<Day>,
    /// What `hours` and `days` are ahead of UTC, minutes.
    #[serde(default)]
    pub utc_offset_minutes: i64,
    /// Whom an alert goes on to while nobody acknowledges it.
    #[serde(default)]
    pub escalate: Vec<Escalation>,
}

/// A step of an escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// Log time since the alert was told.
    pub after_minutes: u32,
    /// Names of the receivers.
    pub receivers: Vec<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "a day is a day")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

const WEEK: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

fn lowest() -> Severity {
    Severity::Info
}

impl Route {
    /// What is wrong with it, given the names of all receivers.
    ///
    /// # Errors
    /// The field, and what to write instead.
    pub fn check(&self, known: &[String]) -> Result<(), String> {
        if self.receivers.is_empty() {
            return Err("receivers: names none; a route without receivers would tell nobody".to_owned());
        }
        let mut named = self.receivers.iter().chain(self.escalate.iter().flat_map(|step| &step.receivers));
        if let Some(unknown) = named.find(|name| !known.contains(name)) {
            return Err(format!("there is no receiver `{unknown}`; there are {}", known.join(", ")));
        }
        if let Some(hours) = &self.hours
            && parse_hours(hours).is_none()
        {
            return Err(format!("hours: `{hours}` is not HH:MM-HH:MM, e.g. 18:00-08:00"));
        }
        if self.utc_offset_minutes.abs() > 14 * 60 {
            return Err("utc_offset_minutes: more than 14 hours".to_owned());
        }
        let rising = self.escalate.windows(2).all(|steps| steps[0].after_minutes < steps[1].after_minutes);
        if !rising || self.escalate.iter().any(|step| step.after_minutes == 0) {
            return Err("escalate: after_minutes has to be above zero and to grow from step to step".to_owned());
        }
        Ok(())
    }

    /// Whether it is about this finding.
    #[must_use]
    pub fn matches(&self, finding: &Finding) -> bool {
        let in_system = self.systems.is_empty() || self.systems.contains(&finding.system);
        let of_rule = self.rules.is_empty() || self.rules.iter().any(|rule| rule_matches(rule, &finding.rule));
        finding.severity >= self.severity_from && in_system && of_rule && self.is_on_duty(finding.decided)
    }

    fn is_on_duty(&self, at: Instant) -> bool {
        let local = at.unix_seconds() + self.utc_offset_minutes * MINUTE_SECONDS;
        let (day, minute) = (local.div_euclid(DAY_SECONDS), local.rem_euclid(DAY_SECONDS) / MINUTE_SECONDS);
        let (from, until) = self.hours.as_deref().and_then(parse_hours).unwrap_or((0, DAY_SECONDS / MINUTE_SECONDS));
        let over_midnight = from > until;
        let in_hours = if over_midnight { minute >= from || minute < until } else { minute >= from && minute < until };
        // The small hours belong to the shift that began the evening before.
        let of_day = if over_midnight && minute < until { day - 1 } else { day };
        in_hours && (self.days.is_empty() || self.days.contains(&weekday(of_day)))
    }
}

/// Names of the receivers that are told of `finding`, and of those that follow when nobody acknowledges it.
#[must_use]
pub fn receivers(finding: &Finding, routes: &[Route], all: &[String]) -> (Vec<String>, Vec<Escalation>) {
    // Of a receiver that fails the others are told, and of a silence everybody.
    match finding.rule.as_str() {
        FAILED_RULE | GONE_RULE => {
            return (all.iter().filter(|name| **name != finding.entity).cloned().collect(), Vec::new());
        }
        SILENCED_RULE | COMPROMISED_RULE | LOWERED_RULE | REFUSED_RULE | PASSED_BY_RULE => {
            return (all.to_vec(), Vec::new());
        }
        _ => {}
    }
    let matching: Vec<&Route> = routes.iter().filter(|route| route.matches(finding)).collect();
    if matching.is_empty() {
        return (all.to_vec(), Vec::new());
    }
    let routed: BTreeSet<&String> = routes.iter().flat_map(of_route).collect();
    let told = |name: &&String| !routed.contains(name) || matching.iter().any(|route| route.receivers.contains(name));
    let mut steps: Vec<Escalation> = matching.iter().flat_map(|route| route.escalate.clone()).collect();
    steps.sort_by_key(|step| step.after_minutes);
    (all.iter().filter(told).cloned().collect(), steps)
}

/// The rule of the finding that a receiver fails; its entity is the receiver.
pub(crate) const FAILED_RULE: &str = "keywatch/delivery_failed";

/// The rule of the finding that a receiver says it is gone; its entity is the receiver.
pub(crate) const GONE_RULE: &str = "keywatch/destination_gone";

/// The rule of the finding that somebody silenced findings.
pub(crate) const SILENCED_RULE: &str = "keywatch/silenced";

/// The rule of the finding that another process's finding is not acted upon; its entity is the system, or stands for all systems
/// that are not declared, so that however many are refused are one alert.
pub(crate) const REFUSED_RULE: &str = "keywatch/finding_refused";

/// The fact of it that has the id of what is not acted upon.
pub(crate) const REFUSED_ID: &str = "refused";

/// The fact of it that says when that says it was decided: what has the same id and was decided at another time is another one.
pub(crate) const REFUSED_DECIDED: &str = "decided";

/// The rule of the finding that messages of a later version are passed by; its entity is the partition of the topic.
pub(crate) const PASSED_BY_RULE: &str = "keywatch/messages_passed_by";

/// The rule of the finding that a start has lowered what rules may do.
pub(crate) const LOWERED_RULE: &str = "keywatch/protection_lowered";

/// The rule of the finding that a credential was declared compromised, or that this is taken back.
pub(crate) const COMPROMISED_RULE: &str = "keywatch/credential_compromised";

fn of_route(route: &Route) -> impl Iterator<Item = &String> {
    route.receivers.iter().chain(route.escalate.iter().flat_map(|step| &step.receivers))
}

fn rule_matches(pattern: &str, rule: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(family) => rule.split_once('/').is_some_and(|(of, _)| of == family),
        None => pattern == rule,
    }
}

/// Day 0 of the epoch was a Thursday.
fn weekday(day: i64) -> Day {
    let index = usize::try_from((day + 3).rem_euclid(7)).expect("a remainder of seven is below seven");
    WEEK[index]
}

/// Minutes since midnight.
fn parse_hours(text: &str) -> Option<(i64, i64)> {
    let (from, until) = text.split_once('-')?;
    let (from, until) = (parse_minute(from)?, parse_minute(until)?);
    (from != until).then_some((from, until))
}

fn parse_minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) || (hour, minute) == (24, 0);
    valid.then_some(hour * 60 + minute)
}
