//! Answers of a function to the rows of one run, and the column that becomes of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, NullBufferBuilder, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;

use crate::window::value::{self, Value};

/// Answers of one run, in the order of the answered rows.
pub(in crate::window) enum Answers {
    Numbers(Vec<i64>),
    Texts(Box<StringViewBuilder>),
    Wide(Vec<i128>, NullBufferBuilder),
    Values(Vec<Option<Value>>),
}

impl Answers {
    pub(in crate::window) fn number(&mut self, number: i64) {
        if let Answers::Numbers(numbers) = self {
            numbers.push(number);
        }
    }

    #[inline]
    pub(in crate::window) fn wide(&mut self, number: Option<i128>) {
        if let Answers::Wide(numbers, nulls) = self {
            numbers.push(number.unwrap_or_default());
            nulls.append(number.is_some());
        }
    }

    pub(in crate::window) fn text(&mut self, text: Option<&str>) {
        if let Answers::Texts(texts) = self {
            texts.append_option(text);
        }
    }

    pub(in crate::window) fn value(&mut self, value: Option<Value>) {
        if let Answers::Values(values) = self {
            values.push(value);
        }
    }

    /// The answers as a column of that type.
    pub(in crate::window) fn finish(self, kind: &DataType) -> Result<ArrayRef> {
        let array: ArrayRef = match self {
            Answers::Numbers(numbers) => Arc::new(Int64Array::from(numbers)),
            Answers::Texts(mut texts) => Arc::new(texts.finish()),
            Answers::Wide(numbers, mut nulls) => return value::write_numbers(numbers, nulls.finish(), kind),
            Answers::Values(values) => return value::write(&values, kind),
        };
        if array.data_type() == kind { Ok(array) } else { Ok(arrow::compute::cast(&array, kind)?) }
    }
}
