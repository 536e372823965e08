//! `count`, and counts of which only a few are asked for.

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::{Accumulate, Answers, At, cell, open_cell, store_cells};
use crate::window::keys::Slot;
use crate::window::stored::{damaged, from_bytes, to_bytes};

/// How many rows of each key are inside.
#[derive(Debug, Default)]
pub(in crate::window) struct Counts {
    counts: Vec<i64>,
}

impl Accumulate for Counts {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.counts, slot);
    }

    #[inline]
    fn enter(&mut self, _: usize, slot: Slot, _: i64) {
        self.counts[slot as usize] += 1;
    }

    #[inline]
    fn leave(&mut self, _: usize, slot: Slot, _: i64) {
        self.counts[slot as usize] -= 1;
    }

    #[inline]
    fn peek(&self, slot: Slot) -> u64 {
        self.counts[slot as usize].cast_unsigned()
    }

    #[inline]
    fn answer(&mut self, _: usize, slot: Slot, _: At, answers: &mut Answers) -> Result<()> {
        answers.number(cell(&self.counts, slot).copied().unwrap_or(0));
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        store_cells(&self.counts, slots)
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        self.counts = from_bytes(cells)?;
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}

/// The last `enough` times of each key, in a circle: how many of them are inside is the answer, as far as it goes.
#[derive(Debug)]
pub(in crate::window) struct Recent {
    enough: usize,
    times: Vec<i64>,
    /// Where the next time goes.
    next: Vec<u8>,
}

impl Recent {
    pub(in crate::window) fn new(enough: u32) -> Recent {
        Recent { enough: enough.max(1) as usize, times: Vec::new(), next: Vec::new() }
    }

    /// How many times are kept of a key.
    pub(in crate::window) fn enough(&self) -> usize {
        self.enough
    }

    /// Bytes of a key.
    pub(in crate::window) fn key_bytes(&self) -> usize {
        self.enough * size_of::<i64>() + size_of::<u8>()
    }

    /// Another row of a key.
    #[inline]
    pub(in crate::window) fn add(&mut self, slot: Slot, time: i64) {
        let next = &mut self.next[slot as usize];
        self.times[slot as usize * self.enough + usize::from(*next)] = time;
        *next = if usize::from(*next) + 1 == self.enough { 0 } else { *next + 1 };
    }

    /// Log time of the first of a key's last `enough` rows, if there were so many.
    #[inline]
    pub(in crate::window) fn first(&self, slot: Slot) -> Option<i64> {
        let first = self.times[slot as usize * self.enough + usize::from(self.next[slot as usize])];
        (first != i64::MIN).then_some(first)
    }
}

impl Accumulate for Recent {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.next, slot);
        let first = slot as usize * self.enough;
        if self.times.len() < first + self.enough {
            self.times.resize(first + self.enough, i64::MIN);
        }
        self.times[first..first + self.enough].fill(i64::MIN);
    }

    #[inline]
    fn enter(&mut self, _: usize, slot: Slot, time: i64) {
        self.add(slot, time);
    }

    #[inline]
    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    #[inline]
    fn answer(&mut self, _: usize, slot: Slot, at: At, answers: &mut Answers) -> Result<()> {
        // No row has the time that an empty place holds: log times are later.
        let start = at.start.max(i64::MIN + 1);
        let first = slot as usize * self.enough;
        let times = self.times.get(first..first.saturating_add(self.enough)).unwrap_or_default();
        let inside = times.iter().filter(|time| **time >= start).count();
        answers.number(i64::try_from(inside).unwrap_or(i64::MAX));
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        let cells = slots.iter().map(|slot| {
            let first = *slot as usize * self.enough;
            (self.times[first..first + self.enough].to_vec(), self.next[*slot as usize])
        });
        to_bytes(cells.collect::<Vec<_>>().iter())
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        let cells: Vec<(Vec<i64>, u8)> = from_bytes(cells)?;
        if cells.iter().any(|(times, next)| times.len() != self.enough || usize::from(*next) >= self.enough) {
            return Err(damaged("counts of another length"));
        }
        self.next = cells.iter().map(|(_, next)| *next).collect();
        self.times = cells.into_iter().flat_map(|(times, _)| times).collect();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.times.capacity() * size_of::<i64>() + self.next.capacity()
    }
}
