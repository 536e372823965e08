//! Rows that need not wait until their frames are over, since nothing that comes can change what becomes of them.
//!
//! A count over a frame ahead only grows. Where the filter above wants fewer than n (`= 0`, `< 3`), a row is rejected for
//! good by the n-th counted row of its frame, and leaves the delay line with it: of rows that are each what the next one
//! counts, such as heartbeats, one a key waits. The filter would have dropped it, so that nothing is seen of it; a row
//! that is not rejected waits for the end of its frames as ever.
//!
//! Where a filter asks that no row comes by a time that the row names itself (`heard_at IS NULL OR heard_at > time + …`),
//! the row is *due* then and not at the end of the frame: until it is due, a row of its key rejects it; when it is due, it
//! is answered.
//!
//! Whether a row is rejected depends on the rows of its key alone, and always on the same one of them: the n-th counted
//! row comes before the row could be answered, wherever the log is cut.

use std::collections::VecDeque;

use arrow::array::ArrayRef;
use datafusion::error::Result;

use super::frame::Frame;
use super::keys::{NO_SLOT, Slot};
use super::operator_plan::CallPlan;
use super::rows::Rows;
use super::state::{Accumulate, Recent};

/// What is watched for the waiting rows of one ring.
#[derive(Debug)]
pub(super) struct Early {
    watches: Vec<Watch>,
    /// For each slot the rows of its key that wait, in the order of log time.
    waiting: Vec<VecDeque<Waiting>>,
}

/// One count whose frame a filter above wants to have few rows.
#[derive(Debug)]
struct Watch {
    /// Which rows it counts.
    bit: u16,
    start_ns: Option<i64>,
    end_ns: i64,
    /// Whether it rejects no row that is due before.
    until_due: bool,
    /// The last n rows that it has counted of each key.
    counted: Recent,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    time: i64,
    /// Log time at which it is decided.
    due: i64,
    /// Number of the row among all that the operator has taken in; 0 of one that was taken over.
    number: u64,
}

/// A row that is rejected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rejected {
    pub(super) lane: usize,
    pub(super) time: i64,
    pub(super) number: u64,
}

impl Early {
    /// What is to be watched for these calls; `None` when no filter above says anything of a frame ahead.
    pub(super) fn new(calls: &[CallPlan]) -> Option<Early> {
        let watches = (0..).zip(calls).filter_map(|(number, planned)| {
            let Frame::Range { start_ns, end_ns: end_ns @ 1.. } = planned.frame else { return None };
            let until_due = planned.call.is_deadline;
            let enough = planned.call.rejected_at.or(until_due.then_some(1))?;
            Some(Watch { bit: 1 << number, start_ns, end_ns, until_due, counted: Recent::new(enough) })
        });
        let watches: Vec<Watch> = watches.collect();
        (!watches.is_empty()).then_some(Early { watches, waiting: Vec::new() })
    }

    /// A slot is given to a new key.
    pub(super) fn open(&mut self, slot: Slot) {
        self.watches.iter_mut().for_each(|watch| watch.counted.open(slot));
        match self.waiting.get_mut(slot as usize) {
            Some(waiting) => *waiting = VecDeque::new(),
            None => self.waiting.resize_with(slot as usize + 1, VecDeque::new),
        }
    }

    /// Takes in the rows of a batch: `calls` says which functions count each row, `slots` where its key is. Gives the
    /// rows that are rejected by them, whether they come from this batch or waited before.
    pub(super) fn take_in(&mut self, rows: &Rows<'_>, calls: &[u16], slots: &[Slot]) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        for (row, slot) in slots.iter().enumerate().filter(|(_, slot)| **slot != NO_SLOT) {
            let (lane, time, number) = (rows.lanes[row] as usize, rows.times[row], rows.first + row as u64);
            let due = rows.dues[row];
            let waiting = &mut self.waiting[*slot as usize];
            for watch in self.watches.iter_mut().filter(|watch| watch.bit & calls[row] != 0) {
                watch.counted.add(*slot, time);
                for Waiting { time, number, .. } in watch.rejects(*slot, time, waiting) {
                    rejected.push(Rejected { lane, time, number });
                }
            }
            if rows.anchors.is_some_and(|anchors| !anchors.value(row)) {
                continue;
            }
            if self.watches.iter().any(|watch| watch.has_enough(*slot, time)) {
                rejected.push(Rejected { lane, time, number });
            } else {
                waiting.push_back(Waiting { time, due, number });
            }
        }
        rejected
    }

    /// A row of that time waits.
    pub(super) fn wait(&mut self, slot: Slot, time: i64, due: i64) {
        self.waiting[slot as usize].push_back(Waiting { time, due, number: 0 });
    }

    /// The row of that time waits no more.
    pub(super) fn forget(&mut self, slot: Slot, time: i64) {
        let waiting = &mut self.waiting[slot as usize];
        if let Ok(place) = waiting.binary_search_by_key(&time, |row| row.time) {
            waiting.remove(place);
            give_back(waiting);
        }
    }

    /// No row waits.
    pub(super) fn forget_all(&mut self) {
        self.waiting.iter_mut().for_each(|waiting| *waiting = VecDeque::new());
    }

    /// For each watch, the last rows that it has counted of the keys in `slots`. They stand beside the rows of the ring: those
    /// that went at a limit have been counted too, and a row of which they rejected others was not there in vain.
    pub(super) fn save_cells(&self, slots: &[Slot]) -> Vec<ArrayRef> {
        self.watches.iter().map(|watch| watch.counted.save_cells(slots)).collect()
    }

    /// Takes over what the watch of that number had counted of all slots, which are open.
    pub(super) fn load_cells(&mut self, watch: usize, cells: &ArrayRef) -> Result<()> {
        self.watches[watch].counted.load_cells(cells)
    }

    /// How many counts are watched.
    pub(super) fn watches(&self) -> usize {
        self.watches.len()
    }

    /// Bytes remembered, about.
    pub(super) fn bytes(&self) -> usize {
        let rows: usize = self.waiting.iter().map(|waiting| waiting.capacity() * size_of::<Waiting>()).sum();
        let counted: usize = self.watches.iter().map(|watch| watch.counted.bytes()).sum();
        rows + self.waiting.capacity() * size_of::<VecDeque<Waiting>>() + counted
    }
}

