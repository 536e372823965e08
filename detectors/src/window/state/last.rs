//! `last_value`: the last row that entered is the last of the frame for as long as it is inside, and when it no longer
//! is, no earlier one is either.

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::inputs::Inputs;
use super::item::Item;
use super::{Accumulate, Answers, At, cell, open_cell};
use crate::window::keys::Slot;
use crate::window::queue::Queue;
use crate::window::stored::{from_bytes, to_bytes};
use crate::window::value::Column;

/// The last value of each key, whatever it is.
#[derive(Debug)]
pub(in crate::window) struct LastValues<T> {
    last: Vec<Last<T>>,
    pub(super) inputs: Inputs<T>,
}

#[derive(Debug)]
struct Last<T> {
    time: i64,
    value: T,
}

impl<T: Default> Default for Last<T> {
    fn default() -> Self {
        Last { time: i64::MIN, value: T::default() }
    }
}

impl<T: Default> Default for LastValues<T> {
    fn default() -> Self {
        LastValues { last: Vec::new(), inputs: Inputs::new(false) }
    }
}

impl<T: Item> Accumulate for LastValues<T> {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.last, slot);
    }

    #[inline]
    fn enter(&mut self, lane: usize, slot: Slot, time: i64) {
        self.last[slot as usize] = Last { time, value: self.inputs.enter_and_take(lane) };
    }

    #[inline]
    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    #[inline]
    fn peek(&self, slot: Slot) -> u64 {
        self.last[slot as usize].time.cast_unsigned()
    }

    #[inline]
    fn answer(&mut self, _: usize, slot: Slot, at: At, answers: &mut Answers) -> Result<()> {
        // No row has the time that an empty place holds: log times are later.
        let start = at.start.max(i64::MIN + 1);
        let inside = cell(&self.last, slot).filter(|last| last.time >= start);
        T::tell(inside.map(|last| &last.value), answers);
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        let cells = slots.iter().map(|slot| &self.last[*slot as usize]).map(|last| (last.time, last.value.clone()));
        to_bytes(cells.collect::<Vec<_>>().iter())
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        let cells: Vec<(i64, T)> = from_bytes(cells)?;
        self.last = cells.into_iter().map(|(time, value)| Last { time, value }).collect();
        Ok(())
    }

    save_inputs_as_they_are!();

    fn bytes(&self) -> usize {
        self.last.capacity() * size_of::<Last<T>>() + self.inputs.bytes()
    }
}

/// The last text of each key that is not null.
#[derive(Debug, Default)]
pub(in crate::window) struct LastTexts {
    times: Vec<i64>,
    texts: Vec<String>,
    lanes: Vec<Texts>,
}

/// Texts of rows that have not entered, end to end.
#[derive(Debug, Default)]
struct Texts {
    bytes: String,
    taken: usize,
    lengths: Queue<usize>,
}

impl LastTexts {
    pub(super) fn admit(&mut self, lane: usize, column: &Column, row: usize) {
        if let Column::Text(texts) = column {
            self.lane(lane).push(texts.value(row));
        }
    }

    fn lane(&mut self, lane: usize) -> &mut Texts {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, Texts::default);
        }
        &mut self.lanes[lane]
    }
}

impl Texts {
    fn push(&mut self, text: &str) {
        if self.taken * 2 >= self.bytes.len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.push_str(text);
        self.lengths.push(text.len());
    }

    /// All of them, in their order.
    fn all(&self) -> impl Iterator<Item = String> {
        let lengths = self.lengths.slice(self.lengths.first(), self.lengths.end());
        lengths.iter().scan(self.taken, |from, length| {
            let text = self.bytes[*from..*from + length].to_owned();
            *from += length;
            Some(text)
        })
    }

    fn take(&mut self) -> &str {
        let from = self.taken;
        self.taken += self.lengths.pop();
        &self.bytes[from..self.taken]
    }
}

impl Accumulate for LastTexts {
    fn open(&mut self, slot: Slot) {
        open_cell(&mut self.texts, slot);
        open_cell(&mut self.times, slot);
        self.times[slot as usize] = i64::MIN;
    }

    fn enter(&mut self, lane: usize, slot: Slot, time: i64) {
        let last = &mut self.texts[slot as usize];
        last.clear();
        last.push_str(self.lanes[lane].take());
        self.times[slot as usize] = time;
    }

    fn leave(&mut self, _: usize, _: Slot, _: i64) {}

    fn answer(&mut self, _: usize, slot: Slot, at: At, answers: &mut Answers) -> Result<()> {
        let start = at.start.max(i64::MIN + 1);
        let inside = cell(&self.times, slot).is_some_and(|time| *time >= start);
        answers.text(inside.then(|| self.texts[slot as usize].as_str()));
        Ok(())
    }

    fn save_cells(&self, slots: &[Slot]) -> ArrayRef {
        let cells = slots.iter().map(|slot| (self.times[*slot as usize], self.texts[*slot as usize].clone()));
        to_bytes(cells.collect::<Vec<_>>().iter())
    }

    fn load_cells(&mut self, cells: &ArrayRef) -> Result<()> {
        (self.times, self.texts) = from_bytes::<(i64, String)>(cells)?.into_iter().unzip();
        Ok(())
    }

    fn save_inputs(&self) -> Option<(Vec<u32>, ArrayRef)> {
        let texts = (0..).zip(&self.lanes).flat_map(|(lane, texts)| texts.all().map(move |text| (lane, text)));
        let (lanes, texts): (Vec<u32>, Vec<String>) = texts.unzip();
        Some((lanes, to_bytes(texts.iter())))
    }

    fn load_inputs(&mut self, lanes: &[u32], _: &[Slot], values: &ArrayRef) -> Result<()> {
        for (lane, text) in lanes.iter().zip(from_bytes::<String>(values)?) {
            self.lane(*lane as usize).push(&text);
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(String::capacity).sum();
        let waiting: usize = self.lanes.iter().map(|lane| lane.bytes.capacity() + lane.lengths.bytes()).sum();
        self.texts.capacity() * size_of::<String>() + self.times.capacity() * size_of::<i64>() + texts + waiting
    }
}
