//! The lookup itself: rows in, rows with what the inventory says of them out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{interleave, take_record_batch};
use arrow::datatypes::{SchemaRef, TimestampNanosecondType};
use arrow::row::{RowConverter, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExprRef;
use keywatch_store::Instant;

use super::index::Index;
use super::node::LookupKind;
use crate::plan::pipeline::{Pipeline, Source, array};
use crate::plan::run::{Run, Version};

/// What a lookup is planned with.
#[derive(Debug)]
pub(crate) struct LookupPlan {
    pub(crate) event_keys: Vec<PhysicalExprRef>,
    pub(crate) table_keys: Vec<PhysicalExprRef>,
    pub(crate) filter: Option<PhysicalExprRef>,
    pub(crate) kind: LookupKind,
    pub(crate) events_first: bool,
    pub(crate) system_column: usize,
    pub(crate) time_column: usize,
    pub(crate) table: SchemaRef,
    pub(crate) output: SchemaRef,
}

/// A lookup with its indexes, which outlive every run.
#[derive(Debug)]
pub(crate) struct Lookup {
    plan: Arc<LookupPlan>,
    /// What is done to the table before it is indexed.
    table: Pipeline,
    converter: RowConverter,
    /// By system and the log time from which the inventory holds.
    indexes: HashMap<(String, Instant), Arc<Index>>,
}

/// For each output row: the event, and the match as (index number from 1, row) or the null row (0, 0).
#[derive(Default)]
struct Matches {
    events: Vec<u32>,
    rows: Vec<(usize, usize)>,
}

impl Lookup {
    pub(crate) fn new(plan: Arc<LookupPlan>, table: Pipeline) -> Result<Lookup> {
        let types = plan.table_keys.iter().map(|key| Ok(SortField::new(key.data_type(&plan.table)?)));
        let converter = RowConverter::new(types.collect::<Result<_>>()?)?;
        Ok(Lookup { plan, table, converter, indexes: HashMap::new() })
    }

    /// Looks up some rows; the order of the rows is kept.
    pub(crate) fn run(&mut self, rows: &RecordBatch, run: &Run<'_>) -> Result<RecordBatch> {
        let versions = self.versions(rows, run);
        let distinct: Vec<Arc<Version>> = versions.distinct;
        let indexes = distinct.iter().map(|version| self.index(version, run)).collect::<Result<Vec<_>>>()?;
        let candidates = self.candidates(rows, &versions.by_row, &indexes)?;
        let matches = self.filter(rows, &candidates, &indexes)?;
        self.joined(rows, &matches, &indexes)
    }

    /// Which inventory version each row sees, as a number into the distinct ones.
    fn versions(&self, rows: &RecordBatch, run: &Run<'_>) -> RowVersions {
        let systems = rows.column(self.plan.system_column).as_string_view();
        let times = rows.column(self.plan.time_column).as_primitive::<TimestampNanosecondType>();
        let mut versions = RowVersions { by_row: Vec::with_capacity(rows.num_rows()), distinct: Vec::new() };
        for row in 0..rows.num_rows() {
            versions.push(run.inventories.at(systems.value(row), Instant(times.value(row))));
        }
        versions
    }

    fn index(&mut self, version: &Version, run: &Run<'_>) -> Result<Arc<Index>> {
        let key = (version.system.id.clone(), version.from);
        if let Some(index) = self.indexes.get(&key) {
            return Ok(index.clone());
        }
        let Source::Inventory(name, columns) = &self.table.source else {
            return Err(DataFusionError::Internal("a lookup in what is no inventory table".to_owned()));
        };
        let declared = version.table(name, columns)?;
        let rows = self.table.run(Some(declared), run)?;
        let rows = rows.unwrap_or_else(|| RecordBatch::new_empty(self.plan.table.clone()));
        let keys = arrays(&self.plan.table_keys, &rows)?;
        let index = Arc::new(Index::build(rows, &keys, &self.converter)?);
        // Of what hardly any row sees any more they are let go of: those of very many wallets are large.
        self.indexes.retain(|(system, from), _| run.inventories.is_recent(system, *from));
        self.indexes.insert(key, index.clone());
        Ok(index)
    }

    fn candidates(&self, batch: &RecordBatch, versions: &[Option<usize>], indexes: &[Arc<Index>]) -> Result<Matches> {
        let keys = arrays(&self.plan.event_keys, batch)?;
        let encoded = self.converter.convert_columns(&keys)?;
        let mut matches = Matches::default();
        for (event, (row, version)) in (0_u32..).zip(versions.iter().enumerate()) {
            let Some(version) = version.filter(|_| keys.iter().all(|key| key.is_valid(row))) else { continue };
            for found in indexes[version].find(encoded.row(row).as_ref()) {
                matches.events.push(event);
                matches.rows.push((version + 1, *found));
            }
        }
        Ok(matches)
    }

    /// Drops candidates that the filter refuses and, in a left lookup, gives every unmatched event its null row.
    fn filter(&self, batch: &RecordBatch, candidates: &Matches, indexes: &[Arc<Index>]) -> Result<Matches> {
        let keep: Option<BooleanArray> = match &self.plan.filter {
            None => None,
            Some(filter) => {
                let joined = self.joined(batch, candidates, indexes)?;
                Some(filter.evaluate(&joined)?.into_array(joined.num_rows())?.as_boolean().clone())
            }
        };
        let kept =
            |candidate: usize| keep.as_ref().is_none_or(|keep| keep.is_valid(candidate) && keep.value(candidate));
        let mut matches = Matches::default();
        let mut candidate = 0;
        for event in (0_u32..).take(batch.num_rows()) {
            let before = matches.events.len();
            while candidates.events.get(candidate) == Some(&event) {
                if kept(candidate) {
                    matches.events.push(event);
                    matches.rows.push(candidates.rows[candidate]);
                }
                candidate += 1;
            }
            if self.plan.kind == LookupKind::Left && matches.events.len() == before {
                matches.events.push(event);
                matches.rows.push((0, 0));
            }
        }
        Ok(matches)
    }

    fn joined(&self, batch: &RecordBatch, matches: &Matches, indexes: &[Arc<Index>]) -> Result<RecordBatch> {
        let events = take_record_batch(batch, &UInt32Array::from_iter_values(matches.events.iter().copied()))?;
        let mut found = Vec::with_capacity(self.plan.table.fields().len());
        for (column, field) in self.plan.table.fields().iter().enumerate() {
            let null = new_null_array(field.data_type(), 1);
            let mut sources: Vec<&dyn Array> = vec![null.as_ref()];
            sources.extend(indexes.iter().map(|index| index.rows.column(column).as_ref()));
            found.push(interleave(&sources, &matches.rows)?);
        }
        let events = events.columns().to_vec();
        let columns = if self.plan.events_first { [events, found].concat() } else { [found, events].concat() };
        Ok(RecordBatch::try_new(self.plan.output.clone(), columns)?)
    }
}

struct RowVersions {
    by_row: Vec<Option<usize>>,
    distinct: Vec<Arc<Version>>,
}

impl RowVersions {
    fn push(&mut self, version: Option<&Arc<Version>>) {
        let number = version.map(|version| {
            let known = self.distinct.iter().rposition(|other| Arc::ptr_eq(other, version));
            known.unwrap_or_else(|| {
                self.distinct.push(version.clone());
                self.distinct.len() - 1
            })
        });
        self.by_row.push(number);
    }
}

fn arrays(exprs: &[PhysicalExprRef], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    exprs.iter().map(|expr| array(expr, batch)).collect()
}
