//! `sum` and `avg`: nothing drifts, since sums are 256-bit integers.

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, i256};
use datafusion::error::Result;

use super::inputs::Inputs;
use super::{Accumulate, Answers, At, cell, open_cell, store_cells};
use crate::window::keys::Slot;
use crate::window::operator_plan::{Call, Function};
use crate::window::stored::from_bytes;

/// Sum and number of the rows of each key that are inside.
#[derive(Debug)]
pub(in crate::window) struct Sums {
    cells: Vec<(i256, i64)>,
    pub(super) inputs: Inputs<i128>,
    averages: bool,
    argument: DataType,
    output: DataType,
}

impl Sums {
    pub(super) fn new(call: &Call, keeps: bool) -> Sums {
        let argument = call.arguments.first().cloned().unwrap_or(DataType::Int64);
        let averages = matches!(call.function, Function::Average);
        Sums { cells: Vec::new(), inputs: Inputs::new(keeps), averages, argument, output: call.output.clone() }
    }
}

impl Accumulate for Sums {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.cells, slot);
    }

    #[inline]
    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let number = if self.inputs.keeps() {
            let number = self.inputs.enter(lane);
            *self.inputs.get(lane, number)
        } else {
            self.inputs.enter_and_take(lane)
        };
        let (sum, count) = &mut self.cells[slot as usize];
        *sum = sum.wrapping_add(i256::from_i128(number));
        *count += 1;
    }

    #[inline]
    fn leave(&mut self, lane: usize, slot: Slot, _: i64) {
        let (_, number) = self.inputs.leave(lane);
        let (sum, count) = &mut self.cells[slot as usize];
        *sum = sum.wrapping_sub(i256::from_i128(number));
        *count -= 1;
    }

    #[inline]
    fn peek(&self, slot: Slot) -> u64 {
        self.cells[slot as usize].1.cast_unsigned()
    }

    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        let inside = cell(&self.cells, slot).filter(|(_, count)| *count > 0);
        answers.wide(inside.map(|(sum, count)| match self.averages {
            false => saturate(*sum),
            true => average(*sum, *count, &self.argument, &self.output),
        }));
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        store_cells(&self.cells, slots)
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        self.cells = from_bytes(cells)?;
        Ok(())
    }

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        self.cells.capacity() * size_of::<(i256, i64)>() + self.inputs.bytes()
    }
}

/// A sum never wraps: above 128 bits it holds at the end of the range, and the column's type saturates further.
pub(in crate::window) fn saturate(sum: i256) -> i128 {
    sum.to_i128().unwrap_or(if sum.is_negative() { i128::MIN } else { i128::MAX })
}

/// Sum by count, truncated at the scale of the output. Only decimals come here: an average of integers is planned as one.
pub(in crate::window) fn average(sum: i256, count: i64, argument: &DataType, output: &DataType) -> i128 {
    let scale_of = |kind: &DataType| if let DataType::Decimal128(_, scale) = kind { *scale } else { 0 };
    let places = scale_of(output).saturating_sub(scale_of(argument)).max(0);
    let scale = i256::from_i128(10_i128.pow(u32::from(places.cast_unsigned())));
    let scaled = sum.checked_mul(scale).unwrap_or(sum);
    saturate(scaled.wrapping_div(i256::from_i128(i128::from(count))))
}
