//! Tables whose rows are made of records: findings, alerts, incidents, responses, and the inventory. The records are read
//! by kind; rows are made here or in `folds`.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::TimestampNanosecondArray;
use arrow::array::{ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use keywatch_store::inventory::Table;
use keywatch_store::log::segments::{Kinds, Wanted};
use keywatch_store::schema::ColumnType;
use keywatch_store::{Amount, Event, Instant, Inventory, Topic};
use serde_json::{Map, Value};

use super::events::external;
use super::pushdown::{self, Sources};
use super::records::{Part, Reading, Records};
use super::tables::{Made, Scope};
use crate::limits::{SQL_MADE_ROWS, SQL_WAITING_BATCHES_MAX};

/// Makes rows of the records that it is given, in their order.
pub(super) trait Rows: Send {
    /// Takes in a record.
    fn take(&mut self, event: &Event);

    /// Bytes that it holds, roughly.
    fn bytes(&self) -> usize;

    /// The rows that no later record changes. At the `end`, all that are left.
    fn rows(&mut self, end: bool) -> anyhow::Result<Option<RecordBatch>>;
}

/// How the rows of a table are made.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) schema: SchemaRef,
    pub(super) topic: Topic,
    pub(super) kinds: Kinds,
    /// Which of its columns a record has itself.
    pub(super) sources: Sources,
    pub(super) make: Arc<dyn Fn() -> Box<dyn Rows> + Send + Sync>,
}

/// A table of made rows.
pub(super) struct MadeTable {
    pub(super) records: Arc<Records>,
    pub(super) recipe: Recipe,
    pub(super) scope: Scope,
    pub(super) reading: Arc<Reading>,
}

impl fmt::Debug for MadeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeTable({})", self.recipe.name)
    }
}

#[async_trait]
impl TableProvider for MadeTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.recipe.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut wanted = Wanted { kinds: Some(self.recipe.kinds.clone()), ..Wanted::default() };
        pushdown::narrow(&mut wanted, filters, self.recipe.sources);
        self.scope.narrow(&mut wanted);
        let mut parts = self.records.parts(self.recipe.topic, &wanted, 1, &self.reading);
        let stream = MadeStream {
            records: Arc::clone(&self.records),
            recipe: self.recipe.clone(),
            part: Arc::new(parts.swap_remove(0)),
            wanted: Arc::new(wanted),
            reading: Arc::clone(&self.reading),
        };
        let schema = Arc::clone(&self.recipe.schema);
        Ok(Arc::new(StreamingTableExec::try_new(schema, vec![Arc::new(stream)], projection, None, false, limit)?))
    }
}

struct MadeStream {
    records: Arc<Records>,
    recipe: Recipe,
    part: Arc<Part>,
    wanted: Arc<Wanted>,
    reading: Arc<Reading>,
}

impl fmt::Debug for MadeStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MadeStream({}, {:?})", self.recipe.name, self.wanted)
    }
}

impl PartitionStream for MadeStream {
    fn schema(&self) -> &SchemaRef {
        &self.recipe.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.recipe.schema);
        let mut stream = RecordBatchReceiverStreamBuilder::new(schema, SQL_WAITING_BATCHES_MAX);
        let out = stream.tx();
        let (records, reading, recipe) = (Arc::clone(&self.records), Arc::clone(&self.reading), self.recipe.clone());
        let (part, wanted) = (Arc::clone(&self.part), Arc::clone(&self.wanted));
        stream.spawn_blocking(move || {
            let reservation = MemoryConsumer::new(recipe.name).register(context.memory_pool());
            let mut rows = (recipe.make)();
            let send = |rows: &mut dyn Rows, end| -> anyhow::Result<bool> {
                let Some(batch) = rows.rows(end)? else { return Ok(!out.is_closed()) };
                Ok(out.blocking_send(Ok(batch)).is_ok())
            };
            let read = records.read(recipe.topic, &part, &wanted, &reading, |events| {
                events.iter().for_each(|event| rows.take(event));
                reservation.try_resize(rows.bytes())?;
                Ok(if send(&mut *rows, false)? { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            });
            read.and_then(|()| send(&mut *rows, true)).map(drop).map_err(external)
        });
        stream.build()
    }
}

/// The Arrow schema of a table.
pub(super) fn schema(table: &Made) -> SchemaRef {
    let fields = table.columns.iter().map(|(name, kind, _)| Field::new(*name, kind.arrow(), *name != "system"));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A row by the names of its columns; times as RFC 3339, amounts as digits.
pub(super) type Row = Map<String, Value>;

/// Rows as columns.
pub(super) fn batch(table: &Made, schema: &SchemaRef, rows: &[Row]) -> anyhow::Result<RecordBatch> {
    let columns = table.columns.iter().map(|(name, kind, _)| column(name, *kind, rows));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect::<anyhow::Result<_>>()?)?)
}

