//! Every state against a naive recomputation over the rows of its frame, and all of them inside stock DataFusion.
#![allow(clippy::cast_precision_loss, reason = "compared with floats within their precision")]

mod baselines;
mod frames;
mod refusals;
mod scores;
mod stock;

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::ScalarValue;

use super::{Factory, Sliding, sliding, udafs};
use crate::window::value::Value;

/// The arguments of one row; the first that is a time in `nanoseconds` is its log time.
type Row = Vec<Option<Value>>;

const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

/// A number as an argument.
#[expect(clippy::unnecessary_wraps, reason = "an argument may be null")]
fn number(number: impl Into<i128>) -> Option<Value> {
    Some(Value::Number(number.into()))
}

fn output(name: &str, types: &[DataType]) -> DataType {
    let function = udafs().into_iter().find(|function| function.name() == name);
    function.map_or_else(|| types[0].clone(), |function| function.return_type(types).unwrap())
}

/// What computes a call; arguments are types, or literals.
fn factory(name: &str, arguments: &[(DataType, Option<ScalarValue>)]) -> Factory {
    let (types, literals): (Vec<DataType>, Vec<Option<ScalarValue>>) = arguments.iter().cloned().unzip();
    sliding(name, false, &types, &literals, &output(name, &types)).unwrap().unwrap()
}

fn literal(value: impl Into<ScalarValue>) -> (DataType, Option<ScalarValue>) {
    let value = value.into();
    (value.data_type(), Some(value))
}

fn half_life(nanoseconds: i64) -> (DataType, Option<ScalarValue>) {
    literal(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, 0, nanoseconds))))
}

/// The answers as a frame of `width` rows slides over the rows.
fn slide(factory: &Factory, rows: &[Row], width: usize) -> Vec<Option<Value>> {
    let mut state = factory.fresh(false);
    let step = |(index, row): (usize, &Row)| {
        state.enter(0, row);
        if index >= width {
            state.leave(0, &rows[index - width]);
        }
        state.answer(0).unwrap()
    };
    rows.iter().enumerate().map(step).collect()
}

/// The answers as a frame grows over the rows, which come at `times`; saved and loaded before row `cut`.
fn grow(factory: &Factory, rows: &[Row], times: &[i64], cut: Option<usize>) -> Vec<Option<Value>> {
    let mut state = factory.fresh(true);
    let step = |(index, row): (usize, &Row)| {
        if cut == Some(index) {
            state = reloaded(factory, state.as_ref());
        }
        state.enter(times[index], row);
        state.answer(times[index]).unwrap()
    };
    rows.iter().enumerate().map(step).collect()
}

fn reloaded(factory: &Factory, state: &dyn Sliding) -> Box<dyn Sliding> {
    let saved = state.save();
    let mut fresh = factory.fresh(true);
    fresh.load(&saved).unwrap();
    assert_eq!(fresh.save(), saved);
    assert!(factory.fresh(true).load(&saved[..saved.len() - 1]).is_err(), "what is cut short is no state");
    fresh
}

/// An answer that is a float.
fn float(answer: Option<Value>) -> Option<f64> {
    match answer {
        Some(Value::Number(bits)) => Some(f64::from_bits(u64::try_from(bits).unwrap())),
        None => None,
        other => panic!("{other:?} is no float"),
    }
}

/// An answer that is a number.
fn units(answer: Option<Value>) -> Option<i128> {
    match answer {
        Some(Value::Number(units)) => Some(units),
        None => None,
        other => panic!("{other:?} is no number"),
    }
}
