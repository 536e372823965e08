//! Events → columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, FixedSizeBinaryBuilder, RecordBatch, StringArray};

use super::{AMOUNT_EXACT, ID_BYTES, REQUIRED};
use crate::event::TextColumn;
use crate::schema::{self, COLUMNS};
use crate::{Amount, Clock, Error, Event, Instant};

/// All columns that say something of one of the events.
pub(super) fn batch(events: &[Event], clock: Clock) -> Result<RecordBatch, Error> {
    let mut columns: Vec<(&str, ArrayRef)> = Vec::with_capacity(COLUMNS.len() + 1);
    for (index, (name, ..)) in COLUMNS.iter().enumerate() {
        columns.extend(column(index, events, clock)?.map(|column| (*name, column)));
        if *name == "amount" {
            let digits = texts(events, |event| event.amount().and_then(Amount::beyond_column));
            columns.extend(digits.map(|digits| (AMOUNT_EXACT, digits)));
        }
    }
    // Whether a column may have nulls depends on its name alone, so that messages fit together.
    let columns = columns.into_iter().map(|(name, column)| (name, column, !REQUIRED.contains(&name)));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// Column `index` of the schema of `events`; `None` where it says nothing.
fn column(index: usize, events: &[Event], clock: Clock) -> Result<Option<ArrayRef>, Error> {
    let name = COLUMNS[index].0;
    if let Some(column) = TextColumn::ALL.into_iter().find(|column| column.name() == name) {
        return Ok(texts(events, |event| event.text(column)));
    }
    let says = |is_said: fn(&Event) -> bool| events.iter().any(is_said);
    let is_said = match name {
        "event_id" => return ids(events).map(Some),
        "detail" => return Ok(texts(events, detail)),
        "time" => clock == Clock::Recorded && says(|event| event.time() != Instant::UNASSIGNED),
        "late" => says(Event::late),
        "asn" => says(|event| event.asn().is_some()),
        "amount" => says(|event| event.amount().is_some()),
        "amount_usd" => says(|event| event.amount_usd_cents().is_some()),
        _ => true,
    };
    is_said.then(|| schema::column(index, events)).transpose()
}

fn detail(event: &Event) -> Option<&str> {
    (!event.detail().is_empty()).then(|| event.detail().as_str())
}

fn texts(events: &[Event], get: impl Fn(&Event) -> Option<&str>) -> Option<ArrayRef> {
    let is_said = events.iter().any(|event| get(event).is_some());
    is_said.then(|| Arc::new(events.iter().map(get).collect::<StringArray>()) as ArrayRef)
}

fn ids(events: &[Event]) -> Result<ArrayRef, Error> {
    let mut ids = FixedSizeBinaryBuilder::with_capacity(events.len(), ID_BYTES);
    for event in events {
        ids.append_value(event.event_id().0)?;
    }
    Ok(Arc::new(ids.finish()))
}
