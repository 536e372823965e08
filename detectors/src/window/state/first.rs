//! `first_value` and `nth_value`: the rows inside, in their order.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::inputs::Inputs;
use super::{Accumulate, Answers, At, cell, open_cell, store_cells};
use crate::window::keys::Slot;
use crate::window::stored::{from_bytes, to_bytes};
use crate::window::value::Value;

/// The rows of each key that are inside, as numbers of its lane's values.
#[derive(Debug)]
pub(in crate::window) struct Firsts {
    inside: Vec<VecDeque<u64>>,
    pub(super) inputs: Inputs<Option<Value>>,
    nth: usize,
}

impl Firsts {
    /// `nth` counts from 0.
    pub(super) fn new(nth: usize) -> Firsts {
        Firsts { inside: Vec::new(), inputs: Inputs::new(true), nth }
    }
}

impl Accumulate for Firsts {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.inside, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let number = self.inputs.enter(lane);
        self.inside[slot as usize].push_back(number);
    }

    fn leave(&mut self, lane: usize, slot: Slot, _: i64) {
        self.inputs.leave(lane);
        self.inside[slot as usize].pop_front();
    }

    fn answer(&mut self, lane: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        let number = cell(&self.inside, slot).and_then(|inside| inside.get(self.nth));
        answers.value(number.and_then(|number| self.inputs.get(lane, *number).clone()));
        Ok(())
    }

    fn save_cells(&self, _: &[Slot]) -> ArrayRef {
        to_bytes::<u8>(std::iter::empty())
    }

    fn load_cells(&mut self, _: &ArrayRef) -> Result<()> {
        Ok(())
    }

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        let inside: usize = self.inside.iter().map(|inside| inside.capacity() * size_of::<u64>()).sum();
        self.inside.capacity() * size_of::<VecDeque<u64>>() + inside + self.inputs.bytes()
    }
}

/// The first values of each key, where rows never leave.
#[derive(Debug)]
pub(in crate::window) struct RunningFirsts {
    firsts: Vec<Vec<Option<Value>>>,
    pub(super) inputs: Inputs<Option<Value>>,
    nth: usize,
}

impl RunningFirsts {
    /// `nth` counts from 0.
    pub(super) fn new(nth: usize) -> RunningFirsts {
        RunningFirsts { firsts: Vec::new(), inputs: Inputs::new(false), nth }
    }
}

impl Accumulate for RunningFirsts {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.firsts, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let value = self.inputs.enter_and_take(lane);
        let firsts = &mut self.firsts[slot as usize];
        if firsts.len() <= self.nth {
            firsts.push(value);
        }
    }

    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        answers.value(cell(&self.firsts, slot).and_then(|firsts| firsts.get(self.nth)).cloned().flatten());
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        store_cells(&self.firsts, slots)
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        self.firsts = from_bytes(cells)?;
        Ok(())
    }

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        let firsts: usize = self.firsts.iter().map(|firsts| firsts.capacity() * size_of::<Option<Value>>()).sum();
        self.firsts.capacity() * size_of::<Vec<Option<Value>>>() + firsts + self.inputs.bytes()
    }
}
