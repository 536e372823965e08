//! The delay line: rows that are answered when their frames are closed, system by system in the order of log time.

use std::collections::BTreeSet;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use datafusion::error::Result;

use super::batches::{Batches, own_texts};
use super::keys::{NO_SLOT, Slot};
use super::limits::{LOST_SHARE, flooding};
use super::queue::Queue;
use super::rows::Rows;
use super::stored::damaged;

/// The delay line of an operator.
#[derive(Debug)]
pub(super) struct Delay {
    lanes: Vec<Lane>,
    batches: Batches,
    /// Slots of each waiting row: one for each ring.
    rings: usize,
    /// Whether rows are due in another order than that of log time.
    by_due: bool,
}

#[derive(Debug, Default)]
struct Lane {
    /// The first of them still waits.
    rows: Queue<Waiting>,
    slots: Queue<Slot>,
    /// When each of them is due, and its log time; empty where rows are due in the order of log time.
    dues: BTreeSet<(i64, i64)>,
    /// How many of the rows wait no more.
    left: usize,
}

/// A row that waits, and its place among all that ever did.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: i64,
    /// Log time at which it is decided.
    due: i64,
    place: u64,
    /// Number of its source, for the limits.
    source: u16,
}

/// The place of a row that left before those that came before it.
const LEFT: u64 = u64::MAX;

impl Waiting {
    fn has_left(&self) -> bool {
        self.place == LEFT
    }
}

impl Lane {
    fn len(&self) -> usize {
        self.rows.len() - self.left
    }

    fn push(&mut self, row: Waiting, by_due: bool) {
        self.rows.push(row);
        if by_due {
            self.dues.insert((row.due, row.time));
        }
    }

    /// Where the row of that time waits, if it does.
    fn place_of(&self, time: i64) -> Option<usize> {
        let place = self.all().partition_point(|row| row.time < time);
        self.all().get(place).filter(|row| row.time == time && !row.has_left()).map(|_| place)
    }

    /// Takes the row at that place out; gives its slots.
    fn leave(&mut self, place: usize, rings: usize) -> (Waiting, Vec<Slot>) {
        let (row, first) = (self.rows.first() + place as u64, self.slots.first() + (place * rings) as u64);
        let row = self.rows.get_mut(row);
        let left = std::mem::replace(row, Waiting { place: LEFT, ..*row });
        let slots = first..first + rings as u64;
        let slots = slots.map(|slot| std::mem::replace(self.slots.get_mut(slot), NO_SLOT)).collect();
        self.dues.remove(&(left.due, left.time));
        self.left += 1;
        (left, slots)
    }

    /// Takes the rows out that are due by `complete`, in the order of log time.
    fn take_due(&mut self, complete: i64, rings: usize) -> Vec<(Waiting, Vec<Slot>)> {
        let mut times = Vec::new();
        while let Some((_, time)) = self.dues.first().filter(|(due, _)| *due <= complete) {
            times.push(*time);
            self.dues.pop_first();
        }
        times.sort_unstable();
        let taken = times.into_iter().filter_map(|time| Some(self.leave(self.place_of(time)?, rings))).collect();
        self.close_up(rings);
        taken
    }

    fn all(&self) -> &[Waiting] {
        self.rows.slice(self.rows.first(), self.rows.end())
    }

    /// The rows that wait, with their slots in `rings` rings.
    fn waiting(&self, rings: usize) -> impl Iterator<Item = (&Waiting, &[Slot])> {
        let slots = self.slots.slice(self.slots.first(), self.slots.end());
        let of_row = move |(number, row)| (row, &slots[number * rings..(number + 1) * rings]);
        self.all().iter().enumerate().map(of_row).filter(|(row, _): &(&Waiting, &[Slot])| !row.has_left())
    }

    /// Lets the first rows go.
    fn drop_first(&mut self, count: usize, rings: usize) {
        self.left -= self.all()[..count].iter().filter(|row| row.has_left()).count();
        self.rows.drop_before(self.rows.first() + count as u64);
        self.slots.drop_before(self.slots.first() + (count * rings) as u64);
    }

    /// After rows have left: the first one waits, and not too many places are empty.
    fn close_up(&mut self, rings: usize) {
        let first = self.all().iter().take_while(|row| row.has_left()).count();
        self.drop_first(first, rings);
        if self.left > LEFT_MAX && self.left > self.len() {
            self.keep(rings, |_| true);
        }
    }

