//! The flat Arrow schema of `events`, and events → `RecordBatch`.
//!
//! Times are `Timestamp(ns)` without a zone and mean UTC; `amount` is `Decimal128(38, 0)` in base units and saturates
//! (see [`crate::amount`]); `amount_usd` is `Decimal128(38, 2)`; `event_id` is 32 hexadecimal digits; `detail` is
//! canonical JSON text.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
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

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// UTF-8 text.
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
            ColumnType::Text => DataType::Utf8,
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
    let text =
        |get: fn(&Event) -> Option<&str>| -> ArrayRef { Arc::new(events.iter().map(get).collect::<StringArray>()) };
    let time = |get: fn(&Event) -> i64| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from_iter_values(events.iter().map(get)))
    };
    let ids: StringArray = events.iter().map(|event| Some(event.event_id.to_string())).collect();
    let late: BooleanArray = events.iter().map(|event| Some(event.late)).collect();
    let asn: Int64Array = events.iter().map(|event| event.asn).collect();
    let amount: Decimal128Array =
        events.iter().map(|event| event.amount.as_ref().map(crate::Amount::saturated)).collect();
    let usd: Decimal128Array = events.iter().map(|event| event.amount_usd_cents.map(i128::from)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        text(|event| Some(&event.system)),
        time(|event| event.time.0),
        time(|event| event.event_time.0),
        text(|event| Some(&event.source)),
        text(|event| Some(&event.kind)),
        Arc::new(late),
        text(|event| event.actor.as_deref()),
        text(|event| event.session.as_deref()),
        text(|event| event.device.as_deref()),
        text(|event| event.ip.as_deref()),
        text(|event| event.country.as_deref()),
        Arc::new(asn),
        text(|event| event.wallet.as_deref()),
        text(|event| event.key.as_deref()),
        text(|event| event.request.as_deref()),
        text(|event| event.decision.as_deref()),
        text(|event| event.tx.as_deref()),
        text(|event| event.chain.as_deref()),
        text(|event| event.asset.as_deref()),
        text(|event| event.from_address.as_deref()),
        text(|event| event.to_address.as_deref()),
        Arc::new(amount.with_precision_and_scale(38, 0)?),
        Arc::new(usd.with_precision_and_scale(38, 2)?),
        text(|event| event.outcome.as_deref()),
        text(|event| event.reason.as_deref()),
        text(|event| Some(event.detail.as_str())),
    ];
    Ok(RecordBatch::try_new(self::events(), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Origin;
    use crate::{Amount, Instant};

    #[test]
    fn a_batch_has_every_column_and_saturates_only_the_amount() {
        let origin = Origin { system: "s".into(), source: "a".into() };
        let mut event = Event::new(&origin, "1", "chain.transfer", Instant(7));
        event.set_amount(Amount::from_digits(&"9".repeat(60)).unwrap());
        let batch = to_batch(&[event.clone()]).unwrap();
        assert_eq!(batch.num_columns(), COLUMNS.len());
        assert_eq!(event.detail.value()[crate::amount::EXACT_KEY], "9".repeat(60));
        let amounts = batch.column_by_name("amount").unwrap();
        let amounts = amounts.as_any().downcast_ref::<Decimal128Array>().unwrap();
        assert_eq!(amounts.value(0), crate::amount::AMOUNT_MAX);
    }
}
