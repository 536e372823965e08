//! The flat Arrow schema of `events`, and events → `RecordBatch`.
//!
//! Times are `Timestamp(ns)` without a zone and mean UTC; `amount` is `Decimal128(38, 0)` in base units and saturates
//! (see [`crate::amount`]); `amount_usd` is `Decimal128(38, 2)`; `event_id` is 32 hexadecimal digits; `detail` is
//! canonical JSON text.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringViewBuilder, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::{Error, Event};

/// Every column: name, type, whether it may be null, meaning.
pub const COLUMNS: &[(&str, ColumnType, bool, &str)] = &[
    ("event_id", ColumnType::Text, false, "identity: hash of system, source and the source's own id"),
    ("system", ColumnType::Text, false, "the CCSS trusted environment; the partition key"),
    ("time", ColumnType::Time, false, "log time; strictly increasing within a system"),
    ("event_time", ColumnType::Time, false, "what the source claims"),
    ("source", ColumnType::Text, false, "the authenticated source"),
    ("kind", ColumnType::Text, false, "a name of the registry below"),
    ("late", ColumnType::Boolean, false, "older on arrival than its source's declared delay"),
    ("actor", ColumnType::Text, true, "person or principal"),
    ("session", ColumnType::Text, true, "session id at the identity provider"),
    ("device", ColumnType::Text, true, "device id"),
    ("ip", ColumnType::Text, true, "address the actor came from"),
    ("country", ColumnType::Text, true, "ISO 3166-1 alpha-2 country of `ip`"),
    ("asn", ColumnType::Integer, true, "autonomous system number of `ip`"),
    ("wallet", ColumnType::Text, true, "wallet acted upon"),
    ("key", ColumnType::Text, true, "key id"),
    ("request", ColumnType::Text, true, "signing request"),
    ("decision", ColumnType::Text, true, "decision id at the policy decision point"),
    ("tx", ColumnType::Text, true, "transaction hash"),
    ("chain", ColumnType::Text, true, "chain name"),
    ("asset", ColumnType::Text, true, "asset symbol or contract"),
    ("from_address", ColumnType::Text, true, "where value comes from"),
    ("to_address", ColumnType::Text, true, "where value effectively goes to"),
    (
        "amount",
        ColumnType::Amount,
        true,
        "base units; 10^38 − 1 when larger, exact digits then in `detail.amount_exact`",
    ),
    ("amount_usd", ColumnType::Usd, true, "US dollars"),
    ("outcome", ColumnType::Text, true, "how it went; words by kind"),
    ("reason", ColumnType::Text, true, "why"),
    (
        "detail",
        ColumnType::Text,
        false,
        "canonical JSON for the rest; read it with detail_text, detail_int, detail_bool",
    ),
];

/// Bytes of one block of text behind a column's views.
const TEXT_BLOCK_BYTES: u32 = 64 * 1024;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text, as views.
    Text,
    /// Nanoseconds UTC.
    Time,
    /// True or false.
    Boolean,
    /// 64-bit integer.
    Integer,
    /// `Decimal128(38, 0)` base units.
    Amount,
    /// `Decimal128(38, 2)` dollars.
    Usd,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            ColumnType::Text => DataType::Utf8View,
            ColumnType::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
            ColumnType::Boolean => DataType::Boolean,
            ColumnType::Integer => DataType::Int64,
            ColumnType::Amount => DataType::Decimal128(38, 0),
            ColumnType::Usd => DataType::Decimal128(38, 2),
        }
    }
}

/// The schema of `events`.
#[must_use]
pub fn events() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let fields = COLUMNS.iter().map(|(name, kind, nullable, _)| Field::new(*name, kind.arrow(), *nullable));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    });
    SCHEMA.clone()
}

