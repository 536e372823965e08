//! Our nodes inside DataFusion's physical plan: it plans around them, and [`super::pipeline`] takes them out again.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};

use crate::lookup::LookupPlan;
use crate::window::OperatorPlan;

/// What a node of ours is planned with.
#[derive(Clone, Debug)]
pub(crate) enum Planned {
    /// Columns of `events`, by index.
    Events(Vec<usize>),
    /// Columns of an inventory table, by index.
    Inventory(&'static str, Vec<usize>),
    /// Windows over the one child.
    Windows(Arc<OperatorPlan>),
    /// The first child's rows looked up in the second's.
    Lookup(Arc<LookupPlan>),
}

/// A node of ours. DataFusion never runs it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) planned: Planned,
    pub(crate) children: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
}

impl Node {
    pub(crate) fn new(planned: Planned, children: Vec<Arc<dyn ExecutionPlan>>, schema: SchemaRef) -> Node {
        let (partitioning, emission) = (Partitioning::UnknownPartitioning(1), EmissionType::Final);
        let equivalence = EquivalenceProperties::new(schema);
        let properties = Arc::new(PlanProperties::new(equivalence, partitioning, emission, Boundedness::Bounded));
        Node { planned, children, properties }
    }
}

impl DisplayAs for Node {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ExecutionPlan for Node {
    fn name(&self) -> &str {
        match self.planned {
            Planned::Events(_) => "Events",
            Planned::Inventory(..) => "Inventory",
            Planned::Windows(_) => "KeyedWindow",
            Planned::Lookup(_) => "InventoryLookup",
        }
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        (0..self.children.len()).map(|child| child == 0).collect()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Node { children, ..(*self).clone() }))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        Err(DataFusionError::Internal(format!("{} is run by the pipeline that it was planned for", self.name())))
    }
}
