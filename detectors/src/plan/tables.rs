//! The tables that a rule sees: `events` and the inventory tables.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::node::{Node, Planned};

/// A table of a rule: `events` without a name, or the inventory table of that name.
#[derive(Debug)]
pub(crate) struct RuleTable {
    pub(crate) inventory: Option<&'static str>,
    pub(crate) schema: SchemaRef,
}

#[async_trait]
impl TableProvider for RuleTable {
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
        let columns = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema = Arc::new(self.schema.project(&columns)?);
        let planned = match self.inventory {
            None => Planned::Events(columns),
            Some(table) => Planned::Inventory(table, columns),
        };
        Ok(Arc::new(Node::new(planned, Vec::new(), schema)))
    }
}
