//! The tables that a rule sees: `events`, whose scan gives the batch of the current run, and the inventory tables.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::properties;
use super::run::Run;

/// Where a scan takes its rows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// The batch of the current run.
    Events,
    /// The inventory table of that name shown last.
    Inventory(&'static str),
}

/// A table of a rule.
#[derive(Debug)]
pub(crate) struct SlotTable {
    pub(crate) slot: Slot,
    pub(crate) schema: SchemaRef,
    pub(crate) run: Arc<Run>,
}

#[async_trait]
impl TableProvider for SlotTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema.project(columns)?),
            None => self.schema.clone(),
        };
        let properties = properties(schema.clone());
        let (slot, run) = (self.slot, self.run.clone());
        Ok(Arc::new(SlotExec { slot, run, projection: projection.cloned(), schema, properties }))
    }
}

/// The scan inside a physical plan.
#[derive(Debug)]
struct SlotExec {
    slot: Slot,
    run: Arc<Run>,
    projection: Option<Vec<usize>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl SlotExec {
    fn batches(&self) -> Result<Vec<RecordBatch>> {
        let batch = match self.slot {
            Slot::Events => self.run.batch(),
            Slot::Inventory(table) => self.run.table(table),
        };
        let batch = batch.map(|batch| match &self.projection {
            Some(columns) => batch.project(columns),
            None => Ok(batch),
        });
        Ok(batch.transpose()?.into_iter().collect())
    }
}

impl DisplayAs for SlotExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotExec: {:?}", self.slot)
    }
}

impl ExecutionPlan for SlotExec {
    #[expect(clippy::unnecessary_literal_bound, reason = "the signature is the trait's")]
    fn name(&self) -> &str {
        "SlotExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Ok(Box::pin(MemoryStream::try_new(self.batches()?, self.schema.clone(), None)?))
    }
}
