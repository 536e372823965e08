//! What the inventory declares of each system that keywatch watches because of it, and what it approves: a fold over
//! `inventory.activated`, so that an inventory that declares less than the one before is seen, at a start and while keywatch
//! runs. Knows nothing of rules. A system that is in the inventory no more has no such record: see
//! [`protection`](super::protection).

use std::collections::{BTreeMap, BTreeSet};

use keywatch_store::inventory::System;
use keywatch_store::{Event, EventId, Finding, Instant, Inventory, Severity};
use serde::{Deserialize, Serialize};

use crate::lifecycle::protection::names;
use crate::lifecycle::self_monitoring::about_keywatch;
use crate::limits::DECLARATION_CHANGES_MAX;
use crate::policy::routes::LOWERED_RULE;

/// What is said of one system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    wallets: BTreeSet<String>,
    sources: BTreeSet<String>,
    /// Source that is expected to be heard within some time → that time, seconds.
    heartbeats: BTreeMap<String, i64>,
    /// Source whose records may come late → by how much, seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    delays: BTreeMap<String, i64>,
    /// Wallet → which of signer, node, ledger and decision point are declared for it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seen_by: BTreeMap<String, BTreeSet<String>>,
    destinations: BTreeSet<String>,
}

impl Said {
    fn of(system: &System) -> Said {
        let roles = system.wallets.iter().map(|wallet| {
            (wallet.wallet.clone(), wallet.sources().map(|(role, _)| role.to_owned()).collect::<BTreeSet<String>>())
        });
        let seconds = system.sources.iter().map(|source| {
            let name = || source.source.clone();
            ((name(), source.heartbeat_seconds), (name(), source.max_delay_seconds))
        });
        let (mut heartbeats, mut delays): (BTreeMap<String, i64>, BTreeMap<String, i64>) = seconds.unzip();
        heartbeats.retain(|_, seconds| *seconds > 0);
        delays.retain(|_, seconds| *seconds > 0);
        Said {
            wallets: system.wallets.iter().map(|wallet| wallet.wallet.clone()).collect(),
            sources: system.sources.iter().map(|source| source.source.clone()).collect(),
            heartbeats,
            delays,
            seen_by: roles.filter(|(_, roles)| !roles.is_empty()).collect(),
            destinations: system.destinations.iter().map(|destination| destination.address.clone()).collect(),
        }
    }

    /// How it is less than what was said `before`: in words, with the names.
    fn less_than(&self, before: &Said) -> Vec<(String, BTreeSet<String>)> {
        let gone = |was: &BTreeSet<String>, is: &BTreeSet<String>| was.difference(is).cloned().collect::<BTreeSet<_>>();
        // Of what is gone itself, that is enough.
        let still = |names: BTreeSet<String>, there: &BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| there.contains(name)).collect()
        };
        let heartbeats = |said: &Said| said.heartbeats.keys().cloned().collect::<BTreeSet<_>>();
        let mut less = vec![
            ("wallets declared no more".to_owned(), gone(&before.wallets, &self.wallets)),
            ("sources declared no more".to_owned(), gone(&before.sources, &self.sources)),
            (
                "sources whose silence is ordinary now".to_owned(),
                still(gone(&heartbeats(before), &heartbeats(self)), &self.sources),
            ),
            ("sources that may be silent for longer".to_owned(), longer(&self.heartbeats, &before.heartbeats, None)),
            (
                "sources that may be late by more".to_owned(),
                still(longer(&self.delays, &before.delays, Some(0)), &before.sources),
            ),
            ("destinations approved".to_owned(), gone(&self.destinations, &before.destinations)),
        ];
        for role in ["signer", "node", "ledger", "decision_point"] {
            let with_it = |said: &Said| -> BTreeSet<String> {
                let wallets = said.seen_by.iter().filter(|(_, roles)| roles.contains(role));
                wallets.map(|(wallet, _)| wallet.clone()).collect()
            };
            let wallets = still(gone(&with_it(before), &with_it(self)), &self.wallets);
            less.push((format!("wallets without a {} now", role.replace('_', " ")), wallets));
        }
        less.retain(|(_, names)| !names.is_empty());
        less
    }
}

/// Sources of which more seconds are said `now` than before, where what was not said counts as `unsaid`.
fn longer(now: &BTreeMap<String, i64>, before: &BTreeMap<String, i64>, unsaid: Option<i64>) -> BTreeSet<String> {
    let is_longer = |source: &String, seconds: i64| {
        let known = before.get(source).copied().or(unsaid);
        known.is_some_and(|known| seconds > known)
    };
    now.iter().filter(|(source, seconds)| is_longer(source, **seconds)).map(|(source, _)| source.clone()).collect()
}