fn column(name: &str, kind: ColumnType, rows: &[Row]) -> anyhow::Result<ArrayRef> {
    let cells = rows.iter().map(|row| row.get(name));
    let texts = cells.clone().map(|cell| cell.and_then(Value::as_str));
    Ok(match kind {
        ColumnType::Text => Arc::new(texts.collect::<StringViewArray>()),
        ColumnType::Boolean => Arc::new(cells.map(|cell| cell.and_then(Value::as_bool)).collect::<BooleanArray>()),
        ColumnType::Integer => Arc::new(cells.map(|cell| cell.and_then(Value::as_i64)).collect::<Int64Array>()),
        ColumnType::Time => {
            let times = texts.map(|text| text.and_then(|text| text.parse::<Instant>().ok()).map(|time| time.0));
            Arc::new(times.collect::<TimestampNanosecondArray>())
        }
        ColumnType::Amount | ColumnType::Usd => {
            let amounts = texts.map(|text| Amount::from_digits(text?).ok().map(|amount| amount.saturated()));
            Arc::new(amounts.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?)
        }
    })
}

/// `findings`: a row a record.
pub(super) struct Findings {
    pub(super) table: &'static Made,
    pub(super) schema: SchemaRef,
    pub(super) rows: Vec<Row>,
}

impl Rows for Findings {
    fn take(&mut self, event: &Event) {
        let Value::Object(mut row) = event.detail().value() else { return };
        row.insert("recorded".to_owned(), event.time().to_string().into());
        for name in ["evidence", "facts"] {
            if let Some(value) = row.get_mut(name) {
                *value = value.to_string().into();
            }
        }
        self.rows.push(row);
    }

    fn bytes(&self) -> usize {
        self.rows.len() * 4096
    }

    fn rows(&mut self, end: bool) -> anyhow::Result<Option<RecordBatch>> {
        if self.rows.is_empty() || (!end && self.rows.len() < SQL_MADE_ROWS) {
            return Ok(None);
        }
        batch(self.table, &self.schema, &std::mem::take(&mut self.rows)).map(Some)
    }
}

/// A table of the inventory: what each system's last activation declares.
pub(super) struct Declared {
    pub(super) table: &'static Table,
    pub(super) systems: BTreeMap<String, Event>,
}

impl Rows for Declared {
    fn take(&mut self, event: &Event) {
        self.systems.insert(event.system().to_owned(), event.detached());
    }

    fn bytes(&self) -> usize {
        let unpacked = |event: &Event| {
            let detail = event.detail().as_str();
            // A long declaration is compressed, commonly to a seventh.
            detail.len().saturating_mul(if detail.starts_with("{\"packed\"") { 8 } else { 1 })
        };
        self.systems.values().map(unpacked).sum()
    }

    fn rows(&mut self, end: bool) -> anyhow::Result<Option<RecordBatch>> {
        if !end {
            return Ok(None);
        }
        let declared = self.systems.values().filter_map(Inventory::from_activation).flat_map(|one| one.systems);
        let batches = declared.map(|system| system.batch(self.table)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(arrow::compute::concat_batches(&self.table.schema(), &batches)?))
    }
}

/// `findings` has of the record's own what both are about.
pub(super) fn of_findings(column: &str) -> Option<pushdown::Source> {
    match column {
        "recorded" => Some(pushdown::Source::Time),
        "system" | "actor" | "session" | "device" | "wallet" | "request" | "tx" | "to_address" => {
            pushdown::of_events(column)
        }
        _ => None,
    }
}
