//! Plans our two nodes; DataFusion plans the rest.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExprRef;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::lineage;
use super::node::{Node, Planned};
use crate::lookup::{LookupNode, LookupPlan};
use crate::window::{KeyedWindowNode, plan_operator};

/// The query planner of a rule's session.
#[derive(Debug)]
pub(crate) struct RulePlanner;

#[async_trait]
impl QueryPlanner for RulePlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(NodePlanner)]);
        planner.create_physical_plan(plan, session).await
    }
}

struct NodePlanner;

#[async_trait]
impl ExtensionPlanner for NodePlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical: &[&LogicalPlan],
        physical: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let over = |schema: &DFSchema, expr: &Expr| planner.create_physical_expr(expr, schema, session, context);
        if let Some(window) = node.as_any().downcast_ref::<KeyedWindowNode>() {
            let plan = plan_operator(window, logical[0], &|expr| over(logical[0].schema(), expr))?;
            let schema = plan.output.clone();
            return Ok(Some(Arc::new(Node::new(Planned::Windows(Arc::new(plan)), physical.to_vec(), schema))));
        }
        if let Some(lookup) = node.as_any().downcast_ref::<LookupNode>() {
            let plan = plan_lookup(lookup, logical, &over)?;
            let schema = plan.output.clone();
            return Ok(Some(Arc::new(Node::new(Planned::Lookup(Arc::new(plan)), physical.to_vec(), schema))));
        }
        Ok(None)
    }
}

fn plan_lookup(
    node: &LookupNode,
    logical: &[&LogicalPlan],
    over: &dyn Fn(&DFSchema, &Expr) -> Result<PhysicalExprRef>,
) -> Result<LookupPlan> {
    let [events, table] = [logical[0], logical[1]];
    let column = |base: &str| {
        let lost = || DataFusionError::Plan(format!("a lookup's input has lost the column `{base}`"));
        lineage::column_of(events, base).ok_or_else(lost)
    };
    Ok(LookupPlan {
        event_keys: node.on.iter().map(|(event, _)| over(events.schema(), event)).collect::<Result<_>>()?,
        table_keys: node.on.iter().map(|(_, key)| over(table.schema(), key)).collect::<Result<_>>()?,
        filter: node.filter.as_ref().map(|filter| over(&node.schema, filter)).transpose()?,
        kind: node.kind,
        events_first: node.events_first,
        system_column: column("system")?,
        time_column: column("time")?,
        table: table.schema().inner().clone(),
        output: node.schema.inner().clone(),
    })
}
