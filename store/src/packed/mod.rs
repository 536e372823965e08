//! Events as one Arrow IPC stream, and back without loss: the packed form of a message of a Kafka log.
//!
//! The columns are those of [`crate::schema`] under the same names, in the same order and with the same meaning, but for
//! what would lose something or take room:
//!
//! * texts are `Utf8`, an empty `detail` is null, and `event_id` is its 16 bytes;
//! * `amount_exact` has the digits of an amount that is larger than its column;
//! * a column that says nothing of any of the events is left out; `late` is false then, everything else null.
//!
//! It knows nothing of who wrote the bytes: whoever reads checks that first.

mod columns;
mod rows;
#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::event::TextColumn;
use crate::schema::{COLUMNS, ColumnType};
use crate::{Amount, Clock, Error, Event};

/// The column with the digits of amounts that are larger than theirs.
const AMOUNT_EXACT: &str = crate::amount::EXACT_KEY;

/// Columns that every event has.
const REQUIRED: [&str; 5] = ["event_id", "system", "event_time", "source", "kind"];

/// Bytes of an event that are no text of its own: the values of its other columns, where its texts end, what is null.
const FIXED_BYTES: usize = 192;

/// Events as bytes, in their order. On the wall clock they carry no log time.
///
/// # Errors
/// [`Error::Arrow`] when a column outgrows 2 GiB.
pub fn write(events: &[Event], clock: Clock) -> Result<Vec<u8>, Error> {
    let batch = columns::batch(events, clock)?;
    let mut stream = StreamWriter::try_new(Vec::with_capacity(batch.get_array_memory_size()), batch.schema_ref())?;
    stream.write(&batch)?;
    Ok(stream.into_inner()?)
}

/// The events that [`write`] was given.
///
/// # Errors
/// [`Error::Arrow`] for bytes that are no such stream; [`Error::Line`] when there is no event in it, or naming the column:
/// it is unknown, of another type, or has a value that no event has.
pub fn read(bytes: &[u8]) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    for batch in StreamReader::try_new(bytes, None)? {
        rows::take(&batch?, &mut events)?;
    }
    if events.is_empty() {
        return Err(Error::line("line", "no event is packed"));
    }
    Ok(events)
}

/// Whether bytes are of this form and not an event line, by how they begin: no text in UTF-8 has that byte.
#[must_use]
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0xff)
}

/// Whether bytes are such a stream to its end, with rows in it, whatever its columns are and hold.
#[must_use]
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let Ok(mut batches) = StreamReader::try_new(bytes, None) else { return false };
    batches
        .try_fold(0, |rows: usize, batch| Ok::<_, ArrowError>(rows.saturating_add(batch?.num_rows())))
        .is_ok_and(|rows| rows > 0)
}

/// At least as many bytes as an event adds.
#[must_use]
pub(crate) fn bytes_of(event: &Event) -> usize {
    let texts = TextColumn::ALL.into_iter().filter_map(|column| event.text(column));
    let amount = event.amount().and_then(Amount::beyond_column);
    let texts: usize = texts.chain(amount).map(str::len).sum();
    FIXED_BYTES + texts + event.detail().as_str().len()
}

/// The type of a column; `None` for a name that no column has.
fn data_type(name: &str) -> Option<DataType> {
    if name == AMOUNT_EXACT {
        return Some(DataType::Utf8);
    }
    let (_, kind, ..) = COLUMNS.iter().find(|(column, ..)| *column == name)?;
    Some(match (name, kind) {
        ("event_id", _) => DataType::FixedSizeBinary(ID_BYTES),
        (_, ColumnType::Text) => DataType::Utf8,
        (_, kind) => kind.arrow(),
    })
}

/// Bytes of an event id, as Arrow counts them.
const ID_BYTES: i32 = 16;
