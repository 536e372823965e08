//! Values as texts and as JSON: times in RFC 3339, amounts as digits.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use keywatch_store::Instant;
use serde_json::Value;

/// The values of a batch.
pub(crate) struct Cells<'a>(Vec<Column<'a>>);

struct Column<'a> {
    array: &'a ArrayRef,
    formatter: ArrayFormatter<'a>,
}

impl<'a> Cells<'a> {
    /// Of every column.
    ///
    /// # Errors
    /// A column's type cannot be shown.
    pub(crate) fn of(batch: &'a RecordBatch) -> anyhow::Result<Cells<'a>> {
        let column = |array: &'a ArrayRef| {
            Ok(Column { array, formatter: ArrayFormatter::try_new(array.as_ref(), &FormatOptions::new())? })
        };
        batch.columns().iter().map(column).collect::<anyhow::Result<_>>().map(Cells)
    }

    /// A row as texts; `None` where there is no value.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = Option<String>> + '_ {
        self.0.iter().map(move |column| column.text(row))
    }

    /// A row as JSON.
    pub(crate) fn json(&self, row: usize) -> impl Iterator<Item = Value> + '_ {
        self.0.iter().map(move |column| column.json(row))
    }
}

impl Column<'_> {
    fn text(&self, row: usize) -> Option<String> {
        if self.array.is_null(row) {
            return None;
        }
        if let DataType::Timestamp(TimeUnit::Nanosecond, _) = self.array.data_type() {
            return Some(Instant(self.array.as_primitive::<TimestampNanosecondType>().value(row)).to_string());
        }
        Some(self.formatter.value(row).to_string())
    }

    fn json(&self, row: usize) -> Value {
        let Some(text) = self.text(row) else { return Value::Null };
        match self.array.data_type() {
            DataType::Boolean => self.array.as_boolean().value(row).into(),
            DataType::Int64 => self.array.as_primitive::<Int64Type>().value(row).into(),
            DataType::Float64 => self.array.as_primitive::<Float64Type>().value(row).into(),
            kind if kind.is_integer() => text
                .parse::<i128>()
                .map_or(Value::Null, |number| serde_json::from_str(&number.to_string()).unwrap_or(Value::Null)),
            _ => text.into(),
        }
    }
}
