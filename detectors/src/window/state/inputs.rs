//! Values of the rows that a function counts, lane by lane in the order of the rows: from their coming until they have
//! entered, or, where rows leave, until they have left.

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::item::Item;
use crate::window::keys::Slot;
use crate::window::queue::Queue;
use crate::window::stored::{Stored, from_bytes, to_bytes};
use crate::window::value::Column;

/// The values of one function.
#[derive(Debug)]
pub(in crate::window) struct Inputs<T> {
    lanes: Vec<Lane<T>>,
    keeps: bool,
}

#[derive(Debug, Default)]
struct Lane<T> {
    queue: Queue<T>,
    /// Number of the first that has not entered.
    entered: u64,
}

impl<T: Default> Inputs<T> {
    /// `keeps` says whether values stay until their rows leave.
    pub(super) fn new(keeps: bool) -> Inputs<T> {
        Inputs { lanes: Vec::new(), keeps }
    }

    pub(super) fn admit(&mut self, lane: usize, input: T) {
        if self.lanes.len() <= lane {
            self.lanes.resize_with(lane + 1, || Lane { queue: Queue::default(), entered: 0 });
        }
        self.lanes[lane].queue.push(input);
    }

    /// Takes in the values of those rows, `(row of the column, lane, slot)`.
    pub(super) fn admit_all(&mut self, column: &Column, rows: impl Iterator<Item = (usize, usize, Slot)>)
    where
        T: Item,
    {
        rows.for_each(|(row, lane, _)| self.admit(lane, T::read(column, row)));
    }

    /// The number of the next value that enters; it stays in the queue.
    pub(super) fn enter(&mut self, lane: usize) -> u64 {
        let lane = &mut self.lanes[lane];
        lane.entered += 1;
        lane.entered - 1
    }

    /// The next value that enters, taken out: only where nothing leaves.
    pub(super) fn enter_and_take(&mut self, lane: usize) -> T {
        let lane = &mut self.lanes[lane];
        lane.entered += 1;
        lane.queue.pop()
    }

    /// The oldest value, with its number, taken out.
    pub(super) fn leave(&mut self, lane: usize) -> (u64, T) {
        let queue = &mut self.lanes[lane].queue;
        let number = queue.first();
        (number, queue.pop())
    }

    pub(super) fn get(&self, lane: usize, number: u64) -> &T {
        self.lanes[lane].queue.get(number)
    }

    pub(super) fn keeps(&self) -> bool {
        self.keeps
    }

    /// All values with their lanes.
    pub(super) fn items(&self) -> (Vec<u32>, Vec<&T>) {
        let items = (0..).zip(&self.lanes).flat_map(|(number, lane)| {
            let queue = &lane.queue;
            queue.slice(queue.first(), queue.end()).iter().map(move |item| (number, item))
        });
        items.unzip()
    }

    pub(super) fn save(&self) -> (Vec<u32>, ArrayRef)
    where
        T: Stored,
    {
        let (lanes, items) = self.items();
        (lanes, to_bytes(items.into_iter()))
    }

    /// Takes over what `save` gave; none of it has entered.
    pub(super) fn load(&mut self, lanes: &[u32], values: &ArrayRef) -> Result<()>
    where
        T: Stored,
    {
        lanes.iter().zip(from_bytes(values)?).for_each(|(lane, item)| self.admit(*lane as usize, item));
        Ok(())
    }

    pub(super) fn bytes(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queue.bytes()).sum()
    }
}
