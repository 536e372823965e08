//! Values inside a window: read from Arrow columns, kept exactly, written back.
//!
//! Integers, decimals, instants and floats all become one 128-bit integer (a float by an order-preserving map of its
//! bits), so that equality, order and sums are exact and the same on every machine.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, PrimitiveArray,
    StringViewArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, FieldRef, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType, UInt64Type,
};
use datafusion::error::{DataFusionError, Result};

/// One value that is not null.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Value {
    /// Integer, unscaled decimal, nanoseconds, or ordered bits of a float.
    Number(i128),
    /// UTF-8 text.
    Text(Arc<str>),
    /// True or false.
    Boolean(bool),
    /// A list, which only ever is an answer.
    List(Arc<[Option<Value>]>),
}

/// A column of values, whatever its Arrow type.
pub(crate) enum Column {
    Integer(PrimitiveArray<Int64Type>),
    Unsigned(PrimitiveArray<UInt64Type>),
    Decimal(PrimitiveArray<Decimal128Type>),
    Time(PrimitiveArray<TimestampNanosecondType>),
    Float(PrimitiveArray<Float64Type>),
    Boolean(BooleanArray),
    Text(StringViewArray),
    Null(usize),
}

/// Whether [`Column`] can read that type.
pub(crate) fn is_supported(kind: &DataType) -> bool {
    let others = [DataType::Boolean, DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, DataType::Null];
    is_number(kind) || others.contains(kind)
}

