//! Types and values between Arrow and PostgreSQL, as text and in binary. Times go as `timestamptz`, with microseconds;
//! amounts as `numeric`.

use anyhow::{Context, anyhow, bail};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::messages::data::DataRow;

use crate::service::sql::cells::Cells;

/// Microseconds between 1970 and 2000, from where PostgreSQL counts.
const EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

const MICROSECONDS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The types of a result's columns.
///
/// # Errors
/// Names the column that PostgreSQL has no type for.
pub(super) fn types(schema: &Schema) -> anyhow::Result<Vec<Type>> {
    let kind = |field: &std::sync::Arc<arrow::datatypes::Field>| {
        sent_as(field.data_type()).with_context(|| format!("column `{}`", field.name()))
    };
    schema.fields().iter().map(kind).collect()
}

fn sent_as(kind: &DataType) -> anyhow::Result<Type> {
    Ok(match kind {
        DataType::Boolean => Type::BOOL,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Type::INT8,
        DataType::UInt32 | DataType::Int64 => Type::INT8,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Type::FLOAT8,
        DataType::UInt64 | DataType::Decimal32(..) | DataType::Decimal64(..) => Type::NUMERIC,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Type::NUMERIC,
        DataType::Timestamp(..) => Type::TIMESTAMPTZ,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            bail!("bytes are not sent; encode them as text")
        }
        // Whatever else has a text form.
        _ => Type::TEXT,
    })
}

/// The columns of a result.
///
/// # Errors
/// As [`types`].
pub(super) fn fields(schema: &Schema, format: Option<&Format>) -> anyhow::Result<Vec<FieldInfo>> {
    let types = types(schema)?.into_iter().zip(schema.fields()).enumerate();
    let info = |(index, (kind, field)): (usize, (Type, &std::sync::Arc<arrow::datatypes::Field>))| {
        let binary = format.is_some_and(|format| is_binary(format, index));
        let format = if binary { FieldFormat::Binary } else { FieldFormat::Text };
        FieldInfo::new(field.name().clone(), None, None, kind, format)
    };
    Ok(types.map(info).collect())
}

/// Whether a column or parameter goes in binary.
pub(super) fn is_binary(format: &Format, index: usize) -> bool {
    match format {
        Format::UnifiedText => false,
        Format::UnifiedBinary => true,
        Format::Individual(codes) => codes.get(index) == Some(&1),
    }
}

/// Which columns of a result go in binary.
pub(super) fn binary(schema: &Schema, format: &Format) -> Vec<bool> {
    (0..schema.fields().len()).map(|index| is_binary(format, index)).collect()
}

