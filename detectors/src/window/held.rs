//! The delay line: rows that are answered when their frames are closed, system by system in the order of log time.

use std::collections::VecDeque;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::DataType;
use datafusion::error::Result;

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

/// A row that waits, and where it is held.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: i64,
    batch: u32,
    row: u32,
    /// Number of its source, for the limits.
    source: u16,
}

/// The waiting rows themselves, compacted, until all of a batch are out.
#[derive(Debug, Default)]
struct Batches {
    /// Number of the oldest; numbers wrap.
    first: u32,
    held: VecDeque<(RecordBatch, usize)>,
}

/// Rows that are decided: in the order of their lanes, within a lane in the order of log time.
#[derive(Debug, Default)]
pub(super) struct Decided {
    /// Lane, and how many of the rows are its.
    pub(super) lanes: Vec<(usize, usize)>,
    pub(super) times: Vec<i64>,
    /// For each ring the slots of the rows' keys.
    pub(super) slots: Vec<Vec<Slot>>,
    /// Where each row is: batch and row.
    pub(super) places: Vec<(u32, u32)>,
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
        lanes + self.batches.held.iter().map(|(batch, _)| batch.get_array_memory_size()).sum::<usize>()
    }

    /// Holds the answered rows of a batch.
    pub(super) fn push(&mut self, batch: &RecordBatch, rows: &Rows<'_>, slots: &[Vec<Slot>]) -> Result<()> {
        let all = BooleanBuffer::new_set(batch.num_rows());
        let anchors = rows.anchors.unwrap_or(&all);
        let number = self.batches.push(batch, anchors)?;
        let Some(number) = number else { return Ok(()) };
        for (held, row) in (0_u32..).zip(anchors.set_indices()) {
            let lane = rows.lanes[row] as usize;
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, Lane::default);
            }
            let waiting = Waiting { time: rows.times[row], batch: number, row: held, source: rows.sources[row] };
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
        decided.places.extend(rows[..count].iter().map(|row| (row.batch, row.row)));
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
        let places = lost.iter().map(|row| {
            let row = all[*row];
            (row.batch.wrapping_sub(self.batches.first) as usize, row.row as usize)
        });
        self.batches.release(&places.collect::<Vec<_>>());
        Some((lost.len(), source, all[*lost.first()?].time, all[*lost.last()?].time))
    }

    /// Log time of the first row of a lane that still waits.
    pub(super) fn first_time(&self, lane: usize) -> Option<i64> {
        let rows = &self.lanes.get(lane)?.rows;
        (rows.len() > 0).then(|| rows.get(rows.first()).time)
    }

    /// The decided rows themselves; what held them is let go of.
    pub(super) fn gather(&mut self, decided: &Decided) -> Result<RecordBatch> {
        let batches: Vec<&RecordBatch> = self.batches.held.iter().map(|(batch, _)| batch).collect();
        let place = |(batch, row): &(u32, u32)| (batch.wrapping_sub(self.batches.first) as usize, *row as usize);
        let places: Vec<(usize, usize)> = decided.places.iter().map(place).collect();
        let rows = interleave_record_batch(&batches, &places)?;
        self.batches.release(&places);
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
                places.push((row.batch.wrapping_sub(self.batches.first) as usize, row.row as usize));
            }
            let old = lane.slots.slice(lane.slots.first(), lane.slots.end()).iter().enumerate();
            slots.extend(old.map(|(place, slot)| renumbered[place % self.rings][*slot as usize]));
        }
        let batches: Vec<&RecordBatch> = self.batches.held.iter().map(|(batch, _)| batch).collect();
        let rows = if places.is_empty() { None } else { Some(interleave_record_batch(&batches, &places)?) };
        Ok((lanes, times, sources, slots, rows))
    }

    /// Takes over everything on hold.
    pub(super) fn fill(&mut self, (lanes, times, sources, slots, rows): All) -> Result<()> {
        let Some(rows) = rows else { return Ok(()) };
        let whole = lanes.len() == rows.num_rows() && times.len() == lanes.len() && sources.len() == lanes.len();
        if !whole || slots.len() != lanes.len() * self.rings {
            return Err(damaged("rows on hold of another number"));
        }
        let held = rows.num_rows();
        self.batches.held.push_back((rows, held));
        for (row, ((lane, time), source)) in (0_u32..).zip(lanes.into_iter().zip(times).zip(sources)) {
            let lane = lane as usize;
            if self.lanes.len() <= lane {
                self.lanes.resize_with(lane + 1, Lane::default);
            }
            self.lanes[lane].rows.push(Waiting { time, batch: self.batches.first, row, source });
            let first = row as usize * self.rings;
            slots[first..first + self.rings].iter().for_each(|slot| self.lanes[lane].slots.push(*slot));
        }
        Ok(())
    }
}

impl Batches {
    fn push(&mut self, batch: &RecordBatch, anchors: &BooleanBuffer) -> Result<Option<u32>> {
        let kept = anchors.count_set_bits();
        if kept == 0 {
            return Ok(None);
        }
        let indices = anchors.set_indices().filter_map(|row| u32::try_from(row).ok());
        let rows = match kept == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from_iter_values(indices))?,
        };
        let rows = if kept * 2 < batch.num_rows() { compact(&rows)? } else { rows };
        self.held.push_back((rows, kept));
        let newest = u32::try_from(self.held.len() - 1).expect("fewer batches than rows");
        Ok(Some(self.first.wrapping_add(newest)))
    }

    fn release(&mut self, places: &[(usize, usize)]) {
        for (batch, _) in places {
            self.held[*batch].1 -= 1;
        }
        while self.held.front().is_some_and(|(_, left)| *left == 0) {
            self.held.pop_front();
            self.first = self.first.wrapping_add(1);
        }
    }
}

/// Copies the texts that a few rows refer to, so that the batch they come from can go.
fn compact(rows: &RecordBatch) -> Result<RecordBatch> {
    let columns = rows.columns().iter().map(|column| -> ArrayRef {
        match column.data_type() {
            DataType::Utf8View => std::sync::Arc::new(column.as_string_view().gc()),
            _ => column.clone(),
        }
    });
    Ok(RecordBatch::try_new(rows.schema(), columns.collect())?)
}
