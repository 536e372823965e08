//! From SQL text to a physical plan that is run once for each batch of the log.
//!
//! 1. DataFusion parses and binds the text; [`language`] refuses what cannot be answered from the log alone, on the
//!    plan before any optimizer has hidden it.
//! 2. [`scope`] puts `system` before every partition key and adds the hidden columns that a finding needs.
//! 3. DataFusion optimizes; then [`rewrite`] replaces windows and inventory joins by our own nodes.
//! 4. DataFusion plans the rest; [`planner`] plans our nodes.

mod functions;
mod language;
pub(crate) mod lineage;
mod planner;
mod rewrite;
pub(crate) mod run;
mod scan;
mod scope;
mod session;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, reset_plan_states};
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PlanProperties};
use futures::TryStreamExt;

pub(crate) use scope::{HIDDEN_LATE, HIDDEN_SOURCE, HIDDEN_SYSTEM, HIDDEN_TIME};

use crate::error::Error;
use run::Run;

/// The one table of events.
pub(crate) const EVENTS: &str = "events";

/// A rule's SQL, planned.
#[derive(Debug)]
pub(crate) struct Planned {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
    /// Nanoseconds between a row and the record that decides it.
    pub(crate) following_ns: i64,
    /// The logical plan, as text.
    pub(crate) shown: String,
}

/// Plans a rule's SQL (parameters filled in) over what `run` will show.
pub(crate) fn compile(rule: &str, sql: &str, run: &Arc<Run>) -> Result<Planned, Error> {
    let state = session::state(run);
    let bound = futures::executor::block_on(bind(&state, sql)).map_err(|error| sql_error(rule, &error))?;
    language::check(rule, &bound)?;
    let scoped = scope::prepare(rule, bound)?;
    let optimized = state.optimize(&scoped).map_err(|error| sql_error(rule, &error))?;
    let plan = rewrite::rewrite(rule, optimized)?;
    let following_ns = rewrite::following_ns(&plan);
    let physical = futures::executor::block_on(state.query_planner().create_physical_plan(&plan, &state));
    let physical = physical.map_err(|error| sql_error(rule, &error))?;
    Ok(Planned { plan: physical, context: state.task_ctx(), following_ns, shown: plan.display_indent().to_string() })
}

async fn bind(state: &SessionState, sql: &str) -> Result<LogicalPlan> {
    let dialect = state.config_options().sql_parser.dialect;
    let statement = state.sql_to_statement(sql, &dialect)?;
    state.statement_to_plan(statement).await
}

fn sql_error(rule: &str, error: &DataFusionError) -> Error {
    let problem = error.strip_backtrace();
    Error::Sql { rule: rule.to_owned(), problem }
}

/// What DataFusion wants to know of each of our nodes: one partition, finite, no order that it should rely on.
pub(crate) fn properties(schema: SchemaRef) -> Arc<PlanProperties> {
    let (partitioning, emission) = (Partitioning::UnknownPartitioning(1), EmissionType::Final);
    Arc::new(PlanProperties::new(EquivalenceProperties::new(schema), partitioning, emission, Boundedness::Bounded))
}

impl Planned {
    /// Runs the plan once over what the run shows now.
    pub(crate) fn run(&self) -> Result<Vec<RecordBatch>> {
        let plan = reset_plan_states(self.plan.clone())?;
        let stream = plan.execute(0, self.context.clone())?;
        futures::executor::block_on(stream.try_collect())
    }
}
