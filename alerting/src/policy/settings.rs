//! What the operator allows keywatch to do: who is told, how much it may revoke alone, whose word counts as independent.
//! Data only.

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::{Instant, Inventory, Severity};
use serde::Deserialize;

use crate::policy::routes::Route;
use crate::response::intent::Targets;

const HOUR_NS: i64 = 3_600 * 1_000_000_000;

/// The operator's settings for alerting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Propose every revocation and carry none out alone.
    pub shadow: bool,
    /// Rules that only propose.
    pub shadow_rules: BTreeSet<String>,
    /// Systems in which everything is only proposed.
    pub shadow_systems: BTreeSet<String>,
    /// Alerts below this severity are recorded and not sent.
    pub notify_from: Severity,
    /// How much may be revoked without a person.
    pub budgets: Budgets,
    /// Who has to agree to what is proposed.
    pub approvals: Approvals,
    /// Longest life of a session, seconds: a revoked session is kept in the document that long.
    pub session_lifetime_seconds: i64,
    /// Names of the destinations that notifications go to.
    #[serde(skip)]
    pub destinations: Vec<String>,
    /// Which of them is told of what; all are told of everything where there is none.
    #[serde(skip)]
    pub routes: Vec<Route>,
    /// Further names of people, by the one that stands in records: a session may know `ann` as `ann@firm.example`.
    #[serde(skip)]
    pub aliases: BTreeMap<String, BTreeSet<String>>,
    /// Systems that are declared where this process started: what is refused of any other is told together. All are where none
    /// is named.
    #[serde(skip)]
    pub systems: BTreeSet<String>,
    /// System → source → trust group, from the inventory.
    #[serde(skip)]
    pub trust_groups: BTreeMap<String, BTreeMap<String, String>>,
}

/// Revocations carried out alone in one hour of log time. What goes beyond is proposed to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// By one rule in one system.
    pub rule_per_hour: usize,
    /// On the word of one source in one system.
    pub source_per_hour: usize,
    /// In one system.
    pub system_per_hour: usize,
    /// Part of the system's budget that only critical findings may use.
    pub reserved_for_critical: usize,
    /// In one system within a minute. Of these, findings that are not critical may use half.
    pub system_per_minute: usize,
    /// Sessions, people and devices cut off in one system, as a share of the open sessions that identity providers have
    /// reported. Of this, findings that are not critical may use half.
    pub share_of_sessions_percent: usize,
    /// As many may be cut off whatever the share says: of three sessions, one is a third.
    pub share_applies_above: usize,
}

/// Who has to agree to what is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Approvals {
    /// People who have to approve: one or two.
    pub people: usize,
    /// From so many names on, it takes two people in any case.
    pub two_people_from_names: usize,
    /// People who have to agree that a response is taken back: one or two.
    pub undo_approvals: usize,
    /// Hours of log time after which a proposal can be approved no more.
    pub expire_after_hours: u32,
}

impl Default for Approvals {
    fn default() -> Self {
        Approvals { people: 1, two_people_from_names: 10, undo_approvals: 1, expire_after_hours: 72 }
    }
}

impl Approvals {
    /// How many people have to approve a response to these targets.
    #[must_use]
    pub fn people_for(&self, targets: &Targets) -> usize {
        if targets.iter().count() >= self.two_people_from_names { 2 } else { self.people.clamp(1, 2) }
    }

    /// When a proposal of that time can be approved no more.
    #[must_use]
    pub fn expires(&self, decided: Instant) -> Instant {
        decided.saturating_add(i64::from(self.expire_after_hours).saturating_mul(HOUR_NS))
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets {
            rule_per_hour: 10,
            source_per_hour: 20,
            system_per_hour: 30,
            reserved_for_critical: 10,
            system_per_minute: 10,
            share_of_sessions_percent: 20,
            share_applies_above: 10,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            shadow: false,
            shadow_rules: BTreeSet::new(),
            shadow_systems: BTreeSet::new(),
            notify_from: Severity::Low,
            budgets: Budgets::default(),
            approvals: Approvals::default(),
            session_lifetime_seconds: 7 * 86_400,
            destinations: Vec::new(),
            routes: Vec::new(),
            aliases: BTreeMap::new(),
            systems: BTreeSet::new(),
            trust_groups: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// Takes the trust groups of the systems that `inventory` declares; other systems keep theirs.
    pub fn adopt(&mut self, inventory: &Inventory) {
        for system in &inventory.systems {
            let named = system.sources.iter().filter(|source| !source.trust_group.is_empty());
            let groups = named.map(|source| (source.source.clone(), source.trust_group.clone())).collect();
            self.trust_groups.insert(system.id.clone(), groups);
        }
    }

    /// Why a finding only proposes, where it is to.
    #[must_use]
    pub fn in_shadow(&self, system: &str, rule: &str) -> Option<String> {
        if self.shadow {
            return Some("shadow mode: nothing is revoked without a person".to_owned());
        }
        if self.shadow_systems.contains(system) {
            return Some(format!("shadow mode of system {system}: nothing is revoked there without a person"));
        }
        self.shadow_rules.contains(rule).then(|| format!("shadow mode of {rule}: it revokes nothing without a person"))
    }

    /// Whether two names are those of one person, as far as the configuration says so; the case of letters does not matter.
    #[must_use]
    pub fn is_same_person(&self, one: &str, other: &str) -> bool {
        self.person(one) == self.person(other)
    }

    fn person(&self, name: &str) -> String {
        let name = name.to_lowercase();
        let has_it = |aliases: &BTreeSet<String>| aliases.iter().any(|alias| alias.to_lowercase() == name);
        let known = self.aliases.iter().find(|(_, aliases)| has_it(aliases)).map(|(person, _)| person.to_lowercase());
        known.unwrap_or(name)
    }

    /// The trust group of a source. A source that the inventory does not place counts for nothing.
    #[must_use]
    pub fn trust_group(&self, system: &str, source: &str) -> Option<&str> {
        Some(self.trust_groups.get(system)?.get(source)?.as_str())
    }
}