    /// Keeps those of the waiting rows, by their number among them.
    fn keep(&mut self, rings: usize, wanted: impl Fn(usize) -> bool) {
        let mut kept = Lane::default();
        for (_, (row, slots)) in self.waiting(rings).enumerate().filter(|(number, _)| wanted(*number)) {
            kept.push(*row, !self.dues.is_empty());
            slots.iter().for_each(|slot| kept.slots.push(*slot));
        }
        *self = kept;
    }
}

/// So many empty places between waiting rows are not worth closing.
const LEFT_MAX: usize = 256;

/// Rows that are decided: in the order of their lanes, within a lane in the order of log time.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Lane, and how many of the rows are its.
    pub(super) lanes: Vec<(usize, usize)>,
    pub(super) times: Vec<i64>,
    /// Log time at which each of them was due.
    pub(super) dues: Vec<i64>,
    /// For each ring the slots of the rows' keys.
    pub(super) slots: Vec<Vec<Slot>>,
    /// Where each row is held.
    pub(super) places: Vec<u64>,
}

impl Decided {
    fn push(&mut self, row: &Waiting, slots: &[Slot]) {
        self.times.push(row.time);
        self.dues.push(row.due);
        self.places.push(row.place);
        slots.iter().zip(&mut self.slots).for_each(|(slot, slots)| slots.push(*slot));
    }
}

impl Delay {
    pub(super) fn new(rings: usize, by_due: bool) -> Delay {
        Delay { lanes: Vec::new(), batches: Batches::default(), rings, by_due }
    }

    /// Rows that wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(Lane::len).sum()
    }

    /// Rows that wait in the lane with most of them.
    pub(super) fn longest(&self) -> usize {
        self.lanes.iter().map(Lane::len).max().unwrap_or(0)
    }

    /// Bytes that they take. What batches of the log share with each other is counted in each.
    pub(super) fn bytes(&self) -> usize {
        let due = |lane: &Lane| lane.dues.len() * size_of::<(i64, i64)>();
        let lanes: usize = self.lanes.iter().map(|lane| lane.rows.bytes() + lane.slots.bytes() + due(lane)).sum();
        lanes + self.batches.bytes()
    }

    /// Holds the answered rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch, rows: &Rows<'_>, slots: &[Vec<Slot>]) -> Result<()> {
        let all = BooleanBuffer::new_set(batch.num_rows());
        let anchors = rows.anchors.unwrap_or(&all);
        let first = self.batches.push(batch, anchors)?;
        for (place, row) in (first..).zip(anchors.set_indices()) {
            let lane = rows.lanes[row] as usize;
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, Lane::default);
            }
            let waiting = Waiting { time: rows.times[row], due: rows.dues[row], place, source: rows.sources[row] };
            self.lanes[lane].push(waiting, self.by_due);
            slots.iter().for_each(|slots| self.lanes[lane].slots.push(slots[row]));
        }
        Ok(())
    }

    /// Takes out the rows of a lane that are decided once the lane is complete through `complete`.
    pub(super) fn take(&mut self, lane: usize, complete: i64, decided: &mut Decided) {
        decided.slots.resize_with(self.rings, Vec::new);
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        let before = decided.times.len();
        if self.by_due {
            waiting.take_due(complete, self.rings).iter().for_each(|(row, slots)| decided.push(row, slots));
        } else {
            let count = waiting.all().partition_point(|row| row.due <= complete);
            let last = count.checked_sub(1).map(|last| waiting.all()[last].time);
            let is_taken = |(row, _): &(&Waiting, &[Slot])| last.is_some_and(|last| row.time <= last);
            waiting.waiting(self.rings).take_while(is_taken).for_each(|(row, slots)| decided.push(row, slots));
            waiting.drop_first(count, self.rings);
            waiting.close_up(self.rings);
        }
        if decided.times.len() > before {
            decided.lanes.push((lane, decided.times.len() - before));
        }
    }

    /// The row of that time waits no more; gives its slots.
    pub(super) fn leave(&mut self, lane: usize, time: i64) -> Vec<Slot> {
        let Some(waiting) = self.lanes.get_mut(lane) else { return Vec::new() };
        let Some(place) = waiting.place_of(time) else { return Vec::new() };
        let (row, slots) = waiting.leave(place, self.rings);
        self.batches.release(row.place);
        waiting.close_up(self.rings);
        slots
    }

    /// All rows that wait: time, when they are due, and the slot in each ring.
    pub(super) fn waiting_rows(&self) -> impl Iterator<Item = (i64, i64, &[Slot])> {
        self.lanes.iter().flat_map(|lane| lane.waiting(self.rings)).map(|(row, slots)| (row.time, row.due, slots))
    }

    /// Rows of a lane that wait.
    pub(super) fn waiting(&self, lane: usize) -> usize {
        self.lanes.get(lane).map_or(0, Lane::len)
    }

    /// Lets the oldest rows of the source that has most of them waiting in a lane go: their number, source, and log time
    /// of the first and last.
    pub(super) fn lose(&mut self, lane: usize) -> Option<(usize, u16, i64, i64)> {
        let waiting = self.lanes.get_mut(lane)?;
        let all: Vec<Waiting> = waiting.waiting(self.rings).map(|(row, _)| *row).collect();
        let source = flooding(all.iter().map(|row| row.source))?;
        let share = (all.iter().filter(|row| row.source == source).count() / LOST_SHARE).max(1);
        let lost: Vec<usize> = (0..all.len()).filter(|row| all[*row].source == source).take(share).collect();
        waiting.keep(self.rings, |row| lost.binary_search(&row).is_err());
        lost.iter().for_each(|row| self.batches.release(all[*row].place));
        Some((lost.len(), source, all[*lost.first()?].time, all[*lost.last()?].time))
    }

    /// Rows know the slots of a ring by new numbers from now on.
    pub(super) fn renumber(&mut self, ring: usize, renumbered: &[Slot]) {
        for slots in self.lanes.iter_mut().map(|lane| &mut lane.slots) {
            for place in (slots.first()..slots.end()).skip(ring).step_by(self.rings) {
                let slot = slots.get_mut(place);
                if *slot != NO_SLOT {
                    *slot = renumbered[*slot as usize];
                }
            }
        }
    }

    /// Log time of the first row of a lane that still waits.
    pub(super) fn first_time(&self, lane: usize) -> Option<i64> {
        self.lanes.get(lane)?.all().first().map(|row| row.time)
    }

    /// Log time at which the first of a lane's rows that wait is decided.
    pub(super) fn first_due(&self, lane: usize) -> Option<i64> {
        let lane = self.lanes.get(lane)?;
        if self.by_due { lane.dues.first().map(|(due, _)| *due) } else { lane.all().first().map(|row| row.due) }
    }

    /// The decided rows themselves; what held them is let go of.
    pub(super) fn gather(&mut self, decided: &Decided) -> Result<RecordBatch> {
        let rows = self.batches.gather(&decided.places)?;
        decided.places.iter().for_each(|place| self.batches.release(*place));
        Ok(rows)
    }
}

