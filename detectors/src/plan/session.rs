//! The DataFusion session of one rule.

use std::sync::Arc;

use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use keywatch_store::inventory::TABLES;
use keywatch_store::schema;

use super::planner::RulePlanner;
use super::run::Run;
use super::scan::{Slot, SlotTable};
use super::{EVENTS, functions};

/// A session that knows `events`, the inventory tables and our functions, and plans one batch as a finite input.
pub(crate) fn state(run: &Arc<Run>) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config())
        .with_default_features()
        .with_query_planner(Arc::new(RulePlanner { run: run.clone() }))
        .with_physical_optimizer_rules(physical_rules())
        .build();
    for function in functions::all() {
        state.register_udf(Arc::new(function)).expect("our functions have names of their own");
    }
    let tables = MemorySchemaProvider::new();
    let events = SlotTable { slot: Slot::Events, schema: schema::events(), run: run.clone() };
    let register = |name: &str, table: SlotTable| {
        tables.register_table(name.to_owned(), Arc::new(table)).expect("an in-memory schema takes any table");
    };
    register(EVENTS, events);
    for table in TABLES {
        let slot = Slot::Inventory(table.name);
        register(table.name, SlotTable { slot, schema: table.schema(), run: run.clone() });
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema("public", Arc::new(tables)).expect("an in-memory catalog takes any schema");
    state.catalog_list().register_catalog("datafusion".to_owned(), Arc::new(catalog));
    state
}

/// The stock rules but for the one that lets a plan yield to tokio: a plan is run to its end in one go, and within a task
/// whose budget is spent it would wait for a scheduler that waits for it.
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
    options.sql_parser.map_string_types_to_utf8view = false;
    config
}