impl Column {
    pub(crate) fn read(array: &ArrayRef) -> Result<Column> {
        Ok(match array.data_type() {
            DataType::Null => Column::Null(array.len()),
            DataType::UInt64 => Column::Unsigned(array.as_primitive().clone()),
            kind if kind.is_integer() => Column::Integer(cast(array, &DataType::Int64)?.as_primitive().clone()),
            DataType::Decimal128(..) => Column::Decimal(array.as_primitive().clone()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                Column::Time(cast(array, &DataType::Timestamp(TimeUnit::Nanosecond, None))?.as_primitive().clone())
            }
            DataType::Float64 | DataType::Float32 => {
                Column::Float(cast(array, &DataType::Float64)?.as_primitive().clone())
            }
            DataType::Boolean => Column::Boolean(array.as_boolean().clone()),
            _ => Column::Text(cast(array, &DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    pub(crate) fn value(&self, row: usize) -> Option<Value> {
        match self {
            Column::Integer(array) => array.is_valid(row).then(|| Value::Number(i128::from(array.value(row)))),
            Column::Unsigned(array) => array.is_valid(row).then(|| Value::Number(i128::from(array.value(row)))),
            Column::Decimal(array) => array.is_valid(row).then(|| Value::Number(array.value(row))),
            Column::Time(array) => array.is_valid(row).then(|| Value::Number(i128::from(array.value(row)))),
            Column::Float(array) => {
                array.is_valid(row).then(|| Value::Number(i128::from(ordered_bits(array.value(row)))))
            }
            Column::Boolean(array) => array.is_valid(row).then(|| Value::Boolean(array.value(row))),
            Column::Text(array) => array.is_valid(row).then(|| Value::Text(Arc::from(array.value(row)))),
            Column::Null(_) => None,
        }
    }

    /// The number of a row that has one.
    pub(crate) fn number(&self, row: usize) -> i128 {
        match self {
            Column::Integer(array) => i128::from(array.value(row)),
            Column::Unsigned(array) => i128::from(array.value(row)),
            Column::Decimal(array) => array.value(row),
            Column::Time(array) => i128::from(array.value(row)),
            Column::Float(array) => i128::from(ordered_bits(array.value(row))),
            other => number(other.value(row).as_ref()).unwrap_or_default(),
        }
    }

    /// Which rows have a value; `None` when all have.
    pub(crate) fn nulls(&self) -> Option<NullBuffer> {
        match self {
            Column::Integer(array) => array.nulls().cloned(),
            Column::Unsigned(array) => array.nulls().cloned(),
            Column::Decimal(array) => array.nulls().cloned(),
            Column::Time(array) => array.nulls().cloned(),
            Column::Float(array) => array.nulls().cloned(),
            Column::Boolean(array) => array.nulls().cloned(),
            Column::Text(array) => array.nulls().cloned(),
            Column::Null(rows) => Some(NullBuffer::new_null(*rows)),
        }
    }

    pub(crate) fn is_valid(&self, row: usize) -> bool {
        match self {
            Column::Integer(array) => array.is_valid(row),
            Column::Unsigned(array) => array.is_valid(row),
            Column::Decimal(array) => array.is_valid(row),
            Column::Time(array) => array.is_valid(row),
            Column::Float(array) => array.is_valid(row),
            Column::Boolean(array) => array.is_valid(row),
            Column::Text(array) => array.is_valid(row),
            Column::Null(_) => false,
        }
    }
}

/// The order of IEEE 754 totalOrder as the order of integers; its own inverse on the way back.
fn ordered_bits(value: f64) -> i64 {
    flip(value.to_bits().cast_signed())
}

fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Whether its values are numbers here.
pub(crate) fn is_number(kind: &DataType) -> bool {
    kind.is_integer()
        || matches!(
            kind,
            DataType::Decimal128(..)
                | DataType::Timestamp(TimeUnit::Nanosecond, _)
                | DataType::Float64
                | DataType::Float32
        )
}

/// Numbers as an Arrow array of `kind`; one that does not fit saturates.
pub(crate) fn write_numbers(mut numbers: Vec<i128>, nulls: Option<NullBuffer>, kind: &DataType) -> Result<ArrayRef> {
    let narrow = |numbers: Vec<i128>| numbers.into_iter().map(clamp).collect::<Vec<i64>>();
    Ok(match kind {
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.pow(u32::from(*precision)) - 1;
            numbers.iter_mut().for_each(|units| *units = (*units).clamp(-limit, limit));
            Arc::new(Decimal128Array::new(numbers.into(), nulls).with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            Arc::new(TimestampNanosecondArray::new(narrow(numbers).into(), nulls).with_timezone_opt(zone.clone()))
        }
        DataType::Float64 => {
            let floats = numbers.into_iter().map(|bits| f64::from_bits(flip(clamp(bits)).cast_unsigned()));
            Arc::new(Float64Array::new(floats.collect(), nulls))
        }
        DataType::Int64 => Arc::new(Int64Array::new(narrow(numbers).into(), nulls)),
        kind if kind.is_integer() => cast(&write_numbers(numbers, nulls, &DataType::Int64)?, kind)?,
        kind => cast(&write_numbers(numbers, nulls, &DataType::Float64)?, kind)?,
    })
}

/// Values as an Arrow array of `kind`; a number that does not fit saturates.
pub(crate) fn write(values: &[Option<Value>], kind: &DataType) -> Result<ArrayRef> {
    if is_number(kind) {
        let nulls = values.iter().map(|value| number(value.as_ref()).is_some()).collect();
        let numbers = values.iter().map(|value| number(value.as_ref()).unwrap_or_default()).collect();
        return write_numbers(numbers, Some(nulls), kind);
    }
    Ok(match kind {
        DataType::Boolean => Arc::new(values.iter().map(|value| boolean(value.as_ref())).collect::<BooleanArray>()),
        DataType::Utf8View => Arc::new(values.iter().map(|value| text(value.as_ref())).collect::<StringViewArray>()),
        DataType::List(field) => write_list(values, field)?,
        other => return write_by_cast(values, other),
    })
}

fn write_by_cast(values: &[Option<Value>], kind: &DataType) -> Result<ArrayRef> {
    let plain = match kind {
        DataType::LargeUtf8 | DataType::Utf8 => DataType::Utf8View,
        other => return Err(DataFusionError::Internal(format!("a window cannot give values of type {other}"))),
    };
    Ok(cast(&write(values, &plain)?, kind)?)
}

fn write_list(values: &[Option<Value>], field: &FieldRef) -> Result<ArrayRef> {
    let lists = values.iter().map(|value| match value {
        Some(Value::List(items)) => Some(items.as_ref()),
        _ => None,
    });
    let items: Vec<Option<Value>> = lists.clone().flatten().flatten().cloned().collect();
    let lengths = OffsetBuffer::from_lengths(lists.clone().map(|list| list.map_or(0, <[_]>::len)));
    let nulls = lists.map(|list| list.is_some()).collect::<NullBuffer>();
    let items = write(&items, field.data_type())?;
    Ok(Arc::new(ListArray::try_new(field.clone(), lengths, items, Some(nulls))?))
}

fn number(value: Option<&Value>) -> Option<i128> {
    match value {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    }
}

fn boolean(value: Option<&Value>) -> Option<bool> {
    match value {
        Some(Value::Boolean(boolean)) => Some(*boolean),
        _ => None,
    }
}

fn text(value: Option<&Value>) -> Option<&str> {
    match value {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

fn clamp(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_keep_their_order_and_come_back() {
        let floats = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.5, f64::INFINITY];
        let bits: Vec<i64> = floats.iter().map(|float| ordered_bits(*float)).collect();
        assert!(bits.is_sorted());
        let values: Vec<Option<Value>> =
            floats.iter().map(|float| Some(Value::Number(i128::from(ordered_bits(*float))))).collect();
        let array = write(&values, &DataType::Float64).unwrap();
        let back: Vec<u64> = array.as_primitive::<Float64Type>().values().iter().map(|float| float.to_bits()).collect();
        assert_eq!(back, floats.map(f64::to_bits));
    }
}
