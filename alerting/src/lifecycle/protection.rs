//! What the configuration lets the rules do, as it was at each start: which run, and which may revoke without a person; and
//! which systems there are. A fold over `protection.configured`, so that a start that lowers it is seen against the last one.
//! Reads no configuration.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::event::Origin;
use keywatch_store::{Event, EventId, Finding, Instant, Severity};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::lifecycle::action::SOURCE;
use crate::lifecycle::self_monitoring::about_keywatch;
use crate::limits::PROTECTION_NAMES_SHOWN_MAX;
use crate::policy::routes::LOWERED_RULE;
use crate::policy::settings::Policy;

/// What the rules may do in one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protection {
    /// Rules that run.
    pub on: BTreeSet<String>,
    /// Those of them that may revoke without a person.
    pub acting: BTreeSet<String>,
    /// The system is in the inventory no more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gone: bool,
}

impl Protection {
    /// Of a system, where these rules run under that policy.
    #[must_use]
    pub fn of<'a>(system: &str, rules: impl Iterator<Item = &'a str>, policy: &Policy) -> Protection {
        let on: BTreeSet<String> = rules.map(str::to_owned).collect();
        let acting = on.iter().filter(|rule| policy.in_shadow(system, rule).is_none()).cloned().collect();
        Protection { on, acting, gone: false }
    }

    /// Of a system that is in the inventory no more.
    #[must_use]
    pub fn gone() -> Protection {
        Protection { gone: true, ..Protection::default() }
    }
}

/// A system as it was configured last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Configured {
    protection: Protection,
    /// How often the log says so.
    times: u64,
    lowered: Option<Lowered>,
}

/// What a start has lowered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lowered {
    /// Rules that ran before and do not.
    off: BTreeSet<String>,
    /// Rules that might revoke before and only propose now.
    shadow: BTreeSet<String>,
    /// The system is in the inventory no more.
    gone: bool,
    at: Instant,
}

/// All systems, as they were configured last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protections(BTreeMap<String, Configured>);

impl Protections {
    /// Takes in a `protection.configured` record.
    pub(crate) fn apply(&mut self, event: &Event) {
        let Ok(protection) = Protection::deserialize(event.detail().value()) else { return };
        let before = self.0.remove(event.system());
        let times = before.as_ref().map_or(0, |before| before.times) + 1;
        let lowered = before.and_then(|before| lowered(&before.protection, &protection, event.time()));
        self.0.insert(event.system().to_owned(), Configured { protection, times, lowered });
    }

    /// The record of how a system is configured now; `None` where the log says so already.
    pub(crate) fn record(&self, system: &str, protection: &Protection, now: Instant) -> Option<Event> {
        let known = self.0.get(system);
        if known.is_some_and(|known| known.protection == *protection) {
            return None;
        }
        let origin = Origin { system: system.to_owned(), source: SOURCE.to_owned() };
        let id = format!("protection/{}", known.map_or(0, |known| known.times));
        let mut event = Event::builder(&origin, &id, "protection.configured", now);
        event.time(Instant::UNASSIGNED);
        event.detail(&json!(protection));
        Some(event.build_own())
    }

    /// Systems of which the log says how they are configured.
    pub(crate) fn systems(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Findings about systems in which the last start lowered something.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.0
            .iter()
            .filter_map(|(system, configured)| Some(finding(system, configured.times, configured.lowered.as_ref()?)))
    }
}

fn lowered(before: &Protection, now: &Protection, at: Instant) -> Option<Lowered> {
    if now.gone {
        return (!before.gone).then(|| Lowered { off: BTreeSet::new(), shadow: BTreeSet::new(), gone: true, at });
    }
    let off: BTreeSet<String> = before.on.difference(&now.on).cloned().collect();
    let shadow = before.acting.difference(&now.acting).filter(|rule| now.on.contains(*rule)).cloned().collect();
    let lowered = Lowered { off, shadow, gone: false, at };
    (!lowered.off.is_empty() || !lowered.shadow.is_empty()).then_some(lowered)
}