impl Watch {
    /// Takes out the waiting rows of a key that are rejected by its row at `time`, the last that was counted.
    fn rejects(&self, slot: Slot, time: i64, waiting: &mut VecDeque<Waiting>) -> Vec<Waiting> {
        let Some(first) = self.counted.first(slot) else { return Vec::new() };
        let start = |row: &Waiting| row.time.saturating_add(self.start_ns.unwrap_or(i64::MIN));
        let from = waiting.partition_point(|row| row.time.saturating_add(self.end_ns) < time);
        let to = waiting.partition_point(|row| self.start_ns.is_none() || start(row) <= first);
        if from >= to {
            return Vec::new();
        }
        if self.until_due && waiting.range(from..to).all(|row| row.due < time) {
            return Vec::new();
        }
        let rejected = waiting.drain(from..to);
        let (late, rejected): (Vec<Waiting>, _) = rejected.partition(|row| self.until_due && row.due < time);
        insert(waiting, from, late);
        give_back(waiting);
        rejected
    }

    /// Whether a row at `time` is rejected by the rows so far, itself included.
    fn has_enough(&self, slot: Slot, time: i64) -> bool {
        let start = self.start_ns.map_or(i64::MIN, |start_ns| time.saturating_add(start_ns));
        self.counted.first(slot).is_some_and(|first| first >= start)
    }
}

/// Puts rows back to where they were taken out.
fn insert(waiting: &mut VecDeque<Waiting>, place: usize, rows: Vec<Waiting>) {
    if !rows.is_empty() {
        let after = waiting.split_off(place);
        waiting.extend(rows.into_iter().chain(after));
    }
}

/// Gives memory back that many waiting rows took.
fn give_back(waiting: &mut VecDeque<Waiting>) {
    if waiting.capacity() > KEPT_ROWS && waiting.len() * 4 < waiting.capacity() {
        waiting.shrink_to(waiting.len() * 2);
    }
}

/// Room for so many rows of a key is not worth giving back.
const KEPT_ROWS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Waiting rows at these times, of a frame from `start_ns` to 30 that must have fewer than `enough` rows.
    fn watch(start_ns: i64, enough: u32) -> Watch {
        let mut counted = Recent::new(enough);
        counted.open(0);
        Watch { bit: 1, start_ns: Some(start_ns), end_ns: 30, until_due: false, counted }
    }

    #[test]
    fn a_row_is_rejected_by_the_last_of_so_many_in_its_frame() {
        let mut watch = watch(1, 2);
        let mut waiting: VecDeque<Waiting> =
            [10, 20, 45, 50].map(|time| Waiting { time, due: time + 30, number: 0 }).into();
        let mut rejected_by = |time| -> Vec<i64> {
            watch.counted.add(0, time);
            watch.rejects(0, time, &mut waiting).iter().map(|row| row.time).collect()
        };
        assert_eq!(rejected_by(20), [] as [i64; 0], "one of two");
        assert_eq!(rejected_by(21), [10], "of the frame of the second, only one");
        assert_eq!(rejected_by(51), [] as [i64; 0], "20 has one at 21, and its frame ended at 50");
        assert_eq!(rejected_by(80), [50], "51 and 80 are in the frame of 50; that of 45 ended at 75");
    }

    #[test]
    fn a_row_whose_frame_began_before_it_may_be_rejected_as_it_comes() {
        let mut watch = watch(-10, 1);
        watch.counted.add(0, 100);
        assert!(watch.has_enough(0, 110) && !watch.has_enough(0, 111));
    }
}
