//! `min` and `max`: of the rows inside, only those that no later one beats can ever be the extreme.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::inputs::Inputs;
use super::item::Item;
use super::{Accumulate, Answers, At, cell, open_cell, store_cells};
use crate::window::keys::Slot;
use crate::window::stored::{from_bytes, to_bytes};
use crate::window::value::Value;

/// Whether a later value makes an earlier one useless.
#[inline]
fn beats<T: Ord>(is_max: bool, later: &T, earlier: &T) -> bool {
    if is_max { later >= earlier } else { later <= earlier }
}

/// The rows of each key that no later one beats, with their numbers; the first is the extreme.
#[derive(Debug)]
pub(in crate::window) struct Extremes<T> {
    candidates: Vec<Candidates<T>>,
    pub(super) inputs: Inputs<T>,
    is_max: bool,
}

/// The extreme lies in the cell itself, since it is what is asked for and often the only one.
#[derive(Debug)]
struct Candidates<T> {
    number: u64,
    extreme: T,
    others: VecDeque<(u64, T)>,
}

/// No row has that number.
const NONE: u64 = u64::MAX;

impl<T: Default> Default for Candidates<T> {
    fn default() -> Self {
        Candidates { number: NONE, extreme: T::default(), others: VecDeque::new() }
    }
}

impl<T: Item> Candidates<T> {
    #[inline]
    fn push(&mut self, is_max: bool, number: u64, value: T) {
        if self.number == NONE || beats(is_max, &value, &self.extreme) {
            (self.number, self.extreme) = (number, value);
            self.others.clear();
            return;
        }
        while self.others.back().is_some_and(|(_, earlier)| beats(is_max, &value, earlier)) {
            self.others.pop_back();
        }
        self.others.push_back((number, value));
    }

    #[inline]
    fn leave(&mut self, number: u64) {
        if self.number == number {
            (self.number, self.extreme) = self.others.pop_front().unwrap_or((NONE, T::default()));
        }
    }
}

impl<T: Item> Extremes<T> {
    pub(super) fn new(is_max: bool) -> Extremes<T> {
        Extremes { candidates: Vec::new(), inputs: Inputs::new(true), is_max }
    }
}

impl<T: Item> Accumulate for Extremes<T> {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.candidates, slot);
    }

    #[inline]
    fn enter(&mut self, lane: usize, slot: Slot, _: i64) {
        let number = self.inputs.enter(lane);
        let value = self.inputs.get(lane, number).clone();
        self.candidates[slot as usize].push(self.is_max, number, value);
    }

    #[inline]
    fn leave(&mut self, lane: usize, slot: Slot, _: i64) {
        let (number, _) = self.inputs.leave(lane);
        self.candidates[slot as usize].leave(number);
    }

    #[inline]
    fn peek(&self, slot: Slot) -> u64 {
        self.candidates[slot as usize].others.back().map_or(0, |(number, _)| *number)
    }

    #[inline]
    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        let inside = cell(&self.candidates, slot).filter(|inside| inside.number != NONE);
        T::tell(inside.map(|inside| &inside.extreme), answers);
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
        let others: usize = self.candidates.iter().map(|inside| inside.others.capacity()).sum();
        self.candidates.capacity() * size_of::<Candidates<T>>() + others * size_of::<(u64, T)>() + self.inputs.bytes()
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
        if extreme.is_none() || beats(self.is_max, &value, extreme) {
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

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        self.extremes.capacity() * size_of::<Option<Value>>() + self.inputs.bytes()
    }
}