fn finding(system: &str, times: u64, lowered: &Lowered) -> Finding {
    let Lowered { off, shadow, gone, at } = lowered;
    let anchor = EventId::derive(system, SOURCE, &format!("protection/{}/lowered", times.saturating_sub(1)));
    let mut finding = about_keywatch(LOWERED_RULE, system, system, anchor, *at);
    finding.severity = Severity::High;
    // A second start that lowers more is news, however soon it comes.
    finding.suppress_ns = 0;
    let parts = [("off", off), ("in shadow", shadow)].into_iter().filter(|(_, rules)| !rules.is_empty());
    let parts: Vec<String> = parts.map(|(what, rules)| format!("{what}: {}", names(rules))).collect();
    finding.title = format!("keywatch was started with less protection than before; {}", parts.join("; "));
    finding.meaning =
        "Rules that are off find nothing. Rules in shadow find and page, and what they would revoke waits for a \
                       person. Whoever can write the configuration can do this before a theft."
            .to_owned();
    finding.runbook = "See who changed the configuration, and whether a second person agreed.\n\
                       If nobody knows of it, put the last configuration back and start keywatch again."
        .to_owned();
    if *gone {
        finding.title = format!("keywatch was started without system {system}, which it watched before");
        finding.meaning = "The inventory does not have the system any more: no rule judges it, its sources are not taken, and \
                           nobody misses what they should have said. Whoever can write the inventory can do this before a \
                           theft."
            .to_owned();
        finding.runbook = "See who changed the inventory, and whether a second person agreed.\n\
                           If nobody knows of it, put the last inventory back and start keywatch again."
            .to_owned();
    }
    finding
}

/// The first of them, and how many more there are.
pub(super) fn names(rules: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = rules.iter().take(PROTECTION_NAMES_SHOWN_MAX).map(String::as_str).collect();
    let more = rules.len() - shown.len();
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protection(on: &[&str], acting: &[&str]) -> Protection {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Protection { on: set(on), acting: set(acting), gone: false }
    }

    /// What is told of each start, one after the other.
    fn told(starts: &[Protection]) -> Vec<Option<String>> {
        let mut all = Protections::default();
        let start = |protection: &Protection| {
            if let Some(record) = all.record("cold", protection, Instant(1)) {
                all.apply(&record);
                return all.findings().next().map(|finding| finding.title);
            }
            None
        };
        starts.iter().map(start).collect()
    }

    #[test]
    fn a_start_that_lowers_protection_is_told_and_one_that_raises_it_is_not() {
        let full = protection(&["a", "b"], &["a", "b"]);
        let titles = told(&[
            full.clone(),
            full.clone(),
            protection(&["a", "b"], &["a"]),
            protection(&["a"], &["a"]),
            protection(&["a", "b", "c"], &["a", "b"]),
            protection(&["a", "c"], &[]),
            Protection::gone(),
            Protection::gone(),
            full.clone(),
        ]);
        let said = |title: &Option<String>| {
            title.as_ref().map(|title| title.split_once("; ").map_or(title.clone(), |(_, said)| said.to_owned()))
        };
        assert_eq!(
            titles.iter().map(said).collect::<Vec<_>>(),
            [
                None,
                None,
                Some("in shadow: b".to_owned()),
                Some("off: b".to_owned()),
                None,
                Some("off: b; in shadow: a".to_owned()),
                Some("keywatch was started without system cold, which it watched before".to_owned()),
                None,
                None,
            ]
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let rules: BTreeSet<String> =
            (0..PROTECTION_NAMES_SHOWN_MAX + 3).map(|index| format!("r/{index:03}")).collect();
        assert!(names(&rules).ends_with(" and 3 more"), "{}", names(&rules));
    }
}
