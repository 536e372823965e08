//! What the operator allows keywatch to do: who is told, how much it may revoke alone, whose word counts as independent.
//! Data only.

use std::collections::BTreeMap;

use keywatch_store::{Inventory, Severity};
use serde::Deserialize;

/// The operator's settings for alerting.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Propose every revocation and carry none out alone.
    pub shadow: bool,
    /// Alerts below this severity are recorded and not sent.
    pub notify_from: Severity,
    /// How much may be revoked without a person.
    pub budgets: Budgets,
    /// Longest life of a session, seconds: a revoked session is kept in the document that long.
    pub session_lifetime_seconds: i64,
    /// Names of the destinations that notifications go to.
    #[serde(skip)]
    pub destinations: Vec<String>,
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
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets { rule_per_hour: 10, source_per_hour: 20, system_per_hour: 30, reserved_for_critical: 10 }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            shadow: false,
            notify_from: Severity::Low,
            budgets: Budgets::default(),
            session_lifetime_seconds: 7 * 86_400,
            destinations: Vec::new(),
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

    /// The trust group of a source. A source that the inventory does not place counts for nothing.
    #[must_use]
    pub fn trust_group(&self, system: &str, source: &str) -> Option<&str> {
        Some(self.trust_groups.get(system)?.get(source)?.as_str())
    }
}
