//! Oracle A: stock DataFusion. No part of it is ours but the scalar functions; it plans each SQL text once and runs it
//! over the history of one system at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use futures::executor::block_on;
use keywatch_store::inventory::{System, TABLES, Table};
use keywatch_store::schema;

use super::history::History;
use super::scalar;

/// The wallets of all inventory versions with `[valid_from, valid_until)`, for joins below a window.
pub(crate) const WALLETS_AS_OF: &str = "wallets_as_of";

/// The SQL of a shipped rule for stock DataFusion: each row of a join with the inventory sees the version of the time of
/// the row that it is joined to, as it does below a window of the engine.
pub(crate) fn with_versions(sql: &str) -> String {
    let mut rest = sql;
    let mut told = String::new();
    while let Some(at) = rest.find("JOIN ") {
        let (before, join) = rest.split_at(at);
        told += before;
        let mut words = join.split_ascii_whitespace().skip(1);
        let [table, _, alias, _, own, _, other] = [(); 7].map(|()| words.next().unwrap_or_default());
        let left = other.strip_suffix(".system").filter(|_| own == format!("{alias}.system"));
        // `by_name.system` has `e.system` within it.
        let own_ends = join.find(own).unwrap_or_default() + own.len();
        let end = own_ends + join[own_ends..].find(other).unwrap_or_default() + other.len();
        if let Some(left) = left.filter(|_| TABLES.iter().any(|known| known.name == table)) {
            let version = format!("{alias}.valid_from <= {left}.time AND {left}.time < {alias}.valid_until");
            told.extend(["JOIN ", table, "_as_of AS ", alias, " ON ", &version, " AND ", own, " = ", other]);
            rest = &join[end..];
        } else {
            told += "JOIN ";
            rest = &join["JOIN ".len()..];
        }
    }
    told + rest
}

/// A table whose rows are put in before each run.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    rows: Mutex<RecordBatch>,
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = self.rows.lock().unwrap().clone();
        Box::pin(MemoryStream::try_new(vec![rows], self.schema.clone(), None).unwrap())
    }
}

/// Stock DataFusion with `events` and the inventory tables.
pub(crate) struct Stock {
    context: SessionContext,
    slots: BTreeMap<String, Arc<Slot>>,
}

/// One SQL text, planned.
pub(crate) struct Prepared {
    plan: Arc<dyn ExecutionPlan>,
}

impl Stock {
    pub(crate) fn new() -> Stock {
        let context = SessionContext::new_with_config(config());
        for function in scalar::all() {
            context.register_udf(function);
        }
        // Exact aggregates are the crate's own; its scalar functions are written anew here.
        for aggregate in keywatch_detectors::functions().1 {
            context.register_udaf(aggregate);
        }
        let mut stock = Stock { context, slots: BTreeMap::new() };
        stock.add("events", schema::events());
        for table in TABLES {
            stock.add(table.name, table.schema());
        }
        for table in TABLES {
            stock.add(format!("{}_as_of", table.name), as_of(table, &[]).schema());
        }
        stock
    }

    fn add(&mut self, name: impl Into<String>, schema: SchemaRef) {
        let name = name.into();
        let slot = Arc::new(Slot { rows: Mutex::new(RecordBatch::new_empty(schema.clone())), schema: schema.clone() });
        let table = StreamingTable::try_new(schema, vec![slot.clone() as Arc<dyn PartitionStream>]).unwrap();
        self.context.register_table(name.as_str(), Arc::new(table)).unwrap();
        self.slots.insert(name, slot);
    }

    fn put(&self, name: &str, rows: RecordBatch) {
        *self.slots[name].rows.lock().unwrap() = rows;
    }

    pub(crate) fn plan(&self, sql: &str) -> Result<Prepared> {
        let plan = block_on(async { self.context.sql(sql).await?.create_physical_plan().await })?;
        Ok(Prepared { plan })
    }

    /// Shows the history of one system.
    pub(crate) fn show(&self, history: &History, reigns: &[(i64, System)]) {
        self.put("events", schema::to_batch(&history.events).unwrap());
        for table in TABLES {
            self.put(&format!("{}_as_of", table.name), as_of(table, reigns));
        }
    }

    /// Shows one inventory version.
    pub(crate) fn show_inventory(&self, system: &System, is_declared: bool) {
        for table in TABLES {
            let rows = system.batch(table).unwrap();
            self.put(table.name, if is_declared { rows } else { RecordBatch::new_empty(table.schema()) });
        }
    }

    pub(crate) fn run(&self, prepared: &Prepared) -> Result<Vec<RecordBatch>> {
        let plan = reset_plan_states(prepared.plan.clone())?;
        block_on(plan.execute(0, self.context.task_ctx())?.try_collect())
    }
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1).with_collect_statistics(false);
    config.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    config
}

/// The rows of a table in all inventory versions, each with the times `[valid_from, valid_until)` of its version.
fn as_of(table: &Table, reigns: &[(i64, System)]) -> RecordBatch {
    let versions = reigns.iter().enumerate().map(|(index, (from, system))| {
        let until = reigns.get(index + 1).map_or(i64::MAX, |(next, _)| *next);
        let rows = system.batch(table).unwrap();
        let times = [*from, until]
            .map(|time| Arc::new(TimestampNanosecondArray::from_value(time, rows.num_rows())) as ArrayRef);
        (rows.columns().to_vec(), times)
    });
    let time = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let more = ["valid_from", "valid_until"].map(|name| Arc::new(Field::new(name, time.clone(), true)));
    let fields: Vec<_> = table.schema().fields().iter().cloned().chain(more).collect();
    let schema = Arc::new(Schema::new(fields));
    let batches: Vec<RecordBatch> = versions
        .map(|(columns, times)| {
            RecordBatch::try_new(schema.clone(), columns.into_iter().chain(times).collect()).unwrap()
        })
        .collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}