/// The rows of a batch.
///
/// # Errors
/// A value cannot be written.
pub(super) fn rows(batch: &RecordBatch, binary: &[bool]) -> anyhow::Result<Vec<DataRow>> {
    let columns: Vec<Column> = batch.columns().iter().map(Column::of).collect::<anyhow::Result<_>>()?;
    let cells = Cells::of(batch)?;
    let count = i16::try_from(columns.len()).context("too many columns")?;
    let row = |row: usize| {
        let mut out: Vec<u8> = Vec::with_capacity(64 * columns.len());
        for ((column, text), binary) in columns.iter().zip(cells.row(row)).zip(binary) {
            let Some(text) = text else {
                out.extend((-1_i32).to_be_bytes());
                continue;
            };
            let start = out.len();
            out.extend([0; 4]);
            if *binary {
                column.write_binary(row, &text, &mut out)?;
            } else {
                column.write_text(row, &text, &mut out);
            }
            let length = i32::try_from(out.len() - start - 4).context("a value is too long")?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(DataRow::new(out.as_slice().into(), count))
    };
    (0..batch.num_rows()).map(row).collect()
}

struct Column {
    kind: Type,
    /// As integers, floats, microseconds or truth values; as it is for texts.
    array: ArrayRef,
}

impl Column {
    fn of(array: &ArrayRef) -> anyhow::Result<Column> {
        let kind = sent_as(array.data_type())?;
        let array = match kind {
            Type::INT8 => cast(array, &DataType::Int64)?,
            Type::FLOAT8 => cast(array, &DataType::Float64)?,
            // The zone of a time is how it is shown; the instant is the same.
            Type::TIMESTAMPTZ => cast(array, &MICROSECONDS)?,
            _ => array.clone(),
        };
        Ok(Column { kind, array })
    }

    fn write_text(&self, row: usize, text: &str, out: &mut Vec<u8>) {
        match self.kind {
            Type::BOOL => out.push(if text == "true" { b't' } else { b'f' }),
            Type::TIMESTAMPTZ => {
                let micros = self.array.as_primitive::<TimestampMicrosecondType>().value(row);
                let instant = keywatch_store::Instant(micros.saturating_mul(1000)).to_string();
                out.extend(instant.replace('T', " ").replace('Z', "+00").bytes());
            }
            _ => out.extend(text.bytes()),
        }
    }

    fn write_binary(&self, row: usize, text: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
        match self.kind {
            Type::BOOL => out.push(u8::from(text == "true")),
            Type::INT8 => out.extend(self.array.as_primitive::<Int64Type>().value(row).to_be_bytes()),
            Type::FLOAT8 => out.extend(self.array.as_primitive::<Float64Type>().value(row).to_be_bytes()),
            Type::TIMESTAMPTZ => {
                let micros = self.array.as_primitive::<TimestampMicrosecondType>().value(row);
                out.extend(micros.saturating_sub(EPOCH_MICROSECONDS).to_be_bytes());
            }
            Type::NUMERIC => write_numeric(text, out)?,
            _ => out.extend(text.bytes()),
        }
        Ok(())
    }
}

/// A `numeric`: digits to the base of 10,000, how many stand before the point, the sign, digits after the point.
fn write_numeric(text: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = whole.trim_start_matches('0');
    let before = whole.len().div_ceil(4);
    let after = fraction.len().div_ceil(4);
    let padded = format!("{whole:0>before$}{fraction:0<after$}", before = before * 4, after = after * 4);
    let mut groups = Vec::with_capacity(before + after);
    for group in padded.as_bytes().chunks(4) {
        let number = group.iter().try_fold(0_i16, |number, digit| match digit {
            b'0'..=b'9' => Some(number * 10 + i16::from(digit - b'0')),
            _ => None,
        });
        groups.push(number.with_context(|| format!("`{text}` is no number"))?);
    }
    let count = i16::try_from(groups.len()).context("too many digits")?;
    let weight = i16::try_from(before).context("too many digits")? - 1;
    let scale = i16::try_from(fraction.len()).context("too many digits")?;
    for number in [count, weight, if negative { 0x4000 } else { 0 }, scale].iter().chain(&groups) {
        out.extend(number.to_be_bytes());
    }
    Ok(())
}

/// The Arrow type of a parameter that a driver declares.
pub(super) fn arrow(kind: &Type) -> Option<DataType> {
    Some(match *kind {
        Type::BOOL => DataType::Boolean,
        Type::INT2 | Type::INT4 | Type::INT8 => DataType::Int64,
        Type::FLOAT4 | Type::FLOAT8 => DataType::Float64,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Nanosecond, None),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => DataType::Utf8View,
        _ => return None,
    })
}

/// The type that a parameter is announced with.
///
/// # Errors
/// There is none.
pub(super) fn parameter_type(kind: &DataType) -> anyhow::Result<Type> {
    sent_as(kind)
}

/// The value of a parameter.
///
/// # Errors
/// It is none of that type.
pub(super) fn parameter(
    value: Option<&[u8]>,
    kind: &DataType,
    declared: Option<Type>,
    binary: bool,
) -> anyhow::Result<ScalarValue> {
    let Some(bytes) = value else { return Ok(ScalarValue::try_from(kind)?) };
    let sent = declared.filter(|kind| *kind != Type::UNKNOWN).map_or_else(|| sent_as(kind), Ok)?;
    let given = if binary { from_binary(bytes, &sent)? } else { from_text(bytes, &sent)? };
    given.cast_to(kind).map_err(|error| anyhow!("{}", error.strip_backtrace()))
}

