//! Columns → events. The texts of all events of a batch lie in one buffer, each column's as they lay in the batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{ArrowNativeType, ArrowPrimitiveType, Decimal128Type, Int64Type, TimestampNanosecondType};

use super::{AMOUNT_EXACT, REQUIRED, data_type};
use crate::event::{Columns, Span, TextColumn, check_lengths};
use crate::{Amount, Error, Event, EventId, Instant, line};

/// Events in the making.
struct Rows {
    columns: Vec<Columns>,
    texts: Vec<u8>,
}

/// Appends the events of a batch.
pub(super) fn take(batch: &RecordBatch, events: &mut Vec<Event>) -> Result<(), Error> {
    if let Some(name) = REQUIRED.into_iter().find(|name| batch.column_by_name(name).is_none()) {
        return Err(Error::line(name, "the column is missing"));
    }
    // Before there is room for its rows: a batch says how many it has, and columns of no type take no bytes for them.
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        check_type(field.name(), column)?;
    }
    let bytes = batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    let bytes = bytes.map(|texts| texts.value_data().len()).sum();
    let mut rows = Rows { columns: vec![Columns::BLANK; batch.num_rows()], texts: Vec::with_capacity(bytes) };
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        rows.fill(field.name(), column)?;
    }
    rows.finish(events)
}

fn check_type(name: &str, column: &ArrayRef) -> Result<(), Error> {
    let expected = data_type(name).ok_or_else(|| Error::line(name, "unknown column"))?;
    if *column.data_type() != expected {
        let problem = format!("the column is of {}, expected is {expected}", column.data_type());
        return Err(Error::line(name, problem));
    }
    Ok(())
}

impl Rows {
    fn fill(&mut self, name: &str, column: &ArrayRef) -> Result<(), Error> {
        if REQUIRED.contains(&name) && column.null_count() > 0 {
            return Err(Error::line(name, "an event has none"));
        }
        match name {
            "event_id" => self.ids(column),
            "time" => self.values::<TimestampNanosecondType>(column, |row, time| {
                row.time = Instant(time);
                Ok(())
            }),
            "event_time" => self.values::<TimestampNanosecondType>(column, |row, time| {
                row.event_time = Instant(time);
                Ok(())
            }),
            "asn" => self.values::<Int64Type>(column, |row, asn| {
                row.asn = Some(asn);
                Ok(())
            }),
            "amount" => self.values::<Decimal128Type>(column, |row, units| {
                let units = u128::try_from(units).map_err(|_| Error::line("amount", format!("{units} is negative")))?;
                // The exact digits stand for themselves, whichever of the two columns comes first.
                row.amount.get_or_insert_with(|| Amount::from_u128(units));
                Ok(())
            }),
            "amount_usd" => self.values::<Decimal128Type>(column, |row, cents| {
                let beyond = |_| Error::line("amount_usd", format!("{cents} cents are too many"));
                row.amount_usd_cents = Some(i64::try_from(cents).map_err(beyond)?);
                Ok(())
            }),
            "late" => {
                for (row, late) in self.columns.iter_mut().zip(column.as_boolean().iter()) {
                    row.late = late.unwrap_or_default();
                }
                Ok(())
            }
            "detail" => self.details(column.as_string()),
            AMOUNT_EXACT => self.exact_amounts(column.as_string()),
            name => {
                let of_name = TextColumn::ALL.into_iter().find(|column| column.name() == name);
                let of_name = of_name.ok_or_else(|| Error::line(name, "unknown column"))?;
                self.texts(of_name, column.as_string());
                Ok(())
            }
        }
    }

    fn ids(&mut self, column: &ArrayRef) -> Result<(), Error> {
        for (row, id) in self.columns.iter_mut().zip(column.as_fixed_size_binary().iter()) {
            let id = id.and_then(|id| <[u8; 16]>::try_from(id).ok());
            let id = id.ok_or_else(|| Error::line("event_id", "an event has none"))?;
            row.event_id = EventId(id);
        }
        Ok(())
    }

    /// Gives each event that has one its value.
    fn values<T: ArrowPrimitiveType>(
        &mut self,
        column: &ArrayRef,
        put: impl Fn(&mut Columns, T::Native) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for (row, value) in self.columns.iter_mut().zip(column.as_primitive::<T>().iter()) {
            if let Some(value) = value {
                put(row, value)?;
            }
        }
        Ok(())
    }

    fn exact_amounts(&mut self, column: &StringArray) -> Result<(), Error> {
        for (row, digits) in self.columns.iter_mut().zip(column.iter()) {
            if let Some(digits) = digits {
                row.amount = Some(Amount::from_digits(digits).map_err(|problem| Error::line(AMOUNT_EXACT, problem))?);
            }
        }
        Ok(())
    }

    /// Takes the texts of a column over as a whole.
    fn texts(&mut self, name: TextColumn, column: &StringArray) {
        let offsets = column.value_offsets();
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return };
        let base = self.texts.len();
        self.texts.extend_from_slice(&column.value_data()[first.as_usize()..last.as_usize()]);
        for (index, (row, ends)) in self.columns.iter_mut().zip(offsets.windows(2)).enumerate() {
            if column.is_valid(index) {
                let (begin, end) = (ends[0].as_usize(), ends[1].as_usize());
                row.spans.set(name, Span::new(base + begin - first.as_usize(), end - begin));
            }
        }
    }

    /// What an event keeps as its detail is canonical, whatever stands in the column.
    fn details(&mut self, column: &StringArray) -> Result<(), Error> {
        for (row, detail) in self.columns.iter_mut().zip(column.iter()) {
            let Some(detail) = detail else { continue };
            let detail =
                line::canonical_detail(detail).ok_or_else(|| Error::line("detail", "must be a JSON object"))?;
            row.spans.detail = Span::new(self.texts.len(), detail.len());
            self.texts.extend_from_slice(detail.as_bytes());
        }
        Ok(())
    }

    fn finish(self, events: &mut Vec<Event>) -> Result<(), Error> {
        let texts = String::from_utf8(self.texts);
        let texts = Arc::new(texts.map_err(|error| Error::line("line", format!("invalid UTF-8: {error}")))?);
        events.reserve(self.columns.len());
        for columns in self.columns {
            let event = Event::within(columns, Arc::clone(&texts));
            line::check_names(&event)?;
            check_lengths(|column| event.text(column))?;
            events.push(event);
        }
        Ok(())
    }
}