/// Events as one batch, in their order.
///
/// # Errors
/// [`Error::Arrow`] when a column outgrows 2 GiB.
pub fn to_batch(events: &[Event]) -> Result<RecordBatch, Error> {
    let columns = (0..COLUMNS.len()).map(|index| column(index, events)).collect::<Result<_, _>>()?;
    Ok(RecordBatch::try_new(self::events(), columns)?)
}

/// Column `index` of [`COLUMNS`] alone.
///
/// # Errors
/// [`Error::Arrow`] when it outgrows 2 GiB.
pub fn column(index: usize, events: &[Event]) -> Result<ArrayRef, Error> {
    Ok(match COLUMNS[index].0 {
        "event_id" => ids(events),
        "system" => text(events, |event| Some(event.system())),
        "time" => time(events, |event| event.time().0),
        "event_time" => time(events, |event| event.event_time().0),
        "source" => text(events, |event| Some(event.source())),
        "kind" => text(events, |event| Some(event.kind())),
        "late" => Arc::new(events.iter().map(|event| Some(event.late())).collect::<BooleanArray>()),
        "actor" => text(events, Event::actor),
        "session" => text(events, Event::session),
        "device" => text(events, Event::device),
        "ip" => text(events, Event::ip),
        "country" => text(events, Event::country),
        "asn" => Arc::new(events.iter().map(super::event::Event::asn).collect::<Int64Array>()),
        "wallet" => text(events, Event::wallet),
        "key" => text(events, Event::key),
        "request" => text(events, Event::request),
        "decision" => text(events, Event::decision),
        "tx" => text(events, Event::tx),
        "chain" => text(events, Event::chain),
        "asset" => text(events, Event::asset),
        "from_address" => text(events, Event::from_address),
        "to_address" => text(events, Event::to_address),
        "amount" => decimal(38, 0, events.iter().map(|event| event.amount().map(crate::Amount::saturated)))?,
        "amount_usd" => decimal(38, 2, events.iter().map(|event| event.amount_usd_cents().map(i128::from)))?,
        "outcome" => text(events, Event::outcome),
        "reason" => text(events, Event::reason),
        _ => text(events, |event| Some(event.detail().as_str())),
    })
}

/// Text as views, so that rules that take some of the rows copy 16 bytes a row however long the text is.
fn text(events: &[Event], get: impl Fn(&Event) -> Option<&str>) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(events.len()).with_fixed_block_size(TEXT_BLOCK_BYTES);
    for event in events {
        builder.append_option(get(event));
    }
    Arc::new(builder.finish())
}

fn ids(events: &[Event]) -> ArrayRef {
    let mut builder = StringViewBuilder::with_capacity(events.len()).with_fixed_block_size(TEXT_BLOCK_BYTES);
    let mut digits = [0; 32];
    for event in events {
        builder.append_value(event.event_id().write_digits(&mut digits));
    }
    Arc::new(builder.finish())
}

fn time(events: &[Event], get: impl Fn(&Event) -> i64) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from_iter_values(events.iter().map(get)))
}

fn decimal(precision: u8, scale: i8, units: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef, Error> {
    Ok(Arc::new(units.collect::<Decimal128Array>().with_precision_and_scale(precision, scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Origin;
    use crate::{Amount, Instant};

    #[test]
    fn a_batch_has_every_column_and_saturates_only_the_amount() {
        let origin = Origin { system: "s".into(), source: "a".into() };
        let mut event = Event::builder(&origin, "1", "chain.transfer", Instant(7));
        event.amount(Amount::from_digits(&"9".repeat(60)).unwrap());
        let event = event.build().unwrap();
        let batch = to_batch(std::slice::from_ref(&event)).unwrap();
        assert_eq!(batch.num_columns(), COLUMNS.len());
        assert_eq!(event.detail().value()[crate::amount::EXACT_KEY], "9".repeat(60));
        let amounts = batch.column_by_name("amount").unwrap();
        let amounts = amounts.as_any().downcast_ref::<Decimal128Array>().unwrap();
        assert_eq!(amounts.value(0), crate::amount::AMOUNT_MAX);
    }
}
