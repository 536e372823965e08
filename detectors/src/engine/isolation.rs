//! What keeps a rule that fails from the others: a panic becomes an error, and of rows that fail only those that do are
//! left out.
//!
//! A rule is first run as if nothing could fail. One that is *bisected* (it failed before, or the log is run again) is run
//! step by step: rows on which a step fails are halved until the single rows are found, and those alone are left out and
//! named. The steps around windows remember nothing, so that they can be tried twice; windows are asked first whether
//! their expressions hold on the rows. A window itself that fails has lost its state: then the rule is parked.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, TimeUnit, TimestampNanosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::scalar::ScalarValue;
use keywatch_store::{EventId, Instant};

use super::Skipped;
use crate::plan::pipeline::{Pipeline, Step};
use crate::plan::run::Run;
use crate::plan::{HIDDEN_SYSTEM, HIDDEN_TIME};

/// Runs it; a panic becomes an error.
pub(super) fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    // What a panic leaves half done is either thrown away with the rule's state or remembers nothing.
    catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(DataFusionError::Execution(format!("panicked: {}", words(panic.as_ref())))))
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it said nothing")
}

/// Leaves out single rows of one rule in one run.
pub(super) struct RowFilter<'a> {
    rule: &'a str,
    /// What was left out.
    pub(super) skipped: Vec<Skipped>,
}

impl RowFilter<'_> {
    pub(super) fn new(rule: &str) -> RowFilter<'_> {
        RowFilter { rule, skipped: Vec::new() }
    }

    /// Runs the steps of a pipeline over the rows on which they hold.
    ///
    /// # Errors
    /// A window fails, not a row.
    pub(super) fn run(
        &mut self,
        pipeline: &mut Pipeline,
        rows: Option<RecordBatch>,
        run: &Run<'_>,
    ) -> Result<Option<RecordBatch>> {
        pipeline.steps.iter_mut().try_fold(rows, |rows, step| {
            let rows = rows.filter(|rows| rows.num_rows() > 0);
            if let Step::Windows(operator) = step {
                let mut hold = |rows: &RecordBatch| operator.check(rows).map(|()| Some(rows.clone()));
                let rows = rows.map_or(Ok(None), |rows| joined(&self.bisect(&rows, &mut hold)))?;
                return guarded(|| operator.run(rows.as_ref(), run.systems, run.shared));
            }
            rows.map_or(Ok(None), |rows| joined(&self.bisect(&rows, &mut |rows| step.run(Some(rows.clone()), run))))
        })
    }

    /// What `attempt` makes of the rows on which it does not fail, piece by piece in their order.
    pub(super) fn bisect<T>(
        &mut self,
        rows: &RecordBatch,
        attempt: &mut dyn FnMut(&RecordBatch) -> Result<T>,
    ) -> Vec<T> {
        let mut made = Vec::new();
        self.halve(rows, attempt, &mut made);
        made
    }

    fn halve<T>(&mut self, rows: &RecordBatch, attempt: &mut dyn FnMut(&RecordBatch) -> Result<T>, made: &mut Vec<T>) {
        let count = rows.num_rows();
        match guarded(|| attempt(rows)) {
            Ok(one) => made.push(one),
            Err(error) if count <= 1 => self.skipped.push(skipped(self.rule, rows, &error)),
            Err(_) => {
                self.halve(&rows.slice(0, count / 2), attempt, made);
                self.halve(&rows.slice(count / 2, count - count / 2), attempt, made);
            }
        }
    }
}

fn joined(pieces: &[Option<RecordBatch>]) -> Result<Option<RecordBatch>> {
    let pieces: Vec<&RecordBatch> = pieces.iter().flatten().collect();
    match pieces.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        [first, ..] => Ok(Some(concat_batches(&first.schema(), pieces.iter().copied())?)),
    }
}

/// The record of a single row, by system and log time, which no two records share.
fn skipped(rule: &str, row: &RecordBatch, error: &DataFusionError) -> Skipped {
    let event = text(row, "event_id").and_then(|id| id.parse::<EventId>().ok());
    let system = text(row, HIDDEN_SYSTEM).or_else(|| text(row, "system")).unwrap_or_default();
    let time = time(row, HIDDEN_TIME).or_else(|| time(row, "time")).unwrap_or(Instant::UNASSIGNED);
    Skipped { rule: rule.to_owned(), system, time, event, problem: error.strip_backtrace() }
}

fn text(row: &RecordBatch, name: &str) -> Option<String> {
    let value = ScalarValue::try_from_array(row.column_by_name(name)?, 0).ok()?;
    value.try_as_str().flatten().map(str::to_owned)
}

fn time(row: &RecordBatch, name: &str) -> Option<Instant> {
    let column = row.column_by_name(name)?;
    let is_time = matches!(column.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _));
    (is_time && row.num_rows() > 0).then(|| Instant(column.as_primitive::<TimestampNanosecondType>().value(0)))
}
