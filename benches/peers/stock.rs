//! DataFusion as it comes, on the same events: the plan that it makes for a stream (`BoundedWindowAggExec` in linear mode,
//! input in the order of time) and the one for a history (sorted by key and time).
//!
//! It gets only the columns that the query reads, already as columns: turning events into them is not on its bill.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::MemTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::prelude::{SessionConfig, SessionContext, col};
use futures::{TryStreamExt, stream};
use keywatch_store::schema;

use crate::support::feed::{Feed, Shape};
use crate::support::measured::{Measured, Meter};

/// After that much processor time the stream ends; what was not fed is not counted.
const LIVE_MAX: Duration = Duration::from_secs(4);
/// Batches of that size get more of it, so that one row of each table shows what it comes to.
const LONG_BATCH: usize = 4_096;
const LONG_LIVE_MAX: Duration = Duration::from_secs(15);

/// A query, the columns that it reads, and what it reads.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) sql: String,
    pub(crate) columns: &'static [&'static str],
    pub(crate) shape: Shape,
}

impl Query {
    fn schema(&self) -> SchemaRef {
        let all = schema::events();
        let fields: Vec<_> = self.columns.iter().map(|name| all.field_with_name(name).unwrap().clone()).collect();
        Arc::new(Schema::new(fields))
    }
}

/// Feeds the query batch by batch.
pub(crate) fn live(query: &Query, batch: usize) -> Measured {
    let feed = Feed::new(query.shape, batch);
    let cpu_max = if batch == LONG_BATCH { LONG_LIVE_MAX } else { LIVE_MAX };
    let feeding = Arc::new(Mutex::new(Feeding { feed, meter: Meter::new(), cpu_max }));
    let partition = Fed { schema: query.schema(), columns: query.columns, feeding: feeding.clone() };
    let table = StreamingTable::try_new(query.schema(), vec![Arc::new(partition)]).unwrap();
    let table = table.with_infinite_table(true).with_sort_order(vec![col("time").sort(true, false)]);
    let findings = run(query, Arc::new(table), "mode=[Linear]", || feeding.lock().unwrap().meter.start());
    let mut feeding = feeding.lock().unwrap();
    feeding.meter.stop();
    let whole = feeding.feed.given() == query.shape.events;
    let measured = feeding.meter.measured(feeding.feed.given(), findings);
    measured.with_note(if whole { "" } else { "cut off by time" })
}

/// Gives the query the whole history.
pub(crate) fn sorted(query: &Query, batch: usize) -> Measured {
    let mut feed = Feed::new(query.shape, batch);
    let batches: Vec<RecordBatch> = std::iter::from_fn(|| feed.next_batch(query.columns)).collect();
    let table = MemTable::try_new(query.schema(), vec![batches]).unwrap();
    let mut meter = Meter::new();
    let findings = run(query, Arc::new(table), "mode=[Sorted]", || meter.start());
    meter.stop();
    meter.measured(feed.given(), findings).whole()
}

/// Plans, says when it begins, runs to the end and counts the rows that come out.
fn run(query: &Query, table: Arc<dyn TableProvider>, mode: &str, begin: impl FnOnce()) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut config = SessionConfig::new().with_target_partitions(1);
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        let context = SessionContext::new_with_config(config);
        context.register_table("events", table).unwrap();
        let plan = context.sql(&query.sql).await.unwrap().create_physical_plan().await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        assert!(shown.contains(mode), "{shown}");
        begin();
        let rows = execute_stream(plan, context.task_ctx()).unwrap();
        rows.try_fold(0, |rows, batch| async move { Ok(rows + batch.num_rows()) }).await.unwrap()
    })
}

struct Feeding {
    feed: Feed,
    meter: Meter,
    cpu_max: Duration,
}

impl Feeding {
    /// The next batch; the meter stands still while it is made.
    fn next(&mut self, columns: &[&str]) -> Option<RecordBatch> {
        self.meter.stop();
        let batch = if self.meter.cpu() > self.cpu_max { None } else { self.feed.next_batch(columns) };
        self.meter.start();
        batch
    }
}

struct Fed {
    schema: SchemaRef,
    columns: &'static [&'static str],
    feeding: Arc<Mutex<Feeding>>,
}

impl fmt::Debug for Fed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fed")
    }
}

impl PartitionStream for Fed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (feeding, columns) = (self.feeding.clone(), self.columns);
        let batches = std::iter::from_fn(move || feeding.lock().unwrap().next(columns).map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter(batches)))
    }
}
