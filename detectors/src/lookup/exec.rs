//! The physical node of a lookup.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::{concat_batches, interleave, take_record_batch};
use arrow::datatypes::{SchemaRef, TimestampNanosecondType};
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{PhysicalExpr, PhysicalExprRef};
use datafusion::physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;
use keywatch_store::Instant;

use super::index::Index;
use super::node::LookupKind;
use crate::plan::properties;
use crate::plan::run::{Run, Version};

/// What the node is planned with.
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

/// Indexes by system and the log time from which their inventory holds.
type Indexes = HashMap<(String, Instant), Arc<Index>>;

/// The lookup inside a physical plan. Its indexes outlive every run; copies of the node share them.
#[derive(Debug)]
pub(crate) struct LookupExec {
    input: Arc<dyn ExecutionPlan>,
    table: Arc<dyn ExecutionPlan>,
    plan: Arc<LookupPlan>,
    converter: Arc<RowConverter>,
    indexes: Arc<Mutex<Indexes>>,
    run: Arc<Run>,
    properties: Arc<PlanProperties>,
}

/// For each output row: the event, and the match as (index number from 1, row) or the null row (0, 0).
#[derive(Default)]
struct Matches {
    events: Vec<u32>,
    rows: Vec<(usize, usize)>,
}

impl LookupExec {
    pub(crate) fn new(
        input: Arc<dyn ExecutionPlan>,
        table: Arc<dyn ExecutionPlan>,
        plan: LookupPlan,
        run: Arc<Run>,
    ) -> Result<Self> {
        let types = plan.table_keys.iter().map(|key| Ok(SortField::new(key.data_type(&plan.table)?)));
        let converter = Arc::new(RowConverter::new(types.collect::<Result<_>>()?)?);
        let properties = properties(plan.output.clone());
        let indexes = Arc::default();
        Ok(LookupExec { input, table, plan: Arc::new(plan), converter, indexes, run, properties })
    }

    fn copy(&self, input: Arc<dyn ExecutionPlan>, table: Arc<dyn ExecutionPlan>) -> Self {
        LookupExec {
            input,
            table,
            plan: self.plan.clone(),
            converter: self.converter.clone(),
            indexes: self.indexes.clone(),
            run: self.run.clone(),
            properties: self.properties.clone(),
        }
    }

    async fn look_up(&self, batch: &RecordBatch, context: &Arc<TaskContext>) -> Result<RecordBatch> {
        if batch.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(self.plan.output.clone()));
        }
        let versions = self.versions(batch);
        let mut indexes = Vec::new();
        for version in versions.distinct {
            indexes.push(self.index(&version, context).await?);
        }
        let candidates = self.candidates(batch, &versions.by_row, &indexes)?;
        let matches = self.filter(batch, &candidates, &indexes)?;
        self.joined(batch, &matches, &indexes)
    }

    /// Which inventory version each row sees, as a number into the distinct ones.
    fn versions(&self, batch: &RecordBatch) -> RowVersions {
        let systems = batch.column(self.plan.system_column).as_string::<i32>();
        let times = batch.column(self.plan.time_column).as_primitive::<TimestampNanosecondType>();
        let mut versions = RowVersions { by_row: Vec::with_capacity(batch.num_rows()), distinct: Vec::new() };
        for row in 0..batch.num_rows() {
            let version = self.run.inventory_at(systems.value(row), Instant(times.value(row)));
            versions.push(version);
        }
        versions
    }

    async fn index(&self, version: &Version, context: &Arc<TaskContext>) -> Result<Arc<Index>> {
        let key = (version.system.id.clone(), version.from);
        if let Some(index) = self.indexes.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(index.clone());
        }
        self.run.show_tables(&version.system)?;
        let batches: Vec<RecordBatch> = self.table.execute(0, context.clone())?.try_collect().await?;
        let rows = concat_batches(&self.plan.table, &batches)?;
        let keys = arrays(&self.plan.table_keys, &rows)?;
        let index = Arc::new(Index::build(rows, &keys, &self.converter)?);
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner).insert(key, index.clone());
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
    fn push(&mut self, version: Option<Arc<Version>>) {
        let number = version.map(|version| {
            let known = self.distinct.iter().rposition(|other| Arc::ptr_eq(other, &version));
            known.unwrap_or_else(|| {
                self.distinct.push(version);
                self.distinct.len() - 1
            })
        });
        self.by_row.push(number);
    }
}

fn arrays(exprs: &[PhysicalExprRef], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}

impl DisplayAs for LookupExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LookupExec")
    }
}

impl ExecutionPlan for LookupExec {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "LookupExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input, &self.table]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true, false]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let table = children.swap_remove(1);
        Ok(Arc::new(self.copy(children.swap_remove(0), table)))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let lookup = self.copy(self.input.clone(), self.table.clone());
        let answer = async move {
            let input_schema = input.schema();
            let batches: Vec<_> = input.try_collect().await?;
            lookup.look_up(&concat_batches(&input_schema, &batches)?, &context).await
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(answer))))
    }
}
