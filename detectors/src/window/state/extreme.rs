//! `min` and `max`: of the rows inside, only those that no later one beats can ever be the extreme.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::inputs::Inputs;
use super::{Accumulate, Answers, At, cell, open_cell, store_cells};
use crate::window::keys::Slot;
use crate::window::stored::{from_bytes, to_bytes};
use crate::window::value::Value;

/// Whether a later value makes an earlier one useless.
fn beats(is_max: bool, later: Option<&Value>, earlier: Option<&Value>) -> bool {
    if is_max { later >= earlier } else { later <= earlier }
}

/// Candidates of each key, as numbers of its lane's values; the front is the extreme.
#[derive(Debug)]
pub(in crate::window) struct Extremes {
    candidates: Vec<VecDeque<u64>>,
    pub(super) inputs: Inputs<Option<Value>>,
    is_max: bool,
}

impl Extremes {
    pub(super) fn new(is_max: bool) -> Extremes {
        Extremes { candidates: Vec::new(), inputs: Inputs::new(true), is_max }
    }
}

impl Accumulate for Extremes {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.candidates, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let number = self.inputs.enter(lane);
        let value = self.inputs.get(lane, number).as_ref();
        let candidates = &mut self.candidates[slot as usize];
        while let Some(last) = candidates.back()
            && beats(self.is_max, value, self.inputs.get(lane, *last).as_ref())
        {
            candidates.pop_back();
        }
        candidates.push_back(number);
    }

    fn leave(&mut self, lane: usize, slot: Slot, _: i64) {
        let (number, _) = self.inputs.leave(lane);
        let candidates = &mut self.candidates[slot as usize];
        if candidates.front() == Some(&number) {
            candidates.pop_front();
        }
    }

    fn answer(&mut self, lane: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        let extreme = cell(&self.candidates, slot).and_then(VecDeque::front);
        answers.value(extreme.and_then(|number| self.inputs.get(lane, *number).clone()));
        Ok(())
    }

    fn save_cells(&self, _: &[Slot]) -> ArrayRef {
        to_bytes::<u8>(std::iter::empty())
    }

    fn load_cells(&mut self, _: &ArrayRef) -> Result<()> {
        Ok(())
    }

    fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        Some(self.inputs.save())
    }

    fn load_inputs(&mut self, lanes: &[u32], _: &[Slot], values: &ArrayRef) -> Result<()> {
        self.inputs.load(lanes, values)
    }

    fn bytes(&self) -> usize {
        let candidates: usize = self.candidates.iter().map(|candidates| candidates.capacity() * size_of::<u64>()).sum();
        self.candidates.capacity() * size_of::<VecDeque<u64>>() + candidates + self.inputs.bytes()
    }
}

/// The extreme of each key so far, where rows never leave.
#[derive(Debug)]
pub(in crate::window) struct RunningExtremes {
    extremes: Vec<Option<Value>>,
    pub(super) inputs: Inputs<Option<Value>>,
    is_max: bool,
}

impl RunningExtremes {
    pub(super) fn new(is_max: bool) -> RunningExtremes {
        RunningExtremes { extremes: Vec::new(), inputs: Inputs::new(false), is_max }
    }
}

impl Accumulate for RunningExtremes {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.extremes, slot);
    }

    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let value = self.inputs.enter_and_take(lane);
        let extreme = &mut self.extremes[slot as usize];
        if extreme.is_none() || beats(self.is_max, value.as_ref(), extreme.as_ref()) {
            *extreme = value;
        }
    }

    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        answers.value(cell(&self.extremes, slot).cloned().flatten());
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        store_cells(&self.extremes, slots)
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        self.extremes = from_bytes(cells)?;
        Ok(())
    }

    fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        Some(self.inputs.save())
    }

    fn load_inputs(&mut self, lanes: &[u32], _: &[Slot], values: &ArrayRef) -> Result<()> {
        self.inputs.load(lanes, values)
    }

    fn bytes(&self) -> usize {
        self.extremes.capacity() * size_of::<Option<Value>>() + self.inputs.bytes()
    }
}
