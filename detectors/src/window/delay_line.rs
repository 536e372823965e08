//! The delay line: rows that are answered when their frames are closed, system by system in the order of log time.

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use datafusion::error::Result;

use super::batches::{Batches, own_texts};
use super::keys::Slot;
use super::limits::{LOST_SHARE, flooding};
use super::queue::Queue;
use super::ring::Rows;
use super::stored::damaged;

/// The delay line of an operator.
#[derive(Debug)]
pub(super) struct Delay {
    lanes: Vec<Lane>,
    batches: Batches,
    /// Slots of each waiting row: one for each ring.
    rings: usize,
}

#[derive(Debug, Default)]
struct Lane {
    rows: Queue<Waiting>,
    slots: Queue<Slot>,
}

/// A row that waits, and its place among all that ever did.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: i64,
    place: u64,
    /// Number of its source, for the limits.
    source: u16,
}

/// Rows that are decided: in the order of their lanes, within a lane in the order of log time.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Lane, and how many of the rows are its.
    pub(super) lanes: Vec<(usize, usize)>,
    pub(super) times: Vec<i64>,
    /// For each ring the slots of the rows' keys.
    pub(super) slots: Vec<Vec<Slot>>,
    /// Where each row is held.
    pub(super) places: Vec<u64>,
}

impl Delay {
    pub(super) fn new(rings: usize) -> Delay {
        Delay { lanes: Vec::new(), batches: Batches::default(), rings }
    }

    /// Rows that wait.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.rows.len()).sum()
    }

    /// Rows that wait in the lane with most of them.
    pub(super) fn longest(&self) -> usize {
        self.lanes.iter().map(|lane| lane.rows.len()).max().unwrap_or(0)
    }

    /// Bytes that they take. What batches of the log share with each other is counted in each.
    pub(super) fn bytes(&self) -> usize {
        let lanes: usize = self.lanes.iter().map(|lane| lane.rows.bytes() + lane.slots.bytes()).sum();
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
            let waiting = Waiting { time: rows.times[row], place, source: rows.sources[row] };
            self.lanes[lane].rows.push(waiting);
            slots.iter().for_each(|slots| self.lanes[lane].slots.push(slots[row]));
        }
        Ok(())
    }

    /// Takes out the rows of a lane that are decided once the lane is complete through `complete`.
    pub(super) fn take(&mut self, lane: usize, complete: i64, following_ns: i64, decided: &mut Decided) {
        decided.slots.resize_with(self.rings, Vec::new);
        let Some(waiting) = self.lanes.get_mut(lane) else { return };
        let rows = waiting.rows.slice(waiting.rows.first(), waiting.rows.end());
        let count = rows.partition_point(|row| row.time.saturating_add(following_ns) <= complete);
        if count == 0 {
            return;
        }
        decided.lanes.push((lane, count));
        decided.times.extend(rows[..count].iter().map(|row| row.time));
        decided.places.extend(rows[..count].iter().map(|row| row.place));
        waiting.rows.drop_before(waiting.rows.first() + count as u64);
        let first = waiting.slots.first();
        let slots = waiting.slots.slice(first, first + (count * self.rings) as u64);
        for (number, slot) in slots.iter().enumerate() {
            decided.slots[number % self.rings].push(*slot);
        }
        waiting.slots.drop_before(first + (count * self.rings) as u64);
    }

    /// Rows of a lane that wait.
    pub(super) fn waiting(&self, lane: usize) -> usize {
        self.lanes.get(lane).map_or(0, |lane| lane.rows.len())
    }

    /// Lets the oldest rows of the source that has most of them waiting in a lane go: their number, source, and log time
    /// of the first and last.
    pub(super) fn lose(&mut self, lane: usize) -> Option<(usize, u16, i64, i64)> {
        let Lane { rows, slots } = self.lanes.get_mut(lane)?;
        let all: Vec<Waiting> = rows.slice(rows.first(), rows.end()).to_vec();
        let old_slots: Vec<Slot> = slots.slice(slots.first(), slots.end()).to_vec();
        let source = flooding(all.iter().map(|row| row.source))?;
        let share = (all.iter().filter(|row| row.source == source).count() / LOST_SHARE).max(1);
        let lost: Vec<usize> = (0..all.len()).filter(|row| all[*row].source == source).take(share).collect();
        (*rows, *slots) = (Queue::default(), Queue::default());
        let mut going = lost.iter().peekable();
        for (number, row) in all.iter().enumerate() {
            if going.next_if(|lost| **lost == number).is_none() {
                rows.push(*row);
                old_slots[number * self.rings..(number + 1) * self.rings].iter().for_each(|slot| slots.push(*slot));
            }
        }
        lost.iter().for_each(|row| self.batches.release(all[*row].place));
        Some((lost.len(), source, all[*lost.first()?].time, all[*lost.last()?].time))
    }

    /// Rows know the slots of a ring by new numbers from now on.
    pub(super) fn renumber(&mut self, ring: usize, renumbered: &[Slot]) {
        for slots in self.lanes.iter_mut().map(|lane| &mut lane.slots) {
            for place in (slots.first()..slots.end()).skip(ring).step_by(self.rings) {
                let slot = slots.get_mut(place);
                *slot = renumbered[*slot as usize];
            }
        }
    }

    /// Log time of the first row of a lane that still waits.
    pub(super) fn first_time(&self, lane: usize) -> Option<i64> {
        let rows = &self.lanes.get(lane)?.rows;
        (rows.len() > 0).then(|| rows.get(rows.first()).time)
    }

    /// The decided rows themselves; what held them is let go of.
    pub(super) fn gather(&mut self, decided: &Decided) -> Result<RecordBatch> {
        let rows = self.batches.gather(&decided.places)?;
        decided.places.iter().for_each(|place| self.batches.release(*place));
        Ok(rows)
    }
}

