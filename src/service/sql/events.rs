//! The tables `events` and `conclusions`: the records of a topic with the columns that rules see.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use keywatch_store::log::segments::Wanted;
use keywatch_store::{Event, Topic, schema};

use super::pushdown;
use super::records::{Part, Reading, Records};
use super::tables::Scope;
use crate::limits::SQL_WAITING_BATCHES_MAX;

/// The records of a topic.
pub(super) struct EventTable {
    pub(super) records: Arc<Records>,
    pub(super) topic: Topic,
    pub(super) scope: Scope,
    pub(super) reading: Arc<Reading>,
}

impl fmt::Debug for EventTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventTable({})", self.topic.name())
    }
}

#[async_trait]
impl TableProvider for EventTable {
    fn schema(&self) -> SchemaRef {
        schema::events()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut wanted = Wanted::default();
        pushdown::narrow(&mut wanted, filters, pushdown::of_events);
        self.scope.narrow(&mut wanted);
        let wanted = Arc::new(wanted);
        let all = schema::events();
        let columns: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..all.fields().len()).collect());
        let shown = Arc::new(all.project(&columns)?);
        let parts = self.records.parts(self.topic, &wanted, state.config().target_partitions(), &self.reading);
        let streams = parts.into_iter().map(|part| -> Arc<dyn PartitionStream> {
            Arc::new(EventStream {
                records: Arc::clone(&self.records),
                topic: self.topic,
                part: Arc::new(part),
                wanted: Arc::clone(&wanted),
                columns: columns.clone(),
                schema: Arc::clone(&shown),
                rows_max: limit.filter(|_| filters.is_empty()),
                reading: Arc::clone(&self.reading),
            })
        });
        Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(&shown), streams.collect(), None, None, false, limit)?))
    }
}

struct EventStream {
    records: Arc<Records>,
    topic: Topic,
    part: Arc<Part>,
    wanted: Arc<Wanted>,
    columns: Vec<usize>,
    schema: SchemaRef,
    rows_max: Option<usize>,
    reading: Arc<Reading>,
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventStream({}, {:?})", self.topic.name(), self.wanted)
    }
}

impl PartitionStream for EventStream {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut stream = RecordBatchReceiverStreamBuilder::new(Arc::clone(&self.schema), SQL_WAITING_BATCHES_MAX);
        let out = stream.tx();
        let (records, reading) = (Arc::clone(&self.records), Arc::clone(&self.reading));
        let (part, wanted, topic) = (Arc::clone(&self.part), Arc::clone(&self.wanted), self.topic);
        let (columns, schema, rows_max) = (self.columns.clone(), Arc::clone(&self.schema), self.rows_max);
        stream.spawn_blocking(move || {
            let mut rows = 0;
            let read = records.read(topic, &part, &wanted, &reading, |events| {
                rows += events.len();
                // Nobody listens any more where the query has ended.
                let sent = events.is_empty() || out.blocking_send(batch(&columns, &schema, &events)).is_ok();
                let enough = rows_max.is_some_and(|most| rows >= most);
                Ok(if sent && !enough && !out.is_closed() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            });
            read.map_err(external)
        });
        stream.build()
    }
}

fn batch(columns: &[usize], schema: &SchemaRef, events: &[Event]) -> Result<RecordBatch> {
    let made = columns.iter().map(|column| schema::column(*column, events).map_err(external));
    let options = RecordBatchOptions::new().with_row_count(Some(events.len()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), made.collect::<Result<_>>()?, &options)?)
}

/// An error of ours as one of DataFusion's.
pub(super) fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataFusionError {
    DataFusionError::External(error.into())
}
