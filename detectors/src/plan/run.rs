//! What one run of the plans sees: the batch of the log, how far each system is complete, and the inventory versions.
//! All plans of an engine share it; the engine sets it before it runs them.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use keywatch_store::Instant;
use keywatch_store::inventory::{System, TABLES};

use crate::window::{Completeness, Operator, StateSize};

/// The inventory of one system from a log time on.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) from: Instant,
    pub(crate) system: System,
}

/// What one run sees.
#[derive(Debug, Default)]
pub(crate) struct Run {
    batch: Mutex<Option<RecordBatch>>,
    completeness: Mutex<Arc<Completeness>>,
    inventory: Mutex<HashMap<String, Vec<Arc<Version>>>>,
    tables: Mutex<HashMap<&'static str, RecordBatch>>,
    operators: Mutex<Vec<Weak<Mutex<Operator>>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// Sets the batch and how far each system is complete with it.
    pub(crate) fn set(&self, batch: RecordBatch, completeness: Completeness) {
        *lock(&self.batch) = Some(batch);
        *lock(&self.completeness) = Arc::new(completeness);
    }

    pub(crate) fn batch(&self) -> Option<RecordBatch> {
        lock(&self.batch).clone()
    }

    pub(crate) fn completeness(&self) -> Arc<Completeness> {
        lock(&self.completeness).clone()
    }

    /// The inventory of a system changes at `from`.
    pub(crate) fn activate(&self, from: Instant, system: System) {
        let mut inventory = lock(&self.inventory);
        let versions = inventory.entry(system.id.clone()).or_default();
        versions.push(Arc::new(Version { from, system }));
        if versions.len() > crate::limits::INVENTORY_VERSIONS_MAX {
            versions.remove(0);
        }
    }

    /// The inventory of a system as of a log time.
    pub(crate) fn inventory_at(&self, system: &str, time: Instant) -> Option<Arc<Version>> {
        let inventory = lock(&self.inventory);
        inventory.get(system)?.iter().rev().find(|version| version.from <= time).cloned()
    }

    /// Shows the tables of one inventory to the scans that build an index from it.
    pub(crate) fn show_tables(&self, system: &System) -> datafusion::error::Result<()> {
        let mut tables = lock(&self.tables);
        for table in TABLES {
            let batch = system.batch(table).map_err(|error| DataFusionError::External(Box::new(error)))?;
            tables.insert(table.name, batch);
        }
        Ok(())
    }

    /// The table shown last.
    pub(crate) fn table(&self, name: &str) -> Option<RecordBatch> {
        lock(&self.tables).get(name).cloned()
    }

    pub(crate) fn register(&self, operator: &Arc<Mutex<Operator>>) {
        lock(&self.operators).push(Arc::downgrade(operator));
    }

    /// How many operators are registered.
    pub(crate) fn operators(&self) -> usize {
        lock(&self.operators).len()
    }

    /// How much those operators remember.
    pub(crate) fn state_size(&self, which: Range<usize>) -> StateSize {
        let operators: Vec<_> = lock(&self.operators)[which].iter().filter_map(Weak::upgrade).collect();
        operators.iter().map(|operator| lock(operator).size()).sum()
    }
}
