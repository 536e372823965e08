//! A rule as it is run: the steps from the rows of a batch to the rows that the rule returns.
//!
//! The rule language leaves only plans without branches over `events`, so the physical plan that DataFusion made is
//! laid out flat: its filters and projections with DataFusion's own expressions, our windows and lookups in between.
//! Starting a stream for every node and every batch costs fifty times what such a loop costs (docs/benchmarks.md).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{FilterBuilder, cast, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::node::{Node, Planned};
use super::run::Run;
use crate::lookup::Lookup;
use crate::window::Operator;

/// Where a pipeline begins.
#[derive(Debug)]
pub(crate) enum Source {
    /// Columns of `events`.
    Events(Vec<usize>),
    /// Columns of an inventory table.
    Inventory(&'static str, Vec<usize>),
    /// No rows: what the rule asks for contradicts itself.
    Nothing,
}

/// One step of a pipeline. No rows (`None`) and an empty batch are the same to it, and cost nothing.
#[derive(Debug)]
pub(crate) enum Step {
    /// Rows for which the predicate holds, and of them those columns.
    Filter { predicate: PhysicalExprRef, columns: Option<Vec<usize>>, schema: SchemaRef },
    /// Computed columns.
    Project { exprs: Vec<PhysicalExprRef>, schema: SchemaRef },
    /// Windows; the only step that remembers, and the only one that gives rows when none come.
    Windows(Box<Operator>),
    /// Inventory lookup.
    Lookup(Box<Lookup>),
}

/// A planned rule, or the inventory side of a lookup.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) source: Source,
    pub(crate) schema: SchemaRef,
    pub(crate) steps: Vec<Step>,
}

impl Pipeline {
    /// Lays a physical plan out flat.
    ///
    /// # Errors
    /// A node that the rule language should have refused.
    pub(crate) fn new(plan: &Arc<dyn ExecutionPlan>) -> Result<Pipeline> {
        let node = plan.as_ref();
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            let columns = filter.projection().as_ref().map(|columns| columns.iter().copied().collect());
            let step = Step::Filter { predicate: filter.predicate().clone(), columns, schema: node.schema() };
            return Pipeline::new(filter.input())?.then(step);
        }
        if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
            let exprs = projection.expr().iter().map(|projected| projected.expr.clone()).collect();
            return Pipeline::new(projection.input())?.then(Step::Project { exprs, schema: node.schema() });
        }
        if node.is::<EmptyExec>() {
            return Ok(Pipeline { source: Source::Nothing, schema: node.schema(), steps: Vec::new() });
        }
        let Some(ours) = node.downcast_ref::<Node>() else {
            return Err(DataFusionError::Plan(format!("{} is not part of the rule language", node.name())));
        };
        let begin = |source| Pipeline { source, schema: node.schema(), steps: Vec::new() };
        match &ours.planned {
            Planned::Events(columns) => Ok(begin(Source::Events(columns.clone()))),
            Planned::Inventory(table, columns) => Ok(begin(Source::Inventory(table, columns.clone()))),
            Planned::Windows(plan) => {
                Pipeline::new(&ours.children[0])?.then(Step::Windows(Box::new(Operator::new(plan.clone()))))
            }
            Planned::Lookup(plan) => {
                let table = Pipeline::new(&ours.children[1])?;
                Pipeline::new(&ours.children[0])?.then(Step::Lookup(Box::new(Lookup::new(plan.clone(), table)?)))
            }
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "it ends a chain of fallible calls")]
    fn then(mut self, step: Step) -> Result<Pipeline> {
        self.steps.push(step);
        Ok(self)
    }

    /// Runs the steps over the rows of one batch.
    ///
    /// # Errors
    /// What an expression meets on a row: an overflow, a division by zero.
    pub(crate) fn run(&mut self, rows: Option<RecordBatch>, run: &Run<'_>) -> Result<Option<RecordBatch>> {
        self.steps.iter_mut().try_fold(rows, |rows, step| {
            let rows = rows.filter(|rows| rows.num_rows() > 0);
            step.run(rows, run)
        })
    }

    /// The operators of its windows, from the events up.
    pub(crate) fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.steps.iter().filter_map(|step| match step {
            Step::Windows(operator) => Some(operator.as_ref()),
            _ => None,
        })
    }

    /// Log time at which a row that came out of the last run was due, where that is its own and not the rule's.
    pub(crate) fn due(&self, system: u32, time: i64) -> Option<i64> {
        self.operators().last().and_then(|operator| operator.due(system, time))
    }

    /// The first log time at which something of a system that waits is decided.
    pub(crate) fn next_due(&self, system: u32) -> Option<i64> {
        self.operators().filter_map(|operator| operator.next_due(system)).min()
    }

    /// As [`Pipeline::operators`].
    pub(crate) fn operators_mut(&mut self) -> impl Iterator<Item = &mut Operator> {
        self.steps.iter_mut().filter_map(|step| match step {
            Step::Windows(operator) => Some(operator.as_mut()),
            _ => None,
        })
    }
}

impl Step {
    /// Runs it over some rows.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub(crate) fn run(&mut self, rows: Option<RecordBatch>, run: &Run<'_>) -> Result<Option<RecordBatch>> {
        match (self, rows) {
            (Step::Windows(operator), rows) => operator.run(rows.as_ref(), run.systems, run.shared),
            (_, None) => Ok(None),
            (Step::Filter { predicate, columns, schema }, Some(rows)) => {
                filter(&rows, predicate, columns.as_deref(), schema)
            }
            (Step::Project { exprs, schema }, Some(rows)) => {
                let columns = exprs.iter().map(|expr| array(expr, &rows)).collect::<Result<_>>()?;
                Ok(Some(RecordBatch::try_new(schema.clone(), columns)?))
            }
            (Step::Lookup(lookup), Some(rows)) => lookup.run(&rows, run).map(Some),
        }
    }
}

fn filter(
    rows: &RecordBatch,
    predicate: &PhysicalExprRef,
    columns: Option<&[usize]>,
    schema: &SchemaRef,
) -> Result<Option<RecordBatch>> {
    let keep = mask(predicate, rows)?;
    let kept = keep.true_count();
    if kept == 0 {
        return Ok(None);
    }
    let rows = columns.map_or_else(|| Ok(rows.clone()), |columns| rows.project(columns))?;
    let rows = if kept == rows.num_rows() {
        rows
    } else {
        let keep = if keep.null_count() > 0 { prep_null_mask_filter(&keep) } else { keep };
        FilterBuilder::new(&keep).optimize().build().filter_record_batch(&rows)?
    };
    Ok(Some(RecordBatch::try_new(schema.clone(), rows.columns().to_vec())?))
}

/// An expression over rows as an array.
pub(crate) fn array(expr: &PhysicalExprRef, rows: &RecordBatch) -> Result<ArrayRef> {
    expr.evaluate(rows)?.into_array(rows.num_rows())
}

/// A predicate over rows; a null is no.
pub(crate) fn mask(expr: &PhysicalExprRef, rows: &RecordBatch) -> Result<BooleanArray> {
    let array = array(expr, rows)?;
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().clone(),
        _ => cast(&array, &DataType::Boolean)?.as_boolean().clone(),
    })
}
