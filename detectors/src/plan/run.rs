//! What one run of the rules sees: the rows of the log, how far each system is complete, and the inventory versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use keywatch_store::Instant;
use keywatch_store::inventory::{System, table};

use super::token_names::TokenNames;
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
}

/// Every system's inventory versions that rows on hold can still see.
#[derive(Debug, Default)]
pub(crate) struct Inventories {
    by_system: BTreeMap<String, Vec<Arc<Version>>>,
    /// What tokens call themselves of which nothing is declared.
    pub(crate) said: TokenNames,
}

impl Inventories {
    /// The inventory of a system changes at `from`.
    pub(crate) fn activate(&mut self, from: Instant, system: System) {
        let versions = self.by_system.entry(system.id.clone()).or_default();
        versions.push(Arc::new(Version { from, system }));
        if versions.len() > crate::limits::INVENTORY_VERSIONS_MAX {
            versions.remove(0);
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
}

impl Version {
    /// Columns of one of its tables.
    pub(crate) fn table(&self, name: &str, columns: &[usize]) -> Result<RecordBatch> {
        let table = table(name).ok_or_else(|| DataFusionError::Plan(format!("`{name}` is no inventory table")))?;
        let rows = self.system.batch(table).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(rows.project(columns)?)
    }
}
