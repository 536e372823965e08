//! What one run of the rules sees: the rows of the log, how far each system is complete, and the inventory versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use keywatch_store::inventory::{Quotes, System, table};
use keywatch_store::limits::QUOTE_VALID_NS;
use keywatch_store::{Event, Instant};

use super::token_names::TokenNames;
use crate::limits::{FOLLOWING_NS_MAX, INDEXED_VERSIONS_MAX, INVENTORY_VERSIONS_MAX};
use crate::window::{Shared, Systems};

/// What one run sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    pub(crate) systems: &'a Systems,
    pub(crate) inventories: &'a Inventories,
    /// What was told apart in this run already.
    pub(crate) shared: &'a Shared,
}

/// The inventory of one system from a log time on.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) from: Instant,
    pub(crate) system: System,
    /// Its tables, made for the first lookup that asks: all lookups share their columns.
    tables: Mutex<BTreeMap<&'static str, RecordBatch>>,
}

/// Every system's inventory versions that rows on hold can still see.
#[derive(Debug, Default)]
pub(crate) struct Inventories {
    by_system: BTreeMap<String, Vec<Arc<Version>>>,
    /// What tokens call themselves of which nothing is declared.
    pub(crate) said: TokenNames,
    /// What sources quote for assets that are declared.
    pub(crate) quotes: Quotes,
}

impl Inventories {
    /// The inventory of a system changes at `from`.
    pub(crate) fn activate(&mut self, from: Instant, system: System) {
        let versions = self.by_system.entry(system.id.clone()).or_default();
        versions.push(Arc::new(Version { from, system, tables: Mutex::default() }));
        // Their rows are looked up seldom by now, and would lie there twice.
        versions.iter().rev().skip(INDEXED_VERSIONS_MAX).for_each(|older| older.tables().clear());
        if versions.len() > INVENTORY_VERSIONS_MAX {
            versions.remove(0);
        }
    }

    /// Takes a quote, as the inventory of its own time believes it; any other record says nothing of this.
    pub(crate) fn quote(&mut self, event: &Event) {
        if event.kind() != "asset.price" {
            return;
        }
        let version = self.at(event.system(), event.time()).cloned();
        self.quotes.take(event, version.as_ref().map(|version| &version.system));
    }

    /// Lets go of quotes that no row can ask for any more, where all of a system's records are seen through `complete`: a row is
    /// told what its amounts are worth where it was decided within [`FOLLOWING_NS_MAX`].
    pub(crate) fn forget_quotes(&mut self, complete: impl Fn(&str) -> Option<Instant>) {
        let systems: Vec<String> = self.quotes.systems().map(str::to_owned).collect();
        for system in systems {
            if let Some(Instant(complete)) = complete(&system) {
                let from = complete.saturating_sub(FOLLOWING_NS_MAX).saturating_sub(QUOTE_VALID_NS);
                self.quotes.forget(&system, Instant(from));
            }
        }
    }

    /// All versions, those of a system in their order.
    pub(crate) fn all(&self) -> Vec<&Version> {
        self.by_system.values().flatten().map(Arc::as_ref).collect()
    }

    /// The inventory of a system as of a log time.
    pub(crate) fn at(&self, system: &str, time: Instant) -> Option<&Arc<Version>> {
        self.by_system.get(system)?.iter().rev().find(|version| version.from <= time)
    }

    /// Whether an inventory that holds from then on is one of the newest of its system, of which indexes are kept.
    pub(crate) fn is_recent(&self, system: &str, from: Instant) -> bool {
        let mut newest = self.by_system.get(system).into_iter().flatten().rev().take(INDEXED_VERSIONS_MAX);
        newest.any(|version| version.from == from)
    }
}

impl Version {
    /// Columns of one of its tables.
    pub(crate) fn table(&self, name: &str, columns: &[usize]) -> Result<RecordBatch> {
        let table = table(name).ok_or_else(|| DataFusionError::Plan(format!("`{name}` is no inventory table")))?;
        let mut tables = self.tables();
        let known = tables.get(table.name).cloned();
        let rows = if let Some(rows) = known {
            rows
        } else {
            let rows = self.system.batch(table).map_err(|error| DataFusionError::External(Box::new(error)))?;
            tables.insert(table.name, rows.clone());
            rows
        };
        Ok(rows.project(columns)?)
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<&'static str, RecordBatch>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use keywatch_store::inventory::Wallet;

    use super::*;

    #[test]
    fn lookups_share_the_tables_of_an_inventory_and_those_of_the_newest_are_kept() {
        let mut inventories = Inventories::default();
        let count = i64::try_from(INDEXED_VERSIONS_MAX).unwrap() + 2;
        let mut seen = Vec::new();
        for from in 1..=count {
            let wallet = Wallet { wallet: from.to_string(), chain: "base".into(), ..Wallet::default() };
            let system = System { id: "cold".into(), wallets: vec![wallet], ..System::default() };
            inventories.activate(Instant(from), system);
            let now = inventories.at("cold", Instant(from)).unwrap().clone();
            let [one, other] = [[0, 1], [2, 1]].map(|columns| now.table("wallets", &columns).unwrap());
            assert!(Arc::ptr_eq(one.column(1), other.column(1)), "the column of both is one");
            seen.push(now);
        }
        for (version, from) in seen.iter().zip(1..) {
            let is_recent = from > count - i64::try_from(INDEXED_VERSIONS_MAX).unwrap();
            assert_eq!(inventories.is_recent("cold", Instant(from)), is_recent, "{from}");
            assert_eq!(version.tables().is_empty(), !is_recent, "{from}");
            assert_eq!(
                inventories.at("cold", Instant(from)).unwrap().from,
                Instant(from),
                "all of them are still there"
            );
            assert_eq!(version.table("wallets", &[1]).unwrap().num_rows(), 1);
        }
        assert!(!inventories.is_recent("cold", Instant(0)) && !inventories.is_recent("warm", Instant(count)));
        assert!(seen[0].table("wallet", &[1]).is_err());
    }
}