/// Everything on hold.
#[derive(Default)]
pub(super) struct All {
    pub(super) lanes: Vec<u32>,
    pub(super) times: Vec<i64>,
    pub(super) dues: Vec<i64>,
    pub(super) sources: Vec<u16>,
    /// One for each ring of each row.
    pub(super) slots: Vec<Slot>,
    pub(super) rows: Option<RecordBatch>,
}

impl Delay {
    /// Everything on hold, with the new numbers of the slots of each ring.
    pub(super) fn all(&self, renumbered: &[Vec<Slot>]) -> Result<All> {
        let (mut all, mut places) = (All::default(), Vec::new());
        for (number, lane) in (0..).zip(&self.lanes) {
            for (row, slots) in lane.waiting(self.rings) {
                all.lanes.push(number);
                all.times.push(row.time);
                all.dues.push(row.due);
                all.sources.push(row.source);
                places.push(row.place);
                all.slots.extend(slots.iter().zip(renumbered).map(|(slot, renumbered)| renumbered[*slot as usize]));
            }
        }
        if !places.is_empty() {
            all.rows = Some(own_texts(&self.batches.gather(&places)?)?);
        }
        Ok(all)
    }

    /// Takes over everything on hold.
    pub(super) fn fill(&mut self, all: &All) -> Result<()> {
        let Some(rows) = &all.rows else { return Ok(()) };
        let count = rows.num_rows();
        let lengths = [all.lanes.len(), all.times.len(), all.dues.len(), all.sources.len()];
        if lengths != [count; 4] || all.slots.len() != count * self.rings {
            return Err(damaged("rows on hold of another number"));
        }
        let first = self.batches.push(rows, &BooleanBuffer::new_set(count))?;
        for row in 0..count {
            let lane = all.lanes[row] as usize;
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, Lane::default);
            }
            let (time, due, source) = (all.times[row], all.dues[row], all.sources[row]);
            self.lanes[lane].push(Waiting { time, due, place: first + row as u64, source }, self.by_due);
            let slots = &all.slots[row * self.rings..(row + 1) * self.rings];
            slots.iter().for_each(|slot| self.lanes[lane].slots.push(*slot));
        }
        Ok(())
    }
}