/// Everything on hold: lanes, times, sources, slots (one for each ring of each row), rows.
pub(super) type All = (Vec<u32>, Vec<i64>, Vec<u16>, Vec<Slot>, Option<RecordBatch>);

impl Delay {
    /// Everything on hold, with the new numbers of the slots of each ring.
    pub(super) fn all(&self, renumbered: &[Vec<Slot>]) -> Result<All> {
        let (mut lanes, mut times, mut sources) = (Vec::new(), Vec::new(), Vec::new());
        let (mut slots, mut places) = (Vec::new(), Vec::new());
        for (number, lane) in (0..).zip(&self.lanes) {
            for row in lane.rows.slice(lane.rows.first(), lane.rows.end()) {
                lanes.push(number);
                times.push(row.time);
                sources.push(row.source);
                places.push(row.place);
            }
            let old = lane.slots.slice(lane.slots.first(), lane.slots.end()).iter().enumerate();
            slots.extend(old.map(|(place, slot)| renumbered[place % self.rings][*slot as usize]));
        }
        let rows = if places.is_empty() { None } else { Some(own_texts(&self.batches.gather(&places)?)?) };
        Ok((lanes, times, sources, slots, rows))
    }

    /// Takes over everything on hold.
    pub(super) fn fill(&mut self, (lanes, times, sources, slots, rows): All) -> Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        let whole = lanes.len() == rows.num_rows() && times.len() == lanes.len() && sources.len() == lanes.len();
        if !whole || slots.len() != lanes.len() * self.rings {
            return Err(damaged("rows on hold of another number"));
        }
        let place = self.batches.push(&rows, &BooleanBuffer::new_set(rows.num_rows()))?;
        for (row, ((lane, time), source)) in (0_usize..).zip(lanes.into_iter().zip(times).zip(sources)) {
            let lane = lane as usize;
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, Lane::default);
            }
            self.lanes[lane].rows.push(Waiting { time, place: place + row as u64, source });
            let first = row * self.rings;
            slots[first..first + self.rings].iter().for_each(|slot| self.lanes[lane].slots.push(*slot));
        }
        Ok(())
    }
}
