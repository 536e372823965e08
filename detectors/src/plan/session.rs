//! The DataFusion session of one rule.

use std::sync::{Arc, LazyLock};

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use keywatch_store::inventory::TABLES;
use keywatch_store::schema;

use super::planner::RulePlanner;
use super::tables::RuleTable;
use super::{EVENTS, scalar_functions};
use crate::aggregate;

/// A session that knows `events`, the inventory tables and our functions, and plans one batch as a finite input. It is put
/// together once; each rule gets one whose names begin anew, so that its plan depends on nothing but the rule.
pub(crate) fn state() -> SessionState {
    static STATE: LazyLock<SessionState> = LazyLock::new(make);
    let mut state = STATE.clone();
    state.mark_start_execution();
    state
}

fn make() -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config())
        .with_default_features()
        .with_query_planner(Arc::new(RulePlanner))
        .with_physical_optimizer_rules(physical_rules())
        .build();
    for function in scalar_functions() {
        state.register_udf(Arc::new(function)).expect("a session takes any function");
    }
    for function in aggregate::udafs() {
        state.register_udaf(Arc::new(function)).expect("a session takes any function");
    }
    let tables = MemorySchemaProvider::new();
    let register = |name: &str, table: RuleTable| {
        tables.register_table(name.to_owned(), Arc::new(table)).expect("an in-memory schema takes any table");
    };
    register(EVENTS, RuleTable { inventory: None, schema: schema::events() });
    for table in TABLES {
        register(table.name, RuleTable { inventory: Some(table.name), schema: table.schema() });
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("public", Arc::new(tables)).expect("an in-memory catalog takes any schema");
    state.catalog_list().register_catalog("datafusion".to_owned(), Arc::new(catalog));
    state
}

/// The stock rules but for those that cut a plan into tasks and batches: [`super::pipeline`] runs it in one go.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    PhysicalOptimizer::new().rules.into_iter().filter(|rule| rule.name() != "EnsureCooperative").collect()
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(crate::limits::RUN_ROWS_MAX)
        .with_create_default_catalog_and_schema(false)
        .with_collect_statistics(false);
    let options = config.options_mut();
    options.catalog.default_catalog = "datafusion".to_owned();
    options.catalog.default_schema = "public".to_owned();
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.sql_parser.map_string_types_to_utf8view = true;
    config
}