fn from_text(bytes: &[u8], sent: &Type) -> anyhow::Result<ScalarValue> {
    let text = std::str::from_utf8(bytes).context("a parameter is not UTF-8")?;
    match *sent {
        Type::TIMESTAMPTZ | Type::TIMESTAMP => Ok(ScalarValue::TimestampNanosecond(Some(instant(text)?), None)),
        Type::BOOL => Ok(ScalarValue::Boolean(Some(matches!(text, "t" | "true" | "on" | "1")))),
        _ => Ok(ScalarValue::Utf8View(Some(text.to_owned()))),
    }
}

/// A time as PostgreSQL or RFC 3339 writes it; UTC where it names no zone.
fn instant(text: &str) -> anyhow::Result<i64> {
    let mut written = text.trim().replacen(' ', "T", 1);
    let zone = written.get(19..).unwrap_or_default();
    if zone.ends_with('Z') || zone.rfind(['+', '-']).is_some_and(|sign| zone.len() - sign == 6) {
    } else if zone.rfind(['+', '-']).is_some_and(|sign| zone.len() - sign == 3) {
        written.push_str(":00");
    } else {
        written.push('Z');
    }
    let instant: Result<keywatch_store::Instant, String> = written.parse();
    instant.map(|instant| instant.0).map_err(|problem| anyhow!(problem))
}

fn from_binary(bytes: &[u8], sent: &Type) -> anyhow::Result<ScalarValue> {
    let wrong = || anyhow!("a parameter of type {sent} has {} bytes", bytes.len());
    Ok(match *sent {
        Type::BOOL => ScalarValue::Boolean(Some(*bytes.first().ok_or_else(wrong)? != 0)),
        Type::INT2 => ScalarValue::Int64(Some(i16::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).into())),
        Type::INT4 => ScalarValue::Int64(Some(i32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).into())),
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        Type::FLOAT4 => ScalarValue::Float64(Some(f32::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).into())),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?))),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            let micros = i64::from_be_bytes(bytes.try_into().map_err(|_| wrong())?).saturating_add(EPOCH_MICROSECONDS);
            ScalarValue::TimestampNanosecond(Some(micros.saturating_mul(1000)), None)
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => {
            ScalarValue::Utf8View(Some(std::str::from_utf8(bytes).context("a parameter is not UTF-8")?.to_owned()))
        }
        _ => bail!("a parameter of type {sent} is not taken in binary; cast it to text"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(text: &str) -> Vec<i16> {
        let mut out = Vec::new();
        write_numeric(text, &mut out).unwrap();
        out.chunks(2).map(|pair| i16::from_be_bytes(pair.try_into().unwrap())).collect()
    }

    #[test]
    fn numbers_are_written_as_postgresql_does() {
        assert_eq!(numeric("0"), [0, -1, 0, 0]);
        assert_eq!(numeric("12345"), [2, 1, 0, 0, 1, 2345]);
        assert_eq!(numeric("-1.05"), [2, 0, 0x4000, 2, 1, 500]);
        assert_eq!(numeric("10000"), [2, 1, 0, 0, 1, 0]);
        assert!(write_numeric("1e5", &mut Vec::new()).is_err());
    }

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let expected = "2025-02-21T05:42:40Z".parse::<keywatch_store::Instant>().unwrap().0;
        for text in
            ["2025-02-21 05:42:40", "2025-02-21T05:42:40Z", "2025-02-21 06:42:40+01", "2025-02-21 04:42:40-01:00"]
        {
            assert_eq!(instant(text).unwrap(), expected, "{text}");
        }
        assert!(instant("yesterday").is_err());
    }
}
