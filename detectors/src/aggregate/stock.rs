//! The same states inside DataFusion's own windows, which see whole batches and no log time: the oracle of the tests.

use std::mem::size_of_val;
use std::sync::Mutex;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Accumulator;

use super::{Factory, Sliding};
use crate::window::value::{Column, Value, write};

/// A state that DataFusion drives. An answer is as of the latest row that entered.
#[derive(Debug)]
pub(super) struct StockAccumulator {
    /// Locked by nobody: DataFusion asks for `Sync`, which a state need not be.
    state: Mutex<Box<dyn Sliding>>,
    leaves: bool,
    is_literal: Vec<bool>,
    output: DataType,
}

impl StockAccumulator {
    pub(super) fn new(factory: &Factory, stays: bool, is_literal: Vec<bool>, output: DataType) -> StockAccumulator {
        StockAccumulator { state: Mutex::new(factory.fresh(stays)), leaves: factory.leaves, is_literal, output }
    }

    fn state(&mut self) -> &mut dyn Sliding {
        self.state.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner).as_mut()
    }

    /// Gives the arguments of each row, but for literals.
    fn each_row(&mut self, arrays: &[ArrayRef], step: fn(&mut dyn Sliding, &[Option<Value>])) -> Result<()> {
        let read = |(array, is_literal): (&ArrayRef, &bool)| (!is_literal).then(|| Column::read(array)).transpose();
        let columns = arrays.iter().zip(&self.is_literal).map(read).collect::<Result<Vec<Option<Column>>>>()?;
        for row in 0..arrays.first().map_or(0, |array| array.len()) {
            let value = |column: &Option<Column>| column.as_ref().and_then(|column| column.value(row));
            let args: Vec<Option<Value>> = columns.iter().map(value).collect();
            step(self.state(), &args);
        }
        Ok(())
    }
}

impl Accumulator for StockAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each_row(values, |state, args| state.enter(i64::MIN, args))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.each_row(values, |state, args| state.leave(i64::MIN, args))
    }

    fn supports_retract_batch(&self) -> bool {
        self.leaves
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let answer = self.state().answer(i64::MIN).map_err(DataFusionError::Execution)?;
        scalar(answer, &self.output)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.state.lock().map_or(0, |state| state.bytes())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Err(DataFusionError::NotImplemented("aggregates of windows have no partial state".to_owned()))
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        Err(DataFusionError::NotImplemented("aggregates of windows have no partial state".to_owned()))
    }
}

/// An answer as DataFusion's value of that type.
pub(super) fn scalar(answer: Option<Value>, kind: &DataType) -> Result<ScalarValue> {
    match (answer, kind) {
        (Some(Value::List(values)), DataType::List(item)) => {
            Ok(SingleRowListArrayBuilder::new(write(&values, item.data_type())?).with_field(item).build_list_scalar())
        }
        (None, DataType::List(_)) => ScalarValue::try_from(kind),
        (answer, kind) => ScalarValue::try_from_array(&write(&[answer], kind)?, 0),
    }
}