/// How a declaration was less than the one before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Change {
    /// The `inventory.activated`.
    event: EventId,
    at: Instant,
    /// In words, with the names.
    less: Vec<(String, BTreeSet<String>)>,
}

/// A system, as it was declared last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Declared {
    said: Said,
    /// The newest ones.
    changes: Vec<Change>,
}

/// All systems, as they were declared last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declarations(BTreeMap<String, Declared>);

impl Declarations {
    /// Takes in an `inventory.activated` record.
    pub(crate) fn apply(&mut self, event: &Event) {
        let Some(inventory) = Inventory::from_activation(event) else { return };
        let Some(said) = inventory.system(event.system()).map(Said::of) else { return };
        // The first has nothing to compare with.
        let first = || Declared { said: said.clone(), changes: Vec::new() };
        let known = self.0.entry(event.system().to_owned()).or_insert_with(first);
        let less = said.less_than(&known.said);
        if !less.is_empty() {
            known.changes.push(Change { event: event.event_id(), at: event.time(), less });
            let excess = known.changes.len().saturating_sub(DECLARATION_CHANGES_MAX);
            known.changes.drain(..excess);
        }
        known.said = said;
    }

    /// Findings about declarations that were less than the one before.
    pub(crate) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.0.iter().flat_map(|(system, declared)| declared.changes.iter().map(move |change| finding(system, change)))
    }
}

fn finding(system: &str, change: &Change) -> Finding {
    let mut finding = about_keywatch(LOWERED_RULE, system, system, change.event, change.at);
    finding.severity = Severity::High;
    // A second change that lowers more is news, however soon it comes.
    finding.suppress_ns = 0;
    let parts: Vec<String> = change.less.iter().map(|(what, named)| format!("{what}: {}", names(named))).collect();
    finding.title = format!("The inventory of {system} protects less than before; {}", parts.join("; "));
    finding.meaning =
        "What is declared no more is not watched: rules do not judge it, and nobody misses what it should have \
                       said. Payments to an approved destination are ordinary to most rules. Whoever can write the \
                       inventory can do this before a theft."
            .to_owned();
    finding.runbook = "See who changed the inventory, and whether a second person agreed.\n\
                       If nobody knows of it, put the last inventory back: keywatch takes it up by itself."
        .to_owned();
    finding
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALLET: &str = "[[systems.wallets]]\nwallet = '0xa'\nchain = 'ethereum'\nnode = 'node'\n";
    const SOURCES: &str = "[[systems.sources]]\nsource = 'node'\nfeed = 'events'\nheartbeat_seconds = 60\n\
                           [[systems.sources]]\nsource = 'idp'\nfeed = 'events'\n";
    const DESTINATION: &str = "[[systems.destinations]]\naddress = '0xd'\n";

    /// What is told of each of these inventories, one after the other.
    fn told(inventories: &[String]) -> Vec<Option<String>> {
        let mut all = Declarations::default();
        let mut titles = Vec::new();
        for (index, text) in inventories.iter().enumerate() {
            let inventory = Inventory::parse("i.toml", &format!("[[systems]]\nid = 'cold'\n{text}")).unwrap();
            let before = all.findings().count();
            let time = Instant(i64::try_from(index).unwrap() + 1);
            inventory.activation(time).iter().filter(|event| event.kind() == "inventory.activated").for_each(|event| {
                all.apply(event);
            });
            titles.push(all.findings().nth(before).map(|finding| finding.title));
        }
        titles
    }

    #[test]
    fn an_inventory_that_protects_less_is_told_and_one_that_protects_more_is_not() {
        let full = format!("{WALLET}{SOURCES}");
        let titles = told(&[
            full.clone(),
            format!("{full}{DESTINATION}"),
            full.clone(),
            full.replace("heartbeat_seconds = 60\n", "").replace("node = 'node'\n", ""),
            full.clone(),
            full.replace("heartbeat_seconds = 60\n", "heartbeat_seconds = 86_400\nmax_delay_seconds = 7_200\n"),
            full.clone(),
            SOURCES.replace("idp", "idq"),
            full,
        ]);
        let said = |title: &Option<String>| title.as_ref().map(|title| title.split_once("; ").unwrap().1.to_owned());
        let expected = [
            None,
            Some("destinations approved: 0xd"),
            None,
            Some("sources whose silence is ordinary now: node; wallets without a node now: 0xa"),
            None,
            Some("sources that may be silent for longer: node; sources that may be late by more: node"),
            None,
            Some("wallets declared no more: 0xa; sources declared no more: idp"),
            Some("sources declared no more: idq"),
        ];
        let said: Vec<Option<String>> = titles.iter().map(said).collect();
        assert_eq!(said, expected.map(|said| said.map(str::to_owned)));
    }
}
